//! The worst losses of a stream with the paths they came on, and what each part of the book lost there.
//!
//! Memory: with n paths, lowest confidence c and `k = n (1 - c)`, some `k + k^(4/5)` rows, times 9/8 for the buffer, of 16 bytes
//! and 8 more for each part. A book of 30 positions takes 1.7 MB at 1e5 paths and c = 95 % for each horizon, basis
//! and currency, 16 MB at 1e6. Pages are touched only as losses arrive.

use crate::risk::estimate::quantile_rank;

/// Rows above the ones needed, as a divisor of those: how far the buffer fills before it is cut back.
const BUFFER_DIVISOR: usize = 8;
/// Power of the losses in the tail that gives the reach of the kernel: that of the smallest mean squared error.
const REACH_POWER: f64 = 0.8;

/// Ranks on either side of the value at risk that its components are smoothed over: `k^(4/5)`, k the losses beyond it.
pub(crate) fn kernel_reach(samples: u64, confidence: f64) -> usize {
    (samples as f64 * (1.0 - confidence)).powf(REACH_POWER).ceil().max(1.0) as usize
}

/// Rows that every estimate at `confidence` and above needs.
pub(crate) fn kept_rows(samples: u64, confidence: f64) -> usize {
    let beyond = (samples + 1 - quantile_rank(samples, confidence)) as usize;
    (beyond + kernel_reach(samples, confidence)).min(samples as usize).max(1)
}

/// Rows before a cut of which so many are kept.
fn room(keep: usize) -> usize {
    keep + keep / BUFFER_DIVISOR + 1
}

/// A kept loss.
#[derive(Clone, Copy, Debug)]
struct Entry {
    loss: f64,
    path: u32,
    /// Its row among the parts.
    place: u32,
}

/// The largest losses of a stream of known length; of equal ones those of the first paths.
#[derive(Clone, Debug)]
pub(crate) struct TailRows {
    expected: u64,
    keep: usize,
    /// Entries before a cut.
    room: usize,
    width: usize,
    pushed: u64,
    threshold: f64,
    /// Kept ones first; behind them, after a cut, those whose places are free.
    entries: Vec<Entry>,
    live: usize,
    parts: Vec<f64>,
}

impl TailRows {
    /// Memory of such a tail (bytes).
    pub(crate) fn bytes(samples: u64, confidence_min: f64, width: usize) -> f64 {
        let rows = room(kept_rows(samples, confidence_min));
        (rows * (size_of::<Entry>() + width * size_of::<f64>())) as f64
    }

    /// A tail that serves every level in `[confidence_min, 1)` of up to `samples` losses in `width` parts.
    pub(crate) fn new(samples: u64, confidence_min: f64, width: usize) -> Self {
        let keep = kept_rows(samples, confidence_min);
        let room = room(keep);
        Self {
            expected: samples,
            keep,
            room,
            width,
            pushed: 0,
            threshold: f64::NEG_INFINITY,
            entries: Vec::with_capacity(room),
            live: 0,
            parts: Vec::with_capacity(room * width),
        }
    }

    /// Adds the loss of a path; paths ascend. `fill` writes its parts, and is called only where it may be kept.
    ///
    /// # Panics
    /// On NaN and on more losses than announced.
    pub(crate) fn push(&mut self, path: u64, loss: f64, fill: impl FnOnce(&mut [f64])) {
        assert!(!loss.is_nan() && self.pushed < self.expected, "loss {loss} of path {path}, of {}", self.expected);
        self.pushed += 1;
        if loss <= self.threshold() {
            return;
        }
        if self.live == self.entries.len() {
            self.entries.push(Entry { loss, path: 0, place: self.live as u32 });
            self.parts.resize(self.parts.len() + self.width, 0.0);
        }
        let place = self.entries[self.live].place;
        self.entries[self.live] = Entry { loss, path: path as u32, place };
        fill(&mut self.parts[place as usize * self.width..][..self.width]);
        self.live += 1;
        if self.live == self.room {
            self.entries.select_nth_unstable_by(self.keep - 1, worst_first);
            self.live = self.keep;
            self.threshold = self.entries[self.keep - 1].loss;
        }
    }

