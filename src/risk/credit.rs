//! Deregistration of holdings read as credit: probability, exposure, loss given the event, expected and unexpected loss.
//!
//! Of a holding up to a horizon, with x its mark value (TAO) just before the event and y = x less what was paid, 0 on paths without:
//!
//! ```text
//! exposure E = mean of x given the event       loss given deregistration D = sum of y / sum of x
//! expected loss = mean of y = P E D            unexpected loss = standard deviation of y
//! ```
//!
//! all over n paths. A book's loss is the sum over its holdings of a path; its value at risk and expected shortfall are of that sum
//! alone, prices aside. Payouts above the mark make losses negative.
//!
//! Errors: of ratios by the delta method, of the unexpected loss from the fourth moment ([`crate::risk::moments`]), all over
//! replicates where paths come in them. Without an event, expected and unexpected loss are 0, and their upper ends those of the
//! probability `p` at the opening value v: `v p` and `v sqrt(p (1 - p))`. Concentration takes losses of holdings for uncorrelated.
//!
//! Not modelled: the refund of the owner of a legacy subnet, in which holders have no part.

use crate::engine::record::SettlementRow;
use crate::risk::clusters::ClusterSample;
use crate::risk::clusters::Clusters;
use crate::risk::estimate::Estimate;
use crate::risk::event_sums::EventSums;
use crate::risk::event_sums::FIGURES;
use crate::risk::holding::HeldBook;
use crate::risk::standing::Standing;
use crate::risk::subnet::SubnetRow;
use crate::risk::tail::WorstTail;
use crate::units::BLOCKS_PER_DAY;
use crate::units::SubnetId;

/// Largest number of deregistrations whose probability is given.
const EVENTS_MAX: usize = 5;

/// What a row of the credit view measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditMeasure {
    /// Mark value (TAO) at the start.
    OpeningValue,
    /// [`Standing::prune_rank`] at the start.
    PruneRank,
    /// [`Standing::prune_distance`] at the start.
    PruneDistance,
    /// [`Standing::grace_days`] at the start.
    GraceDays,
    /// What dissolution would pay a staked alpha (TAO) at the start.
    PayoutNow,
    /// 1 less that over the spot price.
    LossNow,
    /// Probability of deregistration up to the horizon while held.
    DeregistrationProbability,
    /// Deregistrations per day alive since the previous horizon.
    HazardPerDay,
    /// Mean mark value (TAO) just before deregistration, given that it comes.
    Exposure,
    /// Part of it that is not paid.
    LossGivenDeregistration,
    /// Mean loss (TAO).
    ExpectedLoss,
    /// Standard deviation of the loss (TAO).
    UnexpectedLoss,
    /// Mean day of deregistration, given that it comes.
    DeregistrationDay,
    /// Mean lock cost (TAO) that the entrant paid who caused it.
    EntrantLock,
    /// Loss (TAO) exceeded with probability 1 - level.
    ValueAtRisk,
    /// Mean (TAO) of the worst 1 - level share of losses.
    ExpectedShortfall,
    /// Probability of at least `level` deregistrations.
    DeregistrationsAtLeast,
    /// Sum of squared shares of the expected loss.
    Concentration,
    /// Its inverse: the number of equal holdings as concentrated.
    EffectiveHoldings,
}

