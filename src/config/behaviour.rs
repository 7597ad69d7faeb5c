//! Behaviour that is off by default: feedback, market states, clusters, and what is known of single subnets.

use serde::Deserialize;
use serde::Serialize;

use crate::config::ConfigError;
use crate::config::checks::Checks;
use crate::config::checks::JUMP_RATE_MAX;
use crate::config::checks::checked;
use crate::input::snapshot::Snapshot;
use crate::model::params::ClusterParams;
use crate::model::params::FeedbackParams;
use crate::model::params::FlowParams;
use crate::model::params::MarketParams;
use crate::model::params::MarketState;
use crate::model::params::ModelParams;
use crate::model::params::SubnetParams;
use crate::model::sectors::SECTORS_MAX;
use crate::units::NetUid;

/// Largest absolute momentum (per day): a price that doubles its distance from the average some hundred times a day.
const MOMENTUM_MAX: f64 = 100.0;
/// Largest absolute log move of a cluster's jump, and its standard deviation.
const LOG_MOVE_MAX: f64 = 10.0;
/// Most clusters of a scenario.
const CLUSTERS_MAX: usize = 64;
/// Most states of the market.
const STATES_MAX: usize = 16;
/// Shortest mean time in a state of the market (days).
const STATE_DAYS_MIN: f64 = 0.01;
/// How far from 1 the probabilities of the next state may sum.
const PROBABILITY_TOLERANCE: f64 = 1e-9;

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FeedbackSection {
    pub momentum: f64,
    #[serde(rename = "yield")]
    pub dividends: f64,
    pub flight: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MarketStatesSection {
    pub enabled: bool,
    pub names: Vec<String>,
    pub start: String,
    pub volatility_scale: Vec<f64>,
    pub jump_scale: Vec<f64>,
    pub mean_days: Vec<f64>,
    pub next_probability: Vec<Vec<f64>>,
}

/// What is known of one subnet of the snapshot.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubnetSection {
    pub netuid: i64,
    pub registered_at: Option<i64>,
    pub scale: Option<f64>,
    pub loading: Option<f64>,
    pub drift_per_day: Option<f64>,
    pub log_volatility: Option<LogVolatility>,
    pub sector: Option<String>,
}

/// Log-volatility at the start: the whole, or its parts.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "log_volatility must be a number, or [fast, slow]")]
pub(super) enum LogVolatility {
    Sum(f64),
    Parts([f64; 2]),
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterSection {
    pub netuids: Vec<i64>,
    pub rate_per_day: f64,
    pub log_reserve_mean: f64,
    pub log_reserve_sd: f64,
}

pub(super) fn feedback(checks: &Checks<'_>) -> Result<FeedbackParams, ConfigError> {
    let FeedbackSection { momentum, dividends, .. } = checks.file.feedback;
    let is_allowed = momentum.abs() <= MOMENTUM_MAX;
    let allowed = format!("from -{MOMENTUM_MAX} to {MOMENTUM_MAX}");
    Ok(FeedbackParams {
        momentum: checks.number("feedback.momentum", momentum, is_allowed, &allowed)?,
        dividends: checks.finite("feedback.yield", dividends)?,
        flight: checked!(checks.finite(feedback.flight)),
    })
}

/// Completes the parameters by those that name subnets of the snapshot, and by the states of the market.
pub(super) fn complete(model: &mut ModelParams, checks: &Checks<'_>, snapshot: &Snapshot) -> Result<(), ConfigError> {
    model.subnets = Subnets { checks, snapshot, flow: &model.flow, sectors: Vec::new() }.read()?;
    model.clusters = clusters(checks, snapshot)?;
    let market = market_states(checks, &model.flow, model.tao_usd.jump_rate_per_day)?;
    model.market = checks.file.market_states.enabled.then_some(market);
    Ok(())
}

/// The snapshot's subnet that a key names.
fn known_netuid(checks: &Checks<'_>, key: &str, value: i64, snapshot: &Snapshot) -> Result<NetUid, ConfigError> {
    let known = snapshot.subnets.iter().find(|subnet| i64::from(subnet.netuid) == value);
    known
        .map(|subnet| NetUid(subnet.netuid))
        .ok_or_else(|| checks.refuse(key, value, "the netuid of a subnet of the snapshot"))
}

/// Reads the tables of `[[subnets]]`.
struct Subnets<'a> {
    checks: &'a Checks<'a>,
    snapshot: &'a Snapshot,
    flow: &'a FlowParams,
    /// Names of sectors, in the order in which they first appear.
    sectors: Vec<&'a str>,
}

