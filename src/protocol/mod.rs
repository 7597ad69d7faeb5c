//! What the chain decides: deterministic rules, no randomness, no I/O, no clock, no threads.

pub mod block;
pub mod dissolve;
pub mod emission;
pub mod fixed;
pub mod kernel;
pub mod moving_price;
pub mod moving_price_table;
pub mod params;
pub mod pool;
pub mod pool_rao;
pub mod registration;
pub mod root;
pub mod state;
#[cfg(test)]
mod test_support;
pub mod trade;
