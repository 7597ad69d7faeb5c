//! Block emission, lock cost, registration, pruning and dissolution.

use std::collections::BTreeMap;

use serde_json::Value;
use taorisk::protocol::dissolve;
use taorisk::protocol::dissolve::PayoutsRao;
use taorisk::protocol::emission;
use taorisk::protocol::params::ProtocolParams;
use taorisk::protocol::pool::Pool;
use taorisk::protocol::registration;
use taorisk::protocol::registration::LockCostRao;
use taorisk::protocol::registration::PruneCandidate;
use taorisk::protocol::state::FlowState;
use taorisk::protocol::state::SubnetState;
use taorisk::units::NetUid;

use crate::vectors::Deviations;
use crate::vectors::array;
use crate::vectors::fixed;
use crate::vectors::flag;
use crate::vectors::integer;
use crate::vectors::params;
use crate::vectors::rao;
use crate::vectors::rows;
use crate::vectors::signed;
use crate::vectors::text;
use crate::vectors::tokens;

/// Balance that an account keeps (rao).
const EXISTENTIAL_DEPOSIT: i128 = 500;

#[test]
fn block_emission() {
    let mut worst = Deviations::of("block_emission");
    for row in rows("block_emission") {
        let issuance = rao(&row["issuance"]);
        let case = issuance.to_string();
        let emission = emission::block_emission_rao(issuance);
        for column in ["emission", "tao_block_emission", "alpha_block_emission"] {
            worst.equal(column, emission, rao(&row[column]), &case);
        }
        let real = emission::block_emission(issuance as f64 / 1e9) * 1e9;
        // Within 4 rao of a threshold an f64 in tokens cannot tell on which side of it the issuance lies.
        let near = [issuance.saturating_sub(4), issuance.saturating_add(4)].map(emission::block_emission_rao);
        worst.equal("real-number emission", near.contains(&(real.round() as u64)), true, &case);
    }
    worst.finish();
}

#[test]
fn lock_cost() {
    let mut worst = Deviations::of("lock_cost");
    for row in rows("lock_cost") {
        let case = text(&row["case"]);
        let emission = emission::block_emission_rao(rao(&row["total_issuance"]));
        let mut last = LockCostRao {
            last_lock: rao(&row["last_lock"]),
            last_lock_block: rao(&row["last_lock_block"]),
            min_lock: rao(&row["min_lock"]),
            reduction_interval: rao(&row["lock_reduction_interval"]),
        };
        worst.equal(
            "effective interval (blocks)",
            last.effective_interval(emission),
            rao(&row["effective_interval"]),
            case,
        );
        for step in array(&row["steps_block_cost_registered_costafter"]) {
            let block = rao(&step[0]);
            let cost = last.at(block, emission);
            worst.equal("cost (rao)", cost, rao(&step[1]), case);
            worst.note(
                "real-number cost / (blocks + 1e-12 cost)",
                1.0,
                real_cost_deviation(&last, block, emission),
                case,
            );
            if flag(&step[2]) {
                last = LockCostRao { last_lock: cost, last_lock_block: block, ..last };
            }
            worst.equal("cost after (rao)", last.at(block, emission), rao(&step[3]), case);
        }
    }
    worst.finish();
}

/// Deviation of the cost in tokens from the integer one, in units of the rounding that it leaves out: one rao per block
/// elapsed. Costs near the saturation of 64 bits are the chain's alone.
fn real_cost_deviation(last: &LockCostRao, block: u64, emission: u64) -> f64 {
    if last.last_lock > u64::MAX / 4 {
        return 0.0;
    }
    let params = ProtocolParams {
        lock_cost_min_tao: last.min_lock as f64 / 1e9,
        lock_reduction_interval_blocks: last.reduction_interval,
        ..params()
    };
    let paid = last.last_lock as f64 / 1e9;
    let cost = 1e9 * registration::lock_cost(&params, paid, last.last_lock_block, block, emission as f64 / 1e9);
    let elapsed = block.saturating_sub(last.last_lock_block) as f64;
    (cost - last.at(block, emission) as f64).abs() / (1.0 + elapsed + 1e-12 * last.last_lock as f64)
}

