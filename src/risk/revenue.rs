//! Figures of subnets with revenue: what came in, what bought alpha, what miners received, and how the two compare.

use crate::engine::record::RevenueRow;
use crate::risk::estimate::Estimate;
use crate::risk::moments::Moments;
use crate::units::SubnetId;

/// Relative errors below this are rounding.
const ROUNDING: f64 = 1e-7;

/// What is said of a subnet with revenue at a horizon; sums run from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevenueMeasure {
    /// Mean revenue (USD per day).
    Revenue,
    /// Mean TAO that bought alpha.
    Buyback,
    /// Mean value of what miners received, at the price of each step's opening (TAO).
    MinerEmission,
    /// Withheld part of the value of miner emission: of its mean.
    WithheldFraction,
    /// Buybacks over the value of what miners received: of the means. Above 1 the subnet buys more than it pays.
    EmissionNeutrality,
}

impl RevenueMeasure {
    /// All measures, in the order of files.
    pub const ALL: [Self; 5] =
        [Self::Revenue, Self::Buyback, Self::MinerEmission, Self::WithheldFraction, Self::EmissionNeutrality];

    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Revenue => "revenue_usd_per_day",
            Self::Buyback => "buyback_tao",
            Self::MinerEmission => "miner_emission_tao",
            Self::WithheldFraction => "withheld_fraction",
            Self::EmissionNeutrality => "emission_neutrality",
        }
    }
}

/// One measure of one subnet at one horizon.
#[derive(Clone, Debug, PartialEq)]
pub struct RevenueFigure {
    /// Which subnet.
    pub id: SubnetId,
    /// Days from the start.
    pub horizon_days: f64,
    /// Of what.
    pub measure: RevenueMeasure,
    /// The figure; `None` where nothing was minted or received on any path.
    pub estimate: Option<Estimate>,
}

/// Figures of the subnets with revenue of a run.
#[derive(Clone, Debug)]
pub struct RevenueStatistics {
    subnets: Vec<SubnetId>,
    horizons_days: Vec<f64>,
    /// Indexed `subnet * horizons + horizon`.
    cells: Vec<Cell>,
}

#[derive(Clone, Debug, Default)]
struct Cell {
    revenue_usd: Moments,
    buyback_tao: Moments,
    miner_tao: Moments,
    /// Of what is withheld over what is minted.
    withheld: Ratio,
    /// Of buybacks over what miners receive.
    neutrality: Ratio,
}

impl RevenueStatistics {
    /// Statistics of `subnets`, in the order of the scenario, at horizons that ascend.
    pub fn new(subnets: Vec<SubnetId>, horizons_days: &[f64]) -> Self {
        let cells = vec![Cell::default(); subnets.len() * horizons_days.len()];
        Self { subnets, horizons_days: horizons_days.to_vec(), cells }
    }

    /// Adds one outcome; rows come in path order.
    pub fn push(&mut self, row: &RevenueRow) {
        let place = usize::from(row.subnet) * self.horizons_days.len() + usize::from(row.horizon);
        let (cell, total) = (&mut self.cells[place], &row.total);
        cell.revenue_usd.push(total.revenue_usd);
        cell.buyback_tao.push(total.buyback_tao);
        cell.miner_tao.push(total.miner_tao);
        cell.withheld.push(total.withheld_tao, total.withheld_tao + total.miner_tao);
        cell.neutrality.push(total.buyback_tao, total.miner_tao);
    }

    /// All figures, by subnet, horizon, measure.
    pub fn finish(&self) -> Vec<RevenueFigure> {
        let horizons = self.horizons_days.len();
        let places = self.cells.iter().enumerate();
        places
            .flat_map(|(place, cell)| {
                let (id, horizon_days) = (self.subnets[place / horizons], self.horizons_days[place % horizons]);
                RevenueMeasure::ALL.map(|measure| {
                    let estimate = cell.estimate(measure, horizon_days);
                    RevenueFigure { id, horizon_days, measure, estimate }
                })
            })
            .collect()
    }
}

impl Cell {
    fn estimate(&self, measure: RevenueMeasure, days: f64) -> Option<Estimate> {
        match measure {
            RevenueMeasure::Revenue => self.revenue_usd.mean().map(|usd| usd.scaled(1.0 / days)),
            RevenueMeasure::Buyback => self.buyback_tao.mean(),
            RevenueMeasure::MinerEmission => self.miner_tao.mean(),
            RevenueMeasure::WithheldFraction => self.withheld.estimate(),
            RevenueMeasure::EmissionNeutrality => self.neutrality.estimate(),
        }
    }
}

/// A ratio of two means from pairs, updated one pair at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Ratio {
    samples: u64,
    mean: [f64; 2],
    /// Sums of squared deviations, and of their products.
    squares: [f64; 2],
    products: f64,
}

