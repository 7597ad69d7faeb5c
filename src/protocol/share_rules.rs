//! How the TAO block emission is shared among subnets: every version of the rule, in the form that all engines use.
//!
//! A version is a weight of one subnet ([`ShareRule::weight`], for one subnet or eight at once) and what is done to all
//! weights together. The final share is
//!
//! ```text
//! v_i = weight over started subnets      b_i = v_i / sum v      gate, where the version has one      0 where disabled
//! s_i = that, scaled to sum to 1
//! ```
//!
//! # To add a version
//! 1. A variant of [`ShareRule`], with its formula and source, and an arm in [`ShareRule::weight`].
//! 2. Its properties, in the functions after `weight`: whether it reads flows or root proportions, has a gate, falls back to
//!    prices.
//! 3. A case computed by hand in the tests below.
//! 4. If it ran on the chain, a row in [`crate::protocol::upgrades::UPGRADES`].
//!
//! Both engines, scenarios (`protocol.share_rule`), switches and `check` know it then by its name.

use crate::protocol::params::HillGateParams;
use crate::protocol::params::ProtocolParams;
use crate::protocol::params::TaoFlowParams;
use crate::protocol::rule_names::rule_versions;
use crate::simd::Lanes;
use crate::simd::math;

rule_versions! {
    /// Version of the share rule (MECHANICS 4).
    /// Source: pallets/subtensor/src/coinbase/subnet_emissions.rs, `get_shares` and its predecessors.
    pub enum ShareRule {
        /// Moving price: `v = m` (spec 233 to 333).
        P0,
        /// Net user flow above a limit, to a power: `v = max(S - L, 0)^p` (spec 334; averages start at the price in rao).
        F0,
        /// [`ShareRule::F0`] with averages that start at the price in TAO (spec 338).
        F1,
        /// [`ShareRule::F0`] with averages that start at 0 (spec 348 to 410).
        F2,
        /// [`ShareRule::F2`] of net flow, the protocol's own flow taken off (spec 411 to 420).
        N,
        /// Moving price, root proportion and paid-out part of miner emission: `v = m rho (1 - MB)` (spec 421 to 424).
        E1,
        /// Moving price and paid-out part of miner emission: `v = m (1 - MB)` (spec 425).
        E2,
        /// [`ShareRule::E2`] behind a Hill gate whose threshold is a quantile of the shares (lower confidence: read in
        /// public text, not in the source).
        E2Q,
        /// [`ShareRule::E2`] behind a Hill gate whose threshold is a ranked share (inferred from mainnet state).
        E2H,
    }
}

/// What the weight of a subnet depends on, for one subnet or eight.
#[derive(Clone, Copy, Debug)]
pub struct ShareTerms<L> {
    /// Moving price (TAO per alpha); 0 where the subnet has not started.
    pub moving_price: L,
    /// Withheld part of miner emission (fraction); above 1 counts as 1.
    pub miner_burned: L,
    /// Root proportion before the injection, where the rule [reads it](ShareRule::reads_root_proportions).
    pub root_proportion: L,
    /// Average net flow of users (TAO per block), where the rule [reads flows](ShareRule::reads_flows).
    pub user_flow: L,
    /// Average flow of the protocol (TAO per block), likewise.
    pub protocol_flow: L,
}

impl ShareRule {
    /// Weight of a subnet, not negative; `flow` is unused by rules that do not read flows.
    #[inline(always)]
    pub fn weight<L: Lanes>(self, terms: &ShareTerms<L>, flow: &FlowLevel) -> L {
        let one = L::splat(1.0);
        match self {
            Self::P0 => terms.moving_price,
            Self::F0 | Self::F1 | Self::F2 => flow.weight(terms.user_flow),
            Self::N => flow.weight(flow.net(terms.user_flow, terms.protocol_flow)),
            Self::E1 => (terms.moving_price * terms.root_proportion) * (one - terms.miner_burned.min(one)),
            Self::E2 | Self::E2Q | Self::E2H => terms.moving_price * (one - terms.miner_burned.min(one)),
        }
    }

