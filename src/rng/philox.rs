//! Philox4x32-10: a keyed bijection of 128-bit counters whose images pass for random.
//!
//! Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", doi:10.1145/2063384.2063405,
//! and `include/Random123/philox.h` of Random123.

use crate::simd::Lanes;
use crate::simd::Words;

const ROUNDS: u32 = 10;
const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const KEY_STEPS: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];

/// Four random words of `counter` under `key`: the scalar reference.
#[inline(always)]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let mut x = counter;
    for round in 0..ROUNDS {
        let [k0, k1] = round_key(key, round);
        let [p0, p1] = [0, 1].map(|i| u64::from(MULTIPLIERS[i]) * u64::from(x[2 * i]));
        x = [(p1 >> 32) as u32 ^ x[1] ^ k0, p1 as u32, (p0 >> 32) as u32 ^ x[3] ^ k1, p0 as u32];
    }
    x
}

#[inline(always)]
fn round_key(key: [u32; 2], round: u32) -> [u32; 2] {
    [0, 1].map(|i| key[i].wrapping_add(KEY_STEPS[i].wrapping_mul(round)))
}

/// The same in every lane, one 32-bit word in the low half of each. High halves of the result are not zero.
#[inline(always)]
pub fn philox4x32_lanes<L: Lanes>(counter: [L::Words; 4], key: [u32; 2]) -> [L::Words; 4] {
    let mut x = counter;
    for round in 0..ROUNDS {
        x = next_round::<L>(x, round_key(key, round));
    }
    x
}

/// One round. A product reads low halves only, so nothing clears high halves.
#[inline(always)]
fn next_round<L: Lanes>([x0, x1, x2, x3]: [L::Words; 4], [k0, k1]: [u32; 2]) -> [L::Words; 4] {
    let (high0, low0) = product::<L>(x0, MULTIPLIERS[0]);
    let (high1, low1) = product::<L>(x2, MULTIPLIERS[1]);
    [high1 ^ x1 ^ L::Words::splat(u64::from(k0)), low1, high0 ^ x3 ^ L::Words::splat(u64::from(k1)), low0]
}

/// High and low half of a product: the first in the low half of a word.
#[inline(always)]
fn product<L: Lanes>(left: L::Words, multiplier: u32) -> (L::Words, L::Words) {
    let product = L::multiply_low(left, L::Words::splat(u64::from(multiplier)));
    (L::swap_halves(product), product)
}

/// [`philox4x32_lanes`] of counters `(path, step, lanes, last + j)` for j = 0, 1, ..: what is the same in every lane or for
/// every j of the first three rounds is computed once.
#[inline(always)]
pub(crate) fn philox4x32_family<L: Lanes, const N: usize>(
    [path, step]: [u32; 2],
    lanes: L::Words,
    last: u32,
    key: [u32; 2],
) -> [[L::Words; 4]; N] {
    let [m0, m1] = MULTIPLIERS;
    let [a, b, c] = [0, 1, 2].map(|round| round_key(key, round));
    let splat = |word: u32| L::Words::splat(u64::from(word));
    let halves = |product: u64| [(product >> 32) as u32, product as u32];
    let [high, third] = halves(u64::from(m0) * u64::from(path));
    let (x0, x1) = product::<L>(lanes, m1);
    let (q0, q3) = product::<L>(x0 ^ splat(step ^ a[0]), m0);
    let x2 = q0 ^ splat(third ^ b[1]);
    let (r0, r1) = product::<L>(x2, m1);
    let mut family = [[x1; 4]; N];
    for (j, state) in family.iter_mut().enumerate() {
        let [second, first] = halves(u64::from(m1) * u64::from(high ^ last.wrapping_add(j as u32) ^ a[1]));
        let (p0, p3) = product::<L>(x1 ^ splat(second ^ b[0]), m0);
        *state = [r0 ^ splat(first ^ c[0]), r1, p0 ^ q3 ^ splat(c[1]), p3];
    }
    for round in 3..ROUNDS {
        for state in &mut family {
            *state = next_round::<L>(*state, round_key(key, round));
        }
    }
    family
}

#[cfg(test)]
mod tests {
    use std::num::Wrapping;

    use super::philox4x32;
    use super::philox4x32_family;
    use super::philox4x32_lanes;

    /// Known answers: Random123, `tests/kat_vectors`, lines `philox4x32 10`.
    const KNOWN: [([u32; 4], [u32; 2], [u32; 4]); 3] = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];

    #[test]
    fn known_answers() {
        for (counter, key, words) in KNOWN {
            assert_eq!(philox4x32(counter, key), words);
            let lanes = philox4x32_lanes::<f64>(counter.map(|word| Wrapping(u64::from(word))), key);
            assert_eq!(lanes.map(|word| word.0 as u32), words);
        }
    }

    #[test]
    fn a_family_has_the_words_of_its_counters() {
        for ([path, step, slot, last], key, _) in KNOWN {
            let family = philox4x32_family::<f64, 3>([path, step], Wrapping(u64::from(slot)), last, key);
            for (j, words) in family.into_iter().enumerate() {
                let expected = philox4x32([path, step, slot, last.wrapping_add(j as u32)], key);
                assert_eq!(words.map(|word| word.0 as u32), expected, "{j}");
            }
        }
    }
}
