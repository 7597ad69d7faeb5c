//! Validators of a subnet at work: simulated sets under Yuma, the law of what a validator earns, and what collusion gains.
//!
//! A set has validators of log-normal stake and miners of a true quality. Every epoch each validator weights the miners by what
//! it sees of them, and [`run_epoch`] decides, exactly as the chain does, what each validator earns:
//!
//! ```text
//! w_ij = q_j exp(sigma_i e_ij)            ln q_j, e_ij: stationary AR(1);  sigma_i: log-normal over validators
//! v_i  = (dividends of i / all dividends) / (stake of i / all stake)       sum of (stake of i) v_i = (all stake)
//! ```
//!
//! An *observer* sees the quality of today, a *laggard* that of some days ago, a *copier* repeats the consensus of the last
//! epoch. `v_i` is what a staker with `i` earns against the average of all stakers.
//!
//! # The law of ln v
//!
//! [`dividend_law`] fits `ln v = a + b_i + x_i(t)` with a constant `b_i` and an AR(1) process `x_i` to daily means of v, each
//! validator counting by its stake, as a holder chosen at random meets it. From the half mean square of the change over L days,
//! which no mean has to be taken out of:
//!
//! ```text
//! g(L)    = 1/2 E (ln v(t + L) - ln v(t))^2 = noise^2 - k rho^L
//! rho^2   = (g(5) - g(3)) / (g(3) - g(1)),    noise^2 = g(1) + (g(3) - g(1)) / (1 - rho^2)
//! spread^2 = Var(ln v) - noise^2,             half-life = ln 2 / -ln rho  (days)
//! ```
//!
//! `k` is left free: bonds and daily means smooth v, so that it is more than `noise^2` on short lags (`g(2) / g(1) - 1` for rho,
//! which takes them for equal, gives 1.2 where the half-life is two days).
//! Errors are jackknife errors over sets, which are independent. What moves more slowly than the half-life, such as a validator
//! that profits from how the quality of its miners drifts, counts as spread.
//!
//! # Collusion
//!
//! [`collusion`] lets a group with a part of the stake give all of its weight to one miner, which the others give a fixed part of
//! theirs. Below kappa the consensus on that miner is what the others give it, and what the group gives beyond is clipped, from
//! its bonds too; from kappa on the consensus is the group's, and all that the honest give that miner counts, while their other
//! weights lose their support.
//!
//! Not modelled: validators that change their stake, lose their permit or stop; miners that come and go; commit-reveal (a
//! copier sees the last epoch's consensus at once, which flatters it); parents and children; several miners per group, which
//! share what one gets; and an epoch every 361 blocks before runtime 423, which are 360 here. How noisy, lagging and copying real
//! validators are is assumed: no data identify it.

use std::collections::VecDeque;

use ndarray::Array1;
use ndarray::Array2;

use crate::protocol::yuma::YumaParams;
use crate::protocol::yuma::epoch::Neuron;
use crate::protocol::yuma::epoch::YumaInputs;
use crate::protocol::yuma::epoch::YumaOutcome;
use crate::protocol::yuma::epoch::YumaState;
use crate::protocol::yuma::epoch::run_epoch;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Epochs before anything is measured: bonds of the default moving average have forgotten their start to 3e-5.
const BURN_IN_EPOCHS: u32 = 100;
/// Least relative dividend of a day whose log is taken; what earns less counts as this.
const RELATIVE_FLOOR: f64 = 0.01;
/// Largest stake of all copiers of a set together (fraction). Copiers with a majority would freeze the consensus for ever; any
/// limit below that, 0.25 to 0.49, gives the same law to a fifth of its error.
const COPIER_STAKE_MAX: f64 = 0.4;
/// Lags (days) at which changes are measured, evenly spaced.
const LAGS: [usize; 3] = [1, 3, 5];
/// Bounds of the fitted persistence over two days: half-lives of 0.2 days, as good as none between days, to 1386.
const PERSISTENCE_BOUNDS: (f64, f64) = (0.001, 0.999);
/// Days that a fit needs: the longest lag twice.
pub const LAW_DAYS_MIN: u32 = 10;
/// Index, within [`Purpose::ValidatorSet`], of what a validator is; errors of its sight stand below.
const TRAITS_INDEX: u16 = 1 << 15;

