//! From history to organic flows: net flows less what is known of them.
//!
//! A row is a subnet between two neighbouring observations. Its total flow is the log move of the TAO reserve by trades,
//!
//! ```text
//! f_total = ln(1 + net / y)     organic = f_total - chain buys - sales of emission - root claims
//! ```
//!
//! with `y` the reserve at the earlier observation. What is known follows from the protocol's own functions under the rules
//! of the day, as rates per block at both observations, of which the mean is taken:
//!
//! - chain buys: TAO emission above the injection cap. The emission of a capped subnet is its share of the block emission by
//!   the rule in force over all subnets seen; that of others is what was injected. Where only a part of the network is
//!   seen, shares are scaled until those of uncapped subnets give what was injected into them; where too few are seen even
//!   for that, chain buys are left in the organic flow.
//! - sales: fractions of what owners, miners and validators receive.
//! - root claims: all of root's alpha where the chain sold it at once (rules R0 and R1), later a fraction of what is claimable.
//!
//! The drift is what these leave, so it is to be used with the fractions it was found with: a fraction set too high gives a
//! drift too high by the same flow.
//!
//! # Not modelled
//! - The protocol's own flow average, which rule N read (four weeks from 2026-05-27): it counts as 0.
//! - The delay of root claims (days), and claims of alpha that the sell flag let accrue earlier.

use crate::calibration::history::History;
use crate::calibration::history::Observation;
use crate::calibration::panel::FlowPanel;
use crate::calibration::panel::FlowRow;
use crate::model::params::SaleParams;
use crate::protocol::calendar;
use crate::protocol::emission;
use crate::protocol::emission::InjectionRule;
use crate::protocol::emission::InjectionTerms;
use crate::protocol::params::ProtocolParams;
use crate::protocol::root;
use crate::protocol::root::RootAlpha;
use crate::protocol::share_rules;
use crate::protocol::share_rules::FlowAverages;
use crate::protocol::share_rules::ShareInput;
use crate::protocol::upgrades;
use crate::units::BLOCKS_PER_DAY;
use crate::units::SLOT_CAPACITY;
use crate::units::SubnetId;

/// Withheld part of miner emission where it is not observed: the mean over subnets on 2026-09-30.
const MINER_BURNED: f64 = 0.355;
/// Age (blocks) at which an observation no longer stands for its subnet in the network's shares.
const STALE_BLOCKS: u64 = 3 * BLOCKS_PER_DAY / 2;
/// Part of the injection cap from which a subnet counts as capped: caps follow the price within the block.
const CAPPED: f64 = 0.99;
/// Uncapped subnets that tell which part of the network is seen, and subnets that count as all of it without them.
const UNCAPPED_MIN: usize = 3;
const WHOLE_NETWORK_MIN: usize = 32;
/// First block (2025-07-01) of flows that are fitted by default: before it pools were months old.
const FROM_BLOCK: u64 = calendar::block_at_midnight((2025, 7, 1));

/// Which rows are taken, and what is subtracted. MODEL 4.1, "Definitions".
#[derive(Clone, Debug, PartialEq)]
pub struct OrganicOptions {
    /// First block of a later observation.
    pub from_block: u64,
    /// Last block of a later observation.
    pub to_block: u64,
    /// Shortest and longest interval (days).
    pub days: [f64; 2],
    /// The earlier pool holds more than this (TAO).
    pub reserve_tao_min: f64,
    /// The subnet is older than this at the later observation (days).
    pub age_days_min: f64,
    /// Fractions of emission that are sold.
    pub sales: SaleParams,
    /// Withheld part of miner emission where it is not observed (fraction).
    pub miner_burned: f64,
}

impl OrganicOptions {
    /// The conditions of the facts table, with these sales.
    pub fn new(sales: SaleParams) -> Self {
        Self {
            from_block: FROM_BLOCK,
            to_block: u64::MAX,
            days: [0.7, 1.3],
            reserve_tao_min: 100.0,
            age_days_min: 14.0,
            sales,
            miner_burned: MINER_BURNED,
        }
    }
}

/// Log moves of a TAO reserve by trades that are known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KnownFlows {
    /// Chain buys, > 0.
    pub chain_buys: f64,
    /// Sales of what owners, miners and validators receive, < 0.
    pub sales: f64,
    /// Sales of root alpha, < 0.
    pub root: f64,
}

impl KnownFlows {
    /// All together.
    pub fn total(&self) -> f64 {
        self.chain_buys + self.sales + self.root
    }
}

