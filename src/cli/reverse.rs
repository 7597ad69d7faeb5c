//! `taorisk reverse`: the most likely way to lose a given part of a book, as an overlay that reproduces the loss.
//!
//! A shock is a shift of the common factor of flows and of log TAO/USD, each of its sum over a window from the start, together with
//! jumps that the scenario names, each once at its mean size. Its squared length is the Mahalanobis distance of the shifts under
//! the covariance of those sums, less twice the log of each jump's probability. Every candidate is the overlay that would be written.
//!
//! # Not modelled
//! - Market states: variances are those of the scenario's parameters, without a state's scales.
//! - Jumps of TAO/USD count in the variance of its sum, not as jumps; a named jump is added to those that come anyway.
//! - Shifts of single subnets, sectors, volatility and registrations: their means stay.

use std::fs;
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
use crate::cli::reverse_table;
use crate::cli::run;
use crate::cli::run::Machine;
use crate::cli::study::AnswerFlags;
use crate::cli::study::BasisChoice;
use crate::cli::study::CurrencyChoice;
use crate::cli::table;
use crate::cli::table::Style;
use crate::config::scenario::Overlay;
use crate::config::scenario::Scenario;
use crate::engine::drivers::Drivers;
use crate::model::params::ModelParams;
use crate::output::reverse as output;
use crate::output::reverse::ReverseJump;
use crate::output::reverse::ReversePosition;
use crate::output::reverse::ReverseResult;
use crate::risk::attribution::OTHER;
use crate::risk::contrast_parts::part_contrasts;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::moments::Moments;
use crate::risk::reverse as search;
use crate::risk::reverse::Search;
use crate::risk::reverse::Target;

/// Paths where `--paths` does not say.
const PATHS_DEFAULT: i64 = 10_000;
/// Paths on which the direction is searched; its length is found on all.
const SEARCH_PATHS: u64 = 2_000;
/// How near to the loss a search ends, and the last one (parts of the opening value).
const TOLERANCES: [f64; 2] = [2e-3, 1e-5];
/// Jumps tried, in all combinations: the likeliest.
const JUMPS_MAX: usize = 4;
/// Simulations of a search, about: what the progress bar counts to.
const RUNS_EXPECTED: u64 = 45;
/// What a shock of TAO/USD may be at most (relative change).
const TAO_USD_FALL_MAX: f64 = 0.999_999;
const TAO_USD_RISE_MAX: f64 = 1_000.0;

/// Shown below the help.
pub const EXAMPLES: &str = "\
The shock shifts the common factor of flows and TAO/USD, evenly over --days, and adds named jumps: the common jump of \
[flow.common_jump] and those of [[clusters]]. Of all that make the mean loss --loss it is the one with the least Mahalanobis \
distance, which is the most probable one. The loss is a part of the book's opening value at spot.

Of the probabilities, `so far on that side` is the one that the loss would have if it were linear in both factors and nothing else \
were left to chance; the simulated probability of such a loss, below it, has all chance in it and is the larger one as a rule.

Every loss is simulated on the scenario's seed and checked on the next one.

Examples:
  taorisk reverse                                         a loss of 30 % of the built-in book
  taorisk reverse my/scenario.toml --loss 0.5 --out my/half.toml
  taorisk run my/scenario.toml --overlay my/half.toml     what such a future looks like
  taorisk stress my/scenario.toml --scenarios my/half.toml
  taorisk reverse --loss 0.2 --currency tao --basis mark --days 10";

