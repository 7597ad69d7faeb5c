//! The numbers of the pictures as JSON, each with its interval; how they are drawn stands in `page.js`.

use serde_json::Value;
use serde_json::json;

use crate::output::read::DeregistrationRisk;
use crate::output::report::Report;
use crate::output::report::credit;
use crate::output::report::outcomes::Distribution;
use crate::output::report::outcomes::DrawdownCounts;
use crate::output::report::prices::PriceFan;
use crate::output::report::sections::component_rows;
use crate::output::report::sections::stress_level;
use crate::output::report::subnet_label;
use crate::output::report::text::level as percent_label;
use crate::output::report::text::printable;
use crate::risk::attribution::AttributionRow;
use crate::risk::book::PNL_QUANTILES;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::measure::Measure;

/// Holdings whose probabilities of deregistration are drawn.
const TERM_STRUCTURES: usize = 8;
/// Probability at the last horizon below which they are not.
const TERM_STRUCTURE_MIN: f64 = 0.001;
/// Probability below and above the outer band of a fan.
const FAN_OUTER: f64 = 0.05;
/// Components drawn.
const COMPONENTS: usize = 25;
/// Digits of a number in the page, more than a picture can show.
const DIGITS: i32 = 6;

/// All pictures.
pub(super) fn data(report: &Report) -> Value {
    json!({
        "distribution": report.outcomes.distributions.iter().map(|found| distribution(report, found)).collect::<Vec<_>>(),
        "value": value(report),
        "prices": report.prices.iter().map(price).collect::<Vec<_>>(),
        "drawdown": drawdown(report),
        "components": components(report),
        "pd": term_structures(report),
        "heat": heat(report),
        "exit": exit(report),
        "stress": stress(report),
        "tail": report.tail.iter().map(|story| json!({
            "path": story.path.path,
            "values": points(&story.values),
        })).collect::<Vec<_>>(),
    })
}

/// A number with [`DIGITS`] digits; null where it is none.
fn short(value: f64) -> Value {
    let rounded = format!("{value:.*e}", DIGITS as usize - 1).parse::<f64>();
    rounded.ok().filter(|number| number.is_finite()).map_or(Value::Null, Value::from)
}

/// Value and interval.
fn triple(found: &Estimate) -> Value {
    json!([short(found.value), short(found.ci_low), short(found.ci_high)])
}

fn points(points: &[(f64, f64)]) -> Value {
    points.iter().map(|&(x, y)| json!([short(x), short(y)])).collect()
}

fn distribution(report: &Report, found: &Distribution) -> Value {
    let (column, last) = ((found.basis, found.currency), report.last_horizon());
    let mark = |measure, level| report.find(measure, Some(level), column, last).map(triple);
    let lines = report.levels().into_iter().flat_map(|level| {
        [(Measure::ValueAtRisk, "VaR"), (Measure::ExpectedShortfall, "ES")].map(|(measure, name)| {
            json!({ "name": format!("{name} {}", percent_label(level)), "loss": mark(measure, level) })
        })
    });
    json!({
        "basis": found.basis.name(),
        "currency": found.currency.name(),
        "low": short(found.low),
        "width": short(found.width),
        "counts": found.counts,
        "samples": found.samples,
        "lines": lines.collect::<Vec<_>>(),
    })
}

/// Quantiles of the value at spot by horizon, the opening value first.
fn value(report: &Report) -> Value {
    let opening = report.opening(Basis::Mark, Currency::Tao);
    let shifted = |found: &Estimate| {
        json!([short(opening + found.value), short(opening + found.ci_low), short(opening + found.ci_high)])
    };
    let at = |horizon: f64| {
        PNL_QUANTILES.map(|level| {
            let found = report.find(Measure::PnlQuantile, Some(level), (Basis::Mark, Currency::Tao), horizon);
            found.map_or(Value::Null, shifted)
        })
    };
    let horizons = report.horizons().into_iter().map(|days| json!({ "days": days, "quantiles": at(days) }));
    let start = PNL_QUANTILES.map(|_| json!([short(opening), short(opening), short(opening)]));
    let start = json!({ "days": 0.0, "quantiles": start });
    let points: Vec<Value> = std::iter::once(start).chain(horizons).collect();
    json!({ "levels": PNL_QUANTILES, "opening": short(opening), "points": points })
}

