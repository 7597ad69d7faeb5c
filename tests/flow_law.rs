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
        sector_loading: 0.0,
        flow_cap: 1.5,
        stake_floor: 0.0,
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
fn known_laws_are_recovered_within_their_errors() {
    let replications =
        std::env::var("TAORISK_CALIBRATION_REPLICATIONS").map_or(3, |text| text.parse().expect("a number"));
    let truth = truth();
    let mut all: Vec<Vec<(String, f64)>> = Vec::new();
    for replication in 0..replications {
        let found = fit_flow(&simulated(&truth, 1_234, replication), &defaults(), &quick()).expect("a fit");
        all.push(distances(&found, &truth));
    }
    let share = |distances: &[f64], limit: f64| {
        distances.iter().filter(|distance| distance.abs() < limit).count() as f64 / distances.len() as f64
    };
    println!("| parameter | mean | sd | within 50 % | within 95 % |\n|---|---|---|---|---|");
    for i in 0..all[0].len() {
        let of_key: Vec<f64> = all.iter().map(|distances| distances[i].1).collect();
        let n = of_key.len() as f64;
        let mean = of_key.iter().sum::<f64>() / n;
        let sd = (of_key.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        let key = &all[0][i].0;
        println!("| {key} | {mean:.2} | {sd:.2} | {:.2} | {:.3} |", share(&of_key, 0.674), share(&of_key, 1.96));
        // 1 of 370 lies beyond 3 errors.
        assert!(share(&of_key, 3.0) >= if n > 50.0 { 0.96 } else { 1.0 }, "{key}: {of_key:?}");
    }
    let pooled: Vec<f64> = all.iter().flatten().map(|(_, distance)| *distance).collect();
    assert_eq!(pooled.len(), 19 * replications as usize);
    println!("within 1.96 of all: {:.3}; within 2: {:.3}", share(&pooled, 1.96), share(&pooled, 2.0));
    assert!(share(&pooled, 2.0) >= 0.9, "{pooled:?}");
    // Errors that are far too wide would hold the truth as well.
    assert!(share(&pooled, 1.0) < 0.95, "{pooled:?}");
}

#[test]
fn the_observed_flows_give_the_defaults_within_errors() {
    let found = fit_flow(&observed(), &defaults(), &FitOptions::default()).expect("a fit");
    print(&found, &defaults());
    for (key, distance) in distances(&found, &defaults()) {
        // Both are estimates, by other methods from the same days.
        let errors = error_of(&found, &key).hypot(default_error(&key)) / error_of(&found, &key);
        // The default drift is that of organic flow under today's rules, not of total flow over all of the panel.
        assert!(
            distance.abs() < 3.0 * errors || key == "flow.drift_per_day",
            "{key}: {distance} standard errors from the default, whose own are {errors} of one"
        );
    }
    let diagnostics = &found.diagnostics;
    println!("{diagnostics:?}");
    assert_eq!((diagnostics.rows, diagnostics.days, diagnostics.subnets), (37_725, 313, 159));
    // 2026-04-10, the day on which all subnets fell.
    assert_eq!(diagnostics.common_jump_days, [283]);
    // Scales fall with size and age in the data and in the fit.
    for figures in [&diagnostics.scale_by_size, &diagnostics.scale_by_age] {
        let (first, last) = (figures[0], figures[figures.len() - 1]);
        assert!(first.at < last.at && first.data > last.data && first.fitted > last.fitted, "{first:?} and {last:?}");
    }
}

/// A panel of the first `subnets` subnets of the observed one, with simulated flows.
fn small(subnets: u32) -> FlowPanel {
    let mut panel = simulated(&truth(), 5, 0);
    panel.rows.retain(|row| row.subnet < subnets);
    panel
}

/// Standard error of a default (`configs/base.toml`) on the scale of its parameter; 0 where it is assumed.
fn default_error(key: &str) -> f64 {
    match key {
        "flow.scale_median" => 0.0008 / 0.0178,
        "flow.volatility_fast.sd_log" => 0.044 / 0.56,
        "flow.volatility_fast.half_life_days" => 0.62 / 2.75,
        "flow.volatility_slow.sd_log" => 0.041 / 0.69,
        "flow.volatility_slow.half_life_days" => 12.0 / 44.0,
        "flow.jumps.rate_per_day" => 0.011 / 0.098,
        "flow.jumps.up_probability" => 0.026 / (0.52 * 0.48),
        "flow.jumps.up_mean" => 0.25 / 2.6,
        "flow.jumps.down_mean" => 0.2 / 1.12,
        "flow.size_exponent" => 0.035,
        "flow.age_exponent" => 0.059,
        "flow.loading_mean" => 0.02 / (0.33 * 0.67),
        _ => 0.0,
    }
}

fn quick() -> FitOptions {
    FitOptions { simulations: 40, ..FitOptions::default() }
}

fn error_of(found: &FlowLaw, key: &str) -> f64 {
    let of_key = |parameter: &&taorisk::model::uncertainty::UncertainParameter| parameter.key == key;
    found.law.parameters.iter().find(of_key).expect(key).standard_error
}

#[test]
fn gaps_do_no_harm() {
    let truth = truth();
    let mut panel = simulated(&truth, 9, 0);
    let mut row = 0_u32;
    panel.rows.retain(|at| {
        row += 1;
        // Every third row, and a month of everyone.
        !row.is_multiple_of(3) && !(100..130).contains(&at.day)
    });
    let found = fit_flow(&panel, &defaults(), &quick()).expect("a fit");
    for (key, distance) in distances(&found, &truth) {
        assert!(distance.abs() < 3.5, "{key}: {distance} standard errors from the truth");
    }
}

#[test]
fn one_subnet_says_little_and_nothing_of_others() {
    let found = fit_flow(&small(1), &defaults(), &quick()).expect("a fit");
    print(&found, &truth());
    assert_eq!(found.subnets.len(), 1);
    assert_eq!(found.params.common_jump, defaults().common_jump);
    // No one to compare with: the prior, with its error.
    assert!((found.params.loading_mean - defaults().loading_mean).abs() < 1e-12);
    assert_eq!(error_of(&found, "flow.loading_mean"), 0.7);
    assert!((found.params.loading_sd - defaults().loading_sd).abs() < 1e-9);
    for key in ["flow.scale_sd_log", "flow.volatility_slow.half_life_days", "flow.loading_sd"] {
        let error = error_of(&found, key);
        assert!((0.4..1.2).contains(&error), "{key}: {error}");
    }
    for (key, distance) in distances(&found, &truth()) {
        assert!(distance.abs() < 3.5, "{key}: {distance} standard errors from the truth");
    }
}

#[test]
fn a_young_subnet_is_taken_for_a_common_one() {
    let mut panel = small(60);
    let first = panel.rows[0];
    panel.rows.retain(|row| row.subnet != 0 || row.day < first.day + 5);
    let found = fit_flow(&panel, &defaults(), &quick()).expect("a fit");
    let (young, spread) = (found.subnets[0], found.params.scale_sd_log);
    assert_eq!(young.rows, 5);
    assert!((young.scale / found.params.scale_median).ln().abs() < 0.5 * spread, "{young:?}");
    assert!(young.scale_log_error > 0.9 * spread && young.loading_error > 0.9 * found.params.loading_sd, "{young:?}");
    // An old one is known better.
    let old = found.subnets.iter().max_by_key(|subnet| subnet.rows).expect("subnets");
    assert!(old.loading_error < 0.8 * young.loading_error && old.scale_log_error < young.scale_log_error, "{old:?}");
}

#[test]
fn results_do_not_depend_on_threads() {
    let panel = small(45);
    let with = |threads| fit_flow(&panel, &defaults(), &FitOptions { threads, ..quick() });
    assert_eq!(with(1), with(3));
}

#[test]
fn what_is_wrong_is_said() {
    let fit = |panel: &FlowPanel| fit_flow(panel, &defaults(), &quick()).map(|_| ());
    let panel = small(2);
    let with = |change: &dyn Fn(&mut FlowPanel)| {
        let mut changed = panel.clone();
        change(&mut changed);
        fit(&changed)
    };
    let rows = panel.rows.len();
    assert_eq!(with(&|panel| panel.rows.truncate(ROWS_MIN - 1)), Err(FitError::TooFewRows { rows: ROWS_MIN - 1 }));
    assert_eq!(with(&|panel| panel.rows.clear()), Err(FitError::TooFewRows { rows: 0 }));
    let silence = with(&|panel| panel.rows.iter_mut().for_each(|row| row.flow = 0.0));
    assert_eq!(silence, Err(FitError::NoFlow { zeros: rows, rows }));
    assert_eq!(with(&|panel| panel.rows.swap(3, 4)), Err(FitError::Unsorted { row: 4 }));
    assert_eq!(with(&|panel| panel.rows[8] = panel.rows[7]), Err(FitError::Unsorted { row: 8 }));
    let is_bad =
        |found, row, name| matches!(found, Err(FitError::BadRow { row: r, name: n, .. }) if (r, n) == (row, name));
    assert!(is_bad(with(&|panel| panel.rows[6].flow = f64::NAN), 6, "flow"));
    assert!(is_bad(with(&|panel| panel.rows[6].reserve_tao = 0.0), 6, "reserve_tao"));
    assert!(is_bad(with(&|panel| panel.rows[6].age_days = f64::NAN), 6, "age_days"));
    assert!(is_bad(with(&|panel| panel.rows[6].days = -1.0), 6, "days"));
    assert!(is_bad(with(&|panel| panel.subnets.clear()), 0, "subnet"));
    let few = FitOptions { simulations: 5, ..quick() };
    assert_eq!(fit_flow(&panel, &defaults(), &few).map(|_| ()), Err(FitError::TooFewSimulations { simulations: 5 }));
    let still = FlowParams { loading_sd: 0.0, ..defaults() };
    let refused = fit_flow(&panel, &still, &quick()).expect_err("no logarithm");
    assert_eq!(
        refused.to_string(),
        "the flow parameters to start from have loading_sd = 0 (must be positive and finite): the fit moves its logarithm"
    );
}
