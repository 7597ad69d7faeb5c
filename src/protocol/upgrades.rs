//! What ran when: every upgrade of the chain that changed its economics, and the rules in force after any of them.
//!
//! The table is MECHANICS 15, with 4.7, 7.1, 9.1 and Appendix A. Blocks of upgrades are those observed on mainnet where
//! [`Upgrade::observed`] says so; elsewhere the block at noon (UTC) of the day on which the change was merged, from which
//! the upgrade followed within minutes to a few days.
//!
//! # Not modelled
//! - The smoothing of moving prices before root raised it to 0.0003 (on 2025-02-24, see [`history`](super::history)), its
//!   ages before spec 252, counted from registration before spec 258, and prices above 1 in it (spec 233 alone).
//! - Spec 342 to 344 (four days), in which unstarted subnets emitted too.
//! - Liquidity of users and V3 scrap in the pools of A1.

use crate::protocol::calendar::block_at_midnight;
use crate::protocol::calendar::parse_date;
use crate::protocol::dissolve::DissolveRule;
use crate::protocol::emission::InjectionRule;
use crate::protocol::ledger::schedule::EpochSchedule;
use crate::protocol::params::HillGateParams;
use crate::protocol::params::ProtocolParams;
use crate::protocol::params::TaoFlowParams;
use crate::protocol::pool::PoolRule;
use crate::protocol::registration::SeedRule;
use crate::protocol::root::RootRule;
use crate::protocol::share_rules::ShareRule;
use crate::units::BLOCKS_PER_DAY;

