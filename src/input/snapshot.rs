//! The chain at one block, as observed: one row per subnet.
//!
//! Required columns: `netuid`, `block`, `registration_block`, `tao_in` and `alpha_in` (pool reserves),
//! `miner_burned_fraction`, `emission_enabled` (0 or 1), `alpha_staked_by_wallets`, `alpha_protocol_owned`,
//! `alpha_burned`, `price` (spot, TAO per alpha). Optional: `name`, `moving_price`, `first_emission_block`,
//! `subnet_locked_tao`, `user_flow_average_tao_per_block` and `protocol_flow_average_tao_per_block` (averages of the flow
//! rules, not read by others). Any other column than those of the shipped file is refused, so that a misspelt one is not
//! silently left out. Amounts in TAO and alpha tokens, not in rao.

use serde::Serialize;

use crate::input::InputError;
use crate::input::document::Document;
use crate::input::table::AMOUNT;
use crate::input::table::Column;
use crate::input::table::Kind;
use crate::input::table::Row;
use crate::input::table::Table;
use crate::input::table::is_amount;
use crate::protocol::share_rules::FlowAverages;
use crate::units::NetUid;
use crate::units::SLOT_CAPACITY;
use crate::units::SUPPLY_CAP;

/// The snapshot that is built into the program: mainnet at block 9,184,186, 2026-09-30. See NOTICE for its source.
const EMBEDDED: &str = include_str!("../../configs/snapshot-2026-09-30.csv");

/// Pool weights that the chain allows are this and its complement, which bounds price times alpha over TAO.
const WEIGHT_MIN: f64 = 0.01;

/// Largest block number that is believed: 380 years of chain.
const BLOCK_MAX: u64 = 1_000_000_000;

const FRACTION: &str = "a fraction from 0 to 1";

/// Columns of a snapshot. Those after the flow averages may stand in the file and decide nothing.
const SCHEMA: &[Column] = &[
    required("netuid"),
    required("block"),
    required("registration_block"),
    required("tao_in"),
    required("alpha_in"),
    required("miner_burned_fraction"),
    required("emission_enabled"),
    required("alpha_staked_by_wallets"),
    required("alpha_protocol_owned"),
    required("alpha_burned"),
    required("price"),
    Column { name: "name", kind: Kind::Text, required: false },
    optional("moving_price"),
    optional("first_emission_block"),
    optional("subnet_locked_tao"),
    optional("user_flow_average_tao_per_block"),
    optional("protocol_flow_average_tao_per_block"),
    optional("tao_in_emission_per_block"),
    optional("alpha_issued"),
    optional("owner_alpha"),
    optional("owner_locked_alpha"),
];

const fn required(name: &'static str) -> Column<'static> {
    Column { name, kind: Kind::Number, required: true }
}

const fn optional(name: &'static str) -> Column<'static> {
    Column { name, kind: Kind::Number, required: false }
}

/// The chain at one block.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// Block after which this is the state.
    pub block: u64,
    /// Subnets, ascending by netuid.
    pub subnets: Vec<SnapshotRow>,
}

/// One subnet as observed. Fields are named as the columns of the file; amounts in TAO and alpha tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SnapshotRow {
    /// Slot, 1 to 256.
    pub netuid: u16,
    /// Name; empty where none is known.
    pub name: String,
    /// Block of the registration.
    pub registration_block: u64,
    /// Pool reserve (TAO), > 0.
    pub tao_in: f64,
    /// Pool reserve (alpha), > 0.
    pub alpha_in: f64,
    /// Withheld part of miner emission (fraction).
    pub miner_burned_fraction: f64,
    /// Whether root has enabled TAO emission.
    pub emission_enabled: bool,
    /// Alpha staked by wallets.
    pub alpha_staked_by_wallets: f64,
    /// Alpha bought by the chain, owned by nobody.
    pub alpha_protocol_owned: f64,
    /// Alpha burned in place.
    pub alpha_burned: f64,
    /// Spot price (TAO per alpha), > 0.
    pub price: f64,
    /// Moving price, where given.
    pub moving_price: Option<f64>,
    /// First block with emission, where given.
    pub first_emission_block: Option<u64>,
    /// TAO locked at registration (0 where not given).
    pub subnet_locked_tao: f64,
    /// Average net flow of users (TAO per block), where given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_flow_average_tao_per_block: Option<f64>,
    /// Average flow of the protocol (TAO per block), where given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_flow_average_tao_per_block: Option<f64>,
    /// TAO injected into the pool in the snapshot's block, where given: a witness of the share rule, not an input.
    #[serde(skip)]
    pub tao_in_emission_per_block: Option<f64>,
}

impl SnapshotRow {
    /// Alpha outside the pool.
    pub fn outstanding_alpha(&self) -> f64 {
        self.alpha_staked_by_wallets + self.alpha_protocol_owned + self.alpha_burned
    }

    /// Flow averages, where one is given; the other is 0 then.
    pub fn flow_averages(&self) -> Option<FlowAverages> {
        let (user, protocol) = (self.user_flow_average_tao_per_block, self.protocol_flow_average_tao_per_block);
        user.or(protocol)?;
        Some(FlowAverages { user: user.unwrap_or(0.0), protocol: protocol.unwrap_or(0.0) })
    }

