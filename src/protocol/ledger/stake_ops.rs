//! What users do with stake: add, remove, swap between subnets, unstake all, recycle and burn, with the chain's refusals.
//!
//! Source: pallets/subtensor/src/staking/{add_stake,remove_stake,move_stake,recycle_alpha,stake_utils}.rs. All amounts in
//! rao. An operation that is refused changes nothing.

use thiserror::Error;

use crate::protocol::fixed::div_u64f64;
use crate::protocol::fixed::mul_u64f64;
use crate::protocol::fixed::ratio_u64f64;
use crate::protocol::ledger::Ledger;
use crate::protocol::ledger::accounts::Coldkey;
use crate::protocol::ledger::accounts::Keys;
use crate::protocol::ledger::subnet::SubnetLedger;
use crate::protocol::pool::PoolError;
use crate::protocol::pool_rao;
use crate::protocol::pool_rao::PoolRao;
use crate::protocol::pool_rao::Side;
use crate::protocol::pool_rao::Swap;
use crate::protocol::pool_rao::SwapRequest;
use crate::units::NetUid;

/// `DefaultMinStake`: least TAO that is staked, or that a part of a stake is sold for (rao).
pub const STAKE_MIN_RAO: u64 = 2_000_000;
/// `NominatorMinRequiredStake` in effect on mainnet: a smaller rest of a nomination is sold too (rao).
pub const NOMINATION_MIN_RAO: u64 = 20_000_000;
/// What a transfer of TAO leaves on an account (rao).
pub const EXISTENTIAL_DEPOSIT_RAO: u64 = 500;
/// Price limit of buys without an own one, 1e6 TAO per alpha (rao per alpha token): `max_price`.
pub const PRICE_MAX_RAO: u64 = 1_000_000_000_000_000;
/// Price limit of sales without an own one, 1e-6 TAO per alpha (rao per alpha token): `min_price`.
pub const PRICE_MIN_RAO: u64 = 1_000;
/// Largest input of a trade in multiples of the reserve that it enters.
const INPUT_MAX_RESERVES: u64 = 1_000;

/// Why the chain refuses an operation; the state is then unchanged. Named as on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StakeError {
    /// `SubnetNotExists`.
    #[error("there is no subnet of that netuid")]
    SubnetNotExists,
    /// `SubtokenDisabled`: before start_call nobody can stake.
    #[error("the subnet has not started")]
    SubtokenDisabled,
    /// `SameNetuid`.
    #[error("origin and destination are the same subnet")]
    SameNetuid,
    /// `AmountTooLow`: below the least stake, or nothing at all.
    #[error("the amount is below the least stake")]
    AmountTooLow,
    /// `NotEnoughBalanceToStake`.
    #[error("the coldkey has less TAO than that")]
    NotEnoughBalanceToStake,
    /// `NotEnoughStakeToWithdraw`.
    #[error("the coldkey has less stake than that")]
    NotEnoughStakeToWithdraw,
    /// `SlippageTooHigh`: the whole amount would move the price beyond the limit, and a part is not wanted.
    #[error("the whole amount would move the price beyond the limit")]
    SlippageTooHigh,
    /// `InsufficientLiquidity`: the pool refuses the amount.
    #[error("the pool cannot take the amount")]
    InsufficientLiquidity,
    /// Refused by the pool in the execution itself.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

impl StakeError {
    /// Name of the chain's error.
    pub fn chain_name(self) -> &'static str {
        match self {
            Self::SubnetNotExists => "SubnetNotExists",
            Self::SubtokenDisabled => "SubtokenDisabled",
            Self::SameNetuid => "SameNetuid",
            Self::AmountTooLow => "AmountTooLow",
            Self::NotEnoughBalanceToStake => "NotEnoughBalanceToStake",
            Self::NotEnoughStakeToWithdraw => "NotEnoughStakeToWithdraw",
            Self::SlippageTooHigh => "SlippageTooHigh",
            Self::InsufficientLiquidity => "InsufficientLiquidity",
            Self::Pool(PoolError::ReservesTooLow) => "ReservesTooLow",
            Self::Pool(PoolError::PriceLimitExceeded) => "PriceLimitExceeded",
            Self::Pool(PoolError::InputTooLarge) => "SwapInputTooLarge",
        }
    }
}

