//! What a registration looks for in all slots of a path: how many are taken, whom it displaces, the median price.
//!
//! The rules are those of [`crate::protocol::registration`]; what is here finds the few slots that they need be asked about.

use crate::engine::plan::locate;
use crate::model::kernel::BehaviourChunk;
use crate::protocol::registration;
use crate::protocol::registration::PruneCandidate;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::Lanes8;
use crate::protocol::slots::MAX_CHUNKS;
use crate::simd::Vector;
use crate::units::NetUid;
use crate::units::SLOT_CAPACITY;

/// Factor on a guess of the median price, either way, within which it is looked for first: nine times in ten it is there, and
/// with it a tenth of the prices.
const NEAR_MEDIAN: f64 = 1.12;

/// Free slots carry an infinite block of registration.
#[inline(always)]
fn is_occupied<V: Vector>(behaviour: &BehaviourChunk) -> V::Mask {
    V::load(&behaviour.registered_at).lt(V::splat(f64::INFINITY))
}

/// Number of subnets.
#[inline(always)]
pub(crate) fn occupied_slots<V: Vector>(behaviour: &[BehaviourChunk]) -> usize {
    let mut count = 0;
    for chunk in behaviour {
        count += V::bitmask(is_occupied::<V>(chunk)).count_ones() as usize;
    }
    count
}

/// [`registration::prune_target`], asked only about the subnets whose moving price is the lowest past immunity: mostly one.
#[inline(always)]
pub(crate) fn prune_target<V: Vector>(
    chain: &[ChainChunk],
    behaviour: &[BehaviourChunk],
    block: u64,
    immunity_period_blocks: u64,
) -> Option<usize> {
    let last = V::splat(block.checked_sub(immunity_period_blocks)? as f64);
    let mut lowest = V::splat(f64::INFINITY);
    for (chain, behaviour) in chain.iter().zip(behaviour) {
        let is_old = V::load(&behaviour.registered_at).le(last);
        lowest = V::select(is_old, V::load(&chain.moving_price), lowest).min(lowest);
    }
    let lowest = V::splat(lowest.to_array().into_iter().fold(f64::INFINITY, f64::min));
    let mut has_lowest = SlotBits::NONE;
    for (i, (chain, behaviour)) in chain.iter().zip(behaviour).enumerate() {
        let is_old = V::load(&behaviour.registered_at).le(last);
        has_lowest.0[i] = V::bitmask(is_old & V::load(&chain.moving_price).le(lowest));
    }
    let (slots, count) = has_lowest.list();
    let candidates = slots[..count].iter().map(|&slot| {
        let slot = usize::from(slot);
        let (chunk, lane) = locate(slot);
        PruneCandidate {
            netuid: NetUid::from_slot(slot),
            registered_at: behaviour[chunk].registered_at[lane] as u64,
            moving_price: chain[chunk].moving_price[lane],
        }
    });
    registration::prune_target(block, immunity_period_blocks, candidates).map(NetUid::slot)
}

/// Scratch of the search for the median price.
pub(crate) struct MedianPrices {
    all: [Lanes8; MAX_CHUNKS],
    taken: [f64; SLOT_CAPACITY],
}

impl Default for MedianPrices {
    fn default() -> Self {
        Self { all: [[0.0; CHUNK_SLOTS]; MAX_CHUNKS], taken: [0.0; SLOT_CAPACITY] }
    }
}

impl MedianPrices {
    /// [`registration::median_price`] of the occupied slots. The `guess` bears on the time alone.
    #[inline(always)]
    pub(crate) fn median<V: Vector>(&mut self, chain: &[ChainChunk], behaviour: &[BehaviourChunk], guess: f64) -> f64 {
        let (low, high) = (V::splat(guess / NEAR_MEDIAN), V::splat(guess * NEAR_MEDIAN));
        let (one, zero) = (V::splat(1.0), V::splat(0.0));
        let (mut is_priced, mut is_near) = (SlotBits::NONE, SlotBits::NONE);
        let (mut priced, mut above) = (0, 0);
        for (i, (chain, behaviour)) in chain.iter().zip(behaviour).enumerate() {
            let weight = V::load(&chain.weight_tao);
            let tao = (one - weight) * V::load(&chain.reserve_tao);
            let price = tao / (weight * V::load(&chain.reserve_alpha));
            let counts = is_occupied::<V>(behaviour) & price.gt(zero);
            price.store(&mut self.all[i]);
            is_priced.0[i] = V::bitmask(counts);
            is_near.0[i] = V::bitmask(counts & price.ge(low) & price.le(high));
            priced += is_priced.0[i].count_ones() as usize;
            above += V::bitmask(counts & price.gt(high)).count_ones() as usize;
        }
        let near = self.take(&is_near);
        let (middle, is_pair, below) = (priced / 2, priced.is_multiple_of(2), priced - above - near);
        if middle < below + near && middle >= below + usize::from(is_pair) {
            return registration::middle_of(&mut self.taken[..near], middle - below, is_pair);
        }
        let count = self.take(&is_priced);
        registration::median_of(&mut self.taken[..count])
    }