fn price(fan: &PriceFan) -> Value {
    let inner = fan.quantiles.iter().filter(|quantile| (FAN_OUTER..=1.0 - FAN_OUTER).contains(&quantile.probability));
    let mut probabilities: Vec<f64> = inner.map(|quantile| quantile.probability).collect();
    probabilities.sort_by(f64::total_cmp);
    probabilities.dedup();
    let mut horizons: Vec<f64> = fan.quantiles.iter().map(|quantile| quantile.horizon_days).collect();
    horizons.dedup();
    let at = |days: f64| {
        let quantile = |probability: &f64| {
            let same = fan.quantiles.iter().find(|q| q.horizon_days == days && q.probability == *probability);
            same.map_or(Value::Null, |quantile| triple(&quantile.price))
        };
        json!({ "days": days, "quantiles": probabilities.iter().map(quantile).collect::<Vec<_>>() })
    };
    json!({
        "name": subnet_label(fan.id, &fan.name),
        "levels": probabilities,
        "points": horizons.into_iter().map(at).collect::<Vec<_>>(),
        "tracks": fan.tracks.iter().map(|track| points(&track.points)).collect::<Vec<_>>(),
    })
}

fn drawdown(report: &Report) -> Value {
    let curve = |counts: &DrawdownCounts| {
        // One point beyond the deepest drawdown closes the line.
        let deepest = counts.at_least.iter().rposition(|&count| count > 0).unwrap_or(0) + 2;
        let point = |(at, probability): (f64, Estimate)| json!([short(at), triple(&probability)]);
        json!({ "days": counts.horizon_days, "points": counts.points().take(deepest).map(point).collect::<Vec<_>>() })
    };
    report.outcomes.drawdowns.iter().map(curve).collect()
}

fn components(report: &Report) -> Value {
    let (last, holdings) = (report.last_horizon(), report.holdings());
    let opening = report.opening(Basis::Mark, Currency::Tao);
    let parts = component_rows(report, last);
    let part = |row: &&AttributionRow| {
        let held = holdings.iter().find(|(id, ..)| Some(*id) == row.id);
        json!({
            "name": row.id.map_or_else(|| printable(&row.name), |id| subnet_label(id, &row.name)),
            "value": triple(&row.estimate),
            "share": row.share.map(short),
            "of_book": held.map(|(.., value)| short(value / opening)),
        })
    };
    parts.iter().take(COMPONENTS).map(part).collect()
}

/// Holdings by probability at the last horizon.
fn term_structures(report: &Report) -> Value {
    let last = report.last_horizon();
    let mut held: Vec<_> = report
        .deregistration
        .iter()
        .filter(|risk| risk.horizon_days == last && credit::is_holding(report, risk))
        .collect();
    held.sort_by(|a, b| b.probability.value.total_cmp(&a.probability.value).then(a.netuid.cmp(&b.netuid)));
    let likely = held.iter().filter(|risk| risk.probability.value >= TERM_STRUCTURE_MIN).count();
    held.truncate(likely.clamp(1, TERM_STRUCTURES));
    let line = |risk: &&DeregistrationRisk| {
        let points = credit::at_horizons(report, risk).into_iter();
        let name = if risk.name.is_empty() { String::new() } else { format!(" {}", printable(&risk.name)) };
        json!({
            "name": format!("{}{name}", risk.netuid),
            "points": points.map(|at| json!([at.horizon_days, triple(&at.probability)])).collect::<Vec<_>>(),
        })
    };
    held.iter().map(line).collect()
}

fn heat(report: &Report) -> Value {
    let row = |risk: &&DeregistrationRisk| {
        let cells = credit::at_horizons(report, risk).into_iter().map(|at| triple(&at.probability));
        json!({
            "name": format!("{} {}", risk.netuid, printable(&risk.name)),
            "held": credit::is_holding(report, risk),
            "cells": cells.collect::<Vec<_>>(),
        })
    };
    json!({ "days": report.horizons(), "rows": credit::heat_rows(report).0.iter().map(row).collect::<Vec<_>>() })
}

fn exit(report: &Report) -> Value {
    let lines = report.exit_costs.iter().map(|line| {
        json!({ "size": line.size, "days": line.exit_days, "cost": triple(&line.cost), "tail": triple(&line.tail_cost) })
    });
    lines.collect()
}

/// Differences of expected shortfall at its lowest level.
fn stress(report: &Report) -> Value {
    let measure = "expected_shortfall";
    let level = stress_level(&report.stress, measure);
    let lines = report.stress.iter().filter(|line| line.measure == measure && line.level == level);
    let mut lines: Vec<_> = lines.collect();
    lines.sort_by(|a, b| b.difference.value.total_cmp(&a.difference.value));
    let bars = lines.iter().map(|line| json!({ "name": printable(&line.scenario), "value": triple(&line.difference) }));
    json!({
        "title": level.map(|level| format!("Change of expected shortfall {}", percent_label(level))),
        "unit": report.stress.first().map(|line| printable(&line.currency)),
        "bars": bars.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_null() {
        assert_eq!(short(f64::INFINITY), Value::Null);
        assert_eq!(short(f64::NAN), Value::Null);
        assert_eq!(short(1.0 / 3.0), json!(0.333333));
        assert_eq!(triple(&Estimate { ci_high: f64::INFINITY, ..Estimate::exact(2.0, 1) }), json!([2.0, 2.0, null]));
    }
}
