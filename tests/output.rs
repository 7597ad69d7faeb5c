//! Result files: read back as written, the same bytes for any blocks of rows, damage found, runs replaced whole.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::path::Path;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::datatypes::Float64Type;
use arrow::datatypes::UInt32Type;
use arrow::datatypes::UInt64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use taorisk::cli::summarize::Show;
use taorisk::cli::summarize::summary_text;
use taorisk::cli::table::Style;
use taorisk::engine::record::DeregistrationRow;
use taorisk::engine::record::EventKind;
use taorisk::engine::record::EventRow;
use taorisk::engine::record::PathRow;
use taorisk::engine::record::SampleRow;
use taorisk::output::error::OutputError;
use taorisk::output::hash::ColumnHashes;
use taorisk::output::hash::ResultHash;
use taorisk::output::hash::hash_run;
use taorisk::output::manifest::Manifest;
use taorisk::output::manifest::Runtime;
use taorisk::output::parquet::Identity;
use taorisk::output::read::read_attribution;
use taorisk::output::read::read_batches;
use taorisk::output::read::read_credit;
use taorisk::output::read::read_deregistration_risk;
use taorisk::output::read::read_summary;
use taorisk::output::run_dir::RunDirectory;
use taorisk::output::schema::EVENTS;
use taorisk::output::schema::FILES;
use taorisk::output::schema::FileSchema;
use taorisk::output::schema::Kind;
use taorisk::output::schema::MEANING_KEY;
use taorisk::output::schema::PATHS;
use taorisk::output::schema::QUANTILES;
use taorisk::output::schema::SUMMARY;
use taorisk::output::writer::Labels;
use taorisk::output::writer::ResultWriter;
use taorisk::output::writer::RowBlock;
use taorisk::risk::attribution::AttributionRow;
use taorisk::risk::attribution::PartKind;
use taorisk::risk::attribution::PartMeasure;
use taorisk::risk::book::BookOpening;
use taorisk::risk::book::BookStatistics;
use taorisk::risk::credit::CreditMeasure;
use taorisk::risk::credit::CreditRow;
use taorisk::risk::estimate::Estimate;
use taorisk::risk::histogram::Metric;
use taorisk::risk::histogram::SubnetCube;
use taorisk::risk::measure::Basis;
use taorisk::risk::measure::Currency;
use taorisk::risk::measure::SummaryRow;
use taorisk::risk::subnet::QuantileRow;
use taorisk::risk::subnet::SubnetOpening;
use taorisk::risk::subnet::SubnetRow;
use taorisk::risk::subnet::SubnetStatistics;
use taorisk::units::NetUid;
use taorisk::units::SubnetId;

const HORIZONS_DAYS: [f64; 2] = [7.0, 30.0];

/// Numbers that look random and are the same everywhere.
fn scatter(index: u64) -> f64 {
    let word = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (word >> 11) as f64 * 2.0_f64.powi(-53) - 0.5
}

fn path_rows(path: u64) -> impl Iterator<Item = PathRow> {
    (0..HORIZONS_DAYS.len() as u16).map(move |horizon| {
        let pnl = 100.0 * scatter(2 * path + u64::from(horizon));
        PathRow {
            path,
            book: 0,
            horizon,
            pnl_mark_tao: pnl,
            pnl_liquidation_tao: pnl - 1.0,
            pnl_mark_usd: 300.0 * pnl,
            pnl_liquidation_usd: 300.0 * pnl - 300.0,
            pnl_exit_tao: (!path.is_multiple_of(3)).then_some(pnl - 0.5),
            pnl_exit_usd: (!path.is_multiple_of(3)).then_some(300.0 * pnl - 150.0),
            max_drawdown: scatter(path).abs(),
            tao_usd: 300.0 + scatter(path),
            longest_under_water_days: (path % 7) as f64,
            lowest_pnl_tao: -scatter(path).abs(),
            deregistered_holdings: (path % 3) as u16,
            weight: 1.0,
        }
    })
}

