//! Runs that end when a measure is known well enough: looks at fixed numbers of paths, and an interval that holds at all of them.
//!
//! A run that is stopped when its interval happens to be narrow, or its value far out, has looked many times: the interval of one
//! look would miss the truth more often than it says. Here it is that of an asymptotic confidence sequence, which holds at all
//! looks together, so that stopping at any of them does no harm:
//!
//! ```text
//! value_n +- se_n sqrt(2 (n r + 1) / (n r) ln(sqrt(n r + 1) / alpha)),   alpha = 0.05
//! r = (-2 ln alpha + ln(-2 ln alpha) + 1) / n*,   n* the number of paths at which it is narrowest
//! ```
//!
//! It is 3.04 standard errors wide on either side at `n*`, 3.3 at 16 `n*` and 3.2 at `n* / 4`, where a single look has 1.96: the price
//! is 2.4 to 3 times the paths that a person would need who knew their number before.
//! Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), Time-uniform central limit theory and asymptotic confidence
//! sequences, Ann. Statist. 52, theorem 2.2 and appendix B.2. It is for means; value at risk and expected shortfall are means
//! of their influence functions but for terms that vanish faster, and are looked at only once their tail holds
//! [`TAIL_LOSSES_MIN`] losses.
//! Where a run has control variates ([`StopRule::with_controls`]), a target for a mean is looked at with them, as it is published.
//!
//! # Not modelled
//! - Replicates of uncertain parameters, whose paths are not independent.

use crate::engine::record::FactorRow;
use crate::engine::record::PathRow;
use crate::risk::book::pnl_values;
use crate::risk::controlled_book::ControlledBooks;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::measure::Measure;
use crate::risk::measure::PNL_KINDS;
use crate::risk::moments::Moments;
use crate::risk::tail::WorstTail;

/// Chance that the interval misses the truth at any look.
const MISS: f64 = 0.05;
/// Fewest paths at the first look.
const FIRST_LOOK: u64 = 2_048;
/// Fewest losses beyond a level at the first look.
pub const TAIL_LOSSES_MIN: f64 = 64.0;
/// Paths at a look over those at the one before: the error falls by 2.5 % from look to look.
const LOOK_RATIO: f64 = 1.05;
/// Paths at which the interval is narrowest, over those at the first look.
const NARROWEST: f64 = 8.0;

/// What is to be known how well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Mean P&L, probability of a loss, value at risk or expected shortfall.
    pub measure: Measure,
    /// Level of the last two.
    pub level: Option<f64>,
    /// How holdings are valued.
    pub basis: Basis,
    /// In which money.
    pub currency: Currency,
    /// Largest half-width of the interval.
    pub tolerance: Tolerance,
}

impl Target {
    /// Whether a level or none goes with the measure, and it is one of the four.
    pub fn is_known(&self) -> bool {
        match self.measure {
            Measure::MeanPnl | Measure::LossProbability => self.level.is_none(),
            Measure::ValueAtRisk | Measure::ExpectedShortfall => {
                self.level.is_some_and(|level| level > 0.5 && level < 1.0)
            }
            _ => false,
        }
    }

    fn first_look(&self) -> u64 {
        let tail = self.level.map_or(0.0, |level| TAIL_LOSSES_MIN / (1.0 - level));
        FIRST_LOOK.max(tail.ceil() as u64)
    }
}

/// Largest half-width of an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// In the measure's unit.
    Absolute(f64),
    /// As a fraction of the measure's value.
    Relative(f64),
}

impl Tolerance {
    fn half_width(self, value: f64) -> f64 {
        match self {
            Self::Absolute(width) => width,
            Self::Relative(fraction) => fraction * value.abs(),
        }
    }
}

/// What a look has shown of one target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// What is asked.
    pub target: Target,
    /// Value and the interval that holds at all looks.
    pub estimate: Estimate,
}

impl Look {
    /// Whether the interval is as narrow as asked.
    pub fn is_met(&self) -> bool {
        self.estimate.half_width() <= self.allowed()
    }

    /// Half-width that is asked, in the measure's unit.
    pub fn allowed(&self) -> f64 {
        self.target.tolerance.half_width(self.estimate.value)
    }

    /// Paths that would do, by the square-root law; `None` where that cannot be said.
    pub fn paths_needed(&self) -> Option<u64> {
        let ratio = self.estimate.half_width() / self.allowed();
        ratio.is_finite().then(|| (self.estimate.samples as f64 * ratio * ratio).ceil() as u64)
    }
}

/// Half-width of the interval that holds at all looks, in standard errors at `paths`.
fn standard_errors(paths: f64, narrowest: f64) -> f64 {
    let double_log = -2.0 * MISS.ln();
    let weight = paths * (double_log + double_log.ln() + 1.0) / narrowest;
    (2.0 * (weight + 1.0) / weight * ((weight + 1.0).sqrt() / MISS).ln()).sqrt()
}

/// Watches P&L in path order until all targets are met.
#[derive(Clone, Debug)]
pub struct StopRule {
    book: u16,
    horizon: u16,
    watched: Vec<Watched>,
    controls: Option<ControlledBooks>,
    paths: u64,
    next_look: u64,
    last: Vec<Look>,
}

