//! Where inputs of a study lie: standard scores, drawn at addresses or on the levels of a grid.
//!
//! A *score* of an input is its distance from its middle in its standard deviations, so that effects per unit of score compare
//! across inputs and with the derivatives per standard error of `taorisk sensitivity`.

use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;

/// Levels of the grid on which effects are screened.
pub const LEVELS: usize = 4;
/// Standard normal quantiles at 5/8 and 7/8: middles of quarters of the law.
const NORMAL_LEVELS: [f64; 2] = [0.318_639_363_964_375_2, 1.150_349_380_376_008];
/// Width of a uniform law in its standard deviations: the square root of 12.
pub const UNIFORM_WIDTH: f64 = 3.464_101_615_137_754_6;

/// Law of the score of an input; mean 0, variance 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreLaw {
    /// Standard normal.
    Normal,
    /// Uniform on half of [`UNIFORM_WIDTH`] to either side.
    Uniform,
}

impl ScoreLaw {
    /// Scores in the middle (by probability) of each of [`LEVELS`] equal parts of the law, ascending. Two levels up is the same
    /// distance from either of the lower ones.
    pub fn levels(self) -> [f64; LEVELS] {
        match self {
            Self::Normal => {
                let [near, far] = NORMAL_LEVELS;
                [-far, -near, near, far]
            }
            Self::Uniform => [-0.375, -0.125, 0.125, 0.375].map(|part| part * UNIFORM_WIDTH),
        }
    }

    /// A score from a block of random words.
    fn draw(self, words: [u32; 4]) -> f64 {
        match self {
            Self::Normal => rng::normals4(words)[0],
            Self::Uniform => (rng::open_unit(words[0]) - 0.5) * UNIFORM_WIDTH,
        }
    }
}

/// What a draw of a design is for: the step word of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// First point of a row.
    First = 0,
    /// Second point of a row.
    Second = 1,
    /// A trajectory on the grid.
    Trajectory = 2,
}

/// The words of a row (or trajectory) for an input.
pub(crate) fn words(seed: u64, row: u32, part: Part, input: usize) -> [u32; 4] {
    rng::words(seed, Address { path: row, step: part as u32, slot: input as u32, purpose: Purpose::Design, index: 0 })
}

/// The scores of a point of a row.
pub(crate) fn draw_scores(laws: &[ScoreLaw], seed: u64, row: u32, part: Part) -> Vec<f64> {
    laws.iter().enumerate().map(|(input, law)| law.draw(words(seed, row, part, input))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::ContinuousCDF;
    use statrs::distribution::Normal;

    #[test]
    fn levels_are_the_middles_of_quarters() {
        let normal = Normal::standard();
        for (index, score) in ScoreLaw::Normal.levels().into_iter().enumerate() {
            assert!((normal.cdf(score) - (2 * index + 1) as f64 / 8.0).abs() < 1e-9, "{index}: {score}");
        }
        for law in [ScoreLaw::Normal, ScoreLaw::Uniform] {
            let [a, b, c, d] = law.levels();
            assert!((c - a - (d - b)).abs() < 1e-15, "{law:?}");
        }
    }

    /// n = 4,000: a mean off by 0.08 or a variance off by 0.13 (normal) fails in 98 of 100.
    #[test]
    fn scores_have_mean_0_and_variance_1() {
        for (law, kurtosis) in [(ScoreLaw::Normal, 3.0_f64), (ScoreLaw::Uniform, 1.8)] {
            let scores: Vec<f64> = (0..4_000).flat_map(|row| draw_scores(&[law], 5, row, Part::First)).collect();
            let n = scores.len() as f64;
            let mean = scores.iter().sum::<f64>() / n;
            let variance = scores.iter().map(|score| score * score).sum::<f64>() / n;
            assert!(mean.abs() < 4.0 / n.sqrt(), "{law:?}: {mean}");
            assert!((variance - 1.0).abs() < 4.0 * ((kurtosis - 1.0) / n).sqrt(), "{law:?}: {variance}");
        }
    }

    #[test]
    fn rows_parts_and_inputs_have_draws_of_their_own() {
        let laws = [ScoreLaw::Normal; 2];
        let first = draw_scores(&laws, 1, 0, Part::First);
        assert_eq!(first, draw_scores(&laws, 1, 0, Part::First));
        assert_eq!(first[..1], draw_scores(&laws[..1], 1, 0, Part::First), "an input more moves no draw");
        let others = [draw_scores(&laws, 1, 1, Part::First), draw_scores(&laws, 1, 0, Part::Second)];
        assert!(first[0] != first[1] && others.iter().all(|other| *other != first), "{first:?} {others:?}");
    }
}
