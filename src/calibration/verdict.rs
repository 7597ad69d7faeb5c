//! From forecasts and outcomes to scores, each with what chance may have done to it.

use crate::calibration::backtest::DeregistrationForecast;
use crate::calibration::backtest::Forecast;
use crate::calibration::backtest::Forecasts;
use crate::calibration::backtest::Start;
use crate::calibration::backtest::Subject;
use crate::calibration::coverage;
use crate::calibration::coverage::Bootstrap;
use crate::calibration::coverage::RatioTest;
use crate::calibration::logistic::Logistic;
use crate::calibration::score;
use crate::calibration::score::Brier;
use crate::calibration::score::EventForecast;
use crate::units::BLOCKS_PER_DAY;

/// Levels of the central intervals whose coverage is measured.
pub const COVERAGE_LEVELS: [f64; 4] = [0.5, 0.9, 0.95, 0.99];
/// Confidences of value at risk.
pub const RISK_LEVELS: [f64; 2] = [0.95, 0.99];
/// Parts of the histogram of places.
pub const PIT_BINS: usize = 10;
/// Probabilities that part the points of the calibration curve.
const CURVE_EDGES: [f64; 7] = [0.002, 0.01, 0.03, 0.06, 0.12, 0.25, 0.5];
/// Level at which a test rejects.
const REJECTED: f64 = 0.05;

/// Name of a rival in files; empty for our own scores.
pub const RANDOM_WALK: &str = "random_walk";
/// See [`RANDOM_WALK`].
pub const BLOCK_BOOTSTRAP: &str = "block_bootstrap";
/// See [`RANDOM_WALK`].
pub const RANK: &str = "moving_price_rank";
/// See [`RANDOM_WALK`].
pub const BASE_RATE: &str = "base_rate";
/// Name of forecast deregistrations among the subjects.
pub const DEREGISTRATION: &str = "deregistration";

/// A score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// What is measured.
    pub measure: &'static str,
    /// Of which forecasts.
    pub subject: &'static str,
    /// For how many days.
    pub horizon_days: u32,
    /// Whose; empty: ours.
    pub rival: &'static str,
    /// Level of an interval, confidence of value at risk, upper end of a histogram's part, probability of a curve's point.
    pub level: Option<f64>,
    /// The score.
    pub value: f64,
    /// Its standard error: dates resampled in blocks.
    pub standard_error: Option<f64>,
    /// Probability of a value as far from what is expected where the forecasts are right, or no better than the rival.
    pub p_value: Option<f64>,
    /// Forecasts it rests on; for tests of sequences their length.
    pub samples: u64,
}

/// Probabilities of a deregistration by those who know less.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventRivals {
    /// From the rank by moving price: a logistic law of its log, fitted on earlier dates.
    pub by_rank: f64,
    /// How often it came on earlier dates.
    pub base_rate: f64,
}

/// Rivals of each deregistration forecast; `None` where no earlier one had come to its end with both outcomes.
pub fn event_rivals(forecasts: &[DeregistrationForecast]) -> Vec<Option<EventRivals>> {
    let mut rivals = Vec::with_capacity(forecasts.len());
    for group in forecasts.chunk_by(|a, b| (a.start, a.horizon_days) == (b.start, b.horizon_days)) {
        let (block, horizon_days) = (group[0].start.block, group[0].horizon_days);
        let ended = |seen: &&DeregistrationForecast| {
            seen.horizon_days == horizon_days && seen.start.block + u64::from(horizon_days) * BLOCKS_PER_DAY <= block
        };
        let past: Vec<(f64, bool)> = forecasts.iter().filter(ended).map(|seen| (log_rank(seen), seen.came)).collect();
        let law = Logistic::fit(&past);
        let base_rate = past.iter().filter(|(_, came)| *came).count() as f64 / past.len() as f64;
        let rival = |seen: &DeregistrationForecast| {
            law.map(|law| EventRivals { by_rank: law.probability(log_rank(seen)), base_rate })
        };
        rivals.extend(group.iter().map(rival));
    }
    rivals
}

fn log_rank(forecast: &DeregistrationForecast) -> f64 {
    f64::from(forecast.rank).ln()
}

/// All scores of forecasts made every `every_days`; `seed` is of the resampling.
pub fn scores(forecasts: &Forecasts, every_days: u32, seed: u64) -> Vec<Score> {
    let mut judge = Judge { every_days, seed, stream: 0, scores: Vec::new() };
    for horizon_days in horizons(forecasts) {
        for subject in Subject::ALL {
            let of = |seen: &&Forecast| seen.horizon_days == horizon_days && seen.subject == subject;
            let numbers: Vec<&Forecast> = forecasts.numbers.iter().filter(of).collect();
            if !numbers.is_empty() {
                judge.judge_numbers(subject, horizon_days, &numbers);
            }
        }
        judge.judge_events(horizon_days, forecasts);
    }
    judge.scores
}

