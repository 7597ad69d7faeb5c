//! The columns of the Parquet files of a run directory.

use crate::output::schema::BOOK;
use crate::output::schema::FileSchema;
use crate::output::schema::HORIZON_DAYS;
use crate::output::schema::Kind;
use crate::output::schema::NETUID;
use crate::output::schema::PATH;
use crate::output::schema::REGISTERED_AT;
use crate::output::schema::column;
use crate::output::schema::number;

const NO_DEATH: &str = "if no path deregistered it";
const NO_EXPOSURE: &str = "if no path was alive since the previous horizon";
const NOTHING_MINTED: &str = "if the ratio is of nothing on every path";
const NO_EXIT: &str = "without an exit basis (`[exit]`)";
const NONE_ALIVE: &str = "if it is alive on no path";

/// `summary.parquet`: every measure of every book.
pub static SUMMARY: FileSchema = FileSchema {
    file: "summary.parquet",
    rows: "measure of a book; by book, horizon, basis and currency, measure, level; those of liquidity last",
    columns: &[
        BOOK,
        column(
            "measure",
            Kind::Text,
            "opening_value, mean_pnl, sd_pnl, loss_probability, value_at_risk, expected_shortfall (losses are \
                positive), pnl_quantile, max_drawdown_mean, max_drawdown_quantile (fraction of the running \
                peak), deregistered_holdings (mean count). P&L is against the opening mark value. Quantiles \
                come from a histogram within 0.4 % of the value; value_at_risk and expected_shortfall are \
                exact. liquidity_value_at_risk and liquidity_expected_shortfall, on basis liquidation: the measure less that \
                at spot, with the error of the difference. With run.parameter_uncertainty, at the last horizon also mean_pnl_parameter_error, \
                loss_probability_parameter_error, value_at_risk_parameter_error, expected_shortfall_parameter_error \
                (standard deviation of the measure over the law of the parameters, were there paths without end) and \
                parameter_variance_share (fraction of the variance of P&L). spectral_risk (losses weighted by rank, \
                exponential spectrum; the histogram's 0.4 % of the weighted sizes at most) and entropic_risk at an \
                aversion; sharpe_ratio, sortino_ratio, omega_ratio of the P&L over the horizon, not annualised; \
                return_level (loss exceeded once in so many horizons); drawdown_at_risk and \
                conditional_drawdown_at_risk (quantile of the maximum drawdown and mean beyond it, exact); \
                time_under_water_mean and time_under_water_quantile (days of the longest spell below a former peak); \
                probability_of_ruin (P&L at spot in TAO ever below minus a fraction of the opening value). With an \
                `[estimator]` that weighs paths, likelihood_weight_mean (the truth is 1), effective_samples (of all weights), \
                value_at_risk_effective_samples and expected_shortfall_effective_samples (equal terms that would be as \
                uneven), and of all else only means, probabilities, value_at_risk and expected_shortfall",
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
            "confidence of value_at_risk, expected_shortfall, liquidity and the drawdowns at risk, probability of a quantile, \
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
        last horizon then increments by position, level, and those by candidate, level",
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
                incremental_value_at_risk_scale, incremental_expected_shortfall_scale (with a tenth more of it); incremental_value_at_risk_add, \
                incremental_expected_shortfall_add (with this position of the book measures.candidates besides, paid for by \
                money from outside); the last six at the last horizon at spot in TAO, on the same paths: without the market \
                impact of the change",
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

/// All Parquet files of a run, in the order of the result hash.
pub static FILES: [&FileSchema; 8] = [&SUMMARY, &PATHS, &SUBNETS, &QUANTILES, &EVENTS, &SAMPLES, &ATTRIBUTION, &CREDIT];

/// A Parquet file that only some runs have; in the result hash after the others where it is there.
pub static OPTIONAL_FILE: &FileSchema = &REVENUE;
