//! What is complete and valid: everything that a run depends on, frozen and hashed.

use std::fmt::Write;
use std::path;
use std::path::Path;

use sha2::Digest;
use sha2::Sha256;

use crate::config::ConfigError;
use crate::config::behaviour;
use crate::config::checks::Checks;
use crate::config::checks::checked;
use crate::config::checks::model_params;
use crate::config::estimator;
use crate::config::estimator::Estimator;
use crate::config::estimator::TiltSection;
use crate::config::file::EMBEDDED;
use crate::config::file::Origins;
use crate::config::file::ScenarioFile;
use crate::config::measures;
use crate::config::policies;
use crate::config::revenue::revenue;
use crate::config::rules::protocol_params;
use crate::config::rules::switches;
use crate::config::shocks::shocks;
use crate::config::start::chain_start;
use crate::config::start::globals;
use crate::config::uncertainty;
use crate::config::uncertainty::Replication;
use crate::engine::tilt::Tilt;
use crate::input::InputError;
use crate::input::document::Document;
use crate::input::positions;
use crate::input::positions::TAKE_MAX;
use crate::input::snapshot::Snapshot;
use crate::model::params::ModelParams;
use crate::model::switches::RuleSwitch;
use crate::model::uncertainty::ParameterLaw;
use crate::portfolio::exit::ExitPlan;
use crate::portfolio::policy::BookPolicy;
use crate::portfolio::position::Book;
use crate::protocol::params::ProtocolParams;
use crate::protocol::state::ChainState;
use crate::protocol::upgrades::Change;
use crate::risk::further::MeasureSettings;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;

pub use crate::config::overrides::Overlay;
pub use crate::config::overrides::Overrides;

/// Longest horizon (days): ten years.
const HORIZON_DAYS_MAX: f64 = 3_650.0;
/// How far from a whole number of steps a number of days may be, in steps.
const STEP_TOLERANCE: f64 = 1e-6;
/// First line of the text that is hashed; raised when its meaning changes.
const HASH_HEADER: &str = "taorisk-scenario/1";

/// A day on which results are reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReportHorizon {
    /// Days after the start.
    pub days: f64,
    /// The same in steps, at least 1.
    pub step: u32,
}

/// An input that a scenario was built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// What messages call it: the path, or the name of a built-in text.
    pub name: String,
    /// SHA-256 of its bytes (hex).
    pub sha256: String,
}

/// Everything that a run depends on.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name in tables and in the manifest.
    pub name: String,
    /// Seed of all chance.
    pub seed: u64,
    /// Number of paths, 1 to `u32::MAX`.
    pub paths: u64,
    /// Steps of a path.
    pub horizon_steps: u32,
    /// Blocks of a step, a divisor of [`BLOCKS_PER_DAY`].
    pub blocks_per_step: u64,
    /// When results are reported, ascending; the last is the end of the path.
    pub report_horizons: Vec<ReportHorizon>,
    /// Confidence levels, ascending, above 0.5 and below 1.
    pub confidence: Vec<f64>,
    /// Probabilities of reported quantiles, ascending, above 0 and below 1.
    pub quantile_probabilities: Vec<f64>,
    /// Further measures of books.
    pub measures: MeasureSettings,
    /// The book whose positions are candidates for the others: what each would add to their tail risk is measured.
    pub candidates: Option<usize>,
    /// How a run estimates.
    pub estimator: Estimator,
    /// The first so many paths write their events.
    pub event_paths: u64,
    /// The first so many paths write their state after every step.
    pub sample_paths: u64,
    /// The chain's rules at the start.
    pub protocol: ProtocolParams,
    /// Changes of rules that may come.
    pub switches: Vec<RuleSwitch>,
    /// Parameters of chance and behaviour.
    pub model: ModelParams,
    /// How well they are known, whether or not they are drawn.
    pub law: ParameterLaw,
    /// How paths share parameters that are drawn around those; `None`: all have those.
    pub replication: Option<Replication>,
    /// State in which every path starts.
    pub start: ChainState,
    /// Names of the subnets, parallel to `start.subnets`; empty where none is known.
    pub subnet_names: Vec<String>,
    /// USD per TAO at the start.
    pub tao_usd_start: f64,
    /// Books, at least one, each with at least one position: those of the positions file, then those of policies.
    pub books: Vec<Book>,
    /// What each of them does; `None`, and books beyond the last: they hold.
    pub policies: Vec<Option<BookPolicy>>,
    /// How books leave at the report horizons; `None`: there is no exit basis.
    pub exit: Option<ExitPlan>,
    /// The snapshot that `start` was made from.
    pub snapshot_file: InputFile,
    /// The positions that `books` were read from.
    pub positions_file: InputFile,
    /// The parameter file that stands below the scenario, if it names one. A scenario out of a manifest has its values and
    /// does not read it again.
    pub parameters_file: Option<InputFile>,
    /// What was multiplied by which factors, a line for each.
    pub(super) factors: Vec<String>,
    file: ScenarioFile,
    hash: String,
}

