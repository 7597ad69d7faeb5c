//! What each position and sector adds to the value at risk and expected shortfall of its book, at every horizon and level.
//!
//! Components ([`crate::risk::euler`]) add up to the published measure; what a change of a position would do to it
//! ([`crate::risk::incremental`]) is given at the last horizon at spot in TAO, and so is what candidates would do to it: the
//! positions of one of the books, each added to every other book. A position loses its opening mark value less what it
//! is worth and what it has brought; in USD each of those at its own rate, so that the fall of TAO/USD is in every component.
//!
//! Cash and what a policy holds besides the opening positions is one more part, [`OTHER`], of no subnet. On the exit basis only the
//! book as a whole has a value.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::parallel;
use crate::engine::record::PathRow;
use crate::engine::record::PositionValue;
use crate::risk::book::pnl_values;
use crate::risk::estimate::Estimate;
use crate::risk::euler::Sampling;
use crate::risk::euler::TailPoint;
use crate::risk::holding::HeldBook;
use crate::risk::holding::Holding;
use crate::risk::incremental::ADDED;
use crate::risk::incremental::REMOVED_AND_SCALED;
use crate::risk::incremental::Variants;
use crate::risk::incremental::differences;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::measure::Measure;
use crate::risk::measure::POSITION_KINDS;
use crate::risk::measure::RowWriter;
use crate::risk::measure::SummaryRow;
use crate::risk::tail_rows::SortedRows;
use crate::risk::tail_rows::TailRows;
use crate::units::SubnetId;

/// Name of the part that is no opening position.
pub const OTHER: &str = "cash and others";
/// Sector of the subnets without one.
pub const NO_SECTOR: &str = "none";

/// What a row of attribution is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// A position.
    Position,
    /// All positions of a sector.
    Sector,
}

impl PartKind {
    /// All kinds, in the order of files.
    pub const ALL: [Self; 2] = [Self::Position, Self::Sector];

    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::Sector => "sector",
        }
    }
}

/// What a row of attribution measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartMeasure {
    /// Value at the start.
    OpeningValue,
    /// Component of value at risk.
    ComponentValueAtRisk,
    /// Component of expected shortfall.
    ComponentExpectedShortfall,
    /// Value at risk of the book without it, less that of the book.
    RemoveValueAtRisk,
    /// Expected shortfall of the book without it, less that of the book.
    RemoveExpectedShortfall,
    /// Value at risk of the book with a tenth more of it, less that of the book.
    ScaleValueAtRisk,
    /// Expected shortfall of the book with a tenth more of it, less that of the book.
    ScaleExpectedShortfall,
    /// Value at risk of the book with this candidate besides, less that of the book.
    AddValueAtRisk,
    /// Expected shortfall of the book with this candidate besides, less that of the book.
    AddExpectedShortfall,
}

impl PartMeasure {
    /// All measures, in the order of files.
    pub const ALL: [Self; 9] = [
        Self::OpeningValue,
        Self::ComponentValueAtRisk,
        Self::ComponentExpectedShortfall,
        Self::RemoveValueAtRisk,
        Self::RemoveExpectedShortfall,
        Self::ScaleValueAtRisk,
        Self::ScaleExpectedShortfall,
        Self::AddValueAtRisk,
        Self::AddExpectedShortfall,
    ];

    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpeningValue => "opening_value",
            Self::ComponentValueAtRisk => "component_value_at_risk",
            Self::ComponentExpectedShortfall => "component_expected_shortfall",
            Self::RemoveValueAtRisk => "incremental_value_at_risk_remove",
            Self::RemoveExpectedShortfall => "incremental_expected_shortfall_remove",
            Self::ScaleValueAtRisk => "incremental_value_at_risk_scale",
            Self::ScaleExpectedShortfall => "incremental_expected_shortfall_scale",
            Self::AddValueAtRisk => "incremental_value_at_risk_add",
            Self::AddExpectedShortfall => "incremental_expected_shortfall_add",
        }
    }
}

