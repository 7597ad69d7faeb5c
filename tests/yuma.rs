//! Yuma epochs: what holds for every matrix, what collusion and copying gain, and the command from outside.

use std::fs;
use std::fs::File;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Float64Array;
use arrow::record_batch::RecordBatch;
use assert_cmd::Command;
use ndarray::Array2;
use ndarray::arr2;
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use serde_json::Value;
use taorisk::input::document::Document;
use taorisk::input::matrix::read_staked_weights;
use taorisk::protocol::yuma::BondsRule;
use taorisk::protocol::yuma::LiquidSmoothing;
use taorisk::protocol::yuma::YumaParams;
use taorisk::protocol::yuma::epoch::Neuron;
use taorisk::protocol::yuma::epoch::YumaInputs;
use taorisk::protocol::yuma::epoch::YumaOutcome;
use taorisk::protocol::yuma::epoch::YumaState;
use taorisk::protocol::yuma::epoch::run_epoch;
use taorisk::protocol::yuma::epoch::share_rao;
use taorisk::protocol::yuma::epoch::weights_in_force;
use tempfile::TempDir;

/// Proportions are truncated to this.
const STEP: f64 = 1.0 / 4_294_967_296.0;

const RULES: [BondsRule; 3] = [BondsRule::Yuma2, BondsRule::Yuma3, BondsRule::Yuma3Liquid(LiquidSmoothing::DEFAULT)];

fn neurons(stake: &[f64]) -> Vec<Neuron> {
    let neuron = |&stake: &f64| Neuron { stake, registered_at: 0, last_update: 10_000, committed_at: None };
    stake.iter().map(neuron).collect()
}

fn epoch(params: &YumaParams, stake: &[f64], weights: &Array2<f64>, state: &YumaState) -> YumaOutcome {
    let inputs = YumaInputs { block: 10_000, neurons: &neurons(stake), weights: weights.view(), owner: None };
    run_epoch(params, &inputs, state)
}

/// A subnet of any state.
#[derive(Clone, Debug)]
struct Subnet {
    stake: Vec<f64>,
    weights: Array2<f64>,
    state: YumaState,
    params: YumaParams,
}

impl Subnet {
    fn epoch(&self) -> YumaOutcome {
        epoch(&self.params, &self.stake, &self.weights, &self.state)
    }
}

/// Weights and bonds of which many are 0; all are integers, as on chain.
fn parts(size: usize) -> impl Strategy<Value = Array2<u16>> {
    let part = prop_oneof![Just(0), 1_u16..20, any::<u16>()];
    prop::collection::vec(part, size * size).prop_map(move |parts| Array2::from_shape_vec((size, size), parts).unwrap())
}

fn any_params() -> impl Strategy<Value = YumaParams> {
    let fraction = || prop_oneof![Just(0.0), Just(1.0), 0.0..1.0];
    (prop::sample::select(RULES.to_vec()), fraction(), fraction(), fraction(), 0_usize..10).prop_map(
        |(bonds_rule, kappa, bonds_penalty, bonds_moving_average, validator_limit)| YumaParams {
            kappa,
            bonds_rule,
            bonds_penalty,
            bonds_moving_average,
            validator_limit,
            ..YumaParams::DEFAULT
        },
    )
}

fn any_subnet() -> impl Strategy<Value = Subnet> {
    (1_usize..8).prop_flat_map(|size| {
        let stake = prop::collection::vec(prop_oneof![Just(0.0), 0.0..1e15], size);
        let permits = prop::collection::vec(any::<bool>(), size);
        (stake, parts(size), permits, parts(size), any_params()).prop_map(|(stake, weights, permits, bonds, params)| {
            let state = YumaState { permits, bonds, last_epoch_block: 0 };
            Subnet { stake, weights: weights.mapv(f64::from), state, params }
        })
    })
}

/// Whether shares sum to 1 but for their truncation, or to 0.
fn sums_to_one_or_zero(sum: f64, count: usize) -> bool {
    sum == 0.0 || (sum <= 1.0 && sum > 1.0 - STEP * (count + 1) as f64)
}

