//! Estimates from simulated outcomes, each with its error.
//!
//! | measure | value | error |
//! |---|---|---|
//! | mean, standard deviation | [`moments`] | sample variance; delta method with the fourth moment |
//! | probability | [`estimate`] | Wilson interval; an exact one-sided bound at zero or all hits |
//! | value at risk | [`tail`]: exact order statistic | exact binomial ranks |
//! | expected shortfall | [`tail`]: exact tail mean | asymptotic variance; interval freed of skewness |
//! | spectral, entropic risk | [`spectral`], [`entropic`] | influence function, delta method; the same interval |
//! | Sharpe, Sortino, Omega | [`performance`] | delta method with joint moments |
//! | drawdown at risk, conditional or not; time under water; ruin; return level | [`further`] | as value at risk, shortfall, mean, probability |
//! | quantile of P&L, drawdown, price, share | [`histogram`]: stated relative error | ranks, widened to bucket edges |
//! | revenue, buybacks, their ratio to miner emission | [`revenue`] | sample variance; delta method for ratios |
//! | hazard | [`subnet`]: deaths over exposure | Poisson |
//! | what a position or sector adds to a tail measure | [`attribution`]: Euler components that add up | of influences, path by path |
//! | what its removal or a tenth more of it would do | [`attribution`], [`incremental`] | of differences of influences |
//! | deregistration of a holding as credit: exposure, loss, expected and unexpected | [`credit`] | of ratios and sums over paths |
//! | any of them where paths share parameters in replicates | [`clusters`] | of a sample of replicates |
//! | what the parameters' errors add | [`clusters`]: component of variance | of the mean over replicates |
//! | difference between runs on the same chance | [`paired`], [`contrast`], [`contrast_parts`] | of the path differences, or of those of influences |
//! | what it gains with the size of a position | [`sizes`] | as the Euler components |
//! | what moves a measure over the law of parameters | [`morris`], [`sobol`] on the points of [`design`] | over trajectories; ratio of means over rows |
//! | shock that makes a loss, the nearest | [`reverse`]: search on the same paths | that of the mean loss at it |
//! | weights of least shortfall for each mean | [`program`], [`allocation`] | on fresh paths |
//!
//! All statistics take rows in path order and use fixed memory per measure, so a result depends neither on batches nor
//! on threads, and memory only on the tails that are kept exactly ([`tail`], [`tail_rows`]) and, with replicates, on the outcomes
//! ([`clusters`]).
//!
//! Not modelled: likelihood weights other than 1 (refused, [`book`]); variance reduction.

pub mod allocation;
pub mod attribution;
pub mod book;
pub mod clusters;
pub mod contrast;
pub mod contrast_parts;
pub mod convergence;
pub mod credit;
pub mod design;
pub mod entropic;
pub mod estimate;
pub mod euler;
mod event_sums;
pub mod further;
pub mod histogram;
pub mod holding;
pub mod incremental;
pub mod liquidity;
pub mod moments;
pub mod morris;
pub mod paired;
pub mod performance;
pub mod program;
pub mod recorder;
pub mod replay;
pub mod revenue;
pub mod reverse;
pub mod shapley;
pub mod sizes;
pub mod sobol;
pub mod spectral;
pub mod standing;
pub mod subnet;
pub mod tail;
pub mod tail_rows;

#[doc = include_str!("UNCERTAINTY.md")]
pub mod uncertainty {}
