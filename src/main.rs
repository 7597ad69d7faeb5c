//! The `taorisk` program: parse, dispatch, print the error chain, exit code.

fn main() {}
