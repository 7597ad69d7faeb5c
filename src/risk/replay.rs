//! The story of one path: its flows, events, states and books step by step, as a run with the same plan sees it.

use std::ops::ControlFlow;
use std::ops::RangeInclusive;
use std::sync::atomic::AtomicBool;

use crate::engine::path::LifecycleEvent;
use crate::engine::plan::Plan;
use crate::engine::plan::locate;
use crate::engine::record::EventKind;
use crate::engine::record::EventRow;
use crate::engine::record::PathRow;
use crate::engine::record::SampleRow;
use crate::engine::recorder::StepView;
use crate::engine::run;
use crate::engine::run::RunError;
use crate::engine::run::RunOptions;
use crate::engine::unfold::StepMove;
use crate::engine::unfold::StepOpening;
use crate::portfolio::tracker::BookTracker;
use crate::portfolio::tracker::Settlement;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::SlotValues;
use crate::risk::recorder::BatchRecord;
use crate::risk::recorder::RunRecorder;
use crate::risk::recorder::event_row;
use crate::risk::recorder::sample_rows;
use crate::simd::Backend;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;
use crate::units::SLOT_CAPACITY;

/// What of a path is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayPlan {
    /// From the state after the first step to that after the last; 0 is the start. Events: of the steps between.
    pub steps: RangeInclusive<u32>,
    /// Slots whose flows, events and states are kept; empty: all.
    pub netuids: Vec<NetUid>,
    /// Whether states are kept.
    pub states: bool,
    /// Whether what unfolds steps into blocks is kept.
    pub moves: bool,
}

/// The network and the books after one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRow {
    /// Steps since the start.
    pub step: u32,
    /// Block after which this is the state.
    pub block: u64,
    /// USD per TAO.
    pub tao_usd: f64,
    /// TAO that organic flows and buybacks put into the kept slots' pools in the step, net.
    pub organic_flow_tao: f64,
    /// TAO that the chain put into them: injection and chain buys.
    pub chain_spending_tao: f64,
    /// TAO that they paid for emission sold by owners, miners and validators, and for root claims.
    pub emission_sales_tao: f64,
    /// Outcome of each book up to now.
    pub books: Vec<PathRow>,
}

/// A lifecycle event and what it meant.
#[derive(Clone, Debug, PartialEq)]
pub struct StoryEvent {
    /// The event as in files.
    pub row: EventRow,
    /// The step within which it came, counted from 1.
    pub step: u32,
    /// Whether the subnet is one of the snapshot.
    pub incumbent: bool,
    /// Its spot price then (TAO per alpha).
    pub price: f64,
    /// Place of its moving price among all subnets, from the lowest, counted from 1; immune ones may stand before it.
    pub rank: usize,
    /// Subnets then, it included.
    pub subnets: usize,
    /// What each book was paid, with its number.
    pub settlements: Vec<(usize, Settlement)>,
}

/// Value of one position, with what was paid for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HoldingRow {
    /// Steps since the start.
    pub step: u32,
    /// Index of the book.
    pub book: usize,
    /// Subnet held at the start.
    pub netuid: NetUid,
    /// Alpha held.
    pub alpha: f64,
    /// At spot, with what it has brought: paid on deregistration, or for what its policy sold, less what that paid (TAO).
    pub value_tao: f64,
    /// Whether it was deregistered.
    pub deregistered: bool,
}

/// The story of one path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    /// Mark value of each book at the start (TAO).
    pub openings_tao: Vec<f64>,
    /// Outcomes of books at the report horizons, as in a run's record.
    pub horizons: Vec<PathRow>,
    /// Step by step.
    pub steps: Vec<StepRow>,
    /// Events in order.
    pub events: Vec<StoryEvent>,
    /// Shocks that begin in the kept steps: their number in the scenario, and the block.
    pub shocks: Vec<(usize, u64)>,
    /// States of the kept slots.
    pub states: Vec<SampleRow>,
    /// How prices moved within steps.
    pub moves: Vec<StepMove>,
    /// Positions of the books at the ends of days.
    pub holdings: Vec<HoldingRow>,
}

/// A day on which a book lost.
#[derive(Clone, Debug, PartialEq)]
pub struct DayLoss {
    /// The step that ended the day.
    pub step: u32,
    /// Value at spot when it began, with what was paid for holdings deregistered before (TAO).
    pub opening_tao: f64,
    /// What was lost at spot (TAO).
    pub loss_tao: f64,
    /// What each position lost, the largest loss first.
    pub positions: Vec<PositionLoss>,
}

