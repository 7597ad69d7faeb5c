//! The order of an epoch: stakes, permits, masks, consensus, bonds, emission, and what is stored for the next one.

use ndarray::Array1;
use ndarray::Array2;
use ndarray::ArrayView2;

use crate::protocol::fixed::SCALE_32;
use crate::protocol::fixed::floor_32;
use crate::protocol::yuma::BondsRule;
use crate::protocol::yuma::YumaParams;
use crate::protocol::yuma::bonds;
use crate::protocol::yuma::bonds::BondsInputs;
use crate::protocol::yuma::bonds::BondsOutcome;
use crate::protocol::yuma::consensus;
use crate::protocol::yuma::normalize;
use crate::protocol::yuma::proportion_u16;

/// One uid as the epoch sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neuron {
    /// Combined stake from [`combined_stake`], finite and at least 0 (any unit, the same for all and for the threshold).
    pub stake: f64,
    /// Block of its registration.
    pub registered_at: u64,
    /// Block at which it last set weights.
    pub last_update: u64,
    /// Block of its earliest commit of weights neither revealed nor expired; `None` without commit-reveal or commits.
    pub committed_at: Option<u64>,
}

/// What an epoch is given.
#[derive(Clone, Copy, Debug)]
pub struct YumaInputs<'a> {
    /// Block in which the epoch runs.
    pub block: u64,
    /// All uids in order.
    pub neurons: &'a [Neuron],
    /// Weight that the row's uid gives the column's, finite and at least 0; rows count relative to their sums.
    pub weights: ArrayView2<'a, f64>,
    /// Uid of the subnet owner's hotkey: always permitted, exempt from the threshold, may weight itself.
    pub owner: Option<usize>,
}

/// What carries over from epoch to epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct YumaState {
    /// Who may set weights and earn dividends in the next epoch.
    pub permits: Vec<bool>,
    /// Stored bonds (parts of 65535).
    pub bonds: Array2<u16>,
    /// Block of the last epoch; 0 before the first.
    pub last_epoch_block: u64,
}

impl YumaState {
    /// Of a subnet whose first epoch is still to come: no bonds.
    pub fn new(permits: Vec<bool>) -> Self {
        let size = permits.len();
        Self { permits, bonds: Array2::zeros((size, size)), last_epoch_block: 0 }
    }
}

/// What an epoch decides. Vectors are indexed by uid; what the chain stores of a proportion is [`proportion_u16`] of it.
#[derive(Clone, Debug, PartialEq)]
pub struct YumaOutcome {
    /// Whether the last update lies within the cutoff.
    pub active: Vec<bool>,
    /// Normalised stake.
    pub stake: Array1<f64>,
    /// Normalised stake of the active uids with a permit.
    pub active_stake: Array1<f64>,
    /// Largest weight that the majority supports.
    pub consensus: Array1<f64>,
    /// Weights after masks, rows normalised, clipped to consensus.
    pub clipped: Array2<f64>,
    /// Sum of the clipped weights that a validator gave; less than 1 by what was clipped.
    pub validator_trust: Array1<f64>,
    /// Share of each miner in what miners earn; sums to 1, or to 0.
    pub incentive: Array1<f64>,
    /// Share of each validator in what validators earn; sums to 1, or to 0.
    pub dividends: Array1<f64>,
    /// Who is paid what.
    pub emission: EmissionShares,
    /// What carries over.
    pub next: YumaState,
}

/// Shares of an epoch's emission, each truncated to 2^-32.
#[derive(Clone, Debug, PartialEq)]
pub struct EmissionShares {
    /// To uids as miners.
    pub server: Array1<f64>,
    /// To uids as validators.
    pub validator: Array1<f64>,
    /// Both, as stored.
    pub combined: Array1<f64>,
}

/// Stake that counts in consensus: `alpha + tao_weight * root_tao` (tokens), both as inherited from parents and children.
///
/// The weight is truncated to 2^-32, as on chain, which takes up to 2e-9 of the root part.
/// Source: `get_stake_weights_for_network`.
pub fn combined_stake(alpha: f64, root_tao: f64, tao_weight: f64) -> f64 {
    alpha + floor_32(tao_weight) * root_tao
}

