//! Nobody changed the numbers unawares: first draws, and the result hash of a small run of each shipped scenario.
//!
//! When a change moves results on purpose, run `cargo test --release --test value_stability`, put the hashes that it
//! prints into [`RESULT_HASHES`], and say in the commit why the numbers moved. First draws move with the law of the draws alone.

use assert_cmd::Command;
use taorisk::output::manifest::Manifest;
use taorisk::rng::Address;
use taorisk::rng::Purpose;
use taorisk::rng::exponential;
use taorisk::rng::normals4;
use taorisk::rng::open_unit;
use taorisk::rng::slot_normals;
use taorisk::rng::words;
use tempfile::TempDir;

/// Scenario file, number of paths, `result_hash`. The same on every machine and backend.
const RESULT_HASHES: [(&str, &str, &str); 2] = [
    ("configs/base.toml", "256", "ea3ae54337d02265c54e0adb65be872d6625d1e2272a87b4b2b9850862e1bddd"),
    ("configs/smoke.toml", "1000", "44859216fc1a5edf436714ec4ea8a818680e771a2c0ea87fe7d575e91b797508"),
];

const SEED: u64 = 0x0123_4567_89ab_cdef;
const ADDRESS: Address = Address { path: 1, step: 2, slot: 3, purpose: Purpose::SlotNormals, index: 0 };

#[test]
fn first_words() {
    assert_eq!(words(SEED, ADDRESS), [1_329_690_880, 3_801_419_916, 570_740_547, 3_749_117_526]);
}

#[test]
fn first_slot_draws() {
    let Address { path, step, slot, purpose, .. } = ADDRESS;
    assert_eq!(
        slot_normals(SEED, path, step, purpose, slot),
        [-1.0120632648468018, -0.2683136463165283, 0.4491279423236847]
    );
}

#[test]
fn first_global_draws() {
    let words = words(SEED, Address { purpose: Purpose::GlobalNormals, slot: 0, ..ADDRESS });
    assert_eq!(normals4(words), [-0.8323943614959717, -2.66926646232605, 0.3118703067302704, 0.744511604309082]);
    assert_eq!(open_unit(words[0]), 0.020061884191818535);
    assert_eq!(exponential(open_unit(words[0])), 3.9089335730517836);
}

/// The numbers of purposes enter every address.
#[test]
fn purposes_keep_their_numbers() {
    let purposes = [
        Purpose::SlotNormals,
        Purpose::SlotJump,
        Purpose::GlobalNormals,
        Purpose::GlobalJumps,
        Purpose::RegistrationClock,
        Purpose::Entrant,
        Purpose::Incumbent,
        Purpose::InitialVolatility,
        Purpose::RuleSwitch,
        Purpose::Validator,
        Purpose::ValidatorSet,
        Purpose::Sector,
        Purpose::ClusterJump,
        Purpose::MarketState,
        Purpose::RevenueNormals,
        Purpose::RevenueCampaigns,
        Purpose::RootStakeNormals,
        Purpose::Parameters,
    ];
    for (number, purpose) in purposes.into_iter().enumerate() {
        let counter = Address { path: 5, step: 6, slot: 7, purpose, index: 9 }.counter();
        assert_eq!(counter, [5, 6, 7, (number as u32) << 16 | 9]);
    }
}

#[test]
fn shipped_scenarios_keep_their_results() {
    let directory = TempDir::new().expect("a temporary directory");
    let found = RESULT_HASHES.map(|(scenario, paths, _)| {
        let out = directory.path().join(scenario.replace('/', "-"));
        Command::new(env!("CARGO_BIN_EXE_taorisk"))
            .args(["run", scenario, "--paths", paths, "--quiet", "--out"])
            .arg(&out)
            .assert()
            .success();
        let manifest = Manifest::read(&out).expect("a readable manifest").expect("a finished run");
        println!("{scenario}, {paths} paths: {}", manifest.result_hash);
        manifest.result_hash
    });
    for ((scenario, paths, expected), found) in RESULT_HASHES.into_iter().zip(&found) {
        assert_eq!(expected, found, "{scenario} with {paths} paths");
    }
}