impl Scenario {
    /// SHA-256 (hex) of what decides the content of result files at a given seed and range of paths.
    ///
    /// In it: chain, rules, model, horizon, step, report days, levels, what is recorded, and the decoded snapshot and
    /// books; the law of parameters where they are drawn from it. Not in it: the scenario's name, the file names of inputs
    /// (their content is), the seed and the number of paths, which shards and longer runs of one scenario differ in, nor
    /// anything about threads and output.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The complete scenario as TOML, defaults filled in and inputs by absolute path: read again from any place, it
    /// gives the same [`Scenario::hash`].
    pub fn to_toml(&self) -> String {
        let mut file = self.file.clone();
        for input in [&mut file.input.snapshot, &mut file.input.positions] {
            if let (true, Ok(absolute)) = (input != EMBEDDED, path::absolute(&*input)) {
                *input = absolute.display().to_string();
            }
        }
        let parameters = self.parameters_file.as_ref().map_or(String::new(), |from| {
            format!("# Parameters from {}, SHA-256 {}\n", from.name.escape_debug(), from.sha256)
        });
        // They are all here.
        file.input.parameters = uncertainty::NONE.to_owned();
        let factors: String = self.factors.iter().map(|line| format!("# {}\n", line.escape_debug())).collect();
        format!("# Complete taorisk scenario, hash {}\n{parameters}{factors}{}", self.hash, to_toml_text(&file))
    }

    /// The complete scenario as JSON for the manifest, inputs as they were named.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(&self.file).expect("a scenario has only finite numbers and text keys")
    }

    /// The same scenario with the tilt that a pilot has found; it reads its inputs again.
    ///
    /// # Errors
    /// An input that is gone, or a tilt out of range.
    pub fn with_tilt(&self, tilt: &Tilt) -> Result<Self, ConfigError> {
        let mut file = self.file.clone();
        file.estimator.tilt = Some(TiltSection::from(tilt));
        let tilted = build(file, &Origins::all_of("the pilot's tilt"))?;
        Ok(Self { parameters_file: self.parameters_file.clone(), factors: self.factors.clone(), ..tilted })
    }

    /// The number at a key such as `flow.jumps.up_mean`, and whether it is a whole one; `None` where there is none, or a list.
    pub fn number(&self, key: &str) -> Option<(f64, bool)> {
        let json = self.to_json();
        let found = key.split('.').try_fold(&json, |table, name| table.as_object()?.get(name))?;
        Some((found.as_f64()?, !found.is_f64()))
    }

    /// Slots that a path may come to use: those of the snapshot, and up to the highest subnet limit that may be in force.
    pub fn slots_max(&self) -> usize {
        let taken = self.start.subnets.iter().map(|subnet| subnet.netuid.slot() + 1);
        let limits = self.switches.iter().flat_map(|switch| &switch.changes).filter_map(|change| match change {
            Change::SubnetLimit(limit) => Some(*limit),
            _ => None,
        });
        taken.chain(limits).fold(self.protocol.subnet_limit, usize::max)
    }

    /// Sector that a subnet is said to be in.
    pub fn sector(&self, netuid: NetUid) -> Option<&str> {
        self.sectors().find(|(tagged, _)| *tagged == netuid).map(|(_, sector)| sector)
    }

    /// Subnets that are said to be in a sector, and which.
    pub fn sectors(&self) -> impl Iterator<Item = (NetUid, &str)> {
        let tagged = self.file.subnets.iter();
        tagged.filter_map(|section| Some((NetUid(u16::try_from(section.netuid).ok()?), section.sector.as_deref()?)))
    }

    /// Days that a path covers.
    pub fn horizon_days(&self) -> f64 {
        self.file.run.horizon_days
    }
}

