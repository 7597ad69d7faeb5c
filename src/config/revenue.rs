//! Subnets with revenue as a scenario has them: `[[revenue]]`.

use serde::Deserialize;
use serde::Serialize;

use crate::config::ConfigError;
use crate::config::checks::Checks;
use crate::model::revenue::CampaignParams;
use crate::model::revenue::PayoutPeg;
use crate::model::revenue::RevenueParams;
use crate::protocol::state::SubnetState;
use crate::units::SubnetId;

/// One table of `[[revenue]]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RevenueSection {
    pub netuid: Option<i64>,
    pub registered_at: Option<i64>,
    pub median_usd_per_day: f64,
    pub sd_log: f64,
    pub half_life_days: Option<f64>,
    pub start_usd_per_day: Option<f64>,
    pub campaign_rate_per_day: f64,
    pub campaign_budget_median_usd: f64,
    pub campaign_budget_sd_log: f64,
    pub campaign_spend_days: Option<f64>,
    pub stop_day: Option<f64>,
    pub margin: f64,
    pub buyback: f64,
    pub payout_usd_per_day: Option<f64>,
    pub payout_of_revenue: Option<f64>,
    pub creator_sale_fraction: Option<f64>,
}

/// Revenue of `subnets`, those of the snapshot.
///
/// # Errors
/// A subnet that is not there or that stands twice, a value out of its range, a key that another one needs.
pub(super) fn revenue(checks: &Checks<'_>, subnets: &[SubnetState]) -> Result<Vec<RevenueParams>, ConfigError> {
    let mut all: Vec<RevenueParams> = Vec::new();
    for (index, section) in checks.file.revenue.iter().enumerate() {
        let table = Table { checks, index, section };
        let params = table.read(subnets)?;
        if let Some(first) = all.iter().position(|other| other.subnet == params.subnet) {
            let place = checks.origins.of(&format!("revenue[{first}].netuid"));
            let allowed = format!("a subnet that no other [[revenue]] has; that in {place} has it");
            return Err(table.refuse("netuid", params.subnet.netuid.0, &allowed));
        }
        all.push(params);
    }
    Ok(all)
}

struct Table<'a> {
    checks: &'a Checks<'a>,
    index: usize,
    section: &'a RevenueSection,
}