/// One number about a part of a book.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributionRow {
    /// Name of the book.
    pub book: String,
    /// Whether the part is a position or a sector.
    pub kind: PartKind,
    /// The subnet of a position.
    pub id: Option<SubnetId>,
    /// Name of the subnet or sector.
    pub name: String,
    /// Valued how.
    pub basis: Basis,
    /// In which money.
    pub currency: Currency,
    /// Confidence, of all but the opening value.
    pub level: Option<f64>,
    /// Days from the start.
    pub horizon_days: f64,
    /// What is measured.
    pub measure: PartMeasure,
    /// The number and its error.
    pub estimate: Estimate,
    /// It over the same measure of the book; `None` where that is 0.
    pub share: Option<f64>,
}

/// A part of a book: some of its positions.
#[derive(Clone, Debug)]
struct Part {
    kind: PartKind,
    id: Option<SubnetId>,
    name: String,
    positions: Vec<usize>,
}

impl Part {
    fn sum(&self, of_positions: &[f64]) -> f64 {
        self.positions.iter().fold(0.0, |sum, &position| sum + of_positions[position])
    }
}

/// Tails of every book with what its positions lost.
#[derive(Clone, Debug)]
pub struct AttributionStatistics {
    books: Vec<BookTails>,
    horizons_days: Vec<f64>,
    confidence: Vec<f64>,
    usd_per_tao: f64,
    sampling: Sampling,
    candidates: Option<Candidates>,
}

/// Positions that may be added to books.
#[derive(Clone, Debug)]
struct Candidates {
    /// The book that they are in.
    book: usize,
    /// By book; none of that one.
    tails: Vec<Option<Variants<1>>>,
    /// On the path in hand: losses of the books, and of the candidates.
    totals: Vec<f64>,
    losses: Vec<f64>,
}

impl Candidates {
    /// Notes what a book and its positions lost on a path; with that of the last book the path is complete.
    fn push(&mut self, row: &PathRow, losses: impl Iterator<Item = f64>) {
        let book = usize::from(row.book);
        self.totals[book] = -row.pnl_mark_tao;
        if book == self.book {
            self.losses.clear();
            self.losses.extend(losses);
        }
        if book + 1 == self.totals.len() {
            for (tail, total) in self.tails.iter_mut().zip(&self.totals) {
                tail.iter_mut().for_each(|tail| tail.push(row.path, *total, self.losses.iter().copied()));
            }
        }
    }
}

#[derive(Clone, Debug)]
struct BookTails {
    book: HeldBook,
    /// Opening mark values (TAO) of its positions.
    opening_tao: Vec<f64>,
    /// By horizon, in the order of [`POSITION_KINDS`].
    tails: Vec<[TailRows; POSITION_KINDS.len()]>,
    /// At the last horizon, at spot in TAO.
    variants: Variants<2>,
}

impl AttributionStatistics {
    /// Statistics of `paths` paths at the levels `confidence` that start at a TAO/USD price of `usd_per_tao`.
    pub fn new(books: &[HeldBook], horizons_days: &[f64], confidence: &[f64], paths: u64, usd_per_tao: f64) -> Self {
        let confidence_min = confidence.iter().copied().fold(1.0 - 1e-9, f64::min);
        let tails = |book: &HeldBook| {
            let positions = book.holdings.len() + usize::from(book.other_tao.is_some());
            let of_horizon = |_| POSITION_KINDS.map(|_| TailRows::new(paths, confidence_min, positions));
            BookTails {
                opening_tao: book.holdings.iter().map(|holding| holding.mark_tao).chain(book.other_tao).collect(),
                tails: (0..horizons_days.len()).map(of_horizon).collect(),
                variants: Variants::new(paths, confidence_min, positions, REMOVED_AND_SCALED),
                book: book.clone(),
            }
        };
        Self {
            books: books.iter().map(tails).collect(),
            horizons_days: horizons_days.to_vec(),
            confidence: confidence.to_vec(),
            usd_per_tao,
            sampling: Sampling { paths, replicate_paths: 1 },
            candidates: None,
        }
    }

