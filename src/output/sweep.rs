//! The table of a sweep over keys of a scenario as CSV, Parquet or JSON.

use serde::Serialize;

use crate::output::parquet::Columns;
use crate::output::parquet::Row;
use crate::output::schema::BOOK;
use crate::output::schema::FileSchema;
use crate::output::schema::HORIZON_DAYS;
use crate::output::schema::Kind;
use crate::output::schema::column;
use crate::output::schema::number;
use crate::output::table_file::TableRow;

const NO_NUMBER: &str = "where that is no number";
const NO_LEVEL: &str = "for measures without a level";

/// Measures of `taorisk sweep`; no part of a run directory.
pub static SWEEP: FileSchema = FileSchema {
    file: "sweep",
    rows: "measure of a book at a point of the grid; by point (the last key fastest), book, currency, basis, measure, level",
    columns: &[
        column("key", Kind::Text, "key that is varied"),
        column("setting", Kind::Text, "its value, as written"),
        number("setting_number", "its value").null(NO_NUMBER),
        column("second_key", Kind::Text, "the other key that is varied; empty where there is none"),
        column("second_setting", Kind::Text, "its value, as written; empty where there is none"),
        number("second_setting_number", "its value").null(NO_NUMBER),
        BOOK,
        HORIZON_DAYS,
        column("currency", Kind::Text, "TAO or USD; empty for counts"),
        column("basis", Kind::Text, "mark or liquidation; empty for counts and exit costs"),
        column("paths", Kind::U64, "paths, the same at every point"),
        column(
            "measure",
            Kind::Text,
            "mean_loss, loss_probability, value_at_risk, expected_shortfall (losses are positive), exit_cost (mean of the value \
                at spot less that on liquidation), deregistered_holdings (mean count)",
        ),
        number("level", "confidence of value_at_risk and expected_shortfall").null(NO_LEVEL),
        number("value", "the measure at the point"),
        number("standard_error", "its standard error"),
        number("ci_low", "lower end of its 95 % interval"),
        number("ci_high", "upper end of its 95 % interval"),
        number("base_value", "the measure in the scenario itself"),
        number("base_standard_error", "its standard error"),
        number("difference", "value less base_value"),
        number("difference_standard_error", "its standard error, of the differences path by path"),
        number("difference_ci_low", "lower end of its 95 % interval"),
        number("difference_ci_high", "upper end of its 95 % interval"),
    ],
};

/// A measure at a point: the columns of [`SWEEP`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepRow {
    /// Key that is varied.
    pub key: String,
    /// Its value as written.
    pub setting: String,
    /// Its value.
    pub setting_number: Option<f64>,
    /// The other key; empty where there is none.
    pub second_key: String,
    /// Its value as written.
    pub second_setting: String,
    /// Its value.
    pub second_setting_number: Option<f64>,
    /// Name of the book.
    pub book: String,
    /// Days from the start.
    pub horizon_days: f64,
    /// Money of the amounts; empty for counts.
    pub currency: &'static str,
    /// How holdings are valued; empty for counts and exit costs.
    pub basis: &'static str,
    /// Paths.
    pub paths: u64,
    /// What is measured.
    pub measure: &'static str,
    /// Confidence level.
    pub level: Option<f64>,
    /// The measure at the point.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Lower end of its 95 % interval.
    pub ci_low: f64,
    /// Upper end of its 95 % interval.
    pub ci_high: f64,
    /// The measure in the scenario itself.
    pub base_value: f64,
    /// Its standard error.
    pub base_standard_error: f64,
    /// Value less base value.
    pub difference: f64,
    /// Its standard error, of the differences path by path.
    pub difference_standard_error: f64,
    /// Lower end of its 95 % interval.
    pub difference_ci_low: f64,
    /// Upper end of its 95 % interval.
    pub difference_ci_high: f64,
}

impl Row for SweepRow {
    fn append(&self, columns: &mut Columns) {
        columns.text(&self.key);
        columns.text(&self.setting);
        columns.optional_f64(self.setting_number);
        columns.text(&self.second_key);
        columns.text(&self.second_setting);
        columns.optional_f64(self.second_setting_number);
        columns.text(&self.book);
        columns.f64(self.horizon_days);
        columns.text(self.currency);
        columns.text(self.basis);
        columns.u64(self.paths);
        columns.text(self.measure);
        columns.optional_f64(self.level);
        columns.f64(self.value);
        columns.f64(self.standard_error);
        columns.f64(self.ci_low);
        columns.f64(self.ci_high);
        columns.f64(self.base_value);
        columns.f64(self.base_standard_error);
        columns.f64(self.difference);
        columns.f64(self.difference_standard_error);
        columns.f64(self.difference_ci_low);
        columns.f64(self.difference_ci_high);
    }
}

impl TableRow for SweepRow {
    const SCHEMA: &'static FileSchema = &SWEEP;
}
