//! Forecasts from past dates, each made of what was known then, beside what came.
//!
//! A date is calibrated on, and starts from, observations up to its block alone ([`History::until`]); paths run under the rules
//! then in force, which nobody knew to change. Forecast are, at each horizon: the log of the value of a unit of alpha over the
//! spot price at the start (after a deregistration its payout), the log of the pool's TAO over that at the start (of subnets that
//! live on), the log of the value of random books, and deregistration. Books hold the same TAO of each of some subnets and are
//! valued at spot, payouts at deregistration included and dividends not: histories do not show who earned them.
#![doc = include_str!("BACKTEST.md")]

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::calibration::coverage::below;
use crate::calibration::ensemble::Fate;
use crate::calibration::ensemble::Fates;
use crate::calibration::history::History;
use crate::calibration::history::Observation;
use crate::calibration::observed;
use crate::calibration::rivals;
use crate::calibration::rivals::PastReturns;
use crate::calibration::score::Ensemble;
use crate::engine::drivers::Drivers;
use crate::engine::plan::Plan;
use crate::engine::plan::PlanInput;
use crate::engine::run::RunError;
use crate::engine::run::RunOptions;
use crate::model::params::ModelParams;
use crate::protocol::calendar;
use crate::protocol::dissolve;
use crate::protocol::params::ProtocolParams;
use crate::protocol::state::ChainState;
use crate::protocol::state::SubnetState;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::units::BLOCKS_PER_DAY;
use crate::units::SubnetId;

/// Probabilities of the quantiles kept of every forecast.
pub const QUANTILES: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975, 0.99, 0.995];
/// Subnets with less TAO in the pool, or younger, are simulated and not judged (MODEL 4.1, "Definitions").
const RESERVE_TAO_MIN: f64 = 100.0;
const AGE_BLOCKS_MIN: u64 = 14 * BLOCKS_PER_DAY;
/// How long before the start a subnet must have been observed to be judged (blocks).
const FRESH_BLOCKS: u64 = BLOCKS_PER_DAY / 10;
/// How far from its horizon an outcome may be observed: a part of the horizon, between two bounds (days).
const OUTCOME_PART: f64 = 0.025;
const OUTCOME_DAYS: [f64; 2] = [0.25, 0.75];
/// Longest time between the last observation of a subnet and its deregistration for its payout to be known (days).
const LAST_SEEN_DAYS: u64 = 5;
/// Fewest subnets with a value on a date for its books to be formed, in sizes of a book.
const BOOK_CHOICE_MIN: usize = 2;
/// Slot words of draws: apart from those of other chance of a backtest.
const BOOK_SLOT: u32 = 1 << 21;
const TIE_SLOT: u32 = 1 << 22;

/// What is forecast, and how.
#[derive(Clone, Debug)]
pub struct BacktestOptions {
    /// First and last day of a start (from 1970-01-01).
    pub days: [i64; 2],
    /// Days from one start to the next.
    pub every_days: u32,
    /// Horizons (days, ascending).
    pub horizons_days: Vec<u32>,
    /// Random books of each date, and their holdings.
    pub books: u32,
    /// Holdings of a book.
    pub book_size: usize,
    /// Paths of the block bootstrap.
    pub rival_paths: u32,
    /// Seed of all chance; paths of a date have a seed of their own.
    pub seed: u64,
    /// Paths of a date, and how they are spread over the machine.
    pub run: RunOptions,
    /// Rules in force at a block.
    pub rules: fn(u64) -> ProtocolParams,
}

/// What a row forecasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Log of the value of a unit of alpha over the spot price at the start.
    Price,
    /// Log of the pool's TAO over that at the start.
    PoolTao,
    /// Log of the value of a book over that at the start.
    Book,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Price, Self::PoolTao, Self::Book];

    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::PoolTao => "pool_tao",
            Self::Book => "book",
        }
    }
}

/// A start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Number among the dates of the backtest.
    pub index: u32,
    /// Block after which paths start.
    pub block: u64,
    /// Its day (from 1970-01-01).
    pub day: i64,
}