fn to_toml_text(file: &ScenarioFile) -> String {
    toml::to_string(file).expect("a scenario is tables of numbers, texts and lists of numbers")
}

/// Checks a complete scenario and reads its inputs.
pub(super) fn build(file: ScenarioFile, origins: &Origins) -> Result<Scenario, ConfigError> {
    let checks = &Checks { file: &file, origins };
    if file.run.name.trim().is_empty() {
        return Err(checks.refuse("run.name", "\"\"", "a text that is not empty"));
    }
    let protocol = protocol_params(checks)?;
    let mut model = model_params(checks)?;
    let law = uncertainty::parameter_law(checks)?;
    let replication = uncertainty::replication(checks, &law)?;
    let blocks_per_step = blocks_per_step(checks)?;
    let report_horizons = report_horizons(checks, blocks_per_step)?;
    let horizon_steps = report_horizons[report_horizons.len() - 1].step;
    let confidence = checks.levels("run.confidence", &file.run.confidence, 0.5, 1.0)?;
    if confidence.is_empty() {
        return Err(checks.refuse("run.confidence", "[]", "a list of at least one level, such as [0.95]"));
    }
    let quantile_probabilities =
        checks.levels("run.quantile_probabilities", &file.run.quantile_probabilities, 0.0, 1.0)?;
    let measures = measures::measure_settings(checks)?;
    let seed = checked!(checks.whole(run.seed, 0, i64::MAX as u64));
    let paths = checked!(checks.whole(run.paths, 1, u32::MAX.into()));
    let event_paths = checked!(checks.whole(run.event_paths, 0, u32::MAX.into()));
    let sample_paths = checked!(checks.whole(run.sample_paths, 0, u32::MAX.into()));
    let tao_usd_start = checked!(checks.positive(chain.tao_usd));

    let (snapshot, snapshot_file) = read_snapshot(&file)?;
    let globals = globals(checks, &snapshot, &protocol)?;
    let switches = switches(checks, snapshot.block, snapshot.subnets.len())?;
    behaviour::complete(&mut model, checks, &snapshot)?;
    let start = chain_start(&snapshot, globals, &protocol, &model.sales);
    model.revenue = revenue(checks, &start.subnets)?;
    let (mut books, positions_file) = read_books(checks, &snapshot)?;
    let policies = policies::policies(checks, &start.subnets, file.input.default_take, &mut books)?;
    let candidates = measures::candidates(checks, &books, &policies)?;
    let exit = policies::exit(checks, blocks_per_step)?;
    let estimator = estimator::estimator(checks, &start.subnets, &model.flow, paths)?;
    model.shocks = shocks(checks, &start, &model.revenue, &books[0])?;
    let hash = hash_scenario(&file, &report_horizons, &snapshot, &books);
    Ok(Scenario {
        name: file.run.name.clone(),
        seed,
        paths,
        horizon_steps,
        blocks_per_step,
        report_horizons,
        confidence,
        quantile_probabilities,
        measures,
        candidates,
        estimator,
        event_paths,
        sample_paths,
        protocol,
        switches,
        model,
        law,
        replication,
        start,
        subnet_names: snapshot.subnets.into_iter().map(|subnet| subnet.name).collect(),
        tao_usd_start,
        books,
        policies,
        exit,
        snapshot_file,
        positions_file,
        parameters_file: None,
        factors: Vec::new(),
        file,
        hash,
    })
}

fn blocks_per_step(checks: &Checks<'_>) -> Result<u64, ConfigError> {
    let value = checks.file.run.blocks_per_step;
    let allowed = "a divisor of 7200, the blocks of a day: 7200, 3600, 1200, 360, 60 or 1, for instance";
    let refuse = || checks.refuse("run.blocks_per_step", value, allowed);
    let blocks = u64::try_from(value).map_err(|_| refuse())?;
    if blocks >= 1 && BLOCKS_PER_DAY.is_multiple_of(blocks) { Ok(blocks) } else { Err(refuse()) }
}

