//! Tilted draws: weights of mean 1, expectations of the untilted law, and nothing moved where nothing is tilted.

use taorisk::engine::plan::Plan;
use taorisk::engine::recorder::StepView;
use taorisk::engine::tilt::SHARED_SOURCES;
use taorisk::engine::tilt::SlotTilt;
use taorisk::engine::tilt::Tilt;

use crate::drive::plan;
use crate::drive::watch;
use crate::laws::assert_near;
use crate::laws::central;
use crate::laws::mean;

const STEPS: u32 = 40;
/// Slots of two subnets of the snapshot; the second is next to be pruned.
const SLOTS: [u16; 2] = [3, 15];

fn none() -> Tilt {
    let slots = SLOTS.map(|slot| SlotTilt { slot, normal_sd: 0.0, jump: 0.0 }).to_vec();
    Tilt { slots, ..Tilt::default() }
}

/// Tilts of every kind.
fn all() -> Tilt {
    Tilt { plain_every: 0, ..none().with_values(&[-0.6, 0.4, -0.3, -2.0, -0.5, -0.1, 0.3, 0.05]) }
}

fn tilted(steps: u32, tilt: Tilt) -> Plan {
    plan(7_200, steps, |input| input.seed = 41).with_tilt(tilt, steps)
}

fn bits(view: &StepView<'_>) -> Vec<u64> {
    let path = view.path;
    let chunks = path.chain.iter().flat_map(|c| [c.reserve_tao, c.reserve_alpha, c.staked_alpha, c.moving_price]);
    chunks.flatten().chain([path.free_tao, path.outside.tao_usd, path.factor_sum]).map(f64::to_bits).collect()
}

#[test]
fn tilts_of_zero_and_paths_left_alone_are_plain_to_the_bit() {
    let of = |plan: &Plan| watch(plan, 9, |view, _| (bits(view), view.plan.weight(view.path))).expect("sound paths");
    let plain = of(&plan(7_200, STEPS, |input| input.seed = 41));
    assert!(plain == of(&tilted(STEPS, none())));
    assert!(plain == of(&tilted(STEPS, Tilt { plain_every: 1, ..all() })));
    let mixed = of(&tilted(STEPS, Tilt { plain_every: 3, ..all() }));
    for (path, (found, plain)) in mixed.iter().zip(&plain).enumerate() {
        let is_plain = found.iter().zip(plain).all(|((found, _), (plain, _))| found == plain);
        assert_eq!(is_plain, path % 3 == 0, "path {path}");
        assert!(found.iter().all(|(_, weight)| *weight <= 3.0), "path {path}");
        assert!(found[0].1 == 1.0 && found[STEPS as usize].1 != 1.0, "path {path}");
    }
}

/// The mean of a figure, and its standard error.
fn estimate(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.collect();
    (mean(&values), (central(&values).0 / values.len() as f64).sqrt())
}

#[test]
fn weights_are_a_martingale_of_mean_one() {
    for (refinement, plain_every) in [(1, 0), (1, 5), (4, 0)] {
        let plan = plan(7_200, STEPS, |input| {
            (input.seed, input.draw_refinement) = (77, refinement);
            // Prunes soon, so that tilts of single subnets end on the way.
            input.model.registration.hazard_per_day = 1.0;
        });
        let plan = plan.with_tilt(Tilt { plain_every, ..all() }, 30);
        let seen = watch(&plan, 4_000, |view, _| {
            let lives = view.path.occupants[usize::from(SLOTS[1])].is_some_and(|occupant| occupant.incumbent);
            (view.plan.weight(view.path), lives)
        });
        let seen = seen.expect("sound paths");
        for step in [1, 10, 30, 40] {
            let (found, error) = estimate(seen.iter().map(|path| path[step].0));
            assert_near(&format!("{refinement} {plain_every} weight after {step}"), found, 1.0, error);
        }
        assert!(seen.iter().all(|path| path[30].0 == path[40].0), "draws are tilted in the first 30 steps alone");
        let dead = seen.iter().filter(|path| !path[40].1).count();
        assert!(dead > 100, "{dead} of 4000 lost the subnet");
    }
}

/// Under the tilt, by weights, each sum of draws has the mean and the tail that it has without.
#[test]
fn expectations_are_those_of_the_untilted_law() {
    let (paths, root) = (20_000, f64::from(STEPS).sqrt());
    let tilt = Tilt { plain_every: 5, ..none().with_values(&[-3.0, 0.5, -0.2, -1.5, -0.4, -0.1, 0.0, 0.0]) };
    let plan = plan(7_200, STEPS, |input| {
        input.seed = 3;
        input.model.registration.hazard_per_day = 0.0;
    });
    let model = plan.input.model.clone();
    let plan = plan.with_tilt(tilt, STEPS);
    let seen = watch(&plan, paths, |view, _| {
        let sums = if view.step == STEPS { view.path.draws.sums().to_vec() } else { Vec::new() };
        (view.plan.weight(view.path), sums, view.path.outside.tao_usd)
    });
    let last: Vec<_> = seen.expect("sound paths").into_iter().map(|mut path| path.pop().expect("steps")).collect();
    let weighted = |name: &str, truth: f64, figure: &dyn Fn(&[f64], f64) -> f64| {
        let terms = last.iter().map(|(weight, sums, tao_usd)| {
            let sums: Vec<f64> = sums.iter().map(|sum| sum.sum).collect();
            weight * figure(&sums, *tao_usd)
        });
        let (found, error) = estimate(terms);
        assert_near(name, found, truth, error);
        error / truth.abs().max(1e-9)
    };
    // Of 20,000 plain paths some 27 are beyond: a relative error of 0.19.
    let relative = weighted("P(factor < -3)", 1.349_898e-3, &|sums, _| f64::from(u8::from(sums[0] / root < -3.0)));
    assert!(relative < 0.04, "{relative}");
    weighted("mean factor", 0.0, &|sums, _| sums[0] / root);
    let days = f64::from(STEPS);
    weighted("common jumps", model.flow.common_jump.mean_per_day() * days, &|sums, _| sums[2]);
    weighted("rate", plan.input.tao_usd * (model.tao_usd.drift_per_day * days).exp(), &|_, tao_usd| tao_usd);
    weighted("own normals", 0.0, &|sums, _| sums[SHARED_SOURCES] / root);
    weighted("own jumps", model.flow.jumps.mean_per_day() * days, &|sums, _| sums[SHARED_SOURCES + 1]);
    weighted("own jumps, not tilted", model.flow.jumps.mean_per_day() * days, &|sums, _| sums[SHARED_SOURCES + 3]);
}
