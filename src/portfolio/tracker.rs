//! Books along the paths of a batch: dividends, payouts, policies, values and drawdowns at every step.
//!
//! After a step its dividends and payouts come in, then the policies trade, the market's book first, and then books are valued.
//! A run without policies and exits only looks on.

use std::collections::BTreeSet;

use crate::engine::policy::Market;
use crate::engine::record::PathRow;
use crate::engine::record::PositionValue;
use crate::engine::recorder::StepView;
use crate::model::dividends::Performance;
use crate::portfolio::dealer::Dealer;
use crate::portfolio::decision::Orders;
use crate::portfolio::decision::Situation;
use crate::portfolio::exit::Exit;
use crate::portfolio::exit::ExitPlan;
use crate::portfolio::policy::BookPolicy;
use crate::portfolio::position::Book;
use crate::portfolio::state::BookState;
use crate::portfolio::state::Desk;
use crate::portfolio::state::Quote;
pub use crate::portfolio::state::Settlement;
use crate::protocol::slots::SlotValues;
use crate::units::SLOT_CAPACITY;

/// Follows books over the paths of a batch. The first book is the market's: its orders move the path's pools, and its alpha is not
/// for sale by others.
#[derive(Clone, Debug)]
pub struct BookTracker {
    books: Vec<Book>,
    /// What the steps need of each book.
    desks: Vec<Desk>,
    horizon_steps: Vec<u32>,
    fee_rate: f64,
    exit: Option<ExitPlan>,
    trades: bool,
    states: Vec<BookState>,
    /// By path, then book, then horizon; none without an exit plan.
    exits: Vec<Exit>,
    rows: Vec<PathRow>,
    /// Values of positions: for each row, those of its book.
    values: Vec<PositionValue>,
    /// Places in `values` of one path's rows.
    values_per_path: usize,
    /// What a step says of slots.
    quotes: Vec<Quote>,
    /// Slots that are quoted in every step, ascending: those of all holdings but roaming ones.
    quoted: Vec<usize>,
    /// Slots whose validators are followed, ascending.
    covered: Vec<usize>,
    /// How the validators of holders do: by path, then covered slot; none where all do alike.
    performances: Vec<Performance>,
    orders: Orders,
}

impl BookTracker {
    /// Follows `books`, reporting at `horizon_steps` (ascending).
    pub fn new(books: Vec<Book>, horizon_steps: Vec<u32>, fee_rate: f64) -> Self {
        let policies = vec![None; books.len()];
        Self::with_policies(books, policies, horizon_steps, fee_rate)
    }

    /// The same for books that follow `policies`, one for each; `None`: it holds.
    pub fn with_policies(
        books: Vec<Book>,
        policies: Vec<Option<BookPolicy>>,
        horizon_steps: Vec<u32>,
        fee_rate: f64,
    ) -> Self {
        assert_eq!(books.len(), policies.len(), "a policy or none for every book");
        let desks: Vec<Desk> = books.iter().zip(policies).map(|(book, policy)| Desk::new(book, policy)).collect();
        let holdings = || desks.iter().flat_map(|desk| &desk.holdings);
        let slots: BTreeSet<usize> =
            holdings().filter(|holding| !holding.is_roaming).map(|holding| holding.slot).collect();
        let quoted: Vec<usize> = slots.into_iter().collect();
        let roams = holdings().any(|holding| holding.is_roaming);
        Self {
            values_per_path: desks.iter().map(Desk::values).sum::<usize>() * horizon_steps.len(),
            trades: desks.iter().any(Desk::trades),
            covered: if roams { (0..SLOT_CAPACITY).collect() } else { quoted.clone() },
            books,
            desks,
            horizon_steps,
            fee_rate,
            exit: None,
            states: Vec::new(),
            exits: Vec::new(),
            rows: Vec::new(),
            values: Vec::new(),
            quotes: vec![Quote::NONE; SLOT_CAPACITY],
            quoted,
            performances: Vec::new(),
            orders: Orders::default(),
        }
    }

