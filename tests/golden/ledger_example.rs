//! The worked example on the ledger: five blocks of three subnets with a purchase, a sale, a switch and one epoch.

use ndarray::Array2;
use serde_json::Value;
use taorisk::protocol::block::HillGate;
use taorisk::protocol::ledger::Ledger;
use taorisk::protocol::ledger::accounts::Coldkey;
use taorisk::protocol::ledger::accounts::Delegate;
use taorisk::protocol::ledger::accounts::Hotkey;
use taorisk::protocol::ledger::accounts::Keys;
use taorisk::protocol::ledger::coinbase::LedgerParams;
use taorisk::protocol::ledger::schedule::EpochClock;
use taorisk::protocol::ledger::subnet::Neurons;
use taorisk::protocol::ledger::subnet::Pending;
use taorisk::protocol::ledger::subnet::SubnetLedger;
use taorisk::protocol::params::ProtocolParams;
use taorisk::protocol::pool_rao::PoolRao;
use taorisk::protocol::yuma::YumaParams;
use taorisk::protocol::yuma::epoch::YumaState;
use taorisk::units::NetUid;

use crate::epoch::sparse;
use crate::vectors::Deviations;
use crate::vectors::array;
use crate::vectors::document;
use crate::vectors::fixed;
use crate::vectors::flag;
use crate::vectors::params;
use crate::vectors::rao;
use crate::vectors::signed;

const NAMES: [&str; 3] = ["A", "B", "C"];
const USER: Keys = Keys { hotkey: Hotkey(50), coldkey: Coldkey(50) };
/// Uid 0 of subnet B.
const OWNER: Keys = Keys { hotkey: Hotkey(0), coldkey: Coldkey(0) };
/// Whose stake it is that validators and miners hold, beside what they are paid themselves.
const NOMINATOR: Coldkey = Coldkey(60);

fn subnet(inputs: &Value, name: &str) -> SubnetLedger {
    let state = &inputs["state"][name];
    let pool = PoolRao {
        reserve_tao: rao(&state["tao"]),
        reserve_alpha: rao(&state["alpha_in"]),
        weight_tao: rao(&state["w_quote_perquintill"]),
    };
    let clock = EpochClock::new(rao(&inputs["tempo"]), rao(&state["last_epoch_block"]));
    SubnetLedger {
        first_emission_block: Some(rao(&inputs["first_emission_block"][name])),
        emission_enabled: flag(&state["emission_enabled"]),
        fee_rate: rao(&inputs["fee_rate_u16"]) as u16,
        outstanding_alpha: rao(&state["alpha_out"]),
        protocol_alpha: rao(&state["protocol_alpha"]),
        moving_price_raw: rao(&state["ema_price_raw_i96f32"]),
        moving_price_age_blocks: rao(&inputs["ema_price_halving_blocks"]),
        miner_burned_raw: rao(&state["miner_burned_raw_u96f32"]),
        pending: Pending {
            owner: rao(&state["pending_owner_cut"]),
            server: rao(&state["pending_server"]),
            validator: rao(&state["pending_validator"]),
            root: rao(&state["pending_root"]),
        },
        ..SubnetLedger::new(NetUid(rao(&inputs["netuid"][name]) as u16), pool, clock)
    }
}

/// The neurons of subnet B, whose epoch `epoch` tells of.
fn neurons(inputs: &Value, epoch: &Value) -> Neurons {
    let yuma = &epoch["yuma"];
    let size = array(&yuma["alpha_stake"]).len();
    let weights: Array2<u16> = sparse(size, &yuma["weights_u16"]);
    Neurons {
        hotkeys: (0..size as u32).map(Hotkey).collect(),
        registered_at: vec![0; size],
        last_update: vec![rao(&inputs["start_block"]); size],
        weights: weights.mapv(f64::from),
        yuma: YumaParams { stake_threshold: rao(&inputs["stake_threshold"]) as f64, ..YumaParams::DEFAULT },
        state: YumaState {
            permits: vec![true, true, true, false, false],
            bonds: sparse(size, &yuma["bonds_u16_in"]),
            last_epoch_block: rao(&inputs["state"]["B"]["last_epoch_block"]),
        },
        incentive: Vec::new(),
        dividends: Vec::new(),
    }
}

fn ledger(inputs: &Value, epoch: &Value) -> Ledger {
    let mut ledger = Ledger {
        block: rao(&inputs["start_block"]),
        issuance: rao(&inputs["total_issuance"]),
        subnets: NAMES.iter().map(|name| subnet(inputs, name)).collect(),
        balances: [(USER.coldkey, 1_000_000_000_000)].into(),
        author: Some(Coldkey(70)),
        ..Ledger::default()
    };
    let take = rao(&inputs["delegate_take_u16"]) as u16;
    let yuma = &epoch["yuma"];
    let subnet = &mut ledger.subnets[1];
    subnet.stakes.deposit(USER, 500_000_000_000);
    subnet.neurons = Some(neurons(inputs, epoch));
    subnet.owner = Some(OWNER);
    for (uid, (alpha, root)) in array(&yuma["alpha_stake"]).iter().zip(array(&yuma["root_stake"])).enumerate() {
        let hotkey = Hotkey(uid as u32);
        ledger.hotkeys.insert(hotkey, Delegate { owner: Coldkey(uid as u32), take });
        subnet.stakes.deposit(Keys { hotkey, coldkey: NOMINATOR }, rao(alpha));
        ledger.root.credit(Keys { hotkey, coldkey: NOMINATOR }, rao(root));
    }
    let rest = rao(&inputs["root_tao_reserve"]) - ledger.root.tao;
    ledger.root.credit(USER, rest);
    ledger
}

