//! Readers of what a user brings: chain snapshots, positions, histories and weight matrices, from CSV or Parquet.

use std::io;

use thiserror::Error;

pub mod document;
pub mod history;
pub mod matrix;
pub mod positions;
pub mod snapshot;
mod table;

/// Why an input file was refused. Every message names the file, and the line or row where there is one.
#[derive(Debug, Error)]
pub enum InputError {
    /// The operating system does not give the file.
    #[error("cannot read {file}")]
    Unreadable {
        /// File as the user named it.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file as a whole is not a table of the kind asked for.
    #[error("{file}: {problem}")]
    Table {
        /// File as the user named it.
        file: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// One cell holds something that is not allowed.
    #[error("{place}: {column} = {value} (must be {allowed})")]
    Cell {
        /// File with line (CSV) or row (Parquet).
        place: String,
        /// Column.
        column: String,
        /// What stands there.
        value: String,
        /// What may stand there.
        allowed: String,
    },
    /// One row does not fit the others, or the snapshot.
    #[error("{place}: {problem}")]
    Row {
        /// File with line (CSV) or row (Parquet).
        place: String,
        /// What is wrong, and what to do.
        problem: String,
    },
}
