//! The table of a multilevel estimate as CSV, Parquet or JSON.

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

const OF_A_LEVEL: &str = "for a level";
const OF_THE_FIRST: &str = "for estimates and the first level";

/// Measures of `taorisk multilevel`; no part of a run directory.
pub static MULTILEVEL: FileSchema = FileSchema {
    file: "multilevel",
    rows: "measure of a book, its estimate first, then each level of it",
    columns: &[
        column(
            "part",
            Kind::Text,
            "estimate (the sum of the levels) or level (fine less coarse; the first level: itself)",
        ),
        BOOK,
        HORIZON_DAYS,
        column(
            "measure",
            Kind::Text,
            "mean_pnl, loss_probability, holding_deregistered (probability of any); of USD measures the expectation over TAO/USD \
                where its law is known",
        ),
        column("currency", Kind::Text, "TAO or USD; empty for deregistrations"),
        column("basis", Kind::Text, "mark or liquidation; empty for deregistrations"),
        column("blocks_per_step", Kind::U64, "blocks per step of the level; of the finest for an estimate"),
        number("coarse_blocks_per_step", "blocks per step of the level before").null(OF_THE_FIRST),
        column("paths", Kind::U64, "paths of the level; of all for an estimate"),
        number("value", "estimate, or mean of the level"),
        number("standard_error", "its standard error"),
        number("ci_low", "lower end of its 95 % interval"),
        number("ci_high", "upper end of its 95 % interval"),
        number("bias_bound", "what the last two levels say that still shorter steps would change").null(OF_A_LEVEL),
        number("variance", "of a path of the level; for an estimate: of the first"),
        number("variance_rate", "exponent with which variances of levels fall with the difference of their steps")
            .null("for a level, and where there are fewer than three"),
        number(
            "subnet_steps",
            "steps of subnets that the paths took; the draws of coupled paths count by their part of the time",
        ),
        number("plain_subnet_steps", "the same of plain paths at the finest level with that standard error")
            .null(OF_A_LEVEL),
    ],
};

/// A measure, or a level of it: the columns of [`MULTILEVEL`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MultilevelRow {
    /// `estimate` or `level`.
    pub part: &'static str,
    /// Name of the book.
    pub book: String,
    /// Days from the start.
    pub horizon_days: f64,
    /// What is measured.
    pub measure: &'static str,
    /// Money; empty for deregistrations.
    pub currency: &'static str,
    /// How holdings are valued; empty for deregistrations.
    pub basis: &'static str,
    /// Of the level, or of the finest.
    pub blocks_per_step: u64,
    /// Of the level before.
    pub coarse_blocks_per_step: Option<f64>,
    /// Of the level, or of all.
    pub paths: u64,
    /// Estimate, or mean of the level.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Lower end of its 95 % interval.
    pub ci_low: f64,
    /// Upper end of its 95 % interval.
    pub ci_high: f64,
    /// Of an estimate.
    pub bias_bound: Option<f64>,
    /// Of a path of the level, or of the first.
    pub variance: f64,
    /// Of an estimate.
    pub variance_rate: Option<f64>,
    /// Steps of subnets.
    pub subnet_steps: f64,
    /// The same of plain paths.
    pub plain_subnet_steps: Option<f64>,
}

impl Row for MultilevelRow {
    fn append(&self, columns: &mut Columns) {
        columns.text(self.part);
        columns.text(&self.book);
        columns.f64(self.horizon_days);
        columns.text(self.measure);
        columns.text(self.currency);
        columns.text(self.basis);
        columns.u64(self.blocks_per_step);
        columns.optional_f64(self.coarse_blocks_per_step);
        columns.u64(self.paths);
        columns.f64(self.value);
        columns.f64(self.standard_error);
        columns.f64(self.ci_low);
        columns.f64(self.ci_high);
        columns.optional_f64(self.bias_bound);
        columns.f64(self.variance);
        columns.optional_f64(self.variance_rate);
        columns.f64(self.subnet_steps);
        columns.optional_f64(self.plain_subnet_steps);
    }
}

impl TableRow for MultilevelRow {
    const SCHEMA: &'static FileSchema = &MULTILEVEL;
}