proptest! {
    #[test]
    fn shares_sum_to_one_or_zero(subnet in any_subnet()) {
        let outcome = subnet.epoch();
        let size = subnet.stake.len();
        for shares in [&outcome.incentive, &outcome.dividends, &outcome.stake, &outcome.active_stake] {
            prop_assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{shares}");
            prop_assert!(sums_to_one_or_zero(shares.sum(), size), "{shares} sum to {}", shares.sum());
        }
        prop_assert!(outcome.incentive.sum() > 0.0 || outcome.dividends.sum() == 0.0);
        let emission = 360_000_000_000;
        let shares = outcome.emission.server.iter().chain(&outcome.emission.validator);
        let paid: u64 = shares.map(|&share| share_rao(share, emission)).sum();
        prop_assert!(paid <= emission);
    }

    #[test]
    fn what_is_clipped_stays_below_consensus_and_bonds_need_a_permit(subnet in any_subnet()) {
        let outcome = subnet.epoch();
        for ((from, to), &weight) in outcome.clipped.indexed_iter() {
            prop_assert!((0.0..=outcome.consensus[to]).contains(&weight));
            prop_assert!(weight == 0.0 || (subnet.state.permits[from] && from != to && subnet.weights[[from, to]] > 0.0));
            prop_assert!(outcome.next.bonds[[from, to]] == 0 || outcome.next.permits[from]);
        }
        prop_assert!(outcome.validator_trust.iter().all(|trust| (0.0..=1.0).contains(trust)));
        prop_assert!(outcome.next.permits.iter().filter(|permit| **permit).count() <= subnet.params.validator_limit);
    }

    /// Only the ratios within a row count: a row times a whole number is the same row, to the last bit.
    #[test]
    fn rows_of_weights_have_no_scale(subnet in any_subnet(), factors in prop::collection::vec(1_u32..1_000_000, 8)) {
        let mut scaled = subnet.clone();
        for (mut row, factor) in scaled.weights.rows_mut().into_iter().zip(factors) {
            row *= f64::from(factor);
        }
        prop_assert_eq!(scaled.epoch(), subnet.epoch());
    }

    /// Consensus on a miner is what the honest give it while its friends hold less than kappa, and what they give it beyond.
    #[test]
    fn a_group_rules_its_own_miner_only_from_kappa_on(
        kappa in 0.05..0.95,
        honest in 0.0..0.5,
        size in 1_usize..6,
        rule in prop::sample::select(RULES.to_vec()),
    ) {
        let params = YumaParams { kappa, bonds_rule: rule, ..YumaParams::DEFAULT };
        let friends_of = |share: f64| collusion(&params, share, honest, size);
        let (below, above) = (friends_of(kappa - 1e-6), friends_of(kappa + 1e-6));
        let miner = below.stake.len() - 1;
        prop_assert!((below.consensus[miner] - honest).abs() <= STEP);
        prop_assert_eq!(above.consensus[miner], 1.0);
        prop_assert!(below.incentive[miner] <= above.incentive[miner]);
        // The friends lose what they gave beyond consensus.
        prop_assert!(below.validator_trust[0] <= honest + STEP);
        prop_assert_eq!(above.validator_trust[0], 1.0);
    }
}

proptest! {
    /// Whatever the bytes: a square matrix of usable numbers, or an error with the file's name.
    #[test]
    fn the_reader_meets_anything(changes in prop::collection::vec((0..WEIGHTS.len(), any::<u8>()), 1..6)) {
        let mut bytes = WEIGHTS.as_bytes().to_vec();
        for (place, byte) in changes {
            bytes[place] = byte;
        }
        let document = Document { name: "w.csv".to_owned(), path: None, bytes: bytes.into() };
        match read_staked_weights(&document, "stake") {
            Ok(read) => {
                prop_assert_eq!(read.weights.dim(), (read.stake.len(), read.stake.len()));
                prop_assert!(read.weights.iter().chain(&read.stake).all(|value| value.is_finite() && *value >= 0.0));
            }
            Err(error) => prop_assert!(error.to_string().starts_with("w.csv"), "{error}"),
        }
    }
}

