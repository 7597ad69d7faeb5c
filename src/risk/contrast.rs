//! What a change does to a book: measures of its losses in two runs on the same chance, and their differences.

use crate::risk::estimate::Estimate;
use crate::risk::moments::Moments;
use crate::risk::paired::count_difference;
use crate::risk::paired::mean_difference;
use crate::risk::paired::tail_differences;
use crate::risk::tail::WorstTail;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ContrastMeasure {
    /// Mean loss.
    MeanLoss,
    /// Probability that something is lost.
    LossProbability,
    /// Loss exceeded with probability 1 - level.
    ValueAtRisk(f64),
    /// Mean of the worst 1 - level share.
    ExpectedShortfall(f64),
    /// Mean of what leaving at once costs against spot.
    ExitCost,
    /// Mean number of holdings deregistered.
    DeregisteredHoldings,
}

impl ContrastMeasure {
    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::MeanLoss => "mean_loss",
            Self::LossProbability => "loss_probability",
            Self::ValueAtRisk(_) => "value_at_risk",
            Self::ExpectedShortfall(_) => "expected_shortfall",
            Self::ExitCost => "exit_cost",
            Self::DeregisteredHoldings => "deregistered_holdings",
        }
    }

    /// Confidence level; `None` for measures without one.
    pub fn level(self) -> Option<f64> {
        match self {
            Self::ValueAtRisk(level) | Self::ExpectedShortfall(level) => Some(level),
            _ => None,
        }
    }
}

/// What befell one book on the paths of a run, by path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathLosses<'a> {
    /// Losses, in one money and on one basis.
    pub losses: &'a [f64],
    /// Value at spot less value on liquidation, in the same money.
    pub exit_costs: &'a [f64],
    /// Holdings deregistered.
    pub deregistered: &'a [u16],
}

/// A measure in two runs on the same chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contrast {
    /// What is measured.
    pub measure: ContrastMeasure,
    /// In the first run.
    pub base: Estimate,
    /// In the second.
    pub other: Estimate,
    /// The second less the first; its error is that of the differences path by path ([`crate::risk::paired`]).
    pub difference: Estimate,
}

impl Contrast {
    /// Error that the difference would have if the two runs had nothing in common.
    pub fn unpaired_error(&self) -> f64 {
        self.base.standard_error.hypot(self.other.standard_error)
    }
}

/// All measures, the tail's at each of `levels`.
///
/// # Panics
/// With fewer than two paths, or where the two are not of the same paths.
pub fn contrasts(base: PathLosses<'_>, other: PathLosses<'_>, levels: &[f64]) -> Vec<Contrast> {
    let paths = base.losses.len();
    assert!(paths > 1 && paths == other.losses.len(), "{paths} and {} paths", other.losses.len());
    let mut found = vec![
        mean_contrast(ContrastMeasure::MeanLoss, base.losses, other.losses),
        probability_contrast(base.losses, other.losses),
    ];
    levels.iter().for_each(|&level| found.extend(tail_contrasts(base.losses, other.losses, level)));
    found.push(mean_contrast(ContrastMeasure::ExitCost, base.exit_costs, other.exit_costs));
    found.push(count_contrast(base.deregistered, other.deregistered));
    found
}

fn mean_contrast(measure: ContrastMeasure, base: &[f64], other: &[f64]) -> Contrast {
    let [from, to] = [base, other].map(|values| mean(values.iter().copied()));
    Contrast { measure, base: from, other: to, difference: mean_difference(base, other) }
}

fn probability_contrast(base: &[f64], other: &[f64]) -> Contrast {
    let [from, to] = [base, other].map(|losses| losses.iter().map(|&loss| u16::from(loss > 0.0)).collect::<Vec<_>>());
    let proportion =
        |hits: &[u16]| Estimate::proportion(hits.iter().map(|&hit| u64::from(hit)).sum(), hits.len() as u64);
    Contrast {
        measure: ContrastMeasure::LossProbability,
        base: proportion(&from),
        other: proportion(&to),
        difference: count_difference(&from, &to),
    }
}