/// Declares the changes that an upgrade, or a switch of a scenario, may make: one for every governed parameter.
macro_rules! changes {
    ($($(#[$doc:meta])* $change:ident($type:ty) => $($field:ident).+,)+) => {
        /// One parameter set to a new value.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Change { $($(#[$doc])* $change($type),)+ }

        impl Change {
            /// The changes that give every parameter they know the value that it has in `params`.
            pub fn to(params: &ProtocolParams) -> Vec<Self> {
                vec![$(Self::$change(params.$($field).+),)+]
            }

            /// Sets the parameter.
            pub fn apply(self, params: &mut ProtocolParams) {
                match self { $(Self::$change(value) => params.$($field).+ = value,)+ }
            }
        }
    };
}

changes! {
    /// Share rule.
    ShareRule(ShareRule) => share_rule,
    /// Injection rule.
    InjectionRule(InjectionRule) => injection_rule,
    /// Root rule.
    RootRule(RootRule) => root_rule,
    /// Pool rule.
    PoolRule(PoolRule) => pool_rule,
    /// Dissolution rule.
    DissolveRule(DissolveRule) => dissolve_rule,
    /// Pool seed of new subnets.
    SeedRule(SeedRule) => seed_rule,
    /// Schedule of epochs.
    EpochSchedule(EpochSchedule) => epoch_schedule,
    /// Rank of the Hill gate's threshold.
    HillRank(usize) => hill_gate.rank,
    /// Quantile of the Hill gate's threshold.
    HillQuantile(f64) => hill_gate.quantile,
    /// Steepness of the Hill gate.
    HillExponent(u32) => hill_gate.exponent,
    /// Smoothing of flow averages (per block).
    FlowSmoothing(f64) => tao_flow.smoothing,
    /// Cutoff of flow averages (TAO per block).
    FlowCutoff(f64) => tao_flow.cutoff_tao,
    /// Exponent of flows.
    FlowExponent(f64) => tao_flow.exponent,
    /// Weight of root TAO (fraction).
    TaoWeight(f64) => tao_weight,
    /// Owner cut (fraction).
    OwnerCut(f64) => owner_cut,
    /// Swap fee (fraction).
    FeeRate(f64) => fee_rate,
    /// Smallest lock cost (TAO).
    LockCostMin(f64) => lock_cost_min_tao,
    /// Interval of the lock cost's fall (blocks).
    LockReductionInterval(u64) => lock_reduction_interval_blocks,
    /// Rate limit of registrations (blocks).
    RegistrationRateLimit(u64) => registration_rate_limit_blocks,
    /// Immunity period (blocks).
    ImmunityPeriod(u64) => immunity_period_blocks,
    /// Delay of start_call (blocks).
    StartCallDelay(u64) => start_call_delay_blocks,
    /// Whether new subnets are enabled.
    EntrantsEnabled(bool) => entrants_enabled,
    /// Largest number of subnets.
    SubnetLimit(usize) => subnet_limit,
}

/// A runtime upgrade, or an act of root, that changed the economics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Upgrade {
    /// `spec_version` of the runtime; that of the runtime before for an act of root.
    pub spec: u32,
    /// Day (UTC): year, month, day.
    pub date: (i32, u32, u32),
    /// First block under the new rules.
    pub block: u64,
    /// Whether the block was seen on mainnet.
    pub observed: bool,
    /// What it set.
    pub changes: &'static [Change],
}

/// The upgrade of `date` whose block is not known.
const fn merged(spec: u32, date: (i32, u32, u32), changes: &'static [Change]) -> Upgrade {
    let block = block_at_midnight(date) + BLOCKS_PER_DAY / 2;
    Upgrade { spec, date, block, observed: false, changes }
}

/// The upgrade of `date` seen at `block`.
const fn seen(spec: u32, date: (i32, u32, u32), block: u64, changes: &'static [Change]) -> Upgrade {
    Upgrade { spec, date, block, observed: true, changes }
}

/// `spec_version` and day of the launch of subnet tokens.
const LAUNCH_SPEC: u32 = 233;
const LAUNCH_DATE: (i32, u32, u32) = (2025, 2, 13);

/// First block that pays 0.5 TAO (2025-12-15).
pub const HALVING_BLOCK: u64 = 7_103_976;

/// Rules at the launch of subnet tokens.
pub const LAUNCH: ProtocolParams = ProtocolParams {
    share_rule: ShareRule::P0,
    injection_rule: InjectionRule::J0,
    root_rule: RootRule::R0,
    pool_rule: PoolRule::A0,
    dissolve_rule: DissolveRule::D0,
    seed_rule: SeedRule::S0,
    epoch_schedule: EpochSchedule::ByBlockNumber,
    hill_gate: HillGateParams { rank: 32, quantile: 0.61, exponent: 3 },
    tao_flow: TaoFlowParams {
        smoothing: 29_597_889_189_277.0 / 9_223_372_036_854_775_807.0,
        cutoff_tao: 0.0,
        exponent: 1.0,
    },
    tao_weight: 0.18,
    owner_cut: 11_796.0 / 65_535.0,
    fee_rate: 0.0,
    moving_price_smoothing: 1_288_490.0 / 4_294_967_296.0,
    moving_price_age_blocks: 201_600.0,
    lock_cost_min_tao: 1.0,
    lock_reduction_interval_blocks: 100_800,
    registration_rate_limit_blocks: 7_200,
    immunity_period_blocks: 864_000,
    start_call_delay_blocks: 50_400,
    entrants_enabled: true,
    subnet_limit: 128,
    tao_in_refund_block: 8_334_450,
    registration_start_block: 6_573_966,
};

/// Every upgrade after [`LAUNCH`], in order.
pub const UPGRADES: &[Upgrade] = &[
    seen(
        290,
        (2025, 7, 8),
        block_at_midnight((2025, 7, 8)),
        &[Change::PoolRule(PoolRule::A1), Change::FeeRate(196.0 / 65_535.0)],
    ),
    merged(297, (2025, 7, 23), &[Change::FeeRate(33.0 / 65_535.0)]),
    merged(298, (2025, 7, 29), &[Change::InjectionRule(InjectionRule::J1), Change::RootRule(RootRule::R1)]),
    merged(
        320,
        (2025, 9, 24),
        &[
            Change::InjectionRule(InjectionRule::J2),
            Change::LockReductionInterval(57_600),
            Change::RegistrationRateLimit(28_800),
        ],
    ),
    // Some hours of F0 went before; the block is that at which F1 must start its averages to give those of the next days.
    seen(334, (2025, 11, 4), 6_813_300, &[Change::ShareRule(ShareRule::F0), Change::RootRule(RootRule::R2)]),
    seen(338, (2025, 11, 4), 6_813_300, &[Change::ShareRule(ShareRule::F1)]),
    merged(342, (2025, 11, 6), &[Change::InjectionRule(InjectionRule::J3), Change::RootRule(RootRule::R3)]),
    merged(343, (2025, 11, 7), &[Change::RootRule(RootRule::R4)]),
    merged(348, (2025, 11, 24), &[Change::ShareRule(ShareRule::F2)]),
    merged(362, (2025, 12, 12), &[Change::InjectionRule(InjectionRule::J4)]),
    // Smallest spacing of registrations seen since.
    merged(362, (2025, 12, 17), &[Change::RegistrationRateLimit(14_400)]),
    merged(371, (2026, 1, 21), &[Change::StartCallDelay(0)]),
    // An act of root, dated by the costs paid.
    merged(371, (2026, 1, 27), &[Change::LockReductionInterval(115_200)]),
    seen(391, (2026, 3, 19), 7_782_857, &[Change::PoolRule(PoolRule::A1b)]),
    merged(397, (2026, 4, 22), &[Change::SeedRule(SeedRule::S1)]),
    merged(402, (2026, 5, 8), &[Change::SeedRule(SeedRule::S2)]),
    merged(411, (2026, 5, 27), &[Change::ShareRule(ShareRule::N)]),
    merged(413, (2026, 6, 1), &[Change::InjectionRule(InjectionRule::J4b), Change::DissolveRule(DissolveRule::D1)]),
    seen(415, (2026, 6, 4), 8_334_450, &[Change::DissolveRule(DissolveRule::D2)]),
    seen(421, (2026, 6, 23), 8_466_531, &[Change::ShareRule(ShareRule::E1), Change::InjectionRule(InjectionRule::J5)]),
    merged(422, (2026, 6, 23), &[Change::EntrantsEnabled(false)]),
    seen(
        423,
        (2026, 6, 26),
        8_486_593,
        &[Change::PoolRule(PoolRule::A2), Change::EpochSchedule(EpochSchedule::DEFAULT)],
    ),
    // Merged as spec 425 on 2026-06-30, live with 432.
    merged(425, (2026, 7, 16), &[Change::ShareRule(ShareRule::E2)]),
    merged(440, (2026, 7, 27), &[Change::ShareRule(ShareRule::E2Q)]),
    merged(441, (2026, 8, 3), &[Change::ShareRule(ShareRule::E2H)]),
];

/// Rules in force in `block`.
pub fn params_at_block(block: u64) -> ProtocolParams {
    params_after(|upgrade| upgrade.block <= block)
}

/// Rules in force under the runtime of that `spec_version`, with what root had set by the next upgrade.
pub fn params_at_spec(spec: u32) -> ProtocolParams {
    params_after(|upgrade| upgrade.spec <= spec)
}

/// Rules in force today: after the last upgrade of the table.
pub fn current_params() -> ProtocolParams {
    params_after(|_| true)
}

/// Rules by the name that scenarios give them: `current`, `spec 348`, or the day at whose end they were in force, such as
/// `2025-11-20`. `None` for any other text, and for days before the launch.
pub fn params_named(name: &str) -> Option<ProtocolParams> {
    if name == "current" {
        return Some(current_params());
    }
    if let Some(spec) = name.strip_prefix("spec ") {
        return spec.parse().ok().filter(|spec| *spec >= LAUNCH_SPEC).map(params_at_spec);
    }
    let date = parse_date(name).filter(|date| *date >= LAUNCH_DATE)?;
    Some(params_at_block(block_at_midnight(date) + BLOCKS_PER_DAY))
}

/// TAO emitted in `block`, before the second halving (about 2029).
pub fn block_emission_tao(block: u64) -> f64 {
    if block < HALVING_BLOCK { 1.0 } else { 0.5 }
}

fn params_after(is_in_force: impl Fn(&Upgrade) -> bool) -> ProtocolParams {
    let mut params = LAUNCH;
    let in_force = UPGRADES.iter().filter(|upgrade| is_in_force(upgrade));
    in_force.flat_map(|upgrade| upgrade.changes).for_each(|change| change.apply(&mut params));
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrades_are_in_order() {
        for pair in UPGRADES.windows(2) {
            assert!(pair[0].block <= pair[1].block && pair[0].spec <= pair[1].spec, "{:?}", pair[1]);
        }
    }

    #[test]
    fn observed_blocks_lie_on_their_days() {
        for upgrade in UPGRADES.iter().filter(|upgrade| upgrade.observed) {
            let start = block_at_midnight(upgrade.date);
            // The runtime may have gone live in the night before or after the day of its source.
            assert!(upgrade.block + 7_200 >= start && upgrade.block <= start + 2 * 7_200, "{upgrade:?} {start}");
        }
    }

    #[test]
    fn changes_to_rules_lead_there_from_anywhere() {
        let mut params = LAUNCH;
        Change::to(&current_params()).into_iter().for_each(|change| change.apply(&mut params));
        assert_eq!(params, current_params());
    }

    #[test]
    fn what_ran_on_a_day() {
        let november = params_at_block(block_at_midnight((2025, 11, 21)));
        assert_eq!(november.share_rule, ShareRule::F1);
        assert_eq!(november.injection_rule, InjectionRule::J3);
        assert_eq!(november.epoch_schedule, EpochSchedule::ByBlockNumber);
        assert_eq!((november.root_rule, november.pool_rule), (RootRule::R4, PoolRule::A1));
        assert_eq!((november.dissolve_rule, november.seed_rule), (DissolveRule::D0, SeedRule::S0));
        assert_eq!(
            (november.lock_reduction_interval_blocks, november.registration_rate_limit_blocks),
            (57_600, 28_800)
        );
        assert_eq!(params_at_spec(333).share_rule, ShareRule::P0);
        assert_eq!((params_at_spec(424).share_rule, params_at_spec(425).share_rule), (ShareRule::E1, ShareRule::E2));
        assert_eq!(params_named("2025-11-20"), Some(november));
        assert_eq!(params_named("spec 348"), Some(params_at_spec(348)));
        assert_eq!(params_named("current"), Some(current_params()));
        for name in ["", "spec", "spec 232", "2025-02-12", "2025-13-01", "2025-11", "yesterday"] {
            assert_eq!(params_named(name), None, "{name}");
        }
        assert_eq!((block_emission_tao(7_103_975), block_emission_tao(7_103_976)), (1.0, 0.5));
        assert_eq!(params_at_block(0), LAUNCH);
        assert_eq!(params_at_block(u64::MAX), current_params());
    }
}
