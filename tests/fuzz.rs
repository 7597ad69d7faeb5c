//! Every reader against mutated files: a value or an error with the file's name, never a panic, for seconds or for hours.
//!
//! Files that once did harm stand in `tests/reference/fuzz` by reader and are always read. The number of mutations is fixed; with
//! `TAORISK_FUZZ_SECONDS=600 cargo test --release --test fuzz -- --test-threads 1` each reader is given so much time instead.

use std::env;
use std::fs;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::input::document::Document;
use taorisk::input::history::read_observations;
use taorisk::input::history::read_registrations;
use taorisk::input::history::read_root_stake;
use taorisk::input::history::read_tao_usd;
use taorisk::input::ingest::Request;
use taorisk::input::ingest::ingest;
use taorisk::input::matrix::read_staked_weights;
use taorisk::input::positions::read_books;
use taorisk::input::snapshot::Snapshot;
use taorisk::output::hash::hash_run;
use taorisk::output::journal::JournalReader;
use taorisk::output::manifest::Manifest;
use taorisk::output::read::read_attribution;
use taorisk::output::read::read_credit;
use taorisk::output::read::read_path;
use taorisk::output::read::read_summary;

/// Mutations of each reader where no time is given.
const MUTATIONS: u64 = 150;
/// What numbers and words in texts are replaced by.
const WORDS: [&str; 14] = [
    "",
    "0",
    "-1",
    "1e308",
    "-1e-308",
    "NaN",
    "inf",
    "1e400",
    "18446744073709551616",
    "\"",
    "[",
    "]]",
    "\u{fffd}",
    "= =",
];

/// SplitMix64: a stream for the choice of mutations.
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// A range of at most 64 bytes.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let start = self.below(length + 1);
        (start, (start + self.below(65)).min(length))
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(4) {
            let (start, end) = self.range(bytes.len());
            match self.below(8) {
                0 if start < bytes.len() => bytes[start] ^= 1 << self.below(8),
                1 if start < bytes.len() => bytes[start] = self.next() as u8,
                2 => drop(bytes.drain(start..end)),
                3 => bytes.truncate(start),
                4 => {
                    let copy = bytes[start..end].to_vec();
                    let place = self.below(bytes.len() + 1);
                    bytes.splice(place..place, copy);
                }
                5 => {
                    let (from, to) = self.range(other.len());
                    bytes.splice(start..end, other[from..to].iter().copied());
                }
                6 => {
                    let noise: Vec<u8> = (0..self.below(9)).map(|_| self.next() as u8).collect();
                    bytes.splice(start..start, noise);
                }
                _ => self.replace_word(bytes, start),
            }
        }
    }

    /// Puts another word in place of the one around `place`.
    fn replace_word(&mut self, bytes: &mut Vec<u8>, place: usize) {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        let before = bytes[..place].iter().rev().take_while(|byte| is_word(byte)).count();
        let after = bytes[place..].iter().take_while(|byte| is_word(byte)).count();
        let word = WORDS[self.below(WORDS.len())];
        bytes.splice(place - before..place + after, word.bytes());
    }
}

/// Feeds a reader with its seeds, with what once did harm, and with mutations; a file that makes it panic is kept and named.
fn fuzz(reader: &str, seeds: &[Vec<u8>], read: impl Fn(&[u8])) {
    let try_one = |bytes: &[u8], what: &str| {
        if panic::catch_unwind(AssertUnwindSafe(|| read(bytes))).is_err() {
            let kept = env::temp_dir().join(format!("taorisk-fuzz-{reader}-{what}"));
            fs::write(&kept, bytes).expect("a place for the harmful file");
            panic!("{reader} does not bear {} (keep it in tests/reference/fuzz/{reader})", kept.display());
        }
    };
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/fuzz").join(reader);
    for entry in fs::read_dir(known).into_iter().flatten() {
        try_one(&fs::read(entry.unwrap().path()).unwrap(), "known");
    }
    seeds.iter().for_each(|seed| try_one(seed, "seed"));
    let time = env::var("TAORISK_FUZZ_SECONDS").ok().map(|time| Duration::from_secs(time.parse().expect("seconds")));
    let (clock, mut stream, mut done) = (Instant::now(), Stream(reader.len() as u64), 0);
    while time.map_or(done < MUTATIONS, |time| clock.elapsed() < time) {
        let mut bytes = seeds[stream.below(seeds.len())].clone();
        let other = &seeds[stream.below(seeds.len())];
        stream.mutate(&mut bytes, other);
        try_one(&bytes, &done.to_string());
        done += 1;
    }
    println!("{reader}: {done} mutations of {} files in {:.0} s", seeds.len(), clock.elapsed().as_secs_f64());
}

