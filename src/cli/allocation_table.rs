//! What `taorisk allocate` prints and writes: the frontier, its weights, and what size costs.

use std::fmt::Write;

use crate::cli::allocate::Outcomes;
use crate::cli::allocate::Pnl;
use crate::cli::allocate::Study;
use crate::cli::table;
use crate::output::allocation::AllocationRow;
use crate::portfolio::valuation;
use crate::protocol::pool::Pool;
use crate::risk::allocation;
use crate::risk::allocation::Allocation;
use crate::risk::allocation::FrontierPoint;
use crate::risk::allocation::Measured;
use crate::risk::estimate::Estimate;
use crate::risk::moments::Moments;
use crate::units::NetUid;

/// Width of the labels at the left.
const LABEL_WIDTH: usize = 10;
/// Width of an estimate with its error.
const CELL_WIDTH: usize = 18;
/// Width of a weight.
const WEIGHT_WIDTH: usize = 7;
/// Points whose weights stand side by side.
const WEIGHTS: usize = 10;
/// Weights below are not printed.
const WEIGHT_SHOWN: f64 = 0.005;

/// A portfolio and what became of it.
struct Portfolio {
    name: &'static str,
    point: u64,
    /// Of the candidates; none for the present book.
    weights: Vec<f64>,
    /// Cost of leaving at the start (currency).
    exit_cost: f64,
    effective_holdings: f64,
    /// On the paths that weights were chosen on, less the exit cost at the start.
    chosen_on: Measured,
    /// On fresh paths, sold through their pools.
    fresh: Measured,
}

/// A capacity-aware portfolio against the size-blind one of the same shortfall at spot, on fresh paths.
struct Contrast {
    /// More mean at spot of the size-blind.
    given_up: Estimate,
    /// More mean of the capacity-aware, both sold through the pools.
    kept: Estimate,
}

/// Everything that is said.
pub(super) struct Report<'a> {
    study: &'a Study,
    confidence: f64,
    present: Portfolio,
    aware: Vec<Portfolio>,
    blind: Vec<Portfolio>,
    contrasts: Vec<Contrast>,
    /// Largest error of the program's cost at its points (currency).
    cost_error: f64,
}

impl<'a> Report<'a> {
    /// `present`: outcomes of the present book on the paths of the choice; `fresh`: of it, the aware, the blind.
    pub fn new(
        study: &'a Study,
        allocation: &Allocation<'_>,
        points: &[FrontierPoint],
        present: &[Pnl],
        fresh: &Outcomes,
    ) -> Self {
        let scale = study.book_tao * study.rate();
        let portfolio = |name, index: usize, weights: &[f64], fresh: &[Pnl]| {
            let cost = allocation.exit_cost(weights);
            let chosen_on = allocation.returns.of(weights).map(|value| scale * (value - cost));
            Portfolio {
                name,
                point: index as u64 + 1,
                weights: weights.to_vec(),
                exit_cost: scale * cost,
                effective_holdings: allocation::effective_holdings(weights),
                chosen_on: allocation::measure(chosen_on, allocation.confidence),
                fresh: allocation::measure(fresh.iter().map(|pnl| pnl.liquidation), allocation.confidence),
            }
        };
        let (fresh_aware, fresh_blind) = fresh[1..].split_at(points.len());
        let aware = points.iter().zip(fresh_aware).enumerate();
        let aware = aware.map(|(index, (point, fresh))| portfolio("capacity_aware", index, &point.aware, fresh));
        let blind = points.iter().zip(fresh_blind).enumerate();
        let blind = blind.map(|(index, (point, fresh))| portfolio("size_blind", index, &point.blind, fresh));
        let error = |point: &FrontierPoint| allocation.modelled_cost(&point.aware) - allocation.exit_cost(&point.aware);
        Self {
            study,
            confidence: allocation.confidence,
            present: present_portfolio(study, allocation, present, &fresh[0]),
            aware: aware.collect(),
            blind: blind.collect(),
            contrasts: fresh_aware.iter().zip(fresh_blind).map(|(aware, blind)| contrast(aware, blind)).collect(),
            cost_error: points.iter().map(error).fold(0.0, |largest: f64, error| largest.max(error.abs())) * scale,
        }
    }

    /// Every number, in long form.
    pub fn rows(&self) -> Vec<AllocationRow> {
        let portfolios = [&self.present].into_iter().chain(&self.aware).chain(&self.blind);
        portfolios.flat_map(|portfolio| self.rows_of(portfolio)).collect()
    }

    fn rows_of(&self, portfolio: &Portfolio) -> Vec<AllocationRow> {
        let row = |paths, measure, netuid, value, standard_error| AllocationRow {
            portfolio: portfolio.name,
            point: portfolio.point,
            paths,
            measure,
            netuid,
            value,
            standard_error,
        };
        let estimate =
            |paths, measure, found: Estimate| row(paths, measure, None, found.value, Some(found.standard_error));
        let mut rows = vec![
            estimate("chosen_on", "mean_pnl", portfolio.chosen_on.mean),
            estimate("chosen_on", "expected_shortfall", portfolio.chosen_on.shortfall),
            estimate("fresh", "mean_pnl", portfolio.fresh.mean),
            estimate("fresh", "expected_shortfall", portfolio.fresh.shortfall),
            row("start", "exit_cost", None, portfolio.exit_cost, None),
            row("start", "effective_holdings", None, portfolio.effective_holdings, None),
        ];
        let weights = self.study.netuids.iter().zip(&portfolio.weights);
        let netuid =
            |(netuid, weight): (&NetUid, &f64)| row("start", "weight", Some(u64::from(netuid.0)), *weight, None);
        rows.extend(weights.map(netuid));
        rows
    }

