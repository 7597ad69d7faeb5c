//! What chance and people decide: flows, sales, registrations, TAO/USD.
//!
//! Not modelled yet: feedback of prices on flows, revenue and buybacks, market states, flows of root stake, clusters of
//! subnets with one operator. [`facts`] compares what is modelled with the data.

pub mod clusters;
pub mod dividends;
pub mod entrants;
pub mod extra;
pub mod feedback;
pub mod jumps;
pub mod kernel;
pub mod market_states;
pub mod outside;
pub mod parameters;
pub mod params;
pub mod path_lanes;
pub mod registration;
pub mod sectors;
pub mod switches;
pub mod uncertainty;
pub mod validators;

#[doc = include_str!("FACTS.md")]
pub mod facts {}
