//! The journal of a run or shard: finished blocks of paths on disk, from which it goes on, or is merged, to the bit.
//!
//! ```text
//! journal: MAGIC frame*         frame: [kind u8] [length u64] [check u32] body
//! kinds:   1 header (JSON), first and once    2 block of paths    3 end, no body: all paths are there
//! check:   CRC-32 of kind, length and body, begun with the check of the frame before
//! ```
//!
//! A journal that a kill or a power cut left ends in a torn frame: what stands before it counts, the rest is cut off. The chain of
//! checks finds frames that are damaged, repeated or out of order.

use std::fs::File;
use std::io;
use std::io::BufReader;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;

use crc32fast::Hasher;
use serde::Deserialize;
use serde::Serialize;

use crate::output::codec;
use crate::output::codec::Cell;
use crate::output::error::OutputError;
use crate::output::manifest::Manifest;
use crate::risk::histogram::CellCount;
use crate::risk::recorder::BatchRecord;
use crate::risk::recorder::PathBlock;

const MAGIC: &[u8] = b"taorisk journal 1\n";
const HEADER: u8 = 1;
const BLOCK: u8 = 2;
const END: u8 = 3;
/// Kind, length and check.
const FRAME_HEAD_BYTES: usize = 1 + 8 + 4;
/// Longest body that is believed: a block with samples of all its paths has some 2 GB.
const BODY_BYTES_MAX: u64 = 1 << 34;
/// Blocks after which what was written is made to survive a power cut.
const SYNC_BLOCKS: u32 = 16;

/// What a journal is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalHeader {
    /// The run as its manifest will have it, for the paths of this journal; the result hash is empty.
    pub manifest: Manifest,
    /// Paths of the whole run.
    pub run_paths: u64,
    /// Number of the shard, from 1, and how many there are; `None`: the whole run.
    pub shard: Option<(u32, u32)>,
}

impl JournalHeader {
    /// The paths of this journal.
    pub fn paths(&self) -> Range<u64> {
        self.manifest.first_path..self.manifest.end_path
    }

    /// What sets `other` apart as a journal of another run; `None`: it is of the same run.
    pub fn other_run(&self, other: &Self) -> Option<String> {
        let (own, others) = (&self.manifest, &other.manifest);
        let differ = |what: &str, own: &str, other: &str| Some(format!("{what} {other}, not {own}"));
        let paths = |header: &Self| format!("{} paths", header.run_paths);
        if own.scenario_hash != others.scenario_hash {
            differ("of scenario", &own.scenario_hash, &others.scenario_hash)
        } else if own.seed != others.seed {
            differ("of seed", &own.seed.to_string(), &others.seed.to_string())
        } else if self.run_paths != other.run_paths {
            differ("of", &paths(self), &paths(other))
        } else if (&own.version, &own.commit, own.schema_version)
            != (&others.version, &others.commit, others.schema_version)
        {
            let name = |of: &Manifest| format!("{} ({})", of.version, of.commit);
            differ("written by taorisk", &name(own), &name(others))
        } else if own.method() != others.method() {
            differ("of estimator", own.method(), others.method())
        } else {
            (own.inputs != others.inputs).then(|| "made from other input files".to_owned())
        }
    }
}

/// Appends blocks to a journal.
#[derive(Debug)]
pub struct JournalWriter {
    path: PathBuf,
    file: File,
    check: u32,
    unsynced_blocks: u32,
    body: Vec<u8>,
}

impl JournalWriter {
    /// Begins a journal at `path`, over any other.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(path: &Path, header: &JournalHeader) -> Result<Self, OutputError> {
        let file = File::options().create(true).truncate(true).read(true).write(true).open(path);
        let file = file.map_err(OutputError::io("create", path))?;
        let mut journal = Self { path: path.to_owned(), file, check: 0, unsynced_blocks: 0, body: Vec::new() };
        journal.file.write_all(MAGIC).map_err(OutputError::io("write", path))?;
        journal.body = serde_json::to_vec(header).expect("plain structs are JSON");
        journal.write_frame(HEADER)?;
        journal.sync()?;
        Ok(journal)
    }

    /// Appends a block.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&mut self, block: &PathBlock) -> Result<(), OutputError> {
        put_block(block, &mut self.body);
        self.write_frame(BLOCK)?;
        self.unsynced_blocks += 1;
        if self.unsynced_blocks < SYNC_BLOCKS { Ok(()) } else { self.sync() }
    }

    /// Marks the journal as whole.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(mut self) -> Result<(), OutputError> {
        self.write_frame(END)?;
        self.sync()
    }

    /// Makes what was written survive a power cut.
    ///
    /// # Errors
    /// If the system cannot.
    pub fn sync(&mut self) -> Result<(), OutputError> {
        self.unsynced_blocks = 0;
        self.file.sync_data().map_err(OutputError::io("sync", &self.path))
    }

    /// Writes the body gathered so far as a frame, in one piece.
    fn write_frame(&mut self, kind: u8) -> Result<(), OutputError> {
        let check = check_of(self.check, kind, &self.body);
        let mut frame = Vec::with_capacity(FRAME_HEAD_BYTES + self.body.len());
        kind.put(&mut frame);
        (self.body.len() as u64).put(&mut frame);
        check.put(&mut frame);
        frame.append(&mut self.body);
        self.file.write_all(&frame).map_err(OutputError::io("write", &self.path))?;
        self.check = check;
        Ok(())
    }
}

