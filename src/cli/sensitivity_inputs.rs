//! Parameters that a study of sensitivity moves: their laws, their steps, and scenarios with other values of them.
//!
//! A parameter of chance or behaviour ([`mod@crate::model::parameters`]) is set in the scenario's model, as `run.parameter_uncertainty`
//! sets those that it draws; any other number of a scenario is set by its key, as `--set` does.

use std::path::PathBuf;

use crate::cli::error::BadInput;
use crate::config::scenario::Overrides;
use crate::config::scenario::Scenario;
use crate::model::parameters::Parameter;
use crate::model::uncertainty::Scale;
use crate::model::uncertainty::UncertainParameter;
use crate::risk::design::ScoreLaw;
use crate::risk::design::UNIFORM_WIDTH;

/// Largest relative gap between a value that was set and the one that the scenario then has: rounding.
const VALUE_GAP_MAX: f64 = 1e-9;

/// A number of a scenario.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// Its key.
    pub key: String,
    /// Its value in the scenario.
    pub value: f64,
    /// What it may be around that; `None`: nothing is known.
    pub law: Option<InputLaw>,
    target: Target,
}

/// What a parameter may be: `scale.shift(middle, standard_error * score)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct InputLaw {
    /// Where it has that law.
    pub scale: Scale,
    /// Its standard deviation there.
    pub standard_error: f64,
    /// Law of the score.
    pub score: ScoreLaw,
    middle: f64,
}

impl InputLaw {
    /// Least and largest value of a uniform law on the linear scale.
    fn ends(&self) -> [f64; 2] {
        let reach = 0.5 * UNIFORM_WIDTH * self.standard_error;
        [self.middle - reach, self.middle + reach]
    }
}

/// Where a value is set.
#[derive(Clone, Copy, Debug)]
enum Target {
    Model(&'static Parameter),
    /// In the text; whole numbers only.
    Text {
        is_whole: bool,
    },
}

/// Two values of a parameter, on either side of the scenario's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bump {
    pub low: f64,
    pub high: f64,
    /// Their distance in standard errors; `None` without one.
    pub standard_errors: Option<f64>,
    /// Their distance in hundredths of the value, at the slope of the scale there; negative where the value is. `None` of a
    /// value of 0.
    pub percents: Option<f64>,
}

impl Input {
    /// The parameter of the flag `given`: `KEY`, or `KEY=LOW..HIGH` for a uniform law.
    pub fn new(scenario: &Scenario, given: &str) -> Result<Self, BadInput> {
        let refuse = |problem: &str| BadInput(format!("--keys {given}: {problem}"));
        let (key, range) = given.split_once('=').map_or((given, None), |(key, range)| (key, Some(range)));
        let key = key.trim();
        let number = scenario.number(key);
        let number = number.ok_or_else(|| refuse("no key of the scenario that is a number, outside of lists"))?;
        let law = match range {
            None => scenario.law.parameters.iter().find(|known| known.key == key).map(|known| law_of(known, number.0)),
            Some(range) => {
                Some(parse_range(range).ok_or_else(|| refuse("the range must be LOW..HIGH, LOW below HIGH"))?)
            }
        };
        let target = Parameter::named(key).map_or(Target::Text { is_whole: number.1 }, Target::Model);
        let input = Self { key: key.to_owned(), value: number.0, law, target };
        match input.law.filter(|law| law.score == ScoreLaw::Uniform).map(|law| law.ends()) {
            Some(ends)
                if ends.iter().any(|&end| (input.allowed(end) - end).abs() > VALUE_GAP_MAX * end.abs().max(1.0)) =>
            {
                Err(refuse("the range holds values that the key may not have"))
            }
            _ => Ok(input),
        }
    }

    /// All of `[uncertainty]`, but for those that have no place to go: 0 on the log scale, 0 or 1 on the logit scale.
    pub fn uncertain(scenario: &Scenario) -> Result<Vec<Self>, BadInput> {
        let inputs = scenario.law.parameters.iter().map(|known| Self::new(scenario, &known.key));
        let inputs = inputs.collect::<Result<Vec<Self>, BadInput>>()?;
        Ok(inputs.into_iter().filter(|input| input.value_at(1.0) != input.value_at(-1.0)).collect())
    }

    /// The value at a score of its law, or the scenario's without a law.
    pub fn value_at(&self, score: f64) -> f64 {
        let Some(law) = self.law else { return self.value };
        self.allowed(law.scale.shift(law.middle, law.standard_error * score))
    }

