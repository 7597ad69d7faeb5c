//! `taorisk yuma --law` and `--collusion`: what simulated validator sets earn.

use std::fmt::Write;

use clap::Args;
use clap::value_parser;

use crate::cli::error::BadInput;
use crate::cli::number::amount;
use crate::cli::number::fraction;
use crate::cli::number::part;
use crate::model::validators;
use crate::model::validators::Cartel;
use crate::model::validators::CollusionOutcome;
use crate::model::validators::DividendLaw;
use crate::model::validators::Fitted;
use crate::model::validators::LAW_DAYS_MIN;
use crate::model::validators::SetParams;
use crate::model::validators::SetRun;
use crate::model::validators::ValidatorKind;
use crate::output::validators::CartelFigures;
use crate::output::validators::CollusionDocument;
use crate::output::validators::FittedFigure;
use crate::output::validators::LawDocument;
use crate::output::validators::SetsDescription;
use crate::output::validators::to_json;
use crate::protocol::yuma::YumaParams;
use crate::units::BLOCKS_PER_DAY;

/// How far below and above kappa collusion is shown (fraction of stake).
const KAPPA_MARGIN: f64 = 0.005;
/// Other stakes of cartels that are shown.
const CARTEL_STAKES: [f64; 7] = [0.1, 0.2, 0.3, 0.4, 0.45, 0.55, 0.6];
/// Validators of a cartel.
const CARTEL_MEMBERS: usize = 3;
/// Sets and epochs of the law where not given.
const LAW_RUN: (u32, u32) = (64, 600);
/// The same of each stake of a cartel.
const COLLUSION_RUN: (u32, u32) = (16, 100);
/// Width of what a figure is called, and of a figure with its error.
const LABEL_WIDTH: usize = 34;
const FIGURE_WIDTH: usize = 19;

/// Flags of simulated validator sets.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Simulated sets (--law, --collusion)")]
pub struct SetArgs {
    /// Sets; errors fall with the square root [default: 64, with --collusion 16 per stake]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(2..=100_000), requires = "simulated")]
    pub sets: Option<u32>,
    /// Epochs measured in each set, 20 a day, after 100 that are not [default: 600, with --collusion 100]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=100_000), requires = "simulated")]
    pub epochs: Option<u32>,
    /// Validators of a set; stakes are log-normal, sd of the log 1 [default: 16]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(2..=64), requires = "simulated")]
    pub set_validators: Option<u16>,
    /// Miners of a set; qualities are log-normal, sd of the log 1, half-life 30 days [default: 32]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(2..=256), requires = "simulated")]
    pub set_miners: Option<u16>,
    /// Error of the median validator: sd of the log of seen over true quality, half-life 2 days [default: 0.3]
    #[arg(long, value_name = "SD", value_parser = amount, requires = "simulated")]
    pub noise: Option<f64>,
    /// Probability that a validator copies the last consensus; all copiers hold 40 % of the stake at most
    /// [default: 0.1, with --collusion 0]
    #[arg(long, value_name = "FRACTION", value_parser = fraction, requires = "simulated")]
    pub copiers: Option<f64>,
    /// Probability that a validator sees the quality of some days ago [default: 0.1, with --collusion 0]
    #[arg(long, value_name = "FRACTION", value_parser = fraction, requires = "simulated")]
    pub laggards: Option<f64>,
    /// How many days ago [default: 1]
    #[arg(long, value_name = "DAYS", value_parser = value_parser!(u16).range(0..=365), requires = "simulated")]
    pub lag_days: Option<u16>,
    /// Part of their weight that honest validators give the miner of those who collude (below 1)
    #[arg(long, value_name = "FRACTION", value_parser = part, default_value = "0.05", conflicts_with = "law", requires = "simulated")]
    pub honest_weight: f64,
    /// Seed of all chance
    #[arg(long, value_name = "N", default_value = "1", requires = "simulated")]
    pub seed: u64,
}

