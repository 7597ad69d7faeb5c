//! Leading draws: sums that are the point's coordinates, paths that have the law of plain ones, and nothing moved after the horizon.

use taorisk::engine::leading::Leading;
use taorisk::engine::plan::Plan;
use taorisk::rng::PointSet;
use taorisk::rng::Points;

use crate::drive::plan;
use crate::drive::watch;
use crate::laws::assert_near;
use crate::laws::central;
use crate::laws::mean;

const STEPS: u32 = 30;
const SEED: u64 = 17;
const SETS: [PointSet; 3] = [PointSet::Sobol, PointSet::Stratified, PointSet::Antithetic];

fn base(steps: u32) -> Plan {
    plan(7_200, steps, |input| {
        input.seed = SEED;
        input.model.tao_usd.jump_rate_per_day = 0.0;
    })
}

fn led(set: PointSet, paths: u64) -> Plan {
    base(STEPS + 5).with_leading(&Leading { set, paths, holdings: vec![(3, 10.0), (15, 20.0), (7, 5.0)] }, STEPS)
}

#[test]
fn sums_up_to_the_horizon_are_the_coordinates_of_the_point() {
    for set in SETS {
        let (plan, points) = (led(set, 40), Points::new(set, SEED, 40, 2));
        let seen = watch(&plan, 40, |view, _| (view.path.factor_sum, view.path.outside.tao_usd)).expect("sound paths");
        let rate = &plan.input.model.tao_usd;
        let (volatility, correlation) = (rate.volatility_per_sqrt_day, rate.correlation_with_flow);
        let (days, mut point) = (f64::from(STEPS), Vec::new());
        for (path, seen) in (0..).zip(&seen) {
            points.normals(path, &mut point);
            let (factor_sum, tao_usd) = seen[STEPS as usize];
            assert!((factor_sum - days.sqrt() * point[0]).abs() < 1e-9, "{set:?} {path}: {factor_sum}");
            let shock = correlation * point[0] + (1.0 - correlation * correlation).sqrt() * point[1];
            let log = (rate.drift_per_day - 0.5 * volatility * volatility) * days + volatility * days.sqrt() * shock;
            let found = (tao_usd / plan.input.tao_usd).ln();
            assert!((found - log).abs() < 1e-9, "{set:?} {path}: {found}, not {log}");
        }
    }
}

#[test]
fn what_is_not_led_is_as_it_was() {
    let factors = |plan: &Plan| watch(plan, 20, |view, _| (view.path.common, view.path.outside.log_willingness));
    let plain = factors(&base(STEPS + 5)).expect("sound paths");
    for set in SETS {
        for (found, plain) in factors(&led(set, 20)).expect("sound paths").iter().zip(&plain) {
            for (step, (found, plain)) in found.iter().zip(plain).enumerate().skip(1) {
                assert_eq!((found.0.jump, found.1), (plain.0.jump, plain.1), "{set:?} {step}");
                assert_eq!(found.0.factor == plain.0.factor, step > STEPS as usize, "{set:?} {step}");
            }
        }
    }
}

/// Steps of 4,000 paths: mean 0, variance 1, no correlation of neighbours, within segments of the bridge and across.
#[test]
fn normals_of_steps_have_the_law_of_plain_ones() {
    let paths = 4_000;
    for set in SETS {
        let seen = watch(&led(set, paths), paths, |view, _| view.path.common.factor).expect("sound paths");
        let of = |step: u32| seen.iter().map(|path| path[step as usize]).collect::<Vec<f64>>();
        // Pairs of opposite signs have squares and products in common: those of half as many paths.
        let error = |moment: f64| (moment * 2.0 / paths as f64).sqrt();
        for step in 1..STEPS {
            let (now, next) = (of(step), of(step + 1));
            let products: Vec<f64> = now.iter().zip(&next).map(|(a, b)| a * b).collect();
            assert_near(&format!("{set:?} mean of step {step}"), mean(&now), 0.0, error(1.0));
            assert_near(&format!("{set:?} variance of step {step}"), central(&now).0, 1.0, error(2.0));
            assert_near(&format!("{set:?} covariance of step {step}"), mean(&products), 0.0, error(1.0));
        }
    }
}