/// A forecast number, and what came.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// When it was made.
    pub start: Start,
    /// For how many days.
    pub horizon_days: u32,
    /// Of what.
    pub subject: Subject,
    /// Of which subnet; `None` for books.
    pub subnet: Option<SubnetId>,
    /// Of which book of its date; `None` for subnets.
    pub book: Option<u32>,
    /// What came.
    pub outcome: f64,
    /// Its place among the simulated values.
    pub pit: f64,
    /// Quantiles of those, at [`QUANTILES`].
    pub quantiles: [f64; QUANTILES.len()],
    /// Continuous ranked probability score.
    pub crps: f64,
    /// That of a random walk with historical volatility.
    pub crps_random_walk: f64,
    /// That of a block bootstrap of past days.
    pub crps_bootstrap: f64,
}

/// A forecast deregistration, and whether it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeregistrationForecast {
    /// When it was made.
    pub start: Start,
    /// For how many days.
    pub horizon_days: u32,
    /// Of whom.
    pub subnet: SubnetId,
    /// Its rank by moving price at the start, 1 the lowest.
    pub rank: u32,
    /// Part of the paths on which it came.
    pub probability: f64,
    /// Whether it came.
    pub came: bool,
}

/// All that was forecast.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forecasts {
    /// Starts.
    pub starts: Vec<Start>,
    /// Numbers: by start, horizon, subject, then subnet or book.
    pub numbers: Vec<Forecast>,
    /// Deregistrations: by start, horizon, subnet.
    pub deregistrations: Vec<DeregistrationForecast>,
}

/// Parameters from what was known by a start, whose network is given too; several where they are uncertain: paths are shared out
/// among them in equal parts.
pub type Calibrate<'a> = dyn FnMut(&History, &ChainState) -> Vec<ModelParams> + 'a;

/// Forecasts from all starts; `done` is told of each.
///
/// # Errors
/// As [`crate::engine::run::run`].
pub fn backtest(
    history: &History,
    options: &BacktestOptions,
    calibrate: &mut Calibrate<'_>,
    stop: &AtomicBool,
    mut done: impl FnMut(Start),
) -> Result<Forecasts, RunError> {
    let mut forecasts = Forecasts { starts: starts(history, options), ..Forecasts::default() };
    for start in forecasts.starts.clone() {
        if stop.load(Ordering::Relaxed) {
            return Err(RunError::Interrupted);
        }
        let date = Date::simulate(history, options, calibrate, start, stop)?;
        date.forecast(&mut forecasts);
        done(start);
    }
    Ok(forecasts)
}

/// Starts: for each wanted day the last block of it at which something was observed; days without one are left out.
pub fn starts(history: &History, options: &BacktestOptions) -> Vec<Start> {
    let mut blocks: Vec<u64> = history.observations.iter().map(|seen| seen.block).collect();
    blocks.sort_unstable();
    blocks.dedup();
    let [first, last] = options.days;
    let days = (first..=last).step_by(options.every_days.max(1) as usize);
    let block_of = |day: i64| {
        let after = blocks.partition_point(|block| *block < calendar::block_of_day(day + 1));
        blocks[..after].last().copied().filter(|block| *block >= calendar::block_of_day(day))
    };
    let found = days.filter_map(|day| block_of(day).map(|block| (day, block)));
    found.zip(0..).map(|((day, block), index)| Start { index, block, day }).collect()
}

/// A subnet that is judged.
struct Judged<'a> {
    /// Its place among the subnets of the start.
    place: usize,
    seen: &'a Observation,
}

/// Everything about one start.
struct Date<'a> {
    history: &'a History,
    options: &'a BacktestOptions,
    start: Start,
    /// Last block at which anything was observed.
    end_block: u64,
    chain: ChainState,
    judged: Vec<Judged<'a>>,
    books: Vec<Vec<usize>>,
    fates: Fates,
    /// Past returns of prices and of pools, of those judged.
    returns: [PastReturns; 2],
    /// Bootstrapped log returns: by path, horizon, then subnet.
    bootstrapped: [Vec<Vec<Vec<f64>>>; 2],
}

