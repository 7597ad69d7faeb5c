//! The flow law on the days, pools and ages of a panel: flows that could have been observed instead.
//!
//! The same law as [`crate::model::kernel::flow_draws`], with draws of its own, one subnet after the other, for pools and ages that
//! are given. A row's volatility is that at its end; across a gap it moves on, unseen.

use crate::calibration::layout::Layout;
use crate::calibration::layout::Place;
use crate::calibration::panel::FlowPanel;
use crate::model::jumps::kou_jump;
use crate::model::params::FlowParams;
use crate::model::params::JumpParams;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::simd::math;

/// Largest absolute loading of a subnet, as for entrants of the model.
const LOADING_MAX: f64 = 0.8;
/// Jumps of one row beyond which no more are drawn.
const JUMPS_MAX: u16 = 60;

/// Flows of every row of `panel` under `params`; one replication is one history of all subnets.
///
/// Scales and loadings of the subnets are drawn too, volatilities start from their stationary law.
pub fn simulate_flows(panel: &FlowPanel, params: &FlowParams, seed: u64, replication: u32) -> Vec<f64> {
    simulate(&Layout::new(panel, params), params, seed, replication)
}

pub(crate) fn simulate(layout: &Layout, params: &FlowParams, seed: u64, replication: u32) -> Vec<f64> {
    let draws = Draws { seed, replication };
    let common: Vec<[f64; 2]> = (0..layout.days.len()).map(|day| draws.common(params, day)).collect();
    let mut flows = Vec::with_capacity(layout.places.len());
    for rows in &layout.subnets {
        let places = &layout.places[rows.clone()];
        if let Some(first) = places.first() {
            let mut subnet = Subnet::draw(params, draws, first.subnet);
            flows.extend(places.iter().map(|place| subnet.flow(params, draws, place, common[place.day])));
        }
    }
    flows
}

/// Where the chance of a replication lies.
#[derive(Clone, Copy)]
struct Draws {
    seed: u64,
    replication: u32,
}

impl Draws {
    fn words(self, purpose: Purpose, step: usize, slot: usize, index: u16) -> [u32; 4] {
        let address = Address { path: self.replication, step: step as u32, slot: slot as u32, purpose, index };
        rng::words(self.seed, address)
    }

    fn normals(self, purpose: Purpose, step: usize, slot: usize) -> [f64; 4] {
        rng::normals4(self.words(purpose, step, slot, 0))
    }

    /// Common factor and common jump of a day.
    fn common(self, params: &FlowParams, day: usize) -> [f64; 2] {
        let factor = self.normals(Purpose::GlobalNormals, day, 0)[0];
        [factor, self.jumps(&params.common_jump, 1.0, Purpose::GlobalJumps, day, 0)]
    }

    /// Sum of the jumps of some days, by inversion of their number's law.
    fn jumps(self, law: &JumpParams, days: f64, purpose: Purpose, step: usize, slot: usize) -> f64 {
        let mean = law.rate_per_day * days;
        let uniform = rng::open_unit(self.words(purpose, step, slot, 0)[0]);
        let (mut probability, mut sum) = (math::exp(-mean), 0.0);
        let mut below = probability;
        for number in 1..=JUMPS_MAX {
            if uniform < below {
                break;
            }
            let [decides, size, ..] = self.words(purpose, step, slot, number).map(rng::open_unit);
            sum += kou_jump(decides, size, law);
            probability *= mean / f64::from(number);
            below += probability;
        }
        sum
    }
}

/// A subnet on its way through its rows.
struct Subnet {
    scale: f64,
    loading: f64,
    log_volatility: [f64; 2],
}

impl Subnet {
    fn draw(params: &FlowParams, draws: Draws, subnet: usize) -> Self {
        let [scale, loading, fast, slow] = draws.normals(Purpose::Entrant, 0, subnet);
        Self {
            scale: params.scale_median * math::exp(params.scale_sd_log * scale),
            loading: (params.loading_mean + params.loading_sd * loading).clamp(-LOADING_MAX, LOADING_MAX),
            log_volatility: [params.volatility[0].sd_log * fast, params.volatility[1].sd_log * slow],
        }
    }

    /// Moves the volatility to the end of the row, and draws its flow (MODEL 4.1).
    fn flow(&mut self, params: &FlowParams, draws: Draws, place: &Place, [factor, common_jump]: [f64; 2]) -> f64 {
        let [own, fast, slow, _] = draws.normals(Purpose::SlotNormals, place.day, place.subnet);
        let mut log = 0.0;
        for ((part, law), normal) in self.log_volatility.iter_mut().zip(&params.volatility).zip([fast, slow]) {
            let kept = math::exp(-place.elapsed * std::f64::consts::LN_2 / law.half_life_days);
            *part = kept * *part + law.sd_log * (1.0 - kept * kept).sqrt() * normal;
            log += *part - 0.5 * law.sd_log * law.sd_log;
        }
        let scale = self.scale * math::exp(-params.size_exponent * place.size - params.age_exponent * place.age);
        let diffusion = self.loading * factor + (1.0 - self.loading * self.loading).sqrt() * own;
        let volatility = math::exp(log).min(params.volatility_cap) * place.root_days;
        let jump = draws.jumps(&params.jumps, place.days, Purpose::SlotJump, place.day, place.subnet)
            - params.jumps.mean_per_day() * place.days;
        let shared = if params.loading_mean > 0.0 { self.loading / params.loading_mean } else { 0.0 };
        let common_jump = shared * (common_jump - params.common_jump.mean_per_day() * place.days);
        let flow = params.drift_per_day * place.days + scale * (volatility * diffusion + jump + common_jump);
        let cap = params.flow_cap * place.root_days.max(1.0);
        flow.clamp(-cap, cap)
    }
}
