//! The table of stress scenarios against their base as CSV, Parquet or JSON.

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

const NO_POSITION: &str = "unless `part` is position, and for cash with what a policy bought";
const A_PART: &str = "if `part` is position";

/// The table of `taorisk stress`; no part of a run directory.
pub static STRESS: FileSchema = FileSchema {
    file: "stress",
    rows: "scenario, part and measure; scenarios in the order in which they were run",
    columns: &[
        column("scenario", Kind::Text, "name of the scenario, compared with the base on the same chance"),
        column("book", Kind::Text, "name of the book"),
        number("horizon_days", "report horizon (days from the start)"),
        column("currency", Kind::Text, "TAO or USD"),
        column("basis", Kind::Text, "mark or liquidation"),
        column("paths", Kind::U64, "paths that every scenario was simulated on"),
        column(
            "part",
            Kind::Text,
            "book (the scenario against the base); market (both with the rules of the start throughout); rules (the scenario \
                against itself with the rules of the start throughout); position (what one adds to the difference of the book)",
        ),
        column("netuid", Kind::U32, "slot number of the position's subnet").null(NO_POSITION),
        column("registered_at", Kind::U64, "block of that subnet's registration").null(NO_POSITION),
        column("name", Kind::Text, "its name; empty for other parts"),
        column(
            "measure",
            Kind::Text,
            "mean_loss, loss_probability, value_at_risk, expected_shortfall, exit_cost (value at spot less value on \
                liquidation, mean), deregistered_holdings (mean count). Losses are positive; of positions mean_loss and \
                expected_shortfall, which add up to the book's",
        ),
        number("level", "confidence of value_at_risk and expected_shortfall").null("for measures without a level"),
        number("base", "the measure of what is compared with").null(A_PART),
        number("base_standard_error", "its standard error").null(A_PART),
        number("value", "the measure of the scenario; of part market with the rules of the start").null(A_PART),
        number("value_standard_error", "its standard error").null(A_PART),
        number("difference", "value less base"),
        number("difference_standard_error", "its standard error, paired"),
    ],
};

/// A measure of a scenario against the base: the columns of [`STRESS`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StressRow {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the book.
    pub book: String,
    /// Days from the start.
    pub horizon_days: f64,
    /// Money of the amounts.
    pub currency: &'static str,
    /// How holdings are valued.
    pub basis: &'static str,
    /// Paths, the same for every scenario.
    pub paths: u64,
    /// What is compared.
    pub part: &'static str,
    /// The position's slot.
    pub netuid: Option<u32>,
    /// Block of its subnet's registration.
    pub registered_at: Option<u64>,
    /// Name of the position.
    pub name: String,
    /// What is measured.
    pub measure: &'static str,
    /// Confidence level.
    pub level: Option<f64>,
    /// What is compared with.
    pub base: Option<f64>,
    /// Standard error of that.
    pub base_standard_error: Option<f64>,
    /// The measure of the scenario.
    pub value: Option<f64>,
    /// Standard error of that.
    pub value_standard_error: Option<f64>,
    /// The difference of the two.
    pub difference: f64,
    /// Standard error of that, paired.
    pub difference_standard_error: f64,
}

impl Row for StressRow {
    fn append(&self, columns: &mut Columns) {
        columns.text(&self.scenario);
        columns.text(&self.book);
        columns.f64(self.horizon_days);
        columns.text(self.currency);
        columns.text(self.basis);
        columns.u64(self.paths);
        columns.text(self.part);
        columns.optional_u32(self.netuid);
        columns.optional_u64(self.registered_at);
        columns.text(&self.name);
        columns.text(self.measure);
        columns.optional_f64(self.level);
        columns.optional_f64(self.base);
        columns.optional_f64(self.base_standard_error);
        columns.optional_f64(self.value);
        columns.optional_f64(self.value_standard_error);
        columns.f64(self.difference);
        columns.f64(self.difference_standard_error);
    }
}

impl TableRow for StressRow {
    const SCHEMA: &'static FileSchema = &STRESS;
}

/// A scenario that was run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StressScenario {
    /// Its name.
    pub name: String,
    /// What happens in it; empty where its text does not say.
    pub description: String,
    /// Hash of the scenario laid over the base.
    pub scenario_hash: String,
    /// What is to be known of its results.
    pub notes: Vec<String>,
}

/// A scenario of the library that does not go with the base.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Why it was refused.
    pub reason: String,
}

/// All that JSON says.

#[derive(Serialize)]
struct Beside<'a> {
    scenarios: &'a [StressScenario],
    left_out: &'a [LeftOut],
}

/// The table as indented JSON, with what was run and what was not.
pub fn json(identity: &Identity, scenarios: &[StressScenario], left_out: &[LeftOut], rows: &[StressRow]) -> String {
    table_file::json_with(identity, Beside { scenarios, left_out }, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::table_file::TableFormat;
    use arrow::array::Array;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use std::fs;
    use std::fs::File;

    fn rows() -> Vec<StressRow> {
        let book = StressRow {
            scenario: "hill-gate".to_owned(),
            book: "desk".to_owned(),
            horizon_days: 90.0,
            currency: "USD",
            basis: "liquidation",
            paths: 1_000,
            part: "book",
            netuid: None,
            registered_at: None,
            name: String::new(),
            measure: "value_at_risk",
            level: Some(0.95),
            base: Some(10.0),
            base_standard_error: Some(0.5),
            value: Some(12.0),
            value_standard_error: Some(0.5),
            difference: 2.0,
            difference_standard_error: 0.25,
        };
        let position = StressRow {
            part: "position",
            netuid: Some(64),
            registered_at: Some(4_531_295),
            name: "Chutes".to_owned(),
            measure: "mean_loss",
            level: None,
            base: None,
            base_standard_error: None,
            value: None,
            value_standard_error: None,
            ..book.clone()
        };
        vec![book, position]
    }

    #[test]
    fn every_form_holds_the_columns_of_the_schema() {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity { scenario_hash: "ab".to_owned(), seed: 7 };
        let names: Vec<&str> = STRESS.columns.iter().map(|column| column.name).collect();
        let path = directory.path().join("table.csv");
        table_file::write_rows(&path, TableFormat::Csv, &identity, &rows()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], names.join(","));
        assert_eq!(
            lines[2],
            "hill-gate,desk,90.0,USD,liquidation,1000,position,64,4531295,Chutes,mean_loss,,,,,,2.0,0.25"
        );
        let path = directory.path().join("table.parquet");
        table_file::write_rows(&path, TableFormat::Parquet, &identity, &rows()).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap().build().unwrap();
        let batch = reader.last().unwrap().unwrap();
        assert_eq!(batch.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), names);
        assert!(batch["base"].is_valid(0) && batch["base"].is_null(1) && batch["netuid"].is_null(0));
        let left_out = [LeftOut { name: "x".to_owned(), reason: "y".to_owned() }];
        let json: serde_json::Value = serde_json::from_str(&json(&identity, &[], &left_out, &rows())).unwrap();
        let record = json["rows"][1].as_object().unwrap();
        assert_eq!(record.keys().map(String::as_str).collect::<Vec<_>>(), names);
        assert!(record["value"].is_null() && json["left_out"][0]["reason"] == "y");
    }
}
