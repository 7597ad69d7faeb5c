//! Five consecutive blocks of three subnets, and static figures, from an exact integer emulation of the rules.

use serde_json::Value;
use taorisk::protocol::block;
use taorisk::protocol::block::BlockInputs;
use taorisk::protocol::block::BlockReport;
use taorisk::protocol::block::EpochOutcome;
use taorisk::protocol::block::HillGate;
use taorisk::protocol::block::SubnetReport;
use taorisk::protocol::dissolve;
use taorisk::protocol::emission;
use taorisk::protocol::emission::InjectionRule;
use taorisk::protocol::emission::InjectionTerms;
use taorisk::protocol::fixed::Rounding;
use taorisk::protocol::moving_price;
use taorisk::protocol::params::ProtocolParams;
use taorisk::protocol::pool::Pool;
use taorisk::protocol::pool_rao::PoolRao;
use taorisk::protocol::pool_rao::Side;
use taorisk::protocol::pool_rao::SwapRequest;
use taorisk::protocol::registration::LockCostRao;
use taorisk::protocol::root;
use taorisk::protocol::share_rules;
use taorisk::protocol::share_rules::FlowAverages;
use taorisk::protocol::share_rules::ShareInput;
use taorisk::protocol::share_rules::ShareRule;
use taorisk::protocol::state::ChainState;
use taorisk::protocol::state::FlowState;
use taorisk::protocol::state::SubnetState;
use taorisk::protocol::trade::Order;
use taorisk::protocol::trade::Trade;
use taorisk::protocol::upgrades;
use taorisk::units::NetUid;

use crate::vectors::Deviations;
use crate::vectors::array;
use crate::vectors::decimal;
use crate::vectors::document;
use crate::vectors::fixed;
use crate::vectors::flag;
use crate::vectors::integer;
use crate::vectors::params;
use crate::vectors::rao;
use crate::vectors::tokens;

const NAMES: [&str; 3] = ["A", "B", "C"];
/// Shares, prices and weights are printed with 12 or more decimals.
const RELATIVE: f64 = 1e-12;
/// Amounts of the state keep the fractions of a rao that the chain floors away in each block, and the step of an f64.
const STATE_RAO: f64 = 3.0;

/// Distance of an amount in tokens from the chain's, in rao.
fn rao_apart(ours: f64, chain: &Value) -> f64 {
    (ours * 1e9 - rao(chain) as f64).abs()
}

fn relative_deviation(ours: f64, chain: f64) -> f64 {
    if chain == 0.0 { ours.abs() } else { (ours / chain - 1.0).abs() }
}

fn chain_params(inputs: &Value) -> ProtocolParams {
    ProtocolParams {
        tao_weight: rao(&inputs["tao_weight_u64"]) as f64 / u64::MAX as f64,
        owner_cut: rao(&inputs["owner_cut_u16"]) as f64 / 65_535.0,
        fee_rate: rao(&inputs["fee_rate_u16"]) as f64 / 65_535.0,
        moving_price_smoothing: fixed(&inputs["subnet_moving_alpha_i96f32_raw"], 32),
        moving_price_age_blocks: rao(&inputs["ema_price_halving_blocks"]) as f64,
        ..params()
    }
}

fn subnet(inputs: &Value, name: &str) -> SubnetState {
    let state = &inputs["state"][name];
    let protocol_alpha = tokens(&state["protocol_alpha"]);
    SubnetState {
        netuid: NetUid(rao(&inputs["netuid"][name]) as u16),
        registered_at: 0,
        first_emission_block: Some(rao(&inputs["first_emission_block"][name])),
        emission_enabled: flag(&state["emission_enabled"]),
        reserve_tao: tokens(&state["tao"]),
        reserve_alpha: tokens(&state["alpha_in"]),
        weight_tao: rao(&state["w_quote_perquintill"]) as f64 / 1e18,
        staked_alpha: tokens(&state["alpha_out"]) - protocol_alpha,
        protocol_alpha,
        burned_alpha: 0.0,
        unclaimed_root_alpha: 0.0,
        moving_price: fixed(&state["ema_price_raw_i96f32"], 32),
        miner_burned: fixed(&state["miner_burned_raw_u96f32"], 32),
        flow: FlowState::default(),
        subnet_locked_tao: 0.0,
    }
}