impl<'a> Date<'a> {
    fn simulate(
        history: &'a History,
        options: &'a BacktestOptions,
        calibrate: &mut Calibrate<'_>,
        start: Start,
        stop: &AtomicBool,
    ) -> Result<Self, RunError> {
        let known = history.until(start.block, start.day);
        let protocol = (options.rules)(start.block);
        let chain = observed::chain_at(&known, start.block, &protocol);
        let models = calibrate(&known, &chain);
        let fates = simulate(options, start, &chain, protocol, models, stop)?;
        let judged = judged(history, &chain, start.block);
        let ids: Vec<SubnetId> = judged.iter().map(|judged| judged.seen.subnet).collect();
        let figures: [rivals::Figure; 2] = [|seen| seen.price, |seen| seen.reserve_tao];
        let returns = figures.map(|figure| PastReturns::new(&known, &ids, start.block, figure));
        let bootstrapped = [&returns[0], &returns[1]].map(|returns| {
            let path = |path| returns.bootstrap_path(options.seed, start.block, path, &options.horizons_days);
            (0..options.rival_paths).map(path).collect()
        });
        let books = books(options, start, judged.len());
        let end_block = history.observations.iter().map(|seen| seen.block).max().unwrap_or(0);
        Ok(Self { history, options, start, end_block, chain, judged, books, fates, returns, bootstrapped })
    }

    /// Adds this date's forecasts.
    fn forecast(&self, forecasts: &mut Forecasts) {
        for (horizon, &days) in self.options.horizons_days.iter().enumerate() {
            let outcomes: Vec<Option<Fate>> =
                self.judged.iter().map(|judged| self.outcome(judged.seen, days)).collect();
            let numbers = &mut forecasts.numbers;
            numbers.extend(self.of_subnets(horizon, &outcomes, Subject::Price));
            numbers.extend(self.of_subnets(horizon, &outcomes, Subject::PoolTao));
            numbers.extend(self.of_books(horizon, &outcomes));
            forecasts.deregistrations.extend(self.deregistrations(horizon));
        }
    }

    fn of_subnets(
        &self,
        horizon: usize,
        outcomes: &'a [Option<Fate>],
        subject: Subject,
    ) -> impl Iterator<Item = Forecast> {
        let (log, rival) = match subject {
            Subject::PoolTao => ((|fate| fate.reserve.ln()) as fn(Fate) -> f64, 1),
            _ => ((|fate| fate.value.ln()) as fn(Fate) -> f64, 0),
        };
        let forecast = move |(number, judged): (usize, &Judged<'_>)| {
            let outcome = outcomes[number].map(log).filter(|outcome| outcome.is_finite())?;
            let simulated = self.fates.of(judged.place, horizon).map(log).filter(|value| !value.is_nan()).collect();
            let past = self.bootstrapped[rival].iter().map(|path| path[horizon][number]).collect();
            let daily_sd = self.returns[rival].daily_sd(number);
            let subnet = judged.seen.subnet;
            let tie = [subject as u32, u32::from(subnet.netuid.0)];
            let forecast = self.score(horizon, tie, outcome, simulated, past, daily_sd)?;
            Some(Forecast { subject, subnet: Some(subnet), ..forecast })
        };
        self.judged.iter().enumerate().filter_map(forecast)
    }