impl CreditMeasure {
    /// All measures, in the order of files.
    pub const ALL: [Self; 19] = [
        Self::OpeningValue,
        Self::PruneRank,
        Self::PruneDistance,
        Self::GraceDays,
        Self::PayoutNow,
        Self::LossNow,
        Self::DeregistrationProbability,
        Self::HazardPerDay,
        Self::Exposure,
        Self::LossGivenDeregistration,
        Self::ExpectedLoss,
        Self::UnexpectedLoss,
        Self::DeregistrationDay,
        Self::EntrantLock,
        Self::ValueAtRisk,
        Self::ExpectedShortfall,
        Self::DeregistrationsAtLeast,
        Self::Concentration,
        Self::EffectiveHoldings,
    ];

    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpeningValue => "opening_value_tao",
            Self::PruneRank => "prune_rank",
            Self::PruneDistance => "prune_distance",
            Self::GraceDays => "grace_days",
            Self::PayoutNow => "payout_now_tao_per_alpha",
            Self::LossNow => "loss_given_deregistration_now",
            Self::DeregistrationProbability => "deregistration_probability",
            Self::HazardPerDay => "hazard_per_day",
            Self::Exposure => "exposure_tao",
            Self::LossGivenDeregistration => "loss_given_deregistration",
            Self::ExpectedLoss => "expected_loss_tao",
            Self::UnexpectedLoss => "unexpected_loss_tao",
            Self::DeregistrationDay => "deregistration_day",
            Self::EntrantLock => "entrant_lock_tao",
            Self::ValueAtRisk => "credit_value_at_risk_tao",
            Self::ExpectedShortfall => "credit_expected_shortfall_tao",
            Self::DeregistrationsAtLeast => "deregistrations_at_least",
            Self::Concentration => "expected_loss_concentration",
            Self::EffectiveHoldings => "effective_holdings",
        }
    }
}

/// One number about a holding, or about a book as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct CreditRow {
    /// Name of the book.
    pub book: String,
    /// The subnet held; `None`: the book as a whole.
    pub id: Option<SubnetId>,
    /// Its name; empty for the book.
    pub name: String,
    /// Who shares the pot of its dissolution; empty for the book.
    pub payout_rule: String,
    /// Days from the start.
    pub horizon_days: f64,
    /// What is measured.
    pub measure: CreditMeasure,
    /// Confidence, or number of deregistrations, of the measures that have one.
    pub level: Option<f64>,
    /// The number and its error.
    pub estimate: Estimate,
}

/// Deregistrations of the holdings of every book.
#[derive(Clone, Debug)]
pub struct CreditStatistics {
    books: Vec<BookCredit>,
    start_block: u64,
    horizons_days: Vec<f64>,
    confidence: Vec<f64>,
    paths: u64,
    replicate_paths: u64,
}

#[derive(Clone, Debug)]
struct BookCredit {
    book: HeldBook,
    standings: Vec<Option<Standing>>,
    /// Indexed `position * horizons + horizon`.
    holdings: Vec<EventSums>,
    /// By horizon.
    totals: Vec<BookCell>,
}

/// Figures of an event of a holding, by their place in [`EventSums`]; of a book's path the first, third and fourth.
const EVENT: usize = 0;
const MARK: usize = 1;
const LOSS: usize = 2;
const SQUARE: usize = 3;
const LOCK: usize = 4;
const DAY: usize = 5;

/// A book at a horizon.
#[derive(Clone, Debug)]
struct BookCell {
    losses: EventSums,
    /// Paths with at least 1, 2, .. deregistrations.
    at_least: EventSums,
    tail: WorstTail,
    clusters: Option<Clusters>,
    /// Loss and events of the path under way.
    path: (f64, usize),
}

impl BookCell {
    fn close_path(&mut self, path: u64, replicate: u64) {
        let (loss, events) = std::mem::take(&mut self.path);
        self.tail.push(loss);
        if let Some(clusters) = &mut self.clusters {
            clusters.push(path, -loss);
        }
        if events > 0 {
            self.losses.push(replicate, [1.0, 0.0, loss, loss * loss, 0.0, 0.0]);
            let mut reached = [0.0; FIGURES];
            reached[..events.min(EVENTS_MAX)].fill(1.0);
            self.at_least.push(replicate, reached);
        }
    }
}