/// Arguments of `reverse`.
#[derive(Clone, Debug, Args)]
pub struct ReverseArgs {
    /// Scenario file (TOML); without it, the built-in scenario
    pub scenario: Option<PathBuf>,
    /// Flags that go before keys of the scenario; 10,000 paths where `--paths` is not given.
    #[command(flatten)]
    pub options: ScenarioOptions,
    /// Mean loss to be explained, a part of the opening value: above 0 and below 1
    #[arg(long, value_name = "FRACTION", default_value_t = 0.3, allow_negative_numbers = true)]
    pub loss: f64,
    /// Days from the start over which the shock spreads [default: to the horizon]
    #[arg(long, value_name = "DAYS", allow_negative_numbers = true)]
    pub days: Option<f64>,
    /// Book that loses [default: the first]
    #[arg(long, value_name = "NAME")]
    pub book: Option<String>,
    /// Money that losses are counted in
    #[arg(long, value_enum, default_value_t = CurrencyChoice::Usd, ignore_case = true)]
    pub currency: CurrencyChoice,
    /// What holdings are worth: sold through the pools now, or at spot
    #[arg(long, value_enum, default_value_t = BasisChoice::Liquidation)]
    pub basis: BasisChoice,
    /// File for the overlay (TOML)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Overwrite that file
    #[arg(long, requires = "out", help_heading = "Output")]
    pub force: bool,
    /// How the answer is given.
    #[command(flatten)]
    pub answer: AnswerFlags,
}

/// Searches the shock, checks it on fresh chance, and writes it.
///
/// # Errors
/// A scenario, book, loss or file that is refused; a loss that no shock makes; an interruption; a failed simulation or write.
pub fn reverse(args: &ReverseArgs) -> anyhow::Result<()> {
    refuse_existing(args)?;
    let study = Study::new(args)?;
    let machine = Machine::with_threads(args.answer.threads);
    let stop = run::stop_flag()?;
    let expected = RUNS_EXPECTED * SEARCH_PATHS.min(study.base.paths) + 6 * study.base.paths;
    let progress = run::progress_bar(expected, "paths", args.answer.quiet);
    let found = study.search(&Runs { machine: &machine, stop: &stop, progress: &progress });
    progress.finish_and_clear();
    let result = found?;
    if let Some(path) = &args.out {
        fs::write(path, &result.overlay)
            .map_err(|error| anyhow::Error::new(error).context(format!("cannot write {}", path.display())))?;
        run::remark(args.answer.quiet, &format!("taorisk: wrote {}", path.display()));
    }
    let text = if args.answer.json {
        output::json(&run::identity(&study.base), &result)
    } else {
        reverse_table::text(&result, args.out.as_deref(), Style::detect())
    };
    print_result(text.as_bytes())
}

fn refuse_existing(args: &ReverseArgs) -> anyhow::Result<()> {
    let Some(path) = args.out.as_deref().filter(|_| !args.force) else { return Ok(()) };
    if path.try_exists().with_context(|| BadInput(format!("cannot look at {}", path.display())))? {
        Err(BadInput(format!("{} exists already; --force overwrites it", path.display())))?;
    }
    Ok(())
}

/// What all simulations have in common.
struct Runs<'a> {
    machine: &'a Machine,
    stop: &'a AtomicBool,
    progress: &'a ProgressBar,
}

/// A jump that the scenario names.
#[derive(Clone, Debug, PartialEq)]
struct NamedJump {
    name: String,
    /// Its effect, as keys of `[[shocks]]`.
    keys: String,
    /// That at least one comes over the window.
    probability: f64,
}

/// Variances of the sums over the window.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Factors {
    /// Of log TAO/USD (standard deviation).
    tao_usd_sd: f64,
    correlation: f64,
}

/// A shock: shifts in standard deviations of their sums, and jumps by number.
#[derive(Clone, Debug, PartialEq)]
struct Shock {
    /// Independent standard coordinates.
    point: [f64; 2],
    jumps: Vec<usize>,
}

struct Study<'a> {
    args: &'a ReverseArgs,
    base: Scenario,
    book: usize,
    currency: Currency,
    basis: Basis,
    window_days: f64,
    factors: Factors,
    jumps: Vec<NamedJump>,
}

