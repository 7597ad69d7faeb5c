//! Batches of paths, step by step, and their ordered reduction.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::engine::advance::Workspace;
use crate::engine::audit::Audit;
use crate::engine::audit::AuditError;
use crate::engine::parallel;
use crate::engine::path::PathFault;
use crate::engine::path::PathState;
use crate::engine::plan::Plan;
use crate::engine::policy::Market;
use crate::engine::recorder::Recorder;
use crate::engine::recorder::StepView;
use crate::engine::replicates::Batches;
use crate::engine::replicates::ReplicatePlan;
use crate::engine::step;
use crate::protocol::moving_price_table::AgeChunk;
use crate::protocol::slots::MAX_CHUNKS;
use crate::protocol::slots::SlotValues;
use crate::simd::Backend;

/// Largest relative gap in the TAO ledger of a path: rounding of some 1e5 sums.
const IMBALANCE_MAX: f64 = 1e-9;

/// One batch in so many has the books of its first path done again at every step; in debug builds all have.
const AUDIT_INTERVAL: u64 = if cfg!(debug_assertions) { 1 } else { 64 };

/// Steps whose age factors a worker keeps from batch to batch, 18 KiB each.
const AGE_ROWS_KEPT: u32 = 128;

/// Paths, and how they are spread over the machine. Only the paths bear on results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// First path.
    pub first_path: u64,
    /// Number of paths.
    pub paths: u64,
    /// Paths of a batch, advanced together.
    pub batch_paths: usize,
    /// Threads.
    pub threads: usize,
    /// Instruction set.
    pub backend: Backend,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A value of a path became NaN or negative.
    #[error(transparent)]
    Fault(#[from] PathFault),
    /// TAO was made or lost on a path: a defect of this program.
    #[error(
        "path {path}: TAO is not conserved, the ledger is off by {relative:e} of issuance; please report this scenario"
    )]
    Imbalance {
        /// Path index.
        path: u32,
        /// Gap relative to issuance.
        relative: f64,
    },
    /// Alpha or TAO was made or lost in a slot: a defect of this program.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The stop flag was raised.
    #[error("interrupted")]
    Interrupted,
    /// The receiver of batches gave up.
    #[error("the results could not be taken")]
    Refused,
    /// Threads could not be started.
    #[error("threads could not be started")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Simulates the paths of `options`, handing each batch's record to `consume` in path order; returns the recorders.
///
/// # Errors
/// [`RunError`]; batches before the one that failed have been consumed.
pub fn run<R: Recorder>(
    plan: &Plan,
    options: &RunOptions,
    make_recorder: impl Fn() -> R + Sync,
    mut consume: impl FnMut(R::Batch) -> ControlFlow<()>,
    stop: &AtomicBool,
) -> Result<Vec<R>, RunError> {
    let replicates = plan.input.replicates.as_ref();
    let batches = Batches::new(replicates, options.first_path, options.paths, options.batch_paths.max(1) as u64);
    let mut outcome = Ok(());
    let workers = parallel::ordered(
        options.threads.max(1),
        batches.len(),
        || Worker::new(plan, options.batch_paths, make_recorder()),
        |worker, task| {
            if stop.load(Ordering::Relaxed) {
                return Err(RunError::Interrupted);
            }
            let (first, count) = batches.at(task);
            let mut own = std::mem::take(&mut worker.replicate);
            let batch = Batch { plan: own.of(plan, first), worker, backend: options.backend, first, count }.run();
            worker.replicate = own;
            batch
        },
        |result| match result {
            Ok(record) => {
                let flow = consume(record);
                if flow.is_break() {
                    outcome = Err(RunError::Refused);
                }
                flow
            }
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        },
    )?;
    outcome.map(|()| workers.into_iter().map(|worker| worker.recorder).collect())
}

/// What a thread keeps from batch to batch.
struct Worker<R> {
    paths: Vec<PathState>,
    held: Vec<SlotValues>,
    work: Workspace,
    ages: AgeRows,
    audit: Audit,
    replicate: ReplicatePlan,
    recorder: R,
}

