//! Emission of TAO and alpha: how much per block, which subnet gets it, what enters the pool and who is paid.

use crate::protocol::params::ShareRule;
use crate::units::RAO_PER_TAO;
use crate::units::SUPPLY_CAP;

/// Block emission before the first halving (rao).
pub const BLOCK_EMISSION_MAX_RAO: u64 = 1_000_000_000;
/// Cap of an issuance (rao).
const SUPPLY_CAP_RAO: u64 = 21_000_000_000_000_000;
/// Blocks between two updates of the Hill gate's threshold.
pub const HILL_THRESHOLD_PERIOD_BLOCKS: u64 = 360;

/// Emission per block at `issuance` (rao), for TAO and for the alpha of one subnet alike.
///
/// ```text
/// e = floor(1e9 / 2^k)    k: the largest integer with issuance >= cap * (1 - 2^-k);    0 at the cap
/// ```
///
/// Source: pallets/subtensor/src/coinbase/block_emission.rs, `get_block_emission_for_issuance`.
pub fn block_emission_rao(issuance: u64) -> u64 {
    match SUPPLY_CAP_RAO.saturating_sub(issuance) {
        0 => 0,
        left => BLOCK_EMISSION_MAX_RAO.checked_shr((SUPPLY_CAP_RAO / left).ilog2()).unwrap_or(0),
    }
}

/// [`block_emission_rao`] in tokens, as exact as the issuance is.
pub fn block_emission(issuance: f64) -> f64 {
    halvings(issuance).map_or(0.0, |count| BLOCK_EMISSION_MAX_RAO.checked_shr(count).unwrap_or(0) as f64 / RAO_PER_TAO)
}

/// Issuance (tokens) at which the block emission halves next; the cap once nothing is emitted.
pub fn next_halving(issuance: f64) -> f64 {
    halvings(issuance).map_or(SUPPLY_CAP, |count| SUPPLY_CAP * (1.0 - 0.5_f64.powi(count as i32 + 1)))
}

/// Halvings passed at `issuance` (tokens); `None` at the cap. The quotient reaches a power of two only where it is one.
fn halvings(issuance: f64) -> Option<u32> {
    (issuance < SUPPLY_CAP).then(|| ((SUPPLY_CAP / (SUPPLY_CAP - issuance)) as u64).ilog2())
}

/// What the share of one subnet in the TAO emission depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShareInput {
    /// `SubnetMovingPrice` (TAO per alpha); 1 for a subnet without a pool.
    pub moving_price: f64,
    /// `MinerBurned` (fraction); above 1 counts as 1.
    pub miner_burned: f64,
    /// Whether the subnet emits at all: started and open for registration.
    pub started: bool,
    /// `SubnetEmissionEnabled`.
    pub enabled: bool,
}

/// Shares of the TAO emission, one per input: they sum to 1, or to 0 where no subnet earns.
///
/// The shares of the rule over all started subnets; then those of disabled subnets are set to 0 and the rest is
/// scaled to sum to 1. `threshold` is that of the Hill gate and unused under [`ShareRule::E2`].
/// Source: pallets/subtensor/src/coinbase/subnet_emissions.rs, `get_subnet_block_emissions`, `get_shares`; the gate is of
/// later runtimes and was inferred from mainnet state.
pub fn emission_shares(rule: ShareRule, threshold: f64, inputs: &[ShareInput], shares: &mut Vec<f64>) {
    e2_shares(inputs, shares);
    if let ShareRule::E2H { exponent, .. } = rule {
        gate_shares(threshold, exponent, shares);
    }
    if inputs.iter().any(|input| input.started && !input.enabled) {
        inputs.iter().zip(shares.iter_mut()).filter(|(input, _)| !input.enabled).for_each(|(_, share)| *share = 0.0);
        normalise(shares);
    }
}

/// Shares of rule E2 over all started subnets, enabled or not; replaces the content of `shares`.
///
/// ```text
/// q_i = m_i / sum m    s_i = q_i (1 - min(MB_i, 1)) / sum of that;    q_i where that sum is 0;    0 where all m_i are 0
/// ```
pub fn e2_shares(inputs: &[ShareInput], shares: &mut Vec<f64>) {
    let paid_out = |input: &ShareInput| 1.0 - input.miner_burned.min(1.0);
    shares.clear();
    shares.extend(inputs.iter().map(|input| if input.started { input.moving_price } else { 0.0 }));
    normalise(shares);
    if inputs.iter().zip(shares.iter()).any(|(input, share)| paid_out(input) * share > 0.0) {
        inputs.iter().zip(shares.iter_mut()).for_each(|(input, share)| *share *= paid_out(input));
        normalise(shares);
    }
}