/// A mean-reverting part of a logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fluctuation {
    /// Stationary standard deviation.
    pub sd_log: f64,
    /// Half-life (days), above 0.
    pub half_life_days: f64,
}

/// What simulated validator sets are like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SetParams {
    /// Validators of a set, at least 1.
    pub validators: usize,
    /// Miners of a set, at least 1.
    pub miners: usize,
    /// Standard deviation of the log of a validator's stake.
    pub stake_sd_log: f64,
    /// True quality of a miner.
    pub quality: Fluctuation,
    /// Error with which the median validator sees the quality of a miner.
    pub error: Fluctuation,
    /// Standard deviation over validators of the log of that error's size.
    pub error_spread_sd_log: f64,
    /// Probability that a validator copies the last consensus (fraction); copiers hold at most 40 % of the stake of a set.
    pub copiers: f64,
    /// Probability that a validator lags (fraction).
    pub laggards: f64,
    /// By how much (days).
    pub lag_days: f64,
    /// Hyperparameters of the epochs.
    pub yuma: YumaParams,
}

impl SetParams {
    /// What is assumed where nothing is known of a subnet.
    pub const DEFAULT: Self = Self {
        validators: 16,
        miners: 32,
        stake_sd_log: 1.0,
        quality: Fluctuation { sd_log: 1.0, half_life_days: 30.0 },
        error: Fluctuation { sd_log: 0.3, half_life_days: 2.0 },
        error_spread_sd_log: 0.5,
        copiers: 0.1,
        laggards: 0.1,
        lag_days: 1.0,
        yuma: YumaParams::DEFAULT,
    };

    fn epochs_per_day(&self) -> u32 {
        (BLOCKS_PER_DAY / self.yuma.tempo_blocks).max(1) as u32
    }
}

/// How much is simulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SetRun {
    /// Sets, at least 2: errors are those between them.
    pub sets: u32,
    /// Epochs that are measured in each.
    pub epochs: u32,
    /// Seed of all chance.
    pub seed: u64,
}

/// A figure from simulated sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fitted {
    /// The figure.
    pub value: f64,
    /// Its standard error, from the differences between sets.
    pub standard_error: f64,
}

/// The law of a validator's relative dividend; see the [module](self).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DividendLaw {
    /// Standard deviation of ln v between validators.
    pub spread_sd_log: Fitted,
    /// Stationary standard deviation of ln v in time.
    pub noise_sd_log: Fitted,
    /// Half-life of that (days).
    pub noise_half_life_days: Fitted,
    /// Mean v of each kind, by stake; `None` where there is none in the sets.
    pub mean_by_kind: [(ValidatorKind, Option<Fitted>); 3],
}

/// A group of validators that favour one miner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cartel {
    /// Its part of the stake, above 0 and below 1.
    pub stake_fraction: f64,
    /// Its validators, which hold equal parts of that; fewer than the set has.
    pub members: usize,
    /// Part of their weight that all others give its miner, at least 0 and below 1.
    pub honest_weight: f64,
}

/// What collusion gains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CollusionOutcome {
    /// Share of the group's miner in what miners earn.
    pub incentive_share: Fitted,
    /// v of the group.
    pub cartel_dividend: Fitted,
    /// v of all others.
    pub honest_dividend: Fitted,
}

/// How a validator comes by its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidatorKind {
    /// Sees the quality of the miners, with errors.
    Observer,
    /// Sees their quality of some time ago.
    Laggard,
    /// Repeats the last consensus.
    Copier,
    /// Gives everything to the last miner.
    Colluder,
}

impl ValidatorKind {
    /// Kinds that are drawn; colluders are set.
    const DRAWN: [Self; 3] = [Self::Observer, Self::Laggard, Self::Copier];
}

/// Simulates sets and fits the law of ln v. Requires at least [`LAW_DAYS_MIN`] days of epochs and 2 sets.
pub fn dividend_law(params: &SetParams, run: &SetRun) -> DividendLaw {
    let sets: Vec<[f64; MOMENTS]> = (0..run.sets).map(|number| moments(params, run, number)).collect();
    let [spread_sd_log, noise_sd_log, noise_half_life_days, observers, laggards, copiers] = jackknife(&sets, fit);
    let known = |fitted: Fitted| fitted.value.is_finite().then_some(fitted);
    let [observer, laggard, copier] = ValidatorKind::DRAWN;
    DividendLaw {
        spread_sd_log,
        noise_sd_log,
        noise_half_life_days,
        mean_by_kind: [(observer, known(observers)), (laggard, known(laggards)), (copier, known(copiers))],
    }
}

