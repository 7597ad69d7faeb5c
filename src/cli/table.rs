//! The risk table on the terminal: what each book can lose, every number with its error, in 100 columns.

use std::env;
use std::fmt::Write;
use std::io;
use std::io::IsTerminal;

use crate::cli::error_split::split_text;
pub(super) use crate::output::number::decimals;
pub(super) use crate::output::number::grouped;
use crate::output::read::DeregistrationRisk;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::measure::Measure;
use crate::risk::measure::SummaryRow;

/// Width of the labels at the left.
const LABEL_WIDTH: usize = 25;
/// Width of a cell; three of them and a label are 100 columns.
const CELL_WIDTH: usize = 25;
/// Width of a cell of dollars; two of them and a label are 99 columns.
const DOLLARS_WIDTH: usize = 37;
/// Of a cell, the part for the share of the opening value.
const SHARE_WIDTH: usize = 7;
/// Cells side by side.
pub(super) const CELLS: usize = 3;
/// Holdings listed by deregistration risk.
const HOLDINGS_LISTED: usize = 10;

/// Whether the table has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    color: bool,
}

impl Style {
    /// Without colours.
    pub const PLAIN: Self = Self { color: false };

    /// Colours where standard output is a terminal and `NO_COLOR` is not set (no-color.org).
    pub fn detect() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { color: io::stdout().is_terminal() && !refused }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The table of every book, then the holdings most likely to be deregistered.
pub fn risk_table(summary: &[SummaryRow], deregistrations: &[DeregistrationRisk], style: Style) -> String {
    let mut text = legend(summary, style);
    let mut books: Vec<&str> = summary.iter().map(|row| row.book.as_str()).collect();
    books.dedup();
    for name in books {
        let rows = summary.iter().filter(|row| row.book == name).collect();
        text.push_str(&BookTable { name, rows, style }.text());
    }
    text.push_str(&holdings_table(deregistrations, style));
    text
}

fn legend(summary: &[SummaryRow], style: Style) -> String {
    let paths = summary.iter().map(|row| row.estimate.samples).max().unwrap_or(0);
    let lines = [
        format!(
            "{} paths. A number after ± is half the width of its 95 % confidence interval; n/a: not",
            grouped(paths as f64, 0)
        ),
        "known. Value at risk and expected shortfall are losses; percentages beside amounts are of the".to_owned(),
        "opening value at spot. Liquidation: everything sold through the pools, after fees and slippage.".to_owned(),
        "Intervals of tails reach farther up than down from the number; summary.parquet has both ends.".to_owned(),
    ];
    lines.map(|line| style.dim(&line) + "\n").concat()
}

/// The rows of one book.
struct BookTable<'a> {
    name: &'a str,
    rows: Vec<&'a SummaryRow>,
    style: Style,
}

