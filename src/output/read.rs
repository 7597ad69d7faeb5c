//! Result files back to rows, with their columns checked against the schema.

use std::fs::File;
use std::ops::Range;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::path::PathBuf;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use arrow::datatypes::UInt32Type;
use arrow::datatypes::UInt64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::engine::record::PathRow;
use crate::output::error::OutputError;
use crate::output::schema::ATTRIBUTION;
use crate::output::schema::CREDIT;
use crate::output::schema::FileSchema;
use crate::output::schema::PATHS;
use crate::output::schema::REVENUE;
use crate::output::schema::SUBNETS;
use crate::output::schema::SUMMARY;
use crate::risk::attribution::AttributionRow;
use crate::risk::attribution::PartKind;
use crate::risk::attribution::PartMeasure;
use crate::risk::credit::CreditMeasure;
use crate::risk::credit::CreditRow;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::measure::Measure;
use crate::risk::measure::SummaryRow;
use crate::risk::revenue::RevenueFigure;
use crate::risk::revenue::RevenueMeasure;
use crate::units::NetUid;
use crate::units::SubnetId;

/// Rows read at once.
const BATCH_ROWS: usize = 8_192;

/// Calls `visit` with the rows of one file of a run directory, batch by batch.
///
/// # Errors
/// If the file is missing, truncated, damaged, or has other columns than the schema.
pub fn read_batches(
    directory: &Path,
    schema: &FileSchema,
    visit: impl FnMut(&RecordBatch) -> Result<(), OutputError>,
) -> Result<(), OutputError> {
    read_range(directory, schema, 0..usize::MAX, visit)
}

/// The same for those rows whose number is in `rows`.
fn read_range(
    directory: &Path,
    schema: &FileSchema,
    rows: Range<usize>,
    mut visit: impl FnMut(&RecordBatch) -> Result<(), OutputError>,
) -> Result<(), OutputError> {
    let path = directory.join(schema.file);
    let file = File::open(&path).map_err(OutputError::io("open", &path))?;
    let builder = guarded(&path, || ParquetRecordBatchReaderBuilder::try_new(file))?;
    check_columns(&path, schema, builder.schema())?;
    check_extents(&path, builder.metadata())?;
    let builder = builder.with_offset(rows.start).with_limit(rows.len());
    let mut reader = guarded(&path, || builder.with_batch_size(BATCH_ROWS).build())?;
    while let Some(batch) = guarded(&path, || Ok(reader.next().transpose()?))? {
        visit(&batch)?;
    }
    Ok(())
}

/// Runs a step of the Parquet decoder. It asserts what a damaged file breaks (parquet 60: a dictionary page before
/// pages that use it, signs in the footer), so its panics are errors of the file.
fn guarded<T>(path: &Path, step: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, OutputError> {
    let result = panic::catch_unwind(AssertUnwindSafe(step));
    result
        .unwrap_or_else(|_| Err(ParquetError::General("the decoder gave up".to_owned())))
        .map_err(OutputError::parquet("read", path))
}

fn check_columns(path: &Path, schema: &FileSchema, found: &arrow::datatypes::Schema) -> Result<(), OutputError> {
    type Named<'a> = (&'a str, DataType, bool);
    let expected: Vec<Named> =
        schema.columns.iter().map(|c| (c.name, c.kind.data_type(), c.null_rule.is_some())).collect();
    let found: Vec<Named> =
        found.fields().iter().map(|f| (f.name().as_str(), f.data_type().clone(), f.is_nullable())).collect();
    if expected == found {
        return Ok(());
    }
    let list = |columns: &[Named]| {
        let text = |(name, kind, nullable): &Named| format!("{name}: {kind}{}", if *nullable { "?" } else { "" });
        columns.iter().map(text).collect::<Vec<_>>().join(", ")
    };
    Err(OutputError::Columns { path: path.to_owned(), expected: list(&expected), found: list(&found) })
}

/// Checks that the data of each column lie within the file and hold the rows of their group: the library takes the
/// footer's word.
fn check_extents(path: &Path, metadata: &ParquetMetaData) -> Result<(), OutputError> {
    let length = path.metadata().map_err(OutputError::io("read", path))?.len();
    let sound = metadata.row_groups().iter().all(|group| {
        group.columns().iter().all(|column| {
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let end = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
            let within = end.and_then(|(start, size)| start.checked_add(size)).is_some_and(|end| end <= length);
            within && column.num_values() == group.num_rows() && column.data_page_offset() >= start
        })
    });
    let damaged = || ParquetError::General("the footer points outside the file".to_owned());
    if sound { Ok(()) } else { Err(OutputError::parquet("read", path)(damaged())) }
}

/// A batch whose columns were checked, read by name.
struct Cells<'a> {
    path: PathBuf,
    batch: &'a RecordBatch,
    row: usize,
}

