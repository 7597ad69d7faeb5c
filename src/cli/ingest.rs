//! `taorisk ingest`: files in the forms that people have, to a canonical snapshot or positions file.

use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;

use crate::cli::error::BadInput;
use crate::cli::print_result;
use crate::input::document::Document;
use crate::input::ingest;
use crate::input::ingest::Ingested;
use crate::input::ingest::Request;
use crate::input::ingest::forms::Form;
use crate::input::ingest::forms::IngestKind;
use crate::input::ingest::mapping::Mapping;
use crate::input::snapshot::Snapshot;
use crate::output::table_file;
use crate::output::table_file::TableFormat;

/// Shown below the help.
pub const EXAMPLES: &str = "\
Forms: taostats (answers of dtao/pool/latest, subnet/latest, dtao/stake_balance/latest), btcli (subnets list and stake \
list with --json-output), sdk (dumps of DynamicInfo and StakeInfo), table (CSV, Parquet or JSON with canonical names). \
Several files are joined by netuid; what an earlier one says goes before what a later one says. Amounts in rao become \
tokens. What no file gives comes from --base (of the same subnet: names, registrations, burned and protocol-owned alpha, \
miner_burned_fraction, emission_enabled; never reserves, prices or stakes) or from a constant in --mapping; else the files \
are refused. The report counts, column by column, what was read, converted, computed, filled and dropped.

A mapping is TOML:
  [columns]                                       # canonical column = where it comes from
  netuid = \"id\"                                  # a field alone
  tao_in = { field = \"pool.tao\", unit = \"rao\" }  # unit: rao or token
  emission_enabled = { constant = true }          # for rows that nothing else fills

Examples:
  taorisk ingest pools.json subnets.json --base embedded --out now.csv
  btcli subnets list --json-output > list.json && taorisk ingest list.json --block 9300000 --base now.csv
  taorisk ingest balances.json --base now.csv --out book.csv     stakes of a wallet, added up by netuid
  taorisk ingest export.parquet --kind positions --mapping my.toml --out book.csv
  taorisk run --snapshot now.csv --positions book.csv";

/// Arguments of `ingest`.
#[derive(Clone, Debug, Args)]
pub struct IngestArgs {
    /// Files to read: JSON, CSV or Parquet
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// What to make [default: found from the fields]
    #[arg(long, value_name = "KIND")]
    pub kind: Option<KindChoice>,
    /// Who wrote the files [default: found from the fields of each]
    #[arg(long, value_name = "FORM")]
    pub form: Option<FormChoice>,
    /// Where columns come from (TOML), before what the form says
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// Block of a snapshot whose files do not say it
    #[arg(long, value_name = "N")]
    pub block: Option<u64>,
    /// Snapshot that fills what the files lack, and that positions are checked against; `embedded` is the built-in one
    #[arg(long, value_name = "SNAPSHOT")]
    pub base: Option<PathBuf>,
    /// File to write, CSV or Parquet by its extension [default: snapshot-BLOCK.csv or positions.csv]
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Replace a file that exists
    #[arg(long, help_heading = "Output")]
    pub force: bool,
    /// Print the report as JSON to standard output
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// No report; errors only
    #[arg(long, short, conflicts_with = "json", help_heading = "Output")]
    pub quiet: bool,
}

/// What a file is made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindChoice {
    /// The chain at one block
    Snapshot,
    /// What a fund holds
    Positions,
}

/// Who wrote a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormChoice {
    /// The API of taostats
    Taostats,
    /// The command line of Bittensor
    Btcli,
    /// The Python library of Bittensor
    Sdk,
    /// Canonical names, or a mapping
    Table,
}

/// The word that selects the built-in snapshot in place of a path.
const EMBEDDED: &str = "embedded";