    /// Whether start_call has happened: given, or seen by alpha outside the pool.
    pub fn is_started(&self) -> bool {
        self.first_emission_block.is_some() || self.outstanding_alpha() > 0.0
    }
}

impl Snapshot {
    /// Reads and checks a snapshot.
    ///
    /// # Errors
    /// Whatever [`InputError`] says: the file, its columns, a cell, or rows that do not fit together.
    pub fn read(document: &Document) -> Result<Self, InputError> {
        let table = Table::read(document, SCHEMA)?;
        let mut block = None;
        let mut subnets: Vec<SnapshotRow> = Vec::new();
        for row in table.rows() {
            let row_block = row.whole("block", 1, BLOCK_MAX)?;
            let first_block = *block.get_or_insert(row_block);
            if row_block != first_block {
                let problem = format!(
                    "block = {row_block}, but the first row is of block {first_block}; a snapshot is of one block"
                );
                return Err(row.problem(problem));
            }
            let subnet = read_row(&row, row_block)?;
            if subnets.iter().any(|other| other.netuid == subnet.netuid) {
                return Err(row.problem(format!("netuid {} stands in an earlier row already; keep one", subnet.netuid)));
            }
            subnets.push(subnet);
        }
        subnets.sort_by_key(|subnet| subnet.netuid);
        Ok(Self { block: block.unwrap_or_default(), subnets })
    }

    /// The snapshot built into the program, as a document.
    pub fn embedded() -> Document {
        Document::embedded("snapshot-2026-09-30.csv (built in)", EMBEDDED)
    }

    /// The row of a netuid.
    pub fn subnet(&self, netuid: NetUid) -> Option<&SnapshotRow> {
        let index = self.subnets.binary_search_by_key(&netuid.0, |subnet| subnet.netuid);
        index.ok().map(|index| &self.subnets[index])
    }
}

fn read_row(row: &Row<'_>, block: u64) -> Result<SnapshotRow, InputError> {
    let registration_block = row.whole("registration_block", 0, block)?;
    let subnet = SnapshotRow {
        netuid: row.whole("netuid", 1, SLOT_CAPACITY as u64)? as u16,
        name: row.text("name").unwrap_or_default().to_owned(),
        registration_block,
        tao_in: positive(row, "tao_in")?,
        alpha_in: positive(row, "alpha_in")?,
        miner_burned_fraction: row.required("miner_burned_fraction", FRACTION, is_fraction)?,
        emission_enabled: row.whole("emission_enabled", 0, 1)? == 1,
        alpha_staked_by_wallets: row.amount("alpha_staked_by_wallets")?,
        alpha_protocol_owned: row.amount("alpha_protocol_owned")?,
        alpha_burned: row.amount("alpha_burned")?,
        price: positive(row, "price")?,
        moving_price: row.optional("moving_price", "from 0 to 1 TAO", is_fraction)?,
        first_emission_block: row.optional_whole("first_emission_block", registration_block + 1, block + 1)?,
        subnet_locked_tao: row.optional("subnet_locked_tao", AMOUNT, is_amount)?.unwrap_or(0.0),
        user_flow_average_tao_per_block: flow_average(row, "user_flow_average_tao_per_block")?,
        protocol_flow_average_tao_per_block: flow_average(row, "protocol_flow_average_tao_per_block")?,
        tao_in_emission_per_block: row.optional("tao_in_emission_per_block", AMOUNT, is_amount)?,
    };
    check_supply(row, &subnet)?;
    check_price(row, &subnet)?;
    Ok(subnet)
}

fn positive(row: &Row<'_>, column: &str) -> Result<f64, InputError> {
    row.required(column, "a finite number > 0", |value| value.is_finite() && value > 0.0)
}

fn flow_average(row: &Row<'_>, column: &str) -> Result<Option<f64>, InputError> {
    row.optional(column, "a finite number (TAO per block)", f64::is_finite)
}

