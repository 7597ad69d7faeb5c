//! The facts of observed subnet days beside simulated ones: one piece of code computes both.
//!
//! Rows are subnet days: previous pool above 100 TAO, started, older than 14 days. Two simulations make such rows: the
//! organic flow alone, on the pools and ages of the data, cell by cell; and the engine, from the shipped snapshot on.
//! One path is one panel of the size of the real one; facts are averaged over paths. The table goes to standard output.

mod sampling;
mod statistics;

use std::collections::BTreeSet;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use flate2::read::GzDecoder;
use taorisk::cli::run::plan_of;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::path::PathState;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::plan::locate;
use taorisk::engine::recorder::Recorder;
use taorisk::engine::recorder::StepView;
use taorisk::engine::run;
use taorisk::engine::run::RunOptions;
use taorisk::model::entrants::Nature;
use taorisk::model::kernel as model_kernel;
use taorisk::model::kernel::BehaviourChunk;
use taorisk::model::kernel::Draw;
use taorisk::model::kernel::FlowBuffers;
use taorisk::model::kernel::FlowStep;
use taorisk::model::outside::Outside;
use taorisk::model::outside::OutsideStep;
use taorisk::protocol::slots::ChainChunk;
use taorisk::protocol::slots::MAX_CHUNKS;
use taorisk::protocol::slots::SlotSingles;
use taorisk::protocol::slots::SlotValues;
use taorisk::simd::Backend;
use taorisk::simd::Kernel;
use taorisk::simd::Vector;
use taorisk::simd::dispatch;
use taorisk::units::BLOCKS_PER_DAY;
use taorisk::units::SLOT_CAPACITY;

use crate::sampling::sampling_errors;
use crate::statistics::SubnetDay;
use crate::statistics::facts;
use crate::statistics::moments;
use crate::statistics::quantile;
use crate::statistics::sorted;

const REAL_ROWS: &[u8] = include_bytes!("../reference/daily_flows.csv.gz");
const PATHS: u64 = 200;
const ON_DATA_PATHS: u32 = 200;
const DAYS: u32 = 313;
/// From 2025-07-01 to 2026-05-20.
const DAYS_OF_DATA: usize = 324;
/// 97.5 % quantile of the normal law.
const NORMAL_95: f64 = 1.96;
/// Rounding of the expected means.
const HALF_DIGIT: f64 = 6e-5;

/// The panel that a reference is compared with.
#[derive(Clone, Copy)]
enum Panel {
    /// Organic flow on the data's pools and ages.
    OnData,
    /// The engine from the snapshot, young subnets in it: the extremes of the reference lie in it, not in the other.
    Ahead,
}

/// A fact, what MODEL 4.1 gives for it, and what this code gives.
struct Fact {
    name: &'static str,
    /// Row of the table of MODEL 4.1 that it stands in.
    row: u8,
    /// Of the data, by MODEL 4.1, and the largest difference of this code's value: half a digit of the table, more for
    /// the four last facts, for which the table does not say which days and subnets enter.
    real: f64,
    real_tolerance: f64,
    /// Of the plain NumPy reference, and the panel to compare it with.
    reference: f64,
    panel: Panel,
    /// 2.5 standard deviations of one panel over paths: the reference is one.
    tolerance: f64,
    /// Means over paths, on the data's pools and from the snapshot, held to 5 standard errors.
    expected: [f64; 2],
}