/// A price that a trade must not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Price (rao per alpha token); for a swap between subnets, alpha of the destination per 1e9 alpha of the origin.
    pub price: u64,
    /// Whether the part within the limit is executed where the whole is not within.
    pub allow_partial: bool,
}

/// Stake sold from a pool, with the author's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sale {
    pool: PoolRao,
    swap: Swap,
    author_tao: u64,
}

fn request(side: Side, amount: u64, fee_rate: u16, price_limit: u64) -> SwapRequest {
    SwapRequest { side, amount, fee_rate, price_limit }
}

impl SubnetLedger {
    /// What a sale without an own limit would do, the author's part left out: `sim_swap`.
    fn simulate(&self, side: Side, amount: u64) -> Result<Swap, StakeError> {
        let price_limit = if side == Side::Buy { PRICE_MAX_RAO } else { PRICE_MIN_RAO };
        let simulated = self.pool.clone().swap(request(side, amount, self.fee_rate, price_limit));
        simulated.map_err(|_| StakeError::InsufficientLiquidity)
    }

    /// Largest gross input of a trade that its price limit lets through.
    fn most_within(&self, side: Side, price_limit: u64) -> Result<u64, StakeError> {
        let reserve = if side == Side::Buy { self.pool.reserve_tao } else { self.pool.reserve_alpha };
        let most = reserve.saturating_mul(INPUT_MAX_RESERVES);
        let swap = self.pool.clone().swap(request(side, most, self.fee_rate, price_limit))?;
        Ok(swap.paid_in + swap.fee)
    }

    /// Sells `amount`; without an author the fee stays outside the pool.
    fn sale(&self, amount: u64, price_limit: u64, has_author: bool) -> Result<Sale, StakeError> {
        let mut pool = self.pool;
        let swap = pool.swap(request(Side::Sell, amount, self.fee_rate, price_limit))?;
        let author_tao =
            if has_author { pool.swap(request(Side::Sell, swap.fee, 0, PRICE_MIN_RAO))?.paid_out } else { 0 };
        Ok(Sale { pool, swap, author_tao })
    }
}

impl Ledger {
    /// Stakes `amount` TAO at any price.
    ///
    /// # Errors
    /// See [`StakeError`].
    pub fn add_stake(&mut self, keys: Keys, netuid: NetUid, amount: u64) -> Result<(), StakeError> {
        self.check_add(keys, netuid, amount)?;
        self.stake_into(keys, netuid, amount, PRICE_MAX_RAO, false)
    }

    /// Stakes up to `amount` TAO, as far as the price stays within the limit.
    ///
    /// # Errors
    /// See [`StakeError`].
    pub fn add_stake_limit(&mut self, keys: Keys, netuid: NetUid, amount: u64, limit: Limit) -> Result<(), StakeError> {
        let most = self.started(netuid)?.most_within(Side::Buy, limit.price)?;
        let possible = amount.min(most);
        self.check_add_min(netuid, amount)?;
        check_slippage(amount, most, limit.allow_partial)?;
        self.check_add(keys, netuid, possible)?;
        self.stake_into(keys, netuid, possible, limit.price, false)
    }

    /// Sells `amount` alpha of a stake, or all of it if that is less, at any price.
    ///
    /// # Errors
    /// See [`StakeError`].
    pub fn remove_stake(&mut self, keys: Keys, netuid: NetUid, amount: u64) -> Result<(), StakeError> {
        let amount = amount.min(self.started(netuid)?.stakes.of(keys));
        self.check_remove(keys, netuid, amount)?;
        self.unstake_from(keys, netuid, amount, PRICE_MIN_RAO)?;
        self.clear_small_nomination(keys, netuid);
        Ok(())
    }

