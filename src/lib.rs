//! Monte Carlo risk engine for portfolios of Bittensor subnet tokens.
//!
//! The crate simulates many futures (*paths*) of the whole network from an observed state: net stake flows, pools,
//! emissions, registrations, and the deregistration of the subnet with the lowest moving price. From the paths it says
//! what a portfolio of subnet tokens ("alpha") can lose, each number with its error. The program `taorisk` is this library
//! behind a command line; how to run it is in the README. This page is the map of the code; the [`guide`] has the concepts, how to add
//! a rule, a policy or a scenario, and which page holds which method.
//!
//! # Layers
//!
//! A module names only modules of a lower row; modules of one row do not name each other. `tests/architecture.rs` reads
//! the sources and holds this, and who may touch files, the clock, threads and the terminal.
//!
//! ```text
//!   cli                    commands, flags, messages, exit codes; the only clock and the only printing
//!    |
//!   config                 a scenario: what was written -> what is complete and valid, hashed
//!    |
//!   input     output       snapshots, positions, history from files  |  result files, as whole directories
//!    |          |
//!   calibration            history -> parameters with errors; forecasts against what came
//!    |          |
//!    |        risk         rows of paths -> estimates with errors
//!    |          |
//!   portfolio              books, what they do, their value at spot, on liquidation and on exit
//!    |
//!   engine                 paths, batches, ordered merge; the only threads of the simulation
//!    |
//!   model                  what chance and people decide
//!    |
//!   protocol     rng       what the chain decides  |  addressed random numbers
//!    |            |
//!   simd                   eight lanes, the same bits on every instruction set; the only unsafe code
//!    |
//!   units                  ids, quantities, constants
//! ```
//!
//! # Where to find a rule
//!
//! | Question | Place |
//! |---|---|
//! | Which function of the chain is which of ours, and what of it is left out | [`protocol`] |
//! | In which order things happen within a block, within a step | [`protocol::block`], [`engine::path`] |
//! | How TAO emission is shared, in every version; how to add one | [`protocol::share_rules`] |
//! | What enters a pool; who is paid | [`protocol::emission`], [`protocol::root`] |
//! | Which rules were in force when | [`protocol::upgrades`] |
//! | When rules change on a path | [`model::switches`] |
//! | Money and behaviour that move at a stated time | [`model::shocks`] |
//! | What the rules make of the network's real history | [`protocol::history`] |
//! | What the length of a step does to results; means without that bias | [`engine::convergence`], [`risk::multilevel`], [`risk::multilevel_measured`], [`cli::multilevel`] |
//! | Who holds what: stakes, pendings, epochs, root claims, stake calls, in whole rao | [`protocol::ledger`] |
//! | Price, trades, fees, pool weights | [`protocol::pool`]; in whole rao [`protocol::pool_rao`] |
//! | The moving price that decides deregistration | [`protocol::moving_price`], [`protocol::moving_price_table`] |
//! | What a registration costs, whom it displaces, what holders then receive | [`protocol::registration`], [`protocol::dissolve`] |
//! | The same over eight slots at once and over many blocks | [`protocol::kernel`], [`protocol::share_kernel`], [`protocol::moving_price_kernel`] |
//! | Flows of stake, volatility, jumps | [`model::kernel`], [`model::jumps`] |
//! | TAO/USD, the common factor, willingness to pay for a slot | [`model::outside`] |
//! | What answers to prices, strikes groups of subnets, or depends on the state of the market | [`model::feedback`], [`model::sectors`], [`model::clusters`], [`model::market_states`] |
//! | How flows beside the organic law enter a step | [`model::extra`], [`engine::extras`] |
//! | When subnets register, and what entrants are like | [`model::registration`], [`model::entrants`] |
//! | Revenue of subnets: buybacks, pegged payouts; the own flow of root stake | [`model::revenue`], [`engine::revenue`], [`model::root_stake`] |
//! | What the validator of a holder earns, and why; collusion | [`model::dividends`], [`model::validators`] |
//! | What is estimated, what is assumed, and where it is wrong | [`model::card`] |
//! | A snapshot or positions in other forms | [`input::ingest`] |
//! | A key: default, unit, range, source | [`config::reference`] |
//! | What a scenario is made of: base, parameters, overlays, flags | [`mod@config::layers`], [`config::overrides`] |
//! | The library of scenarios, and what each changes | [`config::library`], [`cli::stress`], [`risk::contrast`] |
//! | What one or two keys do over their values | [`cli::sweep`] |
//! | The most likely way to a given loss | [`risk::reverse`], [`cli::reverse`] |
//! | A deregistration too rare for plain paths; how much splitting gains | [`risk::rare`], [`engine::splitting`], [`risk::splitting_measured`], [`cli::rare`] |
//! | What leaving costs, and how large a book may be | [`risk::liquidity`], [`cli::liquidity`] |
//! | An interrupted run that goes on; a run in parts | [`output::journal`], [`cli::shards`] |
//! | Example books and their pages | [`portfolio::books`] |
//! | Dividends, payouts, value of a book | [`portfolio::tracker`], [`portfolio::valuation`] |
//! | What a book does on a path; which pools its orders meet | [`portfolio::policy`]; [`engine::policy`], [`portfolio::pool_copy`] |
//! | What a book brings that leaves over days | [`portfolio::exit`] |
//! | Parameters from history, and their errors | [`calibration`], [`model::uncertainty`] |
//! | A parameter by its key; draws of parameters, one for each replicate of paths | [`model::parameters`], [`engine::replicates`] |
//! | What the errors of the parameters do to results, and to their errors | [`risk::uncertainty`], [`risk::clusters`] |
//! | Forecasts of the past against what came | [`calibration::backtest`], [`calibration::verdict`] |
//! | What part each driver has in a book's losses, and what it is to switch one off | [`engine::drivers`], [`risk::shapley`] |
//! | What moves a measure: slopes to parameters and sizes, screening, parts of its variance | [`cli::sensitivity`], [`risk::sizes`], [`risk::morris`], [`risk::sobol`] |
//! | Which weights lose least for a mean, and what leaving costs them | [`risk::allocation`], [`risk::program`] |
//! | The estimator behind a number, and its error | [`risk`] |
//! | What a position or sector adds to risk; deregistration as credit | [`risk::attribution`], [`risk::credit`] |
//! | One path again, step by step or block by block | [`risk::replay`], [`engine::unfold`] |
//! | A finished run as one page | [`output::report`] |
//! | A column of any table, a key of any JSON document | [`output::schema`], [`mod@output::schema::documents`] |
//! | How to add a rule, a policy, a scenario, a key, a column | [`guide::adding`] |
//! | A draw and its address | [`rng`] |
//!
//! # The life of a run
//!
//! 1. [`config::scenario::Scenario::load`] lays the scenario file over the parameter file that it names and
//!    `configs/base.toml` ([`mod@config::layers`]), reads snapshot and positions, checks everything and hashes it. Bad input
//!    ends here, before anything is written.
//! 2. [`engine::plan::Plan`] derives what all paths share; [`output::run_dir::RunDirectory`] opens partial files.
//! 3. [`engine::run::run`] spreads batches of paths over threads. A batch goes step by step; [`engine::opening::open`] draws
//!    what the slots of a path share, for eight paths at once, and [`engine::advance::advance`] is one step of K blocks of one
//!    path: draws, flows and jumps, coinbase and trades, moving prices, lifecycle. Each is a short pass over all slots.
//! 4. A [`engine::recorder::Recorder`] watches: [`risk::recorder::RunRecorder`] keeps P&L rows
//!    ([`portfolio::tracker::BookTracker`]), events, samples and integer counts.
//! 5. Finished batches are consumed in path order by [`output::writer::ResultWriter`] and by the statistics
//!    ([`risk::book::BookStatistics`], [`risk::attribution::AttributionStatistics`], [`risk::credit::CreditStatistics`],
//!    [`risk::subnet::SubnetStatistics`]). Memory does not grow with the number of paths.
//! 6. Summaries and [`output::manifest::Manifest`] are written and everything is renamed into place, the manifest last:
//!    a directory with a manifest is a finished run.
//!
//! # Invariants
//!
//! - A path depends on (scenario, seed, path index) alone: not on threads, on how paths are grouped, on other paths, or on
//!   the instruction set. Result files are the same bytes.
//! - A draw has an address and no history ([`rng::Address`]); purposes are only appended to ([`rng::Purpose`]).
//! - Floating sums have one fixed order; kernels use exactly rounded operations only ([`simd`]).
//! - `protocol` takes no generator; `model` reads the chain's state and never writes it.
//! - TAO is neither made nor lost on a path: checked at the end of every batch ([`engine::run::RunError::Imbalance`]);
//!   steps are done again with the scalar rules, their books compared, on a sample of batches ([`engine::audit`]).
//!   A value that becomes NaN or negative stops the run ([`engine::path::PathFault`]).
//! - No number leaves `risk` without its error ([`risk::estimate::Estimate`]).
//! - Amounts are tokens in `f64` (1 rao is 1e-9; at the supply cap an `f64` steps by 4 rao). Names that end in `_rao` or
//!   `_raw` are the chain's integers. Rates are fractions, never percent; losses are positive.
//!
//! # Glossary
//!
//! Chain words for chain things, risk words for risk things.
//!
//! | Here | On the chain | Meaning |
//! |---|---|---|
//! | netuid, slot | `netuid` | place of a subnet; slot = netuid - 1, root has none. Reused: the subnet itself is [`units::SubnetId`] |
//! | `registered_at` | `NetworkRegisteredAt` | block of registration |
//! | `first_emission_block` | `FirstEmissionBlockNumber` | set by start_call; without it nothing is minted |
//! | `emission_enabled` | `SubnetEmissionEnabled` | whether TAO emission reaches the subnet |
//! | `reserve_tao`, `reserve_alpha` | `SubnetTAO`, `SubnetAlphaIn` | the pool |
//! | `weight_tao` | `SwapBalancer.quote` | pool weight of TAO; 1/2 is x * y = k |
//! | `outstanding_alpha` | `SubnetAlphaOut` | alpha outside the pool: staked, protocol-owned, burned, unclaimed |
//! | `protocol_alpha` | `SubnetProtocolAlpha` | bought by the chain, owned by nobody |
//! | `injected_tao`, `injected_alpha` | `tao_in`, `alpha_in` of a block | what emission adds to the pool |
//! | chain buy | `excess_tao` | emission above the injection cap, which buys alpha |
//! | spot price | `current_alpha_price` | TAO per alpha of the next small trade |
//! | moving price | `SubnetMovingPrice` | average of the capped spot price; decides shares and deregistration |
//! | emission share | `get_shares` | part of the TAO emission |
//! | `miner_burned` | `MinerBurned` | withheld part of miner emission |
//! | root proportion | `root_proportion` | part of alpha dividends that goes to root stakers |
//! | owner cut | `SubnetOwnerCut` | part of alpha emission that goes to the owner |
//! | `fee_rate` | `FeeRate` | swap fee on the input of a trade |
//! | lock cost | `get_network_lock_cost`, `NetworkLastLockCost` | price of a registration |
//! | immunity period | `NetworkImmunityPeriod` | time after registration in which a subnet is not pruned |
//! | prune, dissolve | `get_network_to_prune`, `dissolve_network` | choose the subnet to remove; pay its holders |
//! | `issuance_tao` | `TotalIssuance` | TAO in existence |
//! | `root_stake_tao` | `SubnetTAO[0]` | TAO staked on root |
//! | take | delegate take | a validator's cut of dividends |
//! | path, batch, step | - | one future; paths advanced together; K blocks |
//! | mark value, liquidation value | - | holdings at spot; holdings sold now through the pools, after fees and slippage |
//! | exit value | - | holdings sold over days from a horizon on, while the path goes on |
//!
//! # Not modelled
//!
//! Each module lists what it leaves out of what it stands for, with the size of the effect where it is known; the list of
//! the chain's rules is in [`protocol`]. Of the whole: liquidity outside the subnet pools does not exist on a path.

pub mod calibration;
pub mod cli;
pub mod config;
pub mod engine;
pub mod guide;
pub mod input;
pub mod model;
pub mod output;
pub mod portfolio;
pub mod protocol;
pub mod risk;
pub mod rng;
pub mod simd;
pub mod units;
