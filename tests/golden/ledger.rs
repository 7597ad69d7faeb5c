//! Whole runs of the ledger: every pending, stake, claim and flow, block by block, with and without neurons.

use ndarray::Array2;
use serde_json::Value;
use taorisk::protocol::block::HillGate;
use taorisk::protocol::emission;
use taorisk::protocol::ledger::Ledger;
use taorisk::protocol::ledger::accounts::Coldkey;
use taorisk::protocol::ledger::accounts::Delegate;
use taorisk::protocol::ledger::accounts::Hotkey;
use taorisk::protocol::ledger::accounts::Keys;
use taorisk::protocol::ledger::coinbase::LedgerParams;
use taorisk::protocol::ledger::root_claim::ClaimType;
use taorisk::protocol::ledger::root_claim::RootLedger;
use taorisk::protocol::ledger::schedule::EpochClock;
use taorisk::protocol::ledger::schedule::EpochSchedule;
use taorisk::protocol::ledger::stake_ops::StakeError;
use taorisk::protocol::ledger::subnet::Neurons;
use taorisk::protocol::ledger::subnet::SubnetLedger;
use taorisk::protocol::ledger::subnet::Withheld;
use taorisk::protocol::params::ProtocolParams;
use taorisk::protocol::yuma::BondsRule;
use taorisk::protocol::yuma::YumaParams;
use taorisk::protocol::yuma::epoch::YumaState;
use taorisk::units::NetUid;

use crate::amm;
use crate::vectors::Deviations;
use crate::vectors::array;
use crate::vectors::fixed;
use crate::vectors::flag;
use crate::vectors::params;
use crate::vectors::rao;
use crate::vectors::rows;
use crate::vectors::signed;
use crate::vectors::text;

const U16: f64 = 65_535.0;
const AUTHOR: Coldkey = Coldkey(1);
const TRADER: Keys = Keys { hotkey: Hotkey(2), coldkey: Coldkey(2) };

fn ledger_params(row: &Value) -> LedgerParams {
    LedgerParams {
        protocol: ProtocolParams {
            tao_weight: rao(&row["tao_weight_u64"]) as f64 / u64::MAX as f64,
            owner_cut: rao(&row["owner_cut_u16"]) as f64 / U16,
            moving_price_smoothing: fixed(&row["moving_alpha_i96f32"], 32),
            epoch_schedule: EpochSchedule::FromLastEpoch { most_per_block: rao(&row["max_epochs_per_block"]) as usize },
            ..params()
        },
        claim_draws: row["num_root_claim"].as_u64().unwrap_or(0) as usize,
    }
}

fn subnet(row: &Value) -> SubnetLedger {
    let clock = EpochClock::new(rao(&row["tempo"]), rao(&row["last_epoch_block"]));
    SubnetLedger {
        first_emission_block: row["first_emission_block"].as_u64(),
        emission_enabled: flag(&row["emission_enabled"]),
        fee_rate: rao(&row["fee_rate_u16"]) as u16,
        outstanding_alpha: rao(&row["alpha_out"]),
        moving_price_raw: rao(&row["moving_price_i96f32"]),
        moving_price_age_blocks: rao(&row["ema_halving_blocks"]),
        miner_burned_raw: rao(&row["miner_burned_u96f32"]),
        ..SubnetLedger::new(NetUid(rao(&row["netuid"]) as u16), amm::pool(row), clock)
    }
}

fn ledger(row: &Value) -> Ledger {
    Ledger {
        block: rao(&row["start_block"]),
        issuance: rao(&row["total_issuance"]),
        total_stake: rao(&row["root_tao"]),
        subnets: array(&row["subnets"]).iter().map(subnet).collect(),
        root: RootLedger { tao: rao(&row["root_tao"]), ..RootLedger::default() },
        author: Some(AUTHOR),
        ..Ledger::default()
    }
}

fn difference(ours: i128, chain: &Value) -> f64 {
    (ours - signed(chain)).unsigned_abs() as f64
}

