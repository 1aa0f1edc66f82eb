//! Whose events are let into the log next, while what follows it is behind.
//!
//! The log is read in its order, so what one tenant sends in a second others would wait for, however long it takes to
//! meter and to detect. So only so many events are let in ahead of those that follow the log; when so many are under way, requests
//! wait, and tenants take turns by start-time fair queuing (Goyal, Vin and Cheng, 1996): each gets the same share of what can be
//! taken, and what one does not use is the others'. A tenant that has little under way does not wait.
//!
//! What is let in is durable when it is answered, as ever: waiting comes before the log. Each process counts what it lets in
//! itself. The bound follows the pace of the followers ([`pace`]); while it is not known, or they stand still, nobody waits.

mod follow;
mod lane;
mod pace;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sealwright_core::TenantId;
use tokio::sync::{Notify, oneshot};

pub use follow::follow;
pub(crate) use lane::Lanes;

use crate::log::AppendError;

/// Requests of one tenant that wait at once; further ones are told to come later.
const MOST_WAITING: usize = 64;
/// How long a request waits before it is told to come later. Shorter than what clients wait for an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Requests that are remembered until they were followed. Further ones, which there are when the followers stand still, are not
/// counted as under way.
const MOST_STORED: usize = 100_000;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Turns {
    shared: Arc<Shared>,
}

struct Shared {
    longest_wait: Duration,
    state: Mutex<State>,
    /// Something is under way.
    begun: Notify,
}

#[derive(Default)]
struct Tenant {
    under_way: u64,
    waiting: usize,
    /// Where in the virtual time its last request ends.
    finish: u64,
}

struct Waiting {
    tenant: TenantId,
    events: u64,
    give: oneshot::Sender<()>,
}

#[derive(Default)]
struct State {
    /// Somebody says how far the log was followed. Without that nothing is counted.
    watched: bool,
    /// Events that may be under way; `None` is any number.
    window: Option<u64>,
    under_way: u64,
    tenants: HashMap<TenantId, Tenant>,
    /// By start in the virtual time; equal ones in the order in which they came.
    waiting: BTreeMap<(u64, u64), Waiting>,
    /// The start of the latest request that was let in.
    virtual_time: u64,
    number: u64,
    /// What is in the log and not yet followed, by the offset behind it.
    stored: BTreeMap<(u64, u64), (TenantId, u64)>,
    followed: u64,
}

impl State {
    fn tenant(&mut self, tenant: TenantId) -> &mut Tenant {
        self.tenants.entry(tenant).or_default()
    }

    fn number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn start(&mut self, tenant: TenantId) -> u64 {
        let virtual_time = self.virtual_time;
        self.tenant(tenant).finish.max(virtual_time)
    }

    /// Whether a request need not wait for others: there is room and nobody waits, or its tenant has little under way.
    fn free(&mut self, tenant: TenantId, events: u64) -> bool {
        let Some(window) = self.window else {
            return true;
        };
        if self.under_way == 0
            || (self.waiting.is_empty() && self.under_way.saturating_add(events) <= window)
        {
            return true;
        }
        // Those that have something under way or wait, this one among them.
        let own = self.tenant(tenant);
        let little = own.waiting == 0;
        let own = own.under_way.saturating_add(events);
        let active = self.tenants.len() as u64;
        little && own.saturating_mul(2).saturating_mul(active) <= window
    }

    fn let_in(&mut self, tenant: TenantId, events: u64, start: u64) {
        self.virtual_time = self.virtual_time.max(start);
        self.under_way = self.under_way.saturating_add(events);
        let tenant = self.tenant(tenant);
        tenant.under_way = tenant.under_way.saturating_add(events);
    }

    fn done(&mut self, tenant: TenantId, events: u64) {
        self.under_way = self.under_way.saturating_sub(events);
        let own = self.tenant(tenant);
        own.under_way = own.under_way.saturating_sub(events);
        self.forget(tenant);
    }

    /// A tenant of which nothing is under way or waits is not active; its share of the past is forgotten with it.
    fn forget(&mut self, tenant: TenantId) {
        if self
            .tenants
            .get(&tenant)
            .is_some_and(|own| own.under_way == 0 && own.waiting == 0)
        {
            self.tenants.remove(&tenant);
        }
    }

    /// Lets in who is next, as many as there is room for.
    fn next(&mut self) {
        while let Some((key, first)) = self.waiting.pop_first() {
            let room = self.window.is_none_or(|window| {
                self.under_way == 0 || self.under_way.saturating_add(first.events) <= window
            });
            if !room {
                self.waiting.insert(key, first);
                return;
            }
            self.tenant(first.tenant).waiting -= 1;
            self.let_in(first.tenant, first.events, key.0);
            // Whoever waited and goes away says so itself.
            let _ = first.give.send(());
        }
    }
}

