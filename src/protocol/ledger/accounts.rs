//! Who can hold something: coldkeys with TAO, hotkeys that take stake, and the stake of both in one hotkey's pool.

use std::collections::BTreeMap;

use crate::protocol::fixed::mul_div_floor;

/// An account that owns TAO and stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coldkey(pub u32);

/// An account that stake is given to: a validator or a miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hotkey(pub u32);

/// A stake's two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keys {
    /// Whom the stake is with.
    pub hotkey: Hotkey,
    /// Whose it is.
    pub coldkey: Coldkey,
}

/// A hotkey as the chain knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegate {
    /// `Owner`: the coldkey that the take and miner emission are paid to.
    pub owner: Coldkey,
    /// `Delegates`: take of the hotkey on dividends (parts of 65,535).
    pub take: u16,
}

/// Shares per rao in a new pool, as a power of 2: finer than the rounding of the chain's own shares.
const SHARE_BITS: u32 = 60;

/// The stake with one hotkey on one subnet, owned in shares by coldkeys. Amounts in rao of the subnet's token.
///
/// Source: primitives/share-pool, `SharePool`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StakePool {
    value: u64,
    shares: u128,
    shares_by_coldkey: BTreeMap<Coldkey, u128>,
}

impl StakePool {
    /// Stake of all coldkeys.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Stake of one coldkey, floored: `value * share / shares`.
    pub fn value_of(&self, coldkey: Coldkey) -> u64 {
        let share = self.shares_by_coldkey.get(&coldkey).copied().unwrap_or(0);
        if share == 0 { 0 } else { mul_div_floor(share, self.value, self.shares) }
    }

    /// Stakes `amount` for one coldkey.
    pub fn deposit(&mut self, coldkey: Coldkey, amount: u64) {
        if self.value == 0 {
            // Shares without value would take part in what comes next.
            *self = Self::default();
        }
        let bought = self.shares_of(amount);
        if amount > 0 {
            self.value = self.value.saturating_add(amount);
            self.shares += bought;
            *self.shares_by_coldkey.entry(coldkey).or_default() += bought;
        }
    }

    /// Takes `amount` out for one coldkey. Requires `amount <= value_of(coldkey)`.
    pub fn withdraw(&mut self, coldkey: Coldkey, amount: u64) {
        debug_assert!(amount <= self.value_of(coldkey));
        let sold = self.shares_of(amount);
        if let Some(share) = self.shares_by_coldkey.get_mut(&coldkey) {
            let sold = sold.min(*share);
            *share -= sold;
            self.shares -= sold;
            self.value -= amount;
        }
    }

    /// Adds to the stake of all coldkeys in proportion; where there is none yet, for the first to come.
    pub fn distribute(&mut self, amount: u64) {
        self.value = self.value.saturating_add(amount);
    }

    /// Shares that `amount` is worth, floored: `amount * shares / value`. The first to stake owns all there is.
    fn shares_of(&self, amount: u64) -> u128 {
        let amount = u128::from(amount);
        match u128::from(self.value) {
            _ if self.shares == 0 => amount << SHARE_BITS,
            0 => 0,
            value => amount * (self.shares / value) + amount * (self.shares % value) / value,
        }
    }
}

/// All stakes on one subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StakeBook {
    pools: BTreeMap<Hotkey, StakePool>,
}

impl StakeBook {
    /// Stake with a hotkey.
    pub fn with_hotkey(&self, hotkey: Hotkey) -> u64 {
        self.pools.get(&hotkey).map_or(0, StakePool::value)
    }

    /// Stake of a coldkey with a hotkey.
    pub fn of(&self, keys: Keys) -> u64 {
        self.pools.get(&keys.hotkey).map_or(0, |pool| pool.value_of(keys.coldkey))
    }

    /// Stake of all.
    pub fn total(&self) -> u64 {
        self.pools.values().map(StakePool::value).sum()
    }

    /// Hotkeys that have ever held stake here.
    pub fn hotkeys(&self) -> impl Iterator<Item = Hotkey> {
        self.pools.keys().copied()
    }