    /// The tables.
    pub fn text(&self) -> String {
        let study = self.study;
        let mut text = format!(
            "Mean against expected shortfall {} of {} TAO in up to {} of {} subnets\n\
             {}, {} paths and as many fresh ones; P&L in {} after leaving through the pools\n\n",
            table::percent_label(self.confidence),
            table::grouped(study.book_tao, 0),
            study.netuids.len(),
            study.scenario.start.subnets.len(),
            table::days_label(study.scenario.horizon_days()),
            table::grouped(study.paths as f64, 0),
            study.currency.name()
        );
        text.push_str(&self.frontier_text());
        text.push_str(&self.weights_text());
        text.push_str(&self.contrast_text());
        text
    }

    fn frontier_text(&self) -> String {
        let mut text = line("", ["mean", "mean, fresh", "shortfall", "shortfall, fresh"].map(str::to_owned));
        text.insert_str(text.len() - 1, &format!("{:>11}{:>10}", "exit cost", "holdings"));
        for portfolio in [&self.present].into_iter().chain(&self.aware) {
            let label = if portfolio.point == 0 { "present".to_owned() } else { format!("{:>4}", portfolio.point) };
            let Measured { mean, shortfall } = &portfolio.chosen_on;
            let cells = [mean, &portfolio.fresh.mean, shortfall, &portfolio.fresh.shortfall];
            let mut row = line(&label, cells.map(|estimate| table::with_error(estimate, "")));
            let cost = table::grouped(portfolio.exit_cost, 1);
            row.insert_str(row.len() - 1, &format!("{cost:>11}{:>10.1}", portfolio.effective_holdings));
            text.push_str(&row);
        }
        text + "\n"
    }

    fn weights_text(&self) -> String {
        let mut text = String::new();
        for points in self.aware.chunks(WEIGHTS) {
            let _ = write!(text, "{:<LABEL_WIDTH$}", "weights, %");
            points.iter().for_each(|point| {
                let _ = write!(text, "{:>WEIGHT_WIDTH$}", point.point);
            });
            text.push('\n');
            for (index, netuid) in self.study.netuids.iter().enumerate() {
                if points.iter().all(|point| point.weights[index] < WEIGHT_SHOWN) {
                    continue;
                }
                let _ = write!(text, "{:<LABEL_WIDTH$}", netuid.to_string());
                for weight in points.iter().map(|point| point.weights[index]) {
                    let shown = if weight < WEIGHT_SHOWN { "-".to_owned() } else { format!("{:.1}", 100.0 * weight) };
                    let _ = write!(text, "{shown:>WEIGHT_WIDTH$}");
                }
                text.push('\n');
            }
            text.push('\n');
        }
        text
    }

    fn contrast_text(&self) -> String {
        let mut text =
            "Capacity-aware against size-blind weights of the same shortfall at spot, fresh paths\n".to_owned();
        text.push_str(&line(
            "",
            ["given up at spot", "kept after exit", "exit cost", "of the blind"].map(str::to_owned),
        ));
        for ((contrast, aware), blind) in self.contrasts.iter().zip(&self.aware).zip(&self.blind) {
            let cost = |portfolio: &Portfolio| table::grouped(portfolio.exit_cost, 1);
            let estimates = [&contrast.given_up, &contrast.kept].map(|estimate| table::with_error(estimate, ""));
            let cells = estimates.into_iter().chain([cost(aware), cost(blind)]);
            text.push_str(&line(&format!("{:>4}", aware.point), cells));
        }
        let _ = writeln!(
            text,
            "\nThe program takes costs to second order: too high by at most {} {} at these points; all figures have the exact cost.",
            table::grouped(self.cost_error, 2),
            self.study.currency.name()
        );
        text
    }
}

fn present_portfolio(study: &Study, allocation: &Allocation<'_>, chosen_on: &[Pnl], fresh: &[Pnl]) -> Portfolio {
    let pools = study.present_values();
    let cost = |(pool, alpha): &(Pool, f64)| {
        alpha * pool.spot_price() - valuation::sale_proceeds(pool, *alpha, allocation.fee_rate)
    };
    let exit_cost = pools.iter().map(cost).sum::<f64>() * study.rate();
    let weights: Vec<f64> = pools.iter().map(|(pool, alpha)| alpha * pool.spot_price() / study.book_tao).collect();
    Portfolio {
        name: "present",
        point: 0,
        weights: Vec::new(),
        exit_cost,
        effective_holdings: allocation::effective_holdings(&weights),
        chosen_on: allocation::measure(chosen_on.iter().map(|pnl| pnl.mark - exit_cost), allocation.confidence),
        fresh: allocation::measure(fresh.iter().map(|pnl| pnl.liquidation), allocation.confidence),
    }
}

fn contrast(aware: &[Pnl], blind: &[Pnl]) -> Contrast {
    let (mut given_up, mut kept) = (Moments::default(), Moments::default());
    for (aware, blind) in aware.iter().zip(blind) {
        given_up.push(blind.mark - aware.mark);
        kept.push(aware.liquidation - blind.liquidation);
    }
    let mean = |moments: &Moments| moments.mean().expect("at least one path");
    Contrast { given_up: mean(&given_up), kept: mean(&kept) }
}

/// A label at the left and cells flush right.
fn line(label: &str, cells: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("{label:<LABEL_WIDTH$}");
    for cell in cells {
        let _ = write!(text, "{cell:>CELL_WIDTH$}");
    }
    text + "\n"
}
