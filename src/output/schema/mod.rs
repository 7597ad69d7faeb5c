//! The columns of every result file, as data: names, types, meanings, null rules.
#![doc = concat!("\n", include_str!("../SCHEMA.md"))]

use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;

mod command_files;
pub mod documents;
mod page;
mod run_files;

pub use command_files::BACKTEST;
pub use command_files::BLOCKS;
pub use command_files::CALIBRATION;
pub use command_files::CONVERGENCE;
pub use command_files::DRIVERS;
pub use command_files::LIQUIDITY;
pub use command_files::SCORES;
pub use page::COMMAND_FILES;
pub use page::schema_markdown;
pub use run_files::ATTRIBUTION;
pub use run_files::CREDIT;
pub use run_files::EVENTS;
pub use run_files::FILES;
pub use run_files::OPTIONAL_FILE;
pub use run_files::PATHS;
pub use run_files::QUANTILES;
pub use run_files::REVENUE;
pub use run_files::SAMPLES;
pub use run_files::SUBNETS;
pub use run_files::SUMMARY;

/// Raised when a column is removed or redefined.
pub const SCHEMA_VERSION: u32 = 1;
/// Key of a column's meaning in its Arrow field metadata.
pub const MEANING_KEY: &str = "meaning";

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Small counts and ids.
    U32,
    /// Counts, blocks, paths.
    U64,
    /// Amounts and figures.
    F64,
    /// Names.
    Text,
    /// Yes or no.
    Bool,
}

impl Kind {
    /// Arrow's type.
    pub fn data_type(self) -> DataType {
        match self {
            Self::U32 => DataType::UInt32,
            Self::U64 => DataType::UInt64,
            Self::F64 => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Bool => DataType::Boolean,
        }
    }
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name, with its unit last.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// What it says.
    pub meaning: &'static str,
    /// When it is null; `None` if never.
    pub null_rule: Option<&'static str>,
}

/// One file.
#[derive(Debug, PartialEq, Eq)]
pub struct FileSchema {
    /// Name in the run directory.
    pub file: &'static str,
    /// What a row is, and in which order they stand.
    pub rows: &'static str,
    /// Its columns in order.
    pub columns: &'static [Column],
}

impl FileSchema {
    /// Arrow's schema; the meaning of a column is metadata of its field.
    #[expect(clippy::disallowed_types, reason = "Arrow's metadata type; one entry, nothing iterates it")]
    pub fn arrow(&self) -> Arc<Schema> {
        let field = |column: &Column| {
            let metadata = std::collections::HashMap::from([(MEANING_KEY.to_owned(), column.description())]);
            Field::new(column.name, column.kind.data_type(), column.null_rule.is_some()).with_metadata(metadata)
        };
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }
}

impl Column {
    /// Meaning and null rule as one text.
    pub fn description(&self) -> String {
        match self.null_rule {
            Some(rule) => format!("{}. Null {rule}", self.meaning),
            None => self.meaning.to_owned(),
        }
    }

    /// The same column, null by a rule.
    pub(super) const fn null(self, rule: &'static str) -> Self {
        Self { null_rule: Some(rule), ..self }
    }
}

pub(super) const fn column(name: &'static str, kind: Kind, meaning: &'static str) -> Column {
    Column { name, kind, meaning, null_rule: None }
}

pub(super) const fn number(name: &'static str, meaning: &'static str) -> Column {
    column(name, Kind::F64, meaning)
}

const PATH: Column = column("path", Kind::U64, "path index");
const NETUID: Column = column("netuid", Kind::U32, "slot number of the subnet on the chain");
const REGISTERED_AT: Column =
    column("registered_at", Kind::U64, "block of the subnet's registration; with netuid it names the subnet");
pub(super) const BOOK: Column = column("book", Kind::Text, "name of the book");
pub(super) const HORIZON_DAYS: Column = number("horizon_days", "report horizon (days from the start)");