    /// The same with what each position of book number `book` would add to each other book.
    ///
    /// # Panics
    /// If there is no such book.
    #[must_use]
    pub fn with_candidates(mut self, book: usize) -> Self {
        let positions = self.books[book].book.holdings.len();
        let confidence_min = self.confidence.iter().copied().fold(1.0 - 1e-9, f64::min);
        let tail =
            |other| (other != book).then(|| Variants::new(self.sampling.paths, confidence_min, positions, ADDED));
        let tails = (0..self.books.len()).map(tail).collect();
        let (totals, losses) = (vec![0.0; self.books.len()], Vec::new());
        self.candidates = Some(Candidates { book, tails, totals, losses });
        self
    }

    /// Memory (bytes) of what so many candidates add to one book.
    pub fn candidate_bytes(paths: u64, confidence_min: f64, candidates: usize) -> f64 {
        Variants::<1>::bytes(paths, confidence_min, candidates)
    }

    /// Memory (bytes) of the tails of one book of so many positions.
    pub fn bytes(paths: u64, confidence_min: f64, positions: usize, horizons: usize) -> f64 {
        let tails = (horizons * POSITION_KINDS.len()) as f64;
        tails * TailRows::bytes(paths, confidence_min, positions)
            + Variants::<2>::bytes(paths, confidence_min, positions)
    }

    /// The same for paths of which each `replicate_paths` share parameters: errors are those of replicates.
    pub fn in_replicates(mut self, replicate_paths: u64) -> Self {
        self.sampling.replicate_paths = replicate_paths;
        self
    }

    /// Adds rows of paths, by path, book and horizon, with the values of positions in the same order.
    ///
    /// # Panics
    /// If there are fewer values than positions.
    pub fn push_all(&mut self, rows: &[PathRow], mut values: &[PositionValue]) {
        for row in rows {
            let of_row;
            (of_row, values) = values.split_at(self.books[usize::from(row.book)].opening_tao.len());
            self.push(row, of_row);
        }
    }

    fn push(&mut self, row: &PathRow, values: &[PositionValue]) {
        let BookTails { opening_tao, tails, variants, .. } = &mut self.books[usize::from(row.book)];
        let horizon = usize::from(row.horizon);
        let rates = [self.usd_per_tao, row.tao_usd];
        let losses =
            |kind| opening_tao.iter().zip(values).map(move |(&opening, value)| loss(opening, value, kind, rates));
        for ((tail, kind), pnl) in tails[horizon].iter_mut().zip(POSITION_KINDS).zip(pnl_values(row)) {
            let pnl = pnl.expect("a P&L of positions");
            tail.push(row.path, -pnl, |parts| parts.iter_mut().zip(losses(kind)).for_each(|(part, loss)| *part = loss));
        }
        if horizon + 1 == self.horizons_days.len() {
            let losses = losses((Basis::Mark, Currency::Tao));
            variants.push(row.path, -row.pnl_mark_tao, losses.clone());
            self.candidates.iter_mut().for_each(|candidates| candidates.push(row, losses.clone()));
        }
    }

    /// All rows: by book, the opening values first, then by horizon, basis and currency, level, part and measure; and what liquidity adds
    /// to the tail measures of the books, by book, horizon, currency and level. On `threads` threads.
    pub fn finish(self, threads: usize) -> (Vec<AttributionRow>, Vec<SummaryRow>) {
        let Self { books, horizons_days, confidence, sampling, candidates, .. } = self;
        let last = horizons_days.len().saturating_sub(1);
        let added_parts = candidates.as_ref().map_or_else(Vec::new, |found| parts(&books[found.book].book));
        let mut added = candidates.map_or_else(Vec::new, |candidates| candidates.tails).into_iter();
        let tasks = books.into_iter().flat_map(|of_book| {
            let BookTails { book, opening_tao, tails, variants } = of_book;
            let book = Arc::new((parts(&book), opening_tao, book));
            let mut variants = Some((variants, added.next().flatten()));
            let of_horizon = move |(horizon, tails)| {
                let variants = variants.take_if(|_| horizon == last);
                HorizonTails { book: Arc::clone(&book), horizon, tails, variants }
            };
            tails.into_iter().enumerate().map(of_horizon)
        });
        let days_and_levels = (&horizons_days[..], &confidence[..]);
        let of_task = |task: HorizonTails| task.finish(days_and_levels, sampling, &added_parts);
        let (rows, liquidity_rows): (Vec<_>, Vec<_>) =
            parallel::map(threads, tasks.collect(), of_task).into_iter().unzip();
        (rows.concat(), liquidity_rows.concat())
    }
}

