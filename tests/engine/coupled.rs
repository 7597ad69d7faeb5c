//! Paths of long steps on the chance of short ones: equal at common times in all that the step rule does not touch.

use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;

use crate::drive::deviation;
use crate::drive::plan;
use crate::drive::silence;
use crate::drive::watch;

const DAYS: u32 = 15;
const PATHS: u64 = 3;

/// Days of `parts` steps each with draws of their own, and days of one step made of the same draws.
fn fine_and_coarse(parts: u32, change: impl Fn(&mut PlanInput)) -> [Plan; 2] {
    let fine = plan(7_200 / u64::from(parts), DAYS * parts, &change);
    let coarse = plan(7_200, DAYS, |input| {
        change(input);
        input.draw_refinement = parts;
    });
    [fine, coarse]
}

/// TAO/USD, willingness and all log-volatilities at the end of each day, by path.
fn outside_and_volatility(plan: &Plan) -> Vec<Vec<(f64, f64, Vec<f64>)>> {
    let steps_per_day = plan.input.steps / DAYS;
    let seen = watch(plan, PATHS, |view, _| {
        let path = view.path;
        let log_volatility = path.behaviour.iter().flat_map(|chunk| chunk.log_volatility.concat()).collect();
        (path.outside.tao_usd, path.outside.log_willingness, log_volatility)
    });
    let paths = seen.expect("sound paths").into_iter();
    paths.map(|path| path.into_iter().step_by(steps_per_day as usize).collect()).collect()
}

#[test]
fn shared_processes_and_volatilities_meet_at_common_times() {
    for parts in [2, 6, 20] {
        let [fine, coarse] = fine_and_coarse(parts, silence).map(|plan| outside_and_volatility(&plan));
        let mut moved = 0;
        for (fine, coarse) in fine.iter().flatten().zip(coarse.iter().flatten()) {
            assert_eq!((fine.0, fine.1), (coarse.0, coarse.1), "the same steps on the same draws");
            for (a, b) in fine.2.iter().zip(&coarse.2) {
                // Normals are added in single precision.
                assert!((a - b).abs() < 1e-6, "{parts} parts: log-volatility {a}, then {b}");
                moved += usize::from(*a != 0.0);
            }
        }
        assert_eq!(moved, PATHS as usize * (DAYS as usize + 1) * 256, "128 slots, two parts, every day and the start");
    }
}

/// With a constant volatility and no dependence on size and age, the flow of a day is the sum of its parts' flows.
#[test]
fn flows_of_constant_volatility_are_the_sums_of_their_parts() {
    let parts = 12;
    let plans = fine_and_coarse(parts, |input| {
        silence(input);
        let flow = &mut input.model.flow;
        (flow.scale_median, flow.size_exponent, flow.age_exponent) = (1e-3, 0.0, 0.0);
        flow.volatility.iter_mut().for_each(|part| part.sd_log = 0.0);
        (flow.jumps.rate_per_day, flow.common_jump.rate_per_day, flow.drift_per_day) = (0.5, 0.3, -5e-4);
        flow.stake_floor = 0.0;
    });
    let [fine, coarse] = plans.map(|plan| {
        watch(&plan, PATHS, |view, _| (0..128).map(|slot| view.buffers.flow(slot)).collect::<Vec<f64>>())
            .expect("sound paths")
    });
    let mut compared = 0;
    for (fine, coarse) in fine.iter().zip(&coarse) {
        for (fine, coarse) in fine[1..].chunks(parts as usize).zip(&coarse[1..]) {
            for slot in 0..128 {
                let sum = fine.iter().map(|flow| flow[slot]).sum::<f64>();
                // Flows are put together in single precision.
                let size = fine.iter().map(|flow| flow[slot].abs()).sum::<f64>();
                assert!((sum - coarse[slot]).abs() <= 1e-6 * size, "slot {slot}: {sum}, then {}", coarse[slot]);
                compared += usize::from(deviation(sum, coarse[slot]) > 0.0 || sum != 0.0);
            }
        }
    }
    assert!(compared > PATHS as usize * DAYS as usize * 100, "{compared} flows were not 0");
}
