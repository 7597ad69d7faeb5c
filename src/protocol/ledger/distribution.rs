//! Who is paid at an epoch: owner, miners, validators with their stakers, and root.
//!
//! Source: pallets/subtensor/src/coinbase/run_coinbase.rs, `distribute_emission` and what it calls. Amounts in rao;
//! proportions are the chain's U96F32 (raw units of 2^-32), truncated where it truncates.

use crate::protocol::fixed::SCALE_32;
use crate::protocol::ledger::Ledger;
use crate::protocol::ledger::accounts::Delegate;
use crate::protocol::ledger::accounts::Hotkey;
use crate::protocol::ledger::accounts::Keys;
use crate::protocol::ledger::accounts::StakeBook;
use crate::protocol::ledger::subnet::Neurons;
use crate::protocol::ledger::subnet::Pending;
use crate::protocol::ledger::subnet::SubnetLedger;
use crate::protocol::ledger::subnet::Withheld;
use crate::protocol::params::ProtocolParams;
use crate::protocol::yuma::epoch;
use crate::protocol::yuma::epoch::Neuron;
use crate::protocol::yuma::epoch::YumaInputs;
use crate::protocol::yuma::proportion_u16;

/// Parts of a take.
const TAKE_PARTS: u128 = 65_535;
/// Fractional bits of U96F32.
const BITS: u32 = 32;

/// What an epoch pays to one hotkey (rao).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// To whom.
    pub hotkey: Hotkey,
    /// As a miner.
    pub incentive: u64,
    /// As a validator, to its stakers of alpha (units of 2^-32 rao).
    pub alpha_raw: u128,
    /// As a validator, to its stakers of TAO on root (units of 2^-32 rao).
    pub root_raw: u128,
}

impl SubnetLedger {
    /// Runs the epoch on what was `drained` and returns who is paid what: nobody without neurons.
    ///
    /// Miners receive what the epoch gives them of all three pendings together; validators share their own pending, and the
    /// miners' too where no miner earns anything; root stakers the root pending.
    pub(super) fn run_epoch(
        &mut self,
        params: &ProtocolParams,
        block: u64,
        root_stakes: &StakeBook,
        drained: Pending,
    ) -> Vec<Payment> {
        let owner = self.owner.map(|owner| owner.hotkey);
        let Some(neurons) = &mut self.neurons else { return Vec::new() };
        let stakes: Vec<Stakes> =
            neurons.hotkeys.iter().map(|hotkey| Stakes::of(*hotkey, &self.stakes, root_stakes)).collect();
        let total = drained.server + drained.validator + drained.root;
        let (incentives, dividends) = neurons.run_epoch(params.tao_weight, block, owner, &stakes, total);
        let earned: u64 = incentives.iter().sum();
        let validator = if earned > 0 { drained.validator } else { drained.validator + drained.server };
        let weight = (params.tao_weight * SCALE_32) as u128;
        let split: Vec<(u128, u128)> =
            dividends.iter().zip(&stakes).map(|(dividend, stakes)| stakes.split(*dividend, weight)).collect();
        let alpha = in_proportion(validator, split.iter().map(|(alpha, _)| *alpha));
        let root = in_proportion(drained.root, split.iter().map(|(_, root)| *root));
        let payment = |uid: usize| Payment {
            hotkey: neurons.hotkeys[uid],
            incentive: incentives[uid],
            alpha_raw: alpha[uid],
            root_raw: root[uid],
        };
        (0..incentives.len()).map(payment).collect()
    }

    /// Withholds what the owner's hotkeys would earn as miners, and notes the withheld part.
    fn withhold(&mut self, payments: &[Payment], is_owners: impl Fn(Hotkey) -> bool) {
        let all: u64 = payments.iter().map(|payment| payment.incentive).sum();
        let withheld: u64 =
            payments.iter().filter(|payment| is_owners(payment.hotkey)).map(|payment| payment.incentive).sum();
        if self.withheld == Withheld::Recycled {
            self.outstanding_alpha = self.outstanding_alpha.saturating_sub(withheld);
        }
        self.miner_burned_raw = (u128::from(withheld) << BITS).checked_div(u128::from(all)).unwrap_or(0) as u64;
    }
}