/// Why intervals between two observations are not rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedIntervals {
    /// Outside the window.
    pub window: usize,
    /// Too short or too long: gaps.
    pub length: usize,
    /// Start-up at either end.
    pub startup: usize,
    /// Pool too small.
    pub reserve: usize,
    /// Too young.
    pub age: usize,
    /// Flow not known, or more taken out than was in.
    pub flow: usize,
}

/// Organic flows, and what was subtracted to get them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrganicFlows {
    /// Rows.
    pub panel: FlowPanel,
    /// What was subtracted, one per row.
    pub known: Vec<KnownFlows>,
    /// Block of the later observation, one per row.
    pub blocks: Vec<u64>,
    /// Day (from 1970-01-01) of the panel's first: `FlowRow::day` counts from it.
    pub first_day: i64,
    /// What is not in the rows.
    pub dropped: DroppedIntervals,
}

/// Organic flows of a history.
pub fn organic_flows(history: &History, options: &OrganicOptions) -> OrganicFlows {
    let rates = chain_rates(history, options.miner_burned);
    let mut flows = OrganicFlows::default();
    let mut days = Vec::new();
    for (index, pair) in history.observations.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        if before.subnet != after.subnet || !flows.dropped.passes(before, after, options) {
            continue;
        }
        let Some(total) = total_flow(before, after) else {
            flows.dropped.flow += 1;
            continue;
        };
        let known =
            known_flows(before, &[rates[index], rates[index + 1]], blocks_between(before, after), &options.sales);
        flows.push(before, after, total, known);
        days.push(calendar::day_of_block(after.block));
    }
    flows.count_days(&days);
    flows
}

impl OrganicFlows {
    fn push(&mut self, before: &Observation, after: &Observation, total: f64, known: KnownFlows) {
        let subnets: &mut Vec<SubnetId> = &mut self.panel.subnets;
        if subnets.last() != Some(&before.subnet) {
            subnets.push(before.subnet);
        }
        self.panel.rows.push(FlowRow {
            subnet: subnets.len() as u32 - 1,
            day: 0,
            days: blocks_between(before, after) / BLOCKS_PER_DAY as f64,
            reserve_tao: before.reserve_tao,
            age_days: days_of(before.block - before.subnet.registered_at),
            flow: total - known.total(),
            known: known.total(),
        });
        self.known.push(known);
        self.blocks.push(after.block);
    }

    /// Days of the rows from their days since 1970. Of two observations of a subnet in one calendar day the later counts as
    /// of the next: intervals are about a day, so that it is closer to that.
    fn count_days(&mut self, days: &[i64]) {
        self.first_day = days.iter().copied().min().unwrap_or(0);
        for (row, day) in self.panel.rows.iter_mut().zip(days) {
            row.day = (day - self.first_day) as u32;
        }
        for index in 1..self.panel.rows.len() {
            let before = self.panel.rows[index - 1];
            let row = &mut self.panel.rows[index];
            if row.subnet == before.subnet {
                row.day = row.day.max(before.day + 1);
            }
        }
    }
}

impl DroppedIntervals {
    /// Whether an interval is taken; counts why not.
    fn passes(&mut self, before: &Observation, after: &Observation, options: &OrganicOptions) -> bool {
        let days = days_of(after.block - before.block);
        let age_days = days_of(after.block - after.subnet.registered_at);
        let conditions = [
            (after.block >= options.from_block && after.block <= options.to_block, &mut self.window),
            (days >= options.days[0] && days <= options.days[1], &mut self.length),
            (!before.is_startup && !after.is_startup, &mut self.startup),
            (before.reserve_tao > options.reserve_tao_min, &mut self.reserve),
            (age_days > options.age_days_min, &mut self.age),
        ];
        for (holds, count) in conditions {
            if !holds {
                *count += 1;
                return false;
            }
        }
        true
    }
}

fn days_of(blocks: u64) -> f64 {
    blocks as f64 / BLOCKS_PER_DAY as f64
}

fn blocks_between(before: &Observation, after: &Observation) -> f64 {
    (after.block - before.block) as f64
}

fn total_flow(before: &Observation, after: &Observation) -> Option<f64> {
    let flow = (after.net_flow_tao? / before.reserve_tao).ln_1p();
    flow.is_finite().then_some(flow)
}