/// What both kinds of run give; in rao where nothing else is said.
fn compare(worst: &mut Deviations, ledger: &Ledger, out: &Value, case: &str) {
    for (name, ours) in
        [("total_issuance", ledger.issuance), ("total_stake", ledger.total_stake), ("root_tao", ledger.root.tao)]
    {
        worst.note(name, 0.0, difference(ours.into(), &out[name]), case);
    }
    for (slot, subnet) in ledger.subnets.iter().enumerate() {
        let case = format!("{case} {}", subnet.netuid);
        let pending = &subnet.pending;
        let counters = &subnet.counters;
        for (name, ours) in [
            ("tao", subnet.pool.reserve_tao),
            ("alpha_in", subnet.pool.reserve_alpha),
            ("alpha_out", subnet.outstanding_alpha),
            ("protocol_alpha", subnet.protocol_alpha),
            ("quote_weight", subnet.pool.weight_tao),
            ("moving_price_i96f32", subnet.moving_price_raw),
            ("miner_burned_u96f32", subnet.miner_burned_raw),
            ("pending_owner_cut", pending.owner),
            ("pending_server", pending.server),
            ("pending_validator", pending.validator),
            ("pending_root", pending.root),
            ("last_epoch_block", subnet.clock.last_epoch_block),
            ("tao_in_emission", counters.injected_tao),
            ("alpha_in_emission", counters.injected_alpha),
            ("alpha_out_emission", counters.alpha_out),
            ("excess_tao", counters.excess_tao),
            ("root_prop_u96f32", (counters.root_proportion * 4_294_967_296.0) as u64),
        ] {
            worst.note(name, 0.0, difference(ours.into(), &out[name][slot]), &case);
        }
        for (name, ours) in [("tao_flow", subnet.user_flow_tao), ("protocol_flow", subnet.protocol_flow_tao)] {
            worst.note(name, 0.0, difference(ours.into(), &out[name][slot]), &case);
        }
    }
}

#[test]
fn traces_without_neurons() {
    let mut worst = Deviations::of("trace_pools, ledger");
    for row in rows("trace_pools") {
        let (params, mut ledger) = (ledger_params(&row), ledger(&row));
        ledger.balances.insert(TRADER.coldkey, rao(&row["initial"]["trader_balance"]));
        let mut gate = HillGate::of(&params.protocol, &ledger.in_tokens());
        let (mut ops, mut outs) =
            (array(&row["ops_offset_op_netuid_amount_result"]).iter().peekable(), array(&row["out"]).iter().peekable());
        for offset in 1..=rao(&row["blocks"]) {
            let case = format!("{} block {offset}", text(&row["case"]));
            ledger.advance_block(&params, &mut gate, &[0; 32]);
            while let Some(op) = ops.next_if(|op| rao(&op[0]) == offset) {
                worst.equal("result of an operation", trade(&mut ledger, op), text(&op[4]), &case);
            }
            if let Some(out) = outs.next_if(|out| rao(&out["block_offset"]) == offset) {
                let next_emission = emission::block_emission_rao(ledger.issuance);
                worst.equal("block_emission", next_emission, rao(&out["block_emission"]), &case);
                compare(&mut worst, &ledger, out, &case);
                compare_trader(&mut worst, &ledger, out, &case);
            }
        }
        worst.equal("all compared", outs.next().is_none() && ops.next().is_none(), true, text(&row["case"]));
    }
    worst.finish();
}

fn trade(ledger: &mut Ledger, op: &Value) -> &'static str {
    let (netuid, amount) = (NetUid(rao(&op[2]) as u16), rao(&op[3]));
    let result = match text(&op[1]) {
        "add_stake" => ledger.add_stake(TRADER, netuid, amount),
        "remove_stake" => ledger.remove_stake(TRADER, netuid, amount),
        other => panic!("no operation {other}"),
    };
    result.map_or_else(StakeError::chain_name, |()| "ok")
}

fn compare_trader(worst: &mut Deviations, ledger: &Ledger, out: &Value, case: &str) {
    let balance = ledger.balance(TRADER.coldkey);
    worst.note("trader_balance", 0.0, difference(balance.into(), &out["trader_balance"]), case);
    for (subnet, chain) in ledger.subnets.iter().zip(array(&out["trader_stake_alpha"])) {
        let ours = subnet.stakes.of(TRADER);
        worst.note("trader_stake_alpha", 0.0, difference(ours.into(), chain), &format!("{case} {}", subnet.netuid));
    }
}

