//! Deregistration of each subnet of the snapshot read as credit, and quantiles of its price and emission share.

use crate::engine::record::DeregistrationRow;
use crate::risk::clusters::ReplicateSums;
use crate::risk::estimate::Estimate;
use crate::risk::histogram::Metric;
use crate::risk::histogram::Ranks;
use crate::risk::histogram::SubnetCube;
use crate::risk::moments::Moments;
use crate::units::BLOCKS_PER_DAY;
use crate::units::SLOT_CAPACITY;
use crate::units::SubnetId;

/// Probabilities of the quantiles that stand beside the deregistration figures.
pub const MAIN_PROBABILITIES: [f64; 3] = [0.05, 0.5, 0.95];

/// A subnet of the snapshot at the start.
#[derive(Clone, Debug, PartialEq)]
pub struct SubnetOpening {
    /// Which subnet.
    pub id: SubnetId,
    /// Its name.
    pub name: String,
    /// Spot price (TAO per alpha).
    pub price: f64,
    /// Whether a book of the scenario holds it.
    pub held: bool,
}

impl SubnetOpening {
    /// By slot, the index in `openings` of the subnet that stands there.
    pub(crate) fn index_by_slot(openings: &[Self]) -> Vec<Option<usize>> {
        let mut index_of_slot = vec![None; SLOT_CAPACITY];
        for (index, opening) in openings.iter().enumerate() {
            index_of_slot[opening.id.netuid.slot()] = Some(index);
        }
        index_of_slot
    }
}

/// One subnet at one horizon.
#[derive(Clone, Debug, PartialEq)]
pub struct SubnetRow {
    /// The subnet as it opened.
    pub opening: SubnetOpening,
    /// Days from the start.
    pub horizon_days: f64,
    /// Probability of deregistration up to the horizon.
    pub deregistration: Estimate,
    /// Deregistrations per day alive since the previous horizon; `None` if no path was alive in it.
    pub hazard_per_day: Option<Estimate>,
    /// Mean payout (TAO per alpha) of the paths deregistered up to the horizon; `None` if there are none.
    pub payout_tao_per_alpha: Option<Estimate>,
    /// Mean of `1 - payout / price just before` of the same paths; negative where the payout was above the price.
    pub loss_given_deregistration: Option<Estimate>,
    /// Spot price (TAO per alpha) at [`MAIN_PROBABILITIES`] among paths on which it is alive; `None` if there are none.
    pub price: Option<[Estimate; 3]>,
    /// Emission share, likewise.
    pub emission_share: Option<[Estimate; 3]>,
}

impl SubnetRow {
    /// A row that knows how probable deregistration is and nothing else.
    pub(crate) fn of_probability(opening: &SubnetOpening, horizon_days: f64, deregistration: Estimate) -> Self {
        Self {
            opening: opening.clone(),
            horizon_days,
            deregistration,
            hazard_per_day: None,
            payout_tao_per_alpha: None,
            loss_given_deregistration: None,
            price: None,
            emission_share: None,
        }
    }
}

/// One quantile of one subnet at one horizon, among paths on which it is alive.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantileRow {
    /// Which subnet.
    pub id: SubnetId,
    /// Of what.
    pub metric: Metric,
    /// Days from the start.
    pub horizon_days: f64,
    /// Probability of the quantile.
    pub probability: f64,
    /// The quantile; `None` if no path has the subnet alive.
    pub estimate: Option<Estimate>,
}

/// Deregistrations of the subnets of a snapshot.
#[derive(Clone, Debug)]
pub struct SubnetStatistics {
    openings: Vec<SubnetOpening>,
    horizons_days: Vec<f64>,
    probabilities: Vec<f64>,
    start_block: u64,
    paths: u64,
    /// Paths of a replicate, whose outcomes depend on each other; `None`: all are independent.
    replicate_paths: Option<u64>,
    /// Index in `openings` of the subnet in each slot.
    index_of_slot: Vec<Option<usize>>,
    /// Indexed `subnet * horizons + horizon`.
    cells: Vec<Cell>,
}

/// Deregistrations of one subnet: those of one interval between horizons, and the payouts up to its end.
#[derive(Clone, Debug, Default)]
struct Cell {
    deaths: u64,
    /// Blocks that those paths were alive in the interval.
    blocks_alive: u64,
    payout: Moments,
    loss: Moments,
    /// By replicate: deaths of the interval; payouts and losses up to its end.
    replicates: [ReplicateSums; 3],
}

impl Cell {
    /// Mean payout and mean loss, with the error of replicates where paths come in them.
    fn means(&self, in_replicates: bool) -> [Option<Estimate>; 2] {
        let [_, payouts, losses] = &self.replicates;
        [(&self.payout, payouts), (&self.loss, losses)].map(|(moments, sums)| {
            let plain = moments.mean()?;
            let error = if in_replicates { sums.mean_variance().sqrt() } else { plain.standard_error };
            Some(Estimate::normal(plain.value, error, plain.samples))
        })
    }
}

