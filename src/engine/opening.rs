//! What a step opens with, for up to eight paths at once: shared processes and registration clocks.
//!
//! Lanes are paths here. The clock runs on the state at the opening: passes do not move the lock, and the block emission in
//! its cost is that of the opening.

use crate::engine::changed::ChangedDraws;
use crate::engine::leading::LeadingPlan;
use crate::engine::path::PathState;
use crate::engine::plan::Plan;
use crate::engine::shocks;
use crate::engine::tilt::TiltPlan;
use crate::model::bridge::NormalLaw;
use crate::model::kernel::CommonFlow;
use crate::model::market_states::MarketStep;
use crate::model::outside::LaneDraw;
use crate::model::outside::Outside;
use crate::model::outside::OutsideStep;
use crate::model::outside::SharedDraws;
use crate::model::path_lanes::PathLanes;
use crate::model::registration::CostLine;
use crate::model::registration::RegistrationHazard;
use crate::protocol::registration;
use crate::simd::LANES;
use crate::simd::Vector;

/// From so many paths on a whole vector costs less than one path after the other.
const VECTOR_PATHS: usize = 2;

/// What the lanes read of the paths.
struct Gathered {
    paths: [u64; LANES],
    tao_usd: [f64; LANES],
    log_willingness: [f64; LANES],
    /// Of the clocks.
    remaining: [f64; LANES],
    /// Block at which they begin to run in the step, or one after it.
    from: [u64; LANES],
    /// Blocks for which they run.
    blocks: [f64; LANES],
    cost: CostLine<[f64; LANES]>,
    /// Factor on the hazard, by shocks.
    hazard_factor: [f64; LANES],
}

/// Opens the step on all `paths`: puts rules in force that have come, moves the shared processes on and runs the registration
/// clocks through the step. No path bears on another.
#[inline(always)]
pub fn open<V: Vector>(plan: &Plan, step: u32, paths: &mut [PathState]) {
    for path in &mut *paths {
        path.switch_rules(plan, plan.opening_block(step) as f64);
        shocks::open(plan, step, path);
    }
    match (&plan.market, &plan.changed) {
        (Some(market), _) => open_in_states(plan, market, step, paths),
        (None, Some(ChangedDraws::Tilted(tilt))) => open_tilted(plan, tilt, step, paths),
        (None, Some(ChangedDraws::Leading(leading))) => open_led(plan, leading, step, paths),
        (None, None) => open_groups::<V>(plan, step, paths),
    }
    if !plan.input.model.shocks.is_empty() {
        paths.iter_mut().for_each(|path| shock(plan, path));
    }
}

/// Lets shocks move what the step shares.
#[inline(always)]
fn shock(plan: &Plan, path: &mut PathState) {
    path.outside.tao_usd *= path.shocks.tao_usd_factor(plan);
    let added = path.shocks.common_flow(plan);
    path.common.factor += added.factor;
    path.common.jump += added.jump;
}

#[inline(always)]
fn open_groups<V: Vector>(plan: &Plan, step: u32, paths: &mut [PathState]) {
    for group in paths.chunks_mut(LANES) {
        if group.len() >= VECTOR_PATHS {
            open_group::<V>(plan, &plan.outside, step, group, None);
            continue;
        }
        for path in group {
            open_group::<f64>(plan, &plan.outside, step, std::slice::from_mut(path), None);
        }
    }
}

/// [`open`] where each path has a market state of its own, and with it other constants: one path after the other.
#[inline(always)]
fn open_in_states(plan: &Plan, market: &MarketStep, step: u32, paths: &mut [PathState]) {
    for path in paths {
        if step > 0 {
            path.market_state = market.draw_next(plan.input.seed, path.path, step - 1, path.market_state);
        }
        open_group::<f64>(plan, &market.outside[path.market_state], step, std::slice::from_mut(path), None);
    }
}

/// [`open`] where some paths have tilted laws: one path after the other.
#[inline(always)]
fn open_tilted(plan: &Plan, tilt: &TiltPlan, step: u32, paths: &mut [PathState]) {
    for path in paths {
        let (process, laws) = tilt.shared_law(&plan.outside, step, &path.draws);
        let draws = open_group::<f64>(plan, process, step, std::slice::from_mut(path), laws);
        tilt.note_shared(step, &draws, &mut path.draws);
    }
}

/// [`open`] where normals have their sums given: one path after the other.
#[inline(always)]
fn open_led(plan: &Plan, leading: &LeadingPlan, step: u32, paths: &mut [PathState]) {
    for path in paths {
        let laws = leading.shared_laws(step, &path.draws.leading);
        let draws = open_group::<f64>(plan, &plan.outside, step, std::slice::from_mut(path), laws);
        leading.note_shared(step, &draws, &mut path.draws.leading);
    }
}

