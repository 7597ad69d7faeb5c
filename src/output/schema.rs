//! The columns of every result file, as data: names, types, meanings, null rules.
#![doc = concat!("\n", include_str!("SCHEMA.md"))]

use std::fmt::Write;
use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;

/// Raised when a column is removed or redefined.
pub const SCHEMA_VERSION: u32 = 1;
/// Key of a column's meaning in its Arrow field metadata.
pub const MEANING_KEY: &str = "meaning";

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Small counts and ids.
    U32,
    /// Counts, blocks, paths.
    U64,
    /// Amounts and figures.
    F64,
    /// Names.
    Text,
    /// Yes or no.
    Bool,
}

impl Kind {
    /// Arrow's type.
    pub fn data_type(self) -> DataType {
        match self {
            Self::U32 => DataType::UInt32,
            Self::U64 => DataType::UInt64,
            Self::F64 => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Bool => DataType::Boolean,
        }
    }
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name, with its unit last.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// What it says.
    pub meaning: &'static str,
    /// When it is null; `None` if never.
    pub null_rule: Option<&'static str>,
}

/// One file.
#[derive(Debug, PartialEq, Eq)]
pub struct FileSchema {
    /// Name in the run directory.
    pub file: &'static str,
    /// What a row is, and in which order they stand.
    pub rows: &'static str,
    /// Its columns in order.
    pub columns: &'static [Column],
}

impl FileSchema {
    /// Arrow's schema; the meaning of a column is metadata of its field.
    #[expect(clippy::disallowed_types, reason = "Arrow's metadata type; one entry, nothing iterates it")]
    pub fn arrow(&self) -> Arc<Schema> {
        let field = |column: &Column| {
            let metadata = std::collections::HashMap::from([(MEANING_KEY.to_owned(), column.description())]);
            Field::new(column.name, column.kind.data_type(), column.null_rule.is_some()).with_metadata(metadata)
        };
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }
}

impl Column {
    /// Meaning and null rule as one text.
    pub fn description(&self) -> String {
        match self.null_rule {
            Some(rule) => format!("{}. Null {rule}", self.meaning),
            None => self.meaning.to_owned(),
        }
    }

    /// The same column, null by a rule.
    pub(super) const fn null(self, rule: &'static str) -> Self {
        Self { null_rule: Some(rule), ..self }
    }
}

pub(super) const fn column(name: &'static str, kind: Kind, meaning: &'static str) -> Column {
    Column { name, kind, meaning, null_rule: None }
}

pub(super) const fn number(name: &'static str, meaning: &'static str) -> Column {
    column(name, Kind::F64, meaning)
}

const PATH: Column = column("path", Kind::U64, "path index");
const NETUID: Column = column("netuid", Kind::U32, "slot number of the subnet on the chain");
const REGISTERED_AT: Column =
    column("registered_at", Kind::U64, "block of the subnet's registration; with netuid it names the subnet");
pub(super) const BOOK: Column = column("book", Kind::Text, "name of the book");
pub(super) const HORIZON_DAYS: Column = number("horizon_days", "report horizon (days from the start)");

const NO_DEATH: &str = "if no path deregistered it";
const NO_EXPOSURE: &str = "if no path was alive since the previous horizon";
const NOTHING_MINTED: &str = "if the ratio is of nothing on every path";
const NO_EXIT: &str = "without an exit basis (`[exit]`)";
const NONE_ALIVE: &str = "if it is alive on no path";