impl SubnetStatistics {
    /// Statistics of `paths` paths that start after `start_block`; horizons ascend. Prices and emission shares are published
    /// at the quantile `probabilities`.
    pub fn new(
        openings: &[SubnetOpening],
        start_block: u64,
        horizons_days: &[f64],
        probabilities: &[f64],
        paths: u64,
    ) -> Self {
        debug_assert!(horizons_days.is_sorted());
        Self {
            openings: openings.to_vec(),
            horizons_days: horizons_days.to_vec(),
            probabilities: probabilities.to_vec(),
            start_block,
            paths,
            replicate_paths: None,
            index_of_slot: SubnetOpening::index_by_slot(openings),
            cells: vec![Cell::default(); openings.len() * horizons_days.len()],
        }
    }

    /// The same for paths of which each `replicate_paths` share parameters drawn for them: errors of probabilities, hazards,
    /// payouts and losses are those of replicates. Quantiles of prices and shares, which are counted out of order, keep the
    /// errors of independent paths.
    pub fn in_replicates(mut self, replicate_paths: u64) -> Self {
        self.replicate_paths = Some(replicate_paths);
        self
    }

    /// Adds a deregistration; rows come in path order, at most one per path and subnet. Later than the last horizon
    /// counts nowhere.
    ///
    /// # Panics
    /// If no subnet of the snapshot stands in the row's slot.
    pub fn push_deregistration(&mut self, row: &DeregistrationRow) {
        let subnet =
            self.index_of_slot[usize::from(row.slot)].expect("a deregistration is of a subnet of the snapshot");
        let horizons = self.horizons_days.len();
        let first = usize::from(row.horizon);
        if first >= horizons {
            return;
        }
        let interval_start = self.block_at(first);
        let cells = &mut self.cells[subnet * horizons..(subnet + 1) * horizons];
        let replicate = row.path / self.replicate_paths.unwrap_or(1);
        cells[first].deaths += 1;
        cells[first].replicates[0].push(replicate, 1.0);
        cells[first].blocks_alive += row.block.saturating_sub(interval_start);
        for cell in &mut cells[first..] {
            cell.payout.push(row.payout_tao_per_alpha);
            cell.replicates[1].push(replicate, row.payout_tao_per_alpha);
            if row.price_before > 0.0 {
                let loss = 1.0 - row.payout_tao_per_alpha / row.price_before;
                cell.loss.push(loss);
                cell.replicates[2].push(replicate, loss);
            }
        }
    }

    /// All figures, subnet by subnet in the order given at the start, then by horizon.
    ///
    /// `cube` counts the values of the paths on which the subnet is alive at a horizon, by slot.
    pub fn finish(&self, cube: &SubnetCube) -> (Vec<SubnetRow>, Vec<QuantileRow>) {
        let mut subnets = Vec::with_capacity(self.cells.len());
        let mut quantiles = Vec::new();
        let ranks = Ranks::default();
        for (index, opening) in self.openings.iter().enumerate() {
            for horizon in 0..self.horizons_days.len() {
                subnets.push(self.subnet_row(index, horizon, cube, &ranks));
                quantiles.extend(self.quantile_rows(opening.id, horizon, cube, &ranks));
            }
        }
        (subnets, quantiles)
    }

    fn subnet_row(&self, index: usize, horizon: usize, cube: &SubnetCube, ranks: &Ranks) -> SubnetRow {
        let opening = self.openings[index].clone();
        let cells = &self.cells[index * self.horizons_days.len()..][..horizon + 1];
        let cell = &cells[horizon];
        let slot = opening.id.netuid.slot();
        let [payout_tao_per_alpha, loss_given_deregistration] = cell.means(self.replicate_paths.is_some());
        let main = |metric| {
            let [low, middle, high] =
                MAIN_PROBABILITIES.map(|level| cube.quantile(slot, horizon, metric, level, ranks));
            Some([low?, middle?, high?])
        };
        SubnetRow {
            horizon_days: self.horizons_days[horizon],
            deregistration: self.probability(cells),
            hazard_per_day: self.hazard(cells),
            payout_tao_per_alpha,
            loss_given_deregistration,
            price: main(Metric::Price),
            emission_share: main(Metric::EmissionShare),
            opening,
        }
    }

    /// Probability of death up to the last of `cells`. Every death up to a horizon has a payout.
    fn probability(&self, cells: &[Cell]) -> Estimate {
        let plain = Estimate::proportion(cells.iter().map(|cell| cell.deaths).sum(), self.paths);
        match (self.replicate_paths, cells.last()) {
            (Some(length), Some(last)) => plain.dependent(self.share_variance(&last.replicates[1], length)),
            _ => plain,
        }
    }

    fn share_variance(&self, sums: &ReplicateSums, length: u64) -> f64 {
        sums.share_variance(self.paths as f64, self.paths as f64 / length as f64)
    }

