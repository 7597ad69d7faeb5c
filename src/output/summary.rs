//! `summary.json`: the summary rows for machines that read no Parquet.

use serde::Serialize;

use crate::output::parquet::Identity;
use crate::output::schema::SCHEMA_VERSION;
use crate::risk::measure::SummaryRow;

/// File of the summary as JSON.
pub const SUMMARY_JSON_FILE: &str = "summary.json";

#[derive(Serialize)]
struct Summary<'a> {
    schema_version: u32,
    scenario_hash: &'a str,
    seed: u64,
    rows: Vec<SummaryRecord<'a>>,
}

/// The columns of `summary.parquet`; what is infinite there is null here, since JSON has no infinity.
#[derive(Serialize)]
struct SummaryRecord<'a> {
    book: &'a str,
    measure: &'static str,
    currency: &'static str,
    basis: &'static str,
    level: Option<f64>,
    horizon_days: f64,
    value: f64,
    standard_error: f64,
    ci_low: f64,
    ci_high: f64,
    samples: u64,
}

impl<'a> From<&'a SummaryRow> for SummaryRecord<'a> {
    fn from(row: &'a SummaryRow) -> Self {
        Self {
            book: &row.book,
            measure: row.measure.name(),
            currency: row.currency.name(),
            basis: row.basis.name(),
            level: row.level,
            horizon_days: row.horizon_days,
            value: row.estimate.value,
            standard_error: row.estimate.standard_error,
            ci_low: row.estimate.ci_low,
            ci_high: row.estimate.ci_high,
            samples: row.estimate.samples,
        }
    }
}

/// The text of `summary.json`.
pub fn summary_json(identity: &Identity, rows: &[SummaryRow]) -> String {
    let summary = Summary {
        schema_version: SCHEMA_VERSION,
        scenario_hash: &identity.scenario_hash,
        seed: identity.seed,
        rows: rows.iter().map(SummaryRecord::from).collect(),
    };
    let mut text = serde_json::to_string_pretty(&summary).expect("names are text and numbers are numbers");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::schema::SUMMARY;
    use crate::risk::estimate::Estimate;
    use crate::risk::measure::Basis;
    use crate::risk::measure::Currency;
    use crate::risk::measure::Measure;

    #[test]
    fn the_keys_are_the_columns() {
        let row = SummaryRow {
            book: "desk \"A\"".into(),
            measure: Measure::ValueAtRisk,
            currency: Currency::Tao,
            basis: Basis::Mark,
            level: Some(0.99),
            horizon_days: 30.0,
            estimate: Estimate::between(12.5, 11.0, f64::INFINITY, 100),
        };
        let identity = Identity { scenario_hash: "ab".into(), seed: u64::MAX };
        let json: serde_json::Value = serde_json::from_str(&summary_json(&identity, &[row])).unwrap();
        let record = json["rows"][0].as_object().unwrap();
        let keys: Vec<&str> = record.keys().map(String::as_str).collect();
        let columns: Vec<&str> = SUMMARY.columns.iter().map(|column| column.name).collect();
        assert_eq!(keys, columns);
        assert_eq!(json["seed"], u64::MAX);
        assert_eq!(record["value"], 12.5);
        assert!(record["ci_high"].is_null());
    }
}
