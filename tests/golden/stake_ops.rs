//! Stake operations of one user on two subnets: what the chain does, and what it refuses.

use serde_json::Value;
use taorisk::protocol::ledger::Ledger;
use taorisk::protocol::ledger::accounts::Coldkey;
use taorisk::protocol::ledger::accounts::Hotkey;
use taorisk::protocol::ledger::accounts::Keys;
use taorisk::protocol::ledger::schedule::EpochClock;
use taorisk::protocol::ledger::stake_ops::Limit;
use taorisk::protocol::ledger::stake_ops::StakeError;
use taorisk::protocol::ledger::subnet::SubnetLedger;
use taorisk::units::NetUid;

use crate::amm;
use crate::vectors::Deviations;
use crate::vectors::array;
use crate::vectors::integer;
use crate::vectors::rao;
use crate::vectors::rows;
use crate::vectors::signed;
use crate::vectors::text;

const TRADER: Keys = Keys { hotkey: Hotkey(1), coldkey: Coldkey(2) };
const AUTHOR: Coldkey = Coldkey(3);

fn subnet(row: &Value) -> SubnetLedger {
    let mut subnet = SubnetLedger::new(netuid(&row["netuid"]), amm::pool(row), EpochClock::new(0, 0));
    subnet.first_emission_block = Some(1);
    subnet.fee_rate = rao(&row["fee_rate_u16"]) as u16;
    subnet.outstanding_alpha = rao(&row["alpha_out"]);
    subnet.stakes.deposit(TRADER, rao(&row["trader_alpha"]));
    subnet
}

fn netuid(value: &Value) -> NetUid {
    NetUid(rao(value) as u16)
}

fn ledger(row: &Value) -> Ledger {
    Ledger {
        subnets: array(&row["pools"]).iter().map(subnet).collect(),
        balances: [(TRADER.coldkey, rao(&row["trader_balance"]))].into(),
        author: Some(AUTHOR),
        total_stake: u64::MAX / 2,
        ..Ledger::default()
    }
}

fn execute(ledger: &mut Ledger, row: &Value) -> Result<(), StakeError> {
    let (at, amount) = (netuid(&row["netuid"]), rao(&row["amount"]));
    let limit = || Limit {
        price: rao(&row["price_limit"]),
        allow_partial: row["allow_partial"].as_bool().expect("a limit says whether a part will do"),
    };
    let to = || netuid(&row["netuid_to"]);
    match text(&row["op"]) {
        "add_stake" => ledger.add_stake(TRADER, at, amount),
        "add_stake_limit" => ledger.add_stake_limit(TRADER, at, amount, limit()),
        "remove_stake" => ledger.remove_stake(TRADER, at, amount),
        "remove_stake_limit" => ledger.remove_stake_limit(TRADER, at, amount, limit()),
        "swap_stake" => ledger.swap_stake(TRADER, at, to(), amount, None),
        "swap_stake_limit" => ledger.swap_stake(TRADER, at, to(), amount, Some(limit())),
        "unstake_all" => ledger.unstake_all(TRADER),
        "recycle_alpha" => ledger.recycle_alpha(TRADER, at, amount).map(|_| ()),
        "burn_alpha" => ledger.burn_alpha(TRADER, at, amount).map(|_| ()),
        other => panic!("no operation {other}"),
    }
}

#[test]
fn stake_operations() {
    let mut worst = Deviations::of("stake_ops");
    for row in rows("stake_ops") {
        let before = ledger(&row);
        let mut after = before.clone();
        let result = execute(&mut after, &row);
        let case = text(&row["case"]);
        let ours = result.map_or_else(StakeError::chain_name, |()| "ok");
        worst.equal("result", ours, text(&row["result"]), case);
        if result.is_err() {
            worst.equal("state after a refusal", after == before, true, case);
        }
        compare(&mut worst, &before, &after, &row["out"], case);
    }
    worst.finish();
}

fn compare(worst: &mut Deviations, before: &Ledger, after: &Ledger, out: &Value, case: &str) {
    for (subnet, chain) in after.subnets.iter().zip(array(&out["pools"])) {
        for (quantity, ours) in [
            ("tao", subnet.pool.reserve_tao),
            ("alpha_in", subnet.pool.reserve_alpha),
            ("alpha_out", subnet.outstanding_alpha),
            ("quote_weight", subnet.pool.weight_tao),
            ("trader_alpha", subnet.stakes.of(TRADER)),
        ] {
            worst.distance(&format!("{quantity} (rao)"), 0.0, ours, rao(&chain[quantity]), case);
        }
        worst.equal("tao_flow", i128::from(subnet.user_flow_tao), signed(&chain["tao_flow"]), case);
        worst.equal("spot price (bits)", subnet.pool.spot_price_raw(), integer(&chain["price_u64f64"]), case);
    }
    let change = |after: u64, before: u64| i128::from(after) - i128::from(before);
    for (quantity, ours) in [
        ("trader_balance", i128::from(after.balance(TRADER.coldkey))),
        ("block_author_balance_delta", i128::from(after.balance(AUTHOR))),
        ("total_issuance_delta", change(after.issuance, before.issuance)),
        ("total_stake_delta", change(after.total_stake, before.total_stake)),
    ] {
        worst.equal(quantity, ours, signed(&out[quantity]), case);
    }
}
