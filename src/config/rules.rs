//! The chain's rules of a scenario: by name, by key, and the switches between them.

use crate::config::ConfigError;
use crate::config::checks::Checks;
use crate::config::checks::checked;
use crate::config::file::Origins;
use crate::config::file::ProtocolSection;
use crate::config::file::ScenarioFile;
use crate::config::file::SwitchSection;
use crate::model::switches::RuleSwitch;
use crate::model::switches::SwitchTime;
use crate::protocol::params::HillGateParams;
use crate::protocol::params::ProtocolParams;
use crate::protocol::params::TaoFlowParams;
use crate::protocol::rule_names::RuleVersion;
use crate::protocol::upgrades;
use crate::protocol::upgrades::Change;
use crate::units::BLOCKS_PER_DAY;
use crate::units::SLOT_CAPACITY;

/// Largest steepness of the Hill gate.
const HILL_EXPONENT_MAX: u64 = 64;
/// Largest power of a flow.
const FLOW_EXPONENT_MAX: f64 = 16.0;
/// Most switches of a scenario.
const SWITCHES_MAX: usize = 64;
const RULE_NAMES: &str =
    "\"current\", a runtime such as \"spec 348\", or a day from 2025-02-13 on such as \"2025-11-20\"";

/// Gives the keys of `[protocol]` that the scenario leaves alone the values of the rules it names.
pub(super) fn name_rules(file: &mut ScenarioFile, origins: &mut Origins) -> Result<(), ConfigError> {
    let name = file.protocol.rules.clone();
    if origins.is_built_in("protocol.rules") {
        return Ok(());
    }
    let checks = Checks { file, origins };
    let params = named_rules(&checks, "protocol.rules", &name)?;
    let origin = format!("protocol.rules = {name:?}");
    let section = &mut file.protocol;
    fill(section, &params, |key| {
        let key = format!("protocol.{key}");
        let is_open = origins.is_built_in(&key);
        if is_open {
            origins.set(&key, &origin);
        }
        is_open
    });
    Ok(())
}

/// Writes the rules into the keys for which `is_open` holds.
fn fill(section: &mut ProtocolSection, params: &ProtocolParams, mut is_open: impl FnMut(&str) -> bool) {
    macro_rules! fill {
        ($($key:ident = $value:expr;)+) => { $(if is_open(stringify!($key)) { section.$key = $value; })+ };
    }
    fill! {
        share_rule = params.share_rule.name().to_owned();
        hill_rank = params.hill_gate.rank as i64;
        hill_quantile = params.hill_gate.quantile;
        hill_exponent = i64::from(params.hill_gate.exponent);
        flow_smoothing = params.tao_flow.smoothing;
        flow_cutoff_tao = params.tao_flow.cutoff_tao;
        flow_exponent = params.tao_flow.exponent;
        injection_rule = params.injection_rule.name().to_owned();
        root_rule = params.root_rule.name().to_owned();
        pool_rule = params.pool_rule.name().to_owned();
        dissolve_rule = params.dissolve_rule.name().to_owned();
        seed_rule = params.seed_rule.name().to_owned();
        tao_weight = params.tao_weight;
        owner_cut = params.owner_cut;
        fee_rate = params.fee_rate;
        moving_price_smoothing = params.moving_price_smoothing;
        moving_price_age_blocks = params.moving_price_age_blocks;
        lock_cost_min_tao = params.lock_cost_min_tao;
        lock_reduction_interval_blocks = params.lock_reduction_interval_blocks as i64;
        registration_rate_limit_blocks = params.registration_rate_limit_blocks as i64;
        immunity_period_blocks = params.immunity_period_blocks as i64;
        start_call_delay_blocks = params.start_call_delay_blocks as i64;
        entrants_enabled = params.entrants_enabled;
        subnet_limit = params.subnet_limit as i64;
        tao_in_refund_block = params.tao_in_refund_block as i64;
        registration_start_block = params.registration_start_block as i64;
    }
}

