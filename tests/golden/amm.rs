//! Trades, injections and initial weights of the pool.

use serde_json::Value;
use taorisk::protocol::pool::Pool;
use taorisk::protocol::pool::PoolError;
use taorisk::protocol::pool_rao;
use taorisk::protocol::pool_rao::PoolRao;
use taorisk::protocol::pool_rao::Side;
use taorisk::protocol::pool_rao::SwapRequest;

use crate::vectors::Deviations;
use crate::vectors::array;
use crate::vectors::flag;
use crate::vectors::integer;
use crate::vectors::rao;
use crate::vectors::rows;
use crate::vectors::text;

/// The chain raises the power to 10^-18 and we to f64: 51 rao of 9.9e15 is the worst that was seen of the latter.
const SWAP_ERROR_PER_RESERVE: f64 = 5e-15;

pub fn pool(row: &Value) -> PoolRao {
    PoolRao {
        reserve_tao: rao(&row["tao"]),
        reserve_alpha: rao(&row["alpha_in"]),
        weight_tao: rao(&row["quote_weight"]),
    }
}

fn real(pool: &PoolRao) -> Pool {
    Pool {
        reserve_tao: pool.reserve_tao as f64,
        reserve_alpha: pool.reserve_alpha as f64,
        weight_tao: pool.weight_tao as f64 / 1e18,
    }
}

fn request(row: &Value, fee_rate: &Value, price_limit: u64) -> SwapRequest {
    let side = if text(&row["op"]) == "buy" { Side::Buy } else { Side::Sell };
    let fee_rate = if flag(&row["drop_fees"]) { 0 } else { rao(fee_rate) as u16 };
    SwapRequest { side, amount: rao(&row["amount"]), fee_rate, price_limit }
}

fn error_name(error: PoolError) -> &'static str {
    match error {
        PoolError::ReservesTooLow => "ReservesTooLow",
        PoolError::PriceLimitExceeded => "PriceLimitExceeded",
        PoolError::InputTooLarge => "SwapInputTooLarge",
    }
}

/// Counts how often an output equals the chain's.
#[derive(Default)]
struct Agreement {
    outputs: usize,
    equal: usize,
    within_one: usize,
}

impl Agreement {
    fn note(&mut self, ours: u64, chain: u64) {
        self.outputs += 1;
        self.equal += usize::from(ours == chain);
        self.within_one += usize::from(ours.abs_diff(chain) <= 1);
    }

    fn finish(&self, file: &str) {
        let part = |count: usize| count as f64 / self.outputs as f64;
        let (equal, within_one) = (part(self.equal), part(self.within_one));
        println!("{file}: {:.2} % of outputs equal, {:.2} % within 1 rao", 100.0 * equal, 100.0 * within_one);
        assert!(equal >= 0.98 && within_one >= 0.994, "{file}: equal {equal}, within 1 rao {within_one}");
    }
}

/// One executed trade against the chain's.
fn compare_trade(worst: &mut Deviations, agreement: &mut Agreement, before: &PoolRao, row: &Value, asked: SwapRequest) {
    let (case, result) = (row["case"].as_str().unwrap_or("step"), &row["result"]);
    let mut after = *before;
    let swap = after.swap(asked);
    if let Some(error) = result.get("error") {
        worst.equal("refusal", swap.map_err(error_name), Err(text(error)), case);
        worst.equal("pool after refusal", after, *before, case);
        return;
    }
    let Ok(swap) = swap else {
        return worst.equal("refusal", swap.map_err(error_name).err(), None, case);
    };
    let (reserve_in, reserve_out) = match asked.side {
        Side::Buy => (before.reserve_tao, before.reserve_alpha),
        Side::Sell => (before.reserve_alpha, before.reserve_tao),
    };
    let scaled = |ours: u64, chain: u64, reserve: u64| {
        ours.abs_diff(chain) as f64 / (1.0 + SWAP_ERROR_PER_RESERVE * reserve as f64)
    };
    let (paid_in, paid_out, fee) = (rao(&result["paid_in"]), rao(&result["paid_out"]), rao(&result["fee"]));
    agreement.note(swap.paid_out, paid_out);
    worst.distance("paid out (rao)", f64::INFINITY, swap.paid_out, paid_out, case);
    worst.note("paid out / (1 rao + 5e-15 reserve)", 1.0, scaled(swap.paid_out, paid_out, reserve_out), case);
    worst.note("paid in / (1 rao + 5e-15 reserve)", 1.0, scaled(swap.paid_in, paid_in, reserve_in), case);
    worst.distance(
        "fee (rao), given equal input",
        0.0,
        if swap.paid_in == paid_in { swap.fee } else { fee },
        fee,
        case,
    );
    let quote = match asked.side {
        Side::Buy => real(before).buy(paid_in as f64),
        Side::Sell => real(before).sell(paid_in as f64),
    };
    let deviation = (quote - paid_out as f64).abs() / (1.0 + 2.0 * SWAP_ERROR_PER_RESERVE * reserve_out as f64);
    worst.note("real-number output / (1 rao + 1e-14 reserve)", 1.0, deviation, case);
}

