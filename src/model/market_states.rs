//! Market states: a continuous-time Markov chain that every path follows by itself, and what a state does to chance (MODEL 4.4).
//!
//! The state of a step is that of its opening; it stays to the step's end. From opening to opening it moves by the exact law of
//! the chain over a step, so that states at common times do not depend on the step in law.
//!
//! A state multiplies the volatility of flows, after its cap, and of TAO/USD, and the intensities of jumps: of single subnets, of
//! all, of TAO/USD. Means stay: jumps are compensated by their intensity in the state.
//!
//! # Not modelled
//! - Drifts, registrations, sales of emission and clusters by state.
//! - Changes within a step: with states that last weeks, half a step of delay in the mean.

use crate::model::kernel::FlowStep;
use crate::model::outside::OutsideStep;
use crate::model::params::MarketParams;
use crate::model::params::MarketState;
use crate::model::params::ModelParams;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// The chain over one step length, and the constants of chance in each state.
#[derive(Clone, Debug)]
pub struct MarketStep {
    /// State in which every path starts.
    pub start: usize,
    /// Of flows, by state.
    pub flows: Vec<FlowStep>,
    /// Of shared processes, by state.
    pub outside: Vec<OutsideStep>,
    /// Row `i`: probabilities, summed up, of the states one drawn step after state `i`.
    cumulative: Vec<Vec<f64>>,
    draws: u32,
}

impl MarketStep {
    /// Constants for steps of `blocks` blocks, with the chance of `draws` shorter steps.
    pub fn new(market: &MarketParams, model: &ModelParams, blocks: u64, draws: u32) -> Self {
        let in_state = |state: &MarketState| scaled(model, state);
        let flow_of = |state: &MarketState| {
            FlowStep::coupled(&in_state(state).flow, blocks, draws).with_volatility_scaled(state.volatility_scale)
        };
        let days = blocks as f64 / BLOCKS_PER_DAY as f64 / f64::from(draws);
        Self {
            start: market.start,
            flows: market.states.iter().map(flow_of).collect(),
            outside: market.states.iter().map(|state| OutsideStep::coupled(&in_state(state), blocks, draws)).collect(),
            cumulative: transition_probabilities(&market.states, days).iter().map(|row| summed_up(row)).collect(),
            draws,
        }
    }

    /// The state that opens the step after `step`, which opened in `state`.
    #[inline(always)]
    pub fn draw_next(&self, seed: u64, path: u32, step: u32, mut state: usize) -> usize {
        for step in step * self.draws..(step + 1) * self.draws {
            let address = Address { path, step, slot: 0, purpose: Purpose::MarketState, index: 0 };
            let uniform = rng::open_unit(rng::words(seed, address)[0]);
            let row = &self.cumulative[state];
            let mut next = 0;
            while next + 1 < row.len() && uniform >= row[next] {
                next += 1;
            }
            state = next;
        }
        state
    }
}

/// The model's parameters in a market state, but for the volatility of flows.
fn scaled(model: &ModelParams, state: &MarketState) -> ModelParams {
    let mut scaled = model.clone();
    scaled.flow.jumps.rate_per_day *= state.jump_scale;
    scaled.flow.common_jump.rate_per_day *= state.jump_scale;
    scaled.tao_usd.jump_rate_per_day *= state.jump_scale;
    scaled.tao_usd.volatility_per_sqrt_day *= state.volatility_scale;
    scaled
}

/// Probabilities of each state `days` after each, by uniformisation: sums of positive terms, without cancellation.
///
/// ```text
/// P = e^(-q t) sum_n (q t)^n / n! (1 + Q/q)^n     Q_ij = p_ij / mean_i, Q_ii = -1 / mean_i     q = max 1 / mean_i
/// ```
pub fn transition_probabilities(states: &[MarketState], days: f64) -> Vec<Vec<f64>> {
    let leaves = |state: &MarketState| 1.0 / state.mean_days;
    let rate = states.iter().map(leaves).fold(0.0, f64::max);
    let jump = |i: usize, j: usize| {
        let part = leaves(&states[i]) / rate;
        if i == j { 1.0 - part } else { part * states[i].next_probability[j] }
    };
    let mean = rate * days;
    let terms = (mean + 10.0 * mean.sqrt() + 40.0) as u32;
    let size = states.len();
    let mut power: Vec<Vec<f64>> =
        (0..size).map(|i| (0..size).map(|j| if i == j { 1.0 } else { 0.0 }).collect()).collect();
    let mut sum = vec![vec![0.0; size]; size];
    let mut log_weight = -mean;
    for n in 1..=terms {
        let weight = math::exp(log_weight);
        for (sums, row) in sum.iter_mut().zip(&mut power) {
            for (sum, entry) in sums.iter_mut().zip(&*row) {
                *sum += weight * entry;
            }
            *row = (0..size).map(|j| (0..size).map(|i| row[i] * jump(i, j)).sum()).collect();
        }
        log_weight += math::ln(mean / f64::from(n));
    }
    sum
}

fn summed_up(row: &[f64]) -> Vec<f64> {
    row.iter()
        .scan(0.0, |sum, part| {
            *sum += part;
            Some(*sum)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states() -> Vec<MarketState> {
        let state = |name: &str, mean_days, next_probability| MarketState {
            name: name.to_owned(),
            volatility_scale: 1.0,
            jump_scale: 1.0,
            mean_days,
            next_probability,
        };
        vec![
            state("calm", 60.0, vec![0.0, 0.5, 0.5]),
            state("boom", 20.0, vec![0.7, 0.0, 0.3]),
            state("stress", 15.0, vec![0.9, 0.1, 0.0]),
        ]
    }

    #[test]
    fn two_states_have_their_known_law() {
        let mut states = states();
        states.truncate(2);
        (states[0].next_probability, states[1].next_probability) = (vec![0.0, 1.0], vec![1.0, 0.0]);
        for days in [1e-4, 1.0, 17.0, 900.0] {
            let (up, down) = (1.0 / 60.0, 1.0 / 20.0);
            // P_00 = (down + up e^(-(up + down) t)) / (up + down).
            let stays = (down + up * f64::exp(-(up + down) * days)) / (up + down);
            let found = transition_probabilities(&states, days);
            assert!((found[0][0] - stays).abs() < 1e-14 && (found[0][1] - (1.0 - stays)).abs() < 1e-14, "{days}");
        }
    }

    #[test]
    fn steps_compose_to_longer_steps() {
        let (day, part) = (transition_probabilities(&states(), 1.0), transition_probabilities(&states(), 0.25));
        let product = |a: &[Vec<f64>], b: &[Vec<f64>]| -> Vec<Vec<f64>> {
            (0..3).map(|i| (0..3).map(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()).collect()).collect()
        };
        let half = product(&part, &part);
        let whole = product(&half, &half);
        for (found, expected) in whole.iter().flatten().zip(day.iter().flatten()) {
            assert!((found - expected).abs() < 1e-14, "{found}, not {expected}");
        }
        assert!(day.iter().all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-14));
        // In a day a state is left at its rate, and hardly more than once.
        assert!((day[2][0] - 0.9 / 15.0).abs() < 0.003 && (day[1][2] - 0.3 / 20.0).abs() < 0.001);
    }
}
