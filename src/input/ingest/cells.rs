//! CSV and Parquet of any columns to records.

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;

use crate::input::InputError;
use crate::input::document::Document;
use crate::input::ingest::record::Record;
use crate::input::ingest::record::Value;
use crate::input::ingest::record::cleaned;
use crate::input::table::csv_problem;
use crate::input::table::csv_reader;
use crate::input::table::is_number;
use crate::input::table::read_batch;

/// The rows of a table.
///
/// # Errors
/// Not a whole file of its format, a column twice, no rows.
pub(super) fn read(document: &Document) -> Result<Vec<Record>, InputError> {
    let records = if document.is_parquet() { read_parquet(document)? } else { read_csv(document)? };
    if records.is_empty() {
        return Err(refused(document, "has no rows; give at least one".to_owned()));
    }
    Ok(records)
}

fn read_csv(document: &Document) -> Result<Vec<Record>, InputError> {
    let not_csv = |error: csv::Error| csv_problem(&document.name, &error);
    let mut reader = csv_reader(document);
    let header = reader.headers().map_err(not_csv)?.clone();
    refuse_twice(document, header.iter())?;
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.map_err(not_csv)?;
        let line = row.position().map_or(0, |position| position.line());
        let cells =
            header.iter().zip(&row).filter_map(|(name, cell)| Some((name.to_owned(), Value::Text(cleaned(cell)?))));
        records.push(Record { place: format!("{}:{line}", document.name), fields: cells.collect() });
    }
    Ok(records)
}

fn read_parquet(document: &Document) -> Result<Vec<Record>, InputError> {
    let batch = read_batch(document)?;
    let schema = batch.schema();
    refuse_twice(document, schema.fields().iter().map(|field| field.name().as_str()))?;
    let place = |row: usize| format!("{}, row {}", document.name, row + 1);
    let mut records: Vec<Record> =
        (0..batch.num_rows()).map(|row| Record { place: place(row), fields: Vec::new() }).collect();
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        for (record, value) in records.iter_mut().zip(values(array.as_ref())) {
            record.fields.extend(value.map(|value| (field.name().clone(), value)));
        }
    }
    Ok(records)
}

/// Numbers as numbers, what can be text as text; a column of lists or structures is as if it were empty.
fn values(array: &dyn Array) -> Vec<Option<Value>> {
    if array.data_type().is_nested() {
        return vec![None; array.len()];
    }
    let is_numeric = is_number(array.data_type());
    let wanted = if is_numeric { DataType::Float64 } else { DataType::Utf8 };
    match cast(array, &wanted) {
        Ok(array) if is_numeric => {
            array.as_primitive::<Float64Type>().iter().map(|cell| cell.map(Value::Number)).collect()
        }
        Ok(array) => array.as_string::<i32>().iter().map(|cell| cell.and_then(cleaned).map(Value::Text)).collect(),
        Err(_) => vec![None; array.len()],
    }
}

fn refuse_twice<'a>(document: &Document, names: impl Iterator<Item = &'a str>) -> Result<(), InputError> {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if seen.contains(&name) {
            return Err(refused(document, format!("column `{name}` appears twice; keep one")));
        }
        seen.push(name);
    }
    Ok(())
}

fn refused(document: &Document, problem: String) -> InputError {
    InputError::Table { file: document.name.clone(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::ArrayRef;
    use arrow::array::BooleanArray;
    use arrow::array::DictionaryArray;
    use arrow::array::LargeStringArray;
    use arrow::array::ListArray;
    use arrow::array::NullArray;
    use arrow::array::TimestampMillisecondArray;
    use arrow::datatypes::Int32Type;

    fn text(text: &str) -> Option<Value> {
        Some(Value::Text(text.to_owned()))
    }

    #[test]
    fn columns_of_any_type_are_read_or_left_out() {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)]), None]);
        let columns: [(ArrayRef, [Option<Value>; 2]); 6] = [
            (Arc::new(BooleanArray::from(vec![Some(true), None])), [Some(Value::Number(1.0)), None]),
            (Arc::new(LargeStringArray::from(vec![" a ", " "])), [text("a"), None]),
            (Arc::new(DictionaryArray::<Int32Type>::from_iter(["x", "x"])), [text("x"), text("x")]),
            (Arc::new(TimestampMillisecondArray::from(vec![Some(0), None])), [text("1970-01-01T00:00:00"), None]),
            (Arc::new(NullArray::new(2)), [None, None]),
            (Arc::new(lists), [None, None]),
        ];
        for (column, expected) in columns {
            assert_eq!(values(column.as_ref()), expected, "{}", column.data_type());
        }
    }
}
