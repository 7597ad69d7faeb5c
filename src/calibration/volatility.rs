//! Volatility and jumps from pairs of days: how the size of a subnet's flow on one day goes with its size some days later.
//!
//! Flows in units of their expected size fall into cells. Given the log-volatility `h`, normal with variance `v`, the
//! probability of a cell is known in closed form ([`crate::calibration::jumps`]); of a pair of days `k` apart, whose `h` have the
//! correlation `r_k`, it is a series in Hermite polynomials (Mehler's formula):
//!
//! ```text
//! p_k(a, b) = E_e sum_n r_k^n c_n(a) c_n(b)      c_n(a) = E He_n(x) P(a | h = sqrt(v) x, e) / sqrt(n!)
//! r_k = (xi_1^2 rho_1^k + xi_2^2 rho_2^k) / v      v = xi_1^2 + xi_2^2
//! ```
//!
//! `e`: log scale of the subnet against the median one, the same on both days (three nodes); its spread is given, for tails of jumps
//! would pass for it here. The estimate maximizes the pairwise
//! likelihood over all lags, each pair with a weight of one half, times the prior. A jump is told from volatility by
//! the days around it: it leaves them as they were. Cells bound the influence of any flow.
//!
//! Source: Varin, Reid & Firth (2011), An overview of composite likelihood methods, Statistica Sinica 21; Davis & Yau (2011),
//! doi:10.5705/ss.2009.188, for pairs of a series. Errors: [`crate::calibration::flow_law`].

use crate::calibration::jumps;
use crate::calibration::layout::LAGS;
use crate::calibration::layout::Layout;
use crate::calibration::linear;
use crate::calibration::linear::Matrix;
use crate::model::params::JumpParams;
use crate::model::params::VolatilityPart;
use crate::simd::math;

/// Edges of the cells of `|u|`, in units of its median; those of `u` have both signs.
///
/// Two thirds of the flows share the middle cell: observed flows have more tiny ones than any law of this form, which an estimate
/// with cells among them pays for with volatility and jumps that the large flows do not have.
const EDGES: [f64; 10] = [1.5, 2.1, 2.9, 4.0, 5.5, 8.0, 12.0, 18.0, 27.0, 40.0];
/// Cells: one around zero, and one above each edge on both sides.
const CELLS: usize = 2 * EDGES.len() + 1;
/// Terms of the series: the next one is below 1e-4 of a probability at the default parameters.
const TERMS: usize = 13;
/// Grid of the normal law of log-volatility: the trapezoid rule is exact to 1e-8 here.
const NODES: usize = 25;
const NODE_STEP: f64 = 0.5;
/// Nodes and weights of the normal law of log scales (Gauss-Hermite).
const SCALES: [(f64, f64); 3] =
    [(-1.732_050_807_568_877_2, 1.0 / 6.0), (0.0, 2.0 / 3.0), (1.732_050_807_568_877_2, 1.0 / 6.0)];
/// Least probability of a pair of cells.
const PROBABILITY_MIN: f64 = 1e-12;

/// Number of coordinates of the law.
pub(crate) const SIZE: usize = 9;

/// Prior standard deviations of the coordinates, in their order; see [`LawOfSizes::of_coordinates`].
pub(crate) const PRIOR_SD: [f64; SIZE] = [1.0, 0.5, 0.8, 0.5, 0.8, 1.0, 1.0, 0.7, 0.7];

/// The law of standardized flows: log scale against the unit, spread of scales, volatility, jumps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LawOfSizes {
    pub scale: f64,
    pub scale_sd_log: f64,
    pub volatility: [VolatilityPart; 2],
    pub volatility_cap: f64,
    pub jumps: JumpParams,
}

