//! `taorisk run`: loads and validates the scenario.

use crate::cli::args::RunArgs;
use crate::config::scenario::Scenario;

/// Loads the scenario, then says that the engine is not part of this build.
///
/// # Errors
/// A scenario that is refused; otherwise always, for want of the engine.
pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let scenario = Scenario::load(args.scenario.as_deref(), &args.options.scenario.overrides())?;
    anyhow::bail!("scenario {} is valid, but this build has no engine to run it", scenario.name)
}
