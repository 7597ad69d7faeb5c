//! The page behind the first: what `--detail` prints, every number with its error, in 100 columns.

use crate::cli::table::CELLS;
use crate::cli::table::Style;
use crate::cli::table::days_label;
use crate::cli::table::distinct;
use crate::cli::table::line;
use crate::cli::table::percent;
use crate::cli::table::percent_label;
use crate::cli::table::printable;
use crate::cli::table::with_error;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::measure::Measure;
use crate::risk::measure::SummaryRow;

/// What stands above the first book.
const LEGEND: [&str; 8] = [
    "Further measures. A number after ± is half the width of its 95 % interval, which for skewed ones",
    "(spectral, entropic, drawdown beyond) reaches farther up than down; summary.parquet has both ends.",
    "Spectral risk weighs losses by rank, on average the worst 1 in k. Entropic risk is the sure loss as",
    "bad as the uncertain one, at an aversion relative to the opening value. 1 in N: the loss exceeded",
    "once in N horizons. Sharpe: mean over deviation; Sortino: over the root mean square of losses;",
    "Omega: mean gain over mean loss; all three over the horizon, not annualised. Drawdown, time under",
    "water and ruin are of the value at spot, in TAO. Liquidity in VaR or ES: that on liquidation less",
    "that at spot, on the same paths.",
];
/// Measures of a P&L that are amounts, with the start of their labels.
const AMOUNTS: [(Measure, &str); 3] = [
    (Measure::SpectralRisk, " spectral risk, k = "),
    (Measure::EntropicRisk, " entropic risk at "),
    (Measure::ReturnLevel, " loss, 1 in "),
];
/// What liquidity adds to tail measures, at a confidence level.
const LIQUIDITY: [(Measure, &str); 2] =
    [(Measure::LiquidityValueAtRisk, " liquidity in VaR "), (Measure::LiquidityExpectedShortfall, " liquidity in ES ")];
/// Those that are ratios.
const RATIOS: [(Measure, &str); 3] =
    [(Measure::SharpeRatio, " Sharpe"), (Measure::SortinoRatio, " Sortino"), (Measure::OmegaRatio, " Omega")];
/// Measures of the way to the horizon at a confidence level.
const TAILS: [(Measure, &str, Show); 3] = [
    (Measure::DrawdownAtRisk, " drawdown ", percent),
    (Measure::ConditionalDrawdownAtRisk, " drawdown beyond ", percent),
    (Measure::TimeUnderWaterQuantile, " days under water ", plain),
];

/// How a number is written.
type Show = fn(&Estimate) -> String;

/// The sections of every book; nothing where a run took no further measures.
pub fn detail_text(summary: &[SummaryRow], style: Style) -> String {
    if summary.iter().all(|row| row.measure != Measure::SharpeRatio) {
        return String::new();
    }
    let legend = LEGEND.map(|words| style.dim(words) + "\n").concat();
    let mut books: Vec<&str> = summary.iter().map(|row| row.book.as_str()).collect();
    books.dedup();
    let tables = books.into_iter().map(|name| {
        let rows = summary.iter().filter(|row| row.book == name).collect();
        BookDetail { name, rows, style }.text()
    });
    "\n".to_owned() + &legend + &tables.collect::<String>()
}

/// The rows of one book.
struct BookDetail<'a> {
    name: &'a str,
    rows: Vec<&'a SummaryRow>,
    style: Style,
}

impl BookDetail<'_> {
    fn text(&self) -> String {
        let mut text = self.style.bold(&format!("\nBook {}", printable(self.name))) + "\n";
        let horizons =
            distinct(self.rows.iter().filter(|row| row.measure == Measure::SharpeRatio).map(|row| row.horizon_days));
        for horizons in horizons.chunks(CELLS) {
            text.push_str(&self.style.bold(&line("", horizons.iter().map(|&days| days_label(days)))));
            for kind in self.kinds() {
                text.push_str(&self.pnl_section(kind, horizons));
            }
            text.push_str(&self.way_section(horizons));
        }
        text
    }

    /// Bases and currencies in the order of the rows.
    fn kinds(&self) -> Vec<(Basis, Currency)> {
        let mut kinds = Vec::new();
        for row in self.rows.iter().filter(|row| row.measure == Measure::SharpeRatio) {
            if !kinds.contains(&(row.basis, row.currency)) {
                kinds.push((row.basis, row.currency));
            }
        }
        kinds
    }

    /// Risks, rare losses and ratios of one P&L.
    fn pnl_section(&self, kind: (Basis, Currency), horizons: &[f64]) -> String {
        let (basis, currency) = kind;
        let on = if basis == Basis::Mark { "at spot".to_owned() } else { format!("on {}", basis.name()) };
        let mut text = self.style.bold(&format!("P&L {on}, {}", currency.name())) + "\n";
        for (measure, label) in AMOUNTS {
            for level in self.levels(measure) {
                text.push_str(&self.row(&format!("{label}{level}"), measure, Some(level), kind, horizons, plain));
            }
        }
        for (measure, label) in LIQUIDITY.into_iter().filter(|_| basis == Basis::Liquidation) {
            for level in self.levels(measure) {
                let label = format!("{label}{}", percent_label(level));
                text.push_str(&self.row(&label, measure, Some(level), kind, horizons, plain));
            }
        }
        for (measure, label) in RATIOS {
            text.push_str(&self.row(label, measure, None, kind, horizons, plain));
        }
        text
    }

    /// Drawdown, time under water and ruin.
    fn way_section(&self, horizons: &[f64]) -> String {
        let kind = (Basis::Mark, Currency::Tao);
        let mut text = self.style.bold("Way to the horizon") + "\n";
        let mean = Measure::TimeUnderWaterMean;
        for (measure, label, show) in TAILS {
            if measure == Measure::TimeUnderWaterQuantile {
                text.push_str(&self.row(" days under water, mean", mean, None, kind, horizons, plain));
            }
            for level in self.levels(measure) {
                let label = format!("{label}{}", percent_label(level));
                text.push_str(&self.row(&label, measure, Some(level), kind, horizons, show));
            }
        }
        for fraction in self.levels(Measure::ProbabilityOfRuin) {
            let label = format!(" ruin, {} lost", percent_label(fraction));
            text.push_str(&self.row(&label, Measure::ProbabilityOfRuin, Some(fraction), kind, horizons, percent));
        }
        text
    }

    fn levels(&self, measure: Measure) -> Vec<f64> {
        distinct(self.rows.iter().filter(|row| row.measure == measure).filter_map(|row| row.level))
    }

    fn row(
        &self,
        label: &str,
        measure: Measure,
        level: Option<f64>,
        (basis, currency): (Basis, Currency),
        horizons: &[f64],
        show: Show,
    ) -> String {
        let cell = |&days: &f64| {
            let key = (measure, level, basis, currency, days);
            let found =
                self.rows.iter().find(|row| (row.measure, row.level, row.basis, row.currency, row.horizon_days) == key);
            found.map_or("-".to_owned(), |row| show(&row.estimate))
        };
        line(label, horizons.iter().map(cell))
    }
}