/// Simulates sets with a cartel. Requires at least 2 sets.
pub fn collusion(params: &SetParams, cartel: &Cartel, run: &SetRun) -> CollusionOutcome {
    let sets: Vec<[f64; 3]> = (0..run.sets).map(|number| cartel_gains(params, cartel, run, number)).collect();
    let [incentive_share, cartel_dividend, honest_dividend] = jackknife(&sets, |means| *means);
    CollusionOutcome { incentive_share, cartel_dividend, honest_dividend }
}

/// Means over one set: ln v, its square, half squares of its changes over each of [`LAGS`]; then dividends and stake of each
/// kind of [`ValidatorKind::DRAWN`].
const MOMENTS: usize = 11;
/// Place of the first kind among them.
const KINDS: usize = 5;

fn moments(params: &SetParams, run: &SetRun, number: u32) -> [f64; MOMENTS] {
    let mut set = ValidatorSet::new(params, None, run.seed, number);
    let days = daily_dividends(&mut set, params.epochs_per_day(), run.epochs);
    let mut moments = [0.0; MOMENTS];
    for (validator, &stake) in set.stake.iter().enumerate() {
        let kind = KINDS + 2 * ValidatorKind::DRAWN.iter().position(|kind| *kind == set.kinds[validator]).unwrap_or(0);
        moments[kind] += mean(days.iter().map(|day| day[validator]));
        moments[kind + 1] += stake;
        let logs: Vec<f64> = days.iter().map(|day| math::ln((day[validator] / stake).max(RELATIVE_FLOOR))).collect();
        let half_square = |lag: usize| mean(logs.iter().zip(&logs[lag..]).map(|(a, b)| 0.5 * (b - a) * (b - a)));
        moments[0] += stake * mean(logs.iter().copied());
        moments[1] += stake * mean(logs.iter().map(|log| log * log));
        (0..LAGS.len()).for_each(|place| moments[2 + place] += stake * half_square(LAGS[place]));
    }
    moments
}

/// Shares of the validators in all dividends, by day.
fn daily_dividends(set: &mut ValidatorSet<'_>, epochs_per_day: u32, epochs: u32) -> Vec<Vec<f64>> {
    set.burn_in();
    let day = |_| {
        let mut shares = vec![0.0; set.stake.len()];
        for _ in 0..epochs_per_day {
            let dividends = set.advance().dividends;
            shares.iter_mut().zip(&dividends).for_each(|(sum, share)| *sum += share / f64::from(epochs_per_day));
        }
        shares
    };
    (0..epochs / epochs_per_day).map(day).collect()
}

/// Spread, noise and half-life from mean moments, and v of each kind.
fn fit(moments: &[f64; MOMENTS]) -> [f64; 6] {
    let [log, square, near, middle, far, ..] = *moments;
    let (low, high) = PERSISTENCE_BOUNDS;
    let persistence = if middle > near { ((far - middle) / (middle - near)).clamp(low, high) } else { low };
    let noise_variance = near + (middle - near).max(0.0) / (1.0 - persistence);
    let spread_variance = (square - log * log - noise_variance).max(0.0);
    let half_life_days = -std::f64::consts::LN_2 * (LAGS[1] - LAGS[0]) as f64 / math::ln(persistence);
    let relative = |kind: usize| moments[KINDS + 2 * kind] / moments[KINDS + 2 * kind + 1];
    [spread_variance.sqrt(), noise_variance.sqrt(), half_life_days, relative(0), relative(1), relative(2)]
}

/// Means over a set's epochs: the incentive of the cartel's miner, v of the cartel, v of the others.
fn cartel_gains(params: &SetParams, cartel: &Cartel, run: &SetRun, number: u32) -> [f64; 3] {
    let mut set = ValidatorSet::new(params, Some(cartel), run.seed, number);
    set.burn_in();
    let honest = params.validators - cartel.members;
    let mut sums = [0.0; 3];
    for _ in 0..run.epochs {
        let outcome = set.advance();
        let dividends = |uids: std::ops::Range<usize>| uids.map(|uid| outcome.dividends[uid]).sum::<f64>();
        sums[0] += outcome.incentive[params.validators + params.miners - 1];
        sums[1] += dividends(honest..params.validators) / cartel.stake_fraction;
        sums[2] += dividends(0..honest) / (1.0 - cartel.stake_fraction);
    }
    sums.map(|sum| sum / f64::from(run.epochs))
}

