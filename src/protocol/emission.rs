//! Emission of TAO and alpha: how much per block, what of it enters the pool and who is paid.

use crate::protocol::rule_names::rule_versions;
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
    halvings(issuance).map_or(SUPPLY_CAP, |count| halving(count + 1))
}

/// Issuance (tokens) of the `number`-th halving, counted from 1; below 64.
fn halving(number: u32) -> f64 {
    SUPPLY_CAP * (1.0 - 1.0 / (1_u64 << number) as f64)
}

/// Halvings passed at `issuance` (tokens); `None` at the cap. The quotient reaches a power of two only where it is one.
fn halvings(issuance: f64) -> Option<u32> {
    (issuance < SUPPLY_CAP).then(|| ((SUPPLY_CAP / (SUPPLY_CAP - issuance)) as u64).ilog2())
}

/// Block emission, and the issuances (tokens) between which it is that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EmissionLevel {
    /// Per block (tokens).
    pub per_block: f64,
    /// Where it begins.
    pub from: f64,
    /// Where it halves; infinite once nothing is emitted.
    pub until: f64,
}

impl EmissionLevel {
    /// The level at `issuance`.
    pub fn at(issuance: f64) -> Self {
        let (from, until) = match halvings(issuance) {
            None => (SUPPLY_CAP, f64::INFINITY),
            Some(count) => (halving(count), halving(count + 1)),
        };
        Self { per_block: block_emission(issuance), from, until }
    }

