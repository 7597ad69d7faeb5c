//! The moving price, in integers and in floored real numbers.

use serde_json::Value;
use taorisk::protocol::moving_price;
use taorisk::protocol::pool_rao::PoolRao;

use crate::vectors::Deviations;
use crate::vectors::array;
use crate::vectors::integer;
use crate::vectors::rao;
use crate::vectors::rows;
use crate::vectors::text;

const RAW: f64 = 4_294_967_296.0;

/// Steps at which the chain's value is known, in a map from offset to value.
fn known(row: &Value) -> std::collections::BTreeMap<u64, u64> {
    array(&row["out_offset_price_i96f32"]).iter().map(|pair| (rao(&pair[0]), rao(&pair[1]))).collect()
}

fn price_at(segments: &[Value], offset: u64) -> &Value {
    segments.iter().rev().find(|segment| rao(&segment["from_offset"]) <= offset).expect("a segment")
}

fn compare(worst: &mut Deviations, row: &Value) {
    let case = text(&row["case"]);
    let segments = array(&row["pool_segments"]);
    for segment in segments {
        let pool = PoolRao {
            reserve_tao: rao(&segment["tao"]),
            reserve_alpha: rao(&segment["alpha_in"]),
            weight_tao: rao(&segment["quote_weight"]),
        };
        worst.equal("spot price (bits)", pool.spot_price_raw(), integer(&segment["price_u64f64"]), case);
    }
    let (smoothing, halving) = (rao(&row["moving_alpha_i96f32"]), rao(&row["halving_blocks"]));
    let first = row["first_emission_block"].as_u64();
    let known = known(row);
    let mut raw = rao(&row["moving_price0_i96f32"]);
    let mut floored = raw as f64 / RAW;
    let mut price = 0;
    for offset in 0..rao(&row["blocks"]) {
        if offset == 0 || segments.iter().any(|segment| rao(&segment["from_offset"]) == offset) {
            price = integer(&price_at(segments, offset)["price_u64f64"]);
        }
        let age = moving_price::age_blocks(rao(&row["start_block"]) + offset, first);
        raw = moving_price::update_raw(raw, price, smoothing, age, halving);
        let (spot_price, weight) = (price as f64 / (RAW * RAW), smoothing as f64 / RAW);
        floored = moving_price::update_floored(floored, spot_price, weight, age, halving);
        if let Some(chain) = known.get(&offset) {
            worst.equal("moving price (bits)", raw, *chain, case);
            worst.distance("floored real number (units of 2^-32)", 0.0, (floored * RAW) as u64, *chain, case);
        }
    }
}

#[test]
fn updates() {
    let mut worst = Deviations::of("moving_price");
    rows("moving_price").iter().for_each(|row| compare(&mut worst, row));
    worst.finish();
}

#[test]
fn long_updates() {
    let mut worst = Deviations::of("moving_price_long");
    rows("moving_price_long").iter().for_each(|row| compare(&mut worst, row));
    worst.finish();
}