impl<'a> Subnets<'a> {
    fn read(mut self) -> Result<Vec<SubnetParams>, ConfigError> {
        let mut subnets: Vec<SubnetParams> = Vec::new();
        for (index, section) in self.checks.file.subnets.iter().enumerate() {
            let subnet = self.read_one(index, section)?;
            if let Some(first) = subnets.iter().position(|other| other.netuid == subnet.netuid) {
                let place = self.checks.origins.of(&key(first, "netuid"));
                let allowed = format!("given once; subnets[{first}] has it too, in {place}");
                return Err(self.checks.refuse(&key(index, "netuid"), section.netuid, allowed));
            }
            subnets.push(subnet);
        }
        Ok(subnets)
    }

    fn read_one(&mut self, index: usize, section: &'a SubnetSection) -> Result<SubnetParams, ConfigError> {
        let checks = self.checks;
        let netuid = known_netuid(checks, &key(index, "netuid"), section.netuid, self.snapshot)?;
        self.check_registration(index, netuid, section)?;
        let number = |name: &str, value: Option<f64>, rule: fn(&Checks<'a>, &str, f64) -> Result<f64, ConfigError>| {
            value.map(|value| rule(checks, &key(index, name), value)).transpose()
        };
        let loading = number("loading", section.loading, Checks::correlation)?;
        let sector = section.sector.as_deref().map(|name| self.sector(index, name)).transpose()?;
        let (common, own) = (loading.unwrap_or(self.flow.loading_mean), self.flow.sector_loading);
        if sector.is_some() && !(common * common + own * own <= 1.0) {
            let allowed = format!("such that its square and that of flow.sector_loading = {own} sum to at most 1");
            return Err(checks.refuse(&key(index, "loading"), common, allowed));
        }
        Ok(SubnetParams {
            netuid,
            scale: number("scale", section.scale, Checks::positive)?,
            loading,
            drift_per_day: number("drift_per_day", section.drift_per_day, Checks::finite)?,
            log_volatility: section.log_volatility.map(|given| self.log_volatility(index, given)).transpose()?,
            sector,
        })
    }

    /// Netuids are reused: a table that says whom it means is of that subnet alone.
    fn check_registration(&self, index: usize, netuid: NetUid, section: &SubnetSection) -> Result<(), ConfigError> {
        let Some(given) = section.registered_at else { return Ok(()) };
        let row = self.snapshot.subnets.iter().find(|row| row.netuid == netuid.0);
        let registered_at = row.map_or(0, |row| row.registration_block);
        if u64::try_from(given) == Ok(registered_at) {
            return Ok(());
        }
        let allowed = format!("{registered_at}, the registration of the snapshot's subnet: netuids are reused");
        Err(self.checks.refuse(&key(index, "registered_at"), given, allowed))
    }

    fn sector(&mut self, index: usize, name: &'a str) -> Result<u16, ConfigError> {
        if name.trim().is_empty() {
            return Err(self.checks.refuse(&key(index, "sector"), format!("{name:?}"), "a name"));
        }
        let known = self.sectors.iter().position(|sector| *sector == name);
        let number = known.unwrap_or(self.sectors.len());
        if known.is_none() {
            self.sectors.push(name);
        }
        if number >= SECTORS_MAX {
            let allowed = format!("one of at most {SECTORS_MAX} sectors");
            return Err(self.checks.refuse(&key(index, "sector"), format!("{name:?}"), allowed));
        }
        Ok(number as u16)
    }