/// The chain's rules and hyperparameters at the start.
pub(super) fn protocol_params(checks: &Checks<'_>) -> Result<ProtocolParams, ConfigError> {
    let section = &checks.file.protocol;
    let named = named_rules(checks, "protocol.rules", &section.rules)?;
    Ok(ProtocolParams {
        share_rule: version(checks, "protocol.share_rule", &section.share_rule)?,
        injection_rule: version(checks, "protocol.injection_rule", &section.injection_rule)?,
        root_rule: version(checks, "protocol.root_rule", &section.root_rule)?,
        pool_rule: version(checks, "protocol.pool_rule", &section.pool_rule)?,
        dissolve_rule: version(checks, "protocol.dissolve_rule", &section.dissolve_rule)?,
        seed_rule: version(checks, "protocol.seed_rule", &section.seed_rule)?,
        epoch_schedule: named.epoch_schedule,
        hill_gate: HillGateParams {
            rank: hill_rank(checks, "protocol.hill_rank", section.hill_rank)?,
            quantile: checked!(checks.fraction(protocol.hill_quantile)),
            exponent: hill_exponent(checks, "protocol.hill_exponent", section.hill_exponent)?,
        },
        tao_flow: TaoFlowParams {
            smoothing: checked!(checks.fraction(protocol.flow_smoothing)),
            cutoff_tao: checked!(checks.finite(protocol.flow_cutoff_tao)),
            exponent: flow_exponent(checks, "protocol.flow_exponent", section.flow_exponent)?,
        },
        tao_weight: checked!(checks.fraction(protocol.tao_weight)),
        owner_cut: checked!(checks.fraction(protocol.owner_cut)),
        fee_rate: checked!(checks.fraction(protocol.fee_rate)),
        moving_price_smoothing: checked!(checks.fraction(protocol.moving_price_smoothing)),
        moving_price_age_blocks: checked!(checks.not_negative(protocol.moving_price_age_blocks)),
        lock_cost_min_tao: checked!(checks.positive(protocol.lock_cost_min_tao)),
        lock_reduction_interval_blocks: checked!(checks.blocks(protocol.lock_reduction_interval_blocks)),
        registration_rate_limit_blocks: checked!(checks.blocks(protocol.registration_rate_limit_blocks)),
        immunity_period_blocks: checked!(checks.blocks(protocol.immunity_period_blocks)),
        start_call_delay_blocks: checked!(checks.blocks(protocol.start_call_delay_blocks)),
        entrants_enabled: section.entrants_enabled,
        subnet_limit: subnet_limit(checks, "protocol.subnet_limit", section.subnet_limit)?,
        tao_in_refund_block: checked!(checks.blocks(protocol.tao_in_refund_block)),
        registration_start_block: checked!(checks.blocks(protocol.registration_start_block)),
    })
}

/// The changes of rules that may come; `subnets`: those of the snapshot, `start_block`: its block.
pub(super) fn switches(checks: &Checks<'_>, start_block: u64, subnets: usize) -> Result<Vec<RuleSwitch>, ConfigError> {
    let sections = &checks.file.switches;
    if sections.len() > SWITCHES_MAX {
        return Err(checks.refuse("switches", format!("{} tables", sections.len()), format!("at most {SWITCHES_MAX}")));
    }
    let switch = |(index, section)| Switch { checks, index, section }.read(start_block, subnets);
    sections.iter().enumerate().map(switch).collect()
}

/// One table of `[[switches]]`.
struct Switch<'a> {
    checks: &'a Checks<'a>,
    index: usize,
    section: &'a SwitchSection,
}

