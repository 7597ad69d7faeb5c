//! Ranges of single keys, and the typed parameters that pass them.

use crate::config::ConfigError;
use crate::config::behaviour;
use crate::config::file::Origins;
use crate::config::file::ScenarioFile;
use crate::model::params::EntrantParams;
use crate::model::params::FlowParams;
use crate::model::params::JumpParams;
use crate::model::params::ModelParams;
use crate::model::params::RegistrationParams;
use crate::model::params::SaleParams;
use crate::model::params::TaoUsdParams;
use crate::model::params::ValidatorParams;
use crate::model::params::VolatilityPart;
use crate::model::root_stake::RootStakeParams;

/// Largest block number, and number of blocks, that is believed: 380 years of chain.
const BLOCK_MAX: u64 = 1_000_000_000;

/// Largest intensity of jumps (per day): they are drawn from tables that grow with it.
pub(super) const JUMP_RATE_MAX: f64 = 100.0;

/// A scenario as written, with where each key was set.
#[derive(Clone, Copy)]
pub(super) struct Checks<'a> {
    pub file: &'a ScenarioFile,
    pub origins: &'a Origins,
}

/// The value of a key that passes a rule of [`Checks`], with the key's path spelled once.
macro_rules! checked {
    ($checks:ident . $rule:ident ( $section:ident $(. $key:ident)+ $(, $bound:expr)* )) => {
        $checks.$rule(
            concat!(stringify!($section) $(, ".", stringify!($key))+),
            $checks.file.$section$(.$key)+
            $(, $bound)*
        )?
    };
}
pub(super) use checked;

impl Checks<'_> {
    /// The error for a key whose value is not allowed.
    pub fn refuse(&self, key: &str, value: impl ToString, allowed: impl Into<String>) -> ConfigError {
        let origin = self.origins.of(key).to_owned();
        ConfigError::Value { key: key.to_owned(), value: value.to_string(), allowed: allowed.into(), origin }
    }

    /// A number for which `is_allowed` holds.
    pub fn number(&self, key: &str, value: f64, is_allowed: bool, allowed: &str) -> Result<f64, ConfigError> {
        if is_allowed { Ok(value) } else { Err(self.refuse(key, value, allowed)) }
    }

    /// Any finite number.
    pub fn finite(&self, key: &str, value: f64) -> Result<f64, ConfigError> {
        self.number(key, value, value.is_finite(), "a finite number")
    }

    /// A finite number above 0.
    pub fn positive(&self, key: &str, value: f64) -> Result<f64, ConfigError> {
        self.number(key, value, value.is_finite() && value > 0.0, "a finite number > 0")
    }

    /// A finite number, at least 0.
    pub fn not_negative(&self, key: &str, value: f64) -> Result<f64, ConfigError> {
        self.number(key, value, value.is_finite() && value >= 0.0, "a finite number >= 0")
    }

    /// A number of jumps per day.
    pub fn jump_rate(&self, key: &str, value: f64) -> Result<f64, ConfigError> {
        let is_allowed = (0.0..=JUMP_RATE_MAX).contains(&value);
        self.number(key, value, is_allowed, &format!("from 0 to {JUMP_RATE_MAX}"))
    }

    /// A log move whose exponential single precision holds.
    pub fn log_cap(&self, key: &str, value: f64) -> Result<f64, ConfigError> {
        self.number(key, value, value > 0.0 && value <= 80.0, "above 0 and at most 80")
    }

    /// A fraction or probability.
    pub fn fraction(&self, key: &str, value: f64) -> Result<f64, ConfigError> {
        self.number(key, value, (0.0..=1.0).contains(&value), "from 0 to 1")
    }

    /// A correlation or factor loading.
    pub fn correlation(&self, key: &str, value: f64) -> Result<f64, ConfigError> {
        self.number(key, value, (-1.0..=1.0).contains(&value), "from -1 to 1")
    }

    /// A whole number from `min` to `max`.
    pub fn whole(&self, key: &str, value: i64, min: u64, max: u64) -> Result<u64, ConfigError> {
        match u64::try_from(value) {
            Ok(value) if (min..=max).contains(&value) => Ok(value),
            _ => Err(self.refuse(key, value, format!("a whole number from {min} to {max}"))),
        }
    }

    /// A block, or a number of blocks.
    pub fn blocks(&self, key: &str, value: i64) -> Result<u64, ConfigError> {
        self.whole(key, value, 0, BLOCK_MAX)
    }

    /// Distinct numbers in ascending order, each above `low` and below `high`.
    pub fn levels(&self, key: &str, values: &[f64], low: f64, high: f64) -> Result<Vec<f64>, ConfigError> {
        let allowed = format!("above {low} and below {high}");
        let mut levels = Vec::with_capacity(values.len());
        for &value in values {
            levels.push(self.number(key, value, value > low && value < high, &allowed)?);
        }
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        Ok(levels)
    }
}