/// At most as many paths as there are lanes; lanes without a path stand still. `laws`: of normals.
#[inline(always)]
fn open_group<L: PathLanes>(
    plan: &Plan,
    process: &OutsideStep,
    step: u32,
    group: &mut [PathState],
    laws: Option<[NormalLaw; 2]>,
) -> SharedDraws<L> {
    let gathered = gather(plan, step, group);
    let mut outside =
        Outside { tao_usd: L::gather(&gathered.tao_usd), log_willingness: L::gather(&gathered.log_willingness) };
    let draw = LaneDraw { seed: plan.input.seed, paths: L::gather_words(&gathered.paths), step };
    let draws = process.advance_lanes(draw, &mut outside, laws);
    let clocks = run_clocks(plan, step, &gathered, process.willingness_tao(&outside));
    scatter(group, &outside, [process.factor(&draws), draws.common_jump], &clocks);
    draws
}

/// Clocks at the end of the step.
struct Clocks {
    remaining: [f64; LANES],
    /// Block of the attempt, in lanes where one comes.
    attempts: [Option<u64>; LANES],
}

#[inline(always)]
fn run_clocks<L: PathLanes>(plan: &Plan, step: u32, gathered: &Gathered, willingness_tao: L) -> Clocks {
    let (remaining, cost) = (L::gather(&gathered.remaining), gathered.cost_lines());
    let hazard = RegistrationHazard::new(&plan.input.model.registration, willingness_tao)
        .times(L::gather(&gathered.hazard_factor));
    let run = hazard.run(remaining, &cost, L::gather(&gathered.blocks));
    let mut attempts = [None; LANES];
    let mut bits = L::bits(run.comes);
    if bits != 0 {
        let closing = plan.opening_block(step + 1);
        let times = hazard.time(remaining, &cost, &run).scatter();
        while bits != 0 {
            let lane = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            attempts[lane] = Some((gathered.from[lane] + times[lane].ceil().max(1.0) as u64).min(closing));
        }
    }
    Clocks { remaining: run.remaining.scatter(), attempts }
}

#[inline(always)]
fn scatter<L: PathLanes>(group: &mut [PathState], outside: &Outside<L>, common: [L; 2], clocks: &Clocks) {
    let (tao_usd, log_willingness) = (outside.tao_usd.scatter(), outside.log_willingness.scatter());
    let (factor, jump) = (common[0].scatter(), common[1].scatter());
    for (lane, path) in group.iter_mut().enumerate() {
        path.outside = Outside { tao_usd: tao_usd[lane], log_willingness: log_willingness[lane] };
        path.common = CommonFlow { factor: factor[lane], jump: jump[lane] };
        path.factor_sum += factor[lane];
        path.clock.remaining = clocks.remaining[lane];
        path.attempt = clocks.attempts[lane];
    }
}

#[inline(always)]
fn gather(plan: &Plan, step: u32, group: &mut [PathState]) -> Gathered {
    let (zero, one) = ([0.0; LANES], [1.0; LANES]);
    let mut gathered = Gathered {
        paths: [0; LANES],
        tao_usd: one,
        log_willingness: zero,
        remaining: one,
        from: [0; LANES],
        blocks: zero,
        cost: CostLine { start_tao: one, fall_per_block: zero, floor_tao: one },
        hazard_factor: one,
    };
    for (lane, path) in group.iter_mut().enumerate() {
        let from = first_allowed_block(path).max(plan.opening_block(step));
        let cost = cost_line(path, from);
        gathered.paths[lane] = u64::from(path.path);
        gathered.tao_usd[lane] = path.outside.tao_usd;
        gathered.log_willingness[lane] = path.outside.log_willingness;
        gathered.remaining[lane] = path.clock.remaining;
        gathered.from[lane] = from;
        gathered.blocks[lane] = plan.opening_block(step + 1).saturating_sub(from) as f64;
        gathered.hazard_factor[lane] = path.shocks.registration_factor(plan);
        gathered.cost.start_tao[lane] = cost.start_tao;
        gathered.cost.fall_per_block[lane] = cost.fall_per_block;
        gathered.cost.floor_tao[lane] = cost.floor_tao;
    }
    gathered
}

impl Gathered {
    #[inline(always)]
    fn cost_lines<L: PathLanes>(&self) -> CostLine<L> {
        CostLine {
            start_tao: L::gather(&self.cost.start_tao),
            fall_per_block: L::gather(&self.cost.fall_per_block),
            floor_tao: L::gather(&self.cost.floor_tao),
        }
    }
}

/// First block at which the rate limit allows a registration.
#[inline(always)]
fn first_allowed_block(path: &PathState) -> u64 {
    match path.last_lock_block {
        0 => 0,
        last => last + path.protocol.registration_rate_limit_blocks,
    }
}

/// Lock cost from `block` on.
#[inline(always)]
fn cost_line(path: &mut PathState, block: u64) -> CostLine {
    let emission = path.emission_level().per_block;
    let protocol = &path.protocol;
    let interval = registration::lock_interval(protocol, emission);
    CostLine {
        start_tao: registration::lock_cost(protocol, path.last_lock_tao, path.last_lock_block, block, emission),
        fall_per_block: if interval > 0.0 { path.last_lock_tao / interval } else { 0.0 },
        floor_tao: protocol.lock_cost_min_tao,
    }
}
