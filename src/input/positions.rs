//! What a fund holds: one row per subnet and book.

use crate::input::InputError;
use crate::input::document::Document;
use crate::input::snapshot::Snapshot;
use crate::input::snapshot::SnapshotRow;
use crate::input::table::AMOUNT;
use crate::input::table::Column;
use crate::input::table::Kind;
use crate::input::table::Row;
use crate::input::table::Table;
use crate::input::table::is_amount;
use crate::portfolio::position::Book;
use crate::portfolio::position::Position;
use crate::units::NetUid;
use crate::units::SLOT_CAPACITY;

/// The sample book that is built into the program: 100 TAO in each of ten subnets.
const EMBEDDED: &str = include_str!("../../configs/sample-book.csv");

/// Book of a row that names none.
const BOOK_DEFAULT: &str = "main";

/// Largest take that the chain lets a validator set (fraction).
pub const TAKE_MAX: f64 = 0.18;

const SCHEMA: &[Column] = &[
    Column { name: "netuid", kind: Kind::Number, required: true },
    Column { name: "alpha", kind: Kind::Number, required: false },
    Column { name: "value_tao", kind: Kind::Number, required: false },
    Column { name: "take", kind: Kind::Number, required: false },
    Column { name: "cost_tao", kind: Kind::Number, required: false },
    Column { name: "book", kind: Kind::Text, required: false },
];

/// The positions built into the program, as a document.
pub fn embedded() -> Document {
    Document::embedded("sample-book.csv (built in)", EMBEDDED)
}

/// Reads books of positions in subnets of `snapshot`; `default_take` is for rows that give no take.
///
/// Books come in the order of their first rows, positions ascending by netuid.
///
/// # Errors
/// Whatever [`InputError`] says: the file, its columns, a cell, or a row that does not fit the others or the snapshot.
pub fn read_books(document: &Document, snapshot: &Snapshot, default_take: f64) -> Result<Vec<Book>, InputError> {
    let table = Table::read(document, SCHEMA)?;
    let mut books: Vec<Book> = Vec::new();
    for row in table.rows() {
        let position = read_position(&row, snapshot, default_take)?;
        let name = row.text("book").unwrap_or(BOOK_DEFAULT);
        let book = book_named(&mut books, name);
        if book.positions.iter().any(|other| other.netuid == position.netuid) {
            let netuid = position.netuid.0;
            return Err(row.problem(format!("netuid {netuid} is in book `{name}` already; add the two rows up")));
        }
        book.positions.push(position);
    }
    for book in &mut books {
        book.positions.sort_by_key(|position| position.netuid);
    }
    Ok(books)
}

fn book_named<'a>(books: &'a mut Vec<Book>, name: &str) -> &'a mut Book {
    let index = books.iter().position(|book| book.name == name).unwrap_or_else(|| {
        books.push(Book { name: name.to_owned(), positions: Vec::new() });
        books.len() - 1
    });
    &mut books[index]
}

fn read_position(row: &Row<'_>, snapshot: &Snapshot, default_take: f64) -> Result<Position, InputError> {
    let netuid = NetUid(row.whole("netuid", 1, SLOT_CAPACITY as u64)? as u16);
    let Some(subnet) = snapshot.subnet(netuid) else {
        let allowed = format!("one of the {} subnets of the snapshot", snapshot.subnets.len());
        return Err(row.cell("netuid", netuid.0.to_string(), &allowed));
    };
    let take = row.optional("take", "a fraction from 0 to 0.18", |take| (0.0..=TAKE_MAX).contains(&take))?;
    Ok(Position {
        netuid,
        alpha: read_alpha(row, subnet)?,
        take: take.unwrap_or(default_take),
        cost_tao: row.optional("cost_tao", AMOUNT, is_amount)?,
    })
}

