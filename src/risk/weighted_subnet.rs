//! Probabilities of deregistration of the subnets of the snapshot, from paths with likelihood weights.
//!
//! A path counts at each horizon with its weight there. A probability that rests on few paths is left out
//! ([`crate::risk::importance`]); a tilt towards losses of a book serves those subnets whose deregistration goes with them.
//!
//! Not modelled: hazards, payouts, prices and emission shares under weights; they are left out.

use crate::engine::record::DeregistrationRow;
use crate::engine::record::PathRow;
use crate::risk::importance::Norm;
use crate::risk::importance::WeightSums;
use crate::risk::importance::WeightedHits;
use crate::risk::subnet::SubnetOpening;
use crate::risk::subnet::SubnetRow;

/// Deregistrations of the subnets of a snapshot.
#[derive(Clone, Debug)]
pub struct WeightedSubnets {
    openings: Vec<SubnetOpening>,
    horizons_days: Vec<f64>,
    index_of_slot: Vec<Option<usize>>,
    weights: Vec<WeightSums>,
    /// Indexed `subnet * horizons + horizon`.
    hits: Vec<WeightedHits>,
}

impl WeightedSubnets {
    /// Nothing seen yet.
    pub fn new(openings: &[SubnetOpening], horizons_days: &[f64]) -> Self {
        Self {
            openings: openings.to_vec(),
            horizons_days: horizons_days.to_vec(),
            index_of_slot: SubnetOpening::index_by_slot(openings),
            weights: vec![WeightSums::default(); horizons_days.len()],
            hits: vec![WeightedHits::default(); openings.len() * horizons_days.len()],
        }
    }

    /// Adds a batch: its rows, of which those of the first book tell the weights, and its deregistrations, both in path order.
    ///
    /// # Panics
    /// If a deregistration is of a path without rows, or of no subnet of the snapshot.
    pub fn push(&mut self, rows: &[PathRow], deregistrations: &[DeregistrationRow]) {
        let weights: Vec<(u64, f64)> =
            rows.iter().filter(|row| row.book == 0).map(|row| (row.path, row.weight)).collect();
        let horizons = self.horizons_days.len();
        for (index, (_, weight)) in weights.iter().enumerate() {
            self.weights[index % horizons].push(*weight);
        }
        for row in deregistrations {
            let first = weights.partition_point(|(path, _)| *path < row.path);
            let of_path = &weights[first..first + horizons];
            debug_assert_eq!(of_path[0].0, row.path);
            let subnet = self.index_of_slot[usize::from(row.slot)].expect("a subnet of the snapshot");
            let hits = &mut self.hits[subnet * horizons..][..horizons];
            for (hits, (_, weight)) in hits.iter_mut().zip(of_path).skip(usize::from(row.horizon)) {
                hits.push(*weight);
            }
        }
    }

    /// The probabilities that there is an estimate of, subnet by subnet, then by horizon; and of how many others some path saw a
    /// deregistration.
    pub fn finish(&self) -> (Vec<SubnetRow>, usize) {
        let (mut rows, mut refused) = (Vec::new(), 0);
        let horizons = self.horizons_days.len();
        for (index, hits) in self.hits.iter().enumerate() {
            match hits.probability(&self.weights[index % horizons], Norm::Own) {
                Ok(found) => {
                    let (opening, days) = (&self.openings[index / horizons], self.horizons_days[index % horizons]);
                    rows.push(SubnetRow::of_probability(opening, days, found.estimate));
                }
                Err(_) => refused += usize::from(!hits.is_empty()),
            }
        }
        (rows, refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NetUid;
    use crate::units::SubnetId;

    #[test]
    fn deregistrations_count_with_the_weight_of_each_later_horizon() {
        let opening = |netuid| SubnetOpening {
            id: SubnetId { netuid: NetUid(netuid), registered_at: 1 },
            name: String::new(),
            price: 1.0,
            held: false,
        };
        let mut subnets = WeightedSubnets::new(&[opening(4), opening(9)], &[7.0, 30.0]);
        let deregistration = |path, slot, horizon| DeregistrationRow {
            path,
            slot,
            horizon,
            block: 0,
            payout_tao_per_alpha: 0.0,
            price_before: 1.0,
        };
        for first in (0..1_000).step_by(100) {
            let paths = first..first + 100;
            let row = |path: u64, horizon: u16| PathRow {
                path,
                horizon,
                weight: if horizon == 0 { 1.0 } else { 0.5 + (path % 2) as f64 },
                ..PathRow::EMPTY
            };
            let rows: Vec<_> = paths.clone().flat_map(|path| [row(path, 0), row(path, 1)]).collect();
            // Netuid 4: on every even path, half of them in the second interval; netuid 9: after the last horizon.
            let even = paths.filter(|path| path % 2 == 0);
            let dead =
                even.flat_map(|path| [deregistration(path, 3, u16::from(path % 4 == 0)), deregistration(path, 8, 2)]);
            subnets.push(&rows, &dead.collect::<Vec<_>>());
        }
        let (rows, refused) = subnets.finish();
        let found: Vec<_> = rows.iter().map(|row| (row.horizon_days, row.deregistration.value)).collect();
        // Weights 0.5 on the half with a hit, 1.5 on the other: a ratio of 1/4, and its bias sum w^2 (hit - 1/4) / 1e6 with
        // 500 (0.25 * 0.75 - 2.25 * 0.25).
        assert_eq!((found, refused), (vec![(7.0, 0.25), (30.0, 0.25 - 1.875e-4)], 0));
        // sum w^2 (hit - 1/4)^2 = 500 (0.25 * 0.5625 + 2.25 * 0.0625).
        let error = (500.0_f64 * 0.281_25).sqrt() / 1_000.0;
        assert!((rows[1].deregistration.standard_error - error).abs() < 1e-12, "{:?}", rows[1]);
    }
}
