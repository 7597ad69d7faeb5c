//! From history to parameters, each with its standard error.
//!
//! [`history`] is what was observed; [`panel`] the organic flows in it, what is known of the net flow taken out. [`flow_law`] fits
//! the flow law to a panel, and says how; [`flow_diagnostics`] is the fit beside the data, [`simulate`] what the errors come from.

mod common_jumps;
mod filter;
pub mod flow_diagnostics;
mod flow_estimate;
pub mod flow_law;
pub mod history;
mod jackknife;
mod jumps;
mod layout;
mod linear;
mod loadings;
pub mod panel;
mod shrink;
pub mod simulate;
mod size_age;
mod volatility;
