//! The table of deregistration read as credit: holdings by expected loss, then what the book as a whole can lose by it.

use std::fmt::Write;

use crate::cli::attribution_table::amount;
use crate::cli::table::Style;
use crate::cli::table::days_label;
use crate::cli::table::percent;
use crate::cli::table::percent_label;
use crate::cli::table::printable;
use crate::cli::table::with_error;
use crate::risk::credit::CreditMeasure;
use crate::risk::credit::CreditRow;
use crate::risk::estimate::Estimate;
use crate::units::SubnetId;

/// Holdings listed.
const HOLDINGS_LISTED: usize = 10;
/// Width of the labels of the book's figures.
const BOOK_LABEL_WIDTH: usize = 34;
/// Width of the labels at the left.
const LABEL_WIDTH: usize = 13;
/// Width of a figure with its error; four of them, three facts and a label are 99 columns.
const FIGURE_WIDTH: usize = 17;
/// Width of a fact of the start.
const FACT_WIDTH: usize = 6;

/// The credit view of each book at the last horizon, the holdings with the largest expected losses first. Empty without rows.
pub fn credit_text(rows: &[CreditRow], style: Style) -> String {
    let mut books: Vec<&str> = rows.iter().map(|row| row.book.as_str()).collect();
    books.dedup();
    let table = |book| Table { book, rows: rows.iter().filter(|row| row.book == book).collect(), style }.text();
    books.into_iter().map(table).collect()
}

struct Table<'a> {
    book: &'a str,
    rows: Vec<&'a CreditRow>,
    style: Style,
}

impl Table<'_> {
    fn text(&self) -> String {
        let horizon_days = self.rows.iter().map(|row| row.horizon_days).fold(0.0, f64::max);
        let is_loss =
            |row: &&&CreditRow| row.measure == CreditMeasure::ExpectedLoss && row.horizon_days == horizon_days;
        let mut holdings: Vec<&CreditRow> =
            self.rows.iter().filter(is_loss).filter(|row| row.id.is_some()).copied().collect();
        holdings.sort_by(|a, b| b.estimate.value.total_cmp(&a.estimate.value).then(a.id.cmp(&b.id)));
        let title =
            format!("\nDeregistration of the holdings of {} within {}", printable(self.book), days_label(horizon_days));
        let mut text = self.style.bold(&title) + "\n" + &self.style.bold(&heading());
        for holding in holdings.iter().take(HOLDINGS_LISTED) {
            text.push_str(&self.holding_line(holding, horizon_days));
        }
        if holdings.len() > HOLDINGS_LISTED {
            text.push_str(&self.style.dim(&format!(" and {} more\n", holdings.len() - HOLDINGS_LISTED)));
        }
        text.push_str(&self.style.dim(
            " Exposure: TAO at spot just before; lost: part of it not paid. Now: place in the order of pruning,\n \
             how far the moving price is above that of the next to go, days of immunity left.\n",
        ));
        text + &self.book_text(horizon_days, holdings.len())
    }

    fn holding_line(&self, holding: &CreditRow, horizon_days: f64) -> String {
        let at = |measure| self.find(holding.id, horizon_days, measure);
        let now = |measure| self.find(holding.id, 0.0, measure).map(|estimate| estimate.value);
        let netuid = holding.id.map_or(String::new(), |id| id.netuid.to_string());
        let label: String = format!(" {netuid:<5} {}", printable(&holding.name)).chars().take(LABEL_WIDTH).collect();
        let figures = [
            at(CreditMeasure::DeregistrationProbability).map(percent),
            at(CreditMeasure::Exposure).map(amount),
            at(CreditMeasure::LossGivenDeregistration).map(percent),
            Some(loss(&holding.estimate)),
        ];
        let grace = now(CreditMeasure::GraceDays).filter(|&days| days > 0.0);
        let facts = [
            now(CreditMeasure::PruneRank).map(|rank| format!("{rank}")),
            now(CreditMeasure::PruneDistance).map(distance),
            grace.map(|days| format!("{days:.0} d")),
        ];
        let mut text = format!("{label:<LABEL_WIDTH$}");
        for figure in figures {
            let _ = write!(text, "{:>FIGURE_WIDTH$}", figure.unwrap_or("-".to_owned()));
        }
        for fact in facts {
            let _ = write!(text, "{:>FACT_WIDTH$}", fact.unwrap_or("-".to_owned()));
        }
        text + "\n"
    }

    fn book_text(&self, horizon_days: f64, holdings: usize) -> String {
        let mut text = self.style.bold(" the book as a whole") + "\n";
        let of_book = self.rows.iter().filter(|row| row.id.is_none() && row.horizon_days == horizon_days);
        for row in of_book {
            let level = row.level.unwrap_or(0.0);
            let (label, value) = match row.measure {
                CreditMeasure::ExpectedLoss => ("expected loss, TAO".to_owned(), loss(&row.estimate)),
                CreditMeasure::UnexpectedLoss => ("its standard deviation, TAO".to_owned(), loss(&row.estimate)),
                CreditMeasure::ValueAtRisk => {
                    (format!("value at risk {}, TAO", percent_label(level)), amount(&row.estimate))
                }
                CreditMeasure::ExpectedShortfall => {
                    (format!("expected shortfall {}, TAO", percent_label(level)), amount(&row.estimate))
                }
                CreditMeasure::DeregistrationsAtLeast if level <= holdings as f64 => {
                    (format!("at least {level} deregistered"), percent(&row.estimate))
                }
                CreditMeasure::EffectiveHoldings if holdings > 1 => {
                    ("effective number of holdings".to_owned(), with_error(&row.estimate, ""))
                }
                _ => continue,
            };
            let _ = writeln!(text, "  {label:<width$}{value:>FIGURE_WIDTH$}", width = BOOK_LABEL_WIDTH);
        }
        text
    }

    fn find(&self, id: Option<SubnetId>, horizon_days: f64, measure: CreditMeasure) -> Option<&Estimate> {
        let same = |row: &&&CreditRow| (row.id, row.horizon_days, row.measure) == (id, horizon_days, measure);
        self.rows.iter().find(same).map(|row| &row.estimate)
    }
}

/// An expected or unexpected loss: only a bound where no path had any.
fn loss(estimate: &Estimate) -> String {
    if estimate.value == 0.0 && estimate.ci_low == 0.0 {
        format!("< {:.2}", estimate.ci_high)
    } else {
        amount(estimate)
    }
}

/// How far above the next to go, in per cent, or as a multiple of it where that is far.
fn distance(distance: f64) -> String {
    if distance < 9.0 { format!("{:+.0}%", 100.0 * distance) } else { format!("{:.0}x", 1.0 + distance) }
}

fn heading() -> String {
    let mut text = format!("{:<LABEL_WIDTH$}", "");
    for figure in ["probability", "exposure", "lost", "expected loss"] {
        let _ = write!(text, "{figure:>FIGURE_WIDTH$}");
    }
    for fact in ["place", "above", "grace"] {
        let _ = write!(text, "{fact:>FACT_WIDTH$}");
    }
    text + "\n"
}
