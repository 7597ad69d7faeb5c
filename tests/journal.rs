//! Runs in parts: killed, interrupted and resumed, sharded and merged, they give the files of a run in one piece, byte for byte.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use taorisk::output::journal::JournalReader;
use taorisk::output::journal::JournalWriter;
use taorisk::output::manifest::Manifest;
use tempfile::TempDir;
use tempfile::tempdir;

/// Some 0.3 s of simulation and 12 blocks.
const SCENARIO: &str = "[run]\npaths = 24000\nhorizon_days = 3\nseed = 11\n";

fn taorisk(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    command.args(arguments).arg("--quiet");
    command
}

fn finished(mut command: Command) -> Output {
    let output = command.output().expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    output
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn refused(mut command: Command, parts: &[&str]) {
    let output = command.output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    parts.iter().for_each(|part| assert!(stderr(&output).contains(part), "`{part}` is not in: {}", stderr(&output)));
}

/// Names and contents of what a run leaves, but for how it went on this machine.
fn results(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| !path.ends_with("runtime.json"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn assert_same_run(directory: &Path, expected: &[(String, Vec<u8>)]) {
    let found = results(directory);
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&found), names(expected));
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        assert!(found == expected, "{name} differs");
    }
}

/// A place, and the files of the run in one piece.
fn whole_run() -> (TempDir, Vec<(String, Vec<u8>)>) {
    let place = tempdir().unwrap();
    let out = place.path().join("whole");
    finished(run_into(&out, &[]));
    (place, results(&out))
}

fn run_into(out: &Path, more: &[&str]) -> Command {
    let scenario = out.with_extension("toml");
    fs::create_dir_all(out.parent().unwrap()).unwrap();
    fs::write(&scenario, SCENARIO).unwrap();
    let mut command = taorisk(&["run"]);
    command.arg(scenario).arg("--out").arg(out).args(more).stdout(Stdio::null());
    command
}

fn journal(out: &Path) -> PathBuf {
    out.join(".journal.partial")
}

/// Starts a run and waits until its journal has grown beyond `bytes`; `None` where it ended before.
fn run_until(out: &Path, more: &[&str], bytes: u64) -> Option<Child> {
    let mut child = run_into(out, more).stderr(Stdio::piped()).spawn().unwrap();
    while journal(out).metadata().map_or(0, |file| file.len()) <= bytes {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        thread::sleep(Duration::from_millis(1));
    }
    Some(child)
}

#[test]
fn a_journal_changes_no_byte_and_is_gone_in_the_end() {
    let (place, whole) = whole_run();
    let out = place.path().join("journaled");
    finished(run_into(&out, &["--resume", "--threads", "1", "--batch", "7"]));
    assert_same_run(&out, &whole);
}

/// Killed again and again, each time a little later: some kills fall into a write, some before the first block, some at the end.
#[test]
fn a_run_that_is_killed_at_any_moment_goes_on() {
    let (place, whole) = whole_run();
    let kills: u64 = std::env::var("TAORISK_KILLS").ok().map_or(12, |kills| kills.parse().expect("a number of kills"));
    let (mut done, mut round) = (0, 0);
    while done < kills {
        let out = place.path().join(format!("killed-{round}"));
        let mut wait = 3 + round * 7 % 40;
        loop {
            let mut child = run_into(&out, &["--resume"]).spawn().unwrap();
            thread::sleep(Duration::from_millis(wait));
            let ended = child.try_wait().unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            if ended.is_some_and(|status| status.success()) {
                break;
            }
            done += 1;
            wait += 23;
            assert!(
                !out.join("manifest.json").exists() || results(&out).len() >= whole.len(),
                "half a run looks whole"
            );
        }
        // A kill may have come when all was done but for the lock.
        finished(run_into(&out, &["--resume"]));
        assert_same_run(&out, &whole);
        fs::remove_dir_all(&out).unwrap();
        round += 1;
    }
}