fn event_row(path: u64) -> EventRow {
    let registered = path.is_multiple_of(2);
    EventRow {
        path,
        block: 8_000_000 + path,
        netuid: NetUid((path % 128) as u16 + 1),
        registered_at: 7_000_000,
        kind: if registered { EventKind::Registered } else { EventKind::Deregistered },
        moving_price: scatter(path).abs(),
        lock_cost_tao: registered.then_some(700.0),
        payout_tao_per_alpha: (!registered).then_some(0.0),
    }
}

fn sample_row(path: u64) -> SampleRow {
    SampleRow {
        path,
        step: 3,
        block: 8_021_600,
        netuid: NetUid(64),
        registered_at: 5_000_000,
        reserve_tao: 1e5 + scatter(path),
        reserve_alpha: 1e6,
        price: 0.1,
        moving_price: 0.09,
        emission_share: 0.02,
        staked_alpha: 9e5,
        outstanding_alpha: 1e6,
        flow: scatter(path),
    }
}

fn blocks(paths: u64, paths_per_block: u64) -> impl Iterator<Item = RowBlock> {
    (0..paths.div_ceil(paths_per_block)).map(move |block| {
        let range = block * paths_per_block..paths.min((block + 1) * paths_per_block);
        RowBlock {
            paths: range.clone().flat_map(path_rows).collect(),
            events: range.clone().map(event_row).collect(),
            samples: range.filter(|path| *path < 100).map(sample_row).collect(),
        }
    })
}

fn summary(paths: u64) -> Vec<SummaryRow> {
    let book = BookOpening { name: "désk".into(), mark_tao: 1e3, liquidation_tao: 990.0, usd_per_tao: 300.0 };
    let mut statistics = BookStatistics::new(&[book], &HORIZONS_DAYS, &[0.95, 0.99], paths);
    (0..paths).flat_map(path_rows).for_each(|row| statistics.push(&row));
    statistics.finish()
}

fn subnets(paths: u64) -> (Vec<SubnetRow>, Vec<QuantileRow>) {
    let opening = |netuid, held| SubnetOpening {
        id: SubnetId { netuid: NetUid(netuid), registered_at: 5_000_000 },
        name: format!("subnet {netuid}"),
        price: 0.1,
        held,
    };
    let openings = [opening(3, true), opening(64, true), opening(7, false)];
    let mut statistics = SubnetStatistics::new(&openings, 8_000_000, &HORIZONS_DAYS, &[0.05, 0.5, 0.95], paths);
    let mut cube = SubnetCube::new(64, HORIZONS_DAYS.len());
    for path in 0..paths / 3 {
        let (slot, horizon, block) = (2, 1, 8_100_000);
        let row = DeregistrationRow { path, slot, horizon, block, payout_tao_per_alpha: 0.05, price_before: 0.1 };
        statistics.push_deregistration(&row);
        cube.record(63, 0, Metric::Price, 0.05 + scatter(path).abs());
    }
    statistics.finish(&cube)
}

/// A row of every measure, of a position and of a sector in turn.
fn attribution() -> Vec<AttributionRow> {
    let row = |(index, measure): (usize, PartMeasure)| {
        let is_position = index % 2 == 0;
        AttributionRow {
            book: "désk".into(),
            kind: if is_position { PartKind::Position } else { PartKind::Sector },
            id: is_position.then_some(SubnetId { netuid: NetUid(3), registered_at: 5_000_000 }),
            name: "compute".into(),
            basis: Basis::Liquidation,
            currency: Currency::Usd,
            level: (index > 0).then_some(0.95),
            horizon_days: 30.0,
            measure,
            estimate: Estimate::normal(12.5 * index as f64, f64::INFINITY, 100),
            share: is_position.then_some(0.25),
        }
    };
    PartMeasure::ALL.into_iter().enumerate().map(row).collect()
}