impl CreditStatistics {
    /// Statistics of `paths` paths that start after `start_block`; `standings` are those of the holdings of each book.
    pub fn new(
        books: &[HeldBook],
        standings: Vec<Vec<Option<Standing>>>,
        start_block: u64,
        horizons_days: &[f64],
        confidence: &[f64],
        paths: u64,
    ) -> Self {
        let confidence_min = confidence.iter().copied().fold(1.0 - 1e-9, f64::min);
        let cell = |_| BookCell {
            losses: EventSums::default(),
            at_least: EventSums::default(),
            tail: WorstTail::new(paths, confidence_min),
            clusters: None,
            path: (0.0, 0),
        };
        let credit = |(book, standings): (&HeldBook, _)| BookCredit {
            book: book.clone(),
            standings,
            holdings: vec![EventSums::default(); book.holdings.len() * horizons_days.len()],
            totals: (0..horizons_days.len()).map(cell).collect(),
        };
        Self {
            books: books.iter().zip(standings).map(credit).collect(),
            start_block,
            horizons_days: horizons_days.to_vec(),
            confidence: confidence.to_vec(),
            paths,
            replicate_paths: 1,
        }
    }

    /// The same for paths of which each `replicate_paths` share parameters: errors are those of replicates.
    pub fn in_replicates(mut self, replicate_paths: u64) -> Self {
        self.replicate_paths = replicate_paths;
        let cells = self.books.iter_mut().flat_map(|book| &mut book.totals);
        cells.for_each(|cell| cell.clusters = Some(Clusters::new(replicate_paths)));
        self
    }

    /// Adds `count` paths from `first_path` on; `rows` are theirs, by path.
    pub fn push_paths(&mut self, first_path: u64, count: usize, mut rows: &[SettlementRow]) {
        for path in first_path..first_path + count as u64 {
            let of_path;
            (of_path, rows) = rows.split_at(rows.partition_point(|row| row.path <= path));
            let replicate = path / self.replicate_paths;
            of_path.iter().for_each(|row| self.push(row, replicate));
            let cells = self.books.iter_mut().flat_map(|book| &mut book.totals);
            cells.for_each(|cell| cell.close_path(path, replicate));
        }
    }

    fn push(&mut self, row: &SettlementRow, replicate: u64) {
        let (horizons, first) = (self.horizons_days.len(), usize::from(row.horizon));
        let BookCredit { holdings, totals, .. } = &mut self.books[usize::from(row.book)];
        let loss = row.mark_tao - row.paid_tao;
        let day = (row.block - self.start_block) as f64 / BLOCKS_PER_DAY as f64;
        let figures = [1.0, row.mark_tao, loss, loss * loss, row.entrant_lock_tao, day];
        let cells = &mut holdings[usize::from(row.position) * horizons..][..horizons];
        for (cell, total) in cells.iter_mut().zip(totals).skip(first) {
            cell.push(replicate, figures);
            total.path.0 += loss;
            total.path.1 += 1;
        }
    }

    /// All rows: by book, holding by holding and then the book itself, each by horizon, first what is known at the start.
    ///
    /// Hazards are those of the subnets.
    pub fn finish(self, subnets: &[SubnetRow]) -> Vec<CreditRow> {
        let law = Law {
            paths: self.paths,
            replicates: self.paths.div_ceil(self.replicate_paths) as f64,
            in_replicates: self.replicate_paths > 1,
        };
        let mut rows = Vec::new();
        for book in self.books {
            let mut expected = vec![Vec::new(); self.horizons_days.len()];
            for (index, holding) in book.book.holdings.iter().enumerate() {
                let mut writer = RowWriter::of_holding(&book, index, &mut rows);
                let opening = Estimate::exact(holding.mark_tao, self.paths);
                writer.push(CreditMeasure::OpeningValue, None, opening);
                if let Some(standing) = &book.standings[index] {
                    writer.push_standing(standing, self.paths);
                }
                let cells = &book.holdings[index * self.horizons_days.len()..];
                for ((cell, &days), expected) in cells.iter().zip(&self.horizons_days).zip(&mut expected) {
                    writer.row.horizon_days = days;
                    let same = |row: &&SubnetRow| row.opening.id == holding.id && row.horizon_days == days;
                    let hazard = subnets.iter().find(same).and_then(|row| row.hazard_per_day);
                    expected.push(writer.push_holding(&law.of(cell, holding.mark_tao), hazard));
                }
            }
            let opening_tao = book.book.holdings.iter().fold(0.0, |sum, holding| sum + holding.mark_tao);
            let mut writer = RowWriter::of_book(&book.book.name, &mut rows);
            for ((cell, &days), expected) in book.totals.into_iter().zip(&self.horizons_days).zip(expected) {
                writer.row.horizon_days = days;
                writer.push_book(cell, &expected, &self.confidence, law, opening_tao);
            }
        }
        rows
    }
}

