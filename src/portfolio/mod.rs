//! Books of positions and what they are worth.

pub mod position;
pub mod tracker;
pub mod valuation;

#[doc = include_str!("BOOKS.md")]
pub mod books {}
