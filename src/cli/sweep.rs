//! `taorisk sweep`: the scenario with one or two of its keys varied, every point on the same chance as the scenario itself.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use clap::Args;
use clap::ValueEnum;
use indicatif::ProgressBar;

use crate::cli::args::ScenarioOptions;
use crate::cli::attribute;
use crate::cli::error::BadInput;
use crate::cli::outcome;
use crate::cli::outcome::Outcome;
use crate::cli::print_result;
use crate::cli::run;
use crate::cli::run::Machine;
use crate::cli::study::BasisChoice;
use crate::cli::study::CurrencyChoice;
use crate::cli::study::StudyFlags;
use crate::cli::sweep_table::SweepTable;
use crate::cli::table::Style;
use crate::config::scenario::Overrides;
use crate::config::scenario::Scenario;
use crate::engine::drivers::Drivers;
use crate::output::sweep::SweepRow;
use crate::output::table_file;
use crate::risk::contrast::Contrast;
use crate::risk::contrast::ContrastMeasure;
use crate::risk::contrast::contrasts;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;

/// Paths where `--paths` does not say.
const PATHS_DEFAULT: i64 = 10_000;
/// Most points of a grid.
const POINTS_MAX: usize = 1_000;
/// Keys of a grid.
const KEYS_MAX: usize = 2;
/// Decimal digits that values of a range keep: what binary fractions add is below.
const RANGE_DIGITS: usize = 12;

/// Shown below the help.
pub const EXAMPLES: &str = "\
A value is written as after --set: a number, a name, a list in brackets. FROM..TO:N are N numbers from FROM to TO in even steps. Two \
keys make a grid. `factors.KEY` varies a factor on the key's own value. Every point is checked before the first is simulated; all \
have the seed and paths of the scenario itself, which is simulated too: differences to it carry the errors of paired paths. What \
has to be the same on both sides cannot be varied: [run], [input], [[policies]], [exit], [measures].

The table shows one measure of one book; --out and --json have all.

Examples:
  taorisk sweep --vary flow.drift_per_day=-0.002,-0.0012,0
  taorisk sweep --vary flow.jumps.rate_per_day=0..0.3:4 --paths 2000 --out jumps.parquet
  taorisk sweep my/scenario.toml --vary protocol.share_rule=E2H,E1,F1 --measure value-at-risk --level 0.95
  taorisk sweep --vary factors.flow.scale_median=0.5,1,2 --vary feedback.momentum=0,0.05,0.1 --out grid.csv
  taorisk sweep --overlay crash.toml --vary sales.miner=0.1..0.5:5 --json";

/// Arguments of `sweep`.
#[derive(Clone, Debug, Args)]
pub struct SweepArgs {
    /// Scenario file (TOML); without it, the built-in scenario
    pub scenario: Option<PathBuf>,
    /// A key and its values, A,B,.. or FROM..TO:N; give it twice for a grid
    #[arg(long, value_name = "KEY=VALUES", required = true)]
    pub vary: Vec<String>,
    /// Flags that go before keys of the scenario; 10,000 paths where `--paths` is not given.
    #[command(flatten)]
    pub options: ScenarioOptions,
    /// Measure of the table
    #[arg(long, value_enum, default_value_t = MeasureChoice::ExpectedShortfall, help_heading = "Table")]
    pub measure: MeasureChoice,
    /// Its confidence level, one of run.confidence [default: the highest]
    #[arg(long, value_name = "LEVEL", help_heading = "Table")]
    pub level: Option<f64>,
    /// Book of the table [default: the first]
    #[arg(long, value_name = "NAME", help_heading = "Table")]
    pub book: Option<String>,
    /// Money of the table
    #[arg(long, value_enum, default_value_t = CurrencyChoice::Usd, ignore_case = true, help_heading = "Table")]
    pub currency: CurrencyChoice,
    /// What holdings are worth in the table: sold through the pools now, or at spot
    #[arg(long, value_enum, default_value_t = BasisChoice::Liquidation, help_heading = "Table")]
    pub basis: BasisChoice,
    /// Flags of a study.
    #[command(flatten)]
    pub study: StudyFlags,
}

