//! Behaviour that is off by default, as the engine realises it: own parameters, sectors, clusters, market states, feedback.

use taorisk::engine::path::PathState;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::plan::locate;
use taorisk::engine::recorder::StepView;
use taorisk::model::market_states::MarketStep;
use taorisk::model::params::ClusterParams;
use taorisk::model::params::FeedbackParams;
use taorisk::model::params::MarketParams;
use taorisk::model::params::MarketState;
use taorisk::model::params::SubnetParams;
use taorisk::protocol::slots::SlotValues;
use taorisk::units::NetUid;

use crate::drive::days;
use crate::drive::plan;
use crate::drive::silence;
use crate::drive::watch;
use crate::laws::assert_near;
use crate::laws::central;
use crate::laws::mean;

const SEED: u64 = 20_261_121;
/// Slots of subnets of the snapshot that have started.
const STARTED: [usize; 6] = [2, 3, 38, 50, 80, 100];

fn subnet(slot: usize) -> SubnetParams {
    SubnetParams {
        netuid: NetUid::from_slot(slot),
        scale: None,
        loading: None,
        drift_per_day: None,
        log_volatility: None,
        sector: None,
    }
}

fn cluster(slots: &[usize], rate_per_day: f64, log_reserve_mean: f64, log_reserve_sd: f64) -> ClusterParams {
    let netuids = slots.iter().copied().map(NetUid::from_slot).collect();
    ClusterParams { netuids, rate_per_day, log_reserve_mean, log_reserve_sd }
}

/// Flows of constant scale and volatility, without jumps.
fn pure_diffusion(input: &mut PlanInput, scale: f64) {
    silence(input);
    let flow = &mut input.model.flow;
    (flow.scale_median, flow.size_exponent, flow.age_exponent) = (scale, 0.0, 0.0);
    flow.volatility.iter_mut().for_each(|part| part.sd_log = 0.0);
    (flow.jumps.rate_per_day, flow.common_jump.rate_per_day) = (0.0, 0.0);
    input.seed = SEED;
}

/// Flows of `slots` in every step of every path: by slot.
fn flows_of(plan: &Plan, paths: u64, slots: &[usize]) -> Vec<Vec<f64>> {
    let seen = watch(plan, paths, |view, _| slots.iter().map(|slot| view.buffers.flow(*slot)).collect::<Vec<f64>>());
    let rows: Vec<Vec<f64>> =
        seen.expect("sound paths").into_iter().flat_map(|path| path.into_iter().skip(1)).collect();
    (0..slots.len()).map(|i| rows.iter().map(|row| row[i]).collect()).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let products: Vec<f64> = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).collect();
    mean(&products) / (central(a).0 * central(b).0).sqrt()
}

/// All that a path is, to the bit.
fn bits(path: &PathState) -> Vec<u64> {
    let chunks = path.chain.iter().flat_map(|c| {
        [c.reserve_tao, c.reserve_alpha, c.staked_alpha, c.moving_price, c.protocol_alpha, c.unclaimed_root_alpha]
    });
    let values = chunks.flatten().chain(path.behaviour.iter().flat_map(|chunk| chunk.log_volatility).flatten());
    let whole = [path.free_tao, path.issuance_tao, path.outside.tao_usd, path.outside.log_willingness];
    values.chain(whole).map(f64::to_bits).collect()
}

fn bits_of(change: impl FnOnce(&mut PlanInput)) -> Vec<Vec<Vec<u64>>> {
    let plan = plan(7_200, 40, change);
    watch(&plan, 9, |view, _| bits(view.path)).expect("sound paths")
}

#[test]
fn what_is_off_or_comes_to_nothing_leaves_every_bit() {
    let base = bits_of(|_| {});
    assert!(base == bits_of(|input| input.model.subnets = vec![SubnetParams { sector: Some(3), ..subnet(3) }]));
    let named = bits_of(|input| {
        let flow = &input.model.flow;
        let (scale, loading, drift) = (flow.scale_median, flow.loading_mean, flow.drift_per_day);
        let told = |slot| SubnetParams {
            scale: Some(scale),
            loading: Some(loading),
            drift_per_day: Some(drift),
            ..subnet(slot)
        };
        input.model.subnets = STARTED.map(told).to_vec();
        input.model.clusters = vec![cluster(&STARTED, 0.0, -0.4, 0.1)];
    });
    assert!(base == named, "a step with extra flows of 0 is one without");
    let states = bits_of(|input| input.model.market = Some(market([1.0, 1.0], [1.0, 1.0])));
    assert!(base == states, "states that differ in nothing are none");
    assert!(base != bits_of(|input| input.model.feedback.flight = 0.001));
}

