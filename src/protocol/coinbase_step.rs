//! What a coinbase of K blocks is given besides the slots.

use crate::protocol::emission::InjectionRule;
use crate::protocol::root::RootRule;
use crate::simd::math;

/// Parts of received emission that people sell, and the release of root claims over K blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EmissionSales {
    /// Of the owner cut.
    pub owner: f64,
    /// Of what miners are paid.
    pub miner: f64,
    /// Of the validator part.
    pub validator: f64,
    /// Of claimed root alpha: swapped to TAO.
    pub root_swap: f64,
    /// Part of the unclaimed stock that is claimed over the step, `1 - q^K`.
    pub claim_of_stock: f64,
    /// Part of the step's root alpha that is claimed within it, `1 - (q (1 - q^K) / (1 - q)) / K`.
    pub claim_of_new: f64,
}

impl EmissionSales {
    /// Claims with mean delay `delay_blocks` over `blocks` blocks: each block accrues, then claims the part `1 - q`.
    pub fn with_claims(self, delay_blocks: f64, blocks: f64) -> Self {
        let decay = -1.0 / delay_blocks;
        let claim_of_stock = -math::exp_m1(decay * blocks);
        let per_block = -math::exp_m1(decay);
        let carried = (1.0 - per_block) * claim_of_stock / per_block;
        Self { claim_of_stock, claim_of_new: 1.0 - carried / blocks, ..self }
    }
}

/// What a coinbase of K blocks is given besides the slots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoinbaseStep {
    /// K.
    pub blocks: f64,
    /// TAO block emission of the step's first part and of the part after a halving inside it (TAO per block).
    pub emission_tao: [f64; 2],
    /// Parts of the step's blocks that pay them; they sum to 1.
    pub emission_part: [f64; 2],
    /// Root stake times its weight (TAO).
    pub weighted_root_tao: f64,
    /// Whether root alpha is claimable (sum of moving prices above 1) rather than recycled.
    pub sell_flag: bool,
    /// How TAO emission enters pools.
    pub injection_rule: InjectionRule,
    /// What becomes of root alpha.
    pub root_rule: RootRule,
    /// Whether injections move weights.
    pub weighted: bool,
    /// Owner's part of alpha emission.
    pub owner_cut: f64,
    /// Who sells what.
    pub sales: EmissionSales,
}
