//! Shares by net TAO flow: averages and shares of the chain's retired rule.

use serde_json::Value;
use taorisk::protocol::params::ProtocolParams;
use taorisk::protocol::params::TaoFlowParams;
use taorisk::protocol::share_rules;
use taorisk::protocol::share_rules::FlowAverages;
use taorisk::protocol::share_rules::ShareInput;
use taorisk::protocol::share_rules::ShareRule;

use crate::vectors::Deviations;
use crate::vectors::array;
use crate::vectors::flag;
use crate::vectors::params;
use crate::vectors::rao;
use crate::vectors::rows;
use crate::vectors::signed;
use crate::vectors::text;

/// A share may differ by 1e-8 and by what the file says that the chain differs from exact maths.
///
/// Above this the chain's fixed-point shares are not what real numbers give, says the file itself; such rows are not held.
const EXACT_MATHS_LIMIT: f64 = 1e-6;

/// A signed number of 64 fractional bits, in rao.
fn signed_fixed(value: &Value) -> f64 {
    signed(value) as f64 / 18_446_744_073_709_551_616.0
}

#[test]
fn flow_rule() {
    let mut worst = Deviations::of("shares_flow");
    for row in rows("shares_flow") {
        let case = text(&row["case"]);
        let is_net = flag(&row["net_flow_enabled"]);
        // Flows, averages and the cutoff are in rao per block here: shares are ratios.
        let tao_flow = TaoFlowParams {
            smoothing: rao(&row["smoothing_factor"]) as f64 / i64::MAX as f64,
            cutoff_tao: signed_fixed(&row["cutoff_i64f64"]),
            exponent: signed_fixed(&row["exponent_u64f64"]),
        };
        let share_rule = if is_net { ShareRule::N } else { ShareRule::F2 };
        let params = ProtocolParams { share_rule, tao_flow, ..params() };
        let count = rao(&row["n"]) as usize;
        let mut averages = vec![FlowAverages::default(); count];
        for prior in array(&row["init_ema"]) {
            averages[rao(&prior["netuid"]) as usize - 1] = FlowAverages {
                user: signed_fixed(&prior["user_ema_i64f64"]),
                protocol: signed_fixed(&prior["protocol_ema_i64f64"]),
            };
        }
        let (events, mut next_event, mut block) = (array(&row["events"]), 0, 0);
        for out in array(&row["out"]) {
            let until = rao(&out["block_offset"]);
            while block <= until {
                let mut flows = vec![FlowAverages::default(); count];
                while next_event < events.len() && rao(&events[next_event][0]) == block {
                    let event = &events[next_event];
                    let flow = &mut flows[rao(&event[1]) as usize - 1];
                    flow.user += signed(&event[2]) as f64;
                    flow.protocol += signed(&event[3]) as f64;
                    next_event += 1;
                }
                averages.iter_mut().zip(&flows).for_each(|(average, flow)| average.advance(*flow, tao_flow.smoothing));
                block += 1;
            }
            let exact = out["max_abs_diff_vs_exact_math"].as_f64().expect("a number");
            let earning = ShareInput { started: true, enabled: true, ..ShareInput::default() };
            let inputs: Vec<ShareInput> = averages.iter().map(|flow| ShareInput { flow: *flow, ..earning }).collect();
            let mut shares = Vec::new();
            share_rules::emission_shares(&params, 0.0, &inputs, &mut shares);
            // The oracle's surprise 4: with all net flows at the limit, the chain's rounding dust alone decides.
            let dust_decides = is_net && shares.iter().all(|share| *share == 0.0);
            for slot in 0..count {
                let user = signed_fixed(&out["user_ema_i64f64"][slot]);
                let protocol = signed_fixed(&out["protocol_ema_i64f64"][slot]);
                worst.note("user average, relative", 1e-12, relative(averages[slot].user, user), case);
                worst.note("protocol average, relative", 1e-12, relative(averages[slot].protocol, protocol), case);
                if exact <= EXACT_MATHS_LIMIT && !dust_decides {
                    let chain = signed_fixed(&out["share_u64f64"][slot]);
                    let allowed = exact + 1e-8;
                    worst.note("share, in allowances", 1.0, (shares[slot] - chain).abs() / allowed, case);
                }
            }
        }
    }
    worst.finish();
}

/// Difference relative to the larger of the value and a millionth of a rao.
fn relative(ours: f64, chain: f64) -> f64 {
    (ours - chain).abs() / chain.abs().max(1e-6)
}