/// Reads a journal block by block.
pub struct JournalReader {
    path: PathBuf,
    file: BufReader<File>,
    header: JournalHeader,
    check: u32,
    /// Bytes of the whole frames read so far.
    whole_bytes: u64,
    /// Bytes of the file.
    file_bytes: u64,
    next_path: u64,
    is_ended: bool,
}

impl JournalReader {
    /// Opens the journal at `path`; `None` if there is none, or its header was never finished.
    ///
    /// # Errors
    /// If it cannot be read, or holds something else.
    pub fn open(path: &Path) -> Result<Option<Self>, OutputError> {
        let file = match File::options().read(true).open(path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(OutputError::io("read", path)(error)),
        };
        let file_bytes = file.metadata().map_err(OutputError::io("read", path))?.len();
        let mut file = BufReader::new(file);
        let mut magic = vec![0; MAGIC.len().min(file_bytes as usize)];
        file.read_exact(&mut magic).map_err(OutputError::io("read", path))?;
        if !MAGIC.starts_with(&magic) {
            return Err(OutputError::Journal { path: path.to_owned(), problem: "is no journal".to_owned() });
        }
        let whole_bytes = magic.len() as u64;
        let Some(frame) = read_frame(&mut file, 0, file_bytes - whole_bytes).map_err(OutputError::io("read", path))?
        else {
            return Ok(None);
        };
        let source = |source| OutputError::Json { what: "header of a journal", path: path.to_owned(), source };
        let header: JournalHeader = serde_json::from_slice(&frame.body).map_err(source)?;
        let whole_bytes = whole_bytes + frame.bytes();
        let next_path = header.manifest.first_path;
        let path = path.to_owned();
        Ok(Some(Self { path, file, header, check: frame.check, whole_bytes, file_bytes, next_path, is_ended: false }))
    }

