//! Addresses of draws and what they are for.

use crate::rng::philox::philox4x32;

/// What a draw is for. Append only: a number that changes its meaning changes every result.
///
/// A draw that is needed only sometimes has its own purpose, or its own index within one, so that no branch shifts
/// another draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Purpose {
    /// Normals of the slots in a step; slot word and index: see [`crate::rng::group_words`].
    SlotNormals = 0,
    /// Jumps of all slots in a step. Index 0: their number; index 1: two of them, the slot word counts such pairs.
    SlotJump = 1,
    /// Common factor, TAO/USD, willingness.
    GlobalNormals = 2,
    /// Common jumps and jumps of TAO/USD; index: their number.
    GlobalJumps = 3,
    /// Waiting times between registrations; step word: registration ordinal.
    RegistrationClock = 4,
    /// Parameters of an entrant; step word: registration ordinal.
    Entrant = 5,
    /// Start and enable delays of subnets of the snapshot.
    Incumbent = 6,
    /// Volatility at the start of a path.
    InitialVolatility = 7,
    /// Whether and when a change of rules comes; index: its number in the scenario.
    RuleSwitch = 8,
    /// How well the validator of a holder does; index 0: at the start of a path; 1: in four steps, their number the step word.
    Validator = 9,
    /// Simulated validator sets; path word: the set, step word: the epoch, slot word: the validator.
    ValidatorSet = 10,
    /// Factors of sectors; slot word: four of them each.
    Sector = 11,
    /// Jumps of clusters; slot word: the cluster; index 0: how many, then their sizes, one each.
    ClusterJump = 12,
    /// The market state at the end of a step.
    MarketState = 13,
    /// Regular revenue of a subnet in a step.
    RevenueNormals = 14,
    /// Campaigns that arrive in a step; index 0: their number; from 1: each one's budget and time.
    RevenueCampaigns = 15,
    /// Own flow of root stake in a step.
    RootStakeNormals = 16,
    /// Parameters of a replicate, its number the path word. Step 0: the errors of estimated parameters, in fours by index;
    /// step 1: how the flows of the subnets of the snapshot scale.
    Parameters = 17,
    /// Whether and when a shock comes; index: its number in the scenario.
    Shock = 18,
    /// Jumps of one slot by itself in a step, under a tilted law. Index 0: how many; from 1: each one's.
    TiltedJump = 19,
    /// Leading normals of paths by point sets; path word: the replicate, path or pair, step word: the coordinate, slot word: what for.
    LeadingNormals = 20,
    /// Chance of a backtest beside its paths: books, ties, resampled dates. 21 to 31 are left for what paths may still need.
    Backtest = 32,
    /// Designs of studies over parameters; path word: the row or trajectory, step word: which of its points, slot word: the input.
    Design = 33,
    /// From where particles of splitting go on; path word: the replication, step word: the level.
    Splitting = 34,
}

/// Where a block of four random words lies under a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Index of the path.
    pub path: u32,
    /// Step of the path, or the ordinal that the purpose names.
    pub step: u32,
    /// Slot, or 0 where the draw belongs to no slot.
    pub slot: u32,
    /// What the draw is for.
    pub purpose: Purpose,
    /// Number of the block within the purpose.
    pub index: u16,
}

impl Address {
    /// The counter of Philox: `(path, step, slot, purpose << 16 | index)`.
    #[inline(always)]
    pub fn counter(self) -> [u32; 4] {
        [self.path, self.step, self.slot, (self.purpose as u32) << 16 | u32::from(self.index)]
    }
}

/// The key of Philox: low half of the seed, then high half.
#[inline(always)]
pub(crate) fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// The four random words at an address.
#[inline(always)]
pub fn words(seed: u64, address: Address) -> [u32; 4] {
    philox4x32(address.counter(), key(seed))
}
