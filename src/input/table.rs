//! CSV or Parquet to named, typed columns, with the place of each row kept for messages.

use std::panic;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use csv::ErrorKind;
use csv::StringRecord;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::input::InputError;
use crate::input::document::Document;

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number; in CSV also `true` (1) and `false` (0).
    Number,
    /// A text.
    Text,
}

/// One column that a file may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column<'a> {
    /// Name in the header.
    pub name: &'a str,
    /// What its cells are.
    pub kind: Kind,
    /// Whether a file without it is refused.
    pub required: bool,
}

/// The columns of a file that were found in it.
#[derive(Debug)]
pub(super) struct Table {
    file: String,
    columns: Vec<(String, Cells)>,
    /// Line of each row in a CSV file; empty for Parquet.
    lines: Vec<u64>,
    rows: usize,
}

#[derive(Debug)]
enum Cells {
    Number(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
}

impl Table {
    /// Reads a document whose columns are among `schema`.
    ///
    /// # Errors
    /// Not a whole file of its format, an unknown or missing column, a cell of the wrong type, no rows.
    pub fn read(document: &Document, schema: &[Column<'_>]) -> Result<Self, InputError> {
        let table = if document.is_parquet() { read_parquet(document, schema)? } else { read_csv(document, schema)? };
        if table.rows == 0 {
            return Err(refused(&table.file, "has no rows; give at least one"));
        }
        Ok(table)
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.rows
    }

    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.rows).map(|index| Row { table: self, index })
    }

    fn cells(&self, column: &str) -> Option<&Cells> {
        self.columns.iter().find(|(name, _)| name == column).map(|(_, cells)| cells)
    }
}

/// One row of a [`Table`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    table: &'a Table,
    index: usize,
}

impl<'a> Row<'a> {
    /// File and line (CSV) or row (Parquet, counted from 1).
    pub fn place(&self) -> String {
        match self.table.lines.get(self.index) {
            Some(line) => format!("{}:{line}", self.table.file),
            None => format!("{}, row {}", self.table.file, self.index + 1),
        }
    }

    /// The text of a cell; `None` where the column is absent or the cell empty.
    pub fn text(&self, column: &str) -> Option<&'a str> {
        match self.table.cells(column) {
            Some(Cells::Text(cells)) => cells[self.index].as_deref(),
            _ => None,
        }
    }

    /// The number of a cell that passes `is_allowed`; `None` where the column is absent or the cell empty.
    ///
    /// # Errors
    /// A number that `is_allowed` refuses; `allowed` says in words what it takes.
    pub fn optional(
        &self,
        column: &str,
        allowed: &str,
        is_allowed: impl Fn(f64) -> bool,
    ) -> Result<Option<f64>, InputError> {
        match self.number(column) {
            Some(value) if !is_allowed(value) => Err(self.cell(column, value.to_string(), allowed)),
            value => Ok(value),
        }
    }

    /// As [`Row::optional`], for a cell that must not be empty.
    ///
    /// # Errors
    /// An empty cell, or a number that `is_allowed` refuses.
    pub fn required(&self, column: &str, allowed: &str, is_allowed: impl Fn(f64) -> bool) -> Result<f64, InputError> {
        self.optional(column, allowed, is_allowed)?.ok_or_else(|| self.cell(column, "nothing".to_owned(), allowed))
    }

    /// A required amount, at least 0.
    ///
    /// # Errors
    /// As [`Row::required`].
    pub fn amount(&self, column: &str) -> Result<f64, InputError> {
        self.required(column, AMOUNT, is_amount)
    }

    /// A required whole number from `min` to `max`.
    ///
    /// # Errors
    /// As [`Row::required`].
    pub fn whole(&self, column: &str, min: u64, max: u64) -> Result<u64, InputError> {
        let value = self.required(column, &whole_words(min, max), |value| is_whole(value, min, max))?;
        Ok(value as u64)
    }

    /// A whole number from `min` to `max`, where there is one.
    ///
    /// # Errors
    /// As [`Row::optional`].
    pub fn optional_whole(&self, column: &str, min: u64, max: u64) -> Result<Option<u64>, InputError> {
        let value = self.optional(column, &whole_words(min, max), |value| is_whole(value, min, max))?;
        Ok(value.map(|value| value as u64))
    }

    /// An error about one cell of this row.
    pub fn cell(&self, column: &str, value: String, allowed: &str) -> InputError {
        InputError::Cell { place: self.place(), column: column.to_owned(), value, allowed: allowed.to_owned() }
    }

    /// An error about this row as a whole.
    pub fn problem(&self, problem: String) -> InputError {
        InputError::Row { place: self.place(), problem }
    }

    fn number(&self, column: &str) -> Option<f64> {
        match self.table.cells(column) {
            Some(Cells::Number(cells)) => cells[self.index],
            _ => None,
        }
    }
}