/// `summary.parquet`: every measure of every book.
pub static SUMMARY: FileSchema = FileSchema {
    file: "summary.parquet",
    rows: "measure of a book; by book, horizon, basis and currency, measure, level",
    columns: &[
        BOOK,
        column(
            "measure",
            Kind::Text,
            "opening_value, mean_pnl, sd_pnl, loss_probability, value_at_risk, expected_shortfall (losses are \
                positive), pnl_quantile, max_drawdown_mean, max_drawdown_quantile (fraction of the running \
                peak), deregistered_holdings (mean count). P&L is against the opening mark value. Quantiles \
                come from a histogram within 0.4 % of the value; value_at_risk and expected_shortfall are \
                exact. With run.parameter_uncertainty, at the last horizon also mean_pnl_parameter_error, \
                loss_probability_parameter_error, value_at_risk_parameter_error, expected_shortfall_parameter_error \
                (standard deviation of the measure over the law of the parameters, were there paths without end) and \
                parameter_variance_share (fraction of the variance of P&L). spectral_risk (losses weighted by rank, \
                exponential spectrum; the histogram's 0.4 % of the weighted sizes at most) and entropic_risk at an \
                aversion; sharpe_ratio, sortino_ratio, omega_ratio of the P&L over the horizon, not annualised; \
                return_level (loss exceeded once in so many horizons); drawdown_at_risk and \
                conditional_drawdown_at_risk (quantile of the maximum drawdown and mean beyond it, exact); \
                time_under_water_mean and time_under_water_quantile (days of the longest spell below a former peak); \
                probability_of_ruin (P&L at spot in TAO ever below minus a fraction of the opening value)",
        ),
        column("currency", Kind::Text, "TAO or USD; says nothing for deregistered_holdings"),
        column(
            "basis",
            Kind::Text,
            "mark (holdings at spot), liquidation (sold through the pools at once) or exit (sold over days, with `[exit]`); \
                drawdowns are of the mark value",
        ),
        number(
            "level",
            "confidence of value_at_risk, expected_shortfall and the drawdowns at risk, probability of a quantile, \
                aversion of spectral_risk and entropic_risk, period of return_level (horizons), fraction of \
                probability_of_ruin",
        )
        .null("for measures without a level"),
        number("horizon_days", "days from the start; 0 for opening_value"),
        number("value", "the estimate"),
        number(
            "standard_error",
            "its standard error; 0 only for what is known, infinite where the sample gives none. With \
                run.parameter_uncertainty that of a sample of replicates",
        ),
        number("ci_low", "lower end of the 95 % interval; -infinity where the sample gives none"),
        number("ci_high", "upper end of the 95 % interval; infinity where the sample gives none"),
        column("samples", Kind::U64, "paths that the value rests on"),
    ],
};

/// `paths.parquet`: the P&L of every path.
pub static PATHS: FileSchema = FileSchema {
    file: "paths.parquet",
    rows: "path x book x report horizon, ascending",
    columns: &[
        PATH,
        BOOK,
        HORIZON_DAYS,
        number("pnl_mark_tao", "P&L (TAO), holdings at spot, against the opening mark value"),
        number("pnl_liquidation_tao", "P&L (TAO), holdings sold through the pools after fees and slippage"),
        number("pnl_mark_usd", "P&L (USD), holdings at spot"),
        number("pnl_liquidation_usd", "P&L (USD), holdings sold through the pools"),
        number("pnl_exit_tao", "P&L (TAO), holdings sold over days from the horizon on, while the path goes on")
            .null(NO_EXIT),
        number("pnl_exit_usd", "P&L (USD), the same, each sale at the rate of its day").null(NO_EXIT),
        number("tao_usd", "TAO/USD price at the horizon"),
        number("max_drawdown", "largest fall of the mark value (TAO) from its running peak (fraction of the peak)"),
        number(
            "longest_under_water_days",
            "longest time (days) from a peak of the mark value (TAO) until it is reached again, or to the horizon",
        ),
        number("lowest_pnl_tao", "lowest P&L (TAO) at spot after any step up to the horizon"),
        column("deregistered_holdings", Kind::U32, "holdings deregistered up to the horizon"),
        number("weight", "likelihood weight of the path; 1 without importance sampling"),
    ],
};

