//! Every key of a scenario: default, unit, what is allowed, meaning and source.
#![doc = concat!("\n", include_str!("REFERENCE.md"))]

use std::fmt::Write;
use std::path::Path;

use crate::config::ConfigError;
use crate::config::file::BASE;
use crate::config::overrides::Overrides;
use crate::config::scenario::Scenario;

/// A key of `configs/base.toml`.
struct Entry {
    /// With its table.
    key: String,
    default: String,
    /// What stands above it; where nothing does, what stands above the keys before it, or above its table.
    comment: String,
    /// Comment of its table; empty for lists of tables.
    table_comment: String,
}

impl Entry {
    fn table(&self) -> &str {
        self.key.rsplit_once('.').map_or("", |(table, _)| table)
    }

    fn name(&self) -> &str {
        self.key.rsplit_once('.').map_or(&self.key, |(_, name)| name)
    }

    /// A list of tables, whose keys its comment explains.
    fn is_list(&self) -> bool {
        self.table().is_empty()
    }

    fn meaning(&self) -> &str {
        split_source(&self.comment).0
    }

    /// The bracket at the end of its comment, or of that of its table.
    fn source(&self) -> &str {
        let own = split_source(&self.comment).1;
        if own.is_empty() { split_source(&self.table_comment).1 } else { own }
    }

    fn unit(&self) -> &'static str {
        let in_name = UNITS_OF_NAMES.iter().find(|(end, _)| self.name().ends_with(end));
        let in_comment = || UNITS_IN_COMMENTS.iter().find(|(text, _)| self.comment.contains(text));
        in_name.or_else(in_comment).map_or("", |(_, unit)| unit)
    }
}

/// Ends of names that say the unit, the longer ones first.
const UNITS_OF_NAMES: &[(&str, &str)] = &[
    ("_per_sqrt_day", "1/sqrt(day)"),
    ("_per_day", "1/day"),
    ("days", "days"),
    ("_day", "days"),
    ("blocks_per_step", "blocks"),
    ("blocks", "blocks"),
    ("block", "block"),
    ("_tao", "TAO"),
    ("tao_usd", "USD/TAO"),
    ("probability", "probability"),
    ("fraction", "fraction"),
    ("fee_rate", "fraction"),
];

/// Units in the text of a comment.
const UNITS_IN_COMMENTS: &[(&str, &str)] =
    &[("(fraction", "fraction"), ("fraction of", "fraction"), ("Part of", "fraction"), ("Probability", "probability")];

/// The keys of a scenario text in their order.
fn entries(text: &str) -> Vec<Entry> {
    let (mut found, mut comment, mut table, mut table_comment) =
        (Vec::<Entry>::new(), String::new(), "", String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            comment.clear();
        } else if let Some(words) = line.strip_prefix('#') {
            comment.push_str(words.strip_prefix(' ').unwrap_or(words));
            comment.push('\n');
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            (table, table_comment) = (name, std::mem::take(&mut comment));
        } else if let Some((name, value)) = line.split_once(" = ") {
            let mut default = value.to_owned();
            if value == "[" {
                let list = lines.by_ref().take_while(|line| *line != "]");
                let tables = list.filter(|line| line.trim_start().starts_with('{')).count();
                default = format!("[{tables} tables]");
            }
            let key = if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
            let same_table = found.last().filter(|entry| entry.table() == table && !table.is_empty());
            if comment.is_empty() {
                comment = same_table.map_or_else(|| table_comment.clone(), |entry| entry.comment.clone());
            }
            let comment = std::mem::take(&mut comment);
            found.push(Entry { key, default, comment, table_comment: table_comment.clone() });
        }
    }
    found
}

/// A comment and the bracket at its end that says the source, both without what parts them.
fn split_source(comment: &str) -> (&str, &str) {
    let comment = comment.trim_end();
    let bracket = comment.strip_suffix(']').filter(|rest| !rest.ends_with(']')).and_then(|rest| {
        let at = rest.rfind('[')?;
        (at == 0 || rest[..at].ends_with(char::is_whitespace)).then_some((comment[..at].trim_end(), &rest[at + 1..]))
    });
    bracket.unwrap_or((comment, ""))
}

