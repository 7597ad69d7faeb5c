//! Simulations that keep a journal: stopped at any moment, they go on from their last whole block of paths.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use indicatif::ProgressBar;

use crate::cli::error::BadInput;
use crate::cli::error::Interrupted;
use crate::cli::needs;
use crate::cli::reduction::Reduction;
use crate::cli::run;
use crate::cli::run::Machine;
use crate::cli::run::Simulated;
use crate::config::scenario::Scenario;
use crate::engine::run as engine_run;
use crate::engine::run::RunError;
use crate::output::error::OutputError;
use crate::output::journal::JournalHeader;
use crate::output::journal::JournalReader;
use crate::output::journal::JournalWriter;
use crate::output::run_dir::RunDirectory;
use crate::risk::recorder::BatchRecord;
use crate::risk::recorder::BlockBuilder;
use crate::risk::recorder::PathBlock;

/// Paths of a block: a fifth of a second on two cores and some 4 MB by default, and all that a kill can cost.
pub(super) const BLOCK_PATHS: usize = 2_048;
/// Subnet-steps from which on a run keeps a journal without being asked: about a minute on two cores.
const SUBNET_STEPS_MIN: f64 = 5e9;

/// Whether a run is so long that it keeps a journal.
pub(super) fn is_long(scenario: &Scenario) -> bool {
    needs::subnet_steps(scenario) >= SUBNET_STEPS_MIN
}

/// Simulates all paths of a scenario, or those that its journal lacks, and writes all result files but the manifest. Where the time
/// is up or `watch` has seen enough before, `shorten` gives the scenario with so many paths, and the files are those of its run.
///
/// # Errors
/// A journal of another run; an interruption; a failed simulation or write.
pub(super) fn simulate(
    work: &JournaledWork<'_>,
    target: &RunDirectory,
    mut watch: Option<&mut Watch<'_>>,
    shorten: impl FnOnce(u64) -> anyhow::Result<Scenario>,
) -> anyhow::Result<(Simulated, Option<Scenario>)> {
    let mut reduction = Reduction::start(work.scenario, target)?;
    let journal = target.journal();
    let foreign = || OutputError::Journal { path: journal.clone(), problem: "counts other subnets".to_owned() };
    let take = |block: PathBlock| {
        let has_enough = watch.as_mut().is_some_and(|watch| watch(&block));
        let is_of_run = reduction.push_block(block)?;
        let flow = if has_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        is_of_run.then_some(flow).ok_or_else(foreign)
    };
    let progress = work.run(&journal, take)?;
    drop(progress.journal);
    let (paths, seconds) = (progress.paths, progress.seconds);
    if progress.end == work.scenario.paths {
        return Ok((Simulated { reduced: reduction.finish(target, work.machine.threads)?, paths, seconds }, None));
    }
    drop(reduction);
    let shorter = shorten(progress.end)?;
    let mut reduction = Reduction::start(&shorter, target)?;
    let mut reader = JournalReader::open(&journal)?.ok_or_else(foreign)?;
    while let Some(block) = reader.next_block()? {
        reduction.push_block(block)?;
    }
    Ok((Simulated { reduced: reduction.finish(target, work.machine.threads)?, paths, seconds }, Some(shorter)))
}

/// What looks at blocks of paths as they come, and says when no more are needed.
pub(super) type Watch<'a> = dyn FnMut(&PathBlock) -> bool + 'a;

/// Paths to be simulated with a journal.
pub(super) struct JournaledWork<'a> {
    /// What is simulated.
    pub scenario: &'a Scenario,
    /// Which paths, and of what run.
    pub header: &'a JournalHeader,
    pub machine: &'a Machine,
    pub stop: &'a AtomicBool,
    pub progress: &'a ProgressBar,
    /// When no further block is begun.
    pub deadline: Option<Instant>,
}

/// What came of them.
pub(super) struct Journaled {
    /// The journal with all paths up to `end` in it.
    pub journal: JournalWriter,
    /// The path after the last one.
    pub end: u64,
    /// Paths that were simulated now.
    pub paths: u64,
    /// Wall time of these (s).
    pub seconds: f64,
}

