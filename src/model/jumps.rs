//! Jumps: how many come in a step, which slots they strike, and their two-sided exponential sizes.

use crate::model::params::JumpParams;
use crate::protocol::slots::SlotSingles;
use crate::rng;
use crate::rng::Address;
use crate::rng::GROUP_SLOTS;
use crate::rng::HalfWords;
use crate::rng::Purpose;
use crate::simd::LANES;
use crate::simd::Lanes;
use crate::simd::Singles;
use crate::simd::Vector;
use crate::simd::Words;
use crate::simd::math;
use crate::simd::single;
use crate::units::SLOT_CAPACITY;

/// Jumps drawn at once.
const JUMPS: usize = 2 * LANES;

/// Cumulative Poisson probabilities from the top: entry j is `2^32 P(N > j)`; a uniform word below it has more than j events.
pub fn poisson_thresholds(mean: f64) -> Vec<u32> {
    if !(mean > 0.0) {
        return Vec::new();
    }
    // Beyond ten standard deviations and 40 lies less than 2^-32.
    let last = (mean + 10.0 * mean.sqrt() + 40.0) as u32;
    let mut log_probability = -mean;
    let mut thresholds = vec![math::exp(log_probability)];
    for j in 1..=last {
        log_probability += math::ln(mean / f64::from(j));
        thresholds.push(math::exp(log_probability));
    }
    let mut exceed = 0.0;
    for entry in thresholds.iter_mut().rev() {
        (*entry, exceed) = (exceed, exceed + *entry);
    }
    let scaled = |exceed: f64| (exceed * 4_294_967_296.0).min(4_294_967_295.0) as u32;
    thresholds.into_iter().map(scaled).take_while(|&threshold| threshold > 0).collect()
}

/// Number of events of a Poisson law, given a uniform word.
#[inline(always)]
pub fn poisson_count(thresholds: &[u32], word: u32) -> usize {
    thresholds.partition_point(|&threshold| word < threshold)
}

/// One two-sided exponential jump (Kou) from two uniform draws.
#[inline(always)]
pub fn kou_jump<L: Lanes>(decides: L, size: L, jump: &JumpParams) -> L {
    let size = rng::exponential(size);
    let is_up = decides.lt(L::splat(jump.up_probability));
    L::select(is_up, size * L::splat(jump.up_mean), -(size * L::splat(jump.down_mean)))
}

/// The law of the jumps of all slots in one drawn step.
///
/// Slots jump independently at one rate. Their jumps are drawn as one Poisson process over all of them, each of which
/// strikes a slot drawn evenly: the same law (superposition and thinning, Kingman, Poisson Processes, 1993, section 2).
#[derive(Clone, Debug)]
pub struct SlotJumps {
    /// In units of 2^-24.
    up_probability: f32,
    /// Half the means of upward and of downward jumps, the latter negative.
    half_means: [f32; 2],
    /// Of the number of jumps, by the number of groups of slots.
    thresholds: Vec<Vec<u32>>,
}

impl SlotJumps {
    /// The law over steps of `days` days.
    pub fn new(params: &JumpParams, days: f64) -> Self {
        let mean = |groups: usize| params.rate_per_day * days * (groups * GROUP_SLOTS) as f64;
        let thresholds = (0..=SLOT_CAPACITY / GROUP_SLOTS).map(|groups| poisson_thresholds(mean(groups))).collect();
        Self {
            up_probability: (params.up_probability * 16_777_216.0) as f32,
            half_means: [(0.5 * params.up_mean) as f32, (-0.5 * params.down_mean) as f32],
            thresholds,
        }
    }

    /// Adds the jumps of a path's step to `sums`, in units of the slot's scale, over the first `groups` groups of slots.
    #[inline(always)]
    pub fn add<V: Vector>(&self, seed: u64, path: u32, step: u32, groups: usize, sums: &mut SlotSingles) {
        let address = Address { path, step, slot: 0, purpose: Purpose::SlotJump, index: 0 };
        let count = poisson_count(&self.thresholds[groups], rng::words(seed, address)[0]);
        for first in (0..count).step_by(JUMPS) {
            let address = Address { slot: (first / 2) as u32, index: 1, ..address };
            let (slots, jumps) = self.draw::<V>(seed, address, (groups * GROUP_SLOTS) as u32);
            for (&slot, jump) in slots.iter().zip(jumps).take(count - first) {
                sums.add(slot as usize % SLOT_CAPACITY, jump);
            }
        }
    }

