//! What books do and how they leave, as a scenario has it: `[[policies]]` and `[exit]`.

use serde::Deserialize;
use serde::Serialize;

use crate::config::ConfigError;
use crate::config::checks::Checks;
use crate::config::checks::checked;
use crate::portfolio::exit::ExitPlan;
use crate::portfolio::policy::BookPolicy;
use crate::portfolio::policy::Policy;
use crate::portfolio::policy::PruneReach;
use crate::portfolio::policy::Rebalance;
use crate::portfolio::policy::Rotation;
use crate::portfolio::policy::Span;
use crate::portfolio::policy::Stop;
use crate::portfolio::policy::Targets;
use crate::portfolio::position::Book;
use crate::protocol::state::SubnetState;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;
use crate::units::SLOT_CAPACITY;

/// Longest exit (days).
const EXIT_DAYS_MAX: f64 = 365.0;

/// How far from a whole number of steps a number of days may be, in steps.
const STEP_TOLERANCE: f64 = 1e-6;

/// Kinds of policies, each with the keys that are its own.
const KINDS: [(&str, &[&str]); 7] = [
    ("hold", &[]),
    ("rebalance", &["every_days", "targets", "netuids", "weights", "tolerance"]),
    ("stop", &["stop_loss", "take_profit", "scope"]),
    ("exit_before_deregistration", &["rank", "distance"]),
    ("twap_exit", &["start_day", "days"]),
    ("twap_entry", &["start_day", "days", "netuids", "weights"]),
    ("yield_rotation", &["every_days", "count", "tolerance"]),
];

/// One table of `[[policies]]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PolicySection {
    pub name: Option<String>,
    pub book: Option<String>,
    pub kind: Option<String>,
    pub cash_tao: f64,
    pub slippage_max: Option<f64>,
    pub every_days: Option<f64>,
    pub targets: Option<String>,
    pub netuids: Option<Vec<i64>>,
    pub weights: Option<Vec<f64>>,
    pub tolerance: Option<f64>,
    pub stop_loss: Option<f64>,
    pub take_profit: Option<f64>,
    pub scope: Option<String>,
    pub rank: Option<i64>,
    pub distance: Option<f64>,
    pub start_day: Option<f64>,
    pub days: Option<f64>,
    pub count: Option<i64>,
}

/// The exit basis.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExitSection {
    pub days: f64,
    pub participation: f64,
}

/// The exit basis of `[exit]`; `None` with 0 days.
///
/// # Errors
/// A value out of its range, or days that are no whole number of steps.
pub(super) fn exit(checks: &Checks<'_>, blocks_per_step: u64) -> Result<Option<ExitPlan>, ConfigError> {
    let days = checks.file.exit.days;
    let in_range = (0.0..=EXIT_DAYS_MAX).contains(&days);
    checks.number("exit.days", days, in_range, &format!("from 0 to {EXIT_DAYS_MAX} days; 0 for no exit basis"))?;
    let steps_per_day = BLOCKS_PER_DAY as f64 / blocks_per_step as f64;
    let steps = days * steps_per_day;
    let is_whole = (steps - steps.round()).abs() <= STEP_TOLERANCE;
    let allowed = format!("a whole number of steps of {blocks_per_step} blocks; a day has {BLOCKS_PER_DAY}");
    checks.number("exit.days", days, is_whole, &allowed)?;
    let participation = checked!(checks.positive(exit.participation));
    checks.number("exit.participation", participation, participation <= 1.0, "above 0 and at most 1")?;
    let steps = steps.round() as u32;
    Ok((steps > 0).then_some(ExitPlan { steps, participation_per_step: participation / steps_per_day }))
}

/// Adds the books of `[[policies]]` to `books`; returns what each book does. `take`: of validators in subnets that policies go into.
///
/// # Errors
/// A name that is taken, an unknown book or kind, a key that is missing, out of its range, or that the kind does not use.
pub(super) fn policies(
    checks: &Checks<'_>,
    subnets: &[SubnetState],
    take: f64,
    books: &mut Vec<Book>,
) -> Result<Vec<Option<BookPolicy>>, ConfigError> {
    let mut policies = vec![None; books.len()];
    for (index, section) in checks.file.policies.iter().enumerate() {
        let table = Table { checks, index, section, subnets };
        let policy = table.read(take)?;
        let (own, from) = table.books(books)?;
        match own {
            Some(own) if policies[own].is_some() => {
                return Err(table.refuse("name", &books[own].name, "a book that has no policy yet, or a new name"));
            }
            Some(own) => policies[own] = Some(policy),
            None => {
                let name = table.name()?.to_owned();
                books.push(Book { name, positions: books[from].positions.clone() });
                policies.push(Some(policy));
            }
        }
    }
    Ok(policies)
}

