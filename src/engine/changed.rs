//! Draws of paths that are not what their addresses say: tilted ones, or those that a point set leads.

use crate::engine::leading::LeadingPlan;
use crate::engine::path::Occupant;
use crate::engine::tilt::PathDraws;
use crate::engine::tilt::TiltPlan;
use crate::model::kernel::Draw;
use crate::model::kernel::FlowBuffers;

/// How draws are changed.
#[derive(Clone, Debug)]
pub enum ChangedDraws {
    /// To those of tilted laws.
    Tilted(Box<TiltPlan>),
    /// To those that have sums given.
    Leading(LeadingPlan),
}

impl ChangedDraws {
    /// Puts a path at its start.
    pub(crate) fn reset(&self, path: u32, draws: &mut PathDraws) {
        match self {
            Self::Tilted(tilt) => tilt.reset(path, draws),
            Self::Leading(leading) => leading.reset(path, &mut draws.leading),
        }
    }

    /// Changes the own draws of slots in a step.
    #[inline(always)]
    pub(crate) fn change_slots(
        &self,
        draw: Draw,
        occupants: &[Option<Occupant>],
        draws: &mut PathDraws,
        flow: &mut FlowBuffers,
    ) {
        match self {
            Self::Tilted(tilt) => tilt.tilt_slots(draw, occupants, draws, flow),
            Self::Leading(leading) => leading.lead_slots(draw.step, &mut draws.leading, flow),
        }
    }
}
