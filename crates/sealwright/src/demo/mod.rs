//! The worked example: tenants, events replayed from real traces by a stated rule, invoices.

mod attack;
pub(crate) mod data;
mod protect;
mod run;
mod shape;
mod spend;
pub(crate) mod tenants;
mod traces;

pub(crate) use run::{DemoArgs, run};