#[test]
fn a_subnet_s_own_parameters_are_its_flow_s() {
    const SCALE: f64 = 1e-3;
    let own = SubnetParams { scale: Some(2.0 * SCALE), drift_per_day: Some(3e-3), ..subnet(3) };
    let plan = plan(3_600, 50, |input| {
        pure_diffusion(input, SCALE);
        input.model.flow.drift_per_day = -1e-3;
        input.model.subnets = vec![own, SubnetParams { loading: Some(0.9), ..subnet(38) }];
    });
    let flows = flows_of(&plan, 200, &[2, 3, 38]);
    let n = flows[0].len() as f64;
    let step = 0.5_f64;
    for (flows, drift, scale) in [(&flows[0], -1e-3, SCALE), (&flows[1], 3e-3, 2.0 * SCALE), (&flows[2], -1e-3, SCALE)]
    {
        let variance = scale * scale * step;
        assert_near("mean of f", mean(flows), drift * step, (variance / n).sqrt());
        assert_near("variance of f", central(flows).0, variance, variance * (2.0 / n).sqrt());
    }
    let expected = 0.9 * plan.input.model.flow.loading_mean;
    let error = (1.0 - expected * expected) / n.sqrt();
    assert_near("correlation", correlation(&flows[0], &flows[2]), expected, error);
}

#[test]
fn own_log_volatility_is_where_a_path_starts() {
    let parts = [0.7, -0.4];
    let plan = plan(7_200, 1, |input| {
        input.model.subnets = vec![SubnetParams { log_volatility: Some(parts), ..subnet(38) }];
    });
    let seen = watch(&plan, 20, |view, _| {
        let of =
            |slot: usize| [0, 1].map(|part| view.path.behaviour[locate(slot).0].log_volatility[part][locate(slot).1]);
        (of(38), of(39))
    });
    let seen = seen.expect("sound paths");
    assert!(seen.iter().all(|path| path[0].0 == parts && path[1].0 != parts));
    assert!(seen.windows(2).all(|pair| pair[0][0].1 != pair[1][0].1), "others are drawn");
}

/// Two in one sector, one in another, one in none; n = 16,000: a correlation that is off by 0.03 fails.
#[test]
fn members_of_a_sector_share_its_factor() {
    for draws in [1, 6] {
        let (loading, of_sector) = (0.33, 0.6);
        let plan = plan(7_200, 40, |input| {
            pure_diffusion(input, 1e-3);
            (input.model.flow.loading_mean, input.model.flow.sector_loading) = (loading, of_sector);
            let member = |(slot, sector)| SubnetParams { sector: Some(sector), ..subnet(slot) };
            input.model.subnets = [(2, 5), (3, 5), (38, 6)].map(member).to_vec();
            input.draw_refinement = draws;
        });
        let flows = flows_of(&plan, 400, &[2, 3, 38, 50]);
        let n = flows[0].len() as f64;
        for flows in &flows {
            assert_near("variance of f", central(flows).0, 1e-6, 1e-6 * (2.0 / n).sqrt());
        }
        let common: f64 = loading * loading;
        for (i, j, expected) in [(0, 1, common + of_sector * of_sector), (0, 2, common), (0, 3, common), (2, 3, common)]
        {
            let error = (1.0 - expected * expected) / n.sqrt();
            assert_near("correlation", correlation(&flows[i], &flows[j]), expected, error);
        }
    }
}

/// n = 30,000 days at 0.05 jumps a day: a frequency that is off by a tenth fails. Jumps so small that no sale meets its limit.
#[test]
fn a_cluster_jumps_together_as_often_as_it_says() {
    let slots = [2, 38, 80];
    let plan = plan(7_200, 60, |input| {
        pure_diffusion(input, 1e-30);
        input.model.clusters = vec![cluster(&slots, 0.05, -0.01, 0.003), cluster(&[3], 0.0, -1.0, 0.0)];
    });
    let flows = flows_of(&plan, 500, &[2, 38, 80, 3]);
    assert!(flows[3].iter().all(|flow| flow.abs() < 1e-12), "the rest stands still");
    let pairs = flows[0].iter().zip(&flows[1]).zip(&flows[2]);
    assert!(pairs.clone().all(|((a, b), c)| (a - b).abs() < 1e-7 && (a - c).abs() < 1e-7), "one jump for all");
    let (days, struck) = (flows[0].len() as f64, flows[0].iter().filter(|flow| flow.abs() > 1e-12).count() as f64);
    let chance = -(-0.05_f64).exp_m1();
    assert_near("days with a jump", struck / days, chance, (chance * (1.0 - chance) / days).sqrt());
    let second = 0.01 * 0.01 + 0.003 * 0.003;
    assert_near("mean move", mean(&flows[0]), -0.05 * 0.01, (0.05 * second / days).sqrt());
}

