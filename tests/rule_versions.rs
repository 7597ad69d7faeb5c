//! Every version of the injection, root and flow rules in a block, against cases computed by hand from MECHANICS 4 and 5.

use taorisk::protocol::block;
use taorisk::protocol::block::BlockReport;
use taorisk::protocol::block::EmissionContext;
use taorisk::protocol::block::HillGate;
use taorisk::protocol::block::SubnetReport;
use taorisk::protocol::emission::InjectionRule;
use taorisk::protocol::fixed::Rounding;
use taorisk::protocol::params::ProtocolParams;
use taorisk::protocol::pool::PoolRule;
use taorisk::protocol::root::RootRule;
use taorisk::protocol::share_rules::ShareRule;
use taorisk::protocol::state::ChainState;
use taorisk::protocol::state::SubnetState;
use taorisk::protocol::upgrades;
use taorisk::units::NetUid;

/// A started subnet with 120,000 TAO and 200,000 alpha in its pool.
fn subnet(netuid: u16) -> SubnetState {
    SubnetState {
        registered_at: 8_000_000,
        first_emission_block: Some(8_000_001),
        emission_enabled: true,
        reserve_tao: 120_000.0,
        reserve_alpha: 200_000.0,
        staked_alpha: 3e6,
        moving_price: 0.6,
        ..SubnetState::empty(NetUid(netuid))
    }
}

/// One subnet, E = e = 0.5 TAO, p = 120,000 / 200,000 = 0.6, alpha emission 1, an owner cut of 1/5: the rest is 4/5, of which
/// miners get 2/5. Root stake such that the root proportion after injection and mint is 1/2: root alpha is 1/5.
fn emit_under(injection_rule: InjectionRule, root_rule: RootRule, sell_flag: bool) -> (SubnetState, SubnetReport) {
    let mut subnet = subnet(1);
    let params = ProtocolParams {
        injection_rule,
        root_rule,
        pool_rule: PoolRule::A0,
        owner_cut: 0.2,
        tao_weight: 0.5,
        ..upgrades::current_params()
    };
    let minted = match injection_rule {
        InjectionRule::J0 => 0.5 / 0.6,
        // The chain buys with 0.2 TAO, and recycles what it gets.
        _ => 0.5 - 200_000.0 * 0.2 / 120_000.2,
    };
    let context = EmissionContext {
        params: &params,
        rounding: Rounding::Continuous,
        block_emission_tao: 0.5,
        root_stake_tao: 2.0 * (3_200_000.0 + minted + 1.0),
        sell_flag,
    };
    let report = block::emit_to_subnet(&context, &mut subnet, 0.5);
    (subnet, report)
}

fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{found}, not {expected}");
}

#[test]
fn under_r0_root_alpha_is_sold_in_the_block() {
    let (subnet, report) = emit_under(InjectionRule::J0, RootRule::R0, false);
    // J0: E / p = 5/6 is below the alpha emission; y = 120,000.5, x = 200,000 + 5/6; then 0.2 alpha is sold.
    let (x, y) = (200_000.0 + 5.0 / 6.0, 120_000.5);
    assert_close(report.alpha_out.root, 0.2);
    assert_close(report.root_sale_tao, y * 0.2 / (x + 0.2));
    assert_close(subnet.reserve_alpha, x + 0.2);
    assert_close(subnet.reserve_tao, y - report.root_sale_tao);
    // Owner 0.2, miners 0.4, validators 0.2 are staked; the root's part is in the pool.
    assert_close(subnet.staked_alpha, 3_000_000.8);
    assert_eq!((subnet.unclaimed_root_alpha, subnet.burned_alpha, subnet.protocol_alpha), (0.0, 0.0, 0.0));
}

#[test]
fn under_r1_and_r2_root_alpha_is_lost_where_the_chain_buys() {
    for root_rule in [RootRule::R1, RootRule::R2] {
        // J2: the price of 0.6 is below the share of 1: alpha = e = 0.5, tao = 0.3, excess 0.2, bought and recycled.
        let (subnet, report) = emit_under(InjectionRule::J2, root_rule, true);
        let bought = 200_000.0 * 0.2 / 120_000.2;
        assert_close(report.bought_alpha, bought);
        assert_close(subnet.reserve_alpha, 200_000.5 - bought);
        assert_close(subnet.reserve_tao, 120_000.5);
        assert_close(subnet.burned_alpha, 0.2);
        assert_close(subnet.outstanding_alpha(), 3_000_001.0);
        assert_eq!((report.root_sale_tao, subnet.unclaimed_root_alpha, subnet.protocol_alpha), (0.0, 0.0, 0.0));
    }
}

