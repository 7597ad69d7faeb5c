//! Yuma epochs: three in a row on each small subnet, with the permits, bonds and last epoch block of one entering the next.

use ndarray::Array2;
use serde_json::Value;
use taorisk::protocol::yuma::BondsRule;
use taorisk::protocol::yuma::LiquidSmoothing;
use taorisk::protocol::yuma::YumaParams;
use taorisk::protocol::yuma::epoch::Neuron;
use taorisk::protocol::yuma::epoch::YumaInputs;
use taorisk::protocol::yuma::epoch::YumaOutcome;
use taorisk::protocol::yuma::epoch::YumaState;
use taorisk::protocol::yuma::epoch::combined_stake;
use taorisk::protocol::yuma::epoch::run_epoch;
use taorisk::protocol::yuma::epoch::share_rao;
use taorisk::protocol::yuma::proportion_u16;

use crate::vectors::Deviations;
use crate::vectors::array;
use crate::vectors::decimal;
use crate::vectors::document;
use crate::vectors::fixed;
use crate::vectors::flag;
use crate::vectors::rao;
use crate::vectors::rows;
use crate::vectors::text;

const U16: f64 = 65_535.0;

fn part(row: &Value, name: &str) -> f64 {
    rao(&row[name]) as f64 / U16
}

fn yuma_params(row: &Value) -> YumaParams {
    let smoothing = LiquidSmoothing {
        low: part(row, "alpha_low_u16"),
        high: part(row, "alpha_high_u16"),
        steepness: rao(&row["alpha_sigmoid_steepness"]) as f64 / 100.0,
    };
    let bonds_rule = match (flag(&row["yuma3"]), flag(&row["liquid_alpha"])) {
        (false, _) => BondsRule::Yuma2,
        (true, false) => BondsRule::Yuma3,
        (true, true) => BondsRule::Yuma3Liquid(smoothing),
    };
    YumaParams {
        kappa: part(row, "kappa_u16"),
        bonds_rule,
        bonds_penalty: part(row, "bonds_penalty_u16"),
        bonds_moving_average: rao(&row["bonds_moving_average"]) as f64 / 1e6,
        validator_limit: rao(&row["max_allowed_validators"]) as usize,
        stake_threshold: rao(&row["stake_threshold"]) as f64,
        activity_cutoff_blocks: rao(&row["activity_cutoff_blocks"]),
        tempo_blocks: rao(&row["tempo"]),
    }
}

fn neuron(stake: &Value, neuron: &Value) -> Neuron {
    Neuron {
        stake: fixed(stake, 64),
        registered_at: rao(&neuron["registered_at"]),
        last_update: rao(&neuron["last_update"]),
        committed_at: None,
    }
}

/// A matrix from one sparse row per uid, `[[column, value], ...]`.
fn matrix<'a>(size: usize, rows: impl Iterator<Item = &'a Value>) -> Array2<u16> {
    let mut matrix = Array2::zeros((size, size));
    for (uid, row) in rows.enumerate() {
        for entry in array(row) {
            matrix[[uid, rao(&entry[0]) as usize]] = rao(&entry[1]) as u16;
        }
    }
    matrix
}

#[test]
fn epochs() {
    let mut worst = Deviations::of("epoch");
    for row in rows("epoch") {
        let params = yuma_params(&row);
        let neurons_in = array(&row["neurons"]);
        let size = neurons_in.len();
        let stakes = array(&row["total_stake_weight_i64f64"]);
        let neurons: Vec<Neuron> = stakes.iter().zip(neurons_in).map(|(stake, input)| neuron(stake, input)).collect();
        compare_stakes(&mut worst, &row, &neurons);
        let weights = matrix(size, neurons_in.iter().map(|neuron| &neuron["weights"])).mapv(f64::from);
        let owner = row["owner_uid"].as_u64().map(|uid| uid as usize);
        let mut state = YumaState {
            permits: neurons_in.iter().map(|neuron| flag(&neuron["permit"])).collect(),
            bonds: matrix(size, neurons_in.iter().map(|neuron| &neuron["bonds"])),
            last_epoch_block: rao(&row["last_mechanism_step_block"]),
        };
        for (index, chain) in array(&row["epochs"]).iter().enumerate() {
            let inputs = YumaInputs { block: rao(&chain["block"]), neurons: &neurons, weights: weights.view(), owner };
            let outcome = run_epoch(&params, &inputs, &state);
            let case = format!("{}, epoch {}", text(&row["case"]), index + 1);
            compare_vectors(&mut worst, &outcome, chain, &case);
            compare_emissions(&mut worst, &outcome, rao(&row["rao_emission"]), chain, &case);
            let bonds = matrix(size, array(&chain["bonds_u16"]).iter());
            for (ours, chain) in outcome.next.bonds.iter().zip(&bonds) {
                worst.distance("stored bonds (u16)", 0.0, u64::from(*ours), u64::from(*chain), &case);
            }
            state = outcome.next;
        }
    }
    worst.finish();
}

/// The combined stake, which the vectors give beside the alpha and the root stake that make it.
fn compare_stakes(worst: &mut Deviations, row: &Value, neurons: &[Neuron]) {
    let tao_weight = rao(&row["tao_weight_u64"]) as f64 / u64::MAX as f64;
    for (neuron, input) in neurons.iter().zip(array(&row["neurons"])) {
        let ours = combined_stake(rao(&input["alpha_stake"]) as f64, rao(&input["root_stake"]) as f64, tao_weight);
        worst.note("combined stake (rao)", 1.0, (ours - neuron.stake).abs(), text(&row["case"]));
    }
}