/// What belongs to a subnet ends with it: its netuid's next owner has neither its drift nor its sector nor its cluster.
#[test]
fn entrants_inherit_nothing() {
    let slots: Vec<usize> = (0..128).collect();
    let plan = plan(7_200, 60, |input| {
        pure_diffusion(input, 1e-30);
        input.protocol.registration_rate_limit_blocks = 7_200;
        input.protocol.immunity_period_blocks = 7_200;
        // Locks stay cheap, so that no flow runs out of free TAO.
        input.protocol.lock_reduction_interval_blocks = 100;
        (input.model.registration.hazard_per_day, input.model.registration.elasticity) = (2.0, 0.0);
        input.model.entrants.never_start_probability = 0.0;
        input.model.entrants.start_delay_mean_days = days(10.0);
        input.model.flow.drift_per_day = 0.0;
        input.model.flow.sector_loading = 0.5;
        input.model.clusters = vec![cluster(&slots, 0.5, 0.01, 0.0)];
        let told = |&slot: &usize| SubnetParams { drift_per_day: Some(0.001), sector: Some(1), ..subnet(slot) };
        input.model.subnets = slots.iter().map(told).collect();
    });
    let see = |view: &StepView<'_>, _: &mut SlotValues| {
        let of_slot = |slot: usize| {
            let occupant = view.path.occupants[slot].expect("128 subnets");
            let (chunk, lane) = locate(slot);
            let started = view.path.chain[chunk].started[lane] > 0.0;
            (occupant.incumbent, occupant.registered_at, started, view.buffers.flow(slot))
        };
        (0..128).map(of_slot).collect::<Vec<_>>()
    };
    let (mut entrants, mut incumbents) = (0, 0);
    for path in watch(&plan, 4, see).expect("sound paths") {
        for pair in path.windows(2) {
            for (slot, (open, close)) in pair[0].iter().zip(&pair[1]).enumerate() {
                let ((_, before, was_started, _), (incumbent, registered_at, _, flow)) = (*open, *close);
                // Who came in this step has not traded yet; the flow is that of who was there.
                if before != registered_at || !was_started {
                    continue;
                }
                if incumbent {
                    assert!(flow > 0.000_9, "slot {slot}: {flow}");
                    incumbents += 1;
                } else {
                    assert!(flow.abs() < 1e-12, "slot {slot}: {flow}");
                    entrants += 1;
                }
            }
        }
    }
    assert!(entrants > 200 && incumbents > 10_000, "{entrants} and {incumbents} flows");
}

fn market(volatility_scale: [f64; 2], jump_scale: [f64; 2]) -> MarketParams {
    let state = |i: usize| MarketState {
        name: ["calm", "wild"][i].to_owned(),
        volatility_scale: volatility_scale[i],
        jump_scale: jump_scale[i],
        mean_days: [6.0, 3.0][i],
        next_probability: vec![[0.0, 1.0], [1.0, 0.0]][i].to_vec(),
    };
    MarketParams { states: vec![state(0), state(1)], start: 0 }
}

/// Time in each state of the three of `configs/base.toml` over 6,000 days, 200 paths: against the stationary law, and the same over
/// steps drawn in parts.
#[test]
fn states_are_occupied_by_their_stationary_law() {
    let state = |mean_days, next_probability: [f64; 3]| MarketState {
        name: String::new(),
        volatility_scale: 1.0,
        jump_scale: 1.0,
        mean_days,
        next_probability: next_probability.to_vec(),
    };
    let states = vec![state(60.0, [0.0, 0.5, 0.5]), state(20.0, [0.7, 0.0, 0.3]), state(15.0, [0.9, 0.1, 0.0])];
    // Visits solve nu = nu P, time is in proportion to visits x mean.
    let visits = [1.0, 0.55 / 0.97, 0.5 + 0.3 * 0.55 / 0.97];
    let times = [visits[0] * 60.0, visits[1] * 20.0, visits[2] * 15.0];
    let input = plan(7_200, 1, |_| {}).input;
    for draws in [1, 4] {
        let market = MarketStep::new(&MarketParams { states: states.clone(), start: 0 }, &input.model, 7_200, draws);
        let mut parts = [const { Vec::new() }; 3];
        for path in 0..200 {
            let (mut state, mut days) = (market.start, [0.0; 3]);
            for step in 0..6_000 {
                state = market.draw_next(SEED, path, step, state);
                days[state] += 1.0 / 6_000.0;
            }
            parts.iter_mut().zip(days).for_each(|(parts, share)| parts.push(share));
        }
        for (parts, time) in parts.iter().zip(times) {
            let error = (central(parts).0 / parts.len() as f64).sqrt();
            assert_near("time in a state", mean(parts), time / times.iter().sum::<f64>(), error);
        }
    }
}

