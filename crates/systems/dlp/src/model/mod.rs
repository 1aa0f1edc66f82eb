//! Types and states.

pub mod allow;
pub mod finding;
pub mod hold;
pub mod object;
pub mod plan;
pub mod policy;
pub mod quarantine;
pub mod retention;
pub mod treatment;

pub use allow::{AllowList, Baseline};
pub use policy::{
    Decision, Original, Policy, PolicyAction, PolicyId, PolicyMode, PolicyScope, built_in, decide,
};
