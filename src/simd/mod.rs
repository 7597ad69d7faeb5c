//! Vectors of eight f64 lanes with the same bits on every backend.
