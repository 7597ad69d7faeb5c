//! The table of a convergence study as CSV, Parquet or JSON.

use serde::Serialize;

use crate::output::parquet::Columns;
use crate::output::parquet::Row;
use crate::output::schema::CONVERGENCE;
use crate::output::schema::FileSchema;
use crate::output::table_file::TableRow;

/// A measure on two levels: the columns of [`CONVERGENCE`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConvergenceRow {
    /// `pair` of consecutive levels, or a level against the finest.
    pub comparison: &'static str,
    /// Blocks per step of the coarser level.
    pub coarse_blocks_per_step: u64,
    /// Blocks per step of the finer level.
    pub fine_blocks_per_step: u64,
    /// Paths, the fewest of any pair between the two.
    pub paths: u64,
    /// Days from the start.
    pub horizon_days: f64,
    /// What is compared.
    pub measure: &'static str,
    /// Name of the book; empty where it is of none.
    pub book: String,
    /// Slot number of the subnet; 0 where it is of none.
    pub netuid: u32,
    /// Confidence level.
    pub level: Option<f64>,
    /// Finer minus coarser.
    pub difference: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Standard error of the measure on the coarser level with 1e6 paths.
    pub monte_carlo_error: f64,
    /// Where the difference lies against half of that.
    pub verdict: &'static str,
}

impl Row for ConvergenceRow {
    fn append(&self, columns: &mut Columns) {
        columns.text(self.comparison);
        columns.u64(self.coarse_blocks_per_step);
        columns.u64(self.fine_blocks_per_step);
        columns.u64(self.paths);
        columns.f64(self.horizon_days);
        columns.text(self.measure);
        columns.text(&self.book);
        columns.u32(self.netuid);
        columns.optional_f64(self.level);
        columns.f64(self.difference);
        columns.f64(self.standard_error);
        columns.f64(self.monte_carlo_error);
        columns.text(self.verdict);
    }
}

impl TableRow for ConvergenceRow {
    const SCHEMA: &'static FileSchema = &CONVERGENCE;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::parquet::Identity;
    use crate::output::table_file;
    use crate::output::table_file::TableFormat;
    use arrow::array::AsArray;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use std::fs;
    use std::fs::File;
    use std::path::Path;

    fn rows() -> Vec<ConvergenceRow> {
        let row = ConvergenceRow {
            comparison: "pair",
            coarse_blocks_per_step: 7_200,
            fine_blocks_per_step: 360,
            paths: 40,
            horizon_days: 90.0,
            measure: "value_at_risk",
            book: "desk, \"A\"".to_owned(),
            netuid: 0,
            level: Some(0.95),
            difference: -0.125,
            standard_error: 0.5,
            monte_carlo_error: f64::INFINITY,
            verdict: "open",
        };
        vec![row.clone(), ConvergenceRow { level: None, netuid: 64, ..row }]
    }

    fn identity() -> Identity {
        Identity { scenario_hash: "ab".to_owned(), seed: 7 }
    }

    #[test]
    fn both_formats_hold_the_columns_of_the_schema() {
        let directory = tempfile::tempdir().unwrap();
        let names: Vec<&str> = CONVERGENCE.columns.iter().map(|column| column.name).collect();
        let path = directory.path().join("table.csv");
        table_file::write_rows(&path, TableFormat::of(&path).unwrap(), &identity(), &rows()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], names.join(","));
        assert_eq!(lines[1], "pair,7200,360,40,90.0,value_at_risk,\"desk, \"\"A\"\"\",0,0.95,-0.125,0.5,inf,open");
        let path = directory.path().join("table.parquet");
        table_file::write_rows(&path, TableFormat::of(&path).unwrap(), &identity(), &rows()).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap().build().unwrap();
        let batch = reader.last().unwrap().unwrap();
        assert_eq!(batch.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), names);
        assert_eq!(batch["netuid"].as_primitive::<arrow::datatypes::UInt32Type>().values(), &[0, 64]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing partial stays");
        assert_eq!(TableFormat::of(Path::new("table.txt")), None);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let error =
            table_file::write_rows(Path::new("/dev/null/x.csv"), TableFormat::Csv, &identity(), &rows()).unwrap_err();
        assert!(error.to_string().contains("/dev/null/x.csv"), "{error}");
    }

    #[test]
    fn json_has_the_same_keys() {
        let json: serde_json::Value = serde_json::from_str(&table_file::json(&identity(), &rows())).unwrap();
        let record = json["rows"][0].as_object().unwrap();
        let keys: Vec<&str> = record.keys().map(String::as_str).collect();
        assert_eq!(keys, CONVERGENCE.columns.iter().map(|column| column.name).collect::<Vec<_>>());
        assert!(record["monte_carlo_error"].is_null() && json["seed"] == 7);
    }
}
