//! Tables that other commands wrote, for the page: scenarios of stress, costs of leaving. CSV or Parquet; columns are found by name.

use std::fs::File;
use std::path::Path;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use arrow::datatypes::UInt64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::output::error::OutputError;
use crate::output::table_file::TableFormat;
use crate::risk::estimate::Estimate;

/// A measure of a stress scenario against its base.
#[derive(Clone, Debug, PartialEq)]
pub struct StressLine {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the book.
    pub book: String,
    /// Days from the start.
    pub horizon_days: f64,
    /// Money of amounts.
    pub currency: String,
    /// How holdings are valued.
    pub basis: String,
    /// Paths.
    pub paths: u64,
    /// What is measured.
    pub measure: String,
    /// Confidence.
    pub level: Option<f64>,
    /// The measure of the base.
    pub base: Estimate,
    /// The measure of the scenario.
    pub value: Estimate,
    /// The difference, its error paired.
    pub difference: Estimate,
}

/// What leaving costs at one size over so many days.
#[derive(Clone, Debug, PartialEq)]
pub struct ExitCostLine {
    /// Name of the book.
    pub book: String,
    /// Days after which it begins.
    pub after_days: f64,
    /// Days that it takes.
    pub exit_days: f64,
    /// Multiple of the book.
    pub size: f64,
    /// Most alpha sold a day (fraction of the pool's).
    pub participation: f64,
    /// Paths.
    pub paths: u64,
    /// Cost (fraction of the value at spot).
    pub cost: Estimate,
    /// Confidence of the tail.
    pub level: f64,
    /// Cost on the paths of the tail.
    pub tail_cost: Estimate,
}

/// Whole books of a table of `taorisk stress`.
///
/// # Errors
/// A file that is neither CSV nor Parquet, lacks a column, or holds what its column cannot.
pub fn read_stress(path: &Path) -> Result<Vec<StressLine>, OutputError> {
    let line = |row: &Line<'_>| {
        let paths = row.number("paths")? as u64;
        let estimate = |value: &'static str, error: &'static str| {
            Ok::<_, OutputError>(Estimate::normal(row.number(value)?, row.number(error)?, paths))
        };
        Ok(StressLine {
            scenario: row.text("scenario")?,
            book: row.text("book")?,
            horizon_days: row.number("horizon_days")?,
            currency: row.text("currency")?,
            basis: row.text("basis")?,
            paths,
            measure: row.text("measure")?,
            level: row.optional("level")?,
            base: estimate("base", "base_standard_error")?,
            value: estimate("value", "value_standard_error")?,
            difference: estimate("difference", "difference_standard_error")?,
        })
    };
    read(path, |row| if row.text("part")? == "book" { line(row).map(Some) } else { Ok(None) })
}

/// A table of `taorisk liquidity`.
///
/// # Errors
/// As [`read_stress`].
pub fn read_exit_costs(path: &Path) -> Result<Vec<ExitCostLine>, OutputError> {
    read(path, |row| {
        let paths = row.number("paths")? as u64;
        Ok(Some(ExitCostLine {
            book: row.text("book")?,
            after_days: row.number("after_days")?,
            exit_days: row.number("exit_days")?,
            size: row.number("size")?,
            participation: row.number("participation")?,
            paths,
            cost: Estimate::normal(row.number("cost")?, row.number("cost_standard_error")?, paths),
            level: row.number("level")?,
            tail_cost: Estimate::normal(row.number("tail_cost")?, row.number("tail_cost_standard_error")?, paths),
        }))
    })
}

/// A row under its header, cells as text; what is null is empty.
struct Line<'a> {
    path: &'a Path,
    header: &'a [String],
    cells: &'a [String],
}

impl Line<'_> {
    fn text(&self, column: &'static str) -> Result<String, OutputError> {
        let index = self.header.iter().position(|name| name == column);
        let missing = || OutputError::Columns {
            path: self.path.to_owned(),
            expected: column.to_owned(),
            found: self.header.join(", "),
        };
        Ok(index.and_then(|index| self.cells.get(index)).ok_or_else(missing)?.clone())
    }

    fn number(&self, column: &'static str) -> Result<f64, OutputError> {
        self.optional(column)?.ok_or_else(|| self.refused(column, String::new()))
    }

    fn optional(&self, column: &'static str) -> Result<Option<f64>, OutputError> {
        let text = self.text(column)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| self.refused(column, text))
    }

    fn refused(&self, column: &'static str, value: String) -> OutputError {
        OutputError::Value { path: self.path.to_owned(), column, value }
    }
}

/// The rows that `line` takes.
fn read<T>(path: &Path, line: impl Fn(&Line<'_>) -> Result<Option<T>, OutputError>) -> Result<Vec<T>, OutputError> {
    let records = match TableFormat::of(path) {
        Some(TableFormat::Csv) => csv_records(path)?,
        Some(TableFormat::Parquet) => parquet_records(path)?,
        None => return Err(OutputError::Extension(path.to_owned())),
    };
    let (header, rows) = records.split_first().expect("a header");
    let lines = rows.iter().map(|cells| line(&Line { path, header, cells }));
    lines.filter_map(Result::transpose).collect()
}

/// Header and rows.
fn csv_records(path: &Path) -> Result<Vec<Vec<String>>, OutputError> {
    let file = File::open(path).map_err(|source| OutputError::Unreadable { path: path.to_owned(), source })?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(file);
    let texts = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
    let records: Result<Vec<Vec<String>>, csv::Error> = reader.records().map(|record| record.map(texts)).collect();
    let records = records.map_err(|source| OutputError::Csv { path: path.to_owned(), source })?;
    Ok(if records.is_empty() { vec![Vec::new()] } else { records })
}

fn parquet_records(path: &Path) -> Result<Vec<Vec<String>>, OutputError> {
    let file = File::open(path).map_err(|source| OutputError::Unreadable { path: path.to_owned(), source })?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(OutputError::parquet("read", path))?;
    let mut records = vec![builder.schema().fields().iter().map(|field| field.name().clone()).collect()];
    for batch in builder.build().map_err(OutputError::parquet("read", path))? {
        let batch = batch.map_err(|error| OutputError::parquet("read", path)(error.into()))?;
        records.extend((0..batch.num_rows()).map(|row| cells(&batch, row)));
    }
    Ok(records)
}

fn cells(batch: &RecordBatch, row: usize) -> Vec<String> {
    let cell = |column: &dyn Array| match column.data_type() {
        _ if column.is_null(row) => String::new(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        _ => String::new(),
    };
    batch.columns().iter().map(|column| cell(column)).collect()
}
