//! What was observed of the network in the past, as `input` reads it and the estimators need it.

use crate::units::SubnetId;

/// TAO staked on root where a history does not say: about its value from 2025-02 to 2026-09 (5.3 to 6.2 million).
pub const ROOT_STAKE_TAO: f64 = 5.6e6;

/// State of one subnet at one block. Amounts in TAO and alpha.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Whose state.
    pub subnet: SubnetId,
    /// When (block).
    pub block: u64,
    /// Spot price (TAO per alpha).
    pub price: f64,
    /// Moving price, where observed.
    pub moving_price: Option<f64>,
    /// TAO in the pool.
    pub reserve_tao: f64,
    /// Alpha in the pool.
    pub reserve_alpha: f64,
    /// Alpha outside the pool.
    pub outstanding_alpha: f64,
    /// TAO injected into the pool per block, chain buys not counted, where observed.
    pub injected_tao_per_block: Option<f64>,
    /// Whether the subnet had not started, or its price was not a market's.
    pub is_startup: bool,
    /// The chain's average of the net flow of users (TAO per block), where observed and flows were counted.
    pub flow_average_tao_per_block: Option<f64>,
    /// Withheld part of miner emission (fraction), where observed.
    pub miner_burned: Option<f64>,
    /// Net TAO that trades moved into the pool since the subnet's observation before, where known.
    pub net_flow_tao: Option<f64>,
}

/// A registration, and whom it displaced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Registration {
    /// Who came.
    pub subnet: SubnetId,
    /// TAO paid, where known.
    pub lock_cost_tao: Option<f64>,
    /// Registration block of the subnet that was deregistered for it; `None`: the slot was free.
    pub replaced_registered_at: Option<u64>,
}

/// Closing rate of a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaoUsdClose {
    /// Day, counted from 1970-01-01 (UTC).
    pub day: i64,
    /// USD per TAO.
    pub close: f64,
}

/// TAO staked on root at a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RootStake {
    /// When (block).
    pub block: u64,
    /// How much (TAO).
    pub stake_tao: f64,
}

/// All that was observed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// By subnet (netuid, then registration), then block; no block of a subnet twice.
    pub observations: Vec<Observation>,
    /// By block.
    pub registrations: Vec<Registration>,
    /// By day, no day twice; may have gaps.
    pub tao_usd: Vec<TaoUsdClose>,
    /// By block; few suffice, root stake is slow.
    pub root_stake: Vec<RootStake>,
}

impl History {
    /// What was known by the end of `block`.
    pub fn until(&self, block: u64, day: i64) -> Self {
        Self {
            observations: self.observations.iter().filter(|seen| seen.block <= block).copied().collect(),
            registrations: self
                .registrations
                .iter()
                .filter(|seen| seen.subnet.registered_at <= block)
                .copied()
                .collect(),
            tao_usd: self.tao_usd.iter().filter(|seen| seen.day <= day).copied().collect(),
            root_stake: self.root_stake.iter().filter(|seen| seen.block <= block).copied().collect(),
        }
    }

    /// TAO staked on root at `block`: the straight line between the observations around it, else the nearest, and
    /// [`ROOT_STAKE_TAO`] where there is none.
    pub fn root_stake_at(&self, block: u64) -> f64 {
        let next = self.root_stake.partition_point(|seen| seen.block < block);
        match (next.checked_sub(1).map(|before| self.root_stake[before]), self.root_stake.get(next)) {
            (Some(before), Some(after)) => {
                let part = (block - before.block) as f64 / (after.block - before.block) as f64;
                before.stake_tao + part * (after.stake_tao - before.stake_tao)
            }
            (Some(nearest), None) => nearest.stake_tao,
            (None, Some(nearest)) => nearest.stake_tao,
            (None, None) => ROOT_STAKE_TAO,
        }
    }
}
