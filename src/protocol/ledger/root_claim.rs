//! Root: stakes of TAO, the alpha that is owed on them, and how it is claimed.
//!
//! Root dividends of a subnet raise the rate at which the hotkey owes alpha per TAO staked with it on root. What a coldkey
//! has claimed, or was owed before it staked, is kept beside, so that only dividends after staking accrue.
//! Source: pallets/subtensor/src/staking/claim_root.rs.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::protocol::ledger::Ledger;
use crate::protocol::ledger::accounts::Coldkey;
use crate::protocol::ledger::accounts::Hotkey;
use crate::protocol::ledger::accounts::Keys;
use crate::protocol::ledger::accounts::StakeBook;
use crate::protocol::ledger::stake_ops::PRICE_MIN_RAO;
use crate::protocol::pool_rao::Side;
use crate::protocol::pool_rao::SwapRequest;
use crate::units::NetUid;

/// What a coldkey wants for the alpha that it is owed: `RootClaimType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClaimType {
    /// TAO, staked on root: the alpha is sold.
    #[default]
    Swap,
    /// The alpha, staked on its subnet.
    Keep,
}

/// Root's stakes and what they are owed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootLedger {
    /// `SubnetTAO[0]`: TAO staked on root (rao).
    pub tao: u64,
    /// Stakes of TAO (rao).
    pub stakes: StakeBook,
    /// `RootClaimable`: alpha owed per TAO staked with a hotkey since ever (units of 2^-32), by subnet.
    pub rates: BTreeMap<Hotkey, BTreeMap<NetUid, u64>>,
    /// `RootClaimed`: alpha claimed or not due (rao).
    pub claimed: BTreeMap<(NetUid, Keys), u64>,
    /// What each coldkey wants; without entry [`ClaimType::Swap`].
    pub claim_types: BTreeMap<Coldkey, ClaimType>,
    /// `StakingColdkeysByIndex`: whom the automatic claims choose from.
    pub claimants: Vec<Coldkey>,
}

impl RootLedger {
    /// Alpha (units of 2^-32 rao) that is owed to a stake; 0 where it has claimed more.
    pub(super) fn owed_raw(&self, keys: Keys, netuid: NetUid) -> u128 {
        let rate = self.rates.get(&keys.hotkey).and_then(|rates| rates.get(&netuid)).copied().unwrap_or(0);
        let claimed = self.claimed.get(&(netuid, keys)).copied().unwrap_or(0);
        (u128::from(rate) * u128::from(self.stakes.of(keys))).saturating_sub(u128::from(claimed) << 32)
    }

    /// Raises the rate of a hotkey by `dividend` alpha (rao) shared among its stakes; refused, and returned as `false`, where
    /// the stakes are less than the dividend.
    pub fn accrue(&mut self, hotkey: Hotkey, netuid: NetUid, dividend: u64) -> bool {
        let stake = self.stakes.with_hotkey(hotkey);
        if dividend > stake {
            return false;
        }
        let rise = (u128::from(dividend) << 32).checked_div(u128::from(stake)).unwrap_or(0) as u64;
        *self.rates.entry(hotkey).or_default().entry(netuid).or_default() += rise;
        true
    }

    /// Adds TAO to a stake; nothing is owed on it for the past.
    pub fn credit(&mut self, keys: Keys, amount: u64) {
        self.tao += amount;
        self.stakes.deposit(keys, amount);
        if !self.claimants.contains(&keys.coldkey) {
            self.claimants.push(keys.coldkey);
        }
        self.adjust_claimed(keys, amount, u64::saturating_add);
    }

    /// Takes TAO from a stake; what was owed on it is lost. Requires `amount <= stakes.of(keys)`.
    pub fn debit(&mut self, keys: Keys, amount: u64) {
        self.tao -= amount;
        self.stakes.withdraw(keys, amount);
        self.adjust_claimed(keys, amount, u64::saturating_sub);
    }

    fn adjust_claimed(&mut self, keys: Keys, amount: u64, change: fn(u64, u64) -> u64) {
        for (netuid, rate) in self.rates.get(&keys.hotkey).into_iter().flatten() {
            let claimed = self.claimed.entry((*netuid, keys)).or_default();
            *claimed = change(*claimed, ((u128::from(*rate) * u128::from(amount)) >> 32) as u64);
        }
    }
}

/// Which of `claimants` claim in the block after the one of `parent_hash`, ascending; at most `draws`.
///
/// The hash is read as four words W, big end first; from v = W_0, each draw moves to `v = (v + W_(j mod 4)) mod claimants`.
/// Source: `block_hash_to_indices`.
pub fn drawn_claimants(parent_hash: &[u8; 32], draws: usize, claimants: usize) -> BTreeSet<usize> {
    let word = |draw: usize| {
        let bytes = parent_hash.iter().skip(8 * (draw % 4)).take(8);
        bytes.fold(0_u64, |word, byte| word << 8 | u64::from(*byte))
    };
    let mut drawn = BTreeSet::new();
    let mut last = word(0);
    for draw in 0..draws {
        last = last.saturating_add(word(draw)).checked_rem(claimants as u64).unwrap_or(0);
        drawn.insert(last as usize);
    }
    drawn
}

