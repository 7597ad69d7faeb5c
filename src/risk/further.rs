//! The measures beyond the first page: risk by aversion, ratios, rare losses, drawdown tails, time under water, ruin.
//!
//! All of them are streamed, or read off the histogram and the kept tails of [`crate::risk::book`]. Memory beside those: the
//! tails of drawdown and of time under water of each book and horizon, as large as one of P&L ([`crate::risk::tail`]).

use crate::engine::record::PathRow;
use crate::risk::clusters::ClusterSample;
use crate::risk::entropic::EntropicRisk;
use crate::risk::estimate::Estimate;
use crate::risk::histogram::Histogram;
use crate::risk::measure::Measure;
use crate::risk::moments::Moments;
use crate::risk::performance::PartialMoments;
use crate::risk::performance::Ratio;
use crate::risk::performance::sharpe_ratio;
use crate::risk::spectral::SpectralRisk;
use crate::risk::tail::SortedTail;
use crate::risk::tail::WorstTail;

/// Which further measures are taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeasureSettings {
    /// Aversions of spectral risk, each above 0.
    pub spectral_aversions: Vec<f64>,
    /// Aversions of entropic risk, each above 0.
    pub entropic_aversions: Vec<f64>,
    /// A book is ruined where its P&L (TAO, at spot) falls below minus this fraction of its opening value.
    pub ruin_fraction: f64,
    /// A loss that is exceeded once in so many horizons, each above 2.
    pub return_periods: Vec<f64>,
}

impl MeasureSettings {
    /// Lowest confidence level that the return periods need.
    pub fn confidence_min(&self) -> f64 {
        self.return_periods.iter().map(|&period| level_of(period)).fold(1.0, f64::min)
    }
}

/// Confidence level of the loss exceeded once in `period` horizons.
fn level_of(period: f64) -> f64 {
    1.0 - 1.0 / period
}

/// A measure, the level, aversion or period it is taken at, and the number; `None` where it does not exist.
pub(super) type Finding = (Measure, Option<f64>, Option<Estimate>);

/// What is kept of one P&L.
pub(super) struct KeptPnl<'a> {
    pub moments: &'a Moments,
    pub histogram: &'a Histogram,
    pub tail: &'a SortedTail,
    pub parts: &'a PartialMoments,
    /// By aversion.
    pub entropic: &'a [EntropicRisk],
    /// The same outcomes in replicates, if any.
    pub sample: Option<&'a ClusterSample>,
}

impl KeptPnl<'_> {
    /// The further measures.
    pub fn finish(&self, settings: &MeasureSettings) -> Vec<Finding> {
        let mut found = Vec::new();
        for &aversion in &settings.spectral_aversions {
            let risk = SpectralRisk::of(self.histogram, aversion);
            let estimate = risk.map(|risk| self.corrected(risk.estimate(), |pnl| risk.influence(-pnl)));
            found.push((Measure::SpectralRisk, Some(aversion), estimate));
        }
        for (&aversion, risk) in settings.entropic_aversions.iter().zip(self.entropic) {
            let estimate = risk.estimate().map(|plain| self.corrected(plain, |pnl| risk.influence(-pnl)));
            found.push((Measure::EntropicRisk, Some(aversion), estimate));
        }
        let ratios = [
            (Measure::SharpeRatio, sharpe_ratio(self.moments)),
            (Measure::SortinoRatio, self.parts.sortino_ratio()),
            (Measure::OmegaRatio, self.parts.omega_ratio()),
        ];
        let of_ratio = |ratio: Ratio| self.corrected(ratio.estimate, |pnl| ratio.influence(pnl));
        found.extend(ratios.map(|(measure, ratio)| (measure, None, ratio.map(of_ratio))));
        for &period in &settings.return_periods {
            let plain = self.tail.value_at_risk(level_of(period));
            let of_sample = |sample: &ClusterSample, plain| sample.value_at_risk(plain, level_of(period));
            let estimate = plain.map(|plain| self.sample.map_or(plain, |sample| of_sample(sample, plain)));
            found.push((Measure::ReturnLevel, Some(period), estimate));
        }
        found
    }

    /// An estimate with the error of replicates, where there are any.
    fn corrected(&self, plain: Estimate, influence: impl Fn(f64) -> f64) -> Estimate {
        self.sample.map_or(plain, |sample| sample.influenced(plain, influence))
    }
}

