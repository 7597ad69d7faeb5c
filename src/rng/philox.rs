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
    let [m0, m1] = MULTIPLIERS.map(|multiplier| L::Words::splat(u64::from(multiplier)));
    let [mut x0, mut x1, mut x2, mut x3] = counter;
    let mut round = 0;
    while round < ROUNDS {
        let [k0, k1] = round_key(key, round);
        // A product reads low halves only, so nothing clears high halves.
        let p0 = L::multiply_low(x0, m0);
        let p1 = L::multiply_low(x2, m1);
        x0 = L::swap_halves(p1) ^ x1 ^ L::Words::splat(u64::from(k0));
        x1 = p1;
        x2 = L::swap_halves(p0) ^ x3 ^ L::Words::splat(u64::from(k1));
        x3 = p0;
        round += 1;
    }
    [x0, x1, x2, x3]
}

#[cfg(test)]
mod tests {
    use std::num::Wrapping;

    use super::philox4x32;
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
}