/// A row of every measure, of a holding and of the book in turn.
fn credit() -> Vec<CreditRow> {
    let row = |(index, measure): (usize, CreditMeasure)| {
        let is_holding = index % 2 == 0;
        CreditRow {
            book: "désk".into(),
            id: is_holding.then_some(SubnetId { netuid: NetUid(64), registered_at: 5_000_000 }),
            name: if is_holding { "chutes".into() } else { String::new() },
            payout_rule: if is_holding { "stakers".into() } else { String::new() },
            horizon_days: 7.0,
            measure,
            level: (!is_holding).then_some(index as f64),
            estimate: Estimate::normal(scatter(index as u64), 0.5, 300),
        }
    };
    CreditMeasure::ALL.into_iter().enumerate().map(row).collect()
}

fn identity() -> Identity {
    Identity { scenario_hash: "5ce0".into(), seed: 42 }
}

fn labels() -> Labels {
    Labels { books: vec!["désk".into()], horizons_days: HORIZONS_DAYS.to_vec() }
}

fn runtime() -> Runtime {
    Runtime {
        started: "2026-10-01T00:00:00Z".into(),
        elapsed_seconds: 1.5,
        simulation_seconds: 1.0,
        host: "desk".into(),
        threads: 2,
        simd_backend: "scalar".into(),
        peak_memory_bytes: None,
        paths_per_second: 1e5,
        targets: Vec::new(),
        figures_of_merit: Vec::new(),
    }
}

/// Writes all files but does not finish the run.
fn write_files(directory: &RunDirectory, paths: u64, paths_per_block: u64) -> ResultHash {
    let mut writer = ResultWriter::start(directory, labels(), identity()).unwrap();
    blocks(paths, paths_per_block).for_each(|block| writer.send(block).unwrap());
    let (subnets, quantiles) = subnets(paths);
    writer.add_attribution(attribution());
    writer.add_credit(credit());
    writer.finish(directory, &summary(paths), &subnets, &quantiles).unwrap()
}

fn write_run(path: &Path, force: bool, paths: u64, paths_per_block: u64) -> ResultHash {
    let directory = RunDirectory::create(path, force).unwrap();
    let hash = write_files(&directory, paths, paths_per_block);
    let inputs = BTreeMap::from([("snapshot".to_owned(), "aa".to_owned())]);
    let manifest = Manifest::new(&identity(), serde_json::json!({"run": {"paths": 10}}), inputs, 0, paths, hash);
    directory.finish(&manifest, &runtime()).unwrap();
    hash
}

fn read_all(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries.map(|entry| (name(&entry), fs::read(entry.path()).unwrap())).collect()
}

fn f64_at(batch: &RecordBatch, name: &str, row: usize) -> f64 {
    batch.column_by_name(name).unwrap().as_primitive::<Float64Type>().value(row)
}

fn optional_at(batch: &RecordBatch, name: &str, row: usize) -> Option<f64> {
    let column = batch.column_by_name(name).unwrap();
    column.is_valid(row).then(|| f64_at(batch, name, row))
}

#[test]
fn bytes_and_hash_do_not_depend_on_the_blocks() {
    let parent = tempfile::tempdir().unwrap();
    // 70,000 rows of paths: more than one row group.
    let hashes = [1, 16, 35_000].map(|size| write_run(&parent.path().join(size.to_string()), false, 35_000, size));
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0], hashes[2]);
    assert_eq!(hash_run(&parent.path().join("1")).unwrap(), hashes[0]);
    let first = read_all(&parent.path().join("1"));
    assert_eq!(first.len(), FILES.len() + 3);
    assert_eq!(first, read_all(&parent.path().join("16")));
    assert_eq!(first, read_all(&parent.path().join("35000")));
}

