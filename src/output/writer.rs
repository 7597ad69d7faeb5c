//! The writer thread: takes blocks of rows in path order and streams them to their files while paths are simulated.

use std::panic;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::thread::JoinHandle;

use crate::engine::record::EventRow;
use crate::engine::record::PathRow;
use crate::engine::record::SampleRow;
use crate::output::error::OutputError;
use crate::output::hash::Digest;
use crate::output::hash::ResultHash;
use crate::output::parquet::Identity;
use crate::output::parquet::Row;
use crate::output::parquet::TableWriter;
use crate::output::rows::NamedPathRow;
use crate::output::run_dir::RunDirectory;
use crate::output::schema::EVENTS;
use crate::output::schema::FileSchema;
use crate::output::schema::PATHS;
use crate::output::schema::QUANTILES;
use crate::output::schema::SAMPLES;
use crate::output::schema::SUBNETS;
use crate::output::schema::SUMMARY;
use crate::output::summary::SUMMARY_JSON_FILE;
use crate::output::summary::summary_json;
use crate::risk::book::SummaryRow;
use crate::risk::subnet::QuantileRow;
use crate::risk::subnet::SubnetRow;

/// Blocks that may wait; a simulation faster than the disk is held back here.
const WAITING_BLOCKS: usize = 2;

/// What the indices in a [`PathRow`] stand for.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// Names of the books.
    pub books: Vec<String>,
    /// Report horizons (days).
    pub horizons_days: Vec<f64>,
}

/// Rows of consecutive paths; blocks are sent in path order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowBlock {
    /// P&L rows, by path, book and horizon.
    pub paths: Vec<PathRow>,
    /// Events, by path and block.
    pub events: Vec<EventRow>,
    /// Samples, by path, step and slot.
    pub samples: Vec<SampleRow>,
}

/// Writes the result files of one run.
pub struct ResultWriter {
    identity: Identity,
    sender: Option<SyncSender<RowBlock>>,
    thread: Option<JoinHandle<Result<StreamDigests, OutputError>>>,
}

/// Digests of the files that are written while the run goes on.
struct StreamDigests {
    paths: Vec<Digest>,
    events: Vec<Digest>,
    samples: Vec<Digest>,
}

impl ResultWriter {
    /// Creates the streamed files and starts the thread.
    ///
    /// # Errors
    /// If a file cannot be created.
    pub fn start(directory: &RunDirectory, labels: Labels, identity: Identity) -> Result<Self, OutputError> {
        let streams = Streams::create(directory, labels, &identity)?;
        let (sender, receiver) = mpsc::sync_channel(WAITING_BLOCKS);
        let thread = thread::spawn(move || streams.write_all(receiver));
        Ok(Self { identity, sender: Some(sender), thread: Some(thread) })
    }

    /// Hands over a block; waits while too many are waiting.
    ///
    /// # Errors
    /// If the thread has failed: why it did.
    pub fn send(&mut self, block: RowBlock) -> Result<(), OutputError> {
        let sender = self.sender.as_ref().expect("a writer that failed is not used again");
        if sender.send(block).is_err() {
            self.join()?;
        }
        Ok(())
    }

    /// Ends the streamed files, writes the others, and gives the hash of all.
    ///
    /// # Errors
    /// If a file could not be written, now or since the start.
    pub fn finish(
        mut self,
        directory: &RunDirectory,
        summary: &[SummaryRow],
        subnets: &[SubnetRow],
        quantiles: &[QuantileRow],
    ) -> Result<ResultHash, OutputError> {
        let StreamDigests { paths, events, samples } = self.join()?;
        let summary_digests = write_table(directory, &SUMMARY, &self.identity, summary)?;
        let subnet_digests = write_table(directory, &SUBNETS, &self.identity, subnets)?;
        let quantile_digests = write_table(directory, &QUANTILES, &self.identity, quantiles)?;
        directory.write_text(SUMMARY_JSON_FILE, &summary_json(&self.identity, summary))?;
        Ok(ResultHash::combine(&[summary_digests, paths, subnet_digests, quantile_digests, events, samples]))
    }

    /// Closes the channel and waits for the thread.
    fn join(&mut self) -> Result<StreamDigests, OutputError> {
        self.sender = None;
        let thread = self.thread.take().expect("a writer is joined once");
        thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
    }
}

impl Drop for ResultWriter {
    /// Waits for the thread, so that the directory can then be cleared.
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The files that are written while the run goes on.
struct Streams {
    labels: Labels,
    paths: TableWriter,
    events: TableWriter,
    samples: TableWriter,
}

impl Streams {
    fn create(directory: &RunDirectory, labels: Labels, identity: &Identity) -> Result<Self, OutputError> {
        let create =
            |schema: &'static FileSchema| TableWriter::create(directory.partial(schema.file), schema, identity);
        Ok(Self { labels, paths: create(&PATHS)?, events: create(&EVENTS)?, samples: create(&SAMPLES)? })
    }

    fn write_all(mut self, blocks: Receiver<RowBlock>) -> Result<StreamDigests, OutputError> {
        for block in blocks {
            self.write(&block)?;
        }
        Ok(StreamDigests {
            paths: self.paths.finish()?,
            events: self.events.finish()?,
            samples: self.samples.finish()?,
        })
    }

    fn write(&mut self, block: &RowBlock) -> Result<(), OutputError> {
        for row in &block.paths {
            let book = &self.labels.books[usize::from(row.book)];
            let horizon_days = self.labels.horizons_days[usize::from(row.horizon)];
            self.paths.append(&NamedPathRow { row, book, horizon_days })?;
        }
        self.events.append_all(&block.events)?;
        self.samples.append_all(&block.samples)
    }
}

fn write_table<R: Row>(
    directory: &RunDirectory,
    schema: &'static FileSchema,
    identity: &Identity,
    rows: &[R],
) -> Result<Vec<Digest>, OutputError> {
    let mut writer = TableWriter::create(directory.partial(schema.file), schema, identity)?;
    writer.append_all(rows)?;
    writer.finish()
}
