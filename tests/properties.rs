//! What holds for every pool and every set of subnets: conservation, bounds, no free lunch.

use proptest::prelude::*;
use proptest::sample::select;
use taorisk::protocol::block;
use taorisk::protocol::block::BlockReport;
use taorisk::protocol::block::HillGate;
use taorisk::protocol::dissolve;
use taorisk::protocol::emission;
use taorisk::protocol::emission::InjectionRule;
use taorisk::protocol::emission::InjectionTerms;
use taorisk::protocol::fixed::Rounding;
use taorisk::protocol::params::HillGateParams;
use taorisk::protocol::params::ProtocolParams;
use taorisk::protocol::params::TaoFlowParams;
use taorisk::protocol::pool::Pool;
use taorisk::protocol::pool::PoolRule;
use taorisk::protocol::pool_rao::PoolRao;
use taorisk::protocol::pool_rao::Side;
use taorisk::protocol::pool_rao::SwapRequest;
use taorisk::protocol::root;
use taorisk::protocol::root::RootAlpha;
use taorisk::protocol::root::RootRule;
use taorisk::protocol::rule_names::RuleVersion;
use taorisk::protocol::share_rules;
use taorisk::protocol::share_rules::FlowAverages;
use taorisk::protocol::share_rules::ShareInput;
use taorisk::protocol::share_rules::ShareRule;
use taorisk::protocol::state::ChainState;
use taorisk::protocol::state::FlowState;
use taorisk::protocol::state::SubnetState;
use taorisk::protocol::trade;
use taorisk::protocol::trade::Order;
use taorisk::protocol::upgrades;
use taorisk::units::NetUid;

/// A number spread evenly in its logarithm.
fn log_uniform(low: f64, high: f64) -> impl Strategy<Value = f64> {
    (low.ln()..high.ln()).prop_map(f64::exp)
}

fn any_pool() -> impl Strategy<Value = Pool> {
    let weight_tao = prop_oneof![Just(0.5), 0.1..0.9];
    (log_uniform(1.0, 1e6), log_uniform(1.0, 1e7), weight_tao)
        .prop_map(|(reserve_tao, reserve_alpha, weight_tao)| Pool { reserve_tao, reserve_alpha, weight_tao })
}

fn any_share_input() -> impl Strategy<Value = ShareInput> {
    let moving_price = prop_oneof![Just(0.0), log_uniform(1e-8, 1.0)];
    let miner_burned = prop_oneof![Just(0.0), Just(1.0), 0.0..1.2];
    let flow = || prop_oneof![Just(0.0), -1.0..1.0];
    (moving_price, miner_burned, 0.0..1.0, (flow(), flow()), any::<bool>(), any::<bool>()).prop_map(
        |(moving_price, miner_burned, root_proportion, (user, protocol), started, enabled)| {
            let flow = FlowAverages { user, protocol };
            ShareInput { moving_price, miner_burned, root_proportion, flow, started, enabled }
        },
    )
}

/// Every version of every rule with every other, and any parameters of the gate and of flows.
fn any_rules() -> impl Strategy<Value = ProtocolParams> {
    let gate = (1_usize..40, 0.1..1.0, 1_u32..5);
    let flow = (prop_oneof![Just(0.0), -0.5..0.5], prop_oneof![Just(1.0), 0.5..3.0]);
    let pools = (select(PoolRule::ALL), select(InjectionRule::ALL), select(RootRule::ALL));
    (select(ShareRule::ALL), pools, gate, flow).prop_map(
        |(share_rule, (pool_rule, injection_rule, root_rule), (rank, quantile, exponent), (cutoff_tao, power))| {
            let current = upgrades::current_params();
            ProtocolParams {
                share_rule,
                pool_rule,
                injection_rule,
                root_rule,
                hill_gate: HillGateParams { rank, quantile, exponent },
                tao_flow: TaoFlowParams { cutoff_tao, exponent: power, ..current.tao_flow },
                ..current
            }
        },
    )
}

