//! `taorisk stress`: a scenario and what may befall it, on the same chance; what each changes, where, and by which rules.

use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;

use crate::cli::args::ScenarioOptions;
use crate::cli::attribute;
use crate::cli::error::BadInput;
use crate::cli::outcome;
use crate::cli::outcome::BookOutcome;
use crate::cli::print_result;
use crate::cli::reduction;
use crate::cli::run;
use crate::cli::run::Machine;
use crate::cli::stress_table;
use crate::cli::stress_table::StressTable;
use crate::cli::study::BasisChoice;
use crate::cli::study::CurrencyChoice;
use crate::cli::study::StudyFlags;
use crate::cli::table::Style;
use crate::config::library;
use crate::config::library::LIBRARY;
use crate::config::library::Member;
use crate::config::scenario::Overlay;
use crate::config::scenario::Scenario;
use crate::engine::drivers::Driver;
use crate::engine::drivers::Drivers;
use crate::model::switches::SwitchTime;
use crate::output::stress as output;
use crate::output::stress::LeftOut;
use crate::output::stress::StressRow;
use crate::output::stress::StressScenario;
use crate::risk::attribution::OTHER;
use crate::risk::contrast::Contrast;
use crate::risk::contrast::contrasts;
use crate::risk::contrast_parts::PartContrast;
use crate::risk::contrast_parts::part_contrasts;
use crate::risk::holding::HeldBook;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::units::BLOCKS_PER_DAY;

/// Paths where `--paths` does not say.
const PATHS_DEFAULT: i64 = 10_000;

/// Shown below the help.
pub const EXAMPLES: &str = "\
A scenario of the library, or a file of your own, is an overlay: it lies over SCENARIO, whose seed, paths, days and books stay. All \
are simulated on the same chance, so that a difference to the base has a far smaller error than either number. What does not go \
with SCENARIO, such as a shock after its horizon, is left out and named; of scenarios that you choose it is an error.

With --rules every scenario with switches of rules is simulated once more with the rules of the start throughout. What then differs \
from the base is the market's part; what the switches change on the same chance is the rules'.

Time: that of `taorisk run` with as many paths, for each scenario and for the base. Memory: some 2 KB a path. Which drivers make a \
difference is told by `taorisk attribute --overlay NAME`, beside `taorisk attribute`; a single scenario is run and kept by \
`taorisk run --overlay NAME`.

Examples:
  taorisk stress --list                                        what there is
  taorisk stress                                               the library on the built-in scenario
  taorisk stress my/scenario.toml --rules --out stress.parquet
  taorisk stress --scenarios tao-usd-crash,my/shock.toml --paths 20000
  taorisk stress --positions book.csv --currency TAO --basis mark --level 0.99";

/// Arguments of `stress`.
#[derive(Clone, Debug, Args)]
pub struct StressArgs {
    /// Scenario file (TOML); without it, the built-in scenario
    pub scenario: Option<PathBuf>,
    /// Flags that go before keys of the scenario; 10,000 paths where `--paths` is not given.
    #[command(flatten)]
    pub options: ScenarioOptions,
    /// Scenarios to run: names of the library and overlay files, with commas between [default: see --list]
    #[arg(long, value_name = "NAME|FILE", value_delimiter = ',')]
    pub scenarios: Vec<String>,
    /// List the library and run nothing
    #[arg(long)]
    pub list: bool,
    /// Tell of scenarios with switches what part of the difference the rules make
    #[arg(long)]
    pub rules: bool,
    /// Book whose losses are compared [default: the first]
    #[arg(long, value_name = "NAME")]
    pub book: Option<String>,
    /// Money that losses are counted in
    #[arg(long, value_enum, default_value_t = CurrencyChoice::Usd, ignore_case = true)]
    pub currency: CurrencyChoice,
    /// What holdings are worth: sold through the pools now, or at spot
    #[arg(long, value_enum, default_value_t = BasisChoice::Liquidation)]
    pub basis: BasisChoice,
    /// Confidence of value at risk and shortfall, above 0.5 and below 1 [default: the scenario's, of which the table shows the lowest]
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<f64>,
    /// Number of scenarios, from the worst, whose positions are shown
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = "Output")]
    pub worst: usize,
    /// Flags of a study.
    #[command(flatten)]
    pub study: StudyFlags,
}

