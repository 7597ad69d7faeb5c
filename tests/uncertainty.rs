//! Parameter files below a scenario, the law of parameters, and what drawing them does to results and their errors.

use std::fs;
use std::path::Path;

use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::model::parameters::PARAMETERS;
use taorisk::model::parameters::Parameter;
use taorisk::model::uncertainty::ParameterLaw;
use taorisk::model::uncertainty::ParameterSampler;
use taorisk::model::uncertainty::Scale;
use taorisk::model::uncertainty::UncertainParameter;
use tempfile::TempDir;

fn scenario(text: &str) -> Scenario {
    try_scenario(text).expect("a scenario")
}

fn try_scenario(text: &str) -> Result<Scenario, String> {
    Scenario::from_text("my.toml", text, Path::new(""), &Overrides::default()).map_err(|error| error.to_string())
}

/// A directory with a parameter file, and a scenario beside it that names it.
fn directory_with(parameters: &str, own: &str) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    fs::write(directory.path().join("fit.toml"), parameters).expect("a parameter file");
    let text = format!("{own}[input]\nparameters = \"fit.toml\"\n");
    fs::write(directory.path().join("scenario.toml"), text).expect("a scenario file");
    directory
}

fn load(directory: &TempDir, overrides: &Overrides) -> Result<Scenario, String> {
    let file = directory.path().join("scenario.toml");
    Scenario::load(Some(&file), overrides).map_err(|error| error.to_string())
}

const FIT: &str = "[provenance]\nmethod = \"by hand\"\n[flow]\nscale_median = 0.02\ndrift_per_day = 0.001\n";

#[test]
fn a_parameter_file_lies_between_base_and_scenario() {
    let directory = directory_with(FIT, "[flow]\ndrift_per_day = 0\n");
    let built = load(&directory, &Overrides::default()).unwrap();
    let flow = &built.model.flow;
    assert_eq!((flow.scale_median, flow.drift_per_day, flow.size_exponent), (0.02, 0.0, 0.114));
    let file = built.parameters_file.clone().expect("its name and hash");
    assert!(file.name.ends_with("fit.toml") && file.sha256.len() == 64, "{file:?}");
    let spelled = scenario("[flow]\nscale_median = 0.02\ndrift_per_day = 0\n");
    assert_eq!(built.hash(), spelled.hash(), "the same values are the same scenario");
    let again = scenario(&built.to_toml());
    assert_eq!((again.hash(), &again.parameters_file), (built.hash(), &None));
    assert!(built.to_toml().contains(&file.sha256));
    let told = Scenario::from_json("manifest", &built.to_json(), &Overrides::default()).expect("its own manifest");
    assert_eq!((told.hash(), &told.model), (built.hash(), &built.model));
}

#[test]
fn a_flag_names_another_file_or_none() {
    let directory = directory_with(FIT, "");
    let other = directory.path().join("other.toml");
    fs::write(&other, "[flow]\nscale_median = 0.03\n").expect("a parameter file");
    let scale = |parameters: &Path| {
        let overrides = Overrides { parameters: Some(parameters.to_owned()), ..Overrides::default() };
        load(&directory, &overrides).unwrap().model.flow.scale_median
    };
    assert_eq!((scale(&other), scale(Path::new("none"))), (0.03, 0.0178));
}

#[test]
fn what_a_parameter_file_may_not_hold_is_refused_with_its_line() {
    for (parameters, expected) in [
        ("[flow]\n[run]\nseed = 2\n", "fit.toml:2: `run` does not belong in a parameter file (allowed: flow, sales"),
        ("[flow]\nscale = 2\n", "fit.toml:2: unknown key `flow.scale` (allowed: scale_median,"),
        ("[flow]\nflow_cap = -1\n", "flow.flow_cap = -1 (must be above 0 and at most 80) in "),
    ] {
        let message = load(&directory_with(parameters, ""), &Overrides::default()).unwrap_err();
        assert!(message.contains(expected) && message.contains("fit.toml:"), "{message}");
    }
    let directory = directory_with("", "");
    fs::remove_file(directory.path().join("fit.toml")).expect("a file");
    let message = load(&directory, &Overrides::default()).unwrap_err();
    assert!(message.starts_with("input.parameters = ") && message.contains("scenario.toml:2"), "{message}");
}

/// A scenario whose law is of one or two parameters.
fn law_of(parameters: &str, correlation: &str) -> String {
    format!(
        "[run]\nparameter_uncertainty = true\n[uncertainty]\ncorrelation = {correlation}\nparameters = [{parameters}]\n"
    )
}

