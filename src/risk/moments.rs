//! Mean and standard deviation of a stream, with their errors, in one pass.

use crate::risk::estimate::Estimate;
use crate::risk::estimate::Shape;
use crate::simd::LANES;
use crate::simd::Vector;

/// Central moments up to the fourth, updated one value at a time.
///
/// The result depends on the order of the values in its last bits, so values are pushed in path order.
/// Source: Pebay (2008), Sandia report SAND2008-6212, its merging formulas with one added value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    samples: u64,
    mean: f64,
    sum2: f64,
    sum3: f64,
    sum4: f64,
}

impl Moments {
    /// Adds one value.
    pub fn push(&mut self, value: f64) {
        let before = self.samples as f64;
        self.samples += 1;
        let n = self.samples as f64;
        let delta = value - self.mean;
        let step = delta / n;
        let term = delta * step * before;
        self.mean += step;
        self.sum4 +=
            term * step * step * (n * n - 3.0 * n + 3.0) + 6.0 * step * step * self.sum2 - 4.0 * step * self.sum3;
        self.sum3 += term * step * (n - 2.0) - 3.0 * step * self.sum2;
        self.sum2 += term;
    }

    /// Multiplies all values pushed so far by `factor`.
    pub fn scale(&mut self, factor: f64) {
        let square = factor * factor;
        self.mean *= factor;
        self.sum2 *= square;
        self.sum3 *= square * factor;
        self.sum4 *= square * square;
    }

    /// Skewness and kurtosis of the values; not numbers where they are all equal.
    pub fn shape(&self) -> Shape {
        let n = self.samples as f64;
        Shape::of_moments(self.sum2 / n, self.sum3 / n, self.sum4 / n)
    }

    /// Values pushed.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The mean; `None` without a value. One value alone has an infinite error.
    pub fn mean(&self) -> Option<Estimate> {
        let standard_error = (self.variance() / self.samples as f64).sqrt();
        (self.samples > 0).then(|| Estimate::normal(self.mean, standard_error, self.samples))
    }

    /// The standard deviation; `None` for fewer than two values.
    ///
    /// Its error is the delta method's: `var(s) = (m4 - s^4) / (4 n s^2)`, m4 the fourth central moment.
    pub fn standard_deviation(&self) -> Option<Estimate> {
        let n = self.samples as f64;
        let variance = self.variance();
        let spread = ((self.sum4 / n - variance * variance) / (4.0 * n * variance)).max(0.0).sqrt();
        let standard_error = if variance > 0.0 { spread } else { 0.0 };
        (self.samples > 1).then(|| Estimate::normal(variance.sqrt(), standard_error, self.samples))
    }

    /// Sample variance; infinite for fewer than two values.
    fn variance(&self) -> f64 {
        if self.samples > 1 { self.sum2 / (self.samples - 1) as f64 } else { f64::INFINITY }
    }
}

/// [`Moments`] of eight streams side by side, with the same bits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MomentLanes {
    samples: u64,
    mean: [f64; LANES],
    sum2: [f64; LANES],
    sum3: [f64; LANES],
    sum4: [f64; LANES],
}

impl MomentLanes {
    /// Adds a value to each stream: [`Moments::push`].
    #[inline(always)]
    pub fn push<V: Vector>(&mut self, value: V) {
        let before = self.samples as f64;
        self.samples += 1;
        let n = self.samples as f64;
        let (mean, sum2, sum3, sum4) =
            (V::load(&self.mean), V::load(&self.sum2), V::load(&self.sum3), V::load(&self.sum4));
        let delta = value - mean;
        let step = delta / V::splat(n);
        let term = delta * step * V::splat(before);
        let of_term = term * step * step * V::splat(n * n - 3.0 * n + 3.0);
        let change = of_term + V::splat(6.0) * step * step * sum2 - V::splat(4.0) * step * sum3;
        (mean + step).store(&mut self.mean);
        (sum4 + change).store(&mut self.sum4);
        (sum3 + (term * step * V::splat(n - 2.0) - V::splat(3.0) * step * sum2)).store(&mut self.sum3);
        (sum2 + term).store(&mut self.sum2);
    }

    /// Multiplies all values pushed so far by the factor of their stream: [`Moments::scale`].
    #[inline(always)]
    pub fn scale<V: Vector>(&mut self, factor: V) {
        let square = factor * factor;
        (V::load(&self.mean) * factor).store(&mut self.mean);
        (V::load(&self.sum2) * square).store(&mut self.sum2);
        (V::load(&self.sum3) * (square * factor)).store(&mut self.sum3);
        (V::load(&self.sum4) * (square * square)).store(&mut self.sum4);
    }

