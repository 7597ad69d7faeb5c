//! Overlays, factors and keys by flag: what lies over what, what may not meet, and that every refusal says where.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use taorisk::config::scenario::Overlay;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use tempfile::TempDir;

/// A scenario of its own file, with overlays `a.toml`, `b.toml`, .. over it, and `--set` flags.
fn load(own: &str, overlays: &[&str], set: &[&str]) -> Result<Scenario, String> {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("my.toml");
    fs::write(&path, own).expect("a file in it");
    let overlays: Vec<Overlay> = overlays
        .iter()
        .zip(["a.toml", "b.toml", "c.toml"])
        .map(|(text, name)| Overlay { name: name.to_owned(), text: (*text).to_owned() })
        .collect();
    let set = set.iter().map(|given| (*given).to_owned()).collect();
    let loaded = Scenario::load_with(Some(&path), &overlays, &Overrides { set, ..Overrides::default() });
    loaded.map_err(|error| error.to_string().replace(&path.display().to_string(), "my.toml"))
}

fn loaded(own: &str, overlays: &[&str], set: &[&str]) -> Scenario {
    load(own, overlays, set).unwrap_or_else(|error| panic!("{overlays:?} {set:?}: {error}"))
}

fn assert_refused(own: &str, overlays: &[&str], set: &[&str], expected: &str) {
    let message = load(own, overlays, set).err().unwrap_or_else(|| panic!("{overlays:?} {set:?} pass"));
    assert!(message.starts_with(expected), "{overlays:?} {set:?}: {message}\nnot {expected}");
}

#[test]
fn an_overlay_without_effect_changes_nothing() {
    let own = "[flow]\nscale_median = 0.02\n[[clusters]]\nnetuids = [3]\nrate_per_day = 0.1\nlog_reserve_mean = 0\n\
               log_reserve_sd = 1";
    let hash = loaded(own, &[], &[]).hash().to_owned();
    let texts =
        ["", "[run]\nname = \"x\"", "switches = []", "[flow]\nscale_median = 0.02", "[factors.flow]\nscale_median = 1"];
    for text in texts {
        assert_eq!(loaded(own, &[text], &[]).hash(), hash, "{text}");
    }
    assert_ne!(loaded(own, &["[factors.flow]\nscale_median = 1.0000000000000002"], &[]).hash(), hash);
    assert_ne!(
        loaded(
            own,
            &["[[clusters]]\nnetuids = [4]\nrate_per_day = 0.1\nlog_reserve_mean = 0\nlog_reserve_sd = 1"],
            &[]
        )
        .hash(),
        hash
    );
}

#[test]
fn overlays_of_different_keys_commute() {
    let own = "[protocol]\nfee_rate = 0.01\nowner_cut = 0.1\n[factors]\nsales.miner = 1.7";
    let pairs = [
        ("[flow]\ndrift_per_day = -0.01", "[flow.jumps]\nrate_per_day = 0.3\n[tao_usd]\njump_mean = -0.1"),
        ("[factors.flow]\nscale_median = 1.1", "[factors]\nflow.scale_median = 0.7\nsales.miner = 1.3"),
        ("[protocol]\nrules = \"2025-11-20\"", "[protocol]\nshare_rule = \"N\"\n[factors.protocol]\nfee_rate = 3"),
        ("[feedback]\nmomentum = 0.1", "[[switches]]\nday = 3\nsubnet_limit = 256"),
    ];
    for (a, b) in pairs {
        let (one, other) = (loaded(own, &[a, b], &[]), loaded(own, &[b, a], &[]));
        assert_eq!(one.hash(), other.hash(), "{a}, {b}");
        assert_ne!(one.hash(), loaded(own, &[a], &[]).hash(), "{b} does something");
        assert_ne!(one.hash(), loaded(own, &[b], &[]).hash(), "{a} does something");
    }
}