    /// The parts of a whole are shared out by their stationary variances, as their means given the sum are.
    fn log_volatility(&self, index: usize, given: LogVolatility) -> Result<[f64; 2], ConfigError> {
        let key = key(index, "log_volatility");
        match given {
            LogVolatility::Parts([fast, slow]) => {
                Ok([self.checks.finite(&key, fast)?, self.checks.finite(&key, slow)?])
            }
            LogVolatility::Sum(sum) => {
                let sum = self.checks.finite(&key, sum)?;
                let [fast, slow] = [0, 1].map(|part| self.flow.volatility[part].sd_log.powi(2));
                let fast_part = if fast + slow > 0.0 { fast / (fast + slow) } else { 0.5 };
                Ok([fast_part * sum, (1.0 - fast_part) * sum])
            }
        }
    }
}

fn key(index: usize, name: &str) -> String {
    format!("subnets[{index}].{name}")
}

fn clusters(checks: &Checks<'_>, snapshot: &Snapshot) -> Result<Vec<ClusterParams>, ConfigError> {
    let sections = &checks.file.clusters;
    if sections.len() > CLUSTERS_MAX {
        let allowed = format!("at most {CLUSTERS_MAX}");
        return Err(checks.refuse("clusters", format!("{} tables", sections.len()), allowed));
    }
    sections.iter().enumerate().map(|(index, section)| cluster(checks, snapshot, index, section)).collect()
}

fn cluster(
    checks: &Checks<'_>,
    snapshot: &Snapshot,
    index: usize,
    section: &ClusterSection,
) -> Result<ClusterParams, ConfigError> {
    let key = |name: &str| format!("clusters[{index}].{name}");
    let mut netuids = Vec::new();
    for &value in &section.netuids {
        let netuid = known_netuid(checks, &key("netuids"), value, snapshot)?;
        if netuids.contains(&netuid) {
            return Err(checks.refuse(&key("netuids"), value, "named once in a cluster"));
        }
        netuids.push(netuid);
    }
    if netuids.is_empty() {
        return Err(checks.refuse(&key("netuids"), "[]", "a list of at least one netuid, such as [3, 39, 81]"));
    }
    let (mean, sd) = (section.log_reserve_mean, section.log_reserve_sd);
    let allowed = format!("from -{LOG_MOVE_MAX} to {LOG_MOVE_MAX}");
    let allowed_sd = format!("from 0 to {LOG_MOVE_MAX}");
    Ok(ClusterParams {
        netuids,
        rate_per_day: checks.jump_rate(&key("rate_per_day"), section.rate_per_day)?,
        log_reserve_mean: checks.number(&key("log_reserve_mean"), mean, mean.abs() <= LOG_MOVE_MAX, &allowed)?,
        log_reserve_sd: checks.number(&key("log_reserve_sd"), sd, (0.0..=LOG_MOVE_MAX).contains(&sd), &allowed_sd)?,
    })
}