    fn of_books(&self, horizon: usize, outcomes: &'a [Option<Fate>]) -> impl Iterator<Item = Forecast> {
        let forecast = move |(number, book): (usize, &Vec<usize>)| {
            let size = book.len() as f64;
            let came = book.iter().map(|member| outcomes[*member].map(|fate| fate.value)).sum::<Option<f64>>()?;
            let on_path = |path: usize| {
                let fates = self.fates.at(path, horizon);
                let sum: f64 = book.iter().map(|member| fates[self.judged[*member].place].value).sum();
                (sum / size).ln()
            };
            let simulated = (0..self.fates.paths()).map(on_path).collect();
            let bootstrapped = |path: &Vec<Vec<f64>>| {
                let sum: f64 = book.iter().map(|member| path[horizon][*member].exp()).sum();
                (sum / size).ln()
            };
            let past = self.bootstrapped[0].iter().map(bootstrapped).collect();
            let daily_sd = self.returns[0].book_daily_sd(book);
            let tie = [Subject::Book as u32, number as u32];
            let forecast = self.score(horizon, tie, (came / size).ln(), simulated, past, daily_sd)?;
            Some(Forecast { subject: Subject::Book, book: Some(number as u32), ..forecast })
        };
        self.books.iter().enumerate().filter_map(forecast)
    }

    /// The forecast of simulated values; `None` where there are none.
    fn score(
        &self,
        horizon: usize,
        [subject, number]: [u32; 2],
        outcome: f64,
        simulated: Vec<f64>,
        past: Vec<f64>,
        daily_sd: f64,
    ) -> Option<Forecast> {
        if simulated.is_empty() || past.is_empty() {
            return None;
        }
        let (ensemble, past) = (Ensemble::new(simulated), Ensemble::new(past));
        let horizon_days = self.options.horizons_days[horizon];
        let step = horizon_days << 2 | subject;
        let address = Address {
            path: self.start.block as u32,
            step,
            slot: TIE_SLOT + number,
            purpose: Purpose::Backtest,
            index: 0,
        };
        Some(Forecast {
            start: self.start,
            horizon_days,
            subject: Subject::Price,
            subnet: None,
            book: None,
            outcome,
            pit: ensemble.pit(outcome, rng::open_unit(rng::words(self.options.seed, address)[0])),
            quantiles: QUANTILES.map(|level| ensemble.quantile(level)),
            crps: ensemble.crps(outcome),
            crps_random_walk: rivals::random_walk_crps(daily_sd, f64::from(horizon_days), outcome),
            crps_bootstrap: past.crps(outcome),
        })
    }

    /// What came of a subnet after so many days; `None` where that was not observed.
    fn outcome(&self, origin: &Observation, days: u32) -> Option<Fate> {
        let target = self.start.block + u64::from(days) * BLOCKS_PER_DAY;
        let [low, high] = OUTCOME_DAYS;
        let tolerance = (OUTCOME_PART * f64::from(days)).clamp(low, high) * BLOCKS_PER_DAY as f64;
        // Of a horizon beyond the last observation only those would be known who died.
        if target as f64 > self.end_block as f64 + tolerance {
            return None;
        }
        let own = observed::of_subnet(self.history, origin.subnet);
        if let Some(death) = self.death_block(origin.subnet).filter(|death| *death <= target) {
            let last = own.iter().rev().find(|seen| seen.block < death && !seen.is_startup)?;
            let value = payout(&(self.options.rules)(death), last) / origin.price;
            let is_known = last.block + LAST_SEEN_DAYS * BLOCKS_PER_DAY >= death && last.block >= origin.block;
            return is_known.then_some(Fate { value, reserve: f64::NAN });
        }
        let nearest = own.iter().min_by_key(|seen| seen.block.abs_diff(target))?;
        let is_near = nearest.block.abs_diff(target) as f64 <= tolerance && !nearest.is_startup;
        is_near.then(|| Fate { value: nearest.price / origin.price, reserve: nearest.reserve_tao / origin.reserve_tao })
    }

    fn death_block(&self, subnet: SubnetId) -> Option<u64> {
        observed::death_block(self.history, subnet)
    }

