//! The chain's governance parameters, each with its storage name on chain.

/// How the TAO block emission is shared among subnets (MECHANICS 4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ShareRule {
    /// Moving-price share times the paid-out part of miner emission, `m_i (1 - MB_i)`.
    E2,
    /// [`ShareRule::E2`] behind a Hill gate `b / (1 + (threshold / b)^exponent)`, the threshold being the `rank`-th largest share.
    E2H {
        /// Rank of the share that is the gate's threshold (mainnet: 32).
        rank: usize,
        /// Steepness of the gate (mainnet: 3).
        exponent: u32,
    },
}

/// Rules and hyperparameters of the chain that a path runs under. Amounts in TAO, times in blocks, rates as fractions.
#[derive(Clone, Debug, PartialEq)]
pub struct ProtocolParams {
    /// Share rule in force.
    pub share_rule: ShareRule,
    /// `TaoWeight`: weight of root TAO against alpha in the root proportion.
    pub tao_weight: f64,
    /// `SubnetOwnerCut`: part of alpha emission that the owner takes.
    pub owner_cut: f64,
    /// `FeeRate`: swap fee on the input of a trade, paid to the block author.
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
    /// `SubnetLimit`: largest number of subnets beside root.
    pub subnet_limit: usize,
    /// `TaoInRefundDeploymentBlock`: subnets registered later share the pool at dissolution with the pool's own alpha.
    pub tao_in_refund_block: u64,
    /// `NetworkRegistrationStartBlock`: owners of subnets registered earlier may get a lock refund at dissolution.
    pub registration_start_block: u64,
}
