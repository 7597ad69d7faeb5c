//! Forecasts, outcomes and scores of a backtest in files: a directory that appears whole or not at all.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use serde::Serialize;

use crate::calibration::backtest::DeregistrationForecast;
use crate::calibration::backtest::Forecast;
use crate::calibration::backtest::Forecasts;
use crate::calibration::backtest::QUANTILES;
use crate::calibration::verdict;
use crate::calibration::verdict::DEREGISTRATION;
use crate::calibration::verdict::EventRivals;
use crate::calibration::verdict::Score;
use crate::output::error::OutputError;
use crate::output::parquet::Columns;
use crate::output::parquet::Identity;
use crate::output::parquet::Row;
use crate::output::parquet::TableWriter;
use crate::output::schema::BACKTEST;
use crate::output::schema::SCORES;
use crate::protocol::calendar;

/// Name of the report.
pub const REPORT_FILE: &str = "report.md";

impl Row for Forecast {
    fn append(&self, columns: &mut Columns) {
        columns.text(&calendar::date_text(self.start.day));
        columns.u64(self.start.block);
        columns.f64(f64::from(self.horizon_days));
        columns.text(self.subject.name());
        columns.u32(self.subnet.map_or(0, |subnet| u32::from(subnet.netuid.0)));
        columns.u64(self.subnet.map_or(0, |subnet| subnet.registered_at));
        columns.u32(self.book.map_or(0, |book| book + 1));
        columns.f64(self.outcome);
        columns.optional_f64(Some(self.pit));
        self.quantiles.iter().for_each(|quantile| columns.optional_f64(Some(*quantile)));
        columns.optional_f64(Some(self.crps));
        columns.optional_f64(Some(self.crps_random_walk));
        columns.optional_f64(Some(self.crps_bootstrap));
        (0..3).for_each(|_| columns.optional_f64(None));
        columns.u32(0);
    }
}

/// A deregistration with what rivals said.
struct Event<'a>(&'a DeregistrationForecast, Option<EventRivals>);

impl Row for Event<'_> {
    fn append(&self, columns: &mut Columns) {
        let Self(seen, rivals) = self;
        columns.text(&calendar::date_text(seen.start.day));
        columns.u64(seen.start.block);
        columns.f64(f64::from(seen.horizon_days));
        columns.text(DEREGISTRATION);
        columns.u32(u32::from(seen.subnet.netuid.0));
        columns.u64(seen.subnet.registered_at);
        columns.u32(0);
        columns.f64(if seen.came { 1.0 } else { 0.0 });
        (0..4 + QUANTILES.len()).for_each(|_| columns.optional_f64(None));
        columns.optional_f64(Some(seen.probability));
        columns.optional_f64(rivals.map(|rivals| rivals.by_rank));
        columns.optional_f64(rivals.map(|rivals| rivals.base_rate));
        columns.u32(seen.rank);
    }
}

impl Row for Score {
    fn append(&self, columns: &mut Columns) {
        columns.text(self.measure);
        columns.text(self.subject);
        columns.f64(f64::from(self.horizon_days));
        columns.text(self.rival);
        columns.optional_f64(self.level);
        columns.f64(self.value);
        columns.optional_f64(self.standard_error);
        columns.optional_f64(self.p_value);
        columns.u64(self.samples);
    }
}

/// A directory that a backtest will be written to.
#[derive(Debug)]
pub struct BacktestDirectory {
    path: PathBuf,
}

impl BacktestDirectory {
    /// Makes the directory, and finds out before hours are spent whether files can be written there.
    ///
    /// # Errors
    /// If it holds a backtest and not `force`, or cannot be written to.
    pub fn create(path: &Path, force: bool) -> Result<Self, OutputError> {
        if let Some(file) = Self::names().into_iter().map(|name| path.join(name)).find(|file| !force && file.exists()) {
            return Err(OutputError::FileExists(file));
        }
        let unwritable = |source| OutputError::NotWritable { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(unwritable)?;
        let directory = Self { path: path.to_owned() };
        fs::write(directory.partial(REPORT_FILE), "").map_err(unwritable)?;
        Ok(directory)
    }

    /// Writes all files, then gives them their names.
    ///
    /// # Errors
    /// If one cannot be written; what was written is removed then.
    pub fn write(
        self,
        identity: &Identity,
        forecasts: &Forecasts,
        scores: &[Score],
        report: &str,
    ) -> Result<(), OutputError> {
        let mut writer = TableWriter::create(self.partial(BACKTEST.file), &BACKTEST, identity)?;
        writer.append_all(&forecasts.numbers)?;
        let rivals = verdict::event_rivals(&forecasts.deregistrations);
        let mut events = forecasts.deregistrations.iter().zip(rivals);
        events.try_for_each(|(seen, rivals)| writer.append(&Event(seen, rivals)))?;
        writer.finish()?;
        let mut writer = TableWriter::create(self.partial(SCORES.file), &SCORES, identity)?;
        writer.append_all(scores)?;
        writer.finish()?;
        let path = self.partial(REPORT_FILE);
        fs::write(&path, report).map_err(OutputError::io("write", &path))?;
        Self::names().into_iter().try_for_each(|name| {
            let path = self.path.join(name);
            fs::rename(self.partial(name), &path).map_err(OutputError::io("rename a file to", &path))
        })
    }

    fn names() -> [&'static str; 3] {
        [BACKTEST.file, SCORES.file, REPORT_FILE]
    }

    fn partial(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}.partial"))
    }
}

impl Drop for BacktestDirectory {
    /// Removes what was not finished; a directory that holds nothing else goes too.
    fn drop(&mut self) {
        for name in Self::names() {
            let _ = fs::remove_file(self.partial(name));
        }
        let _ = fs::remove_dir(&self.path);
    }
}

#[derive(Serialize)]
struct ScoreDocument {
    measure: &'static str,
    subject: &'static str,
    horizon_days: u32,
    rival: &'static str,
    level: Option<f64>,
    value: f64,
    standard_error: Option<f64>,
    p_value: Option<f64>,
    samples: u64,
}

#[derive(Serialize)]
struct Document<'a> {
    inputs_hash: &'a str,
    seed: u64,
    starts: Vec<String>,
    scores: Vec<ScoreDocument>,
}

/// Scores as indented JSON, with the names of the columns of `scores.parquet`.
pub fn json(identity: &Identity, forecasts: &Forecasts, scores: &[Score]) -> String {
    let score = |score: &Score| {
        let Score { measure, subject, horizon_days, rival, level, value, standard_error, p_value, samples } = *score;
        ScoreDocument { measure, subject, horizon_days, rival, level, value, standard_error, p_value, samples }
    };
    let document = Document {
        inputs_hash: &identity.scenario_hash,
        seed: identity.seed,
        starts: forecasts.starts.iter().map(|start| calendar::date_text(start.day)).collect(),
        scores: scores.iter().map(score).collect(),
    };
    serde_json::to_string_pretty(&document).expect("names are text and numbers are numbers") + "\n"
}
