//! Whole runs of 2,000 blocks: emission, chain buys, moving prices, epochs and trades of users, block by block.

use std::collections::BTreeMap;

use serde_json::Value;
use taorisk::protocol::block;
use taorisk::protocol::block::BlockInputs;
use taorisk::protocol::block::BlockReport;
use taorisk::protocol::block::EpochOutcome;
use taorisk::protocol::block::HillGate;
use taorisk::protocol::fixed::Rounding;
use taorisk::protocol::params::ProtocolParams;
use taorisk::protocol::state::ChainState;
use taorisk::protocol::state::FlowState;
use taorisk::protocol::state::SubnetState;
use taorisk::protocol::trade::Order;
use taorisk::units::NetUid;

use crate::vectors::Deviations;
use crate::vectors::array;
use crate::vectors::fixed;
use crate::vectors::flag;
use crate::vectors::params;
use crate::vectors::rao;
use crate::vectors::rows;
use crate::vectors::text;
use crate::vectors::tokens;

fn trace_params(row: &Value) -> ProtocolParams {
    let subnet = &row["subnets"][0];
    ProtocolParams {
        tao_weight: rao(&row["tao_weight_u64"]) as f64 / u64::MAX as f64,
        owner_cut: if flag(&subnet["owner_cut_enabled"]) { rao(&row["owner_cut_u16"]) as f64 / 65_535.0 } else { 0.0 },
        fee_rate: rao(&subnet["fee_rate_u16"]) as f64 / 65_535.0,
        moving_price_smoothing: fixed(&row["moving_alpha_i96f32"], 32),
        moving_price_age_blocks: rao(&subnet["ema_halving_blocks"]) as f64,
        ..params()
    }
}

fn subnet_state(subnet: &Value) -> SubnetState {
    SubnetState {
        netuid: NetUid(rao(&subnet["netuid"]) as u16),
        registered_at: 0,
        first_emission_block: subnet["first_emission_block"].as_u64(),
        emission_enabled: flag(&subnet["emission_enabled"]),
        reserve_tao: tokens(&subnet["tao"]),
        reserve_alpha: tokens(&subnet["alpha_in"]),
        weight_tao: rao(&subnet["quote_weight"]) as f64 / 1e18,
        staked_alpha: tokens(&subnet["alpha_out"]),
        protocol_alpha: 0.0,
        burned_alpha: 0.0,
        unclaimed_root_alpha: 0.0,
        moving_price: fixed(&subnet["moving_price_i96f32"], 32),
        miner_burned: fixed(&subnet["miner_burned_u96f32"], 32),
        flow: FlowState::default(),
        subnet_locked_tao: 0.0,
    }
}

fn chain_state(row: &Value) -> ChainState {
    ChainState {
        block: rao(&row["start_block"]),
        issuance_tao: tokens(&row["total_issuance"]),
        root_stake_tao: tokens(&row["root_tao"]),
        last_lock_tao: 0.0,
        last_lock_block: 0,
        subnets: array(&row["subnets"]).iter().map(subnet_state).collect(),
    }
}

/// The orders that the chain executed, by block offset.
fn orders(row: &Value) -> BTreeMap<u64, Vec<Order>> {
    let mut orders: BTreeMap<u64, Vec<Order>> = BTreeMap::new();
    for op in array(&row["ops_offset_op_netuid_amount_result"]).iter().filter(|op| op[4] == "ok") {
        let (netuid, amount) = (NetUid(rao(&op[2]) as u16), tokens(&op[3]));
        let order = match text(&op[1]) {
            "add_stake" => Order::Buy { netuid, gross_tao: amount },
            _ => Order::Sell { netuid, gross_alpha: amount },
        };
        orders.entry(rao(&op[0])).or_default().push(order);
    }
    orders
}

/// When each subnet's epoch last ran. There are no neurons, so that an epoch only sets the withheld part to 0.
struct Epochs {
    last: Vec<u64>,
    tempo: u64,
    most_per_block: usize,
}

impl Epochs {
    fn of(row: &Value) -> Self {
        Self {
            last: array(&row["subnets"]).iter().map(|subnet| rao(&subnet["last_epoch_block"])).collect(),
            tempo: rao(&row["subnets"][0]["tempo"]),
            most_per_block: rao(&row["max_epochs_per_block"]) as usize,
        }
    }

    fn fire(&mut self, block: u64) -> Vec<EpochOutcome> {
        let due = self.last.iter_mut().enumerate().filter(|(_, last)| block - **last >= self.tempo);
        due.take(self.most_per_block)
            .map(|(slot, last)| {
                *last = block;
                EpochOutcome { netuid: NetUid::from_slot(slot), miner_burned: 0.0, recycled_alpha: 0.0 }
            })
            .collect()
    }
}

#[test]
fn traces() {
    let mut worst = Deviations::of("trace_pools");
    for row in rows("trace_pools") {
        run(&mut worst, &row);
    }
    worst.finish();
}

fn run(worst: &mut Deviations, row: &Value) {
    let params = trace_params(row);
    let mut state = chain_state(row);
    let mut epochs = Epochs::of(row);
    let mut orders = orders(row);
    let (mut gate, mut report) = (HillGate::of(&params, &state), BlockReport::default());
    let known: BTreeMap<u64, &Value> = array(&row["out"]).iter().map(|out| (rao(&out["block_offset"]), out)).collect();
    for offset in 1..=rao(&row["blocks"]) {
        let inputs = BlockInputs {
            epochs: epochs.fire(state.block + 1),
            orders: orders.remove(&offset).unwrap_or_default(),
            ..BlockInputs::default()
        };
        block::advance_block(&params, Rounding::Floored, &mut state, &mut gate, &inputs, &mut report);
        let case = format!("{} block {offset}", text(&row["case"]));
        worst.equal("orders executed", report.trades.iter().all(Result::is_ok), true, &case);
        if let Some(out) = known.get(&offset) {
            compare(worst, &state, out, &case);
        }
    }
}

fn compare(worst: &mut Deviations, state: &ChainState, out: &Value, case: &str) {
    // The f64 of an issuance of 1e7 TAO steps by 1.9 rao, of which half may be lost in a block.
    let issuance = (state.issuance_tao * 1e9 - rao(&out["total_issuance"]) as f64).abs();
    worst.note("issuance (rao per block)", 1.0, issuance / (2 + rao(&out["block_offset"])) as f64, case);
    worst.note("issuance (rao)", f64::INFINITY, issuance, case);
    for (slot, subnet) in state.subnets.iter().enumerate() {
        let case = format!("{case} {}", subnet.netuid);
        for (column, ours, tolerance) in [
            ("tao", subnet.reserve_tao, 4e-11),
            ("alpha_in", subnet.reserve_alpha, 2e-10),
            ("alpha_out", subnet.outstanding_alpha(), 3e-9),
        ] {
            let chain = tokens(&out[column][slot]);
            worst.note(&format!("{column} (relative)"), tolerance, (ours / chain - 1.0).abs(), &case);
        }
        let weight = rao(&out["quote_weight"][slot]) as f64 / 1e18;
        worst.note("weight (relative)", 1e-12, (subnet.weight_tao / weight - 1.0).abs(), &case);
        let raw = (subnet.moving_price * 4_294_967_296.0) as u64;
        worst.distance("moving price (units of 2^-32)", 0.0, raw, rao(&out["moving_price_i96f32"][slot]), &case);
        let miner_burned = fixed(&out["miner_burned_u96f32"][slot], 32);
        worst.equal("miner burned", subnet.miner_burned, miner_burned, &case);
    }
}
