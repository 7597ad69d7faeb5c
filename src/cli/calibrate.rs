//! `taorisk calibrate`: parameters from a history, with their errors, as a file that scenarios read.

use std::fmt::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;

use crate::calibration::calibrate;
use crate::calibration::calibrate::Calibration;
use crate::calibration::calibrate::CalibrationOptions;
use crate::calibration::calibrate::Figure;
use crate::calibration::flow_law::FitError;
use crate::calibration::flow_law::FitOptions;
use crate::calibration::flow_law::SIMULATIONS_MIN;
use crate::calibration::flow_law::SubnetBehaviour;
use crate::calibration::organic::DroppedIntervals;
use crate::cli::error::BadInput;
use crate::cli::history::HistoryArgs;
use crate::cli::print_result;
use crate::cli::run;
use crate::config::scenario::Overrides;
use crate::config::scenario::Scenario;
use crate::input::document::Document;
use crate::input::history::HistoryDocuments;
use crate::input::history::HistoryReport;
use crate::input::snapshot::Snapshot;
use crate::output::calibration;
use crate::output::calibration::CalibrationInput;
use crate::output::calibration::Provenance;
use crate::output::hash;
use crate::protocol::calendar;

/// Shown below the help.
pub const EXAMPLES: &str = "\
A history is CSV (also gzip) or Parquet with a row per subnet and day and the columns
  netuid, registration_block, block         the subnet, and when
  price, tao_in, alpha_in, alpha_out        TAO per alpha; reserves and alpha outside the pool (tokens, not rao)
  moving_price, emission_tao_per_block, ema_tao_inflow_per_block, miner_burned_fraction, startup,
  net_trade_flow_tao                        optional; what they say where they are known
Without one, the history built into the program is read: 2025-02-14 to 2026-05-20, registrations to 2026-09-26.
Registrations have netuid, registration_block, lock_cost_tao, replaced_registration_block; closing rates date and close;
root stake block and root_stake_tao.

Examples:
  taorisk calibrate                                        from the built-in history, into the directory calibration
  taorisk calibrate panel.parquet --registrations regs.csv --tao-usd closes.csv --out parameters
  taorisk calibrate --from 2025-11-24 --to 2026-03-17 --rules 2026-01-01 --out taoflow
  taorisk run --parameters calibration/calibrated.toml     a run with what was estimated";

/// Arguments of `calibrate`.
#[derive(Clone, Debug, Args)]
pub struct CalibrateArgs {
    /// What is estimated from.
    #[command(flatten)]
    pub history: HistoryArgs,
    /// Parameters that hold where the history is silent, a file as `calibrate` writes it [default: those built in]
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub parameters: Option<PathBuf>,
    /// First day of flows and closing rates [default: 2025-07-01 and 2025-02-13]
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub from: Option<i64>,
    /// Last day of all
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub to: Option<i64>,
    /// Day whose way of sharing the emission the drift of flows is to be of [default: today's]
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub rules: Option<i64>,
    /// Simulated panels behind the errors of the flow law
    #[arg(long, value_name = "N", default_value_t = FitOptions::default().simulations)]
    pub simulations: usize,
    /// Seed of these panels
    #[arg(long, value_name = "N", default_value_t = FitOptions::default().seed)]
    pub seed: u64,
    /// Worker threads [default: one per core]; results do not depend on it
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Directory for the parameter file and the diagnostics
    #[arg(long, value_name = "DIR", default_value = "calibration", help_heading = "Output")]
    pub out: PathBuf,
    /// Write scale and loading of single subnets into the parameter file too: of those that the snapshot has
    #[arg(long, help_heading = "Output")]
    pub subnets: bool,
    /// Chain snapshot whose subnets these are, CSV or Parquet [default: the built-in one]
    #[arg(long, value_name = "FILE", requires = "subnets", help_heading = "Inputs")]
    pub snapshot: Option<PathBuf>,
    /// Overwrite the files of an earlier calibration
    #[arg(long, help_heading = "Output")]
    pub force: bool,
    /// Print the estimates as JSON to standard output instead of the table
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// No remarks; results and errors only
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
}