fn hotkey(value: &Value) -> Hotkey {
    Hotkey(rao(value) as u32)
}

fn coldkey(value: &Value) -> Coldkey {
    Coldkey(rao(value) as u32)
}

fn yuma_params(row: &Value, subnet: &Value) -> YumaParams {
    YumaParams {
        kappa: rao(&row["kappa_u16"]) as f64 / U16,
        bonds_rule: if flag(&row["yuma3"]) { BondsRule::Yuma3 } else { BondsRule::Yuma2 },
        bonds_penalty: rao(&row["bonds_penalty_u16"]) as f64 / U16,
        bonds_moving_average: rao(&row["bonds_moving_average"]) as f64 / 1e6,
        activity_cutoff_blocks: rao(&subnet["activity_cutoff_blocks"]),
        tempo_blocks: rao(&subnet["tempo"]),
        ..YumaParams::DEFAULT
    }
}

fn neurons(row: &Value, subnet: &Value) -> Neurons {
    let list = array(&subnet["neurons"]);
    let mut weights = Array2::zeros((list.len(), list.len()));
    for (uid, neuron) in list.iter().enumerate() {
        for entry in array(&neuron["weights"]) {
            weights[[uid, rao(&entry[0]) as usize]] = rao(&entry[1]) as f64;
        }
    }
    let mut state = YumaState::new(list.iter().map(|neuron| flag(&neuron["permit"])).collect());
    state.last_epoch_block = rao(&subnet["last_mechanism_step_block"]);
    Neurons {
        hotkeys: list.iter().map(|neuron| hotkey(&neuron["hotkey"])).collect(),
        registered_at: vec![rao(&subnet["registered_at"]); list.len()],
        last_update: vec![0; list.len()],
        weights,
        yuma: yuma_params(row, subnet),
        state,
        incentive: vec![0; list.len()],
        dividends: vec![0; list.len()],
    }
}

fn settle(ledger: &mut Ledger, row: &Value) {
    let takes = array(&row["delegate_take_u16_by_validator"]);
    for (subnet, inputs) in ledger.subnets.iter_mut().zip(array(&row["subnets"])) {
        for (uid, neuron) in array(&inputs["neurons"]).iter().enumerate() {
            let (hotkey, owner) = (hotkey(&neuron["hotkey"]), coldkey(&neuron["coldkey"]));
            let take = if (1..=takes.len()).contains(&uid) { rao(&takes[uid - 1]) as u16 } else { 0 };
            ledger.hotkeys.insert(hotkey, Delegate { owner, take });
            for stake in array(&neuron["alpha_stakes_cold_amount"]) {
                subnet.stakes.deposit(Keys { hotkey, coldkey: coldkey(&stake[0]) }, rao(&stake[1]));
            }
        }
        subnet.owner =
            Some(Keys { hotkey: hotkey(&inputs["owner_hotkey"]), coldkey: coldkey(&inputs["owner_coldkey"]) });
        subnet.withheld =
            if text(&inputs["recycle_or_burn"]) == "recycle" { Withheld::Recycled } else { Withheld::Burned };
        subnet.claim_threshold = rao(&inputs["root_claimable_threshold_i96f32"]) >> 32;
        subnet.neurons = Some(neurons(row, inputs));
    }
    ledger.root.claimants = array(&row["claim_index_coldkeys"]).iter().map(coldkey).collect();
    ledger.root.tao = 0;
    for stake in array(&row["root_stakes_hot_cold_amount"]) {
        ledger.root.credit(Keys { hotkey: hotkey(&stake[0]), coldkey: coldkey(&stake[1]) }, rao(&stake[2]));
    }
    for entry in array(&row["claim_type_by_coldkey"]) {
        let claim_type = if text(&entry[1]) == "keep" { ClaimType::Keep } else { ClaimType::Swap };
        ledger.root.claim_types.insert(coldkey(&entry[0]), claim_type);
    }
}