#[rustfmt::skip]
const FACTS: &[Fact] = &[
    Fact { name: "sd of f", row: 1, real: 0.0302, real_tolerance: 6e-5, reference: 0.0299, panel: Panel::OnData, tolerance: 0.0023, expected: [0.0299, 0.0272] },
    Fact { name: "flow/pool, 1 %", row: 2, real: -0.074, real_tolerance: 6e-4, reference: -0.075, panel: Panel::OnData, tolerance: 0.009, expected: [-0.0786, -0.0744] },
    Fact { name: "flow/pool, 99 %", row: 2, real: 0.103, real_tolerance: 6e-4, reference: 0.106, panel: Panel::OnData, tolerance: 0.009, expected: [0.1086, 0.0921] },
    Fact { name: "worst flow/pool", row: 3, real: -0.62, real_tolerance: 6e-3, reference: -0.48, panel: Panel::Ahead, tolerance: 0.18, expected: [-0.3870, -0.3674] },
    Fact { name: "best flow/pool", row: 3, real: 1.05, real_tolerance: 6e-3, reference: 1.27, panel: Panel::Ahead, tolerance: 0.61, expected: [0.7710, 0.8526] },
    Fact { name: "excess kurtosis of log price change", row: 4, real: 73.0, real_tolerance: 0.6, reference: 68.0, panel: Panel::Ahead, tolerance: 39.0, expected: [32.7822, 45.5607] },
    Fact { name: "Hill index down", row: 5, real: 2.8, real_tolerance: 0.06, reference: 2.7, panel: Panel::OnData, tolerance: 0.39, expected: [2.7304, 2.7103] },
    Fact { name: "Hill index up", row: 5, real: 2.6, real_tolerance: 0.06, reference: 2.6, panel: Panel::OnData, tolerance: 0.29, expected: [2.7119, 2.4764] },
    Fact { name: "sd of log price per subnet, 5 %", row: 6, real: 0.018, real_tolerance: 6e-4, reference: 0.026, panel: Panel::OnData, tolerance: 0.0046, expected: [0.0275, 0.0229] },
    Fact { name: "sd of log price per subnet, median", row: 6, real: 0.055, real_tolerance: 6e-4, reference: 0.050, panel: Panel::OnData, tolerance: 0.0046, expected: [0.0512, 0.0427] },
    Fact { name: "sd of log price per subnet, 95 %", row: 6, real: 0.094, real_tolerance: 6e-4, reference: 0.110, panel: Panel::OnData, tolerance: 0.021, expected: [0.1090, 0.1179] },
    Fact { name: "slope of log abs f on log size", row: 7, real: -0.15, real_tolerance: 6e-3, reference: -0.12, panel: Panel::OnData, tolerance: 0.093, expected: [-0.1151, -0.1218] },
    Fact { name: "slope of log abs f on log age", row: 7, real: -0.30, real_tolerance: 6e-3, reference: -0.22, panel: Panel::OnData, tolerance: 0.16, expected: [-0.2494, -0.2807] },
    Fact { name: "autocorrelation of log abs f, lag 1", row: 8, real: 0.25, real_tolerance: 6e-3, reference: 0.24, panel: Panel::OnData, tolerance: 0.021, expected: [0.2247, 0.1788] },
    Fact { name: "autocorrelation of log abs f, lag 2", row: 8, real: 0.20, real_tolerance: 6e-3, reference: 0.21, panel: Panel::OnData, tolerance: 0.020, expected: [0.1973, 0.1568] },
    Fact { name: "autocorrelation of log abs f, lag 3", row: 8, real: 0.19, real_tolerance: 6e-3, reference: 0.19, panel: Panel::OnData, tolerance: 0.021, expected: [0.1766, 0.1389] },
    Fact { name: "autocorrelation of log abs f, lag 5", row: 8, real: 0.16, real_tolerance: 6e-3, reference: 0.16, panel: Panel::OnData, tolerance: 0.021, expected: [0.1450, 0.1136] },
    Fact { name: "autocorrelation of log abs f, lag 10", row: 8, real: 0.12, real_tolerance: 6e-3, reference: 0.12, panel: Panel::OnData, tolerance: 0.021, expected: [0.1023, 0.0806] },
    Fact { name: "autocorrelation of log abs f, lag 20", row: 8, real: 0.09, real_tolerance: 6e-3, reference: 0.08, panel: Panel::OnData, tolerance: 0.021, expected: [0.0668, 0.0524] },
    Fact { name: "autocorrelation of log abs f, lag 40", row: 8, real: 0.04, real_tolerance: 6e-3, reference: 0.04, panel: Panel::OnData, tolerance: 0.019, expected: [0.0240, 0.0196] },
    Fact { name: "autocorrelation of f, lag 1", row: 9, real: 0.006, real_tolerance: 1e-3, reference: -0.003, panel: Panel::OnData, tolerance: 0.030, expected: [-0.0054, -0.0087] },
    Fact { name: "sd over 30 days / (sqrt 30 sd over 1 day)", row: 9, real: 0.975, real_tolerance: 1e-2, reference: 0.971, panel: Panel::OnData, tolerance: 0.106, expected: [0.9966, 1.0094] },
    Fact { name: "mean pair correlation of f", row: 10, real: 0.038, real_tolerance: 4e-3, reference: 0.042, panel: Panel::OnData, tolerance: 0.033, expected: [0.0471, 0.0468] },
    Fact { name: "first component of f", row: 10, real: 0.067, real_tolerance: 3e-3, reference: 0.056, panel: Panel::OnData, tolerance: 0.035, expected: [0.0581, 0.0590] },
    Fact { name: "median maximum drawdown of log price", row: 11, real: -0.60, real_tolerance: 1.5e-2, reference: -0.57, panel: Panel::OnData, tolerance: 0.083, expected: [-0.4960, -0.7375] },
];

