//! `taorisk check`: the complete scenario as TOML, and what running it would take.

use std::num::NonZeroUsize;
use std::thread;

use crate::cli::args::CheckArgs;
use crate::cli::needs;
use crate::cli::print_result;
use crate::config::scenario::Scenario;
use crate::output::manifest::words_of_method;
use crate::protocol::pool::Pool;
use crate::protocol::rule_names::RuleVersion;

/// Validates a scenario, prints it complete to standard output and the estimates to standard error.
///
/// # Errors
/// A scenario, snapshot or positions file that is refused.
pub fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let scenario = Scenario::load(args.scenario.as_deref(), &args.options.overrides())?;
    if !args.quiet {
        let threads = args.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        eprint!("{}", describe(&scenario, threads));
    }
    print_result(scenario.to_toml().as_bytes())
}

/// What the scenario is and what it takes, for a reader.
fn describe(scenario: &Scenario, threads: usize) -> String {
    let start = &scenario.start;
    let (slots, subnet_steps) = (needs::padded_slots(scenario), needs::subnet_steps(scenario));
    let mut lines = vec![
        format!("scenario  {}, seed {}, hash {}", scenario.name, scenario.seed, scenario.hash()),
        format!(
            "network   {} subnets at block {}, from {}",
            start.subnets.len(),
            grouped(start.block),
            scenario.snapshot_file.name
        ),
    ];
    lines.push(describe_rules(scenario));
    lines.extend(describe_behaviour(scenario));
    lines.extend(scenario.replication.as_ref().map(|replication| {
        format!(
            "law       {} drawn for every {} paths",
            counted(replication.law.parameters.len(), "parameter"),
            replication.paths
        )
    }));
    lines.extend((0..scenario.books.len()).map(|index| describe_book(index, scenario)));
    lines.push(format!(
        "work      {} paths x {} steps of {} blocks x {slots} slots = {subnet_steps:.2e} subnet-steps over {} days",
        grouped(scenario.paths),
        grouped(u64::from(scenario.horizon_steps)),
        grouped(scenario.blocks_per_step),
        scenario.horizon_days(),
    ));
    let method = scenario.estimator.method();
    lines.push(format!("estimator {method}: {}", words_of_method(method)));
    lines.push(format!(
        "estimate  {} on {}, {} of memory, {} of files",
        duration(needs::seconds(scenario, threads)),
        counted(threads, "thread"),
        size(needs::memory_bytes(scenario, threads)),
        size(needs::file_bytes(scenario)),
    ));
    lines.join("\n") + "\n"
}

fn describe_book(index: usize, scenario: &Scenario) -> String {
    let book = &scenario.books[index];
    let subnets = &scenario.start.subnets;
    let price = |netuid| {
        subnets.iter().find(|subnet| subnet.netuid == netuid).map_or(0.0, |subnet| Pool::from(subnet).spot_price())
    };
    let value: f64 = book.positions.iter().map(|position| position.alpha * price(position.netuid)).sum();
    let usd = value * scenario.tao_usd_start;
    let policy = scenario.policies.get(index).and_then(Option::as_ref);
    let policy = policy.map_or(String::new(), |of| {
        let cash = if of.cash_tao > 0.0 { format!(", {} TAO in cash", of.cash_tao) } else { String::new() };
        format!("{cash}, policy {}", of.policy.kind())
    });
    format!(
        "book      {}: {}, {value:.2} TAO at spot ({usd:.0} USD), from {}{policy}",
        book.name,
        counted(book.positions.len(), "position"),
        scenario.positions_file.name
    )
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Estimate of the time that so many paths of a scenario take on so many threads, in words.
pub(super) fn simulation_time(scenario: &Scenario, paths: u64, threads: usize) -> String {
    duration(needs::seconds(scenario, threads) * paths as f64 / scenario.paths as f64)
}

/// Versions of the rules at the start, and how many changes may come.
fn describe_rules(scenario: &Scenario) -> String {
    let rules = &scenario.protocol;
    let switches = match scenario.switches.len() {
        0 => "for the whole path".to_owned(),
        count => format!("at the start; {} may come", counted(count, "change")),
    };
    format!(
        "rules     shares {}, injection {}, root {}, pool {}, dissolution {}, seed {}, {switches}",
        rules.share_rule.name(),
        rules.injection_rule.name(),
        rules.root_rule.name(),
        rules.pool_rule.name(),
        rules.dissolve_rule.name(),
        rules.seed_rule.name(),
    )
}

/// What of the behaviour that is off by default is on, if any.
fn describe_behaviour(scenario: &Scenario) -> Option<String> {
    let model = &scenario.model;
    let feedback = model.feedback;
    let answers = [("momentum", feedback.momentum), ("yield", feedback.dividends), ("flight", feedback.flight)];
    let mut parts: Vec<String> =
        answers.iter().filter(|(_, size)| *size != 0.0).map(|(name, size)| format!("{name} {size}")).collect();
    if let Some(market) = &model.market {
        parts.push(format!(
            "{} from {}",
            counted(market.states.len(), "market state"),
            market.states[market.start].name
        ));
    }
    if !model.clusters.is_empty() {
        parts.push(counted(model.clusters.len(), "cluster"));
    }
    if !model.shocks.is_empty() {
        parts.push(counted(model.shocks.len(), "shock"));
    }
    if !model.subnets.is_empty() {
        parts.push(format!("own parameters of {}", counted(model.subnets.len(), "subnet")));
    }
    (!parts.is_empty()).then(|| format!("behaviour {}", parts.join(", ")))
}

fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds < 1.0 => "under a second".to_owned(),
        _ if seconds < 100.0 => format!("about {seconds:.0} s"),
        _ if seconds < 6_000.0 => format!("about {:.0} min", seconds / 60.0),
        _ => format!("about {:.1} h", seconds / 3_600.0),
    }
}