/// An estimate from the mean of the sets' moments, with its error from leaving out one set after another.
///
/// `error^2 = (n - 1) / n * sum of (estimate without set s - mean of these)^2`; for a mean this is its usual error.
/// Source: Efron, Stein (1981), doi:10.1214/aos/1176345462.
fn jackknife<const K: usize, const N: usize>(
    sets: &[[f64; K]],
    estimate: impl Fn(&[f64; K]) -> [f64; N],
) -> [Fitted; N] {
    let count = sets.len() as f64;
    let sums: [f64; K] = std::array::from_fn(|k| sets.iter().map(|set| set[k]).sum());
    let value = estimate(&sums.map(|sum| sum / count));
    let without = |set: &[f64; K]| estimate(&std::array::from_fn(|k| (sums[k] - set[k]) / (count - 1.0)));
    let left_out: Vec<[f64; N]> = sets.iter().map(without).collect();
    std::array::from_fn(|n| {
        let center = mean(left_out.iter().map(|estimates| estimates[n]));
        let squares = left_out.iter().map(|estimates| (estimates[n] - center) * (estimates[n] - center));
        Fitted { value: value[n], standard_error: ((count - 1.0) * mean(squares)).sqrt() }
    })
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// One simulated set. Uids are first validators, the colluders last of them, then miners, the last of them the colluders'.
struct ValidatorSet<'a> {
    params: &'a SetParams,
    cartel: Option<&'a Cartel>,
    seed: u64,
    number: u32,
    epoch: u32,
    kinds: Vec<ValidatorKind>,
    /// Parts of all stake.
    stake: Vec<f64>,
    /// Size of each validator's errors.
    error_sd: Vec<f64>,
    /// Errors in their standard deviation, a row per validator.
    errors: Vec<Vec<f64>>,
    /// Log of the miners' quality in its standard deviation, from the oldest that somebody still sees to today's.
    qualities: VecDeque<Vec<f64>>,
    consensus: Array1<f64>,
    state: YumaState,
}

impl<'a> ValidatorSet<'a> {
    fn new(params: &'a SetParams, cartel: Option<&'a Cartel>, seed: u64, number: u32) -> Self {
        let (validators, uids) = (params.validators, params.validators + params.miners);
        let mut set = Self {
            params,
            cartel,
            seed,
            number,
            epoch: 0,
            kinds: Vec::with_capacity(validators),
            stake: Vec::with_capacity(validators),
            error_sd: Vec::with_capacity(validators),
            errors: Vec::with_capacity(validators),
            qualities: VecDeque::new(),
            consensus: Array1::zeros(uids),
            state: YumaState::new((0..uids).map(|uid| uid < validators).collect()),
        };
        for validator in 0..validators {
            set.draw_validator(validator);
        }
        let quality = set.normals(validators);
        set.qualities.push_back(quality);
        set.divide_stake();
        set.limit_copiers();
        set
    }

    fn words(&self, slot: usize, index: u16) -> [u32; 4] {
        let address =
            Address { path: self.number, step: self.epoch, slot: slot as u32, purpose: Purpose::ValidatorSet, index };
        rng::words(self.seed, address)
    }

    /// A normal draw per miner, of a validator or, one beyond the last, of the miners themselves.
    fn normals(&self, slot: usize) -> Vec<f64> {
        let blocks = 0..self.params.miners.div_ceil(4) as u16;
        let mut draws: Vec<f64> = blocks.flat_map(|index| rng::normals4(self.words(slot, index))).collect();
        draws.truncate(self.params.miners);
        draws
    }

