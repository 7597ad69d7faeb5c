//! What any source is first made into: records of named values, each with its place for messages.

use std::collections::BTreeSet;

use crate::input::InputError;

/// A value as the source has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A number; true is 1, false 0.
    Number(f64),
    /// A text, which may be a number in decimal.
    Text(String),
}

/// One object of a JSON list, or one row of a table.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// File with line (CSV), row (Parquet) or number of the record (JSON).
    pub place: String,
    /// Names and values, those of nested objects as `outer.inner`. No nulls, no empty texts, no lists.
    pub fields: Vec<(String, Value)>,
}

impl Record {
    /// The value of a field, where it has one.
    pub fn value(&self, field: &str) -> Option<&Value> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, value)| value)
    }

    /// The number of a field, where it has one.
    ///
    /// # Errors
    /// A text that is no number.
    pub fn number(&self, field: &str) -> Result<Option<f64>, InputError> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(*number)),
            Some(Value::Text(text)) => parse_number(text).map(Some).ok_or_else(|| self.not_a_number(field, text)),
        }
    }

    /// An error about a text that is no number.
    pub fn not_a_number(&self, field: &str, text: &str) -> InputError {
        self.cell(field, format!("`{}`", shortened(text)), "a number")
    }

    /// An error about one field.
    pub fn cell(&self, field: &str, value: String, allowed: &str) -> InputError {
        InputError::Cell { place: self.place.clone(), column: field.to_owned(), value, allowed: allowed.to_owned() }
    }

    /// An error about the record.
    pub fn problem(&self, problem: String) -> InputError {
        InputError::Row { place: self.place.clone(), problem }
    }
}

/// Names of all fields of `records`.
pub(super) fn field_names(records: &[Record]) -> BTreeSet<&str> {
    records.iter().flat_map(|record| &record.fields).map(|(name, _)| name.as_str()).collect()
}

/// A text with control characters and outer space taken away; `None` where nothing is left.
pub(super) fn cleaned(text: &str) -> Option<String> {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A number in decimal; also `true` (1) and `false` (0).
pub(super) fn parse_number(text: &str) -> Option<f64> {
    match text {
        "true" | "True" | "TRUE" => Some(1.0),
        "false" | "False" | "FALSE" => Some(0.0),
        _ => text.parse().ok(),
    }
}

/// What a message shows of a text.
fn shortened(text: &str) -> String {
    const LETTERS: usize = 40;
    if text.chars().count() <= LETTERS {
        return text.to_owned();
    }
    text.chars().take(LETTERS).chain("...".chars()).collect()
}
