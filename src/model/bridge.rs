//! Sums of normals that are told before the normals themselves: a Brownian bridge over steps, and normals given their sum.
//!
//! The steps of a process fall into segments. Of n independent standard normals in all,
//!
//! ```text
//! sum of all:    sqrt(n) g_1
//! of a stretch of n = a + b steps with the sum S, the first a:    S a / n + sqrt(a b / n) g_k       halved until segments are reached
//! of m steps with the sum S, the first step:                      S / m + sqrt(1 - 1 / m) z
//! ```
//!
//! with g and z independent standard normals, the normals of the steps are so too: each line is the law of its left side given all lines
//! before. So g may come from a point set, and z from the addresses of the steps, while the law stays.
//!
//! Source: Caflisch, Morokoff, Owen (1997), doi:10.21314/JCF.1997.005, section 4.

use crate::simd::Lanes;

/// A normal law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormalLaw {
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation.
    pub sd: f64,
}

impl NormalLaw {
    /// That of the first of `count` standard normals given their sum.
    pub fn given_sum(sum: f64, count: u32) -> Self {
        let part = 1.0 / f64::from(count);
        Self { mean: sum * part, sd: (1.0 - part).sqrt() }
    }

    /// The standard law, shifted.
    pub fn shifted(mean: f64) -> Self {
        Self { mean, sd: 1.0 }
    }

    /// What a standard normal draw is under it.
    #[inline(always)]
    pub fn of<L: Lanes>(&self, draw: L) -> L {
        L::splat(self.sd) * draw + L::splat(self.mean)
    }
}

/// Segments of equal lengths, up to one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Bridge {
    /// Steps before each segment, and of all.
    bounds: Vec<u32>,
}

impl Bridge {
    /// A bridge over `steps > 0` steps with as many segments as there are steps for, a power of two, at most `segments_max > 0`.
    pub fn new(steps: u32, segments_max: u32) -> Self {
        let segments = 1 << steps.min(segments_max).ilog2();
        let bound = |segment: u32| (u64::from(steps) * u64::from(segment) / u64::from(segments)) as u32;
        Self { bounds: (0..=segments).map(bound).collect() }
    }

    /// Segments, and normals that their sums take.
    pub fn segments(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Steps of all segments.
    pub fn steps(&self) -> u32 {
        self.bounds[self.segments()]
    }

    /// The segment of a step, and the steps from it to the end of the segment.
    pub fn place(&self, step: u32) -> (usize, u32) {
        let segment = self.bounds.partition_point(|bound| *bound <= step) - 1;
        (segment, self.bounds[segment + 1] - step)
    }

    /// Sums of the normals of each segment from as many normals: that of all first, then that of each first half.
    ///
    /// # Panics
    /// If there are fewer normals or sums than segments.
    pub fn sums(&self, mut normals: impl Iterator<Item = f64>, sums: &mut [f64]) {
        let mut next = || normals.next().expect("a normal for each segment");
        let mut stretch = self.segments();
        sums[0] = f64::from(self.steps()).sqrt() * next();
        while stretch > 1 {
            for first in (0..self.segments()).step_by(stretch) {
                let middle = first + stretch / 2;
                let [left, right] =
                    [first, middle].map(|at| f64::from(self.bounds[at + stretch / 2] - self.bounds[at]));
                let sum = sums[first];
                sums[first] = sum * left / (left + right) + (left * right / (left + right)).sqrt() * next();
                sums[middle] = sum - sums[first];
            }
            stretch /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matrix that takes the leading normals of a bridge, then those of its steps, to normals of the steps.
    fn matrix(steps: u32, segments_max: u32) -> Vec<Vec<f64>> {
        let bridge = Bridge::new(steps, segments_max);
        let leading = bridge.segments();
        let column = |source: usize| {
            let unit = |at: usize| if at == source { 1.0 } else { 0.0 };
            let mut sums = vec![0.0; leading];
            bridge.sums((0..leading).map(unit), &mut sums);
            (0..steps)
                .map(|step| {
                    let (segment, left) = bridge.place(step);
                    let law = NormalLaw::given_sum(sums[segment], left);
                    let normal = law.of(unit(leading + step as usize));
                    sums[segment] -= normal;
                    normal
                })
                .collect()
        };
        (0..leading + steps as usize).map(column).collect()
    }

    #[test]
    fn normals_of_steps_are_independent_and_standard() {
        for (steps, segments_max) in [(1, 8), (2, 8), (7, 8), (8, 8), (90, 8), (13, 4), (30, 1)] {
            let columns = matrix(steps, segments_max);
            for i in 0..steps as usize {
                for j in 0..steps as usize {
                    let covariance: f64 = columns.iter().map(|column| column[i] * column[j]).sum();
                    let truth = if i == j { 1.0 } else { 0.0 };
                    assert!((covariance - truth).abs() < 1e-12, "{steps} {segments_max}, {i} {j}: {covariance}");
                }
            }
            // The first normal is the normed sum of all.
            let total: f64 = columns[0].iter().sum();
            assert!((total - f64::from(steps).sqrt()).abs() < 1e-12, "{total}");
            let others = columns[1..].iter().map(|column| column.iter().sum::<f64>().abs()).fold(0.0, f64::max);
            assert!(others < 1e-12, "{others}");
        }
    }

    #[test]
    fn walks_have_the_variance_of_their_length_where_they_are_bridged() {
        // Variance of the sum to the middle explained by the first two normals: all; by the first: a half.
        let columns = matrix(64, 8);
        let to_middle = |column: &Vec<f64>| column[..32].iter().sum::<f64>().powi(2);
        assert!((to_middle(&columns[0]) - 16.0).abs() < 1e-12 && (to_middle(&columns[1]) - 16.0).abs() < 1e-12);
        assert!(columns[2..].iter().map(to_middle).sum::<f64>() < 1e-20);
    }

    #[test]
    fn steps_have_their_places() {
        let bridge = Bridge::new(90, 8);
        assert_eq!((bridge.segments(), bridge.steps()), (8, 90));
        assert_eq!([0, 10, 11, 89].map(|step| bridge.place(step)), [(0, 11), (0, 1), (1, 11), (7, 1)]);
        assert_eq!(Bridge::new(7, 8).segments(), 4);
    }
}
