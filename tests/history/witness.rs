//! The replay against the chain: pools, prices, moving prices, emission, and who was deregistered.

use taorisk::protocol::emission::InjectionRule;
use taorisk::protocol::params::ProtocolParams;
use taorisk::protocol::pool::PoolRule;
use taorisk::protocol::share_rules::ShareRule;
use taorisk::protocol::upgrades::LAUNCH;
use taorisk::units::BLOCKS_PER_DAY;

use crate::errors::Cell;
use crate::errors::Quantity;
use crate::errors::Table;
use crate::observed::History;
use crate::prunes;
use crate::prunes::Verdict;
use crate::replay::Replay;
use crate::replay::Rules;
use crate::replay::chain_rules;

/// Days after which a replay is compared.
const HORIZONS_DAYS: [u64; 3] = [1, 7, 30];
/// Farthest that an observed day may lie from a horizon (blocks).
const HORIZON_SLACK_BLOCKS: u64 = BLOCKS_PER_DAY / 3;
/// Days between two starts; the larger sample of the documentation sets `TAORISK_HISTORY_STRIDE`.
const STRIDE_DAYS: usize = 29;
/// First start: root had raised the smoothing of moving prices, and pools had filled.
const FIRST_BLOCK: u64 = 5_018_196;

/// Periods by the rules in force at the start.
const PERIODS: [&str; 5] = [
    "P0, J0, R0, A0",
    "P0, J0, R0, A1",
    "P0, J1 and J2, R1, A1",
    "F1, J2 and J3, R2 to R4, A1",
    "F2, J3 and J4, R4, A1",
];

fn period(block: u64) -> usize {
    let rules = chain_rules(block);
    match (rules.share_rule, rules.injection_rule, rules.pool_rule) {
        (ShareRule::P0, InjectionRule::J0, PoolRule::A0) => 0,
        (ShareRule::P0, InjectionRule::J0, _) => 1,
        (ShareRule::P0, ..) => 2,
        (ShareRule::F2, ..) => 4,
        _ => 3,
    }
}

fn stride_days() -> usize {
    std::env::var("TAORISK_HISTORY_STRIDE").map_or(STRIDE_DAYS, |text| text.parse().expect("a number of days"))
}

/// Whether this is the sample that every run of the tests takes.
fn is_small() -> bool {
    stride_days() == STRIDE_DAYS
}

/// Errors of the replay from day `start`, by horizon.
fn errors_from(history: &History, start: usize, horizons_days: &[u64], rules: Rules) -> Vec<(u64, Cell)> {
    let first = &history.days[start];
    let mut replay = Replay::start(history, start, rules);
    let mut cells = Vec::new();
    for days in horizons_days {
        let block = first.block + days * BLOCKS_PER_DAY;
        let day = history.day_near(block);
        if history.days[day].block.abs_diff(block) > HORIZON_SLACK_BLOCKS {
            break;
        }
        replay.advance_to_day(day);
        let mut cell = Cell::default();
        cell.add(first, &history.days[day], &replay);
        cells.push((*days, cell));
    }
    cells
}

/// Upper bounds of the median and 95 % relative errors of a quantity, by horizon.
struct Band {
    quantity: Quantity,
    days: u64,
    median: f64,
    high: f64,
}

const BANDS: [Band; 9] = [
    band(Quantity::PoolTao, 1, 1e-4, 2e-3),
    band(Quantity::PoolTao, 7, 5e-4, 8e-3),
    band(Quantity::PoolTao, 30, 2e-3, 2e-2),
    band(Quantity::Price, 1, 2e-4, 3e-3),
    band(Quantity::Price, 7, 5e-4, 8e-3),
    band(Quantity::Price, 30, 2e-3, 2e-2),
    band(Quantity::MovingPrice, 1, 5e-3, 4e-2),
    band(Quantity::MovingPrice, 7, 5e-3, 4e-2),
    band(Quantity::MovingPrice, 30, 8e-3, 4e-2),
];
/// Upper bound of the part of the emission that goes elsewhere than on chain.
const EMISSION_BAND: f64 = 0.05;

const fn band(quantity: Quantity, days: u64, median: f64, high: f64) -> Band {
    Band { quantity, days, median, high }
}

