//! Flows beside the organic law on a path: who has any, and what they come to in a step.
//!
//! A plan without them has no [`Extras`], and its steps run none of this.

use crate::engine::changed::ChangedDraws;
use crate::engine::drivers::Driver;
use crate::engine::path::PathState;
use crate::engine::plan::PlanInput;
use crate::model::clusters::ClusterStep;
use crate::model::extra;
use crate::model::extra::ExtraFlows;
use crate::model::feedback::DividendTerms;
use crate::model::feedback::FeedbackStep;
use crate::model::kernel;
use crate::model::kernel::Draw;
use crate::model::kernel::FlowBuffers;
use crate::model::kernel::FlowStep;
use crate::model::params::ModelParams;
use crate::model::sectors;
use crate::model::sectors::SectorFactors;
use crate::protocol::moving_price_table::AgeChunk;
use crate::protocol::slots::SlotSingles;
use crate::protocol::slots::SlotValues;
use crate::simd::Vector;
use crate::units::BLOCKS_PER_DAY;

/// All extra flows of a plan.
#[derive(Clone, Debug)]
pub struct Extras {
    /// Drifts of subnets of the snapshot over a step, above that of all.
    drifts: Vec<(u16, f32)>,
    /// Slots of subnets in sectors, and the sectors' numbers.
    sectors: Vec<(u16, u16)>,
    sector_count: usize,
    sector_loading: f64,
    clusters: Vec<ClusterStep>,
    feedback: Option<FeedbackStep>,
    draws: u32,
}

impl Extras {
    /// Those of a scenario; `None`: there are none.
    pub fn new(input: &PlanInput) -> Option<Self> {
        let model = &input.model;
        let (blocks, draws) = (input.blocks_per_step, input.draw_refinement);
        let shares = input.drivers.acts(Driver::CommonFactor);
        let sectors = if shares { sector_members(model) } else { Vec::new() };
        let extras = Self {
            drifts: own_drifts(model, blocks as f64 / BLOCKS_PER_DAY as f64),
            sector_count: sectors.iter().map(|&(_, sector)| usize::from(sector) + 1).max().unwrap_or(0),
            sectors,
            sector_loading: model.flow.sector_loading,
            clusters: model.clusters.iter().map(|cluster| ClusterStep::new(cluster, blocks, draws)).collect(),
            feedback: FeedbackStep::new(&model.feedback, blocks),
            draws,
        };
        let is_none = extras.drifts.is_empty() && extras.sectors.is_empty() && extras.clusters.is_empty();
        (!is_none || extras.feedback.is_some()).then_some(extras)
    }

    /// Draws the flow of every slot as [`crate::model::kernel::flow_draws`] does, with the extra flows. `share`: of TAO emission in the
    /// step, or in proportion to it.
    #[inline(always)]
    pub(crate) fn draw_flows<'a, V: Vector>(
        &self,
        step: &FlowStep,
        draw: Draw,
        path: &mut PathState,
        share: &SlotValues,
        ages: impl Fn(usize) -> &'a AgeChunk,
        buffers: Buffers<'_>,
    ) {
        let Buffers { flow, extra, growth, changed } = buffers;
        extra.clear();
        self.fill::<V>(draw, path, share, extra);
        let PathState { chain, behaviour, common, occupants, draws, .. } = path;
        kernel::draw_chance::<V>(step, draw, chain, behaviour, flow);
        if let Some(changed) = changed {
            changed.change_slots(draw, occupants, draws, flow);
        }
        extra::open_flows::<V>(step, *common, chain, behaviour, flow, extra);
        if let Some(feedback) = &self.feedback {
            feedback.add_momentum::<V>(chain, ages, extra);
        }
        extra::close_flows::<V>(step, chain, extra, growth);
    }

    /// All that does not depend on the organic flow of the step.
    #[inline(always)]
    fn fill<V: Vector>(&self, draw: Draw, path: &PathState, share: &SlotValues, extra: &mut ExtraFlows) {
        for &(slot, drift) in &self.drifts {
            if path.keeps_incumbent(usize::from(slot)) {
                extra.drift.add(usize::from(slot), drift);
            }
        }
        if self.sector_count > 0 {
            self.add_sectors(draw, path, &mut extra.shared);
        }
        for (number, cluster) in self.clusters.iter().enumerate() {
            let log_move = cluster.draw_move(draw.seed, draw.path, draw.step, number as u32);
            if log_move != 0.0 {
                add_to_incumbents(path, &cluster.slots, log_move as f32, &mut extra.moves);
            }
        }
        if let Some(feedback) = &self.feedback {
            let protocol = &path.protocol;
            let weighted_root_tao = protocol.tao_weight * path.root_stake_tao;
            let terms = DividendTerms { weighted_root_tao, owner_cut: protocol.owner_cut };
            feedback.add_answers::<V>(terms, &path.chain, share, &mut extra.drift);
        }
    }

    #[inline(always)]
    fn add_sectors(&self, draw: Draw, path: &PathState, shared: &mut SlotSingles) {
        let mut factors = SectorFactors::default();
        sectors::draw_factors(draw.seed, draw.path, draw.step, self.draws, self.sector_count, &mut factors);
        for &(slot, sector) in &self.sectors {
            if path.keeps_incumbent(usize::from(slot)) {
                let factor = factors.as_flattened()[usize::from(sector)];
                shared.add(usize::from(slot), (self.sector_loading * factor) as f32);
            }
        }
    }
}

/// Buffers of [`Extras::draw_flows`], and how its draws are changed.
pub(crate) struct Buffers<'a> {
    pub flow: &'a mut FlowBuffers,
    pub extra: &'a mut ExtraFlows,
    pub growth: &'a mut SlotSingles,
    pub changed: Option<&'a ChangedDraws>,
}

fn add_to_incumbents(path: &PathState, slots: &[u16], value: f32, to: &mut SlotSingles) {
    for &slot in slots {
        if path.keeps_incumbent(usize::from(slot)) {
            to.add(usize::from(slot), value);
        }
    }
}

fn own_drifts(model: &ModelParams, days: f64) -> Vec<(u16, f32)> {
    let own = model.subnets.iter().filter_map(|subnet| {
        let drift_per_day = subnet.drift_per_day? - model.flow.drift_per_day;
        Some((subnet.netuid.slot() as u16, (drift_per_day * days) as f32))
    });
    own.collect()
}

fn sector_members(model: &ModelParams) -> Vec<(u16, u16)> {
    if model.flow.sector_loading == 0.0 {
        return Vec::new();
    }
    model.subnets.iter().filter_map(|subnet| Some((subnet.netuid.slot() as u16, subnet.sector?))).collect()
}
