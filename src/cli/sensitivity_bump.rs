//! Slopes of measures at the scenario: central differences in parameters and sizes of positions on the same chance.

use anyhow::Context;

use crate::cli::outcome::BookOutcome;
use crate::cli::sensitivity::Simulate;
use crate::cli::sensitivity::Study;
use crate::cli::sensitivity::Subject;
use crate::cli::sensitivity_inputs::Bump;
use crate::cli::sensitivity_inputs::Input;
use crate::output::sensitivity::SensitivityRow;
use crate::portfolio::position::Book;
use crate::portfolio::position::Position;
use crate::risk::contrast::Contrast;
use crate::risk::contrast::ContrastMeasure;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::paired::count_difference;
use crate::risk::sizes::size_derivatives;

/// What is measured of one holding.
const DEREGISTRATION_PROBABILITY: &str = "deregistration_probability";
/// Part of a position by which it is made smaller and larger.
const POSITION_STEP: f64 = 0.05;
/// Positions whose smaller and larger forms are followed in one run.
const POSITIONS_AT_ONCE: usize = 4;

/// Runs in which positions are moved: none where slopes are known without.
pub(super) fn position_runs(study: &Study, positions: bool) -> usize {
    let is_simulated = positions && study.basis != Basis::Mark;
    if is_simulated { study.held().positions.len().div_ceil(POSITIONS_AT_ONCE) } else { 0 }
}

/// Slopes of every measure.
pub(super) fn bump(
    study: &Study,
    bumps: &[Bump],
    positions: bool,
    simulate: &Simulate<'_>,
) -> anyhow::Result<Vec<SensitivityRow>> {
    let base = simulate(study.scenario())?;
    let base = &base.books[study.book];
    let as_it_is = |found: &Contrast| study.row("run", found.measure, Subject::Book, "value", &found.base);
    let mut rows: Vec<SensitivityRow> = study.contrasts(base, base).iter().map(as_it_is).collect();
    for (input, bump) in study.inputs.iter().zip(bumps) {
        let at =
            |value| simulate(&study.bench.with(&[(input, value)])?).with_context(|| format!("{} = {value}", input.key));
        let (low, high) = (at(bump.low)?, at(bump.high)?);
        let (low, high) = (&low.books[study.book], &high.books[study.book]);
        let slopes = |found: Contrast| slopes(study, input, bump, found.measure, &found.difference);
        rows.extend(study.contrasts(low, high).into_iter().flat_map(slopes));
        rows.extend(holding_rows(study, input, bump, low, high));
    }
    if positions && study.basis == Basis::Mark {
        rows.extend(component_rows(study, base));
    } else if positions {
        rows.extend(position_rows(study, simulate)?);
    }
    Ok(rows)
}

fn slopes(
    study: &Study,
    input: &Input,
    bump: &Bump,
    measure: ContrastMeasure,
    difference: &Estimate,
) -> Vec<SensitivityRow> {
    let row = |statistic, distance: f64| {
        study.row("bump", measure, Subject::Parameter(input), statistic, &over(difference, distance))
    };
    let per_error = bump.standard_errors.map(|distance| row("per_standard_error", distance));
    per_error.into_iter().chain(bump.percents.map(|distance| row("per_percent", distance))).collect()
}

/// Slopes of the probability of deregistration of each holding, of books that hold.
fn holding_rows(
    study: &Study,
    input: &Input,
    bump: &Bump,
    low: &BookOutcome,
    high: &BookOutcome,
) -> Vec<SensitivityRow> {
    let positions = if study.holds { &study.held().positions[..] } else { &[] };
    let of_holding = |(index, held): (usize, &Position)| {
        let difference = count_difference(&low.deregistrations(index), &high.deregistrations(index));
        let mut rows = slopes(study, input, bump, ContrastMeasure::DeregisteredHoldings, &difference);
        for row in &mut rows {
            (row.measure, row.holding) = (DEREGISTRATION_PROBABILITY, held.netuid.to_string());
        }
        rows
    };
    positions.iter().enumerate().flat_map(of_holding).collect()
}

/// Slopes to the sizes of positions at spot: components of the measures.
fn component_rows(study: &Study, base: &BookOutcome) -> Vec<SensitivityRow> {
    let fill = |path: usize, kept: &mut [f64]| {
        let parts = base.part_losses(path, study.currency, study.basis);
        kept.iter_mut().zip(parts).for_each(|(kept, part)| *kept = part);
    };
    let positions = study.held().positions.len();
    let found = size_derivatives(study.losses(base).losses, positions, fill, &study.scenario().confidence);
    let rows = found.iter().enumerate().flat_map(|(position, measures)| {
        let row = move |(measure, slope): &(ContrastMeasure, Estimate)| {
            let per_percent = slope.scaled(0.01);
            study.row("euler", *measure, Subject::Position(position), "per_percent", &per_percent)
        };
        measures.iter().map(row)
    });
    rows.collect()
}

/// Slopes to the sizes of positions by simulation: beside the scenario's books, which go on as they do, run books with one
/// position smaller or larger.
fn position_rows(study: &Study, simulate: &Simulate<'_>) -> anyhow::Result<Vec<SensitivityRow>> {
    let (scenario, mut rows) = (study.scenario(), Vec::new());
    let positions: Vec<usize> = (0..study.held().positions.len()).collect();
    for moved in positions.chunks(POSITIONS_AT_ONCE) {
        let sized = |&position| [-1.0, 1.0].map(|side| resized(study.held(), position, 1.0 + side * POSITION_STEP));
        let mut with_sized = scenario.clone();
        with_sized.books.extend(moved.iter().flat_map(sized));
        let found = simulate(&with_sized)?;
        let pairs = found.books[scenario.books.len()..].chunks(2);
        for (&position, pair) in moved.iter().zip(pairs) {
            let found = study.contrasts(&pair[0], &pair[1]).into_iter();
            // Who holds how much of a subnet does not bear on its life.
            for found in found.filter(|found| found.measure != ContrastMeasure::DeregisteredHoldings) {
                let slope = over(&found.difference, 200.0 * POSITION_STEP);
                rows.push(study.row("bump", found.measure, Subject::Position(position), "per_percent", &slope));
            }
        }
    }
    Ok(rows)
}

/// The book with a position of another size.
fn resized(book: &Book, position: usize, factor: f64) -> Book {
    let mut book = book.clone();
    book.positions[position].alpha *= factor;
    book
}

/// An estimate over a distance that may be negative.
fn over(estimate: &Estimate, distance: f64) -> Estimate {
    let per_unit = estimate.scaled(1.0 / distance.abs());
    if distance > 0.0 {
        return per_unit;
    }
    // Not `-value` alone: 0 stays 0.
    Estimate { value: 0.0 - per_unit.value, ci_low: -per_unit.ci_high, ci_high: -per_unit.ci_low, ..per_unit }
}
