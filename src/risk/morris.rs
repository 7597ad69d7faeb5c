//! Screening of inputs by elementary effects (Morris): which matter, and which act other than by a constant slope.
//!
//! A trajectory starts at a point of the grid and moves one input after the other, each once, by half of the grid:
//!
//! ```text
//! effect_i = (y(after i moved) - y(before)) / (score after - score before)
//! mu_i* = mean |effect_i|,   mu_i = mean effect_i,   sigma_i = standard deviation of effect_i    over r trajectories
//! ```
//!
//! Per standard deviation of the input, so that `mu*` of a straight line is its slope times that deviation. `mu*` is the measure of
//! importance (signs do not cancel); `sigma` is not 0 where the effect depends on where the inputs are: curvature and interactions,
//! which are not told apart. Cost: `r (k + 1)` evaluations for k inputs.
//!
//! Trajectories are independent, so errors are those of means and standard deviations of r values; intervals are freed of skewness
//! ([`Estimate::skewed`]). A grid of four levels reaches the middles of the outer quarters of a law, not its tails.
//!
//! Source: Morris (1991), doi:10.1080/00401706.1991.10484804; Campolongo, Cariboni, Saltelli (2007),
//! doi:10.1016/j.envsoft.2006.10.004, for `mu*`. Not their choice of spread-out trajectories: it would make them dependent, and
//! their errors unknown.

use crate::risk::design;
use crate::risk::design::LEVELS;
use crate::risk::design::Part;
use crate::risk::design::ScoreLaw;
use crate::risk::estimate::Estimate;
use crate::risk::moments::Moments;

/// A walk over the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Trajectory {
    /// Scores of the inputs at its points: one more than there are inputs.
    pub points: Vec<Vec<f64>>,
    /// Which input moves from each point to the next.
    pub order: Vec<usize>,
}

impl Trajectory {
    /// The trajectory of that number: level of the start and place in the order come from the words of each input.
    pub fn draw(laws: &[ScoreLaw], seed: u64, number: u32) -> Self {
        let words: Vec<[u32; 4]> = (0..laws.len()).map(|i| design::words(seed, number, Part::Trajectory, i)).collect();
        let mut order: Vec<usize> = (0..laws.len()).collect();
        order.sort_by_key(|&input| words[input][1]);
        let levels: Vec<usize> = words.iter().map(|words| words[0] as usize % LEVELS).collect();
        let mut point: Vec<f64> = laws.iter().zip(&levels).map(|(law, &level)| law.levels()[level]).collect();
        let mut points = vec![point.clone()];
        for &input in &order {
            point[input] = laws[input].levels()[(levels[input] + LEVELS / 2) % LEVELS];
            points.push(point.clone());
        }
        Self { points, order }
    }

    /// The effect of every input, from the outcomes at the points.
    fn effects(&self, outcomes: &[f64]) -> Vec<f64> {
        let mut effects = vec![0.0; self.order.len()];
        for (step, &input) in self.order.iter().enumerate() {
            let moved = self.points[step + 1][input] - self.points[step][input];
            effects[input] = (outcomes[step + 1] - outcomes[step]) / moved;
        }
        effects
    }
}

/// What the effects of an input are like, in units of the outcome per standard deviation of the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Screening {
    /// Mean absolute effect.
    pub mu_star: Estimate,
    /// Mean effect.
    pub mu: Estimate,
    /// Standard deviation of effects.
    pub sigma: Estimate,
}

/// Screens the inputs of trajectories with their outcomes, point by point; at least two.
pub fn screen(trajectories: &[Trajectory], outcomes: &[Vec<f64>]) -> Vec<Screening> {
    debug_assert_eq!(trajectories.len(), outcomes.len());
    let effects: Vec<Vec<f64>> = trajectories.iter().zip(outcomes).map(|(path, y)| path.effects(y)).collect();
    let inputs = effects.first().map_or(0, Vec::len);
    let of_input = |input: usize| {
        let (mut plain, mut absolute) = (Moments::default(), Moments::default());
        for effects in &effects {
            plain.push(effects[input]);
            absolute.push(effects[input].abs());
        }
        let sigma = plain.standard_deviation().expect("at least two trajectories");
        Screening { mu_star: mean(&absolute), mu: mean(&plain), sigma: known(sigma) }
    };
    (0..inputs).map(of_input).collect()
}

/// A standard deviation of so few values that their fourth moment says nothing has the error that it has in a normal law.
fn known(sigma: Estimate) -> Estimate {
    if sigma.standard_error > 0.0 {
        return sigma;
    }
    let twice_degrees: f64 = 2.0 * (sigma.samples as f64 - 1.0);
    Estimate::normal(sigma.value, sigma.value / twice_degrees.sqrt(), sigma.samples)
}