    /// Whether the weight reads flow averages.
    pub const fn reads_flows(self) -> bool {
        matches!(self, Self::F0 | Self::F1 | Self::F2 | Self::N)
    }

    /// Whether the weight reads root proportions.
    pub const fn reads_root_proportions(self) -> bool {
        matches!(self, Self::E1)
    }

    /// Whether flow averages start anew, at prices, when the rule comes into force.
    pub const fn starts_flows_at_prices(self) -> bool {
        matches!(self, Self::F0 | Self::F1)
    }

    /// Whether shares are those of the moving prices where all weights are 0; else nobody earns then.
    pub const fn falls_back_to_prices(self) -> bool {
        !self.reads_flows()
    }

    /// The gate behind the weights, if the version has one.
    pub fn gate(self, params: &HillGateParams) -> Option<Gate> {
        let threshold = match self {
            Self::E2H => GateThreshold::Rank(params.rank),
            Self::E2Q => GateThreshold::Quantile(params.quantile),
            _ => return None,
        };
        Some(Gate { threshold, exponent: params.exponent })
    }

    /// User average (TAO per block) of a subnet that has none yet, at moving price `m` and spot price `p`.
    ///
    /// F0 took `min(m, p)` for rao (a unit bug on chain), F1 for TAO; all others start at 0.
    /// Source: as above, `get_ema_flow` at spec 334, `migrate_init_tao_flow` at spec 338.
    pub fn first_flow_average(self, moving_price: f64, spot_price: f64) -> f64 {
        match self {
            Self::F0 => moving_price.min(spot_price) / crate::units::RAO_PER_TAO,
            Self::F1 => moving_price.min(spot_price),
            _ => 0.0,
        }
    }
}

/// A Hill gate: `b / (1 + (threshold / b)^exponent)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    /// How its threshold is found among the shares.
    pub threshold: GateThreshold,
    /// Steepness.
    pub exponent: u32,
}

/// How the threshold of a gate is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GateThreshold {
    /// The share of that rank, the largest being 1; the smallest positive where there are fewer.
    Rank(usize),
    /// The share at which the sum of all larger ones and itself reaches this.
    Quantile(f64),
}

impl GateThreshold {
    /// The threshold among `shares`, which sum to 1; 0 where none is positive.
    pub fn of(self, shares: &[f64]) -> f64 {
        let mut positive: Vec<f64> = shares.iter().copied().filter(|share| *share > 0.0).collect();
        positive.sort_unstable_by(|a, b| b.total_cmp(a));
        let position = match self {
            Self::Rank(rank) => rank - 1,
            Self::Quantile(level) => {
                let mut sum = 0.0;
                let below = |share: &&f64| {
                    sum += **share;
                    sum < level
                };
                positive.iter().take_while(below).count()
            }
        };
        positive.get(position).or(positive.last()).copied().unwrap_or(0.0)
    }
}

/// A share behind the Hill gate, before renormalisation: `share / (1 + (threshold / share)^exponent)`; 0 for a share of 0.
pub fn hill_gate(share: f64, threshold: f64, exponent: u32) -> f64 {
    let ratio = threshold / share;
    // Multiplied out: the precision of `powi` is not specified.
    let power = (0..exponent).fold(1.0, |power, _| power * ratio);
    if share > 0.0 { share / (1.0 + power) } else { 0.0 }
}

/// Averages of the flows of one subnet (TAO per block).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FlowAverages {
    /// Of what users paid in less what they were paid out.
    pub user: f64,
    /// Of what the protocol put into the pool less what root claims took out.
    pub protocol: f64,
}

