//! Paths forward on an instruction set chosen at run time: the one place that compiles the path loop, for all that drive it.

use crate::engine::advance;
use crate::engine::advance::Workspace;
use crate::engine::block;
use crate::engine::block::BlockState;
use crate::engine::opening;
use crate::engine::path::PathFault;
use crate::engine::path::PathState;
use crate::engine::plan::Plan;
use crate::protocol::moving_price_table::AgeChunk;
use crate::protocol::slots::MAX_CHUNKS;
use crate::protocol::slots::SlotValues;
use crate::simd::Backend;
use crate::simd::Kernel;
use crate::simd::Vector;
use crate::simd::dispatch;

/// Puts `path` at the start of the path with that index.
pub fn reset(backend: Backend, plan: &Plan, path: &mut PathState, index: u32) {
    dispatch(backend, Reset { plan, path, index });
}

/// Fills the age factors of incumbents for the step `step`.
pub fn fill_ages(backend: Backend, plan: &Plan, step: u32, row: &mut [AgeChunk; MAX_CHUNKS]) {
    dispatch(backend, FillAges { plan, step, row });
}

/// Opens the step `step` on paths: chance and clocks that a path's slots share, for eight paths at once.
pub fn open(backend: Backend, plan: &Plan, step: u32, paths: &mut [PathState]) {
    dispatch(backend, Open { plan, step, paths });
}

/// One step forward of a path on which it is opened. `row`: age factors of incumbents; `held`: alpha of books.
///
/// # Errors
/// A value of the path became NaN or negative.
pub fn advance_opened(
    backend: Backend,
    plan: &Plan,
    step: u32,
    row: &[AgeChunk; MAX_CHUNKS],
    path: &mut PathState,
    held: &SlotValues,
    work: &mut Workspace,
) -> Result<(), PathFault> {
    dispatch(backend, Advance { plan, step, row, path, held, work })
}

/// One step forward of one path: [`open`] and [`advance_opened`].
///
/// # Errors
/// A value of the path became NaN or negative.
pub fn advance(
    backend: Backend,
    plan: &Plan,
    step: u32,
    row: &[AgeChunk; MAX_CHUNKS],
    path: &mut PathState,
    held: &SlotValues,
    work: &mut Workspace,
) -> Result<(), PathFault> {
    open(backend, plan, step, std::slice::from_mut(path));
    advance_opened(backend, plan, step, row, path, held, work)
}

/// One block forward in the chain's own order; `plan` must have one block per step. `held`: alpha of books.
pub fn advance_block(
    backend: Backend,
    plan: &Plan,
    step: u32,
    path: &mut PathState,
    held: &SlotValues,
    state: &mut BlockState,
    work: &mut Workspace,
) {
    dispatch(backend, AdvanceBlock { plan, step, path, held, state, work });
}

struct Reset<'a> {
    plan: &'a Plan,
    path: &'a mut PathState,
    index: u32,
}

impl Kernel for Reset<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        self.path.reset::<V>(self.plan, self.index);
    }
}

struct FillAges<'a> {
    plan: &'a Plan,
    step: u32,
    row: &'a mut [AgeChunk; MAX_CHUNKS],
}

impl Kernel for FillAges<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        advance::fill_ages::<V>(self.plan, self.step, self.row);
    }
}

struct Open<'a> {
    plan: &'a Plan,
    step: u32,
    paths: &'a mut [PathState],
}

impl Kernel for Open<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        opening::open::<V>(self.plan, self.step, self.paths);
    }
}

struct Advance<'a> {
    plan: &'a Plan,
    step: u32,
    row: &'a [AgeChunk; MAX_CHUNKS],
    path: &'a mut PathState,
    held: &'a SlotValues,
    work: &'a mut Workspace,
}

impl Kernel for Advance<'_> {
    type Output = Result<(), PathFault>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Self::Output {
        advance::advance::<V>(self.plan, self.step, self.row, self.path, self.held, self.work)
    }
}

struct AdvanceBlock<'a> {
    plan: &'a Plan,
    step: u32,
    path: &'a mut PathState,
    held: &'a SlotValues,
    state: &'a mut BlockState,
    work: &'a mut Workspace,
}

impl Kernel for AdvanceBlock<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        block::advance_block::<V>(self.plan, self.step, self.path, self.held, self.state, self.work);
    }
}
