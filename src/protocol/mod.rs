//! What the chain decides: deterministic rules, no randomness, no I/O, no clock, no threads.
//!
//! The rules are those of `opentensor/subtensor`, commit `14bc6f9f964b9cc362e9635dd110a487fa5d15a0` (2026-06-30,
//! `spec_version` 425), those of earlier runtimes and the Hill gate of later ones: each rule is an enum of its versions, a
//! field of [`params::ProtocolParams`], and [`upgrades`] is the table of what ran when. Amounts are `f64` tokens. A name
//! that ends in `_rao` or `_raw`, and all of [`pool_rao`], is the same rule in the chain's integers and rounding.
//!
//! | Chain (`pallets/subtensor/src`, `pallets/swap/src`) | Here |
//! |---|---|
//! | `coinbase/block_step.rs`, `block_step` | [`block::advance_block`] |
//! | `coinbase/run_coinbase.rs`, `run_coinbase` | [`block::coinbase`] |
//! | `coinbase/run_coinbase.rs`, `inject_and_maybe_swap`, `emit_to_subnets` | [`block::emit_to_subnet`], [`emission::split_alpha`] |
//! | `coinbase/run_coinbase.rs`, `get_subnet_terms` | [`emission::inject`] |
//! | `coinbase/run_coinbase.rs`, `get_network_root_sell_flag` | [`root::sell_flag`] |
//! | `coinbase/block_emission.rs`, `get_block_emission_for_issuance` | [`emission::block_emission`], [`emission::block_emission_rao`] |
//! | `coinbase/subnet_emissions.rs`, `get_shares`, `get_subnet_block_emissions` | [`share_rules::emission_shares`], all versions |
//! | `coinbase/block_step.rs`, `root_proportion` | [`root::root_proportion`] |
//! | `epoch/run_epoch.rs`, `epoch_mechanism` | [`yuma::epoch::run_epoch`] |
//! | the above with pendings, neurons, stakes and root claims, in rao | [`ledger::Ledger::advance_block`] and [`ledger`] |
//! | `coinbase/root.rs`, `get_network_lock_cost` | [`registration::lock_cost`], [`registration::LockCostRao`] |
//! | `coinbase/root.rs`, `get_network_to_prune` | [`registration::prune_target`] |
//! | `subnets/registration.rs`, `do_register`, `update_registration_prices_for_networks` | [`neuron_burn`] |
//! | `subnets/subnet.rs`, `do_register_network`, `init_new_network` | [`registration::new_subnet`], [`registration::rate_limited`] |
//! | `staking/stake_utils.rs`, `update_moving_price` | [`moving_price::update`], [`moving_price::update_raw`] |
//! | `staking/stake_utils.rs`, `get_median_subnet_alpha_price` | [`registration::median_price`] |
//! | `staking/add_stake.rs`, `remove_stake.rs`, `do_add_stake`, `do_remove_stake` | [`trade::execute`]; all stake calls: [`ledger::stake_ops`] |
//! | `staking/remove_stake.rs`, `destroy_alpha_in_out_stakes` | [`dissolve::payout_per_alpha`], [`dissolve::payouts_rao`], [`dissolve::owner_refund`] |
//! | `pallet/balancer.rs`, `calculate_price`, `update_weights_for_added_liquidity` | [`pool::Pool`], [`pool_rao::PoolRao`] |
//! | `pallet/impls.rs`, `pallet/swap_step.rs`, `do_swap`, `swap_inner`, `process_swap` | [`pool::Pool::buy`], [`pool::Pool::sell`], [`pool_rao::PoolRao::swap`] |
//! | `pallet/impls.rs`, `maybe_initialize_palswap` | [`pool_rao::initial_weight`] |
//!
//! # Not modelled
//!
//! What the forms in tokens ([`block`], [`trade`]) leave out and [`ledger`] has:
//!
//! - Pendings. Alpha out is credited when it is minted, not at the epoch: `staked_alpha` runs ahead by at most one tempo,
//!   360 alpha, and a dissolution pays on up to that much more; miner alpha is withheld at the rate of the epoch before.
//!   The alpha outside the pool is exact.
//! - Who within a subnet is paid: `miner_burned` is an input of [`block::BlockInputs`].
//! - Miners get half of what the epoch distributes; with the sell flag off that is half the root alpha less than their part
//!   here, and the difference belongs to nobody. Up to 0.2 alpha per block and subnet while the flag is off.
//! - Root claims, automatic or not: unclaimed root alpha accrues and is sold by whoever drives the blocks.
//! - Fee rate and age of half smoothing of single subnets: one value for all.
//! - Minimum amounts of user trades (0.002 TAO) and their own price limits; only the chain's default limits are in force.
//! - Truncation to whole rao: below 1 rao per amount and block. Of prices, root proportions and the owner cut to 2^-32:
//!   relative 2.3e-10 / price; followed, like the truncation of moving prices, under [`fixed::Rounding::Floored`].
//! - Pools before the weighted one have equal weights here: their virtual reserves and the liquidity that disproportionate
//!   injections left beside them (rule J0 in A1, three weeks of July 2025) are not followed. The flat fee of A0 (0.00005 TAO).
//! - TAO of chain buys under J1 and J2 was left out of the TAO issuance by a mistake of the chain; here it is counted.
//!
//! What neither has:
//!
//! - The recycled `CKBurn` part of child dividends, 0 by default, and child keys themselves.
//! - Owner cuts of single subnets, closed registration, pools without a swap (mechanism 0): started means emitting.
//! - Single neuron registrations: [`neuron_burn`] is their flow. It is 0 unless given; up to 60 times the price per day.

pub mod block;
pub mod calendar;
pub mod coinbase_step;
pub mod dissolve;
pub mod emission;
pub mod fixed;
pub mod flow_kernel;
#[doc = include_str!("HISTORY.md")]
pub mod history {}
pub mod kernel;
pub mod ledger;
pub mod moving_price;
pub mod moving_price_kernel;
pub mod moving_price_table;
pub mod neuron_burn;
pub mod params;
pub mod pool;
pub mod pool_rao;
pub mod quadrature;
pub mod registration;
pub mod root;
mod rule_kernel;
pub mod rule_names;
pub mod share_kernel;
pub mod share_rules;
pub mod slots;
pub mod state;
#[cfg(test)]
mod test_support;
pub mod trade;
pub mod upgrades;
pub mod yuma;
