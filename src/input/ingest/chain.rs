//! Records of subnets to the rows of a snapshot: joined by netuid, at one block, filled and checked.

use std::collections::BTreeMap;

use crate::input::InputError;
use crate::input::ingest::Request;
use crate::input::ingest::SourceFile;
use crate::input::ingest::columns::Cell;
use crate::input::ingest::columns::OUTSTANDING;
use crate::input::ingest::columns::Origin;
use crate::input::ingest::columns::Row;
use crate::input::ingest::columns::columns;
use crate::input::ingest::columns::read_row;
use crate::input::ingest::forms::IngestKind;
use crate::input::ingest::forms::STARTUP_FIELD;
use crate::input::ingest::forms::Unit;
use crate::input::ingest::record::Record;
use crate::input::ingest::record::Value;
use crate::input::ingest::report::Report;
use crate::input::ingest::units::convert_snapshot;
use crate::input::snapshot::Snapshot;
use crate::input::snapshot::SnapshotRow;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;
use crate::units::SLOT_CAPACITY;

/// Blocks that pools of one snapshot may lie apart: an hour, in which a pool moves by a percent.
const POOL_SPREAD_MAX: f64 = 300.0;

/// Blocks that what moves slowly may be older than the pools.
const RECORD_SPREAD_MAX: f64 = BLOCKS_PER_DAY as f64;

/// A slot whose alpha falls below this part of what the base has is another subnet's: alpha is hardly ever destroyed.
const ISSUANCE_FALL_MAX: f64 = 0.5;

/// Prices further than this from `tao_in / alpha_in` are remarked on; pools with other weights than 1/2 have them.
const PRICE_GAP: f64 = 0.1;

/// Pools of a network hold more than this in all (TAO).
const NETWORK_TAO_MIN: f64 = 1e5;

/// Columns that every row must have.
pub(super) const REQUIRED: [&str; 11] = [
    "netuid",
    "block",
    "registration_block",
    "tao_in",
    "alpha_in",
    "miner_burned_fraction",
    "emission_enabled",
    "alpha_staked_by_wallets",
    "alpha_protocol_owned",
    "alpha_burned",
    "price",
];

/// The rows of a snapshot, ascending by netuid.
///
/// # Errors
/// A record or a column that is refused; rows that lack what nothing fills.
pub(super) fn assemble(
    files: &[SourceFile],
    request: &Request<'_>,
    report: &mut Report,
) -> Result<Vec<Row>, InputError> {
    let mut rows = Vec::new();
    for (index, file) in files.iter().enumerate() {
        rows.extend(read_file(index, file, report)?);
    }
    convert_snapshot(&mut rows)?;
    let block = find_block(&mut rows, request, files)?;
    let mut rows = join(rows, files, report)?;
    for row in &mut rows {
        row.cells.insert("block", block.clone());
        if let Some(base) = request.base {
            fill_from_base(row, base, report);
        }
        for (spec, value) in &request.constants(IngestKind::Snapshot)? {
            row.fill(spec.name, Cell { value: value.clone(), unit: Unit::Token, origin: Origin::Constant });
        }
        derive(row)?;
    }
    refuse_missing(&rows, files)?;
    report.block = rows.first().and_then(|row| row.number("block")).map(|block| block as u64);
    report.remarks.extend(remarks(&rows, request.base));
    Ok(rows)
}

fn read_file(index: usize, file: &SourceFile, report: &mut Report) -> Result<Vec<Row>, InputError> {
    let mut rows: Vec<Row> = Vec::new();
    let mut places: BTreeMap<u16, String> = BTreeMap::new();
    for record in &file.records {
        let mut row = read_row(record, index, &file.rules)?;
        let Some(netuid) = netuid(record, &row)? else {
            report.drop("records of netuid 0 (root has no pool)", 1);
            continue;
        };
        if let Some(place) = places.insert(netuid, record.place.clone()) {
            return Err(record.problem(format!("netuid {netuid} stands in {place} already; keep one")));
        }
        if record.number(STARTUP_FIELD)? == Some(1.0) && row.cells.remove("price").is_some() {
            report.drop("prices of subnets in start-up, which are no market's", 1);
        }
        rows.push(row);
    }
    Ok(rows)
}

/// The netuid of a record; `None` for root.
///
/// # Errors
/// None, or one that is no slot.
pub(super) fn netuid(record: &Record, row: &Row) -> Result<Option<u16>, InputError> {
    let allowed = format!("a whole number from 1 to {SLOT_CAPACITY}, or 0 for root");
    let Some(netuid) = row.number("netuid") else {
        return Err(record.cell("netuid", "nothing".to_owned(), &allowed));
    };
    if !(netuid.fract() == 0.0 && (0.0..=SLOT_CAPACITY as f64).contains(&netuid)) {
        return Err(record.cell("netuid", netuid.to_string(), &allowed));
    }
    Ok((netuid > 0.0).then_some(netuid as u16))
}

