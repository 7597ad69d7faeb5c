//! Snapshots and positions in the forms that people have, to the canonical tables.
//!
//! Files become records of named values; the [`forms`], or a [`mapping`], say which value is which canonical column and in
//! which unit; rows are joined and filled, amounts brought to tokens. What comes out is checked by the readers that a
//! scenario uses ([`Ingested::check`]), with messages that name the place in the source.
//!
//! Nothing is guessed: a column that a scenario needs comes from the files, from another snapshot of the same subnet (what
//! moves slowly only: never reserves, prices or what wallets stake), from a constant in the mapping, or by arithmetic
//! (price from reserves; what wallets stake from all alpha outside the pool). The [`Report`] counts which is which.
//!
//! Not done: fetching anything; the cost of positions, which no form has as one figure; the locked TAO of registrations,
//! which the forms lack or give as 0. Where files give no registration blocks, a slot with another subnet than the base's
//! is seen by its alpha alone, so not where the older subnet was itself a few weeks old.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Float64Array;
use arrow::array::StringArray;
use arrow::array::UInt64Array;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use crate::input::InputError;
use crate::input::document::Document;
use crate::input::ingest::columns::ColumnSpec;
use crate::input::ingest::columns::Content;
use crate::input::ingest::columns::FieldRule;
use crate::input::ingest::columns::OUTSTANDING;
use crate::input::ingest::columns::Row;
use crate::input::ingest::columns::columns;
use crate::input::ingest::forms::Form;
use crate::input::ingest::forms::IngestKind;
use crate::input::ingest::forms::STARTUP_FIELD;
use crate::input::ingest::mapping::Mapping;
use crate::input::ingest::mapping::field_rules;
use crate::input::ingest::record::Record;
use crate::input::ingest::record::Value;
use crate::input::ingest::record::field_names;
use crate::input::ingest::report::ColumnReport;
use crate::input::ingest::report::FileReport;
use crate::input::ingest::report::Report;
use crate::input::positions::TAKE_MAX;
use crate::input::positions::read_books;
use crate::input::snapshot::Snapshot;

mod cells;
mod chain;
mod columns;
pub mod forms;
mod holdings;
mod json;
pub mod mapping;
mod record;
pub mod report;
mod units;

/// Largest whole number that an `f64` counts up to one by one.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// What to make; found from the fields where `None`.
    pub kind: Option<IngestKind>,
    /// Who wrote the files; found from the fields where `None`.
    pub form: Option<Form>,
    /// Where columns come from, before what the form says.
    pub mapping: Option<&'a Mapping>,
    /// Block of a snapshot whose files do not say it.
    pub block: Option<u64>,
    /// Snapshot that fills what the files lack.
    pub base: Option<&'a Snapshot>,
}

impl Request<'_> {
    fn constants(&self, kind: IngestKind) -> Result<Vec<(&'static ColumnSpec, Value)>, InputError> {
        self.mapping.map_or(Ok(Vec::new()), |mapping| mapping.constants(kind))
    }
}

/// A file with what its columns are read from.
struct SourceFile {
    name: String,
    form: Form,
    records: Vec<Record>,
    rules: Vec<FieldRule>,
}

/// A canonical table.
#[derive(Clone, Debug)]
pub struct Ingested {
    /// What it is.
    pub kind: IngestKind,
    /// Its rows.
    pub table: RecordBatch,
    /// What became of the files.
    pub report: Report,
    /// Place of each row's record.
    places: Vec<String>,
}

/// Makes one canonical table of the files.
///
/// # Errors
/// Whatever [`InputError`] says of a file, a record, a field, or of what nothing gives.
pub fn ingest(documents: &[Document], request: &Request<'_>) -> Result<Ingested, InputError> {
    let records: Vec<Vec<Record>> =
        documents.iter().map(|document| read_records(document, request.mapping)).collect::<Result<_, _>>()?;
    let forms: Vec<Form> =
        records.iter().map(|records| request.form.unwrap_or_else(|| Form::of(&field_names(records)))).collect();
    let kind = match request.kind {
        Some(kind) => kind,
        None => find_kind(documents, &records, &forms, request.mapping)?,
    };
    let mut files = Vec::new();
    for ((document, records), form) in documents.iter().zip(records).zip(forms) {
        let rules = field_rules(form, kind, request.mapping)?;
        files.push(SourceFile { name: document.name.clone(), form, records, rules });
    }
    let mut report = Report { kind: kind.name(), files: files.iter().map(file_report).collect(), ..Report::default() };
    let rows = match kind {
        IngestKind::Snapshot => chain::assemble(&files, request, &mut report)?,
        IngestKind::Positions => holdings::assemble(&files, request, &mut report)?,
    };
    if rows.is_empty() {
        let problem = format!("leaves no row of {}", kind.name());
        return Err(InputError::Table { file: files.first().map_or(String::new(), |file| file.name.clone()), problem });
    }
    let table = table(kind, &rows, &mut report);
    Ok(Ingested { kind, table, report, places: rows.into_iter().map(|row| row.place).collect() })
}