impl StressArgs {
    /// The scenario with overlays, and the level that was asked for.
    fn load(&self, overlays: &[Overlay]) -> anyhow::Result<Scenario> {
        let overrides = self.options.overrides_with_paths(PATHS_DEFAULT);
        let mut scenario = Scenario::load_with(self.scenario.as_deref(), overlays, &overrides)?;
        if let Some(level) = self.level {
            if !(level > 0.5 && level < 1.0) {
                Err(BadInput(format!("--level {level}: must be above 0.5 and below 1")))?;
            }
            scenario.confidence = vec![level];
        }
        Ok(scenario)
    }
}

/// Simulates the base and the scenarios, and prints what each changes.
///
/// # Errors
/// A scenario, book, number of paths or file that is refused; an interruption; a failed simulation or write.
pub fn stress(args: &StressArgs) -> anyhow::Result<()> {
    if args.list {
        return print_result(stress_table::list(Style::detect()).as_bytes());
    }
    args.study.check_file()?;
    let study = Study::new(args)?;
    let machine = Machine::with_threads(args.study.answer.threads);
    run::remark(args.study.answer.quiet, &study.announcement());
    let (stop, progress) =
        (run::stop_flag()?, run::progress_bar(study.runs() * study.base.paths, "paths", args.study.answer.quiet));
    let findings = study.simulate(&Runs { machine: &machine, stop: &stop, progress: &progress });
    progress.finish_and_clear();
    let findings = findings?;
    let (rows, identity) = (study.rows(&findings), run::identity(&study.base));
    args.study.write_file(&identity, &rows)?;
    let text = if args.study.answer.json {
        output::json(&identity, &study.described(&findings), &study.left_out, &rows)
    } else {
        study.table(&findings, args.worst).text(Style::detect())
    };
    print_result(text.as_bytes())
}

/// What all simulations have in common.
struct Runs<'a> {
    machine: &'a Machine,
    stop: &'a AtomicBool,
    progress: &'a ProgressBar,
}

/// A scenario that lies over the base.
struct Stress {
    name: String,
    description: String,
    scenario: Scenario,
}

/// What a scenario changes.
pub(super) struct Finding {
    /// All measures of the book.
    pub book: Vec<Contrast>,
    /// What the parts of the book add, in their order.
    pub parts: Vec<PartContrast>,
    /// Where it was asked for and rules change.
    pub rules: Option<RuleSplit>,
    /// What is to be known of it.
    pub notes: Vec<String>,
}

/// The loss of a scenario in two parts.
pub(super) struct RuleSplit {
    /// Scenario against base, both with the rules of the start throughout.
    pub market: Vec<Contrast>,
    /// The scenario against itself with the rules of the start throughout.
    pub rules: Vec<Contrast>,
}

/// Whose losses are compared, and with what.
struct Study {
    base: Scenario,
    book: usize,
    currency: Currency,
    basis: Basis,
    splits_rules: bool,
    stresses: Vec<Stress>,
    left_out: Vec<LeftOut>,
}

impl Study {
    fn new(args: &StressArgs) -> anyhow::Result<Self> {
        let base = args.load(&[])?;
        outcome::check(&base, "stress")?;
        let book = attribute::book_named(&base, args.book.as_deref())?;
        let (currency, basis) = (args.currency.into(), args.basis.into());
        let mut study =
            Self { base, book, currency, basis, splits_rules: args.rules, stresses: Vec::new(), left_out: Vec::new() };
        match args.scenarios.is_empty() {
            true => study.add_library(args),
            false => args.scenarios.iter().try_for_each(|named| study.add_chosen(args, named))?,
        }
        Ok(study)
    }

    /// Adds the scenarios of the library that are run by default and go with the base.
    fn add_library(&mut self, args: &StressArgs) {
        for member in LIBRARY.iter().filter(|member| member.by_default) {
            let name = member.name.to_owned();
            match args.load(&[member.overlay()]) {
                Ok(scenario) => {
                    self.stresses.push(Stress { name, description: member.description().to_owned(), scenario });
                }
                Err(error) => self.left_out.push(LeftOut { name, reason: format!("{error:#}") }),
            }
        }
    }

    fn add_chosen(&mut self, args: &StressArgs, named: &str) -> anyhow::Result<()> {
        let overlay = library::overlay(named)?;
        let name = stem(named);
        if self.stresses.iter().any(|stress| stress.name == name) {
            Err(BadInput(format!("--scenarios: {name} is there twice")))?;
        }
        let description = library::description(&overlay.text).to_owned();
        let scenario = args.load(&[overlay])?;
        self.stresses.push(Stress { name, description, scenario });
        Ok(())
    }

