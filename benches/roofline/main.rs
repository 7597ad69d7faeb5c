//! Batches of paths on the main thread with the clock frequency beside them: what `count.py` times, samples and steps through.
//!
//! `roofline REPEATS SLOTS BACKEND [weighted]` prints, for each repeat, the clock frequency (GHz) and the time of a subnet-step (ns).
//! Without arguments every case runs once. Each repeat asserts the TAO ledger of its paths.

#[path = "../support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Instant;

use taorisk::engine::advance::Workspace;
use taorisk::engine::path::PathState;
use taorisk::engine::plan::Plan;
use taorisk::engine::step;
use taorisk::protocol::moving_price_table::AgeChunk;
use taorisk::protocol::slots::MAX_CHUNKS;
use taorisk::protocol::slots::SlotValues;
use taorisk::simd::Backend;

/// A gap in the TAO ledger that only a mistake could leave.
const IMBALANCE_MAX: f64 = 1e-9;
/// Multiplications of a chain: 0.3 ms at 3 GHz.
const CHAIN: u32 = 300_000;
/// Cycles from one 64-bit multiplication to the next that needs it, on Intel since Nehalem and on AMD since Zen.
const MULTIPLY_CYCLES: f64 = 3.0;

/// A batch with all that the engine keeps from batch to batch.
struct Batch {
    plan: Plan,
    backend: Backend,
    rows: Vec<[AgeChunk; MAX_CHUNKS]>,
    paths: Vec<PathState>,
    held: SlotValues,
    work: Workspace,
}

impl Batch {
    fn new(plan: Plan, backend: Backend) -> Self {
        let mut rows = vec![[AgeChunk::frozen(); MAX_CHUNKS]; plan.input.steps as usize];
        (0..).zip(&mut rows).for_each(|(number, row)| step::fill_ages(backend, &plan, number, row));
        let paths = vec![PathState::new(&plan); support::BATCH_PATHS];
        let mut work = Workspace::default();
        work.keeps_rows = false;
        Self { plan, backend, rows, paths, held: SlotValues::splat(0.0), work }
    }

    /// All steps of the paths from `first` on; the time of a subnet-step (ns).
    fn run(&mut self, first: u32) -> f64 {
        let Self { plan, backend, rows, paths, held, work } = self;
        let start = Instant::now();
        for (index, path) in (first..).zip(&mut *paths) {
            step::reset(*backend, plan, path, index);
        }
        for (number, row) in (0..).zip(&*rows) {
            step::open(*backend, plan, number, paths);
            for path in &mut *paths {
                step::advance_opened(*backend, plan, number, row, path, held, work).expect("a sound path");
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        assert!(paths.iter().all(|path| path.tao_imbalance().abs() <= IMBALANCE_MAX), "the ledger is kept");
        let subnet_steps = rows.len() as u64 * paths.len() as u64 * support::live_slots(plan);
        seconds * 1e9 / subnet_steps as f64
    }
}

/// Clock frequency (GHz), by a chain of multiplications that wait for each other. Not inlined: samples are told apart by it.
#[inline(never)]
fn clock_ghz() -> f64 {
    let start = Instant::now();
    let mut value = black_box(3_u64);
    for _ in 0..CHAIN {
        value = value.wrapping_mul(value);
    }
    black_box(value);
    f64::from(CHAIN) * MULTIPLY_CYCLES / (start.elapsed().as_secs_f64() * 1e9)
}

fn plan(slots: &str, is_weighted: bool) -> Plan {
    let plan = support::plan();
    let plan = if slots == "256" { support::doubled(&plan) } else { plan };
    if is_weighted { support::weighted(&plan) } else { plan }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let [repeats, slots, backend, rest @ ..] = &arguments[..] else {
        for (slots, is_weighted) in [("128", false), ("256", false), ("256", true)] {
            let ns = Batch::new(plan(slots, is_weighted), Backend::detect()).run(0);
            println!("{slots} slots, weighted {is_weighted}: {ns:.2} ns per subnet-step");
        }
        return;
    };
    let backend: Backend = backend.parse().expect("a backend");
    let mut batch = Batch::new(plan(slots, !rest.is_empty()), backend);
    for repeat in 0..repeats.parse().expect("a number of repeats") {
        let before = clock_ghz();
        let ns = batch.run(repeat * support::BATCH_PATHS as u32);
        println!("{:.4} {ns:.4}", before.max(clock_ghz()));
    }
}
