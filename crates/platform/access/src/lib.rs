//! Who may do what: tenants, users, sessions, API keys, roles and the record of every change.
//!
//! [`AccessService`] holds the use cases, [`http`] puts a [`Principal`] on each request, [`api`] is
//! the HTTP interface and [`cli`] the commands. Secrets (passwords, session tokens, API keys, one-time
//! links) are shown once and stored only as hashes.

// A Problem is made once for each refused request; boxing it would only burden every handler.
#![allow(clippy::result_large_err)]

pub mod api;
pub mod audit;
pub mod cli;
mod directory;
mod error;
pub mod forms;
pub mod guard;
pub mod http;
pub mod input;
mod model;
pub mod pages;
mod password;
pub mod policy;
mod principal;
pub mod recent;
mod relying_party;
mod role;
mod secret;
mod service;
mod store;
pub mod visit;

pub use audit::{Actor, Audit, AuditAction, Unrecorded};
pub use directory::TenantDirectory;
pub use error::AccessError;
pub use model::{
    ApiKey, KeyId, Link, LinkId, NewKey, NewTenant, NewUser, Passkey, PasskeyId, Session,
    SessionId, Tenant, TenantChange, TenantState, User, UserChange, UserId, UserState,
};
pub use policy::{Policies, PolicyError};
pub use principal::{Principal, PrincipalKind};
pub use relying_party::RelyingParty;
pub use role::{Action, Role, Scope, ScopeError, Scopes};
pub use secret::{KeyForm, check_key_form};
pub use service::{
    AccessPolicy, AccessService, CreatedKey, Housekeeping, ListFilter, SignIn, SignedIn,
};

/// The tables of this crate.
pub const COMPONENT: sealwright_store::Component = sealwright_store::migrations!("access", 1 => "0001_init", 2 => "0002_guard", 3 => "0003_row_level_security", 4 => "0004_passkeys");
