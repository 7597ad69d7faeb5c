//! What a run keeps of its paths: book outcomes, deregistrations, events, samples, and counts per subnet.

use crate::engine::path::LifecycleEvent;
use crate::engine::path::PathState;
use crate::engine::plan::locate;
use crate::engine::policy::Market;
use crate::engine::record::DeregistrationRow;
use crate::engine::record::EventKind;
use crate::engine::record::EventRow;
use crate::engine::record::FactorRow;
use crate::engine::record::PathRow;
use crate::engine::record::PositionValue;
use crate::engine::record::RevenueRow;
use crate::engine::record::SampleRow;
use crate::engine::record::SettlementRow;
use crate::engine::recorder::Recorder;
use crate::engine::recorder::StepView;
use crate::portfolio::tracker::BookTracker;
use crate::protocol::slots::SlotValues;
use crate::risk::histogram::CellCount;
use crate::risk::histogram::PlacePair;
use crate::risk::histogram::SubnetCube;
use crate::risk::histogram::SubnetTally;
use crate::risk::places::PlaceSlots;
use crate::risk::replay::Replay;
use crate::risk::replay::ReplayPlan;
use crate::risk::replay::Storyteller;
use crate::simd;
use crate::simd::Backend;
use crate::units::NetUid;

/// What is recorded, and of which paths.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordPlan {
    /// Report horizons (steps, ascending).
    pub horizon_steps: Vec<u32>,
    /// Lifecycle events are kept of the paths below this index.
    pub event_paths: u64,
    /// States are kept of the paths below this index.
    pub sample_paths: u64,
    /// Slots that subnets of the snapshot stand in, up to the highest.
    pub slots: usize,
}

/// The record of one batch, rows in path order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchRecord {
    /// First path of the batch.
    pub first_path: u64,
    /// Number of paths.
    pub count: usize,
    /// Book outcomes by path, book, horizon.
    pub paths: Vec<PathRow>,
    /// Values of positions by path, book, horizon, position.
    pub positions: Vec<PositionValue>,
    /// Deregistrations of subnets of the snapshot, by path.
    pub deregistrations: Vec<DeregistrationRow>,
    /// Holdings that deregistrations turned into TAO, by path.
    pub settlements: Vec<SettlementRow>,
    /// Lifecycle events of sampled paths, by path.
    pub events: Vec<EventRow>,
    /// Revenue of the subnets that have some, by path, horizon, subnet.
    pub revenue: Vec<RevenueRow>,
    /// The common factor, by path and horizon, where it is kept.
    pub factors: Vec<FactorRow>,
    /// States of sampled paths, by path and step.
    pub samples: Vec<SampleRow>,
    /// Places of prices and emission shares, by horizon, path and slot, where they are kept by batch.
    pub places: Vec<Vec<PlacePair>>,
    /// The story of the batch's one path, where it was asked for.
    pub story: Option<Replay>,
}

impl BatchRecord {
    /// Adds the rows of the batch after it; places and stories are left out.
    fn append(&mut self, mut next: Self) {
        if self.count == 0 {
            self.first_path = next.first_path;
        }
        debug_assert_eq!(self.first_path + self.count as u64, next.first_path);
        self.count += next.count;
        self.paths.append(&mut next.paths);
        self.positions.append(&mut next.positions);
        self.deregistrations.append(&mut next.deregistrations);
        self.settlements.append(&mut next.settlements);
        self.events.append(&mut next.events);
        self.revenue.append(&mut next.revenue);
        self.factors.append(&mut next.factors);
        self.samples.append(&mut next.samples);
    }
}

/// Consecutive batches joined, with their counts of prices and emission shares: all that is known of their paths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PathBlock {
    /// Rows of the paths, without places and stories.
    pub record: BatchRecord,
    /// Counts of a cube.
    pub counts: Vec<CellCount>,
}

impl PathBlock {
    /// The path after its last one.
    pub fn end(&self) -> u64 {
        self.record.first_path + self.record.count as u64
    }
}

/// Joins batches to blocks.
#[derive(Debug)]
pub struct BlockBuilder {
    paths: usize,
    cube: SubnetCube,
    pending: BatchRecord,
}

impl BlockBuilder {
    /// Makes blocks of at least so many paths for recorders of `plan`.
    pub fn new(paths: usize, plan: &RecordPlan) -> Self {
        Self { paths, cube: SubnetCube::new(plan.slots, plan.horizon_steps.len()), pending: BatchRecord::default() }
    }