    /// Values `step` standard errors from the scenario's, or without a law `relative` of it.
    pub fn bump(&self, step: f64, relative: f64) -> Result<Bump, BadInput> {
        let refuse = |problem: &str| BadInput(format!("--keys {}: {problem}", self.key));
        let (scale, distance) = match self.law {
            Some(law) => (law.scale, step * law.standard_error),
            None if self.value == 0.0 => Err(refuse("is 0, of unknown error: say how far it may go, KEY=LOW..HIGH"))?,
            None => (Scale::Linear, relative * self.value.abs()),
        };
        let least = if self.is_whole() { 1.0 } else { 0.0 };
        let [low, high] = [-1.0, 1.0].map(|side| self.allowed(scale.shift(self.value, side * distance.max(least))));
        if !(high > low) && !(high < low) {
            return Err(refuse("stays where it is on the scale of its error"));
        }
        let moved = coordinate(scale, high) - coordinate(scale, low);
        let per_percent = 0.01 * self.value * slope(scale, self.value);
        Ok(Bump {
            low,
            high,
            standard_errors: self.law.map(|law| moved / law.standard_error),
            percents: (self.value != 0.0).then(|| moved / per_percent),
        })
    }

    fn is_whole(&self) -> bool {
        matches!(self.target, Target::Text { is_whole: true })
    }

    /// The nearest value that it may have, as far as is known here.
    fn allowed(&self, value: f64) -> f64 {
        match self.target {
            Target::Model(parameter) => parameter.range.clip(value),
            Target::Text { is_whole: true } => value.round(),
            Target::Text { is_whole: false } => value,
        }
    }
}

/// A scenario, and how it is read again with other values.
pub(super) struct Bench {
    path: Option<PathBuf>,
    overrides: Overrides,
    /// As it is.
    pub scenario: Scenario,
}

impl Bench {
    /// Reads it.
    pub fn load(path: Option<PathBuf>, overrides: Overrides) -> anyhow::Result<Self> {
        Ok(Self { scenario: Scenario::load(path.as_deref(), &overrides)?, path, overrides })
    }

    /// The scenario with other values of some parameters.
    ///
    /// # Errors
    /// A value that the scenario's checks refuse, or that does not reach it.
    pub fn with(&self, values: &[(&Input, f64)]) -> anyhow::Result<Scenario> {
        let texts: Vec<String> = values.iter().filter_map(|(input, value)| text(input, *value)).collect();
        let mut scenario = match texts.is_empty() {
            true => self.scenario.clone(),
            false => {
                let overrides = Overrides { vary: texts, ..self.overrides.clone() };
                let scenario = Scenario::load(self.path.as_deref(), &overrides)?;
                check_values(&scenario, values)?;
                scenario
            }
        };
        for (input, value) in values {
            if let Target::Model(parameter) = input.target {
                parameter.set(&mut scenario.model, *value);
            }
        }
        Ok(scenario)
    }
}

/// The text that sets an input which is set by text.
fn text(input: &Input, value: f64) -> Option<String> {
    match input.target {
        Target::Model(_) => None,
        Target::Text { is_whole: true } => Some(format!("{}={}", input.key, value as i64)),
        Target::Text { is_whole: false } => Some(format!("{}={value:?}", input.key)),
    }
}

/// Whether what was set by text is there: a factor of the scenario on the same key would move it.
fn check_values(scenario: &Scenario, values: &[(&Input, f64)]) -> Result<(), BadInput> {
    let is_lost = |(input, value): &&(&Input, f64)| {
        let is_there =
            scenario.number(&input.key).is_some_and(|(found, _)| (found - value).abs() <= VALUE_GAP_MAX * value.abs());
        matches!(input.target, Target::Text { .. }) && !is_there
    };
    match values.iter().find(is_lost) {
        None => Ok(()),
        Some((input, value)) => {
            let problem = "does not reach the scenario: something else sets or multiplies the key";
            Err(BadInput(format!("--keys {}: the value {value} {problem}", input.key)))
        }
    }
}

fn law_of(known: &UncertainParameter, value: f64) -> InputLaw {
    InputLaw { scale: known.scale, standard_error: known.standard_error, score: ScoreLaw::Normal, middle: value }
}

fn parse_range(text: &str) -> Option<InputLaw> {
    let (low, high) = text.split_once("..")?;
    let [low, high] = [low, high].map(|end| end.trim().parse::<f64>().ok().filter(|end| end.is_finite()));
    let (low, high) = low.zip(high).filter(|(low, high)| low < high)?;
    let (middle, standard_error) = (0.5 * (low + high), (high - low) / UNIFORM_WIDTH);
    Some(InputLaw { scale: Scale::Linear, standard_error, score: ScoreLaw::Uniform, middle })
}

/// Where a value lies on a scale.
fn coordinate(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear => value,
        Scale::Log => value.abs().ln(),
        Scale::Logit => (value / (1.0 - value)).ln(),
    }
}

