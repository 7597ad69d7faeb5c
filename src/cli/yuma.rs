//! `taorisk yuma`: one epoch of Yuma consensus on a matrix of weights, and what each uid earns; or simulated validator sets.

use std::fmt::Write;
use std::path::Path;
use std::path::PathBuf;

use clap::ArgGroup;
use clap::Args;
use ndarray::Array2;
use ndarray::ArrayView1;

use crate::cli::error::BadInput;
use crate::cli::number::amount;
use crate::cli::number::fraction;
use crate::cli::print_result;
use crate::cli::validators;
use crate::cli::validators::SetArgs;
use crate::input::document::Document;
use crate::input::matrix;
use crate::input::matrix::StakedWeights;
use crate::output::epoch;
use crate::output::epoch::EpochDocument;
use crate::output::epoch::UidOutcome;
use crate::protocol::yuma::BondsRule;
use crate::protocol::yuma::LiquidSmoothing;
use crate::protocol::yuma::YumaParams;
use crate::protocol::yuma::epoch::Neuron;
use crate::protocol::yuma::epoch::YumaInputs;
use crate::protocol::yuma::epoch::YumaOutcome;
use crate::protocol::yuma::epoch::YumaState;
use crate::protocol::yuma::epoch::run_epoch;

/// Block of the epoch: any at which nothing is outdated when every uid set its weights in it.
const BLOCK: u64 = 1_000_000;
/// Columns of the matrix side by side; with the label of the row they are 96 wide.
const COLUMNS: usize = 10;
/// Width of a number with six decimals.
const NUMBER_WIDTH: usize = 9;
/// Width of a uid.
const UID_WIDTH: usize = 5;

/// Arguments of `yuma`.
#[derive(Clone, Debug, Args)]
#[command(
    group = ArgGroup::new("simulated").args(["law", "collusion"]),
    group = ArgGroup::new("newer_bonds").args(["yuma3", "law", "collusion"]).multiple(true)
)]
pub struct YumaArgs {
    /// Weights, CSV or Parquet: a row and a column per uid
    #[arg(value_name = "MATRIX", required_unless_present = "simulated", conflicts_with = "simulated")]
    pub matrix: Option<PathBuf>,
    /// Simulate validator sets instead and print the law of a validator's dividends: spread, noise, half-life
    #[arg(long)]
    pub law: bool,
    /// Simulate validator sets instead and print what a group gains that gives all weight to its own miner
    #[arg(long)]
    pub collusion: bool,
    /// Column of stakes, or a file (.csv, .parquet) with a column `stake`
    #[arg(long, value_name = "COLUMN|FILE", default_value = "stake", conflicts_with = "simulated")]
    pub stake: String,
    /// Bonds of the epoch before, as stored (0 to 65535), in a file shaped as MATRIX [default: none]
    #[arg(long, value_name = "FILE", conflicts_with = "simulated")]
    pub bonds: Option<PathBuf>,
    /// Bonds rule of newer subnets instead of Yuma2; --law and --collusion use it anyway
    #[arg(long)]
    pub yuma3: bool,
    /// Bonds rule of older subnets; what MATRIX uses anyway
    #[arg(long, conflicts_with_all = ["yuma3", "liquid_alpha"])]
    pub yuma2: bool,
    /// Smooth each bond by its distance from consensus
    #[arg(long, requires = "newer_bonds")]
    pub liquid_alpha: bool,
    /// Smallest weight of a bond's newest value [default: 45875/65535]
    #[arg(long, value_name = "FRACTION", value_parser = fraction, requires = "liquid_alpha")]
    pub alpha_low: Option<f64>,
    /// Largest weight of a bond's newest value [default: 58982/65535]
    #[arg(long, value_name = "FRACTION", value_parser = fraction, requires = "liquid_alpha")]
    pub alpha_high: Option<f64>,
    /// Slope of the smoothing, a hundredth of AlphaSigmoidSteepness [default: 10]
    #[arg(long, value_name = "SLOPE", value_parser = amount, requires = "liquid_alpha")]
    pub alpha_steepness: Option<f64>,
    /// Share of stake that must support a weight [default: 32767/65535]
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    pub kappa: Option<f64>,
    /// How far weights above consensus are clipped for bonds [default: 1]
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    pub bonds_penalty: Option<f64>,
    /// Part of the old bonds that is kept [default: 0.9]
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    pub bonds_moving_average: Option<f64>,
    /// Uid of the subnet owner: always has a permit, may weight itself
    #[arg(long, value_name = "UID", conflicts_with = "simulated")]
    pub owner: Option<usize>,
    /// Most validators with a permit [default: 64]
    #[arg(long, value_name = "N", conflicts_with = "simulated")]
    pub validators: Option<usize>,
    /// Stake below which a uid counts for nothing, in the unit of the stakes [default: 0]
    #[arg(long, value_name = "STAKE", value_parser = amount, conflicts_with = "simulated")]
    pub stake_threshold: Option<f64>,
    /// Print JSON instead of tables
    #[arg(long)]
    pub json: bool,
    /// Flags of `--law` and `--collusion`.
    #[command(flatten)]
    pub sets: SetArgs,
}