    /// The same with the exit basis: paths go on for so many steps after the last horizon.
    pub fn with_exit(mut self, exit: Option<ExitPlan>) -> Self {
        self.exit = exit;
        self.trades |= exit.is_some();
        self
    }

    /// Whether [`BookTracker::trade`] has something to do.
    pub fn trades(&self) -> bool {
        self.trades
    }

    /// Opens all books on path `index` of a batch.
    pub fn open(&mut self, index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        let books = self.books.len();
        if self.states.len() < (index + 1) * books {
            let rows = (index + 1) * books * self.horizon_steps.len();
            self.states.resize((index + 1) * books, BookState::default());
            self.rows.resize(rows, PathRow::EMPTY);
            self.exits.resize(if self.exit.is_some() { rows } else { 0 }, Exit::default());
            self.values.resize((index + 1) * self.values_per_path, PositionValue::default());
        }
        self.choose_validators(index, view);
        self.quote(view);
        *held = SlotValues::splat(0.0);
        for (number, (book, desk)) in self.books.iter().zip(&self.desks).enumerate() {
            let state = &mut self.states[index * books + number];
            state.open(book, desk, &self.quotes);
            if number == 0 {
                state.hold(desk, held);
            }
        }
    }

    /// Lets policies and exits trade on path `index` after a step, before [`BookTracker::step`].
    pub fn trade(&mut self, index: usize, market: &mut Market<'_>) {
        self.advance(index, &market.view());
        let books = self.books.len();
        let Self { desks, states, quotes, orders, .. } = self;
        let states = &mut states[index * books..(index + 1) * books];
        for (number, (desk, state)) in desks.iter().zip(&mut *states).enumerate().filter(|(_, (desk, _))| desk.trades())
        {
            state.dilute(desk, market.view().path, |slot| market.growth(slot));
            Situation { view: &market.view(), desk, state, quotes }.decide(orders);
            let slippage_max = desk.policy.as_ref().and_then(|of| of.slippage_max);
            let (in_path, may_buy) = (number == 0, desk.buys());
            Dealer { market, in_path, may_buy, slippage_max, desk, state, quotes }.execute(orders);
        }
        for (desk, state) in desks.iter().zip(states).filter(|(desk, _)| desk.trades()) {
            state.close_step(desk, market.view().path);
        }
        if let Some(exit) = self.exit {
            self.leave(index, market, exit);
        }
    }

    /// Follows the exits of path `index`.
    fn leave(&mut self, index: usize, market: &mut Market<'_>, plan: ExitPlan) {
        let (books, horizons) = (self.books.len(), self.horizon_steps.len());
        let Self { desks, states, quotes, exits, rows, horizon_steps, .. } = self;
        let (step, tao_usd) = (market.view().step, market.view().path.outside.tao_usd);
        for (number, desk) in desks.iter().enumerate() {
            for (horizon, &begin) in horizon_steps.iter().enumerate() {
                let place = (index * books + number) * horizons + horizon;
                let (exit, end) = (&mut exits[place], begin + plan.steps);
                if step == begin {
                    exit.begin(&states[index * books + number], tao_usd);
                } else if begin < step && step <= end {
                    exit.advance(desk, quotes, market);
                } else {
                    continue;
                }
                exit.sell(desk, quotes, market, plan, step == end);
                if step == end {
                    let opening_tao = states[index * books + number].opening_tao;
                    let opening_usd = opening_tao * market.view().plan.input.tao_usd;
                    rows[place].pnl_exit_tao = Some(exit.state.cash_tao - opening_tao);
                    rows[place].pnl_exit_usd = Some(exit.cash_usd - opening_usd);
                }
            }
        }
    }

    /// Moves all books on path `index` one step on.
    pub fn step(&mut self, index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        if !self.trades {
            self.advance(index, view);
        }
        let horizon = self.horizon_steps.iter().position(|&step| step == view.step);
        let books = self.books.len();
        let mut values = &mut self.values[index * self.values_per_path..(index + 1) * self.values_per_path];
        for (number, desk) in self.desks.iter().enumerate() {
            let own_values;
            (own_values, values) = values.split_at_mut(desk.values() * self.horizon_steps.len());
            let state = &mut self.states[index * books + number];
            state.mark(desk, &self.quotes);
            if number == 0 {
                state.hold(desk, held);
            }
            if let Some(horizon) = horizon {
                let place = (index * books + number) * self.horizon_steps.len() + horizon;
                let at_horizon = &mut own_values[horizon * desk.values()..(horizon + 1) * desk.values()];
                state.value(desk, view.path, self.fee_rate, at_horizon);
                let row = state.row(view, at_horizon);
                self.rows[place] = PathRow { book: number as u16, horizon: horizon as u16, ..row };
            }
        }
    }

