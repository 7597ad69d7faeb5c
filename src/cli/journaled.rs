//! Simulations that keep a journal: stopped at any moment, they go on from their last whole block of paths.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use indicatif::ProgressBar;

use crate::cli::error::BadInput;
use crate::cli::error::Interrupted;
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
const BLOCK_PATHS: usize = 2_048;
/// Subnet-steps from which on a run keeps a journal without being asked: about a minute on two cores.
const SUBNET_STEPS_MIN: f64 = 5e9;

/// Whether a run is so long that it keeps a journal.
pub(super) fn is_long(scenario: &Scenario) -> bool {
    let steps = scenario.paths as f64 * f64::from(scenario.horizon_steps);
    steps * scenario.start.subnets.len() as f64 >= SUBNET_STEPS_MIN
}

/// Simulates all paths of a scenario, or those that its journal lacks, and writes all result files but the manifest.
///
/// # Errors
/// A journal of another run; an interruption; a failed simulation or write.
pub(super) fn simulate(work: &JournaledWork<'_>, target: &RunDirectory) -> anyhow::Result<Simulated> {
    let mut reduction = Reduction::start(work.scenario, target)?;
    let journal = target.journal();
    let foreign = || OutputError::Journal { path: journal.clone(), problem: "counts other subnets".to_owned() };
    let progress = work.run(&journal, |block| if reduction.push_block(block)? { Ok(()) } else { Err(foreign()) })?;
    drop(progress.journal);
    Ok(Simulated { result_hash: reduction.finish(target)?, paths: progress.paths, seconds: progress.seconds })
}

/// Paths to be simulated with a journal.
pub(super) struct JournaledWork<'a> {
    /// What is simulated.
    pub scenario: &'a Scenario,
    /// Which paths, and of what run.
    pub header: &'a JournalHeader,
    pub machine: &'a Machine,
    pub stop: &'a AtomicBool,
    pub progress: &'a ProgressBar,
}

/// What came of them.
pub(super) struct Journaled {
    /// The journal with all paths in it.
    pub journal: JournalWriter,
    /// Paths that were simulated now.
    pub paths: u64,
    /// Wall time of these (s).
    pub seconds: f64,
}

impl JournaledWork<'_> {
    /// Gives `take` the blocks that the journal at `path` holds and then those simulated now, each when it is in the journal.
    ///
    /// # Errors
    /// A journal of other paths; whatever `take` says; an interruption; a failed simulation or write.
    pub fn run(
        &self,
        path: &Path,
        mut take: impl FnMut(PathBlock) -> Result<(), OutputError>,
    ) -> anyhow::Result<Journaled> {
        let (mut journal, first) = self.open(path, &mut take)?;
        let end = self.header.manifest.end_path;
        let recorder = run::recorder_of(self.scenario).by_batch();
        let mut builder = BlockBuilder::new(BLOCK_PATHS, recorder.plan());
        let mut next = first;
        let mut keep = |block: PathBlock| {
            journal.append(&block)?;
            next = block.end();
            take(block)
        };
        let mut refused = None;
        let consume = |batch: BatchRecord| {
            self.progress.inc(batch.count as u64);
            match builder.push(batch).map_or(Ok(()), &mut keep) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    refused = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        let clock = Instant::now();
        let options = self.machine.options(first, end - first);
        let plan = run::plan_of(self.scenario);
        let outcome_of_run = engine_run::run(&plan, &options, || recorder.clone(), consume, self.stop);
        let seconds = clock.elapsed().as_secs_f64();
        let kept = match refused {
            Some(error) => Err(error),
            None => builder.take().map_or(Ok(()), keep).and_then(|()| journal.sync()),
        };
        let outcome = kept.map_err(anyhow::Error::from);
        let outcome = outcome.and_then(|()| outcome_of_run.map(drop).map_err(|error| self.explain(error, next)));
        if outcome.is_err() && next == self.header.manifest.first_path {
            // Nothing is in it.
            let _ = fs::remove_file(path);
        }
        outcome.map(|()| Journaled { journal, paths: end - first, seconds })
    }

    /// The journal at `path`, its blocks taken, and the first path that it lacks; a new one where there is none.
    fn open(
        &self,
        path: &Path,
        take: &mut impl FnMut(PathBlock) -> Result<(), OutputError>,
    ) -> anyhow::Result<(JournalWriter, u64)> {
        let Some(mut reader) = JournalReader::open(path)? else {
            return Ok((JournalWriter::create(path, self.header)?, self.header.manifest.first_path));
        };
        let other = self.header.other_run(reader.header());
        let other = other.or_else(|| (reader.header() != self.header).then(|| "of other paths".to_owned()));
        if let Some(other) = other {
            let directory = path.parent().unwrap_or(path).display();
            return Err(BadInput(format!("{directory} holds an interrupted run {other}: --force starts again")).into());
        }
        while let Some(block) = reader.next_block()? {
            self.progress.inc(block.record.count as u64);
            take(block)?;
        }
        let next = reader.next_path();
        self.progress.reset_eta();
        Ok((reader.into_writer()?, next))
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
