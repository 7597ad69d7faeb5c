//! `taorisk ingest`: each form becomes the canonical table, bad files are refused with their place, nothing is lost unsaid.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use proptest::prelude::*;
use serde_json::Value;
use taorisk::input::document::Document;
use taorisk::input::ingest::Request;
use taorisk::input::ingest::forms::IngestKind;
use taorisk::input::ingest::ingest;
use taorisk::input::ingest::mapping::Mapping;
use taorisk::input::snapshot::Snapshot;
use taorisk::input::snapshot::SnapshotRow;
use taorisk::units::NetUid;
use tempfile::TempDir;

const CANONICAL: &str = include_str!("../configs/snapshot-2026-09-30.csv");
const SAMPLE_BOOK: &str = include_str!("../configs/sample-book.csv");

/// Fixtures by name; `tests/fixtures/ingest/README.md` says what they are.
const FIXTURES: [(&str, &str); 10] = [
    ("taostats_pools.json", include_str!("fixtures/ingest/taostats_pools.json")),
    ("taostats_subnets.json", include_str!("fixtures/ingest/taostats_subnets.json")),
    ("taostats_balances.json", include_str!("fixtures/ingest/taostats_balances.json")),
    ("btcli_subnets.json", include_str!("fixtures/ingest/btcli_subnets.json")),
    ("btcli_stakes.json", include_str!("fixtures/ingest/btcli_stakes.json")),
    ("sdk_subnets.json", include_str!("fixtures/ingest/sdk_subnets.json")),
    ("sdk_subnets.csv", include_str!("fixtures/ingest/sdk_subnets.csv")),
    ("sdk_stakes.json", include_str!("fixtures/ingest/sdk_stakes.json")),
    ("other.json", include_str!("fixtures/ingest/other.json")),
    ("other.toml", include_str!("fixtures/ingest/other.toml")),
];

/// Netuids of the fixtures; 59 has not started.
const NETUIDS: [u16; 5] = [1, 3, 4, 59, 64];

struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

fn directory() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    for (name, text) in FIXTURES {
        fs::write(directory.path().join(name), text).expect("a file in it");
    }
    fs::write(directory.path().join("canonical.csv"), CANONICAL).expect("a file in it");
    directory
}

