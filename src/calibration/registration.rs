//! Registrations by survival likelihood: what a slot is worth to entrants, hidden behind what the lock cost let pass.
//!
//! Between registrations the lock cost falls on a line; an attempt comes with hazard `lambda0 (W / cost)^eta`, where `ln W`
//! is mean-reverting and not seen. Over a day `W` stands still, as in the simulation, so the likelihood is that of an exact
//! filter on a grid of `ln W`:
//!
//! ```text
//! forward: p(x) <- p(x) exp(-H e^(eta x))     H = lambda0 integral (W_median / cost)^eta dt   over a piece of a day
//! event:   p(x) <- p(x) (1 - exp(-h e^(eta x)))      h = lambda0 (W_median / cost)^eta   over the block of the registration
//! day:     p(x') <- sum_x p(x) N(x'; rho x, (1 - rho^2) sd^2)
//! ```
//!
//! The event has the probability of its block, as on the chain, not the density of its time: that has no bound where a
//! registration comes in the first block that the rate limit allows, and a search would end there.
//!
//! The interval in which the cost falls is that in force when the next registration paid: root changed it between two, and
//! only the costs paid tell when.
//!
//! `lambda0` and `W` are not told apart: `lambda0` is the prior's. Costs that were not observed follow from the last by the
//! chain's rule at the block of the registration. The first registration opens the record and has no likelihood.
//!
//! # Not modelled
//! - Attempts that fail for want of a subnet that may be pruned.

use crate::calibration::history::Registration;
use crate::calibration::likelihood;
use crate::calibration::likelihood::Found;
use crate::calibration::likelihood::Unknown;
use crate::model::params::RegistrationParams;
use crate::model::registration::CostLine;
use crate::model::registration::RegistrationHazard;
use crate::model::uncertainty::Scale;
use crate::model::uncertainty::UncertainParameter;
use crate::protocol::params::ProtocolParams;
use crate::protocol::registration;
use crate::protocol::upgrades;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Registrations that a fit needs.
pub const REGISTRATIONS_MIN: usize = 5;
/// Points of the grid of `ln W`, and where it ends (stationary standard deviations).
const POINTS: usize = 161;
const GRID_END: f64 = 4.5;
/// Width of a day's step that is followed (its standard deviations).
const BAND: f64 = 6.0;
/// Prior standard deviation of the logs.
const LOG_PRIOR_SD: f64 = 1.0;

/// Part of a day between two things that happen.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    cost: CostLine,
    /// Length (blocks) with a hazard: 0 inside the rate limit.
    blocks: f64,
    /// Whether it ends with a registration, and what it cost (TAO).
    registered_at_tao: Option<f64>,
    /// Whether it is the last of its day.
    ends_day: bool,
}

/// The record of a market for slots, from its first registration on.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistrationRecord {
    pieces: Vec<Piece>,
    /// Registrations after the first.
    pub registrations: usize,
    /// Blocks from the first to the last and to the end of the record.
    pub blocks: [u64; 2],
}

impl RegistrationRecord {
    /// The record up to `until_block`, of registrations since deregistrations began; `None` where they are too few.
    pub fn new(registrations: &[Registration], until_block: u64) -> Option<Self> {
        let opened = upgrades::LAUNCH.registration_start_block;
        let came: Vec<&Registration> = registrations
            .iter()
            .filter(|seen| (opened..=until_block).contains(&seen.subnet.registered_at))
            .skip_while(|seen| seen.lock_cost_tao.is_none())
            .collect();
        if came.len() < REGISTRATIONS_MIN {
            return None;
        }
        let first = came[0].subnet.registered_at;
        let mut record =
            Self { pieces: Vec::new(), registrations: came.len() - 1, blocks: [0, until_block.saturating_sub(first)] };
        let mut last = LastLock { block: first, tao: came[0].lock_cost_tao? };
        for next in &came[1..] {
            let block = next.subnet.registered_at;
            let cost = next.lock_cost_tao.unwrap_or_else(|| last.cost_at(block));
            record.push_interval(first, &last, block, Some(cost));
            last = LastLock { block, tao: cost };
        }
        record.blocks[0] = last.block - first;
        record.push_interval(first, &last, until_block, None);
        Some(record)
    }

