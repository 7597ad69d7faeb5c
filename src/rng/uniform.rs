//! Uniform and exponential draws, and a generator at an address for distributions off the hot path.

use std::convert::Infallible;

use rand::TryRng;

use crate::rng::address::Address;
use crate::rng::address::words;
use crate::simd::Lanes;
use crate::simd::Words;
use crate::simd::math;

/// A uniform draw strictly inside (0, 1): the midpoint of one of 2^32 equal cells.
#[inline(always)]
pub fn open_unit(word: u32) -> f64 {
    (f64::from(word) + 0.5) * (1.0 / 4_294_967_296.0)
}

/// [`open_unit`] of the low halves of words.
#[inline(always)]
pub fn open_unit_lanes<L: Lanes>(words: L::Words) -> L {
    // A word in the low bits of 2^52 reads as 2^52 and the word.
    let two_52: f64 = 4503599627370496.0;
    let low = words & L::Words::splat(u64::from(u32::MAX));
    let integer = L::from_words(low | L::Words::splat(two_52.to_bits())) - L::splat(two_52);
    (integer + L::splat(0.5)) * L::splat(1.0 / 4_294_967_296.0)
}

/// Exponential draw of mean 1 from a uniform one: `-ln u`. At most 22.9 from a draw of [`open_unit`].
#[inline(always)]
pub fn exponential<L: Lanes>(u: L) -> L {
    -math::ln(u)
}

/// Random words from an address onwards, block after block of its index, so that `rand_distr` can serve cold paths.
///
/// # Panics
///
/// When the index runs past its end, after 2^16 blocks of four words.
#[derive(Clone, Debug)]
pub struct AddressedRng {
    seed: u64,
    next: Option<Address>,
    block: [u32; 4],
    used: usize,
}

impl AddressedRng {
    /// A generator whose first word is the first of the block at `address`.
    pub fn new(seed: u64, address: Address) -> Self {
        Self { seed, next: Some(address), block: [0; 4], used: 4 }
    }

    fn word(&mut self) -> u32 {
        if self.used == self.block.len() {
            self.advance();
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    fn advance(&mut self) {
        let address = self.next.expect("an address holds 2^16 blocks");
        self.block = words(self.seed, address);
        self.next = address.index.checked_add(1).map(|index| Address { index, ..address });
        self.used = 0;
    }
}

impl TryRng for AddressedRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.word())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let low = u64::from(self.word());
        Ok(u64::from(self.word()) << 32 | low)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(4) {
            chunk.copy_from_slice(&self.word().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}
