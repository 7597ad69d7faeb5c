//! The forms that people have: which field of which form is which canonical column, and in which unit.
//!
//! | Form | What | Source of the field names |
//! |---|---|---|
//! | taostats | answers of `dtao/pool/latest`, `subnet/latest`, `dtao/stake_balance/latest` | taostat/taostats-docs, `reference/Taostats` |
//! | btcli | `btcli subnets list --json-output`, `btcli stake list --json-output` | opentensor/btcli, `subnets.py`, `stake/list.py` |
//! | sdk | dumps of `DynamicInfo` and `StakeInfo` | opentensor/bittensor, `core/chain_data` |
//! | table | canonical names; alpha outside the pool also as `alpha_out` | [`crate::input::snapshot`], [`crate::input::positions`] |

use std::collections::BTreeSet;

/// What a file is made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngestKind {
    /// A snapshot of the chain.
    Snapshot,
    /// Positions.
    Positions,
}

impl IngestKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Positions => "positions",
        }
    }
}

/// Who wrote a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The API of taostats.
    Taostats,
    /// The command line of Bittensor.
    Btcli,
    /// The Python library of Bittensor.
    Sdk,
    /// Anybody: canonical names, or a mapping.
    Table,
}

impl Form {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Taostats => "taostats",
            Self::Btcli => "btcli",
            Self::Sdk => "sdk",
            Self::Table => "table",
        }
    }

    /// The form that fields of these names are of.
    pub(super) fn of(fields: &BTreeSet<&str>) -> Self {
        let has = |names: &[&str]| names.iter().any(|name| fields.contains(name));
        if has(&["alpha_in_pool", "total_tao", "tao_in_pool", "balance_as_tao", "registration_block_number"]) {
            Self::Taostats
        } else if has(&["liquidity.tao_in", "stake_value"]) {
            Self::Btcli
        } else if has(&["network_registered_at", "hotkey_ss58", "blocks_since_last_step"]) {
            Self::Sdk
        } else {
            Self::Table
        }
    }

    /// What the form knows of a kind of file.
    pub(super) fn rules(self, kind: IngestKind) -> &'static [Rule] {
        match (self, kind) {
            (Self::Taostats, IngestKind::Snapshot) => TAOSTATS_SNAPSHOT,
            (Self::Taostats, IngestKind::Positions) => TAOSTATS_POSITIONS,
            (Self::Btcli, IngestKind::Snapshot) => BTCLI_SNAPSHOT,
            (Self::Btcli, IngestKind::Positions) => BTCLI_POSITIONS,
            (Self::Sdk, IngestKind::Snapshot) => SDK_SNAPSHOT,
            (Self::Sdk, IngestKind::Positions) => SDK_POSITIONS,
            (Self::Table, IngestKind::Snapshot) => TABLE_SNAPSHOT,
            (Self::Table, IngestKind::Positions) => TABLE_POSITIONS,
        }
    }
}

/// Unit of an amount in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// TAO or alpha tokens; for what is no amount, as it stands.
    Token,
    /// 1e-9 of them.
    Rao,
    /// Found by plausibility.
    Unknown,
}

/// A field that a canonical column is read from. Of several for one column, the first that a record has counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Canonical column.
    pub column: &'static str,
    /// Field.
    pub field: &'static str,
    /// Unit of its values.
    pub unit: Unit,
}

const fn plain(column: &'static str, field: &'static str) -> Rule {
    Rule { column, field, unit: Unit::Token }
}

const fn rao(column: &'static str, field: &'static str) -> Rule {
    Rule { column, field, unit: Unit::Rao }
}

const fn amount(column: &'static str, field: &'static str) -> Rule {
    Rule { column, field, unit: Unit::Unknown }
}

/// Field of taostats that says that a pool's price is not a market's.
pub(super) const STARTUP_FIELD: &str = "startup_mode";