fn chain_state(inputs: &Value) -> ChainState {
    ChainState {
        block: rao(&inputs["start_block"]),
        issuance_tao: tokens(&inputs["total_issuance"]),
        root_stake_tao: tokens(&inputs["root_tao_reserve"]),
        last_lock_tao: 0.0,
        last_lock_block: 0,
        subnets: NAMES.iter().map(|name| subnet(inputs, name)).collect(),
    }
}

/// What the script of the example brings into the block that `expected` describes.
fn block_inputs(expected: &Value) -> BlockInputs {
    let mut inputs = BlockInputs::default();
    match rao(&expected["block"]) {
        8_600_002 => inputs.orders.push(Order::Buy { netuid: NetUid(1), gross_tao: 100.0 }),
        8_600_003 => {
            inputs.orders.push(Order::Sell { netuid: NetUid(2), gross_alpha: 500.0 });
            inputs.emission_switches.push((NetUid(3), true));
        }
        8_600_004 => inputs.epochs.push(EpochOutcome {
            netuid: NetUid(2),
            miner_burned: fixed(&expected["epoch"]["miner_burned_new_raw"], 32),
            recycled_alpha: 0.0,
        }),
        _ => {}
    }
    inputs
}

#[test]
fn five_blocks() {
    let example = document("worked_example.json");
    let params = chain_params(&example["inputs"]);
    let mut state = chain_state(&example["inputs"]);
    let mut gate = HillGate::of(&params, &state);
    let mut report = BlockReport::default();
    let mut worst = Deviations::of("worked_example, five blocks");
    for expected in array(&example["blocks"]) {
        let inputs = block_inputs(expected);
        block::advance_block(&params, Rounding::Floored, &mut state, &mut gate, &inputs, &mut report);
        let case = expected["block"].to_string();
        worst.equal("block", state.block, rao(&expected["block"]), &case);
        worst.equal("sell flag", report.sell_flag, flag(&expected["root_sell_flag"]), &case);
        worst.note("minted tao (rao)", 1.0, rao_apart(report.minted_tao, &expected["tao_emission"]), &case);
        worst.note("recycled tao (rao)", 1.0, rao_apart(report.recycled_tao, &expected["credit_recycled"]), &case);
        compare_trades(&mut worst, &report, expected, &case);
        for (slot, name) in NAMES.iter().enumerate() {
            let case = format!("{case} {name}");
            let share = decimal(&expected["final_share"][name]);
            let subnet = &report.subnets[slot];
            worst.note("share (relative)", RELATIVE, relative_deviation(subnet.emission_share, share), &case);
            compare_report(&mut worst, subnet, &expected["subnets"][name], &case);
            compare_state(&mut worst, &state.subnets[slot], &expected["state_end"][name], &case);
            let raw = (state.subnets[slot].moving_price * 4_294_967_296.0) as u64;
            worst.equal("moving price (bits)", raw, rao(&expected["subnets"][name]["ema_after_raw"]), &case);
        }
        let issuance = rao_apart(state.issuance_tao, &expected["state_end"]["total_issuance"]);
        worst.note("issuance (rao)", STATE_RAO, issuance, &case);
    }
    worst.finish();
}

fn compare_report(worst: &mut Deviations, ours: &SubnetReport, chain: &Value, case: &str) {
    for (column, amount) in [("injection_cap_rao_alpha", ours.injection_cap_alpha), ("emission_rao", ours.emission_tao)]
    {
        let deviation = (amount * 1e9 - decimal(&chain[column])).abs();
        worst.note(column, 1e-6, deviation, case);
    }
    for (column, amount) in [
        ("tao_in", ours.injected_tao),
        ("alpha_in", ours.injected_alpha),
        ("excess_tao", ours.excess_tao),
        ("chain_buy_alpha", ours.bought_alpha),
        ("owner_cut", ours.alpha_out.owner),
        ("server_alpha", ours.alpha_out.server),
        ("validator_alpha", ours.alpha_out.validator),
        ("root_alpha", ours.alpha_out.root),
    ] {
        worst.note(&format!("{column} (rao)"), 1.0, rao_apart(amount, &chain[column]), case);
    }
    let spot_price = decimal(&chain["spot_after_injection_and_buy"]);
    worst.note(
        "root proportion",
        RELATIVE,
        (ours.root_proportion - decimal(&chain["root_proportion_pre"])).abs(),
        case,
    );
    worst.note("spot price (relative)", RELATIVE, relative_deviation(ours.spot_price, spot_price), case);
    let weight = rao(&chain["w_quote_after"]) as f64 / 1e18;
    worst.note("weight (relative)", RELATIVE, relative_deviation(ours.weight_tao, weight), case);
}