/// Known flows over `blocks` blocks, from the rates at both ends.
fn known_flows(before: &Observation, rates: &[ChainRates; 2], blocks: f64, sales: &SaleParams) -> KnownFlows {
    let mean = |rate: fn(&ChainRates) -> f64| 0.5 * blocks * (rate(&rates[0]) + rate(&rates[1]));
    let sold = sales.owner * mean(|rates| rates.owner_alpha)
        + sales.miner * mean(|rates| rates.miner_alpha)
        + sales.validator * mean(|rates| rates.validator_alpha);
    let root =
        mean(|rates| rates.root_sold_alpha) + sales.root_swap_fraction * mean(|rates| rates.root_claimable_alpha);
    // A sale of a alpha moves ln y by -(w_x / w_y) ln(1 + a / x), and w_x / w_y = p x / y.
    let weights = before.price * before.reserve_alpha / before.reserve_tao;
    let sale = |alpha: f64| -weights * (alpha / before.reserve_alpha).ln_1p();
    KnownFlows {
        chain_buys: (mean(|rates| rates.chain_buy_tao) / before.reserve_tao).ln_1p(),
        sales: sale(sold),
        root: sale(root),
    }
}

/// What the chain does in a subnet per block, as of an observation. Amounts in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChainRates {
    /// TAO with which the chain buys alpha.
    pub chain_buy_tao: f64,
    /// Alpha that the owner receives.
    pub owner_alpha: f64,
    /// Alpha that miners receive, the withheld part left out.
    pub miner_alpha: f64,
    /// Alpha that validators and their stakers receive.
    pub validator_alpha: f64,
    /// Root alpha that the chain sells at once.
    pub root_sold_alpha: f64,
    /// Root alpha that stakers may claim.
    pub root_claimable_alpha: f64,
}

/// Rates as of each observation, in the order of the history.
pub fn chain_rates(history: &History, miner_burned: f64) -> Vec<ChainRates> {
    let seen = &history.observations;
    let mut order: Vec<usize> = (0..seen.len()).collect();
    order.sort_by_key(|index| seen[*index].block);
    let mut latest: Vec<Option<usize>> = vec![None; SLOT_CAPACITY];
    let mut rates = vec![ChainRates::default(); seen.len()];
    for group in order.chunk_by(|a, b| seen[*a].block == seen[*b].block) {
        let block = seen[group[0]].block;
        group.iter().for_each(|index| latest[seen[*index].subnet.netuid.slot()] = Some(*index));
        let present = latest.iter().flatten().map(|index| &seen[*index]);
        let network = Network::of(block, present.filter(|seen| seen.block + STALE_BLOCKS >= block), history);
        for index in group {
            rates[*index] = network.rates(&seen[*index], miner_burned);
        }
    }
    rates
}

/// What subnets share at a block.
struct Network {
    rules: ProtocolParams,
    emission_tao: f64,
    root_stake_tao: f64,
    sell_flag: bool,
    /// Emission (TAO per block) by slot, where it is known.
    emissions: Option<[f64; SLOT_CAPACITY]>,
}

