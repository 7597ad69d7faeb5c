//! How far results depend on the step: outcomes of coupled levels, their differences, the bias of each level.

use crate::engine::record::EventKind;
use crate::risk::estimate::Estimate;
use crate::risk::moments::Moments;
use crate::risk::paired;
use crate::risk::recorder::BatchRecord;
use crate::risk::tail::WorstTail;
use crate::units::NetUid;
use crate::units::SLOT_CAPACITY;

/// Paths whose Monte Carlo error a bias is judged against.
pub const REFERENCE_PATHS: f64 = 1e6;
/// Share of that error which a bias may not exceed.
const TOLERATED_SHARE: f64 = 0.5;
/// Standard errors around a bias within which it may lie.
pub const BOUND_ERRORS: f64 = 2.0;

/// What is compared between levels; all at the end of the paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// Mean P&L (TAO, mark) of a book.
    MeanPnl(usize),
    /// Value at risk (TAO, mark) of a book at a level.
    ValueAtRisk(usize, f64),
    /// Expected shortfall (TAO, mark) of a book at a level.
    ExpectedShortfall(usize, f64),
    /// Probability that any holding of a book was deregistered.
    HoldingDeregistered(usize),
    /// Number of registrations.
    Registrations,
    /// Probability that a subnet of the snapshot was deregistered.
    SubnetDeregistered(NetUid),
    /// The same for the subnet of the snapshot whose probability differs most.
    LargestSubnetDeregistered(NetUid),
}

impl Measure {
    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::MeanPnl(_) => "mean_pnl",
            Self::ValueAtRisk(..) => "value_at_risk",
            Self::ExpectedShortfall(..) => "expected_shortfall",
            Self::HoldingDeregistered(_) => "holding_deregistered",
            Self::Registrations => "registrations",
            Self::SubnetDeregistered(_) => "subnet_deregistered",
            Self::LargestSubnetDeregistered(_) => "largest_subnet_deregistered",
        }
    }

    /// Index of the book, where it is of one.
    pub fn book(self) -> Option<usize> {
        match self {
            Self::MeanPnl(book)
            | Self::ValueAtRisk(book, _)
            | Self::ExpectedShortfall(book, _)
            | Self::HoldingDeregistered(book) => Some(book),
            _ => None,
        }
    }

    /// Confidence level, where it has one.
    pub fn level(self) -> Option<f64> {
        match self {
            Self::ValueAtRisk(_, level) | Self::ExpectedShortfall(_, level) => Some(level),
            _ => None,
        }
    }

    /// The subnet, where it is of one.
    pub fn netuid(self) -> Option<NetUid> {
        match self {
            Self::SubnetDeregistered(netuid) | Self::LargestSubnetDeregistered(netuid) => Some(netuid),
            _ => None,
        }
    }
}

/// Ends of the paths of one level, column by column: 34 bytes to a path and 10 more for each book.
#[derive(Clone, Debug)]
pub struct Outcomes {
    /// P&L (TAO, mark) of each book.
    pnl: Vec<Vec<f64>>,
    /// 1 where any holding of each book was deregistered.
    holding_deregistered: Vec<Vec<u16>>,
    registrations: Vec<u16>,
    /// Slots whose subnet of the snapshot was deregistered, a bit each.
    deregistered: Vec<[u64; SLOT_CAPACITY / 64]>,
}

impl Outcomes {
    /// No paths yet.
    pub fn new(books: usize) -> Self {
        Self {
            pnl: vec![Vec::new(); books],
            holding_deregistered: vec![Vec::new(); books],
            registrations: Vec::new(),
            deregistered: Vec::new(),
        }
    }

    /// Adds a batch with one report horizon and the events of all its paths; batches come in path order.
    pub fn push(&mut self, batch: &BatchRecord) {
        for row in &batch.paths {
            self.pnl[usize::from(row.book)].push(row.pnl_mark_tao);
            self.holding_deregistered[usize::from(row.book)].push(u16::from(row.deregistered_holdings > 0));
        }
        let first = self.registrations.len();
        self.registrations.resize(first + batch.count, 0);
        self.deregistered.resize(first + batch.count, [0; SLOT_CAPACITY / 64]);
        let index = |path: u64| first + (path - batch.first_path) as usize;
        for event in batch.events.iter().filter(|event| event.kind == EventKind::Registered) {
            self.registrations[index(event.path)] += 1;
        }
        for row in &batch.deregistrations {
            self.deregistered[index(row.path)][usize::from(row.slot) / 64] |= 1 << (row.slot % 64);
        }
    }

