//! Estimates from simulated outcomes, each with its error.
//!
//! | measure | value | error |
//! |---|---|---|
//! | mean, standard deviation | [`moments`] | sample variance; delta method with the fourth moment |
//! | probability | [`estimate`] | Wilson interval; an exact one-sided bound at zero or all hits |
//! | value at risk | [`tail`]: exact order statistic | exact binomial ranks |
//! | expected shortfall | [`tail`]: exact tail mean | asymptotic variance |
//! | quantile of P&L, drawdown, price, share | [`histogram`]: stated relative error | ranks, widened to bucket edges |
//! | revenue, buybacks, their ratio to miner emission | [`revenue`] | sample variance; delta method for ratios |
//! | hazard | [`subnet`]: deaths over exposure | Poisson |
//! | any of them where paths share parameters in replicates | [`clusters`] | of a sample of replicates |
//! | what the parameters' errors add | [`clusters`]: component of variance | of the mean over replicates |
//! | difference between runs on the same chance | [`paired`] | of the path differences, or of those of influences |
//! | weights of least shortfall for each mean | [`program`], [`allocation`] | on fresh paths |
//!
//! All statistics take rows in path order and use fixed memory per measure, so a result depends neither on batches nor
//! on threads, and memory only on the tails that are kept exactly ([`tail`]) and, with replicates, on the outcomes
//! ([`clusters`]).
//!
//! Not modelled: likelihood weights other than 1 (refused, [`book`]); variance reduction.

pub mod allocation;
pub mod book;
pub mod clusters;
pub mod convergence;
pub mod estimate;
pub mod histogram;
pub mod moments;
pub mod paired;
pub mod program;
pub mod recorder;
pub mod replay;
pub mod revenue;
pub mod subnet;
pub mod tail;

#[doc = include_str!("UNCERTAINTY.md")]
pub mod uncertainty {}
