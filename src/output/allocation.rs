//! The table of an allocation as CSV, Parquet or JSON.

use serde::Serialize;

use crate::output::parquet::Columns;
use crate::output::parquet::Identity;
use crate::output::parquet::Row;
use crate::output::schema::FileSchema;
use crate::output::schema::Kind;
use crate::output::schema::column;
use crate::output::schema::number;
use crate::output::table_file;
use crate::output::table_file::TableRow;

/// The table of `taorisk allocate`; no part of a run directory.
pub static ALLOCATION: FileSchema = FileSchema {
    file: "allocation",
    rows: "number of a portfolio; the present book first, then points of the frontier",
    columns: &[
        column("portfolio", Kind::Text, "present, capacity_aware or size_blind"),
        column("point", Kind::U64, "point of the frontier, from 1; 0 for the present book"),
        column(
            "paths",
            Kind::Text,
            "chosen_on (paths that the weights were chosen on, less the exit cost at the start), fresh (paths that they do \
                not know, sold through their pools) or start (of the weights alone)",
        ),
        column(
            "measure",
            Kind::Text,
            "mean_pnl, expected_shortfall, exit_cost (all in the currency), effective_holdings or weight",
        ),
        column("netuid", Kind::U64, "subnet of a weight").null("for other measures"),
        number("value", "the number"),
        number("standard_error", "its standard error").null("for what no chance decides"),
    ],
};

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

impl Row for AllocationRow {
    fn append(&self, columns: &mut Columns) {
        columns.text(self.portfolio);
        columns.u64(self.point);
        columns.text(self.paths);
        columns.text(self.measure);
        columns.optional_u64(self.netuid);
        columns.f64(self.value);
        columns.optional_f64(self.standard_error);
    }
}

impl TableRow for AllocationRow {
    const SCHEMA: &'static FileSchema = &ALLOCATION;
}

#[derive(Serialize)]
struct Beside<'a> {
    currency: &'a str,
}

/// The table as indented JSON.
pub fn json(identity: &Identity, currency: &str, rows: &[AllocationRow]) -> String {
    table_file::json_with(identity, Beside { currency }, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::table_file::TableFormat;
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
        let identity = Identity { scenario_hash: "ab".to_owned(), seed: 7 };
        table_file::write_rows(&path, TableFormat::Csv, &identity, &[weight.clone(), mean]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "portfolio,point,paths,measure,netuid,value,standard_error\n\
             capacity_aware,2,start,weight,64,0.125,\ncapacity_aware,2,fresh,mean_pnl,,0.125,1.5\n"
        );
        let json: serde_json::Value = serde_json::from_str(&json(&identity, "TAO", &[weight])).unwrap();
        assert!(json["rows"][0]["standard_error"].is_null() && json["rows"][0]["netuid"] == 64);
    }
}