#[test]
fn the_same_key_twice_names_both_files() {
    let drift = "[flow]\ndrift_per_day = -0.01";
    let expected =
        "flow.drift_per_day = -0.02 (must be the same in all overlays of a command; a.toml:2 has -0.01) in b.toml:3";
    assert_refused("", &[drift, "\n[flow]\ndrift_per_day = -0.02"], &[], expected);
    loaded("", &[drift, "[flow]\ndrift_per_day = -1e-2"], &[]);
    loaded(drift, &["[flow]\ndrift_per_day = -0.02"], &[]);
    let cases = [
        (
            ["[factors]\nflow.drift_per_day = 2", drift],
            "a.toml:2: a factor of `flow.drift_per_day`, which b.toml:2 sets: give one of them",
        ),
        (
            ["[flow]\ndrift_per_day = 1\n[factors]\nflow.drift_per_day = 2", ""],
            "a.toml:4: a factor of `flow.drift_per_day`, which a.toml:2 sets: give one of them",
        ),
        (
            ["[run]\n[market_states]\nmean_days = [1, 2, 3]", "[market_states]\nmean_days = [1, 2, 4]"],
            "market_states.mean_days = [1.0, 2.0, 4.0] (must be the same in all overlays of a command; a.toml:3 has",
        ),
        (
            [
                "[uncertainty]\nparameters = []",
                "[uncertainty]\ncorrelation = []\nparameters = [{ key = \"flow.drift_per_day\", scale = \"linear\", standard_error = 1.0 }]",
            ],
            "uncertainty = a table (must be the same in all overlays of a command; a.toml:1 has another) in b.toml:1",
        ),
        (
            ["[[subnets]]\nnetuid = 3\nscale = 0.1", "\n[[subnets]]\nnetuid = 4\n[[subnets]]\nscale = 0.2\nnetuid = 3"],
            "subnets[2].netuid = 3 (must be given once; subnets[0] has it too, in a.toml:2) in b.toml:6",
        ),
        (
            ["[[revenue]]\nnetuid = 93", "[[revenue]]\nnetuid = 93"],
            "revenue[1].netuid = 93 (must be a subnet that no other [[revenue]] has; that in a.toml:2 has it) in b.toml:2",
        ),
    ];
    for (overlays, expected) in cases {
        assert_refused("", &overlays, &[], expected);
    }
}

#[test]
fn lists_of_tables_grow_and_know_their_places() {
    let own = "[[switches]]\nday = 1\nsubnet_limit = 200";
    let overlays = ["[[switches]]\nday = 2\nsubnet_limit = 210", "switches = [{ day = 3, subnet_limit = 220 }]"];
    let scenario = loaded(own, &overlays, &[]);
    assert_eq!((scenario.switches.len(), scenario.slots_max()), (3, 220));
    let flag = loaded(own, &overlays, &["switches=[{day = 5, subnet_limit = 130}]"]);
    assert_eq!((flag.switches.len(), flag.slots_max()), (1, 130), "a flag replaces the list");
    let bad = "[[switches]]\nday = 4\nsubnet_limit = 220\n[[switches]]\nday = 4\nprobability = 2\nsubnet_limit = 220";
    assert_refused(own, &[overlays[0], bad], &[], "switches[3].probability = 2 (must be from 0 to 1) in b.toml:6");
}

#[test]
fn the_same_overlay_twice_is_refused() {
    let overlay = Overlay { name: "a.toml".to_owned(), text: "[factors.flow]\nscale_median = 2".to_owned() };
    let error = Scenario::load_with(None, &[overlay.clone(), overlay], &Overrides::default()).unwrap_err();
    assert!(error.to_string().starts_with("a.toml: given twice; what it adds"), "{error}");
}