/// Threshold of the Hill gate: the `rank`-th largest positive share, with fewer of them the smallest, without any 0.
pub fn hill_threshold(shares: &[f64], rank: usize) -> f64 {
    let mut positive: Vec<f64> = shares.iter().copied().filter(|share| *share > 0.0).collect();
    positive.sort_unstable_by(|a, b| b.total_cmp(a));
    positive.get(rank - 1).or(positive.last()).copied().unwrap_or(0.0)
}

/// A share behind the Hill gate, before renormalisation: `share / (1 + (threshold / share)^exponent)`; 0 for a share of 0.
pub fn hill_gate(share: f64, threshold: f64, exponent: u32) -> f64 {
    let ratio = threshold / share;
    // Multiplied out: the precision of `powi` is not specified.
    let power = (0..exponent).fold(1.0, |power, _| power * ratio);
    if share > 0.0 { share / (1.0 + power) } else { 0.0 }
}

/// Gates all shares and scales them to sum to 1; leaves them as they are where the gate closes on all.
fn gate_shares(threshold: f64, exponent: u32, shares: &mut [f64]) {
    let gated = |share: f64| hill_gate(share, threshold, exponent);
    if shares.iter().map(|share| gated(*share)).sum::<f64>() > 0.0 {
        shares.iter_mut().for_each(|share| *share = gated(*share));
        normalise(shares);
    }
}

/// Scales `shares` to sum to 1; without effect where the sum is not positive.
fn normalise(shares: &mut [f64]) {
    let sum: f64 = shares.iter().sum();
    if sum > 0.0 {
        shares.iter_mut().for_each(|share| *share /= sum);
    }
}

/// What becomes of the TAO emission of one subnet in a block; amounts in the unit of the emission.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Injection {
    /// TAO added to the pool.
    pub tao: f64,
    /// Alpha minted into the pool.
    pub alpha: f64,
    /// TAO with which the chain buys alpha.
    pub excess_tao: f64,
}

/// Splits a subnet's TAO emission into injection and chain buy (rule J5).
///
/// ```text
/// alpha = min(E / p, cap)    tao = alpha * p    excess = E - tao        alpha = 0, tao = E where p = 0
/// ```
///
/// `E`: TAO emission; `p`: spot price before the injection; `cap_alpha`: root proportion times alpha emission.
/// Source: pallets/subtensor/src/coinbase/run_coinbase.rs, `get_subnet_terms`.
pub fn inject(emission_tao: f64, price: f64, cap_alpha: f64) -> Injection {
    let wanted = if price > 0.0 { emission_tao / price } else { 0.0 };
    if wanted > cap_alpha {
        let tao = cap_alpha * price;
        Injection { tao, alpha: cap_alpha, excess_tao: emission_tao - tao }
    } else {
        Injection { tao: emission_tao, alpha: wanted, excess_tao: 0.0 }
    }
}

/// The alpha minted outside the pool in a block, by who it is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlphaSplit {
    /// Owner cut.
    pub owner: f64,
    /// Miners, withheld part included.
    pub server: f64,
    /// Validators and their alpha stakers.
    pub validator: f64,
    /// Stakers of TAO on root.
    pub root: f64,
}

