//! Laws of what chance decides, as the engine realises them.
//!
//! Means: four standard errors. Distributions: Kolmogorov-Smirnov with `1.95 / sqrt(n)` (chance failure 1e-3).

use taorisk::engine::plan::PlanInput;
use taorisk::engine::plan::locate;
use taorisk::engine::record::EventKind;
use taorisk::model::kernel::Draw;
use taorisk::model::outside::Outside;
use taorisk::model::outside::OutsideStep;
use taorisk::model::params::JumpParams;

use crate::drive::plan;
use crate::drive::silence;
use crate::drive::watch;

const SEED: u64 = 20_260_930;

pub fn assert_near(name: &str, found: f64, truth: f64, standard_error: f64) {
    let errors = (found - truth) / standard_error;
    println!("{name}: {found:.6e}, truth {truth:.6e}, {errors:+.2} standard errors of {standard_error:.1e}");
    assert!(errors.abs() < 4.0, "{name}: {found} is {errors:.1} standard errors from {truth}");
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Central moments of orders 2 and 4.
pub fn central(values: &[f64]) -> (f64, f64) {
    let centre = mean(values);
    let moment =
        |order: i32| values.iter().map(|value| (value - centre).powi(order)).sum::<f64>() / values.len() as f64;
    (moment(2), moment(4))
}

/// The statistic of 50 equal parts of the sample: its mean and the standard error of that.
fn by_parts(values: &[f64], statistic: impl Fn(&[f64]) -> f64) -> (f64, f64) {
    let parts: Vec<f64> = values.chunks_exact(values.len() / 50).map(statistic).collect();
    (mean(&parts), (central(&parts).0 / parts.len() as f64).sqrt())
}

/// Second moment of a Kou jump.
fn squared(jump: &JumpParams) -> f64 {
    2.0 * (jump.up_probability * jump.up_mean.powi(2) + (1.0 - jump.up_probability) * jump.down_mean.powi(2))
}

/// Rate, jump sums and willingness of `paths` paths over `steps` days, from the shared processes alone.
fn shared_processes(input: &PlanInput, paths: u32, steps: u32, mut see: impl FnMut(u32, f64, &Outside)) {
    let process = OutsideStep::coupled(&input.model, 7_200, input.draw_refinement);
    for path in 0..paths {
        let mut outside = Outside { tao_usd: 1.0, log_willingness: 0.0 };
        for step in 0..steps {
            let common = process.advance(Draw { seed: SEED, path, step, block: 0.0 }, &mut outside);
            see(step + 1, common.jump, &outside);
        }
    }
}

/// n = 20,000 paths of 90 days: a mean that is off by 3 % fails.
#[test]
fn tao_usd_is_a_martingale_whose_returns_have_the_jump_diffusion_s_moments() {
    let input = plan(7_200, 1, |input| input.model.tao_usd.drift_per_day = 0.0).input;
    let rate = &input.model.tao_usd;
    let (mut ends, mut returns, mut last) = (Vec::new(), Vec::new(), 1.0_f64);
    shared_processes(&input, 20_000, 90, |step, _, outside| {
        returns.push((outside.tao_usd / if step == 1 { 1.0 } else { last }).ln());
        last = outside.tao_usd;
        if step == 90 {
            ends.push(outside.tao_usd);
        }
    });
    let (diffusion, jump) = (rate.volatility_per_sqrt_day.powi(2), rate.jump_sd.powi(2));
    // ln E[U^2] of a day, jumps compensated.
    let growth = diffusion + rate.jump_rate_per_day * ((2.0 * jump).exp() - 2.0 * (0.5 * jump).exp() + 1.0);
    let deviation = ((90.0 * growth).exp() - 1.0).sqrt();
    assert_near("E[U_90] / U_0", mean(&ends), 1.0, deviation / (ends.len() as f64).sqrt());
    let variance = diffusion + rate.jump_rate_per_day * jump;
    let kurtosis = 3.0 * rate.jump_rate_per_day * jump * jump / (variance * variance);
    let error = variance * ((kurtosis + 2.0) / returns.len() as f64).sqrt();
    assert_near("variance of daily returns", central(&returns).0, variance, error);
    let (found, error) = by_parts(&returns, |part| {
        let (second, fourth) = central(part);
        fourth / (second * second) - 3.0
    });
    assert_near("excess kurtosis of daily returns", found, kurtosis, error);
}

#[test]
fn common_jumps_are_a_compound_poisson_process() {
    for draws in [1, 6] {
        let input = plan(7_200, 1, |input| {
            input.model.flow.common_jump.rate_per_day = 0.4;
            input.draw_refinement = draws;
        })
        .input;
        let law = input.model.flow.common_jump;
        let mut jumps = Vec::new();
        shared_processes(&input, 5_000, 100, |_, jump, _| jumps.push(jump));
        let variance = law.rate_per_day * squared(&law);
        assert_near("mean of J_F", mean(&jumps), law.mean_per_day(), (variance / jumps.len() as f64).sqrt());
        let (found, error) = by_parts(&jumps, |part| central(part).0);
        assert_near("variance of J_F", found, variance, error);
        let quiet = jumps.iter().filter(|jump| **jump == 0.0).count() as f64 / jumps.len() as f64;
        let none = (-law.rate_per_day).exp();
        assert_near("days without a common jump", quiet, none, (none * (1.0 - none) / jumps.len() as f64).sqrt());
    }
}

/// Flows of unit scale and constant volatility: drift, diffusion and compensated Kou jumps, at two step lengths and with
/// the draws of shorter steps.
#[test]
fn flows_have_the_moments_of_diffusion_and_kou_jumps() {
    for (blocks, draws, steps) in [(7_200, 1, 40), (1_200, 1, 60), (7_200, 6, 40)] {
        const SCALE: f64 = 1e-3;
        let plan = plan(blocks, steps, |input| {
            silence(input);
            let flow = &mut input.model.flow;
            (flow.scale_median, flow.size_exponent, flow.age_exponent) = (SCALE, 0.0, 0.0);
            flow.volatility.iter_mut().for_each(|part| part.sd_log = 0.0);
            (flow.loading_mean, flow.common_jump.rate_per_day, flow.drift_per_day) = (0.0, 0.0, -5e-4);
            (input.seed, input.draw_refinement) = (SEED, draws);
        });
        let per_step = watch(&plan, 40, |view, _| {
            let started = |slot: &usize| view.path.chain[locate(*slot).0].started[locate(*slot).1] > 0.0;
            (0..128).filter(started).map(|slot| view.buffers.flow(slot)).collect::<Vec<_>>()
        })
        .expect("sound paths");
        let flows: Vec<f64> = per_step.iter().flat_map(|path| path[1..].iter().flatten().copied()).collect();
        let (days, law) = (blocks as f64 / 7_200.0, plan.input.model.flow.jumps);
        let jumps = law.rate_per_day * squared(&law);
        let variance = SCALE * SCALE * days * (1.0 + jumps);
        let n = flows.len() as f64;
        println!("K = {blocks} in {draws} draws, n = {n}");
        assert_near("mean of f", mean(&flows), -5e-4 * days, (variance / n).sqrt());
        let (found, error) = by_parts(&flows, |part| central(part).0);
        assert_near("variance of f", found, variance, error);
        let fourth =
            24.0 * (law.up_probability * law.up_mean.powi(4) + (1.0 - law.up_probability) * law.down_mean.powi(4));
        let kurtosis = law.rate_per_day * fourth / (days * (1.0 + jumps).powi(2));
        let (found, error) = by_parts(&flows, |part| {
            let (second, fourth) = central(part);
            fourth / (second * second) - 3.0
        });
        assert_near("excess kurtosis of f", found, kurtosis, error);
    }
}

/// 128 slots x 60 paths; parts with half-lives 2.75 and 44 days, seen 0, 1, 5 and 20 days on.
#[test]
fn log_volatilities_are_stationary_and_forget_with_their_half_lives() {
    for (blocks, draws, steps_per_day) in [(7_200, 1, 1), (1_200, 1, 6), (7_200, 20, 1)] {
        let plan = plan(blocks, 20 * steps_per_day, |input| {
            silence(input);
            (input.seed, input.draw_refinement) = (SEED, draws);
        });
        let seen = watch(&plan, 60, |view, _| {
            view.step.is_multiple_of(steps_per_day).then(|| {
                let lanes = view.path.behaviour.iter().map(|chunk| chunk.log_volatility);
                [0, 1].map(|part| lanes.clone().flat_map(|parts| parts[part]).collect::<Vec<f64>>())
            })
        })
        .expect("sound paths");
        for (part, law) in plan.input.model.flow.volatility.iter().enumerate() {
            let on_day = |day: usize| -> Vec<f64> {
                let days = seen.iter().map(|path| path.iter().flatten().nth(day).expect("a day"));
                days.flat_map(|parts| parts[part].iter().copied()).collect()
            };
            let start = on_day(0);
            let n = start.len() as f64;
            let variance = law.sd_log * law.sd_log;
            for lag in [0_usize, 1, 5, 20] {
                let later = on_day(lag);
                assert_near(&format!("mean of h{part}, day {lag}"), mean(&later), 0.0, law.sd_log / n.sqrt());
                let second = mean(&later.iter().map(|h| h * h).collect::<Vec<_>>());
                assert_near(&format!("variance of h{part}, day {lag}"), second, variance, variance * (2.0 / n).sqrt());
                let product = mean(&start.iter().zip(&later).map(|(a, b)| a * b).collect::<Vec<_>>());
                let correlation = (-std::f64::consts::LN_2 * lag as f64 / law.half_life_days).exp();
                let error = variance * ((1.0 + correlation * correlation) / n).sqrt();
                assert_near(&format!("covariance of h{part}, lag {lag}"), product, variance * correlation, error);
            }
        }
    }
}

/// Hazard integrated from block to block until a registration, at a constant willingness W: Exp(1).
#[test]
fn registrations_follow_the_integrated_hazard() {
    const PATHS: u64 = 700;
    let plan = plan(7_200, 150, |input| {
        input.seed = SEED;
        let law = &mut input.model.registration;
        law.willingness_sd_log = 0.0;
        law.willingness_start_tao = law.willingness_median_tao;
    });
    let events = watch(&plan, PATHS, |view, _| {
        let registered = view.events.iter().filter(|event| event.kind == EventKind::Registered);
        registered.map(|event| (event.block, event.paid_tao)).collect::<Vec<_>>()
    })
    .expect("sound paths");
    let (law, start) = (&plan.input.model.registration, &plan.input.start);
    let mut spent = Vec::new();
    for path in &events {
        let (mut lock, mut lock_block) = (start.last_lock_tao, start.last_lock_block);
        let registered: Vec<_> = path.iter().flatten().copied().collect();
        // Later ones are cut off by the end of the path.
        assert!(registered.len() >= 3, "150 days are enough for three registrations");
        for (block, paid) in registered.into_iter().take(3) {
            let cost = |at: f64| (2.0 * lock - lock / 57_600.0 * (at - lock_block as f64)).max(1.0);
            assert!((cost(block as f64) - paid).abs() < 1e-6 * paid, "block {block}: {paid}");
            let from = (lock_block + 14_400).max(start.block);
            let hazard =
                |at: f64| law.hazard_per_day / 7_200.0 * (law.willingness_median_tao / cost(at)).powf(law.elasticity);
            spent.push((from..block).map(|at| hazard(at as f64 + 0.5)).sum::<f64>());
            (lock, lock_block) = (paid, block);
        }
    }
    spent.sort_by(f64::total_cmp);
    let n = spent.len() as f64;
    let distance = spent.iter().enumerate().fold(0.0, |largest: f64, (index, hazard)| {
        let below = -(-hazard).exp_m1();
        largest.max((index as f64 + 1.0) / n - below).max(below - index as f64 / n)
    });
    println!("{n} registrations, mean hazard {:.4}, KS {distance:.4}, bound {:.4}", mean(&spent), 1.95 / n.sqrt());
    assert!(distance < 1.95 / n.sqrt());
}
