//! What the validators of one subnet think of its miners: a row and a column per uid, and the stakes behind the rows.
//!
//! | Column | Unit | Meaning |
//! |---|---|---|
//! | `stake` | any, one for all rows | stake of the row's uid that counts in consensus: alpha plus weighted root stake |
//! | `0`, `1`, ... | relative within the row | weight that the row's uid gives to this uid; an empty cell is 0 |
//! | `uid` (optional) | | uid of the row, for the reader; must count up from 0 |
//!
//! Row `k`, counted from 0, is uid `k`: as many rows as weight columns. Bonds are read from the same shape, in parts of
//! 65535.

use ndarray::Array2;

use crate::input::InputError;
use crate::input::document::Document;
use crate::input::table::AMOUNT;
use crate::input::table::Column;
use crate::input::table::Kind;
use crate::input::table::Row;
use crate::input::table::Table;
use crate::input::table::column_names;
use crate::input::table::is_amount;

/// Most uids of a matrix; the chain's default of `MaxAllowedUids`.
pub const UIDS_MAX: usize = 256;
/// Column of stakes where none is named.
pub const STAKE_COLUMN: &str = "stake";
/// Optional column of uids.
const UID_COLUMN: &str = "uid";

/// Weights with the stakes behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct StakedWeights {
    /// Stake of each uid, finite and at least 0.
    pub stake: Vec<f64>,
    /// Weight that the row's uid gives the column's, finite and at least 0.
    pub weights: Array2<f64>,
}

/// Reads weights and, from the column `stake_column`, stakes.
///
/// # Errors
/// Whatever [`InputError`] says: the file, its columns, a cell, or rows that are not one per uid.
pub fn read_staked_weights(document: &Document, stake_column: &str) -> Result<StakedWeights, InputError> {
    let (table, uids) = read_square(document, stake_column, true)?;
    let weights = cells(&table, &uids, |row, uid| row.optional(uid, AMOUNT, is_amount))?;
    Ok(StakedWeights { stake: stakes(&table, stake_column)?, weights })
}

/// Reads weights from a file that need not have stakes; a column [`STAKE_COLUMN`] is passed over.
///
/// # Errors
/// As [`read_staked_weights`].
pub fn read_weights(document: &Document) -> Result<Array2<f64>, InputError> {
    let (table, uids) = read_square(document, STAKE_COLUMN, false)?;
    cells(&table, &uids, |row, uid| row.optional(uid, AMOUNT, is_amount))
}

/// Reads stored bonds (parts of 65535) of `size` uids; a column [`STAKE_COLUMN`] is passed over.
///
/// # Errors
/// As [`read_staked_weights`], and where the file is of another size.
pub fn read_bonds(document: &Document, size: usize) -> Result<Array2<u16>, InputError> {
    let (table, uids) = read_square(document, STAKE_COLUMN, false)?;
    check_height(document, &table, size)?;
    let bond = |row: &Row<'_>, uid: &str| {
        let bond = row.optional_whole(uid, 0, u64::from(u16::MAX))?;
        Ok(bond.map(|bond| bond as f64))
    };
    Ok(cells(&table, &uids, bond)?.mapv(|bond| bond as u16))
}

/// Reads the stakes of `size` uids from a file of their own: a row per uid, a column [`STAKE_COLUMN`], optionally `uid`.
///
/// # Errors
/// As [`read_staked_weights`].
pub fn read_stakes(document: &Document, size: usize) -> Result<Vec<f64>, InputError> {
    let schema = [column(UID_COLUMN, false), column(STAKE_COLUMN, true)];
    let table = Table::read(document, &schema)?;
    check_height(document, &table, size)?;
    check_uids(&table)?;
    stakes(&table, STAKE_COLUMN)
}

fn column(name: &str, required: bool) -> Column<'_> {
    Column { name, kind: Kind::Number, required }
}

fn refused(document: &Document, problem: String) -> InputError {
    InputError::Table { file: document.name.clone(), problem }
}

/// A table of as many rows as weight columns, and the names of these in the order of uids.
fn read_square(document: &Document, stake: &str, required: bool) -> Result<(Table, Vec<String>), InputError> {
    let names = column_names(document)?;
    let uids = uid_columns(document, &names, stake)?;
    let mut schema = vec![column(UID_COLUMN, false), column(stake, required)];
    schema.extend(uids.iter().map(|uid| column(uid, true)));
    let table = Table::read(document, &schema)?;
    check_height(document, &table, uids.len())?;
    check_uids(&table)?;
    Ok((table, uids))
}

/// The names `0`, `1`, ... as many as the header has numbers.
fn uid_columns(document: &Document, names: &[String], stake: &str) -> Result<Vec<String>, InputError> {
    let is_uid = |name: &str| name.parse::<usize>().is_ok_and(|uid| uid.to_string() == name);
    let is_other = |name: &&String| *name != UID_COLUMN && *name != stake && !is_uid(name);
    if let Some(unknown) = names.iter().find(is_other) {
        let problem = format!(
            "unknown column `{unknown}` (allowed: {UID_COLUMN}, {stake} and one column of weights per uid, named 0, 1, ...)"
        );
        return Err(refused(document, problem));
    }
    let mut uids: Vec<&String> = names.iter().filter(|name| *name != stake && is_uid(name)).collect();
    uids.sort();
    uids.dedup();
    if !(1..=UIDS_MAX).contains(&uids.len()) {
        let problem = format!("has {} columns of weights (must be 1 to {UIDS_MAX}, named 0, 1, ...)", uids.len());
        return Err(refused(document, problem));
    }
    let expected: Vec<String> = (0..uids.len()).map(|uid| uid.to_string()).collect();
    match expected.iter().find(|uid| !uids.contains(uid)) {
        Some(missing) => {
            let problem = format!(
                "column `{missing}` is missing: {} columns of weights must be 0 to {}",
                uids.len(),
                uids.len() - 1
            );
            Err(refused(document, problem))
        }
        None => Ok(expected),
    }
}