/// What the checks say of values that are not allowed: the range that is really enforced.
fn allowed(key: &str, default: &str) -> String {
    if key.starts_with("input.") && default.starts_with('"') {
        return format!("a file, or {default}");
    }
    let mut texts: Vec<String> = Vec::new();
    for value in refused_values(default) {
        let text = format!("{key} = {value}\n");
        let read = Scenario::from_text("reference", &text, Path::new(""), &Overrides::default());
        if let Err(ConfigError::Value { key: refused, allowed, .. }) = read
            && refused.starts_with(key)
            && !texts.contains(&allowed)
        {
            texts.push(allowed);
        }
    }
    if texts.is_empty() && default.starts_with('"') { "any text".to_owned() } else { texts.join("; ") }
}

/// Values that a check has to refuse if it refuses any, of the type of the default.
fn refused_values(default: &str) -> Vec<String> {
    let numbers = ["nan", "-1e300", "1e300"];
    let texts = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    match default.as_bytes().first() {
        Some(b'"') => texts(&["\"?\""]),
        Some(b't' | b'f') => texts(&["7"]),
        Some(b'[') if default.starts_with("[\"") => texts(&["[\"?\"]"]),
        Some(b'[') => {
            let count = default.split(',').count();
            numbers.iter().map(|number| format!("[{}]", vec![*number; count].join(", "))).collect()
        }
        _ if default.contains(['.', 'e']) => texts(&numbers),
        _ => texts(&["-1", "9223372036854775807"]),
    }
}

/// Keys that the tables of a list may have, out of the message about one that they may not.
fn keys_of_list(list: &str) -> Vec<String> {
    let text = format!("[[{list}]]\nno_such_key = 1\n");
    let refused = Scenario::from_text("reference", &text, Path::new(""), &Overrides::default());
    let message = refused.map_or_else(|error| error.to_string(), |_| String::new());
    let keys = message.split_once("(allowed: ").and_then(|(_, rest)| rest.split([')', ';']).next());
    keys.into_iter().flat_map(|keys| keys.split(", ")).map(str::to_owned).collect()
}

/// Every key as Markdown tables, for the documentation.
pub fn reference_markdown() -> String {
    let mut page = "The keys of `configs/base.toml`, the default scenario. Its head says how scenarios are laid over it and what the \
                    sources mean. What is allowed is what the checks answer to values that they refuse; what depends on other keys \
                    is said for the defaults.\n"
        .to_owned();
    let mut table = None;
    for entry in entries(BASE) {
        if entry.is_list() {
            write_list(&mut page, &entry);
            continue;
        }
        if table.as_deref() != Some(entry.table()) {
            let _ = write!(page, "\n## {}\n\n", entry.table());
            if !entry.table_comment.is_empty() {
                let _ = write!(page, "{}\n\n", prose(entry.table_comment.trim_end()));
            }
            page += "| key | default | unit | allowed | meaning | source |\n|---|---|---|---|---|---|\n";
            table = Some(entry.table().to_owned());
        }
        write_key(&mut page, &entry);
    }
    page
}

fn write_list(page: &mut String, Entry { key, comment, .. }: &Entry) {
    let keys: Vec<String> = keys_of_list(key).iter().map(|key| format!("`{key}`")).collect();
    let keys = keys.join(", ");
    let _ =
        write!(page, "\n## {key}\n\nTables of a list; none by default.\n\n```text\n{comment}```\n\nKeys: {keys}.\n");
}

fn write_key(page: &mut String, entry: &Entry) {
    let allowed = cell(&allowed(&entry.key, &entry.default));
    let (meaning, source) = (cell(entry.meaning()), cell(entry.source()));
    let (name, default, unit) = (entry.name(), &entry.default, entry.unit());
    let _ = writeln!(page, "| `{name}` | `{default}` | {unit} | {allowed} | {meaning} | {source} |");
}

