//! Rao or tokens: what the size of amounts tells, and where it contradicts what is said of them.
//!
//! There are at most 21 million TAO, and as many alpha of a subnet, so a larger figure is in rao; and pools of less than
//! [`POOLS_TAO_MIN`] in all are not a network's, so a smaller figure is in tokens. What lies between is refused.

use crate::input::InputError;
use crate::input::ingest::columns::Content;
use crate::input::ingest::columns::Row;
use crate::input::ingest::columns::columns;
use crate::input::ingest::forms::IngestKind;
use crate::input::ingest::forms::Unit;
use crate::units::RAO_PER_TAO;
use crate::units::SUPPLY_CAP;

/// Pools of any source hold more than this in all (tokens): a registration alone puts more into one.
const POOLS_TAO_MIN: f64 = 10.0;

/// The price is `w_alpha / w_tao * tao_in / alpha_in`, and the weights that the chain allows bound the first factor.
const PRICE_RATIO_MAX: f64 = 99.0;

/// Brings all amounts of a snapshot to tokens.
///
/// Rows are judged by the unit that is said of their `tao_in` and `alpha_in`; other amounts of a row whose unit is not
/// known have the unit of these, and its price has the one that fits them.
///
/// # Errors
/// Sizes that fit neither unit, or not the one that is said.
pub(super) fn convert_snapshot(rows: &mut [Row]) -> Result<(), InputError> {
    let tao = decide(rows, "tao_in", |sum: f64, next| sum + next)?;
    let alpha = decide(rows, "alpha_in", f64::max)?;
    for row in rows {
        let (tao, alpha) = (own_unit(row, "tao_in", tao), own_unit(row, "alpha_in", alpha));
        for spec in columns(IngestKind::Snapshot) {
            match spec.content {
                Content::Tao => convert_amount(row, spec.name, tao)?,
                Content::Alpha => convert_amount(row, spec.name, alpha)?,
                _ => {}
            }
        }
        convert_price(row);
    }
    Ok(())
}

/// The unit of a row's `tao_in` or `alpha_in`; `None` where it has none.
fn own_unit(row: &Row, column: &str, decided: Unit) -> Option<Unit> {
    row.cells.get(column).map(|cell| if cell.unit == Unit::Unknown { decided } else { cell.unit })
}

fn convert_amount(row: &mut Row, column: &'static str, own: Option<Unit>) -> Result<(), InputError> {
    let Some(unit) = row.cells.get(column).map(|cell| cell.unit) else { return Ok(()) };
    let unit = if unit == Unit::Unknown { own } else { Some(unit) };
    let Some(unit) = unit else {
        let problem = format!("{column}: rao or tokens? The record has no pool to tell by; give its unit in a mapping");
        return Err(row.problem(problem));
    };
    if let Some(cell) = row.cells.get_mut(column) {
        cell.convert(unit);
    }
    Ok(())
}

/// Checks the unit that is said of a column, and gives that of the rows where none is said.
fn decide(rows: &[Row], column: &str, join: impl Fn(f64, f64) -> f64) -> Result<Unit, InputError> {
    let mut decided = Unit::Token;
    for said in [Unit::Unknown, Unit::Rao, Unit::Token] {
        let of_unit = |row: &&Row| row.cells.get(column).is_some_and(|cell| cell.unit == said);
        let figures = || rows.iter().filter(of_unit).filter_map(|row| Some((row, row.number(column)?)));
        let Some((first, _)) = figures().next() else { continue };
        if let Some((row, figure)) = figures().find(|(_, figure)| !figure.is_finite()) {
            return Err(row.cell_problem(column, figure, "a finite number > 0"));
        }
        let size = figures().map(|(_, figure)| figure).reduce(&join).unwrap_or(0.0);
        let found = unit_of_size(size);
        if said == Unit::Rao || (said == Unit::Unknown && found == Some(Unit::Rao)) {
            whole(column, figures())?;
        }
        match (said, found) {
            (Unit::Unknown, Some(unit)) => decided = unit,
            (said, Some(unit)) if said == unit => {}
            _ => return Err(first.problem(misfit(column, size, said))),
        }
    }
    Ok(decided)
}

