//! Points of a digital sequence that fills the unit cube evenly (Sobol), and their scrambling.
//!
//! ```text
//! point i, coordinate d:  XOR of the direction numbers v_(d,k) over the bits k of i       as 32 bits after the binary point
//! scrambled:              bit k flips or not by what a hash says of the bits above it     (Owen)
//! ```
//!
//! Of any 2^m points whose number begins with the same bits, and of all of them up to 2^32, each interval of length 2^-m of a coordinate
//! holds one; scrambling keeps that. Scrambled by a uniform seed, a point is uniform, and its coordinates are independent where
//! their seeds are.
//!
//! Sources: Joe, Kuo (2008), doi:10.1137/070709359, direction numbers new-joe-kuo-6.21201; Owen (1995),
//! doi:10.1007/978-1-4612-2552-2_19; Laine, Karras (2011), Stratified sampling for stochastic transparency, Comput. Graph.
//! Forum 30(4), as Burley (2020), Practical hash-based Owen scrambling, JCGT 9(4), has it. The alternative, a hash of its own for
//! each bit, costs thirty times that.

/// Coordinates that there are direction numbers for.
pub const SOBOL_DIMENSIONS: usize = 32;
const BITS: usize = 32;

/// From the second coordinate on: a primitive polynomial over two elements, its coefficients as bits, and the first direction numbers
/// `m_1, m_2, ...`, as many as its degree.
const POLYNOMIALS: [(u32, &[u32]); SOBOL_DIMENSIONS - 1] = [
    (3, &[1]),
    (7, &[1, 3]),
    (11, &[1, 3, 1]),
    (13, &[1, 1, 1]),
    (19, &[1, 1, 3, 3]),
    (25, &[1, 3, 5, 13]),
    (37, &[1, 1, 5, 5, 17]),
    (41, &[1, 1, 5, 5, 5]),
    (47, &[1, 1, 7, 11, 19]),
    (55, &[1, 1, 5, 1, 1]),
    (59, &[1, 1, 1, 3, 11]),
    (61, &[1, 3, 5, 5, 31]),
    (67, &[1, 3, 3, 9, 7, 49]),
    (91, &[1, 1, 1, 15, 21, 21]),
    (97, &[1, 3, 1, 13, 27, 49]),
    (103, &[1, 1, 1, 15, 7, 5]),
    (109, &[1, 3, 1, 15, 13, 25]),
    (115, &[1, 1, 5, 5, 19, 61]),
    (131, &[1, 3, 7, 11, 23, 15, 103]),
    (137, &[1, 3, 7, 13, 13, 15, 69]),
    (143, &[1, 1, 3, 13, 7, 35, 63]),
    (145, &[1, 3, 5, 9, 1, 25, 53]),
    (157, &[1, 3, 1, 13, 9, 35, 107]),
    (167, &[1, 3, 1, 5, 27, 61, 31]),
    (171, &[1, 1, 5, 11, 19, 41, 61]),
    (185, &[1, 3, 5, 3, 3, 13, 69]),
    (191, &[1, 1, 7, 13, 1, 19, 1]),
    (193, &[1, 3, 7, 5, 13, 19, 59]),
    (203, &[1, 1, 3, 9, 25, 29, 41]),
    (211, &[1, 3, 5, 13, 23, 1, 55]),
    (213, &[1, 3, 7, 3, 13, 59, 17]),
];

const DIRECTIONS: [[u32; BITS]; SOBOL_DIMENSIONS] = directions();

const fn directions() -> [[u32; BITS]; SOBOL_DIMENSIONS] {
    let mut all = [[0; BITS]; SOBOL_DIMENSIONS];
    let mut bit = 0;
    while bit < BITS {
        all[0][bit] = 1 << (BITS - 1 - bit);
        bit += 1;
    }
    let mut dimension = 1;
    while dimension < SOBOL_DIMENSIONS {
        let (polynomial, first) = POLYNOMIALS[dimension - 1];
        all[dimension] = directions_of(polynomial, first);
        dimension += 1;
    }
    all
}