#[test]
fn what_scenarios_are_compared_on_is_refused() {
    let cases = [
        (
            "[run]\nname = \"x\"\nseed = 2",
            "a.toml:3: `run.seed` does not belong in an overlay: scenarios are compared on",
        ),
        ("[run]\nhorizon_days = 9", "a.toml:2: `run.horizon_days` does not belong"),
        ("run.confidence = [0.9]", "a.toml:1: `run.confidence` does not belong"),
        ("factors.run.paths = 2", "a.toml:1: `factors.run.paths` does not belong"),
        ("[input]\ndefault_take = 0", "a.toml:1: `input` does not belong"),
        ("[chain]\ntao_usd = 200\nblock = 9184186", "a.toml:3: `chain.block` does not belong"),
        ("\n[[policies]]\nname = \"x\"", "a.toml:2: `policies` does not belong"),
        ("exit.days = 3", "a.toml:1: `exit` does not belong"),
        ("[flow]\nspeed = 1", "a.toml:2: unknown key `flow.speed` (allowed: scale_median,"),
        ("[flow]\nscale_median = \"x\"", "flow.scale_median = \"x\" (must be a number) in a.toml:2"),
        ("[flow]\nflow_cap = 90", "flow.flow_cap = 90 (must be above 0 and at most 80) in a.toml:2"),
    ];
    for (text, expected) in cases {
        assert_refused("", &[text], &[], expected);
    }
}

#[test]
fn composed_scenarios_have_composed_names() {
    let name = |overlays: &[&str], set: &[&str]| loaded("[run]\nname = \"desk\"", overlays, set).name;
    assert_eq!(name(&["[run]\nname = \"crash\"", "[run]\nname = \" \"", ""], &[]), "desk + crash + b + c");
    assert_eq!(name(&["", ""], &["run.name=x y"]), "x y");
}

#[test]
fn factors_multiply_what_lies_below() {
    let own = "[flow]\nscale_median = 0.02\n[factors]\nsales.miner = 0.5";
    let overlays = [
        "[factors]\nflow.scale_median = 3",
        "[factors.flow]\nscale_median = 0.5\n[factors]\nsales.miner = 4\nrun = {}",
    ];
    let model = loaded(own, &overlays, &[]).model;
    assert_eq!((model.flow.scale_median, model.sales.miner), (0.02 * 1.5, 0.2 * 2.0));
    let flagged = loaded(own, &overlays, &["flow.scale_median=0.1", "factors.sales.miner=2"]).model;
    assert_eq!((flagged.flow.scale_median, flagged.sales.miner), (0.1, 0.2 * 4.0), "a value above has no factors");
    let named =
        loaded("[protocol]\nrules = \"2025-11-20\"", &["[factors.protocol]\nimmunity_period_blocks = 0.5"], &[]);
    let plain = loaded("[protocol]\nrules = \"2025-11-20\"", &[], &[]);
    assert_eq!(2 * named.protocol.immunity_period_blocks, plain.protocol.immunity_period_blocks, "of the named rules");
    let text = loaded(own, &overlays, &[]).to_toml();
    let line = "# flow.scale_median = 0.02 of my.toml:2, times 0.5 in b.toml:2, times 3 in a.toml:2\n";
    let path = text.lines().find(|line| line.starts_with("# flow.scale_median")).expect("a line of the factor");
    assert!(line.trim_end().ends_with(path.rsplit_once("my.toml").expect("the file").1), "{path}");
    assert!(!text.contains("[factors"), "{text}");
    assert_eq!(loaded(&text, &[], &[]).hash(), loaded(own, &overlays, &[]).hash());
}

