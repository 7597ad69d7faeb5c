//! Books that trade: in the path's own pools as the chain would, in copies that cost nothing until touched, and what policies promise.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use taorisk::cli::run::plan_of;
use taorisk::cli::run::recorder_of;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::advance::Workspace;
use taorisk::engine::path::PathState;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::locate;
use taorisk::engine::policy::Market;
use taorisk::engine::record::PathRow;
use taorisk::engine::recorder::Recorder;
use taorisk::engine::recorder::StepView;
use taorisk::engine::run;
use taorisk::engine::run::RunOptions;
use taorisk::engine::step;
use taorisk::portfolio::policy::BookPolicy;
use taorisk::portfolio::policy::Policy;
use taorisk::portfolio::pool_copy::PoolCopy;
use taorisk::portfolio::pool_copy::dilution;
use taorisk::portfolio::position::Position;
use taorisk::portfolio::tracker::BookTracker;
use taorisk::portfolio::valuation;
use taorisk::protocol::fixed::Rounding;
use taorisk::protocol::pool::Pool;
use taorisk::protocol::pool::PoolRule;
use taorisk::protocol::share_rules::ShareRule;
use taorisk::protocol::slots::CHUNK_SLOTS;
use taorisk::protocol::slots::SlotValues;
use taorisk::protocol::trade;
use taorisk::protocol::trade::Order;
use taorisk::risk::recorder::BatchRecord;
use taorisk::risk::replay::ReplayPlan;
use taorisk::risk::replay::replay;
use taorisk::simd::Backend;
use taorisk::units::NetUid;

use crate::drive::deviation;
use crate::drive::plan;

/// Every kind of policy, as a scenario has it.
const KINDS: [&str; 9] = [
    "kind = \"hold\"\ncash_tao = 40.0",
    "kind = \"rebalance\"\nevery_days = 3",
    "kind = \"rebalance\"\nevery_days = 2\nnetuids = [4, 9, 64, 120]\nweights = [1, 2, 3, 4]\ntolerance = 0.01",
    "kind = \"stop\"\nstop_loss = 0.05\ntake_profit = 0.08",
    "kind = \"stop\"\nstop_loss = 0.02\ntake_profit = 0.02\nscope = \"book\"\nslippage_max = 0.0005",
    "kind = \"exit_before_deregistration\"\ndistance = 8.0",
    "kind = \"twap_exit\"\nstart_day = 2\ndays = 5",
    "kind = \"twap_entry\"\nnetuids = [1, 9, 64]\ndays = 6\ncash_tao = 900.0",
    "kind = \"yield_rotation\"\nevery_days = 4\ncount = 5\nslippage_max = 0.01\ncash_tao = 100.0",
];

fn scenario(text: &str) -> Scenario {
    Scenario::from_text("policies", text, Path::new(""), &Overrides::default()).expect("a scenario")
}

/// `market` is what the first book does; then follow the books of `others`.
fn with_policies(head: &str, market: Option<&str>, others: &[&str]) -> Scenario {
    let own = market.map(|policy| format!("[[policies]]\nname = \"main\"\nbook = \"main\"\n{policy}\n"));
    let other = |(index, policy)| format!("[[policies]]\nname = \"b{index}\"\n{policy}\n");
    let others: String = others.iter().enumerate().map(other).collect();
    scenario(&format!("{head}\n{}{others}", own.unwrap_or_default()))
}

fn records(scenario: &Scenario, batch_paths: usize, threads: usize) -> Vec<BatchRecord> {
    let paths = scenario.paths;
    let options = RunOptions { first_path: 0, paths, batch_paths, threads, backend: Backend::detect() };
    let mut records = Vec::new();
    let take = |record| {
        records.push(record);
        ControlFlow::Continue(())
    };
    run::run(&plan_of(scenario), &options, || recorder_of(scenario), take, &AtomicBool::new(false))
        .expect("sound paths");
    records
}

fn rows(scenario: &Scenario, batch_paths: usize, threads: usize) -> Vec<PathRow> {
    records(scenario, batch_paths, threads).into_iter().flat_map(|record| record.paths).collect()
}

