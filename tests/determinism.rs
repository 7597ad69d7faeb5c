//! The same files to the byte for any threads, batches and instruction set.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use assert_cmd::Command;
use taorisk::output::hash::hash_run;
use taorisk::output::manifest::Manifest;
use taorisk::output::manifest::Runtime;
use taorisk::output::schema::FILES;
use taorisk::simd::Backend;
use tempfile::TempDir;

/// How a run is spread over the machine.
#[derive(Clone, Copy, Debug)]
struct Spread {
    threads: u32,
    batch: u32,
    backend: Backend,
}

/// Instruction sets, numbers of threads and batch sizes, every two of them together once; and a single batch larger than the
/// run, with threads that get none.
fn spreads() -> Vec<Spread> {
    let backends = Backend::available();
    let (threads, batches) = ([1, 2, 3], [1, 7, 32]);
    let places = (0..threads.len()).flat_map(|i| (0..batches.len()).map(move |j| (i, j)));
    let square = places.map(|(i, j)| Spread {
        threads: threads[i],
        batch: batches[j],
        backend: backends[(i + j) % backends.len()],
    });
    square.chain([Spread { threads: 8, batch: 256, backend: Backend::detect() }]).collect()
}

/// Files of a finished run, all but the one that tells of the machine and the clock; that one says that the run went as asked.
fn files_of_run(directory: &TempDir, name: &str, spread: Spread) -> BTreeMap<String, Vec<u8>> {
    let Spread { threads, batch, backend } = spread;
    let (threads, batch) = (threads.to_string(), batch.to_string());
    let flags = ["--threads", &threads, "--batch", &batch, "--simd", backend.name(), "--quiet"];
    Command::new(env!("CARGO_BIN_EXE_taorisk"))
        .current_dir(directory.path())
        .args(["run", "scenario.toml", "--out", name])
        .args(flags)
        .assert()
        .success();
    let path = directory.path().join(name);
    let runtime = Runtime::read(&path).expect("a readable runtime");
    assert_eq!((runtime.threads, runtime.simd_backend.as_str()), (spread.threads as usize, backend.name()));
    let entries = fs::read_dir(path).expect("a run directory");
    let files = entries.map(|entry| {
        let entry = entry.expect("an entry");
        (entry.file_name().into_string().expect("UTF-8"), fs::read(entry.path()).expect("a readable file"))
    });
    files.filter(|(name, _)| name != "runtime.json").collect()
}

fn result_hash(directory: &Path) -> String {
    Manifest::read(directory).expect("a readable manifest").expect("a finished run").result_hash
}

/// Runs `scenario` in every way and compares all files; returns those of the first run.
fn assert_same_bytes(scenario: &str) -> BTreeMap<String, Vec<u8>> {
    let directory = TempDir::new().expect("a temporary directory");
    fs::write(directory.path().join("scenario.toml"), scenario).expect("a scenario file");
    let spreads = spreads();
    let first = files_of_run(&directory, "run-0", spreads[0]);
    assert!(FILES.iter().all(|schema| first.contains_key(schema.file)), "{:?}", first.keys());
    assert!(first.contains_key("summary.json") && first.contains_key("manifest.json"), "{:?}", first.keys());
    let hash = result_hash(&directory.path().join("run-0"));
    assert_eq!(hash_run(&directory.path().join("run-0")).expect("readable files").to_string(), hash);
    for (index, &spread) in spreads.iter().enumerate().skip(1) {
        let name = format!("run-{index}");
        let files = files_of_run(&directory, &name, spread);
        assert_eq!(result_hash(&directory.path().join(&name)), hash, "{spread:?}");
        assert!(files.keys().eq(first.keys()), "{spread:?}");
        for (name, bytes) in &files {
            assert!(*bytes == first[name], "{name} differs with {spread:?}");
        }
    }
    let bytes: usize = first.values().map(Vec::len).sum();
    println!("{} runs, {} files, {bytes} bytes, {hash}", spreads.len(), first.len());
    first
}

/// Records that end within a batch.
const RECORDS: &str = "event_paths = 90\nsample_paths = 20\n";

#[test]
fn days_as_steps() {
    assert_same_bytes(&format!("[run]\npaths = 200\nhorizon_days = 30\nreport_days = [1, 7]\n{RECORDS}"));
}

#[test]
fn six_steps_a_day() {
    assert_same_bytes(&format!(
        "[run]\npaths = 150\nhorizon_days = 8\nblocks_per_step = 1200\nreport_days = [0.5, 4]\n{RECORDS}"
    ));
}

