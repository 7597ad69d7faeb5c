//! What chance and people decide: flows, sales, registrations, TAO/USD.
//!
//! Off by default, since no data tell it from nothing: [`feedback`] of prices and dividends on flows, [`sectors`], [`clusters`] of
//! subnets with one operator, [`market_states`], [`revenue`] of subnets, the own flow of [`root_stake`]; and [`shocks`],
//! which a scenario sets. [`facts`] compares what is modelled with the data; [`card`] says what is estimated, what is assumed, and where it is wrong.

pub mod bridge;
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
pub mod refined;
pub mod registration;
pub mod revenue;
pub mod root_stake;
pub mod sectors;
pub mod shocks;
pub mod switches;
pub mod tilt;
pub mod uncertainty;
pub mod validators;

#[doc = include_str!("FACTS.md")]
pub mod facts {}

#[doc = include_str!("CARD.md")]
pub mod card {}