#[test]
fn swaps() {
    let mut worst = Deviations::of("amm_swap");
    let mut agreement = Agreement::default();
    for row in rows("amm_swap") {
        let case = text(&row["case"]);
        let before = pool(&row);
        worst.equal("spot price before (bits)", before.spot_price_raw(), integer(&row["price_before_u64f64"]), case);
        worst.equal(
            "spot price after (bits)",
            pool(&row["out"]).spot_price_raw(),
            integer(&row["out"]["price_u64f64"]),
            case,
        );
        let asked = request(&row, &row["fee_rate_u16"], rao(&row["price_limit"]));
        compare_trade(&mut worst, &mut agreement, &before, &row, asked);
    }
    agreement.finish("amm_swap");
    worst.finish();
}

#[test]
fn sequences() {
    let mut worst = Deviations::of("amm_sequence");
    let mut agreement = Agreement::default();
    for row in rows("amm_sequence") {
        let case = text(&row["case"]);
        let mut state = pool(&row);
        let mut own = state;
        for op in array(&row["ops"]) {
            let after = array(&op["after"]);
            let after =
                PoolRao { reserve_tao: rao(&after[0]), reserve_alpha: rao(&after[1]), weight_tao: rao(&after[3]) };
            if text(&op["op"]) == "inject" {
                let (tao, alpha) = (rao(&op["tao_delta"]), rao(&op["alpha_delta"]));
                own.inject(tao, alpha);
                state.inject(tao, alpha);
                worst.equal("pool after injection", state, after, case);
            } else {
                let limit = if text(&op["op"]) == "buy" { 1_000_000_000_000_000 } else { 1_000 };
                let asked = request(op, &row["fee_rate_u16"], limit);
                let _ = own.swap(asked);
                compare_trade(&mut worst, &mut agreement, &state, op, asked);
            }
            state = after;
        }
        worst.equal("final spot price (bits)", state.spot_price_raw(), integer(&row["final_price_u64f64"]), case);
        let relative = |ours: u64, chain: u64| ours.abs_diff(chain) as f64 / chain.max(1) as f64;
        worst.note("own final reserves (relative)", 1e-12, relative(own.reserve_tao, state.reserve_tao), case);
        worst.note("own final reserves (relative)", 1e-12, relative(own.reserve_alpha, state.reserve_alpha), case);
    }
    agreement.finish("amm_sequence");
    worst.finish();
}

#[test]
fn injections() {
    let mut worst = Deviations::of("amm_inject");
    for row in rows("amm_inject") {
        let (case, out) = (text(&row["case"]), &row["out"]);
        let before = pool(&row);
        let (tao, alpha) = (rao(&row["tao_delta"]), rao(&row["alpha_delta"]));
        let mut after = before;
        let injected = after.inject(tao, alpha);
        let expected = (if injected { tao } else { 0 }, if injected { alpha } else { 0 });
        worst.equal("injected", expected, (rao(&out["tao_injected"]), rao(&out["alpha_injected"])), case);
        worst.equal("pool after", after, pool(out), case);
        worst.equal("spot price before (bits)", before.spot_price_raw(), integer(&row["price_before_u64f64"]), case);
        worst.equal("spot price after (bits)", after.spot_price_raw(), integer(&out["price_u64f64"]), case);
        let weight = real(&before).weight_after_injection(tao as f64, alpha as f64);
        if is_at_bound(&before) {
            // The chain decides by its rounding whether the weight is still within its bounds.
            continue;
        }
        worst.equal("real-number weight admitted", weight.is_some(), injected, case);
        if let Some(weight) = weight {
            let deviation = (weight / (after.weight_tao as f64 / 1e18) - 1.0).abs();
            let rounding = weight_rounding(&real(&before), tao as f64, alpha as f64);
            worst.note("real-number weight / (5e-15 + rounding)", 1.0, deviation / (5e-15 + rounding), case);
            if rounding < 1e-16 {
                worst.note("the same (relative), rounding below 1e-16", 5e-15, deviation, case);
            }
        }
    }
    worst.finish();
}

/// Whether a weight is at its bound but for the last digits of an f64.
fn is_at_bound(pool: &PoolRao) -> bool {
    let smaller = pool.weight_tao.min(pool_rao::WEIGHT_ONE - pool.weight_tao);
    smaller.abs_diff(pool_rao::WEIGHT_ONE / 100) < 1_000
}

/// Relative error of the weight that the chain's rounding of both parts to whole rao squared can make.
pub fn weight_rounding(pool: &Pool, tao: f64, alpha: f64) -> f64 {
    let alpha_part = pool.weight_alpha() * pool.reserve_tao * (pool.reserve_alpha + alpha);
    let tao_part = pool.weight_tao * pool.reserve_alpha * (pool.reserve_tao + tao);
    0.5 / alpha_part.max(0.5) + 0.5 / tao_part.max(0.5) + 1e-18 / pool.weight_tao
}

#[test]
fn initial_weights() {
    let mut worst = Deviations::of("amm_init");
    for row in rows("amm_init") {
        let (case, out) = (text(&row["case"]), &row["out"]);
        let price = (!row["price_u64f64"].is_null()).then(|| integer(&row["price_u64f64"]));
        let weight = pool_rao::initial_weight(rao(&row["tao"]), rao(&row["alpha_in"]), price);
        worst.equal("initialised", weight.is_some(), flag(&out["initialized"]), case);
        worst.equal("refusal", weight.is_none(), text(&row["result"]) == "ReservesOutOfBalance", case);
        worst.equal("weight", weight.unwrap_or(pool_rao::WEIGHT_ONE / 2), rao(&out["quote_weight"]), case);
    }
    worst.finish();
}
