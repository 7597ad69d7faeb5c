//! Gives the crate the commit it is built from, as `TAORISK_COMMIT`; "unknown" outside a repository.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=TAORISK_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    let commit = env::var("TAORISK_COMMIT").ok().or_else(commit_of_checkout);
    println!("cargo::rustc-env=TAORISK_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
}

/// The commit checked out here, where the package itself is a repository's root and not merely inside one.
fn commit_of_checkout() -> Option<String> {
    let root = env::var("CARGO_MANIFEST_DIR").ok()?;
    if !Path::new(&root).join(".git").exists() {
        return None;
    }
    // HEAD names a branch; its reflog changes with every commit on it.
    for name in ["HEAD", "logs/HEAD"] {
        let file = git(&["rev-parse", "--git-path", name])?;
        if Path::new(&file).exists() {
            println!("cargo::rerun-if-changed={file}");
        }
    }
    git(&["rev-parse", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
