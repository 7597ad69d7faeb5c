//! Shocks of a scenario: `[[shocks]]`, checked against the snapshot, the books and the horizon.

use serde::Deserialize;
use serde::Serialize;

use crate::config::ConfigError;
use crate::config::checks::Checks;
use crate::model::shocks::ShockKind;
use crate::model::shocks::ShockParams;
use crate::portfolio::position::Book;
use crate::protocol::state::SubnetState;

/// Largest relative change of a pool, of TAO/USD or of root stake.
const CHANGE_MAX: f64 = 1_000.0;
/// Largest outflow, as a part of the TAO in the pools.
const OUTFLOW_MAX: f64 = 0.95;
/// What a shock may be.
const EFFECTS: &str = "one of flow_tao, pool_fraction, freeze, tao_usd_change, root_stake_change";
/// Whom it may strike.
const TARGETS: &str = "one of netuids, sector, top, holdings, all";

/// One table of `[[shocks]]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ShockSection {
    pub day: Option<f64>,
    pub hours: f64,
    pub netuids: Option<Vec<i64>>,
    pub sector: Option<String>,
    pub top: Option<i64>,
    pub holdings: Option<bool>,
    pub all: Option<bool>,
    pub flow_tao: Option<f64>,
    pub pool_fraction: Option<f64>,
    pub freeze: Option<bool>,
    pub tao_usd_change: Option<f64>,
    pub root_stake_change: Option<f64>,
}

/// Shocks that strike `subnets` of the snapshot and the holdings of `books`.
///
/// # Errors
/// A time outside the horizon, a target that is not there, no effect or two, a flow that the pools do not hold.
pub(super) fn shocks(
    checks: &Checks<'_>,
    subnets: &[SubnetState],
    books: &[Book],
) -> Result<Vec<ShockParams>, ConfigError> {
    let sections = checks.file.shocks.iter().enumerate();
    sections.map(|(index, section)| Table { checks, index, section, subnets, books }.read()).collect()
}

struct Table<'a> {
    checks: &'a Checks<'a>,
    index: usize,
    section: &'a ShockSection,
    subnets: &'a [SubnetState],
    books: &'a [Book],
}

impl<'a> Table<'a> {
    fn key(&self, name: &str) -> String {
        format!("shocks[{}].{name}", self.index)
    }

    fn refuse(&self, name: &str, value: impl ToString, allowed: impl Into<String>) -> ConfigError {
        self.checks.refuse(&self.key(name), value, allowed)
    }

    /// The error of the table as a whole.
    fn refuse_whole(&self, value: &str, allowed: &str) -> ConfigError {
        self.checks.refuse(&format!("shocks[{}]", self.index), value, allowed)
    }

    fn read(&self) -> Result<ShockParams, ConfigError> {
        let horizon_days = self.checks.file.run.horizon_days;
        let day = self.section.day.ok_or_else(|| self.refuse_whole("no day", "given a day"))?;
        let allowed = format!("from 0 to below the horizon of {horizon_days} days");
        let is_within = (0.0..horizon_days).contains(&day);
        Ok(ShockParams {
            day: self.checks.number(&self.key("day"), day, is_within, &allowed)?,
            days: self.checks.not_negative(&self.key("hours"), self.section.hours)? / 24.0,
            kind: self.kind()?,
        })
    }

    fn kind(&self) -> Result<ShockKind, ConfigError> {
        let section = self.section;
        let of_subnets = section.flow_tao.is_some() || section.pool_fraction.is_some() || section.freeze.is_some();
        let effects = [section.flow_tao, section.pool_fraction, section.tao_usd_change, section.root_stake_change];
        let count = effects.iter().flatten().count() + usize::from(section.freeze.is_some());
        if count != 1 {
            return Err(self.refuse_whole(&format!("{count} effects"), EFFECTS));
        }
        if !of_subnets && self.targets_given() > 0 {
            return Err(self.refuse_whole("a target", "without a target: TAO/USD and root stake have none"));
        }
        match (section.flow_tao, section.pool_fraction, section.tao_usd_change, section.root_stake_change) {
            (Some(flow_tao), ..) => self.flow(flow_tao),
            (_, Some(fraction), ..) => {
                let fraction = self.change("pool_fraction", fraction)?;
                Ok(ShockKind::PoolFraction { slots: self.slots()?, fraction })
            }
            (_, _, Some(change), _) => Ok(ShockKind::TaoUsd(self.change("tao_usd_change", change)?)),
            (_, _, _, Some(change)) => Ok(ShockKind::RootStake(self.change("root_stake_change", change)?)),
            (None, None, None, None) => self.freeze(),
        }
    }

