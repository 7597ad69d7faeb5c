//! What is published of a book: measures, the money and the basis they are in, and rows of them.

use crate::risk::estimate::Estimate;
use crate::risk::further::Finding;

/// What a summary row measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Value at the start; on basis mark it is what P&L is measured against on every basis.
    OpeningValue,
    /// Mean P&L.
    MeanPnl,
    /// Standard deviation of P&L.
    SdPnl,
    /// Probability of a P&L below 0.
    LossProbability,
    /// Loss exceeded with probability 1 - level.
    ValueAtRisk,
    /// Mean of the worst 1 - level share of losses.
    ExpectedShortfall,
    /// Value at risk on liquidation, less that at spot: what selling takes in the tail, and at the start.
    LiquidityValueAtRisk,
    /// The same of the expected shortfall.
    LiquidityExpectedShortfall,
    /// Quantile of P&L at the level, from a histogram ([`crate::risk::histogram::Buckets::AMOUNT`]).
    PnlQuantile,
    /// Mean over paths of the largest fall from a peak (fraction of the peak).
    MaxDrawdownMean,
    /// Its quantile at the level, from a histogram ([`crate::risk::histogram::Buckets::AMOUNT`]).
    MaxDrawdownQuantile,
    /// Mean number of holdings deregistered.
    DeregisteredHoldings,
    /// Standard deviation of the mean P&L over the law of the parameters, were there paths without end.
    MeanPnlParameterError,
    /// The same of the probability of a loss.
    LossProbabilityParameterError,
    /// The same of the value at risk.
    ValueAtRiskParameterError,
    /// The same of the expected shortfall.
    ExpectedShortfallParameterError,
    /// Share of the variance of P&L that the parameters make.
    ParameterVarianceShare,
    /// Mean of losses weighted by rank, at an aversion ([`crate::risk::spectral`]).
    SpectralRisk,
    /// Certainty equivalent of the loss under exponential utility, at an aversion ([`crate::risk::entropic`]).
    EntropicRisk,
    /// Mean of P&L over its standard deviation, over the horizon ([`crate::risk::performance`]).
    SharpeRatio,
    /// Mean of P&L over the root of the mean square of losses.
    SortinoRatio,
    /// Mean gain over mean loss.
    OmegaRatio,
    /// Loss exceeded once in a number of horizons, the return period.
    ReturnLevel,
    /// Maximum drawdown exceeded with probability 1 - level.
    DrawdownAtRisk,
    /// Mean of the worst 1 - level share of maximum drawdowns.
    ConditionalDrawdownAtRisk,
    /// Mean of the longest time (days) below a former peak.
    TimeUnderWaterMean,
    /// Its quantile at the level.
    TimeUnderWaterQuantile,
    /// Probability that P&L (TAO, at spot) falls below minus a fraction of the opening value, on any day up to the horizon.
    ProbabilityOfRuin,
    /// Mean likelihood weight; the truth is 1.
    LikelihoodWeightMean,
    /// Equal weights that would be as uneven as those of all paths (Kish).
    EffectiveSamples,
    /// Equal terms that would be as uneven as those of the value at risk.
    ValueAtRiskEffectiveSamples,
    /// The same of the expected shortfall.
    ExpectedShortfallEffectiveSamples,
}

