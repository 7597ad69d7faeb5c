//! What chance and people decide: flows, sales, registrations, TAO/USD; revenue of subnets and flows of root stake where a
//! scenario has them.
//!
//! Not modelled yet: feedback of prices on flows, market states, clusters of subnets with one operator. [`facts`] compares what
//! is modelled with the data.

pub mod dividends;
pub mod entrants;
pub mod jumps;
pub mod kernel;
pub mod outside;
pub mod params;
pub mod path_lanes;
pub mod registration;
pub mod revenue;
pub mod root_stake;
pub mod switches;
pub mod uncertainty;
pub mod validators;

#[doc = include_str!("FACTS.md")]
pub mod facts {}