fn tail_contrasts(base: &[f64], other: &[f64], level: f64) -> [Contrast; 2] {
    let [from, to] = [base, other].map(|losses| {
        let mut tail = WorstTail::new(losses.len() as u64, level);
        losses.iter().for_each(|&loss| tail.push(loss));
        let tail = tail.into_sorted();
        [tail.value_at_risk(level), tail.expected_shortfall(level)].map(|found| found.expect("at least one path"))
    });
    let differences = tail_differences(base, other, level);
    let measures = [ContrastMeasure::ValueAtRisk(level), ContrastMeasure::ExpectedShortfall(level)];
    [0, 1].map(|i| Contrast { measure: measures[i], base: from[i], other: to[i], difference: differences[i] })
}

fn count_contrast(base: &[u16], other: &[u16]) -> Contrast {
    let [from, to] = [base, other].map(|counts| mean(counts.iter().map(|&count| f64::from(count))));
    let measure = ContrastMeasure::DeregisteredHoldings;
    Contrast { measure, base: from, other: to, difference: count_difference(base, other) }
}

fn mean(values: impl Iterator<Item = f64>) -> Estimate {
    let mut moments = Moments::default();
    values.for_each(|value| moments.push(value));
    moments.mean().expect("at least one path")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 400 losses from -100 to 299, in no order: 299 of them above 0.
    fn losses() -> Vec<f64> {
        (0..400).map(|i| f64::from(i * 37 % 400) - 100.0).collect()
    }

    fn found(base: PathLosses<'_>, other: PathLosses<'_>) -> Vec<(&'static str, [f64; 3])> {
        let values = |c: &Contrast| [c.base.value, c.other.value, c.difference.value];
        contrasts(base, other, &[0.9]).iter().map(|c| (c.measure.name(), values(c))).collect()
    }

    #[test]
    fn measures_of_hand_made_losses() {
        let base = losses();
        // 10 more on every path; on every fourth a holding goes, and leaving costs 2 more.
        let other: Vec<f64> = base.iter().map(|loss| loss + 10.0).collect();
        let (none, cost) = (vec![0; 400], vec![1.0; 400]);
        let (some, dear): (Vec<u16>, Vec<f64>) = (0..400).map(|i| (u16::from(i % 4 == 0), 3.0)).unzip();
        let base = PathLosses { losses: &base, exit_costs: &cost, deregistered: &none };
        let other = PathLosses { losses: &other, exit_costs: &dear, deregistered: &some };
        // The quantile of rank 360 is 259; beyond it lie 260 to 299, on average 279.5.
        let expected = [
            ("mean_loss", [99.5, 109.5, 10.0]),
            ("loss_probability", [0.7475, 0.7725, 0.025]),
            ("value_at_risk", [259.0, 269.0, 10.0]),
            ("expected_shortfall", [279.5, 289.5, 10.0]),
            ("exit_cost", [1.0, 3.0, 2.0]),
            ("deregistered_holdings", [0.0, 0.25, 0.25]),
        ];
        for ((name, values), (expected_name, expected)) in found(base, other).into_iter().zip(expected) {
            assert_eq!(name, expected_name);
            let gaps = values.iter().zip(expected).map(|(value, expected)| (value - expected).abs());
            assert!(gaps.fold(0.0, f64::max) < 1e-9, "{name}: {values:?}");
        }
    }

    #[test]
    fn errors_are_those_of_differences() {
        let (base, none) = (losses(), vec![0; 400]);
        let other: Vec<f64> = base.iter().map(|loss| loss + 10.0).collect();
        let of = |losses| PathLosses { losses, exit_costs: losses, deregistered: &none };
        let found = contrasts(of(&base), of(&other), &[0.9]);
        let mean = &found[0];
        assert!(mean.difference.standard_error < 1e-12 && mean.base.standard_error > 5.0, "{mean:?}");
        assert!((mean.unpaired_error() / mean.base.standard_error - 2.0_f64.sqrt()).abs() < 1e-9);
        let shortfall = &found[3];
        assert!(shortfall.difference.standard_error < 1e-9 && shortfall.base.standard_error > 1.0, "{shortfall:?}");
    }

    #[test]
    fn nothing_changed_is_exactly_nothing() {
        let (losses, counts) = (losses(), vec![2; 400]);
        let of = PathLosses { losses: &losses, exit_costs: &losses, deregistered: &counts };
        for contrast in contrasts(of, of, &[0.9, 0.99]) {
            assert_eq!((contrast.difference.value, contrast.base), (0.0, contrast.other), "{contrast:?}");
        }
    }
}
