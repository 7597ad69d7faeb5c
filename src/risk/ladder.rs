//! Coupled paths of books for multilevel estimates: steps from long to short, and the means that are asked of them.
//!
//! Level l simulates its paths twice, with the steps of the level and, on the same draws, with those of the level before; level 0 once.
//! Paths have numbers of their own on each level, so that levels are independent; those of level 0 are the paths of a run.
//!
//! # Not modelled
//! - Measures of several horizons: all are at the end of the paths.

use std::ops::ControlFlow;
use std::ops::Range;
use std::sync::atomic::AtomicBool;

use crate::engine::plan::Plan;
use crate::engine::record::PathRow;
use crate::engine::run;
use crate::engine::run::RunError;
use crate::engine::run::RunOptions;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::measure::POSITION_KINDS;
use crate::risk::multilevel::LevelSums;
use crate::risk::multilevel::PATHS_MAX;
use crate::risk::multilevel::Rung;
use crate::risk::rate_law::RateLaw;
use crate::risk::recorder::BatchRecord;
use crate::risk::recorder::RunRecorder;

/// Most levels that [`PATHS_MAX`] leaves addresses for.
pub const LEVELS_MAX: usize = 1 << 4;
/// Paths whose outcomes on the shorter steps wait for those on the longer ones.
const CHUNK_PATHS: u64 = 4_096;
/// Time that a drawn step takes, as a part of a whole one: a path of long steps makes the draws of the short ones too. Measured on pairs of
/// 7,200 and of 720 with 360 blocks; between 0.1 and 0.25.
const DRAW_PART: f64 = 0.2;

/// A mean over paths, of a book at their end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// P&L.
    MeanPnl(Basis, Currency),
    /// Probability of a loss at spot.
    LossProbability(Currency),
    /// Probability that any holding was deregistered.
    HoldingDeregistered,
}

impl Measure {
    /// All of a book, in the order of tables.
    pub const ALL: [Self; 7] = [
        Self::MeanPnl(Basis::Mark, Currency::Tao),
        Self::MeanPnl(Basis::Liquidation, Currency::Tao),
        Self::MeanPnl(Basis::Mark, Currency::Usd),
        Self::MeanPnl(Basis::Liquidation, Currency::Usd),
        Self::LossProbability(Currency::Tao),
        Self::LossProbability(Currency::Usd),
        Self::HoldingDeregistered,
    ];

    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::MeanPnl(..) => "mean_pnl",
            Self::LossProbability(_) => "loss_probability",
            Self::HoldingDeregistered => "holding_deregistered",
        }
    }

    /// Money, and how holdings are valued; `None` for deregistrations.
    pub fn kind(self) -> Option<(Basis, Currency)> {
        match self {
            Self::MeanPnl(basis, currency) => Some((basis, currency)),
            Self::LossProbability(currency) => Some((Basis::Mark, currency)),
            Self::HoldingDeregistered => None,
        }
    }

    /// [`LevelSums::unit`].
    pub fn unit(self) -> f64 {
        if matches!(self, Self::MeanPnl(..)) { 0.0 } else { 1.0 }
    }
}

/// What expectations over TAO/USD need to know.
#[derive(Clone, Debug)]
pub struct KnownRate {
    /// At the end of the paths.
    pub law: RateLaw,
    /// Value (TAO) at spot of each book at the start.
    pub openings_tao: Vec<f64>,
}

/// Plans of all levels, from the longest steps.
pub struct Ladder {
    /// Of each level, with its own draws.
    plans: Vec<Plan>,
    /// Of each level but the last, on the draws of the next.
    coupled: Vec<Plan>,
    books: usize,
    rate: Option<KnownRate>,
}

impl Ladder {
    /// Levels of `plans`, which divide each other, from the longest steps, and differ in their steps alone. `rate`: measures in USD
    /// are expectations over TAO/USD.
    pub fn new(plans: Vec<Plan>, books: usize, rate: Option<KnownRate>) -> Self {
        let coupled = |pair: &[Plan]| {
            let mut input = pair[0].input.clone();
            input.draw_refinement = (input.blocks_per_step / pair[1].input.blocks_per_step) as u32;
            Plan::new(input)
        };
        Self { coupled: plans.windows(2).map(coupled).collect(), plans, books, rate }
    }

    /// Levels with their costs in steps of a path.
    ///
    /// A path of long steps on the draws of short ones costs its own steps and a part of a step for each draw.
    pub fn rungs(&self) -> Vec<Rung> {
        let steps = |level: usize| f64::from(self.plans[level].input.steps);
        let coupled = |level: usize| (1.0 - DRAW_PART) * steps(level - 1) + DRAW_PART * steps(level);
        let rung = |level: usize| Rung {
            blocks: self.plans[level].input.blocks_per_step as f64,
            cost: steps(level) + if level > 0 { coupled(level) } else { 0.0 },
            plain_cost: steps(level),
        };
        (0..self.plans.len()).map(rung).collect()
    }

    /// [`Measure::ALL`] of each book, one book after the other: their units.
    pub fn units(&self) -> Vec<f64> {
        (0..self.books).flat_map(|_| Measure::ALL.map(Measure::unit)).collect()
    }

    /// Steps of the path of a level and of the one beside it.
    pub fn path_steps(&self, level: usize) -> u64 {
        let steps = |plan: &Plan| u64::from(plan.input.steps);
        steps(&self.plans[level]) + if level > 0 { steps(&self.coupled[level - 1]) } else { 0 }
    }