#[test]
fn factors_that_cannot_be_are_refused() {
    let cases = [
        (
            "[factors.flow]\nspeed = 1",
            "a.toml:2: unknown key `factors.flow.speed` (allowed: scale_median, scale_sd_log,",
        ),
        ("[factors]\nflo.x = 1", "a.toml:2: unknown key `factors.flo` (allowed: run, input,"),
        ("factors = 3", "factors = 3 (must be a table of keys) in a.toml:1"),
        ("[factors]\nflow = 3", "factors.flow = 3 (must be a table of keys) in a.toml:2"),
        (
            "[factors]\nflow.drift_per_day = \"x\"",
            "factors.flow.drift_per_day = \"x\" (must be a finite number) in a.toml:2",
        ),
        (
            "[factors]\nflow.drift_per_day = nan",
            "factors.flow.drift_per_day = nan (must be a finite number) in a.toml:2",
        ),
        (
            "[factors]\nprotocol.rules = 2",
            "factors.protocol.rules = 2 (must be left out: only a single number has a factor)",
        ),
        ("[factors]\nprotocol.entrants_enabled = 2", "factors.protocol.entrants_enabled = 2 (must be left out"),
        ("[factors]\nmarket_states.mean_days = 2", "factors.market_states.mean_days = 2 (must be left out"),
        ("[factors]\nswitches = 2", "factors.switches = 2 (must be left out"),
    ];
    for (text, expected) in cases {
        assert_refused("", &[text], &[], expected);
    }
    let whole = load("", &["[factors]\nprotocol.subnet_limit = 1.3"], &[]).unwrap_err();
    let (value, origin) = whole.split_once(" in ").expect("a place");
    assert_eq!(value, "protocol.subnet_limit = 166.4 (must be a whole number, 128 times a factor)");
    assert!(origin.starts_with("base.toml (built in):") && origin.ends_with(", times 1.3 in a.toml:2"), "{origin}");
    let range = load("", &["[factors]\n\nflow.jumps.rate_per_day = 3000"], &[]).unwrap_err();
    assert!(range.starts_with("flow.jumps.rate_per_day = 294") && range.contains("(must be from 0 to 100)"), "{range}");
    assert!(range.ends_with(", times 3000 in a.toml:3"), "{range}");
    assert_refused("[factors]\nflow.speed = 1", &[], &[], "my.toml:2: unknown key `factors.flow.speed`");
}

#[test]
fn named_rules_go_before_single_keys_below_them() {
    let complete = loaded("[protocol]\nshare_rule = \"F0\"", &[], &[]).to_toml();
    let rules = "[protocol]\nrules = \"2025-11-20\"";
    let expected = loaded(rules, &[], &[]);
    assert_eq!(loaded(&complete, &[rules], &[]).hash(), expected.hash(), "an overlay over keys of the scenario");
    assert_eq!(loaded(&complete, &[], &["protocol.rules=2025-11-20"]).hash(), expected.hash(), "a day without quotes");
    assert_eq!(loaded(rules, &["[protocol]\nrules = \"current\""], &[]).hash(), loaded("", &[], &[]).hash());
}

#[test]
fn flags_set_any_key() {
    let scenario = loaded(
        "[flow]\ndrift_per_day = 0.1",
        &["[flow]\nvolatility_cap = 4"],
        &[
            "flow.jumps.rate_per_day=0.2",
            "protocol.share_rule=E1",
            "protocol.root_rule = \"R2\"",
            "flow.volatility_cap=5",
            "run.report_days=[1,7]",
            "run.horizon_days=7",
        ],
    );
    let flow = scenario.model.flow;
    assert_eq!((flow.jumps.rate_per_day, flow.volatility_cap, flow.drift_per_day), (0.2, 5.0, 0.1));
    assert_eq!((scenario.report_horizons.len(), scenario.horizon_steps), (2, 7));
    assert_eq!(scenario.protocol, loaded("[protocol]\nshare_rule = \"E1\"\nroot_rule = \"R2\"", &[], &[]).protocol);
    let cases: [(&[&str], &str); 10] = [
        (&["flow.speed=1"], "--set flow.speed=1: unknown key `flow.speed` (allowed: scale_median,"),
        (
            &["flow.drift_per_day=much"],
            "flow.drift_per_day = \"much\" (must be a number) in --set flow.drift_per_day=much",
        ),
        (&["flow.flow_cap=90"], "flow.flow_cap = 90 (must be above 0 and at most 80) in --set flow.flow_cap=90"),
        (&["flow.drift_per_day"], "--set flow.drift_per_day: must be KEY=VALUE, such as"),
        (&["switches[0].day=3"], "--set switches[0].day=3: the key must be names with dots between"),
        (&["=3"], "--set =3: the key must be"),
        (&["run.paths=1\nrun.seed=2"], "run.paths = \"\"\""),
        (
            &["flow.flow_cap=1", "flow.flow_cap=1.0"],
            "flow.flow_cap = 1.0 (must be given once; --set flow.flow_cap=1 gives it too) in --set flow.flow_cap=1.0",
        ),
        (
            &["flow.flow_cap=1", "factors.flow.flow_cap=2"],
            "--set factors.flow.flow_cap=2: a factor of `flow.flow_cap`, which",
        ),
        (&["input.parameters=no.toml"], "input.parameters = \"no.toml\" (must be a file with parameters"),
    ];
    for (set, expected) in cases {
        assert_refused("", &[], set, expected);
    }
    for set in ["run.seed=4", "factors.run.seed=4", "run={ seed = 4 }"] {
        let overrides = Overrides { seed: Some(3), set: vec![set.to_owned()], ..Overrides::default() };
        let error = Scenario::load(None, &overrides).unwrap_err();
        assert_eq!(error.to_string(), format!("--set {set}: --seed sets `run.seed` already"));
    }
}

