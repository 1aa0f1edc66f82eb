//! Meters as data: which events count, for how much, and how values aggregate.
