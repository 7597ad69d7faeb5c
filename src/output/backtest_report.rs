//! The scores of a backtest as a short page of Markdown.

use std::fmt::Write;

use crate::calibration::backtest::Forecasts;
use crate::calibration::backtest::Start;
use crate::calibration::backtest::Subject;
use crate::calibration::verdict::BASE_RATE;
use crate::calibration::verdict::BLOCK_BOOTSTRAP;
use crate::calibration::verdict::COVERAGE_LEVELS;
use crate::calibration::verdict::DEREGISTRATION;
use crate::calibration::verdict::RANDOM_WALK;
use crate::calibration::verdict::RANK;
use crate::calibration::verdict::RISK_LEVELS;
use crate::calibration::verdict::Score;
use crate::protocol::calendar;

/// The page.
pub fn report(forecasts: &Forecasts, scores: &[Score]) -> String {
    let page = Page { scores };
    let text = [
        opening(forecasts),
        page.coverage(),
        page.risk(),
        page.crps(),
        page.places(),
        page.deregistrations(),
        page.curve(),
    ];
    text.join("\n")
}

fn opening(forecasts: &Forecasts) -> String {
    let date = |start: Option<&Start>| start.map_or_else(|| "none".to_owned(), |start| calendar::date_text(start.day));
    format!(
        "# Backtest\n\n{} starts from {} to {}, {} forecasts of numbers and {} of deregistrations. Plus-minus: one standard \
         error, dates resampled in blocks as long as windows overlap; p: probability of a value as far from what is right.\n",
        forecasts.starts.len(),
        date(forecasts.starts.first()),
        date(forecasts.starts.last()),
        forecasts.numbers.len(),
        forecasts.deregistrations.len()
    )
}

struct Page<'a> {
    scores: &'a [Score],
}

