//! What a command line lays over a scenario: overlays, any key by `--set`, and flags with a key of their own.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use toml::Value;
use toml::de::DeValue;

use crate::config::ConfigError;
use crate::config::factors::FACTORS;
use crate::config::layers::Content;
use crate::config::layers::Layer;

/// A text of keys that lies over a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// What messages call it: the path, or the name of a built-in text.
    pub name: String,
    /// TOML.
    pub text: String,
}

impl Overlay {
    /// Reads the file that a flag names.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(named: &str) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(Path::new(named));
        let text = text.map_err(|source| ConfigError::UnreadableOverlay { file: named.to_owned(), source })?;
        Ok(Self { name: named.to_owned(), text })
    }

    pub(super) fn layer(&self) -> Layer<'_> {
        Layer { name: &self.name, text: &self.text, content: Content::Overlay }
    }
}

/// Values of flags, which go before keys of the same name. Paths are relative to the working directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `run.paths`.
    pub paths: Option<i64>,
    /// `run.seed`.
    pub seed: Option<i64>,
    /// `run.horizon_days`.
    pub horizon_days: Option<f64>,
    /// `run.blocks_per_step`.
    pub blocks_per_step: Option<i64>,
    /// `input.snapshot`.
    pub snapshot: Option<PathBuf>,
    /// `input.positions`.
    pub positions: Option<PathBuf>,
    /// `input.parameters`.
    pub parameters: Option<PathBuf>,
    /// Overlays over the scenario, in order.
    pub overlays: Vec<String>,
    /// Any keys, each as `key=value`; they go before overlays.
    pub set: Vec<String>,
    /// The same for a point of a sweep, which keeps what an overlay has to keep.
    pub vary: Vec<String>,
}

impl Overrides {
    /// Keys that have a flag of their own which is given, with that flag.
    fn flagged(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let flags = [
            (self.paths.is_some(), "run.paths", "--paths"),
            (self.seed.is_some(), "run.seed", "--seed"),
            (self.horizon_days.is_some(), "run.horizon_days", "--horizon-days"),
            (self.blocks_per_step.is_some(), "run.blocks_per_step", "--blocks-per-step"),
            (self.snapshot.is_some(), "input.snapshot", "--snapshot"),
            (self.positions.is_some(), "input.positions", "--positions"),
            (self.parameters.is_some(), "input.parameters", "--parameters"),
        ];
        flags.into_iter().filter(|(is_given, ..)| *is_given).map(|(_, key, flag)| (key, flag))
    }

    /// The keys of `--set` and `--vary`.
    pub(super) fn keys(&self) -> Result<Vec<FlagKey>, ConfigError> {
        let set = self.set.iter().map(|given| FlagKey::read("--set", given, Content::Set));
        let vary = self.vary.iter().map(|given| FlagKey::read("--vary", given, Content::Vary));
        let keys = set.chain(vary).collect::<Result<Vec<FlagKey>, ConfigError>>()?;
        for key in &keys {
            let multiplied = key.key.strip_prefix(FACTORS).and_then(|rest| rest.strip_prefix('.'));
            let set = multiplied.unwrap_or(&key.key);
            if let Some((own, flag)) = self.flagged().find(|(own, _)| is_within(own, set)) {
                return Err(key.refuse(format!("{flag} sets `{own}` already")));
            }
        }
        Ok(keys)
    }
}

/// Whether a key is another, or in its table.
pub(super) fn is_within(key: &str, table: &str) -> bool {
    key.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// A key and its value out of a flag, as a text of one line.
pub(super) struct FlagKey {
    name: String,
    key: String,
    text: String,
    content: Content,
}

impl FlagKey {
    /// A value that is no TOML is a text, and so is a date: the day of `protocol.rules`.
    fn read(flag: &str, given: &str, content: Content) -> Result<Self, ConfigError> {
        let (key, value) = given.split_once('=').unwrap_or((given, ""));
        let (key, value) = (key.trim().to_owned(), value.trim());
        let is_toml = DeValue::parse(value).is_ok_and(|value| !value.get_ref().is_datetime());
        let value = if is_toml { value.to_owned() } else { Value::from(value).to_string() };
        let text = format!("{key} = {value}");
        let key = Self { name: format!("{flag} {given}"), key, text, content };
        match given.contains('=') {
            false => Err(key.refuse("must be KEY=VALUE, such as flow.jumps.rate_per_day=0.2")),
            true if !key.is_dotted() => {
                Err(key.refuse("the key must be names with dots between; a list is set as a whole"))
            }
            true => Ok(key),
        }
    }

    fn is_dotted(&self) -> bool {
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        self.key.split('.').all(is_name)
    }

    fn refuse(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError::Syntax { place: self.name.clone(), problem: problem.into() }
    }

    pub fn layer(&self) -> Layer<'_> {
        Layer { name: &self.name, text: &self.text, content: self.content }
    }
}
