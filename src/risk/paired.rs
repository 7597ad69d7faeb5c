//! Differences between two runs path by path on the same chance, with their errors.

use crate::risk::estimate::Estimate;
use crate::risk::moments::Moments;
use crate::risk::tail::WorstTail;

/// Batches of paths that the jackknife leaves out in turn.
pub const BATCHES: usize = 20;

/// Mean of `other - base`; at least two paths. Its error is that of the mean of the differences.
pub fn mean_difference(base: &[f64], other: &[f64]) -> Estimate {
    debug_assert_eq!(base.len(), other.len());
    let mut moments = Moments::default();
    base.iter().zip(other).for_each(|(base, other)| moments.push(other - base));
    moments.mean().expect("at least one path")
}

/// Mean of `other - base` of counts on the same paths; of hits (0 or 1), the difference of two probabilities.
///
/// ```text
/// d_i = other_i - base_i,   se^2 = (sum d_i^2 + 1 - (sum d_i)^2 / (n + 2)) / (n + 2)^2
/// ```
///
/// For hits this is the interval of Agresti and Min, which adds half a path to each of the four cells. It keeps the error
/// above 0, at 1/n, where no path tells the two apart: never "0 +- 0".
/// Source: Agresti, Min (2005), doi:10.1002/sim.1781.
pub fn count_difference(base: &[u16], other: &[u16]) -> Estimate {
    debug_assert_eq!(base.len(), other.len());
    let differences = base.iter().zip(other).map(|(&base, &other)| i64::from(other) - i64::from(base));
    let (sum, squares) = differences.fold((0, 0), |(sum, squares), d| (sum + d, squares + d * d));
    let (n, widened) = (base.len() as f64, base.len() as f64 + 2.0);
    let variance = (squares as f64 + 1.0 - (sum * sum) as f64 / widened) / (widened * widened);
    Estimate::normal(sum as f64 / n, variance.sqrt(), base.len() as u64)
}

/// Differences of value at risk and of expected shortfall, `other - base`, from the losses of both on the same paths.
///
/// The error is a jackknife's that leaves out [`BATCHES`] consecutive batches of paths in turn:
///
/// ```text
/// se^2 = (G - 1) / G sum_g (d_(g) - mean d_(.))^2,   G batches, d_(g) the difference without batch g
/// ```
///
/// It has G - 1 degrees of freedom, so that two of it cover 94 % (`tests/estimators.rs`). Leaving out a whole share of
/// the paths, not one path, is what makes it consistent for quantiles.
/// Source: Shao, Wu (1989), doi:10.1214/aos/1176347263. At least [`BATCHES`] paths.
pub fn tail_differences(base: &[f64], other: &[f64], confidence: f64) -> [Estimate; 2] {
    debug_assert_eq!(base.len(), other.len());
    let paths = base.len() as u64;
    let without = |batch| {
        let [base, other] = [base, other].map(|losses| tail_without(losses, batch, confidence));
        [other[0] - base[0], other[1] - base[1]]
    };
    let whole = without(None);
    let left_out: Vec<[f64; 2]> = (0..BATCHES).map(|batch| without(Some(batch))).collect();
    [0, 1].map(|i| {
        let values: Vec<f64> = left_out.iter().map(|values| values[i]).collect();
        Estimate::normal(whole[i], jackknife_error(&values), paths)
    })
}

/// Value at risk and expected shortfall of the losses outside a batch.
fn tail_without(losses: &[f64], batch: Option<usize>, confidence: f64) -> [f64; 2] {
    let mut tail = WorstTail::new(losses.len() as u64, confidence);
    for (index, &loss) in losses.iter().enumerate() {
        if Some(index * BATCHES / losses.len()) != batch {
            tail.push(loss);
        }
    }
    let tail = tail.into_sorted();
    [tail.value_at_risk(confidence), tail.expected_shortfall(confidence)]
        .map(|estimate| estimate.expect("paths outside the batch").value)
}

fn jackknife_error(values: &[f64]) -> f64 {
    let groups = values.len() as f64;
    let mean = values.iter().sum::<f64>() / groups;
    let spread = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
    ((groups - 1.0) / groups * spread).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_made_differences() {
        let estimate = mean_difference(&[1.0, 2.0, 3.0], &[1.5, 2.0, 4.0]);
        assert!((estimate.value - 0.5).abs() < 1e-15);
        // Differences 0.5, 0, 1: variance 0.25.
        assert!((estimate.standard_error - (0.25_f64 / 3.0).sqrt()).abs() < 1e-15);
        let estimate = count_difference(&[1, 0, 0, 1, 0, 0, 0, 0], &[1, 1, 1, 0, 0, 0, 0, 0]);
        // One lost, two won of eight: (1 + 2 + 1 - 0.1) / 100.
        assert_eq!(estimate.value, 0.125);
        assert!((estimate.standard_error - 0.039_f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn equal_outcomes_differ_by_nothing_with_an_error() {
        let none = count_difference(&[3; 98], &[3; 98]);
        assert_eq!((none.value, none.standard_error), (0.0, 0.01));
        let losses: Vec<f64> = (0..100).map(f64::from).collect();
        for estimate in tail_differences(&losses, &losses, 0.95) {
            assert_eq!((estimate.value, estimate.standard_error), (0.0, 0.0));
        }
    }

    /// Losses moved by a constant: every batch left out gives the same difference.
    #[test]
    fn a_shift_of_all_losses_is_found_without_error() {
        let losses: Vec<f64> = (0..400).map(|i| f64::from(i * 37 % 400)).collect();
        let moved: Vec<f64> = losses.iter().map(|loss| loss + 8.0).collect();
        for estimate in tail_differences(&losses, &moved, 0.9) {
            assert!((estimate.value - 8.0).abs() < 1e-12 && estimate.standard_error < 1e-12, "{estimate:?}");
        }
    }

    /// The mean's jackknife over batches of one path is the usual error of a mean.
    #[test]
    fn the_jackknife_of_a_mean_is_its_standard_error() {
        let values: Vec<f64> = (0..20).map(|i| f64::from(i * i % 11)).collect();
        let total: f64 = values.iter().sum();
        let left_out: Vec<f64> = values.iter().map(|value| (total - value) / 19.0).collect();
        let mut moments = Moments::default();
        values.iter().for_each(|&value| moments.push(value));
        assert!((jackknife_error(&left_out) - moments.mean().unwrap().standard_error).abs() < 1e-14);
    }
}
