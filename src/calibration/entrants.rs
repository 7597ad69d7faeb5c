//! When entrants start, from when their pools were first seen alive.
//!
//! An entrant never starts with probability `p`, else after an exponential delay, but not before the chain's start delay
//! `D` is over. It is seen between two observations, or not until the record ends:
//!
//! ```text
//! F(t) = (1 - p) (1 - e^(-t / mean))   for t >= D, else 0        likelihood F(hi) - F(lo), or 1 - F(end)
//! ```
//!
//! Not modelled: withholding and the delay of root's enabling, which a history of pools does not show; they stay as they are.

use crate::calibration::history::History;
use crate::calibration::history::Observation;
use crate::calibration::likelihood;
use crate::calibration::likelihood::Found;
use crate::calibration::likelihood::Unknown;
use crate::model::params::EntrantParams;
use crate::model::uncertainty::Scale;
use crate::protocol::upgrades;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Entrants that a fit needs.
pub const ENTRANTS_MIN: usize = 3;
/// Longest time from a registration to the first observation with which a start is known (days).
const FIRST_SEEN_DAYS: f64 = 2.0;
/// Prior standard deviation of the log delay and of the logit.
const PRIOR_SD: f64 = 1.0;

/// When one entrant started (days after its registration).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StartDelay {
    /// It had not at this time.
    pub after: f64,
    /// It had at this time; `None`: never seen started.
    pub until: Option<f64>,
    /// The chain's delay of a start.
    pub allowed_from: f64,
}

/// Start delays of the subnets that came since deregistrations began.
pub fn start_delays(history: &History) -> Vec<StartDelay> {
    let opened = upgrades::LAUNCH.registration_start_block;
    let subnets = history.observations.chunk_by(|a, b| a.subnet == b.subnet);
    subnets.filter(|seen| seen[0].subnet.registered_at >= opened).filter_map(start_delay).collect()
}

fn start_delay(seen: &[Observation]) -> Option<StartDelay> {
    let registered_at = seen[0].subnet.registered_at;
    let days = |seen: &Observation| (seen.block - registered_at) as f64 / BLOCKS_PER_DAY as f64;
    let started = seen.iter().position(|seen| !seen.is_startup);
    let before = started.unwrap_or(seen.len()).checked_sub(1);
    let allowed_from = upgrades::params_at_block(registered_at).start_call_delay_blocks as f64 / BLOCKS_PER_DAY as f64;
    (days(&seen[0]) <= FIRST_SEEN_DAYS).then(|| StartDelay {
        after: before.map_or(0.0, |before| days(&seen[before])),
        until: started.map(|started| days(&seen[started])),
        allowed_from,
    })
}

/// Fits mean delay and the chance of never starting; `None` where entrants are too few.
pub fn fit_entrants(delays: &[StartDelay], prior: &EntrantParams) -> Option<Found> {
    if delays.len() < ENTRANTS_MIN {
        return None;
    }
    let unknowns = [
        Unknown {
            key: "entrants.never_start_probability",
            scale: Scale::Logit,
            prior: prior.never_start_probability,
            prior_sd: PRIOR_SD,
        },
        Unknown {
            key: "entrants.start_delay_mean_days",
            scale: Scale::Log,
            prior: prior.start_delay_mean_days,
            prior_sd: PRIOR_SD,
        },
    ];
    likelihood::find(&unknowns, |values| {
        delays.iter().map(|delay| math::ln(delay.probability(values[0], values[1]))).sum()
    })
}

impl StartDelay {
    fn probability(&self, never: f64, mean_days: f64) -> f64 {
        let started = |days: f64| {
            if days >= self.allowed_from { (1.0 - never) * -math::exp_m1(-days / mean_days) } else { 0.0 }
        };
        match self.until {
            // A start that is seen before the chain allows it is one of the edge.
            Some(until) => started(until.max(self.allowed_from)) - started(self.after),
            None => 1.0 - started(self.after),
        }
    }
}