    /// Number of paths.
    pub fn paths(&self) -> usize {
        self.registrations.len()
    }

    fn losses(&self, book: usize) -> Vec<f64> {
        self.pnl[book].iter().map(|pnl| -pnl).collect()
    }

    /// 1 where the subnet was deregistered.
    fn subnet_deregistered(&self, netuid: NetUid) -> Vec<u16> {
        let slot = netuid.slot();
        self.deregistered.iter().map(|slots| (slots[slot / 64] >> (slot % 64) & 1) as u16).collect()
    }
}

/// A measure on two levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What is compared.
    pub measure: Measure,
    /// Finer level minus coarser.
    pub difference: Estimate,
    /// Standard error that the measure itself has on the coarser level with [`REFERENCE_PATHS`] paths.
    pub monte_carlo_error: f64,
}

/// How a bias stands against half of the Monte Carlo error of [`REFERENCE_PATHS`] paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its upper bound does not exceed it.
    Within,
    /// The bounds lie on both sides: more paths would tell.
    Open,
    /// Its lower bound exceeds it.
    Beyond,
}

impl Verdict {
    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Open => "open",
            Self::Beyond => "beyond",
        }
    }
}

impl Comparison {
    /// The absolute difference with [`BOUND_ERRORS`] standard errors either way, against half the Monte Carlo error.
    pub fn verdict(&self) -> Verdict {
        let size = self.difference.value.abs();
        let margin = BOUND_ERRORS * self.difference.standard_error;
        let tolerated = TOLERATED_SHARE * self.monte_carlo_error;
        if tolerated.is_finite() && size + margin <= tolerated {
            Verdict::Within
        } else if size - margin > tolerated {
            Verdict::Beyond
        } else {
            Verdict::Open
        }
    }
}

/// Every measure on two coupled levels: of each book, registrations, then each of `subnets`. At least
/// two paths.
pub fn compare(coarse: &Outcomes, fine: &Outcomes, confidence: &[f64], subnets: &[NetUid]) -> Vec<Comparison> {
    let books = (0..coarse.pnl.len()).flat_map(|book| compare_book(coarse, fine, book, confidence));
    let registrations = count_comparison(Measure::Registrations, &coarse.registrations, &fine.registrations);
    let subnets = subnets.iter().map(|&netuid| {
        let [coarse, fine] = [coarse, fine].map(|outcomes| outcomes.subnet_deregistered(netuid));
        probability_comparison(Measure::SubnetDeregistered(netuid), &coarse, &fine)
    });
    books.chain([registrations]).chain(subnets).collect()
}

fn compare_book(coarse: &Outcomes, fine: &Outcomes, book: usize, confidence: &[f64]) -> Vec<Comparison> {
    let losses = [coarse, fine].map(|outcomes| outcomes.losses(book));
    let mut comparisons = vec![Comparison {
        measure: Measure::MeanPnl(book),
        difference: paired::mean_difference(&coarse.pnl[book], &fine.pnl[book]),
        monte_carlo_error: mean_error(coarse.pnl[book].iter().copied()),
    }];
    for &level in confidence {
        let [value_at_risk, expected_shortfall] = paired::tail_differences(&losses[0], &losses[1], level);
        let mut tail = WorstTail::new(losses[0].len() as u64, level);
        losses[0].iter().for_each(|&loss| tail.push(loss));
        let tail = tail.into_sorted();
        for (measure, difference, estimate) in [
            (Measure::ValueAtRisk(book, level), value_at_risk, tail.value_at_risk(level)),
            (Measure::ExpectedShortfall(book, level), expected_shortfall, tail.expected_shortfall(level)),
        ] {
            comparisons.push(Comparison { measure, difference, monte_carlo_error: reference_error(estimate) });
        }
    }
    let [was, is] = [coarse, fine].map(|outcomes| &outcomes.holding_deregistered[book]);
    comparisons.push(probability_comparison(Measure::HoldingDeregistered(book), was, is));
    comparisons
}

