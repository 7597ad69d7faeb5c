//! What the error of each headline measure is made of, where a run drew its parameters.

use crate::cli::table::Style;
use crate::cli::table::days_label;
use crate::cli::table::decimals;
use crate::cli::table::grouped;
use crate::cli::table::line;
use crate::cli::table::percent_label;
use crate::cli::table::with_error;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::measure::Measure;
use crate::risk::measure::SummaryRow;

/// What no column holds.
const REST: [&str; 3] = [
    "Standard errors. Monte Carlo error falls with more paths, parameter error only with more data.",
    "Not covered: what is assumed and not estimated, the form of the model, and the length of the",
    "step, whose bias `taorisk converge` finds.",
];

/// A measure, the error that the parameters add to it, and its label.
const MEASURES: [(Measure, Measure, &str); 4] = [
    (Measure::MeanPnl, Measure::MeanPnlParameterError, "mean"),
    (Measure::LossProbability, Measure::LossProbabilityParameterError, "probability of a loss"),
    (Measure::ValueAtRisk, Measure::ValueAtRiskParameterError, "value at risk"),
    (Measure::ExpectedShortfall, Measure::ExpectedShortfallParameterError, "expected shortfall"),
];

/// The block of one book, of P&L at spot in TAO; empty where parameters were not drawn.
pub(super) fn split_text(rows: &[&SummaryRow], style: Style) -> String {
    let is_shown = |row: &&&SummaryRow| (row.basis, row.currency) == (Basis::Mark, Currency::Tao);
    let rows: Vec<&SummaryRow> = rows.iter().filter(is_shown).copied().collect();
    let Some(share) = rows.iter().find(|row| row.measure == Measure::ParameterVarianceShare) else {
        return String::new();
    };
    let title = format!("Errors at {}, TAO", days_label(share.horizon_days));
    let heads = ["value", "Monte Carlo error", "parameter error"].map(str::to_owned);
    let mut text = style.bold(&line(&title, heads));
    for parameters in &rows {
        let Some((measure, _, label)) = MEASURES.iter().find(|(_, error, _)| *error == parameters.measure) else {
            continue;
        };
        let key = (*measure, parameters.level, parameters.horizon_days);
        if let Some(row) = rows.iter().find(|row| (row.measure, row.level, row.horizon_days) == key) {
            text.push_str(&measure_line(label, row, &parameters.estimate));
        }
    }
    let share = with_error(&share.estimate.scaled(100.0), "%");
    text.push_str(&line(" share of the variance", [String::new(), String::new(), share]));
    REST.iter().for_each(|words| text.push_str(&(style.dim(words) + "\n")));
    text
}

fn measure_line(label: &str, row: &SummaryRow, parameters: &Estimate) -> String {
    let level = row.level.map_or(String::new(), |level| format!(" {}", percent_label(level)));
    let (factor, unit) = if row.measure == Measure::LossProbability { (100.0, "%") } else { (1.0, "") };
    let (estimate, parameters) = (row.estimate.scaled(factor), parameters.scaled(factor));
    let error = estimate.standard_error;
    let digits = decimals(error);
    let known = if error.is_finite() { grouped(error, digits) + unit } else { "n/a".to_owned() };
    let cells = [grouped(estimate.value, digits) + unit, known, with_error(&parameters, unit)];
    line(&format!(" {label}{level}"), cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(measure: Measure, level: Option<f64>, value: f64, error: f64) -> SummaryRow {
        let (book, horizon_days) = ("desk".to_owned(), 90.0);
        let estimate = Estimate::normal(value, error, 1000);
        SummaryRow { book, measure, currency: Currency::Tao, basis: Basis::Mark, level, horizon_days, estimate }
    }

    #[test]
    fn each_measure_has_both_errors() {
        let rows = [
            row(Measure::MeanPnl, None, -30.0, 2.0),
            row(Measure::LossProbability, None, 0.6, 0.01),
            row(Measure::ValueAtRisk, Some(0.99), 400.0, 5.0),
            row(Measure::MeanPnlParameterError, None, 40.0, 1.0),
            row(Measure::LossProbabilityParameterError, None, 0.05, 0.001),
            row(Measure::ValueAtRiskParameterError, Some(0.99), 20.0, 3.0),
            row(Measure::ParameterVarianceShare, None, 0.125, 0.01),
        ];
        let text = split_text(&rows.iter().collect::<Vec<_>>(), Style::PLAIN);
        let words = |start: &str| {
            let line = text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {text}"));
            line[start.len()..].split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(" mean"), "-30.0 2.0 40.0 ± 2.0");
        assert_eq!(words(" probability of a loss"), "60.0% 1.0% 5.00% ± 0.20%");
        assert_eq!(words(" value at risk 99%"), "400.0 5.0 20.0 ± 5.9");
        assert_eq!(words(" share of the variance"), "12.5% ± 2.0%");
        assert!(text.contains("Not covered") && text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert_eq!(split_text(&rows.iter().take(3).collect::<Vec<_>>(), Style::PLAIN), "");
    }
}
