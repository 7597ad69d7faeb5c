//! Books of positions: what they are worth, and what they do.

mod board;
mod bulk;
mod dealer;
mod decision;
pub mod exit;
mod look;
mod passes;
pub mod policy;
pub mod pool_copy;
pub mod position;
mod state;
pub mod tracker;
pub mod valuation;

#[doc = include_str!("BOOKS.md")]
pub mod books {}
