//! Emission shares, the terms of injection, and the emission step of single subnets.

use serde_json::Value;
use taorisk::protocol::block;
use taorisk::protocol::block::EmissionContext;
use taorisk::protocol::emission;
use taorisk::protocol::emission::InjectionRule;
use taorisk::protocol::emission::InjectionTerms;
use taorisk::protocol::fixed::Rounding;
use taorisk::protocol::fixed::floor_32;
use taorisk::protocol::params::ProtocolParams;
use taorisk::protocol::pool::Pool;
use taorisk::protocol::root;
use taorisk::protocol::share_rules;
use taorisk::protocol::share_rules::ShareInput;
use taorisk::protocol::state::FlowState;
use taorisk::protocol::state::SubnetState;
use taorisk::units::NetUid;

use crate::amm;
use crate::vectors::Deviations;
use crate::vectors::array;
use crate::vectors::fixed;
use crate::vectors::flag;
use crate::vectors::params;
use crate::vectors::rao;
use crate::vectors::rows;
use crate::vectors::text;
use crate::vectors::tokens;

fn share_input(subnet: &Value) -> ShareInput {
    let stable = rao(&subnet["mechanism"]) == 0;
    ShareInput {
        moving_price: if stable { 1.0 } else { fixed(&subnet["moving_price_i96f32"], 32) },
        miner_burned: fixed(&subnet["miner_burned_u96f32"], 32),
        started: flag(&subnet["registration_allowed"])
            && flag(&subnet["subtoken_enabled"])
            && !subnet["first_emission_block"].is_null(),
        enabled: flag(&subnet["emission_enabled"]),
        ..ShareInput::default()
    }
}