    /// A loss up to this is not kept.
    fn threshold(&self) -> f64 {
        if self.live < self.keep { f64::NEG_INFINITY } else { self.threshold }
    }

    /// The tail in order, ready for estimates.
    pub(crate) fn into_sorted(mut self) -> SortedRows {
        self.entries.truncate(self.live);
        let entries = sorted(self.entries, self.keep);
        SortedRows { samples: self.pushed, entries, width: self.width, parts: self.parts }
    }
}

/// The worst `keep`, in order.
fn sorted(mut entries: Vec<Entry>, keep: usize) -> Vec<Entry> {
    if entries.len() > keep {
        entries.select_nth_unstable_by(keep - 1, worst_first);
        entries.truncate(keep);
    }
    entries.sort_unstable_by(worst_first);
    entries
}

fn worst_first(a: &Entry, b: &Entry) -> std::cmp::Ordering {
    b.loss.total_cmp(&a.loss).then(a.path.cmp(&b.path))
}

/// The worst losses, largest first.
#[derive(Clone, Debug)]
pub(crate) struct SortedRows {
    samples: u64,
    entries: Vec<Entry>,
    width: usize,
    parts: Vec<f64>,
}

impl SortedRows {
    /// The worst `keep` of losses without parts, each with its path: all that are among the worst of `samples`, and maybe others.
    pub(crate) fn of(samples: u64, keep: usize, losses: impl Iterator<Item = (u32, f64)>) -> Self {
        let entries = losses.map(|(path, loss)| Entry { loss, path, place: 0 }).collect();
        Self { samples, entries: sorted(entries, keep), width: 0, parts: Vec::new() }
    }

    /// Losses that the tail is of.
    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    /// Losses kept.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The loss at a place, 0 the worst.
    pub(crate) fn loss(&self, place: usize) -> f64 {
        self.entries[place].loss
    }

    /// The path that it came on.
    pub(crate) fn path(&self, place: usize) -> u32 {
        self.entries[place].path
    }

    /// Its parts.
    pub(crate) fn parts(&self, place: usize) -> &[f64] {
        &self.parts[self.entries[place].place as usize * self.width..][..self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_with_their_losses_through_cuts() {
        let n = 20_011;
        let mut tail = TailRows::new(n, 0.95, 2);
        for path in 0..n {
            // Each value twice or three times: ties are kept by path.
            let loss = (path * 7919 % n / 3) as f64;
            tail.push(path, loss, |parts| parts.copy_from_slice(&[loss + 1.0, path as f64]));
        }
        let (room, capacity) = (tail.room, tail.entries.capacity());
        let told = kept_rows(n, 0.95) * 9 / 8 + 1;
        assert!(tail.entries.len() <= room && room <= told && capacity < 2 * room, "{room} {told} {capacity}");
        let rows = tail.into_sorted();
        let mut all: Vec<(u64, u64)> = (0..n).map(|path| (path * 7919 % n / 3, path)).collect();
        all.sort_by_key(|&(loss, path)| (u64::MAX - loss, path));
        assert_eq!(rows.len(), kept_rows(n, 0.95));
        for (place, &(loss, path)) in all.iter().take(rows.len()).enumerate() {
            assert_eq!((rows.loss(place), u64::from(rows.path(place))), (loss as f64, path));
            assert_eq!(rows.parts(place), [loss as f64 + 1.0, path as f64]);
        }
    }

    #[test]
    fn few_losses_are_all_kept() {
        let mut tail = TailRows::new(3, 0.6, 0);
        (0..3).for_each(|path| tail.push(path, path as f64, |_| ()));
        assert_eq!(tail.into_sorted().len(), 3);
        assert_eq!(TailRows::new(5, 0.95, 1).into_sorted().len(), 0);
    }
}