fn unit_of_size(size: f64) -> Option<Unit> {
    if size <= SUPPLY_CAP {
        Some(Unit::Token)
    } else if (POOLS_TAO_MIN * RAO_PER_TAO..=SUPPLY_CAP * RAO_PER_TAO).contains(&size) {
        Some(Unit::Rao)
    } else {
        None
    }
}

fn misfit(column: &str, size: f64, said: Unit) -> String {
    let what = if column == "tao_in" { "all pools hold" } else { "the largest is" };
    let allowed = format!(
        "tokens are at most {SUPPLY_CAP}, rao from {:e} to {:e}",
        POOLS_TAO_MIN * RAO_PER_TAO,
        SUPPLY_CAP * RAO_PER_TAO
    );
    match said {
        Unit::Rao => {
            format!("{column}: {what} {size:e}, which is not rao ({allowed}); give unit = \"token\" in a mapping")
        }
        Unit::Token => {
            format!("{column}: {what} {size:e}, which is not tokens ({allowed}); give unit = \"rao\" in a mapping")
        }
        Unit::Unknown => format!("{column}: {what} {size:e}, which is neither tokens nor rao ({allowed})"),
    }
}

fn whole<'a>(column: &str, mut figures: impl Iterator<Item = (&'a Row, f64)>) -> Result<(), InputError> {
    match figures.find(|(_, figure)| figure.fract() != 0.0) {
        Some((row, figure)) => {
            Err(row.cell_problem(column, figure, "a whole number of rao, as the others are; is it in tokens?"))
        }
        None => Ok(()),
    }
}

fn convert_price(row: &mut Row) {
    let ratio = || Some(row.number("price")? * row.number("alpha_in")? / row.number("tao_in")?);
    let fits = |ratio: f64| ratio <= PRICE_RATIO_MAX && ratio * PRICE_RATIO_MAX >= 1.0;
    let is_rao = ratio().is_some_and(|ratio| !fits(ratio) && fits(ratio / RAO_PER_TAO));
    if let Some(cell) = row.cells.get_mut("price") {
        let found = if is_rao { Unit::Rao } else { Unit::Token };
        cell.convert(if cell.unit == Unit::Unknown { found } else { cell.unit });
    }
}

/// Brings all amounts of positions to tokens.
///
/// Where the unit is not known: a fraction tells tokens, more than there can be tells rao.
///
/// # Errors
/// Neither; or a fraction of a rao.
pub(super) fn convert_positions(rows: &mut [Row]) -> Result<(), InputError> {
    for spec in columns(IngestKind::Positions).iter().filter(|spec| spec.content.has_unit()) {
        let unknown = decide_positions(rows, spec.name)?;
        for cell in rows.iter_mut().filter_map(|row| row.cells.get_mut(spec.name)) {
            cell.convert(if cell.unit == Unit::Unknown { unknown } else { cell.unit });
        }
    }
    Ok(())
}

fn decide_positions(rows: &[Row], column: &'static str) -> Result<Unit, InputError> {
    let figures = |unit: Unit| {
        let of_unit = move |row: &&Row| row.cells.get(column).is_some_and(|cell| cell.unit == unit);
        rows.iter().filter(of_unit).filter_map(move |row| Some((row, row.number(column)?)))
    };
    whole(column, figures(Unit::Rao))?;
    let Some((first, _)) = figures(Unit::Unknown).next() else { return Ok(Unit::Token) };
    let has_fraction = figures(Unit::Unknown).any(|(_, figure)| figure.fract() != 0.0);
    let largest = figures(Unit::Unknown).map(|(_, figure)| figure).fold(0.0, f64::max);
    match (has_fraction, largest > SUPPLY_CAP) {
        (true, false) => Ok(Unit::Token),
        (false, true) => Ok(Unit::Rao),
        (true, true) => Err(first.problem(format!(
            "{column}: figures of up to {largest:e} have fractions, so they are neither whole rao nor tokens \
             (at most {SUPPLY_CAP})"
        ))),
        (false, false) => Err(first.problem(format!(
            "{column}: whole figures of up to {largest:e} can be rao or tokens; \
             give unit = \"rao\" or \"token\" in a mapping"
        ))),
    }
}
