//! What each position and sector adds to the value at risk and expected shortfall of its book, at every horizon and level.
//!
//! Components ([`crate::risk::euler`]) add up to the published measure; what a change of a position would do to it
//! ([`crate::risk::incremental`]) is given at the last horizon at spot in TAO. A position loses its opening mark value less what it
//! is worth and what it has brought; in USD each of those at its own rate, so that the fall of TAO/USD is in every component.
//!
//! Cash and what a policy holds besides the opening positions is one more part, [`OTHER`], of no subnet. On the exit basis only the
//! book as a whole has a value.

use std::collections::BTreeMap;

use crate::engine::record::PathRow;
use crate::engine::record::PositionValue;
use crate::risk::book::pnl_values;
use crate::risk::estimate::Estimate;
use crate::risk::euler::Sampling;
use crate::risk::euler::TailPoint;
use crate::risk::holding::HeldBook;
use crate::risk::holding::Holding;
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
}

impl PartMeasure {
    /// All measures, in the order of files.
    pub const ALL: [Self; 7] = [
        Self::OpeningValue,
        Self::ComponentValueAtRisk,
        Self::ComponentExpectedShortfall,
        Self::RemoveValueAtRisk,
        Self::RemoveExpectedShortfall,
        Self::ScaleValueAtRisk,
        Self::ScaleExpectedShortfall,
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
}

#[derive(Clone, Debug)]
struct BookTails {
    book: HeldBook,
    /// Opening mark values (TAO) of its positions.
    opening_tao: Vec<f64>,
    /// By horizon, in the order of [`POSITION_KINDS`].
    tails: Vec<[TailRows; POSITION_KINDS.len()]>,
    /// At the last horizon, at spot in TAO.
    variants: Variants,
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
                variants: Variants::new(paths, confidence_min, positions),
                book: book.clone(),
            }
        };
        Self {
            books: books.iter().map(tails).collect(),
            horizons_days: horizons_days.to_vec(),
            confidence: confidence.to_vec(),
            usd_per_tao,
            sampling: Sampling { paths, replicate_paths: 1 },
        }
    }

    /// Memory (bytes) of the tails of one book of so many positions.
    pub fn bytes(paths: u64, confidence_min: f64, positions: usize, horizons: usize) -> f64 {
        let tails = (horizons * POSITION_KINDS.len()) as f64;
        tails * TailRows::bytes(paths, confidence_min, positions) + Variants::bytes(paths, confidence_min, positions)
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
            variants.push(row.path, -row.pnl_mark_tao, losses((Basis::Mark, Currency::Tao)));
        }
    }

    /// All rows: by book, the opening values first, then by horizon, basis and currency, level, part and measure; and what liquidity adds
    /// to the tail measures of the books, by book, horizon, currency and level.
    pub fn finish(self) -> (Vec<AttributionRow>, Vec<SummaryRow>) {
        let (mut rows, mut liquidity_rows) = (Vec::new(), Vec::new());
        for BookTails { book, opening_tao, tails, variants } in self.books {
            let parts = parts(&book);
            let mut writer = PartWriter { book: &book.name, sampling: self.sampling, rows: &mut rows };
            writer.push_openings(&parts, &opening_tao);
            let mut variants = Some(variants);
            for (index, (tails, &days)) in tails.into_iter().zip(&self.horizons_days).enumerate() {
                let is_last = index + 1 == self.horizons_days.len();
                let tails = tails.map(TailRows::into_sorted);
                for (tail, kind) in tails.iter().zip(POSITION_KINDS) {
                    let place = |level| Place { kind, level: Some(level), horizon_days: days };
                    self.confidence.iter().for_each(|&level| writer.push_components(&parts, tail, place(level)));
                    if let Some(variants) = variants.take_if(|_| is_last && kind == (Basis::Mark, Currency::Tao)) {
                        let places = self.confidence.iter().map(|&level| place(level));
                        writer.push_increments(&parts, tail, variants, places);
                    }
                }
                let mut writer = RowWriter { book: &book.name, horizon_days: days, rows: &mut liquidity_rows };
                self.confidence.iter().for_each(|&level| push_liquidity(&tails, level, self.sampling, &mut writer));
            }
        }
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

    fn push_increments(
        &mut self,
        parts: &[Part],
        tail: &SortedRows,
        variants: Variants,
        places: impl Iterator<Item = Place> + Clone,
    ) {
        for (part, [without, with_more]) in parts.iter().zip(variants.into_sorted()) {
            for place in places.clone() {
                let point = |rows| TailPoint::new(rows, place.level?);
                let (Some(base), Some(without), Some(with_more)) = (point(tail), point(&without), point(&with_more))
                else {
                    continue;
                };
                let totals = base.totals();
                let [value, shortfall] = differences(&base, &without, self.sampling);
                self.push(part, place, PartMeasure::RemoveValueAtRisk, value, totals[0]);
                self.push(part, place, PartMeasure::RemoveExpectedShortfall, shortfall, totals[1]);
                let [value, shortfall] = differences(&base, &with_more, self.sampling);
                self.push(part, place, PartMeasure::ScaleValueAtRisk, value, totals[0]);
                self.push(part, place, PartMeasure::ScaleExpectedShortfall, shortfall, totals[1]);
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
