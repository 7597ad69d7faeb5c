//! One block of the ledger: emission, pendings, epochs, moving prices and automatic claims, before all that users do.

use crate::protocol::block;
use crate::protocol::block::EmissionContext;
use crate::protocol::block::HillGate;
use crate::protocol::emission;
use crate::protocol::emission::AlphaSplit;
use crate::protocol::fixed;
use crate::protocol::fixed::Rounding;
use crate::protocol::fixed::SCALE_32;
use crate::protocol::ledger::Ledger;
use crate::protocol::ledger::schedule;
use crate::protocol::ledger::schedule::EpochSchedule;
use crate::protocol::ledger::stake_ops::PRICE_MAX_RAO;
use crate::protocol::ledger::subnet::BlockCounters;
use crate::protocol::ledger::subnet::SubnetLedger;
use crate::protocol::moving_price;
use crate::protocol::params::ProtocolParams;
use crate::protocol::pool_rao::Side;
use crate::protocol::pool_rao::SwapRequest;
use crate::protocol::root;
use crate::protocol::state::ChainState;
use crate::protocol::state::SubnetState;
use crate::units::RAO_PER_TAO;

/// Rules and hyperparameters of the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerParams {
    /// Those of the economics; fee rates and ages of half smoothing are the subnets' own.
    pub protocol: ProtocolParams,
    /// When epochs run.
    pub schedule: EpochSchedule,
    /// `NumRootClaim`: draws of automatic claims in a block.
    pub claim_draws: usize,
}

impl Ledger {
    /// Advances the chain by one block, up to where users come in. `parent_hash` draws the automatic claims.
    ///
    /// The order is the chain's: mint; shares from the moving prices of the block before; injection, chain buy and alpha out
    /// of each subnet; the pendings of subnets whose epoch is due are drained and distributed; moving prices; claims.
    /// Source: pallets/subtensor/src/coinbase/block_step.rs, `block_step`; run_coinbase.rs, `run_coinbase`.
    pub fn advance_block(&mut self, params: &LedgerParams, gate: &mut HillGate, parent_hash: &[u8; 32]) {
        self.block += 1;
        self.emit(&params.protocol, gate);
        self.run_epochs(params);
        self.update_moving_prices(&params.protocol);
        self.note_root_proportions(&params.protocol);
        self.claim_automatically(parent_hash, params.claim_draws);
    }

    /// The economics in tokens, for rules that are written in them.
    pub fn in_tokens(&self) -> ChainState {
        ChainState {
            block: self.block,
            issuance_tao: self.issuance as f64 / RAO_PER_TAO,
            root_stake_tao: self.root.tao as f64 / RAO_PER_TAO,
            last_lock_tao: 0.0,
            last_lock_block: 0,
            subnets: self.subnets.iter().map(SubnetLedger::in_tokens).collect(),
        }
    }

    fn emit(&mut self, params: &ProtocolParams, gate: &mut HillGate) {
        let minted_tao = emission::block_emission_rao(self.issuance) as f64 / RAO_PER_TAO;
        let state = self.in_tokens();
        let (mut inputs, mut shares) = (Vec::new(), Vec::new());
        let sell_flag = block::share_emission(params, &state, gate, &mut inputs, &mut shares);
        let root_stake_tao = state.root_stake_tao;
        let context = EmissionContext { params, rounding: Rounding::Floored, root_stake_tao, sell_flag };
        for ((subnet, state), share) in self.subnets.iter_mut().zip(state.subnets).zip(shares) {
            let spent = subnet.emit(&context, state, minted_tao * share);
            self.issuance += spent.minted;
            self.total_stake += spent.staked;
        }
    }

    fn run_epochs(&mut self, params: &LedgerParams) {
        let mut clocks: Vec<_> = self.subnets.iter_mut().map(|subnet| (subnet.netuid, &mut subnet.clock)).collect();
        for position in schedule::fire_due(params.schedule, self.block, &mut clocks) {
            let subnet = &mut self.subnets[position];
            let drained = std::mem::take(&mut subnet.pending);
            let dividends = subnet.run_epoch(&params.protocol, self.block, &self.root.stakes, drained);
            self.distribute(position, drained.owner, &dividends);
        }
    }