impl LawOfSizes {
    /// Logs, and the logit of the probability.
    pub fn coordinates(&self) -> [f64; SIZE] {
        let [fast, slow] = self.volatility;
        let jumps = self.jumps;
        let up = jumps.up_probability;
        [
            math::ln(self.scale),
            math::ln(fast.sd_log),
            math::ln(fast.half_life_days),
            math::ln(slow.sd_log),
            math::ln(slow.half_life_days),
            math::ln(jumps.rate_per_day),
            math::ln(up / (1.0 - up)),
            math::ln(jumps.up_mean),
            math::ln(jumps.down_mean),
        ]
    }

    /// The law at [`Self::coordinates`].
    pub fn of_coordinates(at: &[f64; SIZE], scale_sd_log: f64, volatility_cap: f64) -> Self {
        let part = |i: usize| VolatilityPart { sd_log: math::exp(at[i]), half_life_days: math::exp(at[i + 1]) };
        let jumps = JumpParams {
            rate_per_day: math::exp(at[5]),
            up_probability: 1.0 / (1.0 + math::exp(-at[6])),
            up_mean: math::exp(at[7]),
            down_mean: math::exp(at[8]),
        };
        Self { scale: math::exp(at[0]), scale_sd_log, volatility: [part(1), part(3)], volatility_cap, jumps }
    }

    /// Variance of log-volatility.
    pub fn volatility_variance(&self) -> f64 {
        self.volatility.iter().map(|part| part.sd_log * part.sd_log).sum()
    }

    /// Covariance of log-volatility over `lag` days.
    pub fn covariance(&self, lag: u32) -> f64 {
        let kept = |half_life: f64| math::exp(-f64::from(lag) * std::f64::consts::LN_2 / half_life);
        self.volatility.iter().map(|part| part.sd_log * part.sd_log * kept(part.half_life_days)).sum()
    }

    fn correlation(&self, lag: u32) -> f64 {
        self.covariance(lag) / self.volatility_variance()
    }

    /// Volatility at node `x`, in units of the scale.
    fn volatility_at(&self, x: f64) -> f64 {
        let variance = self.volatility_variance();
        math::exp(variance.sqrt() * x - 0.5 * variance).min(self.volatility_cap)
    }

    /// `P(u <= edge)` of a subnet, given its scale and volatility.
    fn probability_below(&self, edge: f64, scale: f64, volatility: f64) -> f64 {
        jumps::jumping_normal_cdf(edge / scale + self.jumps.mean_per_day(), volatility, &self.jumps)
    }

    /// Scales of subnets and their weights.
    fn scales(&self) -> [(f64, f64); SCALES.len()] {
        SCALES.map(|(x, weight)| (self.scale * math::exp(self.scale_sd_log * x), weight))
    }

    /// Slope of the mean of `u` clipped at `bound`, in the normal draw and in a move of the scale: `E s V 1[|u| < bound]`
    /// (Stein's lemma) and `E s 1[|u| < bound]`.
    pub fn clipped_slopes(&self, bound: f64) -> [f64; 2] {
        let mut slopes = [0.0; 2];
        for (scale, weight) in self.scales() {
            for x in nodes() {
                let volatility = self.volatility_at(x);
                let below = |edge: f64| self.probability_below(edge, scale, volatility);
                let within = weight * NODE_STEP * jumps::normal_density(x) * scale * (below(bound) - below(-bound));
                slopes[0] += volatility * within;
                slopes[1] += within;
            }
        }
        slopes
    }

    /// `c_n` of every cell, for each scale.
    fn coefficients(&self) -> Coefficients {
        self.scales().map(|(scale, _)| {
            let mut found = [[0.0; CELLS]; TERMS];
            for x in nodes() {
                let volatility = self.volatility_at(x);
                let mut cells = [0.0; CELLS];
                let mut last = 0.0;
                for (cell, edge) in cells.iter_mut().zip(edges()) {
                    let next = self.probability_below(edge, scale, volatility);
                    (*cell, last) = (next - last, next);
                }
                cells[CELLS - 1] = 1.0 - last;
                let weight = NODE_STEP * jumps::normal_density(x);
                for (sums, hermite) in found.iter_mut().zip(hermite(x)) {
                    sums.iter_mut().zip(cells).for_each(|(sum, p)| *sum += weight * hermite * p);
                }
            }
            found
        })
    }
}

