//! Estimators of what is outside the pools, on simulated data with known truth.
//!
//! Each is repeated on histories of the length of the real one; `TAORISK_OUTSIDE_REPLICATIONS` asks for more of them and for
//! the table of `src/calibration/OUTSIDE.md`.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_distr::Distribution;
use rand_distr::Exp1;
use rand_distr::Poisson;
use rand_distr::StandardNormal;
use taorisk::calibration::entrants;
use taorisk::calibration::entrants::StartDelay;
use taorisk::calibration::history::Registration;
use taorisk::calibration::likelihood;
use taorisk::calibration::likelihood::Found;
use taorisk::calibration::registration;
use taorisk::calibration::registration::RegistrationRecord;
use taorisk::calibration::tao_usd;
use taorisk::calibration::tao_usd::DayReturn;
use taorisk::model::params::EntrantParams;
use taorisk::model::params::RegistrationParams;
use taorisk::model::params::TaoUsdParams;
use taorisk::protocol::registration::lock_cost;
use taorisk::protocol::upgrades;
use taorisk::rng::Address;
use taorisk::rng::AddressedRng;
use taorisk::rng::Purpose;
use taorisk::units::NetUid;
use taorisk::units::SubnetId;

/// Repetitions: so many in every run of the tests, or as asked.
fn replications(of_tests: u32) -> u32 {
    let asked = std::env::var("TAORISK_OUTSIDE_REPLICATIONS");
    asked.map_or(of_tests, |text| text.parse().expect("a number of replications"))
}

fn generator(seed: u64, replication: u32) -> AddressedRng {
    let purpose = Purpose::GlobalNormals;
    AddressedRng::new(seed, Address { path: replication, step: 0, slot: 0, purpose, index: 0 })
}

/// Distances of estimates from the truth in standard errors, by key.
#[derive(Default)]
struct Scores(BTreeMap<String, Vec<f64>>);

impl Scores {
    fn add(&mut self, found: &Found, truth: &[(&str, f64)]) {
        for (key, truth) in truth {
            let place = found.law.parameters.iter().position(|parameter| parameter.key == *key).expect(key);
            let (scale, error) = (found.law.parameters[place].scale, found.law.parameters[place].standard_error);
            let distance = likelihood::coordinate(scale, found.values[place]) - likelihood::coordinate(scale, *truth);
            self.0.entry((*key).to_owned()).or_default().push(distance / error);
        }
    }

    fn within(&self, bound: f64) -> f64 {
        let all: Vec<f64> = self.0.values().flatten().copied().collect();
        all.iter().filter(|z| z.abs() <= bound).count() as f64 / all.len() as f64
    }

    /// Prints coverage, bias and spread; holds the recovery that is asked of every estimator.
    fn check(&self) {
        for (key, scores) in &self.0 {
            let n = scores.len() as f64;
            let mean = scores.iter().sum::<f64>() / n;
            let sd = (scores.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / n).sqrt();
            let part = |bound: f64| 100.0 * scores.iter().filter(|z| z.abs() <= bound).count() as f64 / n;
            let (half, most, all) = (part(0.6745), part(1.645), part(1.96));
            println!("| `{key}` | {n} | {half:.0} | {most:.0} | {all:.0} | {mean:.2} | {sd:.2} |");
        }
        assert!(self.within(2.0) >= 0.9, "{} within 2", self.within(2.0));
        assert!(self.within(3.0) >= 0.99, "{} within 3", self.within(3.0));
    }
}

#[test]
fn tao_usd_is_recovered() {
    let prior = TaoUsdParams {
        drift_per_day: 0.0,
        volatility_per_sqrt_day: 0.05,
        jump_rate_per_day: 0.25,
        jump_mean: 0.0,
        jump_sd: 0.1,
        correlation_with_flow: 0.0,
    };
    let truth = [
        ("tao_usd.volatility_per_sqrt_day", 0.0358),
        ("tao_usd.jump_rate_per_day", 0.379),
        ("tao_usd.jump_mean", 0.009),
        ("tao_usd.jump_sd", 0.0668),
    ];
    let [volatility, rate, jump_mean, jump_sd] = truth.map(|(_, value)| value);
    let mut scores = Scores::default();
    for replication in 0..replications(16) {
        let mut random = generator(1, replication);
        let normal = |random: &mut AddressedRng| -> f64 { StandardNormal.sample(random) };
        let returns: Vec<DayReturn> = (0..323)
            .map(|day| {
                let jumps: f64 = Poisson::new(rate).unwrap().sample(&mut random);
                let spread = jumps.sqrt() * jump_sd * normal(&mut random);
                let log_return = -0.005 + volatility * normal(&mut random) + jumps * jump_mean + spread;
                DayReturn { day, log_return }
            })
            .collect();
        let law = tao_usd::fit_tao_usd(&returns, &prior).expect("enough returns");
        scores.add(&law.found, &truth);
    }
    scores.check();
}