impl FlowAverages {
    /// One block on, `flow` being what has come in since the averages were last advanced (TAO).
    ///
    /// ```text
    /// S' = (1 - a) S + a f
    /// ```
    ///
    /// Source: pallets/subtensor/src/coinbase/subnet_emissions.rs, `get_ema_flow`.
    pub fn advance(&mut self, flow: FlowAverages, smoothing: f64) {
        self.user += smoothing * (flow.user - self.user);
        self.protocol += smoothing * (flow.protocol - self.protocol);
    }
}

/// Differences below this part of what was subtracted are rounding: sums over up to 256 subnets in f64.
const ROUNDING: f64 = 1e-13;

/// What the flow rules measure against, over all started subnets.
///
/// ```text
/// F = min(1, sum max(S, 0) / sum max(P, 0)), 0 without protocol inflow     net = S - F P where P > 0, else S - P
/// L = max(cutoff, min(min net, 0))     z = max(net - L, 0)                 v = (z / max z)^p
/// ```
///
/// Limits of validity: the chain takes the power by ln and exp in 32 fractional bits, about 1e-6 relative, and overflows
/// for one narrow range of tiny flows (oracle README, surprise 3); this is the exact power.
/// Source: as above, `get_shares_flow`, `get_lower_limit`, `inplace_pow_normalize`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowLevel {
    factor: f64,
    limit: f64,
    /// 1 over the largest flow above the limit; 0 where there is none.
    scale: f64,
    exponent: f64,
}

impl FlowLevel {
    /// For rules that read no flows: every flow weight is 0.
    pub const NONE: Self = Self { factor: 0.0, limit: 0.0, scale: 0.0, exponent: 1.0 };

    /// The level of `averages`, those of all started subnets, under `rule`.
    pub fn of(rule: ShareRule, params: &TaoFlowParams, averages: impl Iterator<Item = FlowAverages> + Clone) -> Self {
        let inflow =
            |part: fn(&FlowAverages) -> f64| averages.clone().map(|average| part(&average).max(0.0)).sum::<f64>();
        let (user, protocol) = (inflow(|average| average.user), inflow(|average| average.protocol));
        let factor = if protocol > 0.0 { (user / protocol).min(1.0) } else { 0.0 };
        let mut level = Self { factor, limit: 0.0, scale: 0.0, exponent: params.exponent };
        let net = |average: FlowAverages| match rule {
            ShareRule::N => level.net(average.user, average.protocol),
            _ => average.user,
        };
        let lowest = averages.clone().map(net).fold(0.0, f64::min);
        let highest = averages.map(net).fold(f64::NEG_INFINITY, f64::max);
        level.limit = params.cutoff_tao.max(lowest);
        level.scale = if highest > level.limit { 1.0 / (highest - level.limit) } else { 0.0 };
        level
    }

    /// Net flow of a subnet: the user average less the protocol's, scaled to what users bring.
    #[inline(always)]
    fn net<L: Lanes>(&self, user: L, protocol: L) -> L {
        let zero = L::splat(0.0);
        let scaled = L::select(protocol.gt(zero), L::splat(self.factor) * protocol, protocol);
        let net = user - scaled;
        // What is left of two equal numbers is rounding, and must not earn a share.
        L::select(net.abs().le(L::splat(ROUNDING) * scaled.abs()), zero, net)
    }

    #[inline(always)]
    fn weight<L: Lanes>(&self, net: L) -> L {
        let zero = L::splat(0.0);
        let above = (net - L::splat(self.limit)).max(zero) * L::splat(self.scale);
        if self.exponent == 1.0 {
            return above;
        }
        let is_above = above.gt(zero);
        let base = L::select(is_above, above, L::splat(1.0));
        L::select(is_above, math::pow(base, L::splat(self.exponent)), zero)
    }
}

/// What the share of one subnet in the TAO emission depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ShareInput {
    /// `SubnetMovingPrice` (TAO per alpha); 1 for a subnet without a pool.
    pub moving_price: f64,
    /// `MinerBurned` (fraction); above 1 counts as 1.
    pub miner_burned: f64,
    /// Root proportion before the injection.
    pub root_proportion: f64,
    /// Averages of its flows.
    pub flow: FlowAverages,
    /// Whether the subnet emits at all: started and open for registration.
    pub started: bool,
    /// `SubnetEmissionEnabled`.
    pub enabled: bool,
}

