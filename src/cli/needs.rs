//! What a run needs: time, memory, and room on the disk, all looked at before it starts.

use std::fs;
use std::path::Path;

use crate::cli::check::size;
use crate::cli::error::BadInput;
use crate::config::scenario::Scenario;
use crate::portfolio::position::Book;
use crate::risk::attribution::AttributionStatistics;

/// Time of one subnet over one step on one core (ns): between the AVX-512 and AVX2 figures of the `run` bench.
const NS_PER_SUBNET_STEP: f64 = 30.0;
/// Slots are simulated in groups of this size.
const SLOTS_PER_GROUP: usize = 16;
/// Memory beside the workers': code, snapshot, histograms, the Parquet writer's buffers (bytes).
const MEMORY_BASE: f64 = 100e6;
/// Memory of a worker: the state of its paths and the rows on their way to the writer (bytes).
const MEMORY_PER_THREAD: f64 = 8e6;
/// Memory of a row of samples.parquet on its way to the file (bytes).
const MEMORY_PER_SAMPLE_ROW: f64 = 220.0;
/// Memory of all tails of a book over that of those which keep positions: what the others keep, and what estimates take beside them.
const TAILS_OVER_ATTRIBUTION: f64 = 1.25;
/// Memory of a path, book and report day where parameters are drawn: outcomes kept for errors (bytes).
const BYTES_PER_CLUSTERED_ROW: f64 = 24.0;
/// Bytes on disk of a row of paths.parquet (one per path, book and report day), compressed.
const BYTES_PER_PATH_ROW: f64 = 60.0;
/// Bytes on disk of a row of samples.parquet (one per sampled path, step and subnet), compressed.
const BYTES_PER_SAMPLE_ROW: f64 = 70.0;

/// Bytes of a journal for each path, book and report day, and for each position of these.
const JOURNAL_BYTES_PER_ROW: f64 = 108.0;
/// See [`JOURNAL_BYTES_PER_ROW`].
const JOURNAL_BYTES_PER_POSITION: f64 = 24.0;
/// Bytes of a journal for each path and report day: counts of prices and shares of all subnets, the common factor.
const JOURNAL_BYTES_PER_DAY: f64 = 268.0;
/// Files that are sure to find room (bytes).
const DISK_BYTES_MIN: f64 = 1e7;
/// Part of the room that a run may plan to fill.
const ROOM_MAX: f64 = 0.95;

/// Slots that are computed.
pub(super) fn padded_slots(scenario: &Scenario) -> usize {
    scenario.slots_max().next_multiple_of(SLOTS_PER_GROUP)
}

/// Subnets x steps x paths.
pub(super) fn subnet_steps(scenario: &Scenario) -> f64 {
    scenario.paths as f64 * f64::from(scenario.horizon_steps) * padded_slots(scenario) as f64
}

/// Wall time (s) on so many cores.
pub(super) fn seconds(scenario: &Scenario, threads: usize) -> f64 {
    subnet_steps(scenario) * NS_PER_SUBNET_STEP * 1e-9 / threads as f64
}

/// Memory of a run (bytes). Measured, in MB: default book, 1e5 paths 160 (by this 152); 30 positions, 1e5 paths 169 (177); four books of
/// them, three with policies, 5e4 paths 241 (218). With other tails of changed books, which took somewhat more: default book, 1e6 paths
/// 290; a year of 256 slots, 3e4 paths 283.
pub(super) fn memory_bytes(scenario: &Scenario, threads: usize) -> f64 {
    let clustered = scenario.replication.as_ref().map_or(0.0, |_| path_rows(scenario) * BYTES_PER_CLUSTERED_ROW);
    shard_memory_bytes(scenario, threads) + tail_bytes(scenario) + clustered
}

/// Memory of a shard (bytes): its statistics are the merge's.
pub(super) fn shard_memory_bytes(scenario: &Scenario, threads: usize) -> f64 {
    MEMORY_BASE + MEMORY_PER_THREAD * threads as f64 + sample_rows(scenario) * MEMORY_PER_SAMPLE_ROW
}

