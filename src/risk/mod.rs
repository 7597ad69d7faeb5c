//! Estimates from simulated outcomes, each with its error.
//!
//! | measure | value | error |
//! |---|---|---|
//! | mean, standard deviation | [`moments`] | sample variance; delta method with the fourth moment, where there is one ([`deviation`]) |
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
//! | mean, tail measures with controls of known mean | [`control`], [`controlled_book`] | of the residuals of least squares |
//! | mean, tail measures from paths with likelihood weights | [`importance`], [`weighted_book`], [`weighted_subnet`]; the tilt by [`tilt_fit`] | delta method; refused where weights degenerate |
//! | means, tail measures, probabilities from replicates of a point set | [`replicated`], [`replicated_book`], [`replicated_subnet`] | spread of the replicates, Student's law |
//! | any of four when a run may stop at any look | [`stopping`] | confidence sequence: holds at all looks |
//! | probability of what is rare by levels; a rare deregistration | [`splitting`]; [`rare`] | of whole replications; interval freed of skewness |
//! | mean at short steps from paths of long ones | [`multilevel`] over a [`ladder`]; in USD given the flows: [`rate_law`] | of the levels' means; bound of the bias |
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
//! Not modelled: likelihood weights other than 1 but for what [`weighted_book`] and [`weighted_subnet`] measure (refused, [`book`]).

pub mod allocation;
pub mod attribution;
pub mod book;
pub mod clusters;
pub mod contrast;
pub mod contrast_parts;
pub mod control;
pub mod controlled_book;
pub mod convergence;
pub mod credit;
pub mod design;
pub mod deviation;
pub mod entropic;
pub mod estimate;
pub mod euler;
mod event_sums;
pub mod further;
pub mod histogram;
pub mod holding;
pub mod importance;
pub mod incremental;
pub mod ladder;
pub mod liquidity;
pub mod measure;
pub mod moments;
pub mod morris;
pub mod multilevel;
pub mod paired;
pub mod performance;
mod places;
pub mod program;
pub mod rare;
pub mod rate_law;
pub mod recorder;
pub mod replay;
pub mod replicated;
pub mod replicated_book;
pub mod replicated_subnet;
pub mod revenue;
pub mod reverse;
pub mod shapley;
pub mod sizes;
pub mod sobol;
pub mod spectral;
pub mod splitting;
pub mod standing;
pub mod stopping;
pub mod subnet;
pub mod tail;
pub mod tail_rows;
pub mod tilt_fit;
pub mod weighted_book;
pub mod weighted_subnet;

#[doc = include_str!("ESTIMATORS.md")]
pub mod estimators {}

#[doc = include_str!("MULTILEVEL.md")]
pub mod multilevel_measured {}

#[doc = include_str!("SPLITTING.md")]
pub mod splitting_measured {}

#[doc = include_str!("UNCERTAINTY.md")]
pub mod uncertainty {}