/// Of how many paths, and how they depend on each other.
#[derive(Clone, Copy)]
struct Law {
    paths: u64,
    replicates: f64,
    in_replicates: bool,
}

impl Law {
    fn of<'a>(self, sums: &'a EventSums, opening_tao: f64) -> Events<'a> {
        Events { sums, totals: sums.totals(), opening_tao, law: self }
    }

    /// Probability of the event that figure `index` counts.
    fn probability(self, sums: &EventSums, index: usize) -> Estimate {
        let plain = Estimate::proportion(sums.totals()[index] as u64, self.paths);
        let mut factors = [0.0; FIGURES];
        factors[index] = 1.0;
        let error = sums.total_error(factors, self.replicates) / self.paths as f64;
        if self.in_replicates { plain.dependent(error * error) } else { plain }
    }
}

/// Events of a holding up to a horizon, or paths of a book with any.
struct Events<'a> {
    sums: &'a EventSums,
    totals: [f64; FIGURES],
    opening_tao: f64,
    law: Law,
}

impl Events<'_> {
    fn probability(&self) -> Estimate {
        self.law.probability(self.sums, EVENT)
    }

    /// A ratio of totals; `None` without events.
    fn ratio(&self, top: usize, bottom: usize) -> Option<Estimate> {
        let value = self.totals[top] / self.totals[bottom];
        let samples = self.totals[EVENT] as u64;
        (self.totals[bottom] > 0.0).then(|| Estimate::normal(value, self.sums.ratio_error(top, bottom), samples))
    }

    fn expected_loss(&self) -> Estimate {
        let n = self.law.paths as f64;
        let mut factors = [0.0; FIGURES];
        factors[LOSS] = 1.0;
        match self.totals[EVENT] > 0.0 {
            true => {
                let error = self.sums.total_error(factors, self.law.replicates) / n;
                Estimate::normal(self.totals[LOSS] / n, error, self.law.paths)
            }
            false => self.unseen(|probability| probability),
        }
    }

    fn unexpected_loss(&self) -> Estimate {
        let n = self.law.paths as f64;
        let mean = self.totals[LOSS] / n;
        let deviation = ((self.totals[SQUARE] - mean * self.totals[LOSS]) / (n - 1.0)).max(0.0).sqrt();
        if !(deviation > 0.0) {
            return self.unseen(|probability| (probability * (1.0 - probability)).sqrt());
        }
        let mut factors = [0.0; FIGURES];
        (factors[SQUARE], factors[LOSS]) = (0.5 / deviation, -mean / deviation);
        Estimate::normal(deviation, self.sums.total_error(factors, self.law.replicates) / n, self.law.paths)
    }

    /// 0, and at most a function of the largest probability times the opening value.
    fn unseen(&self, function: impl Fn(f64) -> f64) -> Estimate {
        let high = self.opening_tao * function(self.probability().ci_high);
        Estimate { value: 0.0, ..Estimate::between(0.0, 0.0, high, self.law.paths) }
    }
}

/// Collects the rows of one holding or book.
struct RowWriter<'a> {
    row: CreditRow,
    rows: &'a mut Vec<CreditRow>,
}

impl<'a> RowWriter<'a> {
    fn of_book(book: &str, rows: &'a mut Vec<CreditRow>) -> Self {
        let row = CreditRow {
            book: book.to_owned(),
            id: None,
            name: String::new(),
            payout_rule: String::new(),
            horizon_days: 0.0,
            measure: CreditMeasure::OpeningValue,
            level: None,
            estimate: Estimate::exact(0.0, 0),
        };
        Self { row, rows }
    }