impl Factors {
    /// Over `days`; jumps of TAO/USD count in its variance.
    fn new(model: &ModelParams, days: f64) -> Self {
        let rate = &model.tao_usd;
        let jump_square = rate.jump_mean * rate.jump_mean + rate.jump_sd * rate.jump_sd;
        let diffusion = rate.volatility_per_sqrt_day;
        let variance = diffusion * diffusion + rate.jump_rate_per_day * jump_square;
        let correlation = if variance > 0.0 { rate.correlation_with_flow * diffusion / variance.sqrt() } else { 0.0 };
        Self { tao_usd_sd: (variance * days).sqrt(), correlation }
    }

    /// Shifts of the common factor and of log TAO/USD, in standard deviations.
    fn shifts(&self, [first, second]: [f64; 2]) -> [f64; 2] {
        [first, self.correlation * first + (1.0 - self.correlation * self.correlation).sqrt() * second]
    }

    fn tao_usd_change(&self, shift: f64) -> f64 {
        (shift * self.tao_usd_sd).exp_m1()
    }
}

impl<'a> Study<'a> {
    fn new(args: &'a ReverseArgs) -> anyhow::Result<Self> {
        if !(args.loss > 0.0 && args.loss < 1.0) {
            Err(BadInput(format!("--loss {}: must be above 0 and below 1", args.loss)))?;
        }
        let base = load(args, &[])?;
        outcome::check(&base, "reverse")?;
        let horizon_days = base.horizon_days();
        let window_days = args.days.unwrap_or(horizon_days);
        if !(window_days > 0.0 && window_days <= horizon_days) {
            let message =
                format!("--days {window_days}: must be above 0 and at most the horizon of {horizon_days} days");
            Err(BadInput(message))?;
        }
        Ok(Self {
            args,
            book: attribute::book_named(&base, args.book.as_deref())?,
            currency: args.currency.into(),
            basis: args.basis.into(),
            window_days,
            factors: Factors::new(&base.model, window_days),
            jumps: named_jumps(&base.model, window_days),
            base,
        })
    }

    /// The likeliest shock with all that is to be said of it.
    fn search(&self, runs: &Runs<'_>) -> anyhow::Result<ReverseResult> {
        let base = self.simulate(self.base.clone(), runs)?;
        let base_loss = self.mean_loss(&base);
        if base_loss.value >= self.args.loss {
            let lost = table::percent_label((base_loss.value * 1e4).round() / 1e4);
            let message = format!("--loss {}: the book loses {lost} on average without a shock", self.args.loss);
            Err(BadInput(message))?;
        }
        let shock = self.rescaled(&self.nearest(runs)?, runs)?;
        let other = self.simulate(self.shocked(&shock)?, runs)?;
        let mut fresh = self.shocked(&shock)?;
        fresh.seed = fresh.seed.wrapping_add(1);
        let fresh = self.simulate(fresh, runs)?;
        Ok(self.result(&shock, [&base, &other, &fresh]))
    }

    /// The nearest shock over all combinations of jumps, on few paths.
    fn nearest(&self, runs: &Runs<'_>) -> anyhow::Result<Shock> {
        let target = Target { loss: self.args.loss, tolerance: TOLERANCES[0] };
        let (mut best, mut most): (Option<Shock>, f64) = (None, 0.0);
        for chosen in 0..1_usize << self.jumps.len() {
            let jumps: Vec<usize> = (0..self.jumps.len()).filter(|jump| chosen >> jump & 1 == 1).collect();
            let least = best.as_ref().map_or(f64::INFINITY, |best| self.squared_distance(best));
            if self.jump_cost(&jumps) >= least {
                continue;
            }
            let found = search::nearest(2, target, |point| self.loss_at(point, &jumps, SEARCH_PATHS, runs))?;
            match found {
                Search::Found(point) => {
                    let shock = Shock { point: [point[0], point[1]], jumps };
                    best = if self.squared_distance(&shock) < least { Some(shock) } else { best };
                }
                Search::Unreached(loss) => most = most.max(loss),
                Search::Exceeded => {}
            }
        }
        best.ok_or_else(|| self.unreached(most).into())
    }

