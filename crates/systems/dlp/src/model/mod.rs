//! Types and states.

pub mod allow;
pub mod policy;

pub use allow::{AllowList, Baseline};
pub use policy::{
    Decision, Policy, PolicyAction, PolicyId, PolicyMode, PolicyScope, built_in, decide,
};
