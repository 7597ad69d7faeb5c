//! Factors that the subnets of one sector share besides the common one.

use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;

/// Most sectors of a scenario.
pub const SECTORS_MAX: usize = 64;
/// Sectors drawn together: the normals of a block of words.
const DRAWN_TOGETHER: usize = 4;

/// Standard normal factors of the first `sectors` sectors in a step made of `draws` drawn steps; independent of each other, of the
/// common factor and in time.
#[inline(always)]
pub fn draw_factors(
    seed: u64,
    path: u32,
    step: u32,
    draws: u32,
    sectors: usize,
    factors: &mut [[f64; DRAWN_TOGETHER]; SECTORS_MAX / DRAWN_TOGETHER],
) {
    let weight = 1.0 / f64::from(draws).sqrt();
    for (block, factors) in factors.iter_mut().enumerate().take(sectors.div_ceil(DRAWN_TOGETHER)) {
        *factors = [0.0; DRAWN_TOGETHER];
        for step in step * draws..(step + 1) * draws {
            let address = Address { path, step, slot: block as u32, purpose: Purpose::Sector, index: 0 };
            let normals = rng::normals4(rng::words(seed, address));
            for (factor, normal) in factors.iter_mut().zip(normals) {
                *factor += weight * normal;
            }
        }
    }
}