impl Ingested {
    /// Checks the table as a scenario would, `file` being what was written of it; positions against `snapshot`.
    ///
    /// # Errors
    /// What the readers refuse, at the place in the source that it comes from.
    pub fn check(&self, file: &Document, snapshot: &Snapshot) -> Result<(), InputError> {
        let checked = match self.kind {
            IngestKind::Snapshot => Snapshot::read(file).map(|_| ()),
            IngestKind::Positions => read_books(file, snapshot, TAKE_MAX).map(|_| ()),
        };
        checked.map_err(|error| self.at_source(error, &file.name))
    }

    fn at_source(&self, error: InputError, file: &str) -> InputError {
        match error {
            InputError::Cell { place, column, value, allowed } => {
                InputError::Cell { place: self.source_place(&place, file), column, value, allowed }
            }
            InputError::Row { place, problem } => InputError::Row { place: self.source_place(&place, file), problem },
            error => error,
        }
    }

    /// The source of a line (CSV, after a header) or row (Parquet, from 1).
    fn source_place(&self, place: &str, file: &str) -> String {
        let rest = place.strip_prefix(file).unwrap_or_default();
        let line = rest.strip_prefix(':').and_then(|line| line.parse::<usize>().ok());
        let row = rest.strip_prefix(", row ").and_then(|row| row.parse::<usize>().ok());
        let index = line.and_then(|line| line.checked_sub(2)).or_else(|| row.and_then(|row| row.checked_sub(1)));
        index.and_then(|index| self.places.get(index)).cloned().unwrap_or_else(|| place.to_owned())
    }
}

fn read_records(document: &Document, mapping: Option<&Mapping>) -> Result<Vec<Record>, InputError> {
    if json::is_json(document) {
        json::read(document, mapping.and_then(|mapping| mapping.records.as_deref()))
    } else {
        cells::read(document)
    }
}

/// A snapshot where a file gives pools, positions where one gives holdings.
fn find_kind(
    documents: &[Document],
    records: &[Vec<Record>],
    forms: &[Form],
    mapping: Option<&Mapping>,
) -> Result<IngestKind, InputError> {
    let gives = |kind: IngestKind, wanted: &[&str]| {
        records.iter().zip(forms).any(|(records, form)| {
            let fields = field_names(records);
            let mapped = mapping.into_iter().flat_map(Mapping::fields);
            let known = form.rules(kind).iter().map(|rule| (rule.column, rule.field));
            mapped.chain(known).any(|(column, field)| wanted.contains(&column) && fields.contains(field))
        })
    };
    match (gives(IngestKind::Snapshot, &["tao_in"]), gives(IngestKind::Positions, &["alpha", "value_tao"])) {
        (true, false) => Ok(IngestKind::Snapshot),
        (false, true) => Ok(IngestKind::Positions),
        (both, _) => {
            let what = if both { "both pools and holdings" } else { "neither pools nor holdings that are known here" };
            let file = documents.first().map_or(String::new(), |document| document.name.clone());
            let problem =
                format!("has {what}; say --kind snapshot or --kind positions, and what fields mean in a --mapping");
            Err(InputError::Table { file, problem })
        }
    }
}

fn file_report(file: &SourceFile) -> FileReport {
    let used: BTreeSet<&str> = file.rules.iter().map(|rule| rule.field.as_str()).chain([STARTUP_FIELD]).collect();
    let unused = field_names(&file.records).into_iter().filter(|field| !used.contains(field)).map(str::to_owned);
    FileReport {
        file: file.name.clone(),
        form: file.form.name(),
        records: file.records.len(),
        unused_fields: unused.collect(),
    }
}

/// The columns that any row has, as a table; and where their cells come from.
fn table(kind: IngestKind, rows: &[Row], report: &mut Report) -> RecordBatch {
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for spec in columns(kind).iter().filter(|spec| spec.name != OUTSTANDING) {
        let counts = ColumnReport::of(spec, rows);
        if counts.has_cells(rows.len()) {
            let array = array(spec, rows);
            fields.push(Field::new(spec.name, array.data_type().clone(), true));
            arrays.push(array);
            report.columns.push(counts);
        }
    }
    report.rows = rows.len();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns have the length of the rows")
}

/// A column. Whole numbers as such, where they are: the readers say what is wrong with the others.
fn array(spec: &ColumnSpec, rows: &[Row]) -> ArrayRef {
    let numbers = || rows.iter().map(|row| row.number(spec.name));
    let is_whole = |number: f64| number.fract() == 0.0 && (0.0..=WHOLE_MAX).contains(&number);
    match spec.content {
        Content::Text => Arc::new(rows.iter().map(|row| row.text(spec.name)).collect::<StringArray>()),
        Content::Whole if numbers().flatten().all(is_whole) => {
            Arc::new(numbers().map(|number| number.map(|number| number as u64)).collect::<UInt64Array>())
        }
        _ => Arc::new(numbers().collect::<Float64Array>()),
    }
}
