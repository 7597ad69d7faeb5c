//! Scenarios: what was written, and what is complete and valid.
//!
//! A scenario file is laid over the built-in `configs/base.toml` and over the parameter file that it may name, overlays and
//! flags over it: `loading` reads them, [`mod@layers`] merges them, `factors` multiplies, [`mod@file`] remembers
//! the line of every key, [`mod@scenario`] checks ranges, reads the snapshot and the positions, and freezes the result.

use std::io;

use thiserror::Error;

use crate::input::InputError;

mod behaviour;
mod checks;
mod clash;
pub mod estimator;
mod factors;
pub mod file;
pub mod layers;
pub mod library;
mod loading;
mod measures;
pub mod overrides;
mod policies;
pub mod reference;
mod revenue;
mod rules;
pub mod scenario;
mod shocks;
mod start;
pub mod uncertainty;

/// Why a scenario was refused. Every message names the key, what is allowed, and the file and line or the flag.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// Neither a scenario of the library nor, by its looks, a file.
    #[error("no scenario `{name}` in the library (there are {known}); a file has an ending")]
    UnknownOverlay {
        /// What the user named.
        name: String,
        /// Names of all scenarios of the library.
        known: String,
    },
    /// The operating system does not give an overlay.
    #[error("cannot read the overlay {file}")]
    UnreadableOverlay {
        /// File as the user named it.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The operating system does not give the scenario file.
    #[error("cannot read the scenario {file} (`taorisk init` writes one to start from)")]
    Unreadable {
        /// File as the user named it.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not TOML, or a key is not one of ours or does not belong there.
    #[error("{place}: {problem}")]
    Syntax {
        /// File as the user named it and line, from 1; or the flag.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// A value is of the wrong type, out of its range, or contradicts other inputs.
    #[error("{key} = {value} (must be {allowed}) in {origin}")]
    Value {
        /// Key with its table.
        key: String,
        /// What stands there.
        value: String,
        /// What may stand there.
        allowed: String,
        /// File and line, or the flag that set it.
        origin: String,
    },
    /// A manifest holds a scenario of other keys than this version's.
    #[error("the scenario in {file} is of another version of this program")]
    Foreign {
        /// File as the user named it.
        file: String,
        /// What is missing or unknown.
        source: serde_json::Error,
    },
    /// The snapshot or the positions were refused.
    #[error(transparent)]
    Input(#[from] InputError),
}