impl Ratio {
    fn push(&mut self, above: f64, below: f64) {
        self.samples += 1;
        let n = self.samples as f64;
        let [a, b] = [above - self.mean[0], below - self.mean[1]];
        self.mean = [self.mean[0] + a / n, self.mean[1] + b / n];
        self.products += a * (below - self.mean[1]);
        self.squares[0] += a * (above - self.mean[0]);
        self.squares[1] += b * (below - self.mean[1]);
    }

    /// The ratio with the delta method's error; `None` where the lower mean is 0. One pair alone has an infinite error.
    ///
    /// ```text
    /// var(r) = (var a - 2 r cov(a, b) + r^2 var b) / (n mean(b)^2)
    /// ```
    fn estimate(&self) -> Option<Estimate> {
        let ratio = self.mean[0] / self.mean[1];
        let sum = self.squares[0] - 2.0 * ratio * self.products + ratio * ratio * self.squares[1];
        let n = self.samples as f64;
        let error = if self.samples > 1 { (sum.max(0.0) / (n - 1.0) / n).sqrt() / self.mean[1] } else { f64::INFINITY };
        // Where the ratio is the same on every path, what is left is rounding.
        let error = if error > ROUNDING * ratio { error } else { 0.0 };
        (self.mean[1] > 0.0).then(|| Estimate::normal(ratio, error, self.samples))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::revenue::RevenueFigures;
    use crate::units::NetUid;

    fn row(path: u64, horizon: u16, total: RevenueFigures) -> RevenueRow {
        RevenueRow { path, subnet: 0, horizon, total }
    }

    #[test]
    fn figures_of_a_hand_made_sample() {
        let id = SubnetId { netuid: NetUid(93), registered_at: 7 };
        let mut statistics = RevenueStatistics::new(vec![id], &[1.0, 10.0]);
        for (path, (buyback_tao, miner_tao)) in [(1.0, 4.0), (3.0, 4.0), (2.0, 1.0)].into_iter().enumerate() {
            let total = RevenueFigures { revenue_usd: 700.0, buyback_tao, miner_tao, withheld_tao: 6.0 };
            statistics.push(&row(path as u64, 0, RevenueFigures::default()));
            statistics.push(&row(path as u64, 1, total));
        }
        let figures = statistics.finish();
        assert_eq!(figures.len(), 10);
        let estimates: Vec<Option<Estimate>> = figures[5..].iter().map(|figure| figure.estimate).collect();
        assert_eq!((figures[5].id, figures[5].horizon_days), (id, 10.0));
        let values: Vec<f64> = estimates.iter().map(|estimate| estimate.expect("a figure").value).collect();
        assert_eq!(values[..3], [70.0, 2.0, 3.0]);
        assert!((values[3] - 2.0 / 3.0).abs() < 1e-15 && (values[4] - 2.0 / 3.0).abs() < 1e-15);
        // Residuals a - r b: -5/3, 1/3, 4/3; the sum of their squares is 14/3, n (n - 1) = 6, mean b = 3.
        let error = estimates[4].expect("a figure").standard_error;
        assert!((error - (14.0_f64 / 3.0 / 6.0).sqrt() / 3.0).abs() < 1e-15, "{error}");
        assert_eq!((figures[3].estimate, figures[4].estimate), (None, None), "nothing was minted");
    }

    #[test]
    fn a_ratio_that_is_the_same_on_every_path_is_known() {
        let mut ratio = Ratio::default();
        (1..100).for_each(|path| ratio.push(0.1 * 1.1_f64.powi(path), 0.7 * 1.1_f64.powi(path)));
        let estimate = ratio.estimate().expect("a positive mean");
        assert!((estimate.value - 1.0 / 7.0).abs() < 1e-12 && estimate.standard_error == 0.0, "{estimate:?}");
    }

    /// Interval of the ratio of means of two correlated exponential variables: covers in 95 of 100 samples.
    #[test]
    fn intervals_of_ratios_cover() {
        let mut word = 1_u64;
        let mut uniform = || {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((word >> 11) as f64 + 0.5) / 2.0_f64.powi(53)
        };
        let covered = (0..1_000).filter(|_| {
            let mut ratio = Ratio::default();
            for _ in 0..200 {
                let (common, own) = (-uniform().ln(), -uniform().ln());
                ratio.push(0.5 * common + 0.1 * own, common + 1.0);
            }
            let estimate = ratio.estimate().expect("a positive mean");
            estimate.ci_low < 0.3 && 0.3 < estimate.ci_high
        });
        let covered = covered.count();
        // Four standard errors of sqrt(1000 x 0.95 x 0.05).
        assert!((922..=978).contains(&covered), "{covered}");
    }
}
