//! How well parameters are known: the law that estimation gives them, around their values, and draws from it.
//!
//! Not modelled: errors of what enters the start of a path rather than its course (the stock of unclaimed root alpha keeps
//! the delay of the scenario); errors of numbers that are assumed; the form of the model.

use crate::model::entrants::Nature;
use crate::model::parameters::Parameter;
use crate::model::params::FlowParams;
use crate::model::params::ModelParams;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::simd::math;

/// Largest standard error on a log or logit scale: beyond it a draw says nothing.
pub const LOG_ERROR_MAX: f64 = 5.0;

/// Coordinate in which an estimated parameter is normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The parameter itself.
    Linear,
    /// Its logarithm: positive parameters.
    Log,
    /// `ln(p / (1 - p))`: probabilities and fractions.
    Logit,
}

impl Scale {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Linear, Self::Log, Self::Logit];

    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Log => "log",
            Self::Logit => "logit",
        }
    }

    /// The value that lies `distance` from `value` on this scale. 0 stays 0 on the log scale, 0 and 1 on the logit scale, and so do values below 0.
    pub fn shift(self, value: f64, distance: f64) -> f64 {
        match self {
            Self::Linear => value + distance,
            Self::Log => value * math::exp(distance),
            Self::Logit if value < 0.0 => value,
            Self::Logit => 1.0 / (1.0 + (1.0 - value) / value * math::exp(-distance)),
        }
    }
}

/// A parameter that is known with an error.
#[derive(Clone, Debug, PartialEq)]
pub struct UncertainParameter {
    /// Its key in a scenario, such as `flow.jumps.rate_per_day`.
    pub key: String,
    /// Where it is normal.
    pub scale: Scale,
    /// Standard error on that scale.
    pub standard_error: f64,
}

/// Joint law of the parameters' errors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParameterLaw {
    /// Who; each key once.
    pub parameters: Vec<UncertainParameter>,
    /// Correlations on those scales, row by row: symmetric, positive definite, ones on the diagonal.
    pub correlation: Vec<Vec<f64>>,
}

impl ParameterLaw {
    /// Independent errors.
    pub fn independent(parameters: Vec<UncertainParameter>) -> Self {
        let size = parameters.len();
        let row = |i| (0..size).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
        Self { correlation: (0..size).map(row).collect(), parameters }
    }
}

/// A law that parameters are drawn from.
#[derive(Clone, Debug)]
pub struct ParameterSampler {
    targets: Vec<Target>,
    /// Lower triangle of the factor of the correlation matrix, row by row.
    factor: Vec<Vec<f64>>,
}

/// A parameter that is drawn.
#[derive(Clone, Copy, Debug)]
struct Target {
    parameter: &'static Parameter,
    scale: Scale,
    standard_error: f64,
}

impl ParameterSampler {
    /// The sampler of a law; `None` if a key is no parameter's or the correlations are not positive definite.
    pub fn new(law: &ParameterLaw) -> Option<Self> {
        let target = |uncertain: &UncertainParameter| {
            let parameter = Parameter::named(&uncertain.key)?;
            Some(Target { parameter, scale: uncertain.scale, standard_error: uncertain.standard_error })
        };
        let targets = law.parameters.iter().map(target).collect::<Option<_>>()?;
        Some(Self { targets, factor: cholesky(&law.correlation)? })
    }

    /// The parameters of a replicate, around those of `centre`.
    ///
    /// ```text
    /// p_i = shift_i(centre_i, se_i sum_{j <= i} L_ij z_j),   L L' = correlation
    /// ```
    ///
    /// clipped to what each may be ([`crate::model::parameters::Range`]).
    pub fn draw(&self, centre: &ModelParams, seed: u64, replicate: u32) -> ModelParams {
        let normals = self.draw_normals(seed, replicate);
        let mut drawn = centre.clone();
        for (target, row) in self.targets.iter().zip(&self.factor) {
            let error = row.iter().zip(&normals).fold(0.0, |sum, (weight, normal)| sum + weight * normal);
            let value = target.scale.shift(target.parameter.get(centre), target.standard_error * error);
            target.parameter.set(&mut drawn, value);
        }
        drawn
    }

