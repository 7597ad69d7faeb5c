//! Reverse stress: the nearest shock at which a mean loss is reached.
//!
//! Coordinates are independent and standard: of factors with covariance `C = A A'`, `z = A u` and `z' C^-1 z = |u|^2`, so that the
//! nearest point is the likeliest. It is where the gradient of the loss points along the way to it. Each round goes along the last
//! gradient to where the loss is reached, and takes the gradient there; where that led farther off, half-way back to the best.
//! Source: Rackwitz, Fiessler (1978), doi:10.1016/0045-7949(78)90046-9 (the design point of structural reliability).
//!
//! # Not modelled
//! - Second optima: the search is a local one. Losses that fall again farther out: the first bracket counts.

use statrs::function::erf::erfc;

/// Farthest point tried (standard deviations): beyond, a probability is below 1e-23.
pub const REACH: f64 = 10.0;
/// Half of the difference that gives a slope (standard deviations): wide, since deregistrations make a loss rough.
const SLOPE_STEP: f64 = 0.25;
/// Rounds at most.
const ROUNDS: usize = 8;
/// Cosine between gradient and way from which on the way is right: the distance is then so near the least.
const COSINE_MIN: f64 = 0.9995;
/// By how much a way that does not reach the loss is lengthened at least.
const LENGTHENING: f64 = 1.25;
/// Length of a bracket at which a root search ends whatever the loss does in it: on finitely many paths it jumps.
const BRACKET_MIN: f64 = 1e-5;
/// Steps of a root search at most.
const ROOT_STEPS: usize = 40;

/// A loss to be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// The loss.
    pub loss: f64,
    /// How near is reached.
    pub tolerance: f64,
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Search {
    /// The nearest point found at which the loss is reached.
    Found(Vec<f64>),
    /// The loss is there without a shift.
    Exceeded,
    /// No way tried reaches it; the largest loss seen.
    Unreached(f64),
}

/// Searches the point nearest to 0 in `dimension` coordinates at which `loss` is `target`.
///
/// # Errors
/// Those of `loss`.
pub fn nearest<E>(
    dimension: usize,
    target: Target,
    mut loss: impl FnMut(&[f64]) -> Result<f64, E>,
) -> Result<Search, E> {
    let origin = vec![0.0; dimension];
    let start = loss(&origin)?;
    if start >= target.loss {
        return Ok(Search::Exceeded);
    }
    let Some((mut direction, slope)) = steepest(&origin, &mut loss)? else { return Ok(Search::Unreached(start)) };
    let mut guess = (target.loss - start) / slope;
    let mut best: Option<(f64, Vec<f64>)> = None;
    for _ in 0..ROUNDS {
        let radius = match root_along(&direction, start, guess, target, &mut loss)? {
            Ok(radius) => radius,
            Err(most) if best.is_none() => return Ok(Search::Unreached(most)),
            Err(_) => break,
        };
        if let Some((_, back)) = best.as_ref().filter(|(least, _)| radius > *least) {
            let middle = unit(&sum(&direction, back));
            let is_same = cosine(&middle, back) > COSINE_MIN;
            (direction, guess) = (middle, radius);
            if is_same {
                break;
            }
            continue;
        }
        best = Some((radius, direction.clone()));
        let Some((next, _)) = steepest(&times(&direction, radius), &mut loss)? else { break };
        if cosine(&next, &direction) > COSINE_MIN {
            break;
        }
        (direction, guess) = (next, radius);
    }
    let (radius, direction) = best.expect("a round that reached the loss");
    Ok(Search::Found(times(&direction, radius)))
}

/// Factor by which `point` must be stretched for `loss` to be `target`, where it is near 1; `None`: it cannot be reached so.
///
/// # Errors
/// Those of `loss`.
pub fn stretch<E>(
    point: &[f64],
    target: Target,
    mut loss: impl FnMut(&[f64]) -> Result<f64, E>,
) -> Result<Option<f64>, E> {
    let (length, start) = (norm(point), loss(&times(point, 0.0))?);
    if !(length > 0.0) || start >= target.loss {
        return Ok(None);
    }
    let radius = root_along(&unit(point), start, length, target, &mut loss)?;
    Ok(radius.ok().map(|radius| radius / length))
}

/// Probability that a standard normal variable is beyond `distance`: of a loss linear in its factors, that it is reached.
pub fn one_sided(distance: f64) -> f64 {
    0.5 * erfc(distance * std::f64::consts::FRAC_1_SQRT_2)
}

/// Probability that two standard normal variables are at least so far from 0, in any direction: chi-squared with two degrees.
pub fn any_direction(distance: f64) -> f64 {
    (-0.5 * distance * distance).exp()
}

/// Direction of the gradient and its length; `None` where the loss is flat.
fn steepest<E>(point: &[f64], loss: &mut impl FnMut(&[f64]) -> Result<f64, E>) -> Result<Option<(Vec<f64>, f64)>, E> {
    let mut gradient = Vec::with_capacity(point.len());
    for index in 0..point.len() {
        let mut moved = point.to_vec();
        moved[index] += SLOPE_STEP;
        let up = loss(&moved)?;
        moved[index] -= 2.0 * SLOPE_STEP;
        gradient.push((up - loss(&moved)?) / (2.0 * SLOPE_STEP));
    }
    let length = norm(&gradient);
    Ok((length > 0.0 && length.is_finite()).then(|| (unit(&gradient), length)))
}

