//! From history to parameters, each with its standard error; and forecasts from past dates against what came.
//!
//! [`history`] is what was observed; [`organic`] makes of it the flows of a [`panel`], what is known of them taken out.
//! [`backtest`] starts from [`observed`] days, keeps what becomes of them on paths in an [`ensemble`] and in the eyes of
//! [`rivals`]; [`verdict`] scores that ([`score`], [`coverage`], [`logistic`]).

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