    fn of_holding(book: &BookCredit, index: usize, rows: &'a mut Vec<CreditRow>) -> Self {
        let holding = &book.book.holdings[index];
        let rule = book.standings[index].map_or("", |standing| standing.sharers.name());
        let mut writer = Self::of_book(&book.book.name, rows);
        writer.row.id = Some(holding.id);
        writer.row.name.clone_from(&holding.name);
        rule.clone_into(&mut writer.row.payout_rule);
        writer
    }

    fn push(&mut self, measure: CreditMeasure, level: Option<f64>, estimate: Estimate) {
        self.rows.push(CreditRow { measure, level, estimate, ..self.row.clone() });
    }

    fn push_standing(&mut self, standing: &Standing, paths: u64) {
        let loss = (standing.price > 0.0).then(|| 1.0 - standing.payout_tao_per_alpha / standing.price);
        let facts = [
            (CreditMeasure::PruneRank, Some(f64::from(standing.prune_rank))),
            (CreditMeasure::PruneDistance, standing.prune_distance),
            (CreditMeasure::GraceDays, Some(standing.grace_days)),
            (CreditMeasure::PayoutNow, Some(standing.payout_tao_per_alpha)),
            (CreditMeasure::LossNow, loss),
        ];
        for (measure, value) in facts {
            if let Some(value) = value {
                self.push(measure, None, Estimate::exact(value, paths));
            }
        }
    }

    /// Leaves the rows of a holding at a horizon; returns its expected loss.
    fn push_holding(&mut self, events: &Events<'_>, hazard_per_day: Option<Estimate>) -> Estimate {
        let expected = events.expected_loss();
        let figures = [
            (CreditMeasure::DeregistrationProbability, Some(events.probability())),
            (CreditMeasure::HazardPerDay, hazard_per_day),
            (CreditMeasure::Exposure, events.ratio(MARK, EVENT)),
            (CreditMeasure::LossGivenDeregistration, events.ratio(LOSS, MARK)),
            (CreditMeasure::ExpectedLoss, Some(expected)),
            (CreditMeasure::UnexpectedLoss, Some(events.unexpected_loss())),
            (CreditMeasure::DeregistrationDay, events.ratio(DAY, EVENT)),
            (CreditMeasure::EntrantLock, events.ratio(LOCK, EVENT)),
        ];
        for (measure, estimate) in figures {
            if let Some(estimate) = estimate {
                self.push(measure, None, estimate);
            }
        }
        expected
    }

    fn push_book(&mut self, cell: BookCell, expected: &[Estimate], confidence: &[f64], law: Law, opening_tao: f64) {
        let events = law.of(&cell.losses, opening_tao);
        self.push(CreditMeasure::ExpectedLoss, None, events.expected_loss());
        self.push(CreditMeasure::UnexpectedLoss, None, events.unexpected_loss());
        self.push_tail(cell.tail, cell.clusters.map(Clusters::into_sample).as_ref(), confidence);
        for index in 0..EVENTS_MAX {
            let probability = law.probability(&cell.at_least, index);
            self.push(CreditMeasure::DeregistrationsAtLeast, Some((index + 1) as f64), probability);
        }
        if let Some(concentration) = concentration(expected, law.paths) {
            let Estimate { value, standard_error, samples, .. } = concentration;
            self.push(CreditMeasure::Concentration, None, concentration);
            let effective = Estimate::normal(1.0 / value, standard_error / (value * value), samples);
            self.push(CreditMeasure::EffectiveHoldings, None, effective);
        }
    }

    fn push_tail(&mut self, tail: WorstTail, sample: Option<&ClusterSample>, confidence: &[f64]) {
        let tail = tail.into_sorted();
        for &level in confidence {
            let Some((value, shortfall)) = tail.value_at_risk(level).zip(tail.expected_shortfall(level)) else {
                continue;
            };
            let (value, shortfall) = sample.map_or((value, shortfall), |sample| {
                (sample.value_at_risk(value, level), sample.expected_shortfall(shortfall, value.value, level))
            });
            self.push(CreditMeasure::ValueAtRisk, Some(level), value);
            self.push(CreditMeasure::ExpectedShortfall, Some(level), shortfall);
        }
    }
}

