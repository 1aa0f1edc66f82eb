//! The tables of data-loss prevention.

pub mod policy;