fn real_panel() -> Vec<SubnetDay> {
    let mut text = String::new();
    GzDecoder::new(REAL_ROWS).read_to_string(&mut text).expect("text");
    let row = |line: &str| {
        let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().expect("a number")).collect();
        let [netuid, registered, block, day, pool_tao, flow_tao, price_before, price] = cells[..] else {
            panic!("eight cells: {line}")
        };
        SubnetDay {
            subnet: (netuid as u16, registered as u64),
            day: day as u32,
            age_days: (block - registered) / BLOCKS_PER_DAY as f64,
            pool_tao,
            flow_tao,
            log_price_change: (price / price_before).ln(),
        }
    };
    text.lines().skip(1).map(row).collect()
}

/// Pools of a path at the last step, and the days of its subnets so far.
#[derive(Default)]
struct PathPanel {
    pools: Vec<Option<OpenPool>>,
    panel: Vec<SubnetDay>,
}

#[derive(Clone, Copy)]
struct OpenPool {
    registered_at: u64,
    reserve_tao: f64,
    reserve_alpha: f64,
}

/// Records subnet days and hands over the facts of each path.
#[derive(Default)]
struct FactRecorder {
    paths: Vec<PathPanel>,
}

impl FactRecorder {
    fn see(&mut self, index: usize, view: &StepView<'_>) {
        let path = &mut self.paths[index];
        for slot in 0..SLOT_CAPACITY {
            let now = open_pool(view.path, slot);
            if let (Some(before), Some(now)) = (path.pools[slot], now)
                && before.registered_at == now.registered_at
            {
                path.panel.push(subnet_day(view, slot, before, now));
            }
            path.pools[slot] = now;
        }
    }
}

/// The pool of a started subnet.
fn open_pool(path: &PathState, slot: usize) -> Option<OpenPool> {
    let registered_at = path.occupants[slot]?.registered_at;
    let (chunk, lane) = locate(slot);
    let chunk = &path.chain[chunk];
    let (reserve_tao, reserve_alpha) = (chunk.reserve_tao[lane], chunk.reserve_alpha[lane]);
    (chunk.started[lane] > 0.0).then_some(OpenPool { registered_at, reserve_tao, reserve_alpha })
}

/// Flow as the data have it: `(L0 + L1)/2 (sqrt p1 - sqrt p0)`, `L` the root of the product of reserves.
fn subnet_day(view: &StepView<'_>, slot: usize, before: OpenPool, now: OpenPool) -> SubnetDay {
    let liquidity = |pool: OpenPool| (pool.reserve_tao * pool.reserve_alpha).sqrt();
    let price = |pool: OpenPool| pool.reserve_tao / pool.reserve_alpha;
    SubnetDay {
        subnet: (slot as u16 + 1, now.registered_at),
        day: view.step,
        age_days: (view.block - now.registered_at) as f64 / BLOCKS_PER_DAY as f64,
        pool_tao: before.reserve_tao,
        flow_tao: 0.5 * (liquidity(before) + liquidity(now)) * (price(now).sqrt() - price(before).sqrt()),
        log_price_change: (price(now) / price(before)).ln(),
    }
}

impl Recorder for FactRecorder {
    type Batch = Vec<(usize, Vec<f64>)>;

