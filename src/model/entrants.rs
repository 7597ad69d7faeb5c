//! Who enters a slot, and when subnets start and are enabled.

use crate::model::params::EntrantParams;
use crate::model::params::FlowParams;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;

use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Largest absolute loading of an entrant on the common factor: the own part keeps a third of the variance.
const LOADING_MAX: f64 = 0.8;

/// Behaviour of a subnet, drawn once for its life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Character {
    /// Log of the daily scale `s`.
    pub log_scale: f64,
    /// Loading on the common factor.
    pub loading: f64,
    /// Withheld part of miner emission.
    pub miner_burned: f64,
    /// Log-volatility parts at the start, from their stationary law.
    pub log_volatility: [f64; 2],
    /// Blocks from registration (incumbents: from the snapshot) to start_call; `None`: never.
    pub start_delay_blocks: Option<f64>,
    /// Blocks from start_call (started incumbents: from the snapshot) to emission enabling.
    pub enable_delay_blocks: f64,
}

/// Draws the entrant of registration `ordinal` of a path.
pub fn draw_entrant(flow: &FlowParams, params: &EntrantParams, seed: u64, path: u32, ordinal: u32) -> Character {
    let words = |index| rng::words(seed, Address { path, step: ordinal, slot: 0, purpose: Purpose::Entrant, index });
    let normals = rng::normals4(words(0));
    let uniforms = words(1).map(rng::open_unit);
    let burn = rng::open_unit(words(2)[0]);
    let loading = flow.loading_mean + flow.loading_sd * normals[1];
    Character {
        log_scale: math::ln(flow.scale_median) + flow.scale_sd_log * normals[0],
        loading: loading.clamp(-LOADING_MAX, LOADING_MAX),
        miner_burned: if burn < params.burn_all_probability { 1.0 } else { 0.0 },
        log_volatility: [flow.volatility[0].sd_log * normals[2], flow.volatility[1].sd_log * normals[3]],
        start_delay_blocks: start_delay(params, params.never_start_probability, uniforms[0], uniforms[1]),
        enable_delay_blocks: exponential_blocks(params.enable_delay_mean_days, uniforms[2]),
    }
}

/// Draws what a snapshot does not tell of the subnet in `slot`: volatility, and delays where it is not started or enabled.
///
/// Scale and loading are those of the median subnet (MODEL 2.1); `miner_burned` is the snapshot's.
pub fn draw_incumbent(
    flow: &FlowParams,
    params: &EntrantParams,
    seed: u64,
    path: u32,
    slot: usize,
    miner_burned: f64,
) -> Character {
    let address = |purpose| Address { path, step: 0, slot: slot as u32, purpose, index: 0 };
    let normals = rng::normals4(rng::words(seed, address(Purpose::InitialVolatility)));
    let uniforms = rng::words(seed, address(Purpose::Incumbent)).map(rng::open_unit);
    Character {
        log_scale: math::ln(flow.scale_median),
        loading: flow.loading_mean,
        miner_burned,
        log_volatility: [flow.volatility[0].sd_log * normals[0], flow.volatility[1].sd_log * normals[1]],
        start_delay_blocks: start_delay(params, params.never_start_probability_incumbent, uniforms[0], uniforms[1]),
        enable_delay_blocks: exponential_blocks(params.enable_delay_mean_days, uniforms[2]),
    }
}

fn start_delay(params: &EntrantParams, never: f64, decides: f64, delay: f64) -> Option<f64> {
    (decides >= never).then(|| exponential_blocks(params.start_delay_mean_days, delay))
}

fn exponential_blocks(mean_days: f64, uniform: f64) -> f64 {
    mean_days * BLOCKS_PER_DAY as f64 * rng::exponential(uniform)
}