#[test]
fn the_hash_sees_one_value() {
    let parent = tempfile::tempdir().unwrap();
    let hash_with = |change: fn(&mut RowBlock)| {
        let directory = RunDirectory::create(parent.path(), false).unwrap();
        let mut writer = ResultWriter::start(&directory, labels(), identity()).unwrap();
        let mut block = blocks(50, 50).next().unwrap();
        change(&mut block);
        writer.send(block).unwrap();
        writer.finish(&directory, &[], &[], &[]).unwrap()
    };
    let unchanged = hash_with(|_| ());
    assert_eq!(unchanged, hash_with(|_| ()));
    let changes: [fn(&mut RowBlock); 5] = [
        |block| block.paths[99].pnl_mark_tao = f64::from_bits(block.paths[99].pnl_mark_tao.to_bits() + 1),
        |block| block.events[0].payout_tao_per_alpha = Some(0.0),
        |block| block.events[1].payout_tao_per_alpha = Some(-0.0),
        |block| block.samples[49].netuid = NetUid(65),
        |block| block.samples.truncate(49),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        assert_ne!(hash_with(change), unchanged, "change {index}");
    }
}

#[test]
fn files_read_back_as_written() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    write_run(&path, false, 1_000, 64);
    assert_eq!(read_summary(&path).unwrap(), summary(1_000));
    let mut rows = (0..1_000).flat_map(path_rows);
    read_batches(&path, &PATHS, |batch| {
        for (index, expected) in (0..batch.num_rows()).zip(&mut rows) {
            let column = |name| batch.column_by_name(name).unwrap();
            let found = PathRow {
                path: column("path").as_primitive::<UInt64Type>().value(index),
                book: u16::from(column("book").as_string::<i32>().value(index) != "désk"),
                horizon: u16::from(f64_at(batch, "horizon_days", index) != 7.0),
                pnl_mark_tao: f64_at(batch, "pnl_mark_tao", index),
                pnl_liquidation_tao: f64_at(batch, "pnl_liquidation_tao", index),
                pnl_mark_usd: f64_at(batch, "pnl_mark_usd", index),
                pnl_liquidation_usd: f64_at(batch, "pnl_liquidation_usd", index),
                pnl_exit_tao: optional_at(batch, "pnl_exit_tao", index),
                pnl_exit_usd: optional_at(batch, "pnl_exit_usd", index),
                tao_usd: f64_at(batch, "tao_usd", index),
                max_drawdown: f64_at(batch, "max_drawdown", index),
                longest_under_water_days: f64_at(batch, "longest_under_water_days", index),
                lowest_pnl_tao: f64_at(batch, "lowest_pnl_tao", index),
                deregistered_holdings: column("deregistered_holdings").as_primitive::<UInt32Type>().value(index) as u16,
                weight: f64_at(batch, "weight", index),
            };
            assert_eq!(found, expected);
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(rows.next(), None);
}

#[test]
fn events_and_subnets_read_back_with_their_nulls() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    write_run(&path, false, 300, 64);
    let mut rows = 0;
    read_batches(&path, &EVENTS, |batch| {
        for index in 0..batch.num_rows() {
            let expected = event_row(rows);
            let column = |name| batch.column_by_name(name).unwrap().as_primitive::<Float64Type>();
            let optional = |name| column(name).is_valid(index).then(|| column(name).value(index));
            assert_eq!(optional("lock_cost_tao"), expected.lock_cost_tao);
            assert_eq!(optional("payout_tao_per_alpha"), expected.payout_tao_per_alpha);
            rows += 1;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(rows, 300);
    let (subnets, quantiles) = subnets(300);
    let risk = read_deregistration_risk(&path).unwrap();
    assert_eq!(risk.len(), subnets.len());
    for (found, expected) in risk.iter().zip(&subnets) {
        assert_eq!((found.netuid, &found.name), (expected.opening.id.netuid, &expected.opening.name));
        assert_eq!((found.held, found.horizon_days), (expected.opening.held, expected.horizon_days));
        assert_eq!(found.probability, expected.deregistration);
        assert_eq!(found.loss, expected.loss_given_deregistration);
    }
    let mut values = quantiles.iter().map(|row| row.estimate.map(|estimate| estimate.value));
    read_batches(&path, &QUANTILES, |batch| {
        let column = batch.column_by_name("value").unwrap().as_primitive::<Float64Type>();
        assert!(column.iter().eq(values.by_ref().take(batch.num_rows())));
        Ok(())
    })
    .unwrap();
}

#[test]
fn attribution_and_credit_read_back_as_they_were() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    write_run(&path, false, 10, 10);
    assert_eq!(read_attribution(&path).unwrap(), attribution());
    assert_eq!(read_credit(&path).unwrap(), credit());
}

#[test]
fn metadata_says_what_a_column_means_and_nothing_of_the_machine() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    write_run(&path, false, 10, 10);
    for schema in FILES {
        let file = File::open(path.join(schema.file)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let metadata = reader.metadata().file_metadata();
        assert_eq!(metadata.created_by(), Some("taorisk"));
        let keys = metadata.key_value_metadata().unwrap().iter();
        let keys: BTreeMap<&str, &str> = keys.map(|pair| (pair.key.as_str(), pair.value.as_deref().unwrap())).collect();
        let names: Vec<&str> = keys.keys().copied().collect();
        assert_eq!(names, ["ARROW:schema", "taorisk.scenario_hash", "taorisk.schema_version", "taorisk.seed"]);
        assert_eq!((keys["taorisk.scenario_hash"], keys["taorisk.seed"]), ("5ce0", "42"));
        let group = reader.metadata().row_group(0);
        for (chunk, column) in group.columns().iter().zip(schema.columns) {
            let split = chunk.encodings().any(|encoding| encoding == Encoding::BYTE_STREAM_SPLIT);
            assert_eq!(split, column.kind == Kind::F64, "{} {}", schema.file, column.name);
            assert_eq!(chunk.dictionary_page_offset().is_some(), column.kind == Kind::Text, "{}", column.name);
        }
        for (field, column) in reader.schema().fields().iter().zip(schema.columns) {
            assert_eq!(field.metadata()[MEANING_KEY], column.description());
        }
    }
}

#[test]
fn a_finished_run_has_a_manifest_with_its_hash() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("runs/a");
    assert_eq!(Manifest::read(&path).unwrap(), None);
    let hash = write_run(&path, false, 10, 10);
    let manifest = Manifest::read(&path).unwrap().unwrap();
    assert_eq!(manifest.result_hash, hash.to_string());
    assert_eq!((manifest.seed, manifest.first_path, manifest.end_path), (42, 0, 10));
    assert_eq!(Runtime::read(&path).unwrap(), runtime());
    assert!(!read_all(&path).keys().any(|name| name.starts_with('.')));
}

#[test]
fn a_run_is_replaced_only_by_force_and_only_by_a_whole_one() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    write_run(&path, false, 10, 10);
    fs::write(path.join("notes.txt"), "mine").unwrap();
    let before = read_all(&path);
    let error = RunDirectory::create(&path, false).unwrap_err();
    assert!(matches!(error, OutputError::Exists(_)) && error.is_bad_input(), "{error}");
    assert!(error.to_string().contains("--force"), "{error}");

    let directory = RunDirectory::create(&path, true).unwrap();
    write_files(&directory, 20, 10);
    drop(directory);
    assert_eq!(read_all(&path), before, "an interrupted run changes nothing");

    let hash = write_run(&path, true, 20, 10);
    assert_eq!(hash_run(&path).unwrap(), hash);
    assert_eq!(fs::read_to_string(path.join("notes.txt")).unwrap(), "mine");
}

#[test]
fn a_run_stopped_midway_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("runs/stopped");
    {
        let directory = RunDirectory::create(&path, false).unwrap();
        let mut writer = ResultWriter::start(&directory, labels(), identity()).unwrap();
        blocks(50_000, 1_000).for_each(|block| writer.send(block).unwrap());
        assert!(directory.partial(PATHS.file).exists());
    }
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn a_run_with_a_missing_file_is_not_finished() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    let directory = RunDirectory::create(&path, false).unwrap();
    let hash = write_files(&directory, 10, 10);
    fs::remove_file(directory.partial(SUMMARY.file)).unwrap();
    let manifest = Manifest::new(&identity(), serde_json::Value::Null, BTreeMap::new(), 0, 10, hash);
    assert!(directory.finish(&manifest, &runtime()).is_err());
    assert!(!path.exists());
}