    /// Deaths over time at risk in the interval of the last of `cells`.
    ///
    /// Where paths come in replicates, the Poisson interval is widened as the variance of the number of deaths is.
    fn hazard(&self, cells: &[Cell]) -> Option<Estimate> {
        let (last, earlier) = cells.split_last()?;
        let alive = self.paths - earlier.iter().map(|cell| cell.deaths).sum::<u64>();
        let interval = self.block_at(cells.len()) - self.block_at(earlier.len());
        let blocks = last.blocks_alive + (alive - last.deaths) * interval;
        let rate = (blocks > 0).then(|| Estimate::rate(last.deaths, blocks as f64 / BLOCKS_PER_DAY as f64, alive))?;
        let share = last.deaths as f64 / self.paths as f64;
        let plain = share * (1.0 - share) / self.paths as f64;
        let Some(length) = self.replicate_paths.filter(|_| plain > 0.0) else { return Some(rate) };
        Some(rate.widened((self.share_variance(&last.replicates[0], length) / plain).sqrt().max(1.0)))
    }

    fn quantile_rows(
        &self,
        id: SubnetId,
        horizon: usize,
        cube: &SubnetCube,
        ranks: &Ranks,
    ) -> impl Iterator<Item = QuantileRow> {
        let horizon_days = self.horizons_days[horizon];
        Metric::ALL.into_iter().flat_map(move |metric| {
            self.probabilities.iter().map(move |&probability| {
                let estimate = cube.quantile(id.netuid.slot(), horizon, metric, probability, ranks);
                QuantileRow { id, metric, horizon_days, probability, estimate }
            })
        })
    }

    /// Block at which the interval before `horizon` starts; for the number of horizons, at which the last one ends.
    fn block_at(&self, horizon: usize) -> u64 {
        let days = if horizon == 0 { 0.0 } else { self.horizons_days[horizon - 1] };
        self.start_block + (days * BLOCKS_PER_DAY as f64).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NetUid;

    fn statistics(paths: u64) -> SubnetStatistics {
        let opening = |netuid, held| SubnetOpening {
            id: SubnetId { netuid: NetUid(netuid), registered_at: 100 },
            name: format!("subnet {netuid}"),
            price: 0.02,
            held,
        };
        SubnetStatistics::new(&[opening(3, true), opening(1, false)], 1000, &[10.0, 30.0], &[0.05, 0.5, 0.95], paths)
    }

    fn death(path: u64, horizon: u16, days: u64) -> DeregistrationRow {
        DeregistrationRow {
            path,
            slot: 2,
            horizon,
            block: 1000 + days * BLOCKS_PER_DAY,
            payout_tao_per_alpha: 0.01,
            price_before: 0.02 + 0.02 * (path % 2) as f64,
        }
    }

    #[test]
    fn hand_made_deaths() {
        let mut statistics = statistics(10);
        for row in [death(0, 0, 5), death(1, 0, 10), death(2, 1, 20), death(3, 1, 30), death(4, 2, 40)] {
            statistics.push_deregistration(&row);
        }
        let (rows, quantiles) = statistics.finish(&SubnetCube::new(4, 2));
        let deregistration: Vec<f64> = rows.iter().map(|row| row.deregistration.value).collect();
        assert_eq!(deregistration, [0.2, 0.4, 0.0, 0.0]);
        // 2 deaths in 5 + 10 + 8 * 10 days; 2 in 10 + 20 + 6 * 20 days; none in 100 and 200 days.
        let hazards: Vec<f64> = rows.iter().map(|row| row.hazard_per_day.unwrap().value).collect();
        assert_eq!(hazards, [2.0 / 95.0, 2.0 / 150.0, 0.0, 0.0].map(|hazard: f64| hazard));
        assert!(rows[2].deregistration.ci_high > 0.2 && rows[2].hazard_per_day.unwrap().ci_high > 0.02);
        let loss = rows[1].loss_given_deregistration.unwrap();
        assert!((loss.value - 0.625).abs() < 1e-12, "{loss:?}");
        assert_eq!(rows[1].payout_tao_per_alpha.unwrap().value, 0.01);
        assert_eq!(rows[2].payout_tao_per_alpha, None);
        assert_eq!(rows[0].price, None);
        assert_eq!(quantiles.len(), 2 * 2 * 2 * 3);
    }

    #[test]
    fn quantiles_come_from_the_slot_of_the_subnet() {
        let mut cube = SubnetCube::new(4, 2);
        (1..=99).for_each(|i| cube.record(2, 1, Metric::Price, 0.01 * f64::from(i)));
        let (rows, quantiles) = statistics(99).finish(&cube);
        let median = rows[1].price.unwrap()[1];
        assert!((median.value / 0.5 - 1.0).abs() <= 1.0 / 64.0, "{median:?}");
        let found = quantiles.iter().filter(|row| row.estimate.is_some());
        assert!(found.into_iter().all(|row| row.id.netuid == NetUid(3) && row.horizon_days == 30.0));
    }

    #[test]
    fn a_subnet_dead_on_every_path_has_no_later_hazard() {
        let mut statistics = statistics(2);
        statistics.push_deregistration(&death(0, 0, 1));
        statistics.push_deregistration(&death(1, 0, 2));
        let (rows, _) = statistics.finish(&SubnetCube::new(4, 2));
        assert_eq!(rows[0].hazard_per_day.unwrap().value, 2.0 / 3.0);
        assert_eq!(rows[1].hazard_per_day, None);
        assert_eq!(rows[1].deregistration.value, 1.0);
    }
}
