//! Where a subnet stands at the start: how near to being pruned, and what its holders would be paid.

use crate::protocol::dissolve;
use crate::protocol::dissolve::Sharers;
use crate::protocol::params::ProtocolParams;
use crate::protocol::pool::Pool;
use crate::protocol::registration::PruneCandidate;
use crate::protocol::registration::is_immune;
use crate::protocol::registration::prune_target;
use crate::protocol::state::ChainState;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;

/// A subnet beside the one that would be pruned now.
///
/// A subnet is pruned by a registration while all slots are taken; below the subnet limit entrants take free slots first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Its place by moving price among the subnets past their immunity, 1 the next to be pruned; within immunity the place that it
    /// would have there.
    pub prune_rank: u32,
    /// `m / m_next - 1`, its moving price over that of the subnet that would be pruned now; `None` where none would be.
    pub prune_distance: Option<f64>,
    /// Days of immunity left.
    pub grace_days: f64,
    /// What dissolution would pay a staked alpha (TAO).
    pub payout_tao_per_alpha: f64,
    /// Spot price (TAO per alpha).
    pub price: f64,
    /// Who shares the pot, by its block of registration.
    pub sharers: Sharers,
}

impl Standing {
    /// Where `netuid` stands in `chain`; `None` if no subnet is there.
    pub fn of(params: &ProtocolParams, chain: &ChainState, netuid: NetUid) -> Option<Self> {
        let subnet = chain.subnets.iter().find(|subnet| subnet.netuid == netuid)?;
        let (block, immunity) = (chain.block, params.immunity_period_blocks);
        let immune = |candidate: &PruneCandidate| is_immune(block, candidate.registered_at, immunity);
        let candidates = || chain.subnets.iter().map(PruneCandidate::from);
        let mut rivals: Vec<PruneCandidate> =
            candidates().filter(|candidate| candidate.netuid == netuid || !immune(candidate)).collect();
        let mut prune_rank = 1;
        // Of these immunity says nothing: all may be pruned.
        while let Some(next) = prune_target(block, 0, rivals.iter().copied()).filter(|&next| next != netuid) {
            rivals.retain(|rival| rival.netuid != next);
            prune_rank += 1;
        }
        let next = prune_target(block, immunity, candidates());
        let next = next.and_then(|next| candidates().find(|candidate| candidate.netuid == next));
        let distance = |next: PruneCandidate| {
            if next.netuid == netuid { Some(0.0) } else { Some(subnet.moving_price / next.moving_price - 1.0) }
        };
        let grace = subnet.registered_at.saturating_add(immunity).saturating_sub(block);
        Some(Self {
            prune_rank,
            prune_distance: next.and_then(distance).filter(|distance| distance.is_finite()),
            grace_days: grace as f64 / BLOCKS_PER_DAY as f64,
            payout_tao_per_alpha: dissolve::subnet_payout_per_alpha(params, subnet),
            price: Pool::from(subnet).spot_price(),
            sharers: dissolve::sharers(params, subnet.registered_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::state::SubnetState;
    use crate::protocol::upgrades;

    const BLOCK: u64 = 9_000_000;

    /// Subnets with netuids from 1, by block of registration and moving price.
    fn chain(subnets: &[(u64, f64)]) -> ChainState {
        let subnet = |(index, &(registered_at, moving_price)): (usize, &(u64, f64))| SubnetState {
            registered_at,
            moving_price,
            reserve_tao: 100.0,
            reserve_alpha: 400.0,
            staked_alpha: 1_600.0,
            ..SubnetState::empty(NetUid::from_slot(index))
        };
        ChainState {
            block: BLOCK,
            issuance_tao: 1e7,
            root_stake_tao: 0.0,
            last_lock_tao: 0.0,
            last_lock_block: 0,
            subnets: subnets.iter().enumerate().map(subnet).collect(),
        }
    }

    #[test]
    fn ranks_follow_the_order_of_pruning() {
        let params = upgrades::current_params();
        let old = BLOCK - params.immunity_period_blocks;
        let chain = chain(&[(old, 0.04), (old - 7_200, 0.02), (old + 2 * BLOCKS_PER_DAY, 0.01), (old, 0.02)]);
        let standing = |netuid| Standing::of(&params, &chain, NetUid(netuid)).unwrap();
        // Among the equal ones the older goes first; the third would be before all but for its immunity.
        assert_eq!([1, 2, 3, 4].map(|netuid| standing(netuid).prune_rank), [3, 1, 1, 2]);
        let distances = [1, 2, 3, 4].map(|netuid| standing(netuid).prune_distance);
        assert_eq!(distances, [Some(1.0), Some(0.0), Some(-0.5), Some(0.0)]);
        assert_eq!([1, 2, 3, 4].map(|netuid| standing(netuid).grace_days), [0.0, 0.0, 2.0, 0.0]);
        assert_eq!(Standing::of(&params, &chain, NetUid(9)), None);
    }

    /// By date of registration the pool's alpha shares the pot or does not: 100 over 1,600, or over 2,000.
    #[test]
    fn the_payout_depends_on_the_date_of_registration() {
        let params = upgrades::current_params();
        let chain = chain(&[(params.tao_in_refund_block, 0.04), (params.tao_in_refund_block + 1, 0.02)]);
        let standing = |netuid| Standing::of(&params, &chain, NetUid(netuid)).unwrap();
        assert_eq!((standing(1).payout_tao_per_alpha, standing(1).sharers), (0.0625, Sharers::StakersProtocol));
        assert_eq!((standing(2).payout_tao_per_alpha, standing(2).sharers), (0.05, Sharers::StakersProtocolPool));
        assert_eq!(standing(1).price, 0.25);
    }
}
