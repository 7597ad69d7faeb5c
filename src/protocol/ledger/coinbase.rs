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
        let mut state = self.in_tokens();
        let (mut inputs, mut shares) = (Vec::new(), Vec::new());
        let rounding = Rounding::Floored;
        let sell_flag = block::share_emission(params, rounding, &mut state, gate, &mut inputs, &mut shares);
        let (block_emission_tao, root_stake_tao) = (minted_tao, state.root_stake_tao);
        let context = EmissionContext { params, rounding, block_emission_tao, root_stake_tao, sell_flag };
        for ((subnet, state), share) in self.subnets.iter_mut().zip(state.subnets).zip(shares) {
            let spent = subnet.emit(&context, state, minted_tao * share);
            self.issuance += spent.minted;
            self.total_stake += spent.staked;
        }
    }

    fn run_epochs(&mut self, params: &LedgerParams) {
        let mut clocks: Vec<_> = self.subnets.iter_mut().map(|subnet| (subnet.netuid, &mut subnet.clock)).collect();
        for position in schedule::fire_due(params.protocol.epoch_schedule, self.block, &mut clocks) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ledger::accounts::Coldkey;
    use crate::protocol::ledger::accounts::Delegate;
    use crate::protocol::ledger::accounts::Hotkey;
    use crate::protocol::ledger::accounts::Keys;
    use crate::protocol::ledger::schedule::EpochClock;
    use crate::protocol::ledger::subnet::Neurons;
    use crate::protocol::ledger::subnet::Pending;
    use crate::protocol::ledger::subnet::Withheld;
    use crate::protocol::pool_rao::PoolRao;
    use crate::protocol::pool_rao::WEIGHT_ONE;
    use crate::protocol::test_support;
    use crate::protocol::yuma::YumaParams;
    use crate::protocol::yuma::epoch::YumaState;
    use crate::units::NetUid;
    use ndarray::arr2;

    const TAO: u64 = 1_000_000_000;
    const OWNER: Keys = Keys { hotkey: Hotkey(1), coldkey: Coldkey(1) };
    const VALIDATOR: Keys = Keys { hotkey: Hotkey(2), coldkey: Coldkey(2) };
    const MINER: Keys = Keys { hotkey: Hotkey(3), coldkey: Coldkey(3) };
    const NOMINATOR: Keys = Keys { hotkey: VALIDATOR.hotkey, coldkey: Coldkey(4) };

    fn params() -> LedgerParams {
        LedgerParams { protocol: test_support::params(), claim_draws: 5 }
    }

    /// Owner, validator and miner; the validator gives the miner three times the weight that it gives the owner.
    fn neurons() -> Neurons {
        Neurons {
            hotkeys: vec![OWNER.hotkey, VALIDATOR.hotkey, MINER.hotkey],
            registered_at: vec![1; 3],
            last_update: vec![1_000; 3],
            weights: arr2(&[[0.0, 0.0, 0.0], [0.25, 0.0, 0.75], [0.0, 0.0, 0.0]]),
            yuma: YumaParams { tempo_blocks: 10, ..YumaParams::DEFAULT },
            state: YumaState::new(vec![true; 3]),
            incentive: Vec::new(),
            dividends: Vec::new(),
        }
    }

    fn subnet(netuid: u16) -> SubnetLedger {
        let pool = PoolRao { reserve_tao: 60_000 * TAO, reserve_alpha: 100_000 * TAO, weight_tao: WEIGHT_ONE / 2 };
        let mut subnet = SubnetLedger::new(NetUid(netuid), pool, EpochClock::new(10, 1_000));
        subnet.first_emission_block = Some(900);
        subnet.emission_enabled = true;
        subnet.moving_price_raw = (0.6 * SCALE_32) as u64;
        subnet.owner = Some(OWNER);
        subnet.neurons = Some(neurons());
        subnet.stakes.deposit(VALIDATOR, 30_000 * TAO);
        subnet.stakes.deposit(NOMINATOR, 10_000 * TAO);
        subnet.outstanding_alpha = 40_000 * TAO;
        subnet
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger {
            block: 1_000,
            issuance: 11_000_000 * TAO,
            subnets: vec![subnet(1), subnet(2)],
            ..Ledger::default()
        };
        for keys in [OWNER, VALIDATOR, MINER] {
            ledger.hotkeys.insert(keys.hotkey, Delegate { owner: keys.coldkey, take: 6_553 });
        }
        ledger.root.credit(NOMINATOR, 300_000 * TAO);
        ledger
    }

    fn advance(ledger: &mut Ledger, blocks: u64) {
        let params = params();
        let mut gate = HillGate::of(&params.protocol, &ledger.in_tokens());
        (0..blocks).for_each(|_| ledger.advance_block(&params, &mut gate, &[7; 32]));
    }

    /// Alpha outside the pool that has no holder and is not on its way to one.
    fn ownerless(ledger: &Ledger, position: usize) -> i64 {
        let subnet = &ledger.subnets[position];
        let pending = subnet.pending;
        let pending = pending.owner + pending.server + pending.validator + pending.root;
        let unclaimed: u64 = (ledger.root.owed_raw(NOMINATOR, subnet.netuid) >> 32) as u64;
        subnet.outstanding_alpha as i64 - (subnet.stakes.total() + subnet.protocol_alpha + pending + unclaimed) as i64
    }

    #[test]
    fn alpha_and_tao_are_conserved_over_epochs_and_claims() {
        let mut ledger = ledger();
        ledger.subnets[0].withheld = Withheld::Recycled;
        let tao = |ledger: &Ledger| {
            let pools: u64 = ledger.subnets.iter().map(|subnet| subnet.pool.reserve_tao).sum();
            ledger.issuance - pools - ledger.root.tao
        };
        let outside = tao(&ledger);
        advance(&mut ledger, 50);
        assert_eq!(tao(&ledger), outside);
        assert!(ledger.root.tao > 300_000 * TAO, "root alpha was sold");
        // Recycled, what is withheld leaves; burned, it stays without a holder. Dust: at each epoch the rate of root alpha is
        // truncated to 2^-32, which is 70,000 rao on a stake of 300,000 TAO.
        let burned = ledger.subnets[1].miner_burned_raw as f64 / SCALE_32 * 0.41 * 50.0 * TAO as f64;
        assert!((0..5 * 70_000).contains(&ownerless(&ledger, 0)), "{}", ownerless(&ledger, 0));
        assert!((ownerless(&ledger, 1) as f64 - burned).abs() < 1e-3 * burned, "{} {burned}", ownerless(&ledger, 1));
    }

    #[test]
    fn everyone_is_paid_at_the_epoch_and_not_before() {
        let mut ledger = ledger();
        let paid = |ledger: &Ledger, keys: Keys| ledger.stake(keys, NetUid(1));
        advance(&mut ledger, 9);
        assert_eq!(paid(&ledger, MINER), 0);
        assert_eq!(ledger.subnets[0].counters.alpha_out, TAO);
        advance(&mut ledger, 1);
        assert_eq!(ledger.subnets[0].pending, Pending::default());
        assert!(ledger.subnets[0].miner_burned_raw.abs_diff(1 << 30) < 10, "a quarter is withheld");
        // 41 % of 10 alpha to miners, of which three quarters are paid.
        assert!(paid(&ledger, MINER).abs_diff(3_075_017_163) < 10_000, "{}", paid(&ledger, MINER));
        assert!(paid(&ledger, OWNER).abs_diff(1_799_954_220) < 10);
        let (own, nominated) = (paid(&ledger, VALIDATOR) - 30_000 * TAO, paid(&ledger, NOMINATOR) - 10_000 * TAO);
        assert!(own > 3 * nominated && nominated > 0, "the validator takes a tenth beside its part");
    }

    #[test]
    fn start_call_and_emission_switch_act_from_the_next_block() {
        let mut ledger = ledger();
        ledger.subnets[1] = SubnetLedger::new(NetUid(2), ledger.subnets[1].pool, EpochClock::new(10, 1_000));
        advance(&mut ledger, 1);
        assert_eq!(ledger.subnets[1].counters.alpha_out, 0);
        ledger.start_call(NetUid(2)).unwrap();
        assert!(ledger.start_call(NetUid(3)).is_err() && ledger.set_emission_enabled(NetUid(3), true).is_err());
        advance(&mut ledger, 1);
        let counters = ledger.subnets[1].counters;
        assert_eq!((counters.alpha_out, counters.injected_tao), (TAO, 0));
        assert!(ledger.subnets[1].moving_price_raw > 0 && ledger.subnets[1].first_emission_block == Some(1_002));
        ledger.set_emission_enabled(NetUid(2), true).unwrap();
        advance(&mut ledger, 30);
        assert!(ledger.subnets[1].counters.injected_tao > 0);
    }

    #[test]
    fn with_the_sell_flag_off_root_alpha_leaves_the_issuance() {
        let mut ledger = ledger();
        ledger.subnets.iter_mut().for_each(|subnet| subnet.moving_price_raw = (0.4 * SCALE_32) as u64);
        advance(&mut ledger, 1);
        let subnet = &ledger.subnets[0];
        assert_eq!(subnet.pending.root, 0);
        let recycled = 40_001 * TAO + subnet.protocol_alpha - subnet.outstanding_alpha;
        let all = recycled + subnet.pending.owner + subnet.pending.server + subnet.pending.validator;
        assert!(recycled > 100_000_000 && all.abs_diff(TAO) < 5);
    }
}