    fn freeze(&self) -> Result<ShockKind, ConfigError> {
        if self.section.freeze == Some(false) {
            return Err(self.refuse("freeze", false, "true"));
        }
        if !(self.section.hours > 0.0) {
            return Err(self.refuse("hours", self.section.hours, "above 0: a freeze lasts"));
        }
        let slots = if self.section.all == Some(true) { None } else { Some(self.slots()?) };
        Ok(ShockKind::Freeze { slots })
    }

    /// TAO for all targets together, shared in proportion to the TAO in their pools at the start.
    fn flow(&self, flow_tao: f64) -> Result<ShockKind, ConfigError> {
        let slots = self.slots()?;
        let struck = || self.subnets.iter().filter(|subnet| slots.contains(&(subnet.netuid.slot() as u16)));
        let pools_tao: f64 = struck().map(|subnet| subnet.reserve_tao).sum();
        let allowed = format!(
            "from {:.0} to {:.0}: the pools hold {pools_tao:.0} TAO",
            -OUTFLOW_MAX * pools_tao,
            CHANGE_MAX * pools_tao
        );
        let is_possible = flow_tao >= -OUTFLOW_MAX * pools_tao && flow_tao <= CHANGE_MAX * pools_tao;
        let flow_tao = self.checks.number(&self.key("flow_tao"), flow_tao, is_possible, &allowed)?;
        let share = |subnet: &SubnetState| flow_tao * (subnet.reserve_tao / pools_tao);
        Ok(ShockKind::FlowTao(struck().map(|subnet| (subnet.netuid.slot() as u16, share(subnet))).collect()))
    }

    fn change(&self, name: &str, fraction: f64) -> Result<f64, ConfigError> {
        let is_possible = fraction >= -OUTFLOW_MAX && fraction <= CHANGE_MAX;
        self.checks.number(&self.key(name), fraction, is_possible, &format!("from -{OUTFLOW_MAX} to {CHANGE_MAX}"))
    }

    fn targets_given(&self) -> usize {
        let section = self.section;
        let given = [section.netuids.is_some(), section.sector.is_some(), section.top.is_some()];
        given.into_iter().chain([section.holdings.is_some(), section.all.is_some()]).filter(|given| *given).count()
    }

