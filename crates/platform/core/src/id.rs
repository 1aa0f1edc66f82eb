//! Identifiers: a typed prefix and a UUIDv7 (RFC 9562), so that ids sort by the time of their
//! making and say what they name: `inv_019ab3c0…`.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{Builder, Uuid};

use crate::clock::UnixMicros;

/// What an id names; the prefix is part of its text.
pub trait IdKind {
    /// The lower-case prefix, without the underscore, e.g. `inv`.
    const PREFIX: &'static str;
}

/// An id of kind `K`: `<prefix>_<32 hexadecimal digits of a UUIDv7>`.
pub struct Id<K> {
    uuid: Uuid,
    kind: PhantomData<fn() -> K>,
}

/// How many ids this process has made in the same millisecond, below 4,096; beyond that order is left to
/// the random bits.
fn next_counter(millis: u64) -> u16 {
    static LAST: Mutex<(u64, u16)> = Mutex::new((0, 0));
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    *last = if last.0 == millis {
        (millis, (last.1 + 1).min(0x0fff))
    } else {
        (millis, 0)
    };
    last.1
}

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form {prefix}_<32 hexadecimal digits>")]
pub struct IdError {
    text: String,
    prefix: &'static str,
}

impl<K: IdKind> Id<K> {
    /// A new id for the moment `now`; the other bits come from the operating system's random source.
    pub fn new(now: UnixMicros) -> Self {
        let mut random = [0u8; 10];
        if getrandom::fill(&mut random).is_err() {
            // The random source of a running system does not fail; uuid's own generator is the
            // second way in and panics with a clear message if it does.
            random.copy_from_slice(&Uuid::now_v7().as_bytes()[6..16]);
        }
        let millis = u64::try_from(now.0.max(0) / 1_000).unwrap_or(0);
        // RFC 9562 section 6.2, method 1: a counter in the bits after the time, so that the ids of one
        // process sort by their making within a millisecond too.
        let counter = next_counter(millis).to_be_bytes();
        random[0] = counter[0];
        random[1] = counter[1];
        Self::from_uuid(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Wraps a UUID that is already known.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self {
            uuid,
            kind: PhantomData,
        }
    }

    /// The UUID inside.
    pub const fn uuid(&self) -> Uuid {
        self.uuid
    }
}

impl<K: IdKind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.uuid.simple())
    }
}

impl<K: IdKind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: IdKind> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError {
            text: text.chars().take(64).collect(),
            prefix: K::PREFIX,
        };
        let hex = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .filter(|hex| hex.len() == 32 && !hex.bytes().any(|b| b.is_ascii_uppercase()))
            .ok_or_else(error)?;
        Uuid::try_parse(hex)
            .map(Self::from_uuid)
            .map_err(|_| error())
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.uuid.cmp(&other.uuid)
    }
}
impl<K> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

impl<K: IdKind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: IdKind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    struct Inv;
    impl IdKind for Inv {
        const PREFIX: &'static str = "inv";
    }

    #[test]
    fn round_trip_and_order() {
        let a = Id::<Inv>::new(UnixMicros(1_000_000));
        let b = Id::<Inv>::new(UnixMicros(2_000_000));
        assert!(a < b, "ids sort by time");
        let c = Id::<Inv>::new(UnixMicros(2_000_000));
        assert!(b < c, "and by their making within a millisecond");
        assert_eq!(a.to_string().parse::<Id<Inv>>().unwrap(), a);
        assert_eq!(
            serde_json::from_str::<Id<Inv>>(&serde_json::to_string(&a).unwrap()).unwrap(),
            a
        );
    }

    #[test]
    fn refuses_other_kinds_and_forms() {
        let id = Id::<Inv>::new(UnixMicros(0)).to_string();
        for bad in [
            id.replace("inv", "evt"),
            id.to_uppercase(),
            id[..20].into(),
            String::new(),
        ] {
            assert!(bad.parse::<Id<Inv>>().is_err(), "{bad}");
        }
    }
}
