//! Flows beside the organic law: shocks that a few slots share, log moves before the cap, log moves after it.
//!
//! Three passes in place of one: [`open_flows`] puts the organic flow together up to the cap, whoever answers to it adds to
//! [`ExtraFlows::drift`], and [`close_flows`] caps. Nothing of this runs where no extra flow is configured.

use crate::model::kernel;
use crate::model::kernel::BehaviourChunk;
use crate::model::kernel::CommonFlow;
use crate::model::kernel::Draw;
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

/// Draws the step's organic flow of every slot, moves the volatilities on, and leaves the flow before the cap in `extra.organic`.
///
/// The draws are those of [`kernel::flow_draws`].
#[inline(always)]
pub fn open_flows<V: Vector>(
    step: &FlowStep,
    draw: Draw,
    common: CommonFlow,
    chain: &[ChainChunk],
    behaviour: &mut [BehaviourChunk],
    buffers: &mut FlowBuffers,
    extra: &mut ExtraFlows,
) {
    kernel::draw_chance::<V>(step, draw, chain, behaviour, buffers);
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