/// `subnets.parquet`: deregistration of every subnet of the snapshot as credit.
pub static SUBNETS: FileSchema = FileSchema {
    file: "subnets.parquet",
    rows: "subnet of the snapshot x report horizon",
    columns: &[
        NETUID,
        REGISTERED_AT,
        column("name", Kind::Text, "its name in the snapshot"),
        column("held", Kind::Bool, "whether a book of the scenario holds it at the start"),
        number("opening_price", "spot price at the start (TAO per alpha)"),
        HORIZON_DAYS,
        column("samples", Kind::U64, "paths"),
        number("deregistration_probability", "probability of deregistration up to the horizon"),
        number("deregistration_standard_error", "its standard error, never 0"),
        number("deregistration_ci_low", "lower end of its 95 % Wilson interval; 0 without a hit"),
        number("deregistration_ci_high", "upper end; the exact one-sided 95 % bound without a hit"),
        number("hazard_per_day", "deregistrations per day alive since the previous horizon").null(NO_EXPOSURE),
        number("hazard_standard_error", "standard error of hazard_per_day").null(NO_EXPOSURE),
        number("hazard_ci_low", "lower end of its 95 % interval").null(NO_EXPOSURE),
        number("hazard_ci_high", "upper end of its 95 % interval").null(NO_EXPOSURE),
        column("deregistered_samples", Kind::U64, "paths on which it was deregistered up to the horizon"),
        number("payout_tao_per_alpha", "mean TAO paid per staked alpha, given deregistration up to the horizon")
            .null(NO_DEATH),
        number("payout_standard_error", "its standard error; infinite for one path").null(NO_DEATH),
        number("loss_given_deregistration", "mean of 1 - payout / spot price just before; negative if paid above it")
            .null(NO_DEATH),
        number("loss_standard_error", "its standard error; infinite for one path").null(NO_DEATH),
        number(
            "price_p05",
            "5 % quantile of the spot price (TAO per alpha) among paths on which it is alive, \
            within 1.6 %; errors are in quantiles.parquet",
        )
        .null(NONE_ALIVE),
        number("price_p50", "median of the same").null(NONE_ALIVE),
        number("price_p95", "95 % quantile of the same").null(NONE_ALIVE),
        number(
            "emission_share_p05",
            "5 % quantile of the share of the TAO emission among paths on which it is \
            alive, within 1.6 %",
        )
        .null(NONE_ALIVE),
        number("emission_share_p50", "median of the same").null(NONE_ALIVE),
        number("emission_share_p95", "95 % quantile of the same").null(NONE_ALIVE),
    ],
};

/// `quantiles.parquet`: price and emission share of every subnet of the snapshot.
pub static QUANTILES: FileSchema = FileSchema {
    file: "quantiles.parquet",
    rows: "subnet of the snapshot x report horizon x metric x probability, among paths on which it is alive",
    columns: &[
        NETUID,
        REGISTERED_AT,
        column("metric", Kind::Text, "price (spot, TAO per alpha) or emission_share (of the TAO emission)"),
        HORIZON_DAYS,
        number("probability", "probability of the quantile"),
        number(
            "value",
            "the quantile: middle of a bucket, relative error at most 1/64 for prices in 1.9e-6 to \
            16 and shares in 1.5e-5 to 1; outside them the edge. With run.parameter_uncertainty its error, alone in \
            the run's files, is still that of independent paths, and so too small",
        )
        .null(NONE_ALIVE),
        number("standard_error", "width of the interval over 2 * 1.96").null(NONE_ALIVE),
        number("ci_low", "lower end of the 95 % interval of ranks, widened to the bucket's edge").null(NONE_ALIVE),
        number("ci_high", "upper end, likewise").null(NONE_ALIVE),
        column("samples", Kind::U64, "paths on which it is alive"),
    ],
};

/// `events.parquet`: lifecycle events of the recorded paths.
pub static EVENTS: FileSchema = FileSchema {
    file: "events.parquet",
    rows: "event, by path and block",
    columns: &[
        PATH,
        column("block", Kind::U64, "block of the event"),
        NETUID,
        REGISTERED_AT,
        column("kind", Kind::Text, "registered, deregistered, started or emission_enabled"),
        number("moving_price", "moving price of the subnet then"),
        number("lock_cost_tao", "TAO paid for the registration").null("unless kind is registered"),
        number("payout_tao_per_alpha", "TAO paid per staked alpha").null("unless kind is deregistered"),
    ],
};

