//! Parameters as they could be known on a past day, without errors of their own: fast enough for a fit from every start.
//!
//! The estimators are those of [`crate::calibration::calibrate`]; what is left out are its errors by simulated panels, which take
//! a minute each. Flows are those of a window before the start, so that parameters follow the times. On top of them come, set by
//! set of parameters, draws of what is least known: scale, loading and log-volatility of each subnet as its own flows show them,
//! and the drift.

use std::collections::BTreeMap;

use crate::calibration::common_jumps;
use crate::calibration::drift;
use crate::calibration::drift::EmissionKind;
use crate::calibration::entrants;
use crate::calibration::filter;
use crate::calibration::filter::Level;
use crate::calibration::flow_estimate;
use crate::calibration::flow_law;
use crate::calibration::history::History;
use crate::calibration::layout::Layout;
use crate::calibration::organic;
use crate::calibration::organic::OrganicFlows;
use crate::calibration::organic::OrganicOptions;
use crate::calibration::registration;
use crate::calibration::registration::RegistrationRecord;
use crate::calibration::shrink::Noisy;
use crate::model::parameters::Parameter;
use crate::model::params::FlowParams;
use crate::model::params::ModelParams;
use crate::model::params::SaleParams;
use crate::model::params::SubnetParams;
use crate::protocol::calendar;
use crate::protocol::state::ChainState;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;
use crate::units::SubnetId;

/// First block of flows (2025-03-15): a month after the launch of subnet tokens.
const FROM_BLOCK: u64 = calendar::block_at_midnight((2025, 3, 15));
/// Prior standard deviation of the drift about 0 (per day), and how far that of the days to come may be from that of the window:
/// the drifts found under three ways of sharing the emission are 0.0014, 0.0014 and -0.0012.
const DRIFT_SD: f64 = 0.001;
/// Days of flows before a start whose mean is the drift.
const DRIFT_WINDOW_DAYS: u32 = 90;
/// Prior standard deviation of the factor on sale fractions about 1, and the largest factor.
const SALES_FACTOR_SD: f64 = 1.0;
const SALES_FACTOR_MAX: f64 = 1.5;
/// Largest flow that counts where sales are looked for (log reserve move).
const FLOW_CLIP: f64 = 0.3;
/// Largest loading of a subnet: the own part keeps a third of the variance.
const LOADING_MAX: f64 = 0.8;
/// Registrations whose costs tell what a slot is worth where no law can be fitted.
const RECENT_COSTS: usize = 8;
/// Slot words of draws: apart from those of other chance of a backtest.
const SET_SLOT: u32 = 1 << 23;

/// How much is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Nothing: the parameters given.
    Given,
    /// The laws that all subnets share.
    Laws,
    /// Scale, loading and volatility of each subnet too.
    Subnets,
    /// And what the drift of the days to come may be.
    Drift,
}

/// How parameters of the past are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PastOptions {
    /// How much.
    pub depth: Depth,
    /// Days of flows before the start.
    pub window_days: u32,
    /// Sets of parameters, where they are drawn.
    pub sets: u32,
    /// Seed of the draws.
    pub seed: u64,
}