#[test]
fn pools_prices_and_moving_prices_follow_the_chain() {
    let history = History::read();
    let first = history.days.partition_point(|day| day.block < FIRST_BLOCK);
    let mut table = Table::default();
    for (turn, start) in (first..history.days.len() - 1).step_by(stride_days()).enumerate() {
        // A month is replayed from every fifth start of the small sample only.
        let horizons = if is_small() && turn % 5 != 2 { &HORIZONS_DAYS[..2] } else { &HORIZONS_DAYS };
        for (days, cell) in errors_from(&history, start, horizons, chain_rules) {
            table.cell(period(history.days[start].block), days).merge(cell);
        }
    }
    println!("{}", table.text(&PERIODS));
    for ((period, days), cell) in &table.0 {
        for band in BANDS.iter().filter(|band| band.days == *days) {
            let (median, high) = (cell.quantile(band.quantity, 0.5), cell.quantile(band.quantity, 0.95));
            let name = format!("{}, {days} days, {:?}: {median:.2e}, {high:.2e}", PERIODS[*period], band.quantity);
            assert!(median <= band.median && high <= band.high, "{name}");
        }
        let emission = cell.emission.fraction();
        assert!(emission <= EMISSION_BAND, "{}, {days} days, emission: {emission:.2e}", PERIODS[*period]);
    }
}

/// A replay of a week under a rule that was not in force.
struct Wrong {
    name: &'static str,
    block: u64,
    rules: Rules,
    quantity: Quantity,
    /// How many times the median error must exceed that of the true rules.
    times: f64,
}

const WRONG: [Wrong; 5] = [
    Wrong {
        name: "prices in place of flows",
        block: 7_500_000,
        rules: |block| ProtocolParams { share_rule: ShareRule::P0, ..chain_rules(block) },
        quantity: Quantity::PoolTao,
        times: 15.0,
    },
    Wrong {
        name: "flows in place of prices",
        block: 6_600_000,
        rules: |block| ProtocolParams { share_rule: ShareRule::F1, ..chain_rules(block) },
        quantity: Quantity::PoolTao,
        times: 50.0,
    },
    Wrong {
        name: "injection capped at alpha emission, not at TAO emission",
        block: 7_500_000,
        rules: |block| ProtocolParams { injection_rule: InjectionRule::J3, ..chain_rules(block) },
        quantity: Quantity::PoolTao,
        times: 5.0,
    },
    Wrong {
        name: "injection capped by the root proportion",
        block: 5_700_000,
        rules: |block| ProtocolParams { injection_rule: InjectionRule::J5, ..chain_rules(block) },
        quantity: Quantity::PoolTao,
        times: 50.0,
    },
    Wrong {
        name: "moving prices that age with 100,800 blocks",
        block: 5_700_000,
        rules: |block| ProtocolParams { moving_price_age_blocks: 100_800.0, ..chain_rules(block) },
        quantity: Quantity::MovingPrice,
        times: 2.0,
    },
];

#[test]
fn rules_that_were_not_in_force_are_told_apart() {
    let history = History::read();
    for wrong in WRONG {
        let start = history.day_near(wrong.block);
        let median = |rules: Rules| errors_from(&history, start, &[7], rules)[0].1.quantile(wrong.quantity, 0.5);
        let (ours, theirs) = (median(chain_rules), median(wrong.rules));
        println!("{}: {theirs:.2e} against {ours:.2e}", wrong.name);
        assert!(theirs >= wrong.times * ours, "{}", wrong.name);
    }
}

/// Deregistrations by the rule between the first and the last observed day.
const DEREGISTRATIONS: usize = 34;

/// Verdicts from `days_before` the last observation before each deregistration, and how many agree.
fn verdicts(history: &History, days_before: u64) -> usize {
    // The one replaced before was dissolved by root.
    let first_block = LAUNCH.registration_start_block;
    let pruned = history.replacements.iter().filter(|replacement| replacement.block >= first_block);
    let verdicts: Vec<Verdict> =
        pruned.map(|replacement| prunes::verdict(history, *replacement, days_before)).collect();
    assert_eq!(verdicts.len(), DEREGISTRATIONS);
    let agreed = verdicts.iter().filter(|verdict| verdict.agrees()).count();
    println!("{days_before} days before: {agreed} of {DEREGISTRATIONS}");
    for verdict in verdicts.iter().filter(|verdict| !verdict.agrees()) {
        println!("  {}", verdict.text());
    }
    agreed
}

#[test]
fn the_chain_deregisters_whom_we_do() {
    let history = History::read();
    let days: &[u64] = if is_small() { &[0, 1] } else { &[0, 1, 7, 30] };
    for days_before in days {
        // Nine of ten.
        assert!(10 * verdicts(&history, *days_before) >= 9 * DEREGISTRATIONS);
    }
}