/// `samples.parquet`: every step of the first few paths.
pub static SAMPLES: FileSchema = FileSchema {
    file: "samples.parquet",
    rows: "path x step x subnet",
    columns: &[
        PATH,
        column("step", Kind::U32, "steps since the start; 0 is the snapshot"),
        column("block", Kind::U64, "block after which this is the state"),
        NETUID,
        REGISTERED_AT,
        number("reserve_tao", "pool reserve (TAO)"),
        number("reserve_alpha", "pool reserve (alpha)"),
        number("price", "spot price (TAO per alpha)"),
        number("moving_price", "moving price"),
        number("emission_share", "share of the TAO emission in the step that led here; 0 at step 0"),
        number("staked_alpha", "alpha staked by wallets"),
        number("outstanding_alpha", "alpha outside the pool"),
        number("flow", "organic net flow of the step as a log move of the TAO reserve"),
    ],
};

/// `revenue.parquet`: subnets with revenue; only in runs whose scenario has some.
pub static REVENUE: FileSchema = FileSchema {
    file: "revenue.parquet",
    rows: "subnet with revenue x report horizon x measure; only where the scenario has such subnets",
    columns: &[
        NETUID,
        REGISTERED_AT,
        HORIZON_DAYS,
        column(
            "measure",
            Kind::Text,
            "revenue_usd_per_day (mean), buyback_tao (mean TAO that bought alpha), miner_emission_tao (mean value of \
                what miners received, at the opening price of each step), withheld_fraction (of the value of miner \
                emission), emission_neutrality (buybacks over the value of what miners received); sums from the start \
                to the horizon, ratios of means over paths",
        ),
        number("value", "the estimate").null(NOTHING_MINTED),
        number("standard_error", "its standard error; of ratios by the delta method").null(NOTHING_MINTED),
        number("ci_low", "lower end of the 95 % interval").null(NOTHING_MINTED),
        number("ci_high", "upper end of the 95 % interval").null(NOTHING_MINTED),
        column("samples", Kind::U64, "paths"),
    ],
};

const OF_A_SECTOR: &str = "for sectors";
const OF_THE_BOOK: &str = "for the book as a whole";

/// `attribution.parquet`: what positions and sectors add to tail measures.
pub static ATTRIBUTION: FileSchema = FileSchema {
    file: "attribution.parquet",
    rows: "measure of a position or sector of a book; opening values first, then by horizon, basis and currency, level, part; at the \
        last horizon then increments by position, level",
    columns: &[
        BOOK,
        column("kind", Kind::Text, "position or sector; each adds up to the book"),
        NETUID.null(OF_A_SECTOR),
        REGISTERED_AT.null(OF_A_SECTOR),
        column("name", Kind::Text, "name of the subnet, or of the sector; none: subnets without a sector"),
        column("basis", Kind::Text, "as in summary.parquet"),
        column("currency", Kind::Text, "TAO or USD"),
        number("level", "confidence").null("for opening_value"),
        number("horizon_days", "days from the start; 0 for opening_value"),
        column(
            "measure",
            Kind::Text,
            "opening_value (at spot); component_value_at_risk, component_expected_shortfall (parts of those of the book in \
                summary.parquet, to which they add up); incremental_value_at_risk_remove, \
                incremental_expected_shortfall_remove (what they would be without the position, less what they are), \
                incremental_value_at_risk_scale, incremental_expected_shortfall_scale (with a tenth more of it); the last four at \
                the last horizon at spot in TAO, on the same paths: without the market impact of the change",
        ),
        number("value", "the estimate"),
        number("standard_error", "its standard error; infinite with fewer than two losses in the tail"),
        number("ci_low", "lower end of the 95 % interval"),
        number("ci_high", "upper end of the 95 % interval"),
        column("samples", Kind::U64, "paths"),
        number("share", "value over the same measure of the book, increments over the measure that they change")
            .null("where that is 0"),
    ],
};