/// Derivative of [`coordinate`].
fn slope(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear => 1.0,
        Scale::Log => 1.0 / value,
        Scale::Logit => 1.0 / (value * (1.0 - value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(set: &[&str]) -> Bench {
        let set = set.iter().map(|text| (*text).to_owned()).collect();
        Bench::load(None, Overrides { set, ..Overrides::default() }).expect("a valid scenario")
    }

    fn input(bench: &Bench, given: &str) -> Input {
        Input::new(&bench.scenario, given).expect("a parameter")
    }

    fn assert_near(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-9, "{found}, not {expected}");
    }

    #[test]
    fn steps_are_taken_on_the_scale_of_the_error() {
        let bench = bench(&[]);
        // 0.0178, log, 0.0449: half a standard error to either side.
        let bump = input(&bench, "flow.scale_median").bump(0.5, 0.05).unwrap();
        assert_near(bump.high / bump.low, 0.0449_f64.exp());
        assert_near(bump.standard_errors.unwrap(), 1.0);
        assert_near(bump.percents.unwrap(), 4.49);
        // -0.0012, linear, 0.0005: a per cent more of it is lower.
        let bump = input(&bench, "flow.drift_per_day").bump(1.0, 0.05).unwrap();
        assert_near(bump.low, -0.0017);
        assert_near(bump.percents.unwrap(), 100.0 * -0.001 / 0.0012);
        // 0.2, logit, 0.688: 0.01 * 0.2 / (0.2 * 0.8) of the scale is a per cent of the value.
        let bump = input(&bench, "sales.miner").bump(0.5, 0.05).unwrap();
        assert_near(bump.percents.unwrap(), 0.688 / 0.0125);
        // Of unknown error.
        let bump = input(&bench, "sales.owner").bump(0.5, 0.05).unwrap();
        assert_near(bump.low, 0.095);
        assert_eq!(bump.standard_errors, None);
        assert_near(bump.percents.unwrap(), 10.0);
        // Whole numbers move by whole ones.
        let bump = input(&bench, "protocol.subnet_limit").bump(0.5, 0.001).unwrap();
        assert_eq!((bump.low, bump.high), (127.0, 129.0));
    }

    #[test]
    fn ranges_are_uniform_laws() {
        let bench = bench(&[]);
        let range = input(&bench, "feedback.momentum=-0.1..0.3");
        let reach = 0.5 * UNIFORM_WIDTH;
        assert_eq!(range.law.unwrap().score, ScoreLaw::Uniform);
        assert!((range.value_at(-reach) + 0.1).abs() < 1e-12 && (range.value_at(reach) - 0.3).abs() < 1e-12);
        // The middle of the range is not the scenario's value, around which it is moved.
        let bump = range.bump(0.5, 0.05).unwrap();
        assert!((bump.low + bump.high).abs() < 1e-12 && bump.percents.is_none());
    }

    #[test]
    fn values_reach_the_scenario_by_model_and_by_key() {
        let bench = bench(&[]);
        let (scale, fee) = (input(&bench, "flow.scale_median"), input(&bench, "protocol.fee_rate"));
        let limit = input(&bench, "protocol.subnet_limit");
        let found = bench.with(&[(&scale, 0.02), (&fee, 1e-3), (&limit, 130.0)]).unwrap();
        assert_eq!(
            (found.model.flow.scale_median, found.protocol.fee_rate, found.protocol.subnet_limit),
            (0.02, 1e-3, 130)
        );
        let found = bench.with(&[(&scale, -1.0)]).unwrap();
        assert_eq!(found.model.flow.scale_median, 0.0, "clipped");
        assert!(bench.with(&[(&fee, 2.0)]).is_err());
    }

    #[test]
    fn what_is_no_parameter_is_refused() {
        let bench = bench(&["flow.jumps.rate_per_day=0"]);
        for given in [
            "sales.owner=0.5..1.5",
            "protocol.subnet_limit=100..128.5",
            "flow",
            "flow.speed",
            "run.name",
            "protocol.entrants_enabled",
            "flow.drift_per_day=1..",
            "x=2..1",
        ] {
            assert!(Input::new(&bench.scenario, given).is_err(), "{given}");
        }
        let message = |given| input(&bench, given).bump(0.5, 0.05).expect_err("a refusal").to_string();
        assert!(message("flow.sector_loading").contains("is 0, of unknown error"));
        assert!(message("flow.jumps.rate_per_day").contains("stays where it is"));
        let keys = Input::uncertain(&bench.scenario).unwrap();
        assert_eq!(keys.len(), bench.scenario.law.parameters.len() - 1, "the one that is 0 on its log scale");
    }
}
