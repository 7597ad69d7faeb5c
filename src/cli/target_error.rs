//! Flag `--target-error`: what a run is to know how well before it stops, and how that is told.

use std::fmt;
use std::str::FromStr;

use crate::cli::error::BadInput;
use crate::cli::reduction;
use crate::config::estimator::Estimator;
use crate::config::scenario::Scenario;
use crate::output::manifest::TargetReached;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::measure::Measure;
use crate::risk::stopping::Look;
use crate::risk::stopping::StopRule;
use crate::risk::stopping::Target;
use crate::risk::stopping::Tolerance;

/// What is said where a target cannot be read.
const ALLOWED: &str = "must be MEASURE=ERROR: mean, loss (its probability), var99 or es99 (levels between 50 and 100), with -liquidation \
    or -exit for the basis and -usd for dollars where wanted; ERROR a number above 0 in the measure's unit or, with %, of its value \
    (percentage points for loss): es99=1%, var95-liquidation-usd=500";

/// Lowest level of a tail that the hint is given for: the lowest at which the gain was measured.
const TILT_LEVEL_MIN: f64 = 0.95;

/// A target as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetError {
    text: String,
    target: Target,
}

impl FromStr for TargetError {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let target = parse(text).ok_or_else(|| ALLOWED.to_owned())?;
        Ok(Self { text: text.to_owned(), target })
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse(text: &str) -> Option<Target> {
    let (name, error) = text.split_once('=')?;
    let (name, currency) = name.strip_suffix("-usd").map_or((name, Currency::Tao), |name| (name, Currency::Usd));
    let based = [("-liquidation", Basis::Liquidation), ("-exit", Basis::Exit)];
    let based = based.into_iter().find_map(|(suffix, basis)| Some((name.strip_suffix(suffix)?, basis)));
    let (name, basis) = based.unwrap_or((name, Basis::Mark));
    let (measure, level) = parse_measure(name)?;
    let tolerance = parse_tolerance(error, measure)?;
    let target = Target { measure, level, basis, currency, tolerance };
    target.is_known().then_some(target)
}

fn parse_measure(name: &str) -> Option<(Measure, Option<f64>)> {
    match name {
        "mean" => Some((Measure::MeanPnl, None)),
        "loss" => Some((Measure::LossProbability, None)),
        _ => {
            let with_level = [("var", Measure::ValueAtRisk), ("es", Measure::ExpectedShortfall)];
            let (percent, measure) =
                with_level.into_iter().find_map(|(prefix, m)| Some((name.strip_prefix(prefix)?, m)))?;
            // As decimals are: 99 per cent is 0.99 and not 99 times 0.01.
            Some((measure, Some(percent.parse::<f64>().ok()? / 100.0)))
        }
    }
}

fn parse_tolerance(text: &str, measure: Measure) -> Option<Tolerance> {
    let (number, is_percent) = text.strip_suffix('%').map_or((text, false), |number| (number, true));
    let number: f64 = number.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite())?;
    Some(match (is_percent, measure) {
        (false, _) => Tolerance::Absolute(number),
        (true, Measure::LossProbability) => Tolerance::Absolute(number / 100.0),
        (true, _) => Tolerance::Relative(number / 100.0),
    })
}

/// The rule of a run's targets: of its first book, at the last horizon. `None` without targets.
///
/// # Errors
/// A basis that the scenario has not; replicates of parameters; likelihood weights; point sets.
pub(super) fn stop_rule(scenario: &Scenario, targets: &[TargetError]) -> anyhow::Result<Option<StopRule>> {
    let Some(first) = targets.first() else { return Ok(None) };
    if scenario.replication.is_some() {
        let problem = "does not go with [uncertainty]: paths of one replicate depend on each other (give --paths)";
        return Err(BadInput(format!("--target-error {first}: {problem}")).into());
    }
    if scenario.estimator.importance().is_some() {
        let problem = "does not go with the estimator importance, whose paths weigh differently (give --paths)";
        return Err(BadInput(format!("--target-error {first}: {problem}")).into());
    }
    if scenario.estimator.points().is_some() {
        let problem = "does not go with the point sets of [estimator], whose paths depend on each other (give --paths)";
        return Err(BadInput(format!("--target-error {first}: {problem}")).into());
    }
    if let Some(exit) = targets.iter().find(|of| of.target.basis == Basis::Exit && scenario.exit.is_none()) {
        return Err(BadInput(format!("--target-error {exit}: the scenario has no exit (key exit.days)")).into());
    }
    let targets: Vec<Target> = targets.iter().map(|of| of.target).collect();
    let last = scenario.report_horizons.len() - 1;
    let rule = StopRule::new(&targets, 0, last as u16, scenario.paths);
    Ok(Some(match scenario.estimator {
        Estimator::Control => rule.with_controls(reduction::controlled_books(scenario)),
        _ => rule,
    }))
}

