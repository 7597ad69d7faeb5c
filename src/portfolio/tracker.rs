//! Books along the paths of a batch: dividends, payouts, policies, values and drawdowns at every step.
//!
//! After a step its dividends and payouts come in, then the policies trade, the market's book first, and then books are valued.
//! A run without policies and exits only looks on.

use std::collections::BTreeSet;

use crate::engine::path::LifecycleEvent;
use crate::engine::policy::Market;
use crate::engine::record::PathRow;
use crate::engine::record::PositionValue;
use crate::engine::recorder::StepView;
use crate::model::dividends::Performance;
use crate::portfolio::board::Board;
use crate::portfolio::bulk::Bulk;
use crate::portfolio::dealer::Counter;
use crate::portfolio::dealer::Dealer;
use crate::portfolio::decision;
use crate::portfolio::decision::Orders;
use crate::portfolio::decision::Situation;
use crate::portfolio::decision::may_act;
use crate::portfolio::exit::Exit;
use crate::portfolio::exit::ExitPlan;
use crate::portfolio::look::Looks;
use crate::portfolio::passes::Advance;
use crate::portfolio::passes::AdvanceBook;
use crate::portfolio::passes::PriceBoards;
use crate::portfolio::policy::BookPolicy;
use crate::portfolio::position::Book;
use crate::portfolio::state::BookState;
use crate::portfolio::state::Desk;
use crate::portfolio::state::Pass;
pub use crate::portfolio::state::Settlement;
use crate::portfolio::state::Valued;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::Lanes8;
use crate::protocol::slots::SlotValues;
use crate::simd;
use crate::simd::Backend;
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
    /// What a step says of the holdings of books.
    boards: Vec<Board>,
    /// TAO in the pools of the boards when the last step closed: by path, then board; none where nobody trades.
    closing_tao: Vec<Lanes8>,
    /// What holdings are worth at spot after the step on the path in hand (TAO), by book.
    worths: Vec<Vec<f64>>,
    /// Scratch: their sums with cash.
    marks: Vec<f64>,
    /// Scratch: what the holdings are worth of a book that leaves.
    worth: Vec<f64>,
    /// The step that `acting` is of.
    acting_step: u32,
    /// Whether the policy of each book may act after it, and whether it may order something on the path in hand.
    acting: Vec<bool>,
    is_called: Vec<bool>,
    backend: Backend,
    /// Slots whose validators are followed, ascending.
    covered: Vec<usize>,
    /// How the validators of holders do: by path, then covered slot; none where all do alike.
    performances: Vec<Performance>,
    /// Factors on the dividends of holders' validators, by slot.
    factors: Vec<f64>,
    orders: Orders,
    /// Scratch.
    bulk: Bulk,
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
        let mut desks: Vec<Desk> = books.iter().zip(policies).map(|(book, policy)| Desk::new(book, policy)).collect();
        let slots: BTreeSet<usize> = desks.iter().flat_map(Desk::slots).collect();
        find_followers(&books, &mut desks);
        Self {
            values_per_path: desks.iter().map(Desk::values).sum::<usize>() * horizon_steps.len(),
            trades: desks.iter().any(Desk::trades),
            covered: slots.into_iter().collect(),
            boards: share_boards(&mut desks),
            closing_tao: Vec::new(),
            worths: vec![Vec::new(); desks.len()],
            marks: Vec::new(),
            worth: Vec::new(),
            acting_step: 0,
            acting: Vec::new(),
            is_called: vec![false; books.len()],
            backend: Backend::detect(),
            books,
            desks,
            horizon_steps,
            fee_rate,
            exit: None,
            states: Vec::new(),
            exits: Vec::new(),
            rows: Vec::new(),
            values: Vec::new(),
            performances: Vec::new(),
            factors: vec![1.0; SLOT_CAPACITY],
            orders: Orders::default(),
            bulk: Bulk::default(),
        }
    }

    /// The same on another instruction set than the best of this machine; results do not depend on it.
    pub fn on(self, backend: Backend) -> Self {
        Self { backend, ..self }
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
            let chunks = if self.trades { self.boards.iter().map(|board| board.chunks.len()).sum() } else { 0 };
            self.closing_tao.resize((index + 1) * chunks, [0.0; CHUNK_SLOTS]);
        }
        self.choose_validators(index, view);
        self.boards.iter_mut().for_each(|board| board.note(view, |_| 0.0));
        self.price_boards();
        *held = SlotValues::splat(0.0);
        for (number, (book, desk)) in self.books.iter().zip(&self.desks).enumerate() {
            let state = &mut self.states[index * books + number];
            state.open(book, desk, &self.boards[desk.board], &mut self.worths[number]);
            if number == 0 {
                state.hold(desk, held);
            }
        }
    }

    /// Lets policies and exits trade on path `index` after a step, before [`BookTracker::step`].
    pub fn trade(&mut self, index: usize, market: &mut Market<'_>) {
        self.choose_acting(&market.view());
        self.note_step(index, &market.view(), |slot| market.growth(slot));
        // Orders of the market's book come before what dilutes copies.
        let moves_path = self.acting.first() == Some(&true);
        self.advance_books(index, &market.view(), Pass { accrues: true, dilutes: !moves_path });
        self.settle(index, market.view().events);
        if moves_path {
            if self.is_called[0] {
                self.act(index, 0, market);
                self.boards.iter_mut().for_each(|board| board.note_pools(market.view().path));
            }
            self.advance_books(index, &market.view(), Pass { accrues: false, dilutes: true });
        }
        for number in 1..self.desks.len() {
            if self.is_called[number] {
                self.act(index, number, market);
            }
        }
        if let Some(exit) = self.exit {
            self.leave(index, market, exit);
        }
    }

    /// Notes which books may act after the step of `view`.
    fn choose_acting(&mut self, view: &StepView<'_>) {
        if self.acting_step == view.step {
            return;
        }
        let (step, steps_per_day) = (view.step, decision::steps_per_day(view));
        let acts = |desk: &Desk| desk.policy.as_ref().is_some_and(|of| may_act(&of.policy, step, steps_per_day));
        self.acting.clear();
        self.acting.extend(self.desks.iter().map(acts));
        self.acting_step = step;
    }

    /// Lets the policy of book number `number` on path `index` act.
    fn act(&mut self, index: usize, number: usize, market: &mut Market<'_>) {
        let (desk, orders, first) = (&self.desks[number], &mut self.orders, index * self.books.len());
        let source = if self.states[first + number].follows { 0 } else { number };
        let (state, worth) = (&self.states[first + source], &self.worths[source]);
        Situation { view: &market.view(), desk, state, worth, backend: self.backend }.decide(orders);
        if orders.is_empty() {
            return;
        }
        if source != number {
            let [of_first, own] = self.states.get_disjoint_mut([first, first + number]).expect("two books");
            own.part_from(of_first);
        }
        let (state, worth) = (&mut self.states[first + number], &mut self.worths[number]);
        let slippage_max = desk.policy.as_ref().and_then(|of| of.slippage_max);
        let (in_path, may_buy) = (number == 0, desk.buys());
        let board = &self.boards[desk.board];
        let mut counter = Counter { bulk: &mut self.bulk, board, backend: self.backend };
        Dealer { market, in_path, may_buy, slippage_max, desk, state }.execute(orders, &mut counter);
        let pass = Pass { accrues: false, dilutes: false };
        simd::dispatch(self.backend, AdvanceBook { board, desk, state, worth, pass });
    }

    /// Follows the exits of path `index`.
    fn leave(&mut self, index: usize, market: &mut Market<'_>, plan: ExitPlan) {
        let (books, horizons) = (self.books.len(), self.horizon_steps.len());
        let Self { desks, boards, worth, exits, rows, horizon_steps, .. } = self;
        let (step, tao_usd) = (market.view().step, market.view().path.outside.tao_usd);
        for (number, desk) in desks.iter().enumerate() {
            let state = of_book(&self.states[index * books..(index + 1) * books], number);
            for (horizon, &begin) in horizon_steps.iter().enumerate() {
                let place = (index * books + number) * horizons + horizon;
                let (exit, end) = (&mut exits[place], begin + plan.steps);
                if step == begin {
                    exit.begin(state, tao_usd);
                } else if begin < step && step <= end {
                    worth.resize(exit.state.alpha.len(), 0.0);
                    exit.advance(self.backend, desk, &boards[desk.board], market, worth);
                } else {
                    continue;
                }
                exit.sell(desk, market, plan, step == end);
                if step == end {
                    let opening_usd = state.opening_tao * market.view().plan.input.tao_usd;
                    rows[place].pnl_exit_tao = Some(exit.state.cash_tao - state.opening_tao);
                    rows[place].pnl_exit_usd = Some(exit.cash_usd - opening_usd);
                }
            }
        }
    }

    /// Moves all books on path `index` one step on.
    pub fn step(&mut self, index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        if !self.trades {
            self.note_step(index, view, |_| 0.0);
            self.advance_books(index, view, Pass { accrues: true, dilutes: false });
            self.settle(index, view.events);
        }
        let horizon = self.horizon_steps.iter().position(|&step| step == view.step);
        let books = self.books.len();
        let mut values = &mut self.values[index * self.values_per_path..(index + 1) * self.values_per_path];
        let states = &mut self.states[index * books..(index + 1) * books];
        let (mut of_first, mut first_row): (&[PositionValue], PathRow) = (&[], PathRow::EMPTY);
        // All sums first: each is one chain of additions, and the chains run side by side.
        self.marks.clear();
        let mark = |(state, worth): (&BookState, &Vec<f64>)| if state.follows { 0.0 } else { state.sum(worth) };
        self.marks.extend(states.iter().zip(&self.worths).map(mark));
        for (number, desk) in self.desks.iter().enumerate() {
            let own_values;
            (own_values, values) = values.split_at_mut(desk.values() * self.horizon_steps.len());
            let (before, rest) = states.split_at_mut(number);
            let state = &mut rest[0];
            if !state.follows {
                state.mark(self.marks[number]);
            }
            if number == 0 {
                state.hold(desk, held);
            }
            let Some(horizon) = horizon else { continue };
            let at_horizon = &mut own_values[horizon * desk.values()..(horizon + 1) * desk.values()];
            let row = match before.first() {
                Some(_) if state.follows => {
                    at_horizon.copy_from_slice(of_first);
                    first_row
                }
                first => {
                    let first = first.filter(|_| desk.board == self.desks[0].board);
                    let valued =
                        first.map(|first| Valued { alpha: &first.alpha, values: &of_first[..self.desks[0].positions] });
                    state.value(desk, view.path, self.fee_rate, valued.as_ref(), at_horizon);
                    state.row(view, at_horizon)
                }
            };
            let place = (index * books + number) * self.horizon_steps.len() + horizon;
            self.rows[place] = PathRow { book: number as u16, horizon: horizon as u16, ..row };
            if number == 0 {
                (of_first, first_row) = (at_horizon, row);
            }
        }
    }

    /// Notes what a step brought; `growth`: `e^f - 1` of the organic flow in a slot.
    fn note_step(&mut self, index: usize, view: &StepView<'_>, growth: impl Fn(usize) -> f64) {
        self.boards.iter_mut().for_each(|board| board.note(view, &growth));
        if view.plan.dividends.is_some() {
            self.advance_validators(index, view);
            self.boards.iter_mut().for_each(|board| board.note_factors(&self.factors));
        }
    }

    /// Lets what the boards say come in on all books of path `index`, and looks which of those that may act may order something.
    fn advance_books(&mut self, index: usize, view: &StepView<'_>, pass: Pass) {
        let (books, chunks) = (self.books.len(), self.boards.iter().map(|board| board.chunks.len()).sum::<usize>());
        let closing_tao = match pass.dilutes {
            true => &mut self.closing_tao[index * chunks..(index + 1) * chunks],
            false => &mut [],
        };
        let (boards, desks, worths) = (&mut self.boards[..], &self.desks[..], &mut self.worths[..]);
        let states = &mut self.states[index * books..(index + 1) * books];
        let (acting, is_called) = (&self.acting[..], &mut self.is_called[..]);
        let looks = Looks { path: view.path, last: decision::last_out_of_grace(view), acting, is_called };
        simd::dispatch(self.backend, Advance { boards, desks, states, worths, pass, closing_tao, looks });
    }

    /// Prices the boards, and nothing else.
    fn price_boards(&mut self) {
        simd::dispatch(self.backend, PriceBoards { boards: &mut self.boards });
    }

    /// Pays out what deregistrations of a step ended.
    fn settle(&mut self, index: usize, events: &[LifecycleEvent]) {
        let books = self.books.len();
        for event in events {
            let states = &mut self.states[index * books..(index + 1) * books];
            let books = self.desks.iter().zip(states).zip(&mut self.worths);
            for ((desk, state), worth) in books.filter(|((_, state), _)| !state.follows) {
                state.settle(desk, event, worth);
            }
        }
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
            self.factors[slot] = law.factor(view.step, performance);
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
        state.value(desk, view.path, self.fee_rate, None, &mut values);
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
        self.state(index, book).value(desk, view.path, self.fee_rate, None, &mut values);
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
        of_book(&self.states[index * self.books.len()..], book)
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

/// The state of a book among those of a path: its own, or that of the first while it follows.
fn of_book(states: &[BookState], number: usize) -> &BookState {
    if states[number].follows { &states[0] } else { &states[number] }
}

/// Tells desks whose books start as the first, where that only holds.
fn find_followers(books: &[Book], desks: &mut [Desk]) {
    let Some((first, others)) = desks.split_first_mut() else { return };
    for (desk, book) in others.iter_mut().zip(&books[1..]) {
        let has_same = (&desk.holdings, desk.cash_tao) == (&first.holdings, first.cash_tao);
        desk.follows = has_same && !first.trades() && book.positions == books[0].positions;
    }
}

/// A board for each list of holdings; tells desks theirs.
fn share_boards(desks: &mut [Desk]) -> Vec<Board> {
    let mut boards: Vec<Board> = Vec::new();
    for desk in desks {
        let slots: Vec<usize> = desk.slots().collect();
        desk.board = boards.iter().position(|board| board.slots() == slots).unwrap_or(boards.len());
        if desk.board == boards.len() {
            boards.push(Board::new(slots));
        }
    }
    boards
}