/// Shares of the TAO emission, one per input: they sum to 1, or to 0 where no subnet earns.
///
/// The shares of the rule over all started subnets; then those of disabled subnets are set to 0 and the rest is
/// scaled to sum to 1. `threshold` is that of the Hill gate and unused by versions without one.
/// Source: pallets/subtensor/src/coinbase/subnet_emissions.rs, `get_subnet_block_emissions`, `get_shares`.
pub fn emission_shares(params: &ProtocolParams, threshold: f64, inputs: &[ShareInput], shares: &mut Vec<f64>) {
    ungated_shares(params, inputs, shares);
    if let Some(gate) = params.share_rule.gate(&params.hill_gate) {
        gate_shares(threshold, gate.exponent, shares);
    }
    if inputs.iter().any(|input| input.started && !input.enabled) {
        inputs.iter().zip(shares.iter_mut()).filter(|(input, _)| !input.enabled).for_each(|(_, share)| *share = 0.0);
        normalise(shares);
    }
}

/// Shares of the rule before its gate over all started subnets, enabled or not; replaces the content of `shares`.
///
/// Moving prices are scaled to sum to 1 before they are weighed, as on the chain.
pub fn ungated_shares(params: &ProtocolParams, inputs: &[ShareInput], shares: &mut Vec<f64>) {
    let rule = params.share_rule;
    let level = flow_level(params, inputs);
    shares.clear();
    shares.extend(inputs.iter().map(|input| if input.started { input.moving_price } else { 0.0 }));
    normalise(shares);
    let weight = |(input, price_share): (&ShareInput, &f64)| input.weight(rule, *price_share, &level);
    if !rule.falls_back_to_prices() || inputs.iter().zip(&*shares).map(weight).sum::<f64>() > 0.0 {
        inputs.iter().zip(shares.iter_mut()).for_each(|(input, share)| *share = weight((input, share)));
        normalise(shares);
    }
}

impl ShareInput {
    /// Weight of the subnet with this moving price, or price share.
    fn weight(&self, rule: ShareRule, moving_price: f64, level: &FlowLevel) -> f64 {
        let terms = ShareTerms {
            moving_price,
            miner_burned: self.miner_burned,
            root_proportion: self.root_proportion,
            user_flow: self.flow.user,
            protocol_flow: self.flow.protocol,
        };
        if self.started { rule.weight(&terms, level) } else { 0.0 }
    }
}