    /// Simulates paths of a level and adds them to its sums. `recorder`: by steps of a path, as [`RunRecorder::with_factors`], with one
    /// horizon at its end; `count` is told of every batch's paths and the steps of each.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn simulate(
        &self,
        (level, paths): (usize, Range<u64>),
        options: &RunOptions,
        recorder: impl Fn(u32) -> RunRecorder + Sync,
        stop: &AtomicBool,
        mut count: impl FnMut(u64),
        sums: &mut [LevelSums],
    ) -> Result<(), RunError> {
        let of_path = sums.len();
        let mut outcomes = |plan: &Plan, first: u64, paths: u64| {
            let options = RunOptions { first_path: level as u64 * PATHS_MAX + first, paths, ..*options };
            let mut outcomes = Vec::with_capacity(paths as usize * of_path);
            let consume = |batch: BatchRecord| {
                self.add_outcomes(&batch, &mut outcomes);
                count(batch.count as u64 * u64::from(plan.input.steps));
                ControlFlow::Continue(())
            };
            run::run(plan, &options, || recorder(plan.input.steps), consume, stop).map(|_| outcomes)
        };
        for first in paths.clone().step_by(CHUNK_PATHS as usize) {
            let number = CHUNK_PATHS.min(paths.end - first);
            let mut fine = outcomes(&self.plans[level], first, number)?;
            if level > 0 {
                let coarse = outcomes(&self.coupled[level - 1], first, number)?;
                fine.iter_mut().zip(&coarse).for_each(|(fine, coarse)| *fine -= coarse);
            }
            for path in fine.chunks(of_path) {
                sums.iter_mut().zip(path).for_each(|(sums, difference)| sums.difference.push(*difference));
            }
        }
        Ok(())
    }

    /// Outcomes of a batch's paths, path by path, book by book.
    fn add_outcomes(&self, batch: &BatchRecord, to: &mut Vec<f64>) {
        for (rows, factor) in batch.paths.chunks(self.books).zip(&batch.factors) {
            for row in rows {
                debug_assert_eq!(row.path, factor.path);
                to.extend(self.outcomes(row, factor.common));
            }
        }
    }

    /// What a path says of each measure of the row's book.
    fn outcomes(&self, row: &PathRow, factor: f64) -> [f64; Measure::ALL.len()] {
        Measure::ALL.map(|measure| self.given_flows(measure, row, factor).unwrap_or_else(|| outcome(measure, row)))
    }

    /// The expectation over TAO/USD, of measures in USD where its law is known.
    fn given_flows(&self, measure: Measure, row: &PathRow, factor: f64) -> Option<f64> {
        let KnownRate { law, openings_tao } = self.rate.as_ref()?;
        let (basis, _) = measure.kind().filter(|(_, currency)| *currency == Currency::Usd)?;
        let opening_tao = openings_tao[usize::from(row.book)];
        let value_tao = opening_tao + pnl(row, (basis, Currency::Tao));
        Some(match measure {
            Measure::MeanPnl(..) => law.mean_pnl_usd(value_tao, opening_tao, factor),
            _ => law.loss_probability(value_tao, opening_tao, factor),
        })
    }
}

fn outcome(measure: Measure, row: &PathRow) -> f64 {
    let indicator = |is_so: bool| f64::from(u8::from(is_so));
    match measure {
        Measure::MeanPnl(basis, currency) => pnl(row, (basis, currency)),
        Measure::LossProbability(currency) => indicator(pnl(row, (Basis::Mark, currency)) < 0.0),
        Measure::HoldingDeregistered => indicator(row.deregistered_holdings > 0),
    }
}

/// P&L of one of [`POSITION_KINDS`].
fn pnl(row: &PathRow, kind: (Basis, Currency)) -> f64 {
    let values = [row.pnl_mark_tao, row.pnl_liquidation_tao, row.pnl_mark_usd, row.pnl_liquidation_usd];
    let found = POSITION_KINDS.iter().zip(values).find(|(of, _)| **of == kind);
    found.expect("mark or liquidation").1
}

/// Lengths of steps from `coarsest` to `finest`, each a divisor of the one before by `factor` where that goes, else by what does from 5
/// down to 2; `None` where nothing does.
pub fn lengths(coarsest: u64, finest: u64, factor: u64) -> Option<Vec<u64>> {
    let mut lengths = vec![coarsest];
    let mut left = Some(coarsest / finest).filter(|_| coarsest.is_multiple_of(finest))?;
    while left > 1 {
        let divisor = [factor, 5, 4, 3, 2].into_iter().find(|divisor| left.is_multiple_of(*divisor))?;
        left /= divisor;
        lengths.push(finest * left);
    }
    Some(lengths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_divide_each_other_down_to_the_finest() {
        assert_eq!(lengths(7_200, 225, 2), Some(vec![7_200, 3_600, 1_800, 900, 450, 225]));
        assert_eq!(lengths(7_200, 60, 4), Some(vec![7_200, 1_800, 360, 120, 60]));
        assert_eq!(lengths(7_200, 360, 5), Some(vec![7_200, 1_440, 360]));
        assert_eq!(lengths(7_200, 7_200, 4), Some(vec![7_200]));
        assert_eq!((lengths(7_200, 700, 4), lengths(7_000, 1_000, 2), lengths(360, 7_200, 2)), (None, None, None));
    }

    #[test]
    fn outcomes_of_a_row() {
        let row = PathRow {
            pnl_mark_tao: -1.0,
            pnl_liquidation_tao: -2.0,
            pnl_mark_usd: 30.0,
            pnl_liquidation_usd: 20.0,
            deregistered_holdings: 2,
            ..PathRow::EMPTY
        };
        assert_eq!(Measure::ALL.map(|measure| outcome(measure, &row)), [-1.0, -2.0, 30.0, 20.0, 1.0, 0.0, 1.0]);
    }
}
