//! Revenue on paths against known answers: what is bought, withheld and sold, and when it ends.

use taorisk::engine::path::PathState;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::plan::locate;
use taorisk::engine::record::EventKind;
use taorisk::model::revenue::CampaignParams;
use taorisk::model::revenue::PayoutPeg;
use taorisk::model::revenue::RevenueParams;
use taorisk::protocol::pool::Pool;
use taorisk::units::NetUid;

use crate::drive::customers;
use crate::drive::plan;
use crate::drive::silence;
use crate::drive::watch;

const SLOT: usize = 92;
const NO_CAMPAIGNS: CampaignParams =
    CampaignParams { rate_per_day: 0.0, budget_median_usd: 0.0, budget_sd_log: 0.0, spend_days: 1.0 };

/// Revenue of 1,000 USD a day of SN93, on a path on which only the chain and its owner act besides.
fn steady(input: &mut PlanInput) -> &mut RevenueParams {
    silence(input);
    let lively = customers(input, 93);
    input.model.revenue = vec![RevenueParams {
        median_usd_per_day: 1_000.0,
        sd_log: 0.0,
        start_usd_per_day: 1_000.0,
        campaigns: NO_CAMPAIGNS,
        peg: None,
        creator_sale_fraction: None,
        ..lively
    }];
    &mut input.model.revenue[0]
}

/// States of the first path, from its start on.
fn states(blocks_per_step: u64, steps: u32, change: impl FnOnce(&mut PlanInput)) -> Vec<PathState> {
    let plan = plan(blocks_per_step, steps, change);
    watch(&plan, 1, |view, _| view.path.clone()).expect("a sound path").remove(0)
}

fn pool(path: &PathState) -> Pool {
    let (chunk, lane) = locate(SLOT);
    Pool::from(&path.chain[chunk].lane(lane, NetUid::from_slot(SLOT)))
}

fn assert_close(found: f64, expected: f64, what: &str) {
    assert!((found / expected - 1.0).abs() < 1e-13, "{what}: {found}, not {expected}");
}

/// Alpha minted to miners, withheld or not, in a step that opens as `path`.
fn server_alpha(path: &PathState, blocks: f64) -> f64 {
    let (chunk, lane) = locate(SLOT);
    0.5 * (1.0 - path.protocol.owner_cut) * blocks * path.chain[chunk].alpha_emission[lane]
}

#[test]
fn buybacks_are_revenue_at_the_rate_of_the_step() {
    for (weight_tao, blocks) in [(0.5, 7_200), (0.4, 7_200), (0.5, 360)] {
        let weigh = |input: &mut PlanInput| input.start.subnets[SLOT].weight_tao = weight_tao;
        let with = states(blocks, 30, |input| {
            steady(input);
            weigh(input);
        });
        let without = states(blocks, 1, |input| {
            silence(input);
            weigh(input);
        });
        for path in &with[1..] {
            // 80 % of what a margin of 30 % leaves.
            let expected = 560.0 * blocks as f64 / 7_200.0 / path.outside.tao_usd;
            assert_close(path.revenue[0].step.buyback_tao, expected, "TAO of a buyback");
        }
        let total: f64 = with[1..].iter().map(|path| path.revenue[0].step.buyback_tao).sum();
        assert_close(with[30].revenue[0].total.buyback_tao, total, "all buybacks");
        // The first step's comes on the pool as the chain's emission has left it.
        let (before, after) = (pool(&without[1]), pool(&with[1]));
        let paid_tao = with[1].revenue[0].step.buyback_tao;
        let expected = before.after_buy(paid_tao);
        assert_close(after.reserve_tao, expected.reserve_tao, "TAO reserve");
        assert_close(after.reserve_alpha, expected.reserve_alpha, "alpha reserve");
        let (chunk, lane) = locate(SLOT);
        let staked = with[1].chain[chunk].staked_alpha[lane] - without[1].chain[chunk].staked_alpha[lane];
        assert!((staked - before.buy(paid_tao)).abs() < 1e-8, "{staked} alpha staked");
        assert!((without[1].free_tao - with[1].free_tao - paid_tao).abs() < 1e-8);
    }
}

#[test]
fn a_peg_withholds_what_payouts_leave_of_miner_emission() {
    let paths = states(7_200, 20, |input| {
        let peg = Some(PayoutPeg { usd_per_day: 200.0, of_revenue: 0.7 });
        *steady(input) = RevenueParams { peg, ..steady(input).clone() };
    });
    let (chunk, lane) = locate(SLOT);
    for pair in paths.windows(2) {
        let (open, close) = (&pair[0], &pair[1]);
        let minted = server_alpha(open, 7_200.0);
        let emission_usd = minted * open.price(SLOT) * close.outside.tao_usd;
        let expected = 1.0 - 900.0 / emission_usd;
        assert!(expected > 0.8, "the peg must bind: {expected}");
        assert_close(close.chain[chunk].miner_burned[lane], expected, "withheld part");
        let burned = close.chain[chunk].burned_alpha[lane] - open.chain[chunk].burned_alpha[lane];
        assert!((burned / (minted * expected) - 1.0).abs() < 1e-9, "{burned} alpha burned");
        let figures = close.revenue[0].step;
        assert_close(figures.miner_tao * close.outside.tao_usd, 900.0, "USD that miners receive");
        assert_close(figures.withheld_tao + figures.miner_tao, minted * open.price(SLOT), "value of miner emission");
    }
}

