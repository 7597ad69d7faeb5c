//! Runs whose leading chance comes from a point set: which sums of a path's normals do, and how they reach its steps.
//!
//! ```text
//! common factor, TAO/USD    sums of their normals over segments of the horizon, by Brownian bridge
//! holdings i of the book    sums over all steps of the normals  w_k = sum_i a_(k,i) z_i,  rows of a orthonormal,
//!                           the first as the holdings move its value:  a_(1,i) in proportion to  v_i b_i g_i
//! ```
//!
//! v: value at spot, b: own loading, g: scale of its flow, all at the start; further rows split the largest holdings. Given their
//! sums ([`crate::model::bridge`]), normals of steps come from their addresses, as does all else: a path has the law of the scenario,
//! and the sums are a point's coordinates ([`Points`]), in the order of what they may move.
//!
//! # Not modelled
//! - Volatilities, jumps and registrations are not led; nor is what comes after the last horizon.
//! - Leading draws with market states, drawn parameters or coupled steps: whoever asks has to refuse them.

use crate::engine::changed::ChangedDraws;
use crate::engine::plan::Plan;
use crate::engine::plan::PlanInput;
use crate::engine::plan::locate;
use crate::model::bridge::Bridge;
use crate::model::bridge::NormalLaw;
use crate::model::kernel::BehaviourChunk;
use crate::model::kernel::FlowBuffers;
use crate::model::outside::SharedDraws;
use crate::rng::PointSet;
use crate::rng::Points;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Segments of the horizon whose sums of the common factor, and of TAO/USD, are led.
const SEGMENTS: u32 = 8;
/// Most sums of normals of holdings.
const DIRECTIONS_MAX: usize = 16;
/// Processes that all slots share: common factor, TAO/USD.
const SHARED: usize = 2;

/// What is led, and by what.
#[derive(Clone, Debug, PartialEq)]
pub struct Leading {
    /// How paths go together.
    pub set: PointSet,
    /// Paths of the run, all shards together.
    pub paths: u64,
    /// Slots of holdings and their values (TAO) at the start, each slot once.
    pub holdings: Vec<(u16, f64)>,
}

/// Leading draws over one step length.
#[derive(Clone, Debug)]
pub struct LeadingPlan {
    points: Points,
    bridge: Bridge,
    slots: Vec<usize>,
    /// Weights of the normals of `slots`, orthonormal.
    directions: Vec<Vec<f64>>,
}

/// What is left of the sums of a path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PathLeading {
    /// The path's point.
    normals: Vec<f64>,
    /// By process, then segment.
    shared: [[f64; SEGMENTS as usize]; SHARED],
    /// By direction.
    own: Vec<f64>,
}

impl LeadingPlan {
    fn new(input: &PlanInput, behaviour: &[BehaviourChunk], leading: &Leading, steps: u32) -> Self {
        let bridge = Bridge::new(steps, SEGMENTS);
        let mut moved: Vec<(usize, f64)> = leading
            .holdings
            .iter()
            .map(|&(slot, value)| (usize::from(slot), value * sensitivity(input, behaviour, slot.into())))
            .filter(|(_, moved)| *moved > 0.0)
            .collect();
        moved.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let (slots, weights): (Vec<usize>, Vec<f64>) = moved.into_iter().unzip();
        let directions = directions(&weights);
        let dimensions = SHARED * bridge.segments() + directions.len();
        Self { points: Points::new(leading.set, input.seed, leading.paths, dimensions), bridge, slots, directions }
    }

    /// Draws the point of a path.
    pub(crate) fn reset(&self, path: u32, leading: &mut PathLeading) {
        let PathLeading { normals, shared, own } = leading;
        self.points.normals(path, normals);
        let (totals, rest) = normals.split_at(SHARED);
        let (of_holdings, finer) = rest.split_at(self.directions.len());
        for (process, sums) in shared.iter_mut().enumerate() {
            let finer = finer.iter().skip(process).step_by(SHARED);
            self.bridge.sums(std::iter::once(&totals[process]).chain(finer).copied(), sums);
        }
        let root = f64::from(self.bridge.steps()).sqrt();
        own.clear();
        own.extend(of_holdings.iter().map(|normal| root * normal));
    }

