//! What layers may not do: two of one rank the same key, an overlay what scenarios are compared on.

use std::collections::BTreeMap;

use toml::Table;
use toml::Value;

use crate::config::ConfigError;
use crate::config::factors::value_of;
use crate::config::layers::Content;
use crate::config::layers::REPLACED;
use crate::config::layers::ReadLayer;
use crate::config::overrides::is_within;

/// The one key of `[run]` that an overlay may set.
const NAME: &str = "run.name";

/// Keys and tables that an overlay may not touch, and why.
const FIXED: [(&str, &str); 7] = [
    ("run", "scenarios are compared on the same seed, paths, days and levels; only run.name may differ"),
    ("input", "scenarios are compared on the same network, books and parameter file"),
    ("chain.block", "it is that of the snapshot, which all scenarios start from"),
    ("policies", "scenarios are compared on the same books, which do the same"),
    ("exit", "scenarios are compared on the same books, which leave in the same way"),
    ("measures", "scenarios are compared by the same measures"),
    ("estimator", "scenarios are compared by the same estimator"),
];

/// Why an overlay may not touch `key`.
pub(super) fn fixed_reason(key: &str) -> Option<&'static str> {
    let is_open = key == "run" || key == NAME;
    let (_, reason) = FIXED.iter().find(|(fixed, _)| !is_open && is_within(key, fixed))?;
    Some(reason)
}

/// A key that a layer sets: where, and to what.
struct Setting<'a> {
    place: String,
    value: Value,
    layer: &'a ReadLayer<'a>,
}

/// Refuses an overlay that stands twice, and a key that two layers of one rank set, or that one sets and one multiplies.
/// Overlays may agree in its value.
///
/// # Errors
/// With the places of both.
pub(super) fn check_clashes(layers: &[ReadLayer<'_>]) -> Result<(), ConfigError> {
    let mut settings: BTreeMap<&str, Setting> = BTreeMap::new();
    for (index, layer) in layers.iter().enumerate() {
        if layers[..index].iter().any(|other| other.is_again(layer)) {
            let problem = "given twice; what it adds to lists and its factors would count twice".to_owned();
            return Err(ConfigError::Syntax { place: layer.source.name.to_owned(), problem });
        }
        let values = Table::try_from(&layer.alone).expect("a scenario is tables of values");
        for key in &layer.keys {
            let Some(value) = single_value(&values, &key.path, layer.content) else { continue };
            let setting = Setting { place: layer.source.place_of(key), value: value.clone(), layer };
            match settings.get(key.path.as_str()) {
                Some(other) if !agree(other, &setting) => return Err(refuse(&key.path, other, &setting)),
                _ => settings.insert(&key.path, setting),
            };
        }
    }
    for factor in layers.iter().flat_map(|layer| &layer.factors) {
        if let Some(setting) = settings.get(factor.key.as_str()) {
            return Err(ConfigError::Syntax {
                place: factor.place.clone(),
                problem: format!("a factor of `{}`, which {} sets: give one of them", factor.key, setting.place),
            });
        }
    }
    Ok(())
}

fn agree(one: &Setting<'_>, other: &Setting<'_>) -> bool {
    one.layer.content == Content::Overlay && other.layer.content == Content::Overlay && one.value == other.value
}

fn refuse(key: &str, one: &Setting<'_>, other: &Setting<'_>) -> ConfigError {
    let allowed = match other.layer.content {
        Content::Overlay if one.value.is_table() => {
            format!("the same in all overlays of a command; {} has another", one.place)
        }
        Content::Overlay => format!("the same in all overlays of a command; {} has {}", one.place, one.value),
        _ => format!("given once; {} gives it too", one.place),
    };
    let value = if other.value.is_table() { "a table".to_owned() } else { other.value.to_string() };
    ConfigError::Value { key: key.to_owned(), value, allowed, origin: other.place.clone() }
}

/// The value of a key that layers replace as a whole, and not part by part.
fn single_value<'t>(values: &'t Table, key: &str, content: Content) -> Option<&'t Value> {
    let is_part = key.contains('[')
        || (key != REPLACED && is_within(key, REPLACED))
        || key == NAME && content == Content::Overlay;
    let value = value_of(values, key).filter(|_| !is_part)?;
    let is_appended = content == Content::Overlay && value.is_array() && !key.contains('.');
    let is_table = value.is_table() && key != REPLACED;
    (!is_appended && !is_table).then_some(value)
}
