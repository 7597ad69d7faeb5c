//! Flags that commands have in common which make one answer of one or many simulations.

use std::num::NonZeroUsize;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;

use crate::cli::error::BadInput;
use crate::output::parquet::Identity;
use crate::output::table_file;
use crate::output::table_file::TableFormat;
use crate::output::table_file::TableRow;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;

/// Flags of a command that makes one table of one or many simulations.
#[derive(Clone, Debug, Args)]
pub struct StudyFlags {
    /// File for all numbers, CSV or Parquet by its extension
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// How the answer is given.
    #[command(flatten)]
    pub answer: AnswerFlags,
}

/// How a command of one or many simulations gives its answer.
#[derive(Clone, Debug, Args)]
pub struct AnswerFlags {
    /// Print JSON instead of tables
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// No progress bar and no remarks; results and errors only
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
    /// Worker threads [default: one per core]; results do not depend on it
    #[arg(long, value_name = "N", help_heading = "Execution")]
    pub threads: Option<NonZeroUsize>,
}

/// Money that losses are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CurrencyChoice {
    /// US dollars
    Usd,
    /// TAO
    Tao,
}

/// What holdings are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BasisChoice {
    /// Sold through the pools now, after fees and slippage
    Liquidation,
    /// At spot
    Mark,
}

impl StudyFlags {
    /// Refuses a file that cannot be, before hours are spent.
    ///
    /// # Errors
    /// An unknown extension, or a directory that is none.
    pub(super) fn check_file(&self) -> Result<(), BadInput> {
        self.format().map(drop)
    }

    /// The file and its format, where one is asked for.
    pub(super) fn format(&self) -> Result<Option<(&Path, TableFormat)>, BadInput> {
        self.out.as_deref().map(|path| Ok((path, format_of(path)?))).transpose()
    }

    /// Writes the file, where one is asked for.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write_file<R: TableRow>(&self, identity: &Identity, rows: &[R]) -> anyhow::Result<()> {
        let Some((path, format)) = self.format()? else { return Ok(()) };
        Ok(table_file::write_rows(path, format, identity, rows)?)
    }
}

fn format_of(path: &Path) -> Result<TableFormat, BadInput> {
    let name = path.display();
    let format =
        TableFormat::of(path).ok_or_else(|| BadInput(format!("--out {name}: must end in .csv or .parquet")))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match directory.is_dir() {
        true => Ok(format),
        false => Err(BadInput(format!("--out {name}: {} is no directory", directory.display()))),
    }
}

impl From<CurrencyChoice> for Currency {
    fn from(choice: CurrencyChoice) -> Self {
        match choice {
            CurrencyChoice::Usd => Self::Usd,
            CurrencyChoice::Tao => Self::Tao,
        }
    }
}

impl From<BasisChoice> for Basis {
    fn from(choice: BasisChoice) -> Self {
        match choice {
            BasisChoice::Liquidation => Self::Liquidation,
            BasisChoice::Mark => Self::Mark,
        }
    }
}