/// Runs an epoch and prints incentives, dividends, trust, consensus and clipped weights to standard output; or the law of
/// dividends in simulated sets, or what collusion gains in them.
///
/// # Errors
/// A file or flag that is refused.
pub fn yuma(args: &YumaArgs) -> anyhow::Result<()> {
    let text = match &args.matrix {
        Some(file) => {
            let epoch = Epoch::run(args, file)?;
            if args.json { epoch.json() } else { epoch.tables() }
        }
        None => {
            let params = params(args)?;
            let simulate = if args.law { validators::law } else { validators::collusion };
            simulate(&args.sets, args.json, params, rule_name(&params.bonds_rule))?
        }
    };
    print_result(text.as_bytes())
}

/// An epoch that was run.
struct Epoch {
    params: YumaParams,
    /// Who had a permit in it.
    permits: Vec<bool>,
    outcome: YumaOutcome,
}

impl Epoch {
    fn run(args: &YumaArgs, file: &Path) -> anyhow::Result<Self> {
        let params = params(args)?;
        let StakedWeights { stake, weights } = read(args, file)?;
        check_owner(args, file, stake.len())?;
        let inputs = YumaInputs { block: BLOCK, neurons: &neurons(&stake), weights: weights.view(), owner: args.owner };
        let mut state = YumaState::new(vec![false; stake.len()]);
        if let Some(path) = &args.bonds {
            state.bonds = matrix::read_bonds(&Document::open(path)?, stake.len())?;
        }
        // Permits are those of an epoch before this one with the same stakes.
        let permits = run_epoch(&params, &inputs, &state).next.permits;
        let outcome = run_epoch(&params, &inputs, &YumaState { permits: permits.clone(), ..state });
        Ok(Self { params, permits, outcome })
    }

    fn tables(&self) -> String {
        let size = self.permits.len();
        let mut text = format!(
            "{}, kappa {:.6}, {} of {size} uids with a permit. All columns are fractions.\n",
            rule_name(&self.params.bonds_rule),
            self.params.kappa,
            self.permits.iter().filter(|permit| **permit).count(),
        );
        text.push_str(&self.uid_table());
        text.push_str("\nClipped weights: a row per validator, a column per uid with consensus\n");
        text.push_str(&weights_table(&self.outcome.clipped));
        text
    }

    fn uid_table(&self) -> String {
        let heads = ["stake", "consensus", "incentive", "trust", "dividend", "miner pay", "valid. pay"];
        let mut text = format!("{:>UID_WIDTH$} {:>6}", "uid", "permit");
        for head in heads {
            let _ = write!(text, " {head:>11}");
        }
        text.push('\n');
        for (uid, permit) in self.permits.iter().enumerate() {
            let _ = write!(text, "{uid:>UID_WIDTH$} {:>6}", if *permit { "yes" } else { "" });
            for value in self.figures(uid) {
                let _ = write!(text, " {value:>11.6}");
            }
            text.push('\n');
        }
        text
    }

    /// Stake, consensus, incentive, trust, dividend, and shares of the emission.
    fn figures(&self, uid: usize) -> [f64; 7] {
        let outcome = &self.outcome;
        [
            &outcome.stake,
            &outcome.consensus,
            &outcome.incentive,
            &outcome.validator_trust,
            &outcome.dividends,
            &outcome.emission.server,
            &outcome.emission.validator,
        ]
        .map(|figures| figures[uid])
    }

    fn json(&self) -> String {
        let outcome = |uid: usize| {
            let [stake, consensus, incentive, validator_trust, dividend, server_emission, validator_emission] =
                self.figures(uid);
            UidOutcome {
                uid,
                permit: self.permits[uid],
                stake,
                consensus,
                incentive,
                validator_trust,
                dividend,
                server_emission,
                validator_emission,
            }
        };
        EpochDocument {
            rule: rule_name(&self.params.bonds_rule),
            kappa: self.params.kappa,
            uids: (0..self.permits.len()).map(outcome).collect(),
            clipped_weights: epoch::rows(&self.outcome.clipped),
            bonds_u16: epoch::rows(&self.outcome.next.bonds),
        }
        .to_json()
    }
}