/// How far along `direction` the loss is `target`, by false position (Illinois); `Err`: nowhere within [`REACH`], and the largest
/// loss seen. `start`: the loss at 0, below the target's.
fn root_along<E>(
    direction: &[f64],
    start: f64,
    guess: f64,
    target: Target,
    loss: &mut impl FnMut(&[f64]) -> Result<f64, E>,
) -> Result<Result<f64, f64>, E> {
    let mut excess = |radius: f64| loss(&times(direction, radius)).map(|loss| loss - target.loss);
    let mut low = (0.0, start - target.loss);
    let mut most = low.1;
    let mut radius = if guess > 0.0 { guess.min(REACH) } else { 1.0 };
    let mut high = loop {
        let found = (radius, excess(radius)?);
        most = most.max(found.1);
        if found.1.abs() <= target.tolerance {
            return Ok(Ok(radius));
        }
        if found.1 > 0.0 {
            break found;
        }
        if !(radius < REACH) {
            return Ok(Err(most + target.loss));
        }
        low = found;
        radius = (radius * LENGTHENING).min(REACH);
    };
    let mut last_side = None;
    for _ in 0..ROOT_STEPS {
        let middle = (low.0 * high.1 - high.0 * low.1) / (high.1 - low.1);
        let found = (middle, excess(middle)?);
        if found.1.abs() <= target.tolerance {
            return Ok(Ok(middle));
        }
        // An end that stays a second time counts half, so that both close in.
        let is_above = found.1 > 0.0;
        let kept = if last_side == Some(is_above) { 0.5 } else { 1.0 };
        last_side = Some(is_above);
        if is_above {
            (high, low.1) = (found, kept * low.1);
        } else {
            (low, high.1) = (found, kept * high.1);
        }
        if high.0 - low.0 < BRACKET_MIN {
            break;
        }
    }
    Ok(Ok(high.0))
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn times(values: &[f64], factor: f64) -> Vec<f64> {
    values.iter().map(|value| factor * value).collect()
}

fn unit(values: &[f64]) -> Vec<f64> {
    times(values, 1.0 / norm(values))
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / (norm(a) * norm(b))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn search(target: f64, loss: impl Fn(&[f64]) -> f64) -> Search {
        let Ok(found) = nearest(2, Target { loss: target, tolerance: 1e-9 }, |u| Ok::<_, Infallible>(loss(u)));
        found
    }

    fn found(target: f64, loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        match search(target, loss) {
            Search::Found(point) => point,
            other => panic!("{other:?}"),
        }
    }

    /// Of a linear loss `c + g u` the nearest point is `(X - c) g / |g|^2`.
    #[test]
    fn of_a_linear_loss_it_is_known() {
        let point = found(0.3, |u| 0.05 - 0.03 * u[0] - 0.04 * u[1]);
        assert!((point[0] + 3.0).abs() < 1e-6 && (point[1] + 4.0).abs() < 1e-6, "{point:?}");
        assert!((norm(&point) - 5.0).abs() < 1e-6);
    }

    /// What matters is not the way at the start but that at the end: an ellipse is nearest at the end of its short axis.
    #[test]
    fn of_a_curved_loss_it_is_the_nearest_point() {
        let loss = |u: &[f64]| -0.002 * u[1] - 0.02 * u[0] + 0.01 * u[1] * u[1] + 0.002 * u[0] * u[0];
        let point = found(0.3, loss);
        // The same on a fine circle of directions.
        let mut least = f64::INFINITY;
        for step in 0..36_000 {
            let angle = f64::from(step) * std::f64::consts::TAU / 36_000.0;
            let way = [angle.cos(), angle.sin()];
            let Ok(radius) = root_along(&way, 0.0, 1.0, Target { loss: 0.3, tolerance: 1e-9 }, &mut |u| {
                Ok::<_, Infallible>(loss(u))
            });
            least = radius.map_or(least, |radius| least.min(radius));
        }
        assert!(loss(&point) > 0.3 - 1e-8 && norm(&point) < 1.001 * least, "{point:?} {least}");
    }

    #[test]
    fn what_is_out_of_reach_or_there_already_is_said() {
        assert_eq!(search(0.3, |u| 0.31 - u[0]), Search::Exceeded);
        assert_eq!(search(0.3, |_| 0.2), Search::Unreached(0.2));
        let Search::Unreached(most) = search(0.9, |u| 0.5 * (1.0 - u[0].exp())) else { panic!("a bound of 0.5") };
        assert!(most < 0.5 && most > 0.499, "{most}");
    }

    #[test]
    fn a_point_is_stretched_to_the_loss() {
        let target = Target { loss: 0.3, tolerance: 1e-12 };
        let loss = |u: &[f64]| Ok::<_, Infallible>(1.0 - (0.1 * u[0]).exp());
        let Ok(Some(factor)) = stretch(&[-3.0, 0.5], target, loss) else { panic!("it can be reached") };
        assert!((-3.0 * factor - 10.0 * 0.7_f64.ln()).abs() < 1e-9, "{factor}");
        assert_eq!(stretch(&[3.0, 0.5], target, loss), Ok(None));
    }

    #[test]
    fn probabilities_are_those_of_the_tables() {
        // The library's erfc is good to some 1e-12 of its largest value, 2.
        assert!((one_sided(1.959_963_984_540_054) - 0.025).abs() < 4e-12 && one_sided(0.0) == 0.5);
        assert!((any_direction(5.991_464_547_107_979_f64.sqrt()) - 0.05).abs() < 1e-12);
    }
}
