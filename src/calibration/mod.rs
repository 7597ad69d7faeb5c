//! From history to parameters, each with its standard error.
//!
//! [`history`] is what was observed; [`panel`] the organic flows in it, what is known of the net flow taken out.

pub mod coverage;
pub mod history;
pub mod logistic;
pub mod panel;
pub mod score;
