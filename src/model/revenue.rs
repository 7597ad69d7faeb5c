//! Revenue of subnets that have customers: what comes in, and what of it buys alpha, pays miners or withholds their emission.
//!
//! ```text
//! r = m exp(v)     v' = rho v + sqrt(1 - rho^2) s z     rho = 2^(-days / half-life)        regular revenue (USD per day)
//! campaigns: Poisson arrivals, budgets b exp(c z) (USD) spent evenly over T days
//! buyback = share (1 - margin) (r days + spending) / U                                       TAO that buy alpha
//! MB = max(MB0, 1 - (fixed days + part (r days + spending)) / (A p U))                       payouts pegged in USD
//! ```
//!
//! `U`: USD per TAO of the step; `MB0`: withheld part of miner emission on the snapshot; `A`: alpha minted to miners in the step,
//! `p` the opening price. What is neither margin nor bought back stays unused. Without a peg MB stays as it is.
//! Source: MODEL 4.3. Draws are addressed by path, step and slot.
//!
//! Not modelled: customers that answer to the price of alpha or to TAO/USD; revenue of entrants; what the owner does with margin
//! and bought alpha, which stays staked; a halving of the subnet's alpha within a step, before which A is taken.

use crate::model::jumps::poisson_count;
use crate::model::jumps::poisson_thresholds;
use crate::model::kernel::Draw;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;
use crate::units::SubnetId;

/// Index, within [`Purpose::RevenueCampaigns`], of the word that counts the arrivals; campaigns follow from 1.
const COUNT_INDEX: u16 = 0;

/// Revenue of one subnet and what becomes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RevenueParams {
    /// Whose.
    pub subnet: SubnetId,
    /// Median of regular revenue (USD per day).
    pub median_usd_per_day: f64,
    /// Stationary standard deviation of its log.
    pub sd_log: f64,
    /// Half-life of its log (days).
    pub half_life_days: f64,
    /// Regular revenue at the start (USD per day).
    pub start_usd_per_day: f64,
    /// Campaigns of sponsors, on top of regular revenue.
    pub campaigns: CampaignParams,
    /// Day (after the start) from which nothing comes in; infinite: none.
    pub stop_day: f64,
    /// Part of revenue that is kept as a margin.
    pub margin: f64,
    /// Part of the rest that buys alpha in the pool.
    pub buyback: f64,
    /// Payouts to miners in USD; `None`: they are paid in alpha, as elsewhere.
    pub peg: Option<PayoutPeg>,
    /// Part of what miners receive that they sell; `None`: as in other subnets.
    pub creator_sale_fraction: Option<f64>,
}

/// Campaigns of sponsors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CampaignParams {
    /// Arrivals (per day).
    pub rate_per_day: f64,
    /// Median budget (USD).
    pub budget_median_usd: f64,
    /// Standard deviation of the log budget.
    pub budget_sd_log: f64,
    /// Days over which a budget is spent evenly.
    pub spend_days: f64,
}

/// What miners are paid at most, in USD; the rest of their emission is withheld.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PayoutPeg {
    /// Whatever comes in (USD per day).
    pub usd_per_day: f64,
    /// Besides, as a part of revenue.
    pub of_revenue: f64,
}

/// Revenue of one subnet over one step length.
#[derive(Clone, Debug)]
pub struct RevenueStep {
    params: RevenueParams,
    /// Drawn steps that make up a step, and the length of one (days).
    draws: u32,
    days: f64,
    persistence: f64,
    innovation: f64,
    arrivals: Vec<u32>,
}

/// Where the revenue of one subnet stands on a path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RevenueLevel {
    /// Log of regular revenue against its median.
    log: f64,
    campaigns: Vec<Campaign>,
}

/// A campaign under way.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Campaign {
    usd_per_day: f64,
    days_left: f64,
}

