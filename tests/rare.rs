//! Rare deregistrations by splitting: known answers, plain paths, the same bits on any machine, the command line.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::AtomicBool;

use assert_cmd::Command;
use serde_json::Value;
use taorisk::cli::run::plan_of;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::drivers::Driver;
use taorisk::engine::drivers::Drivers;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::recorder::Recorder;
use taorisk::engine::recorder::StepView;
use taorisk::engine::run;
use taorisk::engine::run::RunOptions;
use taorisk::protocol::slots::SlotValues;
use taorisk::risk::rare::Effort;
use taorisk::risk::rare::RareEvent;
use taorisk::risk::rare::Splitting;
use taorisk::risk::standing::Standing;
use taorisk::simd::Backend;
use taorisk::units::NetUid;
use tempfile::TempDir;

fn scenario(text: &str) -> Scenario {
    Scenario::from_text("my.toml", text, Path::new(""), &Overrides::default()).expect("a valid scenario")
}

fn effort(particles: u32, replications: u32) -> Effort {
    Effort { particles, replications, threads: 2, backend: Backend::detect() }
}

fn split(plan: &Plan, netuid: u16, effort: Effort) -> RareEvent {
    let stop = AtomicBool::new(false);
    let splitting = Splitting::new(plan, NetUid(netuid).slot(), effort, &stop);
    let levels = splitting.find_levels().expect("levels");
    splitting.estimate(&levels, || {}).expect("an estimate")
}

fn plain(plan: &Plan, netuid: u16, effort: Effort) -> RareEvent {
    let stop = AtomicBool::new(false);
    let splitting = Splitting::new(plan, NetUid(netuid).slot(), effort, &stop);
    splitting.estimate(&splitting.plain(), || {}).expect("an estimate")
}

/// Paths of a batch on which a slot has another subnet in the end than in the beginning.
struct Lost {
    slot: usize,
    first: Vec<Option<u64>>,
    is_lost: Vec<bool>,
}

impl Recorder for Lost {
    type Batch = u32;

    fn open(&mut self, index: usize, view: &StepView<'_>, _held: &mut SlotValues) {
        self.first.resize(index + 1, None);
        self.is_lost.resize(index + 1, false);
        self.first[index] = view.path.occupants[self.slot].map(|occupant| occupant.registered_at);
    }

    fn step(&mut self, index: usize, view: &StepView<'_>, _held: &mut SlotValues) {
        let now = view.path.occupants[self.slot].map(|occupant| occupant.registered_at);
        self.is_lost[index] = now != self.first[index];
    }

    fn close(&mut self, _first_path: u64, count: usize) -> u32 {
        self.is_lost[..count].iter().map(|lost| u32::from(*lost)).sum()
    }
}

fn lost_paths(plan: &Plan, netuid: u16, paths: u64) -> u32 {
    let options = RunOptions { first_path: 0, paths, batch_paths: 16, threads: 2, backend: Backend::detect() };
    let recorder = || Lost { slot: NetUid(netuid).slot(), first: Vec::new(), is_lost: Vec::new() };
    let mut lost = 0;
    let consume = |batch| {
        lost += batch;
        ControlFlow::Continue(())
    };
    run::run(plan, &options, recorder, consume, &AtomicBool::new(false)).expect("a run");
    lost
}

/// Prices stand still, and every step brings a registration with chance `q`, whatever it costs: the subnet that is k-th from below
/// is deregistered where a binomial variable reaches k.
#[test]
fn registrations_alone_have_a_known_law() {
    let base = scenario("[run]\nhorizon_days = 4\nblocks_per_step = 1200\n");
    let (q, steps, rank) = (0.04_f64, 24, 8);
    let mut input = plan_of(&base).input;
    input.protocol.registration_rate_limit_blocks = 0;
    input.model.registration.elasticity = 0.0;
    input.model.registration.hazard_per_day = -(1.0 - q).ln() * 7200.0 / 1200.0;
    let still = [Driver::CommonFactor, Driver::OwnFlow, Driver::Jumps, Driver::Emission];
    let drivers = still.into_iter().fold(Drivers::ALL, |drivers, driver| drivers.without(driver));
    let plan = Plan::new(PlanInput { drivers, ..input });
    let (protocol, start) = (&plan.input.protocol, &plan.input.start);
    let standings = start.subnets.iter().map(|subnet| (subnet, Standing::of(protocol, start, subnet.netuid).unwrap()));
    let (target, _) = standings.clone().find(|(_, s)| s.prune_rank == rank && s.grace_days == 0.0).expect("a subnet");
    // Nobody who is lower comes out of grace on the way.
    assert!(standings.clone().all(|(s, standing)| {
        s.moving_price > target.moving_price || standing.grace_days == 0.0 || standing.grace_days > 4.0
    }));
    let binomial = |n: u32| {
        let ways = (0..n).map(|i| f64::from(steps - i) / f64::from(n - i)).product::<f64>();
        ways * q.powi(n as i32) * (1.0 - q).powi((steps - n) as i32)
    };
    let truth: f64 = (rank..=steps).map(binomial).sum();
    assert!((1e-6..4e-6).contains(&truth), "{truth}");
    let found = split(&plan, target.netuid.0, effort(200, 32));
    let probability = found.probability;
    assert!(!found.is_bound && found.levels.len() > 3, "{found:?}");
    assert!((probability.value - truth).abs() < 3.0 * probability.standard_error, "{truth} {found:?}");
    assert!(probability.standard_error < 0.4 * truth && found.gain() > 50.0, "{truth} {found:?}");
}