/// Makes the canonical file and tells what became of the given ones.
///
/// # Errors
/// Files that are refused, a file that exists without `--force`, or what the system says; then nothing is written.
pub fn ingest(args: &IngestArgs) -> anyhow::Result<()> {
    let documents = args.files.iter().map(|path| Document::open(path)).collect::<Result<Vec<_>, _>>()?;
    let mapping = args.mapping.as_deref().map(|path| Mapping::read(&Document::open(path)?)).transpose()?;
    let base = args.base.as_deref().map(read_base).transpose()?;
    let request = Request {
        kind: args.kind.map(kind),
        form: args.form.map(form),
        mapping: mapping.as_ref(),
        block: args.block,
        base: base.as_ref(),
    };
    let ingested = ingest::ingest(&documents, &request)?;
    let out = args.out.clone().unwrap_or_else(|| default_name(&ingested));
    let format = format_of(&out, args)?;
    // Positions must be in a snapshot: the one they will be used with, where it is given.
    let snapshot = match base {
        Some(base) => base,
        None => Snapshot::read(&Snapshot::embedded())?,
    };
    table_file::write::<anyhow::Error>(&out, format, &ingested.table, |partial| {
        let written = Document { name: out.display().to_string(), ..Document::open(partial)? };
        ingested.check(&written, &snapshot).map_err(|error| with_hint(error.into(), &ingested, args))
    })?;
    if args.json {
        return print_result(ingested.report.to_json().as_bytes());
    }
    if !args.quiet {
        eprintln!("{}wrote     {}", ingested.report.to_text(), out.display());
    }
    Ok(())
}

fn read_base(path: &Path) -> anyhow::Result<Snapshot> {
    let document = if path == Path::new(EMBEDDED) { Snapshot::embedded() } else { Document::open(path)? };
    Ok(Snapshot::read(&document)?)
}

fn default_name(ingested: &Ingested) -> PathBuf {
    match ingested.report.block {
        Some(block) => format!("snapshot-{block}.csv").into(),
        None => "positions.csv".into(),
    }
}

fn format_of(out: &Path, args: &IngestArgs) -> anyhow::Result<TableFormat> {
    let Some(format) = TableFormat::of(out) else {
        let problem = format!("--out {}: no .csv and no .parquet, so its format is not known", out.display());
        return Err(BadInput(problem).into());
    };
    if !args.force && out.try_exists()? {
        let problem = format!("{} exists already; --force replaces it, or name another with --out", out.display());
        return Err(BadInput(problem).into());
    }
    Ok(format)
}

/// Positions that do not fit a snapshot that nobody asked for.
fn with_hint(error: anyhow::Error, ingested: &Ingested, args: &IngestArgs) -> anyhow::Error {
    match (ingested.kind, &args.base) {
        (IngestKind::Positions, None) => error
            .context("the positions do not fit the built-in snapshot; name the one they are for with --base SNAPSHOT"),
        _ => error,
    }
}

fn kind(choice: KindChoice) -> IngestKind {
    match choice {
        KindChoice::Snapshot => IngestKind::Snapshot,
        KindChoice::Positions => IngestKind::Positions,
    }
}

fn form(choice: FormChoice) -> Form {
    match choice {
        FormChoice::Taostats => Form::Taostats,
        FormChoice::Btcli => Form::Btcli,
        FormChoice::Sdk => Form::Sdk,
        FormChoice::Table => Form::Table,
    }
}

#[cfg(test)]
mod tests {
    use crate::input::ingest::report::ColumnReport;
    use crate::input::ingest::report::FileReport;
    use crate::input::ingest::report::Report;
    use crate::output::schema::documents::check::assert_documented;

    #[test]
    fn the_report_has_the_keys_of_the_list() {
        let file = FileReport { file: String::new(), form: "", records: 1, unused_fields: Vec::new() };
        let report = Report { files: vec![file], columns: vec![ColumnReport::default()], ..Report::default() };
        assert_documented("taorisk ingest --json", &report.to_json());
    }
}
