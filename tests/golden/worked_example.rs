//! Five blocks of the worked example.