fn hash(digits: &Value) -> [u8; 32] {
    let digits = text(digits);
    std::array::from_fn(|byte| u8::from_str_radix(&digits[2 * byte..2 * byte + 2], 16).expect("hexadecimal digits"))
}

#[test]
fn traces_with_neurons() {
    let mut worst = Deviations::of("trace_full");
    for row in rows("trace_full") {
        let (params, mut ledger) = (ledger_params(&row), ledger(&row));
        settle(&mut ledger, &row);
        let mut gate = HillGate::of(&params.protocol, &ledger.in_tokens());
        let mut outs = array(&row["out"]).iter().peekable();
        for (index, parent_hash) in array(&row["parent_hashes_hex"]).iter().enumerate() {
            ledger.advance_block(&params, &mut gate, &hash(parent_hash));
            let block = ledger.block;
            for neurons in ledger.subnets.iter_mut().filter_map(|subnet| subnet.neurons.as_mut()) {
                neurons.last_update.fill(block);
            }
            if let Some(out) = outs.next_if(|out| rao(&out["block_offset"]) == index as u64 + 1) {
                let case = format!("{} block {}", text(&row["case"]), index + 1);
                compare(&mut worst, &ledger, out, &case);
                compare_neurons(&mut worst, &ledger, out, &case);
                compare_root(&mut worst, &ledger, &row, out, &case);
            }
        }
        worst.equal("all compared", outs.next().is_none(), true, text(&row["case"]));
    }
    worst.finish();
}

fn compare_neurons(worst: &mut Deviations, ledger: &Ledger, out: &Value, case: &str) {
    for (slot, subnet) in ledger.subnets.iter().enumerate() {
        let case = format!("{case} {}", subnet.netuid);
        let neurons = subnet.neurons.as_ref().expect("every subnet has neurons");
        worst.equal("pending_epoch_at", subnet.clock.pending_epoch_at, rao(&out["pending_epoch_at"][slot]), &case);
        for (name, ours) in [("incentive_u16", &neurons.incentive), ("dividends_u16", &neurons.dividends)] {
            for (ours, chain) in ours.iter().zip(array(&out[name][slot])) {
                worst.note(name, 0.0, difference((*ours).into(), chain), &case);
            }
        }
        for (hotkey, chain) in neurons.hotkeys.iter().zip(array(&out["hotkey_alpha_by_uid"][slot])) {
            let ours = subnet.stakes.with_hotkey(*hotkey);
            worst.note("hotkey_alpha_by_uid", 0.0, difference(ours.into(), chain), &case);
        }
        let ours = subnet.counters.root_sell_tao;
        worst.note("root_sell_tao", 0.0, difference(ours.into(), &out["root_sell_tao"][slot]), &case);
    }
}

fn compare_root(worst: &mut Deviations, ledger: &Ledger, row: &Value, out: &Value, case: &str) {
    let root = &ledger.root;
    for (pair, stake) in array(&row["root_stakes_hot_cold_amount"]).iter().enumerate() {
        let keys = Keys { hotkey: hotkey(&stake[0]), coldkey: coldkey(&stake[1]) };
        worst.note(
            "root_stake_by_pair",
            0.0,
            difference(root.stakes.of(keys).into(), &out["root_stake_by_pair"][pair]),
            case,
        );
        for (subnet, chain) in ledger.subnets.iter().zip(array(&out["root_claimed_by_pair_subnet"][pair])) {
            let ours = root.claimed.get(&(subnet.netuid, keys)).copied().unwrap_or(0);
            worst.note("root_claimed_by_pair_subnet", 0.0, difference(ours.into(), chain), case);
        }
    }
    for (validator, rates) in array(&out["root_claimable_i96f32_by_validator_subnet"]).iter().enumerate() {
        let hotkey = Hotkey(301 + validator as u32);
        for (subnet, chain) in ledger.subnets.iter().zip(array(rates)) {
            let ours = root.rates.get(&hotkey).and_then(|rates| rates.get(&subnet.netuid)).copied().unwrap_or(0);
            worst.note("root_claimable_i96f32 (units of 2^-32)", 0.0, difference(ours.into(), chain), case);
        }
    }
}