impl RevenueStep {
    /// Constants for steps of `blocks` blocks, each with the chance of `draws` steps of `blocks / draws` blocks.
    pub fn coupled(params: &RevenueParams, blocks: u64, draws: u32) -> Self {
        let days = blocks as f64 / BLOCKS_PER_DAY as f64 / f64::from(draws);
        let persistence = math::exp(-days * std::f64::consts::LN_2 / params.half_life_days);
        Self {
            params: params.clone(),
            draws,
            days,
            persistence,
            innovation: params.sd_log * (1.0 - persistence * persistence).sqrt(),
            arrivals: poisson_thresholds(params.campaigns.rate_per_day * days),
        }
    }

    /// Whose revenue it is.
    pub fn subnet(&self) -> SubnetId {
        self.params.subnet
    }

    /// Part of what miners receive that they sell, where it is not that of other subnets.
    pub fn creator_sale_fraction(&self) -> Option<f64> {
        self.params.creator_sale_fraction
    }

    /// Puts a level at a path's start: no campaign is under way.
    #[inline(always)]
    pub fn reset(&self, level: &mut RevenueLevel) {
        let RevenueParams { start_usd_per_day: start, median_usd_per_day: median, .. } = self.params;
        level.log = if median > 0.0 { math::ln(start / median) } else { 0.0 };
        level.campaigns.clear();
    }

    /// Moves the level through the step and returns what comes in (USD). Steps come in order.
    #[inline(always)]
    pub fn advance(&self, draw: Draw, level: &mut RevenueLevel) -> f64 {
        let mut usd = 0.0;
        for step in draw.step * self.draws..(draw.step + 1) * self.draws {
            usd += self.advance_once(Draw { step, ..draw }, level);
        }
        usd
    }

    /// One drawn step: regular revenue at the level of its end, campaigns by the day.
    #[inline(always)]
    fn advance_once(&self, draw: Draw, level: &mut RevenueLevel) -> f64 {
        let params = &self.params;
        if self.innovation > 0.0 {
            let [normal, ..] = rng::normals4(self.words(draw, Purpose::RevenueNormals, 0));
            level.log = self.persistence * level.log + self.innovation * normal;
        } else {
            level.log *= self.persistence;
        }
        // Days of the step on which something comes in.
        let open = (params.stop_day - f64::from(draw.step) * self.days).clamp(0.0, self.days);
        let mut usd = params.median_usd_per_day * math::exp(level.log) * open;
        for campaign in &mut level.campaigns {
            usd += campaign.spend(open);
        }
        level.campaigns.retain(|campaign| campaign.days_left > 0.0);
        usd + self.start_campaigns(draw, open, level)
    }

    /// Campaigns that arrive in the drawn step, each at its own time; returns what they spend in it (USD).
    #[inline(always)]
    fn start_campaigns(&self, draw: Draw, open: f64, level: &mut RevenueLevel) -> f64 {
        if self.arrivals.is_empty() {
            return 0.0;
        }
        let CampaignParams { budget_median_usd, budget_sd_log, spend_days, .. } = self.params.campaigns;
        let [count, ..] = self.words(draw, Purpose::RevenueCampaigns, COUNT_INDEX);
        let mut usd = 0.0;
        for number in 0..poisson_count(&self.arrivals, count) {
            let words = self.words(draw, Purpose::RevenueCampaigns, COUNT_INDEX + 1 + number as u16);
            let [size, ..] = rng::normals4(words);
            let budget = budget_median_usd * math::exp(budget_sd_log * size);
            let mut campaign = Campaign { usd_per_day: budget / spend_days, days_left: spend_days };
            let arrives = rng::open_unit(words[3]) * self.days;
            usd += campaign.spend((open - arrives).max(0.0));
            level.campaigns.push(campaign);
        }
        usd
    }

    #[inline(always)]
    fn words(&self, Draw { seed, path, step, .. }: Draw, purpose: Purpose, index: u16) -> [u32; 4] {
        rng::words(seed, Address { path, step, slot: self.params.subnet.netuid.slot() as u32, purpose, index })
    }

    /// What of `revenue_usd` buys alpha (USD).
    #[inline(always)]
    pub fn buyback_usd(&self, revenue_usd: f64) -> f64 {
        self.params.buyback * (1.0 - self.params.margin) * revenue_usd
    }