    /// Adds the next batch of a recorder [`RunRecorder::by_batch`]; a block when enough paths are together.
    pub fn push(&mut self, batch: BatchRecord) -> Option<PathBlock> {
        self.cube.count_batch(&batch.places);
        self.pending.append(batch);
        if self.pending.count < self.paths { None } else { self.take() }
    }

    /// What waits.
    pub fn take(&mut self) -> Option<PathBlock> {
        let record = std::mem::take(&mut self.pending);
        (record.count > 0).then(|| PathBlock { record, counts: self.cube.take_counts() })
    }
}

/// Recorder of a run; one per worker. It counts all the paths that the worker saw.
#[derive(Clone, Debug)]
pub struct RunRecorder {
    plan: RecordPlan,
    tracker: BookTracker,
    batch: BatchRecord,
    storyteller: Option<Storyteller>,
    /// Prices and emission shares of subnets of the snapshot, alive at a horizon.
    tally: SubnetTally,
    /// Scratch: those of the path in hand.
    places: Vec<PlacePair>,
    backend: Backend,
    keeps_places: bool,
    keeps_factors: bool,
}

impl RunRecorder {
    /// A recorder with nothing seen yet.
    pub fn new(plan: RecordPlan, tracker: BookTracker) -> Self {
        let tally = SubnetTally::new(plan.slots, plan.horizon_steps.len());
        Self {
            plan,
            tracker,
            batch: BatchRecord::default(),
            storyteller: None,
            tally,
            places: Vec::new(),
            backend: Backend::detect(),
            keeps_places: false,
            keeps_factors: false,
        }
    }

    /// The same on another instruction set than the best of this machine; results do not depend on it.
    pub fn on(self, backend: Backend) -> Self {
        Self { tracker: self.tracker.on(backend), backend, ..self }
    }

    /// What it records.
    pub fn plan(&self) -> &RecordPlan {
        &self.plan
    }

    /// The same with prices and emission shares in its batches, not in [`RunRecorder::into_cube`].
    pub fn by_batch(self) -> Self {
        Self { tally: self.tally.giving_up(), keeps_places: true, ..self }
    }

    /// The same with the common factor of each path in its batches.
    pub fn with_factors(self) -> Self {
        Self { keeps_factors: true, ..self }
    }

    /// Prices and emission shares of subnets of the snapshot, alive at a horizon, of all paths seen.
    pub fn into_cube(self) -> SubnetCube {
        self.tally.into_cube()
    }

    /// The same for batches of one path whose story is kept.
    pub(crate) fn telling(&self, kept: &ReplayPlan) -> Self {
        Self { storyteller: Some(Storyteller::new(kept)), ..self.clone() }
    }

    fn tell(&mut self, view: &StepView<'_>) {
        if let Some(storyteller) = &mut self.storyteller {
            storyteller.keep(view, &self.tracker);
        }
    }

    fn record_events(&mut self, index: usize, view: &StepView<'_>) {
        let path = u64::from(view.path.path);
        let horizon = self.plan.horizon_steps.iter().position(|&step| view.step <= step);
        let horizon = horizon.unwrap_or(self.plan.horizon_steps.len()) as u16;
        for event in view.events {
            if event.kind == EventKind::Deregistered && event.incumbent {
                self.batch.deregistrations.push(DeregistrationRow {
                    path,
                    slot: event.slot as u16,
                    horizon,
                    block: event.block,
                    payout_tao_per_alpha: event.paid_tao,
                    price_before: event.price,
                });
                self.record_settlements(index, view, event, horizon);
            }
            if path < self.plan.event_paths {
                self.batch.events.push(event_row(path, event));
            }
        }
    }

    /// What each book was paid for its holding in the slot of a deregistration. A subnet of the snapshot goes once, so it is the last
    /// one there.
    fn record_settlements(&mut self, index: usize, view: &StepView<'_>, event: &LifecycleEvent, horizon: u16) {
        let entered = |other: &&LifecycleEvent| other.kind == EventKind::Registered && other.slot == event.slot;
        let entrant_lock_tao = view.events.iter().find(entered).map_or(0.0, |entrant| entrant.paid_tao);
        for (book, followed) in self.tracker.books().iter().enumerate() {
            let paid = self.tracker.settlements(index, book).iter().rfind(|paid| paid.slot == event.slot);
            let Some(settlement) = paid else { continue };
            let held = followed.positions.iter().position(|position| position.netuid.slot() == event.slot);
            let Some(position) = held else { continue };
            self.batch.settlements.push(SettlementRow {
                path: u64::from(view.path.path),
                book: book as u16,
                position: position as u16,
                horizon,
                block: event.block,
                mark_tao: settlement.mark_tao,
                paid_tao: settlement.paid_tao,
                entrant_lock_tao,
            });
        }
    }

