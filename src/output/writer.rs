//! The writer thread: takes blocks of rows in path order and streams them to their files while paths are simulated.
//!
//! Who sends does not wait for the disk, nor for a row group that is encoded, unless [`WAITING_BYTES`] of rows wait already.
//! Memory is bounded by that, by one block, and by one row group in the making per streamed file (some 10 MB).

use std::panic;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::Sender;
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
use crate::output::schema::ATTRIBUTION;
use crate::output::schema::CREDIT;
use crate::output::schema::EVENTS;
use crate::output::schema::FileSchema;
use crate::output::schema::PATHS;
use crate::output::schema::QUANTILES;
use crate::output::schema::REVENUE;
use crate::output::schema::SAMPLES;
use crate::output::schema::SUBNETS;
use crate::output::schema::SUMMARY;
use crate::output::summary::SUMMARY_JSON_FILE;
use crate::output::summary::summary_json;
use crate::risk::attribution::AttributionRow;
use crate::risk::credit::CreditRow;
use crate::risk::measure::SummaryRow;
use crate::risk::revenue::RevenueFigure;
use crate::risk::subnet::QuantileRow;
use crate::risk::subnet::SubnetRow;

/// Bytes of rows that may wait; a simulation faster than the disk is held back here. Not a number of blocks: a batch has some
/// 10 kB of rows by default, and 40 MB where every step of all its paths is kept.
pub const WAITING_BYTES: usize = 16 << 20;

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

impl RowBlock {
    fn bytes(&self) -> usize {
        size_of_val(&*self.paths) + size_of_val(&*self.events) + size_of_val(&*self.samples)
    }
}

/// Bytes of the rows that wait, and a sign when they become fewer.
#[derive(Default)]
struct Backlog {
    bytes: Mutex<usize>,
    lowered: Condvar,
}

impl Backlog {
    /// Adds a block, when there is room for it or none other waits.
    fn add(&self, bytes: usize) {
        let is_full = |waiting: &mut usize| *waiting > 0 && *waiting + bytes > WAITING_BYTES;
        let waiting = self.lowered.wait_while(self.lock(), is_full);
        *waiting.unwrap_or_else(PoisonError::into_inner) += bytes;
    }

    fn remove(&self, bytes: usize) {
        let mut waiting = self.lock();
        *waiting = waiting.saturating_sub(bytes);
        self.lowered.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's end of the channel. When it goes, for whatever reason, nobody waits for room any more.
struct Inbox {
    blocks: Receiver<RowBlock>,
    backlog: Arc<Backlog>,
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.backlog.remove(usize::MAX);
    }
}

/// Writes the result files of one run.
pub struct ResultWriter {
    identity: Identity,
    revenue: Vec<RevenueFigure>,
    attribution: Vec<AttributionRow>,
    credit: Vec<CreditRow>,
    backlog: Arc<Backlog>,
    sender: Option<Sender<RowBlock>>,
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
        let (sender, blocks) = mpsc::channel();
        let backlog = Arc::new(Backlog::default());
        let inbox = Inbox { blocks, backlog: Arc::clone(&backlog) };
        let thread = thread::spawn(move || streams.write_all(&inbox));
        Ok(Self {
            identity,
            revenue: Vec::new(),
            attribution: Vec::new(),
            credit: Vec::new(),
            backlog,
            sender: Some(sender),
            thread: Some(thread),
        })
    }

    /// Hands over a block; waits while too much is waiting.
    ///
    /// # Errors
    /// If the thread has failed: why it did.
    pub fn send(&mut self, block: RowBlock) -> Result<(), OutputError> {
        let sender = self.sender.as_ref().expect("a writer that failed is not used again");
        self.backlog.add(block.bytes());
        if sender.send(block).is_err() {
            self.join()?;
        }
        Ok(())
    }

    /// Figures of subnets with revenue, to be written at the end; without any there is no file of them.
    pub fn add_revenue(&mut self, figures: Vec<RevenueFigure>) {
        self.revenue = figures;
    }

    /// What positions and sectors add to risk, to be written at the end.
    pub fn add_attribution(&mut self, rows: Vec<AttributionRow>) {
        self.attribution = rows;
    }

    /// The credit view of holdings, to be written at the end.
    pub fn add_credit(&mut self, rows: Vec<CreditRow>) {
        self.credit = rows;
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
        let attribution = write_table(directory, &ATTRIBUTION, &self.identity, &self.attribution)?;
        let credit = write_table(directory, &CREDIT, &self.identity, &self.credit)?;
        let mut digests =
            vec![summary_digests, paths, subnet_digests, quantile_digests, events, samples, attribution, credit];
        if !self.revenue.is_empty() {
            digests.push(write_table(directory, &REVENUE, &self.identity, &self.revenue)?);
        }
        Ok(ResultHash::combine(&digests))
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

    fn write_all(mut self, inbox: &Inbox) -> Result<StreamDigests, OutputError> {
        for block in &inbox.blocks {
            self.write(&block)?;
            inbox.backlog.remove(block.bytes());
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    /// Whether `free` is what a sender waits for, when as much waits as may.
    fn assert_waits_for(free: impl FnOnce(&mut Option<Inbox>)) {
        let backlog = Arc::new(Backlog::default());
        let mut inbox = Some(Inbox { blocks: mpsc::channel().1, backlog: Arc::clone(&backlog) });
        backlog.add(3 * WAITING_BYTES);
        let is_through = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                backlog.add(1);
                is_through.store(true, Ordering::SeqCst);
            });
            thread::sleep(Duration::from_millis(50));
            assert!(!is_through.load(Ordering::SeqCst), "nothing was freed yet");
            free(&mut inbox);
        });
        assert!(is_through.into_inner());
    }

    #[test]
    fn a_sender_waits_until_there_is_room() {
        assert_waits_for(|inbox| {
            if let Some(inbox) = inbox {
                inbox.backlog.remove(3 * WAITING_BYTES);
            }
        });
    }

    #[test]
    fn a_sender_does_not_wait_for_a_thread_that_is_gone() {
        assert_waits_for(|inbox| drop(inbox.take()));
    }
}