    /// Whether it is the level at `issuance`.
    #[inline(always)]
    pub fn holds_at(&self, issuance: f64) -> bool {
        issuance >= self.from && issuance < self.until
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

rule_versions! {
    /// Version of the injection rule: how a subnet's TAO emission `E` enters its pool (MECHANICS 4.7, 5).
    ///
    /// `p`: spot price before the injection; `alpha_e`: alpha emission of the subnet; `e`: TAO block emission; `rho`: root
    /// proportion. All but J0 inject `alpha = min(E / p, cap)` and `tao = alpha p`, and the chain buys with the excess.
    pub enum InjectionRule {
        /// All of E enters; `alpha = min(E / p, alpha_e)` (spec 233 to 297).
        J0,
        /// Cap e, which is to say that subnets whose price is below their share are subsidised; to these `alpha = alpha_e`
        /// (spec 298 to 319).
        J1,
        /// Cap e (spec 320 to 341).
        J2,
        /// Cap alpha_e (spec 342 to 361).
        J3,
        /// Cap `min(alpha_e, e)` (spec 362 to 412).
        J4,
        /// [`InjectionRule::J4`], the bought alpha kept by the protocol rather than recycled (spec 413 to 420).
        J4b,
        /// Cap `rho alpha_e` (spec 421 on).
        J5,
    }
}

impl InjectionRule {
    /// Whether the alpha that the chain buys stays in existence, owned by nobody, rather than being recycled.
    pub const fn keeps_bought_alpha(self) -> bool {
        matches!(self, Self::J4b | Self::J5)
    }

    /// Whether the injection always leaves the price as it is.
    pub const fn keeps_price(self) -> bool {
        !matches!(self, Self::J0 | Self::J1)
    }
}

/// What decides on the injection into one subnet in a block; TAO and alpha in one unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InjectionTerms {
    /// TAO emission of the subnet.
    pub emission_tao: f64,
    /// Spot price before the injection (TAO per alpha).
    pub price: f64,
    /// Root proportion before the injection.
    pub root_proportion: f64,
    /// Alpha emission of the subnet.
    pub alpha_emission: f64,
    /// TAO block emission, of which `emission_tao` is a share.
    pub block_emission_tao: f64,
}

impl InjectionTerms {
    /// Most alpha that is injected at the price.
    pub fn cap_alpha(&self, rule: InjectionRule) -> f64 {
        match rule {
            InjectionRule::J0 | InjectionRule::J3 => self.alpha_emission,
            InjectionRule::J1 | InjectionRule::J2 => self.block_emission_tao,
            InjectionRule::J4 | InjectionRule::J4b => self.alpha_emission.min(self.block_emission_tao),
            InjectionRule::J5 => self.root_proportion * self.alpha_emission,
        }
    }
}

/// Splits a subnet's TAO emission into injection and chain buy: see [`InjectionRule`]. At a price of 0 all TAO and no alpha
/// is injected, under J0 the whole alpha emission.
///
/// Source: pallets/subtensor/src/coinbase/run_coinbase.rs, `get_subnet_terms` and its predecessors.
pub fn inject(rule: InjectionRule, terms: &InjectionTerms) -> Injection {
    let (emission_tao, cap_alpha) = (terms.emission_tao, terms.cap_alpha(rule));
    let wanted = if terms.price > 0.0 { emission_tao / terms.price } else { 0.0 };
    let is_capped = wanted > cap_alpha;
    match rule {
        InjectionRule::J0 => {
            let alpha = if is_capped || !(terms.price > 0.0) { cap_alpha } else { wanted };
            Injection { tao: emission_tao, alpha, excess_tao: 0.0 }
        }
        _ if is_capped => {
            let tao = cap_alpha * terms.price;
            let alpha = if rule == InjectionRule::J1 { terms.alpha_emission } else { cap_alpha };
            Injection { tao, alpha, excess_tao: emission_tao - tao }
        }
        _ => Injection { tao: emission_tao, alpha: wanted, excess_tao: 0.0 },
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
    use crate::protocol::rule_names::RuleVersion;

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
    fn a_level_holds_from_halving_to_halving() {
        let first = EmissionLevel::at(0.0);
        assert_eq!(first, EmissionLevel { per_block: 1.0, from: 0.0, until: 10.5e6 });
        let second = EmissionLevel::at(11.4e6);
        assert_eq!(second, EmissionLevel { per_block: 0.5, from: 10.5e6, until: 15.75e6 });
        assert!(second.holds_at(10.5e6) && second.holds_at(15.749e6));
        assert!(!second.holds_at(10.499e6) && !second.holds_at(15.75e6) && !second.holds_at(f64::NAN));
        let last = EmissionLevel::at(21e6);
        assert!(last.per_block == 0.0 && last.holds_at(22e6) && !last.holds_at(20.9e6));
    }

    /// E = 0.5 at a price of 0.25: 2 alpha are wanted; `root_proportion`, `alpha_emission` and e = 0.75 cap them.
    fn terms(root_proportion: f64, alpha_emission: f64) -> InjectionTerms {
        let (emission_tao, price, block_emission_tao) = (0.5, 0.25, 0.75);
        InjectionTerms { emission_tao, price, root_proportion, alpha_emission, block_emission_tao }
    }

    #[test]
    fn injection_is_capped_and_keeps_the_emission() {
        let split = |tao, alpha, excess_tao| Injection { tao, alpha, excess_tao };
        for (rule, expected) in [
            (InjectionRule::J0, split(0.5, 1.0, 0.0)),
            (InjectionRule::J1, split(0.1875, 1.0, 0.3125)),
            (InjectionRule::J2, split(0.1875, 0.75, 0.3125)),
            (InjectionRule::J3, split(0.25, 1.0, 0.25)),
            (InjectionRule::J4, split(0.1875, 0.75, 0.3125)),
            (InjectionRule::J4b, split(0.1875, 0.75, 0.3125)),
            (InjectionRule::J5, split(0.0625, 0.25, 0.4375)),
        ] {
            assert_eq!(inject(rule, &terms(0.25, 1.0)), expected, "{rule:?}");
        }
        assert_eq!(inject(InjectionRule::J4, &terms(0.25, 0.5)).alpha, 0.5);
        assert_eq!(inject(InjectionRule::J5, &terms(1.0, 3.0)), split(0.5, 2.0, 0.0));
    }

    #[test]
    fn nothing_is_bought_at_a_price_of_zero() {
        for rule in InjectionRule::ALL {
            let alpha = if *rule == InjectionRule::J0 { 1.0 } else { 0.0 };
            let expected = Injection { tao: 0.5, alpha, excess_tao: 0.0 };
            assert_eq!(inject(*rule, &InjectionTerms { price: 0.0, ..terms(0.5, 1.0) }), expected, "{rule:?}");
        }
    }

    #[test]
    fn alpha_split_keeps_the_total() {
        let split = split_alpha(1.0, 0.18, 0.25);
        assert!((split.owner + split.server + split.validator + split.root - 1.0).abs() < 1e-15);
        assert!((split.server - 0.41).abs() < 1e-15 && (split.root - 0.1025).abs() < 1e-15);
    }
}
