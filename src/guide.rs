//! Guide: the concepts, how to add a rule, a policy or a scenario, and which page holds which method.
//!
//! - [`concepts`]: what is simulated, what a number means, what its error says.
//! - [`adding`]: a rule of the chain, a policy, a scenario, a key, a column.
//! - [`methods`]: formulas and sources, by question.
//!
//! Reference: every key in [`crate::config::reference`], every column and JSON key in [`crate::output::schema`].

#[doc = include_str!("guide/CONCEPTS.md")]
pub mod concepts {}

#[doc = include_str!("guide/ADDING.md")]
pub mod adding {}

#[doc = include_str!("guide/METHODS.md")]
pub mod methods {}
