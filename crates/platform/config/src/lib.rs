//! Configuration: defaults, file, environment, flags, and its reference.
