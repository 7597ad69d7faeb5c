//! The table of `taorisk sensitivity` as CSV, Parquet or JSON.

use serde::Serialize;

use crate::output::parquet::Columns;
use crate::output::parquet::Row;
use crate::output::schema::FileSchema;
use crate::output::schema::HORIZON_DAYS;
use crate::output::schema::Kind;
use crate::output::schema::column;
use crate::output::schema::number;
use crate::output::table_file::TableRow;

/// The table of `taorisk sensitivity`, as CSV or Parquet where `--out` says; no part of a run directory.
pub static SENSITIVITY: FileSchema = FileSchema {
    file: "sensitivity",
    rows: "measure, what moves it, and statistic",
    columns: &[
        column(
            "method",
            Kind::Text,
            "bump (central difference on the same chance), euler (component of the measure: the derivative to the size of a \
                position, exact), morris, sobol; run (the scenario as it is)",
        ),
        column("book", Kind::Text, "name of the book"),
        HORIZON_DAYS,
        column("currency", Kind::Text, "TAO or USD"),
        column("basis", Kind::Text, "mark or liquidation"),
        column("paths", Kind::U64, "paths of each run, the same in all"),
        column(
            "measure",
            Kind::Text,
            "mean_loss, loss_probability, value_at_risk, expected_shortfall, exit_cost, deregistered_holdings (mean number: the \
                sum of the probabilities that follow), deregistration_probability (of one holding; of books that hold)",
        ),
        column(
            "holding",
            Kind::Text,
            "subnet whose deregistration_probability is measured; empty for measures of the book",
        ),
        number("level", "confidence of value_at_risk and expected_shortfall").null("for measures without a level"),
        column("kind", Kind::Text, "parameter, position, or book (the measure itself)"),
        column("key", Kind::Text, "key of the parameter, subnet of the position; empty for the book"),
        column("name", Kind::Text, "name of the subnet of a position; else empty"),
        number("at", "value of the parameter, or alpha of the position").null("for the book"),
        column(
            "scale",
            Kind::Text,
            "where the parameter has its law: linear, log or logit; empty where nothing is known of it",
        ),
        number("input_standard_error", "standard deviation of the parameter on that scale")
            .null("where nothing is known of it"),
        column(
            "statistic",
            Kind::Text,
            "per_standard_error (slope to the parameter in its standard errors), per_percent (slope to parameter or size in \
                hundredths of it); mu_star, mu, sigma (mean absolute effect, mean and standard deviation of effects, per standard \
                error of the parameter); first_order, total (parts of the variance); of the book value, mean, \
                standard_deviation (over the law of the parameters), first_order_sum",
        ),
        number("value", "the number, in the unit of the measure; parts of the variance are fractions"),
        number("standard_error", "its standard error; infinite where too few paths say"),
        number("ci_low", "lower end of the 95 % interval"),
        number("ci_high", "upper end of the 95 % interval"),
        column("samples", Kind::U64, "what the value rests on: paths, trajectories (morris) or rows (sobol)"),
    ],
};

/// A number of a study: the columns of [`SENSITIVITY`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SensitivityRow {
    /// How it was found.
    pub method: &'static str,
    /// Name of the book.
    pub book: String,
    /// Days from the start.
    pub horizon_days: f64,
    /// Money of the amounts.
    pub currency: &'static str,
    /// How holdings are valued.
    pub basis: &'static str,
    /// Paths of each run.
    pub paths: u64,
    /// What is measured.
    pub measure: &'static str,
    /// Subnet that is measured; empty for the book.
    pub holding: String,
    /// Confidence level.
    pub level: Option<f64>,
    /// Kind of what moves it.
    pub kind: &'static str,
    /// Its key, or subnet.
    pub key: String,
    /// Name of the subnet.
    pub name: String,
    /// Its value, or alpha.
    pub at: Option<f64>,
    /// Scale of its law; empty without one.
    pub scale: &'static str,
    /// Standard deviation there.
    pub input_standard_error: Option<f64>,
    /// What the number is.
    pub statistic: &'static str,
    /// The number.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Lower end of the interval.
    pub ci_low: f64,
    /// Upper end of the interval.
    pub ci_high: f64,
    /// What it rests on.
    pub samples: u64,
}

impl Row for SensitivityRow {
    fn append(&self, columns: &mut Columns) {
        columns.text(self.method);
        columns.text(&self.book);
        columns.f64(self.horizon_days);
        columns.text(self.currency);
        columns.text(self.basis);
        columns.u64(self.paths);
        columns.text(self.measure);
        columns.text(&self.holding);
        columns.optional_f64(self.level);
        columns.text(self.kind);
        columns.text(&self.key);
        columns.text(&self.name);
        columns.optional_f64(self.at);
        columns.text(self.scale);
        columns.optional_f64(self.input_standard_error);
        columns.text(self.statistic);
        columns.f64(self.value);
        columns.f64(self.standard_error);
        columns.f64(self.ci_low);
        columns.f64(self.ci_high);
        columns.u64(self.samples);
    }
}

impl TableRow for SensitivityRow {
    const SCHEMA: &'static FileSchema = &SENSITIVITY;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::parquet::Identity;
    use crate::output::table_file;
    use crate::output::table_file::TableFormat;
    use arrow::array::Array;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use std::fs;
    use std::fs::File;

    fn rows() -> Vec<SensitivityRow> {
        let row = SensitivityRow {
            method: "bump",
            book: "desk".to_owned(),
            horizon_days: 90.0,
            currency: "USD",
            basis: "mark",
            paths: 1_000,
            measure: "value_at_risk",
            holding: String::new(),
            level: Some(0.95),
            kind: "parameter",
            key: "sales.miner".to_owned(),
            name: String::new(),
            at: Some(0.2),
            scale: "logit",
            input_standard_error: Some(0.688),
            statistic: "per_standard_error",
            value: 12.5,
            standard_error: 0.5,
            ci_low: 11.5,
            ci_high: 13.5,
            samples: 1_000,
        };
        let unknown = SensitivityRow { scale: "", input_standard_error: None, level: None, ..row.clone() };
        vec![row, unknown]
    }

    #[test]
    fn every_form_holds_the_columns_of_the_schema() {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity { scenario_hash: "ab".to_owned(), seed: 7 };
        let names: Vec<&str> = SENSITIVITY.columns.iter().map(|column| column.name).collect();
        let path = directory.path().join("table.csv");
        table_file::write_rows(&path, TableFormat::Csv, &identity, &rows()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], names.join(","));
        let tail = ",parameter,sales.miner,,0.2,,,per_standard_error,12.5,0.5,11.5,13.5,1000";
        assert!(lines[2].ends_with(tail), "{}", lines[2]);
        let path = directory.path().join("table.parquet");
        table_file::write_rows(&path, TableFormat::Parquet, &identity, &rows()).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap().build().unwrap();
        let batch = reader.last().unwrap().unwrap();
        assert_eq!(batch.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), names);
        let error = &batch["input_standard_error"];
        assert!(error.is_valid(0) && error.is_null(1));
        let json: serde_json::Value = serde_json::from_str(&table_file::json(&identity, &rows())).unwrap();
        let record = json["rows"][1].as_object().unwrap();
        assert_eq!(record.keys().map(String::as_str).collect::<Vec<_>>(), names);
        assert!(record["level"].is_null());
    }
}
