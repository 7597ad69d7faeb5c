//! Orders of one book in its copies of pools, all sales or all purchases at once.
//!
//! An order here is the chain's ([`crate::protocol::trade`]) where nothing is special about it: the subnet has started, there is
//! the stake, and neither the pool's refusals nor its price limits are near. If one order of a list is not so, none is executed
//! here, and the list goes order by order.

use crate::engine::path::PathState;
use crate::engine::plan::locate;
use crate::portfolio::board::Board;
use crate::portfolio::board::BoardChunk;
use crate::portfolio::pool_copy;
use crate::portfolio::pool_copy::PoolCopies;
use crate::portfolio::state::BookState;
use crate::protocol::pool;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::Lanes8;
use crate::simd::Kernel;
use crate::simd::Vector;
use crate::simd::math;

/// Weight of the reserve that is paid into from which on a trade of at most that reserve moves the price by 16 at most.
const WEIGHT_MIN: f64 = 0.25;
/// That factor on the price.
const PRICE_FACTOR_MAX: f64 = 16.0;

/// Part of a holding that rounding may leave of one that was sold.
pub(crate) const ROUNDING: f64 = 1e-12;

/// Which way orders go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Alpha for TAO.
    Sell,
    /// TAO for alpha.
    Buy,
}

/// What eight orders meet, and what they come to.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
struct OrderChunk {
    /// Alpha staked on the path.
    staked_alpha: Lanes8,
    /// 1 after start_call, else 0.
    started: Lanes8,
    /// Paid in, fee included.
    paid_in: Lanes8,
    /// Paid out.
    paid_out: Lanes8,
    /// The copies that they leave.
    excess: Lanes8,
    own_alpha: Lanes8,
    price_factor: Lanes8,
}

impl OrderChunk {
    /// Orders in slots without a subnet.
    const EMPTY: Self = Self {
        staked_alpha: [0.0; CHUNK_SLOTS],
        started: [0.0; CHUNK_SLOTS],
        paid_in: [0.0; CHUNK_SLOTS],
        paid_out: [0.0; CHUNK_SLOTS],
        excess: [0.0; CHUNK_SLOTS],
        own_alpha: [0.0; CHUNK_SLOTS],
        price_factor: [1.0; CHUNK_SLOTS],
    };
}

/// Scratch for the orders of a book.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bulk {
    chunks: Vec<OrderChunk>,
}

impl Bulk {
    /// Notes what orders meet that pools do not tell, in the slots of the holdings. What orders came to before stays until they are filled.
    pub fn meet(&mut self, slots: &[usize], path: &PathState) {
        self.chunks.resize(slots.len().div_ceil(CHUNK_SLOTS), OrderChunk::EMPTY);
        for (chunk, slots) in self.chunks.iter_mut().zip(slots.chunks(CHUNK_SLOTS)) {
            (chunk.staked_alpha, chunk.started) = ([0.0; CHUNK_SLOTS], [0.0; CHUNK_SLOTS]);
            for (lane, &slot) in slots.iter().enumerate() {
                let (from, at) = locate(slot);
                if let Some(chain) = path.chain.get(from).filter(|_| path.occupants[slot].is_some()) {
                    (chunk.staked_alpha[lane], chunk.started[lane]) = (chain.staked_alpha[at], chain.started[at]);
                }
            }
        }
    }
}

/// Fills orders. Returns whether all of them are plain; else nothing is to be made of them.
pub(crate) struct Fill<'a> {
    pub side: Side,
    /// Paid in by holding in whole chunks, fee included, in any unit; 0: no order.
    pub gross: &'a [f64],
    /// The unit, in TAO or alpha.
    pub unit: f64,
    pub orders: &'a mut Bulk,
    pub board: &'a Board,
    pub copies: &'a PoolCopies,
    pub fee_rate: f64,
    /// Whether the fee leaves the pool.
    pub pays_author: bool,
}

impl Kernel for Fill<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector>(self) -> bool {
        let Self { side, gross, unit, orders, board, copies, fee_rate, pays_author } = self;
        let author = V::splat(if pays_author { 1.0 } else { 0.0 });
        let mut are_plain = true;
        let orders = orders.chunks.iter_mut().zip(&board.chunks).zip(gross.as_chunks().0);
        for (index, ((orders, of_path), gross)) in orders.enumerate() {
            let gross = V::splat(unit) * V::load(gross);
            let fill = Filling { copies, index, of_path, author, gross, fee: V::splat(fee_rate) * gross };
            are_plain &= match side {
                Side::Sell => fill.sell(orders),
                Side::Buy => fill.buy(orders),
            };
        }
        are_plain
    }
}

