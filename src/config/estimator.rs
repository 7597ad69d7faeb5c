//! The section `[estimator]`: how a run estimates.

use serde::Deserialize;
use serde::Serialize;

use crate::config::ConfigError;
use crate::config::checks::Checks;
use crate::config::checks::checked;
use crate::engine::tilt::SlotTilt;
use crate::engine::tilt::Tilt;
use crate::model::params::FlowParams;
use crate::model::tilt::JUMP_TILT_MAX;
use crate::protocol::state::SubnetState;
use crate::risk::controlled_book::PATHS_MIN;
use crate::risk::measure::Currency;
use crate::risk::tilt_fit::TiltTarget;
use crate::rng::PointSet;
use crate::units::NetUid;

/// All methods.
const METHODS: &str = "auto, plain, control, importance, sobol, stratified or antithetic";
/// What says nothing.
const AUTO: &str = "auto";
/// Largest absolute shift (standard deviations).
const SHIFT_MAX: f64 = 10.0;
/// Largest absolute tilt of log jumps of TAO/USD.
const TAO_USD_JUMP_MAX: f64 = 100.0;
/// Bounds of the number of pilot paths.
const PILOT_PATHS: [u64; 2] = [1_000, 10_000_000];
/// One path in so many is not tilted, at least and at most.
const PLAIN_EVERY: [u64; 2] = [2, 100];

/// As the built-in base has it, where it is left out: manifests of runs that leave the method to the program have none.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EstimatorSection {
    pub method: String,
    pub measure: String,
    pub currency: String,
    pub level: f64,
    pub pilot_paths: i64,
    pub plain_every: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tilt: Option<TiltSection>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TiltSection {
    pub common_factor_sd: f64,
    pub tao_usd_sd: f64,
    pub common_jump: f64,
    pub tao_usd_jump: f64,
    pub subnets: Vec<SubnetTiltSection>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubnetTiltSection {
    pub netuid: i64,
    #[serde(default)]
    pub normal_sd: f64,
    #[serde(default)]
    pub jump: f64,
}

impl Default for EstimatorSection {
    fn default() -> Self {
        Self {
            method: AUTO.to_owned(),
            measure: "expected_shortfall".to_owned(),
            currency: "TAO".to_owned(),
            level: 0.99,
            pilot_paths: 10_000,
            plain_every: 5,
            tilt: None,
        }
    }
}

impl EstimatorSection {
    /// Whether it says nothing.
    pub fn is_auto(&self) -> bool {
        self.method == AUTO
    }
}

impl From<&Tilt> for TiltSection {
    fn from(tilt: &Tilt) -> Self {
        let subnet = |of: &SlotTilt| SubnetTiltSection {
            netuid: i64::from(NetUid::from_slot(usize::from(of.slot)).0),
            normal_sd: of.normal_sd,
            jump: of.jump,
        };
        Self {
            common_factor_sd: tilt.common_factor_sd,
            tao_usd_sd: tilt.tao_usd_sd,
            common_jump: tilt.common_jump,
            tao_usd_jump: tilt.tao_usd_jump,
            subnets: tilt.slots.iter().map(subnet).collect(),
        }
    }
}

/// Importance sampling.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportanceSampling {
    /// What the tilt is to serve, where a pilot finds it.
    pub target: TiltTarget,
    /// Paths of the pilot.
    pub pilot_paths: u64,
    /// One path in so many is not tilted.
    pub plain_every: u32,
    /// The tilt; `None`: a pilot has to find it.
    pub tilt: Option<Tilt>,
}

/// How a run estimates.
#[derive(Clone, Debug, PartialEq)]
pub enum Estimator {
    /// All paths from the law of the scenario, with the same weight.
    Plain,
    /// The same with control variates of means.
    Control,
    /// Paths from a tilted law.
    Importance(ImportanceSampling),
    /// Paths whose leading chance comes from a point set.
    Leading(PointSet),
}

impl Estimator {
    /// Its method, as a scenario names it.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Control => "control",
            Self::Importance(_) => "importance",
            Self::Leading(PointSet::Sobol) => "sobol",
            Self::Leading(PointSet::Stratified) => "stratified",
            Self::Leading(PointSet::Antithetic) => "antithetic",
        }
    }

    /// Importance sampling, where that is it.
    pub fn importance(&self) -> Option<&ImportanceSampling> {
        match self {
            Self::Importance(importance) => Some(importance),
            _ => None,
        }
    }

    /// The point set, where there is one.
    pub fn points(&self) -> Option<PointSet> {
        match self {
            Self::Leading(set) => Some(*set),
            _ => None,
        }
    }
}