#[test]
fn under_r3_validators_get_root_alpha_while_the_flag_is_off() {
    let (subnet, report) = emit_under(InjectionRule::J2, RootRule::R3, false);
    assert_close(report.alpha_out.validator, 0.4);
    assert_close(subnet.staked_alpha, 3_000_001.0);
    let (subnet, report) = emit_under(InjectionRule::J2, RootRule::R3, true);
    assert_close(report.alpha_out.validator, 0.2);
    assert_close(subnet.unclaimed_root_alpha, 0.2);
}

#[test]
fn under_r4_root_alpha_is_recycled_while_the_flag_is_off() {
    let (subnet, report) = emit_under(InjectionRule::J2, RootRule::R4, false);
    assert_close(report.alpha_out.validator, 0.2);
    assert_close(subnet.outstanding_alpha(), 3_000_000.8);
}

#[test]
fn bought_alpha_is_kept_from_j4b_on() {
    for (rule, is_kept) in [(InjectionRule::J4, false), (InjectionRule::J4b, true)] {
        let (subnet, report) = emit_under(rule, RootRule::R4, true);
        assert_close(report.bought_alpha, 200_000.0 * 0.2 / 120_000.2);
        assert_eq!(subnet.protocol_alpha, if is_kept { report.bought_alpha } else { 0.0 });
    }
}

#[test]
fn only_weighted_pools_keep_the_price_under_j1() {
    // J1: price below share: alpha 1 (the alpha emission) enters with 0.3 TAO.
    let (subnet, _) = emit_under(InjectionRule::J1, RootRule::R4, true);
    assert_eq!(subnet.weight_tao, 0.5);
    assert_close(subnet.reserve_alpha, 200_001.0 - 200_000.0 * 0.2 / 120_000.2);
    let params = ProtocolParams { injection_rule: InjectionRule::J1, ..upgrades::current_params() };
    let (block_emission_tao, root_stake_tao) = (0.5, 1e6);
    let (rounding, sell_flag) = (Rounding::Continuous, true);
    let context = EmissionContext { params: &params, rounding, block_emission_tao, root_stake_tao, sell_flag };
    let mut weighted = self::subnet(1);
    block::emit_to_subnet(&context, &mut weighted, 0.5);
    // q1 = x + 1 per x, q2 = y + 0.3 per y: w = (1 + 2.5e-6) / (2 + 7.5e-6).
    assert_close(weighted.weight_tao, (1.0 + 2.5e-6) / (2.0 + 7.5e-6));
}

#[test]
fn flow_rules_advance_the_averages_once_a_block_and_others_let_flows_pile_up() {
    let mut params = upgrades::params_at_spec(425);
    let mut state = chain();
    params.tao_flow.smoothing = 0.25;
    state.subnets.iter_mut().for_each(|subnet| subnet.emission_enabled = false);
    let buy = |state: &mut ChainState| state.subnets[0].flow.pending.user += 8.0;
    buy(&mut state);
    emit(&params, &mut state);
    assert_eq!((state.subnets[0].flow.averages, state.subnets[0].flow.pending.user), (None, 8.0));
    params.share_rule = ShareRule::F2;
    buy(&mut state);
    emit(&params, &mut state);
    let user = |state: &ChainState| state.subnets[0].flow.averages.expect("averages").user;
    assert_eq!((user(&state), state.subnets[0].flow.pending.user), (4.0, 0.0));
    emit(&params, &mut state);
    assert_eq!(user(&state), 3.0);
    let spot_price = 120_000.0 / 200_000.0;
    // F1 sets what there is not to the lower of moving and spot price, 0.6, and leaves the block's flow.
    params.share_rule = ShareRule::F1;
    state.subnets[0].flow.averages = None;
    state.subnets[0].moving_price = 0.7;
    (state.subnets[0].reserve_tao, state.subnets[0].reserve_alpha) = (120_000.0, 200_000.0);
    buy(&mut state);
    emit(&params, &mut state);
    assert_eq!((user(&state), state.subnets[0].flow.pending.user), (spot_price, 8.0));
}

fn chain() -> ChainState {
    ChainState {
        block: 8_600_000,
        issuance_tao: 11.3e6,
        root_stake_tao: 5.45e6,
        last_lock_tao: 653.0,
        last_lock_block: 8_590_000,
        subnets: vec![subnet(1), subnet(2)],
    }
}

/// The report of one coinbase of `state`.
fn emit(params: &ProtocolParams, state: &mut ChainState) -> BlockReport {
    let (mut gate, mut report) = (HillGate::of(params, state), BlockReport::default());
    block::coinbase(params, Rounding::Continuous, state, &mut gate, &[], &mut report);
    report
}