    /// Adds what lies between the last registration and `end`, cut where days end and rules change.
    fn push_interval(&mut self, first: u64, last: &LastLock, end: u64, registered_at_tao: Option<f64>) {
        let interval_blocks = upgrades::params_at_block(end).lock_reduction_interval_blocks;
        let mut from = last.block;
        while from < end {
            let day_end = from + BLOCKS_PER_DAY - (from - first) % BLOCKS_PER_DAY;
            let changes = upgrades::UPGRADES.iter().map(|upgrade| upgrade.block).chain([upgrades::HALVING_BLOCK]);
            let free = last.block + upgrades::params_at_block(from).registration_rate_limit_blocks;
            let cuts = changes.chain([day_end, free]).filter(|cut| *cut > from);
            let to = cuts.fold(end, u64::min);
            self.pieces.push(Piece {
                cost: last.line_from(from, interval_blocks),
                blocks: if from < free { 0.0 } else { (to - from) as f64 },
                registered_at_tao: registered_at_tao.filter(|_| to == end),
                ends_day: to == day_end,
            });
            from = to;
        }
    }
}

/// The last registration.
struct LastLock {
    block: u64,
    tao: f64,
}

impl LastLock {
    fn cost_at(&self, block: u64) -> f64 {
        let (rules, emission_tao) = (upgrades::params_at_block(block), upgrades::block_emission_tao(block));
        registration::lock_cost(&rules, self.tao, self.block, block, emission_tao)
    }

    /// The cost from `block` on, where it falls by what was last paid in `interval_blocks` (at a block emission of 1 TAO).
    fn line_from(&self, block: u64, interval_blocks: u64) -> CostLine {
        let emission_tao = upgrades::block_emission_tao(block);
        let rules =
            ProtocolParams { lock_reduction_interval_blocks: interval_blocks, ..upgrades::params_at_block(block) };
        CostLine {
            start_tao: registration::lock_cost(&rules, self.tao, self.block, block, emission_tao),
            fall_per_block: self.tao / registration::lock_interval(&rules, emission_tao),
            floor_tao: rules.lock_cost_min_tao,
        }
    }
}

/// The law of registrations.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistrationLaw {
    /// Elasticity; median, spread and half-life of the willingness to pay; willingness at the end of the record.
    pub found: Found,
    /// Registrations after the first.
    pub registrations: usize,
}

/// Fits the law of registrations to a record.
pub fn fit_registrations(record: &RegistrationRecord, prior: &RegistrationParams) -> Option<RegistrationLaw> {
    let unknown = |key, prior| Unknown { key, scale: Scale::Log, prior, prior_sd: LOG_PRIOR_SD };
    let unknowns = [
        unknown("registration.elasticity", prior.elasticity),
        unknown("registration.willingness_median_tao", prior.willingness_median_tao),
        unknown("registration.willingness_sd_log", prior.willingness_sd_log),
        unknown("registration.willingness_half_life_days", prior.willingness_half_life_days),
    ];
    let hazard = prior.hazard_per_day;
    let mut found = likelihood::find(&unknowns, |values| filter(record, &params_of(hazard, values)).log_likelihood)?;
    widen_median(&mut found, record);
    push_start(&mut found, hazard, record);
    Some(RegistrationLaw { found, registrations: record.registrations })
}

/// The error of the median is that of the mean of a process which reverts slowly: its variance goes with `sd^2` and the half-life,
/// themselves hardly known, so that the one at their estimates is too small on average. It is replaced by its mean over their law:
///
/// ```text
/// V = 2 sd^2 (tau / T) (1 - (tau / T) (1 - e^(-T / tau)))     tau = half-life / ln 2    T: length of the record
/// var += V (exp(Var(2 ln sd + ln half-life) / 2) - 1)
/// ```
///
/// The widening matters: without it 82 % of 95 % intervals hold the median (`OUTSIDE.md`).
fn widen_median(found: &mut Found, record: &RegistrationRecord) {
    let (sd, half_life) = (found.values[2], found.values[3]);
    let ratio = half_life / std::f64::consts::LN_2 / (record.blocks[1] as f64 / BLOCKS_PER_DAY as f64);
    let of_mean = 2.0 * sd * sd * ratio * (1.0 + ratio * math::exp_m1(-1.0 / ratio));
    let [sd_error, life_error] = [2, 3].map(|index| found.law.parameters[index].standard_error);
    let correlation = found.law.correlation[2][3];
    let variance = 4.0 * sd_error * sd_error + life_error * life_error + 4.0 * correlation * sd_error * life_error;
    let error = &mut found.law.parameters[1].standard_error;
    *error = (*error * *error + of_mean * math::exp_m1(0.5 * variance)).sqrt();
}

/// Adds the willingness at the end of the record, with the filter's own error.
fn push_start(found: &mut Found, hazard: f64, record: &RegistrationRecord) {
    let params = params_of(hazard, &found.values);
    let end = filter(record, &params);
    found.values.push(params.willingness_median_tao * math::exp(end.log_mean));
    let size = found.law.parameters.len();
    found.law.parameters.push(UncertainParameter {
        key: "registration.willingness_start_tao".to_owned(),
        scale: Scale::Log,
        standard_error: end.log_sd,
    });
    found.law.correlation.iter_mut().for_each(|row| row.push(0.0));
    found.law.correlation.push((0..=size).map(|j| if j == size { 1.0 } else { 0.0 }).collect());
}

