//! Result files: schema, Parquet, manifest, and the directory that appears whole or not at all.
//!
//! A run streams path rows, events and samples through a [`writer::ResultWriter`] into partial files of a
//! [`run_dir::RunDirectory`], adds the summaries at the end, and renames everything into place, the manifest last.
//! Files of one scenario and seed have the same bytes whatever the batches, threads or clock; what differs between
//! runs stands in `runtime.json` alone.

pub mod allocation;
pub mod backtest;
pub mod backtest_report;
pub mod calibration;
mod calibration_page;
mod codec;
pub mod convergence;
pub mod drivers;
pub mod epoch;
pub mod error;
pub mod hash;
pub mod journal;
pub mod liquidity;
pub mod manifest;
pub mod multilevel;
pub(crate) mod number;
pub mod parquet;
pub mod rare;
pub mod read;
pub mod replay;
pub mod report;
pub mod reverse;
pub mod rows;
pub mod run_dir;
pub mod schema;
pub mod sensitivity;
pub mod stress;
pub mod summary;
pub mod sweep;
pub mod table_file;
pub mod validators;
pub mod writer;