#[test]
fn prune() {
    let mut worst = Deviations::of("prune");
    for row in rows("prune") {
        let candidates = array(&row["subnets"]).iter().filter(|subnet| flag(&subnet["added"])).map(candidate);
        let target = registration::prune_target(rao(&row["block"]), rao(&row["immunity_period"]), candidates);
        let chain = row["out"]["prune_netuid"].as_u64();
        worst.equal("pruned netuid", target.map(|netuid| u64::from(netuid.0)), chain, text(&row["case"]));
    }
    worst.finish();
}

fn candidate(subnet: &Value) -> PruneCandidate {
    let stable = rao(&subnet["mechanism"]) == 0;
    PruneCandidate {
        netuid: NetUid(rao(&subnet["netuid"]) as u16),
        registered_at: rao(&subnet["registered_at"]),
        moving_price: if stable { 1.0 } else { fixed(&subnet["moving_price_i96f32"], 32) },
    }
}

#[test]
fn registrations() {
    let mut worst = Deviations::of("register_lifecycle");
    for row in rows("register_lifecycle") {
        let mut last = LockCostRao {
            last_lock: rao(&row["initial_last_lock"]),
            last_lock_block: rao(&row["initial_last_lock_block"]),
            min_lock: rao(&row["min_lock"]),
            reduction_interval: rao(&row["lock_reduction_interval"]),
        };
        for step in array(&row["steps"]) {
            compare_registration(&mut worst, &row, &mut last, step);
        }
    }
    worst.finish();
}

fn compare_registration(worst: &mut Deviations, row: &Value, last: &mut LockCostRao, step: &Value) {
    let (case, block) = (format!("{} block {}", text(&row["case"]), step["block"]), rao(&step["block"]));
    let mut subnets: Vec<SubnetState> = array(&step["before"]).iter().map(subnet_state).collect();
    let emission = emission::block_emission_rao(rao(&step["total_issuance_before"]));
    let cost = last.at(block, emission);
    worst.equal("lock cost (rao)", cost, rao(&step["lock_cost"]), &case);
    let median = fixed(&step["median_price_u64f64"], 64);
    worst.note("median price (relative)", 1e-12, (median_of(&subnets) / median - 1.0).abs(), &case);
    let immunity = rao(&row["immunity_period"]);
    let target = registration::prune_target(block, immunity, subnets.iter().map(PruneCandidate::from));
    let candidate = target.map(|netuid| u64::from(netuid.0));
    worst.equal("prune candidate", candidate, step["prune_candidate"].as_u64(), &case);
    let is_full = subnets.len() as u64 >= rao(&row["subnet_limit"]);
    let refused = text(&step["result"]) == "SubnetLimitReached";
    worst.equal("refused at the limit", is_full && target.is_none(), refused, &case);
    if text(&step["result"]) != "ok" {
        return;
    }
    let netuid = target.filter(|_| is_full).unwrap_or_else(|| registration::lowest_free_netuid(&subnets));
    subnets.retain(|subnet| subnet.netuid != netuid);
    let params = ProtocolParams { lock_cost_min_tao: last.min_lock as f64 / 1e9, ..params() };
    let new = registration::new_subnet(&params, netuid, block, cost as f64 / 1e9, median_of(&subnets));
    *last = LockCostRao { last_lock: cost, last_lock_block: block, ..*last };

    let out = &step["out"];
    worst.equal("new netuid", u64::from(netuid.0), rao(&out["new_netuid"]), &case);
    worst.equal("emission enabled", new.emission_enabled, flag(&out["new_emission_enabled"]), &case);
    worst.equal("last lock (rao)", last.last_lock, rao(&out["last_lock"]), &case);
    worst.equal("next lock cost (rao)", last.at(block, emission), rao(&out["next_lock_cost"]), &case);
    for (column, ours) in
        [("new_tao", new.reserve_tao), ("new_alpha_in", new.reserve_alpha), ("new_alpha_out", new.outstanding_alpha())]
    {
        let chain = rao(&out[column]) as f64;
        let deviation = (ours * 1e9 - chain).abs() / (1.0 + 1e-12 * chain);
        worst.note(&format!("{column} / (1 rao + 1e-12)"), 1.0, deviation, &case);
    }
}

fn median_of(subnets: &[SubnetState]) -> f64 {
    registration::median_price(subnets.iter().map(|subnet| Pool::from(subnet).spot_price()))
}