/// A measure of losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MeasureChoice {
    /// Mean loss
    MeanLoss,
    /// Probability of a loss
    LossProbability,
    /// Loss exceeded with probability 1 - level
    ValueAtRisk,
    /// Mean of the worst 1 - level share
    ExpectedShortfall,
    /// Mean of what leaving at once costs
    ExitCost,
    /// Mean number of holdings deregistered
    DeregisteredHoldings,
}

/// Simulates the scenario and every point and prints what each does.
///
/// # Errors
/// A key, value, scenario or file that is refused; an interruption; a failed simulation or write.
pub fn sweep(args: &SweepArgs) -> anyhow::Result<()> {
    args.study.check_file()?;
    let study = Study::new(args)?;
    let machine = Machine::with_threads(args.study.answer.threads);
    run::remark(args.study.answer.quiet, &study.announcement());
    let (stop, progress) =
        (run::stop_flag()?, run::progress_bar(study.total_paths(), "paths", args.study.answer.quiet));
    let simulated = study.simulate(&machine, &stop, &progress);
    progress.finish_and_clear();
    let (rows, shown) = simulated?;
    let identity = run::identity(&study.scenario);
    args.study.write_file(&identity, &rows)?;
    let text = if args.study.answer.json {
        table_file::json(&identity, &rows)
    } else {
        study.table(&shown).text(Style::detect())
    };
    print_result(text.as_bytes())
}

/// A key and the values that it takes, as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub key: String,
    pub values: Vec<String>,
}

impl Axis {
    fn read(given: &str) -> Result<Self, BadInput> {
        let refuse = |problem: &str| BadInput(format!("--vary {given}: {problem}"));
        let (key, values) =
            given.split_once('=').ok_or_else(|| refuse("must be KEY=VALUES, such as sales.miner=0.1,0.2"))?;
        let values = match values.split_once("..") {
            Some(range) => range_values(range)
                .ok_or_else(|| refuse(&format!("a range must be FROM..TO:N, N whole from 2 to {POINTS_MAX}")))?,
            None => list_values(values),
        };
        if values.iter().any(String::is_empty) {
            return Err(refuse("a value is empty"));
        }
        Ok(Self { key: key.trim().to_owned(), values })
    }
}

/// Numbers in even steps.
fn range_values((from, rest): (&str, &str)) -> Option<Vec<String>> {
    let (to, count) = rest.split_once(':')?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
    let (from, to, count) = (number(from)?, number(to)?, count.trim().parse::<usize>().ok()?);
    let rounded = |value: f64| format!("{value:.*e}", RANGE_DIGITS - 1).parse::<f64>().unwrap_or(value).to_string();
    let value = |index: usize| rounded(from + (to - from) * index as f64 / (count - 1) as f64);
    (2..=POINTS_MAX).contains(&count).then(|| (0..count).map(value).collect())
}

/// Values between commas, but not those within brackets, braces and quotes.
fn list_values(text: &str) -> Vec<String> {
    let (mut values, mut depth, mut quote) = (vec![String::new()], 0, None);
    for character in text.chars() {
        match (character, quote) {
            ('"' | '\'', None) => quote = Some(character),
            (_, Some(open)) if character == open => quote = None,
            ('[' | '{', None) => depth += 1,
            (']' | '}', None) => depth -= 1,
            _ => {}
        }
        if character == ',' && depth == 0 && quote.is_none() {
            values.push(String::new());
        } else if let Some(last) = values.last_mut() {
            last.push(character);
        }
    }
    values.iter().map(|value| value.trim().to_owned()).collect()
}

/// What is simulated.
struct Study {
    /// The scenario itself.
    scenario: Scenario,
    axes: Vec<Axis>,
    /// In the order of the grid, the last key fastest.
    points: Vec<Scenario>,
    shown: Shown,
}

/// What the table shows.
#[derive(Clone, Copy)]
struct Shown {
    measure: ContrastMeasure,
    book: usize,
    currency: Currency,
    basis: Basis,
}

