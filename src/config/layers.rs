//! Texts laid one over the other: the built-in base, a parameter file, the scenario, overlays, keys of flags.
//!
//! A key of a higher layer goes before the same key below, table by table; a list is replaced as a whole, and so is
//! `[uncertainty]`, whose errors belong to one estimation. An overlay's lists of tables come after those below. Layers of
//! one rank, all overlays or all flags, may not set the same key, so that their order does not matter.

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::Table;
use toml::de::DeTable;
use toml::de::DeValue;
use toml::de::Deserializer;

use crate::config::ConfigError;
use crate::config::clash::check_clashes;
use crate::config::clash::fixed_reason;
use crate::config::factors::FACTORS;
use crate::config::factors::Factor;
use crate::config::factors::Factors;
use crate::config::factors::read_factors;
use crate::config::file::BASE;
use crate::config::file::BASE_NAME;
use crate::config::file::Key;
use crate::config::file::Origins;
use crate::config::file::ScenarioFile;
use crate::config::file::Source;

/// Tables that a parameter file may hold: what is estimated, how well, and where it comes from.
pub const PARAMETER_TABLES: [&str; 8] =
    ["flow", "sales", "tao_usd", "registration", "entrants", "subnets", "uncertainty", "provenance"];
/// The one of them that is for readers; it decides nothing and may hold anything.
const PROVENANCE: &str = "provenance";
/// The table that no layer adds to.
pub(super) const REPLACED: &str = "uncertainty";

/// What a layer may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// [`PARAMETER_TABLES`].
    Parameters,
    /// Any key of a scenario, and factors.
    Scenario,
    /// The same but what scenarios are compared on; what it adds to a list comes after what is there.
    Overlay,
    /// One key of a scenario.
    Set,
    /// One key of an overlay.
    Vary,
}

impl Content {
    fn is_flag(self) -> bool {
        matches!(self, Self::Set | Self::Vary)
    }

    /// Whether it has to leave alone what scenarios are compared on.
    fn is_compared(self) -> bool {
        matches!(self, Self::Overlay | Self::Vary)
    }

    /// Layers of the same rank may come in any order.
    fn has_rank_of(self, other: Self) -> bool {
        self == other || self.is_flag() && other.is_flag()
    }
}

/// A text that sets keys.
#[derive(Clone, Copy)]
pub(super) struct Layer<'a> {
    /// What messages call it.
    pub name: &'a str,
    /// TOML.
    pub text: &'a str,
    /// What it may hold.
    pub content: Content,
}

/// A complete scenario, with where each key was set, and factors that are still to multiply.
pub(super) struct Merged {
    pub file: ScenarioFile,
    pub origins: Origins,
    pub factors: Factors,
}

/// Lays `layers`, the lowest first, over the base.
///
/// # Errors
/// Not TOML, an unknown key, a value of the wrong type, a key that a layer may not hold or that another of its rank has;
/// with its file and line.
pub(super) fn merge(layers: &[Layer<'_>]) -> Result<Merged, ConfigError> {
    let base = Base::new()?;
    let mut stack =
        Stack { table: base.table.clone().into_inner(), origins: Origins::default(), factors: Factors::default() };
    base.source.record(&base.keys, &mut stack.origins);
    for group in layers.chunk_by(|a, b| a.content.has_rank_of(b.content)) {
        let read = group.iter().map(|layer| layer.read(&base)).collect::<Result<Vec<ReadLayer>, _>>()?;
        check_clashes(&read)?;
        if read.iter().flat_map(|layer| &layer.keys).any(|key| key.path == "protocol.rules") {
            // Named rules go before single keys of the layers below.
            stack.origins.forget("protocol");
        }
        read.into_iter().for_each(|layer| stack.lay(layer));
    }
    let Stack { table, origins, factors } = stack;
    // What fits the base key by key fits it together.
    let file = read(Spanned::new(0..0, table)).expect("layers that fit the base one by one");
    Ok(Merged { file, origins, factors })
}

fn read(table: Spanned<DeTable<'_>>) -> Result<ScenarioFile, toml::de::Error> {
    ScenarioFile::deserialize(Deserializer::from(table))
}

/// The base scenario, which every layer has to fit.
struct Base {
    source: Source<'static>,
    table: Spanned<DeTable<'static>>,
    keys: Vec<Key>,
    values: Table,
}

impl Base {
    fn new() -> Result<Self, ConfigError> {
        let source = Source { name: BASE_NAME, text: BASE, is_flag: false };
        let (table, keys) = source.parse()?;
        let file = read(table.clone()).expect("the base is complete");
        Ok(Self { source, table, keys, values: Table::try_from(&file).expect("a scenario is tables of values") })
    }
}

/// A layer that fits the base.
pub(super) struct ReadLayer<'a> {
    pub source: Source<'a>,
    pub content: Content,
    pub keys: Vec<Key>,
    pub factors: Vec<Factor>,
    /// The base with this layer alone.
    pub alone: ScenarioFile,
    table: DeTable<'a>,
}