const DRIFT: &str = "{ key = \"flow.drift_per_day\", scale = \"linear\", standard_error = 0.001 }";
const SCALE: &str = "{ key = \"flow.scale_median\", scale = \"log\", standard_error = 0.1 }";

#[test]
fn laws_that_are_none_are_refused() {
    let with = |from: &str, to: &str| law_of(&DRIFT.replace(from, to), "[]");
    let both = format!("{DRIFT}, {SCALE}");
    for (text, expected) in [
        (
            with("drift_per_day", "drift"),
            "uncertainty.parameters[0].key = \"flow.drift\" (must be the key of a parameter",
        ),
        (
            with("linear", "cubic"),
            "uncertainty.parameters[0].scale = \"cubic\" (must be \"linear\", \"log\" or \"logit\")",
        ),
        (
            with("linear", "log"),
            "uncertainty.parameters[0].scale = \"log\" (must be \"linear\": flow.drift_per_day may be",
        ),
        (
            with("linear", "logit"),
            "uncertainty.parameters[0].scale = \"logit\" (must be \"linear\" or \"log\": flow.drift",
        ),
        (with("0.001", "0"), "uncertainty.parameters[0].standard_error = 0 (must be a finite number > 0) in my.toml:5"),
        (with("0.001", "nan"), "uncertainty.parameters[0].standard_error = NaN (must be a finite"),
        (
            law_of(&SCALE.replace("0.1", "9"), "[]"),
            "uncertainty.parameters[0].standard_error = 9 (must be above 0 and at most 5",
        ),
        (
            law_of(&format!("{DRIFT}, {DRIFT}"), "[]"),
            "uncertainty.parameters[1].key = \"flow.drift_per_day\" (must be named once",
        ),
        (law_of(&both, "[[1]]"), "uncertainty.correlation = 1 rows of 1 numbers (must be [] or 2 rows of 2 numbers"),
        (law_of(&both, "[[1, 0.5], [0.4, 1]]"), "uncertainty.correlation = 0.5 in row 1, column 2 (must be symmetric"),
        (law_of(&both, "[[1, 0], [0, 2]]"), "uncertainty.correlation = 2 in row 2, column 2 (must be symmetric"),
        (
            law_of(&both, "[[1, 1], [1, 1]]"),
            "uncertainty.correlation = a matrix of no law (must be positive definite) in my.toml:4",
        ),
        (law_of(DRIFT, "[[nan]]"), "uncertainty.correlation = NaN in row 1, column 1 (must be symmetric"),
        (
            "[run]\npaths_per_replicate = 1\n".to_owned(),
            "run.paths_per_replicate = 1 (must be a whole number from 2 to",
        ),
    ] {
        let message = try_scenario(&text).unwrap_err();
        assert!(message.starts_with(expected), "{text}: {message}");
    }
}

/// The law counts where it is drawn from, and only there.
#[test]
fn the_law_is_part_of_the_hash_where_it_is_drawn_from() {
    let on = |text: &str| scenario(text).hash().to_owned();
    let off = |text: &str| on(&text.replace("= true", "= false"));
    let law = law_of(DRIFT, "[]");
    assert_eq!(off(&law), on(""));
    assert_ne!(on(&law), on(""));
    assert_ne!(on(&law), on(&law_of(SCALE, "[]")));
    assert_ne!(on(&law), on(&law.replace("= true", "= true\npaths_per_replicate = 32")));
    assert_eq!(on(&law), on(&law_of(DRIFT, "[[1.0]]")));
    let both = format!("{DRIFT}, {SCALE}");
    assert_ne!(on(&law_of(&both, "[]")), on(&law_of(&both, "[[1, 0.5], [0.5, 1]]")));
}

/// Keys of the tables that a parameter file holds, in the order of the complete scenario.
#[test]
fn every_key_of_the_model_has_a_parameter() {
    let complete: toml::Table = scenario("").to_toml().parse().expect("TOML");
    let mut keys = Vec::new();
    for table in ["flow", "sales", "tao_usd", "registration", "entrants"] {
        collect(table, &complete[table], &mut keys);
    }
    keys.sort();
    let mut known: Vec<String> = PARAMETERS.iter().map(|parameter| parameter.key.to_owned()).collect();
    known.sort();
    assert_eq!(keys, known);
}

fn collect(path: &str, value: &toml::Value, keys: &mut Vec<String>) {
    match value.as_table() {
        Some(table) => table.iter().for_each(|(key, value)| collect(&format!("{path}.{key}"), value, keys)),
        None => keys.push(path.to_owned()),
    }
}