/// The law of dividends as a table, with the lines of a scenario, or as JSON.
///
/// # Errors
/// Flags that do not fit together.
pub fn law(args: &SetArgs, json: bool, yuma: YumaParams, rule: &'static str) -> Result<String, BadInput> {
    let (params, run) = simulated(args, SetParams::DEFAULT, LAW_RUN, yuma);
    let days = u64::from(run.epochs) * yuma.tempo_blocks / BLOCKS_PER_DAY;
    if days < u64::from(LAW_DAYS_MIN) {
        let epochs = run.epochs;
        return Err(BadInput(format!("--epochs = {epochs} (must be {LAW_DAYS_MIN} days at least, 20 epochs each)")));
    }
    let law = validators::dividend_law(&params, &run);
    let simulated = description(&params, &run, rule);
    Ok(if json { law_json(simulated, &law) } else { law_tables(&simulated, &law) })
}

/// What cartels of several stakes gain, as a table or as JSON.
///
/// # Errors
/// Flags that do not fit together.
pub fn collusion(args: &SetArgs, json: bool, yuma: YumaParams, rule: &'static str) -> Result<String, BadInput> {
    let honest = SetParams { copiers: 0.0, laggards: 0.0, ..SetParams::DEFAULT };
    let (params, run) = simulated(args, honest, COLLUSION_RUN, yuma);
    if params.validators <= CARTEL_MEMBERS {
        let size = params.validators;
        return Err(BadInput(format!("--set-validators = {size} (must be above {CARTEL_MEMBERS}, those who collude)")));
    }
    let outcomes: Vec<(f64, CollusionOutcome)> = cartel_stakes(yuma.kappa)
        .into_iter()
        .map(|stake_fraction| {
            let cartel = Cartel { stake_fraction, members: CARTEL_MEMBERS, honest_weight: args.honest_weight };
            (stake_fraction, validators::collusion(&params, &cartel, &run))
        })
        .collect();
    let simulated = description(&params, &run, rule);
    Ok(if json {
        collusion_json(simulated, args.honest_weight, &outcomes)
    } else {
        collusion_table(&simulated, args.honest_weight, &outcomes)
    })
}

/// The sets that the flags ask for; `default` and `(sets, epochs)` where they do not say.
fn simulated(args: &SetArgs, default: SetParams, (sets, epochs): (u32, u32), yuma: YumaParams) -> (SetParams, SetRun) {
    let mut params = SetParams { yuma, ..default };
    params.validators = args.set_validators.map_or(params.validators, usize::from);
    params.miners = args.set_miners.map_or(params.miners, usize::from);
    params.error.sd_log = args.noise.unwrap_or(params.error.sd_log);
    params.copiers = args.copiers.unwrap_or(params.copiers);
    params.laggards = args.laggards.unwrap_or(params.laggards);
    params.lag_days = args.lag_days.map_or(params.lag_days, f64::from);
    (params, SetRun { sets: args.sets.unwrap_or(sets), epochs: args.epochs.unwrap_or(epochs), seed: args.seed })
}

fn cartel_stakes(kappa: f64) -> Vec<f64> {
    let mut stakes = CARTEL_STAKES.to_vec();
    stakes.extend([kappa - KAPPA_MARGIN, kappa + KAPPA_MARGIN]);
    stakes.retain(|stake| *stake > 0.0 && *stake < 1.0);
    stakes.sort_by(f64::total_cmp);
    stakes
}

fn description(params: &SetParams, run: &SetRun, rule: &'static str) -> SetsDescription {
    SetsDescription {
        rule,
        kappa: params.yuma.kappa,
        sets: run.sets,
        epochs: run.epochs,
        validators: params.validators,
        miners: params.miners,
        noise: params.error.sd_log,
        copiers: params.copiers,
        laggards: params.laggards,
        lag_days: params.lag_days,
        seed: run.seed,
    }
}

fn headline(simulated: &SetsDescription) -> String {
    let SetsDescription { rule, kappa, sets, epochs, validators, miners, noise, copiers, laggards, lag_days, .. } =
        simulated;
    format!(
        "{rule}, kappa {kappa:.6}: {sets} simulated sets of {validators} validators and {miners} miners, {epochs} epochs each.\n\
         Noise {noise}, copiers {copiers}, laggards {laggards} by {lag_days} days. v: dividends of a validator against the\n\
         average by stake. +-: one standard error, of the simulation only.\n\n"
    )
}

