//! Relative errors of a replay against the observed chain, and their table by period and horizon.

use std::collections::BTreeMap;
use std::fmt::Write;

use taorisk::protocol::pool::Pool;
use taorisk::protocol::state::SubnetState;

use crate::observed::Day;
use crate::observed::Observation;
use crate::replay::Replay;
use crate::replay::is_young;

/// Moving price (TAO per alpha) from which a started subnet without any emission under the price rule counts as closed.
const CLOSED_MOVING_PRICE: f64 = 1e-5;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    PoolTao,
    Price,
    MovingPrice,
}

/// Relative errors of one quantity, one per subnet and replay.
#[derive(Clone, Debug, Default)]
pub struct Errors(Vec<f64>);

impl Errors {
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Quantile of the size of the errors: of all of them, `level` are at most this. NaN among them comes last.
    pub fn quantile(&self, level: f64) -> f64 {
        let mut sizes: Vec<f64> = self.0.iter().map(|error| error.abs()).collect();
        sizes.sort_unstable_by(f64::total_cmp);
        sizes[((sizes.len() - 1) as f64 * level).round() as usize]
    }
}

/// Emission of all subnets together, and how far the replay is from it, subnet by subnet.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmissionError {
    distance_tao: f64,
    observed_tao: f64,
}

impl EmissionError {
    /// Part of the emission that went to the wrong subnet, or nowhere, both counted.
    pub fn fraction(&self) -> f64 {
        self.distance_tao / self.observed_tao
    }
}

/// Errors of one period of rules after one horizon.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    pub errors: BTreeMap<Quantity, Errors>,
    pub emission: EmissionError,
}

impl Cell {
    /// Adds the errors of `replay`, which started on `start` and stands at the block of `end`.
    ///
    /// Subnets count that were started at both, the same at both, closed at neither, and not young at the start.
    pub fn add(&mut self, start: &Day, end: &Day, replay: &Replay<'_>) {
        let reports = replay.state.subnets.iter().zip(&replay.report.subnets);
        for (subnet, report) in reports {
            let Some((_, seen)) = judged(start, end, subnet) else { continue };
            let spot_price = Pool::from(subnet).spot_price();
            for (quantity, ours, chain) in [
                (Quantity::PoolTao, subnet.reserve_tao, seen.reserve_tao),
                (Quantity::Price, spot_price, seen.price),
                (Quantity::MovingPrice, subnet.moving_price, seen.moving_price),
            ] {
                self.errors.entry(quantity).or_default().0.push(ours / chain - 1.0);
            }
            self.emission.distance_tao += (report.injected_tao - seen.emission_tao).abs();
            self.emission.observed_tao += seen.emission_tao;
        }
    }

    /// The errors of `other` as well.
    pub fn merge(&mut self, other: Self) {
        for (quantity, errors) in other.errors {
            self.errors.entry(quantity).or_default().0.extend(errors.0);
        }
        self.emission.distance_tao += other.emission.distance_tao;
        self.emission.observed_tao += other.emission.observed_tao;
    }

    pub fn quantile(&self, quantity: Quantity, level: f64) -> f64 {
        self.errors[&quantity].quantile(level)
    }

    fn row(&self) -> String {
        let mut row = format!(" {} |", self.errors[&Quantity::PoolTao].count());
        for quantity in [Quantity::PoolTao, Quantity::Price, Quantity::MovingPrice] {
            for level in [0.5, 0.95] {
                write!(row, " {:.3} |", 100.0 * self.quantile(quantity, level)).expect("a string takes it");
            }
        }
        write!(row, " {:.2} |", 100.0 * self.emission.fraction()).expect("a string takes it");
        row
    }
}

/// The observations of a subnet at both ends, where it is judged.
fn judged<'a>(start: &'a Day, end: &'a Day, subnet: &SubnetState) -> Option<(&'a Observation, &'a Observation)> {
    let (before, after) = (start.find(subnet.netuid)?, end.find(subnet.netuid)?);
    let same = before.registered_at == subnet.registered_at && after.registered_at == subnet.registered_at;
    let running = before.started && after.started && !is_young(before, start.block);
    (same && running && !is_closed(before) && !is_closed(after)).then_some((before, after))
}

/// Whether a subnet is closed for registrations, so that it gets no TAO: seen by its emission while prices decide on it.
fn is_closed(seen: &Observation) -> bool {
    seen.emission_tao == 0.0 && seen.flow_average_tao == 0.0 && seen.moving_price > CLOSED_MOVING_PRICE
}

/// Cells by period, in its order, and horizon (days).
#[derive(Clone, Debug, Default)]
pub struct Table(pub BTreeMap<(usize, u64), Cell>);

impl Table {
    pub fn cell(&mut self, period: usize, horizon_days: u64) -> &mut Cell {
        self.0.entry((period, horizon_days)).or_default()
    }

    /// The table in Markdown, errors in percent.
    pub fn text(&self, names: &[&str]) -> String {
        let mut text = String::from(
            "| rules | days | n | TAO, median | 95 % | price, median | 95 % | moving price, median | 95 % | emission |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        for ((period, days), cell) in &self.0 {
            writeln!(text, "| {} | {days} |{}", names[*period], cell.row()).expect("a string takes it");
        }
        text
    }
}