    fn draw_normals(&self, seed: u64, replicate: u32) -> Vec<f64> {
        let blocks = self.targets.len().div_ceil(4) as u16;
        let block = |index| rng::normals4(rng::words(seed, address(replicate, 0, 0, index)));
        (0..blocks).flat_map(block).collect()
    }
}

/// How the flow of a subnet of the snapshot scales in a replicate: its own scale and loading are not known better than an
/// entrant's (MODEL 2.1).
pub fn draw_nature(flow: &FlowParams, seed: u64, replicate: u32, slot: usize) -> Nature {
    let normals = rng::normals4(rng::words(seed, address(replicate, 1, slot as u32, 0)));
    Nature::drawn(flow, [normals[0], normals[1]])
}

fn address(replicate: u32, step: u32, slot: u32, index: u16) -> Address {
    Address { path: replicate, step, slot, purpose: Purpose::Parameters, index }
}

/// The lower triangular `L` with `L L' = matrix`, row by row; `None` if the matrix is not square or not positive definite.
/// Its lower triangle is read.
pub fn cholesky(matrix: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let mut factor: Vec<Vec<f64>> = Vec::with_capacity(matrix.len());
    for (i, row) in matrix.iter().enumerate() {
        if row.len() != matrix.len() {
            return None;
        }
        let mut own: Vec<f64> = Vec::with_capacity(i + 1);
        for (j, above) in factor.iter().enumerate() {
            let rest = above[..j].iter().zip(&own).fold(row[j], |rest, (a, b)| rest - a * b);
            own.push(rest / above[j]);
        }
        let pivot = own.iter().fold(row[i], |rest, weight| rest - weight * weight);
        if !(pivot > 0.0) {
            return None;
        }
        own.push(pivot.sqrt());
        factor.push(own);
    }
    Some(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_shift_where_they_are_normal() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-14;
        assert_eq!(Scale::Linear.shift(-1.0, 0.25), -0.75);
        assert!(near(Scale::Log.shift(2.0, 3f64.ln()), 6.0));
        assert!(near(Scale::Logit.shift(0.2, 4f64.ln()), 0.5), "odds of 1 : 4, four times");
        assert_eq!(
            (Scale::Log.shift(0.0, 2.0), Scale::Logit.shift(0.0, 2.0), Scale::Logit.shift(1.0, -2.0)),
            (0.0, 0.0, 1.0)
        );
    }

    #[test]
    fn factor_gives_the_matrix_back() {
        let matrix = vec![vec![1.0, 0.5, -0.2], vec![0.5, 1.0, 0.3], vec![-0.2, 0.3, 1.0]];
        let factor = cholesky(&matrix).unwrap();
        for i in 0..3 {
            for j in 0..=i {
                let product: f64 = factor[i].iter().zip(&factor[j]).map(|(a, b)| a * b).sum();
                assert!((product - matrix[i][j]).abs() < 1e-15, "{i} {j}");
            }
        }
        assert_eq!(cholesky(&[]), Some(Vec::new()));
    }

    #[test]
    fn matrices_without_a_law_have_no_factor() {
        let pair = |r: f64| vec![vec![1.0, r], vec![r, 1.0]];
        for matrix in [pair(1.0), pair(-1.5), pair(f64::NAN), vec![vec![1.0], vec![0.0, 1.0]], vec![vec![0.0]]] {
            assert_eq!(cholesky(&matrix), None, "{matrix:?}");
        }
        // Each pair may be, all three may not.
        let impossible = vec![vec![1.0, 0.9, -0.9], vec![0.9, 1.0, 0.9], vec![-0.9, 0.9, 1.0]];
        assert_eq!(cholesky(&impossible), None);
    }
}