/// Amount of a share of `emission_rao` (rao), truncated. Requires `share` in [0, 1], a multiple of 2^-32.
pub fn share_rao(share: f64, emission_rao: u64) -> u64 {
    ((u128::from(emission_rao) * (share * SCALE_32) as u128) >> 32) as u64
}

/// The weights that an epoch uses under commit-reveal.
///
/// `committed[k]` are the weights committed while the subnet's epoch index was `k`, and the epoch closes the last index.
/// With a reveal period of 1 they are those of that index, with `r` those of `r - 1` indices before: the reveal precedes the
/// epoch in its block.
/// `None` where nothing is revealed yet, or for a period of 0, which the chain refuses.
/// Source: `coinbase/reveal_commits.rs`, `reveal_crv3_commits_for_subnet`.
pub fn weights_in_force<W>(committed: &[W], reveal_period: usize) -> Option<&W> {
    committed.get(committed.len().checked_sub(reveal_period)?)
}

/// Runs one epoch.
///
/// # Panics
/// Where permits, bonds or weights are not of as many uids as there are neurons, or the owner is none of them.
pub fn run_epoch(params: &YumaParams, inputs: &YumaInputs<'_>, state: &YumaState) -> YumaOutcome {
    assert_sizes(inputs, state);
    let stake = normalized_stake(params, inputs);
    let permits = with_owner(state.permits.clone(), inputs.owner);
    let next_permits = with_owner(consensus::top_stakes(stake.view(), params.validator_limit), inputs.owner);
    let is_active = |neuron: &Neuron| neuron.last_update.saturating_add(params.activity_cutoff_blocks) >= inputs.block;
    let active: Vec<bool> = inputs.neurons.iter().map(is_active).collect();
    let active_stake = active_stake(&stake, &active, &permits);

    let weights = masked_weights(inputs, &permits);
    let consensus = consensus::consensus(&weights, active_stake.view(), params.kappa);
    let clipped = consensus::clip(&weights, &consensus);
    let incentive = consensus::incentive(&clipped, active_stake.view());

    let bonds_inputs = BondsInputs {
        weights: &bonds::bond_weights(&weights, &clipped, params.bonds_penalty),
        held: &held_bonds(params, inputs, state),
        active_stake: active_stake.view(),
        incentive: &incentive,
        moving_average: params.bonds_moving_average,
    };
    let BondsOutcome { bonds, dividends } = match &params.bonds_rule {
        BondsRule::Yuma2 => bonds::yuma2(&bonds_inputs),
        BondsRule::Yuma3Liquid(smoothing) if consensus.iter().any(|&weight| weight > 0.0) => {
            bonds::yuma3(&bonds_inputs, Some((smoothing, &consensus)))
        }
        BondsRule::Yuma3 | BondsRule::Yuma3Liquid(_) => bonds::yuma3(&bonds_inputs, None),
    };
    let unweighted = if active_stake.sum() > 0.0 { &active_stake } else { &stake };
    YumaOutcome {
        emission: emission_shares(&incentive, &dividends, unweighted),
        next: next_state(inputs.block, next_permits, &bonds),
        validator_trust: clipped.rows().into_iter().map(|row| row.sum()).collect(),
        active,
        stake,
        active_stake,
        consensus,
        clipped,
        incentive,
        dividends,
    }
}

fn assert_sizes(inputs: &YumaInputs<'_>, state: &YumaState) {
    let size = inputs.neurons.len();
    assert_eq!(inputs.weights.dim(), (size, size), "weights of every uid on every uid");
    assert_eq!(state.bonds.dim(), (size, size), "bonds of every uid on every uid");
    assert_eq!(state.permits.len(), size, "a permit or none for every uid");
    assert!(inputs.owner.is_none_or(|owner| owner < size), "the owner is a uid");
}

fn with_owner(mut permits: Vec<bool>, owner: Option<usize>) -> Vec<bool> {
    if let Some(owner) = owner {
        permits[owner] = true;
    }
    permits
}

/// Stakes from the threshold on, normalised.
fn normalized_stake(params: &YumaParams, inputs: &YumaInputs<'_>) -> Array1<f64> {
    let counts = |uid: usize, stake: f64| stake >= params.stake_threshold || inputs.owner == Some(uid);
    let stakes = inputs.neurons.iter().enumerate();
    let mut stake: Array1<f64> =
        stakes.map(|(uid, neuron)| if counts(uid, neuron.stake) { neuron.stake } else { 0.0 }).collect();
    normalize(stake.view_mut());
    stake
}

