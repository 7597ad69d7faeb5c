//! What can go wrong with result files.

use std::io;
use std::path::Path;
use std::path::PathBuf;

use parquet::errors::ParquetError;

/// A result directory or file that could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The directory holds a finished run.
    #[error(
        "{} already holds a finished run: choose another directory with --out, or replace the run with \
         --force",
        .0.display()
    )]
    Exists(PathBuf),
    /// The file to write is there already.
    #[error("{} exists already: name another file with --out", .0.display())]
    FileExists(PathBuf),
    /// The directory holds something that no run wrote.
    #[error(
        "{} is not empty and holds no run ({entry:?} is not a result file): choose an empty or new directory",
        .path.display()
    )]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// A name in it that is no result file's.
        entry: String,
    },
    /// Another process is writing a run there.
    #[error("another run is being written to {}: wait for it, or choose another directory with --out", .0.display())]
    Busy(PathBuf),
    /// The directory cannot be created or written to.
    #[error("cannot write to {}: choose a directory that you may write to with --out", .path.display())]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file system of the directory has no space.
    #[error("no space left at {}: free some, or choose another directory with --out", .path.display())]
    DiskFull {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is no Parquet, or a truncated or damaged one, or could not be written as one.
    #[error("{} could not be read or written as Parquet (truncated, damaged or foreign?)", .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: ParquetError,
    },
    /// A file that the user named cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is no CSV.
    #[error("{} could not be read as CSV", .path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: csv::Error,
    },
    /// The name of a table does not tell its format.
    #[error("{} (must end in .csv or .parquet)", .0.display())]
    Extension(PathBuf),
    /// A file has other columns than the schema says.
    #[error(
        "{} has columns {found} where schema version {version} has {expected}: it was not written by this \
         version",
        .path.display(), version = crate::output::schema::SCHEMA_VERSION
    )]
    Columns {
        /// The file.
        path: PathBuf,
        /// Names and types required.
        expected: String,
        /// Names and types there.
        found: String,
    },
    /// A cell holds a value that is not allowed there.
    #[error("{} holds {column} = {value:?}, which is none of its values", .path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// What it holds.
        value: String,
    },
    /// A JSON file could not be understood.
    #[error("{} is not a valid {what}", .path.display())]
    Json {
        /// What it should be.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A journal is damaged or foreign.
    #[error("{} {problem}", .path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The directory holds the journal of a run that has not come to its end.
    #[error(
        "{} holds a run that was interrupted: --resume goes on with it, --force starts again",
        .0.display()
    )]
    Unfinished(PathBuf),
    /// There is no finished run.
    #[error("{} holds no finished run (no manifest.json): name a run directory", .0.display())]
    NoRun(PathBuf),
}

impl OutputError {
    /// Whether what the user named is at fault (exit code 2), not the work itself (exit code 1).
    ///
    /// A disk that fills up while a run is written counts as named by the user; any other [`Self::Io`] does not.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            _ => true,
        }
    }

    /// Turns an error of `action` on `path` into this type.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// The same for the Parquet library, whose own file errors are file errors.
    pub(crate) fn parquet(action: &'static str, path: &Path) -> impl FnOnce(ParquetError) -> Self {
        let path = path.to_owned();
        move |source| match source {
            ParquetError::External(inner) if inner.is::<io::Error>() => {
                let source = *inner.downcast().expect("the type was just checked");
                Self::Io { action, path, source }
            }
            source => Self::Parquet { path, source },
        }
    }
}
