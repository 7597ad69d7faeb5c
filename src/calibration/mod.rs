//! From history to parameters, each with its standard error.
//!
//! [`history`] is what was observed; [`organic`] makes of it the flows of a [`panel`], what is known of them taken out.

pub mod history;
pub mod organic;
pub mod panel;
