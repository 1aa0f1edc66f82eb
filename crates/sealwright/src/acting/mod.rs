//! What this program can do about an alert, and what it asks others to do.

mod access;
mod guard;
mod tell;

pub(crate) use access::AccessActs;
pub(crate) use guard::GuardActs;
pub(crate) use tell::TellActs;

use sealwright_access::{AccessError, Principal};
use sealwright_act::{ActError, Order};

fn refused(error: AccessError) -> ActError {
    match error {
        AccessError::Store(error) => ActError::Failed(error.to_string()),
        AccessError::Changed { .. } => ActError::Failed("it was changed just now".to_owned()),
        other => ActError::Refused(other.to_string()),
    }
}

fn by() -> Principal {
    Principal::system("siem")
}

fn unknown(order: &Order) -> ActError {
    ActError::Refused(format!(
        "{} is not an action that is known here",
        order.kind
    ))
}
