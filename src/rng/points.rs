//! Sets of points whose coordinates become the leading normals of paths, in independent replicates.
//!
//! | set | path p | coordinates of a path |
//! |---|---|---|
//! | Sobol | point `p / R` of the replicate `p % R` | scrambled Sobol ([`crate::rng::sobol`]) |
//! | stratified | the same | Latin hypercube: each of n equal strata of a coordinate holds one of the replicate's n points |
//! | antithetic | of the pair `p / 2`, which is of the replicate `p / 2 % R` | independent; the odd path has the even one's normals negated |
//!
//! Each path by itself has independent standard normals, whatever the others have; replicates are independent. A path depends on its
//! index and the seed alone, but for strata, whose number is that of the run's paths in the replicate.
//!
//! Source of the permutations of strata: Kensler (2013), Correlated multi-jittered sampling, Pixar Technical Memo 13-01, here with a
//! rotation by a draw of its own, which makes every stratum equally likely whatever the hash.

use crate::rng::address::Address;
use crate::rng::address::Purpose;
use crate::rng::address::words;
use crate::rng::inverse_normal::inverse_normal;
use crate::rng::sobol::SOBOL_DIMENSIONS;
use crate::rng::sobol::scrambled;
use crate::rng::sobol::sobol;
use crate::rng::uniform::open_unit;

/// R: independent replicates of a point set, whatever the number of paths.
pub const REPLICATES: usize = 16;
/// Slot words under [`Purpose::LeadingNormals`]: keys of a replicate's coordinates, places in strata, normals of pairs.
const KEYS: u32 = 0;
const PLACES: u32 = 1;
const PAIRS: u32 = 2;

/// How the leading normals of paths go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointSet {
    /// Scrambled Sobol points.
    Sobol,
    /// Latin hypercubes.
    Stratified,
    /// Pairs of opposite signs.
    Antithetic,
}

impl PointSet {
    /// Replicate that a path is of.
    pub fn replicate(self, path: u64) -> usize {
        (self.place(path) % REPLICATES as u64) as usize
    }

    fn place(self, path: u64) -> u64 {
        match self {
            Self::Sobol | Self::Stratified => path,
            Self::Antithetic => path / 2,
        }
    }
}

/// The points of a run.
#[derive(Clone, Debug)]
pub struct Points {
    set: PointSet,
    seed: u64,
    paths: u64,
    dimensions: usize,
    /// Of each replicate's coordinates.
    keys: Vec<[u32; 4]>,
}

impl Points {
    /// Points of so many coordinates for a run of `paths` paths in all.
    ///
    /// # Panics
    /// If there are more than [`SOBOL_DIMENSIONS`].
    pub fn new(set: PointSet, seed: u64, paths: u64, dimensions: usize) -> Self {
        assert!(dimensions <= SOBOL_DIMENSIONS, "{dimensions} coordinates (must be at most {SOBOL_DIMENSIONS})");
        let key = |replicate: usize, dimension: usize| at(seed, replicate as u32, dimension, KEYS);
        let keys = (0..REPLICATES).flat_map(|replicate| (0..dimensions).map(move |d| key(replicate, d))).collect();
        Self { set, seed, paths, dimensions, keys }
    }

    /// What the points are.
    pub fn set(&self) -> PointSet {
        self.set
    }

    /// The leading normals of a path.
    pub fn normals(&self, path: u32, normals: &mut Vec<f64>) {
        normals.clear();
        normals.extend((0..self.dimensions).map(|dimension| match self.set {
            PointSet::Sobol => inverse_normal(open_unit(self.sobol(path, dimension))),
            PointSet::Stratified => inverse_normal(self.stratified(path, dimension)),
            PointSet::Antithetic => self.antithetic(path, dimension),
        }));
    }

    fn key(&self, path: u32, dimension: usize) -> [u32; 4] {
        self.keys[self.set.replicate(path.into()) * self.dimensions + dimension]
    }

    fn sobol(&self, path: u32, dimension: usize) -> u32 {
        let [seed, ..] = self.key(path, dimension);
        scrambled(sobol(path / REPLICATES as u32, dimension), seed)
    }