impl JournaledWork<'_> {
    /// Gives `take` the blocks that the journal at `path` holds and then those simulated now, each when it is in the journal, until it
    /// has enough.
    ///
    /// # Errors
    /// A journal of other paths; whatever `take` says; an interruption; a failed simulation or write.
    pub fn run(
        &self,
        path: &Path,
        mut take: impl FnMut(PathBlock) -> Result<ControlFlow<()>, OutputError>,
    ) -> anyhow::Result<Journaled> {
        let (mut journal, first, flow) = self.open(path, &mut take)?;
        let end = if flow.is_break() { first } else { self.header.manifest.end_path };
        let recorder = run::recorder_of(self.scenario).by_batch();
        let mut builder = BlockBuilder::new(BLOCK_PATHS, recorder.plan());
        let mut next = first;
        let mut keep = |block: PathBlock| {
            journal.append(&block)?;
            next = block.end();
            take(block)
        };
        let (mut refused, mut is_enough) = (None, false);
        let consume = |batch: BatchRecord| {
            self.progress.inc(batch.count as u64);
            match builder.push(batch).map_or(Ok(ControlFlow::Continue(())), &mut keep) {
                Ok(flow) if flow.is_break() || self.is_late() => {
                    is_enough = true;
                    ControlFlow::Break(())
                }
                Ok(_) => ControlFlow::Continue(()),
                Err(error) => {
                    refused = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        let clock = Instant::now();
        let options = self.machine.options(first, end - first);
        let plan = run::plan_of(self.scenario);
        let outcome_of_run =
            engine_run::run(&plan, &options, || recorder.clone().on(options.backend), consume, self.stop);
        let seconds = clock.elapsed().as_secs_f64();
        let kept = match refused {
            Some(error) => Err(error),
            None => builder.take().map_or(Ok(()), |block| keep(block).map(drop)).and_then(|()| journal.sync()),
        };
        let outcome = kept.map_err(anyhow::Error::from);
        let outcome = outcome.and_then(|()| match outcome_of_run {
            Err(error) if !is_enough => Err(self.explain(error, next)),
            _ => Ok(()),
        });
        if outcome.is_err() && next == self.header.manifest.first_path {
            // Nothing is in it.
            let _ = fs::remove_file(path);
        }
        outcome.map(|()| Journaled { journal, end: next, paths: next - first, seconds })
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The journal at `path`, its blocks taken, the first path after them, and whether more are wanted; a new one where there is none.
    fn open(
        &self,
        path: &Path,
        take: &mut impl FnMut(PathBlock) -> Result<ControlFlow<()>, OutputError>,
    ) -> anyhow::Result<(JournalWriter, u64, ControlFlow<()>)> {
        let mut flow = ControlFlow::Continue(());
        let Some(mut reader) = JournalReader::open(path)? else {
            return Ok((JournalWriter::create(path, self.header)?, self.header.manifest.first_path, flow));
        };
        let other = self.header.other_run(reader.header());
        let other = other.or_else(|| (reader.header() != self.header).then(|| "of other paths".to_owned()));
        if let Some(other) = other {
            let directory = path.parent().unwrap_or(path).display();
            return Err(BadInput(format!("{directory} holds an interrupted run {other}: --force starts again")).into());
        }
        while flow.is_continue()
            && let Some(block) = reader.next_block()?
        {
            self.progress.inc(block.record.count as u64);
            flow = take(block)?;
        }
        let next = reader.next_path();
        self.progress.reset_eta();
        Ok((reader.into_writer()?, next, flow))
    }

    fn explain(&self, error: RunError, next: u64) -> anyhow::Error {
        if !matches!(error, RunError::Interrupted) || next == self.header.manifest.first_path {
            return run::explain(error);
        }
        let paths = self.header.paths();
        let (done, all) = (next - paths.start, paths.end - paths.start);
        Interrupted(format!("interrupted; {done} of {all} paths are kept: the same command with --resume goes on"))
            .into()
    }
}
