//! Estimators against known laws: values, the coverage of their intervals, and errors that fall as n^-1/2.

use proptest::collection::vec;
use proptest::prelude::*;
use statrs::distribution::ContinuousCDF;
use statrs::distribution::Normal;
use statrs::distribution::StudentsT;
use taorisk::risk::estimate::Estimate;
use taorisk::risk::moments::Moments;
use taorisk::risk::paired::tail_differences;
use taorisk::risk::tail::WorstTail;

/// SplitMix64 (Steele, Lea, Flood 2014): a generator that shares nothing with the engine's.
struct SplitMix(u64);

impl SplitMix {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) >> 11) as f64 * 2.0_f64.powi(-53) + 2.0_f64.powi(-54)
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Student t with 5 degrees of freedom, its chi-square as two exponentials and a squared normal.
    fn student5(&mut self) -> f64 {
        let chi_square = -2.0 * (self.uniform() * self.uniform()).ln() + self.normal().powi(2);
        self.normal() / (chi_square / 5.0).sqrt()
    }
}

/// A law of losses with its quantile and tail mean.
struct Law {
    name: &'static str,
    draw: fn(&mut SplitMix) -> f64,
    value_at_risk: fn(f64) -> f64,
    expected_shortfall: fn(f64) -> f64,
}

const LAWS: [Law; 2] = [
    Law {
        name: "normal",
        draw: SplitMix::normal,
        value_at_risk: |level| Normal::standard().inverse_cdf(level),
        expected_shortfall: |level| {
            let quantile = Normal::standard().inverse_cdf(level);
            (-0.5 * quantile * quantile).exp() / std::f64::consts::TAU.sqrt() / (1.0 - level)
        },
    },
    Law {
        name: "t5",
        draw: SplitMix::student5,
        value_at_risk: student5_quantile,
        // ES = f(q) (5 + q^2) / (4 (1 - c)), f the density: McNeil, Frey, Embrechts (2015), Quantitative Risk
        // Management, chapter 2.
        expected_shortfall: |level| {
            let quantile = student5_quantile(level);
            let density =
                8.0 / (3.0 * std::f64::consts::PI * 5.0_f64.sqrt()) * (1.0 + quantile * quantile / 5.0).powi(-3);
            density * (5.0 + quantile * quantile) / (4.0 * (1.0 - level))
        },
    },
];

fn student5_quantile(level: f64) -> f64 {
    StudentsT::new(0.0, 1.0, 5.0).unwrap().inverse_cdf(level)
}

fn tail_estimates(law: &Law, rng: &mut SplitMix, samples: u64, levels: &[f64]) -> Vec<(Estimate, Estimate)> {
    let mut tail = WorstTail::new(samples, levels[0]);
    (0..samples).for_each(|_| tail.push((law.draw)(rng)));
    let tail = tail.into_sorted();
    let estimates = |&level| (tail.value_at_risk(level).unwrap(), tail.expected_shortfall(level).unwrap());
    levels.iter().map(estimates).collect()
}

fn covers(estimate: &Estimate, truth: f64) -> bool {
    estimate.ci_low <= truth && truth <= estimate.ci_high
}

#[test]
fn tail_measures_of_known_laws() {
    let mut rng = SplitMix(1);
    for law in &LAWS {
        for ((value, shortfall), level) in
            tail_estimates(law, &mut rng, 1_000_000, &[0.95, 0.99]).iter().zip([0.95, 0.99])
        {
            for (estimate, truth) in [(value, (law.value_at_risk)(level)), (shortfall, (law.expected_shortfall)(level))]
            {
                println!("{} {level}: {truth:.5} {estimate:.5?}", law.name);
                // n = 1e6: a shift by 0.5 % to 3 % of the value fails.
                assert!((estimate.value - truth).abs() < 4.0 * estimate.standard_error, "{} {level}", law.name);
                assert!(estimate.standard_error < 0.01 * truth);
            }
        }
    }
}

/// 1,000 replications: the standard error of a coverage of 95 % is 0.7 %, so 4 of them are 2.8 %.
///
/// Measured, VaR and ES: normal 0.960, 0.947 at 95 % and 0.957, 0.946 at 99 %; t5 0.953, 0.945 and 0.963, 0.931.
/// Intervals of order statistics hold their level for any law. Those of ES rest on 500 and 100 tail losses; at 99 %
/// of t5 the variance of the tail is itself estimated badly, and coverage is about 2 % short of its level.
#[test]
fn intervals_cover_the_truth_as_often_as_they_say() {
    const REPLICATIONS: u32 = 1_000;
    let levels = [0.95, 0.99];
    let mut rng = SplitMix(2);
    for law in &LAWS {
        let mut hits = [[0_u32; 2]; 2];
        for _ in 0..REPLICATIONS {
            let estimates = tail_estimates(law, &mut rng, 10_000, &levels);
            for ((hits, level), (value, shortfall)) in hits.iter_mut().zip(levels).zip(&estimates) {
                hits[0] += u32::from(covers(value, (law.value_at_risk)(level)));
                hits[1] += u32::from(covers(shortfall, (law.expected_shortfall)(level)));
            }
        }
        for (level, hits) in levels.into_iter().zip(hits) {
            let [value, shortfall] = hits.map(|hits| f64::from(hits) / f64::from(REPLICATIONS));
            println!("coverage, {} at {level}: value at risk {value:.3}, expected shortfall {shortfall:.3}", law.name);
            assert!((0.922..=0.978).contains(&value), "{} {level}: value at risk {value}", law.name);
            let shortfall_min = if law.name == "t5" && level == 0.99 { 0.90 } else { 0.92 };
            assert!((shortfall_min..=0.978).contains(&shortfall), "{} {level}: shortfall {shortfall}", law.name);
        }
    }
}