    fn stratified(&self, path: u32, dimension: usize) -> f64 {
        let (replicate, index) = (path % REPLICATES as u32, path / REPLICATES as u32);
        let strata = (self.paths - u64::from(replicate)).div_ceil(REPLICATES as u64) as u32;
        let stratum = permuted(index, strata, self.key(path, dimension));
        let [word, ..] = at(self.seed, path, dimension, PLACES);
        // Below 1 also where single points are finer than numbers are.
        ((f64::from(stratum) + open_unit(word)) / f64::from(strata)).min(1.0 - f64::EPSILON)
    }

    fn antithetic(&self, path: u32, dimension: usize) -> f64 {
        let [word, ..] = at(self.seed, path & !1, dimension, PAIRS);
        let normal = inverse_normal(open_unit(word));
        if path.is_multiple_of(2) { normal } else { -normal }
    }
}

fn at(seed: u64, path: u32, dimension: usize, slot: u32) -> [u32; 4] {
    words(seed, Address { path, step: dimension as u32, slot, purpose: Purpose::LeadingNormals, index: 0 })
}

/// Where `index` of `0..count` goes in a permutation of them that the key chooses.
fn permuted(index: u32, count: u32, [key, _, high, low]: [u32; 4]) -> u32 {
    let mask = count.next_power_of_two().wrapping_sub(1);
    let mut place = shuffled(index, mask, key);
    while place >= count {
        place = shuffled(place, mask, key);
    }
    let draw = u64::from(high) << 32 | u64::from(low);
    let rotation = (u128::from(draw) * u128::from(count)) >> 64;
    ((u64::from(place) + rotation as u64) % u64::from(count)) as u32
}