    fn unreached(&self, most: f64) -> BadInput {
        BadInput(format!(
            "--loss {}: no shift of the common factor and TAO/USD within {} standard deviations makes it; the largest mean loss \
             found is {}",
            self.args.loss,
            search::REACH,
            table::percent_label((most * 1e4).round() / 1e4)
        ))
    }

    /// The same direction, as long as all paths want it.
    fn rescaled(&self, shock: &Shock, runs: &Runs<'_>) -> anyhow::Result<Shock> {
        let target = Target { loss: self.args.loss, tolerance: TOLERANCES[1] };
        let loss = |point: &[f64]| self.loss_at(point, &shock.jumps, self.base.paths, runs);
        let factor = search::stretch(&shock.point, target, loss)?.ok_or_else(|| self.unreached(0.0))?;
        Ok(Shock { point: shock.point.map(|part| factor * part), jumps: shock.jumps.clone() })
    }

    fn loss_at(&self, point: &[f64], jumps: &[usize], paths: u64, runs: &Runs<'_>) -> anyhow::Result<f64> {
        let mut scenario = self.shocked(&Shock { point: [point[0], point[1]], jumps: jumps.to_vec() })?;
        scenario.paths = scenario.paths.min(paths);
        Ok(self.mean_loss(&self.simulate(scenario, runs)?).value)
    }

    fn shocked(&self, shock: &Shock) -> anyhow::Result<Scenario> {
        load(self.args, &[Overlay { name: "the shock".to_owned(), text: self.tables(shock) }])
    }

    fn simulate(&self, scenario: Scenario, runs: &Runs<'_>) -> anyhow::Result<BookOutcome> {
        let mut found = outcome::simulate(&scenario, Drivers::ALL, runs.machine, runs.stop, runs.progress)?;
        Ok(found.books.swap_remove(self.book))
    }

    /// Mean loss as a part of the opening value.
    fn mean_loss(&self, book: &BookOutcome) -> Estimate {
        let mut moments = Moments::default();
        book.of(self.currency, self.basis).losses.iter().for_each(|loss| moments.push(*loss));
        moments.mean().expect("paths").scaled(1.0 / self.opening(book))
    }

    /// Value at spot at the start, in the currency.
    fn opening(&self, book: &BookOutcome) -> f64 {
        let held = &book.held;
        let tao: f64 = held.holdings.iter().map(|holding| holding.mark_tao).chain(held.other_tao).sum();
        match self.currency {
            Currency::Tao => tao,
            Currency::Usd => tao * self.base.tao_usd_start,
        }
    }

    fn jump_cost(&self, jumps: &[usize]) -> f64 {
        jumps.iter().map(|jump| -2.0 * self.jumps[*jump].probability.ln()).sum()
    }

    fn squared_distance(&self, shock: &Shock) -> f64 {
        let [first, second] = shock.point;
        first * first + second * second + self.jump_cost(&shock.jumps)
    }

    /// Tables of `[[shocks]]`.
    fn tables(&self, shock: &Shock) -> String {
        let [factor, tao_usd] = self.factors.shifts(shock.point);
        let days = self.window_days;
        let spread = |name: &str, effect: String| {
            format!("\n[[shocks]]\nname = \"{name}\"\nday = 0.0\ndays = {days:?}\n{effect}\n")
        };
        let mut text = spread("common factor", format!("common_factor_sd = {factor:.9}"));
        if self.factors.tao_usd_sd > 0.0 {
            let change = self.factors.tao_usd_change(tao_usd).clamp(-TAO_USD_FALL_MAX, TAO_USD_RISE_MAX);
            text.push_str(&spread("TAO/USD", format!("tao_usd_change = {change:.9}")));
        }
        for jump in &shock.jumps {
            let NamedJump { name, keys, .. } = &self.jumps[*jump];
            text.push_str(&format!("\n[[shocks]]\nname = \"{name}\"\nday = {:?}\n{keys}\n", 0.5 * days));
        }
        text
    }