fn day(text: &str) -> Result<i64, String> {
    calendar::parse_day(text).ok_or_else(|| "must be a date such as 2025-11-24".to_owned())
}

impl CalibrateArgs {
    fn options(&self) -> Result<CalibrationOptions, BadInput> {
        if self.simulations < SIMULATIONS_MIN {
            let found = self.simulations;
            return Err(BadInput(format!("--simulations = {found} (must be at least {SIMULATIONS_MIN})")));
        }
        if self.from.zip(self.to).is_some_and(|(from, to)| from > to) {
            return Err(BadInput("--from is after --to: name a day not after it".to_owned()));
        }
        let end = |day: Option<i64>| day.map_or(u64::MAX, |day| calendar::block_of_day(day + 1) - 1);
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, usize::from);
        Ok(CalibrationOptions {
            from_block: self.from.map(calendar::block_of_day),
            to_block: end(self.to),
            rules_block: end(self.rules),
            fit: FitOptions { seed: self.seed, simulations: self.simulations, threads },
        })
    }
}

/// Reads a history, estimates, writes the files and prints the table.
///
/// # Errors
/// Flags, files or rows that are refused, a history too short for a flow law, or files of an earlier calibration without
/// `--force`; then nothing is written.
pub fn calibrate(args: &CalibrateArgs) -> anyhow::Result<()> {
    let options = args.options()?;
    refuse_existing(&args.out, args.force)?;
    let scenario = Scenario::load(None, &Overrides { parameters: args.parameters.clone(), ..Overrides::default() })?;
    let snapshot = Snapshot::read(&args.snapshot.as_deref().map_or(Ok(Snapshot::embedded()), Document::open)?)?;
    let documents = args.history.documents()?;
    let (history, report) = documents.read()?;
    let calibration = calibrate::calibrate(&history, &scenario.model, &options).map_err(|error| match error {
        FitError::Threads(_) => anyhow::Error::new(error),
        _ => BadInput(format!("{}: {error}", documents.observations.name)).into(),
    })?;
    let mut provenance = provenance(&calibration, &options, &documents);
    let parameters = scenario.parameters_file.iter();
    provenance.inputs.extend(parameters.map(|file| CalibrationInput {
        role: "parameters",
        file: file.name.clone(),
        sha256: file.sha256.clone(),
    }));
    provenance.notes = notes(&calibration, &report);
    let subnets = if args.subnets { present(&calibration, &snapshot) } else { Vec::new() };
    calibration::write(&args.out, &calibration, &provenance, &subnets)?;
    let text = if args.json { calibration::json(&calibration, &provenance) } else { table(&calibration, &provenance) };
    print_result(text.as_bytes())?;
    run::remark(args.quiet, &format!("wrote {} to {}", calibration::FILES.join(", "), args.out.display()));
    Ok(())
}

/// What is known of the subnets that the snapshot has; of others a scenario could not be told.
fn present(calibration: &Calibration, snapshot: &Snapshot) -> Vec<SubnetBehaviour> {
    let is_present = |seen: &&SubnetBehaviour| {
        let key = (seen.subnet.netuid.0, seen.subnet.registered_at);
        snapshot.subnets.iter().any(|row| (row.netuid, row.registration_block) == key)
    };
    calibration.subnets.iter().filter(is_present).copied().collect()
}

fn refuse_existing(directory: &Path, force: bool) -> Result<(), BadInput> {
    let existing = calibration::FILES.into_iter().find(|name| directory.join(name).exists());
    match existing {
        Some(name) if !force => {
            let path = directory.join(name);
            Err(BadInput(format!("{} exists already; --force overwrites it, or name another --out", path.display())))
        }
        _ => Ok(()),
    }
}

