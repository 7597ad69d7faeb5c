//! `taorisk run --shard` and `taorisk merge`: parts of a run on machines that share nothing, and the run made of them.

use std::fs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Display;
use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::Context;
use clap::Args;

use crate::cli::args::RunArgs;
use crate::cli::error::BadInput;
use crate::cli::journaled::JournaledWork;
use crate::cli::needs;
use crate::cli::reduction::Reduced;
use crate::cli::reduction::Reduction;
use crate::cli::run;
use crate::cli::run::Machine;
use crate::cli::run::RunClock;
use crate::cli::run::Simulated;
use crate::cli::summarize::Show;
use crate::cli::summarize::summarize;
use crate::config::estimator::Estimator;
use crate::config::scenario::Overrides;
use crate::config::scenario::Scenario;
use crate::output::error::OutputError;
use crate::output::journal::JournalHeader;
use crate::output::journal::JournalReader;
use crate::output::run_dir::RunDirectory;
use crate::risk::recorder::PathBlock;

/// Help below that of the flags of `merge`.
pub(super) const EXAMPLES: &str = "\
The shards are all of one run, made by the same program: taorisk run --shard 1/4, 2/4, 3/4, 4/4. None may be missing, twice \
there, damaged or of another scenario or seed. The run made of them has the files of a single run, byte for byte.

Examples:
  taorisk run my/scenario.toml --shard 1/4 --out parts      on four machines, with 1/4 to 4/4
  taorisk merge parts/shard-*                               into runs/HASH-SEED
  taorisk merge parts/shard-* --out my-run --json > table.json";

/// Arguments of `merge`.
#[derive(Clone, Debug, Args)]
pub struct MergeArgs {
    /// Directories of all the shards of a run, in any order
    #[arg(required = true, value_name = "SHARD")]
    pub shards: Vec<PathBuf>,
    /// Where the snapshot stands now, if not where the shards found it
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,
    /// Where the positions stand now, if not where the shards found them
    #[arg(long, value_name = "FILE")]
    pub positions: Option<PathBuf>,
    /// Directory for the run's files [default: runs/HASH-SEED]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Replace another run that the directory holds
    #[arg(long, help_heading = "Output")]
    pub force: bool,
    /// Print the results as JSON to standard output instead of the table
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// After the table, print the further measures of each book; --json has them anyway
    #[arg(long, help_heading = "Output")]
    pub detail: bool,
    /// No progress bar and no remarks; results and errors only
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
}

/// A part of a run: number `index` of `count`, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, count)| index.parse().ok().zip(count.parse().ok()));
        match numbers {
            Some((index, count)) if 1 <= index && index <= count => Ok(Self { index, count }),
            _ => Err("must be I/N, the shard number I of N, such as 1/4".to_owned()),
        }
    }
}

impl Shard {
    /// Its paths of so many: as even as can be, and none twice.
    fn range(self, paths: u64) -> (u64, u64) {
        let bound = |index: u32| (u128::from(paths) * u128::from(index) / u128::from(self.count)) as u64;
        (bound(self.index - 1), bound(self.index))
    }

    fn directory_name(self) -> String {
        format!("shard-{}-of-{}", self.index, self.count)
    }
}

/// Simulates one shard into a directory of its own; does nothing where that is done.
///
/// # Errors
/// A shard without paths; a directory that holds something else; an interruption; a failed simulation or write.
pub(super) fn run_shard(
    args: &RunArgs,
    scenario: &Scenario,
    shard: Shard,
    machine: &Machine,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let options = &args.options;
    let (first, end) = shard.range(scenario.paths);
    if first == end {
        let problem = format!("--shard {}/{}: more shards than the {} paths", shard.index, shard.count, scenario.paths);
        return Err(BadInput(problem).into());
    }
    let parts = options.out.clone().unwrap_or_else(|| parts_directory(scenario));
    let directory = parts.join(shard.directory_name());
    let header = JournalHeader {
        manifest: run::manifest_of(scenario, first, end, None),
        run_paths: scenario.paths,
        shard: Some((shard.index, shard.count)),
    };
    let finished = RunDirectory::shard_journal(&directory);
    if options.force && finished.exists() {
        fs::remove_file(&finished).map_err(OutputError::io("remove", &finished))?;
    }
    if is_done(&finished, &header)? {
        run::remark(options.quiet, &format!("{} holds this shard already", directory.display()));
        return Ok(());
    }
    let memory = needs::shard_memory_bytes(scenario, machine.threads);
    needs::check_room(&directory, needs::journal_bytes(scenario, end - first), memory)?;
    let target = run::directory_for(&directory, options)?;
    run::remark(options.quiet, &run::announcement(scenario, end - first, machine, &directory));
    let progress = run::progress_bar(end - first, "paths", options.quiet);
    let work = JournaledWork { scenario, header: &header, machine, stop, progress: &progress, deadline: None };
    let done = work.run(&target.journal(), |_| Ok(ControlFlow::Continue(())));
    progress.finish_and_clear();
    done?.journal.end()?;
    target.finish_shard()?;
    run::remark(options.quiet, &format!("paths {first} to {} are in {}", end - 1, directory.display()));
    Ok(())
}

/// Where the shards of a scenario go by default.
fn parts_directory(scenario: &Scenario) -> PathBuf {
    let run = run::default_directory(scenario);
    run.with_file_name(format!("{}.shards", run.file_name().unwrap_or_default().display()))
}

/// Whether `path` is the whole journal of a shard; another one there is refused.
fn is_done(path: &Path, header: &JournalHeader) -> anyhow::Result<bool> {
    let Some(mut reader) = JournalReader::open(path)? else { return Ok(false) };
    let other = header.other_run(reader.header());
    if let Some(other) = other.or_else(|| (reader.header() != header).then(|| "of other paths".to_owned())) {
        return Err(BadInput(format!("{} is {other}: --force replaces it", path.display())).into());
    }
    while reader.next_block()?.is_some() {}
    if reader.is_whole() { Ok(true) } else { Err(damaged(path).into()) }
}

