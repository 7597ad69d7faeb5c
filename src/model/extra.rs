//! Flows beside the organic law: shocks that a few slots share, log moves before the cap, log moves after it.
//!
//! Three passes in place of one, after the draws: [`open_flows`] puts the organic flow together up to the cap, whoever answers to it
//! adds to [`ExtraFlows::drift`], and [`close_flows`] caps. Nothing of this runs where no extra flow is configured.

use crate::model::kernel;
use crate::model::kernel::BehaviourChunk;
use crate::model::kernel::CommonFlow;
use crate::model::kernel::FlowBuffers;
use crate::model::kernel::FlowLaw;
use crate::model::kernel::FlowStep;
use crate::model::kernel::Group;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::SlotSingles;
use crate::simd::Singles;
use crate::simd::Vector;
use crate::simd::single;

/// Largest absolute log move of a step with extra flows: a pool three million times as large. `e^f - 1` keeps above -1 in single
/// precision, so that the limit on sales has a finite reserve to compare with.
const MOVE_MAX: f32 = 15.0;

/// What moves the slots of a path in one step besides the organic law; log moves of the TAO reserve over the step.
///
/// ```text
/// flow = clip(a D + g v sqrt(D) (b Z_F + shared + own Z) + jumps + drift) + moves       own = sqrt(1 - b^2 - c^2)
/// ```
#[derive(Clone, Debug)]
pub struct ExtraFlows {
    /// Shock of the diffusion besides the common factor's and the slot's own: `c` times the factor of a sector.
    pub shared: SlotSingles,
    /// Before the cap: a subnet's own drift, feedback, campaigns.
    pub drift: SlotSingles,
    /// After the cap: buybacks, jumps of a cluster, scripted flows.
    pub moves: SlotSingles,
    /// Organic flow before `drift` and the cap, from [`open_flows`].
    pub organic: SlotSingles,
}

impl Default for ExtraFlows {
    fn default() -> Self {
        let zero = SlotSingles::zero();
        Self { shared: zero.clone(), drift: zero.clone(), moves: zero.clone(), organic: zero }
    }
}

impl ExtraFlows {
    /// No extra flow in any slot.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.shared = SlotSingles::zero();
        self.drift = SlotSingles::zero();
        self.moves = SlotSingles::zero();
    }
}

/// Leaves the organic flow of every slot before the cap in `extra.organic`, from draws as [`kernel::draw_chance`] left them.
#[inline(always)]
pub fn open_flows<V: Vector>(
    step: &FlowStep,
    common: CommonFlow,
    chain: &[ChainChunk],
    behaviour: &[BehaviourChunk],
    buffers: &FlowBuffers,
    extra: &mut ExtraFlows,
) {
    let law = FlowLaw::new(step, common);
    let rows = kernel::behaviour_groups(behaviour).iter().zip(extra.organic.0.as_chunks_mut::<2>().0);
    for (group, (chunks, [first, last])) in rows.take(kernel::groups_of(chain)).enumerate() {
        let shock = kernel::load_group::<V>(&extra.shared, group);
        let flow = law.flow::<V>(group, chunks, buffers, Some(shock));
        V::store_singles(flow.0, first);
        V::store_singles(flow.1, last);
    }
}

