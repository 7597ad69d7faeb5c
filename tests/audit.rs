//! The audit of a step passes what the kernel does and stops what it must not do.

use taorisk::cli::run::plan_of;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::advance::Workspace;
use taorisk::engine::audit::Audit;
use taorisk::engine::path::PathState;
use taorisk::engine::plan::Plan;
use taorisk::engine::step;
use taorisk::protocol::moving_price_table::AgeChunk;
use taorisk::protocol::slots::MAX_CHUNKS;
use taorisk::protocol::slots::SlotValues;
use taorisk::simd::Backend;

/// Advances path 0 by `steps` steps, the last of them audited after `tamper`.
struct Audited<'a> {
    plan: &'a Plan,
    steps: u32,
    tamper: fn(&mut PathState),
}

impl Audited<'_> {
    fn run(self) -> Result<(), String> {
        let backend = Backend::detect();
        let mut state = PathState::new(self.plan);
        step::reset(backend, self.plan, &mut state, 0);
        let (held, mut work, mut audit) = (SlotValues::splat(0.0), Workspace::default(), Audit::default());
        let mut row = [AgeChunk::frozen(); MAX_CHUNKS];
        for number in 0..self.steps {
            step::fill_ages(backend, self.plan, number, &mut row);
            audit.open(&state);
            step::advance(backend, self.plan, number, &row, &mut state, &held, &mut work)
                .map_err(|fault| fault.to_string())?;
        }
        (self.tamper)(&mut state);
        audit.close(self.plan, self.steps - 1, &state, &work).map_err(|error| error.to_string())
    }
}

fn audited(tamper: fn(&mut PathState)) -> Result<(), String> {
    let plan = plan_of(&Scenario::load(None, &Overrides::default()).expect("the built-in scenario is valid"));
    Audited { plan: &plan, steps: 40, tamper }.run()
}

#[test]
fn sound_steps_pass() {
    assert_eq!(audited(|_| ()), Ok(()));
}

#[test]
fn alpha_from_nowhere_is_found() {
    let error = audited(|path| path.chain[7].staked_alpha[7] += 0.1).expect_err("0.1 alpha too many");
    assert!(error.starts_with("path 0, step 40, SN64: alpha issuance is off by"), "{error}");
}

#[test]
fn tao_from_nowhere_is_found() {
    let error = audited(|path| path.chain[0].reserve_tao[3] *= 1.0 + 1e-8).expect_err("a part in 1e8 too much");
    assert!(error.starts_with("path 0, step 40, SN4: the pool's TAO is off by"), "{error}");
}

#[test]
fn nan_is_found() {
    assert!(audited(|path| path.chain[2].burned_alpha[0] = f64::NAN).is_err());
}