    /// Adds to the stake of a coldkey with a hotkey.
    pub fn deposit(&mut self, keys: Keys, amount: u64) {
        self.pools.entry(keys.hotkey).or_default().deposit(keys.coldkey, amount);
    }

    /// Takes from the stake of a coldkey with a hotkey. Requires `amount <= of(keys)`.
    pub fn withdraw(&mut self, keys: Keys, amount: u64) {
        self.pools.entry(keys.hotkey).or_default().withdraw(keys.coldkey, amount);
    }

    /// Adds to the stake of all coldkeys with a hotkey, in proportion; where there is none yet, for the first to come.
    pub fn distribute(&mut self, hotkey: Hotkey, amount: u64) {
        self.pools.entry(hotkey).or_default().distribute(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const ANNE: Coldkey = Coldkey(1);
    const BERT: Coldkey = Coldkey(2);

    #[test]
    fn dividends_go_to_all_in_proportion() {
        let mut pool = StakePool::default();
        pool.deposit(ANNE, 300_000_000_000);
        pool.deposit(BERT, 100_000_000_000);
        pool.distribute(4_000_000_001);
        assert_eq!((pool.value_of(ANNE), pool.value_of(BERT)), (303_000_000_000, 101_000_000_000));
        assert_eq!(pool.value(), 404_000_000_001);
    }

    #[test]
    fn what_is_put_in_after_a_dividend_comes_out_again() {
        let mut pool = StakePool::default();
        pool.deposit(ANNE, 7);
        pool.distribute(1_000_000_000_000);
        pool.deposit(BERT, 123_456_789_012);
        assert!(pool.value_of(BERT).abs_diff(123_456_789_012) <= 1);
        pool.withdraw(BERT, pool.value_of(BERT));
        assert!(pool.value_of(BERT) <= 1 && pool.value_of(ANNE).abs_diff(1_000_000_000_007) <= 1);
    }

    #[test]
    fn shares_without_value_do_not_take_part() {
        let mut pool = StakePool::default();
        pool.deposit(ANNE, 1_000);
        pool.withdraw(ANNE, 1_000);
        pool.deposit(BERT, 50);
        assert_eq!((pool.value_of(ANNE), pool.value_of(BERT), pool.value()), (0, 50, 50));
    }

    #[test]
    fn the_first_to_stake_owns_what_was_there() {
        let mut pool = StakePool::default();
        pool.distribute(40);
        pool.deposit(ANNE, 2);
        assert_eq!((pool.value_of(ANNE), pool.value()), (42, 42));
    }

    #[test]
    fn the_largest_amounts_do_not_overflow() {
        let mut pool = StakePool::default();
        pool.deposit(ANNE, u64::MAX / 2);
        pool.deposit(BERT, u64::MAX / 2);
        assert_eq!((pool.value_of(ANNE), pool.value_of(BERT)), (u64::MAX / 2, u64::MAX / 2));
    }

    proptest! {
        /// Whatever is staked, distributed and withdrawn: nobody owns more than there is, and little is lost.
        #[test]
        fn stakes_sum_to_the_pool(
            operations in proptest::collection::vec((0..3_u32, 0..4_u32, 1..10_000_000_000_000_u64), 1..30),
        ) {
            let mut pool = StakePool::default();
            pool.deposit(ANNE, 1_000_000_000);
            for (operation, coldkey, amount) in &operations {
                let coldkey = Coldkey(*coldkey);
                match operation {
                    0 => pool.deposit(coldkey, *amount),
                    1 => pool.withdraw(coldkey, (*amount).min(pool.value_of(coldkey))),
                    _ => pool.distribute(*amount / 100),
                }
            }
            let owned: u64 = (0..4).map(|coldkey| pool.value_of(Coldkey(coldkey))).sum();
            let held = pool.value();
            // With shares; without any, what was distributed waits for the first to come.
            prop_assert!(owned <= held && (owned + 4 >= held || owned == 0), "{owned} of {held}");
        }
    }
}