impl Study {
    /// Reads and checks the scenario and every point.
    fn new(args: &SweepArgs) -> anyhow::Result<Self> {
        let axes = args.vary.iter().map(|given| Axis::read(given)).collect::<Result<Vec<Axis>, BadInput>>()?;
        let count = axes.iter().map(|axis| axis.values.len()).product::<usize>();
        if axes.len() > KEYS_MAX || count > POINTS_MAX {
            let problem =
                format!("at most {KEYS_MAX} keys and {POINTS_MAX} points; given are {} and {count}", axes.len());
            Err(BadInput(format!("--vary: {problem}")))?;
        }
        let overrides = args.options.overrides_with_paths(PATHS_DEFAULT);
        let scenario = Scenario::load(args.scenario.as_deref(), &overrides)?;
        outcome::check(&scenario, "sweep")?;
        let shown = Shown {
            measure: measure_of(args, &scenario)?,
            book: attribute::book_named(&scenario, args.book.as_deref())?,
            currency: args.currency.into(),
            basis: args.basis.into(),
        };
        let point = |index| {
            let set = axes.iter().zip(settings(&axes, index)).map(|(axis, value)| format!("{}={value}", axis.key));
            Scenario::load(args.scenario.as_deref(), &Overrides { vary: set.collect(), ..overrides.clone() })
        };
        let points = (0..count).map(point).collect::<Result<Vec<Scenario>, _>>()?;
        Ok(Self { scenario, axes, points, shown })
    }

    fn total_paths(&self) -> u64 {
        (1 + self.points.len()) as u64 * self.scenario.paths
    }

    fn announcement(&self) -> String {
        format!(
            "taorisk: {} and {} points of {} paths over {} days, seed {}",
            self.scenario.name,
            self.points.len(),
            self.scenario.paths,
            self.scenario.horizon_days(),
            self.scenario.seed
        )
    }

    /// All rows, and what the table shows of each point. One point is kept in memory beside the scenario itself.
    fn simulate(
        &self,
        machine: &Machine,
        stop: &AtomicBool,
        progress: &ProgressBar,
    ) -> anyhow::Result<(Vec<SweepRow>, Vec<Contrast>)> {
        let run = |scenario| outcome::simulate(scenario, Drivers::ALL, machine, stop, progress);
        let base = run(&self.scenario)?;
        let (mut rows, mut shown) = (Vec::new(), Vec::new());
        for (index, point) in self.points.iter().enumerate() {
            let settings = settings(&self.axes, index).map(String::as_str).collect::<Vec<_>>();
            let outcome = run(point).with_context(|| format!("with {}", settings.join(", ")))?;
            rows.extend(self.rows(&settings, &base, &outcome));
            shown.push(self.shown(&base, &outcome));
        }
        Ok((rows, shown))
    }

    fn contrasts(
        &self,
        base: &Outcome,
        point: &Outcome,
        book: usize,
        currency: Currency,
        basis: Basis,
    ) -> Vec<Contrast> {
        let [base, point] = [base, point].map(|outcome| outcome.books[book].of(currency, basis));
        contrasts(base, point, &self.scenario.confidence)
    }

    fn shown(&self, base: &Outcome, point: &Outcome) -> Contrast {
        let Shown { measure, book, currency, basis } = self.shown;
        let all = self.contrasts(base, point, book, currency, basis);
        all.into_iter().find(|contrast| contrast.measure == measure).expect("a measure of the scenario's levels")
    }

    /// Every measure of every book, once in each money and basis that it has.
    fn rows(&self, settings: &[&str], base: &Outcome, point: &Outcome) -> Vec<SweepRow> {
        let mut rows = Vec::new();
        for book in 0..self.scenario.books.len() {
            for (currency, basis) in VALUATIONS {
                let found = self.contrasts(base, point, book, currency, basis);
                let labelled =
                    found.iter().filter_map(|contrast| Some((contrast, labels(contrast.measure, currency, basis)?)));
                rows.extend(labelled.map(|(contrast, labels)| self.row(settings, book, labels, contrast)));
            }
        }
        rows
    }

