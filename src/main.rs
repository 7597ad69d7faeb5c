//! The `taorisk` program: parse, dispatch, print the error chain, exit code.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use taorisk::cli;
use taorisk::cli::args::Cli;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::error::silence_decoders();
    match cli::dispatch(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::error::report(&error),
    }
}