/// The tails of a book at one horizon.
struct HorizonTails {
    /// Its parts, their opening values (TAO), and the book.
    book: Arc<(Vec<Part>, Vec<f64>, HeldBook)>,
    horizon: usize,
    tails: [TailRows; POSITION_KINDS.len()],
    /// At the last; the second with candidates.
    variants: Option<(Variants<2>, Option<Variants<1>>)>,
}

impl HorizonTails {
    /// Its rows, the opening values before those of the first horizon; and what liquidity adds.
    fn finish(
        self,
        (horizons_days, confidence): (&[f64], &[f64]),
        sampling: Sampling,
        added_parts: &[Part],
    ) -> (Vec<AttributionRow>, Vec<SummaryRow>) {
        let Self { book, horizon, tails, mut variants } = self;
        let (parts, opening_tao, book) = &*book;
        let (mut rows, mut liquidity_rows) = (Vec::new(), Vec::new());
        let mut writer = PartWriter { book: &book.name, sampling, rows: &mut rows };
        if horizon == 0 {
            writer.push_openings(parts, opening_tao);
        }
        let horizon_days = horizons_days[horizon];
        let tails = tails.map(TailRows::into_sorted);
        for (tail, kind) in tails.iter().zip(POSITION_KINDS) {
            let place = |level| Place { kind, level: Some(level), horizon_days };
            confidence.iter().for_each(|&level| writer.push_components(parts, tail, place(level)));
            let Some((own, added)) = variants.take_if(|_| kind == (Basis::Mark, Currency::Tao)) else { continue };
            let places = confidence.iter().map(|&level| place(level));
            writer.push_variants(parts, tail, own, [REMOVE, SCALE], places.clone());
            if let Some(added) = added {
                writer.push_variants(added_parts, tail, added, [ADD], places);
            }
        }
        let mut writer = RowWriter { book: &book.name, horizon_days, rows: &mut liquidity_rows };
        confidence.iter().for_each(|&level| push_liquidity(&tails, level, sampling, &mut writer));
        (rows, liquidity_rows)
    }
}

/// What liquidity adds to the tail measures at a level; `tails`: in the order of [`POSITION_KINDS`].
fn push_liquidity(tails: &[SortedRows], level: f64, sampling: Sampling, rows: &mut RowWriter<'_>) {
    for (on_liquidation, kind) in
        tails.iter().zip(POSITION_KINDS).filter(|(_, (basis, _))| *basis == Basis::Liquidation)
    {
        let at_spot = tails.iter().zip(POSITION_KINDS).find(|(_, other)| *other == (Basis::Mark, kind.1));
        let points =
            at_spot.and_then(|(tail, _)| TailPoint::new(tail, level)).zip(TailPoint::new(on_liquidation, level));
        if let Some((at_spot, on_liquidation)) = points {
            let [value, shortfall] = differences(&at_spot, &on_liquidation, sampling);
            rows.push(Measure::LiquidityValueAtRisk, kind, Some(level), Some(value));
            rows.push(Measure::LiquidityExpectedShortfall, kind, Some(level), Some(shortfall));
        }
    }
}

/// Loss of a position; `rates`: USD per TAO at the start and at the horizon.
pub(crate) fn loss(
    opening_tao: f64,
    value: &PositionValue,
    (basis, currency): (Basis, Currency),
    rates: [f64; 2],
) -> f64 {
    let held_tao = match basis {
        Basis::Mark => value.mark_tao,
        Basis::Liquidation | Basis::Exit => value.liquidation_tao,
    };
    let worth_tao = held_tao + value.earned_tao;
    match currency {
        Currency::Tao => opening_tao - worth_tao,
        Currency::Usd => opening_tao * rates[0] - worth_tao * rates[1],
    }
}