/// `credit.parquet`: deregistration of holdings read as credit.
pub static CREDIT: FileSchema = FileSchema {
    file: "credit.parquet",
    rows: "measure of a holding, or of a book as a whole; by book, holding (the book last), horizon",
    columns: &[
        BOOK,
        NETUID.null(OF_THE_BOOK),
        REGISTERED_AT.null(OF_THE_BOOK),
        column("name", Kind::Text, "name of the subnet; empty for the book"),
        column(
            "payout_rule",
            Kind::Text,
            "whose alpha shares the pool's TAO at dissolution, by the date of registration under the rule at the start: stakers, \
                stakers_protocol or stakers_protocol_pool; empty for the book",
        ),
        number("horizon_days", "days from the start; 0 for what is known at the start"),
        column(
            "measure",
            Kind::Text,
            "of a holding at the start: opening_value_tao, prune_rank (place by moving price among subnets past immunity, 1 \
                the next to go; within immunity the place it would have), prune_distance (its moving price over that of the \
                subnet that would go now, less 1), grace_days (immunity left), payout_now_tao_per_alpha, \
                loss_given_deregistration_now (1 less that over the spot price). Of a holding up to a horizon: \
                deregistration_probability, hazard_per_day (since the previous horizon, given survival; of the subnet), \
                exposure_tao (mean mark value just before, given deregistration), loss_given_deregistration (part of the \
                exposure not paid), expected_loss_tao (mean of mark less payout; the product of probability, exposure and \
                loss given deregistration), unexpected_loss_tao (its standard deviation over paths), deregistration_day \
                (mean, given deregistration), entrant_lock_tao (mean lock cost that the entrant paid who caused it). Of a book: \
                expected_loss_tao, unexpected_loss_tao, credit_value_at_risk_tao, credit_expected_shortfall_tao (of losses by \
                deregistration alone), deregistrations_at_least (probability of so many), expected_loss_concentration (sum of \
                squared shares of holdings in the expected loss), effective_holdings (its inverse). Measures given an event \
                have no row where no path has it",
        ),
        number(
            "level",
            "confidence of credit_value_at_risk_tao and credit_expected_shortfall_tao; number of deregistrations",
        )
        .null("for measures without a level"),
        number("value", "the estimate"),
        number("standard_error", "its standard error; 0 only for what is known"),
        number("ci_low", "lower end of the 95 % interval"),
        number(
            "ci_high",
            "upper end of the 95 % interval; of losses where no path has an event, that of the probability at the opening value",
        ),
        column("samples", Kind::U64, "paths that the value rests on; of measures given an event those with it"),
    ],
};

/// Blocks within steps of one path, written by `taorisk replay --blocks --out`; no part of a run directory.
pub static BLOCKS: FileSchema = FileSchema {
    file: "blocks.parquet",
    rows: "subnet x block, by step; from `taorisk replay --blocks --out`, no part of a run directory. The way within a \
        step that its closed form implies, no finer simulation",
    columns: &[
        PATH,
        column("block", Kind::U64, "block after which this is the state"),
        NETUID,
        REGISTERED_AT,
        number(
            "sampled_price",
            "spot price after the block's coinbase, which the moving price follows (TAO per alpha)",
        ),
        number("price", "spot price after the block's trades (TAO per alpha)"),
        number("moving_price", "moving price, block by block"),
    ],
};

/// Figures of a calibration's data beside those of panels simulated under the fit; not a file of a run.
pub static CALIBRATION: FileSchema = FileSchema {
    file: "diagnostics.parquet",
    rows: "figure of the data; by kind, then place",
    columns: &[
        column(
            "figure",
            Kind::Text,
            "residual_quantile (flow over its expected size), size_autocorrelation (of the log size of flows within \
                subnets), size_by_reserve and size_by_age (mean absolute flow per square-root day)",
        ),
        column("at", Kind::F64, "where: probability, lag (days), mean reserve (TAO) or mean age (days)"),
        column("data", Kind::F64, "of the data"),
        column("fitted", Kind::F64, "mean over simulated panels"),
        column("fitted_sd", Kind::F64, "standard deviation of one simulated panel"),
    ],
};

