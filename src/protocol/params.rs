//! The chain's rules and governance parameters, each with its storage name on chain.

use crate::protocol::dissolve::DissolveRule;
use crate::protocol::emission::InjectionRule;
use crate::protocol::ledger::schedule::EpochSchedule;
use crate::protocol::pool::PoolRule;
use crate::protocol::registration::SeedRule;
use crate::protocol::root::RootRule;
use crate::protocol::share_rules::ShareRule;

/// Parameters of the Hill gate (MECHANICS Appendix A), in force under the rules E2H and E2Q.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HillGateParams {
    /// Rank of the share that is the threshold of E2H (mainnet: 32), at least 1.
    pub rank: usize,
    /// Sum of the largest shares at which E2Q finds its threshold (fraction; mainnet: 0.61, 0.75 seen).
    pub quantile: f64,
    /// Steepness (mainnet: 3), at least 1.
    pub exponent: u32,
}

/// Parameters of the flow rules F0 to F2 and N.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaoFlowParams {
    /// `FlowEmaSmoothingFactor / (2^63 - 1)`: smoothing of the flow averages per block.
    pub smoothing: f64,
    /// `TaoFlowCutoff` (TAO per block): flow at and below which nothing is earned, where some subnet's flow is not above it.
    pub cutoff_tao: f64,
    /// `FlowNormExponent`: power to which flows above the limit are raised.
    pub exponent: f64,
}

/// Rules and hyperparameters of the chain that a path runs under. Amounts in TAO, times in blocks, rates as fractions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProtocolParams {
    /// How the TAO emission is shared.
    pub share_rule: ShareRule,
    /// How a subnet's TAO emission enters its pool.
    pub injection_rule: InjectionRule,
    /// What becomes of root's alpha.
    pub root_rule: RootRule,
    /// Whether injection moves the pool's weight, and who gets the fee of trades.
    pub pool_rule: PoolRule,
    /// What shares the pool's TAO with the stakers at dissolution.
    pub dissolve_rule: DissolveRule,
    /// What a new subnet's pool is made of.
    pub seed_rule: SeedRule,
    /// When epochs run. Read by the ledger alone: in tokens, what an epoch pays is credited as it is minted.
    pub epoch_schedule: EpochSchedule,
    /// Gate of the share rules E2H and E2Q.
    pub hill_gate: HillGateParams,
    /// Parameters of the share rules F0 to F2 and N.
    pub tao_flow: TaoFlowParams,
    /// `TaoWeight`: weight of root TAO against alpha in the root proportion.
    pub tao_weight: f64,
    /// `SubnetOwnerCut`: part of alpha emission that the owner takes.
    pub owner_cut: f64,
    /// `FeeRate`: swap fee on the input of a trade.
    pub fee_rate: f64,
    /// `SubnetMovingAlpha`: smoothing of the moving price per block for a mature subnet.
    pub moving_price_smoothing: f64,
    /// `EMAPriceHalvingBlocks`: age (blocks) at which that smoothing is half in force.
    pub moving_price_age_blocks: f64,
    /// `NetworkMinLockCost` (TAO).
    pub lock_cost_min_tao: f64,
    /// `NetworkLockReductionInterval` (blocks, at a block emission of 1 TAO).
    pub lock_reduction_interval_blocks: u64,
    /// `NetworkRateLimit`: least number of blocks between two registrations.
    pub registration_rate_limit_blocks: u64,
    /// `NetworkImmunityPeriod`: blocks after registration in which a subnet cannot be pruned.
    pub immunity_period_blocks: u64,
    /// `StartCallDelay`: blocks after registration before which the owner cannot start the subnet.
    pub start_call_delay_blocks: u64,
    /// Whether a new subnet has its TAO emission enabled, rather than waiting for root.
    pub entrants_enabled: bool,
    /// `SubnetLimit`: largest number of subnets beside root.
    pub subnet_limit: usize,
    /// `TaoInRefundDeploymentBlock`: subnets registered later share the pool at dissolution with the pool's own alpha.
    pub tao_in_refund_block: u64,
    /// `NetworkRegistrationStartBlock`: owners of subnets registered earlier may get a lock refund at dissolution.
    pub registration_start_block: u64,
}
