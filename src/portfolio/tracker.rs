//! Books that hold: dividends, deregistration payouts, value and drawdown along the paths of a batch.

use std::collections::BTreeSet;

use crate::engine::path::LifecycleEvent;
use crate::engine::path::PathState;
use crate::engine::record::EventKind;
use crate::engine::record::PathRow;
use crate::engine::record::PositionValue;
use crate::engine::recorder::StepView;
use crate::model::dividends::Performance;
use crate::portfolio::position::Book;
use crate::portfolio::position::Position;
use crate::portfolio::valuation;
use crate::protocol::slots::SlotValues;
use crate::units::BLOCKS_PER_DAY;

/// Follows books over the paths of a batch. The first book is the market's: its alpha is not for sale by others.
#[derive(Clone, Debug)]
pub struct BookTracker {
    books: Vec<Book>,
    /// Positions of each book, for the steps.
    holdings: Vec<Vec<Holding>>,
    horizon_steps: Vec<u32>,
    fee_rate: f64,
    states: Vec<BookState>,
    rows: Vec<PathRow>,
    /// Values of positions: for each row, those of its book.
    values: Vec<PositionValue>,
    /// Places in `values` of one path's rows.
    values_per_path: usize,
    /// What a step says of the slots that books hold, ascending.
    quotes: Vec<Quote>,
    /// How the validators of holders do: by path, then held slot; none where all do alike.
    performances: Vec<Performance>,
}

/// What a step needs of a position.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Holding {
    /// Place of its slot among the quotes.
    place: usize,
    /// Part of the dividend that the validator's take leaves.
    kept: f64,
}

/// What a step says of a slot: gathered once, for all books.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Quote {
    slot: usize,
    /// Spot price (TAO per alpha).
    price: f64,
    /// Staked alpha at the step's opening.
    staked_alpha: f64,
    /// Alpha paid to validators and their stakers.
    validator_alpha: f64,
    /// Factor on the dividend of a holder's validator.
    factor: f64,
}

impl Quote {
    fn new(slot: usize) -> Self {
        Self { slot, price: 0.0, staked_alpha: 0.0, validator_alpha: 0.0, factor: 1.0 }
    }

    fn update(&mut self, view: &StepView<'_>) {
        self.price = view.path.price(self.slot);
        self.staked_alpha = view.buffers.staked_open.get(self.slot);
        self.validator_alpha = view.buffers.validator_alpha.get(self.slot);
    }
}

/// A holding that a deregistration turned into TAO.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settlement {
    /// Slot of the subnet.
    pub slot: usize,
    /// Alpha held then.
    pub alpha: f64,
    /// Its value at spot just before (TAO).
    pub mark_tao: f64,
    /// What was paid for it (TAO).
    pub paid_tao: f64,
}

/// One book on one path.
#[derive(Clone, Debug, Default)]
struct BookState {
    alpha: Vec<f64>,
    /// TAO that each position has brought.
    earned_tao: Vec<f64>,
    settlements: Vec<Settlement>,
    /// All of that, in the order in which it came.
    cash_tao: f64,
    mark_tao: f64,
    opening_tao: f64,
    peak_tao: f64,
    lowest_tao: f64,
    max_drawdown: f64,
    /// Steps since the peak, and the most there ever were.
    under_water_steps: u32,
    longest_under_water_steps: u32,
    deregistered: u16,
}

impl BookTracker {
    /// Follows `books`, reporting at `horizon_steps` (ascending).
    pub fn new(books: Vec<Book>, horizon_steps: Vec<u32>, fee_rate: f64) -> Self {
        let slots: BTreeSet<usize> = books.iter().flat_map(|book| &book.positions).map(|p| p.netuid.slot()).collect();
        let quotes: Vec<Quote> = slots.into_iter().map(Quote::new).collect();
        let holding = |position: &Position| Holding {
            place: quotes.partition_point(|quote| quote.slot < position.netuid.slot()),
            kept: 1.0 - position.take,
        };
        let holdings = books.iter().map(|book| book.positions.iter().map(holding).collect()).collect();
        let positions: usize = books.iter().map(|book| book.positions.len()).sum();
        Self {
            books,
            holdings,
            values_per_path: positions * horizon_steps.len(),
            horizon_steps,
            fee_rate,
            states: Vec::new(),
            rows: Vec::new(),
            values: Vec::new(),
            quotes,
            performances: Vec::new(),
        }
    }

