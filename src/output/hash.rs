//! One hash for all results: SHA-256 over the decoded columns of every file, whatever the encoding.
//!
//! ```text
//! digest(column) = SHA-256(cells), a cell: [1 byte: 1 if present, 0 if null, nullable columns only] value
//! value: little-endian bits of numbers; text as its length (u64) and bytes; bool as one byte
//! result_hash = SHA-256 over the files in schema order of: name(file), for each column: name(column), digest(column)
//! name: length (u64) and bytes
//! ```
//!
//! Row groups, compression and metadata do not enter it.

use std::fmt;
use std::path::Path;

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::datatypes::ArrowPrimitiveType;
use arrow::datatypes::Float64Type;
use arrow::datatypes::UInt32Type;
use arrow::datatypes::UInt64Type;
use sha2::Digest as _;
use sha2::Sha256;

use crate::output::error::OutputError;
use crate::output::read::read_batches;
use crate::output::schema::Column;
use crate::output::schema::FILES;
use crate::output::schema::FileSchema;
use crate::output::schema::Kind;
use crate::output::schema::OPTIONAL_FILE;

/// SHA-256 of some bytes.
pub type Digest = [u8; 32];

/// SHA-256 over the decoded columns of all result files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultHash(pub Digest);

impl fmt::Display for ResultHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl ResultHash {
    /// Combines the digests of the columns of each file, in the order of [`FILES`], then of [`OPTIONAL_FILE`] in runs that have it.
    ///
    /// # Panics
    /// If files or columns are missing.
    pub fn combine(files: &[Vec<Digest>]) -> Self {
        assert!((FILES.len()..=FILES.len() + 1).contains(&files.len()));
        let mut hasher = Sha256::new();
        for (schema, digests) in FILES.into_iter().chain([OPTIONAL_FILE]).zip(files) {
            assert_eq!(schema.columns.len(), digests.len());
            hash_text(&mut hasher, schema.file);
            for (column, digest) in schema.columns.iter().zip(digests) {
                hash_text(&mut hasher, column.name);
                hasher.update(digest);
            }
        }
        Self(hasher.finalize().into())
    }
}

/// Incremental digests of the columns of one file.
pub struct ColumnHashes {
    schema: &'static FileSchema,
    hashers: Vec<Sha256>,
    bytes: Vec<u8>,
}

impl ColumnHashes {
    /// Digests of no rows.
    pub fn new(schema: &'static FileSchema) -> Self {
        Self { schema, hashers: vec![Sha256::new(); schema.columns.len()], bytes: Vec::new() }
    }

    /// Adds rows; `batch` has the columns of the schema.
    pub fn update(&mut self, batch: &RecordBatch) {
        for ((column, hasher), array) in self.schema.columns.iter().zip(&mut self.hashers).zip(batch.columns()) {
            self.bytes.clear();
            append_cells(&mut self.bytes, column, array);
            hasher.update(&self.bytes);
        }
    }

    /// The digest of each column.
    pub fn finish(self) -> Vec<Digest> {
        self.hashers.into_iter().map(|hasher| hasher.finalize().into()).collect()
    }
}

fn append_cells(bytes: &mut Vec<u8>, column: &Column, array: &ArrayRef) {
    match column.kind {
        Kind::U32 => append_numbers::<UInt32Type, 4>(bytes, column, array, u32::to_le_bytes),
        Kind::U64 => append_numbers::<UInt64Type, 8>(bytes, column, array, u64::to_le_bytes),
        Kind::F64 => append_numbers::<Float64Type, 8>(bytes, column, array, f64::to_le_bytes),
        Kind::Text => {
            append_each(bytes, column, array, |bytes, row| append_text(bytes, array.as_string::<i32>().value(row)))
        }
        Kind::Bool => {
            append_each(bytes, column, array, |bytes, row| bytes.push(u8::from(array.as_boolean().value(row))))
        }
    }
}

fn append_numbers<T: ArrowPrimitiveType, const N: usize>(
    bytes: &mut Vec<u8>,
    column: &Column,
    array: &ArrayRef,
    bits: impl Fn(T::Native) -> [u8; N],
) {
    let values = array.as_primitive::<T>().values();
    append_each(bytes, column, array, |bytes, row| bytes.extend_from_slice(&bits(values[row])));
}

/// The cells of a column; `append` gives the value of one that is not null.
fn append_each(bytes: &mut Vec<u8>, column: &Column, array: &ArrayRef, append: impl Fn(&mut Vec<u8>, usize)) {
    let (nulls, is_nullable) = (array.nulls(), column.null_rule.is_some());
    for row in 0..array.len() {
        let is_valid = nulls.is_none_or(|nulls| nulls.is_valid(row));
        if is_nullable {
            bytes.push(u8::from(is_valid));
        }
        if is_valid {
            append(bytes, row);
        }
    }
}

/// Length and bytes of a text.
fn append_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn hash_text(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_le_bytes());
    hasher.update(text);
}

/// Hash of the result files in a directory, read again in bounded memory.
///
/// # Errors
/// If a file is missing, damaged, or has other columns than the schema.
pub fn hash_run(directory: &Path) -> Result<ResultHash, OutputError> {
    let digests = |schema: &'static FileSchema| {
        let mut hashes = ColumnHashes::new(schema);
        read_batches(directory, schema, |batch| {
            hashes.update(batch);
            Ok(())
        })?;
        Ok(hashes.finish())
    };
    let optional = directory.join(OPTIONAL_FILE.file).exists().then_some(OPTIONAL_FILE);
    let files: Vec<Vec<Digest>> = FILES.into_iter().chain(optional).map(digests).collect::<Result<_, OutputError>>()?;
    Ok(ResultHash::combine(&files))
}

/// SHA-256 of some bytes in hexadecimal, for input files and scenarios.
pub fn sha256_hex(bytes: &[u8]) -> String {
    ResultHash(Sha256::digest(bytes).into()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answer() {
        // FIPS 180-4, "abc".
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b"abc"), hash);
    }
}
