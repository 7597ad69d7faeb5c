//! Factors: numbers that multiply the values of keys below, under the same names in a table `[factors]`.

use std::collections::BTreeMap;

use toml::Table;
use toml::Value;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::config::ConfigError;
use crate::config::file::Origins;
use crate::config::file::ScenarioFile;
use crate::config::file::Source;

/// The table that holds them.
pub(super) const FACTORS: &str = "factors";
/// How far from a whole number the product of a whole number may be, as a part of it.
const WHOLE_TOLERANCE: f64 = 1e-9;

/// A number that multiplies the value of a key.
#[derive(Clone, Debug)]
pub(super) struct Factor {
    pub key: String,
    pub by: f64,
    pub place: String,
}

/// Reads the table of a text; `known`: a complete scenario, whose keys may have factors.
pub(super) fn read_factors(source: Source<'_>, table: &DeTable<'_>, known: &Table) -> Result<Vec<Factor>, ConfigError> {
    let mut factors = Vec::new();
    if let Some(value) = table.get(FACTORS) {
        let place = source.place(value.span().start);
        read_value(
            source,
            value.get_ref(),
            &Value::Table(known.clone()),
            Named { key: String::new(), place },
            &mut factors,
        )?;
    }
    Ok(factors)
}

/// A key of the scenario that a text gives a factor.
struct Named {
    key: String,
    place: String,
}

impl Named {
    fn path(&self) -> String {
        if self.key.is_empty() { FACTORS.to_owned() } else { format!("{FACTORS}.{}", self.key) }
    }

    fn refuse(self, value: &DeValue<'_>, allowed: &str) -> ConfigError {
        ConfigError::Value { key: self.path(), value: text_of(value), allowed: allowed.to_owned(), origin: self.place }
    }
}

fn read_value(
    source: Source<'_>,
    value: &DeValue<'_>,
    known: &Value,
    named: Named,
    factors: &mut Vec<Factor>,
) -> Result<(), ConfigError> {
    match (known, value) {
        (Value::Table(known), DeValue::Table(table)) => {
            for (name, value) in table {
                let name_text = name.get_ref();
                let key =
                    if named.key.is_empty() { name_text.to_string() } else { format!("{}.{name_text}", named.key) };
                let within = Named { key, place: source.place(name.span().start) };
                let Some(known) = known.get(name_text.as_ref()) else {
                    let allowed = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                    let problem = format!("unknown key `{}` (allowed: {allowed})", within.path());
                    return Err(ConfigError::Syntax { place: within.place, problem });
                };
                read_value(source, value.get_ref(), known, within, factors)?;
            }
            Ok(())
        }
        (Value::Table(_), _) => Err(named.refuse(value, "a table of keys")),
        (Value::Integer(_) | Value::Float(_), _) => match number(value).filter(|by| by.is_finite()) {
            Some(by) => {
                factors.push(Factor { key: named.key, by, place: named.place });
                Ok(())
            }
            None => Err(named.refuse(value, "a finite number")),
        },
        _ => Err(named.refuse(value, "left out: only a single number has a factor")),
    }
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(text) => i64::from_str_radix(text.as_str(), text.radix()).ok().map(|whole| whole as f64),
        DeValue::Float(text) => text.as_str().parse().ok(),
        _ => None,
    }
}

fn text_of(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Factors of keys that no layer above sets.
#[derive(Debug, Default)]
pub(super) struct Factors(BTreeMap<String, Vec<Factor>>);

impl Factors {
    pub fn add(&mut self, factor: Factor) {
        self.0.entry(factor.key.clone()).or_default().push(factor);
    }

    /// A layer sets the key: what multiplied the value below has nothing to multiply.
    pub fn forget(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Multiplies the values and tells of each in a line. The product of the factors of a key, in ascending order, is one
    /// factor: the order of layers does not reach a bit of the value.
    ///
    /// # Errors
    /// A whole number that does not stay one.
    pub fn apply(self, file: &mut ScenarioFile, origins: &mut Origins) -> Result<Vec<String>, ConfigError> {
        if self.0.is_empty() {
            return Ok(Vec::new());
        }
        let mut tree = Table::try_from(&*file).expect("a scenario is tables of values");
        let mut notes = Vec::new();
        for (key, mut factors) in self.0 {
            let value = value_mut(&mut tree, &key).expect("factors are of keys that are there");
            factors.sort_by(|a, b| a.by.total_cmp(&b.by));
            let by: f64 = factors.iter().map(|factor| factor.by).product();
            let words: Vec<String> =
                factors.iter().map(|factor| format!("times {} in {}", factor.by, factor.place)).collect();
            let words = format!("{}, {}", origins.of(&key), words.join(", "));
            notes.push(format!("{key} = {value} of {words}"));
            multiply(value, by).map_err(|product| ConfigError::Value {
                key: key.clone(),
                value: product.to_string(),
                allowed: format!("a whole number, {value} times a factor"),
                origin: words.clone(),
            })?;
            origins.set(&key, &words);
        }
        *file = tree.try_into().expect("numbers of the same kinds in the same places");
        Ok(notes)
    }
}

/// Multiplies a number; the error is the product that is not whole.
fn multiply(value: &mut Value, by: f64) -> Result<(), f64> {
    match value {
        Value::Integer(whole) => {
            let product = *whole as f64 * by;
            let is_whole = (product - product.round()).abs() <= WHOLE_TOLERANCE * product.abs();
            if !(is_whole && product.abs() <= i64::MAX as f64) {
                return Err(product);
            }
            *whole = product.round() as i64;
        }
        Value::Float(number) => *number *= by,
        _ => unreachable!("factors are of numbers"),
    }
    Ok(())
}

/// The value of a key with dots.
pub(super) fn value_of<'t>(tree: &'t Table, key: &str) -> Option<&'t Value> {
    match key.split_once('.') {
        Some((name, rest)) => value_of(tree.get(name)?.as_table()?, rest),
        None => tree.get(key),
    }
}

fn value_mut<'t>(tree: &'t mut Table, key: &str) -> Option<&'t mut Value> {
    match key.split_once('.') {
        Some((name, rest)) => value_mut(tree.get_mut(name)?.as_table_mut()?, rest),
        None => tree.get_mut(key),
    }
}
