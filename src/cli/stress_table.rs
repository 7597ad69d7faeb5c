//! The table of stress scenarios on the terminal: differences to the base with their errors, in 100 columns.

use crate::cli::stress::Finding;
use crate::cli::table;
use crate::cli::table::Style;
use crate::config::library::LIBRARY;
use crate::output::stress::LeftOut;
use crate::risk::contrast::Contrast;
use crate::risk::contrast::ContrastMeasure;
use crate::risk::contrast_parts::PartContrast;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;

/// Columns of names; with five cells of [`CELL_WIDTH`] they are 100.
const NAME_WIDTH: usize = 20;
/// Columns of a difference.
const CELL_WIDTH: usize = 16;
/// Most decimals of a difference.
const DECIMALS_MAX: usize = 3;
/// Positions shown of a scenario.
const POSITIONS_LISTED: usize = 5;

/// The library: what is run by default, and what on request.
pub(super) fn list(style: Style) -> String {
    let group = |title: &str, by_default: bool| {
        let members = LIBRARY.iter().filter(|member| member.by_default == by_default);
        let lines = members.map(|member| format!("  {:<NAME_WIDTH$}  {}\n", member.name, member.description()));
        style.bold(title) + "\n" + &lines.collect::<String>()
    };
    group("Run where no scenarios are chosen:", true) + &group("On request (--scenarios):", false)
}

/// What scenarios do to a book.
pub(super) struct StressTable<'a> {
    /// Its name.
    pub book: String,
    pub horizon_days: f64,
    pub currency: Currency,
    pub basis: Basis,
    /// Confidence of the tail.
    pub level: f64,
    pub paths: u64,
    /// Value of the book at spot at the start, in the currency.
    pub opening: f64,
    /// Names of its parts.
    pub parts: Vec<String>,
    /// Scenarios with what they change.
    pub found: Vec<(&'a str, &'a Finding)>,
    pub left_out: &'a [LeftOut],
    /// Number of scenarios whose positions are shown.
    pub worst: usize,
}

