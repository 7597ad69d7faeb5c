//! Emission shares by net TAO flow (Taoflow, MECHANICS 4.4 and 4.5): in force from spec 334 to 420, dead code since.

/// Parameters of the flow rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowRule {
    /// `NetTaoFlowEnabled`: the protocol's own flow is subtracted (rule N) or not (F0 to F2).
    pub net: bool,
    /// `TaoFlowCutoff`: flow (per block) at and below which nothing is earned, where some subnet's flow is not above it.
    pub cutoff: f64,
    /// `FlowNormExponent`: power to which flows above the limit are raised.
    pub exponent: f64,
}

/// Half-life of the flow averages is 216,000 blocks: `FlowEmaSmoothingFactor / (2^63 - 1)` by default.
pub const SMOOTHING_DEFAULT: f64 = 29_597_889_189_277.0 / 9_223_372_036_854_775_807.0;

/// Differences below this part of what was subtracted are rounding: sums over up to 256 subnets in f64.
const ROUNDING: f64 = 1e-13;

/// Averages of the flows of one subnet (per block, any one unit of TAO).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FlowAverages {
    /// Of what users paid in less what they were paid out.
    pub user: f64,
    /// Of what the protocol put into the pool less what root claims took out.
    pub protocol: f64,
}

impl FlowAverages {
    /// One block on, `flow` being what has come in since the block before.
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

/// Net flow of each subnet: the user average, under rule N less the protocol's scaled to what users bring.
///
/// ```text
/// F = min(1, sum max(S, 0) / sum max(P, 0)), 0 without protocol inflow     net = S - F P where P > 0, else S - P
/// ```
///
/// Source: as above, `get_shares_flow`.
pub fn net_flows(rule: &FlowRule, averages: &[FlowAverages]) -> Vec<f64> {
    if !rule.net {
        return averages.iter().map(|average| average.user).collect();
    }
    let inflow = |part: fn(&FlowAverages) -> f64| averages.iter().map(|average| part(average).max(0.0)).sum::<f64>();
    let (user, protocol) = (inflow(|average| average.user), inflow(|average| average.protocol));
    let factor = if protocol > 0.0 { (user / protocol).min(1.0) } else { 0.0 };
    let net = |average: &FlowAverages| {
        let scaled = if average.protocol > 0.0 { factor } else { 1.0 } * average.protocol;
        let net = average.user - scaled;
        // What is left of two equal numbers is rounding, and must not earn a share.
        if net.abs() <= ROUNDING * scaled.abs() { 0.0 } else { net }
    };
    averages.iter().map(net).collect()
}

/// Shares of the TAO emission: flows above a limit, raised to a power; all 0 where none is above it.
///
/// ```text
/// L = max(cutoff, min(min net, 0))     z = max(net - L, 0)     s = z^p / sum z^p
/// ```
///
/// Limits of validity: the chain takes the power by ln and exp in 32 fractional bits, about 1e-6 relative, and overflows
/// for one narrow range of tiny flows (oracle README, surprise 3); this is the exact power.
/// Source: as above, `get_lower_limit`, `inplace_pow_normalize`.
pub fn flow_shares(rule: &FlowRule, averages: &[FlowAverages]) -> Vec<f64> {
    let net = net_flows(rule, averages);
    let lowest = net.iter().copied().fold(0.0, f64::min);
    let limit = rule.cutoff.max(lowest);
    let above: Vec<f64> = net.iter().map(|flow| (flow - limit).max(0.0)).collect();
    let largest = above.iter().copied().fold(0.0, f64::max);
    if !(largest > 0.0) {
        return vec![0.0; net.len()];
    }
    let powers: Vec<f64> = above.iter().map(|flow| (flow / largest).powf(rule.exponent)).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const F2: FlowRule = FlowRule { net: false, cutoff: 0.0, exponent: 1.0 };

    fn averages(pairs: &[(f64, f64)]) -> Vec<FlowAverages> {
        pairs.iter().map(|&(user, protocol)| FlowAverages { user, protocol }).collect()
    }

    #[test]
    fn outflow_earns_nothing_at_a_cutoff_of_zero() {
        assert_eq!(flow_shares(&F2, &averages(&[(3.0, 0.0), (-5.0, 0.0), (1.0, 9.0)])), [0.75, 0.0, 0.25]);
    }

    #[test]
    fn a_negative_cutoff_lets_small_outflows_earn() {
        // L = max(-2, -5) = -2: z = 4, 0, 1, whose quotients are exact.
        let rule = FlowRule { cutoff: -2.0, ..F2 };
        assert_eq!(flow_shares(&rule, &averages(&[(2.0, 0.0), (-5.0, 0.0), (-1.0, 0.0)])), [0.8, 0.0, 0.2]);
    }

    #[test]
    fn without_inflow_all_shares_are_zero() {
        assert_eq!(flow_shares(&F2, &averages(&[(-1.0, 0.0), (0.0, 0.0)])), [0.0, 0.0]);
        assert!(flow_shares(&F2, &[]).is_empty());
    }

    #[test]
    fn the_protocol_flow_is_scaled_to_what_users_bring() {
        // F = min(1, 4 / 8) = 1/2: net = 4 - 3, 0 - 1, -2 - (-1).
        let rule = FlowRule { net: true, ..F2 };
        let flows = net_flows(&rule, &averages(&[(4.0, 6.0), (0.0, 2.0), (-2.0, -1.0)]));
        assert_eq!(flows, [1.0, -1.0, -1.0]);
    }

    #[test]
    fn half_of_an_average_is_gone_after_its_half_life() {
        let mut average = FlowAverages { user: 1.0, protocol: -2.0 };
        (0..216_000).for_each(|_| average.advance(FlowAverages::default(), SMOOTHING_DEFAULT));
        assert!((average.user - 0.5).abs() < 1e-9 && (average.protocol + 1.0).abs() < 1e-9, "{average:?}");
    }
}
