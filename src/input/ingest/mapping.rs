//! The mapping file: for sources of no known form, and for what a known form lacks.
//!
//! ```toml
//! records = "result.subnets"          # JSON only, optional: where the list of records is
//!
//! [columns]                           # canonical column = where it comes from
//! netuid = "id"                       # a field alone
//! tao_in = { field = "pool.tao", unit = "rao" }
//! alpha_in = { field = "pool.alpha", unit = "rao" }
//! miner_burned_fraction = { field = "burn", constant = 0.0 }
//! emission_enabled = { constant = true }
//! ```
//!
//! `field` is a column of a table or a field of a JSON object, those of inner objects as `outer.inner`; it goes before
//! what the form says of the column. `unit` is `rao` or `token`, of amounts and prices; without it the unit is found by
//! plausibility. `constant` is for rows that nothing else fills, in tokens. Beside the columns of the canonical file a
//! snapshot may give `outstanding_alpha`, all alpha outside the pool.

use serde::Deserialize;

use crate::input::InputError;
use crate::input::document::Document;
use crate::input::ingest::columns::ColumnSpec;
use crate::input::ingest::columns::Content;
use crate::input::ingest::columns::FieldRule;
use crate::input::ingest::columns::columns;
use crate::input::ingest::columns::find;
use crate::input::ingest::forms::Form;
use crate::input::ingest::forms::IngestKind;
use crate::input::ingest::forms::Unit;
use crate::input::ingest::record::Value;

/// A mapping file, as written.
#[derive(Clone, Debug)]
pub struct Mapping {
    file: String,
    pub(super) records: Option<String>,
    columns: Vec<(String, Entry)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingFile {
    records: Option<String>,
    columns: toml::Table,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    field: Option<String>,
    unit: Option<EntryUnit>,
    constant: Option<toml::Value>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EntryUnit {
    Rao,
    Token,
}

impl Mapping {
    /// Reads a mapping.
    ///
    /// # Errors
    /// Not TOML, an unknown key, a column that neither kind of file has, an entry that says nothing.
    pub fn read(document: &Document) -> Result<Self, InputError> {
        let refused = |problem: String| InputError::Table { file: document.name.clone(), problem };
        let text = str::from_utf8(&document.bytes).map_err(|error| refused(format!("not a text: {error}")))?;
        let file: MappingFile =
            toml::from_str(text).map_err(|error| refused(error.to_string().trim_end().to_owned()))?;
        let mut mapped = Vec::new();
        for (column, value) in file.columns {
            let Some(spec) = KINDS.iter().find_map(|kind| find(*kind, &column)) else {
                return Err(refused(format!("columns.{column} is no column (allowed: {})", allowed_names())));
            };
            let entry = entry(spec, value).map_err(|problem| refused(format!("columns.{column}: {problem}")))?;
            mapped.push((column, entry));
        }
        Ok(Self { file: document.name.clone(), records: file.records, columns: mapped })
    }

    /// Columns with the fields that they are read from.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.columns.iter().filter_map(|(column, entry)| Some((column.as_str(), entry.field.as_deref()?)))
    }

    /// The column of each entry, which must be one of the kind.
    fn entries(&self, kind: IngestKind) -> Result<Vec<(&'static ColumnSpec, &Entry)>, InputError> {
        self.columns.iter().map(|(name, entry)| Ok((self.spec(kind, name)?, entry))).collect()
    }

    fn spec(&self, kind: IngestKind, name: &str) -> Result<&'static ColumnSpec, InputError> {
        find(kind, name).ok_or_else(|| {
            let problem = format!("columns.{name} is no column of {} (allowed: {})", kind.name(), names(kind));
            InputError::Table { file: self.file.clone(), problem }
        })
    }

    /// Constants by column.
    pub(super) fn constants(&self, kind: IngestKind) -> Result<Vec<(&'static ColumnSpec, Value)>, InputError> {
        let entries = self.entries(kind)?;
        Ok(entries
            .into_iter()
            .filter_map(|(spec, entry)| Some((spec, constant_value(spec, entry.constant.as_ref()?)?)))
            .collect())
    }
}

/// The fields that columns are read from: the mapping's, and the form's for columns that the mapping has no field for.
///
/// # Errors
/// A mapping of columns that the kind has not.
pub(super) fn field_rules(
    form: Form,
    kind: IngestKind,
    mapping: Option<&Mapping>,
) -> Result<Vec<FieldRule>, InputError> {
    let mut rules: Vec<FieldRule> = Vec::new();
    for (spec, entry) in mapping.map_or(Ok(Vec::new()), |mapping| mapping.entries(kind))? {
        let unit = match entry.unit {
            Some(EntryUnit::Rao) => Unit::Rao,
            None if spec.content.has_unit() => Unit::Unknown,
            _ => Unit::Token,
        };
        rules.extend(entry.field.clone().map(|field| FieldRule { spec, field, unit }));
    }
    let mapped = rules.len();
    for rule in form.rules(kind) {
        let spec = find(kind, rule.column).expect("forms name columns of their kind");
        if rules[..mapped].iter().all(|other| other.spec.name != rule.column) {
            rules.push(FieldRule { spec, field: rule.field.to_owned(), unit: rule.unit });
        }
    }
    Ok(rules)
}

const KINDS: [IngestKind; 2] = [IngestKind::Snapshot, IngestKind::Positions];

fn names(kind: IngestKind) -> String {
    columns(kind).iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ")
}

fn allowed_names() -> String {
    KINDS.map(|kind| format!("{}: {}", kind.name(), names(kind))).join("; ")
}

fn entry(spec: &ColumnSpec, value: toml::Value) -> Result<Entry, String> {
    let entry = match value {
        toml::Value::String(field) => Entry { field: Some(field), unit: None, constant: None },
        toml::Value::Table(table) => table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?,
        _ => return Err("must be the name of a field, or { field, unit, constant }".to_owned()),
    };
    if entry.field.is_none() && (entry.constant.is_none() || entry.unit.is_some()) {
        return Err("must have a `field`, or a `constant` alone".to_owned());
    }
    if entry.unit.is_some() && !spec.content.has_unit() {
        return Err("is no amount and has no unit; leave `unit` out".to_owned());
    }
    match entry.constant.as_ref().map(|constant| constant_value(spec, constant)) {
        Some(None) => Err(format!("`constant` must be {}", constant_words(spec))),
        _ => Ok(entry),
    }
}

/// A constant as a value of its column; `None` where it is of another kind.
fn constant_value(spec: &ColumnSpec, constant: &toml::Value) -> Option<Value> {
    match constant {
        toml::Value::String(text) if spec.content == Content::Text => Some(Value::Text(text.clone())),
        _ if spec.content == Content::Text => None,
        toml::Value::Integer(number) => Some(Value::Number(*number as f64)),
        toml::Value::Float(number) => Some(Value::Number(*number)),
        toml::Value::Boolean(flag) => Some(Value::Number(f64::from(u8::from(*flag)))),
        _ => None,
    }
}

fn constant_words(spec: &ColumnSpec) -> &'static str {
    if spec.content == Content::Text { "a text" } else { "a number, true or false" }
}