    /// Sells up to `amount` alpha of a stake, as far as the price stays within the limit.
    ///
    /// # Errors
    /// See [`StakeError`].
    pub fn remove_stake_limit(
        &mut self,
        keys: Keys,
        netuid: NetUid,
        amount: u64,
        limit: Limit,
    ) -> Result<(), StakeError> {
        let most = self.started(netuid)?.most_within(Side::Sell, limit.price)?;
        self.check_remove(keys, netuid, amount)?;
        check_slippage(amount, most, limit.allow_partial)?;
        self.unstake_from(keys, netuid, amount.min(most), limit.price)?;
        self.clear_small_nomination(keys, netuid);
        Ok(())
    }

    /// Sells stake of one subnet and stakes the proceeds in another with the same hotkey. The fee is paid on the sale only;
    /// proceeds below the least stake stay with the coldkey.
    ///
    /// # Errors
    /// See [`StakeError`].
    pub fn swap_stake(
        &mut self,
        keys: Keys,
        from: NetUid,
        to: NetUid,
        amount: u64,
        limit: Option<Limit>,
    ) -> Result<(), StakeError> {
        let (origin, destination) = (self.started(from)?, self.started(to)?);
        if from == to {
            return Err(StakeError::SameNetuid);
        }
        let amount = amount.min(origin.stakes.of(keys));
        let most = limit.map_or(amount, |limit| most_to_swap(&origin.pool, &destination.pool, limit.price));
        if origin.simulate(Side::Sell, amount)?.paid_out <= STAKE_MIN_RAO {
            return Err(StakeError::AmountTooLow);
        }
        check_slippage(amount, most, limit.is_none_or(|limit| limit.allow_partial))?;
        let amount = amount.min(most);
        self.all_or_nothing(|ledger| {
            let proceeds = ledger.unstake_from(keys, from, amount, PRICE_MIN_RAO)?;
            if proceeds < STAKE_MIN_RAO { Ok(()) } else { ledger.stake_into(keys, to, proceeds, PRICE_MAX_RAO, true) }
        })
    }

    /// Sells all stakes of a coldkey with a hotkey, in ascending order of netuid; those that cannot be sold stay.
    ///
    /// # Errors
    /// See [`StakeError`].
    pub fn unstake_all(&mut self, keys: Keys) -> Result<(), StakeError> {
        let netuids: Vec<NetUid> = self.subnets.iter().map(|subnet| subnet.netuid).collect();
        self.all_or_nothing(|ledger| {
            for netuid in netuids {
                let amount = ledger.stake(keys, netuid);
                if ledger.check_remove(keys, netuid, amount).is_ok() {
                    ledger.unstake_from(keys, netuid, amount, PRICE_MIN_RAO)?;
                }
            }
            Ok(())
        })
    }

    /// Takes alpha out of a stake and out of the issuance; at most what there is. Returns how much.
    ///
    /// # Errors
    /// See [`StakeError`].
    pub fn recycle_alpha(&mut self, keys: Keys, netuid: NetUid, amount: u64) -> Result<u64, StakeError> {
        let recycled = self.burn_alpha(keys, netuid, amount)?;
        let subnet = self.subnet_mut(netuid)?;
        subnet.outstanding_alpha = subnet.outstanding_alpha.saturating_sub(recycled);
        Ok(recycled)
    }

    /// Takes alpha out of a stake for nobody, at most what there is; the issuance stays. Returns how much.
    ///
    /// # Errors
    /// See [`StakeError`].
    pub fn burn_alpha(&mut self, keys: Keys, netuid: NetUid, amount: u64) -> Result<u64, StakeError> {
        self.started(netuid)?;
        let subnet = self.subnet_mut(netuid)?;
        let burned = amount.min(subnet.stakes.of(keys));
        subnet.stakes.withdraw(keys, burned);
        Ok(burned)
    }

