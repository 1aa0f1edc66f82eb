//! The worked example as data: tenants, and events replayed from real traces by a stated rule.

pub(crate) mod data;
mod shape;
pub(crate) mod tenants;
mod traces;
