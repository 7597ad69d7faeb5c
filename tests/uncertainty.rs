//! Parameter files below a scenario, the law of parameters, and what drawing them does to results and their errors.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::model::parameters::PARAMETERS;
use taorisk::model::parameters::Parameter;
use taorisk::model::uncertainty::ParameterLaw;
use taorisk::model::uncertainty::ParameterSampler;
use taorisk::model::uncertainty::Scale;
use taorisk::model::uncertainty::UncertainParameter;
use taorisk::output::read::read_summary;
use taorisk::risk::clusters::ClusterSample;
use taorisk::risk::clusters::Clusters;
use taorisk::risk::estimate::Estimate;
use taorisk::risk::measure::Basis;
use taorisk::risk::measure::Currency;
use taorisk::risk::measure::Measure;
use taorisk::risk::measure::SummaryRow;
use taorisk::risk::moments::Moments;
use taorisk::risk::tail::SortedTail;
use taorisk::risk::tail::WorstTail;
use taorisk::rng::Address;
use taorisk::rng::Purpose;
use taorisk::rng::normals4;
use taorisk::rng::words;
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

/// Keys of the tables that a parameter file holds, in the order of the complete scenario; all but one that is assumed, and whose
/// range depends on the loadings.
#[test]
fn every_key_of_the_model_has_a_parameter() {
    let complete: toml::Table = scenario("").to_toml().parse().expect("TOML");
    let mut keys = Vec::new();
    for table in ["flow", "sales", "tao_usd", "registration", "entrants"] {
        collect(table, &complete[table], &mut keys);
    }
    keys.retain(|key| key != "flow.sector_loading");
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
    assert!(means.iter().all(|mean: &f64| mean.abs() < 0.02), "{means:?}");
    for (i, (found, expected)) in sums.iter().zip(&law.correlation).enumerate() {
        for (j, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert!((found - expected).abs() < if i == j { 0.028 } else { 0.02 }, "{i} {j}: {found}");
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

/// Losses `T + e` with T normal of deviation `spread`, one for each replicate of `length` paths, and e standard normal.
struct Toy {
    spread: f64,
    length: u32,
    replicates: u32,
}

/// What a run would say of a toy: plain estimates, and the sample that corrects them.
struct ToyRun {
    moments: Moments,
    tail: SortedTail,
    hits: u64,
    sample: ClusterSample,
}

impl Toy {
    fn deviation(&self) -> f64 {
        self.spread.hypot(1.0)
    }

    fn run(&self, number: u32, confidence: f64) -> ToyRun {
        let paths = self.length * self.replicates;
        let normal = |slot: u32, index: u32| {
            let address = Address { path: index / 4, step: number, slot, purpose: Purpose::Parameters, index: 0 };
            normals4(words(99, address))[index as usize % 4]
        };
        let (mut moments, mut tail) = (Moments::default(), WorstTail::new(u64::from(paths), confidence));
        let (mut clusters, mut hits) = (Clusters::new(u64::from(self.length)), 0);
        for path in 0..paths {
            let loss = self.spread * normal(1, path / self.length) + normal(2, path);
            moments.push(-loss);
            tail.push(loss);
            hits += u64::from(loss > 0.0);
            clusters.push(u64::from(path), -loss);
        }
        ToyRun { moments, tail: tail.into_sorted(), hits, sample: clusters.into_sample() }
    }
}

impl ToyRun {
    /// Mean, deviation, probability of a loss, value at risk, expected shortfall: as of independent paths, and corrected.
    fn estimates(&self, confidence: f64) -> [[Estimate; 2]; 5] {
        let sample = &self.sample;
        let mean = self.moments.mean().expect("paths");
        let deviation = self.moments.standard_deviation().expect("paths");
        let probability = Estimate::proportion(self.hits, mean.samples);
        let value_at_risk = self.tail.value_at_risk(confidence).expect("paths");
        let shortfall = self.tail.expected_shortfall(confidence).expect("paths");
        [
            [mean, sample.mean(mean)],
            [deviation, sample.deviation(deviation)],
            [probability, sample.probability(probability)],
            [value_at_risk, sample.value_at_risk(value_at_risk, confidence)],
            [shortfall, sample.expected_shortfall(shortfall, value_at_risk.value, confidence)],
        ]
    }
}

/// Quantile and density of the standard normal law at 95 %: value at risk and, over 0.05, shortfall.
const Z: f64 = 1.644_853_626_951_472_6;
const DENSITY_AT_Z: f64 = 0.103_135_640_375_375;

/// Predictive variance is within + between, and the value at risk that of the predictive law.
///
/// R = 4,000 replicates of 50: the error of the parameters' deviation is 1.2 to 8 %; four of them are let pass.
#[test]
fn a_normal_parameter_and_a_normal_loss_have_known_answers() {
    for (spread, number) in [(0.5, 1), (0.2, 2)] {
        let toy = Toy { spread, length: 50, replicates: 4_000 };
        let (run, total) = (toy.run(number, 0.95), toy.deviation());
        let [mean, deviation, probability, value_at_risk, shortfall] = run.estimates(0.95).map(|[_, found]| found);
        for (name, found, truth) in [
            ("mean", mean, 0.0),
            ("deviation", deviation, total),
            ("probability", probability, 0.5),
            ("value at risk", value_at_risk, Z * total),
            ("shortfall", shortfall, DENSITY_AT_Z / 0.05 * total),
        ] {
            assert!((found.value - truth).abs() < 4.0 * found.standard_error, "{name}: {found:?} and {truth}");
        }
        assert!((mean.standard_error / (spread * spread / 4e3 + 1.0 / 2e5).sqrt() - 1.0).abs() < 0.05, "{mean:?}");

        let sample = &run.sample;
        let near = |name: &str, found: Estimate, truth: f64| {
            let error = found.standard_error;
            assert!((found.value - truth).abs() < 4.0 * error && error < 0.15 * truth, "{name}: {found:?} and {truth}");
        };
        near("mean", sample.mean_parameter_error().unwrap(), spread);
        near("share", sample.parameter_variance_share().unwrap(), spread * spread / (total * total));
        // Var Phi(T) = P(two losses of a replicate are above 0) - 1/4 = asin(spread^2 / total^2) / 2 pi.
        let arc = (spread * spread / (total * total)).asin() / std::f64::consts::TAU;
        near("probability", sample.loss_parameter_error().unwrap(), arc.sqrt());
        near("value at risk", sample.value_at_risk_parameter_error(0.95).unwrap(), spread);
        near("shortfall", sample.shortfall_parameter_error(0.95).unwrap(), spread);
        // Out of the reach of halves of 25 paths: the largest loss of each stands for it.
        near("value at risk at 99 %", sample.value_at_risk_parameter_error(0.99).unwrap(), spread);
    }
}

/// 1,000 samples of 200 replicates of 20 paths: of 95 % intervals 91.5 to 98 % cover (their own error is 0.7 %; with 100
/// replicates 91 to 95 %); intervals of independent paths, which have a third of the error, cover far less.
#[test]
fn intervals_of_replicates_cover() {
    let toy = Toy { spread: 0.6, length: 20, replicates: 200 };
    let total = toy.deviation();
    let truths = [0.0, total, 0.5, Z * total, DENSITY_AT_Z / 0.05 * total];
    let mut covered = [[0; 2]; 5];
    for number in 0..1_000 {
        let estimates = toy.run(number, 0.95).estimates(0.95);
        for ((covered, estimates), truth) in covered.iter_mut().zip(estimates).zip(truths) {
            for (covered, estimate) in covered.iter_mut().zip(estimates) {
                *covered += u32::from(estimate.ci_low <= truth && truth <= estimate.ci_high);
            }
        }
    }
    println!("plain and corrected, of 1,000: mean, deviation, probability, VaR, ES: {covered:?}");
    for [plain, corrected] in covered {
        assert!((915..=980).contains(&corrected) && plain + 40 < corrected, "{covered:?}");
    }
    assert!(covered[0][0] < 700, "{covered:?}");
}

/// The interval of the parameter error of the mean covers, whatever noise the replicates leave.
#[test]
fn intervals_of_parameter_errors_cover() {
    for (spread, least) in [(0.5, 900), (0.1, 900), (0.0, 930)] {
        let toy = Toy { spread, length: 20, replicates: 100 };
        let covers = |number: &u32| {
            let found = toy.run(*number, 0.95).sample.mean_parameter_error().unwrap();
            found.ci_low <= spread && spread <= found.ci_high
        };
        let covered = (0..1_000).filter(covers).count();
        println!("{spread}: {covered} of 1,000");
        assert!(covered >= least && (spread == 0.0 || covered <= 985), "{spread}: {covered}");
    }
}

fn run_scenario(directory: &TempDir, name: &str, text: &str) -> Vec<SummaryRow> {
    fs::write(directory.path().join("scenario.toml"), text).expect("a scenario file");
    Command::new(env!("CARGO_BIN_EXE_taorisk"))
        .current_dir(directory.path())
        .args(["run", "scenario.toml", "--quiet", "--out", name])
        .assert()
        .success();
    read_summary(&directory.path().join(name)).expect("a summary")
}

fn find(rows: &[SummaryRow], measure: Measure) -> Estimate {
    let mut row = rows.iter().filter(|row| (row.basis, row.currency) == (Basis::Mark, Currency::Tao));
    row.rfind(|row| row.measure == measure).unwrap_or_else(|| panic!("{measure:?}")).estimate
}

const SMALL: &str =
    "[run]\npaths = 640\nhorizon_days = 5\nreport_days = [1]\npaths_per_replicate = 16\nevent_paths = 640\n";

/// A law without anything in it leaves the chance of the paths: only the scales of the subnets of the snapshot are drawn, and
/// those not where they have no spread. Only errors and what is said of them differ.
#[test]
fn a_law_of_nothing_changes_no_path() {
    let directory = TempDir::new().expect("a temporary directory");
    let spreads = "[flow]\nscale_sd_log = 0\nloading_sd = 0\n[uncertainty]\nparameters = []\n";
    let off = run_scenario(&directory, "off", &format!("{SMALL}{spreads}"));
    let on = run_scenario(&directory, "on", &format!("{SMALL}parameter_uncertainty = true\n{spreads}"));
    let bytes = |name: &str| fs::read(directory.path().join(name)).expect("a file");
    for measure in [Measure::MeanPnl, Measure::ValueAtRisk, Measure::ExpectedShortfall, Measure::DeregisteredHoldings] {
        assert_eq!(find(&off, measure).value, find(&on, measure).value, "{measure:?}");
    }
    assert_eq!(bytes("off/events.parquet").len(), bytes("on/events.parquet").len());
    assert!(off.iter().all(|row| row.measure != Measure::MeanPnlParameterError));
    let share = find(&on, Measure::ParameterVarianceShare);
    assert!(share.ci_low < 0.01, "no parameter, no share: {share:?}");
}

/// A drift that is uncertain by much moves mean and spread as it must: P&L of a replicate follows its drift.
#[test]
fn an_uncertain_drift_shows_in_the_split() {
    let directory = TempDir::new().expect("a temporary directory");
    let law =
        "[uncertainty]\nparameters = [{ key = \"flow.drift_per_day\", scale = \"linear\", standard_error = 0.02 }]\n";
    let off = run_scenario(&directory, "off", &format!("{SMALL}{law}"));
    let on = run_scenario(&directory, "on", &format!("{SMALL}parameter_uncertainty = true\n{law}"));
    let [plain, drawn] = [&off, &on].map(|rows| find(rows, Measure::SdPnl).value);
    let parameters = find(&on, Measure::MeanPnlParameterError);
    // A pool that grows by a part f has its price grow by 2 f (equal weights): 1,000 TAO x 2 x 0.02 x 5 days = 200 TAO.
    assert!((parameters.value - 200.0).abs() < 4.0 * parameters.standard_error, "{parameters:?}");
    assert!((drawn.hypot(0.0) / plain.hypot(parameters.value) - 1.0).abs() < 0.15, "{plain} {drawn} {parameters:?}");
    let mean = find(&on, Measure::MeanPnl);
    assert!(mean.standard_error > 3.0 * find(&off, Measure::MeanPnl).standard_error, "{mean:?}");
    let text = Command::new(env!("CARGO_BIN_EXE_taorisk"))
        .current_dir(directory.path())
        .args(["summarize", "on"])
        .output()
        .expect("the program starts");
    let text = String::from_utf8(text.stdout).expect("UTF-8");
    assert!(text.contains("Errors at 5 days, TAO") && text.contains("parameter error"), "{text}");
}

#[test]
fn a_path_of_a_replicate_is_replayed() {
    let directory = TempDir::new().expect("a temporary directory");
    run_scenario(&directory, "run", &format!("{SMALL}parameter_uncertainty = true\n"));
    for path in ["0", "15", "16", "639"] {
        Command::new(env!("CARGO_BIN_EXE_taorisk"))
            .current_dir(directory.path())
            .args(["replay", "run", "--path", path])
            .assert()
            .success();
    }
}

#[test]
fn converge_refuses_drawn_parameters() {
    let directory = TempDir::new().expect("a temporary directory");
    fs::write(directory.path().join("s.toml"), "run.parameter_uncertainty = true\n").expect("a scenario file");
    let assert = Command::new(env!("CARGO_BIN_EXE_taorisk"))
        .current_dir(directory.path())
        .args(["converge", "s.toml"])
        .assert()
        .code(2);
    let message = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(message.contains("set run.parameter_uncertainty = false"), "{message}");
}

/// The parameter file's name stands in the scenario, its hash among the inputs of the manifest.
#[test]
fn the_manifest_names_the_parameter_file() {
    let directory = directory_with(FIT, "[run]\npaths = 20\nhorizon_days = 2\n");
    Command::new(env!("CARGO_BIN_EXE_taorisk"))
        .current_dir(directory.path())
        .args(["run", "scenario.toml", "--quiet", "--out", "run"])
        .assert()
        .success();
    let text = fs::read_to_string(directory.path().join("run/manifest.json")).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(manifest["scenario"]["input"]["parameters"], "fit.toml");
    assert_eq!(manifest["inputs"]["parameters"].as_str().map(str::len), Some(64));
}