/// The states as they are written, whether enabled or not. Intensities of jumps stay drawable in every state.
fn market_states(checks: &Checks<'_>, flow: &FlowParams, tao_usd_rate: f64) -> Result<MarketParams, ConfigError> {
    let section = &checks.file.market_states;
    let names = &section.names;
    let is_named = names.iter().enumerate().all(|(i, name)| !name.trim().is_empty() && !names[..i].contains(name));
    if !(is_named && (2..=STATES_MAX).contains(&names.len())) {
        let allowed = format!("from 2 to {STATES_MAX} distinct names");
        return Err(checks.refuse("market_states.names", format!("{names:?}"), allowed));
    }
    let Some(start) = names.iter().position(|name| *name == section.start) else {
        let allowed = format!("one of {names:?}");
        return Err(checks.refuse("market_states.start", format!("{:?}", section.start), allowed));
    };
    let lengths = [
        ("volatility_scale", section.volatility_scale.len()),
        ("jump_scale", section.jump_scale.len()),
        ("mean_days", section.mean_days.len()),
        ("next_probability", section.next_probability.len()),
    ];
    for (name, length) in lengths {
        if length != names.len() {
            let allowed = format!("one entry for each of the {} names", names.len());
            return Err(checks.refuse(&format!("market_states.{name}"), format!("{length} entries"), allowed));
        }
    }
    let largest_rate = flow.jumps.rate_per_day.max(flow.common_jump.rate_per_day).max(tao_usd_rate);
    let mut states = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let jump_scale = checks.not_negative("market_states.jump_scale", section.jump_scale[index])?;
        let allowed = format!("such that no intensity of jumps is above {JUMP_RATE_MAX} per day");
        let is_drawable = !section.enabled || jump_scale * largest_rate <= JUMP_RATE_MAX;
        let mean_days = section.mean_days[index];
        let days_allowed = format!("a finite number of days, at least {STATE_DAYS_MIN}");
        let is_long_enough = mean_days >= STATE_DAYS_MIN && mean_days.is_finite();
        states.push(MarketState {
            name: name.clone(),
            volatility_scale: checks.positive("market_states.volatility_scale", section.volatility_scale[index])?,
            jump_scale: checks.number("market_states.jump_scale", jump_scale, is_drawable, &allowed)?,
            mean_days: checks.number("market_states.mean_days", mean_days, is_long_enough, &days_allowed)?,
            next_probability: next_probability(checks, index, &section.next_probability[index], names.len())?,
        });
    }
    Ok(MarketParams { states, start })
}

