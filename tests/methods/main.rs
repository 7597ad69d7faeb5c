//! Estimators of `[estimator]` from the command line: the same bytes whatever way a run takes, and what is left out or refused.

mod importance;
mod points;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;
use tempfile::tempdir;

/// A directory with the scenario `my.toml`.
fn place_of(scenario: &str) -> TempDir {
    let place = tempdir().unwrap();
    fs::write(place.path().join("my.toml"), scenario).unwrap();
    place
}

fn taorisk(place: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    command.current_dir(place.path()).args(arguments).output().expect("the program starts")
}

fn done(place: &TempDir, arguments: &[&str]) -> String {
    let output = taorisk(place, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a text")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn hash(place: &TempDir, run: &str) -> String {
    json(&place.path().join(run).join("manifest.json"))["result_hash"].as_str().expect("a hash").to_owned()
}
