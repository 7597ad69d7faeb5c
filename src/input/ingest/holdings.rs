//! Records of stakes to the rows of a positions file: one for each book and netuid.

use crate::input::InputError;
use crate::input::ingest::Request;
use crate::input::ingest::SourceFile;
use crate::input::ingest::chain::netuid;
use crate::input::ingest::columns::Cell;
use crate::input::ingest::columns::Origin;
use crate::input::ingest::columns::Row;
use crate::input::ingest::columns::read_row;
use crate::input::ingest::forms::IngestKind;
use crate::input::ingest::forms::Unit;
use crate::input::ingest::report::Report;
use crate::input::ingest::units::convert_positions;

/// The rows of a positions file, in the order of their first records.
///
/// Stakes of one netuid with several validators are added up, book by book.
///
/// # Errors
/// A record that is refused, or stakes that cannot be added up.
pub(super) fn assemble(
    files: &[SourceFile],
    request: &Request<'_>,
    report: &mut Report,
) -> Result<Vec<Row>, InputError> {
    let mut rows = Vec::new();
    let mut on_root = Vec::new();
    for (index, file) in files.iter().enumerate() {
        for record in &file.records {
            let row = read_row(record, index, &file.rules)?;
            if netuid(record, &row)?.is_some() { rows.push(row) } else { on_root.push(row) }
        }
    }
    drop_root(on_root, report);
    convert_positions(&mut rows)?;
    for row in &mut rows {
        for (spec, value) in &request.constants(IngestKind::Positions)? {
            row.fill(spec.name, Cell { value: value.clone(), unit: Unit::Token, origin: Origin::Constant });
        }
    }
    let all = rows.len();
    rows.retain(|row| !holds_nothing(row));
    report.drop("records of nothing held", all - rows.len());
    let mut added: Vec<Row> = Vec::new();
    for row in rows {
        match added.iter_mut().find(|other| is_same_position(other, &row)) {
            Some(position) => {
                add(position, &row)?;
                report.drop("records added to another of the same netuid and book", 1);
            }
            None => added.push(row),
        }
    }
    Ok(added)
}

/// Stake on root is no position in a subnet; what it comes to is told.
fn drop_root(mut rows: Vec<Row>, report: &mut Report) {
    if rows.is_empty() {
        return;
    }
    report.drop("records of stake on root (netuid 0), which is no subnet", rows.len());
    if convert_positions(&mut rows).is_ok() {
        let total: f64 = rows.iter().filter_map(amount).sum();
        report.remarks.push(format!("{total:.6} TAO staked on root are left out"));
    }
}

fn holds_nothing(row: &Row) -> bool {
    amount(row) == Some(0.0)
}

fn amount(row: &Row) -> Option<f64> {
    row.number("alpha").or_else(|| row.number("value_tao"))
}

fn is_same_position(one: &Row, other: &Row) -> bool {
    one.number("netuid") == other.number("netuid") && one.text("book") == other.text("book")
}

/// Adds up two stakes. The take becomes the mean by amount, which is what their dividends come to.
fn add(position: &mut Row, row: &Row) -> Result<(), InputError> {
    let unlike = |column: &str| {
        row.problem(format!("gives {column}, or does not, unlike {} of the same netuid and book", position.place))
    };
    for column in ["alpha", "value_tao", "take", "cost_tao"] {
        if position.cells.contains_key(column) != row.cells.contains_key(column) {
            return Err(unlike(column));
        }
    }
    let (held, more) = (amount(position).unwrap_or(0.0), amount(row).unwrap_or(0.0));
    if let (Some(one), Some(other)) = (position.number("take"), row.number("take")) {
        let take = if one == other { one } else { (one * held + other * more) / (held + more) };
        position.cells.insert("take", Cell::number(take, Origin::Derived));
    }
    for column in ["alpha", "value_tao", "cost_tao"] {
        if let (Some(one), Some(other)) = (position.number(column), row.number(column)) {
            let origin = position.cells[column].origin;
            position.cells.insert(column, Cell::number(one + other, origin));
        }
    }
    Ok(())
}