/// A group holds `share` of the stake, in `size` equal parts, and gives everything to the last uid; one honest validator
/// with the rest gives that miner `honest` and the other miner the remainder.
fn collusion(params: &YumaParams, share: f64, honest: f64, size: usize) -> YumaOutcome {
    let uids = size + 3;
    let mut stake = vec![share / size as f64; size];
    stake.extend([1.0 - share, 0.0, 0.0]);
    let mut weights = Array2::zeros((uids, uids));
    for friend in 0..size {
        weights[[friend, uids - 1]] = 1.0;
    }
    weights[[size, uids - 1]] = honest;
    weights[[size, uids - 2]] = 1.0 - honest;
    let permits = stake.iter().map(|&stake| stake > 0.0).collect();
    epoch(params, &stake, &weights, &YumaState::new(permits))
}

#[test]
fn a_minority_gains_nothing_for_a_miner_that_others_ignore() {
    for bonds_rule in RULES {
        let params = YumaParams { bonds_rule, ..YumaParams::DEFAULT };
        // Kappa is 32767/65535, a little below one half.
        let minority = collusion(&params, 0.4999, 0.0, 3);
        assert_eq!((minority.incentive[5], minority.incentive[4]), (0.0, 1.0), "{bonds_rule:?}");
        assert_eq!(minority.dividends.iter().take(3).sum::<f64>(), 0.0, "{bonds_rule:?}");
        let majority = collusion(&params, 0.5001, 0.0, 3);
        // From there on it is the honest validator whose miner has no support.
        assert_eq!((majority.incentive[5], majority.incentive[4]), (1.0, 0.0), "{bonds_rule:?}");
        assert_eq!(majority.dividends[3], 0.0, "{bonds_rule:?}");
    }
}

/// Dividends per epoch of a leader and of a copier of the same stake, whose weights are the leaders' `delay` epochs before.
fn copying(params: &YumaParams, delay: usize, epochs: usize) -> (f64, f64) {
    let stake = [1.0, 1.0, 1.0, 0.0, 0.0];
    // The good miner changes from uid 3 to uid 4 after ten epochs.
    let row = |index: usize| if index < 10 { [0.0, 0.0, 0.0, 9.0, 1.0] } else { [0.0, 0.0, 0.0, 1.0, 9.0] };
    let mut state = YumaState::new(vec![true, true, true, false, false]);
    let (mut committed, mut leader, mut copier) = (Vec::new(), 0.0, 0.0);
    for index in 0..epochs {
        committed.push(row(index));
        let copied = *weights_in_force(&committed, delay + 1).unwrap_or(&row(0));
        let weights = arr2(&[row(index), row(index), copied, [0.0; 5], [0.0; 5]]);
        let outcome = epoch(params, &stake, &weights, &state);
        leader += outcome.dividends[0] / epochs as f64;
        copier += outcome.dividends[2] / epochs as f64;
        state = YumaState { last_epoch_block: 0, ..outcome.next };
    }
    (leader, copier)
}

#[test]
fn a_copier_earns_less_the_later_it_copies() {
    for bonds_rule in RULES {
        let params = YumaParams { bonds_rule, ..YumaParams::DEFAULT };
        let (leader, at_once) = copying(&params, 0, 30);
        assert_eq!(leader, at_once, "{bonds_rule:?}");
        let earned: Vec<f64> = [0, 1, 3, 6].map(|delay| copying(&params, delay, 30).1).into();
        assert!(earned.is_sorted_by(|sooner, later| sooner > later), "{bonds_rule:?}: {earned:?}");
        let (leader, late) = copying(&params, 3, 30);
        assert!(leader > late && late > 0.25, "{bonds_rule:?}: {leader} {late}");
    }
}

/// What a run of the program gave.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