    /// Opens all books on path `index` of a batch.
    pub fn open(&mut self, index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        let books = self.books.len();
        if self.states.len() < (index + 1) * books {
            self.states.resize((index + 1) * books, BookState::default());
            self.rows.resize((index + 1) * books * self.horizon_steps.len(), PathRow::EMPTY);
            self.values.resize((index + 1) * self.values_per_path, PositionValue::default());
        }
        self.choose_validators(index, view);
        self.quotes.iter_mut().for_each(|quote| quote.update(view));
        *held = SlotValues::splat(0.0);
        for (number, (book, holdings)) in self.books.iter().zip(&self.holdings).enumerate() {
            let state = &mut self.states[index * books + number];
            state.open(book, holdings, &self.quotes);
            if number == 0 {
                state.hold(holdings, &self.quotes, held);
            }
        }
    }

    /// Moves all books on path `index` one step on.
    pub fn step(&mut self, index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        self.advance_validators(index, view);
        self.quotes.iter_mut().for_each(|quote| quote.update(view));
        let horizon = self.horizon_steps.iter().position(|&step| step == view.step);
        let books = self.books.len();
        let mut values = &mut self.values[index * self.values_per_path..(index + 1) * self.values_per_path];
        for (number, (book, holdings)) in self.books.iter().zip(&self.holdings).enumerate() {
            let own_values;
            (own_values, values) = values.split_at_mut(holdings.len() * self.horizon_steps.len());
            let state = &mut self.states[index * books + number];
            state.accrue(holdings, &self.quotes);
            view.events.iter().for_each(|event| state.settle(book, event));
            state.mark(holdings, &self.quotes);
            if number == 0 {
                state.hold(holdings, &self.quotes, held);
            }
            if let Some(horizon) = horizon {
                let place = (index * books + number) * self.horizon_steps.len() + horizon;
                let at_horizon = &mut own_values[horizon * holdings.len()..(horizon + 1) * holdings.len()];
                state.value(book, view.path, self.fee_rate, at_horizon);
                let row = state.row(view, at_horizon);
                self.rows[place] = PathRow { book: number as u16, horizon: horizon as u16, ..row };
            }
        }
    }

    /// Draws the validators that the holders of path `index` stake with.
    fn choose_validators(&mut self, index: usize, view: &StepView<'_>) {
        let Some(law) = &view.plan.dividends else { return };
        let (seed, path) = (view.plan.input.seed, view.path.path);
        self.performances.truncate(index * self.quotes.len());
        self.performances.extend(self.quotes.iter().map(|quote| law.start(seed, path, quote.slot)));
    }

    /// Moves them one step on.
    fn advance_validators(&mut self, index: usize, view: &StepView<'_>) {
        let Some(law) = &view.plan.dividends else { return };
        let (seed, path, count) = (view.plan.input.seed, view.path.path, self.quotes.len());
        let performances = &mut self.performances[index * count..(index + 1) * count];
        for (quote, performance) in self.quotes.iter_mut().zip(performances) {
            law.advance(seed, path, view.step, quote.slot, performance);
            quote.factor = law.factor(view.step, performance);
        }
    }

    /// What is followed.
    pub fn books(&self) -> &[Book] {
        &self.books
    }

    /// Outcome up to now of book number `book` on path `index`; its horizon says nothing.
    pub fn outcome(&self, index: usize, book: usize, view: &StepView<'_>) -> PathRow {
        let (state, book_held) = (self.state(index, book), &self.books[book]);
        let mut values = vec![PositionValue::default(); book_held.positions.len()];
        state.value(book_held, view.path, self.fee_rate, &mut values);
        PathRow { book: book as u16, ..state.row(view, &values) }
    }

    /// Mark value (TAO) of book number `book` at the start of path `index`.
    pub fn opening_tao(&self, index: usize, book: usize) -> f64 {
        self.state(index, book).opening_tao
    }

    /// Alpha of each position of book number `book` on path `index`.
    pub fn alpha(&self, index: usize, book: usize) -> &[f64] {
        &self.state(index, book).alpha
    }

    /// Holdings of book number `book` on path `index` that were deregistered so far, in order.
    pub fn settlements(&self, index: usize, book: usize) -> &[Settlement] {
        &self.state(index, book).settlements
    }

    fn state(&self, index: usize, book: usize) -> &BookState {
        &self.states[index * self.books.len() + book]
    }

    /// Rows of the first `count` paths: by path, then book, then horizon.
    pub fn rows(&self, count: usize) -> &[PathRow] {
        &self.rows[..count * self.books.len() * self.horizon_steps.len()]
    }

    /// Values of the positions of the first `count` paths: by path, then book, horizon, position.
    pub fn values(&self, count: usize) -> &[PositionValue] {
        &self.values[..count * self.values_per_path]
    }
}

