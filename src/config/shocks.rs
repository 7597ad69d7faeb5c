//! Shocks of a scenario: `[[shocks]]`, checked against the snapshot, the first book, revenue and the horizon.

use serde::Deserialize;
use serde::Serialize;

use crate::config::ConfigError;
use crate::config::checks::Checks;
use crate::model::revenue::RevenueParams;
use crate::model::shocks::Choice;
use crate::model::shocks::Effect;
use crate::model::shocks::Seller;
use crate::model::shocks::ShockParams;
use crate::model::shocks::Targets;
use crate::portfolio::position::Book;
use crate::protocol::kernel::SELLABLE_PART;
use crate::protocol::state::ChainState;
use crate::protocol::state::SubnetState;

/// Most shocks of a scenario.
const SHOCKS_MAX: usize = 256;
/// Largest relative change of what a shock moves, largest factor of one, largest hazard (per day).
const CHANGE_MAX: f64 = 1_000.0;
/// Largest shift of what flows share, in standard deviations or scales.
const SHIFT_MAX: f64 = 100.0;
/// What a shock may be.
const EFFECTS: &str = "one of flow_tao, pool_fraction, stake_fraction, freeze, tao_usd_change, common_factor_sd, common_jump, \
                       root_stake_tao, root_stake_change, registration_factor, revenue_factor, owner_sales, miner_sales, validator_sales";
/// Whom it may strike.
const TARGETS: &str = "one of netuids, sector, top, near_prune, holdings, all";

/// One table of `[[shocks]]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ShockSection {
    pub name: Option<String>,
    pub day: Option<f64>,
    pub hours: Option<f64>,
    pub days: Option<f64>,
    pub hazard_per_day: Option<f64>,
    pub probability: Option<f64>,
    pub netuids: Option<Vec<i64>>,
    pub sector: Option<String>,
    pub top: Option<i64>,
    pub near_prune: Option<i64>,
    pub holdings: Option<bool>,
    pub all: Option<bool>,
    pub except: Option<Vec<i64>>,
    pub flow_tao: Option<f64>,
    pub pool_fraction: Option<f64>,
    pub stake_fraction: Option<f64>,
    pub freeze: Option<bool>,
    pub tao_usd_change: Option<f64>,
    pub common_factor_sd: Option<f64>,
    pub common_jump: Option<f64>,
    pub root_stake_tao: Option<f64>,
    pub root_stake_change: Option<f64>,
    pub registration_factor: Option<f64>,
    pub revenue_factor: Option<f64>,
    pub owner_sales: Option<f64>,
    pub miner_sales: Option<f64>,
    pub validator_sales: Option<f64>,
}

/// Shocks of a scenario, in its order; `book`: the first.
///
/// # Errors
/// A time outside the horizon, a target that is not there, no effect or two, a flow of TAO that are not there.
pub(super) fn shocks(
    checks: &Checks<'_>,
    start: &ChainState,
    revenue: &[RevenueParams],
    book: &Book,
) -> Result<Vec<ShockParams>, ConfigError> {
    let sections = &checks.file.shocks;
    if sections.len() > SHOCKS_MAX {
        return Err(checks.refuse("shocks", format!("{} tables", sections.len()), format!("at most {SHOCKS_MAX}")));
    }
    let read = |(index, section)| Table { checks, index, section, start, revenue, book }.read();
    sections.iter().enumerate().map(read).collect()
}

struct Table<'a> {
    checks: &'a Checks<'a>,
    index: usize,
    section: &'a ShockSection,
    start: &'a ChainState,
    revenue: &'a [RevenueParams],
    book: &'a Book,
}

