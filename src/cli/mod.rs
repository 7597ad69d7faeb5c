//! Commands, flags, messages, exit codes.
