//! What a run was: `manifest.json`, the same for every repetition, and `runtime.json`, which is not.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::output::error::OutputError;
use crate::output::hash::ResultHash;
use crate::output::parquet::Identity;
use crate::output::schema::SCHEMA_VERSION;
use crate::risk::measure::SummaryRow;

/// File of the [`Manifest`]; it exists only for a finished run.
pub const MANIFEST_FILE: &str = "manifest.json";
/// File of the [`Runtime`].
pub const RUNTIME_FILE: &str = "runtime.json";
/// Commit of the chain whose rules are implemented.
pub const CHAIN_COMMIT: &str = "14bc6f9f964b9cc362e9635dd110a487fa5d15a0";

/// Everything that decides a run's results, and their hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the program.
    pub version: String,
    /// Commit of the program, or `unknown`.
    pub commit: String,
    /// Commit of the chain whose rules are implemented.
    pub chain_commit: String,
    /// Version of the files' columns.
    pub schema_version: u32,
    /// Hash of the complete scenario, in hexadecimal.
    pub scenario_hash: String,
    /// The complete scenario, defaults filled in, by section and key.
    pub scenario: serde_json::Value,
    /// SHA-256 of each input file by its role (snapshot, positions), in hexadecimal.
    pub inputs: BTreeMap<String, String>,
    /// Seed of the run.
    pub seed: u64,
    /// First path.
    pub first_path: u64,
    /// Path after the last one.
    pub end_path: u64,
    /// Hash of all results.
    pub result_hash: String,
    /// Method of [`Manifest::method`] that made them; `None` in manifests from before it stood there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimator: Option<String>,
}

impl Manifest {
    /// The manifest of this program's run over the paths `first_path..end_path`.
    pub fn new(
        identity: &Identity,
        scenario: serde_json::Value,
        inputs: BTreeMap<String, String>,
        first_path: u64,
        end_path: u64,
        result_hash: ResultHash,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("TAORISK_COMMIT").unwrap_or("unknown").to_owned(),
            chain_commit: CHAIN_COMMIT.to_owned(),
            schema_version: SCHEMA_VERSION,
            scenario_hash: identity.scenario_hash.clone(),
            scenario,
            inputs,
            seed: identity.seed,
            first_path,
            end_path,
            result_hash: result_hash.to_string(),
            estimator: None,
        }
    }

    /// How the run estimated: `plain`, `control`, `importance`, `sobol`, `stratified` or `antithetic`. What no manifest says was plain:
    /// `auto` came with the key.
    pub fn method(&self) -> &str {
        let asked = self.scenario["estimator"]["method"].as_str();
        self.estimator.as_deref().or(asked).unwrap_or("plain")
    }

    /// The manifest of the finished run in `directory`; `None` if there is none.
    ///
    /// # Errors
    /// If there is a manifest that cannot be read or is none of this program's.
    pub fn read(directory: &Path) -> Result<Option<Self>, OutputError> {
        let path = directory.join(MANIFEST_FILE);
        match fs::read(&path) {
            Ok(bytes) => parse("manifest", &path, &bytes).map(Some),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(OutputError::io("read", &path)(error)),
        }
    }
}

/// What a method of estimation does, in words that follow its name.
pub fn words_of_method(method: &str) -> &'static str {
    match method {
        "control" => "mean P&L by control variates, all else plain",
        "importance" => "paths of a tilted law, with weights",
        "sobol" | "stratified" | "antithetic" => "leading chance of paths from a point set",
        _ => "independent paths that count alike",
    }
}

/// How a run went on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runtime {
    /// When it started (RFC 3339, UTC).
    pub started: String,
    /// Wall time of the whole command (s).
    pub elapsed_seconds: f64,
    /// Wall time of the simulation (s).
    pub simulation_seconds: f64,
    /// Name of the machine.
    pub host: String,
    /// Threads that simulated.
    pub threads: usize,
    /// Vector instructions in use.
    pub simd_backend: String,
    /// Largest resident memory of the process (bytes), where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// Paths over `simulation_seconds`.
    pub paths_per_second: f64,
    /// What ended the run, where it ran until measures were known well enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetReached>,
    /// Of each measure of the books at the last report day that has an error.
    #[serde(default)]
    pub figures_of_merit: Vec<FigureOfMerit>,
}

/// What a method is worth for a measure: the inverse of its variance times the time that it took. Twice the figure is the same error in
/// half the time, whatever the number of paths; machines and methods are compared by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureOfMerit {
    /// Name of the book.
    pub book: String,
    /// What is measured, valued how and in which money.
    pub measure: String,
    /// See `measure`.
    pub basis: String,
    /// See `measure`.
    pub currency: String,
    /// Its level, if it has one.
    pub level: Option<f64>,
    /// Days from the start.
    pub horizon_days: f64,
    /// 1 / (squared standard error x seconds of simulation), in the unit of the measure.
    pub figure_of_merit: f64,
}

impl FigureOfMerit {
    /// That of a measure which took so many seconds; `None` without an error, or without time.
    pub fn new(row: &SummaryRow, seconds: f64) -> Option<Self> {
        let error = row.estimate.standard_error;
        let figure_of_merit: f64 = 1.0 / (error * error * seconds);
        (figure_of_merit > 0.0 && figure_of_merit.is_finite()).then(|| Self {
            book: row.book.clone(),
            measure: row.measure.name().to_owned(),
            basis: row.basis.name().to_owned(),
            currency: row.currency.name().to_owned(),
            level: row.level,
            horizon_days: row.horizon_days,
            figure_of_merit,
        })
    }
}

/// An error that was asked for, and what was reached ([`crate::risk::stopping`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetReached {
    /// Measure and error as asked, such as `es99=1%`.
    pub target: String,
    /// The measure's value where the run ended; `None` if not a number.
    pub value: Option<f64>,
    /// Lower end of the 95 % interval that holds at all looks; `None` if infinite.
    pub ci_low: Option<f64>,
    /// Upper end.
    pub ci_high: Option<f64>,
    /// Whether it is as narrow as asked.
    pub is_met: bool,
}

impl Runtime {
    /// The runtime of the finished run in `directory`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(directory: &Path) -> Result<Self, OutputError> {
        let path = directory.join(RUNTIME_FILE);
        let bytes = fs::read(&path).map_err(OutputError::io("read", &path))?;
        parse("runtime", &path, &bytes)
    }
}

/// Largest resident memory of this process so far (bytes); `None` where `/proc` does not tell.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kibibytes)
}

fn parse<T: DeserializeOwned>(what: &'static str, path: &Path, bytes: &[u8]) -> Result<T, OutputError> {
    serde_json::from_slice(bytes).map_err(|source| OutputError::Json { what, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn peak_memory_is_plausible() {
        let peak = peak_memory_bytes().unwrap();
        assert!((1 << 20..1 << 40).contains(&peak), "{peak}");
    }

    #[test]
    fn a_directory_without_a_manifest_holds_no_run() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(directory.path()).unwrap(), None);
        assert_eq!(Manifest::read(&directory.path().join("absent")).unwrap(), None);
    }

    #[test]
    fn a_foreign_manifest_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(MANIFEST_FILE), "{\"name\": \"other\"}").unwrap();
        let error = Manifest::read(directory.path()).unwrap_err();
        assert!(error.to_string().ends_with("manifest.json is not a valid manifest"), "{error}");
    }
}