#[test]
#[cfg(unix)]
fn an_interruption_keeps_what_is_done_and_says_how_to_go_on() {
    let (place, whole) = whole_run();
    for signal in ["INT", "TERM"] {
        let out = place.path().join(signal);
        let Some(child) = run_until(&out, &["--resume", "--threads", "1"], 20_000) else {
            panic!("the run ended before its first block was seen");
        };
        let clock = Instant::now();
        assert!(Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert!(clock.elapsed() < Duration::from_secs(2), "{:?}", clock.elapsed());
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(stderr(&output).contains("of 24000 paths are kept: the same command with --resume goes on"));
        assert!(journal(&out).exists());
        refused(run_into(&out, &[]), &["holds a run that was interrupted", "--resume", "--force"]);
        refused(
            run_into(&out, &["--resume", "--paths", "24001"]),
            &["holds an interrupted run of 24000 paths, not 24001 paths", "--force"],
        );
        finished(run_into(&out, &["--resume"]));
        assert_same_run(&out, &whole);
    }
}

#[test]
fn a_torn_journal_is_cut_and_gone_on_with() {
    let (place, whole) = whole_run();
    let out = place.path().join("torn");
    let mut child = run_until(&out, &["--resume", "--threads", "1"], 2_000_000).expect("a run of some blocks");
    child.kill().unwrap();
    child.wait().unwrap();
    let bytes = fs::read(journal(&out)).unwrap();
    for kept in [bytes.len() - 1, bytes.len() / 2, 5_000, 100, 0] {
        fs::write(journal(&out), &bytes[..kept]).unwrap();
        finished(run_into(&out, &["--resume"]));
        assert_same_run(&out, &whole);
        fs::remove_dir_all(&out).unwrap();
        fs::create_dir(&out).unwrap();
    }
    fs::write(journal(&out), "what is this").unwrap();
    refused(run_into(&out, &["--resume"]), &["is no journal"]);
    finished(run_into(&out, &["--resume", "--force"]));
    assert_same_run(&out, &whole);
}

/// What a budget leaves is the run of as many paths as it reached.
#[test]
fn a_run_out_of_time_is_a_shorter_run() {
    let place = tempdir().unwrap();
    let out = place.path().join("budget");
    finished(run_into(&out, &["--time-budget", "150ms", "--threads", "1", "--paths", "150000"]));
    let manifest = fs::read_to_string(out.join("manifest.json")).unwrap();
    let end = manifest.lines().find_map(|line| line.trim().strip_prefix("\"end_path\": ")).unwrap();
    let paths = end.trim_end_matches(',');
    assert!((32..150_000).contains(&paths.parse::<u64>().unwrap()), "{paths}");
    let whole = place.path().join("whole");
    finished(run_into(&whole, &["--paths", paths]));
    assert_same_run(&out, &results(&whole));
    refused(run_into(&out, &["--time-budget", "soon"]), &["--time-budget"]);
    refused(run_into(&out, &["--time-budget", "1s", "--shard", "1/2"]), &["cannot be used with"]);
}

/// A run to a target ends at the same look for any batches and threads, also when it is stopped on its way, and is the run of as many paths.
#[test]
fn a_run_to_a_target_is_the_run_of_the_paths_it_took() {
    let place = tempdir().unwrap();
    let target = ["--target-error", "es95=8%", "--target-error", "loss=4%", "--paths", "100000"];
    let out = place.path().join("target");
    finished(run_into(&out, &[&target[..], &["--threads", "1"]].concat()));
    let manifest = fs::read_to_string(out.join("manifest.json")).unwrap();
    let end = manifest.lines().find_map(|line| line.trim().strip_prefix("\"end_path\": ")).unwrap();
    let paths = end.trim_end_matches(',');
    assert!(paths.parse::<u64>().unwrap() < 30_000 && paths.parse::<u64>().unwrap().is_multiple_of(2_048), "{paths}");
    let runtime = fs::read_to_string(out.join("runtime.json")).unwrap();
    assert!(runtime.contains("\"target\": \"loss=4%\"") && !runtime.contains("\"is_met\": false"), "{runtime}");
    finished(run_into(&out, &target));
    assert_eq!(fs::read_to_string(out.join("runtime.json")).unwrap(), runtime, "it is not done again");
    let whole = place.path().join("whole");
    finished(run_into(&whole, &["--paths", paths]));
    assert_same_run(&out, &results(&whole));
    for others in [["--batch", "37", "--threads", "3"], ["--batch", "5", "--threads", "2"]] {
        finished(run_into(&out, &[&target[..], &others, &["--force"]].concat()));
        assert_same_run(&out, &results(&whole));
    }
    finished(run_into(&out, &["--target-error", "es99=0.1%", "--paths", "8000", "--force"]));
    assert!(fs::read_to_string(out.join("runtime.json")).unwrap().contains("\"is_met\": false"));
    refused(run_into(&out, &["--target-error", "es99"]), &["--target-error", "es99=1%"]);
    refused(run_into(&out, &["--target-error", "es99-exit=1%"]), &["no exit", "es99-exit=1%"]);
    refused(run_into(&out, &["--target-error", "es99=1%", "--shard", "1/2"]), &["cannot be used with"]);
}

/// Without handles for its files a run ends with a message, and leaves nothing that looks like one.
#[test]
fn out_of_file_handles_is_told() {
    let place = tempdir().unwrap();
    for handles in 4..7 {
        let out = place.path().join(handles.to_string());
        let program = run_into(&out, &["--resume"]);
        let mut limited = Command::new("sh");
        limited.arg("-c").arg(format!("ulimit -n {handles}; exec \"$0\" \"$@\"")).arg(program.get_program());
        let output = limited.args(program.get_args()).stdout(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{handles}: {}", stderr(&output));
        assert!(stderr(&output).contains("Too many open files"), "{handles}: {}", stderr(&output));
        assert!(!out.join("manifest.json").exists());
        finished(run_into(&out, &["--resume"]));
    }
}

/// The shards of a run in `place`, the first of them with another number of threads.
fn shards(place: &Path, count: u32) -> Vec<PathBuf> {
    let out = place.join("parts");
    (1..=count)
        .map(|index| {
            let threads = if index == 1 { "1" } else { "2" };
            finished(run_into(&out, &["--shard", &format!("{index}/{count}"), "--threads", threads]));
            out.join(format!("shard-{index}-of-{count}"))
        })
        .collect()
}

fn merge(shards: &[PathBuf], out: &Path) -> Command {
    let mut command = taorisk(&["merge"]);
    command.arg("--out").arg(out).args(shards);
    command
}

#[test]
fn shards_make_the_run() {
    let (place, whole) = whole_run();
    let mut parts = shards(place.path(), 3);
    let before = fs::metadata(parts[1].join("shard.journal")).unwrap().modified().unwrap();
    finished(run_into(&place.path().join("parts"), &["--shard", "2/3"]));
    let after = fs::metadata(parts[1].join("shard.journal")).unwrap().modified().unwrap();
    assert_eq!(before, after, "a finished shard is not simulated again");
    parts.rotate_left(1);
    let out = place.path().join("merged");
    let table = finished(merge(&parts, &out)).stdout;
    assert_same_run(&out, &whole);
    let mut summarize = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    summarize.arg("summarize").arg(&out);
    assert_eq!(table, finished(summarize).stdout);
}

/// Writes the journal at `path` anew as a program did that knew no `auto`: without a word of the estimator, and without factors.
fn as_before_auto(path: &Path) {
    let mut reader = JournalReader::open(path).unwrap().unwrap();
    let mut header = reader.header().clone();
    header.manifest.estimator = None;
    let blocks: Vec<_> = std::iter::from_fn(|| reader.next_block().unwrap()).collect();
    let mut writer = JournalWriter::create(path, &header).unwrap();
    for mut block in blocks {
        assert!(!block.record.factors.is_empty(), "these paths would do for control variates");
        block.record.factors.clear();
        writer.append(&block).unwrap();
    }
    writer.end().unwrap();
}

#[test]
fn shards_from_before_auto_are_merged_as_what_they_were_plain() {
    let place = tempdir().unwrap();
    let parts = shards(place.path(), 2);
    parts.iter().for_each(|part| as_before_auto(&part.join("shard.journal")));
    let (out, plain) = (place.path().join("merged"), place.path().join("plain"));
    let table = String::from_utf8(finished(merge(&parts, &out)).stdout).unwrap();
    assert!(table.contains("Estimator plain: "), "{table}");
    finished(run_into(&plain, &["--set", "estimator.method=plain"]));
    let [merged, plain] = [&out, &plain].map(|run| Manifest::read(run).unwrap().unwrap());
    assert_eq!((&merged.result_hash, merged.method()), (&plain.result_hash, "plain"));
    assert_ne!(merged.scenario_hash, plain.scenario_hash, "what says plain is not what said nothing");
}

#[test]
fn a_journal_from_before_auto_is_not_gone_on_with() {
    let place = tempdir().unwrap();
    let (out, part) = (place.path().join("run"), shards(place.path(), 1).remove(0).join("shard.journal"));
    as_before_auto(&part);
    fs::create_dir_all(&out).unwrap();
    fs::copy(part, journal(&out)).unwrap();
    refused(run_into(&out, &["--resume"]), &["of estimator plain, not control", "--force starts again"]);
}

#[test]
fn shards_that_do_not_make_a_run_are_refused() {
    let place = tempdir().unwrap();
    let parts = shards(place.path(), 3);
    let out = place.path().join("merged");
    let other = place.path().join("other");
    finished(run_into(&other, &["--shard", "3/3", "--seed", "12"]));
    finished(run_into(&other, &["--shard", "2/4"]));
    let [first, second, third] = <[PathBuf; 3]>::try_from(parts).unwrap();
    let with = |extra: &Path| vec![first.clone(), second.clone(), extra.to_owned()];
    let of = |name: &str| other.join(name);
    refused(merge(&[first.clone(), third.clone()], &out), &["paths 8000 to 15999 are in none of the shards"]);
    refused(merge(&[second.clone(), third.clone()], &out), &["paths 0 to 7999 are in none"]);
    refused(merge(&[first.clone(), second.clone()], &out), &["paths 16000 to 23999 are in none"]);
    refused(merge(&with(&second), &out), &["path 8000 is in", "shard-2-of-3"]);
    refused(merge(&with(&of("shard-2-of-4")), &out), &["path 6000 is in", "shard-2-of-4"]);
    refused(merge(&with(&of("shard-3-of-3")), &out), &["shard-3-of-3 is of seed 12, not 11"]);
    refused(merge(&with(&of("none")), &out), &["holds no finished shard", "--resume"]);
    refused(run_into(&other, &["--shard", "5/4"]), &["must be I/N"]);
    refused(run_into(&other, &["--shard", "1/30000"]), &["more shards than the 24000 paths"]);
    let journal = third.join("shard.journal");
    let bytes = fs::read(&journal).unwrap();
    for (place, kept) in
        [(bytes.len() / 2, bytes.len()), (bytes.len() - 1, bytes.len()), (0, bytes.len() - 13), (0, bytes.len() / 3)]
    {
        let mut damaged = bytes[..kept].to_vec();
        if kept == bytes.len() {
            damaged[place] ^= 8;
        }
        fs::write(&journal, &damaged).unwrap();
        refused(merge(&with(&third), &out), &["shard-3-of-3/shard.journal is damaged", "--force"]);
        refused(run_into(third.parent().unwrap(), &["--shard", "3/3"]), &["is damaged", "--force"]);
    }
    assert!(!out.exists(), "nothing is left behind");
    finished(run_into(third.parent().unwrap(), &["--shard", "3/3", "--force"]));
    assert!(fs::read(&journal).unwrap() == bytes);
    finished(merge(&with(&third), &out));
}
