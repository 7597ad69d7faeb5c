//! Replicates: runs of consecutive paths that share parameters drawn for them, and batches that do not straddle two.

use crate::engine::plan::Plan;
use crate::engine::plan::PlanInput;
use crate::model::uncertainty::ParameterSampler;

/// How paths share parameters.
#[derive(Clone, Debug)]
pub struct Replicates {
    /// Paths of a replicate; path p is of the replicate p / paths.
    pub paths: u64,
    /// What their parameters are drawn from, around those of the plan that is not one replicate's own.
    pub sampler: ParameterSampler,
    /// The replicate whose parameters a plan has; `None`: those that all are drawn around.
    pub drawn: Option<u32>,
}

impl Replicates {
    /// No replicate's own.
    pub fn new(paths: u64, sampler: ParameterSampler) -> Self {
        Self { paths, sampler, drawn: None }
    }
}

/// The plan of the replicate `replicate` of the run of `plan`.
fn plan_of(plan: &Plan, replicates: &Replicates, replicate: u32) -> Plan {
    let model = replicates.sampler.draw(&plan.input.model, plan.input.seed, replicate);
    let drawn = Replicates { drawn: Some(replicate), ..replicates.clone() };
    Plan::new(PlanInput { model, replicates: Some(drawn), ..plan.input.clone() })
}

/// The plan of the last replicate that a worker had to do with.
#[derive(Default)]
pub(crate) struct ReplicatePlan(Option<Box<(u32, Plan)>>);

impl ReplicatePlan {
    /// The plan of the paths of a batch: that of its replicate, or `shared` where parameters are not drawn.
    pub fn of<'a>(&'a mut self, shared: &'a Plan, first_path: u64) -> &'a Plan {
        let Some(replicates) = &shared.input.replicates else { return shared };
        let replicate = (first_path / replicates.paths) as u32;
        if self.0.as_ref().is_none_or(|kept| kept.0 != replicate) {
            self.0 = Some(Box::new((replicate, plan_of(shared, replicates, replicate))));
        }
        self.0.as_ref().map_or(shared, |kept| &kept.1)
    }
}

/// How the paths of a run fall into batches: whole ones from the first path on, or from the start of each replicate on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batches {
    first: u64,
    end: u64,
    batch: u64,
    /// Where the count of batches begins: the first path, or the start of its replicate.
    origin: u64,
    /// Paths of a replicate, and batches in one.
    replicate: Option<(u64, u64)>,
}

impl Batches {
    /// Batches of at most `batch` of the `paths` paths from `first` on.
    pub fn new(replicates: Option<&Replicates>, first: u64, paths: u64, batch: u64) -> Self {
        let replicate = replicates.map(|replicates| (replicates.paths, replicates.paths.div_ceil(batch)));
        let origin = replicate.map_or(first, |(length, _)| first - first % length);
        Self { first, end: first + paths, batch, origin, replicate }
    }

    /// Their number.
    pub fn len(&self) -> usize {
        if self.first == self.end {
            0
        } else {
            (self.number_of(self.end - 1) - self.number_of(self.first)) as usize + 1
        }
    }

    /// First path and number of paths of a batch.
    pub fn at(&self, index: usize) -> (u64, usize) {
        let number = self.number_of(self.first) + index as u64;
        let (start, limit) = match self.replicate {
            None => (self.origin + number * self.batch, u64::MAX),
            Some((length, batches)) => {
                let replicate = self.origin + number / batches * length;
                (replicate + number % batches * self.batch, replicate + length)
            }
        };
        let end = (start + self.batch).min(limit).min(self.end);
        let start = start.max(self.first);
        (start, (end - start) as usize)
    }

    /// Number of the batch of a path.
    fn number_of(&self, path: u64) -> u64 {
        let offset = path - self.origin;
        match self.replicate {
            None => offset / self.batch,
            Some((length, batches)) => offset / length * batches + offset % length / self.batch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::uncertainty::ParameterLaw;

    #[test]
    fn batches_cover_the_paths_in_order_and_straddle_no_replicate() {
        for (length, first, paths, batch) in [
            (None, 5, 100, 32),
            (Some(64), 0, 200, 32),
            (Some(7), 3, 40, 4),
            (Some(10), 13, 1, 1),
            (Some(10), 10, 25, 64),
            (Some(3), 0, 0, 2),
        ] {
            let sampler = ParameterSampler::new(&ParameterLaw::default()).unwrap();
            let replicates = length.map(|length| Replicates::new(length, sampler));
            let batches = Batches::new(replicates.as_ref(), first, paths, batch);
            let mut next = first;
            for (start, count) in (0..batches.len()).map(|index| batches.at(index)) {
                assert!(start == next && (1..=batch).contains(&(count as u64)), "{start} {count}");
                next = start + count as u64;
                let length = length.unwrap_or(u64::MAX);
                assert_eq!(start / length, (next - 1) / length, "{start} {count} {length}");
            }
            assert_eq!(next, first + paths);
        }
    }
}
