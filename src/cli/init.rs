//! `taorisk init`: a scenario and a positions file to start from.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::cli::args::InitArgs;
use crate::cli::error::BadInput;

/// Name and content of what is written.
const FILES: [(&str, &str); 2] = [
    ("scenario.toml", include_str!("../../configs/starter/scenario.toml")),
    ("positions.csv", include_str!("../../configs/starter/positions.csv")),
];

/// Writes the starter files and says what to do next.
///
/// # Errors
/// A file of the same name without `--force` (then nothing is written), or what the system says.
pub fn init(args: &InitArgs) -> anyhow::Result<()> {
    if !args.force {
        refuse_existing(&args.directory)?;
    }
    fs::create_dir_all(&args.directory)
        .map_err(|error| anyhow::Error::new(error).context(unusable("make", &args.directory)))?;
    for (name, content) in FILES {
        let path = args.directory.join(name);
        fs::write(&path, content).map_err(|error| anyhow::Error::new(error).context(unusable("write", &path)))?;
    }
    let scenario = args.directory.join(FILES[0].0);
    eprintln!("wrote {} and {} beside it", scenario.display(), FILES[1].0);
    eprintln!("next: put your positions in, then `taorisk run {}`", scenario.display());
    Ok(())
}

fn refuse_existing(directory: &Path) -> anyhow::Result<()> {
    for (name, _) in FILES {
        let path = directory.join(name);
        let exists = path.try_exists().with_context(|| unusable("look at", &path))?;
        if exists {
            let problem =
                format!("{} exists already; --force overwrites it, or name another directory", path.display());
            return Err(BadInput(problem).into());
        }
    }
    Ok(())
}

fn unusable(verb: &str, path: &Path) -> BadInput {
    BadInput(format!("cannot {verb} {}", path.display()))
}