    fn result(&self, shock: &Shock, [base, other, fresh]: [&BookOutcome; 3]) -> ReverseResult {
        let losses = base.of(self.currency, self.basis).losses;
        let least = self.args.loss * self.opening(base);
        let hits = losses.iter().filter(|loss| **loss >= least).count() as u64;
        let plain = Estimate::proportion(hits, losses.len() as u64);
        let [base_loss, found_loss, fresh_loss] = [base, other, fresh].map(|book| self.mean_loss(book));
        let [common_factor_sd, tao_usd_sd] = self.factors.shifts(shock.point);
        let distance = shock.point[0].hypot(shock.point[1]);
        let jumps = shock.jumps.iter().map(|jump| &self.jumps[*jump]);
        let of_jumps: f64 = jumps.clone().map(|jump| jump.probability).product();
        let mut result = ReverseResult {
            book: base.held.name.clone(),
            horizon_days: self.base.horizon_days(),
            window_days: self.window_days,
            currency: self.currency.name(),
            basis: self.basis.name(),
            paths: self.base.paths,
            loss: self.args.loss,
            common_factor_sd,
            tao_usd_sd,
            tao_usd_change: self.factors.tao_usd_change(tao_usd_sd),
            jumps: jumps.map(|jump| ReverseJump { name: jump.name.clone(), probability: jump.probability }).collect(),
            distance,
            distance_with_jumps: self.squared_distance(shock).sqrt(),
            probability: of_jumps * search::one_sided(distance),
            probability_any_direction: of_jumps * search::any_direction(distance),
            loss_probability: plain.value,
            loss_probability_interval: [plain.ci_low, plain.ci_high],
            base_loss: base_loss.value,
            base_loss_standard_error: base_loss.standard_error,
            found_loss: found_loss.value,
            found_loss_standard_error: found_loss.standard_error,
            fresh_loss: fresh_loss.value,
            fresh_loss_standard_error: fresh_loss.standard_error,
            positions: self.positions(base, other),
            overlay: String::new(),
        };
        result.overlay = format!("{}{}", self.head(&result), self.tables(shock));
        result
    }

    /// What positions add to the mean loss, the largest first.
    fn positions(&self, base: &BookOutcome, other: &BookOutcome) -> Vec<ReversePosition> {
        let with_parts = |book: &BookOutcome| book.with_parts(self.currency, self.basis);
        let parts = part_contrasts(&with_parts(base), &with_parts(other), self.base.confidence[0]);
        let holdings = base.held.holdings.iter();
        let names = holdings.map(|holding| format!("{:<5} {}", holding.id.netuid.to_string(), holding.name));
        let position = |(name, added): (String, Estimate)| ReversePosition {
            name,
            added_loss: added.value,
            added_loss_standard_error: added.standard_error,
        };
        let added = parts.iter().map(|part| part.mean.scaled(1.0 / self.opening(base)));
        let mut positions: Vec<_> =
            names.chain(base.held.other_tao.map(|_| OTHER.to_owned())).zip(added).map(position).collect();
        positions.sort_by(|a, b| b.added_loss.total_cmp(&a.added_loss));
        positions
    }

    /// What the overlay's reader should know, and its name.
    fn head(&self, result: &ReverseResult) -> String {
        let percent = |value: f64| format!("{:.2}%", 100.0 * value);
        let ReverseResult { book, currency, basis, horizon_days, .. } = result;
        let [loss, error] = [result.found_loss, result.found_loss_standard_error].map(percent);
        let label = table::percent_label(self.args.loss);
        let name = format!("reverse-{}", label.trim_end_matches('%'));
        format!(
            "# The most likely way to lose {label} in {horizon_days} days.\n\
             # Found by `taorisk reverse --loss {} --days {}` for book {}, {currency}, {basis}: mean loss {loss} (standard error \
             {error}) of the\n# opening value at spot on {} paths of seed {}, {} on those of the next seed.\n\
             # {:.3} standard deviations from the middle; probability of so far or farther on that side {}.\n\
             [run]\nname = \"{name}\"\n",
            self.args.loss,
            self.window_days,
            table::printable(book),
            self.base.paths,
            self.base.seed,
            percent(result.fresh_loss),
            result.distance,
            reverse_table::small_percent(result.probability),
        )
    }
}

