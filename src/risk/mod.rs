//! Estimates from simulated outcomes, each with its error.