fn flow_level(params: &ProtocolParams, inputs: &[ShareInput]) -> FlowLevel {
    if !params.share_rule.reads_flows() {
        return FlowLevel::NONE;
    }
    let started = inputs.iter().filter(|input| input.started).map(|input| input.flow);
    FlowLevel::of(params.share_rule, &params.tao_flow, started)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rule_names::RuleVersion;
    use crate::protocol::test_support::params;

    fn input(moving_price: f64, miner_burned: f64, started: bool, enabled: bool) -> ShareInput {
        ShareInput { moving_price, miner_burned, started, enabled, ..ShareInput::default() }
    }

    fn flowing(pairs: &[(f64, f64)]) -> Vec<ShareInput> {
        let flow = |&(user, protocol)| FlowAverages { user, protocol };
        let earning = ShareInput { started: true, enabled: true, ..ShareInput::default() };
        pairs.iter().map(|pair| ShareInput { flow: flow(pair), ..earning }).collect()
    }

    fn ruled(share_rule: ShareRule) -> ProtocolParams {
        ProtocolParams { share_rule, ..params() }
    }

    fn shares(params: &ProtocolParams, threshold: f64, inputs: &[ShareInput]) -> Vec<f64> {
        let mut shares = Vec::new();
        emission_shares(params, threshold, inputs, &mut shares);
        shares
    }

    #[test]
    fn names_read_back() {
        assert!(ShareRule::ALL.iter().all(|rule| ShareRule::from_name(rule.name()) == Some(*rule)));
        assert_eq!(ShareRule::from_name("E3"), None);
    }

    #[test]
    fn shares_are_zero_without_a_price_or_a_started_subnet() {
        for rule in ShareRule::ALL {
            assert!(shares(&ruled(*rule), 0.0, &[]).is_empty());
            let idle = [input(0.0, 0.0, true, true), input(0.5, 0.0, false, true)];
            assert_eq!(shares(&ruled(*rule), 0.0, &idle), [0.0, 0.0], "{rule:?}");
            assert_eq!(shares(&ruled(*rule), 0.0, &[input(0.2, 0.0, true, false)]), [0.0], "{rule:?}");
        }
    }

    #[test]
    fn burn_of_all_falls_back_to_price_shares() {
        let inputs = [input(0.3, 1.0, true, true), input(0.1, 1.5, true, true)];
        for rule in [ShareRule::E1, ShareRule::E2, ShareRule::E2H] {
            let burned = shares(&ruled(rule), 0.0, &inputs);
            assert!((burned[0] - 0.75).abs() < 1e-15 && (burned[1] - 0.25).abs() < 1e-15, "{rule:?}");
        }
    }

    #[test]
    fn disabled_subnets_give_their_share_to_the_others() {
        let inputs = [input(0.2, 0.5, true, true), input(0.3, 0.0, true, true), input(0.6, 0.0, true, false)];
        let shares = shares(&ruled(ShareRule::E2), 0.0, &inputs);
        assert!((shares[0] - 0.25).abs() < 1e-15 && (shares[1] - 0.75).abs() < 1e-15 && shares[2] == 0.0);
    }

    #[test]
    fn each_rule_weighs_what_it_names() {
        // m = 0.3, 0.2; MB = 0, 0.5; rho = 0.5, 0.25. P0: 3 : 2. E1: 0.15 : 0.025 = 6 : 1. E2: 0.3 : 0.1 = 3 : 1.
        let mut inputs = [input(0.3, 0.0, true, true), input(0.2, 0.5, true, true)];
        (inputs[0].root_proportion, inputs[1].root_proportion) = (0.5, 0.25);
        for (rule, first) in [(ShareRule::P0, 0.6), (ShareRule::E1, 6.0 / 7.0), (ShareRule::E2, 0.75)] {
            assert!((shares(&ruled(rule), 0.0, &inputs)[0] - first).abs() < 1e-15, "{rule:?}");
        }
        // The gate at 0.75: 0.75 / 2 = 0.375 and 0.25 / (1 + 27) = 1/112; 0.375 / (0.375 + 1/112) = 42/43.
        assert!((shares(&ruled(ShareRule::E2H), 0.75, &inputs)[0] - 42.0 / 43.0).abs() < 1e-15);
        assert!((shares(&ruled(ShareRule::E2Q), 0.75, &inputs)[0] - 42.0 / 43.0).abs() < 1e-15);
    }

    #[test]
    fn threshold_is_the_ranked_positive_share() {
        let shares = [0.1, 0.0, 0.4, 0.3, 0.2];
        assert_eq!(GateThreshold::Rank(1).of(&shares), 0.4);
        assert_eq!(GateThreshold::Rank(3).of(&shares), 0.2);
        assert_eq!(GateThreshold::Rank(32).of(&shares), 0.1);
        assert_eq!(GateThreshold::Rank(32).of(&[0.0, 0.0]), 0.0);
    }

    #[test]
    fn threshold_is_the_share_at_which_the_largest_sum_to_the_quantile() {
        // Descending sums 0.4, 0.7, 0.9, 1.0.
        let shares = [0.1, 0.0, 0.4, 0.3, 0.2];
        assert_eq!(GateThreshold::Quantile(0.61).of(&shares), 0.3);
        assert_eq!(GateThreshold::Quantile(0.3).of(&shares), 0.4);
        assert_eq!(GateThreshold::Quantile(0.75).of(&shares), 0.2);
        assert_eq!(GateThreshold::Quantile(1.0).of(&[0.0]), 0.0);
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
        let params = ruled(ShareRule::E2H);
        let inputs = [input(0.6, 0.0, true, true), input(0.3, 0.0, true, true), input(0.1, 0.0, true, false)];
        let gated = shares(&params, 0.3, &inputs);
        assert!((gated.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert!(gated[0] > 2.0 / 3.0 && gated[2] == 0.0);
        let closed = shares(&params, f64::INFINITY, &inputs);
        assert!((closed[0] - 2.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn outflow_earns_nothing_at_a_cutoff_of_zero() {
        for rule in [ShareRule::F0, ShareRule::F1, ShareRule::F2] {
            let inputs = flowing(&[(3.0, 0.0), (-5.0, 0.0), (1.0, 9.0)]);
            assert_eq!(shares(&ruled(rule), 0.0, &inputs), [0.75, 0.0, 0.25]);
        }
    }

    #[test]
    fn a_negative_cutoff_lets_small_outflows_earn() {
        // L = max(-2, -5) = -2: z = 4, 0, 1.
        let mut params = ruled(ShareRule::F2);
        params.tao_flow.cutoff_tao = -2.0;
        let found = shares(&params, 0.0, &flowing(&[(2.0, 0.0), (-5.0, 0.0), (-1.0, 0.0)]));
        assert!((found[0] - 0.8).abs() < 1e-15 && found[1] == 0.0 && (found[2] - 0.2).abs() < 1e-15);
    }

    #[test]
    fn without_inflow_all_shares_are_zero() {
        assert_eq!(shares(&ruled(ShareRule::F2), 0.0, &flowing(&[(-1.0, 0.0), (0.0, 0.0)])), [0.0, 0.0]);
        assert_eq!(shares(&ruled(ShareRule::N), 0.0, &flowing(&[(1.0, 1.0), (2.0, 2.0)])), [0.0, 0.0]);
    }

    #[test]
    fn the_protocol_flow_is_scaled_to_what_users_bring() {
        // F = min(1, 4 / 8) = 1/2: net = 4 - 3, 0 - 1, -2 - (-1); at a cutoff of -0.5 z = 1.5, 0, 0.
        // At -3, below the lowest of -1, z = 2, 0, 0; the square of 2/2 is 1.
        let mut params = ruled(ShareRule::N);
        let inputs = flowing(&[(4.0, 6.0), (0.0, 2.0), (-2.0, -1.0)]);
        let level = flow_level(&params, &inputs);
        assert_eq!(
            inputs.iter().map(|i| level.net(i.flow.user, i.flow.protocol)).collect::<Vec<f64>>(),
            [1.0, -1.0, -1.0]
        );
        params.tao_flow.cutoff_tao = -3.0;
        params.tao_flow.exponent = 2.0;
        assert_eq!(shares(&params, 0.0, &inputs), [1.0, 0.0, 0.0]);
    }

    #[test]
    fn first_averages_are_those_of_the_version() {
        assert_eq!(ShareRule::F0.first_flow_average(0.05, 0.07), 0.05e-9);
        assert_eq!(ShareRule::F1.first_flow_average(0.09, 0.07), 0.07);
        assert_eq!(ShareRule::F2.first_flow_average(0.05, 0.07), 0.0);
    }

    #[test]
    fn half_of_an_average_is_gone_after_its_half_life() {
        let mut average = FlowAverages { user: 1.0, protocol: -2.0 };
        (0..216_000).for_each(|_| average.advance(FlowAverages::default(), params().tao_flow.smoothing));
        assert!((average.user - 0.5).abs() < 1e-9 && (average.protocol + 1.0).abs() < 1e-9, "{average:?}");
    }
}