impl StressTable<'_> {
    /// The whole table.
    pub fn text(&self, style: Style) -> String {
        let mut found = self.found.clone();
        found.sort_by(|(_, a), (_, b)| self.shortfall(b).total_cmp(&self.shortfall(a)));
        let mut text = self.legend(style) + "\n" + &style.bold(&self.heads());
        if let Some((_, first)) = found.first() {
            text.push_str(&self.line("base", self.cells(&first.book, |contrast| (contrast.base, false)), style));
        }
        for (name, finding) in &found {
            text.push_str(&self.scenario_text(name, finding, style));
        }
        let worse = found.iter().filter(|(_, finding)| self.shortfall(finding) > 0.0).take(self.worst);
        worse.for_each(|(name, finding)| text.push_str(&self.positions_text(name, finding, style)));
        text + &self.foot(style)
    }

    fn legend(&self, style: Style) -> String {
        let title = format!(
            "Book {}: what scenarios do to its losses after {}, {}, {}",
            table::printable(&self.book),
            table::days_label(self.horizon_days),
            self.currency.name(),
            self.basis.name()
        );
        let lines = [
            format!(
                "{} paths each, on the same chance: differences to the base, worst shortfall first. After ± half",
                table::grouped(self.paths as f64, 0)
            ),
            format!(
                "the width of the 95 % confidence interval. In % of the opening value at spot, {} {};",
                table::grouped(self.opening, 0),
                self.currency.name()
            ),
            "exit cost: spot less liquidation; gone: number of holdings deregistered. Above 0 is worse.".to_owned(),
        ];
        style.bold(&title) + "\n" + &lines.map(|line| style.dim(&line) + "\n").concat()
    }

    fn heads(&self) -> String {
        let level = table::percent_label(self.level);
        let heads = ["mean loss", &format!("VaR {level}"), &format!("shortfall {level}"), "exit cost", "gone"];
        let cells = heads.map(|head| format!("{head:>CELL_WIDTH$}")).concat();
        format!("{:<NAME_WIDTH$}{cells}\n", "")
    }

    fn scenario_text(&self, name: &str, finding: &Finding, style: Style) -> String {
        let line = |label: &str, found: &[Contrast]| {
            self.line(label, self.cells(found, |contrast| (contrast.difference, true)), style)
        };
        let mut text = line(name, &finding.book);
        if let Some(split) = &finding.rules {
            text.push_str(&line("  of it market", &split.market));
            text.push_str(&line("  of it rules", &split.rules));
        }
        finding.notes.iter().for_each(|note| text.push_str(&(style.dim(&format!("  {note}")) + "\n")));
        text
    }

    /// The measures of the columns, with whether they are differences.
    fn cells(&self, found: &[Contrast], of: impl Fn(&Contrast) -> (Estimate, bool)) -> [Cell; 5] {
        let measures = [
            ContrastMeasure::MeanLoss,
            ContrastMeasure::ValueAtRisk(self.level),
            ContrastMeasure::ExpectedShortfall(self.level),
            ContrastMeasure::ExitCost,
            ContrastMeasure::DeregisteredHoldings,
        ];
        measures.map(|measure| {
            let contrast = found.iter().find(|contrast| contrast.measure == measure).expect("all measures");
            let (estimate, is_difference) = of(contrast);
            let scale = if measure == ContrastMeasure::DeregisteredHoldings { 1.0 } else { self.per_cent() };
            Cell { estimate: estimate.scaled(scale), is_difference }
        })
    }

    /// Factor from an amount to per cent of the opening value.
    fn per_cent(&self) -> f64 {
        100.0 / self.opening
    }

    fn line(&self, label: &str, cells: [Cell; 5], style: Style) -> String {
        let label: String = table::printable(label).chars().take(NAME_WIDTH).collect();
        format!("{label:<NAME_WIDTH$}{}\n", cells.map(|cell| cell.text(style)).concat())
    }

    fn shortfall(&self, finding: &Finding) -> f64 {
        let measure = ContrastMeasure::ExpectedShortfall(self.level);
        finding.book.iter().find(|contrast| contrast.measure == measure).map_or(0.0, |found| found.difference.value)
    }

    fn positions_text(&self, name: &str, finding: &Finding, style: Style) -> String {
        let mut parts: Vec<(&String, &PartContrast)> = self.parts.iter().zip(&finding.parts).collect();
        parts.sort_by(|(_, a), (_, b)| b.shortfall.value.abs().total_cmp(&a.shortfall.value.abs()));
        let level = table::percent_label(self.level);
        let title = format!("{name}: positions that make it");
        let heads = ["mean loss".to_owned(), format!("shortfall {level}")].map(|head| format!("{head:>CELL_WIDTH$}"));
        let mut text =
            "\n".to_owned() + &style.bold(&format!("{:<52}{}", table::printable(&title), heads.concat())) + "\n";
        for (label, part) in parts.into_iter().take(POSITIONS_LISTED) {
            let label: String = table::printable(label).chars().take(48).collect();
            let cells = [part.mean, part.shortfall]
                .map(|found| Cell { estimate: found.scaled(self.per_cent()), is_difference: true }.text(style));
            text.push_str(&format!(" {label:<51}{}\n", cells.concat()));
        }
        text
    }

    fn foot(&self, style: Style) -> String {
        let left_out = self.left_out.iter().map(|left_out| format!("Left out: {}: {}", left_out.name, left_out.reason));
        let lines: String = left_out.map(|line| table::printable(&line) + "\n").collect();
        let hint = "Which drivers make it: taorisk attribute --overlay NAME, beside taorisk attribute.";
        format!("\n{lines}{}\n", style.dim(hint))
    }
}

/// A number with its error.
struct Cell {
    estimate: Estimate,
    is_difference: bool,
}

