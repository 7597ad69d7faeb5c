//! The canonical columns, what they hold, and the cells of a row on its way to them.

use std::collections::BTreeMap;

use crate::input::InputError;
use crate::input::ingest::forms::IngestKind;
use crate::input::ingest::forms::Unit;
use crate::input::ingest::record::Record;
use crate::input::ingest::record::Value;
use crate::input::ingest::record::parse_number;
use crate::units::RAO_PER_TAO;

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Numbers that stay as they are.
    Plain,
    /// Whole numbers.
    Whole,
    /// Amounts of TAO.
    Tao,
    /// Amounts of alpha.
    Alpha,
    /// TAO per alpha.
    Price,
    /// Texts.
    Text,
}

impl Content {
    /// Whether values can be in rao.
    pub fn has_unit(self) -> bool {
        matches!(self, Self::Tao | Self::Alpha | Self::Price)
    }
}

/// A canonical column.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnSpec {
    /// Name in the canonical file.
    pub name: &'static str,
    /// What its cells are.
    pub content: Content,
    /// Whether another snapshot may stand in: what a block does not move, or moves little.
    pub from_base: bool,
}

const fn column(name: &'static str, content: Content) -> ColumnSpec {
    ColumnSpec { name, content, from_base: false }
}

const fn slow(name: &'static str, content: Content) -> ColumnSpec {
    ColumnSpec { name, content, from_base: true }
}

/// Column that stands for three others: alpha outside the pool, whoever holds it. Read, not written.
pub(super) const OUTSTANDING: &str = "outstanding_alpha";

const SNAPSHOT: &[ColumnSpec] = &[
    column("netuid", Content::Whole),
    slow("name", Content::Text),
    column("block", Content::Whole),
    slow("registration_block", Content::Whole),
    column("tao_in", Content::Tao),
    column("alpha_in", Content::Alpha),
    slow("miner_burned_fraction", Content::Plain),
    slow("emission_enabled", Content::Whole),
    column("tao_in_emission_per_block", Content::Tao),
    column("alpha_issued", Content::Alpha),
    column("alpha_staked_by_wallets", Content::Alpha),
    slow("alpha_protocol_owned", Content::Alpha),
    slow("alpha_burned", Content::Alpha),
    column("owner_alpha", Content::Alpha),
    column("owner_locked_alpha", Content::Alpha),
    column("price", Content::Price),
    column("moving_price", Content::Plain),
    slow("first_emission_block", Content::Whole),
    slow("subnet_locked_tao", Content::Tao),
    column("user_flow_average_tao_per_block", Content::Tao),
    column("protocol_flow_average_tao_per_block", Content::Tao),
    column(OUTSTANDING, Content::Alpha),
];

const POSITIONS: &[ColumnSpec] = &[
    column("netuid", Content::Whole),
    column("alpha", Content::Alpha),
    column("value_tao", Content::Tao),
    column("take", Content::Plain),
    column("cost_tao", Content::Tao),
    column("book", Content::Text),
];

/// The columns of a kind, in the order of the file.
pub(super) fn columns(kind: IngestKind) -> &'static [ColumnSpec] {
    match kind {
        IngestKind::Snapshot => SNAPSHOT,
        IngestKind::Positions => POSITIONS,
    }
}

/// The column of a name.
pub(super) fn find(kind: IngestKind, name: &str) -> Option<&'static ColumnSpec> {
    columns(kind).iter().find(|spec| spec.name == name)
}

/// Where a cell comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The files.
    Source,
    /// The files, and was in rao.
    SourceRao,
    /// Other columns of the row.
    Derived,
    /// The other snapshot.
    Base,
    /// The mapping's constant.
    Constant,
}

/// A cell: a value and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    /// The value.
    pub value: Value,
    /// Its unit; [`Unit::Token`] once it is converted.
    pub unit: Unit,
    /// Where it comes from.
    pub origin: Origin,
}

impl Cell {
    /// A number in tokens.
    pub fn number(number: f64, origin: Origin) -> Self {
        Self { value: Value::Number(number), unit: Unit::Token, origin }
    }