    /// Slots of the subnets that it strikes, ascending.
    fn slots(&self) -> Result<Vec<u16>, ConfigError> {
        let section = self.section;
        if self.targets_given() != 1 {
            return Err(self.refuse_whole(&format!("{} targets", self.targets_given()), TARGETS));
        }
        let mut slots = match (&section.netuids, &section.sector, section.top, section.holdings) {
            (Some(netuids), ..) => netuids.iter().map(|netuid| self.slot(*netuid)).collect::<Result<_, _>>()?,
            (_, Some(sector), ..) => self.of_sector(sector)?,
            (_, _, Some(count), _) => self.top(count)?,
            (_, _, _, Some(_)) => self.holdings(),
            (None, None, None, None) => self.subnets.iter().map(|subnet| subnet.netuid.slot() as u16).collect(),
        };
        if slots.is_empty() {
            return Err(self.refuse("netuids", "[]", "a list of at least one netuid, such as [3, 39, 81]"));
        }
        slots.sort_unstable();
        match slots.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(_) => Err(self.refuse(
                "netuids",
                format!("{:?}", section.netuids.iter().flatten().collect::<Vec<_>>()),
                "each named once",
            )),
            None => Ok(slots),
        }
    }

    fn slot(&self, netuid: i64) -> Result<u16, ConfigError> {
        let known = self.subnets.iter().find(|subnet| i64::from(subnet.netuid.0) == netuid);
        let allowed = "netuids of subnets of the snapshot";
        known.map(|subnet| subnet.netuid.slot() as u16).ok_or_else(|| self.refuse("netuids", netuid, allowed))
    }

    fn of_sector(&self, sector: &str) -> Result<Vec<u16>, ConfigError> {
        let sections = &self.checks.file.subnets;
        let members = sections.iter().filter(|subnet| subnet.sector.as_deref() == Some(sector));
        let slots: Vec<u16> = members.map(|subnet| self.slot(subnet.netuid)).collect::<Result<_, _>>()?;
        if slots.is_empty() {
            return Err(self.refuse("sector", format!("{sector:?}"), "a sector that a table of [[subnets]] names"));
        }
        Ok(slots)
    }

    fn top(&self, count: i64) -> Result<Vec<u16>, ConfigError> {
        let count = self.checks.whole(&self.key("top"), count, 1, self.subnets.len() as u64)?;
        let mut subnets: Vec<&SubnetState> = self.subnets.iter().collect();
        subnets.sort_by(|a, b| b.reserve_tao.total_cmp(&a.reserve_tao).then(a.netuid.cmp(&b.netuid)));
        Ok(subnets.iter().take(count as usize).map(|subnet| subnet.netuid.slot() as u16).collect())
    }

    /// What the first book holds at the start.
    fn holdings(&self) -> Vec<u16> {
        self.books[0].positions.iter().map(|position| position.netuid.slot() as u16).collect()
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

    fn shocks_of(text: &str) -> Vec<ShockParams> {
        load(text).unwrap().model.shocks
    }

    #[test]
    fn the_base_has_none() {
        assert!(shocks_of("").is_empty());
    }

    #[test]
    fn a_flow_is_shared_by_the_pools_and_a_target_is_resolved() {
        let shocks = shocks_of("[[shocks]]\nday = 3\nhours = 9\nnetuids = [64, 4]\nflow_tao = 2740\n");
        let ShockKind::FlowTao(flows) = &shocks[0].kind else { panic!("{shocks:?}") };
        assert_eq!((flows.len(), flows[0].0, shocks[0].days), (2, 3, 0.375));
        assert!((flows[0].1 + flows[1].1 - 2740.0).abs() < 1e-9 && flows[0].1 > 0.0);
        let count = |text: &str| match &shocks_of(&format!("[[shocks]]\nday = 0\npool_fraction = -0.3\n{text}"))[0].kind
        {
            ShockKind::PoolFraction { slots, .. } => slots.len(),
            kind => panic!("{kind:?}"),
        };
        assert_eq!(["top = 10", "holdings = true", "all = true"].map(count), [10, 10, 128]);
        let freeze = shocks_of("[[shocks]]\nday = 10\nhours = 240\nfreeze = true\nall = true\n");
        assert_eq!(freeze[0].kind, ShockKind::Freeze { slots: None });
    }

    #[test]
    fn shocks_that_cannot_be_are_refused_with_their_line() {
        let cases = [
            (
                "day = 1\nnetuids = [999]\nflow_tao = 1",
                "shocks[0].netuids = 999 (must be netuids of subnets of the snapshot) in my.toml:3",
            ),
            (
                "day = 90\nall = true\npool_fraction = -0.1",
                "shocks[0].day = 90 (must be from 0 to below the horizon of 90 days) in my.toml:2",
            ),
            ("day = 1\nnetuids = [64]\nflow_tao = -1e9", "shocks[0].flow_tao = -1000000000 (must be from -"),
            (
                "day = 1\nall = true\npool_fraction = -1",
                "shocks[0].pool_fraction = -1 (must be from -0.95 to 1000) in my.toml:4",
            ),
            ("day = 1\nflow_tao = 1", "shocks[0] = 0 targets (must be one of netuids,"),
            ("day = 1\nall = true\ntop = 3\nflow_tao = 1", "shocks[0] = 2 targets (must be one of netuids,"),
            ("day = 1\nall = true", "shocks[0] = 0 effects (must be one of flow_tao,"),
            ("day = 1\nall = true\ntao_usd_change = -0.5", "shocks[0] = a target (must be without a target"),
            ("all = true\nflow_tao = 1", "shocks[0] = no day (must be given a day)"),
            ("day = 1\nall = true\nfreeze = true", "shocks[0].hours = 0 (must be above 0: a freeze lasts)"),
            ("day = 1\nsector = \"x\"\nflow_tao = 1", "shocks[0].sector = \"x\" (must be a sector that"),
            (
                "day = 1\nnetuids = [4, 4]\nflow_tao = 1",
                "shocks[0].netuids = [4, 4] (must be each named once) in my.toml:3",
            ),
        ];
        for (text, expected) in cases {
            let message = load(&format!("[[shocks]]\n{text}\n")).expect_err(text).to_string();
            assert!(message.starts_with(expected), "{text:?}: {message}");
        }
    }

    #[test]
    fn shocks_read_back_from_the_complete_text() {
        let text = "[[shocks]]\nday = 1\nhours = 6\ntop = 3\npool_fraction = -0.3\n[[shocks]]\nday = 2\ntao_usd_change = -0.6\n";
        let scenario = load(text).unwrap();
        let again = load(&scenario.to_toml()).unwrap();
        assert_eq!((scenario.hash(), &scenario.model.shocks), (again.hash(), &again.model.shocks));
    }
}
