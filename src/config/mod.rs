//! Scenarios: what was written, and what is complete and valid.
