//! Commands, flags, messages, exit codes.

pub mod summarize;
pub mod table;