    /// Brings an amount in rao to tokens.
    pub fn convert(&mut self, unit: Unit) {
        if let (Unit::Rao, Value::Number(number)) = (unit, &mut self.value) {
            *number /= RAO_PER_TAO;
            self.origin = Origin::SourceRao;
        }
        self.unit = Unit::Token;
    }
}

/// A row on its way to the file.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Where its record stands.
    pub place: String,
    /// File of that record.
    pub file: usize,
    /// Cells by the name of the column.
    pub cells: BTreeMap<&'static str, Cell>,
}

impl Row {
    /// The number of a column, where there is one.
    pub fn number(&self, column: &str) -> Option<f64> {
        match self.cells.get(column)?.value {
            Value::Number(number) => Some(number),
            Value::Text(_) => None,
        }
    }

    /// The text of a column, where there is one.
    pub fn text(&self, column: &str) -> Option<&str> {
        match &self.cells.get(column)?.value {
            Value::Text(text) => Some(text),
            Value::Number(_) => None,
        }
    }

    /// Sets a cell that is still empty.
    pub fn fill(&mut self, column: &'static str, cell: Cell) {
        self.cells.entry(column).or_insert(cell);
    }

    /// An error about one column.
    pub fn cell_problem(&self, column: &str, value: f64, allowed: &str) -> InputError {
        InputError::Cell {
            place: self.place.clone(),
            column: column.to_owned(),
            value: value.to_string(),
            allowed: allowed.to_owned(),
        }
    }

    /// An error about the row.
    pub fn problem(&self, problem: String) -> InputError {
        InputError::Row { place: self.place.clone(), problem }
    }
}

/// A field that a column is read from.
#[derive(Clone, Debug)]
pub(super) struct FieldRule {
    /// Column.
    pub spec: &'static ColumnSpec,
    /// Field.
    pub field: String,
    /// Unit of its values.
    pub unit: Unit,
}

/// Reads what the rules find in a record; of several rules for a column the first that finds something counts.
///
/// # Errors
/// A text where a number must be.
pub(super) fn read_row(record: &Record, file: usize, rules: &[FieldRule]) -> Result<Row, InputError> {
    let mut row = Row { place: record.place.clone(), file, cells: BTreeMap::new() };
    for rule in rules {
        if let Some(value) = record.value(&rule.field).filter(|_| !row.cells.contains_key(rule.spec.name)) {
            row.cells.insert(rule.spec.name, read_cell(record, rule, value)?);
        }
    }
    Ok(row)
}

fn read_cell(record: &Record, rule: &FieldRule, value: &Value) -> Result<Cell, InputError> {
    let origin = Origin::Source;
    Ok(match value {
        Value::Number(number) if rule.spec.content == Content::Text => {
            Cell { value: Value::Text(number.to_string()), unit: Unit::Token, origin }
        }
        Value::Number(number) => Cell { value: Value::Number(*number), unit: rule.unit, origin },
        Value::Text(text) if rule.spec.content == Content::Text => {
            Cell { value: Value::Text(text.clone()), unit: Unit::Token, origin }
        }
        Value::Text(text) if rule.unit == Unit::Unknown && !text.is_ascii() => {
            let number = balance_text(text).ok_or_else(|| record.not_a_number(&rule.field, text))?;
            Cell::number(number, origin)
        }
        Value::Text(text) => {
            let number = parse_number(text).ok_or_else(|| record.not_a_number(&rule.field, text))?;
            Cell { value: Value::Number(number), unit: rule.unit, origin }
        }
    })
}

/// The tokens of a balance as text with the sign of its unit: "τ1,234.500000000" is 1234.5.
fn balance_text(text: &str) -> Option<f64> {
    let digits: String = text.chars().filter(|letter| letter.is_ascii() && *letter != ',').collect();
    digits.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balances_as_text_are_tokens() {
        assert_eq!(balance_text("τ22,509.002321719"), Some(22_509.002_321_719));
        assert_eq!(balance_text("\u{200e}324,305.642595491α\u{200e}"), Some(324_305.642_595_491));
        assert_eq!(balance_text("τ"), None);
        assert_eq!(balance_text("τ12 alpha"), None);
    }
}