fn next_probability(checks: &Checks<'_>, state: usize, row: &[f64], states: usize) -> Result<Vec<f64>, ConfigError> {
    let is_law = row.len() == states
        && row.iter().all(|part| (0.0..=1.0).contains(part))
        && row[state] == 0.0
        && (row.iter().sum::<f64>() - 1.0).abs() <= PROBABILITY_TOLERANCE;
    if is_law {
        return Ok(row.to_vec());
    }
    let allowed = format!("rows of {states} probabilities that sum to 1, each 0 of its own state");
    Err(checks.refuse("market_states.next_probability", format!("{row:?}, row {}", state + 1), allowed))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::scenario::Overrides;
    use crate::config::scenario::Scenario;

    fn load(text: &str) -> Result<Scenario, ConfigError> {
        Scenario::from_text("my.toml", text, Path::new(""), &Overrides::default())
    }

    #[test]
    fn the_base_has_none_of_it() {
        let model = load("").unwrap().model;
        assert_eq!((model.feedback, model.flow.sector_loading), (FeedbackParams::default(), 0.0));
        assert_eq!((model.subnets.len(), model.clusters.len(), model.market), (0, 0, None));
    }

    #[test]
    fn everything_reads_back_from_the_complete_text() {
        let text = "[feedback]\nmomentum = 0.1\nyield = 0.2\nflight = 0.3\n[market_states]\nenabled = true\nstart = \"boom\"\n\
                    [flow]\nsector_loading = 0.5\n\
                    [[subnets]]\nnetuid = 4\nscale = 0.02\nloading = 0.2\ndrift_per_day = -0.001\nlog_volatility = [0.3, -0.1]\n\
                    sector = \"b\"\n[[subnets]]\nnetuid = 3\nlog_volatility = 1\nsector = \"a\"\n\
                    [[subnets]]\nnetuid = 81\nsector = \"b\"\n[[clusters]]\nnetuids = [3, 39, 81]\nrate_per_day = 0.0032\n\
                    log_reserve_mean = -0.4\nlog_reserve_sd = 0\n";
        let scenario = load(text).unwrap();
        let model = &scenario.model;
        assert_eq!(model.feedback, FeedbackParams { momentum: 0.1, dividends: 0.2, flight: 0.3 });
        let market = model.market.as_ref().unwrap();
        assert_eq!((market.start, market.states.len()), (1, 3));
        assert_eq!((market.states[2].name.as_str(), market.states[2].jump_scale), ("stress", 3.0));
        assert_eq!(market.states[1].next_probability, [0.7, 0.0, 0.3]);
        let sectors: Vec<_> = model.subnets.iter().map(|subnet| (subnet.netuid.0, subnet.sector)).collect();
        assert_eq!(sectors, [(4, Some(0)), (3, Some(1)), (81, Some(0))]);
        assert_eq!((model.subnets[0].scale, model.subnets[1].scale), (Some(0.02), None));
        assert_eq!(model.subnets[0].log_volatility, Some([0.3, -0.1]));
        // The variances are 0.56^2 and 0.69^2.
        let [fast, slow] = model.subnets[1].log_volatility.unwrap();
        assert!((fast - 0.3136 / 0.7897).abs() < 1e-12 && (fast + slow - 1.0).abs() < 1e-12);
        assert_eq!(model.clusters[0].netuids, [3, 39, 81].map(NetUid));
        let again = load(&scenario.to_toml()).unwrap();
        assert_eq!((again.hash(), &again.model), (scenario.hash(), &scenario.model));
        let manifest = Scenario::from_json("manifest.json", &scenario.to_json(), &Overrides::default()).unwrap();
        assert_eq!((manifest.hash(), &manifest.model), (scenario.hash(), &scenario.model));
        assert_ne!(load("").unwrap().hash(), scenario.hash());
    }

    #[test]
    fn the_snapshot_s_own_registration_is_accepted() {
        let registered_at = load("").unwrap().start.subnets[3].registered_at;
        let netuid = load("").unwrap().start.subnets[3].netuid.0;
        let text = format!("[[subnets]]\nnetuid = {netuid}\nregistered_at = {registered_at}\nscale = 0.02");
        assert_eq!(load(&text).unwrap().model.subnets.len(), 1);
    }

    #[test]
    fn what_cannot_be_is_refused_with_key_range_and_line() {
        let cases = [
            ("[feedback]\nmomentum = 101", "feedback.momentum = 101 (must be from -100 to 100) in my.toml:2"),
            ("[feedback]\nyield = nan", "feedback.yield = NaN (must be a finite number) in my.toml:2"),
            (
                "[feedback]\ndividends = 1",
                "my.toml:2: unknown key `feedback.dividends` (allowed: momentum, yield, flight)",
            ),
            ("[flow]\nsector_loading = 1.2", "flow.sector_loading = 1.2 (must be from -1 to 1) in my.toml:2"),
            (
                "[[subnets]]\nnetuid = 0",
                "subnets[0].netuid = 0 (must be the netuid of a subnet of the snapshot) in my.toml:2",
            ),
            ("[[subnets]]\nnetuid = -3", "subnets[0].netuid = -3 (must be the netuid of a subnet"),
            ("[[subnets]]\nscale = 1", "my.toml:1: missing field `netuid`"),
            (
                "[[subnets]]\nnetuid = 3\n[[subnets]]\nnetuid = 3",
                "subnets[1].netuid = 3 (must be given once; subnets[0] has it too, in my.toml:2) in my.toml:4",
            ),
            (
                "[[subnets]]\nnetuid = 3\nregistered_at = 7",
                "subnets[0].registered_at = 7 (must be 4165565, the registration of the snapshot's subnet: netuids are reused) \
                 in my.toml:3",
            ),
            ("[[subnets]]\nnetuid = 3\nscale = 0", "subnets[0].scale = 0 (must be a finite number > 0) in my.toml:3"),
            ("[[subnets]]\nnetuid = 3\nloading = 2", "subnets[0].loading = 2 (must be from -1 to 1) in my.toml:3"),
            (
                "[[subnets]]\nnetuid = 3\ndrift_per_day = inf",
                "subnets[0].drift_per_day = inf (must be a finite number)",
            ),
            ("[[subnets]]\nnetuid = 3\nlog_volatility = [1, nan]", "subnets[0].log_volatility = NaN (must be a finite"),
            (
                "[[subnets]]\nnetuid = 3\nlog_volatility = [1]",
                "my.toml:3: log_volatility must be a number, or [fast, slow]",
            ),
            ("[[subnets]]\nnetuid = 3\nsector = \" \"", "subnets[0].sector = \" \" (must be a name) in my.toml:3"),
            (
                "[[subnets]]\nnetuid = 3\nsales = 1",
                "my.toml:3: unknown key `subnets[0].sales` (allowed: netuid, registered_at,",
            ),
            (
                "[flow]\nsector_loading = 0.8\n[[subnets]]\nnetuid = 3\nloading = 0.7\nsector = \"x\"",
                "subnets[0].loading = 0.7 (must be such that its square and that of flow.sector_loading = 0.8 sum to at most 1) \
                 in my.toml:5",
            ),
            (
                "[[clusters]]\nnetuids = []\nrate_per_day = 0\nlog_reserve_mean = 0\nlog_reserve_sd = 0",
                "clusters[0].netuids = [] (must be a list of at least one netuid, such as [3, 39, 81]) in my.toml:2",
            ),
            (
                "[[clusters]]\nnetuids = [3, 3]\nrate_per_day = 0\nlog_reserve_mean = 0\nlog_reserve_sd = 0",
                "clusters[0].netuids = 3 (must be named once in a cluster) in my.toml:2",
            ),
            (
                "[[clusters]]\nnetuids = [300]\nrate_per_day = 0\nlog_reserve_mean = 0\nlog_reserve_sd = 0",
                "clusters[0].netuids = 300 (must be the netuid of a subnet of the snapshot) in my.toml:2",
            ),
            (
                "[[clusters]]\nnetuids = [3]\nrate_per_day = -1\nlog_reserve_mean = 0\nlog_reserve_sd = 0",
                "clusters[0].rate_per_day = -1 (must be from 0 to 100) in my.toml:3",
            ),
            (
                "[[clusters]]\nnetuids = [3]\nrate_per_day = 0\nlog_reserve_mean = -11\nlog_reserve_sd = 0",
                "clusters[0].log_reserve_mean = -11 (must be from -10 to 10) in my.toml:4",
            ),
            (
                "[[clusters]]\nnetuids = [3]\nrate_per_day = 0\nlog_reserve_mean = 0\nlog_reserve_sd = -1",
                "clusters[0].log_reserve_sd = -1 (must be from 0 to 10) in my.toml:5",
            ),
            (
                "[market_states]\nnames = [\"a\", \"a\", \"b\"]",
                "market_states.names = [\"a\", \"a\", \"b\"] (must be from 2 to 16 distinct names) in my.toml:2",
            ),
            (
                "[market_states]\nstart = \"panic\"",
                "market_states.start = \"panic\" (must be one of [\"calm\", \"boom\", \"stress\"]) in my.toml:2",
            ),
            (
                "[market_states]\nmean_days = [1, 2]",
                "market_states.mean_days = 2 entries (must be one entry for each of the 3 names) in my.toml:2",
            ),
            (
                "[market_states]\nmean_days = [1, 2, 0]",
                "market_states.mean_days = 0 (must be a finite number of days, at least 0.01) in my.toml:2",
            ),
            (
                "[market_states]\nvolatility_scale = [1, 0, 1]",
                "market_states.volatility_scale = 0 (must be a finite number > 0)",
            ),
            (
                "[market_states]\nenabled = true\njump_scale = [1, 1, 300]",
                "market_states.jump_scale = 300 (must be such that no intensity of jumps is above 100 per day) in my.toml:3",
            ),
            (
                "[market_states]\nnext_probability = [[0, 1, 0], [0.5, 0, 0.6], [1, 0, 0]]",
                "market_states.next_probability = [0.5, 0.0, 0.6], row 2 (must be rows of 3 probabilities that sum to 1, each 0 \
                 of its own state) in my.toml:2",
            ),
            (
                "[market_states]\nnext_probability = [[0.5, 0.5, 0], [1, 0, 0], [1, 0, 0]]",
                "market_states.next_probability = [0.5, 0.5, 0.0], row 1 (must be rows",
            ),
        ];
        for (text, expected) in cases {
            let message = load(text).expect_err("the scenario must be refused").to_string();
            assert!(message.starts_with(expected), "{text:?}: {message}");
        }
    }
}