    fn open(&mut self, index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        *held = SlotValues::splat(0.0);
        self.paths.resize_with(self.paths.len().max(index + 1), PathPanel::default);
        self.paths[index].panel.clear();
        self.paths[index].pools = vec![None; SLOT_CAPACITY];
        self.see(index, view);
    }

    fn step(&mut self, index: usize, view: &StepView<'_>, _held: &mut SlotValues) {
        self.see(index, view);
    }

    fn close(&mut self, _first_path: u64, count: usize) -> Self::Batch {
        let counted = |path: &PathPanel| path.panel.iter().filter(|row| row.is_counted()).count();
        self.paths[..count].iter().map(|path| (counted(path), facts(&path.panel))).collect()
    }
}

/// Mean of f in the months of the data, under the rules of that time (default_params: for back-tests).
const DRIFT_OF_THE_DATA: f64 = 0.0008;

fn plan(drift_per_day: Option<f64>) -> Plan {
    let scenario =
        Scenario::from_text("facts", "", Path::new(""), &Overrides::default()).expect("the shipped scenario");
    let mut input = PlanInput { steps: DAYS, seed: 4, ..plan_of(&scenario).input };
    input.model.flow.drift_per_day = drift_per_day.unwrap_or(input.model.flow.drift_per_day);
    Plan::new(input)
}

/// Facts of every simulated path, and its number of rows.
fn simulated(plan: &Plan) -> Vec<(usize, Vec<f64>)> {
    let options = RunOptions { first_path: 0, paths: PATHS, batch_paths: 4, threads: 2, backend: Backend::detect() };
    let mut all = Vec::new();
    let take = |batch: Vec<(usize, Vec<f64>)>| {
        all.extend(batch);
        ControlFlow::Continue(())
    };
    run::run(plan, &options, FactRecorder::default, take, &AtomicBool::new(false)).expect("sound paths");
    all
}

#[test]
fn the_data_have_the_facts_of_the_model_s_table() {
    let panel = real_panel();
    assert_eq!((panel.len(), panel.iter().filter(|row| row.is_counted()).count()), (37_725, 37_725));
    for (fact, found) in FACTS.iter().zip(facts(&panel)) {
        println!("{}: {found:.4}, table {}", fact.name, fact.real);
        assert!((found - fact.real).abs() <= fact.real_tolerance, "{}: {found} and {}", fact.name, fact.real);
    }
}

/// The days of the data, each with the slot of every row: one slot for each subnet.
fn days_of(panel: &[SubnetDay]) -> Vec<Vec<(usize, SubnetDay)>> {
    let mut days = vec![Vec::new(); DAYS_OF_DATA];
    for (slot, rows) in panel.chunk_by(|a, b| a.subnet == b.subnet).enumerate() {
        rows.iter().for_each(|row| days[row.day as usize].push((slot, *row)));
    }
    days
}

/// The organic flow on the pools and ages of the data, one step for each day.
struct OnData<'a> {
    days: &'a [Vec<(usize, SubnetDay)>],
    input: &'a PlanInput,
    path: u32,
}

impl Kernel for OnData<'_> {
    type Output = Vec<SubnetDay>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Vec<SubnetDay> {
        let input = self.input;
        let step = FlowStep::new(&input.model.flow, BLOCKS_PER_DAY);
        let outside_step = OutsideStep::new(&input.model, BLOCKS_PER_DAY);
        let mut outside = Outside { tao_usd: input.tao_usd, log_willingness: 0.0 };
        let mut chain = [ChainChunk::empty(); MAX_CHUNKS];
        let mut behaviour = initial_behaviour::<V>(&step, input, self.path);
        let (mut buffers, mut growth) = (FlowBuffers::default(), SlotSingles::zero());
        let mut panel = Vec::new();
        for (day, rows) in self.days.iter().enumerate() {
            chain.iter_mut().for_each(|chunk| chunk.started = [0.0; 8]);
            for (slot, row) in rows {
                let (chunk, lane) = locate(*slot);
                (chain[chunk].started[lane], chain[chunk].reserve_tao[lane]) = (1.0, row.pool_tao);
                // The day opens at block 0.
                behaviour[chunk].registered_at[lane] = (1.0 - row.age_days) * BLOCKS_PER_DAY as f64;
            }
            let draw = Draw { seed: input.seed, path: self.path, step: day as u32, block: 0.0 };
            let common = outside_step.advance(draw, &mut outside);
            model_kernel::flow_draws::<V>(&step, draw, common, &chain, &mut behaviour, &mut buffers, &mut growth);
            panel.extend(rows.iter().map(|(slot, row)| {
                let growth = f64::from(growth.get(*slot));
                // Weights of one half: the price moves twice as far as the reserve.
                SubnetDay { flow_tao: row.pool_tao * growth, log_price_change: 2.0 * growth.ln_1p(), ..*row }
            }));
        }
        panel
    }
}

