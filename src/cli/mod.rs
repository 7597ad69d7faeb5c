//! Commands, flags, messages, exit codes.

use std::io;
use std::io::ErrorKind;
use std::io::Write;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::args::Cli;
use crate::cli::args::Command;
use crate::cli::args::RunArgs;

pub mod allocate;
mod allocation_table;
pub mod args;
pub mod attribute;
mod attribute_table;
pub mod attribution_table;
pub mod backtest;
pub mod calibrate;
pub mod check;
pub mod converge;
pub mod credit_table;
pub mod detail;
pub mod error;
mod error_split;
pub mod history;
pub mod ingest;
pub mod init;
mod journaled;
pub mod liquidity;
mod method_line;
pub mod multilevel;
mod multilevel_table;
mod needs;
mod number;
mod outcome;
mod pilot;
pub mod rare;
mod rare_table;
mod reduction;
pub mod replay;
mod replicated;
pub mod report;
mod revenue;
pub mod reverse;
mod reverse_table;
pub mod run;
pub mod sensitivity;
mod sensitivity_bump;
mod sensitivity_global;
mod sensitivity_inputs;
mod sensitivity_table;
pub mod shards;
pub mod shock_text;
mod story;
pub mod stress;
mod stress_table;
pub mod study;
pub mod summarize;
pub mod sweep;
mod sweep_table;
pub mod table;
pub mod target_error;
pub mod validators;
mod weighted;
pub mod yuma;

/// Does what the command line asks; without a command, runs the built-in base scenario.
///
/// # Errors
/// Whatever the command says; [`error::report`] prints it and gives the exit code.
pub fn dispatch(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        None => run::run(&RunArgs { scenario: None, options: cli.run }),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Check(args)) => check::check(&args),
        Some(Command::Merge(args)) => shards::merge(&args),
        Some(Command::Summarize(args)) => summarize::summarize(&args.run_directory, args.show()),
        Some(Command::Replay(args)) => replay::replay(&args),
        Some(Command::Report(args)) => report::report(&args),
        Some(Command::Init(args)) => init::init(&args),
        Some(Command::Converge(args)) => converge::converge(&args),
        Some(Command::Multilevel(args)) => multilevel::multilevel(&args),
        Some(Command::Attribute(args)) => attribute::attribute(&args),
        Some(Command::Sensitivity(args)) => sensitivity::sensitivity(&args),
        Some(Command::Stress(args)) => stress::stress(&args),
        Some(Command::Reverse(args)) => reverse::reverse(&args),
        Some(Command::Rare(args)) => rare::rare(&args),
        Some(Command::Sweep(args)) => sweep::sweep(&args),
        Some(Command::Liquidity(args)) => liquidity::liquidity(&args),
        Some(Command::Backtest(args)) => backtest::backtest(&args),
        Some(Command::Allocate(args)) => allocate::allocate(&args),
        Some(Command::Yuma(args)) => yuma::yuma(&args),
        Some(Command::Ingest(args)) => ingest::ingest(&args),
        Some(Command::Calibrate(args)) => calibrate::calibrate(&args),
        Some(Command::Completions(args)) => print_result(&completions(args.shell)),
        Some(Command::Man) => print_result(&man_page()?),
    }
}

/// Writes a result to standard output. A reader that has seen enough (`| head`) is no failure.
///
/// # Errors
/// Anything else that the system says.
pub fn print_result(text: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "taorisk", &mut text);
    text
}

fn man_page() -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(Cli::command()).render(&mut text)?;
    Ok(text)
}