/// The mean with its interval freed of skewness.
pub(crate) fn mean(moments: &Moments) -> Estimate {
    let plain = moments.mean().expect("at least one value");
    Estimate::skewed(plain.value, plain.standard_error, moments.shape(), plain.samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study(laws: &[ScoreLaw], seed: u64, count: u32, model: impl Fn(&[f64]) -> f64) -> Vec<Screening> {
        let trajectories: Vec<_> = (0..count).map(|number| Trajectory::draw(laws, seed, number)).collect();
        let outcomes = trajectories.iter().map(|path| path.points.iter().map(|point| model(point)).collect());
        let outcomes: Vec<Vec<f64>> = outcomes.collect();
        screen(&trajectories, &outcomes)
    }

    #[test]
    fn trajectories_move_every_input_once_by_half_of_the_grid() {
        let laws = [ScoreLaw::Normal, ScoreLaw::Uniform, ScoreLaw::Normal, ScoreLaw::Normal];
        let mut starts = [[0; LEVELS]; 4];
        let mut first_moves = [0; 4];
        for number in 0..400 {
            let path = Trajectory::draw(&laws, 3, number);
            let mut sorted = path.order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
            for (step, &input) in path.order.iter().enumerate() {
                for other in 0..4 {
                    let moved = path.points[step + 1][other] - path.points[step][other];
                    let levels = laws[other].levels();
                    let expected = if other == input { levels[2] - levels[0] } else { 0.0 };
                    assert!((moved.abs() - expected).abs() < 1e-15, "{number} {step}");
                }
            }
            first_moves[path.order[0]] += 1;
            for (input, law) in laws.iter().enumerate() {
                starts[input][law.levels().iter().position(|&level| level == path.points[0][input]).unwrap()] += 1;
            }
        }
        // Binomial(400, 1/4): standard deviation 8.7.
        assert!(starts.as_flattened().iter().chain(&first_moves).all(|&count: &i32| (count - 100).abs() < 35));
    }

    #[test]
    fn slopes_of_a_line_are_found_exactly() {
        let laws = [ScoreLaw::Normal, ScoreLaw::Uniform, ScoreLaw::Normal];
        let found = study(&laws, 1, 4, |x| 7.0 + 3.0 * x[0] - 2.0 * x[1]);
        for (screening, slope) in found.iter().zip([3.0, -2.0, 0.0_f64]) {
            assert!(
                (screening.mu.value - slope).abs() < 1e-14 && (screening.mu_star.value - slope.abs()).abs() < 1e-14
            );
            assert!(screening.sigma.value < 1e-14 && screening.mu_star.standard_error < 1e-14, "{screening:?}");
        }
        let idle = found[2];
        assert_eq!((idle.mu_star.value, idle.mu.standard_error, idle.sigma.value), (0.0, 0.0, 0.0));
    }

    /// y = x0 x1: the effect of each is the score of the other, at any of its levels.
    #[test]
    fn interactions_show_in_sigma_and_intervals_cover() {
        let levels = ScoreLaw::Normal.levels();
        let mu_star = 0.5 * (levels[2] + levels[3]);
        let sigma = (0.5 * (levels[2].powi(2) + levels[3].powi(2))).sqrt();
        let found = study(&[ScoreLaw::Normal; 2], 9, 2_000, |x| x[0] * x[1]);
        for screening in found {
            assert!((screening.mu_star.value - mu_star).abs() < 4.0 * screening.mu_star.standard_error);
            assert!(screening.mu.value.abs() < 4.0 * screening.mu.standard_error, "{screening:?}");
            assert!((screening.sigma.value - sigma).abs() < 4.0 * screening.sigma.standard_error, "{screening:?}");
        }
        // Effects of x0 in y = x0 (1 + x1) + 2 x0 x2 are many-valued: 1,000 studies of 20 trajectories.
        let truth = {
            let effects = levels.iter().flat_map(|a| levels.iter().map(move |b| (1.0 + a + 2.0 * b).abs()));
            effects.sum::<f64>() / 16.0
        };
        let covers = |seed: u64| {
            let found = study(&[ScoreLaw::Normal; 3], seed, 20, |x| x[0] * (1.0 + x[1]) + 2.0 * x[0] * x[2]);
            let mu_star = found[0].mu_star;
            mu_star.ci_low <= truth && truth <= mu_star.ci_high
        };
        let hits = (0..1_000).filter(|&seed| covers(seed)).count();
        // 95 % nominal; binomial standard deviation 7.
        assert!((925..=980).contains(&hits), "{hits} of 1000");
    }
}
