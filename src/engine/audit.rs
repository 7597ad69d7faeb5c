//! The books of a step, done again slot by slot with the scalar rules: alpha and TAO are neither made nor lost.

use crate::engine::advance::Workspace;
use crate::engine::drivers::Driver;
use crate::engine::path::PathState;
use crate::engine::plan::Plan;
use crate::engine::plan::locate;
use crate::protocol::emission;
use crate::protocol::emission::InjectionTerms;
use crate::protocol::params::ProtocolParams;
use crate::protocol::pool::Pool;
use crate::protocol::root;
use crate::protocol::root::RootAlpha;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::StepBuffers;
use crate::units::NetUid;

/// Largest gap of a slot's books in one step, relative to its alpha issuance or TAO reserve.
const GAP_MAX: f64 = 1e-9;

/// A slot whose books do not balance: a defect of this program.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("path {path}, step {step}, {netuid}: {what} is off by {relative:e} of it; please report this scenario")]
pub struct AuditError {
    /// Path index.
    pub path: u32,
    /// Step, counted from 1.
    pub step: u32,
    /// Slot.
    pub netuid: NetUid,
    /// What does not balance.
    pub what: &'static str,
    /// By how much.
    pub relative: f64,
}

/// What a path was before a step.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    chain: Vec<ChainChunk>,
    issuance_tao: f64,
    root_stake_tao: f64,
}

/// What the slots of a step have in common.
struct StepTerms<'a> {
    params: &'a ProtocolParams,
    /// 0 where nothing is emitted, of alpha neither, else 1.
    emits: f64,
    emission_tao: f64,
    root_stake_tao: f64,
    sell_flag: bool,
    blocks: f64,
}

impl Audit {
    /// Notes the path's state before a step.
    pub fn open(&mut self, path: &PathState) {
        self.chain.clear();
        self.chain.extend_from_slice(&path.chain);
        (self.issuance_tao, self.root_stake_tao) = (path.issuance_tao, path.root_stake_tao);
    }

    /// Compares the state after the step `step` with what the rules make of the state before and of the trades.
    ///
    /// Left out: slots with an event of registration or dissolution in the step, and steps or slots that cross a halving.
    ///
    /// # Errors
    /// The first slot that does not balance.
    pub fn close(&self, plan: &Plan, step: u32, path: &PathState, work: &Workspace) -> Result<(), AuditError> {
        let blocks = plan.input.blocks_per_step as f64;
        let emits = if plan.input.drivers.acts(Driver::Emission) { 1.0 } else { 0.0 };
        let emission_tao = emits * emission::block_emission(self.issuance_tao);
        if self.issuance_tao + blocks * emission_tao >= emission::next_halving(self.issuance_tao) {
            return Ok(());
        }
        let terms = StepTerms {
            params: &path.protocol,
            emits,
            emission_tao,
            root_stake_tao: self.root_stake_tao,
            sell_flag: root::sell_flag(self.moving_price_sum()),
            blocks,
        };
        let untouched = |slot: &usize| work.events.iter().all(|event| event.slot != *slot || event.paid_tao == 0.0);
        let error = |slot, what, relative| AuditError {
            path: path.path,
            step: step + 1,
            netuid: NetUid::from_slot(slot),
            what,
            relative,
        };
        for slot in (0..self.chain.len() * 8).filter(untouched) {
            let (chunk, lane) = locate(slot);
            let (before, after) = (&self.chain[chunk], &path.chain[chunk]);
            let alpha = alpha_gap(&terms, before, after, lane, work.buffers.share.get(slot));
            if !(alpha.abs() <= GAP_MAX) {
                return Err(error(slot, "alpha issuance", alpha));
            }
            let tao = tao_gap(&terms, before, after, slot, &work.buffers);
            if !(tao.abs() <= GAP_MAX) {
                return Err(error(slot, "the pool's TAO", tao));
            }
        }
        Ok(())
    }

    fn moving_price_sum(&self) -> f64 {
        let lanes = self.chain.iter().flat_map(|chunk| chunk.moving_price.iter().zip(&chunk.started));
        lanes.fold(0.0, |sum, (price, started)| sum + price * started)
    }
}

/// Issuance grows by injection and mint, less recycled root alpha, whatever was traded.
fn alpha_gap(terms: &StepTerms<'_>, before: &ChainChunk, after: &ChainChunk, lane: usize, share: f64) -> f64 {
    let issuance = before.issuance_alpha(lane);
    let rate = terms.emits * emission::block_emission(issuance) * before.started[lane];
    if issuance + 2.0 * terms.blocks >= emission::next_halving(issuance) {
        return 0.0;
    }
    let params = terms.params;
    let proportion = |issuance| root::root_proportion(params.tao_weight, terms.root_stake_tao, issuance);
    let injection = InjectionTerms {
        emission_tao: terms.emission_tao * share,
        price: before.price(lane),
        root_proportion: proportion(issuance),
        alpha_emission: rate,
        block_emission_tao: terms.emission_tao,
    };
    let injected = emission::inject(params.injection_rule, &injection);
    let bought = recycled_buy(terms, before, after, lane, injected.excess_tao);
    let middle = issuance + 0.5 * (terms.blocks + 1.0) * (injected.alpha + rate - bought / terms.blocks);
    let split = emission::split_alpha(rate, params.owner_cut, proportion(middle));
    let recycled = match params.root_rule.root_alpha(terms.sell_flag, injected.excess_tao > 0.0) {
        RootAlpha::Recycled => split.root,
        _ => 0.0,
    };
    let expected = issuance + terms.blocks * (injected.alpha + rate - recycled) - bought;
    (after.issuance_alpha(lane) - expected) / expected
}

/// Alpha that the chain bought and recycled: on the old reserves and the new weight.
fn recycled_buy(terms: &StepTerms<'_>, before: &ChainChunk, after: &ChainChunk, lane: usize, excess_tao: f64) -> f64 {
    if terms.params.injection_rule.keeps_bought_alpha() {
        return 0.0;
    }
    let (reserve_tao, reserve_alpha) = (before.reserve_tao[lane], before.reserve_alpha[lane]);
    Pool { reserve_tao, reserve_alpha, weight_tao: after.weight_tao[lane] }.buy(terms.blocks * excess_tao)
}

/// The pool's TAO grows by the emission share and the organic flow, less what sales and root claims took.
fn tao_gap(terms: &StepTerms<'_>, before: &ChainChunk, after: &ChainChunk, slot: usize, buffers: &StepBuffers) -> f64 {
    let (_, lane) = locate(slot);
    let received = terms.blocks * terms.emission_tao * buffers.share.get(slot) + buffers.flow_tao.get(slot);
    let paid = buffers.sold_tao.get(slot) + buffers.root_tao.get(slot);
    let expected = before.reserve_tao[lane] + received - paid;
    (after.reserve_tao[lane] - expected) / expected
}
