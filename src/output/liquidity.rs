//! The table of what leaving costs as CSV, Parquet or JSON.

use serde::Serialize;

use crate::output::parquet::Columns;
use crate::output::parquet::Identity;
use crate::output::parquet::Row;
use crate::output::schema::FileSchema;
use crate::output::schema::LIQUIDITY;
use crate::output::table_file;
use crate::output::table_file::TableRow;

/// What leaving costs at one size over so many days: the columns of [`LIQUIDITY`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiquidityRow {
    /// Name of the book.
    pub book: String,
    /// Days after which the exit begins.
    pub after_days: f64,
    /// Days that it takes; 0: at once.
    pub exit_days: f64,
    /// Most alpha sold a day, as a fraction of the pool's.
    pub participation: f64,
    /// Multiple of the book.
    pub size: f64,
    /// Opening value of that (TAO).
    pub opening_tao: f64,
    /// Paths.
    pub paths: u64,
    /// Value (TAO) at spot of what is sold, when the exit begins; mean over paths.
    pub sold_tao: f64,
    /// Cost (fraction of the value at spot when the exit begins), mean over paths.
    pub cost: f64,
    /// Its standard error.
    pub cost_standard_error: f64,
    /// Share of paths that are the tail is 1 - level.
    pub level: f64,
    /// Cost on the paths of the largest losses.
    pub tail_cost: f64,
    /// Its standard error.
    pub tail_cost_standard_error: f64,
    /// That less the mean.
    pub crowding: f64,
    /// Its standard error.
    pub crowding_standard_error: f64,
}

impl Row for LiquidityRow {
    fn append(&self, columns: &mut Columns) {
        columns.text(&self.book);
        columns.f64(self.after_days);
        columns.f64(self.exit_days);
        columns.f64(self.participation);
        columns.f64(self.size);
        columns.f64(self.opening_tao);
        columns.u64(self.paths);
        columns.f64(self.sold_tao);
        columns.f64(self.cost);
        columns.f64(self.cost_standard_error);
        columns.f64(self.level);
        columns.f64(self.tail_cost);
        columns.f64(self.tail_cost_standard_error);
        columns.f64(self.crowding);
        columns.f64(self.crowding_standard_error);
    }
}

impl TableRow for LiquidityRow {
    const SCHEMA: &'static FileSchema = &LIQUIDITY;
}

/// Largest multiple of the book that leaves within so many days at a cost of at most a limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CapacityRow {
    /// Days that the exit takes.
    pub exit_days: f64,
    /// Largest cost (fraction).
    pub limit: f64,
    /// `found`, `below_smallest` or `above_largest` of the sizes tried.
    pub verdict: &'static str,
    /// The multiple.
    pub size: Option<f64>,
    /// Lower end of its 95 % interval.
    pub ci_low: Option<f64>,
    /// Upper end.
    pub ci_high: Option<f64>,
    /// The same in TAO at the opening.
    pub opening_tao: Option<f64>,
}

#[derive(Serialize)]
struct Beside<'a> {
    capacity: &'a [CapacityRow],
}

/// Both tables as indented JSON.
pub fn json(identity: &Identity, capacity: &[CapacityRow], rows: &[LiquidityRow]) -> String {
    table_file::json_with(identity, Beside { capacity }, rows)
}
