//! The scalar rules against vectors that the chain's own code made; see `README.md` here for source and tolerances.

mod amm;
mod emission;
mod epoch;
mod flow;
mod ledger;
mod ledger_example;
mod lifecycle;
mod moving_price;
mod stake_ops;
mod trace;
mod vectors;
mod worked_example;
