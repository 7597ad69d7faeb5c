//! What watches paths go by: the read-only view of a step and the trait of those who keep something of it.

use crate::engine::path::LifecycleEvent;
use crate::engine::path::PathState;
use crate::engine::plan::Plan;
use crate::engine::policy::Market;
use crate::protocol::slots::SlotValues;
use crate::protocol::slots::StepBuffers;

/// One path after one step, or at its start.
pub struct StepView<'a> {
    /// What all paths share.
    pub plan: &'a Plan,
    /// The path's state.
    pub path: &'a PathState,
    /// What the step left behind; all zero at the start.
    pub buffers: &'a StepBuffers,
    /// Lifecycle events of the step, in order.
    pub events: &'a [LifecycleEvent],
    /// Steps since the start; 0 is the start.
    pub step: u32,
    /// Block after which this is the state.
    pub block: u64,
}

/// Keeps something of the paths of a batch. One per worker, used for batch after batch.
pub trait Recorder: Send {
    /// What is handed over, in path order, of each batch.
    type Batch: Send;

    /// Whether it reads more of this path's buffers than `share`, `staked_open` and `validator_alpha`: the rest is overwritten, slot by
    /// slot, where nobody does.
    fn reads_rows(&self, _path: u32) -> bool {
        true
    }

    /// Sees path number `index` of a batch at its start. Writes to `held` the alpha of each slot that books hold.
    fn open(&mut self, index: usize, view: &StepView<'_>, held: &mut SlotValues);

    /// Whether it trades; [`Recorder::trade`] is called only then.
    fn trades(&self) -> bool {
        false
    }

    /// Trades on it after a step and its lifecycle events, before [`Recorder::step`] sees what came of it.
    fn trade(&mut self, _index: usize, _market: &mut Market<'_>) {}

    /// Sees it after a step.
    fn step(&mut self, index: usize, view: &StepView<'_>, held: &mut SlotValues);

    /// Ends a batch of `count` paths from `first_path` on.
    fn close(&mut self, first_path: u64, count: usize) -> Self::Batch;
}