fn taorisk(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    let output = command.current_dir(directory).args(arguments).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

#[test]
fn commands_take_overlays_and_keys() {
    let directory = TempDir::new().expect("a temporary directory");
    let files = [
        ("s.toml", "[run]\npaths = 200\nhorizon_days = 3\n"),
        ("none.toml", "[factors]\nflow.scale_median = 1\n"),
        ("wild.toml", "[factors]\nflow.scale_median = 2\n"),
        ("sub/book.csv", "netuid,alpha\n3,10\n"),
    ];
    fs::create_dir(directory.path().join("sub")).expect("a directory");
    for (name, text) in files {
        fs::write(directory.path().join(name), text).expect("a file");
    }
    let run = |out: &str, flags: &[&str]| {
        let arguments = [&["run", "s.toml", "--quiet", "--out", out], flags].concat();
        let (code, _, errors) = taorisk(directory.path(), &arguments);
        assert_eq!(code, 0, "{errors}");
        fs::read(directory.path().join(out).join("paths.parquet")).expect("paths")
    };
    let plain = run("plain", &[]);
    assert_eq!(run("none", &["--overlay", "none.toml"]), plain, "no effect, the same bytes");
    assert_ne!(run("wild", &["--overlay", "wild.toml"]), plain);
    assert_eq!(run("undone", &["--overlay", "wild.toml", "--set", "factors.flow.scale_median=0.5"]), plain);
    let (code, text, errors) = taorisk(
        directory.path(),
        &["check", "s.toml", "--overlay", "wild.toml", "--set", "input.positions=sub/book.csv"],
    );
    assert_eq!(code, 0, "{errors}");
    assert!(text.contains("times 2 in wild.toml:2\n") && text.contains("name = \"base + wild\""), "{text}");
    assert!(errors.contains("1 position") && errors.contains("sub/book.csv"), "{errors}");
    let (code, text, errors) = taorisk(
        directory.path(),
        &["sweep", "--set", "run.paths=1000", "--set", "run.horizon_days=1", "--vary", "sales.miner=0"],
    );
    assert_eq!(code, 0, "{errors}");
    assert!(text.contains("\n1,000 paths at each point"), "{text}");
    for (flags, expected) in [
        (["--overlay", "gone.toml"], "error: cannot read the overlay gone.toml"),
        (["--set", "flow.speed=1"], "error: --set flow.speed=1: unknown key `flow.speed` (allowed: "),
    ] {
        for command in ["check", "run", "attribute"] {
            let (code, text, errors) = taorisk(directory.path(), &[&[command], &flags[..]].concat());
            assert_eq!((code, text.as_str()), (2, ""), "{command} {flags:?}: {errors}");
            assert!(errors.contains(expected), "{command}: {errors}");
        }
    }
}
