//! What chance and people decide: flows, sales, registrations, TAO/USD.

pub mod entrants;
pub mod kernel;
pub mod outside;
pub mod params;
pub mod registration;