impl Measure {
    /// All measures, in the order of files.
    pub const ALL: [Self; 32] = [
        Self::OpeningValue,
        Self::MeanPnl,
        Self::SdPnl,
        Self::LossProbability,
        Self::ValueAtRisk,
        Self::ExpectedShortfall,
        Self::LiquidityValueAtRisk,
        Self::LiquidityExpectedShortfall,
        Self::PnlQuantile,
        Self::MaxDrawdownMean,
        Self::MaxDrawdownQuantile,
        Self::DeregisteredHoldings,
        Self::MeanPnlParameterError,
        Self::LossProbabilityParameterError,
        Self::ValueAtRiskParameterError,
        Self::ExpectedShortfallParameterError,
        Self::ParameterVarianceShare,
        Self::SpectralRisk,
        Self::EntropicRisk,
        Self::SharpeRatio,
        Self::SortinoRatio,
        Self::OmegaRatio,
        Self::ReturnLevel,
        Self::DrawdownAtRisk,
        Self::ConditionalDrawdownAtRisk,
        Self::TimeUnderWaterMean,
        Self::TimeUnderWaterQuantile,
        Self::ProbabilityOfRuin,
        Self::LikelihoodWeightMean,
        Self::EffectiveSamples,
        Self::ValueAtRiskEffectiveSamples,
        Self::ExpectedShortfallEffectiveSamples,
    ];

    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpeningValue => "opening_value",
            Self::MeanPnl => "mean_pnl",
            Self::SdPnl => "sd_pnl",
            Self::LossProbability => "loss_probability",
            Self::ValueAtRisk => "value_at_risk",
            Self::ExpectedShortfall => "expected_shortfall",
            Self::LiquidityValueAtRisk => "liquidity_value_at_risk",
            Self::LiquidityExpectedShortfall => "liquidity_expected_shortfall",
            Self::PnlQuantile => "pnl_quantile",
            Self::MaxDrawdownMean => "max_drawdown_mean",
            Self::MaxDrawdownQuantile => "max_drawdown_quantile",
            Self::DeregisteredHoldings => "deregistered_holdings",
            Self::MeanPnlParameterError => "mean_pnl_parameter_error",
            Self::LossProbabilityParameterError => "loss_probability_parameter_error",
            Self::ValueAtRiskParameterError => "value_at_risk_parameter_error",
            Self::ExpectedShortfallParameterError => "expected_shortfall_parameter_error",
            Self::ParameterVarianceShare => "parameter_variance_share",
            Self::SpectralRisk => "spectral_risk",
            Self::EntropicRisk => "entropic_risk",
            Self::SharpeRatio => "sharpe_ratio",
            Self::SortinoRatio => "sortino_ratio",
            Self::OmegaRatio => "omega_ratio",
            Self::ReturnLevel => "return_level",
            Self::DrawdownAtRisk => "drawdown_at_risk",
            Self::ConditionalDrawdownAtRisk => "conditional_drawdown_at_risk",
            Self::TimeUnderWaterMean => "time_under_water_mean",
            Self::TimeUnderWaterQuantile => "time_under_water_quantile",
            Self::ProbabilityOfRuin => "probability_of_ruin",
            Self::LikelihoodWeightMean => "likelihood_weight_mean",
            Self::EffectiveSamples => "effective_samples",
            Self::ValueAtRiskEffectiveSamples => "value_at_risk_effective_samples",
            Self::ExpectedShortfallEffectiveSamples => "expected_shortfall_effective_samples",
        }
    }
}

/// Money a measure is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Currency {
    /// TAO.
    Tao,
    /// US dollars.
    Usd,
}

impl Currency {
    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tao => "TAO",
            Self::Usd => "USD",
        }
    }
}

/// How holdings are valued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// At spot.
    Mark,
    /// Sold through the pools now, after fees and slippage.
    Liquidation,
    /// Sold through the pools over days, while the path goes on; only where the scenario has an exit basis.
    Exit,
}

impl Basis {
    /// All bases.
    pub const ALL: [Self; 3] = [Self::Mark, Self::Liquidation, Self::Exit];

    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mark => "mark",
            Self::Liquidation => "liquidation",
            Self::Exit => "exit",
        }
    }
}

/// The P&L columns of a row, in the order of measures; the last two only with an exit basis.
pub(crate) const PNL_KINDS: [(Basis, Currency); 6] = [
    (Basis::Mark, Currency::Tao),
    (Basis::Liquidation, Currency::Tao),
    (Basis::Mark, Currency::Usd),
    (Basis::Liquidation, Currency::Usd),
    (Basis::Exit, Currency::Tao),
    (Basis::Exit, Currency::Usd),
];

/// Those of them that single positions have.
pub(crate) const POSITION_KINDS: [(Basis, Currency); 4] = [PNL_KINDS[0], PNL_KINDS[1], PNL_KINDS[2], PNL_KINDS[3]];

/// One published number about a book.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRow {
    /// Name of the book.
    pub book: String,
    /// What is measured.
    pub measure: Measure,
    /// In which money; TAO for drawdowns of the TAO value, and for counts, where it says nothing.
    pub currency: Currency,
    /// Valued how; mark for drawdowns and counts.
    pub basis: Basis,
    /// Confidence or quantile level, aversion, return period or fraction, of the measures that have one.
    pub level: Option<f64>,
    /// Days from the start.
    pub horizon_days: f64,
    /// The number and its error.
    pub estimate: Estimate,
}

impl SummaryRow {
    /// Behind the rows of the same book and horizon.
    pub fn insert_into(self, rows: &mut Vec<Self>) {
        let is_before = |row: &Self| row.book == self.book && row.horizon_days == self.horizon_days;
        let place = rows.iter().rposition(is_before).map_or(rows.len(), |last| last + 1);
        rows.insert(place, self);
    }
}

/// Collects the rows of one book and horizon; a number that does not exist (no paths) leaves no row.
pub(crate) struct RowWriter<'a> {
    pub book: &'a str,
    pub horizon_days: f64,
    pub rows: &'a mut Vec<SummaryRow>,
}

impl RowWriter<'_> {
    pub fn push(&mut self, measure: Measure, kind: (Basis, Currency), level: Option<f64>, estimate: Option<Estimate>) {
        let (basis, currency) = kind;
        let row = |estimate| SummaryRow {
            book: self.book.to_owned(),
            measure,
            currency,
            basis,
            level,
            horizon_days: self.horizon_days,
            estimate,
        };
        self.rows.extend(estimate.map(row));
    }

    pub fn extend(&mut self, kind: (Basis, Currency), found: Vec<Finding>) {
        for (measure, level, estimate) in found {
            self.push(measure, kind, level, estimate);
        }
    }
}
