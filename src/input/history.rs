//! History of the network: states of subnets day by day, registrations, closing rates and root stake.
//!
//! Every table is CSV (also gzip) or Parquet; amounts in TAO and alpha tokens, not in rao. Columns not named here are
//! refused, so that a misspelt one is not silently left out, but for those of the reference panel that decide nothing.
//!
//! # States
//!
//! One row per subnet and time, in any order, about a day apart or more often.
//!
//! | Column | Unit | Meaning |
//! |---|---|---|
//! | `netuid`, `registration_block` | | the subnet: a slot is reused, so both are its key |
//! | `block` | | when |
//! | `price` | TAO per alpha | spot price |
//! | `tao_in`, `alpha_in`, `alpha_out` | TAO, alpha | reserves, and alpha outside the pool |
//! | `moving_price` (optional) | TAO per alpha | moving price |
//! | `emission_tao_per_block` (optional) | TAO | injected into the pool in the block, chain buys not counted |
//! | `ema_tao_inflow_per_block` (optional) | TAO | the chain's average of users' net flow, under rules that counted flows |
//! | `miner_burned_fraction` (optional) | | withheld part of miner emission |
//! | `startup` (optional) | 0 or 1 | not started, or not at a market price; without it: a price above 0.5, or no alpha outside the pool |
//! | `net_trade_flow_tao` (optional) | TAO | net TAO that all trades moved into the pool since the subnet's row before; without it: [`net_flow`] |
//!
//! What is done with rows that are not a market's: exact repetitions are dropped, pools without TAO or alpha count as
//! start-up, gaps stay gaps. Refused, with file and row: two different rows of a subnet at one block, a row from before its
//! subnet was registered or after its slot was taken, amounts that cannot be, and prices that the reserves contradict.
//!
//! # Others
//!
//! Registrations: `netuid`, `registration_block`, and where known `lock_cost_tao` and `replaced_registration_block`. Closing
//! rates: `date` (2025-11-20, UTC) and `close` (USD per TAO), without days that are not known. Root stake: `block`,
//! `root_stake_tao`.

use crate::calibration::history::History;
use crate::calibration::history::Observation;
use crate::calibration::history::Registration;
use crate::calibration::history::RootStake;
use crate::calibration::history::TaoUsdClose;
use crate::input::InputError;
use crate::input::document::Document;
use crate::input::table::AMOUNT;
use crate::input::table::Column;
use crate::input::table::Kind;
use crate::input::table::Row;
use crate::input::table::Table;
use crate::input::table::is_amount;
use crate::protocol::calendar;
use crate::protocol::upgrades;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;
use crate::units::SLOT_CAPACITY;
use crate::units::SUPPLY_CAP;
use crate::units::SubnetId;

/// Price (TAO per alpha) above which no started subnet was ever seen after its first weeks; the highest was 0.42.
const MARKET_PRICE_MAX: f64 = 0.5;
/// Largest block number that is believed: 380 years of chain.
const BLOCK_MAX: u64 = 1_000_000_000;
/// Pool (TAO) from which the price is held against the reserves, and how many times they may differ: liquidity outside the
/// price and pool weights made 1.4 of it.
const CHECKED_RESERVE_TAO: f64 = 100.0;
const PRICE_RATIO_MAX: f64 = 10.0;
/// Interval (days) from which a gap is counted.
const GAP_DAYS: f64 = 1.3;
/// Days of observation below which a subnet counts as short.
const SHORT_DAYS: f64 = 14.0;

const OBSERVATION_SCHEMA: &[Column] = &[
    required("netuid"),
    required("registration_block"),
    required("block"),
    required("price"),
    required("tao_in"),
    required("alpha_in"),
    required("alpha_out"),
    optional("moving_price"),
    optional("emission_tao_per_block"),
    optional("ema_tao_inflow_per_block"),
    optional("miner_burned_fraction"),
    optional("startup"),
    optional("net_trade_flow_tao"),
    // Of the reference panel; they decide nothing.
    text("date_label", false),
    text("ts_utc", false),
    text("name", false),
    optional("alpha_in_emission"),
    optional("alpha_out_emission"),
    optional("subnet_volume_cum"),
    optional("generation"),
    optional("blocks_since_prev"),
    optional("delta_tao_in"),
    optional("injected_tao_est"),
    optional("age_days"),
    optional("chain_flow_tao"),
];