fn compare_state(worst: &mut Deviations, ours: &SubnetState, chain: &Value, case: &str) {
    for (column, amount) in [
        ("alpha_in", ours.reserve_alpha),
        ("tao", ours.reserve_tao),
        ("alpha_out", ours.outstanding_alpha()),
        ("protocol_alpha", ours.protocol_alpha),
    ] {
        worst.note(&format!("{column} after (rao)"), STATE_RAO, rao_apart(amount, &chain[column]), case);
    }
    worst.equal("miner burned", ours.miner_burned, fixed(&chain["miner_burned_raw_u96f32"], 32), case);
    worst.equal("emission enabled", ours.emission_enabled, flag(&chain["emission_enabled"]), case);
    let spot_price = fixed(&chain["spot_price_u64f64_raw"], 64);
    let deviation = relative_deviation(Pool::from(ours).spot_price(), spot_price);
    worst.note("spot price after (relative)", RELATIVE, deviation, case);
}

fn compare_trades(worst: &mut Deviations, report: &BlockReport, expected: &Value, case: &str) {
    let Some(extrinsic) = expected.get("extrinsic") else {
        return worst.equal("trades", report.trades.len(), 0, case);
    };
    let trade: &Trade = report.trades[0].as_ref().expect("the order is executed");
    let (kind, columns) = if let Some(buy) = extrinsic.get("A_buy") {
        (buy, ["fee_tao_to_author", "alpha_out", "fee_tao_to_author"])
    } else {
        (&extrinsic["B_sell"], ["fee_alpha", "tao_out_to_seller", "author_fee_tao"])
    };
    for (column, amount) in columns.into_iter().zip([trade.fee, trade.paid_out, trade.author_tao]) {
        let value = kind.get(column).unwrap_or_else(|| panic!("{column} in {kind}"));
        worst.note(&format!("trade {column} (rao)"), 1.0, rao_apart(amount, value), case);
    }
}

#[test]
fn share_rules() {
    let example = document("worked_example.json");
    let (inputs, expected) =
        (&example["static_checks"]["share_regimes"]["inputs"], &example["static_checks"]["share_regimes"]["shares"]);
    let names = ["S1", "S2", "S3", "S4"];
    let mut worst = Deviations::of("worked_example, shares");
    for (case, share_rule, cutoff_tao, exponent, all_enabled) in [
        ("price_ema", ShareRule::P0, 0.0, 1.0, true),
        ("taoflow_cutoff0_p1", ShareRule::F2, 0.0, 1.0, true),
        ("taoflow_cutoff0_p2", ShareRule::F1, 0.0, 2.0, true),
        ("taoflow_cutoff_minus_5e6_p1", ShareRule::F0, -0.005, 1.0, true),
        ("taoflow_cutoff_minus_20e6_p1", ShareRule::F2, -0.02, 1.0, true),
        ("net_taoflow_cutoff0_p1", ShareRule::N, 0.0, 1.0, true),
        ("price_x_rootprop_x_1_minus_mb", ShareRule::E1, 0.0, 1.0, true),
        ("price_x_1_minus_mb", ShareRule::E2, 0.0, 1.0, true),
        ("price_x_1_minus_mb_S4_disabled", ShareRule::E2, 0.0, 1.0, false),
    ] {
        let root_stake = decimal(&inputs["root_tao"]);
        let share_inputs = names.map(|name| ShareInput {
            moving_price: decimal(&inputs["ema_price"][name]),
            miner_burned: decimal(&inputs["miner_burned"][name]),
            root_proportion: root::root_proportion(0.18, root_stake, decimal(&inputs["alpha_issuance_tokens"][name])),
            flow: FlowAverages {
                user: decimal(&inputs["user_flow_ema_rao_per_block"][name]) / 1e9,
                protocol: decimal(&inputs["protocol_flow_ema_rao_per_block"][name]) / 1e9,
            },
            started: true,
            enabled: all_enabled || flag(&inputs["emission_enabled"][name]),
        });
        let mut params = ProtocolParams { share_rule, ..upgrades::current_params() };
        (params.tao_flow.cutoff_tao, params.tao_flow.exponent) = (cutoff_tao, exponent);
        let mut shares = Vec::new();
        share_rules::emission_shares(&params, 0.0, &share_inputs, &mut shares);
        for (name, share) in names.into_iter().zip(shares) {
            worst.note(case, 5.1e-13, (share - decimal(&expected[case][name])).abs(), name);
        }
    }
    worst.finish();
}

