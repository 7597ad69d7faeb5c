//! Texts laid one over the other: the built-in base, a parameter file, the scenario.
//!
//! A key of a higher layer goes before the same key below, table by table; a list is replaced as a whole, and so is
//! `[uncertainty]`, whose errors belong to one estimation.

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;
use toml::de::Deserializer;

use crate::config::ConfigError;
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
const REPLACED: &str = "uncertainty";

/// What a layer may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Any key of a scenario.
    Scenario,
    /// [`PARAMETER_TABLES`].
    Parameters,
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

/// Lays `layers`, the lowest first, over the base.
///
/// # Errors
/// Not TOML, an unknown key, a value of the wrong type, or a table that a layer may not hold; with its file and line.
pub(super) fn merge(layers: &[Layer<'_>]) -> Result<(ScenarioFile, Origins), ConfigError> {
    let base = Source { name: BASE_NAME, text: BASE };
    let (base_table, base_keys) = base.parse()?;
    let mut merged = base_table.clone();
    let mut origins = Origins::default();
    base.record(&base_keys, &mut origins);
    for layer in layers {
        let source = Source { name: layer.name, text: layer.text };
        let (table, keys) = source.parse()?;
        let table = layer.admit(table.into_inner(), source, &keys)?;
        // The base alone always fits, so that any error of the two, and its span, is of the layer's text.
        let mut alone = base_table.clone();
        overlay(alone.get_mut(), table.clone());
        read(alone).map_err(|error| source.explain(&error, &keys, &base_keys))?;
        source.record(&keys, &mut origins);
        overlay(merged.get_mut(), table);
    }
    // What fits the base key by key fits it together.
    Ok((read(merged).expect("layers that fit the base one by one"), origins))
}

fn read(table: Spanned<DeTable<'_>>) -> Result<ScenarioFile, toml::de::Error> {
    ScenarioFile::deserialize(Deserializer::from(table))
}

impl Layer<'_> {
    /// What of the layer decides results; tables that it may not hold are refused.
    fn admit<'t>(self, mut table: DeTable<'t>, source: Source<'_>, keys: &[Key]) -> Result<DeTable<'t>, ConfigError> {
        if self.content == Content::Scenario {
            return Ok(table);
        }
        let is_foreign =
            |key: &&Key| !PARAMETER_TABLES.contains(&key.path.split(['.', '[']).next().unwrap_or_default());
        if let Some(key) = keys.iter().find(is_foreign) {
            let allowed = PARAMETER_TABLES.join(", ");
            let problem = format!("`{}` does not belong in a parameter file (allowed: {allowed})", key.path);
            return Err(ConfigError::Syntax { file: self.name.to_owned(), line: source.line_of(key), problem });
        }
        table.remove(PROVENANCE);
        Ok(table)
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
        let (file, origins) = merge(&layers(fit, "[flow]\ndrift_per_day = 0\n[run]\npaths = 3\n")).unwrap();
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
        let (file, _) = merge(&layers(fit, "")).unwrap();
        assert_eq!((file.uncertainty.parameters.len(), &file.uncertainty.correlation[..]), (1, &[vec![1.0]][..]));
        let (file, _) = merge(&layers(fit, "[uncertainty]\nparameters = []\n")).unwrap();
        assert_eq!((file.uncertainty.parameters.len(), file.uncertainty.correlation.len()), (0, 0));
        assert!(message("[uncertainty]\ncorrelation = []\n", "").starts_with("fit.toml:1: missing field `parameters`"));
    }
}