impl BookTable<'_> {
    fn text(&self) -> String {
        let horizons =
            distinct(self.rows.iter().filter(|row| row.measure == Measure::MeanPnl).map(|row| row.horizon_days));
        let mut text = self.heading();
        for horizons in horizons.chunks(CELLS) {
            text.push_str(&self.horizons_text(horizons));
        }
        if let Some(&last) = horizons.last() {
            text.push_str(&self.dollars_text(last));
        }
        text + &split_text(&self.rows, self.style)
    }

    fn heading(&self) -> String {
        let opening = |basis, currency| grouped(self.opening(basis, currency), 0);
        let line = format!(
            "\nBook {}: {} TAO at spot ({} USD), {} TAO liquidated now",
            printable(self.name),
            opening(Basis::Mark, Currency::Tao),
            opening(Basis::Mark, Currency::Usd),
            opening(Basis::Liquidation, Currency::Tao)
        );
        self.style.bold(&line) + "\n"
    }

    fn horizons_text(&self, horizons: &[f64]) -> String {
        let mut text = self.style.bold(&line("", horizons.iter().map(|&days| days_label(days))));
        let bases = [
            (Basis::Mark, "P&L at spot, TAO"),
            (Basis::Liquidation, "P&L on liquidation, TAO"),
            (Basis::Exit, "P&L on exit over days, TAO"),
        ];
        for (basis, title) in bases {
            let columns: Vec<Column> =
                horizons.iter().map(|&horizon_days| Column { basis, currency: Currency::Tao, horizon_days }).collect();
            text.push_str(&self.under(&(title.to_owned() + "\n"), self.pnl_lines(CELL_WIDTH, &columns)));
        }
        let mark = |measure: Measure, show: fn(&Estimate) -> String| {
            let column = |&horizon_days| Column { basis: Basis::Mark, currency: Currency::Tao, horizon_days };
            let cell = move |column: Column| self.find(measure, None, column).map_or("-".to_owned(), show);
            horizons.iter().map(move |days| cell(column(days)) + &" ".repeat(SHARE_WIDTH)).collect::<Vec<_>>()
        };
        let lines = known_line(CELL_WIDTH, " mean maximum drawdown", mark(Measure::MaxDrawdownMean, percent))
            + &known_line(CELL_WIDTH, " 95% maximum drawdown", mark(Measure::MaxDrawdownQuantile, percent))
            + &known_line(CELL_WIDTH, " holdings deregistered", mark(Measure::DeregisteredHoldings, count));
        text + &self.under("Drawdown and deregistration\n", lines)
    }

    /// Lines with their heading, if there are any.
    fn under(&self, heading: &str, lines: String) -> String {
        if lines.is_empty() { lines } else { self.style.bold(heading) + &lines }
    }

    fn dollars_text(&self, horizon_days: f64) -> String {
        let columns =
            [Basis::Mark, Basis::Liquidation].map(|basis| Column { basis, currency: Currency::Usd, horizon_days });
        let title = format!("P&L at {}, USD", days_label(horizon_days));
        let heading = line_of(DOLLARS_WIDTH, &title, ["at spot".to_owned(), "on liquidation".to_owned()]);
        self.under(&heading, self.pnl_lines(DOLLARS_WIDTH, &columns))
    }

    fn pnl_lines(&self, width: usize, columns: &[Column]) -> String {
        let row = |label: &str, measure: Measure, level: Option<f64>| {
            let cell = |column: &Column| {
                self.find(measure, level, *column).map_or("-".to_owned(), |e| self.amount(e, *column))
            };
            known_line(width, label, columns.iter().map(cell).collect())
        };
        let probability = |column: &Column| {
            let estimate = self.find(Measure::LossProbability, None, *column);
            estimate.map_or("-".to_owned(), percent) + &" ".repeat(SHARE_WIDTH)
        };
        let mut text = row(" mean", Measure::MeanPnl, None);
        text.push_str(&row(" standard deviation", Measure::SdPnl, None));
        text.push_str(&known_line(width, " probability of a loss", columns.iter().map(probability).collect()));
        let levels = self.rows.iter().filter(|row| row.measure == Measure::ValueAtRisk).filter_map(|row| row.level);
        for level in distinct(levels) {
            let label = percent_label(level);
            text.push_str(&row(&format!(" value at risk {label}"), Measure::ValueAtRisk, Some(level)));
            text.push_str(&row(&format!(" expected shortfall {label}"), Measure::ExpectedShortfall, Some(level)));
        }
        text
    }

    /// An amount with its error, and its share of the opening value at spot.
    fn amount(&self, estimate: &Estimate, column: Column) -> String {
        let share = 100.0 * estimate.value / self.opening(Basis::Mark, column.currency);
        let share = if share.is_finite() { format!("{share:.1}%") } else { String::new() };
        format!("{}{share:>SHARE_WIDTH$}", with_error(estimate, ""))
    }

    fn find(&self, measure: Measure, level: Option<f64>, column: Column) -> Option<&Estimate> {
        // The drawdown quantile has one level; it is asked for without.
        let matches = |row: &&&SummaryRow| {
            row.measure == measure
                && (level.is_none() || row.level == level)
                && (row.basis, row.currency, row.horizon_days) == (column.basis, column.currency, column.horizon_days)
        };
        self.rows.iter().find(matches).map(|row| &row.estimate)
    }

    fn opening(&self, basis: Basis, currency: Currency) -> f64 {
        let column = Column { basis, currency, horizon_days: 0.0 };
        self.find(Measure::OpeningValue, None, column).map_or(f64::NAN, |estimate| estimate.value)
    }
}

/// What a column of amounts is of.
#[derive(Clone, Copy, Debug)]
struct Column {
    basis: Basis,
    currency: Currency,
    horizon_days: f64,
}

/// Held subnets by probability of deregistration at the last horizon.
fn holdings_table(deregistrations: &[DeregistrationRisk], style: Style) -> String {
    let horizons = distinct(deregistrations.iter().map(|risk| risk.horizon_days));
    let shown = &horizons[horizons.len().saturating_sub(CELLS - 1)..];
    let Some(&last) = shown.last() else { return String::new() };
    let mut held: Vec<&DeregistrationRisk> =
        deregistrations.iter().filter(|risk| risk.held && risk.horizon_days == last).collect();
    if held.is_empty() {
        return String::new();
    }
    held.sort_by(|a, b| b.probability.value.total_cmp(&a.probability.value).then(a.netuid.cmp(&b.netuid)));
    let mut text = style.bold("\nHoldings most likely to be deregistered (95 % interval)") + "\n";
    let heads = shown.iter().map(|&days| days_label(days)).chain([format!("loss if so, {}", days_label(last))]);
    text.push_str(&style.bold(&line("", heads)));
    for holding in held.into_iter().take(HOLDINGS_LISTED) {
        let at = |days: &f64| {
            let same = |risk: &&DeregistrationRisk| risk.netuid == holding.netuid && risk.horizon_days == *days;
            deregistrations.iter().find(same).map_or("-".to_owned(), |risk| interval(&risk.probability))
        };
        let loss = holding.loss.as_ref().map_or("-".to_owned(), percent);
        let name: String = printable(&holding.name).chars().take(LABEL_WIDTH - 8).collect();
        text.push_str(&line(&format!(" {:<5} {name}", holding.netuid.to_string()), shown.iter().map(at).chain([loss])));
    }
    text
}