#[test]
fn truncated_and_foreign_files_are_errors() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    write_run(&path, false, 100, 100);
    for schema in FILES {
        let file = path.join(schema.file);
        let whole = fs::read(&file).unwrap();
        for length in [0, 1, 4, 100, whole.len() / 2, whole.len() - 1] {
            fs::write(&file, &whole[..length]).unwrap();
            let error = hash_run(&path).unwrap_err();
            assert!(matches!(error, OutputError::Parquet { .. }) && error.is_bad_input(), "{length}: {error:?}");
            assert!(error.to_string().contains(schema.file), "{error}");
        }
        fs::write(&file, "netuid,price\n1,0.5\n").unwrap();
        assert!(matches!(hash_run(&path).unwrap_err(), OutputError::Parquet { .. }));
        fs::remove_file(&file).unwrap();
        assert!(matches!(hash_run(&path).unwrap_err(), OutputError::Io { .. }));
        fs::write(&file, &whole).unwrap();
    }
    fs::copy(path.join(PATHS.file), path.join(SUMMARY.file)).unwrap();
    let error = read_summary(&path).unwrap_err();
    assert!(error.to_string().contains("has columns path: UInt64, book: Utf8"), "{error}");
}

#[test]
fn summarize_prints_the_table_of_a_finished_run_only() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    let error = summary_text(&path, Show::Table, Style::PLAIN).unwrap_err();
    let error: &OutputError = error.downcast_ref().unwrap();
    assert!(matches!(error, OutputError::NoRun(_)) && error.is_bad_input(), "{error}");

    write_run(&path, false, 500, 100);
    let table = summary_text(&path, Show::Table, Style::PLAIN).unwrap();
    assert!(table.contains("Book désk: 1,000 TAO at spot (300,000 USD), 990 TAO liquidated now"), "{table}");
    // 166 of 500 paths lose SN3 within 30 days.
    assert!(table.contains("33.2% [29.2, 37.4]"), "{table}");
    let json = summary_text(&path, Show::Json, Style::PLAIN).unwrap();
    assert_eq!(json.as_bytes(), fs::read(path.join("summary.json")).unwrap());

    let file = path.join(SUMMARY.file);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let error = summary_text(&path, Show::Table, Style::PLAIN).unwrap_err();
    assert!(format!("{error:#}").contains("summary.parquet"), "{error:#}");
}

/// Damage inside a file is an error or other digests (metadata and unused bytes aside), never a panic.
#[test]
fn flipped_bits_never_panic() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    write_run(&path, false, 100, 100);
    let digests = |schema: &'static FileSchema| {
        let mut hashes = ColumnHashes::new(schema);
        let read = read_batches(&path, schema, |batch| {
            hashes.update(batch);
            Ok(())
        });
        read.map(|()| hashes.finish())
    };
    let (mut errors, mut changed) = (0, 0);
    for schema in FILES {
        let file = path.join(schema.file);
        let whole = fs::read(&file).unwrap();
        let sound = digests(schema).unwrap();
        for position in (0..whole.len()).step_by(11) {
            let mut damaged = whole.clone();
            damaged[position] ^= 1 << (position % 8);
            fs::write(&file, &damaged).unwrap();
            match digests(schema) {
                Err(_) => errors += 1,
                Ok(found) => changed += u32::from(found != sound),
            }
        }
        fs::write(&file, &whole).unwrap();
    }
    println!("{errors} errors, {changed} other digests");
    assert!(errors > 100 && changed > 100, "{errors} errors, {changed} other digests");
}