fn horizons(forecasts: &Forecasts) -> Vec<u32> {
    let of_numbers = forecasts.numbers.iter().map(|seen| seen.horizon_days);
    let mut days: Vec<u32> = of_numbers.chain(forecasts.deregistrations.iter().map(|seen| seen.horizon_days)).collect();
    days.sort_unstable();
    days.dedup();
    days
}

/// A score of one forecast.
type ScoreOf = fn(&Forecast) -> f64;

struct Judge {
    every_days: u32,
    seed: u64,
    /// Number of resampled series so far.
    stream: u32,
    scores: Vec<Score>,
}

impl Judge {
    /// Resamples values by date, in blocks as long as windows of the horizon overlap, and two dates at least.
    fn bootstrap(&mut self, horizon_days: u32, values: impl Iterator<Item = (u32, f64)>) -> Bootstrap {
        self.stream += 1;
        let block = horizon_days.div_ceil(self.every_days).max(2) as usize;
        Bootstrap::new(&coverage::by_date(values), block, self.seed, self.stream)
    }

    fn judge_numbers(&mut self, subject: Subject, horizon_days: u32, numbers: &[&Forecast]) {
        let score = Score {
            measure: "",
            subject: subject.name(),
            horizon_days,
            rival: "",
            level: None,
            value: f64::NAN,
            standard_error: None,
            p_value: None,
            samples: numbers.len() as u64,
        };
        for level in COVERAGE_LEVELS {
            let covered =
                |seen: &&Forecast| (seen.start.index, f64::from(u8::from(score::is_covered(seen.pit, level))));
            let mean = self.bootstrap(horizon_days, numbers.iter().map(covered));
            self.push_mean(Score { measure: "coverage", level: Some(level), ..score }, &mean, level);
        }
        let counts = score::pit_histogram(numbers.iter().map(|seen| seen.pit), PIT_BINS);
        for (bin, count) in counts.into_iter().enumerate() {
            let level = Some((bin + 1) as f64 / PIT_BINS as f64);
            let value = count as f64 / numbers.len() as f64;
            self.scores.push(Score { measure: "pit_histogram", level, value, ..score });
        }
        self.judge_crps(score, numbers);
        if subject == Subject::Book {
            self.judge_risk(score, numbers);
        }
    }

    /// A mean with its error and the p-value of its being `expected`.
    fn push_mean(&mut self, score: Score, mean: &Bootstrap, expected: f64) {
        let (standard_error, p_value) = (mean.standard_error(), mean.p_value(expected));
        self.scores.push(Score { value: mean.mean, standard_error, p_value, ..score });
    }

    fn judge_crps(&mut self, score: Score, numbers: &[&Forecast]) {
        let scored: [(&str, ScoreOf); 3] = [
            ("", |seen| seen.crps),
            (RANDOM_WALK, |seen| seen.crps_random_walk),
            (BLOCK_BOOTSTRAP, |seen| seen.crps_bootstrap),
        ];
        for (rival, crps) in scored {
            let mean = self.bootstrap(score.horizon_days, numbers.iter().map(|seen| (seen.start.index, crps(seen))));
            let standard_error = mean.standard_error();
            self.scores.push(Score { measure: "crps", rival, value: mean.mean, standard_error, ..score });
            if !rival.is_empty() {
                let gain = |seen: &&Forecast| (seen.start.index, seen.crps - crps(seen));
                let gain = self.bootstrap(score.horizon_days, numbers.iter().map(gain));
                self.push_mean(Score { measure: "crps_difference", rival, ..score }, &gain, 0.0);
            }
        }
    }

    fn judge_risk(&mut self, score: Score, books: &[&Forecast]) {
        for confidence in RISK_LEVELS {
            let score = Score { level: Some(confidence), ..score };
            let exceeds = |seen: &Forecast| seen.pit < 1.0 - confidence;
            let hits = books.iter().map(|seen| (seen.start.index, f64::from(u8::from(exceeds(seen)))));
            let rate = self.bootstrap(score.horizon_days, hits);
            self.push_mean(Score { measure: "exceedance_rate", ..score }, &rate, 1.0 - confidence);
            let sequences = sequences(books, exceeds);
            let Some(first) = sequences.first() else { continue };
            let test = |measure, test: RatioTest| Score {
                measure,
                value: test.statistic,
                p_value: Some(test.p_value),
                samples: first.len() as u64,
                ..score
            };
            let christoffersen = coverage::christoffersen(first, 1.0 - confidence);
            self.scores.push(test("kupiec", kupiec(first, confidence)));
            self.scores.push(test("christoffersen_independence", christoffersen.independence));
            self.scores.push(test("christoffersen_conditional_coverage", christoffersen.conditional_coverage));
            let rejected = sequences.iter().filter(|hits| kupiec(hits, confidence).p_value < REJECTED).count();
            let value = rejected as f64 / sequences.len() as f64;
            self.scores.push(Score { measure: "kupiec_rejected", value, samples: sequences.len() as u64, ..score });
        }
    }