fn active_stake(stake: &Array1<f64>, active: &[bool], permits: &[bool]) -> Array1<f64> {
    let mut result = stake.clone();
    for (uid, stake) in result.iter_mut().enumerate() {
        if !(active[uid] && permits[uid]) {
            *stake = 0.0;
        }
    }
    normalize(result.view_mut());
    result
}

/// Weights that count, rows normalised.
///
/// Not counted: those of uids without permit; on oneself, but for the owner; on uids registered in the block of the last
/// update or since; on uids registered after a commit still hidden, which meant their predecessors.
fn masked_weights(inputs: &YumaInputs<'_>, permits: &[bool]) -> Array2<f64> {
    let counts = |from: usize, to: usize| {
        let (neuron, registered_at) = (&inputs.neurons[from], inputs.neurons[to].registered_at);
        permits[from]
            && (from != to || inputs.owner == Some(from))
            && neuron.last_update > registered_at
            && neuron.committed_at.is_none_or(|block| block >= registered_at)
    };
    let mut weights = inputs.weights.to_owned();
    for ((from, to), weight) in weights.indexed_iter_mut() {
        if !counts(from, to) {
            *weight = 0.0;
        }
    }
    for row in weights.rows_mut() {
        normalize(row);
    }
    weights
}

/// Stored bonds (parts of 65535) without those on uids registered since the last epoch, which meant their predecessors.
fn held_bonds(params: &YumaParams, inputs: &YumaInputs<'_>, state: &YumaState) -> Array2<f64> {
    let last_tempo = match state.last_epoch_block {
        0 => inputs.block.saturating_sub(params.tempo_blocks),
        block => block.saturating_add(1),
    };
    let mut bonds = state.bonds.mapv(f64::from);
    for (mut column, neuron) in bonds.columns_mut().into_iter().zip(inputs.neurons) {
        if last_tempo <= neuron.registered_at {
            column.fill(0.0);
        }
    }
    bonds
}

/// Splits an epoch's emission.
///
/// ```text
/// server_j = I_j / (sum of I + sum of D),  validator_i = D_i / (the same)
/// ```
///
/// Half to each side where both sum to 1. Without any incentive, validators receive all by `unweighted` stake.
fn emission_shares(incentive: &Array1<f64>, dividends: &Array1<f64>, unweighted: &Array1<f64>) -> EmissionShares {
    let sum = incentive.sum() + dividends.sum();
    if sum > 0.0 {
        let part = |share: f64| floor_32(share / sum);
        EmissionShares {
            server: incentive.mapv(part),
            validator: dividends.mapv(part),
            combined: (incentive + dividends).mapv(part),
        }
    } else {
        let (validator, combined) = (unweighted.clone(), unweighted.clone());
        EmissionShares { server: Array1::zeros(incentive.len()), validator, combined }
    }
}

