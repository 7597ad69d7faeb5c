//! The table of subnets with revenue on the terminal, every figure with its error.

use crate::cli::table::CELLS;
use crate::cli::table::Style;
use crate::cli::table::days_label;
use crate::cli::table::distinct;
use crate::cli::table::line;
use crate::cli::table::percent;
use crate::cli::table::with_error;
use crate::risk::estimate::Estimate;
use crate::risk::revenue::RevenueFigure;
use crate::risk::revenue::RevenueMeasure;
use crate::units::SubnetId;

/// What the table says of revenue up to the last report horizons; nothing where no subnet has any.
pub(super) fn revenue_table(figures: &[RevenueFigure], style: Style) -> String {
    let mut subnets: Vec<SubnetId> = figures.iter().map(|figure| figure.id).collect();
    subnets.dedup();
    let horizons = distinct(figures.iter().map(|figure| figure.horizon_days));
    let shown = &horizons[horizons.len().saturating_sub(CELLS)..];
    let tables = subnets.into_iter().map(|id| {
        let of_subnet: Vec<&RevenueFigure> = figures.iter().filter(|figure| figure.id == id).collect();
        subnet_table(id, &of_subnet, shown, style)
    });
    tables.collect()
}

fn subnet_table(id: SubnetId, figures: &[&RevenueFigure], horizons: &[f64], style: Style) -> String {
    let title = format!("\nRevenue of {} from the start to", id.netuid);
    let heading = line("", horizons.iter().map(|&days| days_label(days)));
    let mut text = style.bold(&title) + "\n" + &style.bold(&heading);
    for measure in RevenueMeasure::ALL {
        let cell = |days: &f64| {
            let found = figures.iter().find(|figure| (figure.measure, figure.horizon_days) == (measure, *days));
            found.and_then(|figure| figure.estimate.as_ref()).map_or("-".to_owned(), |estimate| show(measure, estimate))
        };
        text.push_str(&line(label(measure), horizons.iter().map(cell)));
    }
    text
}

fn label(measure: RevenueMeasure) -> &'static str {
    match measure {
        RevenueMeasure::Revenue => " revenue, USD a day",
        RevenueMeasure::Buyback => " bought back, TAO",
        RevenueMeasure::MinerEmission => " paid to miners, TAO",
        RevenueMeasure::WithheldFraction => " miner emission withheld",
        RevenueMeasure::EmissionNeutrality => " bought back over paid",
    }
}

fn show(measure: RevenueMeasure, estimate: &Estimate) -> String {
    match measure {
        RevenueMeasure::WithheldFraction => percent(estimate),
        _ => with_error(estimate, ""),
    }
}