/// What is kept of the way of a book's value to one horizon.
#[derive(Clone, Debug)]
pub(super) struct FurtherWay {
    drawdown: WorstTail,
    under_water: Moments,
    under_water_tail: WorstTail,
    /// P&L (TAO) below which the book is ruined, and how often it was.
    ruin_tao: f64,
    ruined: u64,
}

/// The same in replicates.
#[derive(Clone, Copy)]
pub(super) struct WaySamples<'a> {
    pub drawdown: &'a ClusterSample,
    pub under_water: &'a ClusterSample,
    pub lowest_pnl: &'a ClusterSample,
}

impl FurtherWay {
    /// Nothing yet of `paths` paths of a book worth `opening_tao` at spot; tails serve levels from `confidence_min` on.
    pub fn new(settings: &MeasureSettings, opening_tao: f64, paths: u64, confidence_min: f64) -> Self {
        Self {
            drawdown: WorstTail::new(paths, confidence_min),
            under_water: Moments::default(),
            under_water_tail: WorstTail::new(paths, confidence_min),
            ruin_tao: -settings.ruin_fraction * opening_tao,
            ruined: 0,
        }
    }

    pub fn push(&mut self, row: &PathRow) {
        self.drawdown.push(row.max_drawdown);
        self.under_water.push(row.longest_under_water_days);
        self.under_water_tail.push(row.longest_under_water_days);
        self.ruined += u64::from(row.lowest_pnl_tao < self.ruin_tao);
    }

    pub fn finish(self, settings: &MeasureSettings, confidence: &[f64], samples: Option<WaySamples>) -> Vec<Finding> {
        let (drawdown_sample, time_sample) = (samples.map(|s| s.drawdown), samples.map(|s| s.under_water));
        let (drawdown, time) = (self.drawdown.into_sorted(), self.under_water_tail.into_sorted());
        let mut found = Vec::new();
        for &level in confidence {
            let quantile = at_level(&drawdown, level, drawdown_sample);
            found.push((Measure::DrawdownAtRisk, Some(level), quantile));
            let at = quantile.map_or(f64::NAN, |quantile| quantile.value);
            let beyond = |drawdown: f64| (drawdown - at).max(0.0) / (1.0 - level);
            let of_sample = |plain| drawdown_sample.map_or(plain, |sample| sample.influenced(plain, beyond));
            let mean = drawdown.expected_shortfall(level).map(of_sample);
            found.push((Measure::ConditionalDrawdownAtRisk, Some(level), mean));
        }
        let of_sample = |plain| time_sample.map_or(plain, |sample| sample.mean(plain));
        found.push((Measure::TimeUnderWaterMean, None, self.under_water.mean().map(of_sample)));
        for &level in confidence {
            found.push((Measure::TimeUnderWaterQuantile, Some(level), at_level(&time, level, time_sample)));
        }
        let paths = self.under_water.samples();
        let plain = (paths > 0).then(|| Estimate::proportion(self.ruined, paths));
        let of_sample = |plain| samples.map_or(plain, |s| s.lowest_pnl.probability_below(plain, self.ruin_tao));
        found.push((Measure::ProbabilityOfRuin, Some(settings.ruin_fraction), plain.map(of_sample)));
        found
    }
}

/// The quantile at `level` of what a tail holds the largest of.
fn at_level(tail: &SortedTail, level: f64, sample: Option<&ClusterSample>) -> Option<Estimate> {
    let plain = tail.value_at_risk(level)?;
    Some(sample.map_or(plain, |sample| sample.quantile(plain, level)))
}
