//! The paths of the tail on the page: what was recorded of them, and their stories.

use std::fmt::Write;

use crate::output::report::Report;
use crate::output::report::outcomes::WorstPath;
use crate::output::report::text;
use crate::output::report::text::escaped;
use crate::output::report::text::number;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;

/// One of the worst paths.
#[derive(Clone, Debug)]
pub struct TailStory {
    /// What the run recorded of it.
    pub path: WorstPath,
    /// What happened, in order of weight; empty where it was not simulated again.
    pub lines: Vec<String>,
    /// Days from the start and value of the book (TAO, at spot).
    pub values: Vec<(f64, f64)>,
}

/// The section; nothing without paths.
pub(super) fn section(report: &Report) -> String {
    if report.outcomes.worst.is_empty() {
        return String::new();
    }
    let days = text::days(report.last_horizon());
    let mut html = format!(
        "<section id=\"tail\"><h2>What moved the tail</h2>\n<p class=\"read\">The {} paths of this run on which the book lost most \
         at spot in TAO within {days}. Each is one simulated future, simulated again from the run's seed and compared with its \
         record: what it says has no sampling error, and no probability of its own.</p>\n",
        report.outcomes.worst.len()
    );
    if let Some(note) = &report.tail_note {
        let _ = writeln!(html, "<p class=\"note\">Only what the run recorded is told: {}</p>", escaped(note));
    }
    if report.tail.iter().any(|story| !story.values.is_empty()) {
        html.push_str("<div class=\"chart\" id=\"chart-tail\" role=\"img\" aria-label=\"Value of the book on the worst paths\"></div>\n");
    }
    for (index, path) in report.outcomes.worst.iter().enumerate() {
        let story = report.tail.iter().find(|story| story.path == *path);
        html.push_str(&told(report, index, path, story.map_or(&[], |story| &story.lines)));
    }
    html + "</section>\n"
}

fn told(report: &Report, index: usize, path: &WorstPath, lines: &[String]) -> String {
    let opening = |currency| report.opening(Basis::Mark, currency);
    let (tao, usd) = (path.pnl_mark_tao / opening(Currency::Tao), path.pnl_mark_usd / opening(Currency::Usd));
    let start = opening(Currency::Usd) / opening(Currency::Tao);
    let mut html = format!(
        "<article class=\"story\"><h3>{}. Path {}: {} TAO at spot <span class=\"part\">{}</span></h3>\n<p>{} TAO on liquidation; {} \
         USD at spot ({}), with TAO/USD from {} to {}. Largest fall from a peak {}; {} of {} holdings deregistered.</p>\n",
        index + 1,
        number(path.path as f64, 0),
        number(path.pnl_mark_tao, 1),
        text::share(tao),
        number(path.pnl_liquidation_tao, 1),
        number(path.pnl_mark_usd, 0),
        text::share(usd),
        number(start, 2),
        number(path.tao_usd, 2),
        text::share(path.max_drawdown),
        path.deregistered_holdings,
        report.holdings().len()
    );
    if !lines.is_empty() {
        html.push_str("<ul>\n");
        lines.iter().for_each(|line| {
            html.push_str(&format!(
                "<li>{}</li>\n",
                escaped(line).replace(" -", " \u{2212}").replace("(-", "(\u{2212}")
            ))
        });
        html.push_str("</ul>\n");
    }
    html + "</article>\n"
}