    /// Slots and sizes of the sixteen jumps from the pair at `address` on: words 0 and 1 of each block, then words 2 and 3.
    ///
    /// A slot is the upper half of its word times the number of slots; the lower half, even again, decides the direction.
    #[inline(always)]
    fn draw<V: Vector>(&self, seed: u64, address: Address, slots: u32) -> ([u32; JUMPS], [f32; JUMPS]) {
        let splat = |word: u32| V::Words::splat(u64::from(word));
        let [path, step, pair, last] = address.counter();
        let pairs = V::load_words(&[0, 1, 2, 3, 4, 5, 6, 7]) + splat(pair);
        let [a, b, c, d] = rng::philox4x32_lanes::<V>([splat(path), splat(step), pairs, splat(last)], rng::key(seed));
        let [a, c] = [a, c].map(|word| V::multiply_low(word, splat(slots)));
        let high_bits = |words: HalfWords<V>| words.shift_right::<8>();
        let size = high_bits(V::low_halves(b, d)) + HalfWords::<V>::splat(1);
        let twice_exponential = single::minus_two_ln_of_part(V::Singles::from_integers(size));
        let decides = V::Singles::from_integers(high_bits(V::low_halves(a, c)));
        let above = decides - V::Singles::splat(self.up_probability);
        let mean = V::Singles::select_bit::<31>(
            above.to_words(),
            V::Singles::splat(self.half_means[0]),
            V::Singles::splat(self.half_means[1]),
        );
        let (mut struck, mut jumps) = ([0; JUMPS], [0.0; JUMPS]);
        V::store_half_words(V::low_halves(V::swap_halves(a), V::swap_halves(c)), &mut struck);
        V::store_singles(twice_exponential * mean, &mut jumps);
        (struck, jumps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Backend;
    use crate::simd::Kernel;
    use crate::simd::dispatch;

    const LAW: JumpParams = JumpParams { rate_per_day: 0.3, up_probability: 0.6, up_mean: 2.0, down_mean: 1.5 };
    const STEPS: u32 = 2_000;

    struct Sums<'a>(&'a SlotJumps, usize, u32);

    impl Kernel for Sums<'_> {
        type Output = SlotSingles;

        #[inline(always)]
        fn run<V: Vector>(self) -> SlotSingles {
            let mut sums = SlotSingles::zero();
            self.0.add::<V>(9, 4, self.2, self.1, &mut sums);
            sums
        }
    }

    #[test]
    fn every_slot_jumps_by_the_compound_poisson_law() {
        let jumps = SlotJumps::new(&LAW, 1.0);
        for groups in [1, 3, 8] {
            let slots = groups * GROUP_SLOTS;
            let (mut sums, mut squares, mut struck) = (vec![0.0; slots], 0.0, 0.0);
            for step in 0..STEPS {
                let drawn = dispatch(Backend::detect(), Sums(&jumps, groups, step));
                for (slot, sum) in sums.iter_mut().enumerate() {
                    let jump = f64::from(drawn.get(slot));
                    *sum += jump;
                    squares += jump * jump;
                    struck += f64::from(u8::from(jump != 0.0));
                }
                assert!((slots..SLOT_CAPACITY).all(|slot| drawn.get(slot) == 0.0));
            }
            let draws = f64::from(STEPS) * slots as f64;
            let mean = sums.iter().sum::<f64>() / draws;
            // Of a compound Poisson sum: variance rate E J^2; E J^2 = 2 p up^2 + 2 (1 - p) down^2.
            let variance = LAW.rate_per_day * 2.0 * (0.6 * 4.0 + 0.4 * 2.25);
            let expected = LAW.mean_per_day();
            assert!(
                (mean - expected).abs() < 4.0 * (variance / draws).sqrt(),
                "{groups} groups: mean {mean}, not {expected}"
            );
            let second = squares / draws;
            // The fourth moment is below 24 (rate E J^4), its root 0.06 of the second per draw.
            let bound = 4.0 * (24.0 * LAW.rate_per_day * (0.6 * 16.0 + 0.4 * 5.1) * 3.0 / draws).sqrt();
            assert!(
                (second - variance - expected * expected).abs() < bound,
                "{groups} groups: {second}, not {variance}"
            );
            let chance = -(-LAW.rate_per_day).exp_m1();
            let found = struck / draws;
            assert!(
                (found - chance).abs() < 4.0 * (chance * (1.0 - chance) / draws).sqrt(),
                "{groups}: {found}, not {chance}"
            );
            // Slots are struck alike: the sums over steps are normal, 1 in 15,000 beyond 4 standard deviations.
            let deviation = (variance * f64::from(STEPS)).sqrt();
            assert!(
                sums.iter().all(|sum| (sum - expected * f64::from(STEPS)).abs() < 4.8 * deviation),
                "{groups} groups"
            );
        }
    }

    #[test]
    fn backends_draw_the_same_jumps() {
        let jumps = SlotJumps::new(&LAW, 1.0);
        let expected = dispatch(Backend::Portable, Sums(&jumps, 8, 3));
        assert!((0..SLOT_CAPACITY).filter(|slot| expected.get(*slot) != 0.0).count() > 40);
        for backend in Backend::available() {
            assert_eq!(dispatch(backend, Sums(&jumps, 8, 3)).0, expected.0, "{backend}");
        }
    }

    #[test]
    fn counts_have_the_poisson_law() {
        for mean in [1e-5, 0.1, 3.0, 25.0, 900.0] {
            let thresholds = poisson_thresholds(mean);
            let expected: f64 = thresholds.iter().map(|t| f64::from(*t) / 4_294_967_296.0).sum();
            assert!((expected / mean - 1.0).abs() < 1e-4, "mean {mean}: {expected}");
            assert!(thresholds.is_sorted_by(|a, b| a >= b));
            assert_eq!(poisson_count(&thresholds, u32::MAX), 0);
            assert_eq!(poisson_count(&thresholds, 0), thresholds.len());
        }
        assert!(poisson_thresholds(0.0).is_empty());
    }
}
