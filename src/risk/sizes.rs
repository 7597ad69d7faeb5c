//! What a measure of a book gains with the size of each of its positions, where losses are proportional to sizes.
//!
//! With `L = sum of L_i`, each `L_i` proportional to the size `s_i` of its position, for mean, value at risk and expected shortfall M:
//!
//! ```text
//! dM / d ln s_i = E[L_i], VaR_i, ES_i    the Euler components of M (crate::risk::euler), which add up to M
//! ```
//!
//! Exact at spot for books that hold: they move no price, and their dividends and payouts are per alpha. Not on liquidation, where
//! a sale of more gets less for each.

use crate::risk::contrast::ContrastMeasure;
use crate::risk::estimate::Estimate;
use crate::risk::euler::Sampling;
use crate::risk::euler::TailPoint;
use crate::risk::moments::Moments;
use crate::risk::tail_rows::TailRows;

/// Derivatives to the logarithm of the size of each of `positions` positions: of the mean, and of the tail measures at each of
/// `levels`.
///
/// `fill` writes what the positions lost on a path. At least one path.
pub fn size_derivatives(
    losses: &[f64],
    positions: usize,
    fill: impl Fn(usize, &mut [f64]),
    levels: &[f64],
) -> Vec<Vec<(ContrastMeasure, Estimate)>> {
    let paths = losses.len() as u64;
    let confidence_min = levels.iter().copied().fold(1.0 - 1e-9, f64::min);
    let mut tail = TailRows::new(paths, confidence_min, positions);
    let mut means = vec![Moments::default(); positions];
    let mut parts = vec![0.0; positions];
    for (path, &loss) in losses.iter().enumerate() {
        fill(path, &mut parts);
        tail.push(path as u64, loss, |kept| kept.copy_from_slice(&parts));
        means.iter_mut().zip(&parts).for_each(|(mean, &part)| mean.push(part));
    }
    let (tail, sampling) = (tail.into_sorted(), Sampling { paths, replicate_paths: 1 });
    let points: Vec<(f64, TailPoint)> =
        levels.iter().filter_map(|&level| Some((level, TailPoint::new(&tail, level)?))).collect();
    let of_position = |position: usize| {
        let mean = means[position].mean().expect("at least one path");
        let components = points.iter().flat_map(|(level, point)| {
            let [value, shortfall] = point.components(|parts| parts[position], sampling);
            [(ContrastMeasure::ValueAtRisk(*level), value), (ContrastMeasure::ExpectedShortfall(*level), shortfall)]
        });
        [(ContrastMeasure::MeanLoss, mean)].into_iter().chain(components).collect()
    };
    (0..positions).map(of_position).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::contrast::PathLosses;
    use crate::risk::contrast::contrasts;

    /// Two positions of a thousand paths: the losses of one come in order, those of the other do not.
    fn parts(path: usize) -> [f64; 2] {
        [path as f64 * 0.1 - 30.0, (path * 7919 % 1_000) as f64 * 0.03 - 10.0]
    }

    #[test]
    fn the_derivatives_are_those_of_small_changes_of_size() {
        let losses =
            |sizes: [f64; 2]| (0..1_000).map(move |path| sizes[0] * parts(path)[0] + sizes[1] * parts(path)[1]);
        let base: Vec<f64> = losses([1.0; 2]).collect();
        let found = size_derivatives(&base, 2, |path, kept| kept.copy_from_slice(&parts(path)), &[0.9]);
        let none = vec![0; 1_000];
        for position in 0..2 {
            let moved = |factor: f64| {
                let mut sizes = [1.0; 2];
                sizes[position] *= factor;
                losses(sizes).collect::<Vec<f64>>()
            };
            let (low, high) = (moved(0.999_9), moved(1.000_1));
            let of = |losses| PathLosses { losses, exit_costs: losses, deregistered: &none };
            let differences = contrasts(of(&low), of(&high), &[0.9]);
            for (measure, derivative) in &found[position] {
                let contrast = differences.iter().find(|contrast| contrast.measure == *measure).unwrap();
                let slope = contrast.difference.scaled(1.0 / 0.000_2);
                // A quantile is one path's loss, whose slope is its own part; the component is the mean around it.
                let allowed = match measure {
                    ContrastMeasure::ValueAtRisk(_) => 4.0 * derivative.standard_error + 10.0,
                    _ => 1e-6,
                };
                assert!((slope.value - derivative.value).abs() < allowed, "{measure:?}: {slope:?} {derivative:?}");
            }
        }
    }

    #[test]
    fn the_only_position_is_the_book() {
        let base: Vec<f64> = (0..1_000).map(|path| parts(path)[1]).collect();
        let found = size_derivatives(&base, 1, |path, kept| kept[0] = parts(path)[1], &[0.9, 0.95]);
        let none = vec![0; 1_000];
        let of = PathLosses { losses: &base, exit_costs: &base, deregistered: &none };
        let whole = contrasts(of, of, &[0.9, 0.95]);
        assert_eq!(found[0].len(), 5);
        for (measure, derivative) in &found[0] {
            let measured = whole.iter().find(|contrast| contrast.measure == *measure).unwrap().base;
            assert!(
                (derivative.value / measured.value - 1.0).abs() < 1e-12,
                "{measure:?}: {derivative:?} {measured:?}"
            );
        }
    }
}