#[test]
fn injection_rule() {
    let example = document("worked_example.json");
    let regimes = &example["static_checks"]["injection_regimes"];
    let shares = &example["static_checks"]["share_regimes"];
    let mut worst = Deviations::of("worked_example, injection");
    for name in ["S1", "S2", "S3", "S4"] {
        let issuance = decimal(&shares["inputs"]["alpha_issuance_tokens"][name]);
        let rho = root::root_proportion(0.18, decimal(&shares["inputs"]["root_tao"]), issuance);
        let emission =
            decimal(&regimes["inputs"]["tao_block_emission"]) * decimal(&shares["shares"]["price_ema"][name]);
        let terms = InjectionTerms {
            emission_tao: emission,
            price: decimal(&regimes["inputs"]["spot"][name]),
            root_proportion: rho,
            alpha_emission: decimal(&regimes["inputs"]["alpha_block_emission"]),
            block_emission_tao: decimal(&regimes["inputs"]["tao_block_emission"]),
        };
        for (version, rule) in [
            ("J0_spec233", InjectionRule::J0),
            ("J1_spec298", InjectionRule::J1),
            ("J2_spec320", InjectionRule::J2),
            ("J3_spec342", InjectionRule::J3),
            ("J4_spec362", InjectionRule::J4),
            ("J4_spec362", InjectionRule::J4b),
            ("J5_spec421", InjectionRule::J5),
        ] {
            let expected = &regimes["results"][name][version];
            let split = emission::inject(rule, &terms);
            for (column, ours) in [("tao_in", split.tao), ("alpha_in", split.alpha), ("excess", split.excess_tao)] {
                let deviation = (ours - decimal(&expected[column])).abs();
                worst.note(&format!("{version} {column}"), 5e-12, deviation, name);
            }
            if let Some(cap) = expected.get("cap") {
                worst.note(&format!("{version} cap"), 5e-12, (terms.cap_alpha(rule) - decimal(cap)).abs(), name);
            }
            if let Some(is_subsidised) = expected.get("subsidised") {
                worst.equal("subsidised", split.excess_tao > 0.0, flag(is_subsidised), name);
            }
        }
    }
    worst.finish();
}

#[test]
fn moving_price_of_a_new_subnet() {
    let example = document("worked_example.json");
    let expected = &example["static_checks"]["ema_warmup"]["ema_raw_by_blocks_since_start_call"];
    let smoothing = rao(&example["static_checks"]["ema_warmup"]["inputs"]["SubnetMovingAlpha_raw"]);
    let spot_price = (1_u128 << 64) / 10;
    let mut worst = Deviations::of("worked_example, warm-up of the moving price");
    let mut raw = 0;
    for age in 1..=432_000 {
        raw = moving_price::update_raw(raw, spot_price, smoothing, age, 201_600);
        if let Some(value) = expected.get(age.to_string()) {
            worst.equal("moving price (bits)", raw, rao(value), &age.to_string());
        }
    }
    worst.finish();
}

#[test]
fn lock_cost() {
    let example = document("worked_example.json");
    let check = &example["static_checks"]["lock_cost"];
    let inputs = &check["inputs"];
    let last = LockCostRao {
        last_lock: rao(&inputs["last_lock_rao"]),
        last_lock_block: rao(&inputs["last_block"]),
        min_lock: rao(&inputs["min_lock_rao"]),
        reduction_interval: rao(&inputs["NetworkLockReductionInterval"]),
    };
    let emission = rao(&inputs["block_emission_rao"]);
    let mut worst = Deviations::of("worked_example, lock cost");
    for (elapsed, cost) in check["cost_by_blocks_since_last"].as_object().expect("costs") {
        let block = last.last_lock_block + elapsed.parse::<u64>().expect("a number of blocks");
        worst.equal("cost (rao)", last.at(block, emission), rao(cost), elapsed);
    }
    worst.finish();
}

