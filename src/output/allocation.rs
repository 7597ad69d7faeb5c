//! The table of an allocation as CSV, Parquet or JSON.

use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Float64Array;
use arrow::array::StringArray;
use arrow::array::UInt64Array;
use arrow::record_batch::RecordBatch;
use serde::Serialize;

use crate::output::error::OutputError;
use crate::output::parquet::Identity;
use crate::output::table_file;
use crate::output::table_file::TableFormat;

/// One number of one portfolio.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AllocationRow {
    /// `present`, `capacity_aware` or `size_blind`.
    pub portfolio: &'static str,
    /// Point of the frontier, counted from 1; 0 for the present book.
    pub point: u64,
    /// `chosen_on` the paths that the weights were chosen on, less the exit cost at the start; `fresh`: paths that they do not
    /// know, sold through their pools; `start`: of the weights alone.
    pub paths: &'static str,
    /// `mean_pnl`, `expected_shortfall`, `exit_cost` (all in the currency), `effective_holdings` or `weight`.
    pub measure: &'static str,
    /// Subnet of a weight.
    pub netuid: Option<u64>,
    /// The number.
    pub value: f64,
    /// Its standard error; none of what no chance decides.
    pub standard_error: Option<f64>,
}

/// Writes the table to `path`, which appears whole or not at all.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, format: TableFormat, rows: &[AllocationRow]) -> Result<(), OutputError> {
    table_file::write(path, format, &table(rows), |_| Ok(()))
}

fn table(rows: &[AllocationRow]) -> RecordBatch {
    let text = |of: fn(&AllocationRow) -> &'static str| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(of(row))).collect::<StringArray>())
    };
    let number =
        |of: fn(&AllocationRow) -> Option<f64>| -> ArrayRef { Arc::new(rows.iter().map(of).collect::<Float64Array>()) };
    let count =
        |of: fn(&AllocationRow) -> Option<u64>| -> ArrayRef { Arc::new(rows.iter().map(of).collect::<UInt64Array>()) };
    RecordBatch::try_from_iter_with_nullable([
        ("portfolio", text(|row| row.portfolio), false),
        ("point", count(|row| Some(row.point)), false),
        ("paths", text(|row| row.paths), false),
        ("measure", text(|row| row.measure), false),
        ("netuid", count(|row| row.netuid), true),
        ("value", number(|row| Some(row.value)), false),
        ("standard_error", number(|row| row.standard_error), true),
    ])
    .expect("columns of one length")
}

#[derive(Serialize)]
struct Document<'a> {
    scenario_hash: &'a str,
    seed: u64,
    currency: &'a str,
    rows: &'a [AllocationRow],
}

/// The table as indented JSON.
pub fn json(identity: &Identity, currency: &str, rows: &[AllocationRow]) -> String {
    let document = Document { scenario_hash: &identity.scenario_hash, seed: identity.seed, currency, rows };
    serde_json::to_string_pretty(&document).expect("names are text and numbers are numbers") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn numbers_without_chance_have_no_error() {
        let weight = AllocationRow {
            portfolio: "capacity_aware",
            point: 2,
            paths: "start",
            measure: "weight",
            netuid: Some(64),
            value: 0.125,
            standard_error: None,
        };
        let mean = AllocationRow {
            measure: "mean_pnl",
            paths: "fresh",
            netuid: None,
            standard_error: Some(1.5),
            ..weight.clone()
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.csv");
        write(&path, TableFormat::Csv, &[weight.clone(), mean]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "portfolio,point,paths,measure,netuid,value,standard_error\n\
             capacity_aware,2,start,weight,64,0.125,\ncapacity_aware,2,fresh,mean_pnl,,0.125,1.5\n"
        );
        let identity = Identity { scenario_hash: "ab".to_owned(), seed: 7 };
        let json: serde_json::Value = serde_json::from_str(&json(&identity, "TAO", &[weight])).unwrap();
        assert!(json["rows"][0]["standard_error"].is_null() && json["rows"][0]["netuid"] == 64);
    }
}