/// `v_k = m_k 2^-k`, and `m_k = 2 a_1 m_(k-1) ^ 4 a_2 m_(k-2) ^ ... ^ 2^s m_(k-s) ^ m_(k-s)`.
const fn directions_of(polynomial: u32, first: &[u32]) -> [u32; BITS] {
    let degree = first.len();
    let mut v = [0; BITS];
    let mut k = 0;
    while k < BITS {
        if k < degree {
            v[k] = first[k] << (BITS - 1 - k);
        } else {
            v[k] = v[k - degree] ^ (v[k - degree] >> degree);
            let mut back = 1;
            while back < degree {
                if polynomial >> (degree - back) & 1 == 1 {
                    v[k] ^= v[k - back];
                }
                back += 1;
            }
        }
        k += 1;
    }
    v
}

/// Coordinate `dimension` of the point `index`, as 32 bits after the binary point.
pub fn sobol(index: u32, dimension: usize) -> u32 {
    let directions = &DIRECTIONS[dimension];
    let (mut left, mut sum) = (index, 0);
    while left != 0 {
        sum ^= directions[left.trailing_zeros() as usize];
        left &= left - 1;
    }
    sum
}

/// A nested uniform scramble of a coordinate: values that agree in their first bits and no more do so afterwards.
pub fn scrambled(coordinate: u32, seed: u32) -> u32 {
    let mut x = coordinate.reverse_bits().wrapping_add(seed);
    for factor in [0x6c50_b47c, 0xb82f_1e52, 0xc7af_e638, 0x8d22_f6e6] {
        x ^= x.wrapping_mul(factor);
    }
    x.reverse_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_points_are_the_published_ones() {
        // Of new-joe-kuo-6.21201, coordinates 1, 2, 3, 8 and 32, by an independent program.
        for (index, point) in [
            (0, [0; 5]),
            (1, [1 << 31; 5]),
            (2, [1_073_741_824, 3_221_225_472, 3_221_225_472, 1_073_741_824, 3_221_225_472]),
            (5, [2_684_354_560, 536_870_912, 3_758_096_384, 536_870_912, 1_610_612_736]),
            (6, [1_610_612_736, 1_610_612_736, 2_684_354_560, 3_758_096_384, 536_870_912]),
            (100_003, [3_311_501_312, 1_822_392_320, 3_547_693_056, 4_279_074_816, 3_378_937_856]),
        ] {
            assert_eq!([0, 1, 2, 7, 31].map(|dimension| sobol(index, dimension)), point, "{index}");
        }
    }

    /// Whether 2^m points have one in each of the 2^m boxes of 2^a by 2^(m-a), for every a.
    fn is_net(points: &[[u32; 2]]) -> bool {
        let m = points.len().ilog2();
        (0..=m).all(|a| {
            let mut seen = vec![false; points.len()];
            let part = |x: u32, bits: u32| (u64::from(x) >> (32 - bits)) as usize;
            points.iter().for_each(|[x, y]| seen[part(*x, a) << (m - a) | part(*y, m - a)] = true);
            seen.into_iter().all(|is_seen| is_seen)
        })
    }

    #[test]
    fn scrambled_points_are_nets() {
        // The first two coordinates are a (0, m, 2)-net: one point in every elementary interval.
        let point = |index: u32| [scrambled(sobol(index, 0), 0x1234_5678), scrambled(sobol(index, 1), 0x9abc_def1)];
        for (first, m) in [(0, 10), (3 << 10, 10), (0, 17)] {
            assert!(is_net(&(first..first + (1 << m)).map(point).collect::<Vec<_>>()), "{first}, {m}");
        }
        let broken: Vec<_> = (1..=1 << 10).map(point).collect();
        assert!(!is_net(&broken), "points that do not begin together");
    }

    #[test]
    fn every_coordinate_is_even_up_to_many_points() {
        for dimension in 0..SOBOL_DIMENSIONS {
            let mut seen = vec![false; 1 << 18];
            for index in 0..1 << 18 {
                seen[scrambled(sobol(index, dimension), 77 + dimension as u32) as usize >> 14] = true;
            }
            assert!(seen.into_iter().all(|is_seen| is_seen), "{dimension}");
        }
    }

    #[test]
    fn scrambling_moves_every_point_anywhere() {
        // Seeds spread the first point evenly: chi-square of 64 cells with 63 degrees, below 110 but for one seed in 5,000.
        let mut cells = [0.0; 64];
        (0..6_400_u32).for_each(|seed| cells[scrambled(0, seed.wrapping_mul(0x9e37_79b9)) as usize >> 26] += 1.0);
        let distance: f64 = cells.iter().map(|count: &f64| (count - 100.0).powi(2) / 100.0).sum();
        assert!(distance < 110.0, "{distance}");
    }
}