#[test]
fn each_key_sets_what_it_gets_and_nothing_else() {
    let base = scenario("").model;
    for parameter in PARAMETERS {
        let value = parameter.get(&base);
        let moved = if value == 0.625 { 0.5 } else { 0.625 };
        let set = scenario(&format!("{} = {moved:?}\n", parameter.key)).model;
        let mut model = base.clone();
        parameter.set(&mut model, moved);
        assert_eq!(model, set, "{}", parameter.key);
        assert!(
            std::ptr::eq(Parameter::named(parameter.key).expect("a parameter"), parameter),
            "{} twice",
            parameter.key
        );
    }
    assert!(Parameter::named("flow.volatility").is_none());
}

/// What a draw is clipped to is what a scenario may say.
#[test]
fn ranges_are_those_of_the_scenario() {
    for parameter in PARAMETERS {
        let (least, largest) = parameter.range.bounds();
        for edge in [least, largest] {
            try_scenario(&format!("{} = {edge:?}\n", parameter.key)).unwrap_or_else(|message| panic!("{message}"));
        }
        let below = if least > 0.0 { 0.0 } else { least - 1.0 };
        for beyond in [below, largest * 1.001].into_iter().filter(|beyond| beyond.abs() < 1e300) {
            try_scenario(&format!("{} = {beyond:?}\n", parameter.key)).expect_err(parameter.key);
        }
        let mut model = scenario("").model;
        parameter.set(&mut model, -f64::MAX);
        assert_eq!(parameter.get(&model), least, "{}", parameter.key);
    }
}

fn uncertain(key: &str, scale: Scale, standard_error: f64) -> UncertainParameter {
    UncertainParameter { key: key.to_owned(), scale, standard_error }
}

/// Draws have the stated errors and correlations on their scales.
///
/// n = 40,000: the error of a mean is 0.005 sd, of a sd 0.0035, of a correlation at most 0.005; four of them are let pass.
#[test]
fn draws_have_the_law() {
    let law = ParameterLaw {
        parameters: vec![
            uncertain("flow.drift_per_day", Scale::Linear, 0.5),
            uncertain("flow.scale_median", Scale::Log, 0.3),
            uncertain("entrants.burn_all_probability", Scale::Logit, 0.4),
            uncertain("sales.miner", Scale::Linear, 0.01),
            uncertain("tao_usd.jump_sd", Scale::Log, 0.2),
        ],
        correlation: (0..5).map(|i| (0..5).map(|j: i32| 0.6_f64.powi((i - j).abs())).collect()).collect(),
    };
    let centre = scenario("").model;
    let sampler = ParameterSampler::new(&law).expect("a law");
    let n = 40_000;
    let mut sums = [[0.0; 5]; 5];
    let mut means = [0.0; 5];
    for replicate in 0..n {
        let drawn = sampler.draw(&centre, 7, replicate);
        let logit = |p: f64| (p / (1.0 - p)).ln();
        let z = [
            (drawn.flow.drift_per_day - centre.flow.drift_per_day) / 0.5,
            (drawn.flow.scale_median / centre.flow.scale_median).ln() / 0.3,
            (logit(drawn.entrants.burn_all_probability) - logit(0.3)) / 0.4,
            (drawn.sales.miner - 0.2) / 0.01,
            (drawn.tao_usd.jump_sd / centre.tao_usd.jump_sd).ln() / 0.2,
        ];
        for i in 0..5 {
            means[i] += z[i] / f64::from(n);
            (0..5).for_each(|j| sums[i][j] += z[i] * z[j] / f64::from(n));
        }
        assert_eq!(drawn.flow.volatility, centre.flow.volatility, "what has no error stays");
    }
    for i in 0..5 {
        assert!(means[i].abs() < 0.02, "{means:?}");
        for j in 0..5 {
            let expected = law.correlation[i][j];
            assert!((sums[i][j] - expected).abs() < if i == j { 0.028 } else { 0.02 }, "{i} {j}: {}", sums[i][j]);
        }
    }
}

#[test]
fn draws_are_clipped_to_what_a_key_may_be() {
    let law = ParameterLaw::independent(vec![uncertain("sales.miner", Scale::Linear, 10.0)]);
    let (sampler, centre) = (ParameterSampler::new(&law).expect("a law"), scenario("").model);
    let drawn: Vec<f64> = (0..100).map(|replicate| sampler.draw(&centre, 1, replicate).sales.miner).collect();
    assert!(drawn.iter().all(|value| (0.0..=1.0).contains(value)), "{drawn:?}");
    assert!(drawn.contains(&0.0) && drawn.contains(&1.0));
}
