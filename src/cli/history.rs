//! Flags that say which history to read, the same for all commands that read one.

use std::path::PathBuf;

use clap::Args;

use crate::input::InputError;
use crate::input::document::Document;
use crate::input::history::HistoryDocuments;

/// Where a history is read from.
#[derive(Clone, Debug, Args)]
pub struct HistoryArgs {
    /// States of subnets day by day, CSV or Parquet; without it, the built-in history
    pub history: Option<PathBuf>,
    /// Registrations and what they cost; without it those of the built-in history, with HISTORY none
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub registrations: Option<PathBuf>,
    /// Closing rates of TAO in USD; without it those of the built-in history, with HISTORY none
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub tao_usd: Option<PathBuf>,
    /// TAO staked on root; without it that of the built-in history
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub root_stake: Option<PathBuf>,
}

impl HistoryArgs {
    /// The files named, and what is built in for those that are not.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn documents(&self) -> Result<HistoryDocuments, InputError> {
        let embedded = HistoryDocuments::embedded();
        let open = |path: &Option<PathBuf>| path.as_deref().map(Document::open).transpose();
        let own = open(&self.history)?;
        let is_embedded = own.is_none();
        Ok(HistoryDocuments {
            observations: own.unwrap_or(embedded.observations),
            registrations: open(&self.registrations)?.or(embedded.registrations.filter(|_| is_embedded)),
            tao_usd: open(&self.tao_usd)?.or(embedded.tao_usd.filter(|_| is_embedded)),
            root_stake: open(&self.root_stake)?.or(embedded.root_stake),
        })
    }
}