const TAOSTATS_SNAPSHOT: &[Rule] = &[
    plain("netuid", "netuid"),
    plain("name", "name"),
    plain("block", "block_number"),
    plain("registration_block", "registration_block_number"),
    rao("tao_in", "total_tao"),
    rao("tao_in", "tao_in_pool"),
    rao("alpha_in", "alpha_in_pool"),
    plain("miner_burned_fraction", "incentive_burn"),
    rao("alpha_staked_by_wallets", "alpha_staked"),
    plain("price", "price"),
    rao("user_flow_average_tao_per_block", "ema_tao_flow"),
];

const TAOSTATS_POSITIONS: &[Rule] = &[plain("netuid", "netuid"), rao("alpha", "balance")];

/// Its `emission` is left out: of the whole subnet in older versions, of the pool in newer ones.
const BTCLI_SNAPSHOT: &[Rule] = &[
    plain("netuid", "netuid"),
    plain("name", "subnet_name"),
    plain("tao_in", "liquidity.tao_in"),
    plain("alpha_in", "liquidity.alpha_in"),
    plain("outstanding_alpha", "alpha_out"),
    plain("price", "price"),
];

const BTCLI_POSITIONS: &[Rule] = &[plain("netuid", "netuid"), plain("alpha", "stake_value")];

/// Balances stand there as rao, as tokens, as text with the sign of the unit, or as objects, by who made the dump.
const SDK_SNAPSHOT: &[Rule] = &[
    plain("netuid", "netuid"),
    plain("name", "subnet_name"),
    plain("block", "block"),
    plain("registration_block", "network_registered_at"),
    amount("tao_in", "tao_in"),
    rao("tao_in", "tao_in.rao"),
    plain("tao_in", "tao_in.tao"),
    amount("alpha_in", "alpha_in"),
    rao("alpha_in", "alpha_in.rao"),
    plain("alpha_in", "alpha_in.tao"),
    amount("tao_in_emission_per_block", "tao_in_emission"),
    rao("tao_in_emission_per_block", "tao_in_emission.rao"),
    plain("tao_in_emission_per_block", "tao_in_emission.tao"),
    amount("outstanding_alpha", "alpha_out"),
    rao("outstanding_alpha", "alpha_out.rao"),
    plain("outstanding_alpha", "alpha_out.tao"),
    amount("price", "price"),
    rao("price", "price.rao"),
    plain("price", "price.tao"),
    plain("moving_price", "moving_price"),
];

const SDK_POSITIONS: &[Rule] =
    &[plain("netuid", "netuid"), amount("alpha", "stake"), rao("alpha", "stake.rao"), plain("alpha", "stake.tao")];

const TABLE_SNAPSHOT: &[Rule] = &[
    plain("netuid", "netuid"),
    plain("name", "name"),
    plain("block", "block"),
    plain("registration_block", "registration_block"),
    amount("tao_in", "tao_in"),
    amount("alpha_in", "alpha_in"),
    plain("miner_burned_fraction", "miner_burned_fraction"),
    plain("emission_enabled", "emission_enabled"),
    amount("tao_in_emission_per_block", "tao_in_emission_per_block"),
    amount("alpha_issued", "alpha_issued"),
    amount("alpha_staked_by_wallets", "alpha_staked_by_wallets"),
    amount("alpha_protocol_owned", "alpha_protocol_owned"),
    amount("alpha_burned", "alpha_burned"),
    amount("outstanding_alpha", "outstanding_alpha"),
    amount("outstanding_alpha", "alpha_out"),
    amount("owner_alpha", "owner_alpha"),
    amount("owner_locked_alpha", "owner_locked_alpha"),
    amount("price", "price"),
    plain("moving_price", "moving_price"),
    plain("first_emission_block", "first_emission_block"),
    amount("subnet_locked_tao", "subnet_locked_tao"),
    amount("user_flow_average_tao_per_block", "user_flow_average_tao_per_block"),
    amount("protocol_flow_average_tao_per_block", "protocol_flow_average_tao_per_block"),
];

const TABLE_POSITIONS: &[Rule] = &[
    plain("netuid", "netuid"),
    plain("alpha", "alpha"),
    plain("value_tao", "value_tao"),
    plain("take", "take"),
    plain("cost_tao", "cost_tao"),
    plain("book", "book"),
];