/// What one position lost on a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PositionLoss {
    /// Subnet held.
    pub netuid: NetUid,
    /// Fall of its value at spot, or to what was paid for it (TAO); negative for a gain.
    pub loss_tao: f64,
    /// Whether it was deregistered that day.
    pub deregistered: bool,
}

impl Replay {
    /// The `count` days on which book number `book` lost most, the worst first. Days of the kept steps only.
    pub fn worst_days(&self, book: usize, count: usize) -> Vec<DayLoss> {
        let rows: Vec<&HoldingRow> = self.holdings.iter().filter(|row| row.book == book).collect();
        let days: Vec<&[&HoldingRow]> = rows.chunk_by(|a, b| a.step == b.step).collect();
        let mut losses: Vec<DayLoss> = days.windows(2).map(|days| day_loss(days[0], days[1])).collect();
        losses.retain(|loss| loss.loss_tao > 0.0);
        losses.sort_by(|a, b| b.loss_tao.total_cmp(&a.loss_tao));
        losses.truncate(count);
        losses
    }
}

fn day_loss(before: &[&HoldingRow], after: &[&HoldingRow]) -> DayLoss {
    let lost = |(before, after): (&&HoldingRow, &&HoldingRow)| PositionLoss {
        netuid: after.netuid,
        loss_tao: before.value_tao - after.value_tao,
        deregistered: after.deregistered && !before.deregistered,
    };
    let mut positions: Vec<PositionLoss> = before.iter().zip(after).map(lost).collect();
    let loss_tao = positions.iter().fold(0.0, |sum, position| sum + position.loss_tao);
    positions.sort_by(|a, b| b.loss_tao.total_cmp(&a.loss_tao));
    let opening_tao = before.iter().fold(0.0, |sum, row| sum + row.value_tao);
    DayLoss { step: after[0].step, opening_tao, loss_tao, positions }
}

/// Simulates path `path` again and tells its story: the code of a run, so the same bits. `recorder`: that of the run.
///
/// # Errors
/// As [`run::run`].
pub fn replay(
    plan: &Plan,
    path: u64,
    backend: Backend,
    kept: &ReplayPlan,
    recorder: &RunRecorder,
) -> Result<Replay, RunError> {
    let options = RunOptions { first_path: path, paths: 1, batch_paths: 1, threads: 1, backend };
    let mut story = Replay::default();
    let consume = |batch: BatchRecord| {
        story = Replay { horizons: batch.paths, ..batch.story.unwrap_or_default() };
        ControlFlow::Continue(())
    };
    run::run(plan, &options, || recorder.telling(kept), consume, &AtomicBool::new(false))?;
    Ok(story)
}

/// Part of a run's recorder that keeps the story of the one path of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Storyteller {
    kept: ReplayPlan,
    covered: Vec<bool>,
    openings: Vec<StepOpening>,
    story: Replay,
}

impl Storyteller {
    pub(crate) fn new(kept: &ReplayPlan) -> Self {
        let mut covered = vec![kept.netuids.is_empty(); SLOT_CAPACITY];
        kept.netuids.iter().for_each(|netuid| covered[netuid.slot()] = true);
        Self { kept: kept.clone(), covered, openings: Vec::new(), story: Replay::default() }
    }

    /// What was kept; the next path begins with nothing.
    pub(crate) fn take(&mut self) -> Replay {
        self.openings.clear();
        std::mem::take(&mut self.story)
    }

    /// Keeps what `view` shows, and what the next step will need of it.
    pub(crate) fn keep(&mut self, view: &StepView<'_>, tracker: &BookTracker) {
        if view.step == 0 {
            let books = 0..tracker.books().len();
            self.story.openings_tao = books.map(|book| tracker.opening_tao(0, book)).collect();
        }
        if !self.kept.steps.contains(&view.step) {
            return;
        }
        self.story.steps.push(self.step_row(view, tracker));
        self.keep_shocks(view);
        if self.kept.states {
            let states = sample_rows(view).filter(|row| self.covered[row.netuid.slot()]);
            self.story.states.extend(states);
        }
        if view.step > *self.kept.steps.start() {
            for event in view.events.iter().filter(|event| self.covered[event.slot]) {
                self.story.events.push(Self::story_event(view, event, tracker));
            }
            self.story.moves.extend(self.openings.iter().map(|opening| StepMove::of(*opening, view)));
        }
        if self.kept.moves {
            let slots = (0..SLOT_CAPACITY).filter(|slot| self.covered[*slot]);
            self.openings.clear();
            self.openings.extend(slots.filter_map(|slot| StepOpening::of(view.plan, view.path, slot)));
        }
        if self.ends_day(view) {
            self.keep_holdings(view, tracker);
        }
    }

