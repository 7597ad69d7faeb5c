//! Fixed-effort splitting: the probability of a rare event as a product of probabilities to get from level to level.
//!
//! Each level starts `n` particles from states drawn evenly from those that reached the level before; `p` is the part that reaches
//! the next:
//!
//! ```text
//! P = p_1 p_2 ... p_m        unbiased: E(P) = product of the true ones, at any numbers of particles and levels
//! (se / P)^2 = sum (1 - p_k) / (n_k p_k)      where a particle's chance of success does not depend on its start
//! ```
//!
//! It does depend, so that the sum is too small: the error is taken from whole replications of the estimator, with draws of their
//! own, of which there are at least 16 ([`Estimate`] by their spread). An estimate in which no particle reached some level is 0 and
//! counts: leaving it out would bias the mean.
//! Source: Garvels (2000), The splitting method in rare event simulation, 2.3; L'Ecuyer, Demers, Tuffin (2007),
//! doi:10.1145/1225275.1225280.
//!
//! # Not modelled
//! - Choice of levels: they are the caller's; best where each is reached with a chance of some 1/e to 1/5 from the one before.
//!   [`crate::risk::rare`] finds those of a deregistration.

use crate::risk::estimate::Estimate;
use crate::risk::moments::Moments;

/// Fewest replications from which an error is taken.
pub const REPLICATIONS_MIN: u64 = 16;

/// A process whose way to a rare event is cut into levels.
///
/// A particle is named by `(replication, level, index)`: its draws are addressed by that and by its own steps, so that the same
/// particle has the same fate in any order of work.
pub trait Process {
    /// State of a particle.
    type State: Clone;

    /// Where all begin.
    fn start(&self) -> Self::State;

    /// Runs a particle from `state` until it reaches `level` (counted from 0), and returns its state there; `None` where it never does.
    fn advance(&mut self, particle: Particle, state: &Self::State) -> Option<Self::State>;

    /// Which of `states` states the particle starts from, evenly drawn.
    fn parent(&self, particle: Particle, states: usize) -> usize;
}

/// Name of a particle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Particle {
    /// Replication of the estimator.
    pub replication: u32,
    /// Level that it runs to.
    pub level: u32,
    /// Number at its level.
    pub index: u32,
}

/// Parts of the particles of one replication that reached each level; their product estimates the probability.
///
/// Levels after one that nobody reached are not run.
pub fn level_shares<P: Process>(process: &mut P, replication: u32, levels: u32, particles: u32) -> Vec<f64> {
    let mut starts = vec![process.start()];
    let mut shares = Vec::with_capacity(levels as usize);
    for level in 0..levels {
        let run = |index| {
            let particle = Particle { replication, level, index };
            let parent = process.parent(particle, starts.len());
            process.advance(particle, &starts[parent])
        };
        let reached: Vec<_> = (0..particles).filter_map(run).collect();
        shares.push(reached.len() as f64 / f64::from(particles));
        if reached.is_empty() {
            break;
        }
        starts = reached;
    }
    shares
}

/// Relative variance of a product of shares from `particles` each, were chances of success the same from every start.
pub fn relative_variance_min(shares: &[f64], particles: u32) -> f64 {
    shares.iter().map(|share| (1.0 - share) / (f64::from(particles) * share)).sum()
}