    /// Laws of the shared normals of a step; `None` after the last that is led.
    #[inline]
    pub(crate) fn shared_laws(&self, step: u32, leading: &PathLeading) -> Option<[NormalLaw; SHARED]> {
        let (segment, left) = self.place(step)?;
        Some(leading.shared.map(|sums| NormalLaw::given_sum(sums[segment], left)))
    }

    /// Takes what was drawn for a step off the sums.
    #[inline]
    pub(crate) fn note_shared(&self, step: u32, drawn: &SharedDraws<f64>, leading: &mut PathLeading) {
        let Some((segment, _)) = self.place(step) else { return };
        leading.shared[0][segment] -= drawn.common;
        leading.shared[1][segment] -= drawn.tao_usd;
    }

    fn place(&self, step: u32) -> Option<(usize, u32)> {
        (step < self.bridge.steps()).then(|| self.bridge.place(step))
    }

    /// Moves the own normals of holdings in a step to where their sums lead.
    #[inline(never)]
    pub(crate) fn lead_slots(&self, step: u32, leading: &mut PathLeading, flow: &mut FlowBuffers) {
        if step >= self.bridge.steps() {
            return;
        }
        for (weights, sum) in self.directions.iter().zip(&mut leading.own) {
            let of_slots = || self.slots.iter().zip(weights);
            let drawn = of_slots().fold(0.0, |sum, (&slot, weight)| sum + weight * f64::from(*flow.own_normal(slot)));
            let led = NormalLaw::given_sum(*sum, self.bridge.steps() - step).of(drawn);
            *sum -= led;
            for (&slot, weight) in of_slots() {
                *flow.own_normal(slot) += (weight * (led - drawn)) as f32;
            }
        }
    }
}

/// How much a unit of the own normal of a slot moves the log of its reserve, up to a factor that all slots have.
fn sensitivity(input: &PlanInput, behaviour: &[BehaviourChunk], slot: usize) -> f64 {
    let (chunk, lane) = locate(slot);
    let Some(subnet) = input.start.subnets.iter().find(|subnet| subnet.netuid.slot() == slot) else { return 0.0 };
    let (flow, behaviour) = (&input.model.flow, &behaviour[chunk]);
    let age_days = input.start.block.saturating_sub(subnet.registered_at) as f64 / BLOCKS_PER_DAY as f64;
    let log_scale = f64::from(behaviour.log2_scale[lane]) * std::f64::consts::LN_2
        - flow.size_exponent * math::ln(subnet.reserve_tao.max(flow.reserve_floor_tao))
        - flow.age_exponent * math::ln(age_days.max(flow.age_floor_days));
    f64::from(behaviour.own_loading[lane]) * math::exp(log_scale)
}

/// Orthonormal rows: `weights`, then units of as many of them as there may be rows, largest first, less what rows before have of them.
fn directions(weights: &[f64]) -> Vec<Vec<f64>> {
    let mut rows: Vec<Vec<f64>> = Vec::new();
    if weights.is_empty() {
        return rows;
    }
    rows.push(normed(weights.to_vec()));
    for unit in 0..(weights.len() - 1).min(DIRECTIONS_MAX - 1) {
        let mut row: Vec<f64> = (0..weights.len()).map(|at| if at == unit { 1.0 } else { 0.0 }).collect();
        for before in &rows {
            let part: f64 = before.iter().zip(&row).map(|(a, b)| a * b).sum();
            row.iter_mut().zip(before).for_each(|(x, b)| *x -= part * b);
        }
        rows.push(normed(row));
    }
    rows
}

fn normed(row: Vec<f64>) -> Vec<f64> {
    let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
    row.into_iter().map(|x| x / norm).collect()
}

