//! From history to parameters, each with its standard error.
//!
//! [`history`] is what was observed; [`organic`] makes of it the flows of a [`panel`], what is known of them taken out.

pub mod drift;
pub mod entrants;
pub mod history;
pub mod likelihood;
mod linear;
pub mod organic;
pub mod panel;
pub mod registration;
pub mod root_claims;
pub mod tao_usd;