fn count_comparison(measure: Measure, coarse: &[u16], fine: &[u16]) -> Comparison {
    let difference = paired::count_difference(coarse, fine);
    Comparison { measure, difference, monte_carlo_error: mean_error(coarse.iter().map(|&count| f64::from(count))) }
}

fn probability_comparison(measure: Measure, coarse: &[u16], fine: &[u16]) -> Comparison {
    let hits = coarse.iter().map(|&hit| u64::from(hit)).sum();
    let estimate = Estimate::proportion(hits, coarse.len() as u64);
    let difference = paired::count_difference(coarse, fine);
    Comparison { measure, difference, monte_carlo_error: reference_error(Some(estimate)) }
}

fn mean_error(values: impl Iterator<Item = f64>) -> f64 {
    let mut moments = Moments::default();
    values.for_each(|value| moments.push(value));
    reference_error(moments.mean())
}

/// Standard error with [`REFERENCE_PATHS`] paths, from that with fewer.
fn reference_error(estimate: Option<Estimate>) -> f64 {
    let estimate = estimate.expect("at least one path");
    estimate.standard_error * (estimate.samples as f64 / REFERENCE_PATHS).sqrt()
}

/// Differences of the finest level to each coarser one, from those of consecutive pairs, coarsest first.
///
/// The pairs must be of different paths: then their differences are independent, and variances add.
pub fn telescope(pairs: &[Vec<Comparison>]) -> Vec<Vec<Comparison>> {
    let mut levels: Vec<Vec<Comparison>> = pairs.to_vec();
    for level in (1..levels.len()).rev() {
        let (coarser, finer) = levels.split_at_mut(level);
        for (sum, next) in coarser[level - 1].iter_mut().zip(&finer[0]) {
            let (a, b) = (&sum.difference, &next.difference);
            let standard_error = a.standard_error.hypot(b.standard_error);
            sum.difference = Estimate::normal(a.value + b.value, standard_error, a.samples.min(b.samples));
        }
    }
    levels
}