/// The table of `taorisk converge`, as CSV or Parquet where `--out` says; no part of a run directory.
pub static CONVERGENCE: FileSchema = FileSchema {
    file: "convergence",
    rows: "measure on two levels; pairs of consecutive levels first, then each level against the finest",
    columns: &[
        column(
            "comparison",
            Kind::Text,
            "pair (of consecutive levels, simulated) or level (against the finest: summed pairs)",
        ),
        column("coarse_blocks_per_step", Kind::U64, "blocks per step of the coarser level"),
        column("fine_blocks_per_step", Kind::U64, "blocks per step of the finer level"),
        column("paths", Kind::U64, "paths that both levels were simulated on; the fewest of the pairs between them"),
        HORIZON_DAYS,
        column(
            "measure",
            Kind::Text,
            "mean_pnl, value_at_risk, expected_shortfall (TAO, mark), holding_deregistered (probability of any), \
                registrations, subnet_deregistered (probability), largest_subnet_deregistered (of all subnets of the \
                snapshot the one with the largest difference)",
        ),
        column("book", Kind::Text, "name of the book; empty for measures of none"),
        column("netuid", Kind::U32, "slot number of the subnet; 0 for measures of none"),
        number("level", "confidence of value_at_risk and expected_shortfall").null("for measures without a level"),
        number("difference", "finer minus coarser level: minus the bias of the coarser one"),
        number("standard_error", "its standard error"),
        number("monte_carlo_error", "standard error of the measure itself on the coarser level with 1e6 paths"),
        column(
            "verdict",
            Kind::Text,
            "the absolute difference with two standard errors is within half the Monte Carlo error, beyond it, or open",
        ),
    ],
};

const NO_DRIVER: &str = "for none and total";

/// The table of `taorisk liquidity`, as CSV or Parquet where `--out` says; no part of a run directory.
pub static LIQUIDITY: FileSchema = FileSchema {
    file: "liquidity",
    rows: "days of the exit and size",
    columns: &[
        column("book", Kind::Text, "name of the book"),
        number("after_days", "days after the start on which the exit begins"),
        number("exit_days", "days that it takes; 0: all is sold at once"),
        number("participation", "most alpha sold a day (fraction of the pool's)"),
        number("size", "multiple of the book"),
        number("opening_tao", "value of that at spot at the start (TAO)"),
        column("paths", Kind::U64, "paths"),
        number("sold_tao", "value (TAO) at spot of what is sold, when the exit begins; mean over paths"),
        number(
            "cost",
            "value at spot when the exit begins, less what it brings (fraction of that value; ratio of means)",
        ),
        number("cost_standard_error", "its standard error"),
        number(
            "level",
            "the tail is the 1 - level share of paths on which the book has lost most when the exit begins",
        ),
        number("tail_cost", "the cost on those paths"),
        number("tail_cost_standard_error", "its standard error"),
        number("crowding", "tail_cost less cost: what it costs more where others have left before"),
        number("crowding_standard_error", "its standard error, paired"),
    ],
};

/// The table of `taorisk attribute`, as CSV or Parquet where `--out` says; no part of a run directory.
pub static DRIVERS: FileSchema = FileSchema {
    file: "drivers",
    rows: "measure and driver; parts of the drivers and of none add up to the total",
    columns: &[
        column("book", Kind::Text, "name of the book"),
        HORIZON_DAYS,
        column("currency", Kind::Text, "TAO or USD"),
        column("basis", Kind::Text, "mark or liquidation"),
        column("paths", Kind::U64, "paths that every set of drivers was simulated on"),
        column(
            "measure",
            Kind::Text,
            "mean_loss, sd_pnl, value_at_risk, expected_shortfall; all but sd_pnl are losses",
        ),
        number("level", "confidence of value_at_risk and expected_shortfall").null("for measures without a level"),
        column(
            "driver",
            Kind::Text,
            "tao_usd, common_factor, own_flow, jumps, emission, deregistration, slippage, rules; none (the measure where \
                none acts); total (where all act)",
        ),
        number("part", "its part in Shapley order: the mean, over all orders, of what it changes when its turn comes"),
        number("part_standard_error", "its standard error"),
        number("alone", "what it changes where no other acts").null(NO_DRIVER),
        number("alone_standard_error", "its standard error").null(NO_DRIVER),
        number("last", "what it changes where all others act").null(NO_DRIVER),
        number("last_standard_error", "its standard error").null(NO_DRIVER),
    ],
};