impl Network {
    fn of<'a>(block: u64, present: impl Iterator<Item = &'a Observation>, history: &History) -> Self {
        let present: Vec<&Observation> = present.collect();
        let rules = upgrades::params_at_block(block);
        let root_stake_tao = history.root_stake_at(block);
        let mut network = Self {
            rules,
            emission_tao: upgrades::block_emission_tao(block),
            root_stake_tao,
            sell_flag: sell_flag(&present),
            emissions: None,
        };
        network.emissions = network.emissions(&present);
        network
    }

    /// Emission of each slot by its share, scaled to the part of the network that is seen.
    fn emissions(&self, present: &[&Observation]) -> Option<[f64; SLOT_CAPACITY]> {
        let inputs: Vec<ShareInput> = present.iter().map(|seen| self.share_input(seen)).collect();
        let mut shares = Vec::new();
        share_rules::ungated_shares(&self.rules, &inputs, &mut shares);
        let gate = self.rules.share_rule.gate(&self.rules.hill_gate);
        let threshold = gate.map_or(0.0, |gate| gate.threshold.of(&shares));
        share_rules::emission_shares(&self.rules, threshold, &inputs, &mut shares);
        let seen_part = self.seen_part(present, &shares)?;
        let mut emissions = [0.0; SLOT_CAPACITY];
        for (seen, share) in present.iter().zip(&shares) {
            emissions[seen.subnet.netuid.slot()] = self.emission_tao * seen_part * share;
        }
        Some(emissions)
    }

    /// Part of the block emission that goes to the subnets seen: the median of injection over share of those not capped.
    fn seen_part(&self, present: &[&Observation], shares: &[f64]) -> Option<f64> {
        let uncapped = present.iter().zip(shares).filter(|(seen, share)| **share > 0.0 && !self.is_capped(seen));
        let ratio =
            |(seen, share): (&&Observation, &f64)| Some(seen.injected_tao_per_block? / (self.emission_tao * share));
        let mut ratios: Vec<f64> = uncapped.filter_map(ratio).collect();
        if ratios.len() < UNCAPPED_MIN {
            return (present.len() >= WHOLE_NETWORK_MIN).then_some(1.0);
        }
        let middle = ratios.len() / 2;
        Some(*ratios.select_nth_unstable_by(middle, f64::total_cmp).1)
    }

    fn share_input(&self, seen: &Observation) -> ShareInput {
        ShareInput {
            moving_price: moving_price(seen),
            miner_burned: seen.miner_burned.unwrap_or(0.0),
            root_proportion: self.root_proportion(seen),
            flow: FlowAverages { user: seen.flow_average_tao_per_block.unwrap_or(0.0), protocol: 0.0 },
            started: emits(seen),
            enabled: true,
        }
    }

    fn root_proportion(&self, seen: &Observation) -> f64 {
        root::root_proportion(self.rules.tao_weight, self.root_stake_tao, issuance_alpha(seen))
    }

    fn terms(&self, seen: &Observation, emission_tao: f64) -> InjectionTerms {
        InjectionTerms {
            emission_tao,
            price: seen.price,
            root_proportion: self.root_proportion(seen),
            alpha_emission: emission::block_emission(issuance_alpha(seen)),
            block_emission_tao: self.emission_tao,
        }
    }

    fn is_capped(&self, seen: &Observation) -> bool {
        let cap_tao = self.terms(seen, 0.0).cap_alpha(self.rules.injection_rule) * seen.price;
        let buys = self.rules.injection_rule != InjectionRule::J0;
        buys && seen.injected_tao_per_block.is_some_and(|injected| injected >= CAPPED * cap_tao)
    }

    fn chain_buy_tao(&self, seen: &Observation) -> f64 {
        let emission_tao = self.emissions.map_or(0.0, |emissions| emissions[seen.subnet.netuid.slot()]);
        match seen.injected_tao_per_block {
            Some(injected) if self.is_capped(seen) => (emission_tao - injected).max(0.0),
            Some(_) => 0.0,
            None => emission::inject(self.rules.injection_rule, &self.terms(seen, emission_tao)).excess_tao,
        }
    }

    fn rates(&self, seen: &Observation, miner_burned: f64) -> ChainRates {
        if seen.is_startup {
            return ChainRates::default();
        }
        let chain_buy_tao = self.chain_buy_tao(seen);
        let alpha_out = emission::block_emission(issuance_alpha(seen));
        let split = emission::split_alpha(alpha_out, self.rules.owner_cut, self.root_proportion(seen));
        let fate = self.rules.root_rule.root_alpha(self.sell_flag, chain_buy_tao > 0.0);
        let root_alpha = |wanted: RootAlpha| if fate == wanted { split.root } else { 0.0 };
        ChainRates {
            chain_buy_tao,
            owner_alpha: split.owner,
            miner_alpha: split.server * (1.0 - seen.miner_burned.unwrap_or(miner_burned)),
            validator_alpha: split.validator + root_alpha(RootAlpha::Validators),
            root_sold_alpha: root_alpha(RootAlpha::Sold),
            root_claimable_alpha: root_alpha(RootAlpha::Claimable),
        }
    }
}

/// Whether root alpha is kept for its stakers; always so far, and taken for so where too little of the network is seen.
fn sell_flag(present: &[&Observation]) -> bool {
    let started = present.iter().filter(|seen| !seen.is_startup);
    present.len() < WHOLE_NETWORK_MIN || root::sell_flag(started.map(|seen| moving_price(seen)).sum())
}

/// Whether a subnet takes part in the shares: started, and not seen without any injection.
fn emits(seen: &Observation) -> bool {
    !seen.is_startup && seen.injected_tao_per_block != Some(0.0)
}

/// Moving price, or the spot price for it, as the chain caps it.
fn moving_price(seen: &Observation) -> f64 {
    seen.moving_price.unwrap_or(seen.price).min(1.0)
}

fn issuance_alpha(seen: &Observation) -> f64 {
    seen.reserve_alpha + seen.outstanding_alpha
}
