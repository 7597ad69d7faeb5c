//! Parameters of everything that chance and people decide, shared and immutable.

use crate::model::revenue::RevenueParams;
use crate::model::root_stake::RootStakeParams;
use crate::model::shocks::ShockParams;
use crate::units::NetUid;

/// One mean-reverting part of log-volatility.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VolatilityPart {
    /// Stationary standard deviation of the log-volatility part.
    pub sd_log: f64,
    /// Half-life (days).
    pub half_life_days: f64,
}

/// Two-sided exponential (Kou) jumps, a compound Poisson process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JumpParams {
    /// Intensity (per day).
    pub rate_per_day: f64,
    /// Probability that a jump is upward.
    pub up_probability: f64,
    /// Mean size of an upward jump, in units of the subnet's daily scale.
    pub up_mean: f64,
    /// Mean size of a downward jump, same unit.
    pub down_mean: f64,
}

impl JumpParams {
    /// Mean of the sum of jumps per day, in units of the scale.
    pub fn mean_per_day(&self) -> f64 {
        self.rate_per_day * (self.up_probability * self.up_mean - (1.0 - self.up_probability) * self.down_mean)
    }
}

/// Organic net stake flow of a subnet (MODEL 4.1).
#[derive(Clone, Debug, PartialEq)]
pub struct FlowParams {
    /// Median over subnets of the daily scale `s_i` (log reserve move per square-root day).
    pub scale_median: f64,
    /// Standard deviation of `ln s_i` over entrants.
    pub scale_sd_log: f64,
    /// Exponent of pool size: scale falls as `(reserve / 5000 TAO)^-size_exponent`.
    pub size_exponent: f64,
    /// Exponent of age: scale falls as `(age / 200 days)^-age_exponent`.
    pub age_exponent: f64,
    /// Age below which the age factor is constant (days).
    pub age_floor_days: f64,
    /// Pool reserve below which the size factor is constant (TAO).
    pub reserve_floor_tao: f64,
    /// Mean of the flow, jumps included (log reserve move per day).
    pub drift_per_day: f64,
    /// Fast and slow part of log-volatility.
    pub volatility: [VolatilityPart; 2],
    /// Cap of the volatility factor `exp(h - Var h / 2)`.
    pub volatility_cap: f64,
    /// Jumps of single subnets.
    pub jumps: JumpParams,
    /// Rare common jump.
    pub common_jump: JumpParams,
    /// Mean loading on the common factor.
    pub loading_mean: f64,
    /// Standard deviation of that loading over entrants.
    pub loading_sd: f64,
    /// Loading on the factor of its sector of a subnet that is in one.
    pub sector_loading: f64,
    /// Cap of the absolute flow (per day; scaled by the square root of the step above one day).
    pub flow_cap: f64,
    /// Part of a subnet's alpha, staked and in its pool together, that no organic sale takes out of stake.
    pub stake_floor: f64,
}

/// What is known of one subnet of the snapshot, in place of what is taken for all (MODEL 4.1). It ends with the subnet.
#[derive(Clone, Debug, PartialEq)]
pub struct SubnetParams {
    /// Where it lives at the start.
    pub netuid: NetUid,
    /// Daily scale `s_i`.
    pub scale: Option<f64>,
    /// Loading on the common factor.
    pub loading: Option<f64>,
    /// Mean of the flow, jumps included (log reserve move per day).
    pub drift_per_day: Option<f64>,
    /// Fast and slow part of log-volatility at the start.
    pub log_volatility: Option<[f64; 2]>,
    /// Number of its sector.
    pub sector: Option<u16>,
}

/// Jumps that strike the subnets of one operator together (MODEL 4.1), each while it lives where it did at the start.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterParams {
    /// Its subnets.
    pub netuids: Vec<NetUid>,
    /// Intensity (per day).
    pub rate_per_day: f64,
    /// Mean log move of the pools' TAO reserves; not compensated.
    pub log_reserve_mean: f64,
    /// Standard deviation of that move.
    pub log_reserve_sd: f64,
}

/// A state of the market and how it is left (MODEL 4.4).
#[derive(Clone, Debug, PartialEq)]
pub struct MarketState {
    /// Name.
    pub name: String,
    /// Factor on the volatility of flows and of TAO/USD.
    pub volatility_scale: f64,
    /// Factor on the intensities of jumps: of single subnets, of all, of TAO/USD.
    pub jump_scale: f64,
    /// Mean time in it (days).
    pub mean_days: f64,
    /// Probability of each state to be the next; 0 of itself.
    pub next_probability: Vec<f64>,
}

/// States of the market: a continuous-time Markov chain.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketParams {
    /// The states, at least two.
    pub states: Vec<MarketState>,
    /// Index of the state that a path starts in.
    pub start: usize,
}

