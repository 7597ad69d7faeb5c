//! `taorisk summarize`: the risk table again, from the files of a run.

use std::fs;
use std::io;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use anyhow::Result;

use crate::cli::attribution_table::attribution_text;
use crate::cli::credit_table::credit_text;
use crate::cli::detail::detail_text;
use crate::cli::method_line::method_line;
use crate::cli::revenue::revenue_table;
use crate::cli::table::Style;
use crate::cli::table::risk_table;
use crate::output::error::OutputError;
use crate::output::manifest::Manifest;
use crate::output::read::read_attribution;
use crate::output::read::read_credit;
use crate::output::read::read_deregistration_risk;
use crate::output::read::read_revenue;
use crate::output::read::read_summary;
use crate::output::summary::SUMMARY_JSON_FILE;

/// What follows the first page where more was not asked for.
const MORE: &str = "--detail shows more: further measures, what each position adds, deregistration as credit.\n";

/// What is printed of a finished run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// The first page.
    Table,
    /// That, the further measures, what each position adds, and deregistration as credit.
    Detail,
    /// All rows of the summary as JSON.
    Json,
}

impl Show {
    /// What flags ask for; JSON has all anyway.
    pub fn asked(json: bool, detail: bool) -> Self {
        match (json, detail) {
            (true, _) => Self::Json,
            (false, true) => Self::Detail,
            (false, false) => Self::Table,
        }
    }
}

/// Prints the table of the finished run in `directory`, or what else is asked for, to standard output.
///
/// # Errors
/// If there is no finished run, or a file of it is missing, damaged or foreign; an [`OutputError`] is in the chain.
pub fn summarize(directory: &Path, show: Show) -> Result<()> {
    let text = summary_text(directory, show, Style::detect())?;
    match io::stdout().write_all(text.as_bytes()) {
        // The reader, such as `head`, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot print the table"),
    }
}

/// What [`summarize`] prints.
///
/// # Errors
/// As [`summarize`].
pub fn summary_text(directory: &Path, show: Show, style: Style) -> Result<String> {
    let manifest = Manifest::read(directory)?.ok_or_else(|| OutputError::NoRun(directory.to_owned()))?;
    if show == Show::Json {
        let path = directory.join(SUMMARY_JSON_FILE);
        return fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()));
    }
    let summary = read_summary(directory)?;
    let risks = risk_table(&summary, &read_deregistration_risk(directory)?, style);
    let method = style.dim(&method_line(manifest.method(), &summary));
    let first_page = risks + &revenue_table(&read_revenue(directory)?, style) + "\n" + &method + "\n";
    if show == Show::Table {
        return Ok(first_page + &style.dim(MORE));
    }
    let attribution = attribution_text(&read_attribution(directory)?, style);
    let credit = credit_text(&read_credit(directory)?, style);
    Ok(first_page + &detail_text(&summary, style) + &attribution + &credit)
}