fn law_tables(simulated: &SetsDescription, law: &DividendLaw) -> String {
    let mut text = headline(simulated);
    let mut line = |label: &str, fitted: Option<Fitted>| {
        let _ = writeln!(text, "{label:<LABEL_WIDTH$} {:>FIGURE_WIDTH$}", fitted.map_or("none".to_owned(), figure));
    };
    line("sd of ln v between validators", Some(law.spread_sd_log));
    line("sd of ln v in time", Some(law.noise_sd_log));
    line("half-life of that (days)", Some(law.noise_half_life_days));
    for (kind, fitted) in law.mean_by_kind {
        line(&format!("mean v of {}", kind_name(kind)), fitted);
    }
    let key = |fitted: Fitted| format!("{:.4}", fitted.value);
    let _ = write!(
        text,
        "\nIn a scenario:\n[validators]\nspread_sd_log = {}\nnoise_sd_log = {}\nnoise_half_life_days = {}\n",
        key(law.spread_sd_log),
        key(law.noise_sd_log),
        key(law.noise_half_life_days)
    );
    text
}

fn kind_name(kind: ValidatorKind) -> &'static str {
    match kind {
        ValidatorKind::Observer => "observers",
        ValidatorKind::Laggard => "laggards",
        ValidatorKind::Copier => "copiers",
        ValidatorKind::Colluder => "colluders",
    }
}

fn figure(fitted: Fitted) -> String {
    format!("{:.4} +- {:.4}", fitted.value, fitted.standard_error)
}

fn collusion_table(simulated: &SetsDescription, honest_weight: f64, outcomes: &[(f64, CollusionOutcome)]) -> String {
    let mut text = headline(simulated);
    let _ = writeln!(
        text,
        "{CARTEL_MEMBERS} validators with a part of the stake give all weight to their own miner, the others {honest_weight} of theirs.\n"
    );
    let _ = writeln!(
        text,
        "{:>9} {:>FIGURE_WIDTH$} {:>FIGURE_WIDTH$} {:>FIGURE_WIDTH$}",
        "stake", "miner's incentive", "v of the cartel", "v of the others"
    );
    for (stake, outcome) in outcomes {
        let [incentive, cartel, honest] =
            [outcome.incentive_share, outcome.cartel_dividend, outcome.honest_dividend].map(figure);
        let _ =
            writeln!(text, "{stake:>9.6} {incentive:>FIGURE_WIDTH$} {cartel:>FIGURE_WIDTH$} {honest:>FIGURE_WIDTH$}");
    }
    if let Some((stake, outcome)) = outcomes.iter().find(|(stake, _)| *stake > simulated.kappa) {
        let _ = write!(
            text,
            "\nIn a scenario, for holders with the others, when the cartel reaches {stake:.6} on day 30:\n\
             [validators]\ndividend_factor = {:.4}\ndividend_factor_day = 30\n",
            outcome.honest_dividend.value
        );
    }
    text
}

fn fitted_figure(fitted: Fitted) -> FittedFigure {
    FittedFigure { value: fitted.value, standard_error: fitted.standard_error }
}

fn law_json(simulated: SetsDescription, law: &DividendLaw) -> String {
    let [observer_dividend, laggard_dividend, copier_dividend] =
        law.mean_by_kind.map(|(_, fitted)| fitted.map(fitted_figure));
    to_json(&LawDocument {
        simulated,
        spread_sd_log: fitted_figure(law.spread_sd_log),
        noise_sd_log: fitted_figure(law.noise_sd_log),
        noise_half_life_days: fitted_figure(law.noise_half_life_days),
        observer_dividend,
        laggard_dividend,
        copier_dividend,
    })
}

fn collusion_json(simulated: SetsDescription, honest_weight: f64, outcomes: &[(f64, CollusionOutcome)]) -> String {
    let cartel = |(stake_fraction, outcome): &(f64, CollusionOutcome)| CartelFigures {
        stake_fraction: *stake_fraction,
        incentive_share: fitted_figure(outcome.incentive_share),
        cartel_dividend: fitted_figure(outcome.cartel_dividend),
        honest_dividend: fitted_figure(outcome.honest_dividend),
    };
    to_json(&CollusionDocument {
        simulated,
        members: CARTEL_MEMBERS,
        honest_weight,
        cartels: outcomes.iter().map(cartel).collect(),
    })
}