impl Cells<'_> {
    fn column(&self, name: &str) -> &dyn Array {
        self.batch.column_by_name(name).expect("a column of the schema").as_ref()
    }

    fn f64(&self, name: &str) -> f64 {
        self.column(name).as_primitive::<Float64Type>().value(self.row)
    }

    fn optional_f64(&self, name: &str) -> Option<f64> {
        self.column(name).is_valid(self.row).then(|| self.f64(name))
    }

    fn u64(&self, name: &str) -> u64 {
        self.column(name).as_primitive::<UInt64Type>().value(self.row)
    }

    fn u32(&self, name: &str) -> u32 {
        self.column(name).as_primitive::<UInt32Type>().value(self.row)
    }

    fn netuid(&self) -> Result<NetUid, OutputError> {
        let netuid = self.u32("netuid");
        let refuse = |_| OutputError::Value { path: self.path.clone(), column: "netuid", value: netuid.to_string() };
        u16::try_from(netuid).map(NetUid).map_err(refuse)
    }

    /// The subnet that netuid and registration name; `None` where they are null.
    fn optional_id(&self) -> Result<Option<SubnetId>, OutputError> {
        let id = |netuid| SubnetId { netuid, registered_at: self.u64("registered_at") };
        self.column("netuid").is_valid(self.row).then(|| self.netuid().map(id)).transpose()
    }

    /// The columns of an estimate that every row has.
    fn estimate(&self) -> Estimate {
        Estimate {
            value: self.f64("value"),
            standard_error: self.f64("standard_error"),
            ci_low: self.f64("ci_low"),
            ci_high: self.f64("ci_high"),
            samples: self.u64("samples"),
        }
    }

    fn text(&self, name: &str) -> &str {
        self.column(name).as_string::<i32>().value(self.row)
    }

    /// The one of `all` whose name stands in a text column.
    fn one_of<T: Copy>(
        &self,
        column: &'static str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Result<T, OutputError> {
        let value = self.text(column);
        let found = all.iter().copied().find(|&candidate| name(candidate) == value);
        found.ok_or_else(|| OutputError::Value { path: self.path.clone(), column, value: value.to_owned() })
    }
}

fn read_rows<T>(
    directory: &Path,
    schema: &FileSchema,
    row: impl Fn(&Cells) -> Result<T, OutputError>,
) -> Result<Vec<T>, OutputError> {
    read_rows_of(directory, schema, 0..usize::MAX, row)
}

fn read_rows_of<T>(
    directory: &Path,
    schema: &FileSchema,
    range: Range<usize>,
    row: impl Fn(&Cells) -> Result<T, OutputError>,
) -> Result<Vec<T>, OutputError> {
    let mut rows = Vec::new();
    read_range(directory, schema, range, |batch| {
        for index in 0..batch.num_rows() {
            rows.push(row(&Cells { path: directory.join(schema.file), batch, row: index })?);
        }
        Ok(())
    })?;
    Ok(rows)
}

/// The outcomes of the path that stands at `place` in `paths.parquet`, counted from 0, of a run with so many books and
/// horizons. Books and horizons are numbered in the file's order.
///
/// # Errors
/// As [`read_batches`].
pub fn read_path(directory: &Path, place: u64, books: usize, horizons: usize) -> Result<Vec<PathRow>, OutputError> {
    let count = books * horizons;
    let first = place as usize * count;
    let rows = read_rows_of(directory, &PATHS, first..first + count, |cells| {
        Ok(PathRow {
            path: cells.u64("path"),
            book: 0,
            horizon: 0,
            pnl_mark_tao: cells.f64("pnl_mark_tao"),
            pnl_liquidation_tao: cells.f64("pnl_liquidation_tao"),
            pnl_mark_usd: cells.f64("pnl_mark_usd"),
            pnl_liquidation_usd: cells.f64("pnl_liquidation_usd"),
            pnl_exit_tao: cells.optional_f64("pnl_exit_tao"),
            pnl_exit_usd: cells.optional_f64("pnl_exit_usd"),
            tao_usd: cells.f64("tao_usd"),
            max_drawdown: cells.f64("max_drawdown"),
            longest_under_water_days: cells.f64("longest_under_water_days"),
            lowest_pnl_tao: cells.f64("lowest_pnl_tao"),
            deregistered_holdings: cells.u32("deregistered_holdings") as u16,
            weight: cells.f64("weight"),
        })
    })?;
    let number = |(index, row): (usize, PathRow)| PathRow {
        book: (index / horizons) as u16,
        horizon: (index % horizons) as u16,
        ..row
    };
    Ok(rows.into_iter().enumerate().map(number).collect())
}

/// The rows of `summary.parquet`.
///
/// # Errors
/// As [`read_batches`], and if a measure, currency or basis is unknown.
pub fn read_summary(directory: &Path) -> Result<Vec<SummaryRow>, OutputError> {
    read_rows(directory, &SUMMARY, |cells| {
        Ok(SummaryRow {
            book: cells.text("book").to_owned(),
            measure: cells.one_of("measure", &Measure::ALL, Measure::name)?,
            currency: cells.one_of("currency", &[Currency::Tao, Currency::Usd], Currency::name)?,
            basis: cells.one_of("basis", &Basis::ALL, Basis::name)?,
            level: cells.optional_f64("level"),
            horizon_days: cells.f64("horizon_days"),
            estimate: cells.estimate(),
        })
    })
}

