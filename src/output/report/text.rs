//! Text of the page: escaped, and numbers with their intervals.

use crate::output::number::decimals;
use crate::output::number::grouped;
use crate::risk::estimate::Estimate;

/// `text` as content or attribute value of HTML: no markup, no control characters, nothing that turns the direction of writing.
pub(super) fn escaped(text: &str) -> String {
    printable(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// `text` without characters that are not seen and change how others are.
pub(super) fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|&c| !c.is_control() && !turns(c)).collect()
}

/// A number with its sign as a minus.
pub(super) fn number(value: f64, decimals: usize) -> String {
    grouped(value, decimals).replace('-', "\u{2212}")
}

/// Value and interval of an amount, to two digits of the error, with `unit` after the value.
pub(super) fn estimate(estimate: &Estimate, unit: &str) -> String {
    if estimate.standard_error == 0.0 {
        return value(&number(estimate.value, 1), unit, "");
    }
    if estimate.value == 0.0 && estimate.ci_low == 0.0 && estimate.ci_high.is_finite() {
        // No path has it: only a bound is known.
        return value(&format!("&lt; {}", number(estimate.ci_high, decimals(estimate.ci_high))), unit, "");
    }
    let digits = decimals(estimate.half_width());
    let end = |end: f64| if end.is_finite() { number(end, digits) } else { "n/a".to_owned() };
    let interval = match estimate.ci_low.is_finite() || estimate.ci_high.is_finite() {
        true => format!("[{}, {}]", end(estimate.ci_low), end(estimate.ci_high)),
        false => "error not known".to_owned(),
    };
    value(&number(estimate.value, digits), unit, &interval)
}

/// The same of a fraction, in per cent.
pub(super) fn percent(fraction: &Estimate) -> String {
    if fraction.standard_error == 0.0 {
        return value(&number(100.0 * fraction.value, 1), "\u{a0}%", "");
    }
    estimate(&fraction.scaled(100.0), "\u{a0}%")
}

fn value(text: &str, unit: &str, interval: &str) -> String {
    let interval = if interval.is_empty() { String::new() } else { format!(" <span class=\"ci\">{interval}</span>") };
    format!("<span class=\"v\">{text}{unit}</span>{interval}")
}

/// Value and half-width of the interval in running text: `191.4 ± 3.1`.
pub(super) fn plain(estimate: &Estimate, unit: &str) -> String {
    let half_width = estimate.half_width();
    let digits = decimals(half_width);
    let error = match half_width {
        0.0 => String::new(),
        width if width.is_finite() => format!(" ± {}", number(width, digits)),
        _ => " ± n/a".to_owned(),
    };
    format!("{}{error}{unit}", number(estimate.value, digits))
}

/// A fraction in per cent with one decimal, for shares that say how large an amount is.
pub(super) fn share(fraction: f64) -> String {
    if fraction.is_finite() { format!("{}\u{a0}%", number(100.0 * fraction, 1)) } else { String::new() }
}

/// A level in per cent, without the digits that binary fractions add.
pub(super) fn level(level: f64) -> String {
    format!("{}\u{a0}%", (level * 1e8).round() / 1e6)
}

/// So many days.
pub(super) fn days(days: f64) -> String {
    if days == 1.0 { "1 day".to_owned() } else { format!("{days} days") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        assert_eq!(
            escaped("<img src=x onerror='a(\"&\")'>\u{202e}\u{7}"),
            "&lt;img src=x onerror=&#39;a(&quot;&amp;&quot;)&#39;&gt;"
        );
    }

    #[test]
    fn numbers_have_the_digits_of_their_errors() {
        let found = Estimate::normal(-1234.567, 1.0, 9);
        assert_eq!(
            estimate(&found, " TAO"),
            "<span class=\"v\">\u{2212}1,234.6 TAO</span> <span class=\"ci\">[\u{2212}1,236.5, \u{2212}1,232.6]</span>"
        );
        assert_eq!(plain(&found, " TAO"), "\u{2212}1,234.6 ± 2.0 TAO");
        assert_eq!(estimate(&Estimate::exact(1000.0, 9), ""), "<span class=\"v\">1,000.0</span>");
        let open = Estimate { ci_high: f64::INFINITY, ..Estimate::normal(0.5, 0.01, 9) };
        assert!(percent(&open).contains("n/a]"), "{}", percent(&open));
        assert_eq!(percent(&Estimate::proportion(0, 20_000)), "<span class=\"v\">&lt; 0.015\u{a0}%</span>");
        assert_eq!(level(0.975), "97.5\u{a0}%");
    }
}