/// First registration of a simulated market: after all changes of rules. The real record has two of the interval in which the cost
/// falls; when they acted only the costs that were paid tell, which a simulation under the dates of the table would not.
const FIRST_BLOCK: u64 = 9_000_000;

/// Registrations of a simulated market for slots.
fn simulated_registrations(params: &RegistrationParams, days: u64, random: &mut AddressedRng) -> Vec<Registration> {
    const BLOCKS: u64 = 60;
    let first = FIRST_BLOCK;
    let came = |block: u64, cost: f64| Registration {
        subnet: SubnetId { netuid: NetUid(1), registered_at: block },
        lock_cost_tao: Some(cost),
        replaced_registered_at: None,
    };
    let normal = |random: &mut AddressedRng| -> f64 { StandardNormal.sample(random) };
    let mut log_willingness = params.willingness_sd_log * normal(random);
    let kept = (-std::f64::consts::LN_2 / params.willingness_half_life_days).exp();
    let mut registrations = vec![came(first, 650.0)];
    let mut clock: f64 = Exp1.sample(random);
    for step in 1..=days * 7_200 / BLOCKS {
        let block = first + step * BLOCKS;
        let (rules, emission_tao) = (upgrades::params_at_block(block), upgrades::block_emission_tao(block));
        let last = registrations.last().expect("the first");
        let (last_block, last_tao) = (last.subnet.registered_at, last.lock_cost_tao.expect("known"));
        let cost = lock_cost(&rules, last_tao, last_block, block, emission_tao);
        // A step that ends with the limit lies within it.
        if block - last_block > rules.registration_rate_limit_blocks {
            let ratio = params.willingness_median_tao * log_willingness.exp() / cost;
            clock -= params.hazard_per_day * ratio.powf(params.elasticity) * BLOCKS as f64 / 7_200.0;
        }
        if clock <= 0.0 {
            registrations.push(came(block, cost));
            clock = Exp1.sample(random);
        }
        if step.is_multiple_of(7_200 / BLOCKS) {
            let innovation = params.willingness_sd_log * (1.0 - kept * kept).sqrt();
            log_willingness = kept * log_willingness + innovation * normal(random);
        }
    }
    registrations
}

#[test]
fn registrations_are_recovered() {
    let truth = RegistrationParams {
        hazard_per_day: 0.25,
        elasticity: 6.7,
        willingness_median_tao: 517.0,
        willingness_sd_log: 0.405,
        willingness_half_life_days: 40.0,
        willingness_start_tao: 517.0,
    };
    let prior = RegistrationParams {
        elasticity: 5.0,
        willingness_median_tao: 400.0,
        willingness_sd_log: 0.5,
        willingness_half_life_days: 60.0,
        ..truth
    };
    let mut scores = Scores::default();
    for replication in 0..replications(6) {
        let registrations = simulated_registrations(&truth, 340, &mut generator(2, replication));
        let until = FIRST_BLOCK + 340 * 7_200;
        let record = RegistrationRecord::new(&registrations, until).expect("enough registrations");
        let law = registration::fit_registrations(&record, &prior).expect("a maximum");
        scores.add(
            &law.found,
            &[
                ("registration.elasticity", truth.elasticity),
                ("registration.willingness_median_tao", truth.willingness_median_tao),
                ("registration.willingness_sd_log", truth.willingness_sd_log),
                ("registration.willingness_half_life_days", truth.willingness_half_life_days),
            ],
        );
    }
    scores.check();
}

#[test]
fn entrants_are_recovered() {
    let (never, mean_days) = (0.2, 7.0);
    let prior = EntrantParams {
        never_start_probability: 0.4,
        never_start_probability_incumbent: 0.6,
        start_delay_mean_days: 12.0,
        enable_delay_mean_days: 60.0,
        burn_all_probability: 0.3,
    };
    let mut scores = Scores::default();
    for replication in 0..replications(60) {
        let mut random = generator(3, replication);
        // Seen once a day; half of them under a start delay of a week, a third for 20 days only.
        let delay = |index: usize, random: &mut AddressedRng| {
            let allowed_from = if index.is_multiple_of(2) { 7.0 } else { 0.0 };
            let wanted: f64 = mean_days * <Exp1 as Distribution<f64>>::sample(&Exp1, random);
            let starts = if random.random::<f64>() < never { f64::MAX } else { wanted.max(allowed_from) };
            let end = if index.is_multiple_of(3) { 20.0 } else { 200.0 };
            let until = Some(starts.floor() + 0.5).filter(|_| starts < end);
            let until = until.map(|until| if until < starts { until + 1.0 } else { until });
            StartDelay {
                after: until.map_or(end, |until| (until - 1.0).max(0.0)),
                until,
                allowed_from,
                earns_at_once: true,
            }
        };
        let delays: Vec<StartDelay> = (0..40).map(|index| delay(index, &mut random)).collect();
        let found = entrants::fit_entrants(&delays, &prior).expect("a maximum");
        let truth = [("entrants.never_start_probability", never), ("entrants.start_delay_mean_days", mean_days)];
        scores.add(&found, &truth);
    }
    scores.check();
}