/// A one-to-one map of the numbers up to `mask = 2^k - 1`.
fn shuffled(index: u32, mask: u32, key: u32) -> u32 {
    let mut i = (index ^ key).wrapping_mul(0xe170_893d);
    i ^= key >> 16;
    i ^= (i & mask) >> 4;
    i = (i ^ key >> 8).wrapping_mul(0x0929_eb3f);
    i ^= key >> 23;
    i ^= (i & mask) >> 1;
    i = i.wrapping_mul(1 | key >> 27).wrapping_mul(0x6935_fa69);
    i ^= (i & mask) >> 11;
    i = i.wrapping_mul(0x74dc_b303);
    i ^= (i & mask) >> 2;
    i = i.wrapping_mul(0x9e50_1cc3);
    i ^= (i & mask) >> 2;
    i = i.wrapping_mul(0xc860_a3df) & mask;
    i ^ i >> 5
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETS: [PointSet; 3] = [PointSet::Sobol, PointSet::Stratified, PointSet::Antithetic];

    fn normals(points: &Points, path: u32) -> Vec<f64> {
        let mut normals = Vec::new();
        points.normals(path, &mut normals);
        normals
    }

    #[test]
    fn strata_hold_one_point_each() {
        for paths in [16 * 100, 16 * 128 + 5, 7] {
            let points = Points::new(PointSet::Stratified, 3, paths, 4);
            for replicate in 0..paths.min(REPLICATES as u64) as u32 {
                let of_replicate: Vec<u32> = (replicate..paths as u32).step_by(REPLICATES).collect();
                for dimension in 0..4 {
                    let count = of_replicate.len();
                    let mut seen = vec![false; count];
                    for &path in &of_replicate {
                        seen[(points.stratified(path, dimension) * count as f64) as usize] = true;
                    }
                    assert!(seen.into_iter().all(|is_seen| is_seen), "{paths} {replicate} {dimension}");
                }
            }
        }
    }

    #[test]
    fn permutations_are_even() {
        // Where 0 goes: chi-square of 37 cells with 36 degrees, below 73 but for one key in 3,000.
        let mut cells = [0.0; 37];
        (0..7_400).for_each(|key| cells[permuted(0, 37, at(9, key, 0, KEYS)) as usize] += 1.0);
        let distance: f64 = cells.iter().map(|count: &f64| (count - 200.0).powi(2) / 200.0).sum();
        assert!(distance < 73.0, "{distance}");
    }

    #[test]
    fn odd_paths_have_the_opposite_of_even_ones() {
        let points = Points::new(PointSet::Antithetic, 3, 100, 5);
        let (even, odd) = (normals(&points, 8), normals(&points, 9));
        assert!(even.iter().zip(&odd).all(|(a, b)| *a == -b) && even[0] != even[1], "{even:?} {odd:?}");
        assert_eq!([0, 1, 2, 31, 32].map(|path| PointSet::Antithetic.replicate(path)), [0, 0, 1, 15, 0]);
        assert_eq!([0, 1, 16, 31].map(|path| PointSet::Sobol.replicate(path)), [0, 1, 0, 15]);
    }

    /// Over seeds, what one path has is independent standard normals: mean 0, covariance the unit matrix.
    #[test]
    fn a_path_by_itself_has_independent_normals() {
        let (seeds, dimensions) = (20_000, 4);
        for set in SETS {
            for path in [0, 37] {
                let mut sums = [[0.0; 4]; 5];
                for seed in 0..seeds {
                    let drawn = normals(&Points::new(set, seed, 160, dimensions), path);
                    for (i, x) in drawn.iter().enumerate() {
                        sums[4][i] += x;
                        (0..dimensions).for_each(|j| sums[i][j] += x * drawn[j]);
                    }
                }
                // Errors of the mean and of a product are 1 / sqrt(n), that of a square sqrt(2 / n).
                let error = 1.0 / f64::from(seeds as u32).sqrt();
                for (i, row) in sums.iter().enumerate() {
                    for (j, sum) in row.iter().enumerate() {
                        let (truth, width) = if i == j { (1.0, error * 2.0_f64.sqrt()) } else { (0.0, error) };
                        let found = sum / f64::from(seeds as u32);
                        assert!((found - truth).abs() < 4.0 * width, "{set:?} path {path}, {i} {j}: {found}");
                    }
                }
            }
        }
    }

    /// Variance of the mean of `e^(0.5 x + 0.25 y) + 0.3 x y` over a replicate of n points, by replicates of 40 seeds.
    fn variance(set: PointSet, n: u32) -> f64 {
        let truth = (0.5 * (0.25 + 0.0625_f64)).exp();
        let mut squares = 0.0;
        for seed in 0..40 {
            let points = Points::new(set, seed, u64::from(n) * REPLICATES as u64, 2);
            let mut means = [0.0; REPLICATES];
            for path in 0..n * REPLICATES as u32 {
                let [x, y] = normals(&points, path)[..] else { panic!("two coordinates") };
                means[set.replicate(path.into())] += ((0.5 * x + 0.25 * y).exp() + 0.3 * x * y) / f64::from(n);
            }
            let mean = means.iter().sum::<f64>() / REPLICATES as f64;
            let error = (means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / (15.0 * 16.0)).sqrt();
            assert!((mean - truth).abs() < 5.0 * error, "{set:?} seed {seed}: {mean} +- {error}");
            squares += means.iter().map(|m| (m - truth).powi(2)).sum::<f64>();
        }
        squares / (40.0 * REPLICATES as f64)
    }

    #[test]
    fn means_are_unbiased_and_converge_as_they_should() {
        // With W = x / 2 + y / 4 of variance 0.3125: of the variance of e^W + 0.3 x y, 0.09 and 0.6 E[x y e^W] are the product's, ...
        let product = 0.09 + 0.6 * 0.125 * (0.5 * 0.3125_f64).exp();
        let plain = 0.625_f64.exp() - 0.3125_f64.exp() + product;
        let [sobol, stratified, antithetic] =
            SETS.map(|set| [64, 1024].map(|n| variance(set, n) * f64::from(n) / plain));
        // ... sixteen times the points leave a twentieth or less of the ratio by Sobol points: nearly n^-2 in all, ...
        assert!(sobol[0] < 0.06 && sobol[1] < 0.2 * sobol[0], "{sobol:?}");
        // ... what is no sum of functions of single coordinates is left by strata, and twice what is even by pairs.
        let mixed = 0.3125_f64.exp() * 0.25_f64.exp_m1() * 0.0625_f64.exp_m1() + product;
        let even = 0.5 * (1.0 + 0.625_f64.exp()) - 0.3125_f64.exp() + product;
        for (found, truth) in [(stratified, mixed / plain), (antithetic, 2.0 * even / plain)] {
            // Of 640 squares; the errors of a variance are 6 %.
            assert!(found.iter().all(|ratio| (ratio / truth - 1.0).abs() < 0.25), "{found:?}, not {truth}");
        }
    }
}