/// Bonds are kept only for uids that keep or receive a permit.
fn next_state(block: u64, permits: Vec<bool>, bonds: &Array2<f64>) -> YumaState {
    let mut bonds = bonds.mapv(proportion_u16);
    for (mut row, &permit) in bonds.rows_mut().into_iter().zip(&permits) {
        if !permit {
            row.fill(0);
        }
    }
    YumaState { permits, bonds, last_epoch_block: block }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    const SETTLED: Neuron = Neuron { stake: 1.0, registered_at: 10, last_update: 900, committed_at: None };

    fn epoch(neurons: &[Neuron], weights: &Array2<f64>, owner: Option<usize>, state: &YumaState) -> YumaOutcome {
        let inputs = YumaInputs { block: 1000, neurons, weights: weights.view(), owner };
        run_epoch(&YumaParams::DEFAULT, &inputs, state)
    }

    fn clipped(neurons: &[Neuron], owner: Option<usize>) -> Array2<f64> {
        let weights = arr2(&[[1.0, 1.0], [3.0, 1.0]]);
        epoch(neurons, &weights, owner, &YumaState::new(vec![true, false])).clipped
    }

    #[test]
    fn self_weights_are_the_owners_alone() {
        assert_eq!(clipped(&[SETTLED; 2], None), arr2(&[[0.0, 1.0], [0.0, 0.0]]));
        assert_eq!(clipped(&[SETTLED; 2], Some(0)), arr2(&[[0.5, 0.5], [0.0, 0.0]]));
        // The owner needs no permit. Each holds half of the stake, which is a majority: nothing is clipped.
        assert_eq!(clipped(&[SETTLED; 2], Some(1)), arr2(&[[0.0, 1.0], [0.75, 0.25]]));
    }

    #[test]
    fn weights_older_than_what_they_are_on_do_not_count() {
        let newcomer = |registered_at| [SETTLED, Neuron { registered_at, ..SETTLED }];
        assert_eq!(clipped(&newcomer(899), None)[[0, 1]], 1.0);
        assert_eq!(clipped(&newcomer(900), None)[[0, 1]], 0.0);
        let committed = |committed_at| [Neuron { committed_at, ..SETTLED }, Neuron { registered_at: 500, ..SETTLED }];
        assert_eq!(clipped(&committed(Some(500)), None)[[0, 1]], 1.0);
        assert_eq!(clipped(&committed(Some(499)), None)[[0, 1]], 0.0);
    }

    #[test]
    fn inactive_and_small_stakes_do_not_count() {
        let neurons = [Neuron { last_update: 1, ..SETTLED }, SETTLED];
        let params = YumaParams { activity_cutoff_blocks: 998, stake_threshold: 1.5, ..YumaParams::DEFAULT };
        let weights = Array2::zeros((2, 2));
        let inputs = YumaInputs { block: 1000, neurons: &neurons, weights: weights.view(), owner: Some(1) };
        let outcome = run_epoch(&params, &inputs, &YumaState::new(vec![true; 2]));
        assert_eq!(outcome.active, [false, true]);
        assert_eq!(outcome.stake.to_vec(), [0.0, 1.0]);
        assert_eq!(outcome.next.permits, [false, true]);
    }

    #[test]
    fn without_weights_stake_is_paid() {
        let neurons = [Neuron { stake: 3.0, ..SETTLED }, SETTLED];
        let weights = Array2::zeros((2, 2));
        let active = epoch(&neurons, &weights, None, &YumaState::new(vec![false, true]));
        assert_eq!(active.emission.validator.to_vec(), [0.0, 1.0]);
        let nobody = epoch(&neurons, &weights, None, &YumaState::new(vec![false, false]));
        assert_eq!(nobody.emission.validator.to_vec(), [0.75, 0.25]);
        assert_eq!(nobody.emission.server.sum(), 0.0);
    }

    #[test]
    fn bonds_on_newcomers_are_dropped() {
        let mut state = YumaState::new(vec![true, false]);
        state.bonds[[0, 1]] = 65_535;
        let held = |state: &YumaState, registered_at: u64| {
            let neurons = [SETTLED, Neuron { registered_at, last_update: 1000, ..SETTLED }];
            let weights = Array2::zeros((2, 2));
            epoch(&neurons, &weights, None, state).next.bonds[[0, 1]]
        };
        // Before the first epoch the border is one tempo ago.
        assert!(held(&state, 639) > 0);
        assert_eq!(held(&state, 640), 0);
        state.last_epoch_block = 700;
        assert!(held(&state, 700) > 0);
        assert_eq!(held(&state, 701), 0);
    }

    #[test]
    fn bonds_go_with_the_permit() {
        let neurons = [Neuron { stake: 0.0, ..SETTLED }, SETTLED];
        let mut state = YumaState::new(vec![true, true]);
        state.bonds[[0, 1]] = 65_535;
        let outcome = epoch(&neurons, &Array2::zeros((2, 2)), None, &state);
        assert_eq!(outcome.next.permits, [false, true]);
        assert_eq!(outcome.next.bonds[[0, 1]], 0);
    }

    #[test]
    fn reveal_period_delays_weights() {
        let committed = ["index 0", "index 1", "index 2"];
        assert_eq!(weights_in_force(&committed, 1), Some(&"index 2"));
        assert_eq!(weights_in_force(&committed, 3), Some(&"index 0"));
        assert_eq!(weights_in_force(&committed, 4), None);
        assert_eq!(weights_in_force(&committed, 0), None);
    }

    #[test]
    fn shares_in_rao_are_exact() {
        assert_eq!(share_rao(1.0, u64::MAX), u64::MAX);
        assert_eq!(share_rao(floor_32(1.0 / 3.0), 360_000_000_000), 119_999_999_972);
    }
}