impl std::fmt::Debug for Turns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("Turns")
            .field("window", &state.window)
            .field("under_way", &state.under_way)
            .field("waiting", &state.waiting.len())
            .finish_non_exhaustive()
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self::waiting_for(LONGEST_WAIT)
    }
}

impl Turns {
    fn waiting_for(longest_wait: Duration) -> Self {
        let shared = Shared {
            longest_wait,
            state: Mutex::default(),
            begun: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Waits until `events` of a tenant may be let into the log.
    ///
    /// # Errors
    /// [`AppendError::Later`] when too many of its requests wait already, or this one waited for too long.
    pub async fn take(&self, tenant: TenantId, events: u64) -> Result<Turn, AppendError> {
        let waits = {
            let mut state = self.state();
            if !state.watched {
                return Ok(self.turn(tenant, 0));
            }
            let start = state.start(tenant);
            if state.free(tenant, events) {
                state.tenant(tenant).finish = start.saturating_add(events);
                state.let_in(tenant, events, start);
                None
            } else {
                let own = state.tenant(tenant);
                if own.waiting >= MOST_WAITING {
                    return Err(AppendError::Later);
                }
                own.waiting += 1;
                own.finish = start.saturating_add(events);
                let key = (start, state.number());
                let (give, given) = oneshot::channel();
                let waiting = Waiting {
                    tenant,
                    events,
                    give,
                };
                state.waiting.insert(key, waiting);
                Some((key, given))
            }
        };
        self.shared.begun.notify_one();
        if let Some((key, given)) = waits {
            let started = std::time::Instant::now();
            let mut place = Place {
                turns: self,
                key,
                tenant,
                events,
                over: false,
            };
            let given = tokio::time::timeout(self.shared.longest_wait, given).await;
            place.over = true;
            metrics::histogram!("sealwright_intake_turn_seconds")
                .record(started.elapsed().as_secs_f64());
            // At the last moment it may have been let in.
            if !matches!(given, Ok(Ok(()))) && place.leave() {
                return Err(AppendError::Later);
            }
        }
        Ok(self.turn(tenant, events))
    }

    fn turn(&self, tenant: TenantId, events: u64) -> Turn {
        Turn {
            turns: self.clone(),
            tenant,
            events,
        }
    }

    /// How many events may be under way; `None` is any number.
    fn open(&self, window: Option<u64>) {
        let mut state = self.state();
        state.watched = true;
        state.window = window;
        state.next();
    }

    /// Nobody looks any more.
    fn close(&self) {
        self.open(None);
        self.state().watched = false;
    }

    /// Everything below `offset` was followed.
    fn followed(&self, offset: u64) {
        let mut state = self.state();
        state.followed = state.followed.max(offset);
        while let Some(first) = state.stored.first_entry() {
            if first.key().0 > offset {
                break;
            }
            let (tenant, events) = first.remove();
            state.done(tenant, events);
        }
        state.next();
    }

    /// Events under way, and requests that wait.
    fn size(&self) -> (u64, usize) {
        let state = self.state();
        (state.under_way, state.waiting.len())
    }
}

/// A place among those that wait, given up when the request goes away.
struct Place<'t> {
    turns: &'t Turns,
    key: (u64, u64),
    tenant: TenantId,
    events: u64,
    /// It is not waited for any more.
    over: bool,
}

impl Place<'_> {
    /// Whether it was still waiting.
    fn leave(&self) -> bool {
        let mut state = self.turns.state();
        let Some(waiting) = state.waiting.remove(&self.key) else {
            return false;
        };
        state.tenant(waiting.tenant).waiting -= 1;
        state.forget(waiting.tenant);
        true
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.over && !self.leave() {
            // It was let in, and nobody is there to hear of it.
            let mut state = self.turns.state();
            state.done(self.tenant, self.events);
            state.next();
        }
    }
}

/// Events that were let in. What does not get into the log is no longer under way when this is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    tenant: TenantId,
    events: u64,
}

impl Turn {
    /// So many of them are in the log now, all below the offset `end`; they are under way until they were followed.
    pub fn stored(mut self, events: u64, end: u64) {
        let mut state = self.turns.state();
        let events = events.min(self.events);
        if events > 0 && end > state.followed && state.stored.len() < MOST_STORED {
            self.events -= events;
            let key = (end, state.number());
            state.stored.insert(key, (self.tenant, events));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.events > 0 {
            let mut state = self.turns.state();
            state.done(self.tenant, self.events);
            state.next();
        }
    }
}

#[cfg(test)]
mod tests;
