//! Places of the prices and emission shares of a path's subnets among their buckets, eight slots at a time.

use crate::engine::recorder::StepView;
use crate::model::kernel::BehaviourChunk;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::Lanes8;
use crate::risk::histogram::Buckets;
use crate::risk::histogram::GONE;
use crate::risk::histogram::Metric;
use crate::risk::histogram::PlacePair;
use crate::risk::histogram::WORD_BITS;
use crate::simd::Kernel;
use crate::simd::Vector;
use crate::simd::Words;

/// Puts the places of every slot of a path after a step into `places`: [`Metric::place`] of price and emission share of the subnets of
/// the snapshot, [`GONE`] where there is none or no more.
pub(crate) struct PlaceSlots<'a> {
    pub view: &'a StepView<'a>,
    pub places: &'a mut Vec<PlacePair>,
}

impl Kernel for PlaceSlots<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let StepView { plan, path, buffers, .. } = self.view;
        self.places.clear();
        let now = path.chain.as_chunks::<2>().0.iter().zip(path.behaviour.as_chunks::<2>().0);
        let slots = now.zip(plan.behaviour.as_chunks::<2>().0).zip(buffers.share.0.as_chunks::<2>().0);
        for ((([a, b], [c, d]), [e, f]), [g, h]) in slots {
            let mut words = [0; 2 * CHUNK_SLOTS];
            let [first, second] = [place_words::<V>(a, c, e, g), place_words::<V>(b, d, f, h)];
            V::store_half_words(V::low_halves(first, second), &mut words);
            self.places.extend(words.map(|pair| [pair as u16, (pair >> 16) as u16]));
        }
    }
}

/// The places of eight slots, that of the price in the low sixteen bits; `start`: who held them in the snapshot.
#[inline(always)]
fn place_words<V: Vector>(
    chain: &ChainChunk,
    behaviour: &BehaviourChunk,
    start: &BehaviourChunk,
    share: &Lanes8,
) -> V::Words {
    let (registered, first) = (V::load(&behaviour.registered_at), V::load(&start.registered_at));
    let is_alive = registered.le(first) & registered.ge(first) & registered.lt(V::splat(f64::INFINITY));
    let price = index::<V>(Buckets::PRICE, Metric::Price, chain.spot_prices::<V>());
    let share = index::<V>(Buckets::SHARE, Metric::EmissionShare, V::load(share));
    let gone = V::Words::splat(u64::from(GONE) | u64::from(GONE) << 16);
    let pair = price | share.shift_left::<16>();
    V::select(is_alive, V::from_words(pair), V::from_words(gone)).to_words()
}

/// [`Metric::place`] of eight values: what lies outside the range, and NaN, counts as the nearest that does not.
#[inline(always)]
fn index<V: Vector>(buckets: Buckets, metric: Metric, value: V) -> V::Words {
    let [low, high] = buckets.outer_words();
    let bits = |words: u64| V::splat(f64::from_bits(words << WORD_BITS));
    let inside = bits(high).min(value).max(bits(low));
    // A word less that of the lowest bucket is the bucket's number.
    inside.to_words().shift_right::<WORD_BITS>() - V::Words::splat(low - metric.range().start as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Backend;
    use crate::simd::dispatch;

    struct Index(Lanes8);

    impl Kernel for Index {
        type Output = [[u64; CHUNK_SLOTS]; 2];

        #[inline(always)]
        fn run<V: Vector>(self) -> Self::Output {
            let mut words = [[0; CHUNK_SLOTS]; 2];
            V::store_words(index::<V>(Buckets::PRICE, Metric::Price, V::load(&self.0)), &mut words[0]);
            V::store_words(index::<V>(Buckets::SHARE, Metric::EmissionShare, V::load(&self.0)), &mut words[1]);
            words
        }
    }

    #[test]
    fn places_are_those_of_one_value_at_a_time() {
        let edges = [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, 16.0, 1.0, 2.0_f64.powi(-19)];
        let below = edges.map(|value| value * (1.0 - f64::EPSILON));
        let inside = |k: u32| std::array::from_fn(|lane| 1.3_f64.powi(k as i32 * 8 + lane as i32 - 60));
        for backend in Backend::available() {
            for values in [edges, below].into_iter().chain((0..12).map(inside)) {
                let found = dispatch(backend, Index(values));
                for (metric, found) in Metric::ALL.into_iter().zip(found) {
                    let expected = values.map(|value| u64::from(metric.place(value)));
                    assert_eq!(found, expected, "{backend}, {}: {values:?}", metric.name());
                }
            }
        }
    }
}