/// By scale, term and cell.
type Coefficients = [[[f64; CELLS]; TERMS]; SCALES.len()];

fn nodes() -> impl Iterator<Item = f64> {
    (0..NODES).map(|i| (i as f64 - 0.5 * (NODES - 1) as f64) * NODE_STEP)
}

/// Edges between cells, in order.
fn edges() -> impl Iterator<Item = f64> {
    EDGES.iter().rev().map(|edge| -edge).chain(EDGES)
}

/// Normalized Hermite polynomials at `x`.
fn hermite(x: f64) -> [f64; TERMS] {
    let mut values = [1.0; TERMS];
    values[1] = x;
    for n in 1..TERMS - 1 {
        let degree = n as f64;
        values[n + 1] = (x * values[n] - degree.sqrt() * values[n - 1]) / (degree + 1.0).sqrt();
    }
    values
}

/// Cell of a standardized flow.
fn cell(flow: f64) -> usize {
    let outer = EDGES.partition_point(|&edge| edge <= flow.abs());
    if flow < 0.0 { EDGES.len() - outer } else { EDGES.len() + outer }
}

/// Pairs of cells: `(a, b)` with `a <= b`, either order of the days.
const PAIRS: usize = CELLS * (CELLS + 1) / 2;

/// How many pairs of rows fell into each pair of cells, by lag.
pub(crate) struct PairCounts(Vec<Vec<f64>>);

impl PairCounts {
    /// Counts over pairs of rows that both count.
    pub fn new(layout: &Layout, flows: &[f64], counts: impl Fn(usize) -> bool) -> Self {
        let cells: Vec<usize> = flows.iter().map(|&flow| cell(flow)).collect();
        let of_lag = |pairs: &Vec<[usize; 2]>| {
            let mut table = vec![0.0; PAIRS];
            for [a, b] in pairs.iter().filter(|pair| pair.iter().all(|&row| counts(row))) {
                let (low, high) = (cells[*a].min(cells[*b]), cells[*a].max(cells[*b]));
                table[high * (high + 1) / 2 + low] += 1.0;
            }
            table
        };
        Self(layout.pairs.iter().map(of_lag).collect())
    }
}

/// Probabilities of all pairs of cells at one correlation.
fn pair_probabilities(coefficients: &Coefficients, correlation: f64) -> Vec<f64> {
    let mut found = vec![0.0; PAIRS];
    for (coefficients, (_, weight)) in coefficients.iter().zip(SCALES) {
        let mut power = weight;
        for of_term in coefficients {
            let mut pairs = found.iter_mut();
            for high in 0..CELLS {
                let factor = 2.0 * power * of_term[high];
                of_term[..high].iter().zip(&mut pairs).for_each(|(low, sum)| *sum += factor * low);
                pairs.next().into_iter().for_each(|sum| *sum += 0.5 * factor * of_term[high]);
            }
            power *= correlation;
        }
    }
    found.iter_mut().for_each(|p| *p = p.max(PROBABILITY_MIN));
    found
}

/// Step of numerical derivatives in the coordinates.
const DERIVATIVE_STEP: f64 = 1e-4;
/// Weight of a pair against the prior: a row stands in two pairs of each lag.
const PAIR_WEIGHT: f64 = 0.5;
const ITERATIONS: usize = 60;

/// A fit: where, and what part of the prior is in each coordinate.
pub(crate) struct PairFit {
    pub at: [f64; SIZE],
    /// `H^-1 P`: how an error of the prior's center moves the estimate. `P` is the prior's precision, `H` that of both.
    pub pull: Matrix,
}

/// The pairwise likelihood with a normal prior around `center`.
pub(crate) struct PairLikelihood<'a> {
    pub counts: &'a PairCounts,
    pub center: [f64; SIZE],
    pub scale_sd_log: f64,
    pub volatility_cap: f64,
}