impl Ledger {
    /// The claims that the chain makes by itself in a block.
    pub(super) fn claim_automatically(&mut self, parent_hash: &[u8; 32], draws: usize) {
        for place in drawn_claimants(parent_hash, draws, self.root.claimants.len()) {
            if let Some(coldkey) = self.root.claimants.get(place) {
                self.claim_all(*coldkey);
            }
        }
    }

    /// A coldkey claims what it is owed by all hotkeys on all subnets.
    pub fn claim_all(&mut self, coldkey: Coldkey) {
        let hotkeys: Vec<Hotkey> = self.root.rates.keys().copied().collect();
        for hotkey in hotkeys {
            let netuids: Vec<NetUid> = self.root.rates[&hotkey].keys().copied().collect();
            netuids.into_iter().for_each(|netuid| self.claim(Keys { hotkey, coldkey }, netuid));
        }
    }

    /// Nothing happens below the subnet's threshold, or where the pool refuses.
    fn claim(&mut self, keys: Keys, netuid: NetUid) {
        let owed_raw = self.root.owed_raw(keys, netuid);
        let threshold = self.subnet(netuid).map_or(u64::MAX, |subnet| subnet.claim_threshold);
        let owed = (owed_raw >> 32) as u64;
        if owed == 0 || owed < threshold {
            return;
        }
        let claimed = match self.root.claim_types.get(&keys.coldkey).copied().unwrap_or_default() {
            ClaimType::Swap => self.sell_root_alpha(keys, netuid, owed),
            ClaimType::Keep => self.subnet_mut(netuid).is_ok_and(|subnet| {
                subnet.stakes.deposit(keys, owed);
                true
            }),
        };
        if claimed {
            *self.root.claimed.entry((netuid, keys)).or_default() += owed;
        }
    }

    /// Sells alpha free of fee and stakes the proceeds on root; `false` where the pool refuses.
    fn sell_root_alpha(&mut self, keys: Keys, netuid: NetUid, owed: u64) -> bool {
        let Ok(subnet) = self.subnet_mut(netuid) else { return false };
        let request = SwapRequest { side: Side::Sell, amount: owed, fee_rate: 0, price_limit: PRICE_MIN_RAO };
        let Ok(swap) = subnet.pool.swap(request) else { return false };
        subnet.outstanding_alpha = subnet.outstanding_alpha.saturating_sub(swap.paid_in);
        subnet.protocol_flow_tao -= swap.paid_out as i64;
        subnet.counters.root_sell_tao += swap.paid_out;
        self.root.credit(keys, swap.paid_out);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: Keys = Keys { hotkey: Hotkey(1), coldkey: Coldkey(2) };
    const NETUID: NetUid = NetUid(3);

    #[test]
    fn only_dividends_after_staking_are_owed() {
        let mut root = RootLedger::default();
        root.credit(KEYS, 1_000_000_000);
        assert!(root.accrue(KEYS.hotkey, NETUID, 250_000_000));
        assert_eq!(root.owed_raw(KEYS, NETUID) >> 32, 250_000_000);
        let late = Keys { coldkey: Coldkey(9), ..KEYS };
        root.credit(late, 3_000_000_000);
        assert_eq!(root.owed_raw(late, NETUID), 0);
        assert!(root.accrue(KEYS.hotkey, NETUID, 400_000_000));
        let owed = [KEYS, late].map(|keys| root.owed_raw(keys, NETUID) >> 32);
        assert!(owed[0].abs_diff(350_000_000) <= 1 && owed[1].abs_diff(300_000_000) <= 1, "{owed:?}");
        root.debit(late, 3_000_000_000);
        assert_eq!(root.owed_raw(late, NETUID), 0);
        assert_eq!((root.tao, root.claimants.len()), (1_000_000_000, 2));
    }

    #[test]
    fn a_dividend_above_the_stake_is_refused() {
        let mut root = RootLedger::default();
        assert!(!root.accrue(KEYS.hotkey, NETUID, 1));
        root.credit(KEYS, 10);
        assert!(root.accrue(KEYS.hotkey, NETUID, 10) && !root.accrue(KEYS.hotkey, NETUID, 11));
    }

    #[test]
    fn draws_walk_over_the_words_of_the_hash() {
        let mut hash = [0_u8; 32];
        (hash[7], hash[15], hash[23], hash[31]) = (1, 2, 3, 4);
        // 1 + 1, + 2, + 3, + 4, + 1 modulo 5: 2, 4, 2, 1, 2.
        assert_eq!(drawn_claimants(&hash, 5, 5).into_iter().collect::<Vec<_>>(), [1, 2, 4]);
        assert_eq!(drawn_claimants(&[0xff; 32], 5, 1).into_iter().collect::<Vec<_>>(), [0]);
        assert_eq!(drawn_claimants(&hash, 0, 5).len(), 0);
        assert_eq!(drawn_claimants(&hash, 5, 0).into_iter().collect::<Vec<_>>(), [0]);
    }
}