impl BookState {
    fn open(&mut self, book: &Book, holdings: &[Holding], quotes: &[Quote]) {
        self.alpha.clear();
        self.alpha.extend(book.positions.iter().map(|position| position.alpha));
        self.earned_tao.clear();
        self.earned_tao.resize(book.positions.len(), 0.0);
        self.settlements.clear();
        (self.cash_tao, self.deregistered) = (0.0, 0);
        (self.peak_tao, self.lowest_tao, self.max_drawdown) = (f64::NEG_INFINITY, f64::INFINITY, 0.0);
        (self.under_water_steps, self.longest_under_water_steps) = (0, 0);
        self.mark(holdings, quotes);
        self.opening_tao = self.mark_tao;
    }

    /// A holder's dividend is validator part x (1 - take) x position / staked x the factor of its validator (MODEL 9, 5), and
    /// compounds as alpha.
    fn accrue(&mut self, holdings: &[Holding], quotes: &[Quote]) {
        for (alpha, holding) in self.alpha.iter_mut().zip(holdings) {
            let quote = &quotes[holding.place];
            if *alpha > 0.0 && quote.staked_alpha > 0.0 {
                let average = holding.kept * quote.validator_alpha * (*alpha / quote.staked_alpha);
                *alpha += average * quote.factor;
            }
        }
    }

    fn settle(&mut self, book: &Book, event: &LifecycleEvent) {
        if event.kind != EventKind::Deregistered {
            return;
        }
        let holdings = self.alpha.iter_mut().zip(&mut self.earned_tao);
        for ((alpha, earned_tao), position) in holdings.zip(&book.positions) {
            if position.netuid.slot() == event.slot && *alpha > 0.0 {
                let paid_tao = *alpha * event.paid_tao;
                *earned_tao += paid_tao;
                self.cash_tao += paid_tao;
                self.deregistered += 1;
                let mark_tao = *alpha * event.price;
                self.settlements.push(Settlement { slot: event.slot, alpha: *alpha, mark_tao, paid_tao });
                *alpha = 0.0;
            }
        }
    }

    /// Values the book at spot, in every step: the drawdown needs its peak.
    fn mark(&mut self, holdings: &[Holding], quotes: &[Quote]) {
        let holdings = self.alpha.iter().zip(holdings);
        let value = holdings.fold(self.cash_tao, |sum, (alpha, holding)| sum + alpha * quotes[holding.place].price);
        self.mark_tao = value;
        if value < self.lowest_tao {
            self.lowest_tao = value;
        }
        if value >= self.peak_tao {
            self.peak_tao = value;
            self.under_water_steps = 0;
        } else {
            self.under_water_steps += 1;
            self.longest_under_water_steps = self.longest_under_water_steps.max(self.under_water_steps);
        }
        let drawdown = if self.peak_tao > 0.0 { 1.0 - value / self.peak_tao } else { 0.0 };
        if drawdown > self.max_drawdown {
            self.max_drawdown = drawdown;
        }
    }

    fn hold(&self, holdings: &[Holding], quotes: &[Quote], held: &mut SlotValues) {
        for (alpha, holding) in self.alpha.iter().zip(holdings) {
            held.set(quotes[holding.place].slot, *alpha);
        }
    }

    /// Values the positions, at spot and sold now, each with the TAO that it has brought.
    fn value(&self, book: &Book, path: &PathState, fee_rate: f64, values: &mut [PositionValue]) {
        for (index, (position, value)) in book.positions.iter().zip(values).enumerate() {
            let (slot, alpha) = (position.netuid.slot(), self.alpha[index]);
            *value = PositionValue {
                mark_tao: valuation::mark_value(path, slot, alpha),
                liquidation_tao: valuation::liquidation_value(path, slot, alpha, fee_rate),
                earned_tao: self.earned_tao[index],
            };
        }
    }

    fn row(&self, view: &StepView<'_>, values: &[PositionValue]) -> PathRow {
        let mark = self.mark_tao;
        let liquidation = values.iter().fold(self.cash_tao, |sum, value| sum + value.liquidation_tao);
        let (rate, opening_rate) = (view.path.outside.tao_usd, view.plan.input.tao_usd);
        let days_per_step = view.plan.input.blocks_per_step as f64 / BLOCKS_PER_DAY as f64;
        PathRow {
            path: u64::from(view.path.path),
            pnl_mark_tao: mark - self.opening_tao,
            pnl_liquidation_tao: liquidation - self.opening_tao,
            pnl_mark_usd: mark * rate - self.opening_tao * opening_rate,
            pnl_liquidation_usd: liquidation * rate - self.opening_tao * opening_rate,
            tao_usd: rate,
            max_drawdown: self.max_drawdown,
            longest_under_water_days: f64::from(self.longest_under_water_steps) * days_per_step,
            lowest_pnl_tao: self.lowest_tao - self.opening_tao,
            deregistered_holdings: self.deregistered,
            ..PathRow::EMPTY
        }
    }
}
