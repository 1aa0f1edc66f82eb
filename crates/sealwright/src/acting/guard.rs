//! What is held back for a time: an address, or how much a tenant may ask for.

use std::net::IpAddr;

use async_trait::async_trait;
use sealwright_access::AccessService;
use sealwright_access::guard::Held;
use sealwright_act::{Act, ActError, Done, Kind, Order};

use super::{by, refused, unknown};

/// Requests, and events, that a tenant that is throttled may send in a minute.
const THROTTLED_TO: u64 = 60;

const KINDS: &[Kind] = &[
    Kind {
        name: "block-address",
        about: "Blocks the address: the tenant's sign-ins, sessions and keys do not work from it",
        target: "address",
        undoable: true,
    },
    Kind {
        name: "throttle-tenant",
        about: "Throttles the tenant to 60 requests and 60 events a minute",
        target: "tenant",
        undoable: true,
    },
];

/// Holds back.
pub(crate) struct GuardActs(pub(crate) AccessService);

fn held(order: &Order) -> Result<Held, ActError> {
    match order.kind.as_str() {
        "block-address" => order
            .target
            .parse::<IpAddr>()
            .map(Held::Address)
            .map_err(|_| ActError::Refused(format!("{} is not an address", order.target))),
        "throttle-tenant" => Ok(Held::PerMinute(THROTTLED_TO)),
        _ => Err(unknown(order)),
    }
}

fn words(held: Held) -> String {
    match held {
        Held::Address(address) => format!("credentials of the tenant do not work from {address}"),
        Held::PerMinute(limit) => {
            format!("the tenant may make {limit} requests and send {limit} events a minute")
        }
    }
}

#[async_trait]
impl Act for GuardActs {
    fn kinds(&self) -> &'static [Kind] {
        KINDS
    }

    async fn look(&self, order: &Order) -> Result<String, ActError> {
        let held = held(order)?;
        AccessService::may_hold(held).map_err(refused)?;
        Ok(words(held))
    }

    async fn act(&self, order: &Order) -> Result<Done, ActError> {
        let held = held(order)?;
        let guard = self
            .0
            .hold(&by(), &order.id, order.tenant, held, &order.reason)
            .await
            .map_err(refused)?;
        Ok(Done {
            detail: words(guard.held),
            undo: Some(guard.id),
        })
    }

    async fn undo(&self, _order: &Order, undo: &str) -> Result<String, ActError> {
        let there = self.0.release(&by(), undo).await.map_err(refused)?;
        Ok(if there {
            "it is no longer held back".to_owned()
        } else {
            "it was no longer held back".to_owned()
        })
    }
}