    fn update_moving_prices(&mut self, params: &ProtocolParams) {
        let smoothing = (params.moving_price_smoothing * SCALE_32) as u64;
        let block = self.block;
        for subnet in self.subnets.iter_mut().filter(|subnet| subnet.is_started()) {
            let age = moving_price::age_blocks(block, subnet.first_emission_block);
            let (spot_price, halving_blocks) = (subnet.pool.spot_price_raw(), subnet.moving_price_age_blocks);
            subnet.moving_price_raw =
                moving_price::update_raw(subnet.moving_price_raw, spot_price, smoothing, age, halving_blocks);
        }
    }

    fn note_root_proportions(&mut self, params: &ProtocolParams) {
        let (weight, stake) = (fixed::floor_32(params.tao_weight), self.root.tao as f64);
        for subnet in &mut self.subnets {
            let proportion = root::root_proportion(weight, stake, subnet.issuance_alpha() as f64);
            subnet.counters.root_proportion = fixed::floor_32(proportion);
        }
    }
}

/// TAO that a subnet took of the block's (rao).
struct Spent {
    /// All of it; the rest of the block's is recycled.
    minted: u64,
    /// What counts as staked: without a chain buy that the pool refused.
    staked: u64,
}

impl SubnetLedger {
    /// Books what the rules give the subnet in this block; `state` is the subnet in tokens.
    fn emit(&mut self, context: &EmissionContext<'_>, mut state: SubnetState, emission_tao: f64) -> Spent {
        self.counters = BlockCounters::default();
        if !self.is_started() {
            return Spent { minted: 0, staked: 0 };
        }
        let report = block::emit_to_subnet(context, &mut state, emission_tao);
        let (tao, alpha) = (rao(report.injected_tao), rao(report.injected_alpha));
        let mut injected = self.pool;
        let (tao, alpha) = if injected.inject(tao, alpha) { (tao, alpha) } else { (0, 0) };
        self.pool.weight_tao = injected.weight_tao;
        let excess = rao(report.excess_tao);
        let spent_on_alpha = self.chain_buy(excess);
        self.pool.reserve_tao += tao;
        self.pool.reserve_alpha += alpha;
        self.protocol_flow_tao += (tao + spent_on_alpha) as i64;
        let alpha_out = self.mint_alpha_out(report.alpha_out, context.sell_flag);
        self.counters = BlockCounters {
            injected_tao: tao,
            injected_alpha: alpha,
            alpha_out,
            excess_tao: spent_on_alpha,
            ..BlockCounters::default()
        };
        Spent { minted: tao + excess, staked: tao + spent_on_alpha }
    }

    /// Buys alpha for the protocol and returns what was spent; 0 where the pool refuses.
    fn chain_buy(&mut self, excess: u64) -> u64 {
        let request = SwapRequest { side: Side::Buy, amount: excess, fee_rate: 0, price_limit: PRICE_MAX_RAO };
        let Ok(swap) = self.pool.swap(request) else { return 0 };
        self.outstanding_alpha += swap.paid_out;
        self.protocol_alpha += swap.paid_out;
        excess
    }

    /// Mints alpha out into the pendings, each part floored; root's part to nobody while the sell flag is off. Returns all.
    fn mint_alpha_out(&mut self, split: AlphaSplit, sell_flag: bool) -> u64 {
        let alpha_out = rao(split.owner + split.server + split.validator + split.root);
        let root = floor_rao(split.root);
        self.pending.owner += floor_rao(split.owner);
        self.pending.server += floor_rao(split.server);
        self.pending.validator += floor_rao(split.validator);
        self.outstanding_alpha += alpha_out;
        if sell_flag {
            self.pending.root += root;
        } else {
            self.outstanding_alpha -= root;
        }
        alpha_out
    }
}

/// An amount that is whole rao already.
fn rao(tokens: f64) -> u64 {
    (tokens * RAO_PER_TAO).round() as u64
}

fn floor_rao(tokens: f64) -> u64 {
    (tokens * RAO_PER_TAO) as u64
}