#[test]
fn dissolution() {
    let example = document("worked_example.json");
    let check = &example["static_checks"]["dissolve"];
    let inputs = &check["inputs"];
    let names = ["h1c1", "h1c2", "h2c1"];
    let stakes = names.map(|name| rao(&inputs["alpha_out_holders"][name]));
    let staked = stakes.iter().sum::<u64>() as f64;
    let (pot, in_pool) = (rao(&inputs["subnet_tao_rao"]), rao(&inputs["alpha_in"]));
    let protocol_alpha = rao(&inputs["protocol_alpha"]);
    let params = params();
    let mut worst = Deviations::of("worked_example, dissolution");
    for (rule, registered_at) in [
        ("new_rule_registered_after_TaoInRefundDeploymentBlock", params.tao_in_refund_block + 1),
        ("legacy_rule", params.tao_in_refund_block),
    ] {
        let expected = &check[rule];
        let payouts = dissolve::payouts_rao(pot, &stakes, rao(&expected["protocol_weight"]));
        for (name, paid) in names.into_iter().zip(&payouts.stakes) {
            worst.equal("payout (rao)", *paid, rao(&expected["shares"][name]), rule);
        }
        worst.equal("recycled (rao)", payouts.protocol, rao(&expected["recycled_tao"]), rule);
        let rate = dissolve::payout_per_alpha(
            &params,
            pot as f64,
            staked,
            in_pool as f64,
            protocol_alpha as f64,
            registered_at,
        );
        // The example divides the rao that the first staker receives by that stake.
        let deviation = (rate - decimal(&expected["payout_per_alpha"])).abs() * stakes[0] as f64;
        worst.note("payout per alpha (rao to the first staker)", 1.0, deviation, rule);
    }
    worst.finish();
}

#[test]
fn trades() {
    let example = document("worked_example.json");
    let check = &example["static_checks"]["amm"];
    let inputs = &check["inputs"];
    let fee_rate = rao(&inputs["fee_rate_u16"]) as u16;
    let mut worst = Deviations::of("worked_example, trades");
    for expected in array(&check["cases"]) {
        let pool = PoolRao {
            reserve_tao: rao(&inputs["tao_reserve"]),
            reserve_alpha: rao(&inputs["alpha_reserve"]),
            weight_tao: integer(&expected["w_quote_perquintill"]) as u64,
        };
        let case = pool.weight_tao.to_string();
        for (side, name, gross, fee, paid_out, price_limit) in [
            (Side::Buy, "buy", "tao_gross", "fee", "alpha_out", u64::MAX),
            (Side::Sell, "sell", "alpha_gross", "fee_alpha", "tao_out", 0),
        ] {
            let expected = &expected[name];
            let asked = SwapRequest { side, amount: rao(&expected[gross]), fee_rate, price_limit };
            let swap = pool.clone().swap(asked).expect("the trade is executed");
            worst.equal("fee (rao)", swap.fee, rao(&expected[fee]), &case);
            worst.distance("paid out (rao)", 1.0, swap.paid_out, rao(&expected[paid_out]), &case);
        }
    }
    let inject = &check["injection_weight_update"];
    let mut pool = PoolRao {
        reserve_tao: rao(&inject["inputs"]["y"]),
        reserve_alpha: rao(&inject["inputs"]["x"]),
        weight_tao: rao(&inject["inputs"]["w_quote"]),
    };
    worst.equal("spot before (bits)", pool.spot_price_raw(), integer(&inject["spot_before_u64f64_raw"]), "injection");
    assert!(pool.inject(rao(&inject["inputs"]["tao_in"]), rao(&inject["inputs"]["alpha_in"])));
    worst.equal("weight", pool.weight_tao, rao(&inject["w_quote_after"]), "injection");
    worst.equal("spot after (bits)", pool.spot_price_raw(), integer(&inject["spot_after_u64f64_raw"]), "injection");
    worst.finish();
}