fn params_of(hazard_per_day: f64, values: &[f64]) -> RegistrationParams {
    RegistrationParams {
        hazard_per_day,
        elasticity: values[0],
        willingness_median_tao: values[1],
        willingness_sd_log: values[2],
        willingness_half_life_days: values[3],
        willingness_start_tao: values[1],
    }
}

/// What the filter says.
struct Filtered {
    log_likelihood: f64,
    /// Mean and standard deviation of `ln (W / W_median)` at the end.
    log_mean: f64,
    log_sd: f64,
}

fn filter(record: &RegistrationRecord, params: &RegistrationParams) -> Filtered {
    let grid = Grid::new(params);
    let hazard = RegistrationHazard::new(params, params.willingness_median_tao);
    let mut law = grid.stationary.clone();
    let mut log_likelihood = 0.0;
    for piece in &record.pieces {
        let event = piece.registered_at_tao.map(|cost_tao| block_hazard(params, cost_tao));
        // The hazard of the event's block is the event's.
        let spent = (-hazard.run(0.0, &piece.cost, piece.blocks).remaining - event.unwrap_or(0.0)).max(0.0);
        // The survival that all points share is taken out first, so that none is lost where it is small.
        let least = grid.powers[0];
        log_likelihood -= spent * least;
        for (weight, power) in law.iter_mut().zip(&grid.powers) {
            *weight *= math::exp(-spent * (power - least));
        }
        if let Some(event) = event {
            law.iter_mut().zip(&grid.powers).for_each(|(weight, power)| *weight *= -math::exp_m1(-event * power));
        }
        if piece.ends_day {
            law = grid.after_day(&law);
        }
        let total: f64 = law.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            return Filtered { log_likelihood: f64::NEG_INFINITY, log_mean: 0.0, log_sd: 0.0 };
        }
        log_likelihood += math::ln(total);
        law.iter_mut().for_each(|weight| *weight /= total);
    }
    let mean = |power: i32| law.iter().zip(&grid.logs).map(|(weight, log)| weight * log.powi(power)).sum::<f64>();
    Filtered { log_likelihood, log_mean: mean(1), log_sd: (mean(2) - mean(1) * mean(1)).max(0.0).sqrt() }
}

/// Hazard in a block at that cost, of a willingness at its median.
fn block_hazard(params: &RegistrationParams, cost_tao: f64) -> f64 {
    let ratio = params.willingness_median_tao / cost_tao;
    params.hazard_per_day * math::pow(ratio, params.elasticity) / BLOCKS_PER_DAY as f64
}

/// Points of `ln (W / W_median)` and how the law moves over them in a day.
struct Grid {
    logs: Vec<f64>,
    /// `(W / W_median)^eta`.
    powers: Vec<f64>,
    stationary: Vec<f64>,
    /// From each point: first point that is reached, and the weights of it and those after.
    steps: Vec<(usize, Vec<f64>)>,
}

impl Grid {
    fn new(params: &RegistrationParams) -> Self {
        let spacing = 2.0 * GRID_END / (POINTS - 1) as f64;
        let point = |i: usize| spacing * i as f64 - GRID_END;
        let persistence = math::exp(-std::f64::consts::LN_2 / params.willingness_half_life_days);
        let innovation = (1.0 - persistence * persistence).sqrt();
        let normed = |weights: Vec<f64>| {
            let total: f64 = weights.iter().sum();
            weights.into_iter().map(|weight| weight / total).collect::<Vec<f64>>()
        };
        let step = |i: usize| {
            let mean = persistence * point(i);
            // At least the neighbours: a step may be narrower than the grid.
            let reach = (BAND * innovation).max(spacing);
            let place = |x: f64| ((x + GRID_END) / spacing).clamp(0.0, (POINTS - 1) as f64);
            let (first, last) = (place(mean - reach).floor() as usize, place(mean + reach).ceil() as usize);
            let weight = |j: usize| math::exp(-0.5 * ((point(j) - mean) / innovation.max(0.5 * spacing)).powi(2));
            (first, normed((first..=last).map(weight).collect()))
        };
        let logs: Vec<f64> = (0..POINTS).map(|i| params.willingness_sd_log * point(i)).collect();
        Self {
            powers: logs.iter().map(|log| math::exp(params.elasticity * log)).collect(),
            stationary: normed((0..POINTS).map(|i| math::exp(-0.5 * point(i) * point(i))).collect()),
            steps: (0..POINTS).map(step).collect(),
            logs,
        }
    }