impl<R: Recorder> Worker<R> {
    fn new(plan: &Plan, batch_paths: usize, recorder: R) -> Self {
        Self {
            paths: (0..batch_paths).map(|_| PathState::new(plan)).collect(),
            held: vec![SlotValues::splat(0.0); batch_paths],
            work: Workspace::default(),
            ages: AgeRows::default(),
            audit: Audit::default(),
            replicate: ReplicatePlan::default(),
            recorder,
        }
    }
}

/// Age factors of incumbents by step: the same for every path, whatever its parameters. The row of the first later step serves all later ones.
#[derive(Default)]
pub(crate) struct AgeRows(Vec<[AgeChunk; MAX_CHUNKS]>);

impl AgeRows {
    /// The row of a step.
    pub(crate) fn at(&mut self, backend: Backend, plan: &Plan, step: u32) -> &[AgeChunk; MAX_CHUNKS] {
        let index = step.min(AGE_ROWS_KEPT) as usize;
        for missing in self.0.len()..=index {
            self.0.push([AgeChunk::frozen(); MAX_CHUNKS]);
            step::fill_ages(backend, plan, missing as u32, &mut self.0[missing]);
        }
        if step >= AGE_ROWS_KEPT {
            step::fill_ages(backend, plan, step, &mut self.0[index]);
        }
        &self.0[index]
    }
}

/// One batch on one thread.
struct Batch<'a, R> {
    plan: &'a Plan,
    worker: &'a mut Worker<R>,
    backend: Backend,
    first: u64,
    count: usize,
}

impl<R: Recorder> Batch<'_, R> {
    fn run(self) -> Result<R::Batch, RunError> {
        let Self { plan, worker, backend, first, count } = self;
        open_batch(plan, worker, backend, first, count);
        let audited = (first / count as u64).is_multiple_of(AUDIT_INTERVAL);
        for number in 0..plan.input.steps {
            let row = worker.ages.at(backend, plan, number);
            if audited {
                worker.audit.open(&worker.paths[0]);
            }
            step::open(backend, plan, number, &mut worker.paths[..count]);
            for index in 0..count {
                let path = &mut worker.paths[index];
                let held = &mut worker.held[index];
                worker.work.keeps_rows = audited && index == 0 || worker.recorder.reads_rows(path.path);
                step::advance_opened(backend, plan, number, row, path, held, &mut worker.work)?;
                if audited && index == 0 {
                    worker.audit.close(plan, number, path, &worker.work)?;
                }
                if worker.recorder.trades() {
                    worker.recorder.trade(index, &mut Market::new(plan, path, &worker.work, number + 1));
                }
                let view = view(plan, path, &worker.work, number + 1);
                worker.recorder.step(index, &view, held);
            }
        }
        check_balance(&worker.paths[..count])?;
        Ok(worker.recorder.close(first, count))
    }
}

fn open_batch<R: Recorder>(plan: &Plan, worker: &mut Worker<R>, backend: Backend, first: u64, count: usize) {
    worker.work.clear();
    for index in 0..count {
        let path = &mut worker.paths[index];
        step::reset(backend, plan, path, (first + index as u64) as u32);
        let view = view(plan, path, &worker.work, 0);
        worker.recorder.open(index, &view, &mut worker.held[index]);
    }
}

fn view<'a>(plan: &'a Plan, path: &'a PathState, work: &'a Workspace, step: u32) -> StepView<'a> {
    StepView { plan, path, buffers: &work.buffers, events: &work.events, step, block: plan.opening_block(step) }
}

fn check_balance(paths: &[PathState]) -> Result<(), RunError> {
    let off = |path: &&PathState| {
        let imbalance = path.tao_imbalance().abs();
        !(imbalance <= IMBALANCE_MAX)
    };
    match paths.iter().find(off) {
        None => Ok(()),
        Some(path) => Err(RunError::Imbalance { path: path.path, relative: path.tao_imbalance() }),
    }
}
