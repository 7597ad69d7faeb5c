//! `taorisk ingest`: files in the forms that people have, to a canonical snapshot or positions file.

use std::path::Path;
use std::path::PathBuf;

use crate::cli::args::FormChoice;
use crate::cli::args::IngestArgs;
use crate::cli::args::KindChoice;
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
use crate::output::convergence::TableFormat;
use crate::output::table_file;

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
