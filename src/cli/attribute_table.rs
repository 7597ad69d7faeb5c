//! The table of an attribution by driver on the terminal: a block for each measure, every number with its error, in 100 columns.

use crate::cli::table;
use crate::cli::table::Style;
use crate::engine::drivers::Driver;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::shapley::Attribution;
use crate::risk::shapley::LossMeasure;

/// Largest gap between the sum of the parts and the total, relative to the largest of them: rounding.
const SUM_GAP_MAX: f64 = 1e-10;
/// Columns of the share of the total behind a part.
const SHARE_WIDTH: usize = 6;

/// Parts of the losses of a book.
pub(super) struct DriverTable<'a> {
    /// Its name.
    pub book: &'a str,
    pub horizon_days: f64,
    pub currency: Currency,
    pub basis: Basis,
    pub paths: u64,
    /// Those whose parts there are.
    pub drivers: &'a [Driver],
    /// A measure each.
    pub found: &'a [Attribution],
}

impl DriverTable<'_> {
    /// The whole table.
    pub fn text(&self, style: Style) -> String {
        let blocks = self.found.iter().map(|attribution| self.measure_text(attribution, style));
        self.legend(style) + &blocks.collect::<String>()
    }

    fn legend(&self, style: Style) -> String {
        let title = format!(
            "Book {}: what makes its losses after {}, {}, {}",
            table::printable(self.book),
            table::days_label(self.horizon_days),
            self.currency.name(),
            self.basis.name()
        );
        let absent: Vec<&str> = absent(self.drivers).map(label).collect();
        let left_out = match absent.is_empty() {
            true => "No driver is left out.".to_owned(),
            false => format!("Left out, idle here: {}.", absent.join(", ")),
        };
        let lines = [
            format!(
                "{} paths under {} sets of drivers on the same chance. A number after ± is half the width of its",
                table::grouped(self.paths as f64, 0),
                1 << self.drivers.len()
            ),
            "95 % confidence interval, a percentage the share of a total that is not 0. In Shapley order: the"
                .to_owned(),
            "mean, over all orders of switching the drivers on, of what one changes when its turn comes. Alone:"
                .to_owned(),
            "what it changes where no other acts. Last: what it changes where all others act.".to_owned(),
            left_out,
        ];
        style.bold(&title) + "\n" + &lines.map(|line| style.dim(&line) + "\n").concat()
    }

    fn measure_text(&self, found: &Attribution, style: Style) -> String {
        let title = format!("{}, {}", measure_label(found.measure), self.currency.name());
        let in_order = format!("in Shapley order{:SHARE_WIDTH$}", "");
        let heads = [in_order, "alone".to_owned(), "last".to_owned()];
        let mut text = "\n".to_owned() + &style.bold(&table::line(&title, heads));
        for (driver, part) in self.drivers.iter().zip(&found.parts) {
            let cells = [with_share(&part.shapley, &found.total), amount(&part.alone), amount(&part.last)];
            text.push_str(&table::line(&format!(" {}", label(*driver)), cells));
        }
        if found.none.value != 0.0 {
            text.push_str(&table::line(" no driver", [with_share(&found.none, &found.total)]));
        }
        let label = if adds_up(found) { " sum of parts = total" } else { " total, not the sum" };
        text + &table::line(label, [with_share(&found.total, &found.total)])
    }
}

/// Those that are not among `drivers`.
pub(super) fn absent(drivers: &[Driver]) -> impl Iterator<Item = Driver> {
    Driver::ALL.into_iter().filter(|driver| !drivers.contains(driver))
}

/// Whether the parts sum to the total but for rounding.
fn adds_up(found: &Attribution) -> bool {
    let parts = found.parts.iter().map(|part| part.shapley.value);
    let (sum, largest) = parts.fold((found.none.value, found.total.value.abs()), |(sum, largest), part| {
        (sum + part, largest.max(part.abs()))
    });
    (sum - found.total.value).abs() <= SUM_GAP_MAX * largest
}

fn amount(estimate: &Estimate) -> String {
    table::with_error(estimate, "")
}

fn with_share(part: &Estimate, total: &Estimate) -> String {
    let is_told_from_zero = total.ci_low > 0.0 || total.ci_high < 0.0;
    let share = 100.0 * part.value / total.value;
    let share = if is_told_from_zero { format!("{share:.0}%") } else { String::new() };
    format!("{}{share:>SHARE_WIDTH$}", amount(part))
}

fn measure_label(measure: LossMeasure) -> String {
    match measure {
        LossMeasure::Mean => "mean loss".to_owned(),
        LossMeasure::StandardDeviation => "standard deviation".to_owned(),
        LossMeasure::ValueAtRisk(level) => format!("value at risk {}", table::percent_label(level)),
        LossMeasure::ExpectedShortfall(level) => format!("shortfall {}", table::percent_label(level)),
    }
}

/// Name in tables.
pub(super) fn label(driver: Driver) -> &'static str {
    match driver {
        Driver::TaoUsd => "TAO/USD",
        Driver::CommonFactor => "common factor",
        Driver::OwnFlow => "own flow",
        Driver::Jumps => "jumps",
        Driver::Emission => "emission and dividends",
        Driver::Deregistration => "deregistration",
        Driver::Slippage => "slippage",
        Driver::Rules => "rules",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::shapley::Part;

    fn attribution(total: f64) -> Attribution {
        let estimate = |value: f64| Estimate::normal(value, 80.0, 10_000);
        let part = |value: f64| Part { shapley: estimate(value), alone: estimate(9e5), last: estimate(-9e5) };
        let parts = vec![part(123_456.0), part(-23_456.0)];
        Attribution {
            measure: LossMeasure::ExpectedShortfall(0.975),
            total: estimate(total),
            none: estimate(0.0),
            parts,
        }
    }

    fn text(total: f64) -> String {
        let found = [attribution(total)];
        let (currency, basis, drivers) = (Currency::Usd, Basis::Mark, &[Driver::TaoUsd, Driver::Emission]);
        let table = DriverTable {
            book: "de\x1bsk",
            horizon_days: 90.0,
            currency,
            basis,
            paths: 10_000,
            drivers,
            found: &found,
        };
        table.text(Style::PLAIN)
    }

    #[test]
    fn parts_stand_with_errors_and_shares() {
        let text = text(100_000.0);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        let words = |start: &str| {
            let line = text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {text}"));
            line[start.len()..].split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words("shortfall 97.5%, USD"), "in Shapley order alone last");
        assert_eq!(words(" TAO/USD"), "123,456 ± 157 123% 900,000 ± 157 -900,000 ± 157");
        assert_eq!(words(" emission and dividends"), "-23,456 ± 157 -23% 900,000 ± 157 -900,000 ± 157");
        assert_eq!(words(" sum of parts = total"), "100,000 ± 157 100%");
        assert!(text.contains("idle here: common factor, own flow, jumps, deregistration, slippage, rules."));
    }

    #[test]
    fn parts_that_miss_the_total_are_told() {
        assert!(text(100_000.1).contains("\n total, not the sum ") && !text(100_000.1).contains("= total"));
    }
}
