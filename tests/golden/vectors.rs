//! Reading of vectors, and the table of largest deviations that every test here ends with.

use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use serde_json::Value;
use taorisk::protocol::params::ProtocolParams;
use taorisk::protocol::upgrades;

/// Rows of one vector file, from the repository or from the directory that `TAORISK_ORACLE_DIR` names.
pub fn rows(name: &str) -> Vec<Value> {
    let text = text_of(&directory(), &format!("{name}.jsonl"));
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a row is JSON")).collect();
    assert!(!rows.is_empty(), "{name} has no rows");
    rows
}

/// A JSON document that lies beside the vectors.
pub fn document(name: &str) -> Value {
    serde_json::from_str(&text_of(&home(), name)).expect("the document is JSON")
}

fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn directory() -> PathBuf {
    std::env::var_os("TAORISK_ORACLE_DIR").map_or_else(|| home().join("oracle"), PathBuf::from)
}

fn text_of(directory: &std::path::Path, name: &str) -> String {
    let plain = directory.join(name);
    let packed = directory.join(format!("{name}.gz"));
    let mut text = String::new();
    if packed.exists() {
        let file = fs::File::open(&packed).expect("the file opens");
        GzDecoder::new(file).read_to_string(&mut text).expect("the file is gzip of text");
    } else {
        text = fs::read_to_string(&plain).unwrap_or_else(|error| panic!("{}: {error}", plain.display()));
    }
    text
}

/// An unsigned integer, written as a number or as a string of digits.
pub fn integer(value: &Value) -> u128 {
    match value {
        Value::Number(number) => number.as_u64().map(u128::from),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    }
    .unwrap_or_else(|| panic!("{value} is no unsigned integer"))
}

/// An amount that fits 64 bits.
pub fn rao(value: &Value) -> u64 {
    u64::try_from(integer(value)).expect("an amount fits 64 bits")
}

/// An amount in tokens.
pub fn tokens(value: &Value) -> f64 {
    rao(value) as f64 / 1e9
}

/// A signed integer, written as a number or as a string of digits.
pub fn signed(value: &Value) -> i128 {
    match value {
        Value::Number(number) => number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    }
    .unwrap_or_else(|| panic!("{value} is no integer"))
}

/// A decimal number, written as a number or as a string.
pub fn decimal(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{value} is no number"))
}

/// A fixed-point number of `bits` fractional bits.
pub fn fixed(value: &Value, bits: i32) -> f64 {
    integer(value) as f64 / 2.0_f64.powi(bits)
}

pub fn array(value: &Value) -> &Vec<Value> {
    value.as_array().expect("an array")
}

pub fn flag(value: &Value) -> bool {
    value.as_bool().expect("a flag")
}

pub fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Parameters of the commit that made the vectors, for tests that set what they vary.
pub fn params() -> ProtocolParams {
    upgrades::params_at_spec(425)
}

struct Entry {
    quantity: String,
    count: usize,
    worst: f64,
    tolerance: f64,
    case: String,
}

/// Largest deviation of each quantity of one file from the chain.
pub struct Deviations {
    file: &'static str,
    entries: Vec<Entry>,
}

impl Deviations {
    pub fn of(file: &'static str) -> Self {
        Self { file, entries: Vec::new() }
    }

    /// Notes a deviation; `tolerance` is one of the quantity, not of the case.
    pub fn note(&mut self, quantity: &str, tolerance: f64, deviation: f64, case: &str) {
        let position = self.entries.iter().position(|entry| entry.quantity == quantity).unwrap_or_else(|| {
            let entry = Entry { quantity: quantity.into(), count: 0, worst: 0.0, tolerance, case: String::new() };
            self.entries.push(entry);
            self.entries.len() - 1
        });
        let entry = &mut self.entries[position];
        entry.count += 1;
        if deviation > entry.worst || deviation.is_nan() {
            entry.worst = deviation;
            entry.case = case.into();
        }
    }

    /// Notes that a quantity must be equal.
    pub fn equal<T: PartialEq + std::fmt::Debug>(&mut self, quantity: &str, ours: T, chain: T, case: &str) {
        let label = if ours == chain { case.to_owned() } else { format!("{case}: {ours:?}, chain {chain:?}") };
        self.note(quantity, 0.0, f64::from(u8::from(ours != chain)), &label);
    }

    /// Notes the distance of two integers.
    pub fn distance(&mut self, quantity: &str, tolerance: f64, ours: u64, chain: u64, case: &str) {
        self.note(quantity, tolerance, ours.abs_diff(chain) as f64, case);
    }

    /// Prints the table and fails where a deviation exceeds its tolerance.
    pub fn finish(self) {
        let mut table = format!("{}\n", self.file);
        for Entry { quantity, count, worst, tolerance, case } in &self.entries {
            let place = if *worst > 0.0 { case.as_str() } else { "" };
            writeln!(table, "  {quantity:<44} {count:>8}  worst {worst:<10.3e} tolerance {tolerance:<10.3e} {place}")
                .unwrap();
        }
        println!("{table}");
        // Counted so that NaN fails.
        let within = self.entries.iter().filter(|entry| entry.worst <= entry.tolerance).count();
        assert_eq!(within, self.entries.len(), "{}: quantities deviate\n{table}", self.file);
    }
}