    /// Deregistration of every subnet of the start, where the horizon lies within what is known.
    fn deregistrations(&self, horizon: usize) -> Vec<DeregistrationForecast> {
        let horizon_days = self.options.horizons_days[horizon];
        let target = self.start.block + u64::from(horizon_days) * BLOCKS_PER_DAY;
        let last = self.history.registrations.last().map_or(0, |last| last.subnet.registered_at);
        let subnets = &self.chain.subnets;
        if target > last || !observed::registrations_are_open(self.start.block) {
            return Vec::new();
        }
        let forecast = |(place, subnet): (usize, &SubnetState)| {
            let id = SubnetId { netuid: subnet.netuid, registered_at: subnet.registered_at };
            let dead = self.fates.of(place, horizon).filter(Fate::is_dead).count();
            let lower = subnets.iter().filter(|other| other.moving_price < subnet.moving_price).count();
            DeregistrationForecast {
                start: self.start,
                horizon_days,
                subnet: id,
                rank: lower as u32 + 1,
                probability: dead as f64 / self.fates.paths() as f64,
                came: self.death_block(id).is_some_and(|death| death <= target),
            }
        };
        subnets.iter().enumerate().map(forecast).collect()
    }
}

/// TAO per staked alpha that a subnet seen last like this paid.
fn payout(protocol: &ProtocolParams, last: &Observation) -> f64 {
    let staked_alpha = observed::staked_part(last.block) * last.outstanding_alpha;
    let registered_at = last.subnet.registered_at;
    dissolve::payout_per_alpha(protocol, last.reserve_tao, staked_alpha, last.reserve_alpha, 0.0, registered_at)
}

/// Paths of all parameter sets, one after another.
fn simulate(
    options: &BacktestOptions,
    start: Start,
    chain: &ChainState,
    protocol: ProtocolParams,
    models: Vec<ModelParams>,
    stop: &AtomicBool,
) -> Result<Fates, RunError> {
    let mut fates = Fates::new(chain.subnets.len(), options.horizons_days.len());
    let steps = options.horizons_days.last().copied().unwrap_or(0);
    let sets = models.len().max(1) as u64;
    for (number, mut model) in models.into_iter().enumerate() {
        if !observed::registrations_are_open(start.block) {
            model.registration.hazard_per_day = 0.0;
        }
        let plan = Plan::new(PlanInput {
            seed: options.seed.wrapping_add(start.block),
            protocol,
            switches: Vec::new(),
            model,
            start: chain.clone(),
            tao_usd: 1.0,
            blocks_per_step: BLOCKS_PER_DAY,
            draw_refinement: 1,
            replicates: None,
            steps,
            drivers: Drivers::ALL,
        });
        let paths = options.run.paths.div_ceil(sets);
        let run = RunOptions { first_path: number as u64 * paths, paths, ..options.run };
        fates.simulate(&plan, &options.horizons_days, &run, stop)?;
    }
    Ok(fates)
}

fn judged<'a>(history: &'a History, chain: &ChainState, block: u64) -> Vec<Judged<'a>> {
    let place_of = |seen: &Observation| chain.subnets.iter().position(|subnet| subnet.netuid == seen.subnet.netuid);
    let is_judged = |seen: &&Observation| {
        !seen.is_startup
            && seen.block + FRESH_BLOCKS >= block
            && seen.reserve_tao > RESERVE_TAO_MIN
            && seen.subnet.registered_at + AGE_BLOCKS_MIN < block
    };
    let latest = observed::latest(history, block).into_iter();
    latest.filter(is_judged).filter_map(|seen| Some(Judged { place: place_of(seen)?, seen })).collect()
}

/// Books of a date: each `book_size` of `choice` subnets, drawn without replacement.
fn books(options: &BacktestOptions, start: Start, choice: usize) -> Vec<Vec<usize>> {
    if choice < BOOK_CHOICE_MIN * options.book_size {
        return Vec::new();
    }
    let draw = |book: u32| {
        let mut left: Vec<usize> = (0..choice).collect();
        let mut held: Vec<usize> = (0..options.book_size)
            .map(|member| {
                let purpose = Purpose::Backtest;
                let address =
                    Address { path: start.block as u32, step: book, slot: BOOK_SLOT, purpose, index: member as u16 };
                left.swap_remove(below(rng::words(options.seed, address)[0], left.len()))
            })
            .collect();
        held.sort_unstable();
        held
    };
    (0..options.books).map(draw).collect()
}
