//! From history to parameters, each with its standard error; and forecasts from past dates against what came.
//!
//! [`history`] is what was observed; [`organic`] makes of it the flows of a [`panel`], what is known of them taken out.
//! [`flow_law`] fits the flow law to these and says how, [`flow_diagnostics`] is the fit beside the data, [`simulate`] what the errors
//! come from; [`tao_usd`], [`registration`] and [`entrants`] what is outside the pools;
//! [`mod@calibrate`] does it all.
//! [`backtest`] starts from [`observed`] days, keeps what becomes of them on paths in an [`ensemble`] and in the eyes of
//! [`rivals`]; [`verdict`] scores that ([`score`], [`coverage`], [`logistic`]).

pub mod backtest;
pub mod calibrate;
mod common_jumps;
pub mod coverage;
pub mod drift;
pub mod ensemble;
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
pub mod logistic;
pub mod observed;
pub mod organic;
pub mod panel;
pub mod past;
pub mod registration;
pub mod rivals;
pub mod root_claims;
pub mod score;
mod shrink;
pub mod simulate;
mod size_age;
pub mod tao_usd;
pub mod verdict;
mod volatility;
#[doc = include_str!("OUTSIDE.md")]
pub mod outside {}
