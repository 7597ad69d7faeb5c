//! The table of an attribution by driver as CSV, Parquet or JSON.

use serde::Serialize;

use crate::output::parquet::Columns;
use crate::output::parquet::Identity;
use crate::output::parquet::Row;
use crate::output::schema::DRIVERS;
use crate::output::schema::FileSchema;
use crate::output::table_file;
use crate::output::table_file::TableRow;

/// What a driver has in a measure: the columns of [`DRIVERS`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriverRow {
    /// Name of the book.
    pub book: String,
    /// Days from the start.
    pub horizon_days: f64,
    /// Money of the amounts.
    pub currency: &'static str,
    /// How holdings are valued.
    pub basis: &'static str,
    /// Paths, the same for every coalition.
    pub paths: u64,
    /// What is measured.
    pub measure: &'static str,
    /// Confidence level.
    pub level: Option<f64>,
    /// Name of the driver.
    pub driver: &'static str,
    /// Its part in Shapley order.
    pub part: f64,
    /// Standard error of that.
    pub part_standard_error: f64,
    /// What it does alone.
    pub alone: Option<f64>,
    /// Standard error of that.
    pub alone_standard_error: Option<f64>,
    /// What it does where all others act.
    pub last: Option<f64>,
    /// Standard error of that.
    pub last_standard_error: Option<f64>,
}

impl Row for DriverRow {
    fn append(&self, columns: &mut Columns) {
        columns.text(&self.book);
        columns.f64(self.horizon_days);
        columns.text(self.currency);
        columns.text(self.basis);
        columns.u64(self.paths);
        columns.text(self.measure);
        columns.optional_f64(self.level);
        columns.text(self.driver);
        columns.f64(self.part);
        columns.f64(self.part_standard_error);
        columns.optional_f64(self.alone);
        columns.optional_f64(self.alone_standard_error);
        columns.optional_f64(self.last);
        columns.optional_f64(self.last_standard_error);
    }
}

impl TableRow for DriverRow {
    const SCHEMA: &'static FileSchema = &DRIVERS;
}

#[derive(Serialize)]
struct Beside<'a> {
    /// Drivers that the scenario gives nothing to do.
    absent: &'a [&'static str],
}

/// The table as indented JSON, with the names of drivers that are `absent`.
pub fn json(identity: &Identity, absent: &[&'static str], rows: &[DriverRow]) -> String {
    table_file::json_with(identity, Beside { absent }, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::table_file::TableFormat;
    use arrow::array::Array;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use std::fs;
    use std::fs::File;

    fn rows() -> Vec<DriverRow> {
        let row = DriverRow {
            book: "desk".to_owned(),
            horizon_days: 90.0,
            currency: "USD",
            basis: "liquidation",
            paths: 1_000,
            measure: "value_at_risk",
            level: Some(0.95),
            driver: "jumps",
            part: 12.5,
            part_standard_error: 0.5,
            alone: Some(3.0),
            alone_standard_error: Some(0.25),
            last: Some(-1.0),
            last_standard_error: Some(0.125),
        };
        let missing = None;
        let total = DriverRow { driver: "total", alone: missing, alone_standard_error: missing, ..row.clone() };
        vec![row, DriverRow { level: missing, last: missing, last_standard_error: missing, ..total }]
    }

    #[test]
    fn every_form_holds_the_columns_of_the_schema() {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity { scenario_hash: "ab".to_owned(), seed: 7 };
        let names: Vec<&str> = DRIVERS.columns.iter().map(|column| column.name).collect();
        let path = directory.path().join("table.csv");
        table_file::write_rows(&path, TableFormat::Csv, &identity, &rows()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], names.join(","));
        assert_eq!(lines[2], "desk,90.0,USD,liquidation,1000,value_at_risk,,total,12.5,0.5,,,,");
        let path = directory.path().join("table.parquet");
        table_file::write_rows(&path, TableFormat::Parquet, &identity, &rows()).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap().build().unwrap();
        let batch = reader.last().unwrap().unwrap();
        assert_eq!(batch.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), names);
        assert!(batch["alone"].is_valid(0) && batch["alone"].is_null(1));
        let json: serde_json::Value = serde_json::from_str(&json(&identity, &["rules"], &rows())).unwrap();
        let record = json["rows"][1].as_object().unwrap();
        assert_eq!(record.keys().map(String::as_str).collect::<Vec<_>>(), names);
        assert!(record["alone"].is_null() && json["absent"][0] == "rules");
    }
}
