//! What chance and people decide: flows, sales, registrations, TAO/USD.

pub mod params;
