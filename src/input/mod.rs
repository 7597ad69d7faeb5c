//! Readers of snapshots and positions.