    /// Those that begin in the step that led to `view`.
    fn keep_shocks(&mut self, view: &StepView<'_>) {
        if view.step <= *self.kept.steps.start() {
            return;
        }
        let opening = view.block - view.plan.input.blocks_per_step;
        for index in 0..view.plan.input.model.shocks.len() {
            let begins = view.path.shock_block(view.plan, index);
            self.story
                .shocks
                .extend(begins.filter(|block| (opening..view.block).contains(block)).map(|at| (index, at)));
        }
    }

    fn step_row(&self, view: &StepView<'_>, tracker: &BookTracker) -> StepRow {
        let slots = 0..view.path.chain.len() * CHUNK_SLOTS;
        let sum = |values: &SlotValues| {
            slots.clone().filter(|slot| self.covered[*slot]).fold(0.0, |sum, slot| sum + values.get(slot))
        };
        let buffers = view.buffers;
        StepRow {
            step: view.step,
            block: view.block,
            tao_usd: view.path.outside.tao_usd,
            organic_flow_tao: sum(&buffers.flow_tao),
            chain_spending_tao: sum(&buffers.spent_tao),
            emission_sales_tao: sum(&buffers.sold_tao) + sum(&buffers.root_tao),
            books: (0..tracker.books().len()).map(|book| tracker.outcome(0, book, view)).collect(),
        }
    }

    fn story_event(view: &StepView<'_>, event: &LifecycleEvent, tracker: &BookTracker) -> StoryEvent {
        let others: Vec<f64> = Self::elder_prices(view, event).collect();
        let books = 0..tracker.books().len();
        let paid = books.flat_map(|book| tracker.settlements(0, book).iter().map(move |paid| (book, *paid)));
        let settlements = match event.kind {
            EventKind::Deregistered if event.incumbent => paid.filter(|(_, paid)| paid.slot == event.slot).collect(),
            _ => Vec::new(),
        };
        StoryEvent {
            row: event_row(u64::from(view.path.path), event),
            step: view.step,
            incumbent: event.incumbent,
            price: event.price,
            rank: 1 + others.iter().filter(|price| **price < event.moving_price).count(),
            subnets: 1 + others.len(),
            settlements,
        }
    }

    /// Moving prices of the other subnets that stood when `event` came.
    fn elder_prices(view: &StepView<'_>, event: &LifecycleEvent) -> impl Iterator<Item = f64> {
        let (slot, block) = (event.slot, event.block);
        view.path.occupants.iter().enumerate().filter_map(move |(other, occupant)| {
            let (chunk, lane) = locate(other);
            let is_elder = other != slot && (*occupant)?.registered_at < block;
            is_elder.then(|| view.path.chain[chunk].moving_price[lane])
        })
    }

    /// Whether `view` closes a day, or begins or ends what is kept.
    fn ends_day(&self, view: &StepView<'_>) -> bool {
        let steps_per_day = (BLOCKS_PER_DAY / view.plan.input.blocks_per_step) as u32;
        let (first, last) = (*self.kept.steps.start(), *self.kept.steps.end());
        view.step.is_multiple_of(steps_per_day) || view.step == first || view.step == last
    }

    fn keep_holdings(&mut self, view: &StepView<'_>, tracker: &BookTracker) {
        for (book, positions) in tracker.books().iter().map(|book| &book.positions).enumerate() {
            let settlements = tracker.settlements(0, book);
            let values = tracker.position_values(0, book, view);
            let held = positions.iter().zip(tracker.alpha(0, book)).zip(values);
            let rows = held.map(|((position, &alpha), value)| HoldingRow {
                step: view.step,
                book,
                netuid: position.netuid,
                alpha,
                value_tao: value.mark_tao + value.earned_tao,
                deregistered: settlements.iter().any(|paid| paid.slot == position.netuid.slot()),
            });
            self.story.holdings.extend(rows);
        }
    }
}
