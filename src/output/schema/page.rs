//! The page of all result files: every column of every table, every key of every JSON document.

use std::fmt::Write;

use crate::output::allocation::ALLOCATION;
use crate::output::multilevel::MULTILEVEL;
use crate::output::schema::BACKTEST;
use crate::output::schema::BLOCKS;
use crate::output::schema::CALIBRATION;
use crate::output::schema::CONVERGENCE;
use crate::output::schema::DRIVERS;
use crate::output::schema::FILES;
use crate::output::schema::FileSchema;
use crate::output::schema::LIQUIDITY;
use crate::output::schema::OPTIONAL_FILE;
use crate::output::schema::SCHEMA_VERSION;
use crate::output::schema::SCORES;
use crate::output::schema::documents::DOCUMENTS;
use crate::output::schema::documents::Document;
use crate::output::sensitivity::SENSITIVITY;
use crate::output::stress::STRESS;
use crate::output::sweep::SWEEP;

/// Tables that are no part of a run directory, each with the command that writes it.
pub static COMMAND_FILES: [(&str, &FileSchema); 12] = [
    ("replay --blocks --out", &BLOCKS),
    ("converge --out", &CONVERGENCE),
    ("multilevel --out", &MULTILEVEL),
    ("attribute --out", &DRIVERS),
    ("sensitivity --out", &SENSITIVITY),
    ("stress --out", &STRESS),
    ("sweep --out", &SWEEP),
    ("liquidity --out", &LIQUIDITY),
    ("allocate --out", &ALLOCATION),
    ("backtest --out", &BACKTEST),
    ("backtest --out", &SCORES),
    ("calibrate --out", &CALIBRATION),
];

/// Every column of every file and every key of every JSON document as Markdown tables, for the documentation.
pub fn schema_markdown() -> String {
    let mut text = format!("Schema version {SCHEMA_VERSION}.\n\n# Files of a run\n");
    for schema in FILES.into_iter().chain([OPTIONAL_FILE]) {
        let _ = write!(text, "\n## {}\n\n", schema.file);
        write_columns(&mut text, schema);
    }
    text += "\n# Tables of other commands\n\nA name without an ending: CSV or Parquet, by the ending of the file that `--out` names.\n";
    for (command, schema) in COMMAND_FILES {
        let _ = write!(text, "\n## {}\n\nWritten by `taorisk {command}`. ", schema.file);
        write_columns(&mut text, schema);
    }
    text +=
        "\n# JSON documents\n\nA dot goes into an object, `[]` into the objects of a list. What is infinite is null.\n";
    DOCUMENTS.iter().for_each(|document| write_keys(&mut text, document));
    text
}

fn write_columns(text: &mut String, schema: &FileSchema) {
    let _ = write!(text, "A row is: {}.\n\n| column | type | meaning |\n|---|---|---|\n", schema.rows);
    for column in schema.columns {
        let _ = writeln!(text, "| `{}` | {:?} | {} |", column.name, column.kind.data_type(), column.description());
    }
}

fn write_keys(text: &mut String, document: &Document) {
    let _ = write!(text, "\n## {}\n\n{}.\n\n| key | meaning |\n|---|---|\n", document.name, document.what);
    for (key, meaning) in document.keys {
        let _ = writeln!(text, "| `{key}` | {meaning} |");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::schema::ATTRIBUTION;
    use crate::output::schema::CREDIT;
    use crate::output::schema::REVENUE;
    use crate::output::schema::SUMMARY;
    use crate::risk::attribution::PartMeasure;
    use crate::risk::credit::CreditMeasure;
    use crate::risk::histogram::Buckets;
    use crate::risk::measure::Measure;
    use crate::risk::revenue::RevenueMeasure;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    fn all() -> impl Iterator<Item = &'static FileSchema> {
        FILES.into_iter().chain([OPTIONAL_FILE]).chain(COMMAND_FILES.into_iter().map(|(_, schema)| schema))
    }

    #[test]
    fn names_are_distinct_and_snake_case() {
        let plain = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        for schema in all() {
            let names: BTreeSet<_> = schema.columns.iter().map(|column| column.name).collect();
            assert_eq!(names.len(), schema.columns.len(), "{}", schema.file);
            assert!(names.into_iter().all(plain), "{}", schema.file);
        }
        let files: BTreeSet<_> = all().map(|schema| schema.file).collect();
        assert_eq!(files.len(), all().count());
    }

    #[test]
    fn every_column_says_what_it_is() {
        let says = |text: &str| text.len() > 3 && !text.ends_with('.') && !text.contains('|') && text.trim() == text;
        for schema in all() {
            assert!(says(schema.rows) && !schema.columns.is_empty(), "{}", schema.file);
            for column in schema.columns {
                assert!(says(column.meaning), "{}, {}: {:?}", schema.file, column.name, column.meaning);
                assert!(column.null_rule.is_none_or(says), "{}, {}", schema.file, column.name);
            }
        }
    }

    /// A schema that the lists above forget would be written and not documented.
    #[test]
    fn every_schema_of_the_sources_is_in_a_list() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let definition = concat!(": FileSchema", " = FileSchema {");
        assert_eq!(count(&sources, definition), all().count());
    }

    fn count(directory: &Path, text: &str) -> usize {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let of = |path: &Path| if path.is_dir() { count(path, text) } else { count_in(path, text) };
        entries.map(|path| of(&path)).sum()
    }

    fn count_in(file: &Path, text: &str) -> usize {
        fs::read_to_string(file).map_or(0, |source| source.matches(text).count())
    }

    #[test]
    fn the_meanings_name_what_the_code_does() {
        let measures = SUMMARY.columns[1].meaning;
        let of_revenue = REVENUE.columns[3].meaning;
        assert!(RevenueMeasure::ALL.iter().all(|measure| of_revenue.contains(measure.name())), "{of_revenue}");
        assert!(Measure::ALL.iter().all(|measure| measures.contains(measure.name())), "{measures}");
        let of_parts = ATTRIBUTION.columns[9].meaning;
        assert!(PartMeasure::ALL.iter().all(|measure| of_parts.contains(measure.name())), "{of_parts}");
        let of_credit = CREDIT.columns[6].meaning;
        assert!(CreditMeasure::ALL.iter().all(|measure| of_credit.contains(measure.name())), "{of_credit}");
        assert!(Buckets::AMOUNT.relative_error() <= 0.004);
        assert!(Buckets::PRICE.relative_error() <= 0.016 && Buckets::SHARE.relative_error() <= 0.016);
    }

    /// `UPDATE_GOLDEN=1` rewrites the page.
    #[test]
    fn the_page_in_the_documentation_is_current() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/src/output/SCHEMA.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(page, schema_markdown()).unwrap();
        }
        assert_eq!(fs::read_to_string(page).unwrap(), schema_markdown());
    }

    #[test]
    fn markdown_has_a_line_for_each_column_and_key() {
        let text = schema_markdown();
        let columns: usize = all().map(|schema| schema.columns.len()).sum();
        let keys: usize = DOCUMENTS.iter().map(|document| document.keys.len()).sum();
        assert_eq!(text.lines().filter(|line| line.starts_with("| `")).count(), columns + keys);
        assert!(text.contains("| `level` | Float64 |"));
    }
}
