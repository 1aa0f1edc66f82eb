//! What this program can do about an alert, and what it asks others to do.

mod access;
mod guard;
mod tell;

pub(crate) use access::AccessActs;
pub(crate) use guard::GuardActs;
pub(crate) use tell::TellActs;
