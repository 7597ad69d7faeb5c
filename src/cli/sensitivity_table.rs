//! The table of a study of sensitivity on the terminal: what matters most first, every number with its error, in 100 columns.

use std::fmt::Write;

use crate::cli::table;
use crate::cli::table::Style;
use crate::output::sensitivity::SensitivityRow;
use crate::risk::contrast::ContrastMeasure;
use crate::risk::estimate::Estimate;

/// Width of the keys at the left.
const LABEL_WIDTH: usize = 43;
/// Width of a cell; three of them and a key are 100 columns.
const CELL_WIDTH: usize = 19;

/// Numbers of a study.
pub(super) struct SensitivityTable<'a> {
    /// All of one method, but for those of the scenario as it is and of positions.
    pub rows: &'a [SensitivityRow],
    /// Runs that they took.
    pub runs: u64,
    /// What slopes are shown of; the first is what is sorted by.
    pub measures: Vec<ContrastMeasure>,
}

/// A block of the table: what its lines are, and its columns.
struct Block {
    title: String,
    kind: &'static str,
    columns: Vec<Column>,
}

/// A column: a statistic of a measure.
struct Column {
    head: String,
    measure: ContrastMeasure,
    statistic: &'static str,
    /// For fractions 100 and its sign.
    percent: bool,
}

impl SensitivityTable<'_> {
    /// The whole table.
    pub fn text(&self, style: Style) -> String {
        let Some(first) = self.rows.first() else { return "Nothing to move, nothing measured.\n".to_owned() };
        let title = format!(
            "Book {}: what moves its losses after {}, {}, {}",
            table::printable(&first.book),
            table::days_label(first.horizon_days),
            first.currency,
            first.basis
        );
        let mut text = style.bold(&title) + "\n";
        self.legend(first).iter().for_each(|line| text.push_str(&(style.dim(line) + "\n")));
        for block in self.blocks() {
            text.push_str(&self.block_text(&block, style));
        }
        text
    }

    fn is(&self, method: &str) -> bool {
        self.rows.iter().any(|row| row.method == method)
    }

    fn legend(&self, first: &SensitivityRow) -> Vec<String> {
        let opening = format!(
            "{} runs of {} paths on the same chance. A number after ± is half the width of its 95 %",
            table::grouped(self.runs as f64, 0),
            table::grouped(first.paths as f64, 0)
        );
        let rest: &[&str] = if self.is("morris") {
            &[
                "confidence interval, over trajectories. Per standard error of the parameter: mu* is the mean",
                "absolute effect, mu the mean, sigma the spread: what depends on where the parameters are.",
            ]
        } else if self.is("sobol") {
            &[
                "confidence interval, over rows of the design. First order: the part of the variance over the law",
                "of the parameters that knowing this one would take away. Total: what would stay if all others",
                "were known.",
            ]
        } else {
            &[
                "confidence interval. Slopes at the scenario: what one standard error more of the parameter, or 1 %",
                "more of its value or of the size of a position, adds to a measure.",
            ]
        };
        let sizes = match (self.is("euler"), self.rows.iter().any(|row| row.kind == "position")) {
            (true, _) => Some("Slopes to sizes are the Euler components of the measures, exact at spot.".to_owned()),
            (false, true) => Some("Slopes to sizes are simulated: a larger position is sold for less each.".to_owned()),
            (false, false) => None,
        };
        [opening].into_iter().chain(rest.iter().map(|&line| line.to_owned())).chain(sizes).collect()
    }

    fn blocks(&self) -> Vec<Block> {
        let own = self.measures[0];
        let global = |statistic, head: &str| Column { head: head.to_owned(), measure: own, statistic, percent: false };
        if self.is("morris") {
            let columns = vec![global("mu_star", "mu*"), global("mu", "mu"), global("sigma", "sigma")];
            return vec![Block { title: label(own), kind: "parameter", columns }];
        }
        if self.is("sobol") {
            let part = |statistic, head| Column { percent: true, ..global(statistic, head) };
            let sums = vec![
                global("mean", "mean"),
                global("standard_deviation", "sd over the law"),
                part("first_order_sum", "sum of first order"),
            ];
            let indices = vec![part("total", "total"), part("first_order", "first order")];
            return vec![
                Block { title: label(own), kind: "book", columns: sums },
                Block {
                    title: format!("parts of the variance of {}", label(own)),
                    kind: "parameter",
                    columns: indices,
                },
            ];
        }
        let block = |title: &str, kind, statistic| {
            let column = |&measure| Column { head: label(measure), measure, statistic, percent: false };
            Block { title: title.to_owned(), kind, columns: self.measures.iter().map(column).take(3).collect() }
        };
        vec![
            block("the scenario as it is", "book", "value"),
            block("per standard error of the parameter", "parameter", "per_standard_error"),
            block("per 1 % of the parameter", "parameter", "per_percent"),
            block("per 1 % of the size of the position", "position", "per_percent"),
        ]
    }

    fn block_text(&self, block: &Block, style: Style) -> String {
        let sorted_by = &block.columns[0];
        let mut lines: Vec<&SensitivityRow> =
            self.rows.iter().filter(|row| sorted_by.has(row) && row.kind == block.kind).collect();
        if lines.is_empty() {
            return String::new();
        }
        lines.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
        let heads = block.columns.iter().map(|column| column.head.clone());
        let mut text = "\n".to_owned() + &style.bold(&line(&block.title, heads));
        for row in lines {
            let cells = block.columns.iter().map(|column| {
                let found = self
                    .rows
                    .iter()
                    .find(|other| column.has(other) && (other.kind, &other.key) == (row.kind, &row.key));
                found.map_or("-".to_owned(), |found| column.cell(found))
            });
            text.push_str(&line(&row_label(row), cells));
        }
        text
    }
}

impl Column {
    fn has(&self, row: &SensitivityRow) -> bool {
        (row.measure, row.level, row.statistic) == (self.measure.name(), self.measure.level(), self.statistic)
    }

    fn cell(&self, row: &SensitivityRow) -> String {
        let SensitivityRow { value, standard_error, ci_low, ci_high, samples, .. } = *row;
        let estimate = Estimate { value, standard_error, ci_low, ci_high, samples };
        match self.percent {
            true => table::with_error(&estimate.scaled(100.0), "%"),
            false => table::with_error(&estimate, ""),
        }
    }
}

fn row_label(row: &SensitivityRow) -> String {
    let label = match row.kind {
        "book" => " value".to_owned(),
        "position" => format!(" {:<5} {}", row.key, table::printable(&row.name)),
        _ => format!(" {}", row.key),
    };
    label.chars().take(LABEL_WIDTH - 1).collect()
}

fn label(measure: ContrastMeasure) -> String {
    let level = measure.level().map_or(String::new(), |level| format!(" {}", table::percent_label(level)));
    let name = match measure {
        ContrastMeasure::MeanLoss => "mean loss",
        ContrastMeasure::LossProbability => "loss probability",
        ContrastMeasure::ValueAtRisk(_) => "VaR",
        ContrastMeasure::ExpectedShortfall(_) => "shortfall",
        ContrastMeasure::ExitCost => "exit cost",
        ContrastMeasure::DeregisteredHoldings => "deregistered",
    };
    format!("{name}{level}")
}

/// A label at the left and cells flush right.
fn line(label: &str, cells: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("{label:<LABEL_WIDTH$}");
    for cell in cells {
        let _ = write!(text, "{cell:>CELL_WIDTH$}");
    }
    text + "\n"
}