fn any_subnet() -> impl Strategy<Value = SubnetState> {
    (any_pool(), any_share_input(), log_uniform(1.0, 1e7)).prop_map(|(pool, share, staked_alpha)| SubnetState {
        netuid: NetUid(1),
        registered_at: 8_000_000,
        first_emission_block: share.started.then_some(8_000_001),
        emission_enabled: share.enabled,
        reserve_tao: pool.reserve_tao,
        reserve_alpha: pool.reserve_alpha,
        weight_tao: pool.weight_tao,
        staked_alpha,
        protocol_alpha: 0.0,
        burned_alpha: 0.0,
        unclaimed_root_alpha: 0.0,
        moving_price: share.moving_price,
        miner_burned: share.miner_burned,
        flow: FlowState { averages: Some(share.flow), ..FlowState::default() },
        subnet_locked_tao: 0.0,
    })
}

fn any_chain() -> impl Strategy<Value = ChainState> {
    prop::collection::vec(any_subnet(), 1..12).prop_map(|mut subnets| {
        for (slot, subnet) in subnets.iter_mut().enumerate() {
            subnet.netuid = NetUid::from_slot(slot);
        }
        ChainState {
            block: 8_600_000,
            issuance_tao: 11.3e6,
            root_stake_tao: 5.45e6,
            last_lock_tao: 600.0,
            last_lock_block: 8_590_000,
            subnets,
        }
    })
}

fn tao_in_pools(state: &ChainState) -> f64 {
    state.subnets.iter().map(|subnet| subnet.reserve_tao).sum()
}

