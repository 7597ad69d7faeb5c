//! The story of a path in files: one JSON document, or one table as Parquet.

use std::fs;
use std::io;
use std::path::Path;

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use arrow::datatypes::UInt32Type;
use arrow::datatypes::UInt64Type;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::engine::record::PathRow;
use crate::engine::unfold::BlockRow;
use crate::output::error::OutputError;
use crate::output::parquet::Identity;
use crate::output::parquet::Row;
use crate::output::parquet::TableWriter;
use crate::output::parquet::record_batch;
use crate::output::rows::NamedPathRow;
use crate::output::schema::BLOCKS;
use crate::output::schema::EVENTS;
use crate::output::schema::FileSchema;
use crate::output::schema::Kind;
use crate::output::schema::PATHS;
use crate::output::schema::SAMPLES;
use crate::output::schema::SCHEMA_VERSION;
use crate::output::writer::Labels;
use crate::risk::replay::DayLoss;
use crate::risk::replay::PositionLoss;
use crate::risk::replay::Replay;
use crate::risk::replay::StepRow;
use crate::risk::replay::StoryEvent;
use crate::units::BLOCKS_PER_DAY;

/// A path's story, with what its numbers belong to.
pub struct StoryDocument<'a> {
    /// Scenario and seed.
    pub identity: &'a Identity,
    /// Names of books, days of horizons.
    pub labels: &'a Labels,
    /// Path index.
    pub path: u64,
    /// Blocks of a step.
    pub blocks_per_step: u64,
    /// The story.
    pub replay: &'a Replay,
    /// Steps unfolded into blocks.
    pub blocks: &'a [BlockRow],
    /// Days of largest losses told of each book.
    pub worst_days: usize,
}

impl StoryDocument<'_> {
    /// The document as indented JSON. Objects that are rows of a result file have the names of its columns.
    pub fn to_json(&self) -> String {
        let replay = self.replay;
        let horizon_days = |row: &PathRow| self.labels.horizons_days[usize::from(row.horizon)];
        let document = json!({
            "schema_version": SCHEMA_VERSION,
            "scenario_hash": self.identity.scenario_hash,
            "seed": self.identity.seed,
            "path": self.path,
            "blocks_per_step": self.blocks_per_step,
            "books": (0..replay.openings_tao.len()).map(|book| self.book(book)).collect::<Vec<_>>(),
            "horizons": self.outcomes(&replay.horizons, horizon_days),
            "steps": replay.steps.iter().map(|row| self.step(row)).collect::<Vec<_>>(),
            "events": replay.events.iter().map(|event| self.event(event)).collect::<Vec<_>>(),
            "shocks": replay.shocks.iter().map(|(shock, block)| json!({ "shock": shock, "block": block })).collect::<Vec<_>>(),
            "states": objects(&SAMPLES, &replay.states),
            "blocks": objects(&BLOCKS, self.blocks),
        });
        let text = serde_json::to_string_pretty(&document).expect("a story is numbers, texts and lists");
        text + "\n"
    }

    fn days(&self, step: u32) -> f64 {
        f64::from(step) * self.blocks_per_step as f64 / BLOCKS_PER_DAY as f64
    }

    fn outcomes(&self, rows: &[PathRow], days: impl Fn(&PathRow) -> f64) -> Vec<Value> {
        let named = rows.iter().map(|row| NamedPathRow {
            row,
            book: &self.labels.books[usize::from(row.book)],
            horizon_days: days(row),
        });
        objects(&PATHS, &named.collect::<Vec<_>>())
    }

    fn book(&self, book: usize) -> Value {
        let losses = self.replay.worst_days(book, self.worst_days);
        json!({
            "name": self.labels.books[book],
            "opening_tao": self.replay.openings_tao[book],
            "worst_days": losses.iter().map(|loss| self.day_loss(loss)).collect::<Vec<_>>(),
        })
    }

    fn day_loss(&self, loss: &DayLoss) -> Value {
        let position = |lost: &PositionLoss| json!({ "netuid": lost.netuid.0, "loss_tao": lost.loss_tao, "deregistered": lost.deregistered });
        json!({
            "end_day": self.days(loss.step),
            "opening_tao": loss.opening_tao,
            "loss_tao": loss.loss_tao,
            "positions": loss.positions.iter().map(position).collect::<Vec<_>>(),
        })
    }

    fn step(&self, row: &StepRow) -> Value {
        let days = self.days(row.step);
        json!({
            "step": row.step,
            "days": days,
            "block": row.block,
            "tao_usd": row.tao_usd,
            "organic_flow_tao": row.organic_flow_tao,
            "chain_spending_tao": row.chain_spending_tao,
            "emission_sales_tao": row.emission_sales_tao,
            "books": self.outcomes(&row.books, |_| days),
        })
    }

    fn event(&self, event: &StoryEvent) -> Value {
        let mut object = objects(&EVENTS, std::slice::from_ref(&event.row)).remove(0);
        let settlements = event.settlements.iter().map(|(book, paid)| {
            json!({
                "book": self.labels.books[*book],
                "alpha": paid.alpha,
                "mark_tao": paid.mark_tao,
                "paid_tao": paid.paid_tao,
            })
        });
        object["step"] = json!(event.step);
        object["price"] = json!(event.price);
        object["rank_from_lowest"] = json!(event.rank);
        object["subnets"] = json!(event.subnets);
        object["settlements"] = settlements.collect();
        object
    }
}

/// Rows as JSON objects whose keys are the columns of `schema`.
fn objects<R: Row>(schema: &FileSchema, rows: &[R]) -> Vec<Value> {
    let batch = record_batch(schema, rows);
    let object = |row| {
        let cells = schema.columns.iter().zip(batch.columns());
        cells.map(|(column, array)| (column.name.to_owned(), cell(column.kind, array, row))).collect::<Map<_, _>>()
    };
    (0..batch.num_rows()).map(|row| Value::Object(object(row))).collect()
}

fn cell(kind: Kind, array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match kind {
        Kind::U32 => array.as_primitive::<UInt32Type>().value(row).into(),
        Kind::U64 => array.as_primitive::<UInt64Type>().value(row).into(),
        Kind::F64 => array.as_primitive::<Float64Type>().value(row).into(),
        Kind::Text => array.as_string::<i32>().value(row).into(),
        Kind::Bool => array.as_boolean().value(row).into(),
    }
}

/// Writes rows to a Parquet file that is not there yet; it appears whole or not at all.
///
/// # Errors
/// If the file exists or cannot be written.
pub fn write_rows<R: Row>(
    path: &Path,
    schema: &'static FileSchema,
    identity: &Identity,
    rows: &[R],
) -> Result<(), OutputError> {
    if path.exists() {
        return Err(OutputError::FileExists(path.to_owned()));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(format!(".{name}.partial"));
    let mut writer = TableWriter::create(partial.clone(), schema, identity).map_err(|error| match error {
        OutputError::Io { source, .. } if source.kind() != io::ErrorKind::StorageFull => {
            OutputError::NotWritable { path: path.to_owned(), source }
        }
        error => error,
    })?;
    let written = writer.append_all(rows).and_then(|()| writer.finish().map(|_| ()));
    let renamed = written.and_then(|()| fs::rename(&partial, path).map_err(OutputError::io("rename a file to", path)));
    renamed.inspect_err(|_| {
        let _ = fs::remove_file(&partial);
    })
}
