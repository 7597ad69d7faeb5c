//! Sums over rare events of several figures at once, with the errors of their totals and ratios.

/// Figures of an event.
pub(crate) const FIGURES: usize = 6;

/// Sums of figures over events, and of products of their sums by replicate; events come replicate by replicate.
///
/// ```text
/// error of a . T:  se^2 = R / (R - 1) (sum of (a . V_r)^2 - (a . T)^2 / R)    V_r: sums of replicate r, of R; T: of all
/// error of T_i / T_j = x:  se^2 = C / (C - 1) sum of (V_ri - x V_rj)^2 / T_j^2    C: replicates with an event
/// ```
///
/// Where paths are independent, each is a replicate of its own. All replicates are taken to be of the same length.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EventSums {
    replicate: u64,
    open: Option<[f64; FIGURES]>,
    replicates: f64,
    totals: [f64; FIGURES],
    products: [[f64; FIGURES]; FIGURES],
}

impl EventSums {
    /// Adds an event of `replicate`.
    pub(crate) fn push(&mut self, replicate: u64, figures: [f64; FIGURES]) {
        if replicate != self.replicate {
            *self = self.closed();
            self.replicate = replicate;
        }
        let open = self.open.get_or_insert([0.0; FIGURES]);
        open.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure);
    }

    /// Sums over all events.
    pub(crate) fn totals(&self) -> [f64; FIGURES] {
        self.closed().totals
    }

    /// Standard error of a combination of the totals, of `replicates` in all; infinite for one.
    pub(crate) fn total_error(&self, factors: [f64; FIGURES], replicates: f64) -> f64 {
        let closed = self.closed();
        let total = factors.iter().zip(closed.totals).fold(0.0, |sum, (factor, total)| sum + factor * total);
        scaled(closed.square(factors) - total * total / replicates, replicates)
    }

    /// Standard error of total `top` over total `bottom`; infinite where one replicate has all events.
    pub(crate) fn ratio_error(&self, top: usize, bottom: usize) -> f64 {
        let closed = self.closed();
        let mut factors = [0.0; FIGURES];
        factors[top] += 1.0;
        factors[bottom] -= closed.totals[top] / closed.totals[bottom];
        scaled(closed.square(factors), closed.replicates) / closed.totals[bottom].abs()
    }

    /// Sum over replicates of the square of a combination.
    fn square(&self, factors: [f64; FIGURES]) -> f64 {
        let row =
            |row: &[f64; FIGURES]| row.iter().zip(factors).fold(0.0, |sum, (product, factor)| sum + product * factor);
        self.products.iter().zip(factors).fold(0.0, |sum, (products, factor)| sum + factor * row(products))
    }

    /// The sums with the replicate under way.
    fn closed(&self) -> Self {
        let Some(open) = self.open else { return *self };
        let mut closed = Self { open: None, replicates: self.replicates + 1.0, ..*self };
        for (i, figure) in open.into_iter().enumerate() {
            closed.totals[i] += figure;
            closed.products[i].iter_mut().zip(open).for_each(|(product, other)| *product += figure * other);
        }
        closed
    }
}

/// Root of a sum of squares over so many replicates, corrected for the mean that was taken out.
fn scaled(squares: f64, replicates: f64) -> f64 {
    if replicates > 1.0 { (replicates / (replicates - 1.0) * squares.max(0.0)).sqrt() } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_hand_made_events() {
        let mut sums = EventSums::default();
        sums.push(0, [1.0, 2.0, 1.0, 0.0, 0.0, 0.0]);
        sums.push(3, [1.0, 4.0, 3.0, 0.0, 0.0, 0.0]);
        assert_eq!(sums.totals(), [2.0, 6.0, 4.0, 0.0, 0.0, 0.0]);
        // Of ten: sum of squares 1 + 9, less 16 / 10, times 10 / 9.
        assert!((sums.total_error([0.0, 0.0, 1.0, 0.0, 0.0, 0.0], 10.0) - (8.4_f64 * 10.0 / 9.0).sqrt()).abs() < 1e-12);
        // 4 / 6: residuals -1/3 and 1/3.
        assert!((sums.ratio_error(2, 1) - (2.0_f64 * 2.0 / 9.0).sqrt() / 6.0).abs() < 1e-12);
    }

    #[test]
    fn events_of_one_replicate_count_together() {
        let (mut joint, mut single) = (EventSums::default(), EventSums::default());
        joint.push(7, [1.0, 2.0, 1.0, 0.0, 0.0, 0.0]);
        joint.push(7, [1.0, 4.0, 3.0, 0.0, 0.0, 0.0]);
        single.push(7, [2.0, 6.0, 4.0, 0.0, 0.0, 0.0]);
        assert_eq!(joint.totals(), single.totals());
        assert_eq!(
            joint.total_error([0.0, 0.0, 1.0, 0.0, 0.0, 0.0], 10.0),
            single.total_error([0.0, 0.0, 1.0, 0.0, 0.0, 0.0], 10.0)
        );
        assert_eq!(joint.ratio_error(2, 1), f64::INFINITY);
        assert_eq!(EventSums::default().totals(), [0.0; FIGURES]);
    }
}