/// Notes sales that were filled; gives what they brought (TAO).
pub(crate) struct NoteSales<'a> {
    pub orders: &'a Bulk,
    pub state: &'a mut BookState,
    /// Whether copies of what is held no more are kept.
    pub keeps_copies: bool,
}

impl Kernel for NoteSales<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let Self { orders, state, keeps_copies } = self;
        let (zero, mut sum) = (V::splat(0.0), V::splat(0.0));
        let BookState { alpha, earned_tao, copies, was_sold, sold_in_part, .. } = state;
        let holdings = alpha.as_chunks_mut().0.iter_mut().zip(earned_tao.as_chunks_mut().0).zip(was_sold);
        for (index, (orders, ((alpha, earned_tao), was_sold))) in orders.chunks.iter().zip(holdings).enumerate() {
            let paid_in = V::load(&orders.paid_in);
            let is_sold = paid_in.gt(zero);
            let (before, paid_out) = (V::load(alpha), V::select(is_sold, V::load(&orders.paid_out), zero));
            let left = before - paid_in;
            let left = V::select(left.gt(V::splat(ROUNDING) * before), left, zero);
            V::select(is_sold, left, before).store(alpha);
            (V::load(earned_tao) + paid_out).store(earned_tao);
            sum = sum + paid_out;
            copies.take_over::<V>(index, is_sold, orders.copies());
            if !keeps_copies {
                copies.end::<V>(index, is_sold & left.le(zero));
            }
            *was_sold |= V::bitmask(is_sold);
            *sold_in_part |= V::bitmask(is_sold & left.gt(zero)) != 0;
        }
        sum.sum_halving()
    }
}

/// Notes purchases that were filled; gives what they cost (TAO).
pub(crate) struct NotePurchases<'a> {
    pub orders: &'a Bulk,
    pub state: &'a mut BookState,
}

impl Kernel for NotePurchases<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let BookState { alpha, earned_tao, copies, .. } = self.state;
        let (zero, mut sum) = (V::splat(0.0), V::splat(0.0));
        let holdings = alpha.as_chunks_mut().0.iter_mut().zip(earned_tao.as_chunks_mut().0);
        for (index, (orders, (alpha, earned_tao))) in self.orders.chunks.iter().zip(holdings).enumerate() {
            let paid_in = V::load(&orders.paid_in);
            let is_bought = paid_in.gt(zero);
            (V::load(alpha) + V::select(is_bought, V::load(&orders.paid_out), zero)).store(alpha);
            (V::load(earned_tao) - paid_in).store(earned_tao);
            sum = sum + paid_in;
            copies.take_over::<V>(index, is_bought, orders.copies());
        }
        sum.sum_halving()
    }
}

impl OrderChunk {
    /// The copies that the orders leave: as in [`PoolCopies`].
    fn copies(&self) -> [&Lanes8; 3] {
        [&self.excess, &self.own_alpha, &self.price_factor]
    }
}

/// The fees of eight orders, and the pools that they meet.
struct Filling<'a, V> {
    copies: &'a PoolCopies,
    index: usize,
    of_path: &'a BoardChunk,
    /// Paid in, fee included.
    gross: V,
    fee: V,
    /// Part of the fee that leaves the pool.
    author: V,
}

/// Eight copies, and the weights of their pools.
struct Copies<V> {
    tao: V,
    alpha: V,
    /// Weights over each other: of TAO over alpha, and of alpha over TAO.
    ratio: V,
    inverse_ratio: V,
    /// Whether all weights are equal: then trades are rational, as in [`crate::protocol::pool`].
    is_equal: bool,
}

impl<V: Vector> Copies<V> {
    /// `out (1 - (in / (in + net))^exponent)`.
    #[inline(always)]
    fn paid_out(&self, reserve_out: V, reserve_in: V, net: V, exponent: V) -> V {
        match self.is_equal {
            true => reserve_out * (net / (reserve_in + net)),
            false => -(reserve_out * math::pow_m1(net / reserve_in, -exponent)),
        }
    }
}