fn plain(estimate: &Estimate) -> String {
    with_error(estimate, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::PathRow;
    use crate::risk::book::BookOpening;
    use crate::risk::book::BookStatistics;
    use crate::risk::further::MeasureSettings;

    fn statistics(paths: u64) -> BookStatistics {
        let (mark_tao, usd_per_tao) = (2_000.0, 250.0);
        let book = BookOpening { name: "desk".into(), mark_tao, liquidation_tao: 1_990.0, usd_per_tao };
        let settings = MeasureSettings {
            spectral_aversions: vec![5.0, 20.0],
            entropic_aversions: vec![1.0],
            ruin_fraction: 0.5,
            return_periods: vec![20.0, 1_000.0],
        };
        BookStatistics::new(&[book], &[7.0, 30.0, 90.0, 180.0], &[0.95, 0.99], paths).with_further(settings)
    }

    fn summary(paths: u64) -> Vec<SummaryRow> {
        let mut statistics = statistics(paths);
        for path in 0..paths {
            for horizon in 0..4 {
                // Losses uniform on (-480, 520) at 7 days: in steps of 0.1.
                let pnl = f64::from(horizon + 1) * ((path * 7_919 % paths) as f64 / paths as f64 * 1e3 - 520.0);
                statistics.push(&PathRow {
                    path,
                    horizon: horizon as u16,
                    pnl_mark_tao: pnl,
                    pnl_liquidation_tao: pnl - 10.0,
                    pnl_mark_usd: 250.0 * pnl,
                    pnl_liquidation_usd: 250.0 * pnl - 2_500.0,
                    max_drawdown: (path % 100) as f64 * 0.01,
                    longest_under_water_days: (path % 7) as f64,
                    lowest_pnl_tao: pnl - 100.0,
                    ..PathRow::EMPTY
                });
            }
        }
        statistics.finish()
    }

    #[test]
    fn fits_a_hundred_columns_and_has_an_error_in_every_cell() {
        let text = detail_text(&summary(10_000), Style::PLAIN);
        println!("{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        let rows: Vec<&str> =
            text.lines().filter(|line| line.starts_with(' ') && !line.trim_start().ends_with("days")).collect();
        for row in &rows {
            let errors = row.matches('±').count() + row.matches('<').count();
            assert!(errors == 3 || errors == 1, "{row}");
        }
        // Two blocks of horizons; four P&Ls with 2 + 1 + 2 amounts and 3 ratios each; 4 + 3 + 1 lines of the way.
        assert_eq!(rows.len(), 2 * (4 * 8 + 8));
        assert!(!text.contains("NaN") && !text.contains("inf"));
    }

    #[test]
    fn the_lines_of_the_first_horizon() {
        let text = detail_text(&summary(10_000), Style::PLAIN);
        let first = |start: &str| {
            let found = text.lines().find(|line| line.starts_with(start));
            found.unwrap_or_else(|| panic!("{start}: {text}")).split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert!(first(" loss, 1 in 20").starts_with("loss, 1 in 20 470.0 ± "), "{}", first(" loss, 1 in 20"));
        // Omega of a P&L uniform on (-520, 480): (480 / 520)^2.
        assert!(first(" Omega").starts_with("Omega 0.852 ± "), "{}", first(" Omega"));
        assert!(first(" drawdown 95%").starts_with("drawdown 95% 94.00% ± "), "{}", first(" drawdown 95%"));
        assert!(first(" days under water, mean").contains(" 2.999 ± "), "{}", first(" days under water, mean"));
        // The lowest P&L is never below -620 at 7 days.
        assert!(first(" ruin, 50% lost").contains("lost < 0.030%"), "{}", first(" ruin, 50%"));
    }

    #[test]
    fn nothing_without_further_measures() {
        let first_page: Vec<SummaryRow> =
            summary(100).into_iter().filter(|row| row.measure == Measure::MeanPnl).collect();
        assert_eq!(detail_text(&first_page, Style::PLAIN), "");
    }
}