const NOT_A_NUMBER: &str = "for deregistrations";
const NOT_AN_EVENT: &str = "for prices, pools and books";

/// Forecasts of `taorisk backtest`, and what came; no part of a run directory.
pub static BACKTEST: FileSchema = FileSchema {
    file: "backtest.parquet",
    rows: "forecast; numbers by start, horizon, subject, subnet or book, then deregistrations by start, horizon, subnet",
    columns: &[
        column("date", Kind::Text, "day (UTC) of the start"),
        column("block", Kind::U64, "block after which paths start; nothing later was known"),
        HORIZON_DAYS,
        column(
            "subject",
            Kind::Text,
            "price (log of the value of a unit of alpha, spot or the payout of its deregistration, over the spot price at \
                the start), pool_tao (log of the pool's TAO over that at the start, where the subnet lives on), book (log of the \
                value of a random book over that at the start), deregistration (1 or 0)",
        ),
        column("netuid", Kind::U32, "slot number of the subnet; 0 for books"),
        column("registered_at", Kind::U64, "block of its registration; 0 for books"),
        column("book", Kind::U32, "number of the book on its date, from 1; 0 for subnets"),
        number("outcome", "what came"),
        number("pit", "place of the outcome in the simulated law, 0 to 1, drawn among ties").null(NOT_A_NUMBER),
        number("q005", "simulated quantile at 0.5 %").null(NOT_A_NUMBER),
        number("q01", "at 1 %").null(NOT_A_NUMBER),
        number("q025", "at 2.5 %").null(NOT_A_NUMBER),
        number("q05", "at 5 %").null(NOT_A_NUMBER),
        number("q25", "at 25 %").null(NOT_A_NUMBER),
        number("q50", "at 50 %").null(NOT_A_NUMBER),
        number("q75", "at 75 %").null(NOT_A_NUMBER),
        number("q95", "at 95 %").null(NOT_A_NUMBER),
        number("q975", "at 97.5 %").null(NOT_A_NUMBER),
        number("q99", "at 99 %").null(NOT_A_NUMBER),
        number("q995", "at 99.5 %").null(NOT_A_NUMBER),
        number("crps", "continuous ranked probability score of the simulated law; less is better").null(NOT_A_NUMBER),
        number("crps_random_walk", "that of a normal law with historical volatility").null(NOT_A_NUMBER),
        number("crps_block_bootstrap", "that of a block bootstrap of past days").null(NOT_A_NUMBER),
        number("probability", "simulated probability of deregistration").null(NOT_AN_EVENT),
        number(
            "probability_by_rank",
            "that of a logistic law of the log rank by moving price, fitted on earlier dates",
        )
        .null("for prices, pools and books, and before earlier dates had ended with both outcomes"),
        number("probability_base_rate", "how often it came on earlier dates").null("as probability_by_rank"),
        column("rank", Kind::U32, "rank by moving price at the start, 1 the lowest; 0 for prices, pools and books"),
    ],
};

/// Scores of `taorisk backtest`; no part of a run directory.
pub static SCORES: FileSchema = FileSchema {
    file: "scores.parquet",
    rows: "score; by horizon, subject, measure, level",
    columns: &[
        column(
            "measure",
            Kind::Text,
            "coverage (part of outcomes in the central interval), pit_histogram (part of places in a tenth), crps, \
                crps_difference (ours less the rival's), exceedance_rate (part of losses beyond value at risk), kupiec, \
                christoffersen_independence, christoffersen_conditional_coverage (likelihood ratios, of the first book of each of \
                those dates whose windows do not overlap), kupiec_rejected (part of all books so tested that are rejected at \
                5 %), brier, brier_reliability, brier_resolution, brier_uncertainty, brier_within, brier_difference (ours less \
                the rival's), calibration_curve (part of forecasts near a probability that came true)",
        ),
        column("subject", Kind::Text, "as in backtest.parquet"),
        HORIZON_DAYS,
        column("rival", Kind::Text, "random_walk, block_bootstrap, moving_price_rank, base_rate; empty for our forecasts"),
        number(
            "level",
            "level of coverage, confidence of value at risk, upper end of the tenth of pit_histogram, mean probability of a \
                point of calibration_curve",
        )
        .null("for measures without a level"),
        number("value", "the score"),
        number("standard_error", "its standard error: dates resampled in blocks as long as windows overlap")
            .null("for measures that are not resampled"),
        number(
            "p_value",
            "probability of a value as far from the level of coverage, 1 less the confidence, or no difference; for \
                likelihood ratios their asymptotic one",
        )
        .null("for measures without a test"),
        column("samples", Kind::U64, "forecasts that it rests on; windows of a test of sequences, books of kupiec_rejected"),
    ],
};

