//! Deregistration on the page: when holdings may go, and what that costs.

use crate::output::read::DeregistrationRisk;
use crate::output::report::Report;
use crate::output::report::sections::table;
use crate::output::report::subnet_label;
use crate::output::report::text;
use crate::output::report::text::escaped;
use crate::output::report::text::estimate;
use crate::output::report::text::number;
use crate::output::report::text::percent;
use crate::risk::credit::CreditMeasure;
use crate::risk::credit::CreditRow;
use crate::risk::estimate::Estimate;
use crate::units::SubnetId;

/// Subnets in the heat map.
pub(super) const HEAT_ROWS: usize = 40;
/// Probability at the last horizon below which a subnet that is not held is left out of the heat map.
const HEAT_MIN: f64 = 0.005;
/// Holdings listed.
const HOLDINGS_LISTED: usize = 25;

/// The section.
pub(super) fn section(report: &Report) -> String {
    let last = report.last_horizon();
    let (_, left_out) = heat_rows(report);
    let sentences = format!(
        "Lines: the probability that a holding is deregistered by the horizon, with 95 % intervals as whiskers; holdings below 0.1 % \
         at the last one are not drawn. Map: the same for the subnets of the whole network that are most likely to go, holdings of \
         the book in bold{}; after &lt; stands the upper end of the interval where no future has it.",
        if left_out > 0 { format!(" ({left_out} less likely ones are left out)") } else { String::new() }
    );
    format!(
        "<section id=\"deregistration\"><h2>Deregistration</h2>\n<div class=\"split even\"><div><h3>Holdings</h3><div \
         class=\"chart\" id=\"chart-pd\" role=\"img\" aria-label=\"Probability of deregistration of holdings\"></div>{}</div><div>\
         <h3>Network, %</h3><div class=\"chart\" id=\"chart-heat\" role=\"img\" aria-label=\"Probability of deregistration by subnet \
         and horizon\"></div></div></div>\n<p class=\"read\">{sentences}</p>\n{}</section>\n",
        book(report, last),
        holdings(report, last)
    )
}

/// Subnets by probability at the last horizon, the most likely first, and how many are left out.
pub(super) fn heat_rows(report: &Report) -> (Vec<&DeregistrationRisk>, usize) {
    let last = report.last_horizon();
    let mut rows: Vec<&DeregistrationRisk> =
        report.deregistration.iter().filter(|risk| risk.horizon_days == last).collect();
    let all = rows.len();
    rows.retain(|risk| risk.probability.value >= HEAT_MIN || is_holding(report, risk));
    rows.sort_by(|a, b| b.probability.value.total_cmp(&a.probability.value).then(a.netuid.cmp(&b.netuid)));
    rows.truncate(HEAT_ROWS);
    let left_out = all - rows.len();
    (rows, left_out)
}

/// Whether the book of the page holds it.
pub(super) fn is_holding(report: &Report, risk: &DeregistrationRisk) -> bool {
    report.holdings().iter().any(|(id, ..)| id.netuid == risk.netuid)
}

/// The same subnet at every horizon.
pub(super) fn at_horizons<'a>(report: &'a Report, risk: &DeregistrationRisk) -> Vec<&'a DeregistrationRisk> {
    let netuid = risk.netuid;
    report.deregistration.iter().filter(|other| other.netuid == netuid).collect()
}

fn find(report: &Report, id: Option<SubnetId>, measure: CreditMeasure, horizon_days: f64) -> Option<&Estimate> {
    let same = |row: &&CreditRow| row.id == id && row.measure == measure && row.horizon_days == horizon_days;
    report.credit.iter().find(same).map(|row| &row.estimate)
}

fn holdings(report: &Report, last: f64) -> String {
    let mut held: Vec<&CreditRow> = report
        .credit
        .iter()
        .filter(|row| row.measure == CreditMeasure::ExpectedLoss && row.horizon_days == last && row.id.is_some())
        .collect();
    held.sort_by(|a, b| b.estimate.value.total_cmp(&a.estimate.value).then(a.id.cmp(&b.id)));
    let more = held.len().saturating_sub(HOLDINGS_LISTED);
    held.truncate(HOLDINGS_LISTED);
    if held.is_empty() {
        return String::new();
    }
    let heads = [
        format!("Probability in {}", text::days(last)),
        "Lost if so".to_owned(),
        "Expected loss, TAO".to_owned(),
        "Place in the queue".to_owned(),
        "Immunity, days".to_owned(),
    ];
    let rows = held.iter().map(|row| {
        let at = |measure| find(report, row.id, measure, last);
        let now = |measure, decimals| {
            find(report, row.id, measure, 0.0).map_or(String::new(), |found| number(found.value, decimals))
        };
        let label = row.id.map_or_else(String::new, |id| escaped(&subnet_label(id, &row.name)));
        let cells = vec![
            at(CreditMeasure::DeregistrationProbability).map_or(String::new(), percent),
            at(CreditMeasure::LossGivenDeregistration).map_or("\u{2013}".to_owned(), percent),
            estimate(&row.estimate, ""),
            now(CreditMeasure::PruneRank, 0),
            now(CreditMeasure::GraceDays, 0),
        ];
        (label, cells)
    });
    let note =
        if more > 0 { format!(" {more} holdings with smaller expected losses are not listed.") } else { String::new() };
    let table = table("Holding", heads, rows);
    format!(
        "{table}<p class=\"read\">Lost if so: the part of the holding's value just before that the payout does not replace; negative \
         where the pool pays more than the last price. Place in the queue: by moving price among subnets past immunity, 1 the next \
         to go; within immunity the place that it would have.{note}</p>\n"
    )
}

/// What the book as a whole can lose by deregistration.
fn book(report: &Report, last: f64) -> String {
    let level = report.levels().first().copied();
    let mut facts = Vec::new();
    for row in report.credit.iter().filter(|row| row.id.is_none() && row.horizon_days == last) {
        let name = match row.measure {
            CreditMeasure::ExpectedLoss => "Expected loss by deregistration, TAO".to_owned(),
            CreditMeasure::UnexpectedLoss => "Its standard deviation over futures, TAO".to_owned(),
            CreditMeasure::ValueAtRisk if row.level == level => {
                format!("Value at risk {}, TAO", text::level(row.level.unwrap_or(0.0)))
            }
            CreditMeasure::ExpectedShortfall if row.level == level => {
                format!("Expected shortfall {}, TAO", text::level(row.level.unwrap_or(0.0)))
            }
            CreditMeasure::DeregistrationsAtLeast if row.level.is_some_and(|count| count <= 3.0) => {
                format!("Probability of {} or more deregistrations", row.level.unwrap_or(0.0))
            }
            _ => continue,
        };
        let is_probability = row.measure == CreditMeasure::DeregistrationsAtLeast;
        facts.push((name, vec![if is_probability { percent(&row.estimate) } else { estimate(&row.estimate, "") }]));
    }
    if facts.is_empty() {
        String::new()
    } else {
        table("Losses by deregistration alone", ["Whole book".to_owned()], facts)
    }
}