/// Flows and TAO/USD of 250 paths and 100 days, by state: in the second volatility is 1.5 times and jumps are twice as frequent.
#[test]
fn states_scale_volatility_and_jumps_and_leave_means() {
    const SCALE: f64 = 1e-3;
    let plan = plan(7_200, 100, |input| {
        pure_diffusion(input, SCALE);
        let flow = &mut input.model.flow;
        flow.jumps.rate_per_day = 0.2;
        (flow.loading_mean, flow.drift_per_day) = (0.0, -5e-4);
        input.model.market = Some(market([1.0, 1.5], [1.0, 2.0]));
    });
    let seen = watch(&plan, 250, |view, _| {
        (view.path.market_state, view.path.outside.tao_usd, STARTED.map(|slot| view.buffers.flow(slot)))
    });
    let (mut flows, mut returns) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    for pair in seen.expect("sound paths").iter().flat_map(|path| path.windows(2)) {
        let (state, tao_usd, of_slots) = &pair[1];
        flows[*state].extend_from_slice(of_slots);
        returns[*state].push((tao_usd / pair[0].1).ln());
    }
    let (jump, rate) = (plan.input.model.flow.jumps, &plan.input.model.tao_usd);
    let squared =
        2.0 * (jump.up_probability * jump.up_mean.powi(2) + (1.0 - jump.up_probability) * jump.down_mean.powi(2));
    for (state, (volatility, intensity)) in [(1.0, 1.0), (1.5, 2.0)].into_iter().enumerate() {
        let variance = SCALE * SCALE * (volatility * volatility + 0.2 * intensity * squared);
        let n = flows[state].len() as f64;
        assert_near("mean of f", mean(&flows[state]), -5e-4, (variance / n).sqrt());
        let (found, fourth) = central(&flows[state]);
        assert_near("variance of f", found, variance, ((fourth - found * found) / n).sqrt());
        let diffusion = (volatility * rate.volatility_per_sqrt_day).powi(2);
        let variance = diffusion + intensity * rate.jump_rate_per_day * rate.jump_sd.powi(2);
        let (found, fourth) = central(&returns[state]);
        let n = returns[state].len() as f64;
        assert!(n > 5_000.0, "{n} days in state {state}");
        assert_near("variance of TAO/USD", found, variance, ((fourth - found * found) / n).sqrt());
        let jumps = intensity * rate.jump_rate_per_day * (rate.jump_mean + 0.5 * rate.jump_sd.powi(2)).exp_m1();
        assert_near(
            "drift of ln TAO/USD",
            mean(&returns[state]),
            rate.drift_per_day - 0.5 * diffusion - jumps,
            (variance / n).sqrt(),
        );
    }
}

#[test]
fn states_at_common_times_do_not_depend_on_the_step() {
    let states = |blocks: u64, draws: u32| {
        let plan = plan(blocks, 20 * (7_200 / blocks) as u32, |input| {
            input.model.market = Some(market([1.0, 1.2], [1.0, 1.0]));
            input.draw_refinement = draws;
        });
        let seen = watch(&plan, 20, |view, _| view.path.market_state).expect("sound paths");
        // The state shown after a step is the one that it opened with.
        let openings =
            |path: Vec<usize>| path.into_iter().skip(1).step_by((7_200 / blocks) as usize).collect::<Vec<_>>();
        seen.into_iter().map(openings).collect::<Vec<_>>()
    };
    let (fine, coarse) = (states(1_800, 1), states(7_200, 4));
    assert_eq!(fine, coarse);
    assert!(fine.iter().flatten().any(|state| *state == 1) && fine.iter().all(|path| path[0] == 0));
}

/// A started slot before and in the first step.
struct Answer {
    slot: usize,
    is_enabled: bool,
    /// `ln(min(p, 1) / m)` at the opening.
    gap: f64,
    share: f64,
    flow: f64,
}

