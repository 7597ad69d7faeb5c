//! Looks: whether a policy may order something after a step, seen while the books are valued.
//!
//! A look is quick and never says no where [`crate::portfolio::decision`] would order something; whether there are orders, and which,
//! is said there.

use crate::engine::path::PathState;
use crate::portfolio::policy::Policy;
use crate::portfolio::policy::PruneReach;
use crate::portfolio::policy::Stop;
use crate::portfolio::state::BookState;
use crate::portfolio::state::Desk;
use crate::protocol::slots::SlotValues;
use crate::simd::Kernel;
use crate::simd::Vector;

/// What books are looked at for, and what is seen.
pub(crate) struct Looks<'a> {
    pub path: &'a PathState,
    /// Last block of registration at which grace is over before orders after the next step; `None`: before the chain's first.
    pub last: Option<f64>,
    /// Whether the policy of each book may act after the step; empty where no look is taken.
    pub acting: &'a [bool],
    /// Whether it may order something.
    pub is_called: &'a mut [bool],
}

/// One book, looked at.
pub(crate) struct Look<'a> {
    pub desk: &'a Desk,
    pub state: &'a BookState,
    /// What its holdings are worth at spot (TAO).
    pub worth: &'a [f64],
    pub path: &'a PathState,
    /// As in [`Looks`].
    pub last: Option<f64>,
}

impl Look<'_> {
    /// Whether the policy may order something.
    #[inline(always)]
    pub(crate) fn may_order<V: Vector>(&self) -> bool {
        match self.desk.policy.as_ref().map(|of| &of.policy) {
            None | Some(Policy::Hold) => false,
            Some(Policy::Stop(stop)) if !stop.whole_book => self.state.sold_in_part || self.is_beyond::<V>(stop),
            Some(Policy::ExitBeforePrune(reach)) => self.last.is_some_and(|last| self.is_near::<V>(*reach, last)),
            Some(_) => true,
        }
    }

    /// Whether any holding is at its stop-loss or take-profit, or beyond.
    #[inline(always)]
    fn is_beyond<V: Vector>(&self, stop: &Stop) -> bool {
        let (low, high, zero) = (V::splat(1.0 - stop.loss), V::splat(1.0 + stop.gain), V::splat(0.0));
        let (worths, openings) = (self.worth.as_chunks().0, self.state.opening_values.as_chunks().0);
        worths.iter().zip(openings).any(|(worth, opening)| {
            let (worth, opening) = (V::load(worth), V::load(opening));
            let is_hit = worth.le(low * opening) | worth.ge(high * opening);
            V::bitmask(is_hit & worth.gt(zero)) != 0
        })
    }

    /// Whether what stands lowest in the slots of its holdings, whatever its age, is near to deregistration: if not, nothing is.
    #[inline(always)]
    fn is_near<V: Vector>(&self, reach: PruneReach, last: f64) -> bool {
        let (path, moving_price) = (self.path, lowest_in_reach::<V>(self.path, &self.desk.out_of_reach));
        moving_price < f64::INFINITY
            && match reach {
                PruneReach::Rank(rank) => IsInReach { path, last, rank, moving_price }.run::<V>(),
                PruneReach::Distance(distance) => moving_price < (1.0 + distance) * Lowest { path, last }.run::<V>(),
            }
    }
}

/// Lowest moving price of all, old or new, in the slots that `out_of_reach` does not lift: infinite there, else 0.
#[inline(always)]
fn lowest_in_reach<V: Vector>(path: &PathState, out_of_reach: &SlotValues) -> f64 {
    let mut lowest = [V::splat(f64::INFINITY); 2];
    for (index, (chain, out_of_reach)) in path.chain.iter().zip(&out_of_reach.0).enumerate() {
        let lowest = &mut lowest[index % 2];
        *lowest = V::load(&chain.moving_price).max(V::load(out_of_reach)).min(*lowest);
    }
    least(lowest[0].min(lowest[1]))
}

/// The least of eight, none of which is NaN, by halves.
#[inline(always)]
fn least<V: Vector>(values: V) -> f64 {
    let [a, b, c, d, e, f, g, h] = values.to_array();
    let least = |a: f64, b: f64| if a < b { a } else { b };
    least(least(least(a, e), least(b, f)), least(least(c, g), least(d, h)))
}

/// Whether fewer than `rank` of the subnets registered up to the block `last` have a moving price below this.
pub(crate) struct IsInReach<'a> {
    pub path: &'a PathState,
    pub last: f64,
    pub rank: usize,
    pub moving_price: f64,
}

impl Kernel for IsInReach<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector>(self) -> bool {
        let (last, limit) = (V::splat(self.last), V::splat(self.moving_price));
        let mut below = 0;
        for (behaviour, chain) in self.path.behaviour.iter().zip(&self.path.chain) {
            let is_old = V::load(&behaviour.registered_at).le(last);
            below += V::bitmask(is_old & V::load(&chain.moving_price).lt(limit)).count_ones() as usize;
            if below >= self.rank {
                return false;
            }
        }
        true
    }
}

/// Lowest moving price of the subnets registered up to the block `last`, in all slots.
pub(crate) struct Lowest<'a> {
    pub path: &'a PathState,
    pub last: f64,
}

impl Kernel for Lowest<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let (last, mut lowest) = (V::splat(self.last), V::splat(f64::INFINITY));
        for (behaviour, chain) in self.path.behaviour.iter().zip(&self.path.chain) {
            let is_old = V::load(&behaviour.registered_at).le(last);
            lowest = V::select(is_old, V::load(&chain.moving_price).min(lowest), lowest);
        }
        least(lowest)
    }
}