fn taorisk(directory: &TempDir, line: &str) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    let output =
        command.current_dir(directory.path()).args(line.split_whitespace()).output().expect("the program starts");
    Outcome {
        code: output.status.code().expect("the program ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

fn succeed(directory: &TempDir, line: &str) -> Outcome {
    let outcome = taorisk(directory, line);
    assert_eq!(outcome.code, 0, "{line}: {}", outcome.stderr);
    outcome
}

fn entries(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).expect("a readable directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

fn refused(directory: &TempDir, line: &str, expected: &str) {
    let before = entries(directory);
    let outcome = taorisk(directory, line);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{line}: {}", outcome.stderr);
    assert!(outcome.stderr.contains(expected), "{line} lacks `{expected}`: {}", outcome.stderr);
    assert_eq!(entries(directory), before, "{line} wrote something");
}

fn snapshot(directory: &TempDir, name: &str) -> Snapshot {
    Snapshot::read(&Document::open(&directory.path().join(name)).unwrap()).unwrap()
}

fn text(directory: &TempDir, name: &str) -> String {
    fs::read_to_string(directory.path().join(name)).unwrap()
}

fn embedded() -> Snapshot {
    Snapshot::read(&Snapshot::embedded()).unwrap()
}

fn assert_close(one: f64, other: f64) {
    assert!((one - other).abs() <= 1e-9 * other.abs(), "{one} is not {other}");
}

/// Pools, stakes and registrations of the fixtures are those of the shipped snapshot, pools moved by at most 1 %.
fn assert_fixture_state(snapshot: &Snapshot) {
    let before = embedded();
    assert_eq!(snapshot.subnets.iter().map(|subnet| subnet.netuid).collect::<Vec<_>>(), NETUIDS);
    for subnet in &snapshot.subnets {
        let old: &SnapshotRow = before.subnet(NetUid(subnet.netuid)).unwrap();
        assert_eq!((&subnet.name, subnet.registration_block), (&old.name, old.registration_block));
        assert!((subnet.tao_in / old.tao_in - 1.0).abs() < 0.011, "{subnet:?}");
        assert_close(subnet.tao_in * subnet.alpha_in, old.tao_in * old.alpha_in);
        assert!((subnet.alpha_staked_by_wallets - old.alpha_staked_by_wallets).abs() < 3_600.1, "{subnet:?}");
        assert!((subnet.price * subnet.alpha_in / subnet.tao_in - 1.0).abs() < 0.02, "{subnet:?}");
        assert_eq!(subnet.is_started(), subnet.netuid != 59);
    }
}

#[test]
fn the_canonical_files_are_themselves() {
    let directory = directory();
    let outcome = succeed(&directory, "ingest canonical.csv --out again.csv");
    assert!(
        outcome.stderr.contains("column    tao_in                               128 from the files\n"),
        "{}",
        outcome.stderr
    );
    assert_eq!(snapshot(&directory, "again.csv"), embedded());
    assert_eq!(text(&directory, "again.csv").lines().next(), CANONICAL.lines().next());
    succeed(&directory, "ingest again.csv --out third.csv --quiet");
    assert_eq!(text(&directory, "third.csv"), text(&directory, "again.csv"));
    succeed(&directory, "ingest again.csv --out again.parquet");
    assert_eq!(snapshot(&directory, "again.parquet"), embedded());
    succeed(&directory, "ingest again.parquet --out fourth.csv");
    assert_eq!(text(&directory, "fourth.csv"), text(&directory, "again.csv"));

    fs::write(directory.path().join("book.csv"), SAMPLE_BOOK).unwrap();
    succeed(&directory, "ingest book.csv");
    assert_eq!(text(&directory, "positions.csv"), SAMPLE_BOOK);
}

#[test]
fn taostats_pools_and_subnets_are_joined() {
    let directory = directory();
    let outcome = succeed(&directory, "ingest taostats_pools.json taostats_subnets.json --base embedded");
    let made = snapshot(&directory, "snapshot-9190000.csv");
    assert_eq!(made.block, 9_190_000);
    assert_fixture_state(&made);
    let base = embedded();
    let apex = made.subnet(NetUid(1)).unwrap();
    assert_eq!((apex.tao_in, apex.miner_burned_fraction), (23_160.589_311_371, 0.538_113));
    assert_eq!(apex.user_flow_average_tao_per_block, Some(-0.00146));
    let old = base.subnet(NetUid(1)).unwrap();
    assert_eq!((apex.alpha_burned, apex.alpha_protocol_owned), (old.alpha_burned, old.alpha_protocol_owned));
    let idle = made.subnet(NetUid(59)).unwrap();
    assert_eq!(idle.price, idle.tao_in / idle.alpha_in, "the start-up price of 0.5 is no market's");
    for line in [
        "column    tao_in                               5 from the files, in rao\n",
        "column    price                                4 from the files, 1 derived\n",
        "column    alpha_burned                         5 from the base\n",
        "dropped   2 records of netuid 0 (root has no pool)\n",
        "dropped   1 prices of subnets in start-up, which are no market's\n",
        "remark    no record of netuid 2, 5, 6,",
        "remark    the base has netuid 65, 66,",
        "remark    the base is 0.8 days older\n",
        "wrote     snapshot-9190000.csv\n",
    ] {
        assert!(outcome.stderr.contains(line), "{line:?} is not in\n{}", outcome.stderr);
    }
}

#[test]
fn a_snapshot_that_was_ingested_runs() {
    let directory = directory();
    succeed(&directory, "ingest taostats_pools.json taostats_subnets.json --base embedded --out now.csv");
    succeed(&directory, "ingest taostats_balances.json --base now.csv --out book.csv");
    let chain = "[chain]\nblock = 9190000\n";
    fs::write(directory.path().join("s.toml"), chain).unwrap();
    let outcome = succeed(&directory, "check s.toml --snapshot now.csv --positions book.csv");
    assert!(outcome.stderr.contains("5 subnets at block 9,190,000"), "{}", outcome.stderr);
}

#[test]
fn btcli_lacks_what_the_base_has() {
    let directory = directory();
    refused(
        &directory,
        "ingest btcli_subnets.json",
        "btcli_subnets.json: does not say of which block it is; give --block N",
    );
    refused(
        &directory,
        "ingest btcli_subnets.json --block 9190000",
        "btcli_subnets.json: nothing gives registration_block (of every netuid); miner_burned_fraction (of every netuid); \
         emission_enabled (of every netuid); alpha_staked_by_wallets (of every netuid)",
    );
    let outcome = succeed(&directory, "ingest btcli_subnets.json --block 9190000 --base canonical.csv --out b.csv");
    assert_fixture_state(&snapshot(&directory, "b.csv"));
    assert!(
        outcome.stderr.contains("column    alpha_staked_by_wallets              5 derived\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_sdk_writes_balances_in_many_ways() {
    let directory = directory();
    succeed(&directory, "ingest sdk_subnets.json --block 9190000 --base embedded --out rao.csv");
    succeed(&directory, "ingest sdk_subnets.csv --block 9190000 --base embedded --out text.csv");
    let (rao, texts) = (snapshot(&directory, "rao.csv"), snapshot(&directory, "text.csv"));
    assert_fixture_state(&rao);
    assert_eq!(rao.subnet(NetUid(1)).unwrap().tao_in_emission_per_block, Some(9.8484e-5));
    for (one, other) in rao.subnets.iter().zip(&texts.subnets) {
        assert_eq!((one.tao_in, one.alpha_in, one.price), (other.tao_in, other.alpha_in, other.price));
        assert_eq!(
            (one.moving_price, one.alpha_staked_by_wallets),
            (other.moving_price, other.alpha_staked_by_wallets)
        );
    }
}

#[test]
fn stakes_with_several_validators_are_one_position() {
    let directory = directory();
    for name in ["taostats_balances.json", "btcli_stakes.json", "sdk_stakes.json"] {
        let outcome = succeed(&directory, &format!("ingest {name} --out book.csv --force --json"));
        assert_eq!(text(&directory, "book.csv"), "netuid,alpha\n64,600\n4,250\n", "{name}");
        let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(report["dropped"]["records added to another of the same netuid and book"], 1, "{name}");
        assert_eq!(report["remarks"][0], "13797.839517 TAO staked on root are left out", "{name}");
        assert_eq!(report["columns"][1]["column"], "alpha");
    }
}

#[test]
fn a_book_may_be_mapped() {
    let directory = directory();
    fs::write(directory.path().join("m.toml"), "[columns]\nbook = \"hotkey\"\ntake = { constant = 0.09 }\n").unwrap();
    succeed(&directory, "ingest btcli_stakes.json --mapping m.toml --out book.csv");
    let made = text(&directory, "book.csv");
    let keys = ["5F2CsUDVbRbVMXTh9fAzF9GacjVX7UapvRxidrxe7z8BYckQ", "5GKH9FPPnWSUoeeTJp19wVtd84XqFW4pyK2ijV2GsFbhTrP1"];
    let [first, second] = keys;
    let expected = format!(
        "netuid,alpha,take,book\n64,532.854877505,0.09,{first}\n64,67.145122495,0.09,{second}\n4,250,0.09,{second}\n"
    );
    assert_eq!(made, expected);
}

#[test]
fn any_other_source_has_a_mapping() {
    let directory = directory();
    refused(&directory, "ingest other.json", "other.json: has no list of records");
    let outcome = succeed(&directory, "ingest other.json --mapping other.toml --out o.csv");
    let made = snapshot(&directory, "o.csv");
    assert_eq!(made.block, 9_190_000);
    let old = embedded();
    for subnet in &made.subnets {
        assert_close(
            subnet.alpha_staked_by_wallets,
            old.subnet(NetUid(subnet.netuid)).unwrap().alpha_staked_by_wallets,
        );
        assert_eq!((subnet.miner_burned_fraction, subnet.alpha_burned), (0.25, 0.0));
    }
    assert!(outcome.stderr.contains("column    alpha_in                             5 from the files, in rao\n"));
    assert!(outcome.stderr.contains("column    emission_enabled                     5 constant\n"));
}

#[test]
fn a_mapping_says_what_is_wrong_with_it() {
    let directory = directory();
    for (mapping, expected) in [
        ("[columns]\ntao = \"x\"\n", "m.toml: columns.tao is no column (allowed: snapshot: netuid, name, block,"),
        (
            "[columns]\ntao_in = 5\n",
            "m.toml: columns.tao_in: must be the name of a field, or { field, unit, constant }",
        ),
        (
            "[columns]\ntao_in = { unit = \"rao\" }\n",
            "m.toml: columns.tao_in: must have a `field`, or a `constant` alone",
        ),
        ("[columns]\ntao_in = { field = \"x\", unit = \"nano\" }\n", "unknown variant `nano`"),
        (
            "[columns]\nnetuid = { field = \"x\", unit = \"rao\" }\n",
            "m.toml: columns.netuid: is no amount and has no unit",
        ),
        (
            "[columns]\nblock = { constant = \"now\" }\n",
            "m.toml: columns.block: `constant` must be a number, true or false",
        ),
        ("[columns]\ntake = \"x\"\n", "m.toml: columns.take is no column of snapshot (allowed: netuid, name,"),
        ("colums = 1\n", "m.toml: TOML parse error at line 1, column 1"),
    ] {
        fs::write(directory.path().join("m.toml"), mapping).unwrap();
        refused(&directory, "ingest taostats_pools.json --mapping m.toml --base embedded --out x.csv", expected);
    }
}

/// Each damage to a fixture, and what is said of it.
#[test]
fn bad_files_are_refused_with_their_place() {
    let directory = directory();
    let pools = FIXTURES[0].1;
    let apex = "\"total_tao\": \"23160589311371\"";
    assert!(pools.contains(apex), "the fixture has changed");
    for (good, bad, expected) in [
        (apex, "\"total_tao\": \"-5\"", "bad.json, record 2: tao_in = -0.000000005 (must be a finite number > 0)"),
        (apex, "\"total_tao\": \"0\"", "bad.json, record 2: tao_in = 0 (must be a finite number > 0)"),
        (apex, "\"total_tao\": \"many\"", "bad.json, record 2: total_tao = `many` (must be a number)"),
        (apex, "\"total_tao\": \"NaN\"", "bad.json, record 2: tao_in = NaN (must be a finite number > 0)"),
        (apex, "\"total_tao\": NaN", "bad.json: not JSON: expected value at line"),
        (apex, "\"total_tao\": null", "bad.json: nothing gives tao_in (of netuid 1); price (of netuid 1)"),
        (
            apex,
            "\"total_tao\": 23160.589311371",
            "bad.json, record 2: tao_in = 23160.589311371 (must be a whole number of rao",
        ),
        (apex, "\"total_tao\": \"33160589311371000\"", "which is not rao"),
        (
            "\"netuid\": 1,",
            "\"netuid\": 3,",
            "bad.json, record 3: netuid 3 stands in bad.json, record 2 already; keep one",
        ),
        (
            "\"netuid\": 1,",
            "\"netuid\": 257,",
            "bad.json, record 2: netuid = 257 (must be a whole number from 1 to 256",
        ),
        (
            "\"netuid\": 1,",
            "\"netuid\": 1.5,",
            "bad.json, record 2: netuid = 1.5 (must be a whole number from 1 to 256",
        ),
        ("\"netuid\": 1,", "", "bad.json, record 2: netuid = nothing"),
        (
            "\"netuid\": 1,\n   \"block_number\": 9190000",
            "\"netuid\": 1,\n   \"block_number\": 9100000",
            "bad.json, record 2: block = 9100000 (must be within 300 blocks of 9190000",
        ),
        ("\"price\": \"0.0066", "\"price\": \"6614.0066", "bad.json, record 2: price = "),
        ("}", "", "bad.json: not JSON: "),
    ] {
        assert!(pools.contains(good), "{good} is not in the fixture");
        fs::write(directory.path().join("bad.json"), pools.replacen(good, bad, 1)).unwrap();
        // A column that no file gives is a matter of all files.
        let expected = if expected.contains("nothing gives") {
            expected.replace("bad.json:", "bad.json, taostats_subnets.json:").replace("; price (of netuid 1)", "")
        } else {
            expected.to_owned()
        };
        refused(&directory, "ingest bad.json taostats_subnets.json --base embedded --out x.csv", &expected);
    }
}

#[test]
fn units_that_are_not_said_must_be_plain() {
    let directory = directory();
    let table = |tao: &str, alpha: &str| {
        format!(
            "netuid,block,registration_block,tao_in,alpha_in,miner_burned_fraction,emission_enabled,alpha_staked_by_wallets,\
         alpha_protocol_owned,alpha_burned,price\n1,100,7,{tao},{alpha},0,1,0,0,0,0.5\n"
        )
    };
    for (tao, alpha, expected) in [
        ("1e9", "2e9", "t.csv:2: tao_in: all pools hold 1e9, which is neither tokens nor rao"),
        ("1e18", "2e18", "t.csv:2: tao_in: all pools hold 1e18, which is neither tokens nor rao"),
        ("1000", "1e9", "t.csv:2: alpha_in: the largest is 1e9, which is neither tokens nor rao"),
        ("1000", "2e12", ""),
        ("1e12", "2e12", ""),
        ("1e12", "2000", ""),
        ("1000", "2000", ""),
    ] {
        fs::write(directory.path().join("t.csv"), table(tao, alpha)).unwrap();
        let line = "ingest t.csv --out x.csv --force";
        if expected.is_empty() {
            succeed(&directory, line);
            let made = snapshot(&directory, "x.csv");
            assert_eq!((made.subnets[0].tao_in, made.subnets[0].alpha_in), (1_000.0, 2_000.0), "{tao} {alpha}");
            fs::remove_file(directory.path().join("x.csv")).unwrap();
        } else {
            refused(&directory, line, expected);
        }
    }
    let stakes = |stakes: &str| format!("[{{\"hotkey_ss58\": \"a\", \"netuid\": 4, \"stake\": {stakes}}}]");
    for (stake, expected) in [
        ("1000", "s.json, record 1: alpha: whole figures of up to 1e3 can be rao or tokens"),
        ("1000.5", "netuid,alpha\n4,1000.5\n"),
        ("1000500000000", "netuid,alpha\n4,1000.5\n"),
        ("30000000.5", "s.json, record 1: alpha: figures of up to 3.00000005e7 have fractions"),
    ] {
        fs::write(directory.path().join("s.json"), stakes(stake)).unwrap();
        if expected.starts_with("netuid") {
            succeed(&directory, "ingest s.json --out p.csv --force");
            assert_eq!(text(&directory, "p.csv"), expected);
            fs::remove_file(directory.path().join("p.csv")).unwrap();
        } else {
            refused(&directory, "ingest s.json --out p.csv", expected);
        }
    }
}

/// One subnet in tokens among others in rao would be a pool of nothing at a right price.
#[test]
fn rows_in_different_units_are_refused() {
    let directory = directory();
    let rows = |last: &str| {
        let header = "netuid,block,registration_block,tao_in,alpha_in,miner_burned_fraction,emission_enabled,\
                      alpha_staked_by_wallets,alpha_protocol_owned,alpha_burned\n";
        format!("{header}1,100,7,1000000000000,2000000000000,0,1,5000000000,0,0\n2,100,7,{last},0,1,5,0,0\n")
    };
    fs::write(directory.path().join("t.csv"), rows("1000.5,2000.25")).unwrap();
    refused(&directory, "ingest t.csv", "t.csv:3: tao_in = 1000.5 (must be a whole number of rao, as the others are");
    fs::write(directory.path().join("t.csv"), rows("NaN,2000.25")).unwrap();
    refused(&directory, "ingest t.csv", "t.csv:3: tao_in = NaN (must be a finite number > 0)");
    fs::write(directory.path().join("t.csv"), rows("1000500000000,2000250000000")).unwrap();
    succeed(&directory, "ingest t.csv --out x.csv");
    let made = snapshot(&directory, "x.csv");
    assert_eq!((made.subnets[0].price, made.subnets[0].alpha_staked_by_wallets), (0.5, 5.0));
}

#[test]
fn a_slot_that_was_reused_is_not_filled_from_the_old_subnet() {
    let directory = directory();
    let subnets =
        FIXTURES[1].1.replacen("\"registration_block_number\": 1497824", "\"registration_block_number\": 9188000", 1);
    assert_ne!(subnets, FIXTURES[1].1);
    fs::write(directory.path().join("new.json"), subnets).unwrap();
    refused(
        &directory,
        "ingest taostats_pools.json new.json --base embedded --out x.csv",
        "nothing gives emission_enabled (of netuid 1); alpha_protocol_owned (of netuid 1); alpha_burned (of netuid 1)",
    );
    let mapping = "[columns]\nemission_enabled = { constant = false }\nalpha_protocol_owned = { constant = 0 }\n\
                   alpha_burned = { constant = 0 }\n";
    fs::write(directory.path().join("m.toml"), mapping).unwrap();
    let outcome =
        succeed(&directory, "ingest taostats_pools.json new.json --base embedded --mapping m.toml --out x.csv");
    let made = snapshot(&directory, "x.csv");
    let (new, old) = (made.subnet(NetUid(1)).unwrap(), made.subnet(NetUid(4)).unwrap());
    assert_eq!((new.registration_block, new.emission_enabled, new.alpha_burned), (9_188_000, false, 0.0));
    assert!(old.emission_enabled && old.alpha_burned > 0.0);
    let remark =
        "netuid 1 is another subnet than the base's (registered at block 9188000, not 1497824): not filled from it";
    assert!(outcome.stderr.contains(remark), "{}", outcome.stderr);

    // Without a registration block the alpha tells.
    let list = FIXTURES[3].1;
    let alpha_out = list.split("\"alpha_out\": ").nth(2).unwrap().split(',').next().unwrap();
    let alpha_in = list.split("\"alpha_in\": ").nth(2).unwrap().split('\n').next().unwrap();
    let young = list.replacen(alpha_out, "3600.0", 1).replacen(alpha_in, "90000.0", 1);
    fs::write(directory.path().join("young.json"), young.replacen("\"price\": 0.006", "\"price\": 0.26", 1)).unwrap();
    refused(
        &directory,
        "ingest young.json --block 9190000 --base embedded --out y.csv",
        "nothing gives registration_block (of netuid 1); miner_burned_fraction (of netuid 1)",
    );
}

#[test]
fn nothing_is_written_over_unless_asked() {
    let directory = directory();
    fs::write(directory.path().join("mine.csv"), "mine").unwrap();
    refused(&directory, "ingest canonical.csv --out mine.csv", "mine.csv exists already; --force replaces it");
    assert_eq!(text(&directory, "mine.csv"), "mine");
    refused(&directory, "ingest canonical.csv --out mine.xlsx", "--out mine.xlsx: no .csv and no .parquet");
    refused(&directory, "ingest canonical.csv --out no/such.csv", "cannot write to no/such.csv");
    refused(&directory, "ingest absent.json", "cannot read absent.json");
    refused(&directory, "ingest taostats_pools.json taostats_balances.json", "has both pools and holdings");
    refused(&directory, "ingest taostats_subnets.json", "has neither pools nor holdings");
    refused(&directory, "ingest taostats_pools.json --block 5", "is of block 9190000, not 5; leave --block out");
    succeed(&directory, "ingest canonical.csv --out mine.csv --force");
    assert_eq!(snapshot(&directory, "mine.csv"), embedded());
}

#[test]
fn positions_must_be_in_the_snapshot() {
    let directory = directory();
    fs::write(directory.path().join("p.csv"), "netuid,alpha\n64,5\n200,1\n").unwrap();
    refused(&directory, "ingest p.csv --out x.csv", "because: p.csv:3: netuid = 200 (must be one of the 128 subnets");
    refused(&directory, "ingest p.csv --out x.csv", "name the one they are for with --base SNAPSHOT");
    refused(&directory, "ingest p.csv --out x.csv --base embedded", "error: p.csv:3: netuid = 200");
    fs::write(directory.path().join("p.csv"), "netuid,alpha,take\n64,8,0.125\n64,8,0.0625\n3,1,\n").unwrap();
    succeed(&directory, "ingest p.csv --out x.csv");
    assert_eq!(text(&directory, "x.csv"), "netuid,alpha,take\n64,16,0.09375\n3,1,\n");
    fs::write(directory.path().join("p.csv"), "netuid,alpha,cost_tao\n64,5,1\n64,15,\n").unwrap();
    refused(&directory, "ingest p.csv --out y.csv", "p.csv:3: gives cost_tao, or does not, unlike p.csv:2");
}

fn ingested(name: &str, bytes: Vec<u8>, mapping: Option<&Mapping>) {
    let base = embedded();
    for kind in [None, Some(IngestKind::Snapshot), Some(IngestKind::Positions)] {
        let document =
            Document { name: name.to_owned(), path: Some(Path::new(name).to_owned()), bytes: bytes.clone().into() };
        let request = Request { kind, mapping, block: None, form: None, base: Some(&base) };
        match ingest(&[document], &request) {
            Ok(table) => assert!(table.table.num_rows() > 0),
            Err(error) => assert!(error.to_string().contains(name), "{error}"),
        }
    }
}

fn damaged(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((0..text.len(), any::<u8>()), 1..8).prop_map(move |changes| {
        let mut bytes = text.as_bytes().to_vec();
        for (place, byte) in changes {
            bytes[place] = byte;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_files_never_panic(
        (name, bytes) in prop::sample::select(&FIXTURES[..9]).prop_flat_map(|(name, text)| (Just(name), damaged(text)))
    ) {
        ingested(name, bytes, None);
    }

    #[test]
    fn damaged_mappings_never_panic(bytes in damaged(FIXTURES[9].1)) {
        let document = Document { name: "other.toml".to_owned(), path: None, bytes: bytes.into() };
        if let Ok(mapping) = Mapping::read(&document) {
            let source = FIXTURES[8];
            let base = embedded();
            let file = Document { name: source.0.to_owned(), path: None, bytes: source.1.as_bytes().into() };
            let request = Request { mapping: Some(&mapping), base: Some(&base), ..Request::default() };
            let _ = ingest(&[file], &request);
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        ingested("any.json", bytes.clone(), None);
        ingested("any.csv", bytes, None);
    }
}