    /// A coldkey pays `burn` TAO for the registration of a neuron: it buys alpha that is recycled. The fee is stranded outside
    /// the pool. Returns the alpha recycled. Source: subnets/registration.rs, `do_register`.
    ///
    /// # Errors
    /// See [`StakeError`].
    pub fn burn_for_neuron(&mut self, coldkey: Coldkey, netuid: NetUid, burn: u64) -> Result<u64, StakeError> {
        if self.balance(coldkey) < burn {
            return Err(StakeError::NotEnoughBalanceToStake);
        }
        let subnet = self.subnet_mut(netuid)?;
        let swap = subnet.pool.swap(request(Side::Buy, burn, subnet.fee_rate, PRICE_MAX_RAO))?;
        subnet.user_flow_tao += burn as i64;
        self.pay(coldkey, burn);
        self.total_stake += burn;
        Ok(swap.paid_out)
    }

    /// Stakes TAO on root, 1 to 1 and without a fee.
    ///
    /// # Errors
    /// See [`StakeError`].
    pub fn add_root_stake(&mut self, keys: Keys, amount: u64) -> Result<(), StakeError> {
        if amount < STAKE_MIN_RAO {
            return Err(StakeError::AmountTooLow);
        }
        let balance = self.balance(keys.coldkey);
        if balance < amount {
            return Err(StakeError::NotEnoughBalanceToStake);
        }
        let staked = amount.min(balance.saturating_sub(EXISTENTIAL_DEPOSIT_RAO));
        self.pay(keys.coldkey, staked);
        self.total_stake += staked;
        self.root.credit(keys, staked);
        Ok(())
    }

    /// Takes TAO from a stake on root, at most what there is.
    ///
    /// # Errors
    /// See [`StakeError`].
    pub fn remove_root_stake(&mut self, keys: Keys, amount: u64) -> Result<(), StakeError> {
        let held = self.root.stakes.of(keys);
        let amount = amount.min(held);
        if amount == 0 || (amount < held && amount < STAKE_MIN_RAO) {
            return Err(StakeError::AmountTooLow);
        }
        self.root.debit(keys, amount);
        self.total_stake -= amount;
        self.credit(keys.coldkey, amount);
        Ok(())
    }

    /// For operations of several trades.
    fn all_or_nothing(
        &mut self,
        operation: impl FnOnce(&mut Self) -> Result<(), StakeError>,
    ) -> Result<(), StakeError> {
        let mut changed = self.clone();
        operation(&mut changed)?;
        *self = changed;
        Ok(())
    }

    fn started(&self, netuid: NetUid) -> Result<&SubnetLedger, StakeError> {
        let subnet = self.subnet(netuid).ok_or(StakeError::SubnetNotExists)?;
        if subnet.is_started() { Ok(subnet) } else { Err(StakeError::SubtokenDisabled) }
    }

    /// The least stake and the fee on it.
    fn check_add_min(&self, netuid: NetUid, amount: u64) -> Result<(), StakeError> {
        let fee = pool_rao::fee_rao(STAKE_MIN_RAO, self.started(netuid)?.fee_rate);
        if amount < STAKE_MIN_RAO + fee { Err(StakeError::AmountTooLow) } else { Ok(()) }
    }

    /// Source: `validate_add_stake`.
    fn check_add(&self, keys: Keys, netuid: NetUid, amount: u64) -> Result<(), StakeError> {
        self.check_add_min(netuid, amount)?;
        if self.balance(keys.coldkey) < amount {
            return Err(StakeError::NotEnoughBalanceToStake);
        }
        let swap = self.started(netuid)?.simulate(Side::Buy, amount)?;
        if swap.paid_in < STAKE_MIN_RAO { Err(StakeError::AmountTooLow) } else { Ok(()) }
    }

    /// A part of a stake must be worth the least stake; all of it may be sold for less. Source: `validate_remove_stake`.
    fn check_remove(&self, keys: Keys, netuid: NetUid, amount: u64) -> Result<(), StakeError> {
        let subnet = self.started(netuid)?;
        let held = subnet.stakes.of(keys);
        if amount > subnet.pool.reserve_alpha.saturating_mul(INPUT_MAX_RESERVES) {
            return Err(StakeError::InsufficientLiquidity);
        }
        if amount == 0 {
            return Err(StakeError::AmountTooLow);
        }
        if amount > held {
            return Err(StakeError::NotEnoughStakeToWithdraw);
        }
        let worth = subnet.simulate(Side::Sell, amount)?.paid_out;
        if amount < held && worth < STAKE_MIN_RAO { Err(StakeError::AmountTooLow) } else { Ok(()) }
    }

