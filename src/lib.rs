//! Monte Carlo risk engine for portfolios of Bittensor subnet tokens.

pub mod cli;
pub mod config;
pub mod engine;
pub mod input;
pub mod model;
pub mod output;
pub mod portfolio;
pub mod protocol;
pub mod risk;
pub mod rng;
pub mod simd;
pub mod units;