impl StopRule {
    /// Watches one book at one horizon, over at most `paths_max` paths.
    ///
    /// # Panics
    /// Without a target, or if one is not known ([`Target::is_known`]).
    pub fn new(targets: &[Target], book: u16, horizon: u16, paths_max: u64) -> Self {
        let first = targets.iter().map(Target::first_look).max().expect("a target");
        let watched = targets.iter().map(|target| Watched::new(*target, first, paths_max)).collect();
        Self { book, horizon, watched, controls: None, paths: 0, next_look: first, last: Vec::new() }
    }

    /// The same with means as `controls` improve them, which have seen nothing yet; they know all books and horizons of the rows.
    #[must_use]
    pub fn with_controls(self, controls: ControlledBooks) -> Self {
        Self { controls: Some(controls), ..self }
    }

    /// Adds the next paths, and looks if it is time; whether all targets are met. `factors`: of the same paths, where there are controls.
    ///
    /// Looks are after the first call that brings the paths to a number of the schedule: where calls come with the same paths, looks
    /// are the same.
    pub fn push_all(&mut self, rows: &[PathRow], factors: &[FactorRow]) -> bool {
        if let Some(controls) = &mut self.controls {
            controls.push(rows, factors);
        }
        let rows = rows.iter().filter(|row| row.book == self.book && row.horizon == self.horizon);
        for row in rows {
            self.paths += 1;
            self.watched.iter_mut().for_each(|watched| watched.push_row(row));
        }
        if self.paths < self.next_look {
            return false;
        }
        self.next_look = (self.paths as f64 * LOOK_RATIO).ceil() as u64;
        self.look();
        self.last.iter().all(Look::is_met)
    }

    /// Looks now, out of schedule: for what was reached where paths ran out.
    pub fn look(&mut self) {
        let (book, horizon) = (usize::from(self.book), usize::from(self.horizon));
        let controlled = |of: &Target| {
            let controls = self.controls.as_ref().filter(|_| of.measure == Measure::MeanPnl)?;
            Some(controls.mean(book, horizon, (of.basis, of.currency))?.estimate)
        };
        self.last = self.watched.iter().map(|watched| watched.look(controlled(&watched.target))).collect();
    }

    /// What the last look has shown, target by target; nothing before the first.
    pub fn last(&self) -> &[Look] {
        &self.last
    }
}

/// P&L as far as one target needs it.
#[derive(Clone, Debug)]
struct Watched {
    target: Target,
    kind: usize,
    narrowest: f64,
    pnl: Moments,
    losses: u64,
    tail: Option<WorstTail>,
}

impl Watched {
    fn new(target: Target, first_look: u64, paths_max: u64) -> Self {
        assert!(target.is_known(), "{target:?}");
        let kind = PNL_KINDS.iter().position(|kind| *kind == (target.basis, target.currency));
        Self {
            target,
            kind: kind.expect("every basis and currency has its P&L"),
            narrowest: NARROWEST * first_look as f64,
            pnl: Moments::default(),
            losses: 0,
            tail: target.level.map(|level| WorstTail::new(paths_max, level)),
        }
    }

    fn push_row(&mut self, row: &PathRow) {
        self.push(pnl_values(row)[self.kind].expect("a basis that the scenario has"));
    }

    fn push(&mut self, pnl: f64) {
        self.pnl.push(pnl);
        self.losses += u64::from(pnl < 0.0);
        if let Some(tail) = &mut self.tail {
            tail.push(-pnl);
        }
    }