/// Where emission falls short of what miners may be paid, as much is withheld as on the snapshot.
#[test]
fn a_generous_peg_changes_nothing() {
    let with = |payout_usd| {
        states(7_200, 5, |input| {
            let peg = Some(PayoutPeg { usd_per_day: payout_usd, of_revenue: 0.0 });
            *steady(input) = RevenueParams { peg, buyback: 0.0, ..steady(input).clone() };
        })
    };
    let without = states(7_200, 5, silence);
    let bits = |path: &PathState| format!("{:?}", path.chain);
    assert_eq!(bits(&with(1e6)[5]), bits(&without[5]));
    assert_ne!(bits(&with(1e3)[5]), bits(&without[5]));
}

#[test]
fn creators_sell_their_own_part() {
    let sales = |part: f64, creators: Option<f64>| {
        states(7_200, 1, |input| {
            let revenue = steady(input);
            (revenue.buyback, revenue.creator_sale_fraction) = (0.0, creators);
            input.model.sales.miner = part;
        })
    };
    let (none, all) = (sales(0.0, None), sales(0.0, Some(1.0)));
    let received = server_alpha(&none[0], 7_200.0) * (1.0 - none[1].chain[SLOT / 8].miner_burned[SLOT % 8]);
    let expected = pool(&none[1]).after_sell(received);
    assert_close(pool(&all[1]).reserve_tao, expected.reserve_tao, "TAO reserve");
    assert_close(pool(&all[1]).reserve_alpha, expected.reserve_alpha, "alpha reserve");
    // Other miners sell all, creators nothing: back to where nobody sells.
    let kept = sales(1.0, Some(0.0));
    assert_close(pool(&kept[1]).reserve_tao, pool(&none[1]).reserve_tao, "TAO reserve");
    assert_close(
        kept[1].chain[SLOT / 8].staked_alpha[SLOT % 8],
        none[1].chain[SLOT / 8].staked_alpha[SLOT % 8],
        "stake",
    );
}

/// All chance and all trades; a subnet whose customers bring nothing.
#[test]
fn revenue_of_nothing_changes_no_bit() {
    let idle = |input: &mut PlanInput| {
        let lively = customers(input, 93);
        let revenue = RevenueParams {
            median_usd_per_day: 0.0,
            start_usd_per_day: 0.0,
            campaigns: NO_CAMPAIGNS,
            peg: None,
            creator_sale_fraction: None,
            ..lively
        };
        input.model.revenue = vec![revenue];
    };
    let (with, without) = (states(7_200, 60, idle), states(7_200, 60, |_| {}));
    for (a, b) in with.iter().zip(&without) {
        assert_eq!(format!("{:?}{:?}", a.chain, a.behaviour), format!("{:?}{:?}", b.chain, b.behaviour));
        assert_eq!((a.free_tao, a.issuance_tao, a.root_stake_tao), (b.free_tao, b.issuance_tao, b.root_stake_tao));
    }
}

#[test]
fn buybacks_end_with_the_money_in_wallets() {
    let paths = states(7_200, 5, |input| {
        let revenue = steady(input);
        (revenue.median_usd_per_day, revenue.start_usd_per_day) = (1e12, 1e12);
    });
    let start = &paths[0];
    assert!((paths[1].revenue[0].step.buyback_tao / start.free_tao - 1.0).abs() < 1e-6);
    assert!(paths.iter().all(|path| path.free_tao > -1e-6 && path.tao_imbalance().abs() < 1e-12));
}

/// The entrant in the slot has no customers, and withholds what it withholds.
#[test]
fn revenue_ends_with_the_subnet() {
    let plan = plan(7_200, 60, |input| {
        input.model.revenue = vec![customers(input, 93)];
        let subnet = &mut input.start.subnets[SLOT];
        (subnet.moving_price, subnet.reserve_tao) = (0.0, 10.0);
        input.model.registration.hazard_per_day = 1e3;
    });
    let seen = watch(&plan, 8, |view, _| (view.path.clone(), view.events.to_vec())).expect("sound paths");
    let mut ended = 0;
    for steps in &seen {
        let is_end = |kind, slot| (kind, slot) == (EventKind::Deregistered, SLOT);
        let end = steps.iter().position(|(_, events)| events.iter().any(|event| is_end(event.kind, event.slot)));
        let Some(end) = end.filter(|end| *end < 59) else { continue };
        ended += 1;
        let (total, last) = (steps[end].0.revenue[0].total, &steps[60].0);
        assert!(total.buyback_tao > 0.0 && last.revenue[0].total == total);
        assert_eq!(last.revenue[0].step.revenue_usd, 0.0);
        let burned = last.chain[SLOT / 8].miner_burned[SLOT % 8];
        assert!(burned == 0.0 || burned == 1.0, "an entrant's: {burned}");
    }
    assert!(ended >= 4, "{ended} paths");
}
