//! A calibration as files: parameters that a scenario reads, and what the data say of the fit.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::calibration::calibrate::Calibration;
use crate::calibration::calibrate::Figure;
use crate::calibration::flow_diagnostics;
use crate::calibration::flow_law::SubnetBehaviour;
use crate::model::uncertainty::ParameterLaw;
use crate::output::calibration_page;
use crate::output::error::OutputError;
use crate::output::parquet::Columns;
use crate::output::parquet::Identity;
use crate::output::parquet::Row;
use crate::output::parquet::TableWriter;
use crate::output::schema::CALIBRATION;

/// The parameter file: what `input.parameters` of a scenario names.
pub const PARAMETERS_FILE: &str = "calibrated.toml";
/// Figures of the data beside those of the fit, as a table.
pub const DIAGNOSTICS_FILE: &str = "diagnostics.parquet";
/// The same to look at.
pub const PAGE_FILE: &str = "diagnostics.html";
/// Every file of a calibration.
pub const FILES: [&str; 3] = [PARAMETERS_FILE, DIAGNOSTICS_FILE, PAGE_FILE];

/// An input of a calibration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CalibrationInput {
    /// What it is: history, registrations, tao_usd, root_stake, parameters.
    pub role: &'static str,
    /// What messages call it.
    pub file: String,
    /// SHA-256 of its content (hex), unpacked.
    pub sha256: String,
}

/// Where parameters come from: the same whenever the same is calibrated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Provenance {
    /// The program's version.
    pub program_version: String,
    /// What was read.
    pub inputs: Vec<CalibrationInput>,
    /// Dates of the first and the last flow.
    pub flows: [String; 2],
    /// Rows, days and subnets of flows.
    pub rows: usize,
    /// Days.
    pub days: usize,
    /// Subnets.
    pub subnets: usize,
    /// Seed and number of the simulations behind the errors of the flow law.
    pub seed: u64,
    /// Number.
    pub simulations: usize,
    /// What was dropped and why, what could not be estimated.
    pub notes: Vec<String>,
}

/// Writes all files to `directory`, over what is there; each appears whole or not at all. `subnets`: those that the parameter
/// file names.
///
/// # Errors
/// If the directory or a file cannot be written.
pub fn write(
    directory: &Path,
    calibration: &Calibration,
    provenance: &Provenance,
    subnets: &[SubnetBehaviour],
) -> Result<(), OutputError> {
    fs::create_dir_all(directory).map_err(|source| OutputError::NotWritable { path: directory.to_owned(), source })?;
    let text = parameter_file(calibration, provenance, subnets);
    let page = calibration_page::page(calibration, provenance);
    write_whole(&directory.join(DIAGNOSTICS_FILE), |partial| write_diagnostics(partial, calibration, provenance))?;
    for (name, text) in [(PAGE_FILE, page), (PARAMETERS_FILE, text)] {
        write_whole(&directory.join(name), |partial| {
            fs::write(partial, &text).map_err(OutputError::io("write", partial))
        })?;
    }
    Ok(())
}

fn write_whole(path: &Path, write: impl FnOnce(&Path) -> Result<(), OutputError>) -> Result<(), OutputError> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    let placed = write(partial).and_then(|()| fs::rename(partial, path).map_err(OutputError::io("create", path)));
    if placed.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(partial);
    }
    placed
}

/// The parameter file; `subnets`: those that it names.
pub fn parameter_file(calibration: &Calibration, provenance: &Provenance, subnets: &[SubnetBehaviour]) -> String {
    let mut text = String::from(
        "# Parameters estimated by `taorisk calibrate`. A scenario reads them with `parameters = \"calibrated.toml\"` in its\n\
         # [input]; its own keys go before these. What does not stand here was not estimated.\n",
    );
    push_values(&mut text, &calibration.figures);
    if !subnets.is_empty() {
        push_subnets(&mut text, subnets);
    }
    push_law(&mut text, &calibration.law);
    push_provenance(&mut text, provenance);
    text
}

/// The tables of values.
fn push_values(text: &mut String, figures: &[Figure]) {
    let mut tables: BTreeMap<&str, Vec<(&str, &Figure)>> = BTreeMap::new();
    for figure in figures.iter().filter(|figure| figure.used) {
        let (table, name) = figure.key.rsplit_once('.').unwrap_or(("", &figure.key));
        tables.entry(table).or_default().push((name, figure));
    }
    for (table, figures) in tables {
        push(text, format_args!("\n[{table}]\n"));
        for (name, figure) in figures {
            let (value, error) = (number(figure.value), number(figure.standard_error));
            push(text, format_args!("{name} = {value}  # +- {error}; {}\n", figure.method));
        }
    }
}