    /// What it is of.
    pub fn header(&self) -> &JournalHeader {
        &self.header
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The first path that no block read so far holds.
    pub fn next_path(&self) -> u64 {
        self.next_path
    }

    /// Whether it was read to its end mark with all its paths.
    pub fn is_whole(&self) -> bool {
        self.is_ended && self.next_path == self.header.manifest.end_path
    }

    /// The next block; `None` at the end mark, and where whole frames end.
    ///
    /// # Errors
    /// If the file cannot be read, or a frame with a right check is none of this program's.
    pub fn next_block(&mut self) -> Result<Option<PathBlock>, OutputError> {
        if self.is_ended {
            return Ok(None);
        }
        let left = self.file_bytes - self.whole_bytes;
        let frame = read_frame(&mut self.file, self.check, left).map_err(OutputError::io("read", &self.path))?;
        let Some(frame) = frame else { return Ok(None) };
        let block = match frame.kind {
            BLOCK => Some(take_block(&frame.body).filter(|block| self.fits(block)).ok_or_else(|| self.foreign())?),
            END if frame.body.is_empty() => None,
            _ => return Err(self.foreign()),
        };
        (self.check, self.whole_bytes) = (frame.check, self.whole_bytes + frame.bytes());
        self.is_ended = block.is_none();
        self.next_path = block.as_ref().map_or(self.next_path, PathBlock::end);
        Ok(block)
    }

    /// Cuts off what is no whole frame and goes on writing after the rest. All blocks have been read.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn into_writer(self) -> Result<JournalWriter, OutputError> {
        let open = || {
            let mut file = File::options().read(true).write(true).open(&self.path)?;
            file.set_len(self.whole_bytes)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().map_err(OutputError::io("write", &self.path))?;
        Ok(JournalWriter { path: self.path, file, check: self.check, unsynced_blocks: 0, body: Vec::new() })
    }

    fn fits(&self, block: &PathBlock) -> bool {
        let record = &block.record;
        record.first_path == self.next_path && record.count > 0 && block.end() <= self.header.manifest.end_path
    }

    fn foreign(&self) -> OutputError {
        let problem = format!("holds something at byte {} that this program did not write", self.whole_bytes);
        OutputError::Journal { path: self.path.clone(), problem }
    }
}

struct Frame {
    kind: u8,
    check: u32,
    body: Vec<u8>,
}

impl Frame {
    fn bytes(&self) -> u64 {
        (FRAME_HEAD_BYTES + self.body.len()) as u64
    }
}

fn check_of(before: u32, kind: u8, body: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(before);
    hasher.update(&[kind]);
    hasher.update(&(body.len() as u64).to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// The next of `left` bytes as a frame; `None` where they are no whole one.
fn read_frame(file: &mut impl Read, check_before: u32, left: u64) -> io::Result<Option<Frame>> {
    if left < FRAME_HEAD_BYTES as u64 {
        return Ok(None);
    }
    let mut head = [0; FRAME_HEAD_BYTES];
    file.read_exact(&mut head)?;
    let mut rest = head.as_slice();
    let fields = (u8::take(&mut rest), u64::take(&mut rest), u32::take(&mut rest));
    let (Some(kind), Some(length), Some(check)) = fields else { return Ok(None) };
    if length > (left - FRAME_HEAD_BYTES as u64).min(BODY_BYTES_MAX) {
        return Ok(None);
    }
    let mut body = vec![0; length as usize];
    file.read_exact(&mut body)?;
    Ok((check_of(check_before, kind, &body) == check).then_some(Frame { kind, check, body }))
}

fn put_block(block: &PathBlock, bytes: &mut Vec<u8>) {
    let BatchRecord {
        first_path,
        count,
        paths,
        positions,
        deregistrations,
        settlements,
        events,
        revenue,
        factors,
        samples,
        ..
    } = &block.record;
    first_path.put(bytes);
    (*count as u64).put(bytes);
    codec::put_list(paths, bytes);
    codec::put_list(positions, bytes);
    codec::put_list(deregistrations, bytes);
    codec::put_list(settlements, bytes);
    codec::put_list(events, bytes);
    codec::put_list(revenue, bytes);
    codec::put_list(factors, bytes);
    codec::put_list(samples, bytes);
    codec::put_list(&block.counts, bytes);
}

fn take_block(mut bytes: &[u8]) -> Option<PathBlock> {
    let bytes = &mut bytes;
    let record = BatchRecord {
        first_path: u64::take(bytes)?,
        count: usize::try_from(u64::take(bytes)?).ok()?,
        paths: codec::take_list(bytes)?,
        positions: codec::take_list(bytes)?,
        deregistrations: codec::take_list(bytes)?,
        settlements: codec::take_list(bytes)?,
        events: codec::take_list(bytes)?,
        revenue: codec::take_list(bytes)?,
        factors: codec::take_list(bytes)?,
        samples: codec::take_list(bytes)?,
        ..BatchRecord::default()
    };
    let counts: Vec<CellCount> = codec::take_list(bytes)?;
    record.first_path.checked_add(record.count as u64)?;
    bytes.is_empty().then_some(PathBlock { record, counts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;

    use crate::engine::record::PathRow;
    use crate::output::hash::ResultHash;
    use crate::output::parquet::Identity;

    fn header(first_path: u64, end_path: u64) -> JournalHeader {
        let identity = Identity { scenario_hash: "ab".to_owned(), seed: 7 };
        let scenario = serde_json::json!({"run": {"name": "x"}});
        let hash = ResultHash([0; 32]);
        let manifest = Manifest::new(&identity, scenario, BTreeMap::new(), first_path, end_path, hash);
        JournalHeader { manifest, run_paths: 100, shard: Some((1, 4)) }
    }

    fn block(first_path: u64, count: usize) -> PathBlock {
        let rows = (first_path..first_path + count as u64).map(|path| PathRow { path, ..PathRow::EMPTY });
        let record = BatchRecord { first_path, count, paths: rows.collect(), ..BatchRecord::default() };
        PathBlock { record, counts: vec![CellCount { cell: 3, count: first_path as u32 }] }
    }

    /// Three blocks of ten paths and the end; its path, and where each frame ends.
    fn journal(directory: &Path) -> (PathBuf, Vec<u64>) {
        let path = directory.join("journal");
        let mut writer = JournalWriter::create(&path, &header(20, 50)).unwrap();
        let mut ends = vec![path.metadata().unwrap().len()];
        for first in [20, 30, 40] {
            writer.append(&block(first, 10)).unwrap();
            ends.push(path.metadata().unwrap().len());
        }
        writer.end().unwrap();
        ends.push(path.metadata().unwrap().len());
        (path, ends)
    }

    fn read(path: &Path) -> (Vec<PathBlock>, JournalReader) {
        let mut reader = JournalReader::open(path).unwrap().unwrap();
        let mut blocks = Vec::new();
        while let Some(block) = reader.next_block().unwrap() {
            blocks.push(block);
        }
        (blocks, reader)
    }

    #[test]
    fn blocks_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let (path, _) = journal(directory.path());
        let (blocks, reader) = read(&path);
        assert_eq!(blocks, [block(20, 10), block(30, 10), block(40, 10)]);
        assert!(reader.is_whole() && *reader.header() == header(20, 50));
        assert!(JournalReader::open(&directory.path().join("none")).unwrap().is_none());
    }

    /// Cut at every byte: the frames before the cut count, and writing goes on after them as if nothing had happened.
    #[test]
    fn a_torn_journal_goes_on_from_its_last_whole_block() {
        let directory = tempfile::tempdir().unwrap();
        let (path, ends) = journal(directory.path());
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            let torn = directory.path().join("torn");
            fs::write(&torn, &whole[..length]).unwrap();
            let frames = ends.iter().filter(|&&end| end <= length as u64).count();
            if frames == 0 {
                assert!(JournalReader::open(&torn).unwrap().is_none(), "{length}");
                continue;
            }
            let (blocks, reader) = read(&torn);
            assert_eq!((blocks.len(), reader.is_whole()), (frames.min(4) - 1, false), "{length}");
            let next = reader.next_path();
            let mut writer = reader.into_writer().unwrap();
            (next..50).step_by(10).for_each(|first| writer.append(&block(first, 10)).unwrap());
            writer.end().unwrap();
            assert!(fs::read(&torn).unwrap() == whole, "{length}");
        }
    }

    #[test]
    fn a_flipped_bit_ends_what_is_believed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, ends) = journal(directory.path());
        let whole = fs::read(&path).unwrap();
        for byte in ends[0] as usize..whole.len() {
            let mut damaged = whole.clone();
            damaged[byte] ^= 1 << (byte % 8);
            fs::write(&path, &damaged).unwrap();
            let (blocks, reader) = read(&path);
            let intact = ends.iter().filter(|&&end| end <= byte as u64).count() - 1;
            assert_eq!((blocks.len(), reader.is_whole()), (intact, false), "{byte}");
        }
        for byte in 0..ends[0] as usize {
            let mut damaged = whole.clone();
            damaged[byte] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert!(
                JournalReader::open(&path).is_err_and(|error| error.is_bad_input())
                    || JournalReader::open(&path).unwrap().is_none()
            );
        }
    }

    #[test]
    fn a_repeated_or_moved_block_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let (path, ends) = journal(directory.path());
        let whole = fs::read(&path).unwrap();
        let frame = |index: usize| &whole[ends[index] as usize..ends[index + 1] as usize];
        let head = &whole[..ends[0] as usize];
        for (order, expected) in [(vec![0, 0, 1], 1), (vec![1, 0, 2], 0), (vec![0, 2], 1)] {
            let frames = order.iter().flat_map(|&index| frame(index)).copied();
            fs::write(&path, head.iter().copied().chain(frames).collect::<Vec<u8>>()).unwrap();
            assert_eq!(read(&path).0.len(), expected, "{order:?}");
        }
    }

    #[test]
    fn what_sets_runs_apart_is_said() {
        let own = header(0, 10);
        assert_eq!(own.other_run(&header(10, 20)), None);
        let mut other = own.clone();
        other.manifest.seed = 8;
        assert_eq!(own.other_run(&other).unwrap(), "of seed 8, not 7");
        let mut other = own.clone();
        other.manifest.commit = "f00".to_owned();
        assert!(own.other_run(&other).unwrap().starts_with("written by taorisk"));
    }
}