/// Every slot as an incumbent's.
#[inline(always)]
fn initial_behaviour<V: Vector>(step: &FlowStep, input: &PlanInput, path: u32) -> [BehaviourChunk; MAX_CHUNKS] {
    let nature = Nature::of_incumbent(&input.model.flow, None);
    let mut median = BehaviourChunk::empty();
    (0..8).for_each(|lane| median.settle(lane, 0, &nature));
    median.registered_at = BehaviourChunk::empty().registered_at;
    let mut behaviour = [median; MAX_CHUNKS];
    step.draw_volatility::<V>(input.seed, path, &mut behaviour);
    behaviour
}

/// Mean over paths, its standard error, and the 5 % and 95 % quantiles of paths.
struct Spread {
    mean: f64,
    error: f64,
    low: f64,
    high: f64,
}

fn spread(paths: &[Vec<f64>], index: usize) -> Spread {
    let values = sorted(paths.iter().map(|facts| facts[index]));
    let (mean, variance) = moments(values.iter().copied());
    let error = (variance / values.len() as f64).sqrt();
    Spread { mean, error, low: quantile(&values, 0.05), high: quantile(&values, 0.95) }
}

#[test]
fn simulated_paths_have_the_facts() {
    let data = real_panel();
    let days = days_of(&data);
    let back = plan(Some(DRIFT_OF_THE_DATA));
    let on_data: Vec<Vec<f64>> = (0..ON_DATA_PATHS)
        .map(|path| facts(&dispatch(Backend::detect(), OnData { days: &days, input: &back.input, path })))
        .collect();
    let (rows, forward): (Vec<usize>, Vec<Vec<f64>>) = simulated(&plan(None)).into_iter().unzip();
    println!("\nrows a path from the snapshot: {} (data: {})\n", rows.iter().sum::<usize>() / rows.len(), data.len());
    println!(
        "| fact | data | NumPy reference | flow on the data's pools and ages | off by | engine from the snapshot |"
    );
    println!("|---|---|---|---|---|---|");
    let errors = sampling_errors(&data);
    let (mut outside, mut off) = (Vec::new(), BTreeSet::new());
    for (index, (fact, real)) in FACTS.iter().zip(facts(&data)).enumerate() {
        let (cells, ahead) = (spread(&on_data, index), spread(&forward, index));
        let off_by = (cells.mean - real) / errors[index].hypot(cells.error);
        if !(off_by.abs() <= NORMAL_95) {
            off.insert(fact.row);
        }
        println!(
            "| {} | {real:.3} +- {:.3} | {} | {:.4} +- {:.4} ({:.3} to {:.3}) | {:.1} | {:.4} +- {:.4} ({:.3} to {:.3}) |",
            fact.name,
            errors[index],
            fact.reference,
            cells.mean,
            cells.error,
            cells.low,
            cells.high,
            off_by,
            ahead.mean,
            ahead.error,
            ahead.low,
            ahead.high
        );
        let compared = match fact.panel {
            Panel::OnData => cells.mean,
            Panel::Ahead => ahead.mean,
        };
        let is_near = (compared - fact.reference).abs() <= fact.tolerance;
        let expected = |found: &Spread, mean: f64| (found.mean - mean).abs() <= 5.0 * found.error + HALF_DIGIT;
        if !(is_near && expected(&cells, fact.expected[0]) && expected(&ahead, fact.expected[1])) {
            outside.push(fact.name);
        }
    }
    assert!(outside.is_empty(), "outside their bands: {outside:?}");
    assert!(off.len() <= 1, "rows of the table beyond the data's sampling error at 95 %: {off:?}");
}
