//! The ledger of one subnet: its pool, what is pending, who holds its stake and who its neurons are, in rao.

use ndarray::Array2;

use crate::protocol::fixed::SCALE_32;
use crate::protocol::ledger::accounts::Hotkey;
use crate::protocol::ledger::accounts::Keys;
use crate::protocol::ledger::accounts::StakeBook;
use crate::protocol::ledger::schedule::EpochClock;
use crate::protocol::pool_rao::PoolRao;
use crate::protocol::pool_rao::WEIGHT_ONE;
use crate::protocol::state::SubnetState;
use crate::protocol::yuma::YumaParams;
use crate::protocol::yuma::epoch::YumaState;
use crate::units::NetUid;
use crate::units::RAO_PER_TAO;

/// `RootClaimableThreshold` of a new subnet (rao of alpha).
pub const CLAIM_THRESHOLD_RAO: u64 = 500_000;

/// What becomes of miner emission that is withheld from the owner's hotkeys: `RecycleOrBurn`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Withheld {
    /// It stays outside the pool and belongs to nobody.
    #[default]
    Burned,
    /// It leaves the issuance.
    Recycled,
}

/// Alpha minted and not yet distributed (rao).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// `PendingOwnerCut`.
    pub owner: u64,
    /// `PendingServerEmission`.
    pub server: u64,
    /// `PendingValidatorEmission`.
    pub validator: u64,
    /// `PendingRootAlphaDivs`.
    pub root: u64,
}

/// What the last block did in a subnet (rao), as the chain stores it for display.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BlockCounters {
    /// `SubnetTaoInEmission`: TAO added to the pool.
    pub injected_tao: u64,
    /// `SubnetAlphaInEmission`: alpha minted into the pool.
    pub injected_alpha: u64,
    /// `SubnetAlphaOutEmission`: alpha minted outside the pool.
    pub alpha_out: u64,
    /// `SubnetExcessTao`: TAO that bought alpha for the protocol.
    pub excess_tao: u64,
    /// `SubnetRootSellTao`: TAO obtained by claims of root stakers.
    pub root_sell_tao: u64,
    /// `RootProp` after the coinbase (fraction).
    pub root_proportion: f64,
}

/// The neurons of a subnet, by uid.
#[derive(Clone, Debug, PartialEq)]
pub struct Neurons {
    /// `Keys`: hotkey of each uid.
    pub hotkeys: Vec<Hotkey>,
    /// `BlockAtRegistration`.
    pub registered_at: Vec<u64>,
    /// `LastUpdate`: block at which each last set weights.
    pub last_update: Vec<u64>,
    /// `Weights`, a row per validator.
    pub weights: Array2<f64>,
    /// Hyperparameters of the epoch; the stake threshold in rao.
    pub yuma: YumaParams,
    /// What carries over between epochs.
    pub state: YumaState,
    /// `Incentive` of the last epoch (parts of 65,535).
    pub incentive: Vec<u16>,
    /// `Dividends` of the last epoch (parts of 65,535).
    pub dividends: Vec<u16>,
}

/// One subnet, in rao.
#[derive(Clone, Debug, PartialEq)]
pub struct SubnetLedger {
    /// Slot on the chain.
    pub netuid: NetUid,
    /// `FirstEmissionBlockNumber`; `None`: start_call has not happened, and nobody can stake.
    pub first_emission_block: Option<u64>,
    /// `SubnetEmissionEnabled`.
    pub emission_enabled: bool,
    /// `FeeRate` (parts of 65,535).
    pub fee_rate: u16,
    /// Reserves and weight.
    pub pool: PoolRao,
    /// `SubnetAlphaOut`: alpha outside the pool.
    pub outstanding_alpha: u64,
    /// `SubnetProtocolAlpha`: bought by the chain, a part of `outstanding_alpha`.
    pub protocol_alpha: u64,
    /// `SubnetMovingPrice` (units of 2^-32 TAO per alpha).
    pub moving_price_raw: u64,
    /// `EMAPriceHalvingBlocks`.
    pub moving_price_age_blocks: u64,
    /// `MinerBurned` (units of 2^-32).
    pub miner_burned_raw: u64,
    /// Alpha not yet distributed.
    pub pending: Pending,
    /// When its epochs run.
    pub clock: EpochClock,
    /// `Alpha`: stakes.
    pub stakes: StakeBook,
    /// `SubnetOwnerHotkey`, `SubnetOwner`; without one the owner cut is paid to nobody.
    pub owner: Option<Keys>,
    /// `RecycleOrBurn`.
    pub withheld: Withheld,
    /// Its neurons; without any, an epoch pays nobody.
    pub neurons: Option<Neurons>,
    /// `RootClaimableThreshold` (rao of alpha).
    pub claim_threshold: u64,
    /// `SubnetTaoFlow`: TAO paid in by users less TAO paid out to them.
    pub user_flow_tao: i64,
    /// `SubnetProtocolFlow`: TAO paid in by the protocol less TAO paid out to root stakers.
    pub protocol_flow_tao: i64,
    /// What the last block did.
    pub counters: BlockCounters,
}

impl SubnetLedger {
    /// A subnet with a pool and nothing else: no stakes, no neurons, not started.
    pub fn new(netuid: NetUid, pool: PoolRao, clock: EpochClock) -> Self {
        Self {
            netuid,
            first_emission_block: None,
            emission_enabled: false,
            fee_rate: 33,
            pool,
            outstanding_alpha: 0,
            protocol_alpha: 0,
            moving_price_raw: 0,
            moving_price_age_blocks: 201_600,
            miner_burned_raw: 0,
            pending: Pending::default(),
            clock,
            stakes: StakeBook::default(),
            owner: None,
            withheld: Withheld::default(),
            neurons: None,
            claim_threshold: CLAIM_THRESHOLD_RAO,
            user_flow_tao: 0,
            protocol_flow_tao: 0,
            counters: BlockCounters::default(),
        }
    }

    /// Alpha issuance: pool and outstanding.
    pub fn issuance_alpha(&self) -> u64 {
        self.pool.reserve_alpha.saturating_add(self.outstanding_alpha)
    }

    /// Whether start_call has happened.
    pub fn is_started(&self) -> bool {
        self.first_emission_block.is_some()
    }

    /// The subnet in tokens, for the rules that are written in them. What belongs to nobody and what is pending counts as
    /// staked: the rules read only the sum.
    pub fn in_tokens(&self) -> SubnetState {
        let tokens = |rao: u64| rao as f64 / RAO_PER_TAO;
        SubnetState {
            first_emission_block: self.first_emission_block,
            emission_enabled: self.emission_enabled,
            reserve_tao: tokens(self.pool.reserve_tao),
            reserve_alpha: tokens(self.pool.reserve_alpha),
            weight_tao: self.pool.weight_tao as f64 / WEIGHT_ONE as f64,
            staked_alpha: tokens(self.outstanding_alpha.saturating_sub(self.protocol_alpha)),
            protocol_alpha: tokens(self.protocol_alpha),
            moving_price: self.moving_price_raw as f64 / SCALE_32,
            miner_burned: self.miner_burned_raw as f64 / SCALE_32,
            ..SubnetState::empty(self.netuid)
        }
    }
}
