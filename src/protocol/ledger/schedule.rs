//! When the epoch of a subnet runs.

use crate::units::NetUid;

/// Blocks without an epoch after which a subnet is due whatever its tempo: `MAX_TEMPO`.
const STEP_MAX_BLOCKS: u64 = 50_400;

/// Rule by which epochs run (MECHANICS 6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochSchedule {
    /// In blocks with `(block + netuid + 1) mod (tempo + 1) = 0`, so every `tempo + 1` blocks. Before runtime 423.
    ByBlockNumber,
    /// Every `tempo` blocks from the last epoch; what exceeds the cap of a block is put off to the next. Since runtime 423.
    FromLastEpoch {
        /// `MaxEpochsPerBlock`, over all subnets.
        most_per_block: usize,
    },
}

impl EpochSchedule {
    /// The rule of the pinned runtime.
    pub const DEFAULT: Self = Self::FromLastEpoch { most_per_block: 2 };
}

/// What a subnet knows of its epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochClock {
    /// `Tempo` (blocks); 0: no epoch ever runs.
    pub tempo_blocks: u64,
    /// `LastEpochBlock`.
    pub last_epoch_block: u64,
    /// `PendingEpochAt`: block from which an epoch put off is due; 0: none is.
    pub pending_epoch_at: u64,
    /// `BlocksSinceLastStep`.
    pub blocks_since_last_step: u64,
}

impl EpochClock {
    /// Of a subnet whose epoch last ran, or is taken to have run, at `last_epoch_block`.
    pub fn new(tempo_blocks: u64, last_epoch_block: u64) -> Self {
        Self { tempo_blocks, last_epoch_block, pending_epoch_at: 0, blocks_since_last_step: 0 }
    }

    fn is_due(&self, schedule: EpochSchedule, netuid: NetUid, block: u64) -> bool {
        let waited = match schedule {
            EpochSchedule::ByBlockNumber => {
                (block + u64::from(netuid.0) + 1).is_multiple_of(self.tempo_blocks.saturating_add(1))
            }
            EpochSchedule::FromLastEpoch { .. } => {
                block.saturating_sub(self.last_epoch_block) >= self.tempo_blocks
                    || self.blocks_since_last_step > STEP_MAX_BLOCKS
                    || (self.pending_epoch_at > 0 && block >= self.pending_epoch_at)
            }
        };
        self.tempo_blocks > 0 && waited
    }

    fn fire(&mut self, block: u64) {
        *self = Self { last_epoch_block: block, pending_epoch_at: 0, blocks_since_last_step: 0, ..*self };
    }
}

/// Advances all clocks to `block` and returns which of them fire, by position.
///
/// Source: pallets/subtensor/src/coinbase/run_coinbase.rs, `drain_pending`, `should_run_epoch`.
pub fn fire_due(schedule: EpochSchedule, block: u64, clocks: &mut [(NetUid, &mut EpochClock)]) -> Vec<usize> {
    let most = match schedule {
        EpochSchedule::ByBlockNumber => usize::MAX,
        EpochSchedule::FromLastEpoch { most_per_block } => most_per_block,
    };
    let mut fired = Vec::new();
    for position in storage_order(clocks) {
        let (netuid, clock) = &mut clocks[position];
        clock.blocks_since_last_step += 1;
        if !clock.is_due(schedule, *netuid, block) {
            continue;
        }
        if fired.len() < most {
            clock.fire(block);
            fired.push(position);
        } else {
            clock.pending_epoch_at = block + 1;
        }
    }
    fired.sort_unstable();
    fired
}

/// Positions in the order of the chain's storage, whose keys are the little-endian bytes of the netuids.
fn storage_order(clocks: &[(NetUid, &mut EpochClock)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..clocks.len()).collect();
    order.sort_by_key(|position| clocks[*position].0.0.to_le_bytes());
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(schedule: EpochSchedule, block: u64, clocks: &mut [EpochClock]) -> Vec<usize> {
        let mut named: Vec<_> =
            clocks.iter_mut().enumerate().map(|(slot, clock)| (NetUid::from_slot(slot), clock)).collect();
        fire_due(schedule, block, &mut named)
    }

    #[test]
    fn the_period_is_the_tempo_and_before_one_more() {
        for (schedule, period) in [(EpochSchedule::DEFAULT, 360), (EpochSchedule::ByBlockNumber, 361)] {
            let mut clocks = [EpochClock::new(360, 1_000)];
            let blocks: Vec<u64> =
                (1_001..3_000).filter(|block| !fired(schedule, *block, &mut clocks).is_empty()).collect();
            assert!(blocks.len() >= 5 && blocks.windows(2).all(|pair| pair[1] - pair[0] == period), "{blocks:?}");
        }
    }

    #[test]
    fn what_exceeds_the_cap_is_put_off_and_stays_late() {
        let mut clocks = [EpochClock::new(10, 0); 5];
        assert_eq!(fired(EpochSchedule::DEFAULT, 10, &mut clocks), [0, 1]);
        assert_eq!(clocks.map(|clock| clock.pending_epoch_at), [0, 0, 11, 11, 11]);
        assert_eq!(fired(EpochSchedule::DEFAULT, 11, &mut clocks), [2, 3]);
        assert_eq!(fired(EpochSchedule::DEFAULT, 12, &mut clocks), [4]);
        assert_eq!(fired(EpochSchedule::DEFAULT, 20, &mut clocks), [0, 1]);
        assert_eq!(clocks[4], EpochClock { blocks_since_last_step: 1, ..EpochClock::new(10, 12) });
    }

    #[test]
    fn netuid_256_comes_before_2() {
        let (mut a, mut b) = (EpochClock::new(10, 0), EpochClock::new(10, 0));
        let mut clocks = [(NetUid(2), &mut a), (NetUid(256), &mut b)];
        let schedule = EpochSchedule::FromLastEpoch { most_per_block: 1 };
        assert_eq!(fire_due(schedule, 10, &mut clocks), [1]);
    }

    #[test]
    fn without_tempo_no_epoch_runs() {
        let mut clocks = [EpochClock { blocks_since_last_step: 60_000, ..EpochClock::new(0, 0) }];
        assert!(fired(EpochSchedule::DEFAULT, 100_000, &mut clocks).is_empty());
        let mut clocks = [EpochClock { blocks_since_last_step: 50_400, ..EpochClock::new(60_000, 99_999) }];
        assert_eq!(fired(EpochSchedule::DEFAULT, 100_000, &mut clocks), [0]);
    }
}
