//! The library of scenarios: built-in overlays, found by name.

use crate::config::ConfigError;
use crate::config::overrides::Overlay;

/// A scenario of the library: a file of `configs/scenarios`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name of the file without its ending.
    pub name: &'static str,
    /// What happens in it is bad news, or may be: it is run where no scenarios are chosen.
    pub by_default: bool,
    text: &'static str,
}

macro_rules! member {
    ($name:literal, $by_default:literal) => {
        Member {
            name: $name,
            by_default: $by_default,
            text: include_str!(concat!("../../configs/scenarios/", $name, ".toml")),
        }
    };
}

/// All of them: money that moves, prices, the network, its rules, and other models of chance.
pub const LIBRARY: [Member; 26] = [
    member!("tao-usd-crash", true),
    member!("inflow-spike", true),
    member!("top-subnet-collapse", true),
    member!("top-10-unwinding", true),
    member!("institutional-inflow", true),
    member!("stake-freeze", true),
    member!("root-unstaking", true),
    member!("price-manipulation", true),
    member!("sponsor-loss", true),
    member!("incentive-churn", true),
    member!("burn-penalty", true),
    member!("cartel-below-kappa", true),
    member!("cartel-above-kappa", true),
    member!("registration-run", true),
    member!("entrant-wave", true),
    member!("second-halving", true),
    member!("taoflow-back", true),
    member!("taoflow-gross", true),
    member!("hill-gate", true),
    member!("governance-change", true),
    member!("momentum-feedback", true),
    member!("market-states", true),
    member!("operator-cluster", true),
    member!("limit-256", false),
    member!("rules-of-2025-11-20", false),
    member!("revenue-subnet", false),
];

impl Member {
    /// The scenario of that name.
    pub fn named(name: &str) -> Option<Self> {
        LIBRARY.into_iter().find(|member| member.name == name)
    }

    /// What happens in it, in one line: the first of the file.
    pub fn description(&self) -> &'static str {
        description(self.text)
    }

    /// The same as a text that lies over a scenario.
    pub fn overlay(&self) -> Overlay {
        Overlay { name: format!("{} (built in)", self.name), text: self.text.to_owned() }
    }
}

/// The comment in the first line of a scenario, without its full stop; empty without one.
pub fn description(text: &str) -> &str {
    let line = text.lines().next().and_then(|line| line.strip_prefix('#')).unwrap_or_default();
    line.trim().trim_end_matches('.')
}

/// The overlay that a flag names: a scenario of the library, or a file.
///
/// # Errors
/// `UnknownOverlay` for a plain word that is neither; what the system says of a file.
pub fn overlay(named: &str) -> Result<Overlay, ConfigError> {
    match Member::named(named) {
        Some(member) => Ok(member.overlay()),
        None => Overlay::open(named).map_err(|error| match named.contains(['/', '\\', '.']) {
            true => error,
            false => {
                ConfigError::UnknownOverlay { name: named.to_owned(), known: LIBRARY.map(|of| of.name).join(", ") }
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_file_of_the_directory_is_a_member() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/scenarios");
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let members: BTreeSet<String> = LIBRARY.iter().map(|member| format!("{}.toml", member.name)).collect();
        assert_eq!(members, entries.collect());
        assert_eq!(members.len(), LIBRARY.len());
    }

    #[test]
    fn every_member_says_what_happens_and_has_its_own_name() {
        for member in LIBRARY {
            let length = member.description().chars().count();
            assert!((20..=76).contains(&length), "{}: {length} characters", member.name);
            assert!(member.text.contains(&format!("\nname = \"{}\"\n", member.name)), "{}", member.name);
        }
    }

    #[test]
    fn a_name_comes_before_a_file_and_an_unknown_one_lists_what_there_is() {
        assert_eq!(overlay("hill-gate").unwrap(), Member::named("hill-gate").unwrap().overlay());
        let message = overlay("hill-gates").unwrap_err().to_string();
        assert!(message.starts_with("no scenario `hill-gates` in the library (there are tao-usd-crash,"), "{message}");
        assert!(overlay("./none.toml").unwrap_err().to_string().starts_with("cannot read the overlay ./none.toml"));
        assert_eq!(description("# One. Two.\n# Three."), "One. Two");
        assert_eq!(description("[run]"), "");
    }
}