/// `growth` becomes `e^f - 1` of the whole flow of each slot.
#[inline(always)]
pub fn close_flows<V: Vector>(step: &FlowStep, chain: &[ChainChunk], extra: &ExtraFlows, growth: &mut SlotSingles) {
    let single = Group::<V>::splat;
    let cap = step.flow_cap();
    let groups = growth.0.as_chunks_mut::<2>().0.iter_mut().take(kernel::groups_of(chain));
    for (group, [first, last]) in groups.enumerate() {
        let flow = kernel::load_group::<V>(&extra.organic, group) + kernel::load_group::<V>(&extra.drift, group);
        let capped = single(cap).min(single(-cap).max(flow)) + kernel::load_group::<V>(&extra.moves, group);
        let grown = single::exp_m1(single(MOVE_MAX).min(single(-MOVE_MAX).max(capped)));
        V::store_singles(grown.0, first);
        V::store_singles(grown.1, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entrants::Nature;
    use crate::model::kernel::Draw;
    use crate::model::kernel::flow_draws;
    use crate::model::params::FlowParams;
    use crate::model::params::JumpParams;
    use crate::model::params::VolatilityPart;
    use crate::simd::Backend;
    use crate::simd::Kernel;
    use crate::simd::dispatch;
    use crate::units::BLOCKS_PER_DAY;

    const SLOTS: usize = 64;

    fn params() -> FlowParams {
        let jumps = JumpParams { rate_per_day: 0.5, up_probability: 0.5, up_mean: 2.0, down_mean: 1.0 };
        FlowParams {
            scale_median: 0.02,
            scale_sd_log: 0.0,
            size_exponent: 0.1,
            age_exponent: 0.2,
            age_floor_days: 7.0,
            reserve_floor_tao: 50.0,
            drift_per_day: 0.01,
            volatility: [VolatilityPart { sd_log: 0.5, half_life_days: 3.0 }; 2],
            volatility_cap: 8.0,
            jumps,
            common_jump: jumps,
            loading_mean: 0.3,
            loading_sd: 0.0,
            sector_loading: 0.4,
            flow_cap: 0.05,
            stake_floor: 0.0,
        }
    }

    /// Flows with `extra`, and those of the organic law alone on the same draws.
    struct Both<'a>(&'a FlowStep, &'a mut ExtraFlows);

    impl Kernel for Both<'_> {
        type Output = [SlotSingles; 2];

        #[inline(always)]
        fn run<V: Vector>(self) -> [SlotSingles; 2] {
            let Self(step, extra) = self;
            let chain = vec![ChainChunk::empty(); SLOTS / 8];
            let mut behaviour = vec![BehaviourChunk::empty(); SLOTS / 8];
            for (i, chunk) in behaviour.iter_mut().enumerate() {
                for lane in 0..8 {
                    let nature = Nature { log_scale: -4.0, loading: 0.1 * i as f64, sector_loading: 0.0 };
                    chunk.settle(lane, 1_000, &nature);
                }
            }
            let mut plain_behaviour = behaviour.clone();
            let draw = Draw { seed: 3, path: 1, step: 4, block: 2e6 };
            let common = CommonFlow { factor: 0.4, jump: 1.0 };
            let mut buffers = FlowBuffers::default();
            let (mut growth, mut plain) = (SlotSingles::zero(), SlotSingles::zero());
            flow_draws::<V>(step, draw, common, &chain, &mut plain_behaviour, &mut buffers, &mut plain);
            kernel::draw_chance::<V>(step, draw, &chain, &mut behaviour, &mut buffers);
            open_flows::<V>(step, common, &chain, &behaviour, &buffers, extra);
            close_flows::<V>(step, &chain, extra, &mut growth);
            [growth, plain]
        }
    }

    fn both(extra: &mut ExtraFlows) -> [SlotSingles; 2] {
        let step = FlowStep::new(&params(), BLOCKS_PER_DAY);
        let expected = dispatch(Backend::Portable, Both(&step, extra));
        for backend in Backend::available() {
            let found = dispatch(backend, Both(&step, extra));
            assert!(found[0].0 == expected[0].0 && found[1].0 == expected[1].0, "{backend}");
        }
        expected
    }

    #[test]
    fn without_extra_flows_the_flow_is_the_organic_one() {
        let [growth, plain] = both(&mut ExtraFlows::default());
        assert_eq!(growth.0, plain.0);
        assert!((0..SLOTS).filter(|slot| f64::from(plain.get(*slot)).ln_1p().abs() > 0.049_999).count() > 3);
    }

    #[test]
    fn drifts_come_before_the_cap_and_moves_after_it() {
        let mut extra = ExtraFlows::default();
        for slot in 0..SLOTS {
            extra.drift.add(slot, 0.002 * slot as f32 - 0.06);
            extra.moves.add(slot, if slot % 3 == 0 { -0.4 } else { 0.0 });
        }
        let [growth, _] = both(&mut extra);
        for slot in 0..SLOTS {
            let before_cap = f64::from(extra.organic.get(slot)) + f64::from(extra.drift.get(slot));
            let expected = before_cap.clamp(-0.05, 0.05) + f64::from(extra.moves.get(slot));
            let flow = f64::from(growth.get(slot)).ln_1p();
            assert!((flow - expected).abs() < 1e-6, "{slot}: {flow}, not {expected}");
        }
    }

    #[test]
    fn a_shared_shock_moves_by_the_volatility() {
        let organic = |shock: f32| {
            let mut extra = ExtraFlows::default();
            (0..SLOTS).for_each(|slot| extra.shared.add(slot, shock));
            both(&mut extra);
            extra.organic
        };
        let [none, one, two] = [0.0, 1.0, 2.0].map(organic);
        for slot in 0..SLOTS {
            let [first, second] = [one.get(slot) - none.get(slot), two.get(slot) - one.get(slot)];
            assert!(first > 0.001 && (second / first - 1.0).abs() < 1e-3, "{slot}: {first}, then {second}");
        }
    }

    #[test]
    fn the_largest_moves_stay_finite_and_leave_something() {
        let mut extra = ExtraFlows::default();
        extra.moves.add(0, f32::INFINITY);
        extra.moves.add(1, -1e30);
        let [growth, _] = both(&mut extra);
        assert!(growth.get(0).is_finite() && growth.get(0) > 1e6);
        assert!(growth.get(1) > -1.0 && growth.get(1) < -0.999);
    }
}
