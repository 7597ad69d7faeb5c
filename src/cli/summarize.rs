//! `taorisk summarize`: names the run whose table it would print.

use crate::cli::args::SummarizeArgs;

/// Says that the reader of run directories is not part of this build.
///
/// # Errors
/// Always, for want of that reader.
pub fn summarize(args: &SummarizeArgs) -> anyhow::Result<()> {
    anyhow::bail!("this build cannot read {}", args.run_directory.display())
}
