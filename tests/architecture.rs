//! Which way dependencies point and who may touch the outside, read from the text of the sources.
//!
//! The map of the layers is in the crate documentation. Comments are left out, so that documentation may link upwards;
//! unit tests are held to the same rules. Only names are seen: what a dependency does on our behalf is not.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Layers from the lowest; those of one row stand side by side and do not name each other.
const LAYERS: [&[&str]; 11] = [
    &["units"],
    &["simd"],
    &["rng", "protocol"],
    &["model"],
    &["engine"],
    &["portfolio"],
    &["risk"],
    &["calibration"],
    &["input", "output"],
    &["config"],
    &["cli"],
];

/// Words that stand only in files whose path below `src` begins with one of the places.
const CONFINED: [(&[&str], &[&str]); 7] = [
    (&["rayon"], &["engine/parallel.rs", "engine/run.rs"]),
    (&["fs", "File", "OpenOptions"], &["input/", "output/", "config/", "cli/"]),
    (&["print", "println", "eprint", "eprintln", "stdout", "stderr"], &["cli/"]),
    (&["SystemTime", "Instant", "chrono"], &["cli/"]),
    (&["serde", "serde_json", "Serialize", "Deserialize"], &["config/", "input/", "output/"]),
    (&["anyhow"], &["cli/", "main.rs"]),
    (&["unsafe"], &["simd/"]),
];

/// Longest file, its unit tests left out.
const LINES_MAX: usize = 700;

/// A file below `src`: its path there, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn layer(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    /// Lines without comments, each with its place.
    fn code(&self) -> impl Iterator<Item = (String, &str)> {
        let numbered = self.text.lines().enumerate();
        numbered.map(|(index, line)| {
            (format!("src/{}:{}", self.path, index + 1), line.split("//").next().unwrap_or_default())
        })
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 50, "{} files are not the whole crate", found.len());
    found
}

fn collect(root: &Path, directory: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let parts: Vec<_> = path.strip_prefix(root).unwrap().iter().map(|part| part.to_str().unwrap()).collect();
            found.push(Source { path: parts.join("/"), text: fs::read_to_string(&path).unwrap() });
        }
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// Modules of this crate that a line names; an import of several at once stands as the empty name.
fn named_modules(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| words(rest).next().unwrap_or_default())
}

fn row(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&layer))
}

fn may_name(layer: &str, module: &str) -> bool {
    layer == module || matches!((row(layer), row(module)), (Some(upper), Some(lower)) if lower < upper)
}

fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn a_module_names_only_lower_layers() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| !["lib.rs", "main.rs"].contains(&source.path.as_str())) {
        for (place, line) in source.code() {
            let wrong = named_modules(line).filter(|module| !may_name(source.layer(), module));
            violations.extend(wrong.map(|module| format!("{place}: {} names `{module}`", source.layer())));
        }
    }
    assert_none(&violations);
}

#[test]
fn the_outside_is_confined() {
    let mut violations = Vec::new();
    for source in &sources() {
        for (names, places) in CONFINED {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            let wrong = source.code().filter(|(_, line)| words(line).any(|word| names.contains(&word)));
            violations.extend(wrong.map(|(place, line)| format!("{place}: only in {places:?}: {}", line.trim())));
        }
    }
    assert_none(&violations);
}

#[test]
fn a_file_opens_with_its_purpose_and_is_one_idea_long() {
    let mut violations = Vec::new();
    for Source { path, text } in &sources() {
        let purpose = text.lines().next().unwrap_or_default();
        if !(purpose.starts_with("//! ") && purpose.ends_with('.')) {
            violations.push(format!("src/{path}:1: not one sentence `//! What it is for.`"));
        }
        let lines = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().lines().count();
        if lines > LINES_MAX {
            violations.push(format!("src/{path}: {lines} lines without tests, more than {LINES_MAX}"));
        }
    }
    assert_none(&violations);
}

/// The rules themselves, on lines that break them.
#[test]
fn violations_are_seen() {
    assert!(may_name("cli", "units") && may_name("rng", "rng") && may_name("config", "input"));
    for (layer, line) in [
        ("protocol", "use crate::rng::words;"),
        ("input", "use crate::output::schema;"),
        ("units", "let x = crate::simd::exp(y);"),
        ("engine", "use crate::{units, simd};"),
        ("engine", "use crate::unheard_of::Thing;"),
    ] {
        assert!(named_modules(line).any(|module| !may_name(layer, module)), "{layer}: {line}");
    }
    assert!(words("    let now = Instant::now();").any(|word| word == "Instant"));
    assert!(!words("let instant = offset_of(&files);").any(|word| ["Instant", "fs"].contains(&word)));
}