fn load(args: &ReverseArgs, overlays: &[Overlay]) -> anyhow::Result<Scenario> {
    let overrides = args.options.overrides_with_paths(PATHS_DEFAULT);
    Ok(Scenario::load_with(args.scenario.as_deref(), overlays, &overrides)?)
}

/// Jumps down that the scenario has, the likeliest first, at most [`JUMPS_MAX`].
fn named_jumps(model: &ModelParams, days: f64) -> Vec<NamedJump> {
    let law = &model.flow.common_jump;
    let at_least_one = |rate_per_day: f64| -(-rate_per_day * days).exp_m1();
    let common = NamedJump {
        name: "common jump of flows".to_owned(),
        keys: format!("common_jump = {:?}", -law.down_mean),
        probability: at_least_one(law.rate_per_day * (1.0 - law.up_probability)),
    };
    let mut jumps = vec![common];
    for (number, cluster) in model.clusters.iter().enumerate().filter(|(_, cluster)| cluster.log_reserve_mean < 0.0) {
        let netuids: Vec<_> = cluster.netuids.iter().map(|netuid| netuid.0).collect();
        jumps.push(NamedJump {
            name: format!("jump of cluster {}", number + 1),
            keys: format!("netuids = {netuids:?}\npool_fraction = {:.9}", cluster.log_reserve_mean.exp_m1()),
            probability: at_least_one(cluster.rate_per_day),
        });
    }
    jumps.retain(|jump| jump.probability > 0.0);
    jumps.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    jumps.truncate(JUMPS_MAX);
    jumps
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::config::scenario::Overrides;

    fn model(text: &str) -> ModelParams {
        Scenario::from_text("my.toml", text, Path::new(""), &Overrides::default()).expect("a valid scenario").model
    }

    #[test]
    fn variances_are_those_of_the_sums() {
        let text = "[tao_usd]\nvolatility_per_sqrt_day = 0.03\njump_rate_per_day = 0.25\njump_mean = 0.0\njump_sd = 0.08\n\
                    correlation_with_flow = 0.5\n";
        let factors = Factors::new(&model(text), 4.0);
        // A day: 0.0009 of the diffusion, 0.0016 of jumps; 3 / 5 of the deviation is the diffusion's.
        assert!((factors.tao_usd_sd - 0.1).abs() < 1e-12 && (factors.correlation - 0.3).abs() < 1e-12, "{factors:?}");
        let [factor, tao_usd] = factors.shifts([-2.0, 1.0]);
        // z' C^-1 z is the squared length.
        let squared = (factor * factor - 0.6 * factor * tao_usd + tao_usd * tao_usd) / (1.0 - 0.09);
        assert!((squared - 5.0).abs() < 1e-12, "{squared}");
    }

    #[test]
    fn jumps_down_are_named_with_their_probability() {
        let text = "[flow.common_jump]\nrate_per_day = 0.02\nup_probability = 0.25\ndown_mean = 1.7\n\
                    [[clusters]]\nnetuids = [3, 64]\nrate_per_day = 0.1\nlog_reserve_mean = -0.5\nlog_reserve_sd = 0.1\n\
                    [[clusters]]\nnetuids = [4]\nrate_per_day = 0.1\nlog_reserve_mean = 0.5\nlog_reserve_sd = 0.1\n";
        let jumps = named_jumps(&model(text), 10.0);
        assert_eq!(jumps.len(), 2);
        assert!((jumps[0].probability - 0.632_120_558_8).abs() < 1e-9, "{jumps:?}");
        assert_eq!(jumps[0].keys, "netuids = [3, 64]\npool_fraction = -0.393469340");
        assert!((jumps[1].probability - 0.139_292_023_6).abs() < 1e-9, "{jumps:?}");
        assert_eq!(jumps[1].keys, "common_jump = -1.7");
    }
}
