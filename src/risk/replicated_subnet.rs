//! Probabilities of deregistration of the subnets of the snapshot, from paths in replicates of a point set.
//!
//! Not modelled: hazards, payouts, prices and emission shares; they are left out.

use crate::engine::record::DeregistrationRow;
use crate::risk::replicated::ReplicateSums;
use crate::risk::subnet::SubnetOpening;
use crate::risk::subnet::SubnetRow;
use crate::rng::PointSet;

/// Deregistrations of the subnets of a snapshot.
#[derive(Clone, Debug)]
pub struct ReplicatedSubnets {
    openings: Vec<SubnetOpening>,
    horizons_days: Vec<f64>,
    index_of_slot: Vec<Option<usize>>,
    set: PointSet,
    paths: ReplicateSums,
    /// Indexed `subnet * horizons + horizon`.
    hits: Vec<ReplicateSums>,
}

impl ReplicatedSubnets {
    /// Nothing seen yet.
    pub fn new(openings: &[SubnetOpening], horizons_days: &[f64], set: PointSet) -> Self {
        Self {
            openings: openings.to_vec(),
            horizons_days: horizons_days.to_vec(),
            index_of_slot: SubnetOpening::index_by_slot(openings),
            set,
            paths: ReplicateSums::default(),
            hits: vec![ReplicateSums::default(); openings.len() * horizons_days.len()],
        }
    }

    /// Adds so many paths and their deregistrations.
    ///
    /// # Panics
    /// If a deregistration is of no subnet of the snapshot.
    pub fn push(&mut self, first_path: u64, count: usize, deregistrations: &[DeregistrationRow]) {
        (first_path..first_path + count as u64).for_each(|path| self.paths.push(self.set.replicate(path), 0.0));
        let horizons = self.horizons_days.len();
        for row in deregistrations {
            let subnet = self.index_of_slot[usize::from(row.slot)].expect("a subnet of the snapshot");
            let hits = &mut self.hits[subnet * horizons..][..horizons];
            hits.iter_mut().skip(row.horizon.into()).for_each(|hits| hits.push(self.set.replicate(row.path), 1.0));
        }
    }

    /// The probabilities, subnet by subnet, then by horizon; none without a path.
    pub fn finish(&self) -> Vec<SubnetRow> {
        let horizons = self.horizons_days.len();
        let row = |(index, hits): (usize, &ReplicateSums)| {
            let (opening, days) = (&self.openings[index / horizons], self.horizons_days[index % horizons]);
            Some(SubnetRow::of_probability(opening, days, self.paths.with_hits(hits).probability()?))
        };
        self.hits.iter().enumerate().filter_map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NetUid;
    use crate::units::SubnetId;

    #[test]
    fn deregistrations_count_at_their_horizon_and_after() {
        let opening = |netuid| SubnetOpening {
            id: SubnetId { netuid: NetUid(netuid), registered_at: 1 },
            name: String::new(),
            price: 1.0,
            held: false,
        };
        let mut subnets = ReplicatedSubnets::new(&[opening(4), opening(9)], &[7.0, 30.0], PointSet::Sobol);
        let row = |path: u64, slot, horizon| DeregistrationRow {
            path,
            slot,
            horizon,
            block: 0,
            payout_tao_per_alpha: 0.0,
            price_before: 1.0,
        };
        for first in (0..1_600).step_by(100) {
            // Netuid 4: on the even paths, half of them in the second interval; netuid 9: after the last horizon.
            let even = (first..first + 100).filter(|path| path % 2 == 0);
            let dead = even.flat_map(|path| [row(path, 3, u16::from(path % 4 == 0)), row(path, 8, 2)]);
            subnets.push(first, 100, &dead.collect::<Vec<_>>());
        }
        let found: Vec<_> = subnets.finish().iter().map(|row| (row.horizon_days, row.deregistration)).collect();
        assert_eq!(
            found.iter().map(|(days, p)| (*days, p.value)).collect::<Vec<_>>(),
            [(7.0, 0.25), (30.0, 0.5), (7.0, 0.0), (30.0, 0.0)]
        );
        // Every second of 16 replicates has it on all its 100 paths: deviations of 50 from their mean.
        let error = (16.0_f64 / 15.0 * 16.0 * 2_500.0).sqrt() / 1_600.0;
        assert!((found[1].1.standard_error - error).abs() < 1e-12, "{:?}", found[1]);
        assert!(found[2].1.ci_high > 0.0, "a bound for what was not seen");
    }
}