impl Table<'_> {
    fn key(&self, name: &str) -> String {
        format!("revenue[{}].{name}", self.index)
    }

    fn refuse(&self, name: &str, value: impl ToString, allowed: &str) -> ConfigError {
        self.checks.refuse(&self.key(name), value, allowed)
    }

    /// The error for a key that is not there.
    fn missing(&self, name: &str, allowed: &str) -> ConfigError {
        self.checks.refuse(&format!("revenue[{}]", self.index), format!("no {name}"), allowed)
    }

    fn read(&self, subnets: &[SubnetState]) -> Result<RevenueParams, ConfigError> {
        let Self { checks, section, .. } = *self;
        let not_negative = |name, value| checks.not_negative(&self.key(name), value);
        let fraction = |name, value| checks.fraction(&self.key(name), value);
        let median_usd_per_day = not_negative("median_usd_per_day", section.median_usd_per_day)?;
        let start_usd_per_day = section.start_usd_per_day.unwrap_or(median_usd_per_day);
        Ok(RevenueParams {
            subnet: self.subnet(subnets)?,
            median_usd_per_day,
            sd_log: not_negative("sd_log", section.sd_log)?,
            half_life_days: self.half_life_days()?,
            start_usd_per_day: self.start_usd_per_day(start_usd_per_day)?,
            campaigns: self.campaigns()?,
            stop_day: section.stop_day.map_or(Ok(f64::INFINITY), |day| not_negative("stop_day", day))?,
            margin: fraction("margin", section.margin)?,
            buyback: fraction("buyback", section.buyback)?,
            peg: self.peg()?,
            creator_sale_fraction: section
                .creator_sale_fraction
                .map(|part| fraction("creator_sale_fraction", part))
                .transpose()?,
        })
    }

    fn subnet(&self, subnets: &[SubnetState]) -> Result<SubnetId, ConfigError> {
        let Self { section, .. } = *self;
        let netuid = section.netuid.ok_or_else(|| self.missing("netuid", "given the netuid of a subnet"))?;
        let found = subnets.iter().find(|subnet| i64::from(subnet.netuid.0) == netuid);
        let subnet = found.ok_or_else(|| self.refuse("netuid", netuid, "a subnet of the snapshot"))?;
        let registered_at = subnet.registered_at;
        match section.registered_at {
            Some(block) if u64::try_from(block) != Ok(registered_at) => {
                let allowed = format!("{registered_at}, the snapshot's; the subnet may be another in the same slot");
                Err(self.refuse("registered_at", block, &allowed))
            }
            _ => Ok(SubnetId { netuid: subnet.netuid, registered_at }),
        }
    }

    /// Without chance and with a start at the median any half-life is the same.
    fn half_life_days(&self) -> Result<f64, ConfigError> {
        let is_needed = self.section.sd_log > 0.0 || self.section.start_usd_per_day.is_some();
        match self.section.half_life_days {
            Some(days) => self.checks.positive(&self.key("half_life_days"), days),
            None if is_needed => Err(self.missing("half_life_days", "given one with sd_log or start_usd_per_day")),
            None => Ok(1.0),
        }
    }

    fn start_usd_per_day(&self, value: f64) -> Result<f64, ConfigError> {
        if self.section.median_usd_per_day == 0.0 && value > 0.0 {
            return Err(self.refuse("start_usd_per_day", value, "left out where median_usd_per_day is 0"));
        }
        let is_allowed = value.is_finite() && (value > 0.0 || self.section.median_usd_per_day == 0.0);
        self.checks.number(&self.key("start_usd_per_day"), value, is_allowed, "a finite number > 0")
    }

    fn campaigns(&self) -> Result<CampaignParams, ConfigError> {
        let Self { checks, section, .. } = *self;
        let rate_per_day = checks.jump_rate(&self.key("campaign_rate_per_day"), section.campaign_rate_per_day)?;
        let spend_days = match section.campaign_spend_days {
            Some(days) => checks.positive(&self.key("campaign_spend_days"), days)?,
            None if rate_per_day > 0.0 => {
                return Err(self.missing("campaign_spend_days", "given them with campaign_rate_per_day"));
            }
            None => 1.0,
        };
        Ok(CampaignParams {
            rate_per_day,
            budget_median_usd: checks
                .not_negative(&self.key("campaign_budget_median_usd"), section.campaign_budget_median_usd)?,
            budget_sd_log: checks.not_negative(&self.key("campaign_budget_sd_log"), section.campaign_budget_sd_log)?,
            spend_days,
        })
    }

    fn peg(&self) -> Result<Option<PayoutPeg>, ConfigError> {
        let (fixed, part) = (self.section.payout_usd_per_day, self.section.payout_of_revenue);
        let peg = PayoutPeg {
            usd_per_day: self.checks.not_negative(&self.key("payout_usd_per_day"), fixed.unwrap_or(0.0))?,
            of_revenue: self.checks.fraction(&self.key("payout_of_revenue"), part.unwrap_or(0.0))?,
        };
        Ok((fixed.is_some() || part.is_some()).then_some(peg))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::ConfigError;
    use crate::config::scenario::Overrides;
    use crate::config::scenario::Scenario;
    use crate::model::revenue::PayoutPeg;
    use crate::units::NetUid;

    fn load(text: &str) -> Result<Scenario, ConfigError> {
        Scenario::from_text("my.toml", text, Path::new(""), &Overrides::default())
    }

    #[test]
    fn keys_left_out_are_nothing() {
        let scenario = load("[[revenue]]\nnetuid = 93\nmedian_usd_per_day = 50\npayout_of_revenue = 0.7").unwrap();
        let [revenue] = &scenario.model.revenue[..] else { panic!("one subnet: {:?}", scenario.model.revenue) };
        assert_eq!((revenue.subnet.netuid, revenue.subnet.registered_at), (NetUid(93), 5_370_681));
        assert_eq!((revenue.start_usd_per_day, revenue.stop_day), (50.0, f64::INFINITY));
        assert_eq!(revenue.peg, Some(PayoutPeg { usd_per_day: 0.0, of_revenue: 0.7 }));
        assert_eq!((revenue.campaigns.rate_per_day, revenue.creator_sale_fraction), (0.0, None));
    }

    #[test]
    fn complete_toml_holds_the_tables() {
        let text = "[root_stake]\ndrift_per_day = 0.001\n[[revenue]]\nnetuid = 93\nbuyback = 1\n[[revenue]]\nnetuid = 64\n\
                    sd_log = 0.5\nhalf_life_days = 9\nstop_day = 30\nmedian_usd_per_day = 10\ncreator_sale_fraction = 1";
        let scenario = load(text).unwrap();
        let again = load(&scenario.to_toml()).unwrap();
        assert_eq!((again.hash(), &again.model), (scenario.hash(), &scenario.model));
        assert_ne!(load("").unwrap().hash(), scenario.hash());
        assert!(load("").unwrap().model.revenue.is_empty());
    }

    #[test]
    fn values_that_do_not_fit_are_refused_with_their_place() {
        let cases = [
            ("netuid = 200", "revenue[0].netuid = 200 (must be a subnet of the snapshot) in my.toml:2"),
            ("buyback = 1", "revenue[0] = no netuid (must be given the netuid of a subnet) in my.toml:1"),
            (
                "netuid = 93\n[[revenue]]\nnetuid = 93",
                "revenue[1].netuid = 93 (must be a subnet that no other [[revenue]] has; that in my.toml:2 has it) in my.toml:4",
            ),
            (
                "netuid = 93\nregistered_at = 7",
                "revenue[0].registered_at = 7 (must be 5370681, the snapshot's; the subnet may be another in the same \
                 slot) in my.toml:3",
            ),
            ("netuid = 93\nmargin = 1.5", "revenue[0].margin = 1.5 (must be from 0 to 1) in my.toml:3"),
            ("netuid = 93\nbuyback = nan", "revenue[0].buyback = NaN (must be from 0 to 1) in my.toml:3"),
            (
                "netuid = 93\nmedian_usd_per_day = -1",
                "revenue[0].median_usd_per_day = -1 (must be a finite number >= 0) in my.toml:3",
            ),
            (
                "netuid = 93\nsd_log = 1",
                "revenue[0] = no half_life_days (must be given one with sd_log or start_usd_per_day) in my.toml:1",
            ),
            (
                "netuid = 93\nhalf_life_days = 0",
                "revenue[0].half_life_days = 0 (must be a finite number > 0) in my.toml:3",
            ),
            (
                "netuid = 93\nhalf_life_days = 1\nstart_usd_per_day = 5",
                "revenue[0].start_usd_per_day = 5 (must be left out where median_usd_per_day is 0) in my.toml:4",
            ),
            (
                "netuid = 93\ncampaign_rate_per_day = 0.1",
                "revenue[0] = no campaign_spend_days (must be given them with campaign_rate_per_day) in my.toml:1",
            ),
            (
                "netuid = 93\npayout_of_revenue = 2",
                "revenue[0].payout_of_revenue = 2 (must be from 0 to 1) in my.toml:3",
            ),
            ("netuid = 93\nbudget = 2", "my.toml:3: unknown key `revenue[0].budget` (allowed: netuid,"),
            (
                "netuid = 93\n[root_stake]\nhalf_life_days = -1",
                "root_stake.half_life_days = -1 (must be a finite number >= 0) in my.toml:4",
            ),
        ];
        for (text, expected) in cases {
            let message = load(&format!("[[revenue]]\n{text}")).expect_err("a refusal").to_string();
            assert!(message.starts_with(expected), "{text:?}: {message}");
        }
    }
}