fn push_subnets(text: &mut String, subnets: &[SubnetBehaviour]) {
    text.push_str(
        "\n# Single subnets, shrunk towards the median and the mean: daily scale, loading on the common factor.\n",
    );
    for seen in subnets {
        let (netuid, registered_at) = (seen.subnet.netuid.0, seen.subnet.registered_at);
        push(
            text,
            format_args!(
                "\n[[subnets]]\nnetuid = {netuid}\nregistered_at = {registered_at}\nscale = {}\nloading = {}\n",
                number(seen.scale),
                number(seen.loading)
            ),
        );
    }
}

fn push_law(text: &mut String, law: &ParameterLaw) {
    text.push_str("\n# Standard errors on the scale named, and their correlations in the same order.\n[uncertainty]\n");
    text.push_str("parameters = [\n");
    for parameter in &law.parameters {
        let (key, scale, error) = (&parameter.key, parameter.scale.name(), number(parameter.standard_error));
        push(text, format_args!("    {{ key = \"{key}\", scale = \"{scale}\", standard_error = {error} }},\n"));
    }
    text.push_str("]\ncorrelation = [\n");
    for row in &law.correlation {
        let cells: Vec<String> = row.iter().map(|cell| number((cell * 1e6).round() / 1e6)).collect();
        push(text, format_args!("    [{}],\n", cells.join(", ")));
    }
    text.push_str("]\n");
}

fn push_provenance(text: &mut String, provenance: &Provenance) {
    let written = toml::to_string(provenance).expect("a provenance is texts and numbers");
    // Tables of tables come last, under the name of their parent.
    push(text, format_args!("\n[provenance]\n{}", written.replace("[[inputs]]", "[[provenance.inputs]]")));
}

/// Six significant digits: errors are coarser.
fn number(value: f64) -> String {
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    format!("{rounded:?}")
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("a string takes it");
}

/// A figure of the data beside the fit: the columns of [`CALIBRATION`].
struct DiagnosticRow {
    name: &'static str,
    figure: flow_diagnostics::Figure,
}

impl Row for DiagnosticRow {
    fn append(&self, columns: &mut Columns) {
        columns.text(self.name);
        columns.f64(self.figure.at);
        columns.f64(self.figure.data);
        columns.f64(self.figure.fitted);
        columns.f64(self.figure.fitted_sd);
    }
}

fn write_diagnostics(path: &Path, calibration: &Calibration, provenance: &Provenance) -> Result<(), OutputError> {
    let seen = &calibration.diagnostics;
    let groups = [
        ("residual_quantile", &seen.residual_quantiles),
        ("size_autocorrelation", &seen.autocorrelations),
        ("size_by_reserve", &seen.scale_by_size),
        ("size_by_age", &seen.scale_by_age),
    ];
    let rows: Vec<DiagnosticRow> = groups
        .into_iter()
        .flat_map(|(name, figures)| figures.iter().map(move |figure| DiagnosticRow { name, figure: *figure }))
        .collect();
    let history = provenance.inputs.first().map(|input| input.sha256.clone()).unwrap_or_default();
    let identity = Identity { scenario_hash: history, seed: provenance.seed };
    let mut writer = TableWriter::create(path.to_owned(), &CALIBRATION, &identity)?;
    writer.append_all(&rows)?;
    writer.finish().map(|_| ())
}

#[derive(Serialize)]
struct Document<'a> {
    parameters: Vec<ParameterDocument<'a>>,
    correlation: &'a [Vec<f64>],
    provenance: &'a Provenance,
}

#[derive(Serialize)]
struct ParameterDocument<'a> {
    key: &'a str,
    estimate: f64,
    standard_error: f64,
    default: f64,
    z_to_default: f64,
    method: &'a str,
    used: bool,
}

/// The estimates as indented JSON. `correlation`: of the parameters used, in the order of the parameter file.
pub fn json(calibration: &Calibration, provenance: &Provenance) -> String {
    let parameters = calibration
        .figures
        .iter()
        .map(|figure| ParameterDocument {
            key: &figure.key,
            estimate: figure.value,
            standard_error: figure.standard_error,
            default: figure.prior,
            z_to_default: figure.z(),
            method: &figure.method,
            used: figure.used,
        })
        .collect();
    let document = Document { parameters, correlation: &calibration.law.correlation, provenance };
    serde_json::to_string_pretty(&document).expect("texts and numbers") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::schema::documents::check::assert_documented;

    #[test]
    fn the_document_has_the_keys_of_the_list() {
        let provenance = Provenance {
            program_version: String::new(),
            inputs: Vec::new(),
            flows: [String::new(), String::new()],
            rows: 1,
            days: 1,
            subnets: 1,
            seed: 1,
            simulations: 1,
            notes: Vec::new(),
        };
        let parameter = ParameterDocument {
            key: "sales.miner",
            estimate: 0.13,
            standard_error: 0.11,
            default: 0.2,
            z_to_default: -0.64,
            method: "regression",
            used: true,
        };
        let document = Document { parameters: vec![parameter], correlation: &[], provenance: &provenance };
        assert_documented("taorisk calibrate --json", &serde_json::to_string(&document).unwrap());
    }
}
