//! The table of what positions and sectors add to the tail risk of each book, in 100 columns.

use std::fmt::Write;

use crate::cli::table::Style;
use crate::cli::table::days_label;
use crate::cli::table::decimals;
use crate::cli::table::grouped;
use crate::cli::table::percent_label;
use crate::cli::table::printable;
use crate::risk::attribution::AttributionRow;
use crate::risk::attribution::PartKind;
use crate::risk::attribution::PartMeasure;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;

/// Positions listed.
const POSITIONS_LISTED: usize = 10;
/// Width of the labels at the left.
const LABEL_WIDTH: usize = 19;
/// Width of the opening value.
const VALUE_WIDTH: usize = 11;
/// Width of a component with its error; three of them, two shares, the value and a label are 98 columns.
const AMOUNT_WIDTH: usize = 18;
/// Width of a share of the total.
const SHARE_WIDTH: usize = 7;
/// Most decimals of an amount.
const DECIMALS_MAX: usize = 2;

/// What positions and sectors add at the last horizon, at spot in TAO, at the highest level; the positions with the largest components
/// of expected shortfall first. Empty without rows.
pub fn attribution_text(rows: &[AttributionRow], style: Style) -> String {
    let mut books: Vec<&str> = rows.iter().map(|row| row.book.as_str()).collect();
    books.dedup();
    let tables = books.into_iter().map(|book| {
        let of_book =
            rows.iter().filter(|row| row.book == book && (row.basis, row.currency) == (Basis::Mark, Currency::Tao));
        book_text(book, &of_book.collect::<Vec<_>>(), style)
    });
    tables.collect()
}

fn book_text(book: &str, rows: &[&AttributionRow], style: Style) -> String {
    let horizon_days = rows.iter().map(|row| row.horizon_days).fold(0.0, f64::max);
    let level = rows.iter().filter_map(|row| row.level).fold(0.0, f64::max);
    let mut parts: Vec<&AttributionRow> =
        rows.iter().copied().filter(|row| is_shown(row, horizon_days, level)).collect();
    if parts.is_empty() {
        return String::new();
    }
    parts.sort_by(|a, b| b.estimate.value.total_cmp(&a.estimate.value).then(a.id.cmp(&b.id)));
    let (positions, sectors): (Vec<_>, Vec<_>) = parts.into_iter().partition(|row| row.kind == PartKind::Position);
    let title =
        format!("\nWhat adds to the risk of book {}: {}, at spot, TAO", printable(book), days_label(horizon_days));
    let mut text = style.bold(&title) + "\n" + &style.bold(&heading(&percent_label(level)));
    for &part in positions.iter().take(POSITIONS_LISTED) {
        text.push_str(&part_line(&position_label(part), part, rows));
    }
    if positions.len() > POSITIONS_LISTED {
        text.push_str(&style.dim(&format!(" and {} more\n", positions.len() - POSITIONS_LISTED)));
    }
    if sectors.len() > 1 {
        text.push_str(&(style.bold(" by sector") + "\n"));
        sectors.iter().for_each(|part| text.push_str(&part_line(&format!(" {}", printable(&part.name)), part, rows)));
    }
    text.push_str(
        &style.dim(
            " Components add up to the book's measure, of which % are; without: its change if the position went.\n",
        ),
    );
    let is_added = |row: &&AttributionRow| {
        (row.measure, row.horizon_days, row.level) == (PartMeasure::AddExpectedShortfall, horizon_days, Some(level))
    };
    let added: Vec<_> = rows.iter().copied().filter(is_added).collect();
    if !added.is_empty() {
        text.push_str(&(style.bold(" with a candidate besides: what it changes") + "\n"));
        added.iter().for_each(|row| text.push_str(&candidate_line(row, rows)));
    }
    text
}

fn position_label(part: &AttributionRow) -> String {
    let netuid = part.id.map_or(String::new(), |id| id.netuid.to_string());
    format!(" {netuid:<5} {}", printable(&part.name))
}

/// Whether the row stands for its part in the table.
fn is_shown(row: &AttributionRow, horizon_days: f64, level: f64) -> bool {
    row.measure == PartMeasure::ComponentExpectedShortfall
        && row.horizon_days == horizon_days
        && row.level == Some(level)
}

fn heading(level: &str) -> String {
    let [value_at_risk, shortfall] = ["VaR", "ES"].map(|name| format!("{name} {level}"));
    let without = "without: ES";
    format!(
        "{:<LABEL_WIDTH$}{:>VALUE_WIDTH$}{value_at_risk:>AMOUNT_WIDTH$}{:>SHARE_WIDTH$}{shortfall:>AMOUNT_WIDTH$}\
         {:>SHARE_WIDTH$}{without:>AMOUNT_WIDTH$}\n",
        "", "value", "%", "%"
    )
}

/// The line of the part whose component of expected shortfall is `part`.
fn part_line(label: &str, part: &AttributionRow, rows: &[&AttributionRow]) -> String {
    let opening = find(PartMeasure::OpeningValue, part, rows);
    let opening = opening.map_or("-".to_owned(), |row| grouped(row.estimate.value, 0));
    let without = find(PartMeasure::RemoveExpectedShortfall, part, rows);
    let amounts = [find(PartMeasure::ComponentValueAtRisk, part, rows), Some(part)];
    line(label, &opening, amounts, &without.map_or(String::new(), |row| amount(&row.estimate)))
}

/// The line of the candidate whose change of expected shortfall is `added`.
fn candidate_line(added: &AttributionRow, rows: &[&AttributionRow]) -> String {
    line(&position_label(added), "", [find(PartMeasure::AddValueAtRisk, added, rows), Some(added)], "")
}

/// The row of `measure` of the same part, level and horizon as `part`.
fn find<'a>(measure: PartMeasure, part: &AttributionRow, rows: &[&'a AttributionRow]) -> Option<&'a AttributionRow> {
    let same = |row: &&&AttributionRow| {
        let is_place =
            measure == PartMeasure::OpeningValue || (row.level, row.horizon_days) == (part.level, part.horizon_days);
        is_place && (row.measure, row.kind, row.id, &row.name) == (measure, part.kind, part.id, &part.name)
    };
    rows.iter().find(same).copied()
}

/// A line of a label, a value, value at risk and expected shortfall with their shares, and one amount more.
fn line(label: &str, value: &str, amounts: [Option<&AttributionRow>; 2], last: &str) -> String {
    let short: String = label.chars().take(LABEL_WIDTH).collect();
    let mut text = format!("{short:<LABEL_WIDTH$}{value:>VALUE_WIDTH$}");
    for row in amounts {
        let amount = row.map_or("-".to_owned(), |row| amount(&row.estimate));
        let share = row.and_then(|row| row.share).map_or("-".to_owned(), |share| format!("{:.1}%", 100.0 * share));
        let _ = write!(text, "{amount:>AMOUNT_WIDTH$}{share:>SHARE_WIDTH$}");
    }
    let _ = write!(text, "{last:>AMOUNT_WIDTH$}");
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// An amount with half the width of its interval, to at most [`DECIMALS_MAX`] decimals.
pub(super) fn amount(estimate: &Estimate) -> String {
    let half_width = estimate.half_width();
    let decimals = decimals(half_width).min(DECIMALS_MAX);
    let error = if half_width.is_finite() { grouped(half_width, decimals) } else { "n/a".to_owned() };
    format!("{} ± {error}", grouped(estimate.value, decimals))
}
