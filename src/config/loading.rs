//! From files and flags to a scenario: its layers are read, merged, multiplied and resolved.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;

use crate::config::ConfigError;
use crate::config::file::EMBEDDED;
use crate::config::file::Origins;
use crate::config::file::ScenarioFile;
use crate::config::layers::Content;
use crate::config::layers::Layer;
use crate::config::layers::Merged;
use crate::config::layers::merge;
use crate::config::library;
use crate::config::overrides::FlagKey;
use crate::config::rules::name_rules;
use crate::config::scenario::Overlay;
use crate::config::scenario::Overrides;
use crate::config::scenario::Scenario;
use crate::config::scenario::build;
use crate::config::scenario::input_file;
use crate::config::uncertainty;
use crate::config::uncertainty::ParameterFile;

impl Scenario {
    /// Reads the scenario file at `path` (`None`: the built-in base), what lies over it, its snapshot and positions, and
    /// checks all.
    ///
    /// # Errors
    /// Whatever [`ConfigError`] says; nothing is written.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        Self::load_with(path, &[], overrides)
    }

    /// As [`Scenario::load`] with `overlays` over the scenario, in order, after those of `overrides`.
    ///
    /// An overlay sets keys or multiplies them (`[factors]`) as a scenario does; its lists of tables come after those
    /// below. Two overlays may not set the same key, unless to the same value, nor any what scenarios are compared on:
    /// seed, paths, days, inputs, books and measures. What they set commutes; what they add to a list stands in their order.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn load_with(path: Option<&Path>, overlays: &[Overlay], overrides: &Overrides) -> Result<Self, ConfigError> {
        let Some(path) = path else { return Self::compose("base.toml", "", Path::new(""), overlays, overrides) };
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { file: name.clone(), source })?;
        Self::compose(&name, &text, path.parent().unwrap_or(Path::new("")), overlays, overrides)
    }

    /// As [`Scenario::load`] for a scenario in memory, which messages call `name`; its paths are relative to `directory`.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn from_text(name: &str, text: &str, directory: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        Self::compose(name, text, directory, &[], overrides)
    }

    fn compose(
        name: &str,
        text: &str,
        directory: &Path,
        overlays: &[Overlay],
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let own = Layer { name, text, content: Content::Scenario };
        let named = overrides.overlays.iter().map(|named| library::overlay(named)).collect::<Result<Vec<_>, _>>()?;
        let flag_keys = overrides.keys()?;
        let flags: Vec<Layer> = flag_keys.iter().map(FlagKey::layer).collect();
        let parameters = parameter_file(own, &flags, directory, overrides)?;
        let overlays = named.iter().chain(overlays).map(Overlay::layer);
        let layers = parameters.iter().map(ParameterFile::layer).chain([own]).chain(overlays).chain(flags.clone());
        let Merged { mut file, mut origins, factors } = merge(&layers.collect::<Vec<Layer>>())?;
        resolve_inputs(&mut file, &origins, directory);
        name_rules(&mut file, &mut origins)?;
        let factors = factors.apply(&mut file, &mut origins)?;
        apply_overrides(&mut file, &mut origins, overrides);
        let mut scenario = build(file, &origins)?;
        scenario.parameters_file = parameters.map(|parameters| input_file(&parameters.document));
        scenario.factors = factors;
        Ok(scenario)
    }

    /// The scenario that the manifest `name` holds in full, as [`Scenario::to_json`] wrote it; inputs are read again, from
    /// where they are named there. Of `overrides` only flags with a key of their own count: the rest is in the manifest.
    ///
    /// # Errors
    /// As [`Scenario::load`], and for keys of another version.
    pub fn from_json(name: &str, json: &serde_json::Value, overrides: &Overrides) -> Result<Self, ConfigError> {
        let file = ScenarioFile::deserialize(json);
        let mut file = file.map_err(|source| ConfigError::Foreign { file: name.to_owned(), source })?;
        let mut origins = Origins::all_of(name);
        apply_overrides(&mut file, &mut origins, overrides);
        build(file, &origins)
    }
}

/// Makes the file's own input paths relative to the working directory, as those of flags are.
fn resolve_inputs(file: &mut ScenarioFile, origins: &Origins, directory: &Path) {
    let input = &mut file.input;
    for (key, path) in [("input.snapshot", &mut input.snapshot), ("input.positions", &mut input.positions)] {
        if path != EMBEDDED && !origins.is_flag(key) {
            *path = directory.join(&*path).display().to_string();
        }
    }
    let directory = if origins.is_flag("input.parameters") { Path::new("") } else { directory };
    if let Some(path) = uncertainty::parameter_path(&input.parameters, directory) {
        input.parameters = path.display().to_string();
    }
}

/// The parameter file that a flag or the scenario `own` in `directory` names.
fn parameter_file(
    own: Layer<'_>,
    flags: &[Layer<'_>],
    directory: &Path,
    overrides: &Overrides,
) -> Result<Option<ParameterFile>, ConfigError> {
    let Merged { mut file, origins, .. } = merge(&[&[own], flags].concat())?;
    resolve_inputs(&mut file, &origins, directory);
    let (named, origin) = match &overrides.parameters {
        Some(path) => (path.display().to_string(), "--parameters"),
        None => (file.input.parameters, origins.of("input.parameters")),
    };
    let path = uncertainty::parameter_path(&named, Path::new(""));
    path.map(|path| ParameterFile::open(path, origin)).transpose()
}

fn apply_overrides(file: &mut ScenarioFile, origins: &mut Origins, overrides: &Overrides) {
    let run = &mut file.run;
    override_key(&mut run.paths, overrides.paths, origins, "run.paths", "--paths");
    override_key(&mut run.seed, overrides.seed, origins, "run.seed", "--seed");
    override_key(&mut run.horizon_days, overrides.horizon_days, origins, "run.horizon_days", "--horizon-days");
    override_key(
        &mut run.blocks_per_step,
        overrides.blocks_per_step,
        origins,
        "run.blocks_per_step",
        "--blocks-per-step",
    );
    let text = |path: &PathBuf| path.display().to_string();
    let snapshot = overrides.snapshot.as_ref().map(text);
    override_key(&mut file.input.snapshot, snapshot, origins, "input.snapshot", "--snapshot");
    let positions = overrides.positions.as_ref().map(text);
    override_key(&mut file.input.positions, positions, origins, "input.positions", "--positions");
    let parameters = overrides.parameters.as_ref().map(text);
    override_key(&mut file.input.parameters, parameters, origins, "input.parameters", "--parameters");
}

fn override_key<T>(value: &mut T, flag_value: Option<T>, origins: &mut Origins, key: &str, flag: &str) {
    if let Some(flag_value) = flag_value {
        *value = flag_value;
        origins.set(key, flag);
    }
}