impl Neurons {
    /// Emission of each uid as miner and as validator (rao), of `total`.
    fn run_epoch(
        &mut self,
        tao_weight: f64,
        block: u64,
        owner: Option<Hotkey>,
        stakes: &[Stakes],
        total: u64,
    ) -> (Vec<u64>, Vec<u64>) {
        let times = self.registered_at.iter().zip(&self.last_update);
        let neurons: Vec<Neuron> = stakes
            .iter()
            .zip(times)
            .map(|(stakes, (registered_at, last_update))| Neuron {
                stake: epoch::combined_stake(stakes.alpha as f64, stakes.root as f64, tao_weight),
                registered_at: *registered_at,
                last_update: *last_update,
                committed_at: None,
            })
            .collect();
        let owner = owner.and_then(|owner| self.hotkeys.iter().position(|hotkey| *hotkey == owner));
        let inputs = YumaInputs { block, neurons: &neurons, weights: self.weights.view(), owner };
        let outcome = epoch::run_epoch(&self.yuma, &inputs, &self.state);
        let amounts =
            |shares: &ndarray::Array1<f64>| shares.iter().map(|share| epoch::share_rao(*share, total)).collect();
        let paid = (amounts(&outcome.emission.server), amounts(&outcome.emission.validator));
        self.incentive = outcome.incentive.iter().map(|part| proportion_u16(*part)).collect();
        self.dividends = outcome.dividends.iter().map(|part| proportion_u16(*part)).collect();
        self.state = outcome.next;
        paid
    }
}

/// Stake with a hotkey before a distribution (rao).
struct Stakes {
    alpha: u64,
    root: u64,
}

impl Stakes {
    fn of(hotkey: Hotkey, alpha: &StakeBook, root: &StakeBook) -> Self {
        Self { alpha: alpha.with_hotkey(hotkey), root: root.with_hotkey(hotkey) }
    }

    /// Splits a dividend (rao) by what earned it, into alpha and root (raw); `weight`: that of root TAO (raw).
    fn split(&self, dividend: u64, weight: u128) -> (u128, u128) {
        let root_alpha = u128::from(self.root) * weight;
        let proportion = (root_alpha << BITS).checked_div((u128::from(self.alpha) << BITS) + root_alpha).unwrap_or(0);
        let root = u128::from(dividend) * proportion;
        ((u128::from(dividend) << BITS) - root, root)
    }
}

/// Parts of `amount` (rao, results raw) in proportion to `weights`, whose shares are truncated to 2^-32.
fn in_proportion(amount: u64, weights: impl Iterator<Item = u128> + Clone) -> Vec<u128> {
    let sum: u128 = weights.clone().sum();
    weights.map(|weight| u128::from(amount) * (weight << BITS).checked_div(sum).unwrap_or(0)).collect()
}

impl Ledger {
    /// Pays the owner cut and what an epoch of the subnet at `position` decided. Unknown hotkeys are paid nothing.
    pub(super) fn distribute(&mut self, position: usize, owner_cut: u64, payments: &[Payment]) {
        let Self { subnets, hotkeys, root, .. } = self;
        let subnet = &mut subnets[position];
        let owner = subnet.owner;
        if let Some(owner) = owner {
            subnet.stakes.deposit(owner, owner_cut);
        }
        let is_owners = |hotkey: Hotkey| {
            let coldkey = hotkeys.get(&hotkey).map(|delegate| delegate.owner);
            owner.is_some_and(|owner| owner.hotkey == hotkey || coldkey == Some(owner.coldkey))
        };
        subnet.withhold(payments, is_owners);
        for payment in payments {
            let Some(Delegate { owner, take }) = hotkeys.get(&payment.hotkey).copied() else { continue };
            let keys = Keys { hotkey: payment.hotkey, coldkey: owner };
            if !is_owners(payment.hotkey) {
                subnet.stakes.deposit(keys, payment.incentive);
            }
            let (taken, rest) = take_of(payment.alpha_raw, take);
            subnet.stakes.deposit(keys, taken);
            subnet.stakes.distribute(payment.hotkey, rest);
            let (taken, rest) = take_of(payment.root_raw, take);
            subnet.stakes.deposit(keys, taken);
            if !root.accrue(payment.hotkey, subnet.netuid, rest) {
                subnet.stakes.deposit(keys, rest);
            }
        }
    }
}

/// Take and rest (rao) of a dividend (raw) at a take (parts of 65,535).
fn take_of(dividend_raw: u128, take: u16) -> (u64, u64) {
    let take_raw = (dividend_raw * ((u128::from(take) << BITS) / TAKE_PARTS)) >> BITS;
    ((take_raw >> BITS) as u64, ((dividend_raw - take_raw) >> BITS) as u64)
}
