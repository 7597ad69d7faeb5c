//! Multilevel estimates on the terminal.

use std::fmt::Write;

use crate::cli::table;
use crate::cli::table::Style;
use crate::output::multilevel::MultilevelRow;
use crate::risk::estimate::Estimate;

/// Width of the labels at the left.
const LABEL_WIDTH: usize = 30;
/// Width of a cell; four of them and a label are 98 columns.
const CELL_WIDTH: usize = 17;

/// A line for each estimate, then the levels of the one with the number `asked`.
pub(super) fn text(rows: &[MultilevelRow], asked: usize, style: Style) -> String {
    let estimates: Vec<&MultilevelRow> = rows.iter().filter(|row| row.part == "estimate").collect();
    let first = estimates[0];
    let title = format!(
        "After {}, at {} blocks per step (± 95 %)",
        table::days_label(first.horizon_days),
        table::grouped(first.blocks_per_step as f64, 0)
    );
    let legend = "bias: what still shorter steps may change. beta: variances of levels fall with the length of steps to\n\
                  this power. gain: cost of plain paths at these steps with the same error over that of all levels.";
    let mut text = format!("{}\n{}\n\n", style.bold(&title), style.dim(legend));
    text += &line("", ["mean", "bias", "beta", "gain"].map(str::to_owned));
    let has_books = estimates.iter().any(|row| row.book != first.book);
    estimates.iter().for_each(|row| text += &line(&label(row, has_books), estimate_cells(row)));
    let of_asked = rows.iter().filter(|row| is_same_measure(row, estimates[asked]));
    let _ = writeln!(text, "\n{}", style.bold(&format!("Levels: {}", label(estimates[asked], has_books))));
    text += &line("blocks per step", ["paths", "mean", "variance", "subnet-steps"].map(str::to_owned));
    of_asked.filter(|row| row.part == "level").for_each(|row| text += &line(&blocks(row), level_cells(row)));
    text
}

fn is_same_measure(row: &MultilevelRow, other: &MultilevelRow) -> bool {
    let key = |row: &MultilevelRow| (row.book.clone(), row.measure, row.currency, row.basis);
    key(row) == key(other)
}

fn label(row: &MultilevelRow, has_books: bool) -> String {
    let what = match (row.measure, row.basis) {
        ("mean_pnl", "mark") => format!("mean P&L, {}", row.currency),
        ("mean_pnl", _) => format!("mean P&L if sold, {}", row.currency),
        ("loss_probability", _) => format!("chance of a loss, {}", row.currency),
        _ => "any holding deregistered".to_owned(),
    };
    if has_books { format!("{}: {what}", table::printable(&row.book)) } else { what }
}

fn estimate_cells(row: &MultilevelRow) -> [String; 4] {
    let bias = row.bias_bound.unwrap_or(f64::INFINITY);
    let gain = row.plain_subnet_steps.map_or(f64::NAN, |plain| plain / row.subnet_steps);
    [
        mean(row),
        known(bias, table::decimals(bias)),
        row.variance_rate.map_or_else(|| "n/a".to_owned(), |rate| format!("{rate:.2}")),
        known(gain, 1),
    ]
}

fn level_cells(row: &MultilevelRow) -> [String; 4] {
    [
        table::grouped(row.paths as f64, 0),
        mean(row),
        known(row.variance, table::decimals(row.variance)),
        table::grouped(row.subnet_steps, 0),
    ]
}

fn blocks(row: &MultilevelRow) -> String {
    row.coarse_blocks_per_step
        .map_or_else(|| row.blocks_per_step.to_string(), |before| format!("{} less {before}", row.blocks_per_step))
}

fn mean(row: &MultilevelRow) -> String {
    let MultilevelRow { value, standard_error, ci_low, ci_high, paths, .. } = *row;
    table::with_error(&Estimate { value, standard_error, ci_low, ci_high, samples: paths }, "")
}

fn known(value: f64, decimals: usize) -> String {
    if value.is_finite() { table::grouped(value, decimals) } else { "n/a".to_owned() }
}

/// A label at the left and cells flush right.
fn line(label: &str, cells: [String; 4]) -> String {
    let mut text = format!("{label:<LABEL_WIDTH$}");
    for cell in cells {
        let _ = write!(text, "{cell:>CELL_WIDTH$}");
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}