    fn row(&self, settings: &[&str], book: usize, [currency, basis]: [&'static str; 2], found: &Contrast) -> SweepRow {
        let key = |index: usize| self.axes.get(index).map_or(String::new(), |axis| axis.key.clone());
        let setting = |index: usize| settings.get(index).copied().unwrap_or_default();
        let setting_number = |index: usize| setting(index).parse().ok().filter(|number: &f64| number.is_finite());
        let Contrast { measure, base, other, difference } = found;
        SweepRow {
            key: key(0),
            setting: setting(0).to_owned(),
            setting_number: setting_number(0),
            second_key: key(1),
            second_setting: setting(1).to_owned(),
            second_setting_number: setting_number(1),
            book: self.scenario.books[book].name.clone(),
            horizon_days: self.scenario.horizon_days(),
            currency,
            basis,
            paths: other.samples,
            measure: measure.name(),
            level: measure.level(),
            value: other.value,
            standard_error: other.standard_error,
            ci_low: other.ci_low,
            ci_high: other.ci_high,
            base_value: base.value,
            base_standard_error: base.standard_error,
            difference: difference.value,
            difference_standard_error: difference.standard_error,
            difference_ci_low: difference.ci_low,
            difference_ci_high: difference.ci_high,
        }
    }

    fn table<'a>(&'a self, shown: &'a [Contrast]) -> SweepTable<'a> {
        SweepTable {
            book: &self.scenario.books[self.shown.book].name,
            horizon_days: self.scenario.horizon_days(),
            measure: self.shown.measure,
            currency: self.shown.currency,
            basis: self.shown.basis,
            axes: &self.axes,
            points: shown,
        }
    }
}

/// In which money and on which basis losses are counted.
const VALUATIONS: [(Currency, Basis); 4] = [
    (Currency::Tao, Basis::Mark),
    (Currency::Tao, Basis::Liquidation),
    (Currency::Usd, Basis::Mark),
    (Currency::Usd, Basis::Liquidation),
];

/// Money and basis of a measure, empty where it has none; `None` where it stands with another money or basis already.
fn labels(measure: ContrastMeasure, currency: Currency, basis: Basis) -> Option<[&'static str; 2]> {
    match measure {
        ContrastMeasure::ExitCost => (basis == Basis::Liquidation).then(|| [currency.name(), ""]),
        ContrastMeasure::DeregisteredHoldings => ((currency, basis) == VALUATIONS[3]).then_some(["", ""]),
        _ => Some([currency.name(), basis.name()]),
    }
}

/// Values of the keys at a point of the grid.
fn settings(axes: &[Axis], point: usize) -> impl Iterator<Item = &String> {
    let stride = |axis: usize| axes[axis + 1..].iter().map(|axis| axis.values.len()).product::<usize>();
    axes.iter().enumerate().map(move |(index, axis)| &axis.values[point / stride(index) % axis.values.len()])
}

fn measure_of(args: &SweepArgs, scenario: &Scenario) -> Result<ContrastMeasure, BadInput> {
    let level = args.level.unwrap_or_else(|| scenario.confidence.iter().copied().fold(0.0, f64::max));
    if !scenario.confidence.contains(&level) {
        let levels = scenario.confidence.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
        return Err(BadInput(format!("--level {level}: run.confidence has {levels}")));
    }
    Ok(match args.measure {
        MeasureChoice::MeanLoss => ContrastMeasure::MeanLoss,
        MeasureChoice::LossProbability => ContrastMeasure::LossProbability,
        MeasureChoice::ValueAtRisk => ContrastMeasure::ValueAtRisk(level),
        MeasureChoice::ExpectedShortfall => ContrastMeasure::ExpectedShortfall(level),
        MeasureChoice::ExitCost => ContrastMeasure::ExitCost,
        MeasureChoice::DeregisteredHoldings => ContrastMeasure::DeregisteredHoldings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(given: &str) -> Vec<String> {
        Axis::read(given).expect("an axis").values
    }

    #[test]
    fn values_are_lists_and_ranges() {
        assert_eq!(values("a.b=1, 2 ,x"), ["1", "2", "x"]);
        assert_eq!(values("a=[1,2],\"p,q\",{b = [3,4], c = 5}"), ["[1,2]", "\"p,q\"", "{b = [3,4], c = 5}"]);
        assert_eq!(values("a=0.1..0.3:3"), ["0.1", "0.2", "0.3"]);
        assert_eq!(values("a=-2..4:4"), ["-2", "0", "2", "4"]);
        assert_eq!(values("a=1e-9..0:2"), ["0.000000001", "0"]);
        for bad in ["a", "a=", "a=1,,2", "a=1..2", "a=1..2:1", "a=1..x:3", "a=1..inf:3", "a=0..1:1001"] {
            assert!(Axis::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_key_is_the_fastest() {
        let axes = ["a=1,2", "b=x,y,z"].map(|given| Axis::read(given).expect("an axis"));
        let points: Vec<String> = (0..6).map(|point| settings(&axes, point).cloned().collect::<String>()).collect();
        assert_eq!(points, ["1x", "1y", "1z", "2x", "2y", "2z"]);
    }
}