struct Table<'a> {
    checks: &'a Checks<'a>,
    index: usize,
    section: &'a PolicySection,
    subnets: &'a [SubnetState],
}

impl Table<'_> {
    fn key(&self, name: &str) -> String {
        format!("policies[{}].{name}", self.index)
    }

    fn refuse(&self, name: &str, value: impl ToString, allowed: &str) -> ConfigError {
        self.checks.refuse(&self.key(name), value, allowed)
    }

    /// The error for a key that is not there.
    fn missing(&self, name: &str, allowed: &str) -> ConfigError {
        self.checks.refuse(&format!("policies[{}]", self.index), format!("no {name}"), allowed)
    }

    fn name(&self) -> Result<&str, ConfigError> {
        let name = self.section.name.as_deref().filter(|name| !name.trim().is_empty());
        name.ok_or_else(|| self.missing("name", "given the name of a new book, or of a book that is to follow it"))
    }

    /// The book that follows the policy, where it is there already, and the one whose positions it has.
    fn books(&self, books: &[Book]) -> Result<(Option<usize>, usize), ConfigError> {
        let numbered = |name: &str| books.iter().position(|book| book.name == name);
        let names: Vec<&str> = books.iter().map(|book| book.name.as_str()).collect();
        let from = match &self.section.book {
            None => 0,
            Some(book) => numbered(book)
                .ok_or_else(|| self.refuse("book", format!("{book:?}"), &format!("one of {}", names.join(", "))))?,
        };
        let name = self.name()?;
        match numbered(name) {
            Some(_) if self.section.book.as_deref() != Some(name) => {
                let allowed = format!("a new name; with book = {name:?} that book itself follows the policy");
                Err(self.refuse("name", format!("{name:?}"), &allowed))
            }
            own => Ok((own, from)),
        }
    }

    fn read(&self, take: f64) -> Result<BookPolicy, ConfigError> {
        let Self { checks, section, .. } = *self;
        let slippage_max = section.slippage_max.map(|part| {
            checks.number(&self.key("slippage_max"), part, part > 0.0 && part < 1.0, "above 0 and below 1")
        });
        Ok(BookPolicy {
            policy: self.policy()?,
            cash_tao: checks.not_negative(&self.key("cash_tao"), section.cash_tao)?,
            slippage_max: slippage_max.transpose()?,
            take,
        })
    }

    fn policy(&self) -> Result<Policy, ConfigError> {
        let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
        let allowed = format!("one of {}", kinds.join(", "));
        let kind = self.section.kind.as_deref().ok_or_else(|| self.missing("kind", &allowed))?;
        let Some((_, keys)) = KINDS.iter().find(|(known, _)| *known == kind) else {
            return Err(self.refuse("kind", format!("{kind:?}"), &allowed));
        };
        self.refuse_foreign(kind, keys)?;
        match kind {
            "hold" => Ok(Policy::Hold),
            "rebalance" => Ok(Policy::Rebalance(self.rebalance()?)),
            "stop" => Ok(Policy::Stop(self.stop()?)),
            "exit_before_deregistration" => Ok(Policy::ExitBeforePrune(self.reach()?)),
            "twap_exit" => Ok(Policy::TwapExit(self.span()?)),
            "twap_entry" => Ok(Policy::TwapEntry { span: self.span()?, weights: self.weights()? }),
            _ => Ok(Policy::Rotate(Rotation {
                every_days: self.days("every_days", self.section.every_days)?,
                count: self.whole("count", self.section.count, SLOT_CAPACITY as u64)?,
                tolerance: self.tolerance()?,
            })),
        }
    }

    /// A key that the kind does not use.
    fn refuse_foreign(&self, kind: &str, keys: &[&str]) -> Result<(), ConfigError> {
        let section = self.section;
        let given = [
            ("every_days", section.every_days.is_some()),
            ("targets", section.targets.is_some()),
            ("netuids", section.netuids.is_some()),
            ("weights", section.weights.is_some()),
            ("tolerance", section.tolerance.is_some()),
            ("stop_loss", section.stop_loss.is_some()),
            ("take_profit", section.take_profit.is_some()),
            ("scope", section.scope.is_some()),
            ("rank", section.rank.is_some()),
            ("distance", section.distance.is_some()),
            ("start_day", section.start_day.is_some()),
            ("days", section.days.is_some()),
            ("count", section.count.is_some()),
        ];
        match given.iter().find(|(key, is_given)| *is_given && !keys.contains(key)) {
            None => Ok(()),
            Some((key, _)) => {
                let common = ["name", "book", "kind", "cash_tao", "slippage_max"];
                let all: Vec<&str> = common.iter().chain(keys).copied().collect();
                let allowed = format!("left out: kind {kind:?} has the keys {}", all.join(", "));
                Err(self.refuse(key, "given", &allowed))
            }
        }
    }

    fn days(&self, name: &str, days: Option<f64>) -> Result<f64, ConfigError> {
        let days = days.ok_or_else(|| self.missing(name, "given a number of days"))?;
        self.checks.positive(&self.key(name), days)
    }

    fn whole(&self, name: &str, number: Option<i64>, max: u64) -> Result<usize, ConfigError> {
        let number = number.ok_or_else(|| self.missing(name, "given a number of subnets"))?;
        Ok(self.checks.whole(&self.key(name), number, 1, max)? as usize)
    }

    fn tolerance(&self) -> Result<f64, ConfigError> {
        self.checks.fraction(&self.key("tolerance"), self.section.tolerance.unwrap_or(0.0))
    }

    fn span(&self) -> Result<Span, ConfigError> {
        let start_day = self.checks.not_negative(&self.key("start_day"), self.section.start_day.unwrap_or(0.0))?;
        Ok(Span { start_day, days: self.days("days", self.section.days)? })
    }

    fn rebalance(&self) -> Result<Rebalance, ConfigError> {
        let section = self.section;
        let targets = match (section.targets.as_deref(), &section.netuids) {
            (Some(_), Some(_)) => return Err(self.refuse("targets", "given", "left out with netuids")),
            (None, Some(_)) => Targets::List(self.weights()?),
            (None | Some("opening"), None) => Targets::Opening,
            (Some("equal"), None) => Targets::Equal,
            (Some(other), None) => {
                return Err(self.refuse("targets", format!("{other:?}"), "\"opening\" or \"equal\""));
            }
        };
        if section.weights.is_some() && section.netuids.is_none() {
            return Err(self.missing("netuids", "given them with weights"));
        }
        let every_days = self.days("every_days", section.every_days)?;
        Ok(Rebalance { every_days, targets, tolerance: self.tolerance()? })
    }

    fn stop(&self) -> Result<Stop, ConfigError> {
        let Self { checks, section, .. } = *self;
        if section.stop_loss.is_none() && section.take_profit.is_none() {
            return Err(self.missing("stop_loss", "given it or take_profit"));
        }
        let loss = section.stop_loss.map_or(Ok(f64::INFINITY), |part| {
            checks.number(&self.key("stop_loss"), part, part > 0.0 && part < 1.0, "above 0 and below 1")
        })?;
        let gain =
            section.take_profit.map_or(Ok(f64::INFINITY), |part| checks.positive(&self.key("take_profit"), part))?;
        let whole_book = match section.scope.as_deref() {
            None | Some("position") => false,
            Some("book") => true,
            Some(other) => return Err(self.refuse("scope", format!("{other:?}"), "\"position\" or \"book\"")),
        };
        Ok(Stop { loss, gain, whole_book })
    }

    fn reach(&self) -> Result<PruneReach, ConfigError> {
        match (self.section.rank, self.section.distance) {
            (Some(_), None) => Ok(PruneReach::Rank(self.whole("rank", self.section.rank, SLOT_CAPACITY as u64)?)),
            (None, Some(distance)) => Ok(PruneReach::Distance(self.checks.positive(&self.key("distance"), distance)?)),
            _ => Err(self.missing("rank", "given either rank or distance")),
        }
    }

    /// Weights of subnets, made to sum to 1; equal where none are given.
    fn weights(&self) -> Result<Vec<(NetUid, f64)>, ConfigError> {
        let section = self.section;
        let netuids = section.netuids.as_deref().unwrap_or_default();
        if netuids.is_empty() {
            return Err(self.missing("netuids", "given the netuids of subnets of the snapshot"));
        }
        let weights = section.weights.clone().unwrap_or_else(|| vec![1.0; netuids.len()]);
        if weights.len() != netuids.len() {
            return Err(self.refuse("weights", weights.len(), &format!("{} numbers, as netuids has", netuids.len())));
        }
        let sum: f64 = weights.iter().sum();
        let mut all: Vec<(NetUid, f64)> = Vec::new();
        for (&netuid, weight) in netuids.iter().zip(weights) {
            let known = self.subnets.iter().find(|subnet| i64::from(subnet.netuid.0) == netuid);
            let known = known.filter(|subnet| subnet.is_started() && all.iter().all(|(id, _)| *id != subnet.netuid));
            let allowed = "started subnets of the snapshot, each once";
            let subnet = known.ok_or_else(|| self.refuse("netuids", netuid, allowed))?;
            let weight = self.checks.positive(&self.key("weights"), weight)?;
            all.push((subnet.netuid, weight / sum));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::scenario::Overrides;
    use crate::config::scenario::Scenario;

    fn load(text: &str) -> Result<Scenario, ConfigError> {
        Scenario::from_text("my.toml", text, Path::new(""), &Overrides::default())
    }

    #[test]
    fn tables_are_books_and_what_they_do() {
        let scenario = load(
            "[[policies]]\nname = \"main\"\nbook = \"main\"\nkind = \"stop\"\nstop_loss = 0.2\n\
             [[policies]]\nname = \"in\"\nkind = \"twap_entry\"\nnetuids = [9, 3]\nweights = [3, 1]\ndays = 2\n\
             cash_tao = 7.0\nslippage_max = 0.1\n",
        )
        .unwrap();
        let names: Vec<&str> = scenario.books.iter().map(|book| book.name.as_str()).collect();
        assert_eq!(names, ["main", "in"]);
        let [Some(stop), Some(entry)] = &scenario.policies[..] else { panic!("two policies") };
        assert_eq!(stop.policy, Policy::Stop(Stop { loss: 0.2, gain: f64::INFINITY, whole_book: false }));
        let span = Span { start_day: 0.0, days: 2.0 };
        assert_eq!(entry.policy, Policy::TwapEntry { span, weights: vec![(NetUid(9), 0.75), (NetUid(3), 0.25)] });
        assert_eq!((entry.cash_tao, entry.slippage_max), (7.0, Some(0.1)));
        assert_eq!(load("").unwrap().policies, [None]);
        let changed = load("[[policies]]\nname = \"in\"\nkind = \"hold\"\n").unwrap();
        assert_ne!(changed.hash(), load("").unwrap().hash());
    }

    #[test]
    fn an_exit_is_in_steps() {
        let exit = |text: &str| load(text).unwrap().exit;
        assert_eq!(exit(""), None);
        let plan = exit("[run]\nblocks_per_step = 3600\n[exit]\ndays = 2.5\nparticipation = 0.2\n").unwrap();
        assert_eq!(plan, ExitPlan { steps: 5, participation_per_step: 0.1 });
    }

    #[test]
    fn what_is_refused_names_key_and_line() {
        let table = |text: &str| format!("[[policies]]\nname = \"x\"\n{text}");
        let cases = [
            ("kind = \"twap\"", "policies[0].kind = \"twap\" (must be one of hold, rebalance, stop, exit_before"),
            (
                "kind = \"hold\"\nrank = 1",
                "policies[0].rank = given (must be left out: kind \"hold\" has the keys name, book",
            ),
            ("kind = \"rebalance\"", "policies[0] = no every_days (must be given a number of days) in my.toml:1"),
            (
                "kind = \"rebalance\"\nevery_days = 0",
                "policies[0].every_days = 0 (must be a finite number > 0) in my.toml:4",
            ),
            ("kind = \"stop\"", "policies[0] = no stop_loss"),
            ("kind = \"stop\"\nstop_loss = 1.5", "policies[0].stop_loss = 1.5 (must be above 0 and below 1)"),
            ("kind = \"stop\"\nstop_loss = 0.5\nscope = \"all\"", "policies[0].scope = \"all\" (must be \"position\""),
            ("kind = \"exit_before_deregistration\"", "policies[0] = no rank (must be given either rank or distance)"),
            ("kind = \"twap_entry\"\ndays = 1\nnetuids = [4, 4]", "policies[0].netuids = 4 (must be started subnets"),
            ("kind = \"twap_entry\"\ndays = 1\nnetuids = [59]", "policies[0].netuids = 59 (must be started subnets"),
            ("kind = \"twap_entry\"\ndays = 1\nnetuids = [4]\nweights = [1, 2]", "policies[0].weights = 2 (must be 1"),
            ("kind = \"yield_rotation\"\nevery_days = 7\ncount = 0", "policies[0].count = 0 (must be a whole number"),
            ("kind = \"hold\"\nslippage_max = 1", "policies[0].slippage_max = 1 (must be above 0 and below 1)"),
            ("kind = \"hold\"\nbook = \"none\"", "policies[0].book = \"none\" (must be one of main) in my.toml:4"),
        ];
        for (text, expected) in cases {
            let message = load(&table(text)).expect_err(text).to_string();
            assert!(message.starts_with(expected), "{text:?}: {message}");
        }
        let message = load("[[policies]]\nname = \"main\"\nkind = \"hold\"\n").unwrap_err().to_string();
        assert!(message.starts_with("policies[0].name = \"main\" (must be a new name; with book"), "{message}");
        let message = load("[exit]\ndays = 0.5\n").unwrap_err().to_string();
        assert!(message.starts_with("exit.days = 0.5 (must be a whole number of steps of 7200 blocks"), "{message}");
        let message = load("[exit]\nparticipation = 1.5\n").unwrap_err().to_string();
        assert!(message.starts_with("exit.participation = 1.5 (must be above 0 and at most 1)"), "{message}");
    }
}