fn first_answers(change: impl FnOnce(&mut PlanInput)) -> Vec<Answer> {
    let plan = plan(7_200, 1, |input| {
        pure_diffusion(input, 1e-30);
        change(input);
    });
    let seen = watch(&plan, 1, |view, _| {
        let of = |slot: usize| {
            let (chunk, lane) = locate(slot);
            let chain = &view.path.chain[chunk];
            let gap = (chain.price(lane).min(1.0) / chain.moving_price[lane]).ln();
            let (share, flow) = (view.buffers.share.get(slot), view.buffers.flow(slot));
            (chain.started[lane] > 0.0, Answer { slot, is_enabled: chain.enabled[lane] > 0.0, gap, share, flow })
        };
        (0..128).map(of).collect::<Vec<_>>()
    });
    let mut seen = seen.expect("a sound path");
    let [opened, closed] = &mut seen[0][..] else { panic!("one step") };
    let pairs = opened.drain(..).zip(closed.drain(..)).filter(|((is_started, _), _)| *is_started);
    pairs.map(|((_, open), (_, after))| Answer { share: after.share, flow: after.flow, ..open }).collect()
}

#[test]
fn feedback_has_the_sign_that_it_says() {
    let flight = first_answers(|input| input.model.feedback.flight = 0.002_3);
    let gets_none = |answer: &&Answer| answer.is_enabled && answer.share == 0.0;
    for answer in &flight {
        let expected = if gets_none(&answer) { -0.002_3 } else { 0.0 };
        assert!((answer.flow - expected).abs() < 1e-9, "slot {}: {}, not {expected}", answer.slot, answer.flow);
    }
    let left = flight.iter().filter(gets_none).count();
    assert!(left > 5 && left < flight.len() - 5, "{left} of {} get nothing", flight.len());

    // The snapshot's averages are its prices: they are put off, by turns up and down.
    let momentum = first_answers(|input| {
        input.model.feedback.momentum = 0.1;
        input.model.flow.stake_floor = 0.0;
        for (index, subnet) in input.start.subnets.iter_mut().enumerate() {
            subnet.moving_price *= if index % 2 == 0 { 0.8 } else { 1.2 };
        }
    });
    for Answer { slot, gap, flow, .. } in &momentum {
        // The gap closes, and its answer keeps it open a little: 0.1 / w1 a day.
        assert!(flow * gap > 0.0 && flow.abs() < 0.1 * gap.abs() * 1.15, "slot {slot}: {flow} for a gap of {gap}");
    }
    let yields = first_answers(|input| input.model.feedback.dividends = 0.01);
    let sum = yields.iter().map(|answer| answer.flow).sum::<f64>();
    let size = yields.iter().map(|answer| answer.flow.abs()).sum::<f64>();
    assert!(size > 1e-3 && sum.abs() < 1e-4 * size, "flows of {size} that sum to {sum}");
}

/// The feedback of a day's step against that of 120 steps a day, with a drift that opens the gap; no emission into pools, so that
/// prices move by the flow alone.
#[test]
fn momentum_of_long_steps_is_that_of_short_ones() {
    let reserves = |blocks: u64, momentum: f64| {
        let plan = plan(blocks, 10 * (7_200 / blocks) as u32, |input| {
            pure_diffusion(input, 1e-30);
            input.model.flow.drift_per_day = 0.02;
            input.model.feedback = FeedbackParams { momentum, ..FeedbackParams::default() };
            input.start.subnets.iter_mut().for_each(|subnet| subnet.emission_enabled = false);
        });
        let seen =
            watch(&plan, 1, |view, _| STARTED.map(|slot| view.path.chain[locate(slot).0].reserve_tao[locate(slot).1]));
        *seen.expect("a sound path")[0].last().expect("a last step")
    };
    for momentum in [-0.5, 0.3] {
        let [long, middle, short] = [7_200, 1_200, 60].map(|blocks| reserves(blocks, momentum));
        let [long_off, middle_off, short_off] = [7_200, 1_200, 60].map(|blocks| reserves(blocks, 0.0));
        for i in 0..STARTED.len() {
            let effect = (short[i] / short_off[i]).ln();
            let off = ((long[i] / long_off[i]).ln() / effect - 1.0).abs();
            let middle_off = ((middle[i] / middle_off[i]).ln() / effect - 1.0).abs();
            println!("{momentum}: feedback {effect:.4}, off by {off:.1e} in a day's steps, {middle_off:.1e} in sixths");
            assert!(effect * momentum > 0.0 && effect.abs() > 0.005);
            assert!(off < 0.01 && middle_off < 0.5 * off.max(0.004), "slot {}: {off}, {middle_off}", STARTED[i]);
        }
    }
}
