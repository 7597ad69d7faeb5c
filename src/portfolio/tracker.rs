//! Books that hold: dividends, deregistration payouts, value and drawdown along the paths of a batch.

use std::collections::BTreeSet;

use crate::engine::path::LifecycleEvent;
use crate::engine::path::PathState;
use crate::engine::record::EventKind;
use crate::engine::record::PathRow;
use crate::engine::recorder::StepView;
use crate::model::dividends::Performance;
use crate::portfolio::position::Book;
use crate::portfolio::position::Position;
use crate::portfolio::valuation;
use crate::protocol::slots::SlotValues;

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
    settlements: Vec<Settlement>,
    cash_tao: f64,
    mark_tao: f64,
    opening_tao: f64,
    peak_tao: f64,
    max_drawdown: f64,
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
        Self {
            books,
            holdings,
            horizon_steps,
            fee_rate,
            states: Vec::new(),
            rows: Vec::new(),
            quotes,
            performances: Vec::new(),
        }
    }

    /// Opens all books on path `index` of a batch.
    pub fn open(&mut self, index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        let books = self.books.len();
        if self.states.len() < (index + 1) * books {
            self.states.resize((index + 1) * books, BookState::default());
            self.rows.resize((index + 1) * books * self.horizon_steps.len(), EMPTY_ROW);
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
        for (number, (book, holdings)) in self.books.iter().zip(&self.holdings).enumerate() {
            let state = &mut self.states[index * books + number];
            state.accrue(holdings, &self.quotes);
            view.events.iter().for_each(|event| state.settle(book, event));
            state.mark(holdings, &self.quotes);
            if number == 0 {
                state.hold(holdings, &self.quotes, held);
            }
            if let Some(horizon) = horizon {
                let place = (index * books + number) * self.horizon_steps.len() + horizon;
                let row = state.row(book, view, self.fee_rate);
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
        let row = self.state(index, book).row(&self.books[book], view, self.fee_rate);
        PathRow { book: book as u16, ..row }
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
}

const EMPTY_ROW: PathRow = PathRow {
    path: 0,
    book: 0,
    horizon: 0,
    pnl_mark_tao: 0.0,
    pnl_liquidation_tao: 0.0,
    pnl_mark_usd: 0.0,
    pnl_liquidation_usd: 0.0,
    max_drawdown: 0.0,
    deregistered_holdings: 0,
    weight: 1.0,
};

impl BookState {
    fn open(&mut self, book: &Book, holdings: &[Holding], quotes: &[Quote]) {
        self.alpha.clear();
        self.alpha.extend(book.positions.iter().map(|position| position.alpha));
        self.settlements.clear();
        (self.cash_tao, self.deregistered) = (0.0, 0);
        (self.peak_tao, self.max_drawdown) = (f64::NEG_INFINITY, 0.0);
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
        for (alpha, position) in self.alpha.iter_mut().zip(&book.positions) {
            if position.netuid.slot() == event.slot && *alpha > 0.0 {
                let paid_tao = *alpha * event.paid_tao;
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
        if value > self.peak_tao {
            self.peak_tao = value;
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

    fn liquidation_tao(&self, book: &Book, path: &PathState, fee_rate: f64) -> f64 {
        let holdings = self.alpha.iter().zip(&book.positions);
        holdings.fold(self.cash_tao, |sum, (alpha, position)| {
            sum + valuation::liquidation_value(path, position.netuid.slot(), *alpha, fee_rate)
        })
    }

    fn row(&self, book: &Book, view: &StepView<'_>, fee_rate: f64) -> PathRow {
        let mark = self.mark_tao;
        let liquidation = self.liquidation_tao(book, view.path, fee_rate);
        let (rate, opening_rate) = (view.path.outside.tao_usd, view.plan.input.tao_usd);
        PathRow {
            path: u64::from(view.path.path),
            pnl_mark_tao: mark - self.opening_tao,
            pnl_liquidation_tao: liquidation - self.opening_tao,
            pnl_mark_usd: mark * rate - self.opening_tao * opening_rate,
            pnl_liquidation_usd: liquidation * rate - self.opening_tao * opening_rate,
            max_drawdown: self.max_drawdown,
            deregistered_holdings: self.deregistered,
            ..EMPTY_ROW
        }
    }
}