/// Alpha held, from whichever of `alpha` and `value_tao` the row gives.
fn read_alpha(row: &Row<'_>, subnet: &SnapshotRow) -> Result<f64, InputError> {
    let allowed = "a finite number > 0; leave the row out to hold nothing";
    let is_allowed = |amount: f64| amount.is_finite() && amount > 0.0;
    let alpha = match (row.optional("alpha", allowed, is_allowed)?, row.optional("value_tao", allowed, is_allowed)?) {
        (Some(alpha), None) => alpha,
        (None, Some(value)) => value / subnet.price,
        (None, None) => return Err(row.problem("gives no amount; fill in either alpha or value_tao".to_owned())),
        (Some(_), Some(_)) => return Err(row.problem("gives alpha and value_tao; fill in only one".to_owned())),
    };
    let staked = subnet.alpha_staked_by_wallets;
    if alpha <= staked {
        return Ok(alpha);
    }
    let netuid = subnet.netuid;
    Err(row.problem(if staked == 0.0 {
        format!("holds {alpha:.6} alpha of netuid {netuid}, where nobody can stake before its owner starts it; leave it out")
    } else {
        format!("holds {alpha:.6} alpha of netuid {netuid}, more than is outstanding (at most {staked:.6}, all that wallets stake)")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Book>, InputError> {
        let snapshot = Snapshot::read(&Snapshot::embedded()).unwrap();
        let bytes = text.as_bytes().to_vec().into();
        read_books(&Document { name: "p.csv".to_owned(), path: None, bytes }, &snapshot, 0.17)
    }

    #[test]
    fn sample_book_is_100_tao_in_each_of_ten() {
        let snapshot = Snapshot::read(&Snapshot::embedded()).unwrap();
        let books = read_books(&embedded(), &snapshot, 0.18).unwrap();
        assert_eq!((books.len(), books[0].name.as_str()), (1, "main"));
        let netuids: Vec<u16> = books[0].positions.iter().map(|position| position.netuid.0).collect();
        assert_eq!(netuids, [3, 4, 16, 31, 47, 51, 64, 93, 107, 120]);
        for position in &books[0].positions {
            let value = position.alpha * snapshot.subnet(position.netuid).unwrap().price;
            assert!((value - 100.0).abs() < 1e-12, "{value}");
        }
    }

    #[test]
    fn books_keep_their_order_and_own_takes() {
        let text = "# a comment\n\u{20}netuid, alpha, value_tao, take, cost_tao, book\n\
                    64, 10, , 0.05, 1.5, blue\n4, , 7, , , red\n3, 1, , , , blue\n";
        let books = read(text).unwrap();
        assert_eq!(books.iter().map(|book| book.name.as_str()).collect::<Vec<_>>(), ["blue", "red"]);
        let blue = &books[0].positions;
        assert_eq!((blue[0].netuid, blue[0].take, blue[0].cost_tao), (NetUid(3), 0.17, None));
        assert_eq!((blue[1].netuid, blue[1].take, blue[1].cost_tao), (NetUid(64), 0.05, Some(1.5)));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_header() {
        assert_eq!(read("\u{feff}netuid,alpha\n4,1\n").unwrap()[0].positions[0].alpha, 1.0);
    }

    #[test]
    fn bad_rows_name_line_and_range() {
        let cases = [
            ("netuid,alpha\n4,-1\n", "p.csv:2: alpha = -1 (must be a finite number > 0"),
            ("netuid,alpha\n4,nan\n", "p.csv:2: alpha = NaN (must be a finite number > 0"),
            ("netuid,value_tao\n3,1\n4,inf\n", "p.csv:3: value_tao = inf (must be a finite number > 0"),
            ("netuid,alpha\n200,1\n", "p.csv:2: netuid = 200 (must be one of the 128 subnets of the snapshot)"),
            ("netuid,alpha\n4.5,1\n", "p.csv:2: netuid = 4.5 (must be a whole number from 1 to 256)"),
            ("netuid,alpha\n4,1\n4,2\n", "p.csv:3: netuid 4 is in book `main` already"),
            (
                "netuid,alpha\n4,1e7\n",
                "p.csv:2: holds 10000000.000000 alpha of netuid 4, more than is outstanding (at most 2873275.271120",
            ),
            ("netuid,alpha\n59,1\n", "p.csv:2: holds 1.000000 alpha of netuid 59, where nobody can stake"),
            ("netuid,alpha,take\n4,1,0.2\n", "p.csv:2: take = 0.2 (must be a fraction from 0 to 0.18)"),
            ("netuid,alpha,cost_tao\n4,1,-2\n", "p.csv:2: cost_tao = -2 (must be a finite number >= 0)"),
            ("netuid,alpha,value_tao\n4,1,1\n", "p.csv:2: gives alpha and value_tao; fill in only one"),
            ("netuid,alpha\n4,\n", "p.csv:2: gives no amount; fill in either alpha or value_tao"),
            ("netuid,alpha\n", "p.csv: has no rows"),
            ("", "p.csv: column `netuid` is missing"),
            (
                "netuid,amount\n4,1\n",
                "p.csv: unknown column `amount` (allowed: netuid, alpha, value_tao, take, cost_tao, book)",
            ),
        ];
        for (text, expected) in cases {
            let message = read(text).expect_err("the positions must be refused").to_string();
            assert!(message.starts_with(expected), "{text:?}: {message}");
        }
    }
}
