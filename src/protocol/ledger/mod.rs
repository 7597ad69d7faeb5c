//! The chain with everybody on it: who holds what, block by block, in whole rao.
//!
//! Where [`crate::protocol::block`] keeps one sum of stakes per subnet in tokens, a [`Ledger`] keeps every stake, the
//! pendings between two epochs, the neurons and their consensus, root stakes and their claims. What a subnet is to get in a
//! block is decided by the rules of [`crate::protocol::block`]; the ledger books it in integers.
//!
//! | Chain (`pallets/subtensor/src`) | Here |
//! |---|---|
//! | `coinbase/block_step.rs`, `block_step` | [`Ledger::advance_block`] |
//! | `coinbase/run_coinbase.rs`, `drain_pending`, `should_run_epoch` | [`schedule::fire_due`] |
//! | `coinbase/run_coinbase.rs`, `distribute_emission`, `calculate_dividend_distribution` | [`distribution`] |
//! | `staking/claim_root.rs` | [`root_claim`] |
//! | `staking/{add_stake,remove_stake,move_stake,recycle_alpha}.rs` | [`stake_ops`] |
//! | `primitives/share-pool` | [`accounts::StakePool`] |
//!
//! # Not modelled
//!
//! - Rules before spec 413: the ledger keeps what the chain buys and lets root claim its alpha, and it has no flow averages.
//! - Parents and children, several mechanisms, stake destinations of miners, leases: a hotkey's dividends are its own.
//! - Conviction locks, and changes of ownership by them; transfers between coldkeys or hotkeys of one subnet.
//! - Claims of single subnets by hand and `KeepSubnets`; removal of a coldkey from the index of automatic claims.
//! - The order of the chain's hashed storage among the hotkeys of a coldkey: ascending here.

use std::collections::BTreeMap;

use crate::protocol::ledger::accounts::Coldkey;
use crate::protocol::ledger::accounts::Delegate;
use crate::protocol::ledger::accounts::Hotkey;
use crate::protocol::ledger::accounts::Keys;
use crate::protocol::ledger::root_claim::RootLedger;
use crate::protocol::ledger::stake_ops::StakeError;
use crate::protocol::ledger::subnet::SubnetLedger;
use crate::units::NetUid;

pub mod accounts;
pub mod coinbase;
pub mod distribution;
pub mod root_claim;
pub mod schedule;
pub mod stake_ops;
pub mod subnet;

/// The chain after a block: global state, the subnets, and who holds what. Amounts in rao.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// The block after which this is the state.
    pub block: u64,
    /// `TotalIssuance`.
    pub issuance: u64,
    /// `TotalStake`.
    pub total_stake: u64,
    /// Subnets, ascending by netuid, without root.
    pub subnets: Vec<SubnetLedger>,
    /// Root: its stakes and their claims.
    pub root: RootLedger,
    /// Owner and take of each hotkey.
    pub hotkeys: BTreeMap<Hotkey, Delegate>,
    /// Free TAO.
    pub balances: BTreeMap<Coldkey, u64>,
    /// Block author, who gets the fees; without one they are burned.
    pub author: Option<Coldkey>,
}

impl Ledger {
    /// The subnet of a netuid.
    pub fn subnet(&self, netuid: NetUid) -> Option<&SubnetLedger> {
        let position = self.subnets.binary_search_by_key(&netuid, |subnet| subnet.netuid).ok()?;
        self.subnets.get(position)
    }

    /// Stake of a coldkey with a hotkey on a subnet; 0 where there is no such subnet.
    pub fn stake(&self, keys: Keys, netuid: NetUid) -> u64 {
        self.subnet(netuid).map_or(0, |subnet| subnet.stakes.of(keys))
    }

    /// Free TAO of a coldkey.
    pub fn balance(&self, coldkey: Coldkey) -> u64 {
        self.balances.get(&coldkey).copied().unwrap_or(0)
    }

    /// The owner of a subnet calls start_call: it emits, and can be staked on, from the next block.
    ///
    /// # Errors
    /// There is no such subnet.
    pub fn start_call(&mut self, netuid: NetUid) -> Result<(), StakeError> {
        let next_block = self.block + 1;
        self.subnet_mut(netuid)?.first_emission_block.get_or_insert(next_block);
        Ok(())
    }

    /// Root switches the TAO emission of a subnet.
    ///
    /// # Errors
    /// There is no such subnet.
    pub fn set_emission_enabled(&mut self, netuid: NetUid, enabled: bool) -> Result<(), StakeError> {
        self.subnet_mut(netuid)?.emission_enabled = enabled;
        Ok(())
    }

    fn subnet_mut(&mut self, netuid: NetUid) -> Result<&mut SubnetLedger, StakeError> {
        let position = self.subnets.binary_search_by_key(&netuid, |subnet| subnet.netuid);
        position.ok().and_then(|position| self.subnets.get_mut(position)).ok_or(StakeError::SubnetNotExists)
    }

    fn credit(&mut self, coldkey: Coldkey, amount: u64) {
        *self.balances.entry(coldkey).or_default() += amount;
    }

    /// Requires `amount <= balance(coldkey)`.
    fn pay(&mut self, coldkey: Coldkey, amount: u64) {
        *self.balances.entry(coldkey).or_default() -= amount;
    }

    fn credit_author(&mut self, amount: u64) {
        if let Some(author) = self.author {
            self.credit(author, amount);
        }
    }
}