fn check_height(document: &Document, table: &Table, size: usize) -> Result<(), InputError> {
    if table.height() == size {
        return Ok(());
    }
    Err(refused(
        document,
        format!("has {} rows for {size} uids (must be one row per uid, 0 to {})", table.height(), size - 1),
    ))
}

fn check_uids(table: &Table) -> Result<(), InputError> {
    for (index, row) in table.rows().enumerate() {
        let allowed = format!("{index}: a row per uid, in order from 0");
        row.optional(UID_COLUMN, &allowed, |uid| uid == index as f64)?;
    }
    Ok(())
}

fn stakes(table: &Table, column: &str) -> Result<Vec<f64>, InputError> {
    table.rows().map(|row| row.amount(column)).collect()
}

/// The cells of the columns `uids`, as `read` takes them; 0 where it finds none.
fn cells(
    table: &Table,
    uids: &[String],
    read: impl Fn(&Row<'_>, &str) -> Result<Option<f64>, InputError>,
) -> Result<Array2<f64>, InputError> {
    let mut matrix = Array2::zeros((table.height(), uids.len()));
    for (row, mut values) in table.rows().zip(matrix.rows_mut()) {
        for (uid, value) in uids.iter().zip(&mut values) {
            *value = read(&row, uid)?.unwrap_or(0.0);
        }
    }
    Ok(matrix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    fn document(text: &'static str) -> Document {
        Document::embedded("m.csv", text)
    }

    fn refusal(text: &'static str) -> String {
        read_staked_weights(&document(text), STAKE_COLUMN).unwrap_err().to_string()
    }

    #[test]
    fn columns_stand_in_any_order_and_empty_cells_are_zero() {
        let read = read_staked_weights(&document("1,stake,0,uid\n0.5,10,,0\n,20,7,1\n"), STAKE_COLUMN).unwrap();
        assert_eq!(read.stake, [10.0, 20.0]);
        assert_eq!(read.weights, arr2(&[[0.0, 0.5], [7.0, 0.0]]));
    }

    #[test]
    fn stakes_come_from_another_column_or_file() {
        let read = read_staked_weights(&document("power,0\n3,1\n"), "power").unwrap();
        assert_eq!(read.stake, [3.0]);
        assert_eq!(read_weights(&document("0\n1\n")).unwrap(), arr2(&[[1.0]]));
        assert_eq!(read_stakes(&document("stake,uid\n4,0\n5,1\n"), 2).unwrap(), [4.0, 5.0]);
        let short = read_stakes(&document("stake\n4\n"), 2).unwrap_err().to_string();
        assert_eq!(short, "m.csv: has 1 rows for 2 uids (must be one row per uid, 0 to 1)");
    }

    #[test]
    fn bonds_are_parts() {
        assert_eq!(read_bonds(&document("0,1\n,65535\n1,2\n"), 2).unwrap(), arr2(&[[0, 65_535], [1, 2]]));
        let large = read_bonds(&document("0\n65536\n"), 1).unwrap_err().to_string();
        assert_eq!(large, "m.csv:2: 0 = 65536 (must be a whole number from 0 to 65535)");
    }

    #[test]
    fn refusals_say_where_and_what_is_allowed() {
        for (text, expected) in [
            ("stake,0\n1,-1\n", "m.csv:2: 0 = -1 (must be a finite number >= 0)"),
            ("stake,0,1\n1,0,0\n1,NaN,0\n", "m.csv:3: 0 = NaN (must be a finite number >= 0)"),
            ("stake,0\n,1\n", "m.csv:2: stake = nothing (must be a finite number >= 0)"),
            ("stake,0\n1,x\n", "m.csv:2: 0 = `x` (must be a number)"),
            ("0\n1\n", "m.csv: column `stake` is missing"),
            ("stake,0,0\n1,1,1\n", "m.csv: column `0` appears twice; keep one"),
            ("stake\n1\n", "m.csv: has 0 columns of weights (must be 1 to 256, named 0, 1, ...)"),
            ("stake,0,2\n1,1,1\n", "m.csv: column `1` is missing: 2 columns of weights must be 0 to 1"),
            ("stake,0,1\n1,1,1\n", "m.csv: has 1 rows for 2 uids (must be one row per uid, 0 to 1)"),
            ("uid,stake,0\n1,1,1\n", "m.csv:2: uid = 1 (must be 0: a row per uid, in order from 0)"),
            ("stake,0\n1,1,1\n", "m.csv:2: not a whole CSV table: 3 comma-separated cells, but the header has 2"),
        ] {
            assert_eq!(refusal(text), expected, "{text}");
        }
        let unknown = refusal("stake,0,rank\n1,1,1\n");
        assert!(unknown.starts_with("m.csv: unknown column `rank` (allowed: uid, stake and one column"), "{unknown}");
    }
}