/// The section, checked; of a run of so many paths.
pub(super) fn estimator(
    checks: &Checks<'_>,
    subnets: &[SubnetState],
    flow: &FlowParams,
    paths: u64,
) -> Result<Estimator, ConfigError> {
    let section = &checks.file.estimator;
    let is_tail = section.level > 0.5 && section.level < 1.0;
    let level = checks.number("estimator.level", section.level, is_tail, "above 0.5 and below 1")?;
    let [low, high] = PILOT_PATHS;
    let pilot_paths = checked!(checks.whole(estimator.pilot_paths, low, high));
    let [low, high] = PLAIN_EVERY;
    let plain_every = checked!(checks.whole(estimator.plain_every, low, high)) as u32;
    let target = TiltTarget { is_shortfall: is_shortfall(checks)?, currency: currency(checks)?, level };
    let tilt = section.tilt.as_ref().map(|section| tilt(checks, section, subnets, flow)).transpose()?;
    let tilt = tilt.map(|tilt| Tilt { plain_every, ..tilt });
    let found = match section.method.as_str() {
        AUTO => return Ok(best(checks, paths)),
        "plain" => return Ok(Estimator::Plain),
        "control" => Estimator::Control,
        "importance" => Estimator::Importance(ImportanceSampling { target, pilot_paths, plain_every, tilt }),
        "sobol" => Estimator::Leading(PointSet::Sobol),
        "stratified" => Estimator::Leading(PointSet::Stratified),
        "antithetic" => Estimator::Leading(PointSet::Antithetic),
        other => return Err(refuse_text(checks, "estimator.method", other, METHODS)),
    };
    match method_problem(checks, &found) {
        None => Ok(found),
        Some(allowed) => Err(refuse_text(checks, "estimator.method", &section.method, allowed)),
    }
}

/// What is measured to do best: control variates, which cost next to nothing and spoil no measure, where their means are known.
fn best(checks: &Checks<'_>, paths: u64) -> Estimator {
    let is_control = paths >= PATHS_MIN && method_problem(checks, &Estimator::Control).is_none();
    if is_control { Estimator::Control } else { Estimator::Plain }
}