#[test]
fn shares() {
    let mut worst = Deviations::of("shares_price");
    for row in rows("shares_price") {
        let (case, out) = (text(&row["case"]), &row["out"]);
        let inputs: Vec<ShareInput> = array(&row["subnets"]).iter().map(share_input).collect();
        let eligible: Vec<usize> = (0..inputs.len()).filter(|slot| inputs[*slot].started).collect();
        let netuids: Vec<u64> = eligible.iter().map(|slot| rao(&row["subnets"][*slot]["netuid"])).collect();
        worst.equal("eligible", netuids, array(&out["eligible"]).iter().map(rao).collect(), case);

        let unburned: Vec<ShareInput> = inputs.iter().map(|input| ShareInput { miner_burned: 0.0, ..*input }).collect();
        let (mut price_shares, mut e2, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        share_rules::ungated_shares(&params(), &unburned, &mut price_shares);
        share_rules::ungated_shares(&params(), &inputs, &mut e2);
        share_rules::emission_shares(&params(), 0.0, &inputs, &mut shares);
        let minted = rao(&row["block_emission"]) as f64;
        let mut emitted = 0.0;
        for (place, slot) in eligible.iter().enumerate() {
            let chain = fixed(&out["price_share_u64f64"][place], 64);
            worst.note("price share", 2e-16, (price_shares[*slot] - chain).abs(), case);
            let chain = fixed(&out["share_u64f64"][place], 64);
            worst.note("share after burn", 2e-16, (e2[*slot] - chain).abs(), case);
            let chain = fixed(&out["emission_u96f32"][place], 32);
            worst.note("emission (rao)", 1.3e-7, (minted * shares[*slot] - chain).abs(), case);
            emitted += chain;
        }
        let together: f64 = shares.iter().map(|share| minted * share).sum();
        worst.note("emission together (rao)", 1.2e-6, (together - emitted).abs(), case);
        let sum = inputs.iter().filter(|input| input.started).map(|input| input.moving_price).sum();
        worst.equal("root sell flag", root::sell_flag(sum), flag(&out["root_sell_flag"]), case);
    }
    worst.finish();
}

/// `TaoWeight` as the chain uses it.
fn tao_weight(row: &Value) -> f64 {
    floor_32(rao(&row["tao_weight_u64"]) as f64 / u64::MAX as f64)
}

fn is_ordinary(row: &Value) -> bool {
    matches!(text(&row["kind"]), "realistic" | "fresh")
}

/// The pool of a row, in real numbers of rao.
fn pool_in_rao(subnet: &Value) -> Pool {
    Pool {
        reserve_tao: rao(&subnet["tao"]) as f64,
        reserve_alpha: rao(&subnet["alpha_in"]) as f64,
        weight_tao: rao(&subnet["quote_weight"]) as f64 / 1e18,
    }
}

#[test]
fn terms() {
    let mut worst = Deviations::of("subnet_terms");
    for row in rows("subnet_terms") {
        let (case, out) = (text(&row["case"]), &row["out"]);
        let (kind, tolerance) = if is_ordinary(&row) { ("ordinary", 1e-7) } else { ("extreme", 107.0) };
        for (slot, subnet) in array(&row["subnets"]).iter().enumerate() {
            let pool = pool_in_rao(subnet);
            let issuance = rao(&subnet["alpha_in"]) + rao(&subnet["alpha_out"]);
            let alpha_out = emission::block_emission_rao(issuance) as f64;
            let rho = floor_32(root::root_proportion(tao_weight(&row), rao(&row["root_tao"]) as f64, issuance as f64));
            let emission_rao = fixed(&subnet["tao_emission_u96f32"], 32);
            let injection = InjectionTerms {
                emission_tao: emission_rao,
                price: floor_32(pool.spot_price()),
                root_proportion: rho,
                alpha_emission: alpha_out,
                // Not read by the rule of this commit.
                block_emission_tao: f64::NAN,
            };
            let terms = emission::inject(InjectionRule::J5, &injection);
            let chain = |column: &str| fixed(&out[column][slot], 32);
            worst.note("root proportion", 2.4e-10, (rho - chain("root_proportion_u96f32")).abs(), case);
            worst.equal("alpha out (rao)", alpha_out, chain("alpha_out_u96f32"), case);
            // The chain truncates the alpha to 2^-32 rao before it multiplies by the price.
            let step = (1.0 + floor_32(pool.spot_price())) / 4_294_967_296.0 + 1e-7;
            let scaled = (terms.tao - chain("tao_in_u96f32")).abs() / step;
            worst.note("injected tao / (2^-32 (1 + price) + 1e-7 rao)", 1.0, scaled, case);
            let mut note = |quantity: &str, ours: f64, column: &str| {
                worst.note(&format!("{quantity} (rao), {kind}"), tolerance, (ours - chain(column)).abs(), case);
            };
            note("injected tao", terms.tao, "tao_in_u96f32");
            note("injected alpha", terms.alpha, "alpha_in_u96f32");
            note("excess tao", terms.excess_tao, "excess_tao_u96f32");
        }
    }
    worst.finish();
}

fn subnet_state(subnet: &Value) -> SubnetState {
    SubnetState {
        netuid: NetUid(rao(&subnet["netuid"]) as u16),
        registered_at: 0,
        first_emission_block: Some(1),
        emission_enabled: true,
        reserve_tao: tokens(&subnet["tao"]),
        reserve_alpha: tokens(&subnet["alpha_in"]),
        weight_tao: rao(&subnet["quote_weight"]) as f64 / 1e18,
        staked_alpha: tokens(&subnet["alpha_out"]),
        protocol_alpha: 0.0,
        burned_alpha: 0.0,
        unclaimed_root_alpha: 0.0,
        moving_price: 0.0,
        miner_burned: 0.0,
        flow: FlowState::default(),
        subnet_locked_tao: 0.0,
    }
}

#[test]
fn emission_steps() {
    let mut worst = Deviations::of("emit_step");
    for row in rows("emit_step") {
        let mut spent = 0.0;
        for (slot, subnet) in array(&row["subnets"]).iter().enumerate() {
            spent += compare_step(&mut worst, &row, slot, subnet);
        }
        let before = i128::from(rao(&row["total_issuance_after_mint"]));
        let recycled = rao(&row["block_emission"]) as f64 - 1e9 * spent;
        let chain = (before - i128::from(rao(&row["out"]["total_issuance"]))) as f64;
        worst.note("recycled tao (rao)", 1.0, (recycled - chain).abs(), text(&row["case"]));
    }
    worst.finish();
}

/// Compares one subnet's step and returns the TAO that it took (tokens).
fn compare_step(worst: &mut Deviations, row: &Value, slot: usize, subnet: &Value) -> f64 {
    let (case, out) = (text(&row["case"]), &row["out"]);
    let owner_cut = if flag(&subnet["owner_cut_enabled"]) { rao(&row["owner_cut_u16"]) as f64 / 65_535.0 } else { 0.0 };
    let params = ProtocolParams { tao_weight: tao_weight(row), owner_cut, ..params() };
    let sell_flag = flag(&row["root_sell_flag"]);
    let root_stake_tao = tokens(&row["root_tao"]);
    let context = EmissionContext {
        params: &params,
        rounding: Rounding::Floored,
        // Not read by the rule of this commit.
        block_emission_tao: f64::NAN,
        root_stake_tao,
        sell_flag,
    };
    let mut state = subnet_state(subnet);
    let report = block::emit_to_subnet(&context, &mut state, fixed(&subnet["tao_emission_u96f32"], 32) / 1e9);

    let (kind, injected_tolerance) = if is_ordinary(row) { ("ordinary", 1.0) } else { ("extreme", 107.0) };
    // The chain's counters leave out what a refused chain buy lost and root alpha that was recycled.
    let spent_tao = if report.bought_alpha > 0.0 { report.excess_tao } else { 0.0 };
    let kept_root = if sell_flag { report.alpha_out.root } else { 0.0 };
    for (column, ours, tolerance) in [
        ("tao", state.reserve_tao, injected_tolerance),
        ("alpha_in", state.reserve_alpha, 1.0),
        ("alpha_out", state.outstanding_alpha(), 1.0),
        ("tao_in_emission", report.injected_tao, injected_tolerance),
        ("alpha_in_emission", report.injected_alpha, 1.0),
        ("excess_tao", spent_tao, 1.0),
        ("protocol_alpha", report.bought_alpha, 1.0),
        ("pending_owner_cut", report.alpha_out.owner, 1.0),
        ("pending_server", report.alpha_out.server, 1.0),
        ("pending_validator", report.alpha_out.validator, 1.0),
        ("pending_root", kept_root, 1.0),
    ] {
        let chain = rao(&out[column][slot]) as f64;
        // Beyond the step of an f64 in tokens, up to 2 rao at 10^16.
        let deviation = (ours * 1e9 - chain).abs() - chain * f64::EPSILON;
        worst.note(&format!("{column} (rao), {kind}"), tolerance, deviation.max(0.0), case);
    }
    // The chain truncates the alpha to 2^-32 rao before it multiplies by the price.
    let step = 1.0 + pool_in_rao(subnet).spot_price() / 4_294_967_296.0;
    let deviation = (report.injected_tao * 1e9 - rao(&out["tao_in_emission"][slot]) as f64).abs();
    worst.note("injected tao / (1 rao + 2^-32 price)", 1.0, deviation / step, case);
    let weight = rao(&out["quote_weight"][slot]) as f64 / 1e18;
    let (tao, alpha) = (1e9 * report.injected_tao, 1e9 * report.injected_alpha);
    let pool = pool_in_rao(subnet);
    let rounding = amm::weight_rounding(&pool, tao, alpha) + deviation / (pool.reserve_tao + tao).max(1.0);
    let deviation = (state.weight_tao / weight - 1.0).abs();
    worst.note("weight / (5e-15 + rounding + injected tao)", 1.0, deviation / (5e-15 + rounding), case);
    if is_ordinary(row) {
        worst.note("weight (relative), ordinary", 5e-15, deviation, case);
    }
    report.injected_tao + report.excess_tao
}
