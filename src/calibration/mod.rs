//! From history to parameters, each with its standard error.
//!
//! [`history`] is what was observed; [`panel`] the organic flows in it, what is known of the net flow taken out.

pub mod backtest;
pub mod coverage;
pub mod ensemble;
pub mod history;
pub mod logistic;

pub mod observed;
pub mod organic;
pub mod panel;
pub mod rivals;
pub mod score;
pub mod verdict;