    /// Withheld part of miner emission worth `emission_usd` over a step in which `revenue_usd` come in; `base` at least.
    #[inline(always)]
    pub fn miner_burned(&self, base: f64, revenue_usd: f64, emission_usd: f64) -> f64 {
        let Some(peg) = self.params.peg else { return base };
        let days = f64::from(self.draws) * self.days;
        let paid_usd = peg.usd_per_day * days + peg.of_revenue * revenue_usd;
        if emission_usd > 0.0 { base.max(1.0 - paid_usd / emission_usd) } else { base }
    }
}

impl Campaign {
    /// Spends what falls into `days` (USD).
    fn spend(&mut self, days: f64) -> f64 {
        let days = days.min(self.days_left);
        self.days_left -= days;
        self.usd_per_day * days
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NetUid;

    const PATHS: u32 = 20_000;

    fn params() -> RevenueParams {
        RevenueParams {
            subnet: SubnetId { netuid: NetUid(93), registered_at: 5_370_681 },
            median_usd_per_day: 200.0,
            sd_log: 0.0,
            half_life_days: 2.0,
            start_usd_per_day: 200.0,
            campaigns: CampaignParams {
                rate_per_day: 0.0,
                budget_median_usd: 7_000.0,
                budget_sd_log: 0.0,
                spend_days: 5.0,
            },
            stop_day: f64::INFINITY,
            margin: 0.3,
            buyback: 0.5,
            peg: None,
            creator_sale_fraction: None,
        }
    }

    /// Revenue of each of `steps` steps of a path (USD), and the level at their end.
    fn revenue(law: &RevenueStep, path: u32, steps: u32) -> (Vec<f64>, RevenueLevel) {
        let mut level = RevenueLevel::default();
        law.reset(&mut level);
        let draw = |step| Draw { seed: 5, path, step, block: 0.0 };
        let usd = (0..steps).map(|step| law.advance(draw(step), &mut level)).collect();
        (usd, level)
    }

    fn mean_and_sd(values: &[f64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
    }

    #[test]
    fn revenue_without_chance_is_its_median() {
        for (blocks, draws) in [(7_200, 1), (7_200, 6), (1_200, 1)] {
            let law = RevenueStep::coupled(&params(), blocks, draws);
            let days = blocks as f64 / 7_200.0;
            let (usd, _) = revenue(&law, 0, 20);
            assert!(usd.iter().all(|usd| (usd / (200.0 * days) - 1.0).abs() < 1e-14), "{usd:?}");
        }
    }

    #[test]
    fn a_start_off_the_median_fades_by_half_lives() {
        let law = RevenueStep::coupled(&RevenueParams { start_usd_per_day: 800.0, ..params() }, 7_200, 1);
        let (usd, _) = revenue(&law, 0, 4);
        // After two days the log of 4 has halved, after four it is a quarter.
        assert!((usd[1] / 400.0 - 1.0).abs() < 1e-12 && (usd[3] / (200.0 * 2.0_f64.sqrt()) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_comes_in_from_the_stop_day_on() {
        let campaigns = CampaignParams { rate_per_day: 3.0, ..params().campaigns };
        let law = RevenueStep::coupled(&RevenueParams { stop_day: 2.25, campaigns, ..params() }, 3_600, 1);
        let (usd, _) = revenue(&law, 0, 10);
        assert!(usd[..4].iter().all(|usd| *usd >= 100.0) && usd[4] >= 50.0, "{usd:?}");
        assert_eq!(usd[5..], [0.0; 5]);
        let quiet = RevenueStep::coupled(&RevenueParams { stop_day: 2.25, ..params() }, 3_600, 1);
        assert_eq!(revenue(&quiet, 0, 6).0, [100.0, 100.0, 100.0, 100.0, 50.0, 0.0]);
    }

    /// Four standard errors: a shift of the mean by 3 %, or of the spread by 2 %, of its value fails.
    #[test]
    fn log_revenue_has_its_stationary_law_on_any_steps() {
        for (blocks, draws, steps) in [(7_200, 1, 20), (7_200, 4, 20), (1_800, 1, 80)] {
            let law = RevenueStep::coupled(&RevenueParams { sd_log: 0.8, ..params() }, blocks, draws);
            let logs: Vec<f64> = (0..PATHS).map(|path| revenue(&law, path, steps).1.log).collect();
            let (mean, sd) = mean_and_sd(&logs);
            let n = f64::from(PATHS);
            assert!(mean.abs() < 4.0 * 0.8 / n.sqrt(), "{blocks} blocks: mean {mean}");
            assert!((sd - 0.8).abs() < 4.0 * 0.8 / (2.0 * n).sqrt(), "{blocks} blocks: sd {sd}");
        }
    }

    /// Of a step of a day at the start, and of the same level's six shorter steps: one path.
    #[test]
    fn coupled_steps_have_the_level_of_the_shorter_ones() {
        let law = RevenueParams { sd_log: 0.8, ..params() };
        let campaigns = CampaignParams { rate_per_day: 1.5, ..law.campaigns };
        let law = RevenueParams { campaigns, ..law };
        let (long, short) = (RevenueStep::coupled(&law, 7_200, 6), RevenueStep::coupled(&law, 1_200, 1));
        let ((days, end), (parts, short_end)) = (revenue(&long, 3, 9), revenue(&short, 3, 54));
        assert_eq!(end, short_end);
        for (day, parts) in days.iter().zip(parts.chunks(6)) {
            assert!((day / parts.iter().sum::<f64>() - 1.0).abs() < 1e-14);
        }
    }

    /// The spending of a path up to a day is that of a compound Poisson process, less what is yet to be spent:
    ///
    /// ```text
    /// E = rate E[B] (t - T/2)    for t > T     E[B] = b exp(c^2 / 2)
    /// Var = rate E[B^2] (t - T + T/3)                                  each budget's spent part is uniform in the last T days
    /// ```
    #[test]
    fn campaigns_spend_what_their_arrivals_and_budgets_say() {
        let campaigns =
            CampaignParams { rate_per_day: 0.2, budget_median_usd: 7_000.0, budget_sd_log: 0.5, spend_days: 5.0 };
        let law = RevenueParams { median_usd_per_day: 0.0, campaigns, ..params() };
        for (blocks, steps) in [(7_200, 30), (3_600, 60)] {
            let law = RevenueStep::coupled(&law, blocks, 1);
            let spent: Vec<f64> = (0..PATHS).map(|path| revenue(&law, path, steps).0.iter().sum()).collect();
            let (mean, sd) = mean_and_sd(&spent);
            let expected = 0.2 * 7_000.0 * 0.125_f64.exp() * (30.0 - 2.5);
            let variance = 0.2 * 7_000.0_f64.powi(2) * 0.5_f64.exp() * (25.0 + 5.0 / 3.0);
            let error = (variance / f64::from(PATHS)).sqrt();
            assert!((mean - expected).abs() < 4.0 * error, "{blocks} blocks: {mean}, not {expected} +- {error}");
            // The law's excess kurtosis E[B^4]/(rate E[B^2]^2 t) is below 1.5: sd of the variance below 1.4 %.
            assert!((sd * sd / variance - 1.0).abs() < 0.06, "{blocks} blocks: variance {}", sd * sd);
        }
    }

    #[test]
    fn a_peg_withholds_what_payouts_do_not_need() {
        let peg = Some(PayoutPeg { usd_per_day: 100.0, of_revenue: 0.7 });
        let law = RevenueStep::coupled(&RevenueParams { peg, ..params() }, 3_600, 1);
        // Half a day: 50 USD, and 0.7 x 1,000 USD.
        assert!((law.miner_burned(0.02, 1_000.0, 3_000.0) - 0.75).abs() < 1e-15);
        assert_eq!(law.miner_burned(0.8, 1_000.0, 3_000.0), 0.8, "never below what is withheld anyway");
        assert_eq!(law.miner_burned(0.02, 1_000.0, 700.0), 0.02, "emission falls short of payouts");
        assert_eq!(law.miner_burned(0.02, 1_000.0, 0.0), 0.02, "nothing is minted");
        assert_eq!(RevenueStep::coupled(&params(), 3_600, 1).miner_burned(0.02, 1_000.0, 3_000.0), 0.02);
        assert_eq!(law.buyback_usd(1_000.0), 350.0);
    }
}
