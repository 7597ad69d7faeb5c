//! The estimator of the flow law: what it makes of simulated histories whose law is known, of the observed one, and of bad ones.
//!
//! Histories have the days, pools and ages of the observed one (`tests/reference/daily_flows.csv.gz`: 37,725 rows of 159 subnets over
//! 313 days). `TAORISK_CALIBRATION_REPLICATIONS` is the number of histories in the test of coverage; 200 are the figures of
//! `src/calibration/CALIBRATION.md`.

use std::io::Read;

use flate2::read::GzDecoder;
use taorisk::calibration::flow_law::FitError;
use taorisk::calibration::flow_law::FitOptions;
use taorisk::calibration::flow_law::FlowLaw;
use taorisk::calibration::flow_law::ROWS_MIN;
use taorisk::calibration::flow_law::fit_flow;
use taorisk::calibration::panel::FlowPanel;
use taorisk::calibration::panel::FlowRow;
use taorisk::calibration::simulate::simulate_flows;
use taorisk::model::params::FlowParams;
use taorisk::model::params::JumpParams;
use taorisk::model::params::VolatilityPart;
use taorisk::model::uncertainty::Scale;
use taorisk::units::NetUid;
use taorisk::units::SubnetId;

const REAL_ROWS: &[u8] = include_bytes!("reference/daily_flows.csv.gz");

/// The total net flows of the observed panel.
fn observed() -> FlowPanel {
    let mut text = String::new();
    GzDecoder::new(REAL_ROWS).read_to_string(&mut text).expect("text");
    let mut panel = FlowPanel::default();
    let mut last_block = 0.0;
    for line in text.lines().skip(1) {
        let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().expect("a number")).collect();
        let [netuid, registered, block, day, reserve_tao, flow_tao, ..] = cells[..] else { panic!("cells: {line}") };
        let subnet = SubnetId { netuid: NetUid(netuid as u16), registered_at: registered as u64 };
        if panel.subnets.last() != Some(&subnet) {
            panel.subnets.push(subnet);
            last_block = block - 7_200.0;
        }
        let days = (block - last_block) / 7_200.0;
        last_block = block;
        let days = if (0.7..=1.3).contains(&days) { days } else { 1.0 };
        panel.rows.push(FlowRow {
            subnet: panel.subnets.len() as u32 - 1,
            day: day as u32,
            days,
            reserve_tao,
            age_days: (block - registered) / 7_200.0 - days,
            flow: (flow_tao / reserve_tao).ln_1p(),
            known: 0.0,
        });
    }
    panel
}

/// The defaults of `configs/base.toml`.
fn defaults() -> FlowParams {
    let part = |sd_log, half_life_days| VolatilityPart { sd_log, half_life_days };
    FlowParams {
        scale_median: 0.0178,
        scale_sd_log: 0.15,
        size_exponent: 0.114,
        age_exponent: 0.245,
        age_floor_days: 7.0,
        reserve_floor_tao: 50.0,
        drift_per_day: -0.0012,
        volatility: [part(0.56, 2.75), part(0.69, 44.0)],
        volatility_cap: 8.0,
        jumps: JumpParams { rate_per_day: 0.098, up_probability: 0.52, up_mean: 2.6, down_mean: 1.12 },
        common_jump: JumpParams { rate_per_day: 0.0032, up_probability: 0.25, up_mean: 1.0, down_mean: 1.7 },
        loading_mean: 0.33,
        loading_sd: 0.11,
        flow_cap: 1.5,
    }
}

/// A law away from the defaults, at which the estimator starts.
fn truth() -> FlowParams {
    let part = |sd_log, half_life_days| VolatilityPart { sd_log, half_life_days };
    FlowParams {
        scale_median: 0.022,
        scale_sd_log: 0.22,
        size_exponent: 0.2,
        age_exponent: 0.15,
        drift_per_day: 0.001,
        volatility: [part(0.45, 2.0), part(0.6, 30.0)],
        jumps: JumpParams { rate_per_day: 0.15, up_probability: 0.6, up_mean: 2.2, down_mean: 1.6 },
        common_jump: JumpParams { rate_per_day: 0.006, up_probability: 0.3, up_mean: 1.3, down_mean: 2.2 },
        loading_mean: 0.4,
        loading_sd: 0.15,
        ..defaults()
    }
}