/// Sets of parameters for paths from `chain`, from what was known by then; those that a history is silent of as `given`.
pub fn parameters(known: &History, chain: &ChainState, given: &ModelParams, options: &PastOptions) -> Vec<ModelParams> {
    if options.depth == Depth::Given {
        return vec![given.clone()];
    }
    let mut model = given.clone();
    set_registrations(&mut model, known, chain.block);
    set_entrants(&mut model, known, chain);
    let since = |days: u32, sales: &SaleParams| {
        let from_block = chain.block.saturating_sub(u64::from(days) * BLOCKS_PER_DAY).max(FROM_BLOCK);
        organic::organic_flows(
            known,
            &OrganicOptions { from_block, to_block: chain.block, ..OrganicOptions::new(sales.clone()) },
        )
    };
    scale_sales(&mut model.sales, &since(options.window_days, &given.sales));
    let flows = since(options.window_days, &model.sales);
    let Some(fit) = Fit::new(&flows, &given.flow) else { return vec![model] };
    model.flow = fit.params.clone();
    let drift = shrunk_drift(&since(DRIFT_WINDOW_DAYS, &model.sales), chain.block);
    model.flow.drift_per_day = drift.value;
    if options.depth == Depth::Laws {
        return vec![model];
    }
    let today = calendar::day_of_block(chain.block) - flows.first_day;
    let set = |number: u32| {
        let mut model = model.clone();
        let normals = |slot: u32| {
            let purpose = Purpose::Backtest;
            let address = Address { path: chain.block as u32, step: number, slot: SET_SLOT + slot, purpose, index: 0 };
            rng::normals4(rng::words(options.seed, address))
        };
        if options.depth >= Depth::Drift {
            let sd = (drift.error * drift.error + DRIFT_SD * DRIFT_SD).sqrt();
            model.flow.drift_per_day += sd * normals(0)[0];
        }
        let subnets =
            chain.subnets.iter().map(|subnet| SubnetId { netuid: subnet.netuid, registered_at: subnet.registered_at });
        let known = subnets.filter_map(|id| Some((id, fit.subnets.iter().find(|own| own.id == id)?)));
        model.subnets = known.map(|(id, own)| own.draw(today, &model.flow, normals(u32::from(id.netuid.0)))).collect();
        model
    };
    (0..options.sets.max(1)).map(set).collect()
}

/// Laws of flows, and what is known of each subnet.
struct Fit {
    params: FlowParams,
    subnets: Vec<Known>,
}

/// What is known of a subnet after its last row.
struct Known {
    id: SubnetId,
    /// Day of the row, counted as in the panel.
    last_day: u32,
    loading: Noisy,
    level: Level,
}

impl Fit {
    /// `None` where flows are too few.
    fn new(flows: &OrganicFlows, given: &FlowParams) -> Option<Self> {
        let panel = &flows.panel;
        if panel.rows.len() < flow_law::ROWS_MIN {
            return None;
        }
        let layout = Layout::new(panel, given);
        let moves: Vec<f64> = panel.rows.iter().map(|row| row.flow).collect();
        let found = flow_estimate::estimate(&layout, &moves, given, None);
        let (common_jump, _) =
            common_jumps::law(&found.common, &layout, &found.standardized, &found.law, &given.common_jump);
        let params = flow_estimate::params_at(&found.at, given, common_jump);
        let relative = found.loadings.relative;
        let levels = filter::run(&layout, &found.standardized, &found.law).last;
        let known = |(number, (rows, level)): (usize, (&std::ops::Range<usize>, Level))| {
            let last = panel.rows[rows.end - 1];
            let shrunk = found.loadings.of_subnets[number].map(|seen| seen.shrunk(relative.mean, relative.sd));
            let of_mean = shrunk.unwrap_or(Noisy { value: relative.mean, error: relative.sd });
            let unit = params.loading_mean / relative.mean;
            let loading = Noisy { value: unit * of_mean.value, error: unit * of_mean.error };
            Known { id: panel.subnets[last.subnet as usize], last_day: last.day, loading, level }
        };
        let subnets = layout.subnets.iter().zip(levels).enumerate().map(known).collect();
        Some(Self { params, subnets })
    }
}

impl Known {
    /// Parameters of the subnet on `today`, from standard normals.
    fn draw(&self, today: i64, flow: &FlowParams, normals: [f64; 4]) -> SubnetParams {
        let days = (today - i64::from(self.last_day)).max(0) as f64;
        let mut level = self.level;
        level.advance(&flow.volatility, days);
        let [fast, slow, scale] = correlated(level.mean, level.covariance, [normals[0], normals[1], normals[2]]);
        SubnetParams {
            netuid: self.id.netuid,
            scale: Some(flow.scale_median * math::exp(scale)),
            loading: Some((self.loading.value + self.loading.error * normals[3]).clamp(-LOADING_MAX, LOADING_MAX)),
            drift_per_day: None,
            log_volatility: Some([fast, slow]),
            sector: None,
        }
    }
}