    fn count_survivors(&mut self, view: &StepView<'_>, horizon: usize) {
        simd::dispatch(self.backend, PlaceSlots { view, places: &mut self.places });
        self.tally.push(horizon, &self.places);
    }

    fn record_revenue(&mut self, view: &StepView<'_>, horizon: usize) {
        let rows = view.path.revenue.iter().enumerate().map(|(subnet, revenue)| RevenueRow {
            path: u64::from(view.path.path),
            subnet: subnet as u16,
            horizon: horizon as u16,
            total: revenue.total,
        });
        self.batch.revenue.extend(rows);
    }

    fn sample(&mut self, view: &StepView<'_>) {
        if self.reads_rows(view.path.path) {
            self.batch.samples.extend(sample_rows(view));
        }
    }
}

impl Recorder for RunRecorder {
    fn reads_rows(&self, path: u32) -> bool {
        u64::from(path) < self.plan.sample_paths
    }

    type Batch = BatchRecord;

    fn open(&mut self, index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        self.tracker.open(index, view, held);
        self.sample(view);
        self.tell(view);
    }

    fn trades(&self) -> bool {
        self.tracker.trades()
    }

    fn trade(&mut self, index: usize, market: &mut Market<'_>) {
        self.tracker.trade(index, market);
    }

    /// Beyond the last horizon, where books leave, nothing else is kept.
    fn step(&mut self, index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        self.tracker.step(index, view, held);
        if self.plan.horizon_steps.last().is_some_and(|&last| view.step > last) {
            return;
        }
        if !view.events.is_empty() {
            self.record_events(index, view);
        }
        if let Some(horizon) = self.plan.horizon_steps.iter().position(|&step| step == view.step) {
            if self.plan.slots > 0 {
                self.count_survivors(view, horizon);
            }
            self.record_revenue(view, horizon);
            if self.keeps_factors {
                let common = view.path.factor_sum / f64::from(view.step).sqrt();
                let (path, horizon) = (u64::from(view.path.path), horizon as u16);
                self.batch.factors.push(FactorRow { path, horizon, common });
            }
        }
        self.sample(view);
        self.tell(view);
    }

    /// Steps of a batch come step by step, so rows of one path are brought together; the sorts are stable.
    fn close(&mut self, first_path: u64, count: usize) -> BatchRecord {
        let mut batch = std::mem::take(&mut self.batch);
        (batch.first_path, batch.count) = (first_path, count);
        if self.keeps_places {
            batch.places = self.tally.take_places();
        }
        batch.story = self.storyteller.as_mut().map(Storyteller::take);
        batch.paths.extend_from_slice(self.tracker.rows(count));
        batch.positions.extend_from_slice(self.tracker.values(count));
        batch.deregistrations.sort_by_key(|row| row.path);
        batch.settlements.sort_by_key(|row| row.path);
        batch.events.sort_by_key(|row| row.path);
        batch.revenue.sort_by_key(|row| row.path);
        batch.factors.sort_by_key(|row| row.path);
        batch.samples.sort_by_key(|row| row.path);
        batch
    }
}

/// What files say of an event.
pub(crate) fn event_row(path: u64, event: &LifecycleEvent) -> EventRow {
    let paid = |kind| (event.kind == kind).then_some(event.paid_tao);
    EventRow {
        path,
        block: event.block,
        netuid: NetUid::from_slot(event.slot),
        registered_at: event.registered_at,
        kind: event.kind,
        moving_price: event.moving_price,
        lock_cost_tao: paid(EventKind::Registered),
        payout_tao_per_alpha: paid(EventKind::Deregistered),
    }
}

/// The state of every occupied slot.
pub(crate) fn sample_rows<'a>(view: &'a StepView<'_>) -> impl Iterator<Item = SampleRow> + 'a {
    let path: &PathState = view.path;
    path.occupants.iter().enumerate().filter_map(move |(slot, occupant)| {
        let occupant = (*occupant)?;
        let (chunk, lane) = locate(slot);
        let chain = &path.chain[chunk];
        Some(SampleRow {
            path: u64::from(path.path),
            step: view.step,
            block: view.block,
            netuid: NetUid::from_slot(slot),
            registered_at: occupant.registered_at,
            reserve_tao: chain.reserve_tao[lane],
            reserve_alpha: chain.reserve_alpha[lane],
            price: chain.price(lane),
            moving_price: chain.moving_price[lane],
            emission_share: view.buffers.share.get(slot),
            staked_alpha: chain.staked_alpha[lane],
            outstanding_alpha: chain.outstanding_alpha(lane),
            flow: view.buffers.flow(slot),
        })
    })
}