/// What has to be there in place of a method that the rest of the scenario does not allow.
fn method_problem(checks: &Checks<'_>, found: &Estimator) -> Option<&'static str> {
    if checks.file.run.parameter_uncertainty {
        return Some("plain with run.parameter_uncertainty: errors of replicates are those of plain paths");
    }
    if checks.file.market_states.enabled {
        return Some("plain with market_states.enabled: draws have another law in each state");
    }
    let is_shocked = *found == Estimator::Control && !checks.file.shocks.is_empty();
    is_shocked.then_some("plain or importance with [[shocks]]: they move what controls are known of")
}

fn refuse_text(checks: &Checks<'_>, key: &str, value: &str, allowed: &str) -> ConfigError {
    checks.refuse(key, format!("\"{}\"", value.escape_debug()), allowed)
}

fn is_shortfall(checks: &Checks<'_>) -> Result<bool, ConfigError> {
    match checks.file.estimator.measure.as_str() {
        "expected_shortfall" => Ok(true),
        "value_at_risk" => Ok(false),
        other => Err(refuse_text(checks, "estimator.measure", other, "expected_shortfall or value_at_risk")),
    }
}

fn currency(checks: &Checks<'_>) -> Result<Currency, ConfigError> {
    match checks.file.estimator.currency.as_str() {
        "TAO" => Ok(Currency::Tao),
        "USD" => Ok(Currency::Usd),
        other => Err(refuse_text(checks, "estimator.currency", other, "TAO or USD")),
    }
}

fn tilt(
    checks: &Checks<'_>,
    section: &TiltSection,
    subnets: &[SubnetState],
    flow: &FlowParams,
) -> Result<Tilt, ConfigError> {
    let within = |key: &str, value: f64, low: f64, high: f64| {
        checks.number(key, value, low <= value && value <= high, &format!("from {low} to {high}"))
    };
    let [low, high] = [-JUMP_TILT_MAX / flow.common_jump.down_mean, JUMP_TILT_MAX / flow.common_jump.up_mean];
    let mut slots: Vec<SlotTilt> = Vec::new();
    for (index, of) in section.subnets.iter().enumerate() {
        let key = |name: &str| format!("estimator.tilt.subnets[{index}].{name}");
        let found = subnets.iter().find(|subnet| i64::from(subnet.netuid.0) == of.netuid);
        let slot = found.map(|subnet| subnet.netuid.slot() as u16);
        let slot = slot.filter(|slot| slots.iter().all(|other| other.slot != *slot));
        let slot =
            slot.ok_or_else(|| checks.refuse(&key("netuid"), of.netuid, "a subnet of the snapshot, given once"))?;
        let [low, high] = [-JUMP_TILT_MAX / flow.jumps.down_mean, JUMP_TILT_MAX / flow.jumps.up_mean];
        slots.push(SlotTilt {
            slot,
            normal_sd: within(&key("normal_sd"), of.normal_sd, -SHIFT_MAX, SHIFT_MAX)?,
            jump: within(&key("jump"), of.jump, low, high)?,
        });
    }
    Ok(Tilt {
        common_factor_sd: within("estimator.tilt.common_factor_sd", section.common_factor_sd, -SHIFT_MAX, SHIFT_MAX)?,
        tao_usd_sd: within("estimator.tilt.tao_usd_sd", section.tao_usd_sd, -SHIFT_MAX, SHIFT_MAX)?,
        common_jump: within("estimator.tilt.common_jump", section.common_jump, low, high)?,
        tao_usd_jump: within("estimator.tilt.tao_usd_jump", section.tao_usd_jump, -TAO_USD_JUMP_MAX, TAO_USD_JUMP_MAX)?,
        slots,
        plain_every: 0,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::scenario::Overrides;
    use crate::config::scenario::Scenario;

    fn load(text: &str) -> Result<Scenario, String> {
        Scenario::from_text("my.toml", text, Path::new(""), &Overrides::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn auto_says_nothing() {
        let base = load("").unwrap();
        assert_eq!(base.estimator, Estimator::Control);
        assert_eq!(load("[estimator]\nmethod = \"auto\"").unwrap().hash(), base.hash());
        assert_eq!(load("[estimator]\nlevel = 0.9").unwrap().hash(), base.hash());
        assert!(base.to_json().get("estimator").is_none());
        let default = toml::from_str::<toml::Table>(crate::config::file::BASE).unwrap();
        let section: EstimatorSection = default["estimator"].clone().try_into().unwrap();
        assert_eq!(section, EstimatorSection::default(), "base.toml and what a manifest without the section means");
    }

    #[test]
    fn auto_takes_controls_where_their_means_are_known() {
        let of = |text: &str| load(text).unwrap().estimator;
        let shock = "[[shocks]]\nday = 1\ntop = 10\npool_fraction = -0.3\n";
        for text in ["[run]\nparameter_uncertainty = true\n", "[market_states]\nenabled = true\n", shock] {
            assert_eq!(of(text), Estimator::Plain, "{text}");
            let error = load(&format!("{text}[estimator]\nmethod = \"control\"\n")).unwrap_err();
            assert!(error.contains("estimator.method = \"control\" (must be plain"), "{error}");
        }
        let few = |paths: u64| of(&format!("[run]\npaths = {paths}\n"));
        assert_eq!((few(PATHS_MIN - 1), few(PATHS_MIN)), (Estimator::Plain, Estimator::Control));
        assert_eq!(of("[[switches]]\nday = 1\nsubnet_limit = 256\n"), Estimator::Control, "rules do not move TAO/USD");
    }

    #[test]
    fn what_is_asked_is_taken_and_written() {
        let base = load("").unwrap();
        for (method, estimator) in [("plain", Estimator::Plain), ("control", Estimator::Control)] {
            let asked = load(&format!("[run]\npaths = 10\n[estimator]\nmethod = \"{method}\"\n")).unwrap();
            assert_eq!((&asked.estimator, asked.estimator.method()), (&estimator, method));
            assert_eq!(asked.to_json()["estimator"]["method"], method);
            assert_ne!(asked.hash(), base.hash());
            let again = load(&asked.to_toml()).unwrap();
            assert_eq!((again.hash(), &again.estimator), (asked.hash(), &estimator));
        }
    }

    #[test]
    fn a_tilt_comes_back_from_text_and_from_a_pilot() {
        let text = "[estimator]\nmethod = \"importance\"\ncurrency = \"USD\"\nmeasure = \"value_at_risk\"\n\
                    [estimator.tilt]\ncommon_factor_sd = -0.5\nsubnets = [{ netuid = 4, jump = -0.1 }]\n";
        let scenario = load(text).unwrap();
        let found = scenario.estimator.importance().unwrap().clone();
        let tilt = found.tilt.clone().unwrap();
        assert_eq!((tilt.common_factor_sd, tilt.plain_every), (-0.5, 5));
        assert_eq!(tilt.slots, [SlotTilt { slot: 3, normal_sd: 0.0, jump: -0.1 }]);
        assert_eq!((found.target.is_shortfall, found.target.currency), (false, Currency::Usd));
        let again = load(&scenario.to_toml()).unwrap();
        assert_eq!((again.hash(), &again.estimator), (scenario.hash(), &scenario.estimator));
        let other = load("[estimator]\nmethod = \"importance\"\n").unwrap();
        assert_ne!(other.hash(), scenario.hash());
        let filled = load(&text.replace("common_factor_sd = -0.5", "")).unwrap().with_tilt(&tilt).unwrap();
        assert_eq!((filled.hash(), &filled.estimator), (scenario.hash(), &scenario.estimator));
    }

    #[test]
    fn point_sets_are_read() {
        let of = |method: &str| load(&format!("[estimator]\nmethod = \"{method}\"\n"));
        for (method, set) in
            [("sobol", PointSet::Sobol), ("stratified", PointSet::Stratified), ("antithetic", PointSet::Antithetic)]
        {
            let scenario = of(method).unwrap();
            assert_eq!((scenario.estimator.points(), scenario.estimator.importance()), (Some(set), None));
            assert_eq!(load(&scenario.to_toml()).unwrap().hash(), scenario.hash());
        }
        let error = load("[run]\nparameter_uncertainty = true\n[estimator]\nmethod = \"sobol\"").unwrap_err();
        assert!(error.contains("plain with run.parameter_uncertainty"), "{error}");
        let error = load("[market_states]\nenabled = true\n[estimator]\nmethod = \"antithetic\"").unwrap_err();
        assert!(error.contains("plain with market_states.enabled"), "{error}");
    }

    #[test]
    fn what_no_tilt_can_be_is_refused() {
        for (text, message) in [
            (
                "method = \"magic\"",
                "estimator.method = \"magic\" (must be auto, plain, control, importance, sobol, stratified or antithetic) in my.toml:2",
            ),
            ("measure = \"mean\"", "estimator.measure = \"mean\" (must be expected_shortfall or value_at_risk)"),
            ("currency = \"EUR\"", "estimator.currency = \"EUR\" (must be TAO or USD)"),
            ("level = nan", "estimator.level = NaN (must be above 0.5 and below 1)"),
            ("plain_every = 1", "estimator.plain_every = 1 (must be a whole number from 2 to 100)"),
            ("tilt = { common_factor_sd = nan }", "estimator.tilt.common_factor_sd = NaN (must be from -10 to 10)"),
            ("tilt = { subnets = [{ netuid = 300 }] }", "estimator.tilt.subnets[0].netuid = 300 (must be a subnet of"),
            (
                "tilt = { subnets = [{ netuid = 4 }, { netuid = 4 }] }",
                "estimator.tilt.subnets[1].netuid = 4 (must be a subnet of the snapshot, given once)",
            ),
            ("tilt = { subnets = [{ netuid = 4, jump = -9 }] }", "estimator.tilt.subnets[0].jump = -9 (must be from -"),
        ] {
            let method = if text.starts_with("method") { "" } else { "\nmethod = \"importance\"" };
            let error = load(&format!("[estimator]\n{text}{method}\n")).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
        let error = load("[run]\nparameter_uncertainty = true\n[estimator]\nmethod = \"importance\"").unwrap_err();
        assert!(error.contains("plain with run.parameter_uncertainty"), "{error}");
    }
}