impl Cell {
    fn text(&self, style: Style) -> String {
        let Estimate { value, ci_low, ci_high, .. } = self.estimate;
        let half_width = self.estimate.half_width();
        let decimals = table::decimals(half_width).min(DECIMALS_MAX);
        // Never a rounded-off error.
        let shown_width = if half_width > 0.0 { half_width.max(0.1_f64.powi(decimals as i32)) } else { half_width };
        let sign = if self.is_difference && value > 0.0 { "+" } else { "" };
        let number = format!("{sign}{}", table::grouped(value, decimals));
        let text = match half_width {
            0.0 if value == 0.0 => "0".to_owned(),
            width if width.is_finite() => format!("{number} ± {}", table::grouped(shown_width, decimals)),
            _ => format!("{number} ± n/a"),
        };
        let text = format!("{text:>CELL_WIDTH$}");
        let is_told_from_zero = ci_low > 0.0 || ci_high < 0.0;
        if self.is_difference && !is_told_from_zero { style.dim(&text) } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::stress::RuleSplit;
    use crate::risk::contrast::PathLosses;
    use crate::risk::contrast::contrasts;

    fn found(shift: f64) -> Vec<Contrast> {
        let base: Vec<f64> = (0..400).map(|i| f64::from(i * 37 % 400)).collect();
        let other: Vec<f64> = base.iter().map(|loss| loss * 1.1 + shift).collect();
        let counts = vec![1; 400];
        let of = |losses| PathLosses { losses, exit_costs: &base, deregistered: &counts };
        contrasts(of(&base), of(&other), &[0.9])
    }

    fn finding(shift: f64, rules: bool) -> Finding {
        let part = |value| PartContrast {
            mean: Estimate::normal(value, 1.0, 400),
            shortfall: Estimate::normal(2.0 * value, 1.0, 400),
        };
        Finding {
            book: found(shift),
            parts: vec![part(-2.0), part(8.0)],
            rules: rules.then(|| RuleSplit { market: found(0.0), rules: found(shift) }),
            notes: vec!["it cannot act".to_owned()],
        }
    }

    fn text(findings: &[(&str, Finding)]) -> String {
        let left_out = [LeftOut { name: "late".to_owned(), reason: "after the horizon".to_owned() }];
        let table = StressTable {
            book: "de\x1bsk".to_owned(),
            horizon_days: 90.0,
            currency: Currency::Usd,
            basis: Basis::Liquidation,
            level: 0.9,
            paths: 400,
            opening: 1_000.0,
            parts: vec!["SN3   one".to_owned(), "SN64  two".to_owned()],
            found: findings.iter().map(|(name, finding)| (*name, finding)).collect(),
            left_out: &left_out,
            worst: 1,
        };
        table.text(Style::PLAIN)
    }

    #[test]
    fn the_worst_comes_first_with_its_positions_and_rules() {
        let text = text(&[("mild", finding(1.0, false)), ("a-very-long-name-of-a-file", finding(51.05, true))]);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        let place = |start: &str| {
            let found = text.lines().position(|line| line.starts_with(start));
            found.unwrap_or_else(|| panic!("{start}: {text}"))
        };
        let order = ["base ", "a-very-long-name-of-", "  of it market", "  of it rules", "  it cannot act", "mild "];
        assert!(order.map(place).is_sorted(), "{text}");
        // A tenth of the mean of 199.5, and 51.05: of 1,000.
        let words: Vec<&str> = text.lines().nth(place("a-very")).unwrap().split_whitespace().collect();
        assert_eq!((words[1], words[2]), ("+7.10", "±"), "{text}");
        assert!(place(" SN64  two") < place(" SN3   one") && text.contains("+1.60 ± 0.20"), "{text}");
        assert_eq!(text.matches("positions that make it").count(), 1, "{text}");
        assert!(text.contains("Left out: late: after the horizon\n"), "{text}");
    }

    #[test]
    fn an_exact_nothing_has_no_error_and_a_small_error_is_not_rounded_off() {
        let cell = |value, error| {
            let estimate = Estimate::normal(value, error, 100);
            Cell { estimate, is_difference: true }.text(Style::PLAIN).trim().to_owned()
        };
        assert_eq!(cell(0.0, 0.0), "0");
        assert_eq!(cell(-0.0123, 1e-6), "-0.012 ± 0.001");
        assert_eq!(cell(12.0, f64::INFINITY), "+12.0 ± n/a");
    }

    #[test]
    fn the_list_has_every_scenario_in_a_hundred_columns() {
        let text = list(Style::PLAIN);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(LIBRARY.iter().all(|member| text.contains(&format!(
            "  {:<20}  {}",
            member.name,
            member.description()
        ))));
    }
}