    fn draw_validator(&mut self, validator: usize) {
        let params = self.params;
        let [stake, error, ..] = rng::normals4(self.words(validator, TRAITS_INDEX));
        let kind = rng::open_unit(self.words(validator, TRAITS_INDEX + 1)[0]);
        self.kinds.push(match self.cartel {
            Some(cartel) if validator >= params.validators - cartel.members => ValidatorKind::Colluder,
            _ if kind < params.copiers => ValidatorKind::Copier,
            _ if kind < params.copiers + params.laggards => ValidatorKind::Laggard,
            _ => ValidatorKind::Observer,
        });
        self.stake.push(math::exp(params.stake_sd_log * stake));
        self.error_sd.push(params.error.sd_log * math::exp(params.error_spread_sd_log * error));
        self.errors.push(self.normals(validator));
    }

    /// Makes stakes parts of all stake, those of colluders equal parts of theirs.
    fn divide_stake(&mut self) {
        let (fraction, members) = self.cartel.map_or((0.0, 0), |cartel| (cartel.stake_fraction, cartel.members));
        let (honest, colluders) = self.stake.split_at_mut(self.params.validators - members);
        let sum: f64 = honest.iter().sum();
        honest.iter_mut().for_each(|stake| *stake *= (1.0 - fraction) / sum);
        colluders.fill(fraction / members as f64);
    }

    /// Makes copiers observe that would bring the stake of all of them above [`COPIER_STAKE_MAX`].
    fn limit_copiers(&mut self) {
        let mut copied = 0.0;
        for (kind, stake) in self.kinds.iter_mut().zip(&self.stake).filter(|(kind, _)| **kind == ValidatorKind::Copier)
        {
            if copied + stake > COPIER_STAKE_MAX {
                *kind = ValidatorKind::Observer;
            } else {
                copied += stake;
            }
        }
    }

    fn burn_in(&mut self) {
        for _ in 0..BURN_IN_EPOCHS {
            self.advance();
        }
    }

    /// Runs the next epoch.
    fn advance(&mut self) -> YumaOutcome {
        self.epoch += 1;
        self.drift();
        let block = u64::from(self.epoch + 1) * self.params.yuma.tempo_blocks;
        let neuron = |stake| Neuron { stake, registered_at: 0, last_update: block, committed_at: None };
        let miners = std::iter::repeat_n(0.0, self.params.miners);
        let neurons: Vec<Neuron> = self.stake.iter().copied().chain(miners).map(neuron).collect();
        let weights = self.weights();
        let inputs = YumaInputs { block, neurons: &neurons, weights: weights.view(), owner: None };
        let outcome = run_epoch(&self.params.yuma, &inputs, &self.state);
        self.state = outcome.next.clone();
        self.consensus.clone_from(&outcome.consensus);
        outcome
    }

    /// Moves qualities and errors one epoch on.
    fn drift(&mut self) {
        let epochs_per_day = self.params.epochs_per_day();
        let mut quality = self.qualities.back().cloned().unwrap_or_default();
        revert(&mut quality, &self.normals(self.params.validators), &self.params.quality, epochs_per_day);
        self.qualities.push_back(quality);
        if self.qualities.len() > (self.params.lag_days * f64::from(epochs_per_day)) as usize + 1 {
            self.qualities.pop_front();
        }
        for validator in 0..self.params.validators {
            let shocks = self.normals(validator);
            revert(&mut self.errors[validator], &shocks, &self.params.error, epochs_per_day);
        }
    }

    fn weights(&self) -> Array2<f64> {
        let (validators, uids) = (self.params.validators, self.consensus.len());
        let mut weights = Array2::zeros((uids, uids));
        for validator in 0..validators {
            for (miner, weight) in self.row(validator).into_iter().enumerate() {
                weights[[validator, validators + miner]] = weight;
            }
        }
        weights
    }

    /// Weights of a validator on the miners.
    fn row(&self, validator: usize) -> Vec<f64> {
        let miners = self.params.miners;
        match self.kinds[validator] {
            ValidatorKind::Colluder => (0..miners).map(|miner| f64::from(u8::from(miner + 1 == miners))).collect(),
            ValidatorKind::Copier => self.consensus.iter().skip(self.params.validators).copied().collect(),
            ValidatorKind::Laggard => self.seen(validator, self.qualities.front()),
            ValidatorKind::Observer => self.seen(validator, self.qualities.back()),
        }
    }