/// Parameters of chance and behaviour that need no snapshot; [`behaviour::complete`] adds the others.
pub(super) fn model_params(checks: &Checks<'_>) -> Result<ModelParams, ConfigError> {
    Ok(ModelParams {
        flow: flow_params(checks)?,
        sales: SaleParams {
            owner: checked!(checks.fraction(sales.owner)),
            miner: checked!(checks.fraction(sales.miner)),
            validator: checked!(checks.fraction(sales.validator)),
            root_swap_fraction: checked!(checks.fraction(sales.root_swap_fraction)),
            root_claim_delay_days: checked!(checks.positive(sales.root_claim_delay_days)),
        },
        tao_usd: TaoUsdParams {
            drift_per_day: checked!(checks.finite(tao_usd.drift_per_day)),
            volatility_per_sqrt_day: checked!(checks.not_negative(tao_usd.volatility_per_sqrt_day)),
            jump_rate_per_day: checked!(checks.jump_rate(tao_usd.jump_rate_per_day)),
            jump_mean: checked!(checks.finite(tao_usd.jump_mean)),
            jump_sd: checked!(checks.not_negative(tao_usd.jump_sd)),
            correlation_with_flow: checked!(checks.correlation(tao_usd.correlation_with_flow)),
        },
        registration: RegistrationParams {
            hazard_per_day: checked!(checks.not_negative(registration.hazard_per_day)),
            elasticity: checked!(checks.not_negative(registration.elasticity)),
            willingness_median_tao: checked!(checks.positive(registration.willingness_median_tao)),
            willingness_sd_log: checked!(checks.not_negative(registration.willingness_sd_log)),
            willingness_half_life_days: checked!(checks.positive(registration.willingness_half_life_days)),
            willingness_start_tao: checked!(checks.positive(registration.willingness_start_tao)),
        },
        entrants: EntrantParams {
            never_start_probability: checked!(checks.fraction(entrants.never_start_probability)),
            never_start_probability_incumbent: checked!(checks.fraction(entrants.never_start_probability_incumbent)),
            start_delay_mean_days: checked!(checks.not_negative(entrants.start_delay_mean_days)),
            enable_delay_mean_days: checked!(checks.not_negative(entrants.enable_delay_mean_days)),
            burn_all_probability: checked!(checks.fraction(entrants.burn_all_probability)),
        },
        validators: ValidatorParams {
            spread_sd_log: checked!(checks.not_negative(validators.spread_sd_log)),
            noise_sd_log: checked!(checks.not_negative(validators.noise_sd_log)),
            noise_half_life_days: checked!(checks.positive(validators.noise_half_life_days)),
            dividend_factor: checked!(checks.not_negative(validators.dividend_factor)),
            dividend_factor_day: checked!(checks.not_negative(validators.dividend_factor_day)),
        },
        feedback: behaviour::feedback(checks)?,
        // Refers to the snapshot: read with it.
        revenue: Vec::new(),
        root_stake: RootStakeParams {
            drift_per_day: checked!(checks.finite(root_stake.drift_per_day)),
            sd_log_per_sqrt_day: checked!(checks.not_negative(root_stake.sd_log_per_sqrt_day)),
            half_life_days: checked!(checks.not_negative(root_stake.half_life_days)),
        },
        subnets: Vec::new(),
        clusters: Vec::new(),
        market: None,
        shocks: Vec::new(),
    })
}

fn flow_params(checks: &Checks<'_>) -> Result<FlowParams, ConfigError> {
    let fast = VolatilityPart {
        sd_log: checked!(checks.not_negative(flow.volatility_fast.sd_log)),
        half_life_days: checked!(checks.positive(flow.volatility_fast.half_life_days)),
    };
    let slow = VolatilityPart {
        sd_log: checked!(checks.not_negative(flow.volatility_slow.sd_log)),
        half_life_days: checked!(checks.positive(flow.volatility_slow.half_life_days)),
    };
    Ok(FlowParams {
        scale_median: checked!(checks.not_negative(flow.scale_median)),
        scale_sd_log: checked!(checks.not_negative(flow.scale_sd_log)),
        size_exponent: checked!(checks.finite(flow.size_exponent)),
        age_exponent: checked!(checks.finite(flow.age_exponent)),
        age_floor_days: checked!(checks.positive(flow.age_floor_days)),
        reserve_floor_tao: checked!(checks.positive(flow.reserve_floor_tao)),
        drift_per_day: checked!(checks.finite(flow.drift_per_day)),
        volatility: [fast, slow],
        volatility_cap: checked!(checks.positive(flow.volatility_cap)),
        jumps: JumpParams {
            rate_per_day: checked!(checks.jump_rate(flow.jumps.rate_per_day)),
            up_probability: checked!(checks.fraction(flow.jumps.up_probability)),
            up_mean: checked!(checks.not_negative(flow.jumps.up_mean)),
            down_mean: checked!(checks.not_negative(flow.jumps.down_mean)),
        },
        common_jump: JumpParams {
            rate_per_day: checked!(checks.jump_rate(flow.common_jump.rate_per_day)),
            up_probability: checked!(checks.fraction(flow.common_jump.up_probability)),
            up_mean: checked!(checks.not_negative(flow.common_jump.up_mean)),
            down_mean: checked!(checks.not_negative(flow.common_jump.down_mean)),
        },
        loading_mean: checked!(checks.correlation(flow.loading_mean)),
        loading_sd: checked!(checks.not_negative(flow.loading_sd)),
        sector_loading: checked!(checks.correlation(flow.sector_loading)),
        flow_cap: checked!(checks.log_cap(flow.flow_cap)),
        stake_floor: checked!(checks.fraction(flow.stake_floor)),
    })
}
