//! Which subnet the chain deregistered, and which our rule does.

use taorisk::protocol::registration;
use taorisk::protocol::registration::PruneCandidate;
use taorisk::units::BLOCKS_PER_DAY;
use taorisk::units::NetUid;

use crate::observed::History;
use crate::observed::Replacement;
use crate::replay::Replay;
use crate::replay::chain_rules;

/// The chain's victim and ours.
pub struct Verdict {
    pub replacement: Replacement,
    pub ours: Option<NetUid>,
    /// Our rank of the chain's victim by moving price among the subnets past immunity; 0 is the lowest.
    pub rank: usize,
}

impl Verdict {
    pub fn agrees(&self) -> bool {
        self.ours == Some(self.replacement.netuid)
    }

    pub fn text(&self) -> String {
        let Self { replacement: Replacement { block, netuid }, ours, rank } = self;
        let ours = ours.map_or_else(|| "nobody".to_owned(), |ours| ours.to_string());
        format!("block {block}: {netuid} (our rank {rank}), ours {ours}")
    }
}

/// Our victim for a deregistration, from the observed day `days_before` its last observation.
pub fn verdict(history: &History, replacement: Replacement, days_before: u64) -> Verdict {
    let before = history.days.partition_point(|day| day.block < replacement.block);
    let seen = history.days[..before].iter().rposition(|day| day.find(replacement.netuid).is_some());
    let last = seen.expect("the victim was seen");
    let start = history.day_near(history.days[last].block - days_before * BLOCKS_PER_DAY);
    let mut replay = Replay::start(history, start, chain_rules);
    replay.advance_through_days(replacement.block - 1);
    judge(&replay, replacement)
}

fn judge(replay: &Replay<'_>, replacement: Replacement) -> Verdict {
    let immunity_period = chain_rules(replacement.block).immunity_period_blocks;
    let candidates = || replay.state.subnets.iter().map(PruneCandidate::from);
    let ours = registration::prune_target(replacement.block, immunity_period, candidates());
    let victim = candidates().find(|subnet| subnet.netuid == replacement.netuid).expect("the victim was seen");
    let lower = |subnet: &PruneCandidate| {
        !registration::is_immune(replacement.block, subnet.registered_at, immunity_period)
            && subnet.moving_price < victim.moving_price
    };
    Verdict { replacement, ours, rank: candidates().filter(lower).count() }
}
