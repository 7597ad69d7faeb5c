//! One table as a file, CSV or Parquet, that appears whole and accepted or not at all.

use std::fs;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use arrow::datatypes::UInt64Type;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::basic::ZstdLevel;
use parquet::file::properties::WriterProperties;
use serde::Serialize;

use crate::output::error::OutputError;
use crate::output::parquet::Identity;
use crate::output::parquet::Row;
use crate::output::parquet::TableWriter;
use crate::output::schema::FileSchema;

/// Format of a table's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values.
    Csv,
    /// Parquet.
    Parquet,
}

impl TableFormat {
    /// The format that the extension of `path` names.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Lets `write` write a file beside `path`, and renames it: what is there appears whole or not at all.
///
/// # Errors
/// `NotWritable` with `path` if no file can be created there; what `write` or the system says, and then no file is left.
pub(super) fn place<E: From<OutputError>>(path: &Path, write: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let partial = partial_path(path);
    File::create(&partial).map_err(|source| OutputError::NotWritable { path: path.to_owned(), source })?;
    let placed = write(&partial)
        .and_then(|()| fs::rename(&partial, path).map_err(OutputError::io("rename a file to", path)).map_err(E::from));
    placed.inspect_err(|_| {
        // The first error is the one to tell.
        let _ = fs::remove_file(&partial);
    })
}

/// A row of a command's table.
pub trait TableRow: Row + Serialize {
    /// Its columns, which are its keys.
    const SCHEMA: &'static FileSchema;
}

/// Writes rows to `path`, CSV with their keys or Parquet with their schema's columns: beside it first, then renamed, so that the file
/// appears whole or not at all.
///
/// # Errors
/// If the file cannot be written.
pub fn write_rows<R: TableRow>(
    path: &Path,
    format: TableFormat,
    identity: &Identity,
    rows: &[R],
) -> Result<(), OutputError> {
    place(path, |partial| match format {
        TableFormat::Csv => fs::write(partial, csv_rows(rows)).map_err(OutputError::io("write", path)),
        TableFormat::Parquet => {
            let mut writer = TableWriter::create(partial.to_owned(), R::SCHEMA, identity)?;
            writer.append_all(rows)?;
            writer.finish().map(|_| ())
        }
    })
}

#[derive(Serialize)]
struct Document<'a, B, R> {
    scenario_hash: &'a str,
    seed: u64,
    #[serde(flatten)]
    beside: B,
    rows: &'a [R],
}

/// Rows as indented JSON under the hash and seed of their scenario, with the keys of `beside`; what is infinite is null.
pub fn json_with<B: Serialize, R: TableRow>(identity: &Identity, beside: B, rows: &[R]) -> String {
    let document = Document { scenario_hash: &identity.scenario_hash, seed: identity.seed, beside, rows };
    serde_json::to_string_pretty(&document).expect("names are text and numbers are numbers") + "\n"
}

/// [`json_with`] nothing beside the rows.
pub fn json<R: TableRow>(identity: &Identity, rows: &[R]) -> String {
    json_with(identity, (), rows)
}

fn csv_rows<R: Serialize>(rows: &[R]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.iter().try_for_each(|row| writer.serialize(row)).expect("rows are texts and numbers");
    writer.into_inner().expect("a writer into memory")
}

/// Writes a table of texts, `f64` and `u64` to a file beside `path`, asks `accept` of it, and renames it.
///
/// # Errors
/// What the system says, or `accept`; then no file is left.
pub fn write<E: From<OutputError>>(
    path: &Path,
    format: TableFormat,
    table: &RecordBatch,
    accept: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    place(path, |partial| {
        write_table(partial, path, format, table)?;
        accept(partial)
    })
}

/// The name in the same directory, with the extension, under which a file is written.
fn partial_path(path: &Path) -> PathBuf {
    let name = path.file_name().map_or_else(Default::default, |name| name.to_string_lossy().into_owned());
    path.with_file_name(format!(".partial-{name}"))
}

fn write_table(partial: &Path, path: &Path, format: TableFormat, table: &RecordBatch) -> Result<(), OutputError> {
    let mut file = File::create(partial).map_err(OutputError::io("create", path))?;
    match format {
        TableFormat::Csv => {
            let text = csv_text(table);
            file.write_all(&text).map_err(OutputError::io("write", path))?;
        }
        TableFormat::Parquet => write_parquet(&file, table).map_err(OutputError::parquet("write", path))?,
    }
    file.sync_all().map_err(OutputError::io("write", path))
}

fn write_parquet(file: &File, table: &RecordBatch) -> Result<(), parquet::errors::ParquetError> {
    let level = ZstdLevel::try_new(1)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_created_by("taorisk".to_owned())
        .build();
    let mut writer = ArrowWriter::try_new(file, table.schema(), Some(properties))?;
    writer.write(table)?;
    writer.close().map(|_| ())
}

/// The table with a header; numbers in the shortest form that reads back as the same, nulls as nothing.
fn csv_text(table: &RecordBatch) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let schema = table.schema();
    let header = schema.fields().iter().map(|field| field.name().as_str());
    writer.write_record(header).expect("a writer into memory");
    for row in 0..table.num_rows() {
        let cells = table.columns().iter().map(|column| cell(column.as_ref(), row));
        writer.write_record(cells).expect("a writer into memory");
    }
    writer.into_inner().expect("a writer into memory")
}

fn cell(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return String::new();
    }
    match column.data_type() {
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        _ => column.as_string::<i32>().value(row).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::ArrayRef;
    use arrow::array::Float64Array;
    use arrow::array::StringArray;
    use arrow::array::UInt64Array;

    fn table() -> RecordBatch {
        let columns: [(&str, ArrayRef); 3] = [
            ("netuid", Arc::new(UInt64Array::from(vec![64, 3]))),
            ("name", Arc::new(StringArray::from(vec![Some("a, b"), None]))),
            ("price", Arc::new(Float64Array::from(vec![Some(1e-7), Some(100.0)]))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn numbers_are_short_and_nulls_are_nothing() {
        assert_eq!(
            String::from_utf8(csv_text(&table())).unwrap(),
            "netuid,name,price\n64,\"a, b\",0.0000001\n3,,100\n"
        );
    }

    #[test]
    fn what_is_not_accepted_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.parquet");
        let refuse = |partial: &Path| Err(OutputError::NoRun(partial.to_owned()));
        assert!(write(&path, TableFormat::Parquet, &table(), refuse).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        write::<OutputError>(&path, TableFormat::Parquet, &table(), |_| Ok(())).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