#[test]
fn intervals_of_means_deviations_and_probabilities_cover() {
    const REPLICATIONS: u32 = 1_000;
    let mut rng = SplitMix(3);
    let mut hits = [0_u32; 3];
    for _ in 0..REPLICATIONS {
        let mut moments = Moments::default();
        let mut rare = 0;
        for _ in 0..2_000 {
            moments.push(rng.normal());
            rare += u64::from(rng.uniform() < 0.01);
        }
        let estimates = [
            (moments.mean().unwrap(), 0.0),
            (moments.standard_deviation().unwrap(), 1.0),
            (Estimate::proportion(rare, 2_000), 0.01),
        ];
        for (hits, (estimate, truth)) in hits.iter_mut().zip(estimates) {
            *hits += u32::from(covers(&estimate, truth));
        }
    }
    for (name, hits) in ["mean", "deviation", "probability"].into_iter().zip(hits) {
        let coverage = f64::from(hits) / f64::from(REPLICATIONS);
        println!("coverage, {name}: {coverage:.3}");
        assert!((0.922..=0.978).contains(&coverage), "{name}: {coverage}");
    }
}

/// Losses of a pair: on nine paths of ten the second is 1.05 times the first, else 1.05 times one of its own.
///
/// Two standard errors of a normal law cover 95.4 %; 1,000 replications give that to 0.7 %. Measured, VaR and ES: normal
/// 0.971, 0.971 at 95 % and 0.969, 0.975 at 99 %; t5 0.970, 0.966 and 0.971, 0.978. Of 4,000 paths some 20 to 200 tell the
/// tails apart, so that the law of the difference has heavier tails than the normal one and its middle more weight.
#[test]
fn differences_of_tails_cover_the_truth() {
    const REPLICATIONS: u32 = 1_000;
    const SCALE: f64 = 1.05;
    let mut rng = SplitMix(5);
    for law in &LAWS {
        for level in [0.95, 0.99] {
            let truths = [(law.value_at_risk)(level), (law.expected_shortfall)(level)].map(|tail| (SCALE - 1.0) * tail);
            let mut hits = [0_u32; 2];
            for _ in 0..REPLICATIONS {
                let base: Vec<f64> = (0..4_000).map(|_| (law.draw)(&mut rng)).collect();
                let other = |&loss: &f64| SCALE * if rng.uniform() < 0.9 { loss } else { (law.draw)(&mut rng) };
                let other: Vec<f64> = base.iter().map(other).collect();
                for ((hits, found), truth) in hits.iter_mut().zip(tail_differences(&base, &other, level)).zip(truths) {
                    *hits += u32::from((found.value - truth).abs() <= 2.0 * found.standard_error);
                }
            }
            for (name, hits) in ["value at risk", "expected shortfall"].into_iter().zip(hits) {
                let coverage = f64::from(hits) / f64::from(REPLICATIONS);
                println!("coverage of the difference, {} at {level}: {name} {coverage:.3}", law.name);
                assert!((0.92..=0.985).contains(&coverage), "{} {level}, {name}: {coverage}", law.name);
            }
        }
    }
}

#[test]
fn errors_fall_as_the_root_of_the_sample() {
    let mut rng = SplitMix(4);
    let [small, large] = [10_000, 1_000_000].map(|n| tail_estimates(&LAWS[0], &mut rng, n, &[0.95])[0]);
    for (small, large) in [(small.0, large.0), (small.1, large.1)] {
        let ratio = small.standard_error / large.standard_error;
        // 100 times the sample: 10 times smaller; the interval of VaR itself varies by some per cent at n = 1e4.
        assert!((8.5..11.8).contains(&ratio), "{ratio}");
    }
}

/// Value at risk and expected shortfall by their definitions, from all losses in order.
fn by_definition(losses: &[f64], level: f64) -> (f64, f64) {
    let mut losses = losses.to_vec();
    losses.sort_by(f64::total_cmp);
    let position = losses.len() as f64 * level;
    let rank = ((position - 1e-6).ceil() as usize).max(1);
    let beyond: f64 = losses[rank..].iter().sum();
    let shortfall = (beyond + (rank as f64 - position) * losses[rank - 1]) / (losses.len() as f64 - position);
    (losses[rank - 1], shortfall)
}

proptest! {
    /// Ties, few losses, a buffer that is cut back many times: the same as sorting everything.
    #[test]
    fn tails_equal_their_definitions(
        losses in prop_oneof![vec((-9..9_i32).prop_map(f64::from), 1..3_000), vec(-1e3..1e3_f64, 1..3_000)],
        lowest in 0.51..0.99_f64,
        above in 0.0..1.0_f64,
    ) {
        let mut tail = WorstTail::new(losses.len() as u64, lowest);
        losses.iter().for_each(|&loss| tail.push(loss));
        let tail = tail.into_sorted();
        for level in [lowest, lowest + above * (0.999 - lowest)] {
            let (value, shortfall) = by_definition(&losses, level);
            let found = tail.value_at_risk(level).unwrap();
            prop_assert_eq!(found.value, value);
            prop_assert!(found.ci_low <= value && value <= found.ci_high);
            let found = tail.expected_shortfall(level).unwrap();
            prop_assert!((found.value - shortfall).abs() <= 1e-9 * (1.0 + shortfall.abs()), "{:?} {}", found, shortfall);
            prop_assert!(found.value >= value - 1e-12 * value.abs() && found.standard_error >= 0.0);
        }
    }
}