/// What [`is_amount`] takes, in words.
pub(super) const AMOUNT: &str = "a finite number >= 0";

/// Whether `value` can be an amount.
pub(super) fn is_amount(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

fn whole_words(min: u64, max: u64) -> String {
    format!("a whole number from {min} to {max}")
}

fn is_whole(value: f64, min: u64, max: u64) -> bool {
    value.fract() == 0.0 && value >= min as f64 && value <= max as f64
}

fn refused(file: &str, problem: impl Into<String>) -> InputError {
    InputError::Table { file: file.to_owned(), problem: problem.into() }
}

/// The columns of `schema` in the order of the header.
fn match_header<'a, 'b>(
    file: &str,
    header: impl Iterator<Item = &'a str>,
    schema: &[Column<'b>],
) -> Result<Vec<Column<'b>>, InputError> {
    let mut found: Vec<Column<'b>> = Vec::new();
    for name in header {
        let Some(column) = schema.iter().find(|column| column.name == name) else {
            return Err(refused(file, format!("unknown column `{name}` (allowed: {})", names(schema))));
        };
        if found.iter().any(|other| other.name == name) {
            return Err(refused(file, format!("column `{name}` appears twice; keep one")));
        }
        found.push(*column);
    }
    match schema.iter().find(|column| column.required && found.iter().all(|other| other.name != column.name)) {
        Some(missing) => Err(refused(file, format!("column `{}` is missing", missing.name))),
        None => Ok(found),
    }
}

fn names(schema: &[Column<'_>]) -> String {
    schema.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

/// The names of a document's columns, for a schema that depends on them.
///
/// # Errors
/// Not a whole file of its format.
pub(super) fn column_names(document: &Document) -> Result<Vec<String>, InputError> {
    if document.is_parquet() {
        let schema = read_batch(document)?.schema();
        return Ok(schema.fields().iter().map(|field| field.name().clone()).collect());
    }
    let headers = csv_reader(document).headers().map_err(|error| csv_problem(&document.name, &error))?.clone();
    Ok(headers.iter().map(str::to_owned).collect())
}

fn csv_reader(document: &Document) -> csv::Reader<&[u8]> {
    let bytes = document.bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&document.bytes);
    csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).from_reader(bytes)
}

fn read_csv(document: &Document, schema: &[Column<'_>]) -> Result<Table, InputError> {
    let file = &document.name;
    let not_csv = |error: csv::Error| csv_problem(file, &error);
    let mut reader = csv_reader(document);
    let header = match_header(file, reader.headers().map_err(not_csv)?.iter(), schema)?;
    let records: Vec<StringRecord> = reader.records().collect::<Result<_, _>>().map_err(not_csv)?;
    let lines: Vec<u64> =
        records.iter().map(|record| record.position().map_or(0, |position| position.line())).collect();
    let columns = header
        .iter()
        .enumerate()
        .map(|(index, column)| Ok((column.name.to_owned(), csv_cells(file, &records, &lines, index, *column)?)))
        .collect::<Result<_, InputError>>()?;
    Ok(Table { file: file.clone(), columns, rows: records.len(), lines })
}

fn csv_problem(file: &str, error: &csv::Error) -> InputError {
    match error.kind() {
        ErrorKind::UnequalLengths { pos: Some(position), expected_len, len } => InputError::Row {
            place: format!("{file}:{}", position.line()),
            problem: format!("not a whole CSV table: {len} comma-separated cells, but the header has {expected_len}"),
        },
        _ => refused(file, format!("not a whole CSV table: {error}")),
    }
}

fn csv_cells(
    file: &str,
    records: &[StringRecord],
    lines: &[u64],
    index: usize,
    column: Column<'_>,
) -> Result<Cells, InputError> {
    let texts = records.iter().map(|record| Some(&record[index]).filter(|text| !text.is_empty()));
    if column.kind == Kind::Text {
        return Ok(Cells::Text(texts.map(|text| text.map(str::to_owned)).collect()));
    }
    let number = |(text, line): (Option<&str>, &u64)| match text.map(|text| (text, parse_number(text))) {
        None => Ok(None),
        Some((_, Some(number))) => Ok(Some(number)),
        Some((text, None)) => Err(InputError::Cell {
            place: format!("{file}:{line}"),
            column: column.name.to_owned(),
            value: format!("`{text}`"),
            allowed: "a number".to_owned(),
        }),
    };
    Ok(Cells::Number(texts.zip(lines).map(number).collect::<Result<_, _>>()?))
}

fn parse_number(text: &str) -> Option<f64> {
    match text {
        "true" | "True" | "TRUE" => Some(1.0),
        "false" | "False" | "FALSE" => Some(0.0),
        _ => text.parse().ok(),
    }
}

fn read_parquet(document: &Document, schema: &[Column<'_>]) -> Result<Table, InputError> {
    let file = &document.name;
    let batch = read_batch(document)?;
    let batch_schema = batch.schema();
    let header = match_header(file, batch_schema.fields().iter().map(|field| field.name().as_str()), schema)?;
    let columns = header
        .iter()
        .zip(batch.columns())
        .map(|(column, array)| Ok((column.name.to_owned(), parquet_cells(file, array.as_ref(), *column)?)))
        .collect::<Result<_, InputError>>()?;
    Ok(Table { file: file.clone(), columns, lines: Vec::new(), rows: batch.num_rows() })
}

/// The whole file as one batch.
fn read_batch(document: &Document) -> Result<RecordBatch, InputError> {
    let file = &document.name;
    if !document.has_parquet_magic() {
        return Err(refused(file, "is named .parquet but does not begin as a Parquet file does (PAR1)"));
    }
    let not_whole = |problem: String| {
        refused(file, format!("not a whole Parquet file that can be read here (uncompressed or zstd): {problem}"))
    };
    let bytes = Bytes::from(document.bytes.to_vec());
    // The Parquet reader asserts on some damaged metadata where it should return an error.
    match panic::catch_unwind(|| decode(bytes)) {
        Ok(decoded) => decoded.map_err(|error| not_whole(error.to_string())),
        Err(_) => Err(not_whole("its metadata is damaged".to_owned())),
    }
}

fn decode(bytes: Bytes) -> Result<RecordBatch, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder.build()?.collect::<Result<_, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

fn parquet_cells(file: &str, array: &dyn Array, column: Column<'_>) -> Result<Cells, InputError> {
    let (wanted, fits, words) = match column.kind {
        Kind::Number => (DataType::Float64, is_number(array.data_type()), "numbers"),
        Kind::Text => (DataType::Utf8, is_text(array.data_type()), "text"),
    };
    let wrong_type = || {
        let problem = format!("column `{}` is of type {} (must hold {words})", column.name, array.data_type());
        refused(file, problem)
    };
    if !fits {
        return Err(wrong_type());
    }
    let array = cast(array, &wanted).map_err(|_| wrong_type())?;
    Ok(match column.kind {
        Kind::Number => Cells::Number(array.as_primitive::<Float64Type>().iter().collect()),
        Kind::Text => Cells::Text(array.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()),
    })
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_floating() || matches!(data_type, DataType::Boolean | DataType::Null)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        _ => matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null),
    }
}