fn yuma(directory: &TempDir, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    let output =
        command.current_dir(directory.path()).arg("yuma").args(arguments).output().expect("the program starts");
    Ended {
        code: output.status.code().expect("the program ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

fn directory_with(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    for (name, content) in files {
        fs::write(directory.path().join(name), content).expect("a file in it");
    }
    directory
}

/// The subnet of the golden worked example: alpha plus 0.18 of root stake.
const WEIGHTS: &str = "\
uid,stake,0,1,2,3,4,5,6,7
0,0,,,,,,,,
1,350000,20000,,,,,65535,30000,
2,290000,,,,,,50000,65535,
3,195000,65535,,,,,20000,20000,10000
4,100000,,,,,1000,,10000,65535
5,5000,,,,,,,,
6,2000,,,,,,,,
7,500,,,,,,,,
";
const BONDS: &str = "\
0,1,2,3,4,5,6,7
,,,,,,,
30000,,,,,40000,20000,
10000,,,,,30000,35000,
50000,,,,,12000,9000,3000
,,,,,,6000,50000
,,,,,,,
,,,,,,,
,,,,,,,
";
const FLAGS: [&str; 6] = ["--owner", "0", "--validators", "4", "--stake-threshold", "1000"];

fn json(directory: &TempDir, arguments: &[&str]) -> Value {
    let ended = yuma(directory, &[arguments, &FLAGS, &["--json"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    serde_json::from_str(&ended.stdout).expect("JSON")
}

fn assert_column(document: &Value, name: &str, expected: [f64; 8]) {
    for (uid, expected) in expected.into_iter().enumerate() {
        let value = document["uids"][uid][name].as_f64().expect("a number");
        // The stakes of the example have a TAO weight truncated to 2^-32.
        assert!((value - expected).abs() < 2e-9, "{name} of uid {uid}: {value}, expected {expected}");
    }
}

#[test]
fn the_command_gives_the_worked_example() {
    let directory = directory_with(&[("w.csv", WEIGHTS), ("b.csv", BONDS)]);
    let yuma2 = json(&directory, &["w.csv", "--bonds", "b.csv"]);
    assert_column(&yuma2, "incentive", [0.152597897, 0.0, 0.0, 0.0, 0.0, 0.502593074, 0.344809029, 0.0]);
    assert_column(&yuma2, "consensus", [0.173107716, 0.0, 0.0, 0.0, 0.0, 0.432769291, 0.259661574, 0.0]);
    assert_column(&yuma2, "validator_trust", [0.0, 0.865538581, 0.692430865, 0.519323149, 0.132388959, 0.0, 0.0, 0.0]);
    assert_column(&yuma2, "dividend", [0.0, 0.404094491, 0.368391369, 0.198773238, 0.028740902, 0.0, 0.0, 0.0]);
    assert_eq!(yuma2["bonds_u16"][2], serde_json::json!([12_231, 0, 0, 0, 0, 49_665, 65_535, 0]));
    let yuma3 = json(&directory, &["w.csv", "--bonds", "b.csv", "--yuma3"]);
    assert_column(&yuma3, "dividend", [0.0, 0.477532944, 0.372381214, 0.139118179, 0.010967663, 0.0, 0.0, 0.0]);
    let liquid = json(&directory, &["w.csv", "--bonds", "b.csv", "--yuma3", "--liquid-alpha"]);
    assert_column(&liquid, "dividend", [0.0, 0.493937324, 0.337797819, 0.151928307, 0.016336549, 0.0, 0.0, 0.0]);
    // Half of the emission to miners, half to validators.
    assert_column(&liquid, "server_emission", [0.0762989485, 0.0, 0.0, 0.0, 0.0, 0.251296537, 0.1724045145, 0.0]);
}

#[test]
fn the_tables_are_aligned() {
    let directory = directory_with(&[("w.csv", WEIGHTS)]);
    let ended = yuma(&directory, &[&["w.csv"], &FLAGS[..]].concat());
    println!("{}", ended.stdout);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(
        lines[0].starts_with("Yuma2, kappa 0.49999") && lines[0].contains("5 of 8 uids with a permit"),
        "{}",
        lines[0]
    );
    let (uids, weights) = (&lines[1..10], &lines[12..]);
    assert!(uids.iter().all(|line| line.len() == uids[0].len() && line.len() <= 100), "{uids:?}");
    assert!(uids[0].ends_with("incentive       trust    dividend   miner pay  valid. pay"), "{}", uids[0]);
    assert!(uids[6].contains("   0.432769    0.502593    0.000000    0.000000    0.251297    0.000000"), "{}", uids[6]);
    assert_eq!(
        weights,
        [
            "              0         5         6",
            "    1  0.173108  0.432769  0.259662",
            "    2  0.000000  0.432769  0.259662",
            "    3  0.173108  0.173108  0.173108",
            "    4  0.000000  0.000000  0.132389",
        ]
    );
}

#[test]
fn a_matrix_without_consensus_says_so() {
    let directory = directory_with(&[("w.csv", "stake,0,1\n1,,\n1,,\n")]);
    let ended = yuma(&directory, &["w.csv"]);
    assert_eq!(ended.code, 0);
    assert!(ended.stdout.ends_with("none: no weight has the support of kappa of the stake\n"), "{}", ended.stdout);
}

#[test]
fn parquet_and_stakes_of_their_own_give_the_same() {
    let directory = directory_with(&[
        ("w.csv", "stake,0,1,2\n3,0,1,2\n2,1,0,5\n0,,,\n"),
        ("bare.csv", "0,1,2\n0,1,2\n1,0,5\n,,\n"),
        ("stakes.csv", "uid,stake\n0,3\n1,2\n2,0\n"),
        ("power.csv", "power,0,1,2\n3,0,1,2\n2,1,0,5\n0,,,\n"),
    ]);
    let column = |values: [f64; 3]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
    let batch = RecordBatch::try_from_iter([
        ("0", column([0.0, 1.0, 0.0])),
        ("1", column([1.0, 0.0, 0.0])),
        ("2", column([2.0, 5.0, 0.0])),
        ("stake", column([3.0, 2.0, 0.0])),
    ])
    .expect("a batch");
    let file = File::create(directory.path().join("w.parquet")).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a Parquet writer");
    writer.write(&batch).expect("rows written");
    writer.close().expect("a footer written");
    let expected = yuma(&directory, &["w.csv", "--json"]);
    assert_eq!(expected.code, 0, "{}", expected.stderr);
    for arguments in [&["w.parquet"][..], &["bare.csv", "--stake", "stakes.csv"], &["power.csv", "--stake", "power"]] {
        let ended = yuma(&directory, &[arguments, &["--json"]].concat());
        assert_eq!((ended.code, ended.stdout), (0, expected.stdout.clone()), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn bad_input_ends_with_code_2_and_says_where() {
    let directory = directory_with(&[
        ("good.csv", "stake,0,1\n1,0,1\n1,1,0\n"),
        ("negative.csv", "stake,0,1\n1,0,-1\n1,1,0\n"),
        ("nan.csv", "stake,0,1\n1,0,1\n1,NaN,0\n"),
        ("ragged.csv", "stake,0,1\n1,0,1\n1,1\n"),
        ("unstaked.csv", "0,1\n0,1\n1,0\n"),
        ("unknown.csv", "stake,rank,0,1\n1,1,0,1\n1,1,1,0\n"),
        ("oblong.csv", "stake,0,1,2\n1,0,1,1\n1,1,0,1\n"),
        ("stakes.csv", "stake\n1\n-2\n"),
        ("bonds.csv", "0,1\n0,70000\n0,0\n"),
        ("empty.parquet", "PAR1"),
    ]);
    for (arguments, expected) in [
        (&["negative.csv"][..], "negative.csv:2: 1 = -1 (must be a finite number >= 0)"),
        (&["nan.csv"], "nan.csv:3: 0 = NaN (must be a finite number >= 0)"),
        (&["ragged.csv"], "ragged.csv:3: not a whole CSV table: 2 comma-separated cells, but the header has 3"),
        (&["unstaked.csv"], "unstaked.csv: column `stake` is missing"),
        (&["unknown.csv"], "unknown.csv: unknown column `rank` (allowed: uid, stake and one column of weights per uid"),
        (&["oblong.csv"], "oblong.csv: has 2 rows for 3 uids (must be one row per uid, 0 to 2)"),
        (&["good.csv", "--stake", "stakes.csv"], "stakes.csv:3: stake = -2 (must be a finite number >= 0)"),
        (&["good.csv", "--stake", "power"], "good.csv: unknown column `stake` (allowed: uid, power and"),
        (&["good.csv", "--bonds", "bonds.csv"], "bonds.csv:2: 1 = 70000 (must be a whole number from 0 to 65535)"),
        (&["good.csv", "--owner", "2"], "--owner = 2 (must be a uid of good.csv, 0 to 1)"),
        (&["good.csv", "--kappa", "NaN"], "must be a fraction from 0 to 1"),
        (&["good.csv", "--yuma3", "--liquid-alpha", "--alpha-low", "0.95"], "--alpha-low = 0.95 (must be at most"),
        (&["empty.parquet"], "empty.parquet: not a whole Parquet file"),
        (&["absent.csv"], "cannot read absent.csv"),
    ] {
        let ended = yuma(&directory, arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{arguments:?}: {}", ended.stderr);
    }
}

const SMALL_SETS: [&str; 8] = ["--sets", "3", "--epochs", "200", "--set-validators", "6", "--set-miners", "8"];

/// The sets are ours, so no figure is known beforehand: the same seed gives the same text, and its scenario is accepted.
#[test]
fn the_law_is_printed_with_errors_and_as_a_scenario() {
    let directory = directory_with(&[]);
    let ended = yuma(&directory, &[&["--law"], &SMALL_SETS[..]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(
        ended.stdout.starts_with("Yuma3, kappa 0.499992: 3 simulated sets of 6 validators and 8 miners, 200 epochs")
    );
    let (_, scenario) = ended.stdout.split_once("In a scenario:\n").expect("the lines of a scenario");
    fs::write(directory.path().join("s.toml"), scenario).expect("a scenario file");
    let mut check = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    check.current_dir(directory.path()).args(["check", "s.toml"]).assert().success();
    let again = yuma(&directory, &[&["--law"], &SMALL_SETS[..]].concat());
    assert_eq!(again.stdout, ended.stdout);
    let other = yuma(&directory, &[&["--law", "--seed", "2"], &SMALL_SETS[..]].concat());
    assert_ne!(other.stdout, ended.stdout);

    let law = yuma(&directory, &[&["--law", "--yuma2", "--copiers", "0", "--json"], &SMALL_SETS[..]].concat());
    let law: Value = serde_json::from_str(&law.stdout).expect("JSON");
    assert_eq!((&law["simulated"]["rule"], &law["copier_dividend"]), (&"Yuma2".into(), &Value::Null));
    let spread = law["spread_sd_log"]["value"].as_f64().expect("a number");
    assert!((0.0..1.0).contains(&spread) && law["spread_sd_log"]["standard_error"].as_f64() > Some(0.0), "{law}");
}

/// What is known for certain: a miner that the honest ignore earns nothing below kappa, and all above.
#[test]
fn collusion_turns_at_kappa() {
    let directory = directory_with(&[]);
    for flags in [&["--honest-weight", "0"][..], &["--honest-weight", "0", "--liquid-alpha", "--kappa", "0.43"]] {
        let ended = yuma(&directory, &[&["--collusion", "--json"], flags, &SMALL_SETS[..]].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
        let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let kappa = document["simulated"]["kappa"].as_f64().expect("a number");
        let cartels = document["cartels"].as_array().expect("a list");
        assert_eq!(cartels.len(), 9);
        for cartel in cartels {
            let number = |value: &Value| value.as_f64().expect("a number");
            let (stake, dividend) = (number(&cartel["stake_fraction"]), number(&cartel["cartel_dividend"]["value"]));
            let share = number(&cartel["incentive_share"]["value"]);
            if stake < kappa {
                assert_eq!((share, dividend), (0.0, 0.0), "{cartel}");
            } else if stake > 1.0 - kappa {
                assert!((share - 1.0).abs() < 1e-6 && (dividend - 1.0 / stake).abs() < 1e-6, "{cartel}");
            } else {
                // Both camps have the support of kappa.
                assert!(share > 0.0 && share < 1.0 && dividend > 0.0, "{cartel}");
            }
        }
    }
    let ended = yuma(&directory, &[&["--collusion"], &SMALL_SETS[..]].concat());
    let scenario = "[validators]\ndividend_factor = ";
    assert!(ended.stdout.contains(" 0.494992 ") && ended.stdout.contains(scenario), "{}", ended.stdout);
}

#[test]
fn sets_that_cannot_be_measured_are_refused() {
    for (arguments, expected) in [
        (&["--law", "--epochs", "199"][..], "--epochs = 199 (must be 10 days at least, 20 epochs each)"),
        (&["--collusion", "--set-validators", "3"], "--set-validators = 3 (must be above 3, those who collude)"),
        (&["--law", "--sets", "1"], "--sets"),
        (&["--law", "m.csv"], "cannot be used with"),
    ] {
        let ended = yuma(&directory_with(&[]), arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{arguments:?}: {}", ended.stderr);
    }
}