/// Normals with that mean and covariance, from standard ones: by its Cholesky factor, directions without variance left out.
fn correlated(mean: [f64; 3], covariance: [[f64; 3]; 3], normals: [f64; 3]) -> [f64; 3] {
    let mut factor = [[0.0; 3]; 3];
    for i in 0..3 {
        for j in 0..=i {
            let rest = covariance[i][j] - (0..j).map(|k| factor[i][k] * factor[j][k]).sum::<f64>();
            factor[i][j] = match i == j {
                true => rest.max(0.0).sqrt(),
                false if factor[j][j] > 0.0 => rest / factor[j][j],
                false => 0.0,
            };
        }
    }
    std::array::from_fn(|i| mean[i] + (0..=i).map(|k| factor[i][k] * normals[k]).sum::<f64>())
}

/// Scales the fractions of emission that are sold to what flows show: where more is minted against the pool, more flows out.
///
/// Flows without chain buys are regressed, less the mean of their day, on the sales expected of them; the error counts rows of a
/// subnet as one. The factor is shrunk towards 1.
fn scale_sales(sales: &mut SaleParams, flows: &OrganicFlows) {
    let rows = flows.panel.rows.iter().zip(&flows.known);
    let pairs: Vec<(u32, u32, [f64; 2])> = rows
        .map(|(row, known)| {
            let expected = known.sales + known.root;
            (row.day, row.subnet, [expected, (row.flow + expected).clamp(-FLOW_CLIP, FLOW_CLIP)])
        })
        .collect();
    let mut days: BTreeMap<u32, ([f64; 2], f64)> = BTreeMap::new();
    for (day, _, [x, y]) in &pairs {
        let (sums, count) = days.entry(*day).or_default();
        (sums[0], sums[1], *count) = (sums[0] + x, sums[1] + y, *count + 1.0);
    }
    let centred: Vec<(u32, f64, f64)> = pairs
        .iter()
        .map(|(day, subnet, [x, y])| {
            let (sums, count) = days[day];
            (*subnet, x - sums[0] / count, y - sums[1] / count)
        })
        .collect();
    let squares: f64 = centred.iter().map(|(_, x, _)| x * x).sum();
    if !(squares > 0.0) {
        return;
    }
    let slope = centred.iter().map(|(_, x, y)| x * y).sum::<f64>() / squares;
    let by_subnet = centred.chunk_by(|a, b| a.0 == b.0);
    let scores = by_subnet.map(|rows| rows.iter().map(|(_, x, y)| x * (y - slope * x)).sum::<f64>());
    let error = scores.map(|score| score * score).sum::<f64>().sqrt() / squares;
    let factor = Noisy { value: slope, error }.shrunk(1.0, SALES_FACTOR_SD).value.clamp(0.0, SALES_FACTOR_MAX);
    for fraction in [&mut sales.owner, &mut sales.miner, &mut sales.validator, &mut sales.root_swap_fraction] {
        *fraction = (*fraction * factor).min(1.0);
    }
}

/// The mean flow under the kind of emission in force, else under the latest that was, shrunk towards 0.
fn shrunk_drift(flows: &OrganicFlows, block: u64) -> Noisy {
    let drifts = drift::drifts(flows);
    let kind = EmissionKind::at_block(block);
    match drifts.iter().find(|drift| drift.kind == kind).or(drifts.last()) {
        Some(seen) => Noisy { value: seen.per_day, error: seen.standard_error }.shrunk(0.0, DRIFT_SD),
        None => Noisy { value: 0.0, error: DRIFT_SD },
    }
}