pub(super) fn size(bytes: f64) -> String {
    match bytes {
        _ if bytes < 1e6 => "under 1 MB".to_owned(),
        _ if bytes < 1e9 => format!("about {:.0} MB", bytes / 1e6),
        _ => format!("about {:.1} GB", bytes / 1e9),
    }
}

/// A whole number with its thousands set apart: 9,184,186.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scenario::Overrides;

    #[test]
    fn description_of_the_base_scenario() {
        let scenario = Scenario::load(None, &Overrides::default()).unwrap();
        let text = describe(&scenario, 2);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("scenario  base, seed 1, hash {}", scenario.hash()));
        assert_eq!(lines[1], "network   128 subnets at block 9,184,186, from snapshot-2026-09-30.csv (built in)");
        let rules = "rules     shares E2H, injection J5, root R4, pool A2, dissolution D2, seed S2, for the whole path";
        assert_eq!(lines[2], rules);
        assert_eq!(
            lines[3],
            "book      main: 10 positions, 1000.00 TAO at spot (220520 USD), from sample-book.csv (built in)"
        );
        // 100,000 x 90 x 128 subnet-steps; at 30 ns on two threads 17 s.
        assert_eq!(
            lines[4],
            "work      100,000 paths x 90 steps of 7,200 blocks x 128 slots = 1.15e9 subnet-steps over 90 days"
        );
        assert_eq!(lines[5], "estimator control: mean P&L by control variates, all else plain");
        assert_eq!(lines[6], "estimate  about 17 s on 2 threads, about 152 MB of memory, about 31 MB of files");
    }

    #[test]
    fn behaviour_is_named_where_it_is_on() {
        let text = "[feedback]\nmomentum = 0.1\n[market_states]\nenabled = true\n[[subnets]]\nnetuid = 3\n";
        let scenario = Scenario::from_text("my.toml", text, std::path::Path::new(""), &Overrides::default()).unwrap();
        let expected = "behaviour momentum 0.1, 3 market states from calm, own parameters of 1 subnet";
        assert_eq!(describe_behaviour(&scenario).as_deref(), Some(expected));
    }

    #[test]
    fn numbers_for_readers() {
        assert_eq!(
            [grouped(7), grouped(1_000), grouped(123_456), grouped(9_184_186)].join(" "),
            "7 1,000 123,456 9,184,186"
        );
        assert_eq!(
            [duration(0.2), duration(17.3), duration(600.0), duration(9_000.0)].join("; "),
            "under a second; about 17 s; about 10 min; about 2.5 h"
        );
        assert_eq!([size(1.0), size(31e6), size(2.5e9)].join("; "), "under 1 MB; about 31 MB; about 2.5 GB");
    }
}
