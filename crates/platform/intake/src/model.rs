//! Events on their way into the log, and what became of them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

use sealwright_cloudevents::Event;
use sealwright_core::{Digest, TenantId, UnixMicros};
use sealwright_events::Rejection;

/// What makes two events the same one: tenant, `source` and `id`, hashed (BLAKE3, 128 bits), so that
/// nobody can make two that collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey(pub [u8; 16]);

impl EventKey {
    /// The key of the event `id` of `source`.
    pub fn new(tenant: TenantId, source: &str, id: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(tenant.uuid().as_bytes());
        hasher.update(&(source.len() as u64).to_le_bytes());
        hasher.update(source.as_bytes());
        hasher.update(id.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(key)
    }
}

/// Hashes [`EventKey`]s for tables in memory: they are hashes already, and a secret per process keeps senders from choosing the
/// table's slots.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    pub(crate) fn new() -> Self {
        // RandomState is the standard library's source of a random number for each process.
        static SECRET: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0_u8));
        Self(*SECRET)
    }
}

impl BuildHasher for KeyHash {
    type Hasher = KeyHasher;
    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(self.0)
    }
}

/// See [`KeyHash`].
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            let mixed = (self.0 ^ u64::from_le_bytes(*first)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.0 = mixed ^ (mixed >> 29);
        }
    }
    fn write_usize(&mut self, _length: usize) {}
}

/// What the log remembers of an accepted event's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Where it is in the log.
    pub offset: u64,
    /// Its digest.
    pub digest: Digest,
}

/// A valid event that is to be stored.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Whose event.
    pub tenant: TenantId,
    /// The event.
    pub event: Event,
    /// What it is recognised by.
    pub key: EventKey,
    /// SHA-256 of its canonical text.
    pub digest: Digest,
    /// Too late to be accepted now: it is refused with this unless it is a duplicate, since a retry of
    /// an event that was accepted in time is not late.
    pub unless_known: Option<Rejection>,
}

impl NewEvent {
    /// Computes key and digest.
    pub fn new(tenant: TenantId, event: Event) -> Self {
        Self {
            tenant,
            key: EventKey::new(tenant, event.source(), event.id()),
            digest: Digest::of(event.json().as_bytes()),
            event,
            unless_known: None,
        }
    }

    /// When it happened: its `time`, or `received_at` where it has none.
    pub fn time(&self, received_at: UnixMicros) -> UnixMicros {
        self.event.time_micros().map_or(received_at, UnixMicros)
    }
}

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It is in the log.
    Accepted {
        /// Where.
        offset: u64,
    },
    /// The same event is in the log already.
    Duplicate {
        /// Where.
        offset: u64,
    },
    /// Another event of the same tenant, source and id is in the log, or earlier in the batch.
    Conflict {
        /// Where that one is; `None` when it is in the same batch.
        offset: Option<u64>,
        /// That one's digest.
        stored: Digest,
        /// This one's digest.
        sent: Digest,
    },
    /// It is not acceptable.
    Rejected(Rejection),
    /// It is fine, and was not stored because of others of its batch.
    NotStored,
}

/// What became of one batch: all of it was stored, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchOutcome {
    /// Whether its events are in the log now.
    pub stored: bool,
    /// One status an event.
    pub statuses: Vec<Status>,
}
