//! The table of a sweep on the terminal: a measure at every point, in rows or as a matrix, in 100 columns.

use crate::cli::sweep::Axis;
use crate::cli::table;
use crate::cli::table::Style;
use crate::risk::contrast::Contrast;
use crate::risk::contrast::ContrastMeasure;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;

/// Longest value at the left.
const SETTING_WIDTH: usize = 23;

/// A measure of a book over a grid.
pub(super) struct SweepTable<'a> {
    /// Name of the book.
    pub book: &'a str,
    pub horizon_days: f64,
    pub measure: ContrastMeasure,
    pub currency: Currency,
    pub basis: Basis,
    /// One or two keys.
    pub axes: &'a [Axis],
    /// The measure at every point, the last key fastest.
    pub points: &'a [Contrast],
}

impl SweepTable<'_> {
    /// The whole table.
    pub fn text(&self, style: Style) -> String {
        let body = match self.axes {
            [rows, columns] => {
                let of_point: fn(&Contrast) -> &Estimate = |point| &point.other;
                let of_difference: fn(&Contrast) -> &Estimate = |point| &point.difference;
                self.matrix("at the point", rows, columns, of_point, style)
                    + &self.matrix("difference", rows, columns, of_difference, style)
            }
            _ => self.rows(style),
        };
        self.legend(style) + &body
    }

    fn legend(&self, style: Style) -> String {
        let title = format!(
            "Book {}: {} after {}{}",
            table::printable(self.book),
            measure_label(self.measure),
            table::days_label(self.horizon_days),
            self.unit()
        );
        let Some(point) = self.points.first() else { return String::new() };
        let lines = [
            format!(
                "{} paths at each point, the scenario's own. A number after ± is half the width of its 95 %",
                table::grouped(point.other.samples as f64, 0)
            ),
            "confidence interval. Differences are to the scenario itself, their errors those of paired paths."
                .to_owned(),
            format!("In the scenario itself: {}", self.amount(&point.base)),
        ];
        style.bold(&title) + "\n" + &lines.map(|line| style.dim(&line) + "\n").concat()
    }

    fn unit(&self) -> String {
        match self.measure {
            ContrastMeasure::LossProbability => format!(", in {}, {}", self.currency.name(), self.basis.name()),
            ContrastMeasure::ExitCost => format!(", {}", self.currency.name()),
            ContrastMeasure::DeregisteredHoldings => String::new(),
            _ => format!(", {}, {}", self.currency.name(), self.basis.name()),
        }
    }

    fn rows(&self, style: Style) -> String {
        let Some(axis) = self.axes.first() else { return String::new() };
        let heads = ["at the point", "difference"].map(str::to_owned);
        let mut text =
            format!("\n{}\n", style.bold(&table::printable(&axis.key))) + &style.bold(&table::line("", heads));
        for (value, point) in axis.values.iter().zip(self.points) {
            text.push_str(&table::line(
                &setting_label(value),
                [self.amount(&point.other), self.amount(&point.difference)],
            ));
        }
        text
    }

    /// Rows of the first key, columns of the second, so many beside each other as fit.
    fn matrix(&self, title: &str, rows: &Axis, columns: &Axis, of: fn(&Contrast) -> &Estimate, style: Style) -> String {
        let (row_key, column_key) = (table::printable(&rows.key), table::printable(&columns.key));
        let mut text = format!("\n{}\n", style.bold(&format!("{title}; down {row_key}, across {column_key}")));
        for (block, values) in columns.values.chunks(table::CELLS).enumerate() {
            text.push_str(&style.bold(&table::line("", values.iter().map(|value| setting_label(value)))));
            for (value, points) in rows.values.iter().zip(self.points.chunks(columns.values.len())) {
                let points = points[block * table::CELLS..].iter().take(values.len());
                text.push_str(&table::line(&setting_label(value), points.map(|point| self.amount(of(point)))));
            }
        }
        text
    }

    fn amount(&self, estimate: &Estimate) -> String {
        match self.measure {
            ContrastMeasure::LossProbability => table::with_error(&estimate.scaled(100.0), "%"),
            _ => table::with_error(estimate, ""),
        }
    }
}

fn setting_label(value: &str) -> String {
    let value = table::printable(value);
    format!(" {}", value.chars().take(SETTING_WIDTH).collect::<String>())
}

fn measure_label(measure: ContrastMeasure) -> String {
    let name = match measure {
        ContrastMeasure::MeanLoss => "mean loss",
        ContrastMeasure::LossProbability => "probability of a loss",
        ContrastMeasure::ValueAtRisk(_) => "value at risk",
        ContrastMeasure::ExpectedShortfall(_) => "expected shortfall",
        ContrastMeasure::ExitCost => "mean cost of leaving at once",
        ContrastMeasure::DeregisteredHoldings => "holdings deregistered",
    };
    measure.level().map_or(name.to_owned(), |level| format!("{name} {}", table::percent_label(level)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(key: &str, values: &[&str]) -> Axis {
        Axis { key: key.to_owned(), values: values.iter().map(|value| (*value).to_owned()).collect() }
    }

    fn point(index: usize) -> Contrast {
        let estimate = |value: f64, error| Estimate::normal(value, error, 10_000);
        let value = 1e6 + 1e3 * index as f64;
        Contrast {
            measure: ContrastMeasure::ExpectedShortfall(0.99),
            base: estimate(1e6, 900.0),
            other: estimate(value, 1_000.0),
            difference: estimate(value - 1e6, 20.0),
        }
    }

    fn text(axes: &[Axis]) -> String {
        let points: Vec<Contrast> = (0..axes.iter().map(|axis| axis.values.len()).product()).map(point).collect();
        let (currency, basis) = (Currency::Usd, Basis::Liquidation);
        let measure = points[0].measure;
        let table = SweepTable { book: "desk", horizon_days: 90.0, measure, currency, basis, axes, points: &points };
        table.text(Style::PLAIN)
    }

    #[test]
    fn one_key_is_rows_and_two_are_a_matrix() {
        let rows = text(&[axis("flow.jumps.rate_per_day", &["0.1", "0.2"])]);
        assert!(rows.starts_with("Book desk: expected shortfall 99% after 90 days, USD, liquidation\n"), "{rows}");
        assert!(rows.contains("In the scenario itself: 1,000,000 ± 1,764\n"), "{rows}");
        let last = rows.lines().last().expect("a row");
        assert_eq!(last.split_whitespace().collect::<Vec<_>>(), ["0.2", "1,001,000", "±", "1,960", "1,000", "±", "39"]);
        let matrix = text(&[axis("a", &["x", "y"]), axis("b", &["1", "2", "3", "4"])]);
        let lines: Vec<&str> = matrix.lines().filter(|line| line.starts_with(" y ")).collect();
        assert_eq!(lines.len(), 4, "two blocks of columns, twice: {matrix}");
        assert!(lines[0].contains("1,004,000") && lines[0].contains("1,006,000") && lines[1].contains("1,007,000"));
        assert!(lines[3].trim_end().ends_with("7,000 ± 39"), "{matrix}");
        for line in rows.lines().chain(matrix.lines()) {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}
