//! The line below the risk table that says how a run estimated, and what that was worth.

use crate::cli::table::decimals;
use crate::cli::table::grouped;
use crate::output::manifest::words_of_method;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::measure::Measure;
use crate::risk::measure::SummaryRow;

/// The line of a method, 100 columns at most. With control variates it has what the means at spot of the first book are worth at the
/// last horizon: how many times the paths plain Monte Carlo would have needed for the same error.
pub(super) fn method_line(method: &str, summary: &[SummaryRow]) -> String {
    let gains = [Currency::Tao, Currency::Usd].map(|currency| gain(summary, currency));
    match (method, gains) {
        ("control", [Some(tao), Some(usd)]) => {
            format!(
                "Estimator control: means are worth {} times the paths in TAO, {} in USD; all else is plain.",
                times(tao),
                times(usd)
            )
        }
        _ => format!("Estimator {method}: {}.", words_of_method(method)),
    }
}

fn times(gain: f64) -> String {
    grouped(gain, decimals(gain))
}

/// Variance of the plain mean over that of the published one; `None` where there is no error.
fn gain(summary: &[SummaryRow], currency: Currency) -> Option<f64> {
    let book = &summary.first()?.book;
    let last = summary.iter().map(|row| row.horizon_days).fold(0.0, f64::max);
    let find = |measure: Measure| {
        let key = (measure, Basis::Mark, currency, last);
        let same = |row: &&SummaryRow| (row.measure, row.basis, row.currency, row.horizon_days) == key;
        summary.iter().find(|row| row.book == *book && same(row)).map(|row| &row.estimate)
    };
    let (mean, deviation) = (find(Measure::MeanPnl)?, find(Measure::SdPnl)?);
    let gain = (deviation.value / mean.standard_error).powi(2) / mean.samples as f64;
    gain.is_finite().then_some(gain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::estimate::Estimate;

    fn rows(standard_error: f64) -> Vec<SummaryRow> {
        let row = |measure, currency, estimate| SummaryRow {
            book: "desk".into(),
            measure,
            currency,
            basis: Basis::Mark,
            level: None,
            horizon_days: 90.0,
            estimate,
        };
        let of = |currency, error| {
            let mean = row(Measure::MeanPnl, currency, Estimate::normal(1.0, error, 10_000));
            // Of 10,000 paths a deviation of 300 gives a mean an error of 3.
            [mean, row(Measure::SdPnl, currency, Estimate::normal(300.0, 1.0, 10_000))]
        };
        [of(Currency::Tao, 3.0), of(Currency::Usd, standard_error)].concat()
    }

    #[test]
    fn the_gain_is_in_paths() {
        let line = method_line("control", &rows(1.0));
        assert_eq!(
            line,
            "Estimator control: means are worth 1.0 times the paths in TAO, 9.0 in USD; all else is plain."
        );
        let far = method_line("control", &rows(0.01));
        assert!(far.contains("90,000") && far.chars().count() <= 100, "{far}");
    }

    #[test]
    fn others_are_named() {
        for method in ["plain", "control", "importance", "sobol", "stratified", "antithetic"] {
            let line = method_line(method, &[]);
            assert!(line.starts_with(&format!("Estimator {method}: ")) && line.chars().count() <= 100, "{line}");
        }
        // A mean without error has no gain to tell of.
        assert_eq!(method_line("control", &rows(0.0)), method_line("control", &[]));
    }
}