    /// Moves TAO of a coldkey into a pool and the alpha bought into its stake. A transfer leaves the existential deposit
    /// behind. Source: `stake_into_subnet`.
    fn stake_into(
        &mut self,
        keys: Keys,
        netuid: NetUid,
        amount: u64,
        price_limit: u64,
        drops_fee: bool,
    ) -> Result<(), StakeError> {
        let staked = amount.min(self.balance(keys.coldkey).saturating_sub(EXISTENTIAL_DEPOSIT_RAO));
        let subnet = self.subnet_mut(netuid)?;
        let fee_rate = if drops_fee { 0 } else { subnet.fee_rate };
        let mut pool = subnet.pool;
        let swap = pool.swap(request(Side::Buy, staked, fee_rate, price_limit))?;
        if swap.paid_out == 0 {
            return Err(StakeError::AmountTooLow);
        }
        subnet.pool = pool;
        subnet.outstanding_alpha += swap.paid_out;
        subnet.stakes.deposit(keys, swap.paid_out);
        subnet.user_flow_tao += swap.paid_in as i64;
        self.pay(keys.coldkey, swap.paid_in + swap.fee);
        self.total_stake += swap.paid_in + swap.fee;
        self.credit_author(swap.fee);
        Ok(())
    }

    /// Sells alpha of a stake, pays the coldkey, and sells the fee for the author. Returns what the coldkey was paid.
    /// Source: `unstake_from_subnet`.
    fn unstake_from(&mut self, keys: Keys, netuid: NetUid, amount: u64, price_limit: u64) -> Result<u64, StakeError> {
        let sale = self.started(netuid)?.sale(amount, price_limit, self.author.is_some())?;
        let Sale { pool, swap, author_tao } = sale;
        let subnet = self.subnet_mut(netuid)?;
        let sold = pool.reserve_alpha - subnet.pool.reserve_alpha;
        subnet.pool = pool;
        subnet.outstanding_alpha = subnet.outstanding_alpha.saturating_sub(sold);
        subnet.stakes.withdraw(keys, swap.paid_in + swap.fee);
        subnet.user_flow_tao -= (swap.paid_out + author_tao) as i64;
        self.total_stake -= swap.paid_out + author_tao;
        self.credit(keys.coldkey, swap.paid_out);
        self.credit_author(author_tao);
        Ok(swap.paid_out)
    }

    /// Sells the rest of a nomination that is worth less than the least; nothing happens where the pool refuses.
    /// Source: staking/helpers.rs, `clear_small_nomination_if_required`.
    fn clear_small_nomination(&mut self, keys: Keys, netuid: NetUid) {
        let is_owner = self.hotkeys.get(&keys.hotkey).is_none_or(|delegate| delegate.owner == keys.coldkey);
        let Some(subnet) = self.subnet(netuid) else { return };
        let held = subnet.stakes.of(keys);
        let worth = (u128::from(held) * (subnet.pool.spot_price_raw() >> 32)) >> 32;
        if !is_owner && held > 0 && worth < u128::from(NOMINATION_MIN_RAO) {
            // A refusal of the pool leaves the rest where it is.
            let _ = self.unstake_from(keys, netuid, held, PRICE_MIN_RAO);
        }
    }
}

fn check_slippage(amount: u64, most: u64, allow_partial: bool) -> Result<(), StakeError> {
    if allow_partial || amount <= most { Ok(()) } else { Err(StakeError::SlippageTooHigh) }
}

