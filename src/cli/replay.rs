//! `taorisk replay`: one path of a finished run simulated again, and told.

use std::ops::RangeInclusive;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::cli::error::BadInput;
use crate::cli::number::amount;
use crate::cli::print_result;
use crate::cli::run::identity;
use crate::cli::run::labels;
use crate::cli::run::plan_of;
use crate::cli::run::recorder_of;
use crate::cli::story::Story;
use crate::cli::story::WORST_DAYS;
use crate::cli::table::Style;
use crate::config::scenario::InputFile;
use crate::config::scenario::Overrides;
use crate::config::scenario::Scenario;
use crate::engine::plan::Plan;
use crate::engine::record::EventRow;
use crate::engine::unfold::BlockRow;
use crate::output::error::OutputError;
use crate::output::manifest::MANIFEST_FILE;
use crate::output::manifest::Manifest;
use crate::output::read::read_path;
use crate::output::replay::StoryDocument;
use crate::output::replay::write_rows;
use crate::output::schema::BLOCKS;
use crate::output::schema::EVENTS;
use crate::output::schema::SAMPLES;
use crate::risk::recorder::RunRecorder;
use crate::risk::replay;
use crate::risk::replay::Replay;
use crate::risk::replay::ReplayPlan;
use crate::simd::Backend;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;

/// Arguments of `replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Run directory
    #[arg(value_name = "RUN")]
    pub run_directory: PathBuf,
    /// Path to tell of, counted from 0 as in paths.parquet
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub path: i64,
    /// Only these subnets: their flows, events and states by step
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub netuid: Vec<u16>,
    /// Only these days from the start, widened to whole steps; either end may be left out
    #[arg(long, value_name = "FROM..TO", value_parser = day_window)]
    pub days: Option<DayWindow>,
    /// Book whose value is shown [default: the first]
    #[arg(long, value_name = "NAME")]
    pub book: Option<String>,
    /// Print the events only
    #[arg(long, conflicts_with_all = ["json", "blocks"], help_heading = "Output")]
    pub events: bool,
    /// Unfold the steps of --days into blocks for the subnets of --netuid
    #[arg(long, requires_all = ["netuid", "days"], help_heading = "Output")]
    pub blocks: bool,
    /// Print the whole story as one JSON document
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Write Parquet instead of text: states by step as in samples.parquet, with --events the events as in events.parquet,
    /// with --blocks the blocks
    #[arg(long, value_name = "FILE.parquet", conflicts_with = "json", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Where the run's snapshot lies now; its content must be the same
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub snapshot: Option<PathBuf>,
    /// Where the run's positions lie now; their content must be the same
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub positions: Option<PathBuf>,
}

/// Days from the start; an end left out is the start's or the horizon's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DayWindow {
    /// First day.
    pub from: Option<f64>,
    /// Last day.
    pub to: Option<f64>,
}

fn day_window(text: &str) -> Result<DayWindow, String> {
    let day = |text: &str| match text {
        "" => Some(None),
        _ => amount(text).ok().map(Some),
    };
    let days = text.split_once("..").and_then(|(from, to)| day(from).zip(day(to)));
    let (from, to) = days.ok_or("must be FROM..TO in days from the start, such as 10..20, 10.. or ..20")?;
    Ok(DayWindow { from, to })
}

/// Tells the story of one path, as text or JSON to standard output or as Parquet to a file.
///
/// # Errors
/// If there is no finished run, the path is none of its, an input has changed, or this program repeats it otherwise.
pub fn replay(args: &ReplayArgs) -> anyhow::Result<()> {
    let overrides =
        Overrides { snapshot: args.snapshot.clone(), positions: args.positions.clone(), ..Overrides::default() };
    let run = FinishedRun::open(&args.run_directory, &overrides)?;
    let path = run.path(args.path)?;
    let book = run.book(args.book.as_deref())?;
    let kept = ReplayPlan {
        steps: run.steps(args.days.unwrap_or_default())?,
        netuids: run.netuids(&args.netuid)?,
        states: args.json || (!args.events && !args.blocks && (args.out.is_some() || !args.netuid.is_empty())),
        moves: args.blocks,
    };
    let replay = run.replay(path, &kept)?;
    run.check_record(path, &replay)?;
    let blocks = run.unfold(&replay);
    if let Some(file) = &args.out {
        return write(args, file, &run, &replay, &blocks);
    }
    if args.json {
        let document = StoryDocument {
            identity: &identity(&run.scenario),
            labels: &labels(&run.scenario),
            path,
            blocks_per_step: run.scenario.blocks_per_step,
            replay: &replay,
            blocks: &blocks,
            worst_days: WORST_DAYS,
        };
        return print_result(document.to_json().as_bytes());
    }
    let story = Story { scenario: &run.scenario, replay: &replay, path, book, kept: &kept, style: Style::detect() };
    let text = match (args.events, args.blocks) {
        (true, _) => story.events(),
        (_, true) => story.blocks(&blocks),
        _ => story.whole(),
    };
    print_result(text.as_bytes())
}

fn write(
    args: &ReplayArgs,
    file: &Path,
    run: &FinishedRun,
    replay: &Replay,
    blocks: &[BlockRow],
) -> anyhow::Result<()> {
    let identity = identity(&run.scenario);
    let rows = if args.events {
        let events: Vec<EventRow> = replay.events.iter().map(|event| event.row).collect();
        write_rows(file, &EVENTS, &identity, &events)?;
        events.len()
    } else if args.blocks {
        write_rows(file, &BLOCKS, &identity, blocks)?;
        blocks.len()
    } else {
        write_rows(file, &SAMPLES, &identity, &replay.states)?;
        replay.states.len()
    };
    eprintln!("{rows} rows in {}", file.display());
    Ok(())
}