/// Every position, then every sector by name, [`NO_SECTOR`] among them.
fn parts(book: &HeldBook) -> Vec<Part> {
    let holdings = &book.holdings;
    let position = |(index, holding): (usize, &Holding)| Part {
        kind: PartKind::Position,
        id: Some(holding.id),
        name: holding.name.clone(),
        positions: vec![index],
    };
    let mut sectors: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, holding) in holdings.iter().enumerate() {
        sectors.entry(holding.sector.as_deref().unwrap_or(NO_SECTOR)).or_default().push(index);
    }
    let other = book.other_tao.map(|_| holdings.len());
    other.into_iter().for_each(|index| sectors.entry(NO_SECTOR).or_default().push(index));
    let other =
        other.map(|index| Part { kind: PartKind::Position, id: None, name: OTHER.to_owned(), positions: vec![index] });
    let sector =
        |(name, positions): (&str, _)| Part { kind: PartKind::Sector, id: None, name: name.to_owned(), positions };
    holdings.iter().enumerate().map(position).chain(other).chain(sectors.into_iter().map(sector)).collect()
}

/// Measures of a book without a position, with more of it, and with a candidate.
const REMOVE: [PartMeasure; 2] = [PartMeasure::RemoveValueAtRisk, PartMeasure::RemoveExpectedShortfall];
const SCALE: [PartMeasure; 2] = [PartMeasure::ScaleValueAtRisk, PartMeasure::ScaleExpectedShortfall];
const ADD: [PartMeasure; 2] = [PartMeasure::AddValueAtRisk, PartMeasure::AddExpectedShortfall];

/// What a row is of besides part and measure.
#[derive(Clone, Copy)]
struct Place {
    kind: (Basis, Currency),
    level: Option<f64>,
    horizon_days: f64,
}

/// Collects the rows of one book.
struct PartWriter<'a> {
    book: &'a str,
    sampling: Sampling,
    rows: &'a mut Vec<AttributionRow>,
}

impl PartWriter<'_> {
    fn push_openings(&mut self, parts: &[Part], opening_tao: &[f64]) {
        let total = opening_tao.iter().fold(0.0, |sum, value| sum + value);
        let place = Place { kind: (Basis::Mark, Currency::Tao), level: None, horizon_days: 0.0 };
        for part in parts {
            let estimate = Estimate::exact(part.sum(opening_tao), self.sampling.paths);
            self.push(part, place, PartMeasure::OpeningValue, estimate, total);
        }
    }

    fn push_components(&mut self, parts: &[Part], tail: &SortedRows, place: Place) {
        let Some(point) = place.level.and_then(|level| TailPoint::new(tail, level)) else { return };
        let totals = point.totals();
        for part in parts {
            let estimates = point.components(|losses| part.sum(losses), self.sampling);
            self.push(part, place, PartMeasure::ComponentValueAtRisk, estimates[0], totals[0]);
            self.push(part, place, PartMeasure::ComponentExpectedShortfall, estimates[1], totals[1]);
        }
    }

    /// What the books of `variants` have more than that of `tail`, as `measures` of value at risk and expected shortfall.
    fn push_variants<const N: usize>(
        &mut self,
        parts: &[Part],
        tail: &SortedRows,
        variants: Variants<N>,
        measures: [[PartMeasure; 2]; N],
        places: impl Iterator<Item = Place> + Clone,
    ) {
        for (part, variants) in parts.iter().zip(variants.into_sorted()) {
            for place in places.clone() {
                let Some(base) = place.level.and_then(|level| TailPoint::new(tail, level)) else { continue };
                for (rows, measures) in variants.iter().zip(measures) {
                    let Some(other) = place.level.and_then(|level| TailPoint::new(rows, level)) else { continue };
                    let found = measures.into_iter().zip(differences(&base, &other, self.sampling)).zip(base.totals());
                    found.for_each(|((measure, estimate), total)| self.push(part, place, measure, estimate, total));
                }
            }
        }
    }

    fn push(&mut self, part: &Part, place: Place, measure: PartMeasure, estimate: Estimate, total: f64) {
        self.rows.push(AttributionRow {
            book: self.book.to_owned(),
            kind: part.kind,
            id: part.id,
            name: part.name.clone(),
            basis: place.kind.0,
            currency: place.kind.1,
            level: place.level,
            horizon_days: place.horizon_days,
            measure,
            estimate,
            share: (total != 0.0).then(|| estimate.value / total),
        });
    }
}