proptest! {
    #[test]
    fn trades_pay_less_than_the_reserve_and_never_a_better_price_for_more(
        pool in any_pool(), part in log_uniform(1e-9, 10.0), factor in 1.0..50.0,
    ) {
        let (small, large) = (part * pool.reserve_tao, part * factor * pool.reserve_tao);
        prop_assert!(pool.buy(small) > 0.0 && pool.buy(large) <= pool.reserve_alpha);
        prop_assert!(pool.buy(large) / large <= pool.buy(small) / small * (1.0 + 1e-14));
        prop_assert!(pool.buy(small) / small <= (1.0 + 1e-14) / pool.spot_price());
        let (small, large) = (part * pool.reserve_alpha, part * factor * pool.reserve_alpha);
        prop_assert!(pool.sell(small) > 0.0 && pool.sell(large) <= pool.reserve_tao);
        prop_assert!(pool.sell(large) / large <= pool.sell(small) / small * (1.0 + 1e-14));
        prop_assert!(pool.sell(small) / small <= (1.0 + 1e-14) * pool.spot_price());
    }

    /// Rounding of the alpha left in the pool counts at the price after the buy: it is what a gain is bounded by.
    #[test]
    fn round_trips_do_not_profit(pool in any_pool(), part in log_uniform(1e-9, 5.0)) {
        let spent = part * pool.reserve_tao;
        let after = pool.after_buy(spent);
        let returned = after.sell(pool.buy(spent));
        let rounding = 1e-15 * (after.reserve_tao + pool.reserve_alpha * after.spot_price());
        prop_assert!(returned <= spent + rounding, "{returned} for {spent}");
    }

    #[test]
    fn round_trips_in_rao_do_not_profit(
        reserve_tao in 1_000_000_000_u64..1_000_000_000_000_000,
        reserve_alpha in 1_000_000_000_u64..1_000_000_000_000_000,
        weight_tao in 400_000_000_000_000_000_u64..600_000_000_000_000_000,
        per_mille in 1_u64..2_000,
    ) {
        let mut pool = PoolRao { reserve_tao, reserve_alpha, weight_tao };
        let amount = reserve_tao / 1_000 * per_mille;
        let buy = SwapRequest { side: Side::Buy, amount, fee_rate: 33, price_limit: 1_000_000_000_000_000 };
        if let Ok(bought) = pool.swap(buy) {
            let sell = SwapRequest { side: Side::Sell, amount: bought.paid_out, fee_rate: 33, price_limit: 1_000 };
            if let Ok(sold) = pool.swap(sell) {
                prop_assert!(sold.paid_out <= amount);
            }
        }
    }

    #[test]
    fn a_trade_in_parts_pays_what_it_pays_at_once(pool in any_pool(), part in log_uniform(1e-6, 5.0), split in 0.01..0.99) {
        let amount = part * pool.reserve_alpha;
        let first = pool.sell(split * amount);
        let second = pool.after_sell(split * amount).sell((1.0 - split) * amount);
        prop_assert!((first + second - pool.sell(amount)).abs() <= 1e-12 * pool.reserve_tao);
    }

    #[test]
    fn what_is_quoted_in_rao_is_executed(
        reserve_tao in 1_000_000_u64..10_000_000_000_000_000,
        reserve_alpha in 1_000_000_u64..10_000_000_000_000_000,
        weight_tao in 100_000_000_000_000_000_u64..900_000_000_000_000_000,
        amount in 1_u64..100_000_000_000_000,
    ) {
        let before = PoolRao { reserve_tao, reserve_alpha, weight_tao };
        let mut pool = before;
        let request = SwapRequest { side: Side::Sell, amount, fee_rate: 33, price_limit: 0 };
        match pool.swap(request) {
            Ok(swap) => {
                prop_assert_eq!(swap.paid_out, before.quote(Side::Sell, swap.paid_in));
                prop_assert_eq!(pool.reserve_alpha, reserve_alpha + swap.paid_in);
                prop_assert_eq!(pool.reserve_tao, reserve_tao - swap.paid_out);
            }
            Err(_) => prop_assert_eq!(pool, before),
        }
    }

    #[test]
    fn injection_keeps_price_and_bounds(pool in any_pool(), tao in log_uniform(1e-6, 1e3), alpha in log_uniform(1e-6, 1e3)) {
        if let Some(weight_tao) = pool.weight_after_injection(tao, alpha) {
            prop_assert!((0.01..=0.99).contains(&weight_tao));
            let (reserve_tao, reserve_alpha) = (pool.reserve_tao + tao, pool.reserve_alpha + alpha);
            let after = Pool { reserve_tao, reserve_alpha, weight_tao };
            prop_assert!((after.spot_price() / pool.spot_price() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn shares_are_fractions_that_sum_to_one_or_zero(
        rules in any_rules(), threshold in 0.0..0.5, inputs in prop::collection::vec(any_share_input(), 0..200),
    ) {
        let mut shares = Vec::new();
        share_rules::emission_shares(&rules, threshold, &inputs, &mut shares);
        prop_assert_eq!(shares.len(), inputs.len());
        let sum: f64 = shares.iter().sum();
        prop_assert!(sum == 0.0 || (sum - 1.0).abs() < 1e-13, "sum {}", sum);
        for (share, input) in shares.iter().zip(&inputs) {
            prop_assert!((0.0..=1.0).contains(share));
            prop_assert!(*share == 0.0 || input.started && input.enabled);
        }
    }

    #[test]
    fn injection_and_chain_buy_spend_the_emission(
        rule in select(InjectionRule::ALL), share in 0.0..1.0, price in log_uniform(1e-6, 1e3),
        root_proportion in 0.0..1.0, alpha_emission in select(vec![1.0, 0.5, 0.25]),
        block_emission_tao in select(vec![1.0, 0.5, 0.25]),
    ) {
        let emission_tao = share * block_emission_tao;
        let terms = InjectionTerms { emission_tao, price, root_proportion, alpha_emission, block_emission_tao };
        let split = emission::inject(rule, &terms);
        prop_assert!((split.tao + split.excess_tao - emission_tao).abs() < 1e-15);
        prop_assert!(split.alpha <= terms.cap_alpha(rule).max(alpha_emission));
        prop_assert!(split.tao >= 0.0 && split.excess_tao >= 0.0);
        if rule.keeps_price() {
            prop_assert!((split.alpha * price - split.tao).abs() <= 1e-15 * split.tao);
        }
    }

    #[test]
    fn alpha_out_is_split_whole(alpha in 0.0..1.0, cut in 0.0..1.0, stake in 0.0..1e7, issuance in 1.0..2e7) {
        let rho = root::root_proportion(0.18, stake, issuance);
        prop_assert!((0.0..1.0).contains(&rho));
        let split = emission::split_alpha(alpha, cut, rho);
        prop_assert!((split.owner + split.server + split.validator + split.root - alpha).abs() < 1e-15);
        prop_assert!(split.validator >= -1e-16 && split.root >= 0.0);
    }

    /// TAO: what is minted is in the pools. Alpha: per subnet what the report names and nothing else. An f64 at 1e7
    /// tokens steps by 1.9e-9, some of which add up.
    #[test]
    fn a_coinbase_conserves_tao_and_alpha(params in any_rules(), mut state in any_chain()) {
        let before = state.clone();
        let (mut gate, mut report) = (HillGate::of(&params, &state), BlockReport::default());
        block::coinbase(&params, Rounding::Continuous, &mut state, &mut gate, &[], &mut report);
        let into_root = state.root_stake_tao - before.root_stake_tao;
        let into_pools = tao_in_pools(&state) - tao_in_pools(&before) + into_root;
        prop_assert!((into_pools + report.recycled_tao - report.minted_tao).abs() < 1e-8);
        prop_assert!((state.issuance_tao - before.issuance_tao - into_pools).abs() < 1e-8);
        for ((after, before), emitted) in state.subnets.iter().zip(&before.subnets).zip(&report.subnets) {
            let split = emitted.alpha_out;
            let fate = params.root_rule.root_alpha(report.sell_flag, emitted.excess_tao > 0.0);
            let kept_root = if fate == RootAlpha::Recycled { 0.0 } else { split.root };
            let recycled = if params.injection_rule.keeps_bought_alpha() { 0.0 } else { emitted.bought_alpha };
            let minted = emitted.injected_alpha + split.owner + split.server + split.validator + kept_root - recycled;
            prop_assert!((after.issuance_alpha() - before.issuance_alpha() - minted).abs() < 1e-8);
            prop_assert!(after.reserve_tao > 0.0 && after.reserve_alpha > 0.0);
            prop_assert!((0.0..=1.0).contains(&after.moving_price));
            prop_assert!((0.01..=0.99).contains(&after.weight_tao));
        }
    }

    #[test]
    fn orders_conserve_tao_and_alpha(mut state in any_chain(), part in log_uniform(1e-6, 0.5), is_buy in any::<bool>()) {
        let params = upgrades::current_params();
        let before = state.subnets[0].clone();
        let netuid = before.netuid;
        let order = if is_buy {
            Order::Buy { netuid, gross_tao: part * before.reserve_tao }
        } else {
            Order::Sell { netuid, gross_alpha: part * before.staked_alpha }
        };
        let executed = trade::execute(&params, Rounding::Continuous, &mut state, order);
        let after = &state.subnets[0];
        prop_assert!((after.issuance_alpha() - before.issuance_alpha()).abs() < 1e-8);
        match executed {
            Ok(trade) if is_buy => {
                let paid = after.reserve_tao - before.reserve_tao + trade.fee;
                prop_assert!((paid - trade.paid_in).abs() < 1e-9 && trade.paid_in <= part * before.reserve_tao * (1.0 + 1e-15));
            }
            Ok(trade) => {
                let paid = trade.paid_out + trade.author_tao;
                prop_assert!((before.reserve_tao - after.reserve_tao - paid).abs() < 1e-9);
                prop_assert!((before.staked_alpha - after.staked_alpha - trade.paid_in).abs() < 1e-8);
                prop_assert!(trade.paid_out > 0.0 && after.reserve_tao > 0.0);
            }
            Err(_) => prop_assert_eq!(after, &before),
        }
    }

    #[test]
    fn dissolution_pays_out_the_whole_pot(
        pot in 0..1_000_000_000_000_000_u64,
        stakes in prop::collection::vec(0..10_000_000_000_000_000_u64, 1..60),
        protocol_weight in 0..10_000_000_000_000_000_u64,
    ) {
        let payouts = dissolve::payouts_rao(pot, &stakes, protocol_weight);
        let weights: u128 = stakes.iter().chain([&protocol_weight]).map(|weight| u128::from(*weight)).sum();
        let paid = payouts.stakes.iter().sum::<u64>() + payouts.protocol;
        prop_assert_eq!(paid, if weights > 0 { pot } else { 0 });
        for (stake, paid) in stakes.iter().zip(&payouts.stakes) {
            let exact = u128::from(pot) * u128::from(*stake) / weights.max(1);
            prop_assert!(u128::from(*paid) == exact || u128::from(*paid) == exact + 1);
        }
    }
}