/// A finished run whose paths can be simulated again.
pub struct FinishedRun {
    directory: PathBuf,
    manifest: Manifest,
    /// The scenario of its manifest.
    pub scenario: Scenario,
    plan: Plan,
    recorder: RunRecorder,
}

impl FinishedRun {
    /// Reads the manifest in `directory` and the inputs that it names, or those of `overrides`.
    ///
    /// # Errors
    /// If there is no finished run, an input has changed, or this program makes another scenario of it.
    pub fn open(directory: &Path, overrides: &Overrides) -> anyhow::Result<Self> {
        let manifest = Manifest::read(directory)?.ok_or_else(|| OutputError::NoRun(directory.to_owned()))?;
        let name = directory.join(MANIFEST_FILE).display().to_string();
        let scenario = Scenario::from_json(&name, &manifest.scenario, overrides).with_context(|| {
            format!(
                "cannot repeat the run in {}, made by {} (--snapshot and --positions name inputs that have moved)",
                directory.display(),
                maker(&manifest)
            )
        })?;
        check_input(&manifest, "snapshot", &scenario.snapshot_file, directory)?;
        check_input(&manifest, "positions", &scenario.positions_file, directory)?;
        if (scenario.hash(), scenario.seed) != (&manifest.scenario_hash, manifest.seed) {
            Err(BadInput(format!(
                "the scenario of {} has hash {} here, but {} when {} simulated it: replay it with that version",
                directory.display(),
                short(scenario.hash()),
                short(&manifest.scenario_hash),
                maker(&manifest)
            )))?;
        }
        let (plan, recorder) = (plan_of(&scenario), recorder_of(&scenario));
        Ok(Self { directory: directory.to_owned(), manifest, scenario, plan, recorder })
    }

    /// The story of path `path`.
    ///
    /// # Errors
    /// If the path is unsound, as it then was in the run.
    pub fn replay(&self, path: u64, kept: &ReplayPlan) -> anyhow::Result<Replay> {
        Ok(replay::replay(&self.plan, path, Backend::detect(), kept, &self.recorder)?)
    }

    /// The kept steps of a story, block by block.
    pub fn unfold(&self, replay: &Replay) -> Vec<BlockRow> {
        replay.moves.iter().flat_map(|step| step.unfold(&self.scenario.protocol)).collect()
    }

    /// Compares a story's outcomes with those that the run recorded.
    pub(super) fn check_record(&self, path: u64, replay: &Replay) -> anyhow::Result<()> {
        let (books, horizons) = (self.scenario.books.len(), self.scenario.report_horizons.len());
        let recorded = read_path(&self.directory, path - self.manifest.first_path, books, horizons)?;
        if recorded == replay.horizons {
            return Ok(());
        }
        Err(BadInput(format!(
            "path {path} comes out otherwise than {} recorded it: {} made that run, replay it with that version",
            self.directory.display(),
            maker(&self.manifest)
        )))?
    }

    fn path(&self, path: i64) -> Result<u64, BadInput> {
        let Manifest { first_path, end_path, .. } = self.manifest;
        let asked = u64::try_from(path).ok().filter(|path| (first_path..end_path).contains(path));
        asked.ok_or_else(|| {
            let run = self.directory.display();
            BadInput(format!("--path {path} (must be from {first_path} to {}, the paths of {run})", end_path - 1))
        })
    }

    pub(super) fn book(&self, name: Option<&str>) -> Result<usize, BadInput> {
        let Some(name) = name else { return Ok(0) };
        let books = &self.scenario.books;
        books.iter().position(|book| book.name == name).ok_or_else(|| {
            let names: Vec<&str> = books.iter().map(|book| book.name.as_str()).collect();
            BadInput(format!("--book {name} (must be one of the run's: {})", names.join(", ")))
        })
    }

    fn netuids(&self, named: &[u16]) -> Result<Vec<NetUid>, BadInput> {
        let slots = self.scenario.slots_max();
        match named.iter().find(|netuid| !(1..=slots).contains(&usize::from(**netuid))) {
            Some(netuid) => {
                Err(BadInput(format!("--netuid {netuid} (must be from 1 to {slots}, the slots of this run)")))
            }
            None => Ok(named.iter().map(|&netuid| NetUid(netuid)).collect()),
        }
    }

    /// The whole steps that `window` touches.
    fn steps(&self, window: DayWindow) -> Result<RangeInclusive<u32>, BadInput> {
        let horizon = self.scenario.horizon_days();
        let (from, to) = (window.from.unwrap_or(0.0), window.to.unwrap_or(horizon));
        if !(from < to && to <= horizon) {
            return Err(BadInput(format!("--days {from}..{to} (must be FROM..TO with 0 <= FROM < TO <= {horizon})")));
        }
        let steps_per_day = BLOCKS_PER_DAY as f64 / self.scenario.blocks_per_step as f64;
        let (first, last) = ((from * steps_per_day).floor() as u32, (to * steps_per_day).ceil() as u32);
        Ok(first..=last.min(self.scenario.horizon_steps))
    }
}

fn check_input(manifest: &Manifest, role: &str, found: &InputFile, directory: &Path) -> Result<(), BadInput> {
    let recorded = manifest.inputs.get(role).map_or("none", String::as_str);
    if recorded == found.sha256 {
        return Ok(());
    }
    Err(BadInput(format!(
        "{} is not the {role} of the run in {}: its SHA-256 is {}, the run's {}; name the right file with --{role}",
        found.name,
        directory.display(),
        short(&found.sha256),
        short(recorded)
    )))
}

/// The program that made a run.
fn maker(manifest: &Manifest) -> String {
    format!("taorisk {} (commit {})", manifest.version, short(&manifest.commit))
}

/// The first digits of a hash.
fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}
