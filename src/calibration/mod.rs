//! From history to parameters, each with its standard error.
//!
//! [`history`] is what was observed; [`organic`] makes of it the flows of a [`panel`], what is known of them taken out.
//! [`flow_law`] fits the flow law to these; [`tao_usd`], [`registration`] and [`entrants`] what is outside the pools;
//! [`mod@calibrate`] does it all.

pub mod calibrate;
mod common_jumps;
pub mod drift;
pub mod entrants;
mod filter;
pub mod flow_diagnostics;
mod flow_estimate;
pub mod flow_law;
pub mod history;
mod jackknife;
mod jumps;
mod layout;
pub mod likelihood;
mod linear;
mod loadings;
pub mod organic;
pub mod panel;
pub mod registration;
pub mod root_claims;
mod shrink;
pub mod simulate;
mod size_age;
pub mod tao_usd;
mod volatility;
#[doc = include_str!("OUTSIDE.md")]
pub mod outside {}