impl Plan {
    /// The same paths, their leading chance up to step `steps` from a point set.
    ///
    /// # Panics
    /// If the market has states, parameters are drawn, or steps are coupled to shorter ones.
    #[must_use]
    pub fn with_leading(mut self, leading: &Leading, steps: u32) -> Self {
        assert!(self.market.is_none() && self.input.replicates.is_none(), "leading draws with states or replicates");
        assert!(self.input.draw_refinement == 1, "leading draws of coupled steps");
        self.changed = Some(ChangedDraws::Leading(LeadingPlan::new(&self.input, &self.behaviour, leading, steps)));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOTS: [usize; 3] = [2, 9, 40];
    const STEPS: u32 = 6;

    fn led() -> LeadingPlan {
        let directions = directions(&[3.0, 2.0, 1.0]);
        let points = Points::new(PointSet::Sobol, 1, 16, SHARED * 4 + 3);
        LeadingPlan { points, bridge: Bridge::new(STEPS, SEGMENTS), slots: SLOTS.to_vec(), directions }
    }

    /// Normals of all slots and steps from sums that are led and normals that are drawn.
    fn normals(plan: &LeadingPlan, own: Vec<f64>, drawn: impl Fn(u32, usize) -> f32) -> Vec<f64> {
        let mut leading = PathLeading { own, ..PathLeading::default() };
        let mut flow = FlowBuffers::default();
        let mut normals = Vec::new();
        for step in 0..STEPS {
            SLOTS.iter().enumerate().for_each(|(at, slot)| *flow.own_normal(*slot) = drawn(step, at));
            plan.lead_slots(step, &mut leading, &mut flow);
            normals.extend(SLOTS.map(|slot| f64::from(*flow.own_normal(slot))));
        }
        let bare = flow.clone();
        plan.lead_slots(STEPS, &mut leading, &mut flow);
        assert!(
            SLOTS.iter().all(|slot| *flow.own_normal(*slot) == *bare.clone().own_normal(*slot)),
            "after the horizon"
        );
        normals
    }

    /// The map from what is led and drawn to the normals of steps is linear: its columns tell their covariance.
    #[test]
    fn normals_of_holdings_are_independent_and_standard_whatever_leads_them() {
        for rows in 0..=3 {
            let mut plan = led();
            plan.directions.truncate(rows);
            let root = f64::from(STEPS).sqrt();
            let unit = |at: usize, source: usize| if at == source { 1.0 } else { 0.0 };
            let of_led = |source| normals(&plan, (0..rows).map(|at| root * unit(at, source)).collect(), |_, _| 0.0);
            let of_drawn = |source| {
                let drawn = |step, at| unit(step as usize * SLOTS.len() + at, source) as f32;
                normals(&plan, vec![0.0; rows], drawn)
            };
            let count = SLOTS.len() * STEPS as usize;
            let columns: Vec<Vec<f64>> = (0..rows).map(of_led).chain((0..count).map(of_drawn)).collect();
            for i in 0..count {
                for j in 0..count {
                    let covariance: f64 = columns.iter().map(|column| column[i] * column[j]).sum();
                    // Normals of slots have single precision.
                    assert!((covariance - unit(i, j)).abs() < 1e-5, "{rows} rows, {i} {j}: {covariance}");
                }
            }
            for (row, weights) in plan.directions.iter().enumerate() {
                let led: f64 = columns[row]
                    .chunks(3)
                    .map(|of_step| of_step.iter().zip(weights).map(|(z, a)| z * a).sum::<f64>())
                    .sum();
                assert!((led - root).abs() < 1e-5, "{led}");
            }
        }
    }

    #[test]
    fn directions_are_orthonormal_and_begin_with_the_book() {
        let weights: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        let rows = directions(&weights);
        assert_eq!(rows.len(), DIRECTIONS_MAX);
        assert!(rows[0].iter().zip(&weights).all(|(a, w)| (a / rows[0][0] - w / weights[0]).abs() < 1e-12));
        for (i, a) in rows.iter().enumerate() {
            for (j, b) in rows.iter().enumerate() {
                let product: f64 = a.iter().zip(b).map(|(x, y)| x * y).sum();
                assert!((product - if i == j { 1.0 } else { 0.0 }).abs() < 1e-12, "{i} {j}: {product}");
            }
        }
        assert_eq!((directions(&[]).len(), directions(&[5.0])), (0, vec![vec![1.0]]));
        assert_eq!(directions(&[1.0, 1.0, 1.0]).len(), 3);
    }

    #[test]
    fn a_point_has_a_coordinate_for_every_sum() {
        let plan = led();
        let (mut leading, mut point) = (PathLeading::default(), Vec::new());
        plan.reset(5, &mut leading);
        plan.points.normals(5, &mut point);
        let root = f64::from(STEPS).sqrt();
        for (sums, normal) in leading.shared.iter().zip(&point) {
            assert!((sums.iter().sum::<f64>() - root * normal).abs() < 1e-12);
        }
        assert_eq!(leading.own, [point[2], point[3], point[4]].map(|normal| root * normal));
        assert!(plan.shared_laws(STEPS, &leading).is_none());
    }
}