/// All Parquet files of a run, in the order of the result hash.
pub static FILES: [&FileSchema; 8] = [&SUMMARY, &PATHS, &SUBNETS, &QUANTILES, &EVENTS, &SAMPLES, &ATTRIBUTION, &CREDIT];

/// A Parquet file that only some runs have; in the result hash after the others where it is there.
pub static OPTIONAL_FILE: &FileSchema = &REVENUE;

/// Every column of every file as Markdown tables, for the documentation.
pub fn schema_markdown() -> String {
    let mut text = format!("Schema version {SCHEMA_VERSION}.\n");
    for schema in FILES.into_iter().chain([OPTIONAL_FILE, &BLOCKS, &BACKTEST, &SCORES]) {
        let _ = write!(
            text,
            "\n## {}\n\nA row is: {}.\n\n| column | type | meaning |\n|---|---|---|\n",
            schema.file, schema.rows
        );
        for column in schema.columns {
            let _ = writeln!(text, "| `{}` | {:?} | {} |", column.name, column.kind.data_type(), column.description());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::attribution::PartMeasure;
    use crate::risk::book::Measure;
    use crate::risk::credit::CreditMeasure;
    use crate::risk::histogram::Buckets;
    use crate::risk::revenue::RevenueMeasure;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_distinct_and_snake_case() {
        for schema in FILES.into_iter().chain([OPTIONAL_FILE]) {
            let names: BTreeSet<_> = schema.columns.iter().map(|column| column.name).collect();
            assert_eq!(names.len(), schema.columns.len(), "{}", schema.file);
            let plain = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            assert!(names.into_iter().all(plain), "{}", schema.file);
        }
    }

    #[test]
    fn the_meanings_name_what_the_code_does() {
        let measures = SUMMARY.columns[1].meaning;
        let of_revenue = REVENUE.columns[3].meaning;
        assert!(RevenueMeasure::ALL.iter().all(|measure| of_revenue.contains(measure.name())), "{of_revenue}");
        assert!(Measure::ALL.iter().all(|measure| measures.contains(measure.name())), "{measures}");
        let of_parts = ATTRIBUTION.columns[9].meaning;
        assert!(PartMeasure::ALL.iter().all(|measure| of_parts.contains(measure.name())), "{of_parts}");
        let of_credit = CREDIT.columns[6].meaning;
        assert!(CreditMeasure::ALL.iter().all(|measure| of_credit.contains(measure.name())), "{of_credit}");
        assert!(Buckets::AMOUNT.relative_error() <= 0.004);
        assert!(Buckets::PRICE.relative_error() <= 0.016 && Buckets::SHARE.relative_error() <= 0.016);
    }

    /// `UPDATE_GOLDEN=1` rewrites the page.
    #[test]
    fn the_page_in_the_documentation_is_current() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/src/output/SCHEMA.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(page, schema_markdown()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(page).unwrap(), schema_markdown());
    }

    #[test]
    fn markdown_has_a_line_for_each_column() {
        let text = schema_markdown();
        let columns: usize =
            FILES.iter().chain(&[OPTIONAL_FILE, &BLOCKS, &BACKTEST, &SCORES]).map(|schema| schema.columns.len()).sum();
        assert_eq!(text.lines().filter(|line| line.starts_with("| `")).count(), columns);
        assert!(text.contains("| `level` | Float64 |"));
    }
}