    /// `controlled`: the mean with controls, where the target is that and there are any.
    fn look(&self, controlled: Option<Estimate>) -> Look {
        let samples = self.pnl.samples();
        let sorted = || self.tail.clone().expect("a tail where there is a level").into_sorted();
        let level = self.target.level.unwrap_or_default();
        let plain = match self.target.measure {
            Measure::MeanPnl => controlled.or(self.pnl.mean()),
            Measure::LossProbability => (samples > 0).then(|| Estimate::proportion(self.losses, samples)),
            Measure::ValueAtRisk => sorted().value_at_risk(level),
            _ => sorted().expected_shortfall(level),
        };
        let plain = plain.unwrap_or(Estimate { samples, ..Estimate::normal(f64::NAN, f64::INFINITY, samples) });
        let half_width = standard_errors(samples as f64, self.narrowest) * plain.standard_error;
        let (ci_low, ci_high) = (plain.value - half_width, plain.value + half_width);
        Look { target: self.target, estimate: Estimate { ci_low, ci_high, ..plain } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outside::RateMoments;
    use crate::rng;
    use crate::rng::Address;
    use crate::rng::Purpose;

    const MEAN: Target = Target {
        measure: Measure::MeanPnl,
        level: None,
        basis: Basis::Mark,
        currency: Currency::Tao,
        tolerance: Tolerance::Absolute(0.1),
    };

    fn rows(paths: std::ops::Range<u64>) -> Vec<PathRow> {
        // P&L -1 and 1 in turn: mean 0, standard error 1 / sqrt(n).
        paths.map(|path| PathRow { path, pnl_mark_tao: (path % 2) as f64 * 2.0 - 1.0, ..PathRow::EMPTY }).collect()
    }

    #[test]
    fn width_of_the_sequence_by_hand() {
        // -2 ln 0.05 = 5.9915, and its logarithm 1.7903: r n* = 8.7818.
        assert!(
            (standard_errors(1e4, 1e4) - (2.0 * 9.7818 / 8.7818 * (9.7818_f64.sqrt() / 0.05).ln()).sqrt()).abs() < 1e-4
        );
        let widths = [0.25, 0.5, 1.0, 2.0, 4.0, 16.0].map(|ratio| standard_errors(ratio * 1e4, 1e4));
        assert!(widths.iter().all(|width| *width >= widths[2]), "{widths:?}");
        assert!(
            (widths[2] - 3.035).abs() < 1e-3 && (widths[5] - 3.320).abs() < 1e-3 && (widths[0] - 3.227).abs() < 1e-3
        );
    }

    #[test]
    fn stops_at_the_first_look_that_is_narrow_enough() {
        let mut rule = StopRule::new(&[Target { tolerance: Tolerance::Absolute(0.05), ..MEAN }], 0, 0, 100_000);
        let blocks = (0..50).map(|block| block * 512..(block + 1) * 512);
        let stop = blocks.map(rows).position(|rows| rule.push_all(&rows, &[])).expect("a stop");
        let look = rule.last()[0];
        assert!(look.is_met() && look.estimate.samples == (stop as u64 + 1) * 512);
        // One look before, the interval was wider than asked.
        let before = standard_errors((look.estimate.samples - 512) as f64, NARROWEST * 2_048.0);
        assert!(before / ((look.estimate.samples - 512) as f64).sqrt() > 0.05, "{look:?}");
        assert!(look.paths_needed().unwrap() <= look.estimate.samples);
    }

    #[test]
    fn all_targets_must_be_met_and_other_rows_do_not_count() {
        let hard = Target { measure: Measure::LossProbability, tolerance: Tolerance::Relative(0.001), ..MEAN };
        let mut rule = StopRule::new(&[MEAN, hard], 0, 0, 100_000);
        let others = [PathRow { book: 1, ..PathRow::EMPTY }, PathRow { horizon: 1, ..PathRow::EMPTY }];
        assert!(!rule.push_all(&others.repeat(5_000), &[]) && rule.last().is_empty());
        assert!(!rule.push_all(&rows(0..4_096), &[]));
        assert_eq!(rule.last().iter().map(Look::is_met).collect::<Vec<_>>(), [true, false]);
        assert!(rule.last()[1].paths_needed().unwrap() > 1_000_000);
    }

    /// Nine tenths of the spread are that of the common factor: a tenth of the paths do.
    #[test]
    fn a_mean_with_controls_is_met_sooner() {
        let known = RateMoments { log_mean: 0.0, log_variance: 0.0, growth: 1.0, factor_covariance: 0.0 };
        let controls = ControlledBooks::new(vec!["desk".into()], 200.0, vec![(30.0, known)]);
        let target = Target { tolerance: Tolerance::Absolute(0.03), ..MEAN };
        let plain = StopRule::new(&[target], 0, 0, 1 << 20);
        let stops = [plain.clone(), plain.with_controls(controls)].map(|mut rule| {
            let block = |block: u32| {
                let draw = |path: u32| {
                    let address = Address { path, step: 0, slot: 0, purpose: Purpose::Design, index: 0 };
                    let [common, own, ..] = rng::normals4(rng::words(5, address));
                    let (path, pnl) = (u64::from(path), 0.9_f64.sqrt() * common + 0.1_f64.sqrt() * own);
                    let row = PathRow { path, pnl_mark_tao: pnl, tao_usd: 200.0, ..PathRow::EMPTY };
                    (row, FactorRow { path, horizon: 0, common })
                };
                (block * 256..(block + 1) * 256).map(draw).unzip()
            };
            (0..4_096).map(block).any(|(rows, factors): (Vec<_>, Vec<_>)| rule.push_all(&rows, &factors));
            rule.last()[0].estimate
        });
        let [plain, controlled] = stops;
        assert!(controlled.samples * 4 < plain.samples, "{plain:?} {controlled:?}");
        assert!(stops.iter().all(|found| found.half_width() <= 0.03 && found.value.abs() <= 0.03), "{stops:?}");
    }

    #[test]
    fn tails_are_looked_at_when_they_hold_enough() {
        let far = Target { measure: Measure::ExpectedShortfall, level: Some(0.99), ..MEAN };
        assert_eq!(far.first_look(), 6_400);
        assert!(!Target { level: None, ..far }.is_known() && !Target { level: Some(0.4), ..far }.is_known());
        assert!(
            !Target { measure: Measure::SdPnl, ..MEAN }.is_known() && !Target { level: Some(0.9), ..MEAN }.is_known()
        );
    }
}