impl Table<'_> {
    fn key(&self, name: &str) -> String {
        format!("shocks[{}].{name}", self.index)
    }

    fn refuse(&self, name: &str, value: impl ToString, allowed: impl Into<String>) -> ConfigError {
        self.checks.refuse(&self.key(name), value, allowed)
    }

    /// The error of the table as a whole.
    fn refuse_whole(&self, value: impl ToString, allowed: &str) -> ConfigError {
        self.checks.refuse(&format!("shocks[{}]", self.index), value, allowed)
    }

    /// A number from `min` to `max`, both in it.
    fn between(&self, name: &str, value: f64, min: f64, max: f64) -> Result<f64, ConfigError> {
        let allowed = format!("from {min} to {max}");
        self.checks.number(&self.key(name), value, (min..=max).contains(&value), &allowed)
    }

    fn read(&self) -> Result<ShockParams, ConfigError> {
        let section = self.section;
        let effect = self.effect()?;
        let targets = if effect.has_targets() { self.targets(effect)? } else { self.no_targets()? };
        self.check_flow(effect, &targets)?;
        let hazard = section.hazard_per_day;
        let is_hazard = |value: f64| value > 0.0 && value <= CHANGE_MAX;
        let allowed = format!("above 0 and at most {CHANGE_MAX}");
        let hazard_per_day =
            hazard.map(|value| self.checks.number(&self.key("hazard_per_day"), value, is_hazard(value), &allowed));
        Ok(ShockParams {
            name: section.name.clone().unwrap_or_default(),
            day: self.day()?,
            days: self.days(effect)?,
            hazard_per_day: hazard_per_day.transpose()?,
            probability: self.checks.fraction(&self.key("probability"), section.probability.unwrap_or(1.0))?,
            effect,
            targets,
        })
    }

    /// A shock after the end would say nothing.
    fn day(&self) -> Result<f64, ConfigError> {
        let horizon_days = self.checks.file.run.horizon_days;
        let day = match (self.section.day, self.section.hazard_per_day) {
            (Some(day), _) => day,
            (None, Some(_)) => 0.0,
            (None, None) => return Err(self.refuse_whole("no day", "given a day or hazard_per_day")),
        };
        let allowed = format!("from 0 to below the horizon of {horizon_days} days");
        self.checks.number(&self.key("day"), day, (0.0..horizon_days).contains(&day), &allowed)
    }

    fn days(&self, effect: Effect) -> Result<Option<f64>, ConfigError> {
        let (name, days) = match (self.section.hours, self.section.days) {
            (Some(_), Some(_)) => return Err(self.refuse_whole("hours and days", "one of them")),
            (Some(hours), None) => ("hours", hours / 24.0),
            (None, Some(days)) => ("days", days),
            (None, None) if matches!(effect, Effect::CommonFactor(_)) => {
                return Err(self.refuse_whole("no time", "given days or hours: common_factor_sd is of a sum over them"));
            }
            (None, None) => return Ok(None),
        };
        let is_allowed = days.is_finite() && (days > 0.0 || days == 0.0 && !effect.takes_time());
        let allowed = match (effect.lasts(), effect.takes_time()) {
            (true, _) => "a finite number > 0, or left out: to the end",
            (false, true) => "a finite number > 0",
            (false, false) => "a finite number >= 0",
        };
        let given = if name == "hours" { 24.0 * days } else { days };
        self.checks.number(&self.key(name), given, is_allowed, allowed)?;
        Ok(Some(days))
    }

    fn effect(&self) -> Result<Effect, ConfigError> {
        let effects = self.effects();
        let [effect] = effects[..] else {
            return Err(self.refuse_whole(format!("{} effects", effects.len()), EFFECTS));
        };
        let name = key_of(effect);
        match effect {
            Effect::FlowTao(tao) | Effect::RootStakeTao(tao) => self.checks.finite(&self.key(name), tao)?,
            Effect::PoolFraction(change) | Effect::TaoUsd(change) | Effect::RootStakeFraction(change) => {
                let is_allowed = change > -1.0 && change <= CHANGE_MAX;
                let allowed = format!("above -1 and at most {CHANGE_MAX}");
                self.checks.number(&self.key(name), change, is_allowed, &allowed)?
            }
            Effect::CommonFactor(size) | Effect::CommonJump(size) => self.between(name, size, -SHIFT_MAX, SHIFT_MAX)?,
            Effect::StakeFraction(change) => self.between(name, change, -SELLABLE_PART, 0.0)?,
            Effect::Registrations(factor) | Effect::Revenue(factor) => self.between(name, factor, 0.0, CHANGE_MAX)?,
            Effect::Sales(_, part) => self.checks.fraction(&self.key(name), part)?,
            Effect::Freeze if self.section.freeze == Some(false) => return Err(self.refuse(name, false, "true")),
            Effect::Freeze => 1.0,
        };
        Ok(effect)
    }

    /// Those given.
    fn effects(&self) -> Vec<Effect> {
        let section = self.section;
        let sales = |seller| move |part| Effect::Sales(seller, part);
        let all = [
            section.flow_tao.map(Effect::FlowTao),
            section.pool_fraction.map(Effect::PoolFraction),
            section.stake_fraction.map(Effect::StakeFraction),
            section.freeze.map(|_| Effect::Freeze),
            section.tao_usd_change.map(Effect::TaoUsd),
            section.common_factor_sd.map(Effect::CommonFactor),
            section.common_jump.map(Effect::CommonJump),
            section.root_stake_tao.map(Effect::RootStakeTao),
            section.root_stake_change.map(Effect::RootStakeFraction),
            section.registration_factor.map(Effect::Registrations),
            section.revenue_factor.map(Effect::Revenue),
            section.owner_sales.map(sales(Seller::Owner)),
            section.miner_sales.map(sales(Seller::Miner)),
            section.validator_sales.map(sales(Seller::Validator)),
        ];
        all.into_iter().flatten().collect()
    }

    /// TAO can only come from where there are some: wallets, the targets' pools, root.
    fn check_flow(&self, effect: Effect, targets: &Targets) -> Result<(), ConfigError> {
        let start = self.start;
        let pools_tao = |is_struck: &dyn Fn(&SubnetState) -> bool| {
            start.subnets.iter().filter(|subnet| is_struck(subnet)).fold(0.0, |sum, subnet| sum + subnet.reserve_tao)
        };
        let is_known = matches!(targets.choice, Choice::All | Choice::Slots(_));
        let (value, there_tao) = match effect {
            Effect::FlowTao(tao) => (tao, pools_tao(&|subnet| !is_known || targets.name(subnet.netuid.slot()))),
            Effect::RootStakeTao(tao) => (tao, start.root_stake_tao),
            _ => return Ok(()),
        };
        let wallets_tao = start.issuance_tao - pools_tao(&|_| true) - start.root_stake_tao;
        let allowed = format!(
            "from -{there_tao:.0} to {wallets_tao:.0}: at the start {there_tao:.0} TAO are there, {wallets_tao:.0} in wallets"
        );
        let is_possible = value > -there_tao && value <= wallets_tao;
        self.checks.number(&self.key(key_of(effect)), value, is_possible, &allowed).map(|_| ())
    }

    fn targets_given(&self) -> usize {
        let section = self.section;
        let counted = [section.top.is_some(), section.near_prune.is_some(), section.holdings.is_some()];
        let named = [section.netuids.is_some(), section.sector.is_some(), section.all.is_some()];
        counted.into_iter().chain(named).filter(|given| *given).count()
    }

    fn no_targets(&self) -> Result<Targets, ConfigError> {
        if self.targets_given() > 0 || self.section.except.is_some() {
            return Err(self.refuse_whole("a target", "without a target: only flows, freezes and revenue have one"));
        }
        Ok(Targets::default())
    }

    fn targets(&self, effect: Effect) -> Result<Targets, ConfigError> {
        let choice = self.choice()?;
        let except = self.section.except.as_deref().map_or(Ok(Vec::new()), |netuids| self.slots("except", netuids))?;
        let targets = Targets { choice, except };
        let earns = |revenue: &RevenueParams| targets.name(revenue.subnet.netuid.slot());
        if matches!(effect, Effect::Revenue(_)) && !self.revenue.iter().any(earns) {
            return Err(
                self.refuse_whole("no revenue to change", "one of netuids, sector, holdings, all with [[revenue]]")
            );
        }
        Ok(targets)
    }

    fn choice(&self) -> Result<Choice, ConfigError> {
        let section = self.section;
        if self.targets_given() != 1 {
            return Err(self.refuse_whole(format!("{} targets", self.targets_given()), TARGETS));
        }
        let is_true = |name: &str, given: Option<bool>| match given {
            Some(false) => Err(self.refuse(name, false, "true")),
            _ => Ok(()),
        };
        is_true("all", section.all)?;
        is_true("holdings", section.holdings)?;
        let count = |name: &str, value: i64| {
            let most = self.start.subnets.len() as u64;
            self.checks.whole(&self.key(name), value, 1, most).map(|count| count as usize)
        };
        Ok(match (&section.netuids, &section.sector, section.top, section.near_prune, section.holdings) {
            (Some(netuids), ..) => Choice::Slots(self.slots("netuids", netuids)?),
            (_, Some(sector), ..) => Choice::Slots(self.of_sector(sector)?),
            (_, _, Some(value), ..) => Choice::Top(count("top", value)?),
            (_, _, _, Some(value), _) => Choice::NearPrune(count("near_prune", value)?),
            (_, _, _, _, Some(_)) => Choice::Slots(self.holdings()),
            (None, None, None, None, None) => Choice::All,
        })
    }

    /// Slots of a list of netuids, ascending.
    fn slots(&self, name: &str, netuids: &[i64]) -> Result<Vec<u16>, ConfigError> {
        if netuids.is_empty() {
            return Err(self.refuse(name, "[]", "a list of at least one netuid, such as [3, 39, 81]"));
        }
        let mut slots = Vec::with_capacity(netuids.len());
        for &netuid in netuids {
            let found = self.start.subnets.iter().find(|subnet| i64::from(subnet.netuid.0) == netuid);
            let subnet = found.ok_or_else(|| self.refuse(name, netuid, "netuids of subnets of the snapshot"))?;
            slots.push(subnet.netuid.slot() as u16);
        }
        slots.sort_unstable();
        match slots.windows(2).any(|pair| pair[0] == pair[1]) {
            true => Err(self.refuse(name, format!("{netuids:?}"), "each netuid once")),
            false => Ok(slots),
        }
    }

    fn of_sector(&self, sector: &str) -> Result<Vec<u16>, ConfigError> {
        let tagged = self.checks.file.subnets.iter();
        let members = tagged.filter(|subnet| subnet.sector.as_deref() == Some(sector));
        let netuids: Vec<i64> = members.map(|subnet| subnet.netuid).collect();
        if netuids.is_empty() {
            return Err(self.refuse("sector", format!("{sector:?}"), "a sector that a table of [[subnets]] names"));
        }
        self.slots("sector", &netuids)
    }

    fn holdings(&self) -> Vec<u16> {
        let mut slots: Vec<u16> = self.book.positions.iter().map(|position| position.netuid.slot() as u16).collect();
        slots.sort_unstable();
        slots
    }
}