    /// Puts prices of slots to the front of `taken`; returns their number.
    #[inline(always)]
    fn take(&mut self, slots: &SlotBits) -> usize {
        let (slots, count) = slots.list();
        for (price, &slot) in self.taken.iter_mut().zip(&slots[..count]) {
            *price = self.all.as_flattened()[usize::from(slot)];
        }
        count
    }
}

/// Bit `i` of byte `c`: slot `8 c + i` is meant.
struct SlotBits([u8; MAX_CHUNKS]);

impl SlotBits {
    const NONE: Self = Self([0; MAX_CHUNKS]);

    /// The slots, and their number.
    #[inline(always)]
    fn list(&self) -> ([u16; SLOT_CAPACITY], usize) {
        let (mut slots, mut count) = ([0; SLOT_CAPACITY], 0);
        for (first, bytes) in (0..).step_by(64).zip(self.0.as_chunks::<8>().0) {
            let mut bits = u64::from_le_bytes(*bytes);
            while bits != 0 {
                slots[count % SLOT_CAPACITY] = first + bits.trailing_zeros() as u16;
                bits &= bits - 1;
                count += 1;
            }
        }
        (slots, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Backend;
    use crate::simd::Kernel;
    use crate::simd::dispatch;

    const BLOCK: u64 = 9_000_000;
    const IMMUNITY: u64 = 864_000;

    /// Slots with prices that no order has, one in `free_every` free, one in seven without a price.
    fn slots(chunks: usize, free_every: usize) -> (Vec<ChainChunk>, Vec<BehaviourChunk>) {
        let (mut chain, mut behaviour) = (vec![ChainChunk::empty(); chunks], vec![BehaviourChunk::empty(); chunks]);
        for slot in (0..chunks * CHUNK_SLOTS).filter(|slot| slot % free_every != 0) {
            let (chunk, lane) = (slot / CHUNK_SLOTS, slot % CHUNK_SLOTS);
            let mixed = (slot * 7_919 % 1_009) as f64;
            chain[chunk].reserve_tao[lane] = if slot % 7 == 3 { 0.0 } else { (mixed / 200.0).exp() };
            chain[chunk].weight_tao[lane] = 0.45 + 0.0001 * mixed;
            // The lowest is held by several.
            chain[chunk].moving_price[lane] = 0.01 * (mixed / 30.0).floor();
            behaviour[chunk].registered_at[lane] = (BLOCK - (slot * 31 % 97) as u64 * 20_000) as f64;
        }
        (chain, behaviour)
    }

    fn subnets(behaviour: &[BehaviourChunk]) -> impl Iterator<Item = (usize, usize, u64)> {
        let lanes =
            behaviour.iter().enumerate().flat_map(|(chunk, b)| b.registered_at.iter().map(move |at| (chunk, *at)));
        let slots = lanes.enumerate().filter(|(_, (_, at))| at.is_finite());
        slots.map(|(slot, (chunk, at))| (chunk, slot % CHUNK_SLOTS, at as u64))
    }

    struct Search<'a> {
        chain: &'a [ChainChunk],
        behaviour: &'a [BehaviourChunk],
        immunity: u64,
        guess: f64,
    }

    impl Kernel for Search<'_> {
        type Output = (usize, Option<usize>, f64);

        #[inline(always)]
        fn run<V: Vector>(self) -> Self::Output {
            let Self { chain, behaviour, immunity, guess } = self;
            let median = MedianPrices::default().median::<V>(chain, behaviour, guess);
            (occupied_slots::<V>(behaviour), prune_target::<V>(chain, behaviour, BLOCK, immunity), median)
        }
    }

    #[test]
    fn searches_find_what_the_rules_find_among_all_slots() {
        for (chunks, free_every) in [(32, 500), (32, 3), (16, 5), (16, 2), (2, 1)] {
            let (chain, behaviour) = slots(chunks, free_every);
            let median =
                registration::median_price(subnets(&behaviour).map(|(chunk, lane, _)| chain[chunk].price(lane)));
            for immunity in [IMMUNITY, 1_900_000, 10_000_000] {
                let candidates = subnets(&behaviour).map(|(chunk, lane, registered_at)| PruneCandidate {
                    netuid: NetUid::from_slot(chunk * CHUNK_SLOTS + lane),
                    registered_at,
                    moving_price: chain[chunk].moving_price[lane],
                });
                let target = registration::prune_target(BLOCK, immunity, candidates).map(NetUid::slot);
                let expected = (subnets(&behaviour).count(), target, median);
                for guess in [0.0, 1.0, 1.05, 0.9, 1.1, 0.7, 40.0, f64::INFINITY].map(|factor| factor * median) {
                    for backend in Backend::available() {
                        let search = Search { chain: &chain, behaviour: &behaviour, immunity, guess };
                        assert_eq!(dispatch(backend, search), expected, "{chunks} chunks, {guess}, {backend}");
                    }
                }
            }
        }
    }
}