/// Memory of the tails of books (bytes).
fn tail_bytes(scenario: &Scenario) -> f64 {
    let confidence_min = scenario.confidence.iter().copied().fold(1.0, f64::min);
    let horizons = scenario.report_horizons.len();
    let of_book =
        |book: &Book| AttributionStatistics::bytes(scenario.paths, confidence_min, book.positions.len(), horizons);
    let candidates = scenario.candidates.map_or(0, |book| scenario.books[book].positions.len());
    let of_candidates = AttributionStatistics::candidate_bytes(scenario.paths, confidence_min, candidates);
    TAILS_OVER_ATTRIBUTION * scenario.books.iter().map(of_book).sum::<f64>()
        + scenario.books.len() as f64 * of_candidates
}

/// Rows of samples.parquet.
fn sample_rows(scenario: &Scenario) -> f64 {
    let sampled_states = scenario.sample_paths.min(scenario.paths) as f64 * (f64::from(scenario.horizon_steps) + 1.0);
    sampled_states * scenario.start.subnets.len() as f64
}

/// Result files of a run (bytes).
pub(super) fn file_bytes(scenario: &Scenario) -> f64 {
    path_rows(scenario) * BYTES_PER_PATH_ROW + sample_rows(scenario) * BYTES_PER_SAMPLE_ROW
}

/// Journal of so many paths (bytes).
pub(super) fn journal_bytes(scenario: &Scenario, paths: u64) -> f64 {
    let positions: usize = scenario.books.iter().map(|book| book.positions.len()).sum();
    let per_day = JOURNAL_BYTES_PER_DAY
        + JOURNAL_BYTES_PER_ROW * scenario.books.len() as f64
        + JOURNAL_BYTES_PER_POSITION * positions as f64;
    paths as f64 * scenario.report_horizons.len() as f64 * per_day
}

fn path_rows(scenario: &Scenario) -> f64 {
    scenario.paths as f64 * scenario.books.len() as f64 * scenario.report_horizons.len() as f64
}

/// Refuses a run that this machine has no memory or its disk no room for, as far as the system tells.
///
/// # Errors
/// With what is needed and what there is.
pub(super) fn check_room(directory: &Path, disk_bytes: f64, memory_bytes: f64) -> Result<(), BadInput> {
    let place = directory.ancestors().find(|place| place.exists()).unwrap_or(Path::new("."));
    // Small runs, and a place whose room cannot be told, are left to the probe that is written at the start.
    if disk_bytes > DISK_BYTES_MIN
        && let Ok(free) = fs4::available_space(place)
        && disk_bytes > ROOM_MAX * free as f64
    {
        return Err(BadInput(format!(
            "{}: the files take {}, and {} are free: choose another directory with --out, or fewer paths",
            directory.display(),
            size(disk_bytes),
            size(free as f64)
        )));
    }
    if let Some(free) = free_memory_bytes()
        && memory_bytes > ROOM_MAX * free
    {
        return Err(BadInput(format!(
            "the run takes {} of memory, and {} are free: choose fewer threads, or fewer paths",
            size(memory_bytes),
            size(free)
        )));
    }
    Ok(())
}

/// Memory that a process may take now (bytes), at most the limit of its group; `None` where the system does not tell.
fn free_memory_bytes() -> Option<f64> {
    let machine = fs::read_to_string("/proc/meminfo").ok()?;
    let line = machine.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available = 1024.0 * line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()?;
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    Some(group.map_or(available, |limit: f64| limit.min(available)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("not/there");
        assert!(check_room(&directory, 1e3, 1e6).is_ok());
        let error = check_room(&directory, 1e18, 1e6).unwrap_err().to_string();
        assert!(error.contains("the files take about 1000000000.0 GB") && error.contains("--out"), "{error}");
        if free_memory_bytes().is_some() {
            let error = check_room(&directory, 1e3, 1e18).unwrap_err().to_string();
            assert!(error.contains("of memory") && error.contains("fewer threads"), "{error}");
        }
    }
}