fn subnet_state(subnet: &Value) -> SubnetState {
    SubnetState {
        netuid: NetUid(rao(&subnet["netuid"]) as u16),
        registered_at: rao(&subnet["registered_at"]),
        first_emission_block: None,
        emission_enabled: true,
        reserve_tao: tokens(&subnet["tao"]),
        reserve_alpha: tokens(&subnet["alpha_in"]),
        weight_tao: rao(&subnet["quote_weight"]) as f64 / 1e18,
        staked_alpha: 0.0,
        protocol_alpha: 0.0,
        burned_alpha: 0.0,
        unclaimed_root_alpha: 0.0,
        moving_price: fixed(&subnet["moving_price_i96f32"], 32),
        miner_burned: 0.0,
        flow: FlowState::default(),
        subnet_locked_tao: 0.0,
    }
}

#[test]
fn dissolution() {
    let mut worst = Deviations::of("dissolve");
    for row in rows("dissolve") {
        compare_dissolution(&mut worst, &row);
    }
    worst.finish();
}

fn compare_dissolution(worst: &mut Deviations, row: &Value) {
    let (case, out) = (text(&row["case"]), &row["out"]);
    let stakes: Vec<u64> = array(&row["stakers_hot_cold_alpha"]).iter().map(|stake| rao(&stake[2])).collect();
    let (pot, alpha_in, protocol_alpha) = (rao(&row["tao"]), rao(&row["alpha_in"]), rao(&row["protocol_alpha"]));
    let registered_at = rao(&row["registered_at"]);
    let refund_block = rao(&row["tao_in_refund_deployment_block"]);
    let weight = protocol_alpha + if registered_at > refund_block { alpha_in } else { 0 };
    let payouts = dissolve::payouts_rao(pot, &stakes, weight);

    // What each coldkey receives, and from how many stakes: ties among remainders may move one rao of each.
    let mut ours: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for (stake, paid) in array(&row["stakers_hot_cold_alpha"]).iter().zip(&payouts.stakes) {
        let entry = ours.entry(rao(&stake[1])).or_default();
        *entry = (entry.0 + paid, entry.1 + 1);
    }
    let refund = owner_refund(row, &payouts);
    ours.entry(rao(&row["owner_coldkey"])).or_default().0 += refund;
    let mut paid_by_chain = 0;
    for pair in array(&out["payouts_cold_tao"]) {
        let (paid, entries) = ours.get(&rao(&pair[0])).copied().unwrap_or_default();
        let chain = rao(&pair[1]);
        paid_by_chain += chain;
        worst.note("payout (rao per stake)", 1.0, paid.abs_diff(chain) as f64 / entries.max(1) as f64, case);
    }
    let paid = payouts.stakes.iter().sum::<u64>() + refund;
    worst.distance("payouts together (rao)", 2.0, paid, paid_by_chain, case);
    let recycled = (i128::from(rao(&row["subnet_account_balance"])) - EXISTENTIAL_DEPOSIT - i128::from(paid)).max(0);
    worst.note("recycled (rao)", 2.0, (recycled + signed(&out["total_issuance_delta"])).abs() as f64, case);

    let params = ProtocolParams { tao_in_refund_block: refund_block, ..params() };
    let staked: u64 = stakes.iter().sum();
    let rate = dissolve::payout_per_alpha(
        &params,
        pot as f64 / 1e9,
        staked as f64 / 1e9,
        alpha_in as f64 / 1e9,
        protocol_alpha as f64 / 1e9,
        registered_at,
    );
    for (stake, paid) in stakes.iter().zip(&payouts.stakes) {
        let deviation = (rate * *stake as f64 - *paid as f64).abs() / (1.0 + 1e-15 * *paid as f64);
        worst.note("real-number payout / (1 rao + 1e-15)", 1.0, deviation, case);
    }
}

/// The owner's refund, capped at what the subnet account holds after the stakers are paid, less the protocol's part.
fn owner_refund(row: &Value, payouts: &PayoutsRao) -> u64 {
    if rao(&row["registered_at"]) >= rao(&row["registration_start_block"]) {
        return 0;
    }
    let issuance = rao(&row["alpha_in"]) + rao(&row["alpha_out"]);
    let owner_cut = rao(&row["owner_cut_u16"]) as u16;
    let refund = dissolve::owner_refund_rao(rao(&row["lock_cost"]), issuance, owner_cut, integer(&row["price_u64f64"]));
    let paid = payouts.stakes.iter().sum::<u64>() + payouts.protocol;
    refund.min(rao(&row["subnet_account_balance"]).saturating_sub(paid))
}