/// Alpha of the origin that can be swapped before the price of origin in destination falls to `price / 1e9`.
///
/// ```text
/// x = (x_2 y_1 / (y_1 + y_2)) / limit - x_1 y_2 / (y_1 + y_2)        0 where the price is below the limit already
/// ```
///
/// `x`, `y`: alpha and TAO of origin (1) and destination (2). The chain takes both pools for equally weighted and the trade
/// for one step. Source: staking/move_stake.rs, `get_max_amount_move`.
fn most_to_swap(origin: &PoolRao, destination: &PoolRao, price: u64) -> u64 {
    let limit = ratio_u64f64(price, 1_000_000_000);
    if price == 0 {
        return u64::MAX;
    }
    if limit > div_u64f64(origin.spot_price_raw(), destination.spot_price_raw()) {
        return 0;
    }
    let tao = origin.reserve_tao.saturating_add(destination.reserve_tao);
    let part = |reserve: u64, tao_part: u64| mul_u64f64(u128::from(reserve) << 64, ratio_u64f64(tao_part, tao));
    let reached = div_u64f64(part(destination.reserve_alpha, origin.reserve_tao), limit);
    (reached.saturating_sub(part(origin.reserve_alpha, destination.reserve_tao)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ledger::accounts::Delegate;
    use crate::protocol::ledger::accounts::Hotkey;
    use crate::protocol::ledger::schedule::EpochClock;
    use crate::protocol::pool_rao::WEIGHT_ONE;

    const NETUID: NetUid = NetUid(1);
    const OTHER: NetUid = NetUid(2);
    const AUTHOR: Coldkey = Coldkey(9);
    const KEYS: Keys = Keys { hotkey: Hotkey(1), coldkey: Coldkey(2) };
    const TAO: u64 = 1_000_000_000;

    fn subnet(netuid: NetUid) -> SubnetLedger {
        let pool = PoolRao { reserve_tao: 50_000 * TAO, reserve_alpha: 100_000 * TAO, weight_tao: WEIGHT_ONE / 2 };
        let mut subnet = SubnetLedger::new(netuid, pool, EpochClock::new(360, 0));
        subnet.first_emission_block = Some(1);
        subnet
    }

    fn ledger() -> Ledger {
        Ledger {
            subnets: vec![subnet(NETUID), subnet(OTHER)],
            balances: [(KEYS.coldkey, 1_000 * TAO)].into(),
            hotkeys: [(KEYS.hotkey, Delegate { owner: Coldkey(7), take: 0 })].into(),
            author: Some(AUTHOR),
            ..Ledger::default()
        }
    }

    /// TAO of all accounts, pools and root; the fee of neuron registrations is outside.
    fn tao(ledger: &Ledger) -> u64 {
        let pools: u64 = ledger.subnets.iter().map(|subnet| subnet.pool.reserve_tao).sum();
        ledger.balances.values().sum::<u64>() + pools + ledger.root.tao
    }

    #[test]
    fn trades_conserve_tao_and_alpha() {
        let mut ledger = ledger();
        let (tao_before, alpha_before) = (tao(&ledger), ledger.subnets[0].issuance_alpha());
        ledger.add_stake(KEYS, NETUID, 500 * TAO).unwrap();
        ledger.swap_stake(KEYS, NETUID, OTHER, 300 * TAO, None).unwrap();
        ledger.remove_stake(KEYS, NETUID, 100 * TAO).unwrap();
        ledger.unstake_all(KEYS).unwrap();
        ledger.add_root_stake(KEYS, 20 * TAO).unwrap();
        ledger.remove_root_stake(KEYS, 5 * TAO).unwrap();
        assert_eq!((tao(&ledger), ledger.subnets[0].issuance_alpha()), (tao_before, alpha_before));
        assert_eq!((ledger.root.tao, ledger.subnets[0].stakes.total()), (15 * TAO, 0));
        assert!(ledger.balance(AUTHOR) > 0);
        assert!(ledger.subnets[0].user_flow_tao.abs() < 10, "all that came in went out, fees left aside");
    }

    #[test]
    fn a_small_rest_of_a_nomination_is_sold_and_of_an_owner_is_not() {
        for (owner, is_left) in [(Coldkey(7), false), (KEYS.coldkey, true)] {
            let mut ledger = ledger();
            ledger.hotkeys.insert(KEYS.hotkey, Delegate { owner, take: 0 });
            ledger.add_stake(KEYS, NETUID, 100 * TAO).unwrap();
            // 0.03 alpha are worth 0.015 TAO.
            let sold = ledger.stake(KEYS, NETUID) - 30_000_000;
            ledger.remove_stake(KEYS, NETUID, sold).unwrap();
            assert_eq!(ledger.stake(KEYS, NETUID) > 0, is_left);
        }
    }

    #[test]
    fn refusals_name_their_reason() {
        let mut ledger = ledger();
        ledger.add_stake(KEYS, NETUID, TAO).unwrap();
        ledger.subnets[1].first_emission_block = None;
        let before = ledger.clone();
        let limit = Limit { price: 500_500_000, allow_partial: false };
        for (result, error) in [
            (ledger.add_stake(KEYS, NetUid(7), TAO), StakeError::SubnetNotExists),
            (ledger.add_stake(KEYS, OTHER, TAO), StakeError::SubtokenDisabled),
            (ledger.swap_stake(KEYS, NETUID, NETUID, TAO, None), StakeError::SameNetuid),
            (ledger.add_stake(KEYS, NETUID, STAKE_MIN_RAO), StakeError::AmountTooLow),
            (ledger.add_stake(KEYS, NETUID, 2_000 * TAO), StakeError::NotEnoughBalanceToStake),
            (ledger.add_stake_limit(KEYS, NETUID, 900 * TAO, limit), StakeError::SlippageTooHigh),
            (ledger.remove_stake(KEYS, NETUID, 1_000), StakeError::AmountTooLow),
            (ledger.add_root_stake(KEYS, 1), StakeError::AmountTooLow),
            (ledger.add_root_stake(KEYS, 2_000 * TAO), StakeError::NotEnoughBalanceToStake),
            (ledger.remove_root_stake(KEYS, TAO), StakeError::AmountTooLow),
            (ledger.burn_alpha(KEYS, OTHER, 1).map(|_| ()), StakeError::SubtokenDisabled),
            (ledger.burn_for_neuron(Coldkey(5), NETUID, TAO).map(|_| ()), StakeError::NotEnoughBalanceToStake),
        ] {
            assert_eq!(result, Err(error));
        }
        assert_eq!(ledger, before);
    }

    #[test]
    fn without_an_author_fees_are_burned() {
        let mut ledger = Ledger { author: None, ..ledger() };
        let before = tao(&ledger);
        ledger.add_stake(KEYS, NETUID, 100 * TAO).unwrap();
        assert_eq!(before - tao(&ledger), pool_rao::fee_rao(100 * TAO, 33));
        let (staked, outstanding) = (ledger.stake(KEYS, NETUID), ledger.subnets[0].outstanding_alpha);
        ledger.remove_stake(KEYS, NETUID, staked).unwrap();
        assert_eq!(outstanding, staked);
        assert_eq!(ledger.subnets[0].outstanding_alpha, pool_rao::fee_rao(staked, 33));
    }

    #[test]
    fn recycled_alpha_leaves_the_issuance_and_burned_alpha_does_not() {
        let mut ledger = ledger();
        ledger.add_stake(KEYS, NETUID, 100 * TAO).unwrap();
        let issuance = ledger.subnets[0].issuance_alpha();
        assert_eq!(ledger.burn_alpha(KEYS, NETUID, 5 * TAO), Ok(5 * TAO));
        assert_eq!(ledger.subnets[0].issuance_alpha(), issuance);
        let left = ledger.stake(KEYS, NETUID);
        assert_eq!(ledger.recycle_alpha(KEYS, NETUID, u64::MAX), Ok(left));
        assert_eq!(ledger.subnets[0].issuance_alpha(), issuance - left);
        let recycled = ledger.burn_for_neuron(KEYS.coldkey, NETUID, TAO).unwrap();
        assert_eq!(ledger.subnets[0].issuance_alpha(), issuance - left - recycled);
    }
}
