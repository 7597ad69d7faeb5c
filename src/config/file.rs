//! What was written: the keys of a complete scenario, and the text and line in which each was set.
//!
//! The structs mirror the TOML and refuse unknown keys; meaning, unit and source of every key stand in
//! `configs/base.toml`. Whole numbers are `i64` here, so that a negative one meets the range check of its key and not
//! a parser's message.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde::Serialize;
use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::config::ConfigError;
use crate::config::behaviour::ClusterSection;
use crate::config::behaviour::FeedbackSection;
use crate::config::behaviour::MarketStatesSection;
use crate::config::behaviour::SubnetSection;
use crate::config::estimator::EstimatorSection;
use crate::config::measures::MeasuresSection;
use crate::config::policies::ExitSection;
use crate::config::policies::PolicySection;
use crate::config::revenue::RevenueSection;
use crate::config::shocks::ShockSection;

/// The built-in base scenario: every key with its default, unit and source.
pub const BASE: &str = include_str!("../../configs/base.toml");

/// What messages call [`BASE`].
pub(super) const BASE_NAME: &str = "base.toml (built in)";

/// The word that selects a built-in snapshot or book in place of a path.
pub(super) const EMBEDDED: &str = "embedded";

/// A complete scenario as text has it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScenarioFile {
    pub run: RunSection,
    pub input: InputSection,
    pub chain: ChainSection,
    pub protocol: ProtocolSection,
    pub flow: FlowSection,
    pub sales: SalesSection,
    pub tao_usd: TaoUsdSection,
    pub registration: RegistrationSection,
    pub entrants: EntrantsSection,
    pub validators: ValidatorsSection,
    pub root_stake: RootStakeSection,
    pub switches: Vec<SwitchSection>,
    pub feedback: FeedbackSection,
    pub market_states: MarketStatesSection,
    pub subnets: Vec<SubnetSection>,
    pub clusters: Vec<ClusterSection>,
    pub revenue: Vec<RevenueSection>,
    pub policies: Vec<PolicySection>,
    pub exit: ExitSection,
    pub measures: MeasuresSection,
    #[serde(default, skip_serializing_if = "EstimatorSection::is_auto")]
    pub estimator: EstimatorSection,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shocks: Vec<ShockSection>,
    pub uncertainty: UncertaintySection,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunSection {
    pub name: String,
    pub seed: i64,
    pub paths: i64,
    pub horizon_days: f64,
    pub blocks_per_step: i64,
    pub report_days: Vec<f64>,
    pub confidence: Vec<f64>,
    pub quantile_probabilities: Vec<f64>,
    pub event_paths: i64,
    pub sample_paths: i64,
    pub parameter_uncertainty: bool,
    pub paths_per_replicate: i64,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputSection {
    pub snapshot: String,
    pub positions: String,
    pub parameters: String,
    pub default_take: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChainSection {
    pub block: i64,
    pub issuance_tao: f64,
    pub root_stake_tao: f64,
    pub tao_usd: f64,
    pub last_lock_tao: f64,
    pub last_lock_block: i64,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProtocolSection {
    pub rules: String,
    pub share_rule: String,
    pub hill_rank: i64,
    pub hill_quantile: f64,
    pub hill_exponent: i64,
    pub flow_smoothing: f64,
    pub flow_cutoff_tao: f64,
    pub flow_exponent: f64,
    pub injection_rule: String,
    pub root_rule: String,
    pub pool_rule: String,
    pub dissolve_rule: String,
    pub seed_rule: String,
    pub tao_weight: f64,
    pub owner_cut: f64,
    pub fee_rate: f64,
    pub moving_price_smoothing: f64,
    pub moving_price_age_blocks: f64,
    pub lock_cost_min_tao: f64,
    pub lock_reduction_interval_blocks: i64,
    pub registration_rate_limit_blocks: i64,
    pub immunity_period_blocks: i64,
    pub start_call_delay_blocks: i64,
    pub entrants_enabled: bool,
    pub subnet_limit: i64,
    pub tao_in_refund_block: i64,
    pub registration_start_block: i64,
}

/// A change of rules: when, and new values of keys of [`ProtocolSection`].
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SwitchSection {
    pub day: Option<f64>,
    pub block: Option<i64>,
    pub hazard_per_day: Option<f64>,
    pub probability: Option<f64>,
    pub rules: Option<String>,
    pub share_rule: Option<String>,
    pub hill_rank: Option<i64>,
    pub hill_quantile: Option<f64>,
    pub hill_exponent: Option<i64>,
    pub flow_smoothing: Option<f64>,
    pub flow_cutoff_tao: Option<f64>,
    pub flow_exponent: Option<f64>,
    pub injection_rule: Option<String>,
    pub root_rule: Option<String>,
    pub pool_rule: Option<String>,
    pub dissolve_rule: Option<String>,
    pub seed_rule: Option<String>,
    pub tao_weight: Option<f64>,
    pub owner_cut: Option<f64>,
    pub lock_cost_min_tao: Option<f64>,
    pub lock_reduction_interval_blocks: Option<i64>,
    pub registration_rate_limit_blocks: Option<i64>,
    pub immunity_period_blocks: Option<i64>,
    pub start_call_delay_blocks: Option<i64>,
    pub entrants_enabled: Option<bool>,
    pub subnet_limit: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlowSection {
    pub scale_median: f64,
    pub scale_sd_log: f64,
    pub size_exponent: f64,
    pub age_exponent: f64,
    pub age_floor_days: f64,
    pub reserve_floor_tao: f64,
    pub drift_per_day: f64,
    pub volatility_cap: f64,
    pub loading_mean: f64,
    pub loading_sd: f64,
    pub sector_loading: f64,
    pub flow_cap: f64,
    pub stake_floor: f64,
    pub volatility_fast: VolatilitySection,
    pub volatility_slow: VolatilitySection,
    pub jumps: JumpSection,
    pub common_jump: JumpSection,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VolatilitySection {
    pub sd_log: f64,
    pub half_life_days: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JumpSection {
    pub rate_per_day: f64,
    pub up_probability: f64,
    pub up_mean: f64,
    pub down_mean: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SalesSection {
    pub owner: f64,
    pub miner: f64,
    pub validator: f64,
    pub root_swap_fraction: f64,
    pub root_claim_delay_days: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaoUsdSection {
    pub drift_per_day: f64,
    pub volatility_per_sqrt_day: f64,
    pub jump_rate_per_day: f64,
    pub jump_mean: f64,
    pub jump_sd: f64,
    pub correlation_with_flow: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegistrationSection {
    pub hazard_per_day: f64,
    pub elasticity: f64,
    pub willingness_median_tao: f64,
    pub willingness_sd_log: f64,
    pub willingness_half_life_days: f64,
    pub willingness_start_tao: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntrantsSection {
    pub never_start_probability: f64,
    pub never_start_probability_incumbent: f64,
    pub start_delay_mean_days: f64,
    pub enable_delay_mean_days: f64,
    pub burn_all_probability: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ValidatorsSection {
    pub spread_sd_log: f64,
    pub noise_sd_log: f64,
    pub noise_half_life_days: f64,
    pub dividend_factor: f64,
    pub dividend_factor_day: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RootStakeSection {
    pub drift_per_day: f64,
    pub sd_log_per_sqrt_day: f64,
    pub half_life_days: f64,
}

/// Errors of parameters and their correlations; a layer that has the table replaces it as a whole.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UncertaintySection {
    #[serde(default)]
    pub correlation: Vec<Vec<f64>>,
    pub parameters: Vec<UncertainSection>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UncertainSection {
    pub key: String,
    pub scale: String,
    pub standard_error: f64,
}

/// Where each key was set last: file and line, or a flag.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins(BTreeMap<String, String>);

impl Origins {
    /// Records that `key` was set at `place`: a flag, or a file and line.
    pub fn set(&mut self, key: &str, place: &str) {
        self.0.insert(key.to_owned(), place.to_owned());
    }

    /// Takes every key of a table for one with its built-in value.
    pub fn forget(&mut self, table: &str) {
        self.0.retain(|key, _| key.strip_prefix(table).is_none_or(|rest| !rest.starts_with('.')));
    }

    /// Whether a flag has set `key`.
    pub fn is_flag(&self, key: &str) -> bool {
        self.of(key).starts_with("--")
    }

    /// Whether `key` has its built-in value.
    pub fn is_built_in(&self, key: &str) -> bool {
        self.of(key).starts_with(BASE_NAME)
    }

    /// Every key was set by `file`.
    pub fn all_of(file: &str) -> Self {
        Self(BTreeMap::from([(String::new(), file.to_owned())]))
    }

    /// Where `key` was set. The empty key stands for all that have no entry of their own.
    pub fn of(&self, key: &str) -> &str {
        self.0.get(key).or_else(|| self.0.get("")).map_or(BASE_NAME, String::as_str)
    }
}

/// A key of a text: its path with tables, and the places of the key and of its value.
pub(super) struct Key {
    pub path: String,
    key: Range<usize>,
    value: Range<usize>,
}

impl Key {
    /// Numbers the tables of a list from `first`, where others come before.
    pub fn count_from(&mut self, list: &str, first: usize) {
        let rest = self.path.strip_prefix(list).and_then(|rest| rest.strip_prefix('['));
        let Some((index, rest)) = rest.and_then(|rest| rest.split_once(']')) else { return };
        if let Ok(index) = index.parse::<usize>() {
            self.path = format!("{list}[{}]{rest}", first + index);
        }
    }
}

/// A TOML text and what messages call it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub name: &'a str,
    pub text: &'a str,
    /// Whether it is the one key of a flag, whose name is place enough.
    pub is_flag: bool,
}

impl<'a> Source<'a> {
    pub fn parse(self) -> Result<(Spanned<DeTable<'a>>, Vec<Key>), ConfigError> {
        let table = DeTable::parse(self.text).map_err(|error| self.explain(&error, &[], &[]))?;
        let mut keys = Vec::new();
        collect_keys(table.get_ref(), "", &mut keys);
        Ok((table, keys))
    }

    pub fn record(self, keys: &[Key], origins: &mut Origins) {
        for key in keys {
            origins.0.insert(key.path.clone(), self.place_of(key));
        }
    }

    /// File and line of a key, or its flag.
    pub fn place_of(self, key: &Key) -> String {
        self.place(key.key.start)
    }

    /// File and line of a part of the text, or its flag.
    pub fn place(self, offset: usize) -> String {
        if self.is_flag {
            return self.name.to_owned();
        }
        format!("{}:{}", self.name, self.text[..offset].matches('\n').count() + 1)
    }

    /// The parser's error in our words: key, what is allowed, file and line.
    pub fn explain(self, error: &toml::de::Error, keys: &[Key], known: &[Key]) -> ConfigError {
        let span = error.span().unwrap_or(0..0);
        let message = error.message();
        let within = |place: &Range<usize>| place.start <= span.start && span.end <= place.end;
        if let Some((_, expected)) =
            message.split_once("invalid type: ").and_then(|(_, rest)| rest.rsplit_once(", expected "))
            && let Some(key) = keys.iter().rfind(|key| within(&key.value))
        {
            return ConfigError::Value {
                key: key.path.clone(),
                value: self.text[span.clone()].to_owned(),
                allowed: type_words(expected),
                origin: self.place(span.start),
            };
        }
        let problem = match (unknown_key_words(message), keys.iter().find(|key| key.key == span)) {
            (Some(allowed), Some(key)) => {
                let elsewhere = elsewhere_words(&key.path, known);
                let factors = if key.path.contains('.') { "" } else { ", factors" };
                format!("unknown key `{}` (allowed: {allowed}{factors}{elsewhere})", key.path)
            }
            _ => message.to_owned(),
        };
        ConfigError::Syntax { place: self.place(span.start), problem }
    }
}

fn collect_keys(table: &DeTable<'_>, prefix: &str, keys: &mut Vec<Key>) {
    for (name, value) in table {
        let path = format!("{prefix}{}", name.get_ref());
        let nested = format!("{path}.");
        keys.push(Key { path: path.clone(), key: name.span(), value: value.span() });
        match value.get_ref() {
            DeValue::Table(table) => collect_keys(table, &nested, keys),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let DeValue::Table(table) = item.get_ref() {
                        keys.push(Key { path: format!("{path}[{index}]"), key: item.span(), value: item.span() });
                        collect_keys(table, &format!("{path}[{index}]."), keys);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The allowed names out of serde's "unknown field `x`, expected one of `a`, `b`".
fn unknown_key_words(message: &str) -> Option<String> {
    let (_, expected) = message.strip_prefix("unknown field ")?.split_once(", expected ")?;
    Some(expected.trim_start_matches("one of ").replace(" or ", ", ").replace('`', ""))
}

/// Where else a key of that name is known: it may only stand in the wrong table.
fn elsewhere_words(path: &str, known: &[Key]) -> String {
    let name = path.rsplit('.').next().unwrap_or(path);
    let is_same = |key: &&Key| key.path.rsplit('.').next() == Some(name);
    let places: Vec<String> = known.iter().filter(is_same).map(|key| format!("`{}`", key.path)).collect();
    if places.is_empty() { String::new() } else { format!("; elsewhere: {}", places.join(", ")) }
}

fn type_words(expected: &str) -> String {
    match expected {
        "i64" => "a whole number".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" => "a text in quotes".to_owned(),
        "a sequence" => "a list, such as [1, 7, 30]".to_owned(),
        _ if expected.starts_with("struct ") => "a table of keys".to_owned(),
        _ => expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::Content;
    use crate::config::layers::Layer;
    use crate::config::layers::merge;

    fn parse_overlay(name: &str, text: &str) -> Result<(ScenarioFile, Origins), ConfigError> {
        merge(&[Layer { name, text, content: Content::Scenario }]).map(|merged| (merged.file, merged.origins))
    }

    fn message(text: &str) -> String {
        parse_overlay("my.toml", text).expect_err("the scenario must be refused").to_string()
    }

    #[test]
    fn an_empty_file_is_the_base() {
        let (file, origins) = parse_overlay("my.toml", "").unwrap();
        assert_eq!((file.run.paths, file.flow.volatility_slow.half_life_days), (100_000, 44.0));
        let line = BASE.lines().position(|line| line.starts_with("paths =")).unwrap() + 1;
        assert_eq!(origins.of("run.paths"), format!("base.toml (built in):{line}"));
    }

    #[test]
    fn an_overlay_changes_only_what_it_names() {
        let text = "run.paths = 5\n[flow.jumps]\nrate_per_day = 1\n";
        let (file, origins) = parse_overlay("my.toml", text).unwrap();
        let (base, _) = parse_overlay("my.toml", "").unwrap();
        let mut expected = base;
        expected.run.paths = 5;
        expected.flow.jumps.rate_per_day = 1.0;
        assert_eq!(file, expected);
        assert_eq!((origins.of("run.paths"), origins.of("flow.jumps.rate_per_day")), ("my.toml:1", "my.toml:3"));
        assert!(origins.of("run.seed").starts_with("base.toml"));
    }

    #[test]
    fn complete_text_reads_back_equal() {
        let (file, _) = parse_overlay("my.toml", "").unwrap();
        let (again, _) = parse_overlay("my.toml", &toml::to_string(&file).unwrap()).unwrap();
        assert_eq!(file, again);
    }

    #[test]
    fn errors_name_key_line_and_what_is_allowed() {
        let cases = [
            ("\n[run]\npathz = 1\n", "my.toml:3: unknown key `run.pathz` (allowed: name, seed, paths, horizon_days,"),
            ("[sails]\n", "my.toml:1: unknown key `sails` (allowed: run, input, chain, protocol, flow,"),
            (
                "[flow.jumps]\nrate = 1\n",
                "my.toml:2: unknown key `flow.jumps.rate` (allowed: rate_per_day, up_probability,",
            ),
            (
                "[flow.volatility_fast]\nx = 1\n",
                "my.toml:2: unknown key `flow.volatility_fast.x` (allowed: sd_log, half_life_days)",
            ),
            ("[run]\npaths = \"many\"\n", "run.paths = \"many\" (must be a whole number) in my.toml:2"),
            ("[run]\npaths = nan\n", "run.paths = nan (must be a whole number) in my.toml:2"),
            ("[run]\nreport_days = 7\n", "run.report_days = 7 (must be a list, such as [1, 7, 30]) in my.toml:2"),
            ("[run]\nconfidence = [0.9, true]\n", "run.confidence = true (must be a number) in my.toml:2"),
            ("[flow]\njumps = 3\n", "flow.jumps = 3 (must be a table of keys) in my.toml:2"),
            ("run = 1\n", "run = 1 (must be a table of keys) in my.toml:1"),
            ("[run]\npaths = \n", "my.toml:2: "),
            ("[run]\npaths = 1\npaths = 2\n", "my.toml:3: duplicate key"),
        ];
        for (text, expected) in cases {
            assert!(message(text).starts_with(expected), "{text:?}: {}", message(text));
        }
    }
}