/// Splits the alpha emission `alpha_out` of a subnet.
///
/// ```text
/// owner = c * a    a' = a - owner    server = a'/2    root = rho * a'/2    validator = a' - server - root
/// ```
///
/// `owner_cut` `c`: fraction, 0 where the owner cut is switched off; `root_proportion` `rho`: after injection and mint.
/// Source: pallets/subtensor/src/coinbase/run_coinbase.rs, `emit_to_subnets`.
pub fn split_alpha(alpha_out: f64, owner_cut: f64, root_proportion: f64) -> AlphaSplit {
    let owner = alpha_out * owner_cut;
    let rest = alpha_out - owner;
    let server = 0.5 * rest;
    let root = root_proportion * server;
    AlphaSplit { owner, server, validator: rest - server - root, root }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(moving_price: f64, miner_burned: f64, started: bool, enabled: bool) -> ShareInput {
        ShareInput { moving_price, miner_burned, started, enabled }
    }

    fn shares(rule: ShareRule, threshold: f64, inputs: &[ShareInput]) -> Vec<f64> {
        let mut shares = Vec::new();
        emission_shares(rule, threshold, inputs, &mut shares);
        shares
    }

    #[test]
    fn emission_halves_at_the_thresholds_in_both_units() {
        for (issuance, emission) in [
            (0.0, 1.0),
            (10_499_999.999, 1.0),
            (10.5e6, 0.5),
            (15.75e6, 0.25),
            (18.375e6, 0.125),
            (21e6, 0.0),
            (22e6, 0.0),
        ] {
            assert_eq!(block_emission(issuance), emission, "at {issuance}");
            assert_eq!(block_emission_rao((issuance * 1e9) as u64), (emission * 1e9) as u64, "at {issuance}");
        }
        assert_eq!(block_emission_rao(SUPPLY_CAP_RAO - 1), 0);
        assert_eq!(block_emission(f64::NAN), 0.0);
    }

    #[test]
    fn next_halving_lies_above_the_issuance() {
        assert_eq!(next_halving(0.0), 10.5e6);
        assert_eq!(next_halving(10.5e6), 15.75e6);
        assert_eq!(next_halving(11.4e6), 15.75e6);
        assert_eq!(next_halving(21e6), 21e6);
    }

    #[test]
    fn shares_are_zero_without_a_price_or_a_started_subnet() {
        assert!(shares(ShareRule::E2, 0.0, &[]).is_empty());
        assert_eq!(
            shares(ShareRule::E2, 0.0, &[input(0.0, 0.0, true, true), input(0.5, 0.0, false, true)]),
            [0.0, 0.0]
        );
        assert_eq!(shares(ShareRule::E2, 0.0, &[input(0.2, 0.0, true, false)]), [0.0]);
    }

    #[test]
    fn burn_of_all_falls_back_to_price_shares() {
        let inputs = [input(0.3, 1.0, true, true), input(0.1, 1.5, true, true)];
        let burned = shares(ShareRule::E2, 0.0, &inputs);
        assert!((burned[0] - 0.75).abs() < 1e-15 && (burned[1] - 0.25).abs() < 1e-15);
    }

    #[test]
    fn disabled_subnets_give_their_share_to_the_others() {
        let inputs = [input(0.2, 0.5, true, true), input(0.3, 0.0, true, true), input(0.6, 0.0, true, false)];
        let shares = shares(ShareRule::E2, 0.0, &inputs);
        assert!((shares[0] - 0.25).abs() < 1e-15 && (shares[1] - 0.75).abs() < 1e-15 && shares[2] == 0.0);
    }

    #[test]
    fn threshold_is_the_ranked_positive_share() {
        let shares = [0.1, 0.0, 0.4, 0.3, 0.2];
        assert_eq!(hill_threshold(&shares, 1), 0.4);
        assert_eq!(hill_threshold(&shares, 3), 0.2);
        assert_eq!(hill_threshold(&shares, 32), 0.1);
        assert_eq!(hill_threshold(&[0.0, 0.0], 32), 0.0);
    }

    #[test]
    fn gate_halves_at_the_threshold_and_spares_the_large() {
        assert_eq!(hill_gate(0.25, 0.25, 3), 0.125);
        assert!((hill_gate(0.5, 0.25, 3) - 0.5 / 1.125).abs() < 1e-16);
        assert_eq!(hill_gate(0.0, 0.25, 3), 0.0);
        assert_eq!(hill_gate(0.0, 0.0, 3), 0.0);
    }

    #[test]
    fn gated_shares_sum_to_one_and_fall_back_where_the_gate_closes() {
        let rule = ShareRule::E2H { rank: 2, exponent: 3 };
        let inputs = [input(0.6, 0.0, true, true), input(0.3, 0.0, true, true), input(0.1, 0.0, true, false)];
        let gated = shares(rule, 0.3, &inputs);
        assert!((gated.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert!(gated[0] > 2.0 / 3.0 && gated[2] == 0.0);
        let closed = shares(rule, f64::INFINITY, &inputs);
        assert!((closed[0] - 2.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn injection_is_capped_and_keeps_the_emission() {
        assert_eq!(inject(0.5, 0.25, 3.0), Injection { tao: 0.5, alpha: 2.0, excess_tao: 0.0 });
        assert_eq!(inject(0.5, 0.25, 1.0), Injection { tao: 0.25, alpha: 1.0, excess_tao: 0.25 });
        assert_eq!(inject(0.5, 0.0, 1.0), Injection { tao: 0.5, alpha: 0.0, excess_tao: 0.0 });
        assert_eq!(inject(0.0, 0.5, 0.0), Injection { tao: 0.0, alpha: 0.0, excess_tao: 0.0 });
    }

    #[test]
    fn alpha_split_keeps_the_total() {
        let split = split_alpha(1.0, 0.18, 0.25);
        assert!((split.owner + split.server + split.validator + split.root - 1.0).abs() < 1e-15);
        assert!((split.server - 0.41).abs() < 1e-15 && (split.root - 0.1025).abs() < 1e-15);
    }
}