impl Page<'_> {
    fn find(&self, of: (&str, &str, u32), rival: &str, level: Option<f64>) -> Option<&Score> {
        let (measure, subject, horizon_days) = of;
        self.scores.iter().find(|score| {
            (score.measure, score.subject, score.horizon_days) == (measure, subject, horizon_days)
                && score.rival == rival
                && (level.is_none() || score.level == level)
        })
    }

    fn horizons(&self, subject: &str) -> Vec<u32> {
        let mut days: Vec<u32> =
            self.scores.iter().filter(|score| score.subject == subject).map(|score| score.horizon_days).collect();
        days.dedup();
        days
    }

    fn coverage(&self) -> String {
        let levels = COVERAGE_LEVELS.map(|level| format!("{} %", 100.0 * level));
        let mut text = table(
            "Coverage of central intervals (%, p)",
            &[&["subject", "days"], &levels.each_ref().map(String::as_str)[..], &["forecasts"]].concat(),
        );
        for (subject, days) in self.numbers() {
            let cells = COVERAGE_LEVELS.map(|level| percent(self.find(("coverage", subject, days), "", Some(level))));
            let samples = self.find(("coverage", subject, days), "", None).map_or(0, |score| score.samples);
            let _ = writeln!(text, "| {subject} | {days} | {} | {samples} |", cells.join(" | "));
        }
        text
    }

    fn numbers(&self) -> Vec<(&'static str, u32)> {
        let subjects = Subject::ALL.map(Subject::name);
        subjects
            .into_iter()
            .flat_map(|subject| self.horizons(subject).into_iter().map(move |days| (subject, days)))
            .collect()
    }

    fn risk(&self) -> String {
        let mut text = table(
            "Losses of random books beyond value at risk",
            &[
                "days",
                "confidence",
                "rate (%, block-bootstrap p)",
                "Kupiec p",
                "independence p",
                "conditional coverage p",
                "windows",
                "books rejected (%)",
            ],
        );
        let book = Subject::Book.name();
        for days in self.horizons(book) {
            for level in RISK_LEVELS {
                let of = |measure| self.find((measure, book, days), "", Some(level));
                let p = |measure| of(measure).and_then(|score| score.p_value).map_or_else(dash, |p| format!("{p:.3}"));
                let windows = of("kupiec").map_or(0, |score| score.samples);
                let rejected = of("kupiec_rejected").map_or_else(dash, |score| format!("{:.0}", 100.0 * score.value));
                let _ = writeln!(
                    text,
                    "| {days} | {} % | {} | {} | {} | {} | {windows} | {rejected} |",
                    100.0 * level,
                    percent(of("exceedance_rate")),
                    p("kupiec"),
                    p("christoffersen_independence"),
                    p("christoffersen_conditional_coverage")
                );
            }
        }
        text
    }

    fn crps(&self) -> String {
        let mut text = table(
            "Continuous ranked probability score (log units; less is better) and ours less the rival's",
            &["subject", "days", "ours", "random walk", "block bootstrap", "less random walk", "less block bootstrap"],
        );
        for (subject, days) in self.numbers() {
            let value = |rival| {
                self.find(("crps", subject, days), rival, None).map_or_else(dash, |score| format!("{:.5}", score.value))
            };
            let gain = |rival| self.find(("crps_difference", subject, days), rival, None).map_or_else(dash, difference);
            let _ = writeln!(
                text,
                "| {subject} | {days} | {} | {} | {} | {} | {} |",
                value(""),
                value(RANDOM_WALK),
                value(BLOCK_BOOTSTRAP),
                gain(RANDOM_WALK),
                gain(BLOCK_BOOTSTRAP)
            );
        }
        text
    }

    fn places(&self) -> String {
        let mut text =
            table("Places of outcomes in the simulated law (% in each tenth)", &["subject", "days", "0 to 1"]);
        for (subject, days) in self.numbers() {
            let is_bin =
                |score: &&Score| (score.measure, score.subject, score.horizon_days) == ("pit_histogram", subject, days);
            let bins: Vec<String> =
                self.scores.iter().filter(is_bin).map(|score| format!("{:.1}", 100.0 * score.value)).collect();
            let _ = writeln!(text, "| {subject} | {days} | {} |", bins.join(" "));
        }
        text
    }

    fn deregistrations(&self) -> String {
        let mut text = table(
            "Brier score of deregistration and ours less the rival's",
            &[
                "days",
                "ours",
                "moving price rank",
                "base rate",
                "less rank",
                "less base rate",
                "reliability",
                "resolution",
                "forecasts",
            ],
        );
        for days in self.horizons(DEREGISTRATION) {
            let of = |measure, rival| self.find((measure, DEREGISTRATION, days), rival, None);
            let value = |measure, rival| of(measure, rival).map_or_else(dash, |score| format!("{:.5}", score.value));
            let gain = |rival| of("brier_difference", rival).map_or_else(dash, difference);
            let _ = writeln!(
                text,
                "| {days} | {} | {} | {} | {} | {} | {} | {} | {} |",
                value("brier", ""),
                value("brier", RANK),
                value("brier", BASE_RATE),
                gain(RANK),
                gain(BASE_RATE),
                value("brier_reliability", ""),
                value("brier_resolution", ""),
                of("brier", "").map_or(0, |score| score.samples)
            );
        }
        text
    }

    fn curve(&self) -> String {
        let mut text =
            table("Deregistrations by forecast probability", &["days", "probability (%)", "came (%)", "forecasts"]);
        for score in self.scores.iter().filter(|score| score.measure == "calibration_curve" && score.rival.is_empty()) {
            let probability = 100.0 * score.level.unwrap_or(f64::NAN);
            let _ = writeln!(
                text,
                "| {} | {probability:.2} | {:.2} | {} |",
                score.horizon_days,
                100.0 * score.value,
                score.samples
            );
        }
        text
    }
}

fn table(title: &str, heads: &[&str]) -> String {
    format!("## {title}\n\n| {} |\n|{}\n", heads.join(" | "), "---|".repeat(heads.len()))
}

fn dash() -> String {
    "-".to_owned()
}

/// A fraction in percent, with its error and p-value.
fn percent(score: Option<&Score>) -> String {
    let Some(score) = score else { return dash() };
    let error = score.standard_error.map_or_else(String::new, |error| format!(" +- {:.1}", 100.0 * error));
    let p = score.p_value.map_or_else(String::new, |p| format!(" ({p:.3})"));
    format!("{:.1}{error}{p}", 100.0 * score.value)
}

fn difference(score: &Score) -> String {
    let error = score.standard_error.map_or_else(String::new, |error| format!(" +- {error:.5}"));
    format!("{:+.5}{error}", score.value)
}