/// `sum of s_i^2`, s_i the share of holding i in the expected loss, negative losses taken for 0; `None` where all are 0.
fn concentration(expected: &[Estimate], paths: u64) -> Option<Estimate> {
    let losses = || expected.iter().map(|estimate| estimate.value.max(0.0));
    let total = losses().fold(0.0, |sum, loss| sum + loss);
    let squares = losses().fold(0.0, |sum, loss| sum + loss * loss);
    let value = squares / (total * total);
    let variance = losses().zip(expected).fold(0.0, |sum, (loss, estimate)| {
        let slope = 2.0 * (loss / total - value) / total;
        sum + (slope * estimate.standard_error).powi(2)
    });
    (total > 0.0).then(|| Estimate::normal(value, variance.sqrt(), paths))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::holding::Holding;
    use crate::units::NetUid;

    const START: u64 = 1_000;

    fn book() -> HeldBook {
        let holding = |netuid, mark_tao| Holding {
            id: SubnetId { netuid: NetUid(netuid), registered_at: 5 },
            name: format!("subnet {netuid}"),
            sector: None,
            mark_tao,
        };
        HeldBook {
            name: "desk".into(),
            holdings: vec![holding(3, 100.0), holding(8, 50.0), holding(9, 10.0)],
            other_tao: None,
        }
    }

    fn settlement(path: u64, position: u16, horizon: u16, mark_tao: f64, paid_tao: f64) -> SettlementRow {
        let block = START + (u64::from(horizon) * 10 + 5) * BLOCKS_PER_DAY;
        SettlementRow {
            path,
            book: 0,
            position,
            horizon,
            block,
            mark_tao,
            paid_tao,
            entrant_lock_tao: 600.0 + path as f64,
        }
    }

    fn rows(paths: u64, replicate_paths: u64, settlements: &[SettlementRow]) -> Vec<CreditRow> {
        let mut credit = CreditStatistics::new(&[book()], vec![vec![None; 3]], START, &[10.0, 20.0], &[0.9], paths);
        if replicate_paths > 1 {
            credit = credit.in_replicates(replicate_paths);
        }
        let half = settlements.partition_point(|row| row.path < paths / 2);
        credit.push_paths(0, paths as usize / 2, &settlements[..half]);
        credit.push_paths(paths / 2, paths.div_ceil(2) as usize, &settlements[half..]);
        credit.finish(&[])
    }

    fn find(rows: &[CreditRow], netuid: Option<u16>, days: f64, measure: CreditMeasure) -> Option<Estimate> {
        let same =
            |row: &&CreditRow| (row.id.map(|id| id.netuid.0), row.horizon_days, row.measure) == (netuid, days, measure);
        rows.iter().find(same).map(|row| row.estimate)
    }

    /// Two of ten paths lose the first holding, one of them the second too, later.
    #[test]
    fn hand_made_losses() {
        let events =
            [settlement(1, 0, 0, 80.0, 40.0), settlement(7, 0, 0, 40.0, 10.0), settlement(7, 1, 1, 20.0, 25.0)];
        let rows = rows(10, 1, &events);
        let value = |netuid, days, measure| find(&rows, netuid, days, measure).unwrap().value;
        let (first, second) = (Some(3), Some(8));
        assert_eq!(value(first, 10.0, CreditMeasure::DeregistrationProbability), 0.2);
        assert_eq!(value(first, 20.0, CreditMeasure::Exposure), 60.0);
        assert_eq!(value(first, 10.0, CreditMeasure::LossGivenDeregistration), 70.0 / 120.0);
        assert_eq!(value(first, 10.0, CreditMeasure::ExpectedLoss), 7.0);
        assert_eq!(value(first, 10.0, CreditMeasure::EntrantLock), 604.0);
        assert_eq!(value(second, 20.0, CreditMeasure::DeregistrationDay), 15.0);
        assert_eq!(value(second, 20.0, CreditMeasure::ExpectedLoss), -0.5);
        assert_eq!(find(&rows, second, 10.0, CreditMeasure::Exposure), None);
        // Losses 40, 30 and eight times 0: mean 7, squares 2,500 less 490.
        assert!((value(first, 10.0, CreditMeasure::UnexpectedLoss) - (2_010.0_f64 / 9.0).sqrt()).abs() < 1e-12);
        // The book's: 40, 25.
        assert_eq!(value(None, 20.0, CreditMeasure::ExpectedLoss), 6.5);
        assert_eq!(value(None, 20.0, CreditMeasure::ValueAtRisk), 25.0);
        assert_eq!(value(None, 20.0, CreditMeasure::ExpectedShortfall), 40.0);
        let at_least: Vec<f64> = rows
            .iter()
            .filter(|row| row.measure == CreditMeasure::DeregistrationsAtLeast && row.horizon_days == 20.0)
            .map(|row| row.estimate.value)
            .collect();
        assert_eq!(at_least, [0.2, 0.1, 0.0, 0.0, 0.0]);
        assert_eq!(value(None, 20.0, CreditMeasure::EffectiveHoldings), 1.0, "a gain is no part of the loss");
    }

    /// The unexpected loss has the error of the same sample in [`crate::risk::moments`].
    #[test]
    fn errors_are_those_of_all_paths() {
        let losses: Vec<f64> = (0..200_u32).map(|i| if i % 5 == 0 { f64::from(i * i % 97) } else { 0.0 }).collect();
        let events: Vec<SettlementRow> =
            (0..200).step_by(5).map(|path| settlement(path, 0, 0, losses[path as usize] + 1.0, 1.0)).collect();
        let rows = rows(200, 1, &events);
        let mut moments = crate::risk::moments::Moments::default();
        losses.iter().for_each(|&loss| moments.push(loss));
        for (measure, expected) in [
            (CreditMeasure::ExpectedLoss, moments.mean().unwrap()),
            (CreditMeasure::UnexpectedLoss, moments.standard_deviation().unwrap()),
        ] {
            let found = find(&rows, Some(3), 10.0, measure).unwrap();
            assert!((found.value / expected.value - 1.0).abs() < 1e-12, "{found:?} {expected:?}");
            assert!((found.standard_error / expected.standard_error - 1.0).abs() < 0.01, "{found:?} {expected:?}");
        }
    }

    #[test]
    fn nothing_seen_is_a_bound() {
        let rows = rows(100, 1, &[]);
        let loss = find(&rows, Some(3), 20.0, CreditMeasure::ExpectedLoss).unwrap();
        let bound = 1.0 - 0.05_f64.powf(0.01);
        assert!(loss.value == 0.0 && (loss.ci_high - 100.0 * bound).abs() < 1e-9, "{loss:?}");
        let unexpected = find(&rows, None, 20.0, CreditMeasure::UnexpectedLoss).unwrap();
        assert!((unexpected.ci_high - 160.0 * (bound * (1.0 - bound)).sqrt()).abs() < 1e-9, "{unexpected:?}");
        assert_eq!(find(&rows, None, 20.0, CreditMeasure::Concentration), None);
    }

    #[test]
    fn replicates_that_fail_together_have_larger_errors() {
        let events: Vec<SettlementRow> = (0..20).map(|path| settlement(path, 0, 0, 10.0, 5.0)).collect();
        let [single, joint] = [1, 20].map(|length| rows(400, length, &events));
        for measure in
            [CreditMeasure::DeregistrationProbability, CreditMeasure::ExpectedLoss, CreditMeasure::UnexpectedLoss]
        {
            let [single, joint] = [&single, &joint].map(|rows| find(rows, Some(3), 10.0, measure).unwrap());
            assert_eq!(single.value, joint.value);
            assert!(joint.standard_error > 3.0 * single.standard_error, "{measure:?} {single:?} {joint:?}");
        }
    }
}