/// The targets with what was reached, as `runtime.json` has them.
pub(super) fn reached(targets: &[TargetError], looks: &[Look]) -> Vec<TargetReached> {
    let reached = |(of, look): (&TargetError, &Look)| TargetReached {
        target: of.text.clone(),
        value: finite(look.estimate.value),
        ci_low: finite(look.estimate.ci_low),
        ci_high: finite(look.estimate.ci_high),
        is_met: look.is_met(),
    };
    targets.iter().zip(looks).map(reached).collect()
}

fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

/// How far the first look is from its target, for the progress bar.
pub(super) fn falling(targets: &[TargetError], looks: &[Look]) -> String {
    let widest = targets.iter().zip(looks).max_by(|a, b| excess(a.1).total_cmp(&excess(b.1)));
    widest.map_or_else(String::new, |(of, look)| format!("{} for {of}", width(look, look.estimate.half_width())))
}

fn excess(look: &Look) -> f64 {
    look.estimate.half_width() / look.allowed()
}

/// A half-width in the unit in which it was asked.
fn width(look: &Look, half_width: f64) -> String {
    match (look.target.tolerance, look.target.measure) {
        (Tolerance::Relative(_), _) => format!("± {:.3} %", 100.0 * half_width / look.estimate.value.abs()),
        (_, Measure::LossProbability) => format!("± {:.3} %", 100.0 * half_width),
        _ => format!("± {half_width:.4}"),
    }
}

/// A line on each target: what was reached, and what would do where that is not enough.
pub(super) fn conclusions(targets: &[TargetError], looks: &[Look]) -> Vec<String> {
    let line = |(of, look): (&TargetError, &Look)| {
        let said = width(look, look.estimate.half_width());
        let paths = look.estimate.samples;
        if look.is_met() {
            return format!(
                "--target-error {of}: met after {paths} paths, {said} (an interval that holds at all looks)"
            );
        }
        let needed = look.paths_needed().map_or_else(String::new, |needed| format!("; some {needed} paths would do"));
        format!("--target-error {of}: NOT met, {said} after all {paths} paths{needed}")
    };
    let mut lines: Vec<String> = targets.iter().zip(looks).map(line).collect();
    lines.extend(looks.iter().find(|look| is_served_by_tilt(&look.target)).map(|look| tilt_hint(look.target.currency)));
    lines
}

/// Whether importance sampling has been measured to gain most in a measure (`risk/ESTIMATORS.md`).
fn is_served_by_tilt(target: &Target) -> bool {
    target.basis == Basis::Mark && target.level.is_some_and(|level| level >= TILT_LEVEL_MIN)
}

fn tilt_hint(currency: Currency) -> String {
    let currency = currency.name();
    let set = format!("--set estimator.method=importance --set estimator.currency={currency}");
    format!("a tail is known from fewer paths under importance sampling: give --paths and {set}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let of = |text: &str| text.parse::<TargetError>().unwrap().target;
        let shortfall = of("es99=1%");
        assert_eq!((shortfall.measure, shortfall.level), (Measure::ExpectedShortfall, Some(0.99)));
        assert_eq!((shortfall.basis, shortfall.currency), (Basis::Mark, Currency::Tao));
        assert_eq!(shortfall.tolerance, Tolerance::Relative(0.01));
        let risk = of("var99.5-liquidation-usd=500");
        assert_eq!((risk.measure, risk.level), (Measure::ValueAtRisk, Some(0.995)));
        assert_eq!((risk.basis, risk.currency), (Basis::Liquidation, Currency::Usd));
        assert_eq!(risk.tolerance, Tolerance::Absolute(500.0));
        assert_eq!(of("loss=0.5%").tolerance, Tolerance::Absolute(0.005));
        assert_eq!((of("mean-exit=2").basis, of("mean=2").level), (Basis::Exit, None));
    }

    #[test]
    fn others_are_refused_with_what_is_allowed() {
        for text in
            ["es99", "es=1%", "es40=1%", "es100=1", "var99=0", "var99=-1%", "var99=nan", "sd=1%", "mean99=1", "=1", ""]
        {
            assert!(text.parse::<TargetError>().unwrap_err().contains("es99=1%"), "{text}");
        }
    }
}