/// The report days up to the horizon, and the horizon.
fn report_horizons(checks: &Checks<'_>, blocks_per_step: u64) -> Result<Vec<ReportHorizon>, ConfigError> {
    let run = &checks.file.run;
    let end = report_horizon(checks, "run.horizon_days", run.horizon_days, blocks_per_step)?;
    let mut horizons = vec![end];
    for &days in &run.report_days {
        horizons.push(report_horizon(checks, "run.report_days", days, blocks_per_step)?);
    }
    horizons.retain(|horizon| horizon.step <= end.step);
    horizons.sort_by_key(|horizon| horizon.step);
    horizons.dedup_by_key(|horizon| horizon.step);
    Ok(horizons)
}

fn report_horizon(
    checks: &Checks<'_>,
    key: &str,
    days: f64,
    blocks_per_step: u64,
) -> Result<ReportHorizon, ConfigError> {
    let in_range = days > 0.0 && days <= HORIZON_DAYS_MAX;
    checks.number(key, days, in_range, &format!("above 0 and at most {HORIZON_DAYS_MAX} days"))?;
    let steps = days * BLOCKS_PER_DAY as f64 / blocks_per_step as f64;
    let is_whole = steps.round() >= 1.0 && (steps - steps.round()).abs() <= STEP_TOLERANCE;
    let allowed = format!("a whole number of steps of {blocks_per_step} blocks; a day has {BLOCKS_PER_DAY}");
    checks.number(key, days, is_whole, &allowed)?;
    Ok(ReportHorizon { days, step: steps.round() as u32 })
}

fn read_snapshot(file: &ScenarioFile) -> Result<(Snapshot, InputFile), InputError> {
    let document = document(&file.input.snapshot, Snapshot::embedded)?;
    Ok((Snapshot::read(&document)?, input_file(&document)))
}

fn read_books(checks: &Checks<'_>, snapshot: &Snapshot) -> Result<(Vec<Book>, InputFile), ConfigError> {
    let input = &checks.file.input;
    let is_allowed = (0.0..=TAKE_MAX).contains(&input.default_take);
    let take = checks.number("input.default_take", input.default_take, is_allowed, "from 0 to 0.18")?;
    let document = document(&input.positions, positions::embedded)?;
    Ok((positions::read_books(&document, snapshot, take)?, input_file(&document)))
}

fn document(named: &str, embedded: fn() -> Document) -> Result<Document, InputError> {
    if named == EMBEDDED { Ok(embedded()) } else { Document::open(Path::new(named)) }
}

pub(super) fn input_file(document: &Document) -> InputFile {
    InputFile { name: document.name.clone(), sha256: hex(&Sha256::digest(&document.bytes)) }
}

/// See [`Scenario::hash`]. JSON prints each number in the shortest form that reads back equal, keys in a fixed order.
fn hash_scenario(file: &ScenarioFile, horizons: &[ReportHorizon], snapshot: &Snapshot, books: &[Book]) -> String {
    let mut file = file.clone();
    file.run.name.clear();
    file.protocol.rules.clear();
    file.run.seed = 0;
    file.run.paths = 0;
    file.run.report_days = horizons.iter().map(|horizon| horizon.days).collect();
    file.input.snapshot.clear();
    file.input.positions.clear();
    file.input.parameters.clear();
    if file.policies.is_empty() {
        file.input.default_take = 0.0;
    }
    if !file.run.parameter_uncertainty {
        file.run.paths_per_replicate = 0;
        file.uncertainty.parameters.clear();
    }
    if !file.run.parameter_uncertainty || is_identity(&file.uncertainty.correlation) {
        file.uncertainty.correlation.clear();
    }
    let books: Vec<_> = books.iter().map(book_json).collect();
    let text = serde_json::to_string(&(file, snapshot, books)).expect("a scenario has only finite numbers");
    hex(&Sha256::digest(format!("{HASH_HEADER}\n{text}")))
}

/// Whether a correlation matrix says no more than one left out.
fn is_identity(rows: &[Vec<f64>]) -> bool {
    let is_unit = |(i, row): (usize, &Vec<f64>)| row.iter().enumerate().all(|(j, &r)| r == f64::from(u8::from(i == j)));
    rows.iter().enumerate().all(is_unit)
}