    fn judge_events(&mut self, horizon_days: u32, forecasts: &Forecasts) {
        let rivals = event_rivals(&forecasts.deregistrations);
        let both = forecasts.deregistrations.iter().zip(rivals);
        let scored: Vec<(&DeregistrationForecast, EventRivals)> = both
            .filter(|(seen, _)| seen.horizon_days == horizon_days)
            .filter_map(|(seen, rival)| Some((seen, rival?)))
            .collect();
        if scored.is_empty() {
            return;
        }
        let score = Score {
            measure: "",
            subject: DEREGISTRATION,
            horizon_days,
            rival: "",
            level: None,
            value: f64::NAN,
            standard_error: None,
            p_value: None,
            samples: scored.len() as u64,
        };
        let forecast = |seen: &DeregistrationForecast, probability| EventForecast { probability, came: seen.came };
        let ours = |(seen, _): &(&DeregistrationForecast, EventRivals)| forecast(seen, seen.probability);
        let by_rank = |(seen, rival): &(&DeregistrationForecast, EventRivals)| forecast(seen, rival.by_rank);
        let base_rate = |(seen, rival): &(&DeregistrationForecast, EventRivals)| forecast(seen, rival.base_rate);
        self.judge_brier(score, &scored.iter().map(ours).collect::<Vec<_>>());
        self.judge_brier(Score { rival: RANK, ..score }, &scored.iter().map(by_rank).collect::<Vec<_>>());
        self.judge_brier(Score { rival: BASE_RATE, ..score }, &scored.iter().map(base_rate).collect::<Vec<_>>());
        let against = |rival: &dyn Fn(&(&DeregistrationForecast, EventRivals)) -> EventForecast| -> Vec<(u32, f64)> {
            let gain = |pair| ours(pair).squared_error() - rival(pair).squared_error();
            scored.iter().map(|pair| (pair.0.start.index, gain(pair))).collect()
        };
        for (rival, gains) in [(RANK, against(&by_rank)), (BASE_RATE, against(&base_rate))] {
            let gain = self.bootstrap(horizon_days, gains.into_iter());
            self.push_mean(Score { measure: "brier_difference", rival, ..score }, &gain, 0.0);
        }
    }

    fn judge_brier(&mut self, score: Score, forecasts: &[EventForecast]) {
        let brier = Brier::new(forecasts, &CURVE_EDGES);
        let parts = [
            ("brier", brier.score),
            ("brier_reliability", brier.reliability),
            ("brier_resolution", brier.resolution),
            ("brier_uncertainty", brier.uncertainty),
            ("brier_within", brier.within),
        ];
        self.scores.extend(parts.map(|(measure, value)| Score { measure, value, ..score }));
        self.scores.extend(brier.curve.iter().map(|point| Score {
            measure: "calibration_curve",
            level: Some(point.mean_probability),
            value: point.frequency,
            samples: point.count,
            ..score
        }));
    }
}

fn kupiec(hits: &[bool], confidence: f64) -> RatioTest {
    let count = hits.iter().filter(|hit| **hit).count();
    coverage::kupiec(count as u64, hits.len() as u64, 1.0 - confidence)
}

/// Exceedances in windows that do not overlap, one sequence for each number that books bear; a date's books are drawn anew.
fn sequences(books: &[&Forecast], exceeds: impl Fn(&Forecast) -> bool) -> Vec<Vec<bool>> {
    let mut sequences: Vec<Vec<bool>> = Vec::new();
    let mut last: Option<Start> = None;
    for date in books.chunk_by(|a, b| a.start == b.start) {
        let (start, horizon_days) = (date[0].start, date[0].horizon_days);
        // Days differ in blocks by an hour or two.
        let follows = |last: Start| start.day >= last.day + i64::from(horizon_days);
        if !last.is_none_or(follows) {
            continue;
        }
        last = Some(start);
        sequences.resize(sequences.len().max(date.len()), Vec::new());
        for (sequence, book) in sequences.iter_mut().zip(date) {
            sequence.push(exceeds(book));
        }
    }
    sequences
}
