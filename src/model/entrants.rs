//! Who enters a slot, and when subnets start and are enabled.

use crate::model::params::EntrantParams;
use crate::model::params::FlowParams;
use crate::model::params::SubnetParams;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;

use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Largest absolute loading of an entrant on the common factor: the own part keeps a third of the variance.
const LOADING_MAX: f64 = 0.8;

/// How a subnet's flow scales, fixed for its life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nature {
    /// Log of the daily scale `s`.
    pub log_scale: f64,
    /// Loading on the common factor.
    pub loading: f64,
    /// Loading on the factor of its sector; 0 where it has none.
    pub sector_loading: f64,
}

impl Nature {
    /// What a snapshot's subnet is taken for: the median one (MODEL 2.1), but for what its `own` parameters say.
    pub fn of_incumbent(flow: &FlowParams, own: Option<&SubnetParams>) -> Self {
        let has_sector = own.is_some_and(|own| own.sector.is_some());
        Self {
            log_scale: math::ln(own.and_then(|own| own.scale).unwrap_or(flow.scale_median)),
            loading: own.and_then(|own| own.loading).unwrap_or(flow.loading_mean),
            sector_loading: if has_sector { flow.sector_loading } else { 0.0 },
        }
    }

    /// One of those that enter, from two standard normals.
    #[inline(always)]
    pub fn drawn(flow: &FlowParams, normals: [f64; 2]) -> Self {
        let loading = flow.loading_mean + flow.loading_sd * normals[1];
        Self {
            log_scale: math::ln(flow.scale_median) + flow.scale_sd_log * normals[0],
            loading: loading.clamp(-LOADING_MAX, LOADING_MAX),
            sector_loading: 0.0,
        }
    }
}

/// When a subnet starts and is enabled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delays {
    /// Blocks from registration (incumbents: from the snapshot) to start_call; `None`: never.
    pub start_blocks: Option<f64>,
    /// Blocks from start_call (started incumbents: from the snapshot) to emission enabling.
    pub enable_blocks: f64,
}

/// Behaviour of an entrant, drawn once for its life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Character {
    /// How its flow scales.
    pub nature: Nature,
    /// Withheld part of miner emission.
    pub miner_burned: f64,
    /// Log-volatility parts at the start, from their stationary law.
    pub log_volatility: [f64; 2],
    /// When it starts and is enabled.
    pub delays: Delays,
}

/// Draws the entrant of registration `ordinal` of a path.
#[inline(always)]
pub fn draw_entrant(flow: &FlowParams, params: &EntrantParams, seed: u64, path: u32, ordinal: u32) -> Character {
    let words = |index| rng::words(seed, Address { path, step: ordinal, slot: 0, purpose: Purpose::Entrant, index });
    let normals = rng::normals4(words(0));
    let uniforms = words(1).map(rng::open_unit);
    let burn = rng::open_unit(words(2)[0]);
    Character {
        nature: Nature::drawn(flow, [normals[0], normals[1]]),
        miner_burned: if burn < params.burn_all_probability { 1.0 } else { 0.0 },
        log_volatility: [flow.volatility[0].sd_log * normals[2], flow.volatility[1].sd_log * normals[3]],
        delays: delays(params, params.never_start_probability, uniforms),
    }
}

/// Draws the delays of a snapshot's subnet that is not started or not enabled.
#[inline(always)]
pub fn draw_incumbent_delays(params: &EntrantParams, seed: u64, path: u32, slot: usize) -> Delays {
    let address = Address { path, step: 0, slot: slot as u32, purpose: Purpose::Incumbent, index: 0 };
    let uniforms = rng::words(seed, address).map(rng::open_unit);
    delays(params, params.never_start_probability_incumbent, uniforms)
}

#[inline(always)]
fn delays(params: &EntrantParams, never: f64, uniforms: [f64; 4]) -> Delays {
    let [decides, start, enable, _] = uniforms;
    Delays {
        start_blocks: (decides >= never).then(|| exponential_blocks(params.start_delay_mean_days, start)),
        enable_blocks: exponential_blocks(params.enable_delay_mean_days, enable),
    }
}

#[inline(always)]
fn exponential_blocks(mean_days: f64, uniform: f64) -> f64 {
    mean_days * BLOCKS_PER_DAY as f64 * rng::exponential(uniform)
}