    /// Those of one stream.
    pub fn of(&self, lane: usize) -> Moments {
        let Self { samples, mean, sum2, sum3, sum4 } = self;
        Moments { samples: *samples, mean: mean[lane], sum2: sum2[lane], sum3: sum3[lane], sum4: sum4[lane] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd;
    use crate::simd::Backend;
    use crate::simd::Kernel;

    struct Push<'a>(&'a mut MomentLanes, &'a [[f64; LANES]]);

    impl Kernel for Push<'_> {
        type Output = ();

        #[inline(always)]
        fn run<V: Vector>(self) {
            self.1.iter().for_each(|values| self.0.push(V::load(values)));
            self.0.scale(V::splat(0.3));
        }
    }

    #[test]
    fn streams_side_by_side_have_the_bits_of_one() {
        let value = |i: usize, lane: usize| ((i * 7919 + lane * 31) % 997) as f64 * 0.37 - 100.0;
        let rows: Vec<[f64; LANES]> = (0..500).map(|i| std::array::from_fn(|lane| value(i, lane))).collect();
        for backend in Backend::ALL.into_iter().filter(|backend| backend.is_available()) {
            let mut lanes = MomentLanes::default();
            simd::dispatch(backend, Push(&mut lanes, &rows));
            for lane in 0..LANES {
                let mut one = moments(&rows.iter().map(|row| row[lane]).collect::<Vec<_>>());
                one.scale(0.3);
                assert_eq!(lanes.of(lane), one, "{backend}, {lane}");
            }
        }
    }

    fn moments(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        values.iter().for_each(|&value| moments.push(value));
        moments
    }

    #[test]
    fn equals_the_two_pass_definition() {
        // Large offset: a sum of squares would lose every digit of the variance.
        let values: Vec<f64> = (0..1000).map(|i| 1e8 + f64::from(i * i % 97) * 0.25).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let central = |power| values.iter().map(|v| (v - mean).powi(power)).sum::<f64>();
        let variance = central(2) / (n - 1.0);
        let built = moments(&values);
        assert!((built.mean - mean).abs() < 1e-7);
        assert!((built.variance() / variance - 1.0).abs() < 1e-9);
        assert!((built.sum4 / central(4) - 1.0).abs() < 1e-6);
        assert!((built.mean().unwrap().standard_error - (variance / n).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn scaled_values_and_their_shape() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i * i % 37)).collect();
        let mut scaled = moments(&values);
        scaled.scale(0.5);
        let halves = moments(&values.iter().map(|value| 0.5 * value).collect::<Vec<_>>());
        assert!((scaled.sum4 / halves.sum4 - 1.0).abs() < 1e-12 && (scaled.sum3 - halves.sum3).abs() < 1e-6);
        assert_eq!(scaled.mean(), halves.mean());
        // 0 and 1 with shares 3/4 and 1/4: third moment 3/32, fourth 21/256, variance 3/16.
        let shape = moments(&[0.0, 1.0, 0.0, 0.0]).shape();
        assert!((shape.skewness - 2.0 / 3.0_f64.sqrt()).abs() < 1e-12 && (shape.kurtosis - 7.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn few_values_have_no_false_certainty() {
        assert_eq!(moments(&[]).mean(), None);
        let one = moments(&[3.0]).mean().unwrap();
        assert_eq!((one.value, one.standard_error), (3.0, f64::INFINITY));
        assert_eq!(moments(&[3.0]).standard_deviation(), None);
        let same = moments(&[3.0; 5]);
        assert_eq!(same.standard_deviation().unwrap(), Estimate::exact(0.0, 5));
    }

    #[test]
    fn error_of_the_deviation_of_a_uniform_law() {
        // Uniform on (0, 1): m4 = 1/80, s^2 = 1/12, so se(s) = sqrt((1/80 - 1/144) * 3 / n).
        let n = 10_000;
        let values: Vec<f64> = (0..n).map(|i| (f64::from(i) + 0.5) / f64::from(n)).collect();
        let deviation = moments(&values).standard_deviation().unwrap();
        let truth = ((1.0 / 80.0 - 1.0 / 144.0) * 3.0 / f64::from(n)).sqrt();
        assert!((deviation.standard_error / truth - 1.0).abs() < 1e-3, "{deviation:?}");
    }
}