fn compare_vectors(worst: &mut Deviations, outcome: &YumaOutcome, chain: &Value, case: &str) {
    let flags = |name: &str| array(&chain[name]).iter().map(flag).collect::<Vec<_>>();
    worst.equal("permits", &outcome.next.permits, &flags("validator_permit"), case);
    worst.equal("active", &outcome.active, &flags("active"), case);
    for (name, ours) in [
        ("stake_weight_u16", &outcome.stake),
        ("consensus_u16", &outcome.consensus),
        ("incentive_u16", &outcome.incentive),
        ("dividends_u16", &outcome.dividends),
        ("validator_trust_u16", &outcome.validator_trust),
    ] {
        for (ours, chain) in ours.iter().zip(array(&chain[name])) {
            worst.distance(name, 0.0, u64::from(proportion_u16(*ours)), rao(chain), case);
        }
    }
}

/// Each within 1 rao or 1e-9 of what the epoch distributes.
fn compare_emissions(worst: &mut Deviations, outcome: &YumaOutcome, emission_rao: u64, chain: &Value, case: &str) {
    let tolerance_rao = (1e-9 * emission_rao as f64).max(1.0);
    let shares = &outcome.emission;
    for (name, ours) in
        [("server_emission", &shares.server), ("validator_emission", &shares.validator), ("emission", &shares.combined)]
    {
        for (ours, chain) in ours.iter().zip(array(&chain[name])) {
            let apart = share_rao(*ours, emission_rao).abs_diff(rao(chain)) as f64;
            worst.note(&format!("{name} / (1 rao or 1e-9)"), 1.0, apart / tolerance_rao, case);
        }
    }
}

/// A sparse matrix of the worked example: `{row: {column: value}}`.
pub fn sparse(size: usize, rows: &Value) -> Array2<u16> {
    let mut matrix = Array2::zeros((size, size));
    for (from, row) in rows.as_object().expect("rows") {
        for (to, value) in row.as_object().expect("a row") {
            matrix[[from.parse().expect("a uid"), to.parse().expect("a uid")]] = rao(value) as u16;
        }
    }
    matrix
}

#[test]
fn worked_example() {
    let example = document("worked_example.json");
    let check = &example["static_checks"]["yuma"];
    let inputs = &check["inputs"];
    let tao_weight = fixed(&inputs["TW_u96f32_raw"], 32);
    let stakes = array(&inputs["stake_alpha"]).iter().zip(array(&inputs["root"]));
    let neuron = |(alpha, root): (&Value, &Value)| Neuron {
        stake: combined_stake(rao(alpha) as f64, rao(root) as f64, tao_weight),
        registered_at: 0,
        last_update: 1_000,
        committed_at: None,
    };
    let neurons: Vec<Neuron> = stakes.map(neuron).collect();
    let weights = sparse(neurons.len(), &inputs["W"]).mapv(f64::from);
    let state = YumaState {
        permits: array(&inputs["permits"]).iter().map(flag).collect(),
        bonds: sparse(neurons.len(), &inputs["bonds16"]),
        last_epoch_block: 700,
    };
    let owner = Some(rao(&inputs["owner"]) as usize);
    let epoch = YumaInputs { block: 1_060, neurons: &neurons, weights: weights.view(), owner };
    let mut worst = Deviations::of("worked_example, yuma");
    for (name, bonds_rule) in [
        ("yuma2", BondsRule::Yuma2),
        ("yuma3", BondsRule::Yuma3),
        ("yuma3_liquid", BondsRule::Yuma3Liquid(LiquidSmoothing::DEFAULT)),
    ] {
        let params = YumaParams { bonds_rule, stake_threshold: rao(&inputs["thr"]) as f64, ..YumaParams::DEFAULT };
        let outcome = run_epoch(&params, &epoch, &state);
        compare_example(&mut worst, &outcome, &check["results"][name], rao(&inputs["total"]), name);
    }
    worst.finish();
}

fn compare_example(worst: &mut Deviations, outcome: &YumaOutcome, expected: &Value, total_rao: u64, case: &str) {
    // Printed with 9 decimals.
    for (name, ours) in [
        ("stake", &outcome.stake),
        ("active_stake", &outcome.active_stake),
        ("consensus", &outcome.consensus),
        ("vtrust", &outcome.validator_trust),
        ("incentive", &outcome.incentive),
        ("dividends", &outcome.dividends),
    ] {
        for (ours, expected) in ours.iter().zip(array(&expected[name])) {
            worst.note(name, 1e-9, (ours - decimal(expected)).abs(), case);
        }
    }
    let bonds = sparse(outcome.stake.len(), &expected["bonds_out_u16"]);
    worst.equal("stored bonds (u16)", &outcome.next.bonds, &bonds, case);
    for (name, ours) in
        [("server_emission", &outcome.emission.server), ("validator_emission", &outcome.emission.validator)]
    {
        for (ours, expected) in ours.iter().zip(array(&expected[name])) {
            worst.distance(&format!("{name} (rao)"), 0.0, share_rao(*ours, total_rao), rao(expected), case);
        }
    }
}