    fn after_day(&self, law: &[f64]) -> Vec<f64> {
        let mut next = vec![0.0; POINTS];
        for (weight, (first, reached)) in law.iter().zip(&self.steps) {
            next[*first..].iter_mut().zip(reached).for_each(|(next, part)| *next += weight * part);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NetUid;
    use crate::units::SubnetId;

    fn came(block: u64, lock_cost_tao: Option<f64>) -> Registration {
        let subnet = SubnetId { netuid: NetUid(1), registered_at: block };
        Registration { subnet, lock_cost_tao, replaced_registered_at: None }
    }

    fn record() -> RegistrationRecord {
        // Under today's rules: a rate limit of two days, and eight days from twice the last cost to the last.
        let first = 9_000_000;
        let came = [Some(500.0), Some(480.0), None, Some(400.0), Some(390.0)];
        let came: Vec<Registration> =
            came.into_iter().enumerate().map(|(i, cost)| self::came(first + 60_000 * i as u64, cost)).collect();
        RegistrationRecord::new(&came, first + 250_000).expect("enough registrations")
    }

    #[test]
    fn pieces_cover_the_record_outside_the_rate_limit() {
        let record = record();
        assert_eq!((record.registrations, record.blocks), (4, [240_000, 250_000]));
        let exposed: f64 = record.pieces.iter().map(|piece| piece.blocks).sum();
        // The last interval of 10,000 blocks lies within the limit.
        assert_eq!(exposed, 4.0 * (60_000.0 - 14_400.0));
        assert_eq!(record.pieces.iter().filter(|piece| piece.ends_day).count(), 250_000 / 7_200);
        let costs: Vec<f64> = record.pieces.iter().filter_map(|piece| piece.registered_at_tao).collect();
        // The unknown cost by the rule: 480 (2 - 60000 / 57600).
        assert!(costs.iter().zip([480.0, 460.0, 400.0, 390.0]).all(|(cost, expected)| (cost - expected).abs() < 1e-9));
        assert_eq!(costs.len(), 4);
    }

    #[test]
    fn a_constant_willingness_has_the_likelihood_of_its_hazard() {
        let record = record();
        let params = params_of(0.25, &[3.0, 600.0, 1e-9, 50.0]);
        let by_hand: f64 = record
            .pieces
            .iter()
            .map(|piece| {
                let parts = 1_000;
                let width = piece.blocks / f64::from(parts);
                let rate = |cost: f64| 0.25 * (600.0 / cost).powi(3);
                let hazard: f64 = (0..parts).map(|i| rate(piece.cost.cost_after((f64::from(i) + 0.5) * width))).sum();
                let event = piece.registered_at_tao.map(|cost| rate(cost) / 7_200.0);
                event.map_or(0.0, |event| (1.0 - (-event).exp()).ln() + event) - hazard * width / 7_200.0
            })
            .sum();
        let found = filter(&record, &params).log_likelihood;
        assert!((found - by_hand).abs() < 1e-5, "{found} {by_hand}");
    }

    #[test]
    fn no_event_has_more_than_the_probability_of_its_block() {
        // Each comes in the first block that the rate limit allows: the density of its time has no bound.
        let came: Vec<Registration> = (0..6).map(|i| came(9_000_000 + 14_400 * i, Some(500.0))).collect();
        let record = RegistrationRecord::new(&came, 9_080_000).unwrap();
        let eager = filter(&record, &params_of(0.25, &[15.0, 4e3, 9.0, 5.0])).log_likelihood;
        assert!(eager < 0.0 && eager.is_finite(), "{eager}");
    }

    #[test]
    fn the_filter_follows_what_was_paid() {
        let params = params_of(0.25, &[6.7, 600.0, 0.4, 100.0]);
        let [low, high] = [200.0, 1_800.0].map(|cost| {
            let came: Vec<Registration> = (0..6).map(|i| came(9_000_000 + 57_600 * i, Some(cost))).collect();
            filter(&RegistrationRecord::new(&came, 9_288_000).unwrap(), &params)
        });
        assert!(low.log_mean < -0.6 && high.log_mean > 0.6, "{} {}", low.log_mean, high.log_mean);
        assert!(high.log_sd > 0.05 && high.log_sd < 0.4);
    }

    #[test]
    fn few_registrations_make_no_record() {
        assert_eq!(RegistrationRecord::new(&[came(9_000_000, Some(1.0))], 9_100_000), None);
        let unknown: Vec<Registration> = (0..9).map(|i| came(9_000_000 + 57_600 * i, None)).collect();
        assert_eq!(RegistrationRecord::new(&unknown, 10_000_000), None);
    }
}
