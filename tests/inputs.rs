//! Readers meet anything: whatever the bytes, they give a value that holds what it promises, or an error with the
//! file's name, and never panic.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Float64Array;
use arrow::array::Int64Array;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::input::document::Document;
use taorisk::input::positions::read_books;
use taorisk::input::snapshot::Snapshot;

const SNAPSHOT: &str = include_str!("../configs/snapshot-2026-09-30.csv");
const BASE: &str = include_str!("../configs/base.toml");

fn document(name: &str, bytes: Vec<u8>) -> Document {
    Document { name: name.to_owned(), path: None, bytes: bytes.into() }
}

/// What a snapshot promises to everything that reads it.
fn assert_usable(snapshot: &Snapshot) {
    assert!(!snapshot.subnets.is_empty());
    assert!(snapshot.subnets.is_sorted_by(|one, next| one.netuid < next.netuid));
    for subnet in &snapshot.subnets {
        assert!((1..=256).contains(&subnet.netuid) && subnet.registration_block <= snapshot.block);
        assert!(subnet.price > 0.0 && subnet.tao_in > 0.0 && subnet.alpha_in > 0.0);
        assert!(subnet.alpha_in + subnet.outstanding_alpha() <= 21e6);
    }
}

/// A text with some of its bytes replaced.
fn damaged(text: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((0..text.len(), any::<u8>()), 1..8).prop_map(move |changes| {
        let mut bytes = text.to_vec();
        for (place, byte) in changes {
            bytes[place] = byte;
        }
        bytes
    })
}

/// The columns that a snapshot needs, of two subnets, as a Parquet file.
fn small_parquet() -> Vec<u8> {
    let whole = |values: [i64; 2]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
    let number = |values: [f64; 2]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
    let batch = RecordBatch::try_from_iter([
        ("netuid", whole([1, 2])),
        ("block", whole([100, 100])),
        ("registration_block", whole([7, 8])),
        ("tao_in", number([10.0, 20.0])),
        ("alpha_in", number([100.0, 100.0])),
        ("miner_burned_fraction", number([0.0, 1.0])),
        ("emission_enabled", whole([1, 0])),
        ("alpha_staked_by_wallets", number([50.0, 60.0])),
        ("alpha_protocol_owned", number([0.0, 1.0])),
        ("alpha_burned", number([0.0, 2.0])),
        ("price", number([0.1, 0.2])),
    ])
    .expect("a batch");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a Parquet writer");
    writer.write(&batch).expect("rows written");
    writer.close().expect("a footer written");
    bytes
}

fn read_file(path: &Path) -> Result<Snapshot, String> {
    let document = Document::open(path).map_err(|error| error.to_string())?;
    Snapshot::read(&document).map_err(|error| error.to_string())
}

proptest! {
    #[test]
    fn damaged_snapshots(bytes in damaged(SNAPSHOT.as_bytes())) {
        match Snapshot::read(&document("s.csv", bytes)) {
            Ok(snapshot) => assert_usable(&snapshot),
            Err(error) => prop_assert!(error.to_string().starts_with("s.csv"), "{error}"),
        }
    }

    #[test]
    fn arbitrary_positions(text in "netuid,(alpha|value_tao|take|book)(,cost_tao)?\n([0-9a-f.,\"\n-]{0,40})") {
        let snapshot = Snapshot::read(&Snapshot::embedded()).expect("the shipped snapshot");
        match read_books(&document("p.csv", text.into_bytes()), &snapshot, 0.18) {
            Ok(books) => {
                for position in books.iter().flat_map(|book| &book.positions) {
                    prop_assert!(position.alpha > 0.0 && position.alpha.is_finite());
                    prop_assert!(snapshot.subnet(position.netuid).is_some());
                }
            }
            Err(error) => prop_assert!(error.to_string().starts_with("p.csv"), "{error}"),
        }
    }

    #[test]
    fn damaged_scenarios(bytes in damaged(BASE.as_bytes())) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Err(error) = Scenario::from_text("s.toml", &text, Path::new(""), &Overrides::default()) {
            let message = error.to_string();
            prop_assert!(message.contains("s.toml:") || message.starts_with("cannot read "), "{message}");
        }
    }

    #[test]
    fn damaged_parquet(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("s.parquet");
        let mut bytes = small_parquet();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        fs::write(&path, bytes).expect("a file");
        match read_file(&path) {
            Ok(snapshot) => assert_usable(&snapshot),
            Err(message) => prop_assert!(message.contains("s.parquet"), "{message}"),
        }
    }
}

#[test]
fn undamaged_parquet_is_read() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("no-extension");
    fs::write(&path, small_parquet()).expect("a file");
    let snapshot = read_file(&path).expect("a valid snapshot");
    let mut seen = String::new();
    for subnet in &snapshot.subnets {
        write!(seen, "{} {} {} {}; ", subnet.netuid, subnet.emission_enabled, subnet.tao_in, subnet.price)
            .expect("text");
    }
    assert_eq!((snapshot.block, seen.as_str()), (100, "1 true 10 0.1; 2 false 20 0.2; "));
}