/// A label at the left and cells flush right.
pub(super) fn line(label: &str, cells: impl IntoIterator<Item = String>) -> String {
    line_of(CELL_WIDTH, label, cells)
}

/// A line of cells of which some are known: of none, as under methods that have no estimator for a measure, there is no line.
fn known_line(width: usize, label: &str, cells: Vec<String>) -> String {
    if cells.iter().all(|cell| cell.trim() == "-") { String::new() } else { line_of(width, label, cells) }
}

/// The same with cells of another width.
fn line_of(width: usize, label: &str, cells: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("{label:<LABEL_WIDTH$}");
    for cell in cells {
        let _ = write!(text, "{cell:>width$}");
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// Value and half-width of the interval, to two digits of the latter.
pub(super) fn with_error(estimate: &Estimate, unit: &str) -> String {
    let half_width = estimate.half_width();
    let decimals = decimals(half_width);
    let error = if half_width.is_finite() { grouped(half_width, decimals) + unit } else { "n/a".to_owned() };
    format!("{}{unit} ± {error}", grouped(estimate.value, decimals))
}

fn count(estimate: &Estimate) -> String {
    with_error(estimate, "")
}

/// A fraction in per cent with its error; only a bound where no path, or every path, was a hit.
pub(super) fn percent(estimate: &Estimate) -> String {
    let estimate = estimate.scaled(100.0);
    let decimals = decimals(estimate.half_width());
    match (estimate.value, estimate.standard_error > 0.0) {
        (0.0, true) if estimate.ci_low == 0.0 => format!("< {:.decimals$}%", estimate.ci_high),
        (100.0, true) if estimate.ci_high == 100.0 => format!("> {:.decimals$}%", estimate.ci_low),
        _ => with_error(&estimate, "%"),
    }
}

/// A probability in per cent with both ends of its interval; only a bound where no path, or every path, was a hit.
fn interval(estimate: &Estimate) -> String {
    let in_percent = estimate.scaled(100.0);
    let decimals = decimals(in_percent.half_width());
    let Estimate { value, ci_low, ci_high, .. } = in_percent;
    if value == 0.0 || value == 100.0 {
        percent(estimate)
    } else {
        format!("{value:.decimals$}% [{ci_low:.decimals$}, {ci_high:.decimals$}]")
    }
}

pub(crate) fn days_label(days: f64) -> String {
    if days == 1.0 { "1 day".to_owned() } else { format!("{days} days") }
}

/// A level in per cent, without the digits that binary fractions add.
pub(super) fn percent_label(level: f64) -> String {
    format!("{}%", (level * 1e8).round() / 1e6)
}

/// A name from a file without control characters, which could drive the terminal.
pub(super) fn printable(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).collect()
}

/// Values without repetitions, in order of appearance.
pub(super) fn distinct(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::PathRow;
    use crate::risk::book::BookOpening;
    use crate::risk::book::BookStatistics;
    use crate::units::NetUid;

    fn summary(paths: u64) -> Vec<SummaryRow> {
        let book = BookOpening {
            name: "de\x1b[31msk".into(),
            mark_tao: 12_345.6,
            liquidation_tao: 12_000.0,
            usd_per_tao: 250.0,
        };
        let mut statistics = BookStatistics::new(&[book], &[7.0, 30.0, 90.0, 180.0], &[0.95, 0.975], paths);
        for path in 0..paths {
            for horizon in 0..4 {
                let pnl = 40.0 * f64::from(horizon + 1) * ((path * 7919 % paths) as f64 / paths as f64 * 100.0 - 52.0);
                statistics.push(&PathRow {
                    path,
                    book: 0,
                    horizon: horizon as u16,
                    pnl_mark_tao: pnl,
                    pnl_liquidation_tao: pnl - 300.0,
                    pnl_mark_usd: 250.0 * pnl,
                    pnl_liquidation_usd: 250.0 * pnl - 75_000.0,
                    max_drawdown: (path % 10) as f64 * 0.05,
                    deregistered_holdings: (path % 2) as u16,
                    ..PathRow::EMPTY
                });
            }
        }
        statistics.finish()
    }

    fn risk(netuid: u16, horizon_days: f64, hits: u64, held: bool) -> DeregistrationRisk {
        DeregistrationRisk {
            netuid: NetUid(netuid),
            name: format!("a subnet with a rather long name {netuid}"),
            held,
            horizon_days,
            probability: Estimate::proportion(hits, 10_000),
            loss: (hits > 1).then(|| Estimate::normal(0.5, 0.01, hits)),
        }
    }

    fn table(style: Style) -> String {
        let risks = [
            risk(3, 30.0, 0, true),
            risk(3, 90.0, 0, true),
            risk(64, 30.0, 25, true),
            risk(64, 90.0, 1234, true),
            risk(7, 90.0, 9000, false),
        ];
        risk_table(&summary(10_000), &risks, style)
    }

    #[test]
    fn fits_a_hundred_columns_and_has_an_error_in_every_cell() {
        let text = table(Style::PLAIN);
        println!("{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        let rows = text.lines().filter(|line| line.starts_with(' ') && !line.trim_start().ends_with("days"));
        for row in rows {
            let errors = row.matches('±').count() + row.matches('<').count() + row.matches('[').count();
            assert!(errors >= 1, "{row}");
        }
        assert!(!text.contains("NaN") && !text.contains("inf") && !text.contains('\x1b'));
    }

    #[test]
    fn the_lines_of_the_first_horizons() {
        let text = table(Style::PLAIN);
        let find = |start: &str| {
            text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {text}"))
        };
        assert!(text.contains("Book de[31msk: 12,346 TAO at spot (3,086,400 USD), 12,000 TAO liquidated now"));
        // Losses are uniform on (-1920, 2080) at 7 days: in steps of 0.4: quantile 0.95 is 1880, the mean of the
        // worst 2.5 % is 2030.2.
        assert!(find(" value at risk 95%").contains(" 1,880 ± "), "{}", find(" value at risk 95%"));
        assert!(find(" value at risk 95%").contains("15.2%"));
        assert!(find(" expected shortfall 97.5%").contains("2,030.2 ± 7.2"));
        assert!(find(" probability of a loss").contains("52.0"));
        assert!(find(" holdings deregistered").contains("0.5000 ± 0.0098"));
        assert!(text.contains("180 days, USD"));
    }

    #[test]
    fn holdings_stand_in_order_of_risk() {
        let text = table(Style::PLAIN);
        let holdings: Vec<&str> = text.lines().filter(|line| line.starts_with(" SN")).collect();
        assert_eq!(holdings.len(), 2, "{holdings:?}");
        assert!(holdings[0].starts_with(" SN64  a subnet with a r"), "{}", holdings[0]);
        assert!(
            holdings[0].contains("12.34% [11.71, 13.00]") && holdings[0].contains("50.0% ± 2.0%"),
            "{}",
            holdings[0]
        );
        assert!(holdings[1].contains("< 0.030%") && holdings[1].ends_with('-'), "{}", holdings[1]);
    }

    #[test]
    fn colours_only_where_asked() {
        let plain = table(Style::PLAIN);
        let colored = table(Style { color: true });
        assert!(colored.contains("\x1b[1m"));
        assert_eq!(colored.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", ""), plain);
    }

    /// As under a tilt, which serves one currency.
    #[test]
    fn what_is_not_known_at_all_has_no_line() {
        let rows = summary(1_000).into_iter();
        let has_row = |row: &SummaryRow| row.measure == Measure::OpeningValue || row.currency == Currency::Usd;
        let text = risk_table(&rows.filter(has_row).collect::<Vec<_>>(), &[], Style::PLAIN);
        println!("{text}");
        assert!(text.contains("180 days, USD") && text.contains("value at risk 95%"), "{text}");
        assert!(!text.contains("TAO\n") && !text.contains("Drawdown") && !text.contains(" - "), "{text}");
    }

    #[test]
    fn few_paths_say_so() {
        let text = risk_table(&summary(10), &[], Style::PLAIN);
        assert!(text.contains("± n/a"), "{text}");
        assert!(!text.contains("inf") && !text.contains("NaN"), "{text}");
    }

    #[test]
    fn numbers_are_grouped() {
        for (value, decimals, text) in
            [(0.0, 0, "0"), (-0.01, 1, "0.0"), (999.0, 0, "999"), (-1234.56, 1, "-1,234.6"), (1e6, 2, "1,000,000.00")]
        {
            assert_eq!(grouped(value, decimals), text);
        }
        assert_eq!(percent_label(0.999), "99.9%");
        assert_eq!(percent(&Estimate::proportion(1000, 1000)), "> 99.70%");
    }
}