fn damaged(path: &Path) -> OutputError {
    let problem = "is damaged: run its shard again with --force".to_owned();
    OutputError::Journal { path: path.to_owned(), problem }
}

/// Makes one run of its shards.
///
/// # Errors
/// Shards that are missing, repeated, damaged, not finished or of different runs; a directory that is refused.
pub fn merge(args: &MergeArgs) -> anyhow::Result<()> {
    let clock = RunClock::start();
    let parts = Parts::open(&args.shards)?;
    let scenario = parts.scenario(args)?;
    let directory = args.out.clone().unwrap_or_else(|| run::default_directory(&scenario));
    let show = Show::asked(args.json, args.detail);
    if !args.force && run::holds_this_run(&directory, &scenario, false)? {
        RunDirectory::tidy(&directory);
        run::remark(args.quiet, &format!("{} holds this run already; --force merges it again", directory.display()));
        return summarize(&directory, show);
    }
    let target = RunDirectory::create(&directory, args.force)?;
    let progress = run::progress_bar(scenario.paths, "paths", args.quiet);
    let begun = Instant::now();
    let mut reduction = Reduction::start(&scenario, &target)?;
    for part in &parts.0 {
        part.read(|block| {
            progress.inc(block.record.count as u64);
            reduction.push_block(block)
        })?;
    }
    progress.finish_and_clear();
    // The time is that of putting together, which no figure of merit is for.
    let reduced = Reduced { summary: Vec::new(), ..reduction.finish(&target, 1)? };
    let merged = Simulated { reduced, paths: scenario.paths, seconds: begun.elapsed().as_secs_f64() };
    let machine = Machine::with_threads(Some(NonZeroUsize::MIN));
    clock.finish(target, &scenario, &merged, &machine, Vec::new())?;
    summarize(&directory, show)?;
    let shards = parts.0.len();
    run::remark(args.quiet, &format!("{} paths of {shards} shards; files in {}", scenario.paths, directory.display()));
    Ok(())
}

/// A shard that says it is finished.
struct Part {
    journal: PathBuf,
    header: JournalHeader,
}

impl Part {
    fn open(directory: &Path) -> anyhow::Result<Self> {
        let journal = RunDirectory::shard_journal(directory);
        match JournalReader::open(&journal)? {
            Some(reader) => Ok(Self { header: reader.header().clone(), journal }),
            None if journal.exists() => Err(damaged(&journal).into()),
            None => {
                let problem = "holds no finished shard: run it, or run it again with --resume";
                Err(BadInput(format!("{} {problem}", directory.display())).into())
            }
        }
    }

    /// Gives all its blocks to `take`, which says whether one is of the run.
    fn read(&self, mut take: impl FnMut(PathBlock) -> Result<bool, OutputError>) -> anyhow::Result<()> {
        let mut reader = JournalReader::open(&self.journal)?.ok_or_else(|| damaged(&self.journal))?;
        while let Some(block) = reader.next_block()? {
            if !take(block)? {
                return Err(damaged(&self.journal).into());
            }
        }
        if reader.is_whole() { Ok(()) } else { Err(damaged(&self.journal).into()) }
    }

    fn name(&self) -> Display<'_> {
        self.journal.parent().unwrap_or(&self.journal).display()
    }
}

/// All shards of a run, in the order of their paths.
struct Parts(Vec<Part>);

impl Parts {
    fn open(directories: &[PathBuf]) -> anyhow::Result<Self> {
        let mut parts = directories.iter().map(|path| Part::open(path)).collect::<anyhow::Result<Vec<_>>>()?;
        parts.sort_by_key(|part| part.header.manifest.first_path);
        let first = &parts[0];
        for part in &parts[1..] {
            if let Some(other) = first.header.other_run(&part.header) {
                let problem = format!("{} is {other} as {} is", part.name(), first.name());
                return Err(BadInput(problem).into());
            }
        }
        check_cover(&parts)?;
        Ok(Self(parts))
    }

    fn scenario(&self, args: &MergeArgs) -> anyhow::Result<Scenario> {
        let manifest = &self.0[0].header.manifest;
        let overrides =
            Overrides { snapshot: args.snapshot.clone(), positions: args.positions.clone(), ..Overrides::default() };
        let name = self.0[0].name().to_string();
        let mut scenario = Scenario::from_json(&name, &manifest.scenario, &overrides)
            .with_context(|| format!("the scenario in {name}"))?;
        if scenario.hash() != manifest.scenario_hash {
            return Err(BadInput(format!("{name}: its snapshot or positions file has changed since")).into());
        }
        if manifest.method() == Estimator::Plain.method() {
            // What shards from before `auto` say nothing of.
            scenario.estimator = Estimator::Plain;
        }
        Ok(scenario)
    }
}

/// Whether every path is in one shard.
fn check_cover(parts: &[Part]) -> Result<(), BadInput> {
    let all = parts[0].header.run_paths;
    let mut next = 0;
    for part in parts {
        let paths = part.header.paths();
        if paths.start > next {
            return Err(BadInput(format!("paths {next} to {} are in none of the shards", paths.start - 1)));
        }
        if paths.start < next {
            let problem = format!("path {} is in {} and in the shard before it", paths.start, part.name());
            return Err(BadInput(problem));
        }
        next = paths.end;
    }
    if next < all {
        return Err(BadInput(format!("paths {next} to {} are in none of the shards", all - 1)));
    }
    Ok(())
}
