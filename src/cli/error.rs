//! From errors to messages and exit codes.

use std::panic;
use std::panic::Location;
use std::process::ExitCode;

use thiserror::Error;

use crate::config::ConfigError;
use crate::input::InputError;
use crate::output::error::OutputError;

/// The run failed for a reason that is not the user's input.
const FAILED: u8 = 1;
/// A file, key, flag or directory of the user is not usable.
const BAD_INPUT: u8 = 2;
/// Stopped by the user.
const INTERRUPTED: u8 = 3;

/// Input of the user that a command cannot use, where no layer below has an error of its own for it.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// The user stopped the program; the message says what is left behind.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Interrupted(pub String);

/// Lets panics of the Parquet decoder pass in silence: they are caught where files are read, and told as damaged files.
pub fn silence_decoders() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let is_of_decoder =
            |place: &Location<'_>| ["parquet-", "arrow-"].iter().any(|name| place.file().contains(name));
        if !panic.location().is_some_and(is_of_decoder) {
            tell(panic);
        }
    }));
}

/// Prints an error with its causes to standard error and gives the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprint!("{}", message(error));
    ExitCode::from(code(error))
}

fn message(error: &anyhow::Error) -> String {
    let causes = error.chain().skip(1).map(|cause| format!("  because: {cause}\n"));
    format!("error: {error}\n{}", causes.collect::<String>())
}

fn is_bad_input(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.is::<BadInput>()
        || cause.is::<ConfigError>()
        || cause.is::<InputError>()
        || cause.downcast_ref::<OutputError>().is_some_and(OutputError::is_bad_input)
}

fn code(error: &anyhow::Error) -> u8 {
    if error.is::<BadInput>() || error.chain().any(is_bad_input) {
        BAD_INPUT
    } else if error.is::<Interrupted>() || error.chain().any(|cause| cause.is::<Interrupted>()) {
        INTERRUPTED
    } else {
        FAILED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;
    use std::io;

    #[test]
    fn codes_see_through_context() {
        let refused = || -> anyhow::Result<()> {
            let source = io::Error::from(io::ErrorKind::NotFound);
            Err(InputError::Unreadable { file: "p.csv".to_owned(), source })?
        };
        let wrapped = refused().context("while reading").unwrap_err();
        assert_eq!(code(&wrapped), BAD_INPUT);
        assert_eq!(
            message(&wrapped),
            "error: while reading\n  because: cannot read p.csv\n  because: entity not found\n"
        );
        let config: anyhow::Error = ConfigError::from(refused().unwrap_err().downcast::<InputError>().unwrap()).into();
        assert_eq!(code(&config), BAD_INPUT);
        assert_eq!(code(&anyhow::anyhow!("x").context(BadInput("y".to_owned()))), BAD_INPUT);
        assert_eq!(code(&anyhow::Error::new(Interrupted("y".to_owned())).context("z")), INTERRUPTED);
        assert_eq!(code(&anyhow::anyhow!("disk full")), FAILED);
    }
}