impl<V: Vector> Filling<'_, V> {
    #[inline(always)]
    fn copies(&self) -> Copies<V> {
        let (one, weight_tao) = (V::splat(1.0), V::load(&self.of_path.weight_tao));
        let weight_alpha = one - weight_tao;
        let inverse = one / (weight_tao * weight_alpha);
        let (ratio, inverse_ratio) = (weight_tao * weight_tao * inverse, weight_alpha * weight_alpha * inverse);
        let (excess, path_tao) = (self.copies.excess::<V>(self.index), V::load(&self.of_path.reserve_tao));
        let is_equal = V::bitmask(ratio.le(one) & ratio.ge(one)) == 0xff;
        let part = if is_equal { one / (one + excess) } else { one + math::pow_m1(excess, -ratio) };
        let (tao, alpha) = (path_tao + excess * path_tao, V::load(&self.of_path.reserve_alpha) * part);
        Copies { tao, alpha, ratio, inverse_ratio, is_equal }
    }

    /// As [`crate::protocol::trade`] sells: the fee's alpha after the rest.
    #[inline(always)]
    fn sell(&self, orders: &mut OrderChunk) -> bool {
        let copies = self.copies();
        let Copies { tao, alpha, ratio, inverse_ratio: exponent, .. } = copies;
        let (gross, staked_alpha) = (self.gross, V::load(&orders.staked_alpha));
        let (net, own_alpha) = (gross - self.fee, self.copies.staked_alpha::<V>(self.index));
        let paid_out = copies.paid_out(tao, alpha, net, exponent);
        let of_fee = copies.paid_out(tao - paid_out, alpha + net, self.fee, exponent);
        let paid_in = net + self.fee;
        paid_out.store(&mut orders.paid_out);
        (((staked_alpha + own_alpha) - paid_in) - staked_alpha).store(&mut orders.own_alpha);
        self.close(tao - (paid_out + self.author * of_fee), orders);
        let is_plain = net.le(alpha)
            & tao.ge(V::splat(pool::RESERVE_MIN))
            & tao.ge(V::splat(PRICE_FACTOR_MAX * pool::PRICE_MIN) * (ratio * alpha))
            & V::load(&self.of_path.weight_tao).ge(V::splat(WEIGHT_MIN))
            & gross.le(staked_alpha + own_alpha);
        self.are_plain(is_plain, orders)
    }

    /// As [`crate::protocol::trade`] buys.
    #[inline(always)]
    fn buy(&self, orders: &mut OrderChunk) -> bool {
        let copies = self.copies();
        let Copies { tao, alpha, ratio, .. } = copies;
        let (gross, staked_alpha) = (self.gross, V::load(&orders.staked_alpha));
        let (net, own_alpha) = (gross - self.fee, self.copies.staked_alpha::<V>(self.index));
        let paid_out = copies.paid_out(alpha, tao, net, ratio);
        paid_out.store(&mut orders.paid_out);
        (((staked_alpha + own_alpha) + paid_out) - staked_alpha).store(&mut orders.own_alpha);
        self.close(tao + (net + (self.fee - self.author * self.fee)), orders);
        let is_plain = net.le(tao)
            & alpha.ge(V::splat(pool::RESERVE_MIN))
            & tao.le(V::splat(pool::PRICE_MAX / PRICE_FACTOR_MAX) * (ratio * alpha))
            & V::load(&self.of_path.weight_tao).le(V::splat(1.0 - WEIGHT_MIN));
        self.are_plain(is_plain, orders)
    }

    /// Leaves the copies whose TAO reserves are `tao` after the orders.
    #[inline(always)]
    fn close(&self, tao: V, orders: &mut OrderChunk) {
        ((self.gross - self.fee) + self.fee).store(&mut orders.paid_in);
        let of_path = V::load(&self.of_path.reserve_tao);
        let excess = (tao - of_path) / of_path;
        excess.store(&mut orders.excess);
        pool_copy::price_powers(excess, V::load(&self.of_path.rest), self.of_path.are_near_equal)
            .store(&mut orders.price_factor);
    }

    /// Whether every order there is is plain.
    #[inline(always)]
    fn are_plain(&self, is_plain: V::Mask, orders: &OrderChunk) -> bool {
        let zero = V::splat(0.0);
        let is_plain = is_plain & V::load(&orders.started).gt(zero);
        V::bitmask(is_plain | !self.gross.gt(zero)) == 0xff
    }
}