/// What is published of a comparison: all measures, of subnets those `held`, and last the one that differs most.
pub fn published(comparisons: &[Comparison], held: &[NetUid]) -> Vec<Comparison> {
    let size = |comparison: &&Comparison| comparison.difference.value.abs();
    let subnets = comparisons.iter().filter(|comparison| matches!(comparison.measure, Measure::SubnetDeregistered(_)));
    let largest = subnets.max_by(|a, b| size(a).total_cmp(&size(b))).and_then(|comparison| {
        let measure = Measure::LargestSubnetDeregistered(comparison.measure.netuid()?);
        Some(Comparison { measure, ..comparison.clone() })
    });
    let is_shown = |comparison: &&Comparison| match comparison.measure {
        Measure::SubnetDeregistered(netuid) => held.contains(&netuid),
        _ => true,
    };
    comparisons.iter().filter(is_shown).cloned().chain(largest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::DeregistrationRow;
    use crate::engine::record::EventRow;
    use crate::engine::record::PathRow;

    fn row(path: u64, pnl_mark_tao: f64, deregistered_holdings: u16) -> PathRow {
        PathRow { path, pnl_mark_tao, deregistered_holdings, ..PathRow::EMPTY }
    }

    fn event(path: u64, kind: EventKind) -> EventRow {
        EventRow {
            path,
            block: 0,
            netuid: NetUid(70),
            registered_at: 0,
            kind,
            moving_price: 0.0,
            lock_cost_tao: None,
            payout_tao_per_alpha: None,
        }
    }

    /// 40 paths in two batches; the subnet in slot 69 goes on every path divisible by `divisor`.
    fn outcomes(shift: f64, divisor: u64) -> Outcomes {
        let mut outcomes = Outcomes::new(1);
        for first_path in [100, 120] {
            let paths = first_path..first_path + 20;
            let gone = |path: &u64| path.is_multiple_of(divisor);
            let rows = paths.clone().map(|path| row(path, path as f64 + shift, u16::from(gone(&path))));
            let deregistration = |path| DeregistrationRow {
                path,
                slot: 69,
                horizon: 0,
                block: 0,
                payout_tao_per_alpha: 0.0,
                price_before: 0.0,
            };
            outcomes.push(&BatchRecord {
                first_path,
                count: 20,
                paths: rows.collect(),
                deregistrations: paths.clone().filter(gone).map(deregistration).collect(),
                events: paths.flat_map(|p| [event(p, EventKind::Registered), event(p, EventKind::Started)]).collect(),
                ..BatchRecord::default()
            });
        }
        outcomes
    }

    #[test]
    fn outcomes_come_from_batches_and_are_compared_path_by_path() {
        let (coarse, fine) = (outcomes(0.0, 10), outcomes(2.0, 5));
        assert_eq!(coarse.paths(), 40);
        let subnets = [NetUid(3), NetUid(70)];
        let found = compare(&coarse, &fine, &[0.9], &subnets);
        let value =
            |measure| found.iter().find(|found| found.measure == measure).map(|found| found.difference.value).unwrap();
        assert!((value(Measure::MeanPnl(0)) - 2.0).abs() < 1e-12);
        assert!((value(Measure::ValueAtRisk(0, 0.9)) + 2.0).abs() < 1e-12, "a higher P&L is a lower loss");
        assert!((value(Measure::ExpectedShortfall(0, 0.9)) + 2.0).abs() < 1e-12);
        assert_eq!(value(Measure::HoldingDeregistered(0)), 0.1);
        assert_eq!(value(Measure::Registrations), 0.0);
        assert_eq!(value(Measure::SubnetDeregistered(NetUid(70))), 0.1);
        assert_eq!(value(Measure::SubnetDeregistered(NetUid(3))), 0.0);
        assert_eq!(coarse.registrations, vec![1; 40]);
        let shown: Vec<Measure> = published(&found, &[NetUid(3)]).iter().map(|row| row.measure).collect();
        assert_eq!(
            shown[5..],
            [Measure::SubnetDeregistered(NetUid(3)), Measure::LargestSubnetDeregistered(NetUid(70))]
        );
        // P&L 100 to 139: variance 40 * 41 / 12.
        let expected = (40.0 * 41.0 / 12.0 / 1e6_f64).sqrt();
        assert!((found[0].monte_carlo_error - expected).abs() < 1e-12);
    }

    #[test]
    fn levels_add_up_to_the_finest() {
        let pair = |value, standard_error| {
            let difference = Estimate::normal(value, standard_error, 10);
            vec![Comparison { measure: Measure::Registrations, difference, monte_carlo_error: value }]
        };
        let levels = telescope(&[pair(4.0, 3.0), pair(2.0, 4.0), pair(1.0, 12.0)]);
        let found: Vec<(f64, f64, f64)> = levels
            .iter()
            .map(|level| (level[0].difference.value, level[0].difference.standard_error, level[0].monte_carlo_error))
            .collect();
        assert_eq!(found, [(7.0, 13.0, 4.0), (3.0, 160.0_f64.sqrt(), 2.0), (1.0, 12.0, 1.0)]);
    }

    #[test]
    fn verdicts_are_about_both_bounds() {
        let verdict = |value, standard_error, monte_carlo_error| {
            let difference = Estimate::normal(value, standard_error, 10);
            Comparison { measure: Measure::Registrations, difference, monte_carlo_error }.verdict()
        };
        assert_eq!(verdict(-0.3, 0.1, 1.0), Verdict::Within);
        assert_eq!(verdict(-0.3, 0.11, 1.0), Verdict::Open);
        assert_eq!(verdict(0.8, 0.15, 1.0), Verdict::Open);
        assert_eq!(verdict(-0.8, 0.14, 1.0), Verdict::Beyond);
        assert_eq!(verdict(0.0, 0.1, f64::INFINITY), Verdict::Open);
        assert_eq!(verdict(0.0, f64::NAN, 1.0), Verdict::Open);
    }
}