impl Switch<'_> {
    fn key(&self, name: &str) -> String {
        format!("switches[{}].{name}", self.index)
    }

    fn read(&self, start_block: u64, subnets: usize) -> Result<RuleSwitch, ConfigError> {
        let probability = self.section.probability.unwrap_or(1.0);
        let probability = self.checks.fraction(&self.key("probability"), probability)?;
        let switch = RuleSwitch { time: self.time(start_block)?, probability, changes: self.changes()? };
        if switch.changes.is_empty() {
            let allowed = "`rules` or one of the keys of [protocol] that may change, with its new value";
            return Err(self.checks.refuse(&format!("switches[{}]", self.index), "nothing changed", allowed));
        }
        for change in &switch.changes {
            if let Change::SubnetLimit(limit) = change
                && *limit < subnets
            {
                let allowed = format!("at least {subnets}, the subnets of the snapshot: a lower limit removes none");
                return Err(self.checks.refuse(&self.key("subnet_limit"), limit, allowed));
            }
        }
        Ok(switch)
    }

    fn time(&self, start_block: u64) -> Result<SwitchTime, ConfigError> {
        match (self.section.day, self.section.block, self.section.hazard_per_day) {
            (Some(day), None, None) => {
                let day = self.checks.not_negative(&self.key("day"), day)?;
                Ok(SwitchTime::Block(start_block + (day * BLOCKS_PER_DAY as f64).ceil() as u64))
            }
            (None, Some(block), None) => Ok(SwitchTime::Block(self.checks.blocks(&self.key("block"), block)?)),
            (None, None, Some(rate)) => {
                Ok(SwitchTime::Hazard(self.checks.positive(&self.key("hazard_per_day"), rate)?))
            }
            _ => Err(self.checks.refuse(
                &format!("switches[{}]", self.index),
                "no time, or two",
                "given exactly one of `day` (after the start), `block` and `hazard_per_day`",
            )),
        }
    }

    /// Named rules first, then single keys.
    fn changes(&self) -> Result<Vec<Change>, ConfigError> {
        let (checks, section) = (self.checks, self.section);
        let mut changes = Vec::new();
        if let Some(name) = &section.rules {
            changes.extend(Change::to(&named_rules(checks, &self.key("rules"), name)?));
        }
        macro_rules! change {
            ($($key:ident => $change:ident($read:expr);)+) => {
                $(if let Some(value) = &section.$key {
                    changes.push(Change::$change($read(checks, &self.key(stringify!($key)), value)?));
                })+
            };
        }
        change! {
            share_rule => ShareRule(version);
            hill_rank => HillRank(|c, k: &str, v: &i64| hill_rank(c, k, *v));
            hill_quantile => HillQuantile(|c: &Checks<'_>, k: &str, v: &f64| c.fraction(k, *v));
            hill_exponent => HillExponent(|c, k: &str, v: &i64| hill_exponent(c, k, *v));
            flow_smoothing => FlowSmoothing(|c: &Checks<'_>, k: &str, v: &f64| c.fraction(k, *v));
            flow_cutoff_tao => FlowCutoff(|c: &Checks<'_>, k: &str, v: &f64| c.finite(k, *v));
            flow_exponent => FlowExponent(|c, k: &str, v: &f64| flow_exponent(c, k, *v));
            injection_rule => InjectionRule(version);
            root_rule => RootRule(version);
            pool_rule => PoolRule(version);
            dissolve_rule => DissolveRule(version);
            seed_rule => SeedRule(version);
            tao_weight => TaoWeight(|c: &Checks<'_>, k: &str, v: &f64| c.fraction(k, *v));
            owner_cut => OwnerCut(|c: &Checks<'_>, k: &str, v: &f64| c.fraction(k, *v));
            lock_cost_min_tao => LockCostMin(|c: &Checks<'_>, k: &str, v: &f64| c.positive(k, *v));
            lock_reduction_interval_blocks => LockReductionInterval(|c: &Checks<'_>, k: &str, v: &i64| c.blocks(k, *v));
            registration_rate_limit_blocks => RegistrationRateLimit(|c: &Checks<'_>, k: &str, v: &i64| c.blocks(k, *v));
            immunity_period_blocks => ImmunityPeriod(|c: &Checks<'_>, k: &str, v: &i64| c.blocks(k, *v));
            start_call_delay_blocks => StartCallDelay(|c: &Checks<'_>, k: &str, v: &i64| c.blocks(k, *v));
            entrants_enabled => EntrantsEnabled(|_: &Checks<'_>, _: &str, v: &bool| Ok::<bool, ConfigError>(*v));
            subnet_limit => SubnetLimit(|c, k: &str, v: &i64| subnet_limit(c, k, *v));
        }
        Ok(changes)
    }
}

fn named_rules(checks: &Checks<'_>, key: &str, name: &str) -> Result<ProtocolParams, ConfigError> {
    upgrades::params_named(name).ok_or_else(|| checks.refuse(key, format!("{name:?}"), RULE_NAMES))
}

fn version<R: RuleVersion>(checks: &Checks<'_>, key: &str, name: &str) -> Result<R, ConfigError> {
    let names = || R::ALL.iter().map(|version| format!("{:?}", version.name())).collect::<Vec<String>>().join(", ");
    R::from_name(name).ok_or_else(|| checks.refuse(key, format!("{name:?}"), format!("one of {}", names())))
}

fn hill_rank(checks: &Checks<'_>, key: &str, value: i64) -> Result<usize, ConfigError> {
    Ok(checks.whole(key, value, 1, SLOT_CAPACITY as u64)? as usize)
}

fn hill_exponent(checks: &Checks<'_>, key: &str, value: i64) -> Result<u32, ConfigError> {
    Ok(checks.whole(key, value, 1, HILL_EXPONENT_MAX)? as u32)
}

fn flow_exponent(checks: &Checks<'_>, key: &str, value: f64) -> Result<f64, ConfigError> {
    let is_allowed = value > 0.0 && value <= FLOW_EXPONENT_MAX;
    checks.number(key, value, is_allowed, &format!("above 0 and at most {FLOW_EXPONENT_MAX}"))
}

fn subnet_limit(checks: &Checks<'_>, key: &str, value: i64) -> Result<usize, ConfigError> {
    Ok(checks.whole(key, value, 1, SLOT_CAPACITY as u64)? as usize)
}