impl PairLikelihood<'_> {
    fn law(&self, at: &[f64; SIZE]) -> LawOfSizes {
        LawOfSizes::of_coordinates(at, self.scale_sd_log, self.volatility_cap)
    }

    fn penalty(&self, at: &[f64; SIZE]) -> f64 {
        (0..SIZE).map(|i| 0.5 * ((at[i] - self.center[i]) / PRIOR_SD[i]).powi(2)).sum()
    }

    fn value(&self, at: &[f64; SIZE]) -> f64 {
        let law = self.law(at);
        let coefficients = law.coefficients();
        let of_lag = |(table, lag): (&Vec<f64>, u32)| {
            let probabilities = pair_probabilities(&coefficients, law.correlation(lag));
            table.iter().zip(probabilities).map(|(count, p)| count * math::ln(p)).sum::<f64>()
        };
        let sum: f64 = self.counts.0.iter().zip(LAGS).map(of_lag).sum();
        PAIR_WEIGHT * sum - self.penalty(at)
    }

    /// Score and expected information of the pairs and the prior.
    fn score(&self, at: &[f64; SIZE]) -> ([f64; SIZE], Matrix) {
        let law = self.law(at);
        let coefficients = law.coefficients();
        let moved: Vec<_> = (0..SIZE)
            .map(|i| {
                let mut moved = *at;
                moved[i] += DERIVATIVE_STEP;
                let law = self.law(&moved);
                // Half-lives act through correlations only.
                let coefficients = if i == 2 || i == 4 { coefficients } else { law.coefficients() };
                (law, coefficients)
            })
            .collect();
        let (mut score, mut information) = ([0.0; SIZE], linear::zeros(SIZE));
        for (table, lag) in self.counts.0.iter().zip(LAGS) {
            let total: f64 = table.iter().sum();
            let probabilities = pair_probabilities(&coefficients, law.correlation(lag));
            let slopes: Vec<Vec<f64>> = moved
                .iter()
                .map(|(law, coefficients)| {
                    let moved = pair_probabilities(coefficients, law.correlation(lag));
                    moved.iter().zip(&probabilities).map(|(m, p)| (m - p) / DERIVATIVE_STEP).collect()
                })
                .collect();
            for (cells, (&count, &p)) in table.iter().zip(&probabilities).enumerate() {
                for i in 0..SIZE {
                    let slope = slopes[i][cells] / p;
                    score[i] += PAIR_WEIGHT * count * slope;
                    for j in 0..=i {
                        information[i][j] += PAIR_WEIGHT * total * slope * slopes[j][cells];
                    }
                }
            }
        }
        for i in 0..SIZE {
            score[i] -= (at[i] - self.center[i]) / PRIOR_SD[i].powi(2);
            information[i][i] += PRIOR_SD[i].powi(-2);
            (0..i).for_each(|j| information[j][i] = information[i][j]);
        }
        (score, information)
    }

    /// Maximizes by Fisher scoring with step halving.
    pub fn maximize(&self, start: [f64; SIZE]) -> PairFit {
        let (mut at, mut value) = (start, self.value(&start));
        let (mut score, mut information) = self.score(&at);
        for _ in 0..ITERATIONS {
            let Some(lower) = linear::cholesky(&information) else { break };
            let step = linear::solve(&lower, &score);
            let promised: f64 = step.iter().zip(score).map(|(step, score)| step * score).sum();
            // Gain in log-likelihood that is left: far below one standard error.
            if !(promised > 1e-3) {
                break;
            }
            let largest = step.iter().fold(1.0_f64, |most, step| most.max(step.abs()));
            let mut part = 1.0 / largest;
            let reached = loop {
                let moved: [f64; SIZE] = std::array::from_fn(|i| at[i] + part * step[i]);
                let reached = self.value(&moved);
                if reached > value {
                    at = moved;
                    break reached;
                }
                part *= 0.5;
                if part < 1e-3 {
                    break value;
                }
            };
            if reached <= value {
                break;
            }
            value = reached;
            (score, information) = self.score(&at);
        }
        let pull = linear::inverse(&information).map_or_else(
            || linear::zeros(SIZE),
            |inverse| inverse.iter().map(|row| (0..SIZE).map(|j| row[j] * PRIOR_SD[j].powi(-2)).collect()).collect(),
        );
        PairFit { at, pull }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::jumps::kou_jump;
    use crate::rng;
    use crate::rng::Address;
    use crate::rng::Purpose;

    fn law() -> LawOfSizes {
        let part = |sd_log, half_life_days| VolatilityPart { sd_log, half_life_days };
        LawOfSizes {
            scale: 1.4,
            scale_sd_log: 0.2,
            volatility: [part(0.5, 3.0), part(0.7, 40.0)],
            volatility_cap: 8.0,
            jumps: JumpParams { rate_per_day: 0.1, up_probability: 0.5, up_mean: 2.5, down_mean: 1.2 },
        }
    }

    #[test]
    fn probabilities_of_pairs_sum_to_one() {
        let coefficients = law().coefficients();
        for lag in LAGS {
            let sum: f64 = pair_probabilities(&coefficients, law().correlation(lag)).iter().sum();
            assert!((sum - 1.0).abs() < 1e-6, "lag {lag}: {sum}");
        }
    }

    #[test]
    fn cells_are_symmetric_and_ordered() {
        assert_eq!(cell(0.0), EDGES.len());
        assert_eq!([cell(-50.0), cell(50.0)], [0, CELLS - 1]);
        let by_edges = |flow: f64| edges().filter(|&edge| edge <= flow).count();
        for flow in [-30.0, -2.0, -1.51, 0.05, 1.5, 3.0, 7.9, 13.0] {
            assert_eq!(cell(flow), by_edges(flow), "{flow}");
        }
    }

    #[test]
    fn the_series_gives_the_chance_of_two_large_days() {
        // Drawn: the scale of a subnet, its volatilities of correlation r, a normal and up to three jumps on either day.
        const SAMPLES: u32 = 300_000;
        let law = law();
        let correlation = law.correlation(3);
        let probabilities = pair_probabilities(&law.coefficients(), correlation);
        let is_large = |cell: usize| !(8..=12).contains(&cell);
        let mut expected = 0.0;
        for high in 0..CELLS {
            for low in 0..=high {
                if is_large(high) && is_large(low) {
                    expected += probabilities[high * (high + 1) / 2 + low];
                }
            }
        }
        let normals = |path, index| {
            rng::normals4(rng::words(3, Address { path, step: 0, slot: 0, purpose: Purpose::SlotNormals, index }))
        };
        let jump = |path, step| {
            let words = |index| {
                let address = Address { path, step, slot: 0, purpose: Purpose::SlotJump, index };
                rng::words(3, address).map(rng::open_unit)
            };
            let mean = law.jumps.rate_per_day;
            let more_than = [1.0 - (-mean).exp(), 1.0 - (-mean).exp() * (1.0 + mean)];
            let count = more_than.iter().filter(|p| words(0)[0] < **p).count() as u16;
            (1..=count).map(|index| kou_jump(words(index)[0], words(index)[1], &law.jumps)).sum::<f64>()
        };
        let both = (0..SAMPLES).filter(|&path| {
            let [first, other, a, b] = normals(path, 0);
            let scale = law.scale * (law.scale_sd_log * normals(path, 1)[0]).exp();
            let second = correlation * first + (1.0 - correlation * correlation).sqrt() * other;
            let is_large = |x: f64, z: f64, step| {
                let jump = jump(path, step) - law.jumps.mean_per_day();
                is_large(cell(scale * (law.volatility_at(x) * z + jump)))
            };
            is_large(first, a, 0) && is_large(second, b, 1)
        });
        let found = both.count() as f64 / f64::from(SAMPLES);
        let error = (expected * (1.0 - expected) / f64::from(SAMPLES)).sqrt();
        assert!((found - expected).abs() < 4.0 * error, "{found}, not {expected} ({error})");
    }
}