fn book_json(book: &Book) -> serde_json::Value {
    let rows = book
        .positions
        .iter()
        .map(|position| serde_json::json!([position.netuid.0, position.alpha, position.take, position.cost_tao]));
    serde_json::json!([book.name, rows.collect::<Vec<_>>()])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::switches::SwitchTime;
    use crate::protocol::emission::InjectionRule;
    use crate::protocol::root::RootRule;
    use crate::protocol::share_rules::ShareRule;
    use crate::protocol::upgrades;
    use crate::units::NetUid;

    fn load(text: &str) -> Result<Scenario, ConfigError> {
        Scenario::from_text("my.toml", text, Path::new(""), &Overrides::default())
    }

    fn message(text: &str) -> String {
        load(text).expect_err("the scenario must be refused").to_string()
    }

    #[test]
    fn base_is_complete_and_valid() {
        let scenario = load("").unwrap();
        assert_eq!((scenario.paths, scenario.horizon_steps, scenario.blocks_per_step), (100_000, 90, 7_200));
        let steps: Vec<u32> = scenario.report_horizons.iter().map(|horizon| horizon.step).collect();
        assert_eq!(steps, [1, 7, 30, 90]);
        assert_eq!(scenario.protocol, upgrades::current_params());
        assert_eq!(scenario.protocol.share_rule, ShareRule::E2H);
        assert_eq!(scenario.start.subnets.len(), scenario.subnet_names.len());
        assert_eq!(scenario.subnet_names[3], "Targon");
        assert_eq!(scenario.books.len(), 1);
    }

    #[test]
    fn start_holds_back_unclaimed_root_alpha() {
        let start = load("").unwrap().start;
        let targon = &start.subnets[3];
        // Issuance 6,341,847.485 alpha and 988,012.44 TAO weighted root: proportion 0.134793, root alpha
        // 0.055265 a block, 14,400 blocks of delay.
        let weighted_root = 0.18 * 5_488_958.0;
        let root_proportion = weighted_root / (weighted_root + 6_341_847.485_472);
        let expected = root_proportion * (1.0 - 0.179_995_422_293_431) / 2.0 * 14_400.0;
        assert!((targon.unclaimed_root_alpha / expected - 1.0).abs() < 1e-9, "{}", targon.unclaimed_root_alpha);
        assert!((targon.unclaimed_root_alpha - 795.8).abs() < 0.1, "{}", targon.unclaimed_root_alpha);
        assert!((targon.staked_alpha + targon.unclaimed_root_alpha - 2_873_275.271_12).abs() < 1e-6);
        assert!(start.subnets.iter().all(|subnet| subnet.weight_tao == 0.5));
        let idle = start.subnets.iter().find(|subnet| subnet.netuid == NetUid(59)).unwrap();
        assert_eq!((idle.unclaimed_root_alpha, idle.moving_price, idle.is_started()), (0.0, 0.0, false));
    }

    #[test]
    fn complete_toml_gives_the_same_hash() {
        let scenario = load("[run]\nhorizon_days = 10\n[flow]\ndrift_per_day = -0.1e-3\n").unwrap();
        let again = load(&scenario.to_toml()).unwrap();
        assert_eq!(scenario.hash(), again.hash());
        assert_eq!(again.report_horizons, scenario.report_horizons);
        assert_eq!(again.model, scenario.model);
    }

    #[test]
    fn hash_covers_the_law_but_neither_seed_nor_paths_nor_name() {
        let base = load("").unwrap().hash().to_owned();
        for same in ["[run]\nname = \"x\"", "[run]\nseed = 2", "[run]\npaths = 7", "[run]\nreport_days = [1, 7, 30]"] {
            assert_eq!(load(same).unwrap().hash(), base, "{same}");
        }
        for other in [
            "[run]\nhorizon_days = 89",
            "[run]\nblocks_per_step = 3600",
            "[run]\nconfidence = [0.9]",
            "[measures]\nruin_fraction = 0.4",
            "[input]\ndefault_take = 0.1",
            "[chain]\ntao_usd = 221",
            "[protocol]\nshare_rule = \"E2\"",
            "[flow]\ndrift_per_day = 0",
            "[entrants]\nburn_all_probability = 0.31",
        ] {
            assert_ne!(load(other).unwrap().hash(), base, "{other}");
        }
    }

    #[test]
    fn report_days_end_with_the_horizon() {
        let days = |text: &str| -> Vec<(f64, u32)> {
            let scenario = load(text).unwrap();
            scenario.report_horizons.iter().map(|horizon| (horizon.days, horizon.step)).collect()
        };
        assert_eq!(days("[run]\nhorizon_days = 10"), [(1.0, 1), (7.0, 7), (10.0, 10)]);
        let short = "[run]\nhorizon_days = 0.5\nblocks_per_step = 1800\nreport_days = [0.5, 0.25, 0.25]";
        assert_eq!(days(short), [(0.25, 1), (0.5, 2)]);
    }

    #[test]
    fn overrides_go_before_keys_and_are_named() {
        let overrides = Overrides { paths: Some(5), horizon_days: Some(2.0), ..Overrides::default() };
        let scenario = Scenario::from_text("my.toml", "[run]\npaths = 9", Path::new(""), &overrides).unwrap();
        assert_eq!((scenario.paths, scenario.horizon_steps), (5, 2));
        let overrides = Overrides { paths: Some(-5), ..Overrides::default() };
        let error = Scenario::from_text("my.toml", "", Path::new(""), &overrides).unwrap_err();
        assert_eq!(error.to_string(), "run.paths = -5 (must be a whole number from 1 to 4294967295) in --paths");
    }

    #[test]
    fn rules_have_names_and_single_keys_win_over_them() {
        let scenario = load("[protocol]\nrules = \"2025-11-20\"\nroot_rule = \"R2\"").unwrap();
        let named = upgrades::params_named("2025-11-20").unwrap();
        assert_eq!(scenario.protocol, ProtocolParams { root_rule: RootRule::R2, ..named });
        let again = load(&scenario.to_toml()).unwrap();
        assert_eq!((again.hash(), again.protocol), (scenario.hash(), scenario.protocol));
        let spelled = load("[protocol]\nrules = \"spec 342\"\nroot_rule = \"R2\"").unwrap();
        assert_eq!(spelled.hash(), scenario.hash(), "the same rules by another name are the same scenario");
        assert_ne!(load("").unwrap().hash(), scenario.hash());
    }

    #[test]
    fn switches_are_times_and_changes() {
        let scenario = load(
            "[[switches]]\nday = 1.5\nprobability = 0.5\nsubnet_limit = 256\n\
             [[switches]]\nhazard_per_day = 0.01\nrules = \"2025-11-20\"\nshare_rule = \"N\"",
        )
        .unwrap();
        let [first, second] = &scenario.switches[..] else { panic!("two switches") };
        assert_eq!((first.time, first.probability), (SwitchTime::Block(9_184_186 + 10_800), 0.5));
        assert_eq!(first.changes, [Change::SubnetLimit(256)]);
        assert_eq!((second.time, second.probability), (SwitchTime::Hazard(0.01), 1.0));
        let mut params = scenario.protocol;
        second.apply(&mut params);
        assert_eq!((params.share_rule, params.injection_rule), (ShareRule::N, InjectionRule::J3));
        let again = load(&scenario.to_toml()).unwrap();
        assert_eq!((again.hash(), &again.switches), (scenario.hash(), &scenario.switches));
        assert_ne!(load("").unwrap().hash(), scenario.hash());
    }

    #[test]
    fn values_out_of_range_name_key_range_and_line() {
        let cases = [
            ("[run]\npaths = 0", "run.paths = 0 (must be a whole number from 1 to 4294967295) in my.toml:2"),
            ("[run]\nseed = -1", "run.seed = -1 (must be a whole number from 0 to 9223372036854775807) in my.toml:2"),
            ("[run]\nhorizon_days = 0", "run.horizon_days = 0 (must be above 0 and at most 3650 days) in my.toml:2"),
            ("[run]\nhorizon_days = nan", "run.horizon_days = NaN (must be above 0"),
            ("[run]\nhorizon_days = inf", "run.horizon_days = inf (must be above 0"),
            (
                "[run]\nhorizon_days = 1.5",
                "run.horizon_days = 1.5 (must be a whole number of steps of 7200 blocks; a day has 7200) in my.toml:2",
            ),
            ("[run]\nreport_days = [-1]", "run.report_days = -1 (must be above 0"),
            ("[run]\nblocks_per_step = 7000", "run.blocks_per_step = 7000 (must be a divisor of 7200"),
            ("[run]\nblocks_per_step = 0", "run.blocks_per_step = 0 (must be a divisor of 7200"),
            ("[run]\nconfidence = [0.5]", "run.confidence = 0.5 (must be above 0.5 and below 1) in my.toml:2"),
            ("[run]\nconfidence = []", "run.confidence = [] (must be a list of at least one level"),
            ("[run]\nquantile_probabilities = [1]", "run.quantile_probabilities = 1 (must be above 0 and below 1)"),
            ("[run]\nname = \" \"", "run.name = \"\" (must be a text that is not empty)"),
            ("[input]\ndefault_take = 0.2", "input.default_take = 0.2 (must be from 0 to 0.18)"),
            ("[chain]\nblock = 9184187", "chain.block = 9184187 (must be 9184186, the snapshot's"),
            ("[chain]\nissuance_tao = 7e6", "chain.issuance_tao = 7000000 (must be from 7462945, the TAO in pools"),
            (
                "[chain]\nlast_lock_block = 5",
                "chain.last_lock_block = 5 (must be a whole number from 9155260 to 9184186)",
            ),
            ("[chain]\ntao_usd = -3", "chain.tao_usd = -3 (must be a finite number > 0)"),
            (
                "[protocol]\nshare_rule = \"E9\"",
                "protocol.share_rule = \"E9\" (must be one of \"P0\", \"F0\", \"F1\", \"F2\", \"N\", \"E1\", \"E2\", \"E2Q\", \
                 \"E2H\") in my.toml:2",
            ),
            (
                "[protocol]\nrules = \"2024-01-01\"",
                "protocol.rules = \"2024-01-01\" (must be \"current\", a runtime such as",
            ),
            (
                "[[switches]]\nday = 3\nblock = 4\nowner_cut = 0",
                "switches[0] = no time, or two (must be given exactly one of",
            ),
            (
                "[[switches]]\nday = 3",
                "switches[0] = nothing changed (must be `rules` or one of the keys of [protocol] that may change, with its new value) \
                 in my.toml:1",
            ),
            (
                "[[switches]]\nday = 3\nowner_cut = 0\n[[switches]]\nblock = 1\nprobability = 2\nowner_cut = 0",
                "switches[1].probability = 2 (must be from 0 to 1) in my.toml:6",
            ),
            (
                "[[switches]]\nday = 3\nsubnet_limit = 64",
                "switches[0].subnet_limit = 64 (must be at least 128, the subnets of the snapshot: a lower limit removes none) \
                 in my.toml:3",
            ),
            (
                "[[switches]]\nday = 3\nfee_rate = 0",
                "my.toml:3: unknown key `switches[0].fee_rate` (allowed: day, block,",
            ),
            ("[protocol]\nentrants_enabled = 1", "protocol.entrants_enabled = 1 (must be true or false) in my.toml:2"),
            ("[protocol]\nsubnet_limit = 257", "protocol.subnet_limit = 257 (must be a whole number from 1 to 256)"),
            ("[protocol]\nsubnet_limit = 100", "protocol.subnet_limit = 100 (must be at least 128, the subnets"),
            ("[protocol]\nfee_rate = nan", "protocol.fee_rate = NaN (must be from 0 to 1) in my.toml:2"),
            ("[flow]\nloading_mean = 1.1", "flow.loading_mean = 1.1 (must be from -1 to 1)"),
            ("[flow]\ndrift_per_day = inf", "flow.drift_per_day = inf (must be a finite number)"),
            (
                "[flow.volatility_slow]\nhalf_life_days = 0",
                "flow.volatility_slow.half_life_days = 0 (must be a finite number > 0)",
            ),
            ("[flow.jumps]\nrate_per_day = -0.1", "flow.jumps.rate_per_day = -0.1 (must be from 0 to 100)"),
            (
                "[validators]\nspread_sd_log = -0.1",
                "validators.spread_sd_log = -0.1 (must be a finite number >= 0) in my.toml:2",
            ),
            (
                "[validators]\nnoise_half_life_days = 0",
                "validators.noise_half_life_days = 0 (must be a finite number > 0) in my.toml:2",
            ),
            ("[validators]\ndividend_factor = nan", "validators.dividend_factor = NaN (must be a finite number >= 0)"),
            ("[sales]\nminer = 1.2", "sales.miner = 1.2 (must be from 0 to 1)"),
            (
                "[registration]\nwillingness_half_life_days = -1",
                "registration.willingness_half_life_days = -1 (must be a finite",
            ),
        ];
        for (text, expected) in cases {
            assert!(message(text).starts_with(expected), "{text:?}: {}", message(text));
        }
    }
}