    /// Whether a scenario is split into market and rules.
    fn is_split(&self, scenario: &Scenario) -> bool {
        self.splits_rules && !scenario.switches.is_empty()
    }

    /// Simulations of all paths.
    fn runs(&self) -> u64 {
        let scenarios = self.stresses.iter().map(|stress| &stress.scenario).chain([&self.base]);
        scenarios.map(|scenario| 1 + u64::from(self.is_split(scenario))).sum()
    }

    fn simulate(&self, runs: &Runs<'_>) -> anyhow::Result<Vec<Finding>> {
        let base = self.outcome(&self.base, Drivers::ALL, runs)?;
        let frozen = self.frozen(&self.base, runs)?;
        let compare = |stress: &Stress| {
            self.compare(stress, &base, frozen.as_ref().unwrap_or(&base), runs)
                .with_context(|| format!("with {}", stress.name))
        };
        self.stresses.iter().map(compare).collect()
    }

    fn compare(
        &self,
        stress: &Stress,
        base: &BookOutcome,
        frozen_base: &BookOutcome,
        runs: &Runs<'_>,
    ) -> anyhow::Result<Finding> {
        let other = self.outcome(&stress.scenario, Drivers::ALL, runs)?;
        let rules = self.frozen(&stress.scenario, runs)?.map(|frozen| RuleSplit {
            market: self.contrasts(frozen_base, &frozen),
            rules: self.contrasts(&frozen, &other),
        });
        let with_parts = |book: &BookOutcome| book.with_parts(self.currency, self.basis);
        Ok(Finding {
            book: self.contrasts(base, &other),
            parts: part_contrasts(&with_parts(base), &with_parts(&other), self.level()),
            rules,
            notes: self.notes(stress, base, &other),
        })
    }

    fn outcome(&self, scenario: &Scenario, drivers: Drivers, runs: &Runs<'_>) -> anyhow::Result<BookOutcome> {
        let mut found = outcome::simulate(scenario, drivers, runs.machine, runs.stop, runs.progress)?;
        Ok(found.books.swap_remove(self.book))
    }

    /// The same chance with the rules of the start throughout, where it is asked for and rules change.
    fn frozen(&self, scenario: &Scenario, runs: &Runs<'_>) -> anyhow::Result<Option<BookOutcome>> {
        let drivers = Drivers::ALL.without(Driver::Rules);
        self.is_split(scenario).then(|| self.outcome(scenario, drivers, runs)).transpose()
    }

    fn contrasts(&self, base: &BookOutcome, other: &BookOutcome) -> Vec<Contrast> {
        contrasts(base.of(self.currency, self.basis), other.of(self.currency, self.basis), &self.base.confidence)
    }

    /// The lowest, which the table shows.
    fn level(&self) -> f64 {
        self.base.confidence[0]
    }

    fn notes(&self, stress: &Stress, base: &BookOutcome, other: &BookOutcome) -> Vec<String> {
        let late = late_switches(&stress.scenario).skip(late_switches(&self.base).count());
        let mut notes: Vec<String> = late
            .map(|day| format!("its rules of day {day} come after the last step has begun: they cannot act"))
            .collect();
        if base.of(self.currency, self.basis) == other.of(self.currency, self.basis) {
            notes.push("no path of the book differs from the base".to_owned());
        }
        notes
    }

    fn announcement(&self) -> String {
        format!(
            "taorisk: {} runs of {} paths over {} days on the same chance, seed {}",
            self.runs(),
            self.base.paths,
            self.base.horizon_days(),
            self.base.seed
        )
    }

    fn held(&self) -> HeldBook {
        reduction::held_books(&self.base).swap_remove(self.book)
    }

    fn described(&self, findings: &[Finding]) -> Vec<StressScenario> {
        let described = |(stress, finding): (&Stress, &Finding)| StressScenario {
            name: stress.name.clone(),
            description: stress.description.clone(),
            scenario_hash: stress.scenario.hash().to_owned(),
            notes: finding.notes.clone(),
        };
        self.stresses.iter().zip(findings).map(described).collect()
    }

    fn rows(&self, findings: &[Finding]) -> Vec<StressRow> {
        let held = self.held();
        let of_scenario = |(stress, finding): (&Stress, &Finding)| self.scenario_rows(&stress.name, finding, &held);
        self.stresses.iter().zip(findings).flat_map(of_scenario).collect()
    }