/// How flows answer to prices and dividends (MODEL 4.1, "Feedback"); all 0: they do not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FeedbackParams {
    /// Flow per day and unit of `clip(ln(min(p, 1) / m), +- 0.5)`.
    pub momentum: f64,
    /// Flow per unit of alpha dividends per staked alpha, above their mean over started subnets.
    pub dividends: f64,
    /// Outflow per day from a subnet that is enabled and gets no emission.
    pub flight: f64,
}

/// Net fractions of received emission that are sold (MODEL 4.2).
#[derive(Clone, Debug, PartialEq)]
pub struct SaleParams {
    /// By owners, of the owner cut.
    pub owner: f64,
    /// By miners, of what they are paid.
    pub miner: f64,
    /// By validators and their stakers, of the validator part.
    pub validator: f64,
    /// Part of claimed root alpha that is swapped to TAO; the rest is kept as stake.
    pub root_swap_fraction: f64,
    /// Mean delay of a root claim (days).
    pub root_claim_delay_days: f64,
}

/// TAO/USD, a jump diffusion in logs (MODEL 4.4).
#[derive(Clone, Debug, PartialEq)]
pub struct TaoUsdParams {
    /// Drift of the rate (per day); jumps are compensated.
    pub drift_per_day: f64,
    /// Volatility of the diffusion (per square-root day).
    pub volatility_per_sqrt_day: f64,
    /// Jump intensity (per day).
    pub jump_rate_per_day: f64,
    /// Mean log jump.
    pub jump_mean: f64,
    /// Standard deviation of log jumps.
    pub jump_sd: f64,
    /// Correlation with the common flow factor.
    pub correlation_with_flow: f64,
}

/// Registration attempts (MODEL 4.5).
#[derive(Clone, Debug, PartialEq)]
pub struct RegistrationParams {
    /// Hazard when the cost equals the willingness to pay (per day).
    pub hazard_per_day: f64,
    /// Elasticity of the hazard in willingness over cost.
    pub elasticity: f64,
    /// Median of the willingness to pay (TAO).
    pub willingness_median_tao: f64,
    /// Stationary standard deviation of log willingness.
    pub willingness_sd_log: f64,
    /// Half-life of log willingness (days).
    pub willingness_half_life_days: f64,
    /// Willingness at the start (TAO).
    pub willingness_start_tao: f64,
}

/// Behaviour of entrants (MODEL 4.5) and of subnets not yet started or enabled.
#[derive(Clone, Debug, PartialEq)]
pub struct EntrantParams {
    /// Probability that an entrant never calls start.
    pub never_start_probability: f64,
    /// The same for a subnet of the snapshot that has not started.
    pub never_start_probability_incumbent: f64,
    /// Mean delay from registration to start_call (days, exponential).
    pub start_delay_mean_days: f64,
    /// Mean delay from start to emission enabling (days, exponential).
    pub enable_delay_mean_days: f64,
    /// Probability that an entrant withholds all miner emission.
    pub burn_all_probability: f64,
}

/// How well the validators of holders do against the average (MODEL 5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValidatorParams {
    /// Standard deviation of the log performance between validators.
    pub spread_sd_log: f64,
    /// Stationary standard deviation of one validator's log performance in time.
    pub noise_sd_log: f64,
    /// Half-life of that (days).
    pub noise_half_life_days: f64,
    /// Factor on all holders' dividends from a day on, such as collusion within subnets gives it.
    pub dividend_factor: f64,
    /// That day (after the start).
    pub dividend_factor_day: f64,
}

/// All parameters of chance and behaviour.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelParams {
    /// Organic flow.
    pub flow: FlowParams,
    /// Sales of emission.
    pub sales: SaleParams,
    /// TAO/USD.
    pub tao_usd: TaoUsdParams,
    /// Registrations.
    pub registration: RegistrationParams,
    /// Entrants.
    pub entrants: EntrantParams,
    /// Validators of holders.
    pub validators: ValidatorParams,
    /// Subnets with revenue, by netuid.
    pub revenue: Vec<RevenueParams>,
    /// Own flow of root stake.
    pub root_stake: RootStakeParams,
    /// Answers of flows to prices and dividends.
    pub feedback: FeedbackParams,
    /// Subnets of the snapshot of which more is known, at most one entry each.
    pub subnets: Vec<SubnetParams>,
    /// Groups of subnets that jump together.
    pub clusters: Vec<ClusterParams>,
    /// States of the market; `None`: it has but one.
    pub market: Option<MarketParams>,
    /// Shocks of the scenario, in its order.
    pub shocks: Vec<ShockParams>,
}