/// A subnet that is deregistered on some 3 % of paths; plain paths have another seed.
#[test]
fn agrees_with_plain_paths() {
    let base = scenario("[run]\nhorizon_days = 30\n");
    let plan = plan_of(&base);
    let found = split(&plan, 27, effort(200, 24));
    let other = Plan::new(PlanInput { seed: 2, ..plan.input });
    let paths = plain(&other, 27, effort(250, 24));
    let [probability, expected] = [&found, &paths].map(|event| event.probability);
    let error = probability.standard_error.hypot(expected.standard_error);
    assert!((probability.value - expected.value).abs() < 3.0 * error, "{found:?} {paths:?}");
    assert!(expected.value > 0.01 && expected.value < 0.06, "{paths:?}");
    assert!(found.levels.len() >= 2 && error < 0.2 * expected.value, "{found:?}");
}

/// With the deregistration as the only level particles are the paths of a plain run, in order.
#[test]
fn one_level_is_a_plain_run() {
    let base = scenario("[run]\nhorizon_days = 20\n");
    let plan = plan_of(&base);
    let paths = plain(&plan, 47, effort(50, 16));
    let lost = lost_paths(&plan, 47, 800);
    assert!(lost > 40, "{lost}");
    assert!((paths.probability.value - f64::from(lost) / 800.0).abs() < 1e-12, "{lost} {paths:?}");
    let product = |event: &RareEvent| event.levels.iter().map(|level| level.share.value).product::<f64>();
    assert!((product(&paths) - paths.probability.value).abs() < 1e-12, "{paths:?}");
    // Its work is that of the paths as far as they go, its gain therefore no less than one, by its own error.
    assert!(paths.steps <= 800 * 20 && (0.5..2.5).contains(&paths.gain()), "{paths:?}");
}

#[test]
fn the_same_for_any_threads_and_instructions() {
    let base = scenario("[run]\nhorizon_days = 10\n");
    let plan = plan_of(&base);
    let first = split(&plan, 127, effort(60, 16));
    assert!(first.levels.len() > 1 && first.probability.value > 0.0, "{first:?}");
    for (threads, backend) in [(1, Backend::detect()), (3, Backend::Portable), (40, Backend::detect())] {
        assert_eq!(split(&plan, 127, Effort { threads, backend, ..effort(60, 16) }), first, "{threads} {backend}");
    }
}

fn taorisk(directory: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    command.current_dir(directory.path()).arg("rare").args(arguments).arg("--quiet").output().expect("a run")
}

#[test]
fn the_command_prints_a_table_and_json() {
    let directory = TempDir::new().expect("a temporary directory");
    fs::write(directory.path().join("base.toml"), "[run]\nhorizon_days = 10\n").expect("a file");
    let arguments = ["base.toml", "--netuid", "47,127", "--particles", "50", "--replications", "16"];
    let output = taorisk(&directory, &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    for part in
        ["Deregistered within 10 days, by splitting", "SN47  wait", "SN127 Astrid", "Levels of SN47", "deregistered  "]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = taorisk(&directory, &[&arguments[..], &["--json", "--threads", "1"]].concat());
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let subnets = found["subnets"].as_array().expect("subnets");
    assert_eq!(subnets.iter().map(|subnet| subnet["netuid"].as_u64()).collect::<Vec<_>>(), [Some(47), Some(127)]);
    let number = |key: &str| subnets[1][key].as_f64().expect(key);
    assert!(number("probability") > 0.0 && number("ci_low") < number("probability"), "{found}");
    assert!((number("gain") - number("plain_subnet_steps") / number("subnet_steps")).abs() < 1e-9, "{found}");
}

#[test]
fn what_cannot_be_split_is_refused() {
    let directory = TempDir::new().expect("a temporary directory");
    fs::write(directory.path().join("drawn.toml"), "[run]\nparameter_uncertainty = true\n").expect("a file");
    for (arguments, message) in [
        (&["--netuid", "4", "--paths", "10"][..], "--paths: splitting has --particles and --replications instead"),
        (&["--netuid", "200"], "--netuid 200: the snapshot has no such subnet"),
        (&["--netuid", "82"], "--netuid 82: cannot be deregistered within 90 days, its immunity lasts 116.0 days"),
        (&["drawn.toml", "--netuid", "4"], "rare splits paths under one set of parameters"),
        (&["--netuid", "4", "--particles", "49"], "49 is not in 50..=100000"),
        (&[], "--netuid"),
    ] {
        let output = taorisk(&directory, arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(message), "{message}: {error}");
        assert_eq!(output.status.code(), Some(2), "{error}");
    }
}