fn provenance(calibration: &Calibration, options: &CalibrationOptions, documents: &HistoryDocuments) -> Provenance {
    let others = [
        ("registrations", &documents.registrations),
        ("tao_usd", &documents.tao_usd),
        ("root_stake", &documents.root_stake),
    ];
    let others = others.into_iter().filter_map(|(role, document)| Some((role, document.as_ref()?)));
    let input = |(role, document): (&'static str, &Document)| CalibrationInput {
        role,
        file: document.name.clone(),
        sha256: hash::sha256_hex(&document.bytes),
    };
    let seen = &calibration.diagnostics;
    Provenance {
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        inputs: [("history", &documents.observations)].into_iter().chain(others).map(input).collect(),
        flows: [calibration.first_day, calibration.last_day].map(calendar::date_text),
        rows: seen.rows,
        days: seen.days,
        subnets: seen.subnets,
        seed: options.fit.seed,
        simulations: options.fit.simulations,
        notes: Vec::new(),
    }
}

/// What was dropped and why, what was not estimated.
fn notes(calibration: &Calibration, report: &HistoryReport) -> Vec<String> {
    let HistoryReport { rows, repeated, startup, empty_pools, subnets, short_subnets, gaps, computed_flows } = report;
    let DroppedIntervals { window, length, startup: starting, reserve, age, flow } = &calibration.dropped;
    let mut notes = vec![
        format!(
            "history: {rows} rows of {subnets} subnets ({short_subnets} seen over less than 14 days); {repeated} repeated rows \
             dropped; {startup} rows of start-up, {empty_pools} of them without a pool; {gaps} gaps of more than 1.3 days; \
             {computed_flows} flows computed from reserves"
        ),
        format!(
            "intervals that are no rows: {window} outside the window, {length} shorter than 0.7 or longer than 1.3 days, \
             {starting} of start-up, {reserve} of pools up to 100 TAO, {age} younger than 14 days, {flow} without a flow"
        ),
    ];
    notes.extend(calibration.notes.iter().cloned());
    notes
}

/// Width of the keys, of a number.
const KEY_WIDTH: usize = 44;
const NUMBER_WIDTH: usize = 11;

/// The estimates as a table, then the notes.
fn table(calibration: &Calibration, provenance: &Provenance) -> String {
    let [from, to] = &provenance.flows;
    let mut text = format!(
        "flows {from} to {to}: {} rows, {} subnets, {} days\n\n{:KEY_WIDTH$}{:>NUMBER_WIDTH$}{:>NUMBER_WIDTH$}\
         {:>NUMBER_WIDTH$}{:>6}  method\n",
        provenance.rows, provenance.subnets, provenance.days, "key", "estimate", "s.e.", "default", "z"
    );
    for figure in calibration.figures.iter().filter(|figure| figure.used) {
        push_figure(&mut text, figure);
    }
    text.push_str("\nestimated, not used:\n");
    for figure in calibration.figures.iter().filter(|figure| !figure.used) {
        push_figure(&mut text, figure);
    }
    text.push('\n');
    for note in &provenance.notes {
        let _ = writeln!(text, "{note}");
    }
    text
}

fn push_figure(text: &mut String, figure: &Figure) {
    let Figure { key, value, standard_error, prior, method, .. } = figure;
    let [value, standard_error, prior] = [*value, *standard_error, *prior].map(digits);
    let _ = writeln!(
        text,
        "{key:KEY_WIDTH$}{value:>NUMBER_WIDTH$}{standard_error:>NUMBER_WIDTH$}{prior:>NUMBER_WIDTH$}{:>6.1}  {method}",
        figure.z()
    );
}

/// A number with four significant digits, without an exponent.
fn digits(value: f64) -> String {
    let decimals = if value == 0.0 { 0.0 } else { (3.0 - value.abs().log10().floor()).clamp(0.0, 7.0) };
    format!("{value:.*}", decimals as usize)
}
