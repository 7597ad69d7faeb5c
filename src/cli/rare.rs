//! `taorisk rare`: the probability of a deregistration that plain paths hardly ever see.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clap::Args;
use clap::value_parser;
use indicatif::ProgressBar;

use crate::cli::args::ScenarioOptions;
use crate::cli::error::BadInput;
use crate::cli::print_result;
use crate::cli::rare_table;
use crate::cli::run;
use crate::cli::run::Machine;
use crate::cli::study::AnswerFlags;
use crate::cli::table;
use crate::cli::table::Style;
use crate::config::scenario::Scenario;
use crate::engine::plan::Plan;
use crate::engine::plan::PlanInput;
use crate::output::rare as output;
use crate::output::rare::RareLevel;
use crate::output::rare::RareResult;
use crate::output::rare::RareSubnet;
use crate::protocol::registration;
use crate::protocol::state::SubnetState;
use crate::risk::rare::Effort;
use crate::risk::rare::LevelShare;
use crate::risk::rare::PARTICLES_MAX;
use crate::risk::rare::REPLICATIONS_MAX;
use crate::risk::rare::RareError;
use crate::risk::rare::RareEvent;
use crate::risk::rare::Splitting;
use crate::risk::splitting::REPLICATIONS_MIN;
use crate::units::BLOCKS_PER_DAY;

/// Fewest particles: a fifth of them have to pass a level.
const PARTICLES_MIN: u32 = 50;

/// Shown below the help.
pub const EXAMPLES: &str = "\
Paths that come near to the deregistration of the subnet are split: each level of nearness is reached from states drawn among those \
that reached the level before, and the probability is the product of the parts that do. Levels are found on chance of their own; the \
estimate is unbiased, its error is taken from whole replications. Where even twenty levels do not lead there, what is told is the \
probability of the last one, an upper bound.

Nobody's holdings and orders are in it: books are left out. The gain is how many times more steps plain paths take for the same \
error; below 1 the subnet is not rare, and `taorisk run` says it better.

Examples:
  taorisk rare --netuid 28                           the built-in scenario, 90 days
  taorisk rare my/scenario.toml --netuid 4,28,93 --horizon-days 180
  taorisk rare --netuid 53 --particles 4000          half the error
  taorisk rare --netuid 28 --json > sn28.json";

/// Arguments of `rare`.
#[derive(Clone, Debug, Args)]
pub struct RareArgs {
    /// Scenario file (TOML); without it, the built-in scenario
    pub scenario: Option<PathBuf>,
    /// Flags that go before keys of the scenario; `--paths` is refused.
    #[command(flatten)]
    pub options: ScenarioOptions,
    /// Subnets of the snapshot, one after the other
    #[arg(long, value_name = "A,B", value_delimiter = ',', required = true)]
    pub netuid: Vec<u16>,
    /// Particles of each level; errors fall with the square root
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = value_parser!(u32).range(i64::from(PARTICLES_MIN)..=i64::from(PARTICLES_MAX)))]
    pub particles: u32,
    /// Independent repetitions, from whose spread the error is taken; it falls with the square root
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = value_parser!(u32).range(REPLICATIONS_MIN as i64..=i64::from(REPLICATIONS_MAX)))]
    pub replications: u32,
    /// How the answer is given.
    #[command(flatten)]
    pub answer: AnswerFlags,
}

/// Estimates the probability of each subnet's deregistration and prints it.
///
/// # Errors
/// A scenario or subnet that is refused; an interruption; a failed simulation.
pub fn rare(args: &RareArgs) -> anyhow::Result<()> {
    let study = Study::new(args)?;
    let stop = run::stop_flag()?;
    let progress = run::progress_bar(study.total(), "replications", args.answer.quiet);
    let clock = Instant::now();
    let found: anyhow::Result<Vec<RareSubnet>> =
        study.slots.iter().map(|&slot| study.estimate(slot, &stop, &progress)).collect();
    progress.finish_and_clear();
    let (horizon_days, Effort { particles, replications, .. }) = (study.scenario.horizon_days(), study.effort);
    let result = RareResult { horizon_days, particles, replications, subnets: found? };
    run::remark(args.answer.quiet, &conclusion(&result, clock.elapsed().as_secs_f64()));
    let text = if args.answer.json {
        output::json(&run::identity(&study.scenario), &result)
    } else {
        rare_table::text(&result, Style::detect())
    };
    print_result(text.as_bytes())
}