/// The probability from one product of shares per replication; `None` from fewer than [`REPLICATIONS_MIN`].
///
/// Products of shares are skewed, and more so the rarer the event: the interval is [`Estimate::skewed`]. Where no replication got
/// through, the value is 0, its error infinite and the interval all of 0 to 1.
pub fn probability(products: &[f64]) -> Option<Estimate> {
    let mut moments = Moments::default();
    products.iter().for_each(|product| moments.push(*product));
    let mean = moments.mean().filter(|mean| mean.samples >= REPLICATIONS_MIN)?;
    if mean.value == 0.0 {
        return Some(Estimate { standard_error: f64::INFINITY, ci_low: 0.0, ci_high: 1.0, ..mean });
    }
    let skewed = Estimate::skewed(mean.value, mean.standard_error, moments.shape(), mean.samples);
    Some(Estimate { ci_low: skewed.ci_low.max(0.0), ci_high: skewed.ci_high.min(1.0), ..skewed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;
    use crate::rng::Address;
    use crate::rng::Purpose;

    /// A walk up with chance `UP` and down else, from 1 to `TOP` before 0.
    struct Walk;
    const UP: f64 = 0.3;
    const TOP: u32 = 17;
    /// Levels at 2, 3, .. `TOP`.
    const LEVELS: u32 = TOP - 1;

    fn uniform(particle: Particle, step: u32) -> f64 {
        let Particle { replication, level, index } = particle;
        let address = Address { path: index, step, slot: level, purpose: Purpose::Design, index: replication as u16 };
        rng::open_unit(rng::words(13, address)[0])
    }

    impl Process for Walk {
        type State = u32;

        fn start(&self) -> u32 {
            1
        }

        fn advance(&mut self, particle: Particle, &state: &u32) -> Option<u32> {
            let (mut place, mut step) = (state, 0);
            while place > 0 && place < particle.level + 2 {
                step += 1;
                place = if uniform(particle, step) < UP { place + 1 } else { place - 1 };
            }
            (place > 0).then_some(place)
        }

        fn parent(&self, particle: Particle, states: usize) -> usize {
            (uniform(particle, 0) * states as f64) as usize
        }
    }

    /// Gambler's ruin: `(r - 1) / (r^top - 1)`, r = chance down over chance up.
    fn truth(top: u32) -> f64 {
        let ratio = (1.0 - UP) / UP;
        (ratio - 1.0) / (ratio.powi(top as i32) - 1.0)
    }

    #[test]
    fn one_in_a_million_of_a_walk() {
        let (exact, particles) = (truth(TOP), 400);
        assert!(exact < 1e-6, "{exact}");
        let shares: Vec<_> =
            (0..200).map(|replication| level_shares(&mut Walk, replication, LEVELS, particles)).collect();
        let products: Vec<f64> = shares.iter().map(|shares| shares.iter().product()).collect();
        let estimate = probability(&products).unwrap();
        assert!(((estimate.value - exact) / estimate.standard_error).abs() < 3.0, "{estimate:?} {exact}");
        assert!(estimate.ci_low > 0.0 && estimate.ci_high < 1.2 * exact, "{estimate:?}");
        // A walk forgets how it came to a level, so that the variance is the one of independent levels, to its own 10 %:
        // prod (1 + (1 - p) / (n p)) - 1.
        let chance = |level: u32| truth(level + 2) / if level == 0 { 1.0 } else { truth(level + 1) };
        let chances: Vec<f64> = (0..LEVELS).map(chance).collect();
        let variance = chances.iter().map(|p| 1.0 + (1.0 - p) / (f64::from(particles) * p)).product::<f64>() - 1.0;
        assert!((relative_variance_min(&chances, particles) / variance - 1.0).abs() < 0.1);
        let measured = (estimate.standard_error / estimate.value).powi(2) * 200.0;
        assert!((measured / variance - 1.0).abs() < 0.4, "{measured} {variance}");
    }

    #[test]
    fn what_never_happens_has_no_false_certainty() {
        let none = probability(&[0.0; 16]).unwrap();
        assert_eq!((none.value, none.standard_error, none.ci_high), (0.0, f64::INFINITY, 1.0));
        assert_eq!(probability(&[0.1; 15]), None);
        // One particle seldom gets up two steps; the levels after are not run, and the product is 0.
        let shares = level_shares(&mut Walk, 1, LEVELS, 1);
        assert!(shares.len() < LEVELS as usize && shares.last() == Some(&0.0), "{shares:?}");
    }

    #[test]
    fn coverage_of_its_interval() {
        // Of reaching 9 (1 in 2,000), each from 20 replications of 50 particles.
        let exact = truth(9);
        let covers = |round: u32| {
            let product = |r| level_shares(&mut Walk, 1000 + round * 20 + r, 8, 50).iter().product();
            let estimate = probability(&(0..20).map(product).collect::<Vec<f64>>()).unwrap();
            estimate.ci_low <= exact && exact <= estimate.ci_high
        };
        let covered = (0..500).filter(|round| covers(*round)).count();
        assert!((465..=485).contains(&covered), "{covered}");
    }
}