fn is_fraction(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

fn check_supply(row: &Row<'_>, subnet: &SnapshotRow) -> Result<(), InputError> {
    let issuance = subnet.alpha_in + subnet.outstanding_alpha();
    if issuance <= SUPPLY_CAP {
        return Ok(());
    }
    Err(row.problem(format!(
        "alpha_in + alpha_staked_by_wallets + alpha_protocol_owned + alpha_burned = {issuance} \
         (must be at most {SUPPLY_CAP}, in alpha tokens)"
    )))
}

/// The price is `w_alpha / w_tao * tao_in / alpha_in`, and the chain bounds the weights.
fn check_price(row: &Row<'_>, subnet: &SnapshotRow) -> Result<(), InputError> {
    let ratio_max = (1.0 - WEIGHT_MIN) / WEIGHT_MIN;
    let ratio = subnet.price * subnet.alpha_in / subnet.tao_in;
    if ratio <= ratio_max && ratio * ratio_max >= 1.0 {
        return Ok(());
    }
    Err(row.problem(format!(
        "price = {} is {ratio:.3e} times tao_in / alpha_in (must be 1/{ratio_max:.0} to {ratio_max:.0} times; \
         amounts in TAO and alpha tokens, not in rao)",
        subnet.price
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "netuid,block,registration_block,tao_in,alpha_in,miner_burned_fraction,emission_enabled,\
                          alpha_staked_by_wallets,alpha_protocol_owned,alpha_burned,price";

    fn read(rows: &str) -> Result<Snapshot, InputError> {
        let text = format!("{HEADER}\n{rows}\n");
        Snapshot::read(&Document { name: "s.csv".to_owned(), path: None, bytes: text.into_bytes().into() })
    }

    fn message(rows: &str) -> String {
        read(rows).expect_err("the snapshot must be refused").to_string()
    }

    #[test]
    fn shipped_snapshot_is_complete() {
        let snapshot = Snapshot::read(&Snapshot::embedded()).unwrap();
        assert_eq!((snapshot.block, snapshot.subnets.len()), (9_184_186, 128));
        let not_started: Vec<u16> =
            snapshot.subnets.iter().filter(|subnet| !subnet.is_started()).map(|subnet| subnet.netuid).collect();
        assert_eq!(not_started, [59, 86, 108]);
        let targon = snapshot.subnet(NetUid(4)).unwrap();
        assert_eq!((targon.name.as_str(), targon.tao_in), ("Targon", 133_983.301_190_101));
        assert_eq!(targon.tao_in_emission_per_block, Some(0.007_049_5));
    }

    #[test]
    fn rows_are_sorted_and_flags_may_be_words() {
        let snapshot = read("2,100,7,10,20,0,true,1,0,0,0.5\n1,100,7,10,20,0,0,1,0,0,0.5").unwrap();
        assert_eq!(snapshot.subnets.iter().map(|subnet| subnet.netuid).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(snapshot.subnets.iter().map(|subnet| subnet.emission_enabled).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn bad_cells_name_line_column_and_range() {
        let cases = [
            ("0,100,7,10,20,0,1,1,0,0,0.5", "s.csv:2: netuid = 0 (must be a whole number from 1 to 256)"),
            ("257,100,7,10,20,0,1,1,0,0,0.5", "s.csv:2: netuid = 257 (must be a whole number from 1 to 256)"),
            ("1,100,101,10,20,0,1,1,0,0,0.5", "registration_block = 101 (must be a whole number from 0 to 100)"),
            ("1,100,7,-10,20,0,1,1,0,0,0.5", "tao_in = -10 (must be a finite number > 0)"),
            ("1,100,7,10,NaN,0,1,1,0,0,0.5", "alpha_in = NaN (must be a finite number > 0)"),
            ("1,100,7,10,20,1.5,1,1,0,0,0.5", "miner_burned_fraction = 1.5 (must be a fraction from 0 to 1)"),
            ("1,100,7,10,20,0,2,1,0,0,0.5", "emission_enabled = 2 (must be a whole number from 0 to 1)"),
            ("1,100,7,10,20,0,1,inf,0,0,0.5", "alpha_staked_by_wallets = inf (must be a finite number >= 0)"),
            ("1,100,7,10,20,0,1,,0,0,0.5", "alpha_staked_by_wallets = nothing (must be a finite number >= 0)"),
            ("1,100,7,10,20,0,1,x,0,0,0.5", "alpha_staked_by_wallets = `x` (must be a number)"),
            ("1,100,7,10,20,0,1,1,0,0,500", "price = 500 is 1.000e3 times tao_in / alpha_in"),
            ("1,100,7,1e8,2e8,0,1,1,0,0,0.5", "(must be at most 21000000, in alpha tokens)"),
        ];
        for (row, expected) in cases {
            assert!(message(row).contains(expected), "{row}: {}", message(row));
        }
    }

    #[test]
    fn rows_must_fit_together() {
        let row = "1,100,7,10,20,0,1,1,0,0,0.5";
        let twice = message(&format!("{row}\n{row}"));
        assert_eq!(twice, "s.csv:3: netuid 1 stands in an earlier row already; keep one");
        let other_block = message(&format!("{row}\n2,101,7,10,20,0,1,1,0,0,0.5"));
        assert!(other_block.starts_with("s.csv:3: block = 101, but the first row is of block 100"), "{other_block}");
        assert!(message("").contains("s.csv: has no rows"));
        assert!(
            message("1,100,7")
                .contains("s.csv:2: not a whole CSV table: 3 comma-separated cells, but the header has 11")
        );
    }

    #[test]
    fn columns_are_known_and_complete() {
        let refuse = |text: &'static str| Snapshot::read(&Document::embedded("s.csv", text)).unwrap_err().to_string();
        assert!(
            refuse("netuid,colour\n1,red\n").starts_with("s.csv: unknown column `colour` (allowed: netuid, block,")
        );
        assert_eq!(refuse("netuid\n1\n"), "s.csv: column `block` is missing");
        assert_eq!(refuse("netuid,netuid\n1,1\n"), "s.csv: column `netuid` appears twice; keep one");
    }
}