impl<'a> Layer<'a> {
    fn read(self, base: &Base) -> Result<ReadLayer<'a>, ConfigError> {
        let source = Source { name: self.name, text: self.text, is_flag: self.content.is_flag() };
        let (table, keys) = source.parse()?;
        let mut table = table.into_inner();
        self.admit(source, &keys)?;
        let factors = read_factors(source, &table, &base.values)?;
        if self.content == Content::Parameters {
            table.remove(PROVENANCE);
        }
        table.remove(FACTORS);
        // The base alone always fits, so that any error of the two, and its span, is of the layer's text.
        let mut alone = base.table.clone();
        overlay(alone.get_mut(), table.clone());
        let alone = read(alone).map_err(|error| source.explain(&error, &keys, &base.keys))?;
        Ok(ReadLayer { source, content: self.content, keys, factors, alone, table })
    }

    /// Refuses what the layer may not hold.
    fn admit(self, source: Source<'_>, keys: &[Key]) -> Result<(), ConfigError> {
        let refused = keys.iter().find_map(|key| Some((key, self.refusal(&key.path)?)));
        let Some((key, reason)) = refused else { return Ok(()) };
        Err(ConfigError::Syntax { place: source.place_of(key), problem: format!("`{}` {reason}", key.path) })
    }

    /// Why it may not hold a key.
    fn refusal(self, key: &str) -> Option<String> {
        let table = key.split(['.', '[']).next().unwrap_or_default();
        if self.content == Content::Parameters && !PARAMETER_TABLES.contains(&table) {
            let allowed = PARAMETER_TABLES.join(", ");
            return Some(format!("does not belong in a parameter file (allowed: {allowed})"));
        }
        let own = key.strip_prefix(FACTORS).map_or(key, |rest| rest.trim_start_matches('.'));
        let reason = fixed_reason(own).filter(|_| self.content.is_compared())?;
        Some(match self.content {
            Content::Vary => format!("cannot be varied: {reason}"),
            _ => format!("does not belong in an overlay: {reason}"),
        })
    }
}

impl ReadLayer<'_> {
    /// Whether it is the same overlay.
    pub fn is_again(&self, other: &ReadLayer<'_>) -> bool {
        let is_overlay = self.content == Content::Overlay && other.content == Content::Overlay;
        is_overlay && (self.source.name, self.source.text) == (other.source.name, other.source.text)
    }
}

/// What is laid so far.
struct Stack<'a> {
    table: DeTable<'a>,
    origins: Origins,
    factors: Factors,
}

impl<'a> Stack<'a> {
    fn lay(&mut self, mut layer: ReadLayer<'a>) {
        if layer.content == Content::Overlay {
            self.compose_name(&mut layer);
            self.append_lists(&mut layer);
        }
        layer.keys.iter().for_each(|key| self.factors.forget(&key.path));
        layer.factors.into_iter().for_each(|factor| self.factors.add(factor));
        layer.source.record(&layer.keys, &mut self.origins);
        overlay(&mut self.table, layer.table);
    }

    /// Names the scenario "a + b" where `b`, called so or by its file, lies over `a`.
    fn compose_name(&mut self, layer: &mut ReadLayer<'a>) {
        let run = layer.table.get_mut("run").and_then(|run| as_table(run.get_mut()));
        let given = run.and_then(|run| run.remove("name")).map(Spanned::into_inner);
        let own = given.as_ref().and_then(DeValue::as_str).filter(|name| !name.trim().is_empty());
        let own = own.map(str::to_owned).unwrap_or_else(|| {
            let path = Path::new(layer.source.name);
            path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
        });
        let name = self.table.get_mut("run").and_then(|run| as_table(run.get_mut())?.get_mut("name"));
        if let Some(DeValue::String(name)) = name.map(Spanned::get_mut) {
            *name = Cow::Owned(format!("{name} + {own}"));
        }
    }