    fn seen(&self, validator: usize, quality: Option<&Vec<f64>>) -> Vec<f64> {
        let (quality_sd, error_sd) = (self.params.quality.sd_log, self.error_sd[validator]);
        let pairs = quality.into_iter().flatten().zip(&self.errors[validator]);
        let mut row: Vec<f64> = pairs.map(|(q, e)| math::exp(quality_sd * q + error_sd * e)).collect();
        if let (Some(cartel), Some((own, others))) = (self.cartel, row.split_last_mut()) {
            *own = others.iter().sum::<f64>() * cartel.honest_weight / (1.0 - cartel.honest_weight);
        }
        row
    }
}

/// One epoch of a stationary AR(1) process of unit variance.
fn revert(values: &mut [f64], shocks: &[f64], law: &Fluctuation, epochs_per_day: u32) {
    let persistence = math::exp(-std::f64::consts::LN_2 / (law.half_life_days * f64::from(epochs_per_day)));
    let innovation = (1.0 - persistence * persistence).sqrt();
    for (value, shock) in values.iter_mut().zip(shocks) {
        *value = persistence * *value + innovation * shock;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::yuma::BondsRule;
    use crate::protocol::yuma::LiquidSmoothing;

    const RULES: [BondsRule; 3] =
        [BondsRule::Yuma2, BondsRule::Yuma3, BondsRule::Yuma3Liquid(LiquidSmoothing::DEFAULT)];
    /// Validators that all see alike and right, and small sets.
    const CLEAR: SetParams = SetParams {
        validators: 6,
        miners: 5,
        error: Fluctuation { sd_log: 0.0, half_life_days: 1.0 },
        copiers: 0.0,
        laggards: 0.0,
        ..SetParams::DEFAULT
    };
    const SHORT: SetRun = SetRun { sets: 4, epochs: 80, seed: 3 };
    const LONG: SetRun = SetRun { sets: 12, epochs: 600, seed: 3 };
    /// Kappa of the chain, 32767/65535.
    const KAPPA: f64 = YumaParams::DEFAULT.kappa;

    fn under(bonds_rule: BondsRule, params: SetParams) -> SetParams {
        SetParams { yuma: YumaParams { bonds_rule, ..YumaParams::DEFAULT }, ..params }
    }

    fn cartel(stake_fraction: f64, honest_weight: f64) -> Cartel {
        Cartel { stake_fraction, members: 2, honest_weight }
    }

    fn assert_near(fitted: Fitted, expected: f64, tolerance: f64, what: &str) {
        assert!((fitted.value - expected).abs() <= tolerance, "{what}: {fitted:?}, expected {expected}");
    }

    /// All weigh alike, so dividends are stakes, but for the truncation of stored bonds to 1/65535.
    #[test]
    fn validators_that_see_alike_earn_alike() {
        for rule in RULES {
            let law = dividend_law(&under(rule, CLEAR), &LONG);
            assert!(law.spread_sd_log.value < 2e-3, "{rule:?}: {law:?}");
            assert!(law.noise_sd_log.value < 2e-3, "{rule:?}: {law:?}");
            let [(_, observers), (_, laggards), (_, copiers)] = law.mean_by_kind;
            assert_near(observers.expect("all are"), 1.0, 1e-6, "observers");
            assert_eq!((laggards, copiers), (None, None));
        }
    }

    #[test]
    fn worse_sight_spreads_dividends_and_laggards_earn_less() {
        let seen_with = |sd_log| SetParams { error: Fluctuation { sd_log, half_life_days: 2.0 }, ..CLEAR };
        let [fine, coarse] = [0.1, 0.4].map(|sd_log| dividend_law(&seen_with(sd_log), &LONG));
        assert!(coarse.spread_sd_log.value > 2.0 * fine.spread_sd_log.value, "{fine:?} {coarse:?}");
        assert!(coarse.noise_sd_log.value > 2.0 * fine.noise_sd_log.value, "{fine:?} {coarse:?}");
        let late = SetParams {
            laggards: 0.3,
            lag_days: 4.0,
            quality: Fluctuation { sd_log: 1.0, half_life_days: 2.0 },
            ..CLEAR
        };
        let [(_, observers), (_, laggards), _] = dividend_law(&late, &LONG).mean_by_kind;
        assert!(laggards.expect("some lag").value < observers.expect("most do not").value - 0.05);
    }

    /// Each set is addressed by its number: more sets leave the first ones as they were.
    #[test]
    fn sets_depend_on_their_number_and_the_seed_alone() {
        let of = |run: SetRun, number| moments(&CLEAR_WITH_ERRORS, &run, number);
        assert_eq!(of(LONG, 1), of(SetRun { sets: 90, ..LONG }, 1));
        assert_ne!(of(LONG, 1), of(LONG, 2));
        assert_ne!(of(LONG, 1), of(SetRun { seed: 4, ..LONG }, 1));
    }

    const CLEAR_WITH_ERRORS: SetParams = SetParams { error: Fluctuation { sd_log: 0.3, half_life_days: 2.0 }, ..CLEAR };

    /// The moments of a known law give it back: spread 0.3, noise 0.2, half-life of one day.
    #[test]
    fn a_known_law_is_fitted_exactly() {
        let (spread2, noise2): (f64, f64) = (0.09, 0.04);
        let change = |lag: i32| noise2 * (1.0 - 0.5_f64.powi(lag));
        let square = 0.0025 + spread2 + noise2;
        let moments = [-0.05, square, change(1), change(3), change(5), 2.0, 4.0, 1.0, 1.0, 0.0, 0.0];
        let [spread, noise, half_life, observers, laggards, copiers] = fit(&moments);
        for (found, expected) in [(spread, 0.3), (noise, 0.2), (half_life, 1.0), (observers, 0.5), (laggards, 1.0)] {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        assert!(copiers.is_nan());
    }

    #[test]
    fn the_jackknife_error_of_a_mean_is_its_standard_error() {
        let [fitted] = jackknife(&[[1.0], [2.0], [6.0]], |means| *means);
        // Sample variance 7 over three sets.
        assert!((fitted.value - 3.0).abs() < 1e-12 && (fitted.standard_error - (7.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn below_kappa_a_cartel_gains_nothing_for_a_miner_that_others_ignore() {
        for rule in RULES {
            let params = under(rule, CLEAR_WITH_ERRORS);
            let outcome = collusion(&params, &cartel(KAPPA - 0.005, 0.0), &SHORT);
            assert_eq!(outcome.incentive_share, Fitted { value: 0.0, standard_error: 0.0 }, "{rule:?}");
            assert_eq!(outcome.cartel_dividend.value, 0.0, "{rule:?}");
            assert_near(outcome.honest_dividend, 1.0 / (1.0 - (KAPPA - 0.005)), 1e-6, "honest");
        }
    }

    /// Without errors of sight the shares are known. With honest weight h and stake s of the cartel the consensus on its miner
    /// is h below kappa, which all give it, while s gives the other miners nothing.
    #[test]
    fn below_kappa_its_miner_gets_what_honest_stake_gives_it() {
        let (stake, honest) = (KAPPA - 0.005, 0.1);
        for rule in RULES {
            let outcome = collusion(&under(rule, CLEAR), &cartel(stake, honest), &SHORT);
            let share = honest / (honest + (1.0 - stake) * (1.0 - honest));
            assert_near(outcome.incentive_share, share, 1e-6, "incentive");
            assert!(outcome.cartel_dividend.value < 0.4, "{rule:?}: {outcome:?}");
            assert!(outcome.honest_dividend.value > 1.6, "{rule:?}: {outcome:?}");
        }
    }

    /// Above kappa the consensus on its miner is 1, and no other has support. Bonds on it are then 1 of each colluder and h of
    /// each honest validator (Yuma2: times stake), so that `v = 1 / (s + (1 - s) h)` and h times that.
    #[test]
    fn above_kappa_the_cartel_sets_the_consensus_and_honest_weight_on_its_miner_counts() {
        let stake = KAPPA + 0.005;
        for (rule, honest) in RULES.into_iter().flat_map(|rule| [(rule, 0.0), (rule, 0.1)]) {
            let outcome = collusion(&under(rule, CLEAR_WITH_ERRORS), &cartel(stake, honest), &SHORT);
            let of_cartel = 1.0 / (stake + (1.0 - stake) * honest);
            assert_near(outcome.incentive_share, 1.0, 1e-6, "incentive");
            assert_near(outcome.cartel_dividend, of_cartel, 2e-3 * of_cartel, "cartel");
            assert_near(outcome.honest_dividend, honest * of_cartel, 2e-3 * of_cartel, "honest");
        }
    }
}
