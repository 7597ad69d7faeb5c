//! `taorisk report`: one HTML page of a finished run.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::cli::error::BadInput;
use crate::cli::replay::FinishedRun;
use crate::cli::story::Story;
use crate::cli::table::Style;
use crate::config::scenario::Overrides;
use crate::config::scenario::Scenario;
use crate::output::error::OutputError;
use crate::output::manifest::Manifest;
use crate::output::read::read_summary;
use crate::output::report;
use crate::output::report::Report;
use crate::output::report::TailStory;
use crate::output::report::WorstPath;
use crate::risk::replay::Replay;
use crate::risk::replay::ReplayPlan;
use crate::risk::replay::StepRow;
use crate::units::BLOCKS_PER_DAY;

/// Extension of the page beside the run directory.
const EXTENSION: &str = ".html";

/// Shown below the help.
pub const EXAMPLES: &str = "\
The page needs no network and no other file: it opens from disk, prints, and can be sent as it is. It is made of the run's files \
alone; the three worst paths are simulated again for their stories, as `taorisk replay` does. It goes beside the run directory, \
which holds nothing but what the run wrote: runs/1a2b3c4d-1 gives runs/1a2b3c4d-1.html.

Examples:
  taorisk report runs/1a2b3c4d-1
  taorisk report runs/1a2b3c4d-1 --book hedged --out hedged.html
  taorisk stress --out stress.csv && taorisk report runs/1a2b3c4d-1 --stress stress.csv
  taorisk liquidity --out exit.csv && taorisk report runs/1a2b3c4d-1 --liquidity exit.csv";

/// Arguments of `report`.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// Run directory
    #[arg(value_name = "RUN")]
    pub run_directory: PathBuf,
    /// Book that the page is about [default: the first]
    #[arg(long, value_name = "NAME")]
    pub book: Option<String>,
    /// Table of `taorisk stress --out`, CSV or Parquet; without it the page has no such section
    #[arg(long, value_name = "FILE")]
    pub stress: Option<PathBuf>,
    /// Table of `taorisk liquidity --out`, CSV or Parquet; without it the page tells only of selling at once
    #[arg(long, value_name = "FILE")]
    pub liquidity: Option<PathBuf>,
    /// The page [default: beside the run directory, RUN.html]
    #[arg(long, value_name = "FILE.html", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Replace a file of that name
    #[arg(long, help_heading = "Output")]
    pub force: bool,
    /// Where the run's snapshot lies now; its content must be the same
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub snapshot: Option<PathBuf>,
    /// Where the run's positions lie now; their content must be the same
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub positions: Option<PathBuf>,
}

/// Writes the page.
///
/// # Errors
/// If there is no finished run, it has no such book, a table is refused, or the page exists or cannot be written.
pub fn report(args: &ReportArgs) -> anyhow::Result<()> {
    let directory = &args.run_directory;
    Manifest::read(directory)?.ok_or_else(|| OutputError::NoRun(directory.clone()))?;
    let out = target(args)?;
    let summary = read_summary(directory)?;
    let book = book_named(&Report::books(&summary), args.book.as_deref())?;
    let mut page = Report::read(directory, &book, summary)?;
    if let Some(file) = &args.stress {
        page.stress = of_book(file, &book, report::read_stress(file)?, |line| &line.book)?;
    }
    if let Some(file) = &args.liquidity {
        page.exit_costs = of_book(file, &book, report::read_exit_costs(file)?, |line| &line.book)?;
    }
    match tail_stories(args, &page) {
        Ok(stories) => page.tail = stories,
        Err(error) => page.tail_note = Some(format!("{error:#}")),
    }
    page.write(&out)?;
    if let Some(note) = &page.tail_note {
        eprintln!("the worst paths are told as recorded only: {note}");
    }
    eprintln!("the report of book {book} is in {}", out.display());
    Ok(())
}

/// The run directory's name with the extension of a page; a name may hold a dot, so nothing of it is replaced.
fn beside(directory: &Path) -> anyhow::Result<PathBuf> {
    let run = match directory.file_name() {
        Some(_) => directory.to_owned(),
        None => directory.canonicalize().context("cannot find the run directory")?,
    };
    let mut name = run.file_name().unwrap_or_default().to_owned();
    name.push(EXTENSION);
    Ok(run.with_file_name(name))
}

/// Where the page goes.
fn target(args: &ReportArgs) -> anyhow::Result<PathBuf> {
    let out = match &args.out {
        Some(out) => out.clone(),
        None => beside(&args.run_directory)?,
    };
    if out.exists() && !args.force {
        let out = out.display();
        Err(BadInput(format!("{out} exists already: name another file with --out, or replace it with --force")))?;
    }
    Ok(out)
}

fn book_named(books: &[&str], name: Option<&str>) -> Result<String, BadInput> {
    let first = books.first().copied();
    let found = name.map_or(first, |name| books.iter().copied().find(|book| *book == name));
    found.map(str::to_owned).ok_or_else(|| {
        BadInput(format!("--book {} (must be one of the run's: {})", name.unwrap_or_default(), books.join(", ")))
    })
}

/// The lines of a table that are about the book; there must be some.
fn of_book<T>(file: &Path, book: &str, lines: Vec<T>, name: impl Fn(&T) -> &str) -> Result<Vec<T>, BadInput> {
    let lines: Vec<T> = lines.into_iter().filter(|line| name(line) == book).collect();
    if lines.is_empty() {
        return Err(BadInput(format!("{} holds no line of book {book}: make it with --book {book}", file.display())));
    }
    Ok(lines)
}

/// Simulates the worst paths again and tells what happened on them.
fn tail_stories(args: &ReportArgs, page: &Report) -> anyhow::Result<Vec<TailStory>> {
    let overrides =
        Overrides { snapshot: args.snapshot.clone(), positions: args.positions.clone(), ..Overrides::default() };
    let run = FinishedRun::open(&args.run_directory, &overrides)?;
    let book = run.book(Some(&page.book))?;
    let kept = ReplayPlan { steps: 0..=run.scenario.horizon_steps, netuids: Vec::new(), states: false, moves: false };
    page.outcomes.worst.iter().map(|worst| tail_story(&run, *worst, book, &kept)).collect()
}

fn tail_story(run: &FinishedRun, path: WorstPath, book: usize, kept: &ReplayPlan) -> anyhow::Result<TailStory> {
    let replay = run.replay(path.path, kept)?;
    run.check_record(path.path, &replay)?;
    let story = Story { scenario: &run.scenario, replay: &replay, path: path.path, book, kept, style: Style::PLAIN };
    Ok(TailStory { path, lines: story.tail_lines(), values: values(&run.scenario, &replay, book) })
}

/// Days from the start and value of the book (TAO, at spot).
fn values(scenario: &Scenario, replay: &Replay, book: usize) -> Vec<(f64, f64)> {
    let days_per_step = scenario.blocks_per_step as f64 / BLOCKS_PER_DAY as f64;
    let opening = replay.openings_tao[book];
    let value = |row: &StepRow| (f64::from(row.step) * days_per_step, opening + row.books[book].pnl_mark_tao);
    replay.steps.iter().map(value).collect()
}
