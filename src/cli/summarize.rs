//! `taorisk summarize`: the risk table again, from the files of a run.

use std::fs;
use std::io;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use anyhow::Result;

use crate::cli::revenue::revenue_table;
use crate::cli::table::Style;
use crate::cli::table::risk_table;
use crate::output::error::OutputError;
use crate::output::manifest::Manifest;
use crate::output::read::read_deregistration_risk;
use crate::output::read::read_revenue;
use crate::output::read::read_summary;
use crate::output::summary::SUMMARY_JSON_FILE;

/// Prints the table of the finished run in `directory`, or with `json` its `summary.json`, to standard output.
///
/// # Errors
/// If there is no finished run, or a file of it is missing, damaged or foreign; an [`OutputError`] is in the chain.
pub fn summarize(directory: &Path, json: bool) -> Result<()> {
    let text = summary_text(directory, json, Style::detect())?;
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
pub fn summary_text(directory: &Path, json: bool, style: Style) -> Result<String> {
    Manifest::read(directory)?.ok_or_else(|| OutputError::NoRun(directory.to_owned()))?;
    if json {
        let path = directory.join(SUMMARY_JSON_FILE);
        return fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()));
    }
    let risks = risk_table(&read_summary(directory)?, &read_deregistration_risk(directory)?, style);
    Ok(risks + &revenue_table(&read_revenue(directory)?, style))
}