    /// Lets what a step brought come in: quotes, dividends, payouts.
    fn advance(&mut self, index: usize, view: &StepView<'_>) {
        self.advance_validators(index, view);
        self.quote(view);
        let books = self.books.len();
        for (desk, state) in self.desks.iter().zip(&mut self.states[index * books..(index + 1) * books]) {
            state.quote_roaming(desk, view, &mut self.quotes);
            state.accrue(desk, &self.quotes);
            view.events.iter().for_each(|event| state.settle(desk, event));
        }
    }

    fn quote(&mut self, view: &StepView<'_>) {
        self.quoted.iter().for_each(|&slot| self.quotes[slot].update(slot, view));
    }

    /// Draws the validators that the holders of path `index` stake with.
    fn choose_validators(&mut self, index: usize, view: &StepView<'_>) {
        let Some(law) = &view.plan.dividends else { return };
        let (seed, path) = (view.plan.input.seed, view.path.path);
        self.performances.truncate(index * self.covered.len());
        self.performances.extend(self.covered.iter().map(|&slot| law.start(seed, path, slot)));
    }

    /// Moves them one step on.
    fn advance_validators(&mut self, index: usize, view: &StepView<'_>) {
        let Some(law) = &view.plan.dividends else { return };
        let (seed, path, count) = (view.plan.input.seed, view.path.path, self.covered.len());
        let performances = &mut self.performances[index * count..(index + 1) * count];
        for (&slot, performance) in self.covered.iter().zip(performances) {
            law.advance(seed, path, view.step, slot, performance);
            self.quotes[slot].factor = law.factor(view.step, performance);
        }
    }

    /// What is followed.
    pub fn books(&self) -> &[Book] {
        &self.books
    }

    /// Values of one book at a horizon: its positions, and one more for cash and all else where it may have any.
    pub fn values_of(&self, book: usize) -> usize {
        self.desks[book].values()
    }

    /// Outcome up to now of book number `book` on path `index`; its horizon says nothing.
    pub fn outcome(&self, index: usize, book: usize, view: &StepView<'_>) -> PathRow {
        let (state, desk) = (self.state(index, book), &self.desks[book]);
        let mut values = vec![PositionValue::default(); desk.values()];
        state.value(desk, view.path, self.fee_rate, &mut values);
        PathRow { book: book as u16, ..state.row(view, &values) }
    }

    /// Mark value (TAO) of book number `book` at the start of path `index`.
    pub fn opening_tao(&self, index: usize, book: usize) -> f64 {
        self.state(index, book).opening_tao
    }

    /// Alpha of each position of book number `book` on path `index`.
    pub fn alpha(&self, index: usize, book: usize) -> &[f64] {
        &self.state(index, book).alpha[..self.desks[book].positions]
    }

    /// Value (TAO) at spot of each position of book number `book` on path `index`, with what it has brought; then, where there may
    /// be any, of cash and all else.
    pub fn position_values(&self, index: usize, book: usize, view: &StepView<'_>) -> Vec<PositionValue> {
        let desk = &self.desks[book];
        let mut values = vec![PositionValue::default(); desk.values()];
        self.state(index, book).value(desk, view.path, self.fee_rate, &mut values);
        values
    }

    /// TAO that book number `book` has in cash on path `index`.
    pub fn cash_tao(&self, index: usize, book: usize) -> f64 {
        self.state(index, book).cash_tao
    }

    /// Orders of book number `book` on path `index` that were refused so far.
    pub fn refused_orders(&self, index: usize, book: usize) -> u32 {
        self.state(index, book).refused_orders
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