fn conclusion(result: &RareResult, seconds: f64) -> String {
    let steps: f64 = result.subnets.iter().map(|subnet| subnet.subnet_steps).sum();
    format!("taorisk: {} subnet-steps in {seconds:.1} s", table::grouped(steps, 0))
}

struct Study {
    scenario: Scenario,
    plan: Plan,
    effort: Effort,
    /// Indices of the subnets in the snapshot.
    slots: Vec<usize>,
}

impl Study {
    fn new(args: &RareArgs) -> anyhow::Result<Self> {
        let key = |given: &String| given.split('=').next().unwrap_or_default().trim().to_owned();
        if args.options.paths.is_some() || args.options.set.iter().map(key).any(|key| key == "run.paths") {
            Err(BadInput("--paths: splitting has --particles and --replications instead".to_owned()))?;
        }
        let scenario = Scenario::load(args.scenario.as_deref(), &args.options.overrides())?;
        if scenario.replication.is_some() {
            Err(BadInput(format!(
                "{}: rare splits paths under one set of parameters; set run.parameter_uncertainty = false",
                scenario.name
            )))?;
        }
        let slots: Result<Vec<usize>, BadInput> = args.netuid.iter().map(|&netuid| place(&scenario, netuid)).collect();
        let machine = Machine::with_threads(args.answer.threads).options(0, 0);
        let effort = Effort {
            particles: args.particles,
            replications: args.replications,
            threads: machine.threads,
            backend: machine.backend,
        };
        let plan = Plan::new(PlanInput { steps: scenario.horizon_steps, ..run::plan_of(&scenario).input });
        Ok(Self { plan, effort, slots: slots?, scenario })
    }

    /// Replications of all, the search for levels counted as one more of each.
    fn total(&self) -> u64 {
        self.slots.len() as u64 * (u64::from(self.effort.replications) + 1)
    }

    fn estimate(&self, index: usize, stop: &AtomicBool, progress: &ProgressBar) -> anyhow::Result<RareSubnet> {
        let subnet = &self.scenario.start.subnets[index];
        let splitting = Splitting::new(&self.plan, subnet.netuid.slot(), self.effort, stop);
        let levels = splitting.find_levels().map_err(explain)?;
        progress.inc(1);
        let event = splitting.estimate(&levels, || progress.inc(1)).map_err(explain)?;
        Ok(self.row(index, &event))
    }

    fn row(&self, index: usize, event: &RareEvent) -> RareSubnet {
        let subnets = self.scenario.start.subnets.len() as f64;
        let level = |level: &LevelShare| RareLevel {
            nearness: level.nearness,
            share: level.share.value,
            share_standard_error: level.share.standard_error,
        };
        RareSubnet {
            netuid: self.scenario.start.subnets[index].netuid.0,
            name: self.scenario.subnet_names[index].clone(),
            probability: event.probability.value,
            standard_error: event.probability.standard_error,
            ci_low: event.probability.ci_low,
            ci_high: event.probability.ci_high,
            is_bound: event.is_bound,
            subnet_steps: subnets * event.steps as f64,
            plain_subnet_steps: subnets * event.plain_steps,
            gain: event.gain(),
            levels: event.levels.iter().map(level).collect(),
        }
    }
}

/// Index of a subnet that may be deregistered at all.
fn place(scenario: &Scenario, netuid: u16) -> Result<usize, BadInput> {
    let subnets = &scenario.start.subnets;
    let index = subnets.iter().position(|subnet| subnet.netuid.0 == netuid);
    let index = index.ok_or_else(|| BadInput(format!("--netuid {netuid}: the snapshot has no such subnet")))?;
    let SubnetState { registered_at, .. } = subnets[index];
    let immunity = scenario.protocol.immunity_period_blocks;
    let horizon = scenario.start.block + u64::from(scenario.horizon_steps) * scenario.blocks_per_step;
    if scenario.switches.is_empty() && registration::is_immune(horizon, registered_at, immunity) {
        let grace_days = (registered_at + immunity - scenario.start.block) as f64 / BLOCKS_PER_DAY as f64;
        Err(BadInput(format!(
            "--netuid {netuid}: cannot be deregistered within {}, its immunity lasts {grace_days:.1} days",
            table::days_label(scenario.horizon_days())
        )))?;
    }
    Ok(index)
}

fn explain(error: RareError) -> anyhow::Error {
    match error {
        RareError::Run(error) => run::explain(error),
        error => error.into(),
    }
}
