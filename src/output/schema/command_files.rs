//! The columns of tables that commands other than `taorisk run` write.
//!
//! Those of stress, sweep, sensitivity and allocation stand with their rows.

use crate::output::schema::FileSchema;
use crate::output::schema::HORIZON_DAYS;
use crate::output::schema::Kind;
use crate::output::schema::NETUID;
use crate::output::schema::PATH;
use crate::output::schema::REGISTERED_AT;
use crate::output::schema::column;
use crate::output::schema::number;

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
            .null("for measures that are not resampled, and where one block holds all dates"),
        number(
            "p_value",
            "probability of a value as far from the level of coverage, 1 less the confidence, or no difference; for \
                likelihood ratios their asymptotic one",
        )
        .null("for measures without a test, and where one block holds all dates"),
        column("samples", Kind::U64, "forecasts that it rests on; windows of a test of sequences, books of kupiec_rejected"),
    ],
};