/// The credit figures of one subnet at one horizon.
#[derive(Clone, Debug, PartialEq)]
pub struct DeregistrationRisk {
    /// Its slot.
    pub netuid: NetUid,
    /// Its name.
    pub name: String,
    /// Whether a book holds it at the start.
    pub held: bool,
    /// Days from the start.
    pub horizon_days: f64,
    /// Probability of deregistration up to the horizon.
    pub probability: Estimate,
    /// Mean loss given deregistration (fraction of the price just before).
    pub loss: Option<Estimate>,
}

/// The credit figures of `subnets.parquet`.
///
/// # Errors
/// As [`read_batches`], and if a netuid exceeds the chain's.
pub fn read_deregistration_risk(directory: &Path) -> Result<Vec<DeregistrationRisk>, OutputError> {
    read_rows(directory, &SUBNETS, |cells| {
        let loss = cells.optional_f64("loss_given_deregistration").zip(cells.optional_f64("loss_standard_error"));
        Ok(DeregistrationRisk {
            netuid: cells.netuid()?,
            name: cells.text("name").to_owned(),
            held: cells.column("held").as_boolean().value(cells.row),
            horizon_days: cells.f64("horizon_days"),
            probability: Estimate {
                value: cells.f64("deregistration_probability"),
                standard_error: cells.f64("deregistration_standard_error"),
                ci_low: cells.f64("deregistration_ci_low"),
                ci_high: cells.f64("deregistration_ci_high"),
                samples: cells.u64("samples"),
            },
            loss: loss.map(|(value, error)| Estimate::normal(value, error, cells.u64("deregistered_samples"))),
        })
    })
}

/// The figures of `revenue.parquet`; none where the run has no such file.
///
/// # Errors
/// As [`read_batches`], and if a measure is unknown or a netuid exceeds the chain's.
pub fn read_revenue(directory: &Path) -> Result<Vec<RevenueFigure>, OutputError> {
    if !directory.join(REVENUE.file).exists() {
        return Ok(Vec::new());
    }
    read_rows(directory, &REVENUE, |cells| {
        let samples = cells.u64("samples");
        let estimate = |value| {
            Some(Estimate {
                value,
                standard_error: cells.optional_f64("standard_error")?,
                ci_low: cells.optional_f64("ci_low")?,
                ci_high: cells.optional_f64("ci_high")?,
                samples,
            })
        };
        Ok(RevenueFigure {
            id: SubnetId { netuid: cells.netuid()?, registered_at: cells.u64("registered_at") },
            horizon_days: cells.f64("horizon_days"),
            measure: cells.one_of("measure", &RevenueMeasure::ALL, RevenueMeasure::name)?,
            estimate: cells.optional_f64("value").and_then(estimate),
        })
    })
}

/// The rows of `attribution.parquet`.
///
/// # Errors
/// As [`read_batches`], and if a name is unknown or a netuid exceeds the chain's.
pub fn read_attribution(directory: &Path) -> Result<Vec<AttributionRow>, OutputError> {
    read_rows(directory, &ATTRIBUTION, |cells| {
        Ok(AttributionRow {
            book: cells.text("book").to_owned(),
            kind: cells.one_of("kind", &PartKind::ALL, PartKind::name)?,
            id: cells.optional_id()?,
            name: cells.text("name").to_owned(),
            basis: cells.one_of("basis", &[Basis::Mark, Basis::Liquidation], Basis::name)?,
            currency: cells.one_of("currency", &[Currency::Tao, Currency::Usd], Currency::name)?,
            level: cells.optional_f64("level"),
            horizon_days: cells.f64("horizon_days"),
            measure: cells.one_of("measure", &PartMeasure::ALL, PartMeasure::name)?,
            estimate: cells.estimate(),
            share: cells.optional_f64("share"),
        })
    })
}

/// The rows of `credit.parquet`.
///
/// # Errors
/// As [`read_batches`], and if a measure is unknown or a netuid exceeds the chain's.
pub fn read_credit(directory: &Path) -> Result<Vec<CreditRow>, OutputError> {
    read_rows(directory, &CREDIT, |cells| {
        Ok(CreditRow {
            book: cells.text("book").to_owned(),
            id: cells.optional_id()?,
            name: cells.text("name").to_owned(),
            payout_rule: cells.text("payout_rule").to_owned(),
            horizon_days: cells.f64("horizon_days"),
            measure: cells.one_of("measure", &CreditMeasure::ALL, CreditMeasure::name)?,
            level: cells.optional_f64("level"),
            estimate: cells.estimate(),
        })
    })
}