/// The block of the snapshot: the newest of its pools, or the one that is asked for where the files have none.
fn find_block(rows: &mut [Row], request: &Request<'_>, files: &[SourceFile]) -> Result<Cell, InputError> {
    let pool_blocks = rows.iter().filter(|row| row.cells.contains_key("tao_in")).filter_map(|row| row.number("block"));
    let newest = pool_blocks.reduce(f64::max);
    let constants = request.constants(IngestKind::Snapshot)?;
    let constant = constants.iter().find(|(spec, _)| spec.name == "block").map(|(_, value)| value);
    let block = match (newest, request.block, constant) {
        (Some(newest), Some(asked), _) if newest != asked as f64 => {
            let problem = format!("is of block {newest}, not {asked}; leave --block out");
            return Err(InputError::Table { file: files[0].name.clone(), problem });
        }
        (Some(newest), _, _) => return checked_block(rows, newest),
        (None, Some(asked), _) => Value::Number(asked as f64),
        (None, None, Some(constant)) => constant.clone(),
        (None, None, None) => {
            let problem = "does not say of which block it is; give --block N".to_owned();
            return Err(InputError::Table { file: files[0].name.clone(), problem });
        }
    };
    Ok(Cell { value: block, unit: Unit::Token, origin: Origin::Constant })
}

/// Refuses rows that lie too far from the newest.
fn checked_block(rows: &[Row], newest: f64) -> Result<Cell, InputError> {
    for row in rows {
        let spread = if row.cells.contains_key("tao_in") { POOL_SPREAD_MAX } else { RECORD_SPREAD_MAX };
        match row.number("block") {
            Some(block) if !((block - newest).abs() <= spread) => {
                let allowed =
                    format!("within {spread} blocks of {newest}, the newest pool's; a snapshot is of one block");
                return Err(row.cell_problem("block", block, &allowed));
            }
            _ => {}
        }
    }
    Ok(Cell::number(newest, Origin::Source))
}

/// One row for each netuid; what an earlier file says goes before what a later one says.
fn join(rows: Vec<Row>, files: &[SourceFile], report: &mut Report) -> Result<Vec<Row>, InputError> {
    let mut joined: BTreeMap<u16, Row> = BTreeMap::new();
    for row in rows {
        let netuid = row.number("netuid").unwrap_or_default() as u16;
        match joined.get_mut(&netuid) {
            None => {
                joined.insert(netuid, row);
            }
            Some(first) => join_row(first, row, netuid, files, report)?,
        }
    }
    Ok(joined.into_values().collect())
}