    fn scenario_rows(&self, name: &str, finding: &Finding, held: &HeldBook) -> Vec<StressRow> {
        let row = |part, contrast: &Contrast| StressRow {
            scenario: name.to_owned(),
            part,
            measure: contrast.measure.name(),
            level: contrast.measure.level(),
            base: Some(contrast.base.value),
            base_standard_error: Some(contrast.base.standard_error),
            value: Some(contrast.other.value),
            value_standard_error: Some(contrast.other.standard_error),
            difference: contrast.difference.value,
            difference_standard_error: contrast.difference.standard_error,
            ..self.empty_row(held)
        };
        let split = finding.rules.iter().flat_map(|split| [("market", &split.market), ("rules", &split.rules)]);
        let parts = [("book", &finding.book)].into_iter().chain(split);
        let mut rows: Vec<StressRow> =
            parts.flat_map(|(part, found)| found.iter().map(move |contrast| row(part, contrast))).collect();
        for (index, part) in finding.parts.iter().enumerate() {
            let holding = held.holdings.get(index);
            let measures = [("mean_loss", None, part.mean), ("expected_shortfall", Some(self.level()), part.shortfall)];
            rows.extend(measures.map(|(measure, level, difference)| StressRow {
                scenario: name.to_owned(),
                part: "position",
                netuid: holding.map(|holding| holding.id.netuid.0.into()),
                registered_at: holding.map(|holding| holding.id.registered_at),
                name: part_name(held, index),
                measure,
                level,
                difference: difference.value,
                difference_standard_error: difference.standard_error,
                ..self.empty_row(held)
            }));
        }
        rows
    }

    /// What all rows have.
    fn empty_row(&self, held: &HeldBook) -> StressRow {
        StressRow {
            scenario: String::new(),
            book: held.name.clone(),
            horizon_days: self.base.horizon_days(),
            currency: self.currency.name(),
            basis: self.basis.name(),
            paths: self.base.paths,
            part: "book",
            netuid: None,
            registered_at: None,
            name: String::new(),
            measure: "",
            level: None,
            base: None,
            base_standard_error: None,
            value: None,
            value_standard_error: None,
            difference: 0.0,
            difference_standard_error: 0.0,
        }
    }

    fn table<'a>(&'a self, findings: &'a [Finding], worst: usize) -> StressTable<'a> {
        let held = self.held();
        let opening_tao: f64 = held.holdings.iter().map(|holding| holding.mark_tao).chain(held.other_tao).sum();
        StressTable {
            horizon_days: self.base.horizon_days(),
            currency: self.currency,
            basis: self.basis,
            level: self.level(),
            paths: self.base.paths,
            opening: match self.currency {
                Currency::Tao => opening_tao,
                Currency::Usd => opening_tao * self.base.tao_usd_start,
            },
            parts: part_labels(&held),
            book: held.name,
            found: self.stresses.iter().map(|stress| stress.name.as_str()).zip(findings).collect(),
            left_out: &self.left_out,
            worst,
        }
    }
}

/// What a scenario that is no member of the library is called: its file without directory and ending.
fn stem(named: &str) -> String {
    match Member::named(named) {
        Some(member) => member.name.to_owned(),
        None => {
            Path::new(named).file_stem().map_or_else(|| named.to_owned(), |stem| stem.to_string_lossy().into_owned())
        }
    }
}

fn part_name(held: &HeldBook, index: usize) -> String {
    held.holdings.get(index).map_or_else(|| OTHER.to_owned(), |holding| holding.name.clone())
}

/// Names of the parts of a book in tables.
fn part_labels(held: &HeldBook) -> Vec<String> {
    let holdings = held.holdings.iter().map(|holding| format!("{:<5} {}", holding.id.netuid.to_string(), holding.name));
    holdings.chain(held.other_tao.map(|_| OTHER.to_owned())).collect()
}

/// Days of the switches that come at a block after the opening of the last step.
fn late_switches(scenario: &Scenario) -> impl Iterator<Item = f64> {
    let start = scenario.start.block;
    let last_opening = start + u64::from(scenario.horizon_steps - 1) * scenario.blocks_per_step;
    scenario.switches.iter().filter_map(move |switch| match switch.time {
        SwitchTime::Block(block) if block > last_opening => Some((block - start) as f64 / BLOCKS_PER_DAY as f64),
        _ => None,
    })
}
