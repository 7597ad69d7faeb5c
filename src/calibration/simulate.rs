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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::panel::FlowRow;
    use crate::model::entrants::Nature;
    use crate::model::kernel;
    use crate::model::kernel::BehaviourChunk;
    use crate::model::kernel::CommonFlow;
    use crate::model::kernel::Draw;
    use crate::model::kernel::FlowBuffers;
    use crate::model::kernel::FlowStep;
    use crate::model::params::VolatilityPart;
    use crate::protocol::slots::CHUNK_SLOTS;
    use crate::protocol::slots::ChainChunk;
    use crate::protocol::slots::SlotSingles;
    use crate::simd::Backend;
    use crate::simd::Kernel;
    use crate::simd::Vector;
    use crate::simd::dispatch;
    use crate::units::BLOCKS_PER_DAY;

    const SLOTS: usize = 256;
    const DAYS: usize = 400;
    const RESERVE: f64 = 900.0;
    const AGE: f64 = 120.0;

    /// No common part: then subnets are independent, and errors are those of independent rows of subnets.
    fn params() -> FlowParams {
        let part = |sd_log, half_life_days| VolatilityPart { sd_log, half_life_days };
        let jumps = JumpParams { rate_per_day: 0.2, up_probability: 0.6, up_mean: 2.5, down_mean: 1.5 };
        FlowParams {
            scale_median: 0.02,
            scale_sd_log: 0.0,
            size_exponent: 0.2,
            age_exponent: 0.3,
            age_floor_days: 7.0,
            reserve_floor_tao: 50.0,
            drift_per_day: 0.002,
            volatility: [part(0.5, 2.0), part(0.4, 10.0)],
            volatility_cap: 3.0,
            jumps,
            common_jump: JumpParams { rate_per_day: 0.0, ..jumps },
            loading_mean: 0.0,
            loading_sd: 0.0,
            sector_loading: 0.0,
            flow_cap: 0.4,
            stake_floor: 0.0,
        }
    }

    /// Flows of the engine: every slot the same pool and age each day.
    struct Engine<'a>(&'a FlowParams);

    impl Kernel for Engine<'_> {
        type Output = Vec<Vec<f64>>;

        #[inline(always)]
        fn run<V: Vector>(self) -> Vec<Vec<f64>> {
            let step = FlowStep::new(self.0, BLOCKS_PER_DAY);
            let mut pool = ChainChunk::empty();
            (pool.reserve_tao, pool.started) = ([RESERVE; CHUNK_SLOTS], [1.0; CHUNK_SLOTS]);
            let mut occupant = BehaviourChunk::empty();
            (0..CHUNK_SLOTS).for_each(|lane| occupant.settle(lane, 0, &Nature::median(self.0)));
            let (chain, mut behaviour) = (vec![pool; SLOTS / CHUNK_SLOTS], vec![occupant; SLOTS / CHUNK_SLOTS]);
            step.draw_volatility::<V>(2, 0, &mut behaviour);
            let (mut buffers, mut growth) = (FlowBuffers::default(), SlotSingles::zero());
            let mut flows = vec![Vec::new(); SLOTS];
            for day in 0..DAYS {
                let draw = Draw { seed: 2, path: 0, step: day as u32, block: AGE * BLOCKS_PER_DAY as f64 };
                let common = CommonFlow { factor: 0.0, jump: 0.0 };
                kernel::flow_draws::<V>(&step, draw, common, &chain, &mut behaviour, &mut buffers, &mut growth);
                flows.iter_mut().enumerate().for_each(|(slot, flows)| flows.push(f64::from(growth.get(slot)).ln_1p()));
            }
            flows
        }
    }

    fn of_panel(params: &FlowParams) -> Vec<Vec<f64>> {
        let row = |subnet: usize, day: usize| FlowRow {
            subnet: subnet as u32,
            day: day as u32,
            days: 1.0,
            reserve_tao: RESERVE,
            age_days: AGE,
            flow: 0.0,
            known: 0.0,
        };
        let rows = (0..SLOTS).flat_map(|subnet| (0..DAYS).map(move |day| row(subnet, day))).collect();
        let panel = FlowPanel { subnets: Vec::new(), rows };
        simulate_flows(&panel, params, 3, 0).chunks(DAYS).map(<[f64]>::to_vec).collect()
    }

    /// Mean over subnets of a subnet's mean, and its error.
    fn mean(flows: &[Vec<f64>], of: impl Fn(&[f64]) -> f64) -> (f64, f64) {
        let means: Vec<f64> = flows.iter().map(|flows| of(flows)).collect();
        let n = means.len() as f64;
        let mean = means.iter().sum::<f64>() / n;
        (mean, (means.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n * (n - 1.0))).sqrt())
    }

    #[test]
    fn the_law_is_that_of_the_engine() {
        let params = params();
        let (engine, panel) = (dispatch(Backend::detect(), Engine(&params)), of_panel(&params));
        let alike = |name: &str, of: &dyn Fn(&[f64]) -> f64| {
            let ((a, a_error), (b, b_error)) = (mean(&engine, of), mean(&panel, of));
            let distance = (a - b) / a_error.hypot(b_error);
            assert!(distance.abs() < 4.0, "{name}: {a} and {b}, {distance} standard errors apart");
        };
        let share =
            |flows: &[f64], is: &dyn Fn(f64) -> bool| flows.iter().filter(|f| is(**f)).count() as f64 / DAYS as f64;
        for edge in [-0.3, -0.15, -0.08, -0.04, -0.02, -0.01, 0.0, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.399] {
            alike(&format!("share above {edge}"), &|flows| share(flows, &|f| f > edge));
        }
        for lag in [1, 4, 12] {
            let product = |flows: &[f64]| flows.windows(lag + 1).map(|w| (w[0] * w[lag]).abs()).sum::<f64>();
            alike(&format!("products at lag {lag}"), &|flows| product(flows) / (DAYS - lag) as f64);
        }
    }
}