/// Parameter by its key.
fn value(params: &FlowParams, key: &str) -> f64 {
    let [fast, slow] = params.volatility;
    let jump = |jump: &JumpParams, key: &str| match key {
        "rate_per_day" => jump.rate_per_day,
        "up_probability" => jump.up_probability,
        "up_mean" => jump.up_mean,
        "down_mean" => jump.down_mean,
        _ => panic!("{key}"),
    };
    match key.strip_prefix("flow.").expect(key) {
        "scale_median" => params.scale_median,
        "scale_sd_log" => params.scale_sd_log,
        "size_exponent" => params.size_exponent,
        "age_exponent" => params.age_exponent,
        "drift_per_day" => params.drift_per_day,
        "loading_mean" => params.loading_mean,
        "loading_sd" => params.loading_sd,
        "volatility_fast.sd_log" => fast.sd_log,
        "volatility_fast.half_life_days" => fast.half_life_days,
        "volatility_slow.sd_log" => slow.sd_log,
        "volatility_slow.half_life_days" => slow.half_life_days,
        key => match key.strip_prefix("jumps.") {
            Some(key) => jump(&params.jumps, key),
            None => jump(&params.common_jump, key.strip_prefix("common_jump.").expect(key)),
        },
    }
}

fn coordinate(value: f64, scale: Scale) -> f64 {
    match scale {
        Scale::Linear => value,
        Scale::Log => value.ln(),
        Scale::Logit => (value / (1.0 - value)).ln(),
    }
}

/// Of each parameter: key, distance from the truth in standard errors.
fn distances(found: &FlowLaw, truth: &FlowParams) -> Vec<(String, f64)> {
    let of = |parameter: &taorisk::model::uncertainty::UncertainParameter| {
        let at = |params| coordinate(value(params, &parameter.key), parameter.scale);
        (parameter.key.clone(), (at(&found.params) - at(truth)) / parameter.standard_error)
    };
    found.law.parameters.iter().map(of).collect()
}

fn simulated(truth: &FlowParams, seed: u64, replication: u32) -> FlowPanel {
    let mut panel = observed();
    let flows = simulate_flows(&panel, truth, seed, replication);
    panel.rows.iter_mut().zip(flows).for_each(|(row, flow)| row.flow = flow);
    panel
}

fn print(found: &FlowLaw, other: &FlowParams) {
    for (parameter, (_, distance)) in found.law.parameters.iter().zip(distances(found, other)) {
        let key = &parameter.key;
        let (value, given) = (value(&found.params, key), value(other, key));
        println!("{key:40} {value:10.4} +- {:8.4} ({given:8.4}: {distance:6.2})", parameter.standard_error);
    }
}

#[test]
fn a_known_law_is_recovered() {
    let truth = truth();
    let options = FitOptions { simulations: 60, ..FitOptions::default() };
    let found = fit_flow(&simulated(&truth, 77, 0), &defaults(), &options).expect("a fit");
    print(&found, &truth);
    let distances = distances(&found, &truth);
    assert_eq!(distances.len(), 19);
    for (key, distance) in &distances {
        assert!(distance.abs() < 3.0, "{key}: {distance} standard errors from the truth");
    }
    let near = distances.iter().filter(|(_, distance)| distance.abs() < 2.0).count();
    assert!(10 * near >= 9 * distances.len(), "{near} of {} within 2 standard errors", distances.len());
}

#[test]
fn intervals_cover_the_truth_as_often_as_they_say() {
    let replications =
        std::env::var("TAORISK_CALIBRATION_REPLICATIONS").map_or(4, |text| text.parse().expect("a number"));
    let truth = truth();
    let options = FitOptions { simulations: 60, ..FitOptions::default() };
    let mut all: Vec<Vec<f64>> = Vec::new();
    let mut keys = Vec::new();
    for replication in 0..replications {
        let found = fit_flow(&simulated(&truth, 1_234, replication), &defaults(), &options).expect("a fit");
        let of_replication = distances(&found, &truth);
        keys = of_replication.iter().map(|(key, _)| key.clone()).collect();
        all.push(of_replication.into_iter().map(|(_, distance)| distance).collect());
    }
    let n = f64::from(replications);
    let mut within = 0.0;
    for (i, key) in keys.iter().enumerate() {
        let of_key: Vec<f64> = all.iter().map(|distances| distances[i]).collect();
        let share = |limit: f64| of_key.iter().filter(|distance| distance.abs() < limit).count() as f64 / n;
        let mean = of_key.iter().sum::<f64>() / n;
        let sd = (of_key.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        println!("| {key} | {mean:.2} | {sd:.2} | {:.3} | {:.3} |", share(0.674), share(1.96));
        within += share(1.96) / keys.len() as f64;
    }
    println!("all: {within:.3}");
    assert!(within > 0.85, "{within} of all intervals of 95 % hold the truth");
}

#[test]
fn the_observed_flows_give_the_defaults_within_errors() {
    let found = fit_flow(&observed(), &defaults(), &FitOptions::default()).expect("a fit");
    print(&found, &defaults());
    println!("{:#?}", found.diagnostics);
}

#[test]
fn too_little_is_refused() {
    let mut panel = observed();
    panel.rows.truncate(ROWS_MIN - 1);
    assert_eq!(fit_flow(&panel, &defaults(), &FitOptions::default()), Err(FitError::TooFewRows { rows: ROWS_MIN - 1 }));
}
