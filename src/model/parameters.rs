//! Every parameter of chance and behaviour by its key in a scenario: where it stands, and what it may be.

use crate::model::params::ModelParams;

/// Smallest value that stands for "above 0" where a draw would go below.
const POSITIVE_MIN: f64 = 1e-9;

/// What a parameter may be; the ranges that `config` checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Any finite number.
    Finite,
    /// Above 0.
    Positive,
    /// At least 0.
    NotNegative,
    /// 0 to 1.
    Fraction,
    /// -1 to 1.
    Correlation,
    /// Jumps per day: 0 to 100.
    JumpRate,
    /// Above 0, at most 80: its exponential fits single precision.
    LogCap,
}

impl Range {
    /// The least and the largest value.
    pub fn bounds(self) -> (f64, f64) {
        match self {
            Self::Finite => (-f64::MAX, f64::MAX),
            Self::Positive => (POSITIVE_MIN, f64::MAX),
            Self::NotNegative => (0.0, f64::MAX),
            Self::Fraction => (0.0, 1.0),
            Self::Correlation => (-1.0, 1.0),
            Self::JumpRate => (0.0, 100.0),
            Self::LogCap => (POSITIVE_MIN, 80.0),
        }
    }

    /// The nearest value within.
    pub fn clip(self, value: f64) -> f64 {
        let (least, largest) = self.bounds();
        value.clamp(least, largest)
    }
}

/// A parameter that can be read and set by its key.
#[derive(Debug)]
pub struct Parameter {
    /// Key in a scenario.
    pub key: &'static str,
    /// What it may be.
    pub range: Range,
    get: fn(&ModelParams) -> f64,
    set: fn(&mut ModelParams, f64),
}

impl Parameter {
    /// The parameter with this key; `None` if there is none.
    pub fn named(key: &str) -> Option<&'static Self> {
        PARAMETERS.iter().find(|parameter| parameter.key == key)
    }

    /// Its value.
    pub fn get(&self, params: &ModelParams) -> f64 {
        (self.get)(params)
    }

    /// Gives it the value nearest to `value` that it may have.
    pub fn set(&self, params: &mut ModelParams, value: f64) {
        (self.set)(params, self.range.clip(value));
    }
}

macro_rules! parameters {
    ($($key:literal $range:ident $($field:ident).+ $([$part:literal].$of_part:ident)?;)+) => {
        /// All of them, in the order of `configs/base.toml`.
        pub static PARAMETERS: &[Parameter] = &[$(Parameter {
            key: $key,
            range: Range::$range,
            get: |params| params.$($field).+$([$part].$of_part)?,
            set: |params, value| params.$($field).+$([$part].$of_part)? = value,
        }),+];
    };
}

parameters! {
    "flow.scale_median" NotNegative flow.scale_median;
    "flow.scale_sd_log" NotNegative flow.scale_sd_log;
    "flow.size_exponent" Finite flow.size_exponent;
    "flow.age_exponent" Finite flow.age_exponent;
    "flow.age_floor_days" Positive flow.age_floor_days;
    "flow.reserve_floor_tao" Positive flow.reserve_floor_tao;
    "flow.drift_per_day" Finite flow.drift_per_day;
    "flow.volatility_cap" Positive flow.volatility_cap;
    "flow.loading_mean" Correlation flow.loading_mean;
    "flow.loading_sd" NotNegative flow.loading_sd;
    "flow.flow_cap" LogCap flow.flow_cap;
    "flow.stake_floor" Fraction flow.stake_floor;
    "flow.volatility_fast.sd_log" NotNegative flow.volatility[0].sd_log;
    "flow.volatility_fast.half_life_days" Positive flow.volatility[0].half_life_days;
    "flow.volatility_slow.sd_log" NotNegative flow.volatility[1].sd_log;
    "flow.volatility_slow.half_life_days" Positive flow.volatility[1].half_life_days;
    "flow.jumps.rate_per_day" JumpRate flow.jumps.rate_per_day;
    "flow.jumps.up_probability" Fraction flow.jumps.up_probability;
    "flow.jumps.up_mean" NotNegative flow.jumps.up_mean;
    "flow.jumps.down_mean" NotNegative flow.jumps.down_mean;
    "flow.common_jump.rate_per_day" JumpRate flow.common_jump.rate_per_day;
    "flow.common_jump.up_probability" Fraction flow.common_jump.up_probability;
    "flow.common_jump.up_mean" NotNegative flow.common_jump.up_mean;
    "flow.common_jump.down_mean" NotNegative flow.common_jump.down_mean;
    "sales.owner" Fraction sales.owner;
    "sales.miner" Fraction sales.miner;
    "sales.validator" Fraction sales.validator;
    "sales.root_swap_fraction" Fraction sales.root_swap_fraction;
    "sales.root_claim_delay_days" Positive sales.root_claim_delay_days;
    "tao_usd.drift_per_day" Finite tao_usd.drift_per_day;
    "tao_usd.volatility_per_sqrt_day" NotNegative tao_usd.volatility_per_sqrt_day;
    "tao_usd.jump_rate_per_day" JumpRate tao_usd.jump_rate_per_day;
    "tao_usd.jump_mean" Finite tao_usd.jump_mean;
    "tao_usd.jump_sd" NotNegative tao_usd.jump_sd;
    "tao_usd.correlation_with_flow" Correlation tao_usd.correlation_with_flow;
    "registration.hazard_per_day" NotNegative registration.hazard_per_day;
    "registration.elasticity" NotNegative registration.elasticity;
    "registration.willingness_median_tao" Positive registration.willingness_median_tao;
    "registration.willingness_sd_log" NotNegative registration.willingness_sd_log;
    "registration.willingness_half_life_days" Positive registration.willingness_half_life_days;
    "registration.willingness_start_tao" Positive registration.willingness_start_tao;
    "entrants.never_start_probability" Fraction entrants.never_start_probability;
    "entrants.never_start_probability_incumbent" Fraction entrants.never_start_probability_incumbent;
    "entrants.start_delay_mean_days" NotNegative entrants.start_delay_mean_days;
    "entrants.enable_delay_mean_days" NotNegative entrants.enable_delay_mean_days;
    "entrants.burn_all_probability" Fraction entrants.burn_all_probability;
}