fn join_row(
    first: &mut Row,
    row: Row,
    netuid: u16,
    files: &[SourceFile],
    report: &mut Report,
) -> Result<(), InputError> {
    if let (Some(one), Some(other)) = (first.number("registration_block"), row.number("registration_block"))
        && one != other
    {
        return Err(row.problem(format!(
            "netuid {netuid} was registered at block {other}, but at {one} in {}: two subnets of one slot",
            first.place
        )));
    }
    for (column, cell) in row.cells {
        match first.cells.get(column) {
            None => {
                first.cells.insert(column, cell);
            }
            Some(kept) if kept.value != cell.value && !["netuid", "block"].contains(&column) => {
                let (file, earlier) = (&files[row.file].name, &files[first.file].name);
                report.drop(format!("cells of {column} in {file}, which {earlier} has before it"), 1);
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Fills what the row lacks from the same subnet in the base.
fn fill_from_base(row: &mut Row, base: &Snapshot, report: &mut Report) {
    let netuid = row.number("netuid").unwrap_or_default() as u16;
    let Some(subnet) = base.subnet(NetUid(netuid)) else {
        report.remarks.push(format!("netuid {netuid} is not in the base"));
        return;
    };
    if let Some(reason) = other_subnet(row, subnet) {
        report
            .remarks
            .push(format!("netuid {netuid} is another subnet than the base's ({reason}): not filled from it"));
        return;
    }
    for spec in columns(IngestKind::Snapshot).iter().filter(|spec| spec.from_base) {
        if let Some(value) = base_value(subnet, spec.name) {
            row.fill(spec.name, Cell { value, unit: Unit::Token, origin: Origin::Base });
        }
    }
}

/// Why the row cannot be the base's subnet.
fn other_subnet(row: &Row, subnet: &SnapshotRow) -> Option<String> {
    let registered_at = subnet.registration_block;
    if let Some(block) = row.number("registration_block") {
        return (block != registered_at as f64).then(|| format!("registered at block {block}, not {registered_at}"));
    }
    let outstanding = row.number(OUTSTANDING).or_else(|| row.number("alpha_staked_by_wallets")).unwrap_or(0.0);
    let issuance = row.number("alpha_in").unwrap_or(0.0) + outstanding;
    let before = subnet.alpha_in + subnet.outstanding_alpha();
    (!(issuance >= ISSUANCE_FALL_MAX * before)).then(|| format!("its alpha fell from {before:.0} to {issuance:.0}"))
}

fn base_value(subnet: &SnapshotRow, column: &str) -> Option<Value> {
    let number = match column {
        "name" => return (!subnet.name.is_empty()).then(|| Value::Text(subnet.name.clone())),
        "registration_block" => subnet.registration_block as f64,
        "miner_burned_fraction" => subnet.miner_burned_fraction,
        "emission_enabled" => f64::from(u8::from(subnet.emission_enabled)),
        "alpha_protocol_owned" => subnet.alpha_protocol_owned,
        "alpha_burned" => subnet.alpha_burned,
        "first_emission_block" => subnet.first_emission_block? as f64,
        "subnet_locked_tao" if subnet.subnet_locked_tao > 0.0 => subnet.subnet_locked_tao,
        _ => return None,
    };
    Some(Value::Number(number))
}

/// Computes what follows from other columns: the price of a pool with equal weights, and what wallets stake.
fn derive(row: &mut Row) -> Result<(), InputError> {
    if let (Some(tao), Some(alpha)) = (row.number("tao_in"), row.number("alpha_in")) {
        row.fill("price", Cell::number(tao / alpha, Origin::Derived));
    }
    let parts = ["alpha_protocol_owned", "alpha_burned"].map(|column| row.number(column));
    if let (Some(outstanding), [Some(protocol), Some(burned)]) = (row.number(OUTSTANDING), parts)
        && !row.cells.contains_key("alpha_staked_by_wallets")
    {
        let staked = outstanding - protocol - burned;
        if !(staked >= 0.0) {
            return Err(row.problem(format!(
                "{outstanding} alpha outside the pool is less than the {protocol} owned by the protocol and {burned} burned \
                 that the base or the mapping has; give a base nearer in time"
            )));
        }
        row.fill("alpha_staked_by_wallets", Cell::number(staked, Origin::Derived));
    }
    Ok(())
}

fn refuse_missing(rows: &[Row], files: &[SourceFile]) -> Result<(), InputError> {
    let mut missing = Vec::new();
    for column in REQUIRED {
        let without: Vec<String> = rows
            .iter()
            .filter(|row| !row.cells.contains_key(column))
            .map(|row| row.number("netuid").unwrap_or_default().to_string())
            .collect();
        match without.len() {
            0 => {}
            count if count == rows.len() => missing.push(format!("{column} (of every netuid)")),
            _ => missing.push(format!("{column} (of netuid {})", without.join(", "))),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names = files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
    let problem = format!(
        "nothing gives {}; add another FILE that has it, --base SNAPSHOT, or a field or constant in a --mapping",
        missing.join("; ")
    );
    Err(InputError::Table { file: names, problem })
}

/// What a reader should look at.
fn remarks(rows: &[Row], base: Option<&Snapshot>) -> Vec<String> {
    let mut remarks = Vec::new();
    let netuid = |row: &Row| row.number("netuid").unwrap_or_default() as u16;
    let netuids: Vec<u16> = rows.iter().map(netuid).collect();
    let last = netuids.last().copied().unwrap_or(0);
    let absent: Vec<String> =
        (1..=last).filter(|netuid| !netuids.contains(netuid)).map(|netuid| netuid.to_string()).collect();
    if !absent.is_empty() {
        remarks.push(format!("no record of netuid {}", absent.join(", ")));
    }
    let apart = rows.iter().filter(|row| price_gap(row).is_some_and(|gap| gap > PRICE_GAP));
    let apart: Vec<String> = apart.map(|row| netuid(row).to_string()).collect();
    if !apart.is_empty() {
        remarks.push(format!("price is more than 10 % off tao_in / alpha_in: netuid {}", apart.join(", ")));
    }
    let total: f64 = rows.iter().filter_map(|row| row.number("tao_in")).sum();
    if !(total >= NETWORK_TAO_MIN) {
        remarks.push(format!("pools hold {total:.0} TAO in all: a part of the network?"));
    }
    if let Some(block) = rows.first().and_then(|row| row.number("block")) {
        remarks.push(format!("a scenario on this snapshot needs its [chain] at block {block} too"));
    }
    if let (Some(base), Some(block)) = (base, rows.first().and_then(|row| row.number("block"))) {
        let days = (block - base.block as f64) / BLOCKS_PER_DAY as f64;
        if days != 0.0 {
            remarks.push(format!("the base is {:.1} days {}", days.abs(), if days > 0.0 { "older" } else { "newer" }));
        }
        let gone = base.subnets.iter().filter(|subnet| subnet.netuid > last).map(|subnet| subnet.netuid.to_string());
        let gone: Vec<String> = gone.collect();
        if !gone.is_empty() {
            remarks.push(format!("the base has netuid {}, the files do not", gone.join(", ")));
        }
    }
    remarks
}

fn price_gap(row: &Row) -> Option<f64> {
    Some((row.number("price")? * row.number("alpha_in")? / row.number("tao_in")? - 1.0).abs())
}
