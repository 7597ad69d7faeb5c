//! Entropic risk: the sure loss that an exponential utility holds as bad as the uncertain one.
//!
//! ```text
//! (1/theta) ln E e^(theta L),   theta = aversion / opening value
//! ```
//!
//! The aversion is then the relative one of a holder whose wealth is the book: 0 gives the mean loss, large ones approach the
//! worst. Losses of a book that owes nothing are bounded by its opening value, so the expectation exists.
//! Source: Foellmer, Schied (2016), Stochastic Finance, chapter 4.

use crate::risk::estimate::Estimate;
use crate::risk::moments::MomentLanes;
use crate::risk::moments::Moments;
use crate::simd::LANES;
use crate::simd::Vector;
use crate::simd::math;

/// Of one loss: moments of `e^(theta (L - peak))`, `peak` the largest loss so far, so that nothing overflows at any `theta`.
#[derive(Clone, Debug)]
pub struct EntropicRisk {
    theta: f64,
    peak: f64,
    terms: Moments,
}

/// Of eight losses side by side, as all are of the same paths.
#[derive(Clone, Debug)]
pub struct EntropicLanes {
    theta: [f64; LANES],
    peak: [f64; LANES],
    terms: MomentLanes,
}

impl EntropicLanes {
    /// Nothing yet; of each loss `theta >= 0`, per unit of it.
    pub fn new(theta: [f64; LANES]) -> Self {
        Self { theta, peak: [f64::NEG_INFINITY; LANES], terms: MomentLanes::default() }
    }

    /// Adds the losses of a path.
    #[inline(always)]
    pub fn push<V: Vector>(&mut self, loss: V) {
        let (theta, peak) = (V::load(&self.theta), V::load(&self.peak));
        let is_higher = loss.gt(peak);
        let mut highest = peak;
        if V::bitmask(is_higher) != 0 {
            highest = V::select(is_higher, loss, peak);
            let factor = math::exp(theta * (peak - highest));
            self.terms.scale(V::select(is_higher, factor, V::splat(1.0)));
            highest.store(&mut self.peak);
        }
        self.terms.push(math::exp(theta * (loss - highest)));
    }

    /// That of one loss.
    pub fn of(&self, lane: usize) -> EntropicRisk {
        EntropicRisk { theta: self.theta[lane], peak: self.peak[lane], terms: self.terms.of(lane) }
    }
}

impl EntropicRisk {
    /// The number with the delta method's error, `sd(e^(theta L)) / (theta E e^(theta L) sqrt(n))`; `None` without losses, or
    /// with an infinite `theta`: that of a book worth nothing.
    pub fn estimate(&self) -> Option<Estimate> {
        let mean = self.terms.mean().filter(|_| self.theta.is_finite())?;
        let value = self.peak + math::ln(mean.value) / self.theta;
        let standard_error = mean.standard_error / (self.theta * mean.value);
        Some(Estimate::skewed(value, standard_error, self.terms.shape(), mean.samples))
    }

    /// Influence of a loss on it, up to a constant.
    pub fn influence(&self, loss: f64) -> f64 {
        let mean = self.terms.mean().map_or(f64::NAN, |mean| mean.value);
        math::exp(self.theta * (loss - self.peak)) / (self.theta * mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd;
    use crate::simd::Backend;
    use crate::simd::Kernel;

    struct Push<'a>(&'a mut EntropicLanes, f64);

    impl Kernel for Push<'_> {
        type Output = ();

        #[inline(always)]
        fn run<V: Vector>(self) {
            self.0.push(V::splat(self.1));
        }
    }

    fn risk(theta: f64, losses: impl Iterator<Item = f64>) -> EntropicRisk {
        let mut risks = EntropicLanes::new([theta; LANES]);
        losses.for_each(|loss| simd::dispatch(Backend::detect(), Push(&mut risks, loss)));
        risks.of(3)
    }

    #[test]
    fn two_losses_by_hand() {
        let found = risk(0.5, [2.0, 6.0].into_iter()).estimate().unwrap();
        let (a, b) = (1.0_f64.exp(), 3.0_f64.exp());
        assert!((found.value - 2.0 * ((a + b) / 2.0).ln()).abs() < 1e-13, "{found:?}");
        // Sample variance (b - a)^2 / 2 of the terms, over n = 2.
        assert!((found.standard_error - (b - a) / (a + b) * 2.0).abs() < 1e-13, "{found:?}");
        assert_eq!(risk(1.0, [].into_iter()).estimate(), None);
        assert_eq!(risk(f64::INFINITY, [2.0, 6.0].into_iter()).estimate(), None);
    }

    #[test]
    fn neither_size_nor_order_of_losses_loses_digits() {
        let losses = || (0..1_000).map(|i| f64::from(i * 7_919 % 1_000));
        let [near, far] = [0.0, 1e6].map(|shift| risk(2.0, losses().map(|loss| loss + shift)).estimate().unwrap());
        // theta L up to 2e6: its exponential is no number.
        assert!((far.value - near.value - 1e6).abs() < 1e-8 && far.ci_high.is_finite(), "{far:?}");
        let mut sorted: Vec<f64> = losses().collect();
        sorted.sort_by(f64::total_cmp);
        let ascending = risk(2.0, sorted.into_iter()).estimate().unwrap();
        assert!((ascending.value - near.value).abs() < 1e-10);
        assert!((ascending.standard_error / near.standard_error - 1.0).abs() < 1e-10);
    }

    #[test]
    fn little_aversion_gives_the_mean_and_its_error() {
        let found = risk(1e-9, (0..100).map(f64::from)).estimate().unwrap();
        assert!((found.value - 49.5).abs() < 1e-4, "{found:?}");
        assert!((found.standard_error / (101.0 * 100.0 / 12.0 / 100.0_f64).sqrt() - 1.0).abs() < 1e-4, "{found:?}");
    }
}