/// The law of registrations; where they are too few, a slot is worth what was paid lately.
fn set_registrations(model: &mut ModelParams, known: &History, block: u64) {
    let record = RegistrationRecord::new(&known.registrations, block);
    if let Some(law) = record.and_then(|record| registration::fit_registrations(&record, &model.registration)) {
        set_all(
            model,
            &law.found.law.parameters.iter().map(|found| &*found.key).zip(law.found.values).collect::<Vec<_>>(),
        );
        return;
    }
    let paid = known.registrations.iter().rev().filter_map(|seen| seen.lock_cost_tao);
    let logs: Vec<f64> = paid.take(RECENT_COSTS).map(f64::ln).collect();
    if !logs.is_empty() {
        let worth = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
        (model.registration.willingness_median_tao, model.registration.willingness_start_tao) = (worth, worth);
    }
}

/// The law of starts, and the chance that those who have not started yet never do: by that law, but no more than given, since
/// owners start late to keep their slots.
fn set_entrants(model: &mut ModelParams, known: &History, chain: &ChainState) {
    if let Some(found) = entrants::fit_entrants(&entrants::start_delays(known), &model.entrants) {
        set_all(model, &found.law.parameters.iter().map(|found| &*found.key).zip(found.values).collect::<Vec<_>>());
    }
    let law = &model.entrants;
    let waiting = chain.subnets.iter().filter(|subnet| !subnet.is_started());
    let never: Vec<f64> = waiting
        .map(|subnet| {
            let days = (chain.block - subnet.registered_at) as f64 / BLOCKS_PER_DAY as f64;
            let late = (1.0 - law.never_start_probability) * math::exp(-days / law.start_delay_mean_days);
            law.never_start_probability / (law.never_start_probability + late)
        })
        .collect();
    if !never.is_empty() {
        let mean = never.iter().sum::<f64>() / never.len() as f64;
        model.entrants.never_start_probability_incumbent = mean.min(law.never_start_probability_incumbent);
    }
}

fn set_all(model: &mut ModelParams, found: &[(&str, f64)]) {
    for (key, value) in found {
        Parameter::named(key).expect("estimators know the keys of parameters").set(model, *value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::organic::KnownFlows;
    use crate::calibration::panel::FlowRow;

    /// Flows of ten subnets whose sales are half of what was expected.
    #[test]
    fn sales_are_scaled_to_what_flows_show() {
        let mut flows = OrganicFlows::default();
        for subnet in 0..10 {
            for day in 0..50 {
                let expected = -0.001 * f64::from(subnet + 1);
                let noise = 1e-4 * f64::from((day * 7 + subnet * 3) % 11 - 5) + 1e-3 * f64::from(day % 3);
                let known = KnownFlows { sales: 0.75 * expected, root: 0.25 * expected, ..KnownFlows::default() };
                flows.known.push(known);
                let flow = 0.5 * expected + noise - expected;
                let (subnet, day) = (subnet as u32, day as u32);
                flows.panel.rows.push(FlowRow {
                    subnet,
                    day,
                    days: 1.0,
                    reserve_tao: 1e3,
                    age_days: 1e2,
                    flow,
                    known: expected,
                });
            }
        }
        let mut sales =
            SaleParams { owner: 0.1, miner: 0.2, validator: 0.05, root_swap_fraction: 0.5, root_claim_delay_days: 2.0 };
        scale_sales(&mut sales, &flows);
        assert!((sales.miner - 0.1).abs() < 0.002 && (sales.root_swap_fraction - 0.25).abs() < 0.005, "{sales:?}");
        let before = sales.clone();
        scale_sales(&mut sales, &OrganicFlows::default());
        assert_eq!(sales, before);
    }

    #[test]
    fn normals_get_their_covariance() {
        let covariance = [[4.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 0.0]];
        let draw = |normals| correlated([1.0, 2.0, 3.0], covariance, normals);
        assert_eq!(draw([0.0, 0.0, 5.0]), [1.0, 2.0, 3.0]);
        // Factor (2, 0), (1, 1).
        assert_eq!(draw([1.0, 0.0, 0.0]), [3.0, 3.0, 3.0]);
        assert_eq!(draw([0.0, 1.0, 0.0]), [1.0, 3.0, 3.0]);
    }
}