/// Text in one line of a table.
fn cell(text: &str) -> String {
    prose(text).replace('\n', " ").replace('|', "\\|")
}

/// Text whose brackets are no links and whose signs are no tags; what stands in backticks stays.
fn prose(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut is_code = false;
    for letter in text.chars() {
        is_code ^= letter == '`';
        if !is_code && matches!(letter, '[' | ']' | '<' | '>' | '*') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::Key;
    use crate::config::file::Source;
    use std::collections::BTreeSet;
    use std::fs;

    /// Words that a name of a key can be one of.
    fn has_word(text: &str, name: &str) -> bool {
        text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').any(|word| word == name)
    }

    /// The types have no defaults, and so every key of theirs stands in the base.
    #[test]
    fn every_key_has_a_comment() {
        let entries = entries(BASE);
        let (_, keys) = Source { name: "base.toml", text: BASE, is_flag: false }.parse().unwrap();
        let is_in = |key: &Key, table: &str| key.path.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'));
        let is_value = |path: &&str| !path.contains('[') && !keys.iter().any(|key| is_in(key, path));
        let expected: BTreeSet<&str> = keys.iter().map(|key| key.path.as_str()).filter(is_value).collect();
        assert_eq!(entries.iter().map(|entry| entry.key.as_str()).collect::<BTreeSet<_>>(), expected);
        for entry in &entries {
            assert!(entry.meaning().len() > 3, "{}: no comment", entry.key);
        }
        let uncommented = "[run]\nname = 1\n\n# Comment.\n[flow]\na = 1\n";
        let missing: Vec<String> = super::entries(uncommented)
            .into_iter()
            .filter(|entry| entry.meaning().is_empty())
            .map(|entry| entry.key)
            .collect();
        assert_eq!(missing, ["run.name"]);
    }

    #[test]
    fn every_key_of_a_list_stands_in_the_comment_of_the_list() {
        let entries = entries(BASE);
        let lists: Vec<&Entry> = entries.iter().filter(|entry| entry.is_list()).collect();
        assert_eq!(lists.len(), 6);
        for list in lists {
            let keys = keys_of_list(&list.key);
            assert!(keys.len() > 3, "{}: {keys:?}", list.key);
            for key in keys {
                let is_of_rules =
                    list.key == "switches" && entries.iter().any(|entry| entry.key == format!("protocol.{key}"));
                assert!(is_of_rules || has_word(&list.comment, &key), "{}: no word of `{key}`", list.key);
            }
        }
        let uncertain = entries.iter().find(|entry| entry.key == "uncertainty.parameters").expect("a key");
        let tables = BASE.lines().filter(|line| line.starts_with("    { key = \"")).count();
        assert_eq!(uncertain.default, format!("[{tables} tables]"));
    }

    #[test]
    fn a_source_is_the_bracket_at_the_end() {
        assert_eq!(split_source("Words (0 to 1). [estimated +- 1]\n"), ("Words (0 to 1).", "estimated +- 1"));
        assert_eq!(split_source("As in [[subnets]]"), ("As in [[subnets]]", ""));
        assert_eq!(split_source("Words."), ("Words.", ""));
        assert_eq!(prose("[a] `[b]` x < y"), "\\[a\\] `[b]` x \\< y");
    }

    #[test]
    fn what_is_allowed_is_what_the_checks_say() {
        assert_eq!(allowed("flow.jumps.rate_per_day", "0.098"), "from 0 to 100");
        assert_eq!(allowed("exit.participation", "0.1"), "a finite number > 0; above 0 and at most 1");
        assert_eq!(allowed("run.parameter_uncertainty", "false"), "true or false");
        assert_eq!(allowed("run.name", "\"base\""), "any text");
    }

    /// `UPDATE_GOLDEN=1` rewrites the page.
    #[test]
    fn the_page_in_the_documentation_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/REFERENCE.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(path, reference_markdown()).unwrap();
        }
        assert_eq!(fs::read_to_string(path).unwrap(), reference_markdown());
    }
}