fn project(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files of a directory with that ending.
fn all(directory: &str, ending: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn document(name: &str, bytes: &[u8]) -> Document {
    Document { name: name.to_owned(), path: None, bytes: bytes.to_vec().into() }
}

/// A reader's answer: an error names the file.
fn named<T, E: ToString>(name: &str, answer: Result<T, E>) {
    if let Err(error) = answer {
        let message = error.to_string();
        assert!(message.contains(name), "{name} is not in: {message}");
    }
}

/// A small run with every optional file; the directory goes with the value.
fn small_run(more: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    command.args(["run", "--paths", "40", "--horizon-days", "2", "--quiet", "--out"]).arg(&out).args(more);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (place, out)
}

#[test]
fn scenarios() {
    let seeds: Vec<Vec<u8>> = all("configs", ".toml")
        .into_iter()
        .chain(all("configs/scenarios", ".toml"))
        .chain(all("configs/portfolios", ".toml"))
        .collect();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/portfolios");
    fuzz("scenario", &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let answer = Scenario::from_text("s.toml", &text, &directory, &Overrides::default());
        if let Err(error) = answer {
            let message = error.to_string();
            assert!(
                message.contains("s.toml") || message.starts_with("cannot read ") || message.contains(".csv"),
                "{message}"
            );
        }
    });
}

#[test]
fn snapshots() {
    fuzz("snapshot", &[project("configs/snapshot-2026-09-30.csv")], |bytes| {
        named("s.csv", Snapshot::read(&document("s.csv", bytes)));
    });
}

#[test]
fn positions() {
    let snapshot = Snapshot::read(&Snapshot::embedded()).unwrap();
    let mut seeds = all("configs/portfolios", ".csv");
    seeds.push(project("configs/sample-book.csv"));
    fuzz("positions", &seeds, |bytes| named("p.csv", read_books(&document("p.csv", bytes), &snapshot, 0.18)));
}

#[test]
fn histories() {
    fuzz("panel", &[project("configs/history/daily-panel.parquet")], |bytes| {
        named("h.parquet", read_observations(&document("h.parquet", bytes)));
    });
    let tables = ["registrations", "root-stake", "tao-usd"].map(|name| project(&format!("configs/history/{name}.csv")));
    fuzz("history", &tables, |bytes| {
        named("h.csv", read_registrations(&document("h.csv", bytes)));
        named("h.csv", read_tao_usd(&document("h.csv", bytes)));
        named("h.csv", read_root_stake(&document("h.csv", bytes)));
    });
}

#[test]
fn foreign_tables() {
    let mut seeds = all("tests/fixtures/ingest", ".json");
    seeds.extend(all("tests/fixtures/ingest", ".csv"));
    let base = Snapshot::read(&Snapshot::embedded()).unwrap();
    fuzz("ingest", &seeds, |bytes| {
        let request = Request { base: Some(&base), block: Some(9_000_000), ..Request::default() };
        named("x.json", ingest(&[document("x.json", bytes)], &request));
    });
}

#[test]
fn weight_matrices() {
    let seed = b"uid,stake,0,1,2\n0,10,0,1,2\n1,20.5,1,0,\n2,1e3,0.5,0.25,0\n".to_vec();
    fuzz("matrix", &[seed], |bytes| named("w.csv", read_staked_weights(&document("w.csv", bytes), "stake")));
}

#[test]
fn manifests() {
    let (_place, run) = small_run(&[]);
    let seed = fs::read(run.join("manifest.json")).unwrap();
    let place = tempfile::tempdir().unwrap();
    fuzz("manifest", &[seed], |bytes| {
        fs::write(place.path().join("manifest.json"), bytes).unwrap();
        match Manifest::read(place.path()) {
            Ok(Some(manifest)) => {
                let _ = Scenario::from_json("m", &manifest.scenario, &Overrides::default());
            }
            answer => named("manifest.json", answer),
        }
    });
}

/// The Parquet files of a run: those that a person may have kept, moved and damaged.
#[test]
fn results() {
    let (_place, run) = small_run(&[]);
    let names = ["summary.parquet", "paths.parquet", "attribution.parquet", "credit.parquet"];
    for name in names {
        let whole = fs::read(run.join(name)).unwrap();
        fuzz(name, std::slice::from_ref(&whole), |bytes| {
            fs::write(run.join(name), bytes).unwrap();
            named(name, hash_run(&run));
            match name {
                "summary.parquet" => named(name, read_summary(&run)),
                "paths.parquet" => named(name, read_path(&run, 7, 1, 2)),
                "attribution.parquet" => named(name, read_attribution(&run)),
                _ => named(name, read_credit(&run)),
            }
        });
        fs::write(run.join(name), whole).unwrap();
    }
}

#[test]
fn journals() {
    let (_place, run) = small_run(&["--shard", "1/2"]);
    let seed = fs::read(run.join("shard-1-of-2/shard.journal")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("shard.journal");
    fuzz("journal", &[seed], |bytes| {
        fs::write(&path, bytes).unwrap();
        match JournalReader::open(&path) {
            Ok(Some(mut reader)) => while let Ok(Some(_)) = reader.next_block() {},
            answer => named("shard.journal", answer),
        }
    });
}