/// What the script does after the coinbase of a block.
fn play(ledger: &mut Ledger) {
    match ledger.block {
        8_600_002 => ledger.add_stake(USER, NetUid(1), 100_000_000_000),
        8_600_003 => ledger
            .remove_stake(USER, NetUid(2), 500_000_000_000)
            .and_then(|()| ledger.set_emission_enabled(NetUid(3), true)),
        _ => Ok(()),
    }
    .expect("the script's trades are executed");
}

#[test]
fn five_blocks() {
    let example = document("worked_example.json");
    let inputs = &example["inputs"];
    let epoch = &example["blocks"][3]["epoch"];
    let params = LedgerParams {
        protocol: ProtocolParams {
            tao_weight: rao(&inputs["tao_weight_u64"]) as f64 / u64::MAX as f64,
            owner_cut: rao(&inputs["owner_cut_u16"]) as f64 / 65_535.0,
            moving_price_smoothing: fixed(&inputs["subnet_moving_alpha_i96f32_raw"], 32),
            ..params()
        },
        claim_draws: 0,
    };
    let mut ledger = ledger(inputs, epoch);
    let mut gate = HillGate::of(&params.protocol, &ledger.in_tokens());
    let mut worst = Deviations::of("worked_example, ledger");
    for expected in array(&example["blocks"]) {
        let before = ledger.clone();
        ledger.advance_block(&params, &mut gate, &[0; 32]);
        if ledger.block == 8_600_004 {
            compare_epoch(&mut worst, &before, &ledger, epoch);
        }
        play(&mut ledger);
        compare_state(&mut worst, &ledger, &expected["state_end"], &expected["block"].to_string());
    }
    worst.finish();
}

fn compare_state(worst: &mut Deviations, ledger: &Ledger, expected: &Value, block: &str) {
    worst.distance("total_issuance", 0.0, ledger.issuance, rao(&expected["total_issuance"]), block);
    for (subnet, name) in ledger.subnets.iter().zip(NAMES) {
        let (case, expected) = (format!("{block} {name}"), &expected[name]);
        for (quantity, ours) in [
            ("tao", subnet.pool.reserve_tao),
            ("alpha_in", subnet.pool.reserve_alpha),
            ("w_quote_perquintill", subnet.pool.weight_tao),
            ("alpha_out", subnet.outstanding_alpha),
            ("protocol_alpha", subnet.protocol_alpha),
            ("ema_price_raw_i96f32", subnet.moving_price_raw),
            ("miner_burned_raw_u96f32", subnet.miner_burned_raw),
            ("pending_server", subnet.pending.server),
            ("pending_validator", subnet.pending.validator),
            ("pending_root", subnet.pending.root),
            ("pending_owner_cut", subnet.pending.owner),
            ("last_epoch_block", subnet.clock.last_epoch_block),
        ] {
            worst.distance(quantity, 0.0, ours, rao(&expected[quantity]), &case);
        }
        for (quantity, ours) in
            [("user_flow_accumulator", subnet.user_flow_tao), ("protocol_flow_accumulator", subnet.protocol_flow_tao)]
        {
            worst.equal(quantity, i128::from(ours), signed(&expected[quantity]), &case);
        }
    }
}

/// Who was paid what by the epoch of subnet B.
fn compare_epoch(worst: &mut Deviations, before: &Ledger, after: &Ledger, epoch: &Value) {
    let netuid = NetUid(2);
    let gained = |keys: Keys| after.stake(keys, netuid) - before.stake(keys, netuid);
    let own = |uid: u32| Keys { hotkey: Hotkey(uid), coldkey: Coldkey(uid) };
    let mut compare = |quantity: &str, ours: u64, expected: u64, tolerance: f64| {
        worst.distance(quantity, tolerance, ours, expected, "epoch of B");
    };
    compare("owner cut", gained(OWNER), rao(&epoch["owner_cut_staked_to_owner"]), 0.0);
    for uid in [3, 4] {
        let expected = rao(&epoch["miner_incentive_paid"][uid.to_string()]);
        compare("miner incentive", gained(own(uid)), expected, 0.0);
    }
    for uid in [1, 2] {
        let (alpha, root) =
            (&epoch["alpha_dividends"][uid.to_string()], &epoch["root_alpha_dividends"][uid.to_string()]);
        let hotkey = Hotkey(uid);
        let total = |ledger: &Ledger| ledger.subnets[1].stakes.with_hotkey(hotkey);
        let taken = rao(&alpha["take"]) + rao(&root["take"]);
        let nominated = rao(&alpha["nominators"]);
        compare("takes and dividend", total(after) - total(before), taken + nominated, 0.0);
        // The take on alpha is staked before the rest is shared out, and has its part in it.
        let (held, take) = (u128::from(total(before)), u128::from(rao(&alpha["take"])));
        let shared = (u128::from(nominated) * held / (held + take)) as u64;
        compare("nominators", gained(Keys { hotkey, coldkey: NOMINATOR }), shared, 1.0);
        let rate = after.root.rates[&hotkey][&netuid];
        compare("claimable rate", rate, rao(&root["claimable_rate_increment_i96f32_raw"]), 0.0);
    }
}