/// Slots grow on some paths and not on others, and entrants start and are pruned.
#[test]
fn more_slots() {
    let rules = "[protocol]\nsubnet_limit = 256\nregistration_rate_limit_blocks = 0\nimmunity_period_blocks = 50000\n\
                 lock_reduction_interval_blocks = 14400\n[registration]\nhazard_per_day = 1.0\nelasticity = 0.0\n\
                 [entrants]\nstart_delay_mean_days = 1.0\nenable_delay_mean_days = 2.0\n";
    let files = assert_same_bytes(&format!("[run]\npaths = 100\nhorizon_days = 25\n{RECORDS}{rules}"));
    assert!(files["events.parquet"].len() > 10_000, "{} bytes of events", files["events.parquet"].len());
}

/// Each position has a validator of its own, and collusion begins within the path.
#[test]
fn own_validators() {
    assert_same_bytes(&format!(
        "[run]\npaths = 100\nhorizon_days = 10\nreport_days = [1]\n{RECORDS}[validators]\nspread_sd_log = 0.3\n\
         noise_sd_log = 0.2\ndividend_factor = 0.5\ndividend_factor_day = 4\n"
    ));
}

/// Everything that is off by default, at once.
#[test]
fn all_behaviours() {
    let subnets: String = (1..=60)
        .map(|netuid| {
            format!(
                "[[subnets]]\nnetuid = {netuid}\nscale = 0.02\ndrift_per_day = 0.001\nsector = \"{}\"\n",
                netuid % 7
            )
        })
        .collect();
    assert_same_bytes(&format!(
        "[run]\npaths = 100\nhorizon_days = 10\nblocks_per_step = 3600\nreport_days = [1]\n{RECORDS}[flow]\n\
         sector_loading = 0.5\n[feedback]\nmomentum = 0.2\nyield = 0.1\nflight = 0.01\n[market_states]\nenabled = true\n\
         mean_days = [3, 2, 1]\n[[clusters]]\nnetuids = [3, 39, 81]\nrate_per_day = 0.3\nlog_reserve_mean = -0.2\n\
         log_reserve_sd = 0.1\n{subnets}"
    ));
}

/// Subnets with customers, one of which stops, and root stake that flows.
#[test]
fn revenue() {
    let revenue = "[root_stake]\nsd_log_per_sqrt_day = 0.02\nhalf_life_days = 5\n\
                   [[revenue]]\nnetuid = 93\nmedian_usd_per_day = 500\nsd_log = 0.8\nhalf_life_days = 4\n\
                   campaign_rate_per_day = 1\ncampaign_budget_median_usd = 7000\ncampaign_budget_sd_log = 0.4\n\
                   campaign_spend_days = 3.5\nmargin = 0.3\nbuyback = 0.9\npayout_of_revenue = 0.7\n\
                   creator_sale_fraction = 0.9\n[[revenue]]\nnetuid = 64\nmedian_usd_per_day = 30000\nbuyback = 1\nstop_day = 5\n";
    let files =
        assert_same_bytes(&format!("[run]\npaths = 100\nhorizon_days = 12\nreport_days = [3]\n{RECORDS}{revenue}"));
    assert!(files.contains_key("revenue.parquet"));
}

/// Replicates that batches do not divide, and one that the run cuts off.
#[test]
fn drawn_parameters() {
    let files = assert_same_bytes(&format!(
        "[run]\npaths = 170\nhorizon_days = 10\nreport_days = [1]\nparameter_uncertainty = true\n\
         paths_per_replicate = 20\n{RECORDS}"
    ));
    let summary = String::from_utf8_lossy(&files["summary.json"]);
    assert!(summary.contains("mean_pnl_parameter_error"), "{summary}");
}

#[test]
fn another_seed_gives_other_results() {
    let directory = TempDir::new().expect("a temporary directory");
    let spread = Spread { threads: 2, batch: 16, backend: Backend::detect() };
    let hashes = [1, 2].map(|seed| {
        let text = format!("[run]\nseed = {seed}\npaths = 50\nhorizon_days = 3\n");
        fs::write(directory.path().join("scenario.toml"), text).expect("a scenario file");
        let name = format!("seed-{seed}");
        files_of_run(&directory, &name, spread);
        result_hash(&directory.path().join(name))
    });
    assert_ne!(hashes[0], hashes[1]);
}