/// Watches the books of a scenario, one path after the other.
struct Watcher<F> {
    tracker: BookTracker,
    see: F,
}

/// When a watcher looks.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Opening,
    BeforeTrades,
    AfterTrades,
}

impl<F: FnMut(At, &StepView<'_>, &BookTracker) + Send> Recorder for Watcher<F> {
    type Batch = ();

    fn open(&mut self, index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        self.tracker.open(index, view, held);
        (self.see)(At::Opening, view, &self.tracker);
    }

    fn trades(&self) -> bool {
        true
    }

    fn trade(&mut self, index: usize, market: &mut Market<'_>) {
        (self.see)(At::BeforeTrades, &market.view(), &self.tracker);
        if self.tracker.trades() {
            self.tracker.trade(index, market);
        }
    }

    fn step(&mut self, index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        self.tracker.step(index, view, held);
        (self.see)(At::AfterTrades, view, &self.tracker);
    }

    fn close(&mut self, _first_path: u64, _count: usize) {}
}

fn watch(scenario: &Scenario, see: impl FnMut(At, &StepView<'_>, &BookTracker) + Send + Clone + Sync) {
    let tracker = || {
        let (books, policies) = (scenario.books.clone(), scenario.policies.clone());
        BookTracker::with_policies(books, policies, vec![scenario.horizon_steps], scenario.protocol.fee_rate)
    };
    let paths = scenario.paths;
    let options = RunOptions { first_path: 0, paths, batch_paths: 1, threads: 1, backend: Backend::detect() };
    let watcher = || Watcher { tracker: tracker(), see: see.clone() };
    run::run(&plan_of(scenario), &options, watcher, |()| ControlFlow::Continue(()), &AtomicBool::new(false))
        .expect("sound paths");
}

fn subnet_of(path: &PathState, slot: usize) -> [f64; 3] {
    let (chunk, lane) = locate(slot);
    let chain = &path.chain[chunk];
    [chain.reserve_tao[lane], chain.reserve_alpha[lane], chain.staked_alpha[lane]]
}

fn opened(plan: &Plan) -> (PathState, Workspace) {
    let mut path = PathState::new(plan);
    step::reset(Backend::detect(), plan, &mut path, 0);
    (path, Workspace::default())
}

#[test]
fn an_order_in_the_market_is_the_chains() {
    for pool_rule in [PoolRule::A0, PoolRule::A1, PoolRule::A1b, PoolRule::A2] {
        let plan = plan(7_200, 1, |input| {
            (input.protocol.pool_rule, input.protocol.share_rule) = (pool_rule, ShareRule::F2);
        });
        for (netuid, gross_alpha, gross_tao) in [(64, 9e3, 4e2), (4, 1.0, 1e-3), (120, 6e5, 2e5), (3, 1e5, 5e4)] {
            let (mut path, work) = opened(&plan);
            let mut state = plan.input.start.clone();
            let netuid = NetUid(netuid);
            let slot = netuid.slot();
            let (before_free, mut author_tao, mut bought_and_sold) = (path.free_tao, 0.0, 0.0);
            for order in [Order::Sell { netuid, gross_alpha }, Order::Buy { netuid, gross_tao }] {
                let expected = trade::execute(&plan.input.protocol, Rounding::Continuous, &mut state, order).unwrap();
                let mut market = Market::new(&plan, &mut path, &work, 1);
                let (done, sign) = match order {
                    Order::Sell { .. } => (market.sell(slot, gross_alpha), 1.0),
                    Order::Buy { .. } => (market.buy(slot, gross_tao), -1.0),
                };
                let done = done.unwrap();
                assert!(deviation(done.paid_out, expected.paid_out) < 1e-12 && done.paid_in == expected.paid_in);
                author_tao += done.author_tao;
                bought_and_sold += if sign > 0.0 { done.paid_out } else { -done.paid_in };
                let subnet = state.subnets.iter().find(|subnet| subnet.netuid == netuid).unwrap();
                let expected = [subnet.reserve_tao, subnet.reserve_alpha, subnet.staked_alpha];
                for (ours, theirs) in subnet_of(&path, slot).into_iter().zip(expected) {
                    assert!(deviation(ours, theirs) < 1e-12, "{pool_rule:?} {netuid}: {ours}, expected {theirs}");
                }
                let (chunk, lane) = locate(slot);
                assert!(deviation(path.flows[chunk].pending_user[lane], subnet.flow.pending.user) < 1e-12);
                assert!(path.tao_imbalance().abs() < 1e-14, "{pool_rule:?}: {}", path.tao_imbalance());
            }
            // What the seller and the author got is in wallets, what the buyer paid is not.
            let moved = path.free_tao - before_free;
            assert!((moved - (bought_and_sold + author_tao)).abs() < 1e-7, "{moved}");
        }
    }
}

#[test]
fn a_refused_order_changes_nothing() {
    let plan = plan(7_200, 1, |_| ());
    let (mut path, work) = opened(&plan);
    let before = path.clone();
    let slot = NetUid(64).slot();
    let empty = path.occupants.iter().position(Option::is_none).expect("slots above the limit are free");
    let unstarted = NetUid(59).slot();
    let mut market = Market::new(&plan, &mut path, &work, 1);
    assert!(market.sell(slot, 1e9).is_err() && market.buy(slot, 1e9).is_err() && market.buy(slot, f64::NAN).is_err());
    assert!(market.buy(empty, 1.0).is_err() && market.buy(unstarted, 1.0).is_err());
    assert_eq!((path.free_tao, subnet_of(&path, slot)), (before.free_tao, subnet_of(&before, slot)));
    assert_eq!(subnet_of(&path, unstarted), subnet_of(&before, unstarted));
}

/// A copy that was traded in once is the pool as the trade would have left it; liquidity that comes in dilutes, flow does not.
#[test]
fn a_copy_is_the_pool_after_its_trades() {
    let plan = plan(7_200, 1, |_| ());
    let (mut path, work) = opened(&plan);
    for netuid in [3, 64, 120] {
        let netuid = NetUid(netuid);
        let slot = netuid.slot();
        let pool = valuation::pool_of(&path, slot);
        let mut copy = PoolCopy::UNTOUCHED;
        assert!(copy.pool(pool) == pool && copy.price_factor() == 1.0);
        let subnet = taorisk::engine::policy::subnet_in(&path, slot).unwrap();
        let order = Order::Sell { netuid, gross_alpha: 0.03 * pool.reserve_alpha };
        copy.execute(&plan.input.protocol, subnet, order).unwrap();
        Market::new(&plan, &mut path, &work, 1).sell(slot, 0.03 * pool.reserve_alpha).unwrap();
        let expected = valuation::pool_of(&path, slot);
        let found = copy.pool(pool);
        assert!(deviation(found.reserve_tao, expected.reserve_tao) < 1e-12);
        assert!(deviation(found.reserve_alpha, expected.reserve_alpha) < 1e-12);
        assert!(deviation(pool.spot_price() * copy.price_factor(), expected.spot_price()) < 1e-12);
        let factor = copy.price_factor();
        let [kept, rest] = dilution(pool.reserve_tao, 0.2, 1.2 * pool.reserve_tao, pool.weight_tao);
        assert!(deviation(2.0 + rest, 1.0 / pool.weight_alpha()) < 1e-14);
        copy.dilute(kept, pool.weight_alpha());
        assert!(deviation(copy.price_factor(), factor) < 1e-14, "flow leaves the difference alone");
        let (y, added) = (pool.reserve_tao, 0.5 * pool.reserve_tao);
        copy.dilute(dilution(y, 0.0, y + added, pool.weight_tao)[0], pool.weight_alpha());
        let diluted = copy.pool(Pool { reserve_tao: y + added, ..pool }).reserve_tao;
        assert!(deviation(diluted, expected.reserve_tao + added) < 1e-12, "the same TAO came into both");
    }
}

#[test]
fn tao_and_alpha_are_neither_made_nor_lost_by_any_policy() {
    for (index, policy) in KINDS.iter().enumerate() {
        let seed = 100 + index;
        let head = format!("[run]\nseed = {seed}\npaths = 3\nhorizon_days = 15\nblocks_per_step = 3600");
        let scenario = with_policies(&head, Some(policy), &KINDS);
        let mut before = (Vec::new(), 0.0, 0.0);
        let mut opening = 0.0;
        watch(&scenario, move |at, view, tracker| {
            let slots = 0..view.path.chain.len() * CHUNK_SLOTS;
            let issuance = slots.map(|slot| view.path.chain[slot / CHUNK_SLOTS].issuance_alpha(slot % CHUNK_SLOTS));
            let issuance: Vec<f64> = issuance.collect();
            let tao = view.path.pool_tao() + view.path.free_tao;
            match at {
                At::Opening => opening = tracker.opening_tao(0, 0),
                At::BeforeTrades => before = (issuance, tao, view.path.free_tao),
                At::AfterTrades => {
                    for (before, after) in before.0.iter().zip(&issuance) {
                        assert!(deviation(*before, *after) < 1e-12, "alpha: {before}, then {after}");
                    }
                    assert!(deviation(before.1, tao) < 1e-12, "TAO: {}, then {tao}", before.1);
                    assert!(view.path.tao_imbalance().abs() < 1e-12);
                    for book in 0..tracker.books().len() {
                        let row = tracker.outcome(0, book, view);
                        let values = tracker.position_values(0, book, view);
                        let sum: f64 = values.iter().map(|value| value.mark_tao + value.earned_tao).sum();
                        let value = tracker.opening_tao(0, book) + row.pnl_mark_tao;
                        assert!(deviation(sum, value) < 1e-11, "book {book}: {sum}, not {value}");
                        assert!(
                            tracker.cash_tao(0, book) >= -1e-9 && row.pnl_liquidation_tao <= row.pnl_mark_tao + 1e-9
                        );
                    }
                    assert!(opening > 0.0);
                }
            }
        });
    }
}

/// Price (TAO per alpha) of each position of a book, its own trades included.
fn prices(tracker: &BookTracker, book: usize, view: &StepView<'_>) -> Vec<f64> {
    let values = tracker.position_values(0, book, view);
    values.iter().zip(tracker.alpha(0, book)).map(|(value, alpha)| value.mark_tao / alpha).collect()
}

/// At the prices that it traded on: fee and slippage leave what was bought short by a per cent of the trade.
#[test]
fn a_rebalanced_book_has_its_weights() {
    let head = "[run]\npaths = 6\nhorizon_days = 21";
    let policy = "kind = \"rebalance\"\nevery_days = 7\ntargets = \"equal\"";
    // Not in one run: a copy is of pools that the market's book has moved just before.
    let scenarios = [with_policies(head, Some(policy), &[]), with_policies(head, None, &[policy])];
    for (book, mut scenario) in scenarios.into_iter().enumerate() {
        // Pools of 300 to 2,000 TAO make what is bought short by 10 % of the trade.
        let is_deep = |position: &Position| ![16, 31, 47].contains(&position.netuid.0);
        scenario.books.iter_mut().for_each(|book| book.positions.retain(is_deep));
        let (mut before, mut moved) = (Vec::new(), 0.0_f64);
        watch(&scenario, move |at, view, tracker| {
            if !tracker.settlements(0, book).is_empty() {
                return;
            }
            if at != At::AfterTrades {
                before = prices(tracker, book, view);
                return;
            }
            let values = tracker.alpha(0, book).iter().zip(&before).map(|(alpha, price)| alpha * price);
            let values: Vec<f64> = values.collect();
            let sum: f64 = values.iter().sum();
            let off = values.iter().fold(0.0, |off: f64, value| off.max((value / sum - 1.0 / 7.0).abs()));
            if view.step.is_multiple_of(7) {
                assert!(off < 2e-4, "book {book}, step {}: a weight is off by {off}", view.step);
                assert!(tracker.cash_tao(0, book) < 1e-9, "what was sold for was spent");
            } else {
                moved = moved.max(off);
            }
            assert!(view.step < 6 || moved > 3e-3, "weights move between: {moved}");
        });
    }
}

#[test]
fn a_stop_acts_at_once_and_for_good() {
    let head = "[run]\npaths = 12\nhorizon_days = 20";
    let policy = "kind = \"stop\"\nstop_loss = 0.05\ntake_profit = 0.1";
    let scenario = with_policies(head, None, &[policy]);
    let positions = scenario.books[0].positions.len();
    let mut opening = Vec::new();
    let (mut sold, mut kept) = (0, 0);
    watch(&scenario, move |at, view, tracker| {
        let values = tracker.position_values(0, 1, view);
        match at {
            At::Opening => opening = values.iter().map(|value| value.mark_tao).collect(),
            At::BeforeTrades => {}
            At::AfterTrades => {
                for index in 0..positions {
                    let (alpha, value) = (tracker.alpha(0, 1)[index], values[index].mark_tao / opening[index]);
                    if alpha > 0.0 {
                        kept += 1;
                        assert!(
                            value > 0.95 && value < 1.1,
                            "step {}: {value} of the opening value is held",
                            view.step
                        );
                        assert_eq!(alpha, tracker.alpha(0, 0)[index], "as in the book that holds");
                    } else {
                        sold += 1;
                    }
                }
                assert!(view.path.path < 11 || view.step < 20 || (sold > 50 && kept > 50), "{sold} {kept}");
            }
        }
    });
}

/// The policy's rule by the book: sort those outside grace by moving price.
fn is_in_reach(view: &StepView<'_>, slot: usize, rank: usize) -> bool {
    let next = view.block + view.plan.input.blocks_per_step;
    let outside = |slot: usize| {
        view.path.occupants[slot]
            .is_some_and(|occupant| occupant.registered_at + view.path.protocol.immunity_period_blocks <= next)
    };
    let moving_price = |slot: usize| view.path.chain[locate(slot).0].moving_price[locate(slot).1];
    let mut prices: Vec<f64> = (0..view.path.occupants.len()).filter(|slot| outside(*slot)).map(moving_price).collect();
    prices.sort_by(f64::total_cmp);
    outside(slot) && moving_price(slot) <= prices[rank.min(prices.len()) - 1]
}

#[test]
fn what_was_in_reach_is_sold_before_it_is_pruned() {
    // The ten subnets outside grace that are next to go: each prune of the first weeks is of one of them.
    let plan = plan_of(&scenario(""));
    let start = &plan.input.start;
    let mut old: Vec<_> = start.subnets.iter().filter(|subnet| subnet.registered_at + 864_000 <= start.block).collect();
    old.sort_by(|a, b| a.moving_price.total_cmp(&b.moving_price));
    let mut scenario = with_policies(
        "[run]\npaths = 16\nhorizon_days = 60",
        None,
        &["kind = \"exit_before_deregistration\"\nrank = 3", "kind = \"hold\""],
    );
    let template = scenario.books[0].positions[0].clone();
    let held = old.iter().filter(|subnet| subnet.is_started() && subnet.staked_alpha > 10.0).take(10);
    let mut positions: Vec<_> =
        held.map(|subnet| Position { netuid: subnet.netuid, alpha: 5.0, ..template.clone() }).collect();
    positions.sort_by_key(|position| position.netuid);
    scenario.books.iter_mut().for_each(|book| book.positions = positions.clone());
    let mut reachable: Vec<bool> = Vec::new();
    let (mut pruned, mut escaped) = (0, 0);
    watch(&scenario, move |at, view, tracker| {
        if at == At::BeforeTrades {
            return;
        }
        if at == At::AfterTrades {
            for event in view.events.iter().filter(|event| event.kind.name() == "deregistered" && event.incumbent) {
                let Some(index) = positions.iter().position(|held| held.netuid.slot() == event.slot) else { continue };
                let paid = |book| tracker.settlements(0, book).iter().any(|paid| paid.slot == event.slot);
                assert!(paid(2), "the book that holds was there");
                // The first chance to sell is the end of the first step.
                if reachable[index] && view.step > 1 {
                    assert!(!paid(1), "path {}, step {}: {} was in reach", view.path.path, view.step, event.slot);
                    escaped += 1;
                }
                pruned += 1;
            }
        }
        reachable = positions.iter().map(|held| is_in_reach(view, held.netuid.slot(), 3)).collect();
        assert!(view.path.path < 15 || view.step < 60 || (pruned > 20 && escaped > 15), "{pruned} {escaped}");
    });
}

#[test]
fn a_twap_exit_sells_evenly() {
    let head = "[run]\npaths = 2\nhorizon_days = 9\n[validators]\ndividend_factor = 0.0";
    let scenario = with_policies(head, None, &["kind = \"twap_exit\"\nstart_day = 2\ndays = 5"]);
    watch(&scenario, |at, view, tracker| {
        let (held, whole) = (tracker.alpha(0, 1), tracker.alpha(0, 0));
        let left = (7.0 - f64::from(view.step)).clamp(0.0, 5.0) / 5.0;
        if at == At::AfterTrades && tracker.settlements(0, 0).is_empty() {
            for (held, whole) in held.iter().zip(whole) {
                assert!((held / whole - left).abs() < 1e-12, "step {}: {held} of {whole}", view.step);
            }
        }
    });
}

#[test]
fn a_twap_entry_spends_its_cash_evenly() {
    let head = "[run]\npaths = 2\nhorizon_days = 9";
    let policy = "kind = \"twap_entry\"\nnetuids = [1, 9]\nweights = [1, 3]\nstart_day = 1\ndays = 4\ncash_tao = 400.0";
    let scenario = with_policies(head, None, &[policy]);
    watch(&scenario, |at, view, tracker| {
        let values = tracker.position_values(0, 1, view);
        assert_eq!(values.len(), 11, "the positions, and one for cash and all else");
        if at == At::AfterTrades && tracker.settlements(0, 1).is_empty() {
            assert!(view.step < 5 || values[10].mark_tao > 300.0, "{}", values[10].mark_tao);
            let left = 400.0 * (5.0 - f64::from(view.step)).clamp(0.0, 4.0) / 4.0;
            assert!((tracker.cash_tao(0, 1) - left).abs() < 1e-9, "step {}", view.step);
        }
    });
}

/// A bound that no order meets makes a book trade order by order; without one its orders meet their pools all at once.
#[test]
fn orders_at_once_are_orders_one_by_one() {
    let bound = |policy: &str| format!("{policy}\nslippage_max = 0.5");
    for (kind, cash_tao) in [
        ("kind = \"rebalance\"\nevery_days = 3\ntargets = \"equal\"", 0.0),
        ("kind = \"twap_exit\"\nstart_day = 2\ndays = 9", 0.0),
        ("kind = \"twap_entry\"\nnetuids = [1, 4, 9, 64, 120]\ndays = 6", 900.0),
        ("kind = \"yield_rotation\"\nevery_days = 4\ncount = 9", 50.0),
    ] {
        let policy = format!("{kind}\ncash_tao = {cash_tao:.1}");
        let mut scenario = with_policies("[run]\npaths = 8\nhorizon_days = 30", None, &[&policy, &bound(&policy)]);
        // More than a file may ask for: a rotation buys in pools so small that prices double.
        let bounds = scenario.policies.iter_mut().flatten().filter_map(|policy| policy.slippage_max.as_mut());
        bounds.for_each(|slippage_max| *slippage_max = 1e9);
        for outcome in rows(&scenario, 3, 1).chunks(3 * scenario.report_horizons.len()) {
            let (_, policies) = outcome.split_at(scenario.report_horizons.len());
            let (at_once, one_by_one) = policies.split_at(scenario.report_horizons.len());
            for (at_once, one_by_one) in at_once.iter().zip(one_by_one) {
                let (found, expected) = (at_once.pnl_liquidation_tao, one_by_one.pnl_liquidation_tao);
                assert!((found - expected).abs() < 1e-8 * expected.abs().max(1.0), "{kind}: {found}, not {expected}");
                assert!((at_once.max_drawdown - one_by_one.max_drawdown).abs() < 1e-9, "{kind}");
            }
        }
    }
}

#[test]
fn books_do_not_depend_on_the_instruction_set() {
    let scenario = with_policies("[run]\npaths = 4\nhorizon_days = 12", Some(KINDS[1]), &KINDS);
    let of = |backend| {
        let options = RunOptions { first_path: 0, paths: 4, batch_paths: 4, threads: 1, backend };
        let mut found = Vec::new();
        let take = |record: BatchRecord| {
            found.extend(record.paths);
            ControlFlow::Continue(())
        };
        run::run(&plan_of(&scenario), &options, || recorder_of(&scenario).on(backend), take, &AtomicBool::new(false))
            .expect("sound paths");
        found
    };
    let expected = of(Backend::Portable);
    for backend in Backend::available() {
        assert!(of(backend) == expected, "{backend}");
    }
}

#[test]
fn equal_policies_have_equal_outcomes() {
    for policy in KINDS {
        let scenario = with_policies("[run]\npaths = 5\nhorizon_days = 14", None, &[policy, policy]);
        let rows = rows(&scenario, 5, 1);
        let of = |book: u16| rows.iter().filter(move |row| row.book == book).map(|row| PathRow { book: 0, ..*row });
        assert!(of(1).eq(of(2)), "{policy}");
        assert!(of(1).count() == 5 * 3 && !of(1).eq(of(0)) || policy.contains("hold"), "{policy} does nothing");
    }
}

/// A copy that has not traded is the path's pool to the bit, so that a book which might trade and does not is one that holds.
#[test]
fn who_does_not_trade_holds_to_the_bit() {
    let never = "kind = \"stop\"\nstop_loss = 0.999999\ntake_profit = 1e9";
    let scenario = with_policies("[run]\npaths = 20\nhorizon_days = 30", None, &[never, "kind = \"hold\""]);
    let all = records(&scenario, 20, 1);
    let rows: Vec<PathRow> = all.iter().flat_map(|record| record.paths.clone()).collect();
    let plain = crate::policies::scenario("[run]\npaths = 20\nhorizon_days = 30");
    let expected = crate::policies::rows(&plain, 20, 1);
    for book in 0..3 {
        let own = rows.iter().filter(|row| row.book == book).map(|row| PathRow { book: 0, ..*row });
        assert!(own.eq(expected.iter().copied()), "book {book}");
    }
    let values: usize = all.iter().map(|record| record.positions.len()).sum();
    assert_eq!(values, rows.len() * 10);
}

/// Books that start as one that holds share its state until they trade. Behind a first book that might trade, and never does, all
/// have their own: nothing may tell the two apart.
#[test]
fn books_that_follow_the_first_are_books_of_their_own() {
    let never = "kind = \"stop\"\nstop_loss = 0.999999\ntake_profit = 1e9";
    let more =
        ["kind = \"exit_before_deregistration\"\nrank = 20", "kind = \"stop\"\nstop_loss = 0.4\ntake_profit = 9.0"];
    let head = "[run]\npaths = 60\nhorizon_days = 40\nreport_days = [7, 30]\n[exit]\ndays = 4\nparticipation = 0.0005";
    let others = [&KINDS[..], &more[..]].concat();
    let of = |market| records(&with_policies(head, market, &others), 32, 1);
    let (following, own) = (of(None), of(Some(never)));
    assert!(following.iter().any(|record| record.settlements.iter().any(|settlement| settlement.book > 0)));
    assert_eq!(following, own);
}

#[test]
fn outcomes_do_not_depend_on_batches_threads_or_replay() {
    let head = "[run]\npaths = 40\nhorizon_days = 12\nreport_days = [5]\n[exit]\ndays = 4\nparticipation = 0.0005";
    let scenario = with_policies(head, Some(KINDS[1]), &KINDS);
    let expected = rows(&scenario, 32, 1);
    assert_eq!(expected.len(), 40 * 10 * 2);
    assert!(expected.iter().all(|row| row.pnl_exit_tao.is_some_and(f64::is_finite)));
    for (batch_paths, threads) in [(1, 1), (7, 2), (32, 2)] {
        assert_eq!(rows(&scenario, batch_paths, threads), expected, "batches of {batch_paths} on {threads} threads");
    }
    let kept = ReplayPlan { steps: 0..=12, netuids: Vec::new(), states: false, moves: false };
    for path in [0, 11, 39] {
        let story = replay(&plan_of(&scenario), path, Backend::detect(), &kept, &recorder_of(&scenario)).unwrap();
        let expected: Vec<PathRow> = expected.iter().filter(|row| row.path == path).copied().collect();
        assert_eq!(story.horizons, expected);
    }
}

/// The exit basis leaves everything else as it was, is liquidation where all can go at once, and costs less in small parts.
#[test]
fn an_exit_at_once_is_a_liquidation() {
    let head = "[run]\npaths = 30\nhorizon_days = 20\nreport_days = [7]\nsample_paths = 3\n";
    let policies = [KINDS[1], KINDS[3]];
    let without = records(&with_policies(head, None, &policies), 10, 1);
    let at_once =
        records(&with_policies(&format!("{head}[exit]\ndays = 5\nparticipation = 1.0"), None, &policies), 10, 1);
    let mut slower = 0;
    for (without, with) in without.iter().zip(&at_once) {
        assert_eq!((&without.samples, &without.events), (&with.samples, &with.events));
        assert_eq!((&without.positions, &without.deregistrations), (&with.positions, &with.deregistrations));
        for (plain, row) in without.paths.iter().zip(&with.paths) {
            assert_eq!(*plain, PathRow { pnl_exit_tao: None, pnl_exit_usd: None, ..*row });
            let (tao, usd) = (row.pnl_exit_tao.unwrap(), row.pnl_exit_usd.unwrap());
            assert!((tao - row.pnl_liquidation_tao).abs() < 1e-9, "{tao}, liquidation {}", row.pnl_liquidation_tao);
            assert!((usd - row.pnl_liquidation_usd).abs() < 1e-6, "{usd}, liquidation {}", row.pnl_liquidation_usd);
            slower += 1;
        }
    }
    assert_eq!(slower, 30 * 3 * 2);
    let slow =
        records(&with_policies(&format!("{head}[exit]\ndays = 5\nparticipation = 0.0002"), None, &policies), 10, 1);
    let differs = |(a, b): (&BatchRecord, &BatchRecord)| {
        a.paths.iter().zip(&b.paths).any(|(a, b)| (a.pnl_exit_tao.unwrap() - b.pnl_exit_tao.unwrap()).abs() > 1e-3)
    };
    assert!(at_once.iter().zip(&slow).all(differs), "small parts on later days bring something else");
}

#[test]
fn a_market_book_moves_the_path_and_copies_do_not() {
    let head = "[run]\npaths = 4\nhorizon_days = 10\nsample_paths = 4\n";
    let plain = records(&with_policies(head, None, &[]), 4, 1);
    let copies = records(&with_policies(head, None, &KINDS), 4, 1);
    let market = records(&with_policies(head, Some(KINDS[6]), &[]), 4, 1);
    assert_eq!(plain[0].samples, copies[0].samples);
    assert_ne!(plain[0].samples, market[0].samples);
}

/// Policies of the configuration reach the book that they are for.
#[test]
fn books_follow_their_policies() {
    let scenario = with_policies("", Some(KINDS[6]), &[KINDS[7]]);
    let kinds: Vec<bool> =
        scenario.policies.iter().map(|of| matches!(of, Some(BookPolicy { policy: Policy::TwapExit(_), .. }))).collect();
    assert_eq!(kinds, [true, false]);
    assert_eq!(scenario.books[1].positions, scenario.books[0].positions);
    let again = crate::policies::scenario(&scenario.to_toml());
    assert_eq!((again.hash(), &again.policies), (scenario.hash(), &scenario.policies));
}
