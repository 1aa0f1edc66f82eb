//! Authentication for the request path: a key that was looked up within the last second is not looked up again.
//!
//! The price is said in the docs: a revoked key can ask for up to a second more whether a tenant may go on.
//! Nothing else is reached by this way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sealwright_core::clock::SECOND;
use sealwright_core::{Digest, UnixMicros};
use sealwright_store::as_system;

use crate::http;
use crate::principal::Principal;
use crate::service::AccessService;

/// How long a look-up holds.
const HOLDS: i64 = SECOND;
/// Keys that are remembered; beyond that all are forgotten and looked up again.
const MOST: usize = 10_000;

/// Keys that were looked up lately.
#[derive(Clone, Debug)]
pub struct RecentKeys {
    access: AccessService,
    seen: Arc<Mutex<HashMap<Digest, (UnixMicros, Principal)>>>,
}

impl RecentKeys {
    /// Nothing is remembered yet.
    pub fn new(access: AccessService) -> Self {
        Self {
            access,
            seen: Arc::default(),
        }
    }

    fn find(&self, key: &Digest, now: UnixMicros) -> Option<Principal> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, principal) = seen.get(key)?;
        (0..HOLDS)
            .contains(&now.since(*at))
            .then(|| principal.clone())
    }

    fn keep(&self, key: Digest, now: UnixMicros, principal: Principal) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST {
            seen.clear();
        }
        seen.insert(key, (now, principal));
    }
}

/// Axum middleware: as [`http::authenticate`], with the memory of [`RecentKeys`] before it for
/// bearer tokens. The token itself is not kept, only its digest.
pub async fn authenticate(
    State(keys): State<RecentKeys>,
    mut request: Request,
    next: Next,
) -> Response {
    let token = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned());
    let Some(token) = token else {
        return http::authenticate(State(keys.access), request, next).await;
    };
    let key = Digest::of(token.as_bytes());
    let now = keys.access.clock.now();
    let principal = match keys.find(&key, now) {
        Some(principal) => principal,
        None => match as_system(keys.access.authenticate_key(&token)).await {
            Ok(principal) => {
                keys.keep(key, now, principal.clone());
                principal
            }
            Err(error) => return error.into_response(),
        },
    };
    request.extensions_mut().insert(principal);
    http::run_scoped(request, next).await
}
