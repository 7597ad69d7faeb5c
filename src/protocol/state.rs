//! The state of the chain that the economics read and write, one plain record per subnet.

use crate::protocol::share_rules::FlowAverages;
use crate::protocol::share_rules::ShareRule;
use crate::units::NetUid;

/// What the chain remembers of the flows of one subnet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FlowState {
    /// `SubnetEmaTaoFlow`, `SubnetEmaProtocolFlow`; `None` before a flow rule first asked for them.
    pub averages: Option<FlowAverages>,
    /// `SubnetTaoFlow`, `SubnetProtocolFlow`: flows (TAO) since the averages were last advanced.
    pub pending: FlowAverages,
}

impl FlowState {
    /// Advances the averages by what has come in, or sets them where there are none: once per block under a flow rule,
    /// never under another, so that flows then pile up, as they have since spec 421 (before spec 334 nobody counted them).
    pub fn advance(&mut self, rule: ShareRule, smoothing: f64, moving_price: f64, spot_price: f64) -> FlowAverages {
        let user = rule.first_flow_average(moving_price, spot_price);
        let is_first = self.averages.is_none();
        let averages = self.averages.get_or_insert(FlowAverages { user, protocol: 0.0 });
        // A first average other than 0 leaves the flow of its block for the next one.
        if !(is_first && user != 0.0) {
            averages.advance(self.pending, smoothing);
            self.pending = FlowAverages::default();
        }
        *averages
    }
}

/// Everything that the economics know of one subnet. Amounts in TAO and alpha tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct SubnetState {
    /// Slot on the chain.
    pub netuid: NetUid,
    /// `NetworkRegisteredAt` (block).
    pub registered_at: u64,
    /// `FirstEmissionBlockNumber`; `None`: start_call has not happened.
    pub first_emission_block: Option<u64>,
    /// `SubnetEmissionEnabled`.
    pub emission_enabled: bool,
    /// `SubnetTAO`: pool reserve (TAO).
    pub reserve_tao: f64,
    /// `SubnetAlphaIn`: pool reserve (alpha).
    pub reserve_alpha: f64,
    /// `SwapBalancer.quote`: pool weight of TAO; the alpha weight is the rest to 1.
    pub weight_tao: f64,
    /// Alpha staked by wallets.
    pub staked_alpha: f64,
    /// `SubnetProtocolAlpha`: alpha bought by the chain, owned by nobody.
    pub protocol_alpha: f64,
    /// Alpha burned in place: outside the pool, owned by nobody.
    pub burned_alpha: f64,
    /// Root alpha accrued and not yet claimed.
    pub unclaimed_root_alpha: f64,
    /// `SubnetMovingPrice` (TAO per alpha, capped at 1).
    pub moving_price: f64,
    /// `MinerBurned`: withheld part of miner emission in the last epoch.
    pub miner_burned: f64,
    /// Flows of TAO, for the flow rules.
    pub flow: FlowState,
    /// `SubnetLocked`: TAO locked at registration, for the owner refund of legacy subnets (TAO).
    pub subnet_locked_tao: f64,
}

impl SubnetState {
    /// A free slot: nothing started, reserves of 1 so that its price is defined.
    pub fn empty(netuid: NetUid) -> Self {
        Self {
            netuid,
            registered_at: 0,
            first_emission_block: None,
            emission_enabled: false,
            reserve_tao: 1.0,
            reserve_alpha: 1.0,
            weight_tao: 0.5,
            staked_alpha: 0.0,
            protocol_alpha: 0.0,
            burned_alpha: 0.0,
            unclaimed_root_alpha: 0.0,
            moving_price: 0.0,
            miner_burned: 0.0,
            flow: FlowState::default(),
            subnet_locked_tao: 0.0,
        }
    }

    /// `SubnetAlphaOut`: alpha outside the pool.
    pub fn outstanding_alpha(&self) -> f64 {
        self.staked_alpha + self.protocol_alpha + self.burned_alpha + self.unclaimed_root_alpha
    }

    /// Alpha issuance: pool and outstanding.
    pub fn issuance_alpha(&self) -> f64 {
        self.reserve_alpha + self.outstanding_alpha()
    }

    /// Whether start_call has happened, so that the subnet mints and its moving price moves.
    pub fn is_started(&self) -> bool {
        self.first_emission_block.is_some()
    }
}

/// The chain after a block: global state and the subnets in order of netuid.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainState {
    /// The block after which this is the state.
    pub block: u64,
    /// `TotalIssuance` (TAO).
    pub issuance_tao: f64,
    /// `SubnetTAO[0]`: TAO staked on root.
    pub root_stake_tao: f64,
    /// `NetworkLastLockCost`: TAO paid at the last registration.
    pub last_lock_tao: f64,
    /// Block of the last registration.
    pub last_lock_block: u64,
    /// Subnets, ascending by netuid, without root.
    pub subnets: Vec<SubnetState>,
}