const REGISTRATION_SCHEMA: &[Column] = &[
    required("netuid"),
    required("registration_block"),
    optional("lock_cost_tao"),
    optional("replaced_registration_block"),
    // Of the reference table; they decide nothing.
    text("registered_at_utc", false),
    optional("generation"),
    text("cost_source", false),
    optional("last_obs_days_before"),
    optional("last_price"),
    optional("last_moving_price"),
    optional("last_tao_in"),
    optional("last_alpha_in"),
    optional("last_alpha_out"),
    text("last_source", false),
];

const TAO_USD_SCHEMA: &[Column] = &[
    text("date", true),
    required("close"),
    optional("open"),
    optional("high"),
    optional("low"),
    optional("volume"),
    text("source", false),
];

const ROOT_STAKE_SCHEMA: &[Column] = &[required("block"), required("root_stake_tao")];

const fn required(name: &'static str) -> Column<'static> {
    Column { name, kind: Kind::Number, required: true }
}

const fn optional(name: &'static str) -> Column<'static> {
    Column { name, kind: Kind::Number, required: false }
}

const fn text(name: &'static str, required: bool) -> Column<'static> {
    Column { name, kind: Kind::Text, required }
}

/// Where a history comes from.
#[derive(Clone, Debug)]
pub struct HistoryDocuments {
    /// States.
    pub observations: Document,
    /// Registrations.
    pub registrations: Option<Document>,
    /// Closing rates.
    pub tao_usd: Option<Document>,
    /// Root stake.
    pub root_stake: Option<Document>,
}

impl HistoryDocuments {
    /// The history that is built into the program: see `configs/history/README.md`.
    pub fn embedded() -> Self {
        let document = Document::embedded_bytes;
        Self {
            observations: document(
                "daily-panel.parquet (built in)",
                include_bytes!("../../configs/history/daily-panel.parquet"),
            ),
            registrations: Some(document(
                "registrations.csv (built in)",
                include_bytes!("../../configs/history/registrations.csv"),
            )),
            tao_usd: Some(document("tao-usd.csv (built in)", include_bytes!("../../configs/history/tao-usd.csv"))),
            root_stake: Some(document(
                "root-stake.csv (built in)",
                include_bytes!("../../configs/history/root-stake.csv"),
            )),
        }
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// The first cell, row or file that is refused.
    pub fn read(&self) -> Result<(History, HistoryReport), InputError> {
        let (observations, report) = read_observations(&self.observations)?;
        let history = History {
            observations,
            registrations: self.registrations.as_ref().map_or(Ok(Vec::new()), read_registrations)?,
            tao_usd: self.tao_usd.as_ref().map_or(Ok(Vec::new()), read_tao_usd)?,
            root_stake: self.root_stake.as_ref().map_or(Ok(Vec::new()), read_root_stake)?,
        };
        Ok((history, report))
    }
}

/// What was made of the rows of states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryReport {
    /// Rows in the file.
    pub rows: usize,
    /// Exact repetitions of other rows, dropped.
    pub repeated: usize,
    /// Rows kept that are no market's.
    pub startup: usize,
    /// Of them, pools without TAO or alpha.
    pub empty_pools: usize,
    /// Subnets.
    pub subnets: usize,
    /// Subnets seen over less than 14 days.
    pub short_subnets: usize,
    /// Intervals between two rows of a subnet of more than 1.3 days.
    pub gaps: usize,
    /// Flows that are computed from prices and reserves, for want of a column or of the row before.
    pub computed_flows: usize,
}

/// Reads the states of subnets.
///
/// # Errors
/// See the module.
pub fn read_observations(document: &Document) -> Result<(Vec<Observation>, HistoryReport), InputError> {
    let table = Table::read(document, OBSERVATION_SCHEMA)?;
    let mut rows = table.rows().map(|row| Ok((observation(row)?, row))).collect::<Result<Vec<_>, InputError>>()?;
    let mut report = HistoryReport { rows: rows.len(), ..HistoryReport::default() };
    rows.sort_by_key(|(seen, _)| (seen.subnet, seen.block));
    drop_repetitions(&mut rows)?;
    check_slots(&rows)?;
    let mut observations: Vec<Observation> = rows.into_iter().map(|(seen, _)| seen).collect();
    report.repeated = report.rows - observations.len();
    fill_flows(&mut observations, &mut report);
    count(&observations, &mut report);
    Ok((observations, report))
}

fn observation(row: Row<'_>) -> Result<Observation, InputError> {
    let reserves = "a number of tokens from 0 to 21 million, not of rao";
    let tokens = |column: &str| row.required(column, reserves, |value| (0.0..=SUPPLY_CAP).contains(&value));
    let registered_at = row.whole("registration_block", 0, BLOCK_MAX)?;
    let subnet = SubnetId { netuid: netuid(&row)?, registered_at };
    let mut seen = Observation {
        subnet,
        block: row.whole("block", 0, BLOCK_MAX)?,
        price: row.amount("price")?,
        moving_price: row.optional("moving_price", AMOUNT, is_amount)?,
        reserve_tao: tokens("tao_in")?,
        reserve_alpha: tokens("alpha_in")?,
        outstanding_alpha: tokens("alpha_out")?,
        injected_tao_per_block: per_block(&row, "emission_tao_per_block", 0.0)?,
        flow_average_tao_per_block: per_block(&row, "ema_tao_inflow_per_block", -SUPPLY_CAP)?,
        miner_burned: row
            .optional("miner_burned_fraction", "a fraction from 0 to 1", |value| (0.0..=1.0).contains(&value))?,
        is_startup: false,
        net_flow_tao: row
            .optional("net_trade_flow_tao", "a number of TAO, not of rao", |value| value.abs() <= SUPPLY_CAP)?,
    };
    seen.is_startup = is_startup(&seen, row.optional_whole("startup", 0, 1)?);
    check(&seen, &row)?;
    Ok(seen)
}

fn netuid(row: &Row<'_>) -> Result<NetUid, InputError> {
    Ok(NetUid(row.whole("netuid", 1, SLOT_CAPACITY as u64)? as u16))
}

/// TAO per block, at least `min` and at most the block emission of old where it is an injection.
fn per_block(row: &Row<'_>, column: &str, min: f64) -> Result<Option<f64>, InputError> {
    let max = if min == 0.0 { 1.0 } else { SUPPLY_CAP };
    row.optional(column, &format!("TAO per block, from {min} to {max}"), |value| (min..=max).contains(&value))
}

fn is_startup(seen: &Observation, flag: Option<u64>) -> bool {
    let has_pool = seen.reserve_tao > 0.0 && seen.reserve_alpha > 0.0 && seen.price > 0.0;
    let is_marked = flag.map_or(seen.price > MARKET_PRICE_MAX || seen.outstanding_alpha == 0.0, |flag| flag == 1);
    is_marked || !has_pool
}

fn check(seen: &Observation, row: &Row<'_>) -> Result<(), InputError> {
    if seen.block < seen.subnet.registered_at {
        let registered_at = seen.subnet.registered_at;
        return Err(row.problem(format!("block {} is before the registration at block {registered_at}", seen.block)));
    }
    let ratio = seen.price * seen.reserve_alpha / seen.reserve_tao;
    let agrees = ratio >= 1.0 / PRICE_RATIO_MAX && ratio <= PRICE_RATIO_MAX;
    if !seen.is_startup && seen.reserve_tao >= CHECKED_RESERVE_TAO && !agrees {
        let problem = format!(
            "price = {} is {ratio:.3} times tao_in / alpha_in (must be within a factor of {PRICE_RATIO_MAX}): is it in TAO \
             per alpha?",
            seen.price
        );
        return Err(row.problem(problem));
    }
    Ok(())
}

/// Drops repetitions of a row from rows sorted by subnet and block.
fn drop_repetitions(rows: &mut Vec<(Observation, Row<'_>)>) -> Result<(), InputError> {
    let same_time = |a: &Observation, b: &Observation| (a.subnet, a.block) == (b.subnet, b.block);
    if let Some(pair) = rows.windows(2).find(|pair| same_time(&pair[0].0, &pair[1].0) && pair[0].0 != pair[1].0) {
        let (seen, other) = (&pair[1].0, pair[0].1.place());
        let problem = format!("{} at block {} stands differently in {other}; keep one", seen.subnet.netuid, seen.block);
        return Err(pair[1].1.problem(problem));
    }
    rows.dedup_by(|b, a| a.0 == b.0);
    Ok(())
}

/// Checks that a slot belongs to one subnet at a time.
fn check_slots(rows: &[(Observation, Row<'_>)]) -> Result<(), InputError> {
    let next_owner = |pair: &&[(Observation, Row<'_>)]| {
        let (a, b) = (&pair[0].0, &pair[1].0);
        a.subnet.netuid == b.subnet.netuid && a.subnet != b.subnet && a.block >= b.subnet.registered_at
    };
    let Some(pair) = rows.windows(2).find(next_owner) else { return Ok(()) };
    let (seen, next) = (&pair[0].0, &pair[1].0.subnet);
    let problem = format!(
        "{} registered at block {} is seen at block {}, but its slot was taken at block {}",
        seen.subnet.netuid, seen.subnet.registered_at, seen.block, next.registered_at
    );
    Err(pair[0].1.problem(problem))
}

/// Fills flows that the file does not give: they need the subnet's observation before.
fn fill_flows(observations: &mut [Observation], report: &mut HistoryReport) {
    for index in (0..observations.len()).rev() {
        let before = index.checked_sub(1).map(|before| observations[before]);
        let before = before.filter(|before| before.subnet == observations[index].subnet);
        let given = observations[index].net_flow_tao.filter(|_| before.is_some());
        let computed = || before.and_then(|before| net_flow(&before, &observations[index]));
        report.computed_flows += usize::from(given.is_none() && before.is_some());
        observations[index].net_flow_tao = given.or_else(computed);
    }
}

/// Net TAO that trades moved into a pool between two observations; `None` where either has no pool.
///
/// ```text
/// equal weights:  (L0 + L1)/2 (sqrt p1 - sqrt p0)     L = sqrt(y x), p = y / x
/// weighted (A2):  y0 ((p1 / p0)^w - 1)                 p: spot price, w: weight of alpha between
/// ```
///
/// Injections at the spot price move neither root nor price. With equal weights the reserves are taken, not the price
/// beside them: liquidity of users stood outside the price in 2025 and 2026.
pub fn net_flow(before: &Observation, after: &Observation) -> Option<f64> {
    let has_pool = |seen: &Observation| seen.reserve_tao > 0.0 && seen.reserve_alpha > 0.0 && seen.price > 0.0;
    if !(has_pool(before) && has_pool(after)) {
        return None;
    }
    if upgrades::params_at_block(before.block).pool_rule.is_weighted() {
        let weight_alpha = 0.5 * (weight_alpha(before) + weight_alpha(after));
        return Some(before.reserve_tao * (weight_alpha * (after.price / before.price).ln()).exp_m1());
    }
    let liquidity = |seen: &Observation| (seen.reserve_tao * seen.reserve_alpha).sqrt();
    let root_price = |seen: &Observation| (seen.reserve_tao / seen.reserve_alpha).sqrt();
    Some(0.5 * (liquidity(before) + liquidity(after)) * (root_price(after) - root_price(before)))
}

/// Pool weight of alpha that goes with price and reserves.
fn weight_alpha(seen: &Observation) -> f64 {
    let value = seen.price * seen.reserve_alpha;
    value / (value + seen.reserve_tao)
}

fn count(observations: &[Observation], report: &mut HistoryReport) {
    let has_no_pool = |seen: &&Observation| !(seen.reserve_tao > 0.0 && seen.reserve_alpha > 0.0 && seen.price > 0.0);
    report.startup = observations.iter().filter(|seen| seen.is_startup).count();
    report.empty_pools = observations.iter().filter(has_no_pool).count();
    for seen in observations.chunk_by(|a, b| a.subnet == b.subnet) {
        let days = |blocks: u64| blocks as f64 / BLOCKS_PER_DAY as f64;
        report.subnets += 1;
        report.short_subnets += usize::from(days(seen[seen.len() - 1].block - seen[0].block) < SHORT_DAYS);
        report.gaps += seen.windows(2).filter(|pair| days(pair[1].block - pair[0].block) > GAP_DAYS).count();
    }
}

/// Reads registrations; in any order, returned by block.
///
/// # Errors
/// See the module; also two registrations at one block.
pub fn read_registrations(document: &Document) -> Result<Vec<Registration>, InputError> {
    let table = Table::read(document, REGISTRATION_SCHEMA)?;
    let mut rows = table.rows().map(|row| Ok((registration(row)?, row))).collect::<Result<Vec<_>, InputError>>()?;
    rows.sort_by_key(|(seen, _)| seen.subnet.registered_at);
    let is_twice = |pair: &&[(Registration, Row<'_>)]| pair[0].0.subnet.registered_at == pair[1].0.subnet.registered_at;
    if let Some(pair) = rows.windows(2).find(is_twice) {
        let block = pair[1].0.subnet.registered_at;
        return Err(pair[1].1.problem(format!("block {block} has a registration already; there is one a block")));
    }
    Ok(rows.into_iter().map(|(seen, _)| seen).collect())
}

fn registration(row: Row<'_>) -> Result<Registration, InputError> {
    let registered_at = row.whole("registration_block", 0, BLOCK_MAX)?;
    let tokens = |value| value > 0.0 && value <= SUPPLY_CAP;
    let replaced_registered_at = row.optional_whole("replaced_registration_block", 0, BLOCK_MAX)?;
    if replaced_registered_at.is_some_and(|replaced| replaced >= registered_at) {
        return Err(row.problem("the replaced subnet was registered later than its successor".to_owned()));
    }
    Ok(Registration {
        subnet: SubnetId { netuid: netuid(&row)?, registered_at },
        lock_cost_tao: row.optional("lock_cost_tao", "a positive number of TAO, not of rao", tokens)?,
        replaced_registered_at,
    })
}

/// Reads closing rates; in any order, returned by day.
///
/// # Errors
/// See the module; also two rates of one day.
pub fn read_tao_usd(document: &Document) -> Result<Vec<TaoUsdClose>, InputError> {
    let table = Table::read(document, TAO_USD_SCHEMA)?;
    let mut rows = table.rows().map(|row| Ok((close(row)?, row))).collect::<Result<Vec<_>, InputError>>()?;
    rows.sort_by_key(|(close, _)| close.day);
    if let Some(pair) = rows.windows(2).find(|pair| pair[0].0.day == pair[1].0.day) {
        let date = calendar::date_text(pair[1].0.day);
        return Err(pair[1].1.problem(format!("{date} stands already in {}; keep one", pair[0].1.place())));
    }
    Ok(rows.into_iter().map(|(close, _)| close).collect())
}

fn close(row: Row<'_>) -> Result<TaoUsdClose, InputError> {
    let text = row.text("date").unwrap_or_default();
    let day = calendar::parse_day(text);
    let day = day.ok_or_else(|| row.cell("date", format!("`{text}`"), "a date such as 2025-11-20"))?;
    let close = row.required("close", "a positive number of USD", |value| value > 0.0 && value.is_finite())?;
    Ok(TaoUsdClose { day, close })
}

/// Reads root stake; in any order, returned by block.
///
/// # Errors
/// See the module; also two values at one block.
pub fn read_root_stake(document: &Document) -> Result<Vec<RootStake>, InputError> {
    let table = Table::read(document, ROOT_STAKE_SCHEMA)?;
    let mut rows = table.rows().map(|row| Ok((root_stake(row)?, row))).collect::<Result<Vec<_>, InputError>>()?;
    rows.sort_by_key(|(seen, _)| seen.block);
    if let Some(pair) = rows.windows(2).find(|pair| pair[0].0.block == pair[1].0.block) {
        return Err(pair[1].1.problem(format!("block {} stands already; keep one", pair[1].0.block)));
    }
    Ok(rows.into_iter().map(|(seen, _)| seen).collect())
}

fn root_stake(row: Row<'_>) -> Result<RootStake, InputError> {
    let tokens = |value| (0.0..=SUPPLY_CAP).contains(&value);
    let stake_tao = row.required("root_stake_tao", "a number of TAO from 0 to 21 million", tokens)?;
    Ok(RootStake { block: row.whole("block", 0, BLOCK_MAX)?, stake_tao })
}
