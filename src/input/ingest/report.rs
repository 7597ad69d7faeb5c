//! What became of the files: per column where its cells come from, and what was dropped.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::input::ingest::columns::ColumnSpec;
use crate::input::ingest::columns::Origin;
use crate::input::ingest::columns::Row;

/// Fields that the text names before it only counts.
const FIELDS_SHOWN: usize = 12;

/// What became of the files.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// `snapshot` or `positions`.
    pub kind: &'static str,
    /// The files.
    pub files: Vec<FileReport>,
    /// Rows of the table.
    pub rows: usize,
    /// Block of a snapshot.
    pub block: Option<u64>,
    /// Columns of the table.
    pub columns: Vec<ColumnReport>,
    /// Records and cells that are not in the table, by reason.
    pub dropped: BTreeMap<String, usize>,
    /// What a reader should look at.
    pub remarks: Vec<String>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileReport {
    /// Its name.
    pub file: String,
    /// Its form.
    pub form: &'static str,
    /// Its records.
    pub records: usize,
    /// Fields that no column is read from.
    pub unused_fields: Vec<String>,
}

/// Where the cells of a column come from: numbers of rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ColumnReport {
    /// Column.
    pub column: &'static str,
    /// From the files, as they stand there.
    pub from_files: usize,
    /// From the files, and converted from rao.
    pub from_files_rao: usize,
    /// Computed from other columns.
    pub derived: usize,
    /// From the other snapshot.
    pub from_base: usize,
    /// The mapping's constant.
    pub from_constant: usize,
    /// From nowhere.
    pub empty: usize,
}

impl ColumnReport {
    /// Counts the cells of a column.
    pub(super) fn of(spec: &ColumnSpec, rows: &[Row]) -> Self {
        let mut report = Self { column: spec.name, ..Self::default() };
        for row in rows {
            *match row.cells.get(spec.name).map(|cell| cell.origin) {
                Some(Origin::Source) => &mut report.from_files,
                Some(Origin::SourceRao) => &mut report.from_files_rao,
                Some(Origin::Derived) => &mut report.derived,
                Some(Origin::Base) => &mut report.from_base,
                Some(Origin::Constant) => &mut report.from_constant,
                None => &mut report.empty,
            } += 1;
        }
        report
    }

    /// Whether any row has a cell.
    pub(super) fn has_cells(&self, rows: usize) -> bool {
        self.empty < rows
    }

    fn words(&self) -> String {
        let parts = [
            (self.from_files, "from the files"),
            (self.from_files_rao, "from the files, in rao"),
            (self.derived, "derived"),
            (self.from_base, "from the base"),
            (self.from_constant, "constant"),
            (self.empty, "empty"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        parts.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    }
}

impl Report {
    /// Counts something that is not in the table.
    pub(super) fn drop(&mut self, reason: impl Into<String>, count: usize) {
        if count > 0 {
            *self.dropped.entry(reason.into()).or_default() += count;
        }
    }

    /// The report for a reader.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            let _ = writeln!(text, "read      {}: {} records, form {}", file.file, file.records, file.form);
        }
        let block = self.block.map_or(String::new(), |block| format!(" of block {block}"));
        let _ = writeln!(text, "table     {}{block}, {} rows", self.kind, self.rows);
        for column in &self.columns {
            let _ = writeln!(text, "column    {:<36} {}", column.column, column.words());
        }
        for (reason, count) in &self.dropped {
            let _ = writeln!(text, "dropped   {count} {reason}");
        }
        for file in self.files.iter().filter(|file| !file.unused_fields.is_empty()) {
            let _ = writeln!(text, "unused    {}: {}", file.file, shown(&file.unused_fields));
        }
        for remark in &self.remarks {
            let _ = writeln!(text, "remark    {remark}");
        }
        text
    }

    /// The report as indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and counts") + "\n"
    }
}

fn shown(fields: &[String]) -> String {
    match fields.len().checked_sub(FIELDS_SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more", fields[..FIELDS_SHOWN].join(", ")),
        _ => fields.join(", "),
    }
}