fn rule_name(rule: &BondsRule) -> &'static str {
    match rule {
        BondsRule::Yuma2 => "Yuma2",
        BondsRule::Yuma3 => "Yuma3",
        BondsRule::Yuma3Liquid(_) => "Yuma3 with liquid alpha",
    }
}

/// Rows with a clipped weight against columns with one, at most [`COLUMNS`] of them side by side.
fn weights_table(clipped: &Array2<f64>) -> String {
    let is_used = |line: ArrayView1<'_, f64>| line.iter().any(|&weight| weight > 0.0);
    let columns: Vec<usize> = (0..clipped.ncols()).filter(|&uid| is_used(clipped.column(uid))).collect();
    let rows: Vec<usize> = (0..clipped.nrows()).filter(|&uid| is_used(clipped.row(uid))).collect();
    if columns.is_empty() {
        return "none: no weight has the support of kappa of the stake\n".to_owned();
    }
    let mut text = String::new();
    for columns in columns.chunks(COLUMNS) {
        let _ = write!(text, "{:>UID_WIDTH$}", "");
        for uid in columns {
            let _ = write!(text, " {uid:>NUMBER_WIDTH$}");
        }
        for uid in &rows {
            let _ = write!(text, "\n{uid:>UID_WIDTH$}");
            for column in columns {
                let _ = write!(text, " {:>NUMBER_WIDTH$.6}", clipped[[*uid, *column]]);
            }
        }
        text.push('\n');
    }
    text
}

fn params(args: &YumaArgs) -> Result<YumaParams, BadInput> {
    let default = YumaParams::DEFAULT;
    Ok(YumaParams {
        kappa: args.kappa.unwrap_or(default.kappa),
        bonds_rule: match (args.yuma3 || (args.matrix.is_none() && !args.yuma2), args.liquid_alpha) {
            (false, _) => BondsRule::Yuma2,
            (true, false) => BondsRule::Yuma3,
            (true, true) => BondsRule::Yuma3Liquid(smoothing(args)?),
        },
        bonds_penalty: args.bonds_penalty.unwrap_or(default.bonds_penalty),
        bonds_moving_average: args.bonds_moving_average.unwrap_or(default.bonds_moving_average),
        validator_limit: args.validators.unwrap_or(default.validator_limit),
        stake_threshold: args.stake_threshold.unwrap_or(default.stake_threshold),
        ..default
    })
}

fn smoothing(args: &YumaArgs) -> Result<LiquidSmoothing, BadInput> {
    let default = LiquidSmoothing::DEFAULT;
    let low = args.alpha_low.unwrap_or(default.low);
    let high = args.alpha_high.unwrap_or(default.high);
    if low <= high {
        return Ok(LiquidSmoothing { low, high, steepness: args.alpha_steepness.unwrap_or(default.steepness) });
    }
    Err(BadInput(format!("--alpha-low = {low} (must be at most --alpha-high, {high})")))
}

/// Weights and stakes, these from a column or a file of their own.
fn read(args: &YumaArgs, file: &Path) -> anyhow::Result<StakedWeights> {
    let document = Document::open(file)?;
    let stake_file = Path::new(&args.stake);
    if !is_table(stake_file) {
        return Ok(matrix::read_staked_weights(&document, &args.stake)?);
    }
    let weights = matrix::read_weights(&document)?;
    let stake = matrix::read_stakes(&Document::open(stake_file)?, weights.nrows())?;
    Ok(StakedWeights { stake, weights })
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|name| name.eq_ignore_ascii_case("csv") || name.eq_ignore_ascii_case("parquet"))
}

fn check_owner(args: &YumaArgs, file: &Path, size: usize) -> Result<(), BadInput> {
    match args.owner {
        Some(owner) if owner >= size => {
            let last = size - 1;
            Err(BadInput(format!("--owner = {owner} (must be a uid of {}, 0 to {last})", file.display())))
        }
        _ => Ok(()),
    }
}

/// Every uid set its weights in this block and was registered before all of them.
fn neurons(stake: &[f64]) -> Vec<Neuron> {
    let neuron = |&stake: &f64| Neuron { stake, registered_at: 0, last_update: BLOCK, committed_at: None };
    stake.iter().map(neuron).collect()
}