/// The key that sets an effect.
fn key_of(effect: Effect) -> &'static str {
    match effect {
        Effect::FlowTao(_) => "flow_tao",
        Effect::PoolFraction(_) => "pool_fraction",
        Effect::StakeFraction(_) => "stake_fraction",
        Effect::Freeze => "freeze",
        Effect::TaoUsd(_) => "tao_usd_change",
        Effect::CommonFactor(_) => "common_factor_sd",
        Effect::CommonJump(_) => "common_jump",
        Effect::RootStakeTao(_) => "root_stake_tao",
        Effect::RootStakeFraction(_) => "root_stake_change",
        Effect::Registrations(_) => "registration_factor",
        Effect::Revenue(_) => "revenue_factor",
        Effect::Sales(Seller::Owner, _) => "owner_sales",
        Effect::Sales(Seller::Miner, _) => "miner_sales",
        Effect::Sales(Seller::Validator, _) => "validator_sales",
    }
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

    /// The one shock of a table with these lines.
    fn shock(lines: &str) -> ShockParams {
        load(&format!("[[shocks]]\n{lines}\n")).unwrap().model.shocks.remove(0)
    }

    #[test]
    fn without_shocks_a_scenario_says_nothing_of_them() {
        let scenario = load("").unwrap();
        assert!(scenario.model.shocks.is_empty());
        assert!(!scenario.to_toml().contains("shocks") && scenario.to_json().get("shocks").is_none());
    }

    #[test]
    fn effects_are_read() {
        let cases = [
            ("netuids = [64]\nflow_tao = 2740", Effect::FlowTao(2_740.0)),
            ("top = 10\npool_fraction = -0.3", Effect::PoolFraction(-0.3)),
            ("netuids = [4]\nstake_fraction = -0.2", Effect::StakeFraction(-0.2)),
            ("all = true\nfreeze = true", Effect::Freeze),
            ("tao_usd_change = -0.6", Effect::TaoUsd(-0.6)),
            ("days = 9\ncommon_factor_sd = -3", Effect::CommonFactor(-3.0)),
            ("common_jump = -1.7", Effect::CommonJump(-1.7)),
            ("root_stake_tao = 100000", Effect::RootStakeTao(100_000.0)),
            ("root_stake_change = -0.1", Effect::RootStakeFraction(-0.1)),
            ("registration_factor = 20", Effect::Registrations(20.0)),
            ("owner_sales = 0.5", Effect::Sales(Seller::Owner, 0.5)),
            ("miner_sales = 1", Effect::Sales(Seller::Miner, 1.0)),
            ("validator_sales = 0", Effect::Sales(Seller::Validator, 0.0)),
        ];
        for (lines, expected) in cases {
            assert_eq!(shock(&format!("day = 1\n{lines}")).effect, expected, "{lines}");
        }
        let earns =
            "[[revenue]]\nnetuid = 64\nmedian_usd_per_day = 100\n[[shocks]]\nday = 1\nall = true\nrevenue_factor = 0\n";
        assert_eq!(load(earns).unwrap().model.shocks[0].effect, Effect::Revenue(0.0));
    }

    #[test]
    fn times_are_read() {
        let times = |lines: &str| {
            let ShockParams { day, days, hazard_per_day, probability, .. } =
                shock(&format!("miner_sales = 1\n{lines}"));
            (day, days, hazard_per_day, probability)
        };
        assert_eq!(times("day = 3\nhours = 9"), (3.0, Some(0.375), None, 1.0));
        assert_eq!(times("day = 3\ndays = 9\nprobability = 0.2"), (3.0, Some(9.0), None, 0.2));
        assert_eq!(times("hazard_per_day = 0.05"), (0.0, None, Some(0.05), 1.0));
        assert_eq!(shock("name = \"a run\"\nday = 0\nminer_sales = 1").name, "a run");
    }

    #[test]
    fn targets_are_found() {
        let targets = |lines: &str| shock(&format!("day = 0\npool_fraction = -0.3\n{lines}")).targets;
        assert_eq!(targets("netuids = [64, 4]").choice, Choice::Slots(vec![3, 63]));
        assert_eq!(targets("all = true\nexcept = [64]"), Targets { choice: Choice::All, except: vec![63] });
        assert_eq!(
            [targets("top = 10").choice, targets("near_prune = 3").choice],
            [Choice::Top(10), Choice::NearPrune(3)]
        );
        let Choice::Slots(held) = targets("holdings = true").choice else { panic!("slots of the first book") };
        assert!(held.len() == 10 && held.is_sorted());
        let in_sector = "[[subnets]]\nnetuid = 64\nsector = \"compute\"\n[[shocks]]\nday = 0\nfreeze = true\nsector = \"compute\"\n";
        assert_eq!(load(in_sector).unwrap().model.shocks[0].targets.choice, Choice::Slots(vec![63]));
    }

    #[test]
    fn a_shock_is_part_of_what_a_scenario_is() {
        let text = "[[shocks]]\nday = 3\nhours = 9\nnetuids = [64]\nflow_tao = 2740\n";
        let scenario = load(text).unwrap();
        assert_ne!(scenario.hash(), load("").unwrap().hash());
        let again = load(&scenario.to_toml()).unwrap();
        assert_eq!((again.hash(), &again.model.shocks), (scenario.hash(), &scenario.model.shocks));
        let from_json = Scenario::from_json("manifest", &scenario.to_json(), &Overrides::default()).unwrap();
        assert_eq!(from_json.model.shocks, scenario.model.shocks);
    }

    #[test]
    fn shocks_that_cannot_be_are_refused_with_their_line() {
        let cases = [
            (
                "day = 1\nnetuids = [999]\nflow_tao = 1",
                "netuids = 999 (must be netuids of subnets of the snapshot) in my.toml:3",
            ),
            ("day = 1\nnetuids = [4, 4]\nflow_tao = 1", "netuids = [4, 4] (must be each netuid once) in my.toml:3"),
            ("day = 1\nnetuids = []\nflow_tao = 1", "netuids = [] (must be a list of at least one netuid,"),
            ("day = 1\nall = true\nexcept = [999]\nfreeze = true", "except = 999 (must be netuids of subnets"),
            ("day = 90\nminer_sales = 1", "day = 90 (must be from 0 to below the horizon of 90 days) in my.toml:2"),
            ("day = nan\nminer_sales = 1", "day = NaN (must be from 0 to below"),
            ("day = 1\nnetuids = [64]\nflow_tao = -1e9", "flow_tao = -1000000000 (must be from -"),
            ("day = 1\nnetuids = [64]\nflow_tao = 2e7", "flow_tao = 20000000 (must be from -"),
            ("day = 1\nroot_stake_tao = 2e7", "root_stake_tao = 20000000 (must be from -"),
            (
                "day = 1\nall = true\npool_fraction = -1",
                "pool_fraction = -1 (must be above -1 and at most 1000) in my.toml:4",
            ),
            (
                "day = 1\nall = true\nstake_fraction = 0.1",
                "stake_fraction = 0.1 (must be from -0.999 to 0) in my.toml:4",
            ),
            ("day = 1\ndays = 0\ncommon_factor_sd = -1", "days = 0 (must be a finite number > 0) in"),
            ("day = 1\ndays = 2\ncommon_factor_sd = -101", "common_factor_sd = -101 (must be from -100 to 100)"),
            ("day = 1\nminer_sales = 1.5", "miner_sales = 1.5 (must be from 0 to 1)"),
            ("day = 1\nregistration_factor = -1", "registration_factor = -1 (must be from 0 to 1000)"),
            ("day = 1\nall = true\nfreeze = false", "freeze = false (must be true)"),
            ("day = 1\nholdings = false\nfreeze = true", "holdings = false (must be true)"),
            ("day = 1\ntop = 0\nfreeze = true", "top = 0 (must be a whole number from 1 to 128)"),
            ("day = 1\nsector = \"x\"\nfreeze = true", "sector = \"x\" (must be a sector that"),
            ("day = 1\ndays = 0\nminer_sales = 1", "days = 0 (must be a finite number > 0, or left out: to the end)"),
            ("day = 1\nhours = -3\ntao_usd_change = 1", "hours = -3 (must be a finite number >= 0)"),
            ("hazard_per_day = 0\nminer_sales = 1", "hazard_per_day = 0 (must be above 0 and at most 1000)"),
            ("day = 1\nprobability = 2\nminer_sales = 1", "probability = 2 (must be from 0 to 1)"),
        ];
        for (lines, expected) in cases {
            let message = load(&format!("[[shocks]]\n{lines}\n")).expect_err(lines).to_string();
            assert!(message.contains(&format!("shocks[0].{expected}")), "{lines}: {message}");
        }
        let of_tables = [
            ("miner_sales = 1", "no day (must be given a day or hazard_per_day)"),
            ("day = 1\nflow_tao = 1", "0 targets (must be one of netuids,"),
            ("day = 1\nall = true\ntop = 3\nflow_tao = 1", "2 targets (must be one of netuids,"),
            ("day = 1\nall = true", "0 effects (must be one of flow_tao,"),
            ("day = 1\nall = true\nfreeze = true\nflow_tao = 1", "2 effects (must be one of flow_tao,"),
            ("day = 1\nall = true\ntao_usd_change = -0.5", "a target (must be without a target"),
            (
                "day = 1\ncommon_factor_sd = -1",
                "no time (must be given days or hours: common_factor_sd is of a sum over",
            ),
            ("day = 1\nhours = 1\ndays = 1\nminer_sales = 1", "hours and days (must be one of them)"),
            ("day = 1\nall = true\nrevenue_factor = 0", "no revenue to change (must be one of netuids,"),
        ];
        for (lines, expected) in of_tables {
            let message = load(&format!("[[shocks]]\n{lines}\n")).expect_err(lines).to_string();
            assert!(message.contains(&format!("shocks[0] = {expected}")), "{lines}: {message}");
        }
        let message = load("[[shocks]]\nday = 1\nspeed = 3\n").expect_err("an unknown key").to_string();
        assert!(message.starts_with("my.toml:3: unknown key `shocks[0].speed`"), "{message}");
    }
}