    /// Moves the layer's lists of tables to the end of those below.
    fn append_lists(&mut self, layer: &mut ReadLayer<'a>) {
        for (name, below) in &mut self.table {
            let DeValue::Array(below) = below.get_mut() else { continue };
            let Some(DeValue::Array(own)) = layer.table.remove(name.get_ref().as_ref()).map(Spanned::into_inner) else {
                continue;
            };
            layer.keys.iter_mut().for_each(|key| key.count_from(name.get_ref(), below.len()));
            own.into_iter().for_each(|table| below.push(table));
        }
    }
}

fn as_table<'t, 'a>(value: &'t mut DeValue<'a>) -> Option<&'t mut DeTable<'a>> {
    match value {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// Replaces what `own` has in `base`, table by table.
fn overlay<'a>(base: &mut DeTable<'a>, own: DeTable<'a>) {
    for (key, value) in own {
        let name = key.get_ref().as_ref();
        match (base.get_mut(name).map(Spanned::get_mut), value.get_ref()) {
            (Some(DeValue::Table(below)), DeValue::Table(_)) if name != REPLACED => {
                if let DeValue::Table(above) = value.into_inner() {
                    overlay(below, above);
                }
            }
            _ => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers<'a>(parameters: &'a str, scenario: &'a str) -> [Layer<'a>; 2] {
        [
            Layer { name: "fit.toml", text: parameters, content: Content::Parameters },
            Layer { name: "my.toml", text: scenario, content: Content::Scenario },
        ]
    }

    fn message(parameters: &str, scenario: &str) -> String {
        merge(&layers(parameters, scenario)).err().expect("the layers must be refused").to_string()
    }

    #[test]
    fn the_highest_layer_wins_and_every_key_knows_its_place() {
        let fit = "[provenance]\nwindow = [1, 2]\n[flow]\nscale_median = 0.02\ndrift_per_day = 0.001\n\
                   [flow.jumps]\nrate_per_day = 0.2\n";
        let Merged { file, origins, .. } =
            merge(&layers(fit, "[flow]\ndrift_per_day = 0\n[run]\npaths = 3\n")).unwrap();
        let flow = &file.flow;
        assert_eq!((flow.scale_median, flow.drift_per_day, flow.jumps.rate_per_day), (0.02, 0.0, 0.2));
        assert_eq!((flow.jumps.up_mean, file.run.paths), (2.6, 3));
        let places = ["flow.scale_median", "flow.drift_per_day", "flow.jumps.rate_per_day", "run.paths"];
        assert_eq!(places.map(|key| origins.of(key)), ["fit.toml:4", "my.toml:2", "fit.toml:7", "my.toml:4"]);
        assert!(origins.of("flow.jumps.up_mean").starts_with(BASE_NAME));
    }

    #[test]
    fn errors_name_the_layer_that_made_them() {
        let cases = [
            ("[run]\npaths = 3", "", "fit.toml:1: `run` does not belong in a parameter file (allowed: flow, sales,"),
            ("[flow]\nsize_exponent = 0\n[chain]\n", "", "fit.toml:3: `chain` does not belong"),
            ("seed = 1", "", "fit.toml:1: `seed` does not belong in a parameter file"),
            ("[flow]\nspeed = 1", "", "fit.toml:2: unknown key `flow.speed` (allowed: scale_median,"),
            ("\n[flow]\nscale_median = \"x\"", "", "flow.scale_median = \"x\" (must be a number) in fit.toml:3"),
            (
                "[flow]\nscale_median = 1\n\n\n",
                "[flow]\nscale_median = \"x\"",
                "flow.scale_median = \"x\" (must be a number) in my.toml:2",
            ),
            ("[flow]\nscale_median = ", "", "fit.toml:2: "),
            ("", "[provenance]\n", "my.toml:1: unknown key `provenance`"),
        ];
        for (fit, own, expected) in cases {
            assert!(message(fit, own).starts_with(expected), "{fit:?}: {}", message(fit, own));
        }
    }

    #[test]
    fn uncertainty_is_replaced_as_a_whole() {
        let fit = "[uncertainty]\ncorrelation = [[1]]\n[[uncertainty.parameters]]\nkey = \"flow.drift_per_day\"\n\
                   scale = \"linear\"\nstandard_error = 0.1\n";
        let file = merge(&layers(fit, "")).unwrap().file;
        assert_eq!((file.uncertainty.parameters.len(), &file.uncertainty.correlation[..]), (1, &[vec![1.0]][..]));
        let file = merge(&layers(fit, "[uncertainty]\nparameters = []\n")).unwrap().file;
        assert_eq!((file.uncertainty.parameters.len(), file.uncertainty.correlation.len()), (0, 0));
        assert!(message("[uncertainty]\ncorrelation = []\n", "").starts_with("fit.toml:1: missing field `parameters`"));
    }
}
