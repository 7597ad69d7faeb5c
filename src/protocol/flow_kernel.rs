//! Flow averages of K blocks over chunks of eight slots: [`crate::protocol::state::FlowState`] in vectors.
//!
//! A block's averages take in the flow of the block before. A step therefore opens with what the last block of the step
//! before left, and its own flow comes in evenly over all its blocks but the last:
//!
//! ```text
//! open:   S = S + a (f_last - S)
//! close:  S' = q^(K-1) S + (1 - q^(K-1)) F / K      f_last = F / K      q = 1 - a
//! ```
//!
//! Under other rules averages stand still and flows pile up, as on the chain since spec 421.

use crate::protocol::params::ProtocolParams;
use crate::protocol::share_rules::FlowAverages;
use crate::protocol::share_rules::FlowLevel;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::Lanes8;
use crate::protocol::slots::StepBuffers;
use crate::protocol::state::FlowState;
use crate::simd::Vector;
use crate::simd::math;

/// Flow averages of eight slots (TAO per block) and what has not entered them yet (TAO), fields side by side.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowChunk {
    /// Average of users' net flow.
    pub user: Lanes8,
    /// Average of the protocol's flow.
    pub protocol: Lanes8,
    /// Users' net flow to come.
    pub pending_user: Lanes8,
    /// The protocol's flow to come.
    pub pending_protocol: Lanes8,
}

impl FlowChunk {
    /// Writes a subnet's flows into a lane; without averages they are 0.
    pub fn set_lane(&mut self, lane: usize, flow: &FlowState) {
        let averages = flow.averages.unwrap_or_default();
        self.user[lane] = averages.user;
        self.protocol[lane] = averages.protocol;
        self.pending_user[lane] = flow.pending.user;
        self.pending_protocol[lane] = flow.pending.protocol;
    }

    /// The flows of a lane.
    pub fn lane(&self, lane: usize) -> FlowState {
        FlowState {
            averages: Some(FlowAverages { user: self.user[lane], protocol: self.protocol[lane] }),
            pending: FlowAverages { user: self.pending_user[lane], protocol: self.pending_protocol[lane] },
        }
    }
}

/// Takes in what the last block left, and measures the level of the flow rule in force.
#[inline(always)]
pub fn open_pass<V: Vector>(params: &ProtocolParams, chunks: &[ChainChunk], flows: &mut [FlowChunk]) -> FlowLevel {
    let smoothing = V::splat(params.tao_flow.smoothing);
    for (chunk, flow) in chunks.iter().zip(flows.iter_mut()) {
        let open = V::load(&chunk.started);
        let rate = smoothing * open;
        for (average, pending) in
            [(&mut flow.user, &mut flow.pending_user), (&mut flow.protocol, &mut flow.pending_protocol)]
        {
            let (old, last) = (V::load(average), V::load(pending));
            (old + rate * (last - old)).store(average);
            (last - last * open).store(pending);
        }
    }
    let lanes = |(chunk, flow): (&ChainChunk, &FlowChunk)| {
        let (started, user, protocol) = (chunk.started, flow.user, flow.protocol);
        (0..CHUNK_SLOTS)
            .filter(move |lane| started[*lane] > 0.0)
            .map(move |lane| FlowAverages { user: user[lane], protocol: protocol[lane] })
    };
    FlowLevel::of(params.share_rule, &params.tao_flow, chunks.iter().zip(flows.iter()).flat_map(lanes))
}

/// Lets the step's flows into the averages, where a flow rule is in force, or adds them to what is to come.
#[inline(always)]
pub fn close_pass<V: Vector>(
    params: &ProtocolParams,
    blocks: f64,
    chunks: &[ChainChunk],
    flows: &mut [FlowChunk],
    buffers: &StepBuffers,
) {
    let is_in_force = params.share_rule.reads_flows();
    let keep = V::splat(math::exp((blocks - 1.0) * math::ln_1p(-params.tao_flow.smoothing)));
    let per_block = V::splat(1.0 / blocks);
    for (i, (chunk, flow)) in chunks.iter().zip(flows.iter_mut()).enumerate() {
        let user = V::load(&buffers.flow_tao.0[i]) - V::load(&buffers.sold_tao.0[i]);
        let protocol = V::load(&buffers.spent_tao.0[i]) - V::load(&buffers.root_tao.0[i]);
        let started = V::load(&chunk.started).gt(V::splat(0.0));
        for (step, average, pending) in
            [(user, &mut flow.user, &mut flow.pending_user), (protocol, &mut flow.protocol, &mut flow.pending_protocol)]
        {
            let (old, waiting, mean) = (V::load(average), V::load(pending), step * per_block);
            if is_in_force {
                V::select(started, keep.mul_add(old - mean, mean), old).store(average);
                V::select(started, mean, waiting + step).store(pending);
            } else {
                (waiting + step).store(pending);
            }
        }
    }
}
