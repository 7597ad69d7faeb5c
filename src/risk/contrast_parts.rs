//! Which parts of a book make the difference between two runs on the same chance: in the mean, and in the tail.
//!
//! A part's loss in the tail of a run is its component of expected shortfall ([`crate::risk::euler`]), so that over parts both the
//! means and the components add up to those of the book, and so do their differences. Errors are those of the differences of
//! influences path by path, as in [`crate::risk::paired`].

use crate::risk::estimate::Estimate;
use crate::risk::euler::TailPoint;
use crate::risk::paired::mean_difference;
use crate::risk::tail_rows::TailRows;

/// Losses of a book on the paths of a run, and of its parts.
#[derive(Clone, Debug, Default)]
pub struct PartLosses {
    /// Of the book, by path.
    pub losses: Vec<f64>,
    /// Of the parts, by path and part; they add up to the book's.
    pub parts: Vec<f64>,
}

/// What a part adds to the differences of its book, the second run less the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartContrast {
    /// To that of mean losses.
    pub mean: Estimate,
    /// To that of expected shortfalls.
    pub shortfall: Estimate,
}

impl PartLosses {
    fn width(&self) -> usize {
        self.parts.len() / self.losses.len()
    }

    fn of(&self, part: usize) -> Vec<f64> {
        self.parts.iter().skip(part).step_by(self.width()).copied().collect()
    }

    /// Components of expected shortfall of all parts.
    fn shortfalls(&self, confidence: f64) -> Vec<Component> {
        let (paths, width) = (self.losses.len(), self.width());
        let mut rows = TailRows::new(paths as u64, confidence, width);
        for (path, (&loss, parts)) in self.losses.iter().zip(self.parts.chunks_exact(width)).enumerate() {
            rows.push(path as u64, loss, |kept| kept.copy_from_slice(parts));
        }
        let rows = rows.into_sorted();
        let point = TailPoint::new(&rows, confidence).expect("at least one path");
        let of_part = |part: usize| {
            let (value, beyond) = point.shortfall_part(|parts| parts[part]);
            let mut influences = vec![0.0; paths];
            beyond.into_iter().for_each(|(path, influence)| influences[path as usize] = influence);
            Component { value, influences }
        };
        (0..width).map(of_part).collect()
    }
}

/// A part's component of expected shortfall.
struct Component {
    value: f64,
    /// What each path adds to it.
    influences: Vec<f64>,
}

/// What every part adds.
///
/// # Panics
/// With fewer than two paths, or where the two are not of the same paths and parts.
pub fn part_contrasts(base: &PartLosses, other: &PartLosses, confidence: f64) -> Vec<PartContrast> {
    assert!(base.losses.len() > 1 && base.losses.len() == other.losses.len(), "the same paths");
    assert_eq!(base.parts.len(), other.parts.len(), "the same parts");
    let samples = base.losses.len() as u64;
    let shortfalls = base.shortfalls(confidence).into_iter().zip(other.shortfalls(confidence));
    let contrast = |(part, (from, to)): (usize, (Component, Component))| {
        let error = mean_difference(&from.influences, &to.influences).standard_error;
        PartContrast {
            mean: mean_difference(&base.of(part), &other.of(part)),
            shortfall: Estimate::normal(to.value - from.value, error, samples),
        }
    };
    shortfalls.enumerate().map(contrast).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::paired::tail_differences;

    const PATHS: u32 = 2_000;

    /// Two parts: one without pattern, one that grows with it.
    fn losses(change: impl Fn(u32, [f64; 2]) -> [f64; 2]) -> PartLosses {
        let mut found = PartLosses::default();
        for path in 0..PATHS {
            let noise = f64::from(path * 367 % PATHS) / f64::from(PATHS);
            let parts = change(path, [noise * 50.0, noise * noise * 20.0 + f64::from(path % 7)]);
            found.losses.push(parts[0] + parts[1]);
            found.parts.extend(parts);
        }
        found
    }

    #[test]
    fn parts_add_up_to_the_differences_of_the_book() {
        let base = losses(|_, parts| parts);
        let other = losses(|path, [one, two]| [one * 1.3, two + f64::from(path % 11)]);
        let parts = part_contrasts(&base, &other, 0.95);
        let mean = mean_difference(&base.losses, &other.losses).value;
        let [_, shortfall] = tail_differences(&base.losses, &other.losses, 0.95);
        assert!((parts[0].mean.value + parts[1].mean.value - mean).abs() < 1e-9, "{parts:?}");
        assert!((parts[0].shortfall.value + parts[1].shortfall.value - shortfall.value).abs() < 1e-9, "{parts:?}");
        assert!(parts.iter().all(|part| part.mean.standard_error > 0.0 && part.shortfall.standard_error > 0.0));
    }

    /// 3 more of one part on every path: the worst paths are the same.
    #[test]
    fn a_shift_of_one_part_is_its_own() {
        let base = losses(|_, parts| parts);
        let parts = part_contrasts(&base, &losses(|_, [one, two]| [one, two + 3.0]), 0.95);
        for (part, expected) in parts.iter().zip([0.0, 3.0]) {
            for found in [part.mean, part.shortfall] {
                assert!((found.value - expected).abs() < 1e-9 && found.standard_error < 1e-9, "{part:?}");
            }
        }
    }

    /// A part that is the whole has the error of the whole.
    #[test]
    fn one_part_is_the_book() {
        let whole = |losses: PartLosses| PartLosses { parts: losses.losses.clone(), losses: losses.losses };
        let base = whole(losses(|_, parts| parts));
        let other = whole(losses(|path, [one, two]| [one * 1.3, two + f64::from(path % 11)]));
        let part = part_contrasts(&base, &other, 0.95)[0];
        let [_, shortfall] = tail_differences(&base.losses, &other.losses, 0.95);
        assert!(
            (part.shortfall.standard_error / shortfall.standard_error - 1.0).abs() < 1e-3,
            "{part:?} {shortfall:?}"
        );
        assert_eq!(part.mean, mean_difference(&base.losses, &other.losses));
    }
}
