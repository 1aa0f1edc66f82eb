//! The state of an engine as bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::engine::{Carry, Engine, GroupKey, Metrics, Order, SourceState, Waiting};
use super::group::Group;

const MAGIC: &[u8; 4] = b"SWSC";
const VERSION: u16 = 1;

/// Why a state cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The bytes are not a state, or are damaged.
    #[error("these bytes are not the state of a correlation engine: {0}")]
    Damaged(String),
    /// Written by a newer program.
    #[error("the state has version {0}, this program reads up to {VERSION}")]
    Newer(u16),
}

#[derive(Serialize, Deserialize)]
struct State {
    identities: Vec<String>,
    sources: BTreeMap<Box<str>, SourceState>,
    frontier: i64,
    waiting: Vec<(Order, Waiting)>,
    groups: Vec<(GroupKey, Group)>,
    carried: Vec<(GroupKey, Carry)>,
    timers: BTreeSet<(i64, GroupKey)>,
    metrics: Metrics,
}

impl Engine {
    /// The state, with a version. The same state gives the same bytes.
    ///
    /// # Errors
    /// Only when memory for it cannot be had.
    pub fn save(&self) -> Result<Vec<u8>, StateError> {
        let state = State {
            identities: self.identities(),
            sources: self.sources.clone(),
            frontier: self.frontier,
            waiting: self
                .waiting
                .iter()
                .map(|(o, w)| (o.clone(), w.clone()))
                .collect(),
            groups: self
                .groups
                .iter()
                .map(|(k, g)| (k.clone(), g.clone()))
                .collect(),
            carried: self
                .carried
                .iter()
                .map(|(k, c)| (k.clone(), c.clone()))
                .collect(),
            timers: self.timers.clone(),
            metrics: self.metrics,
        };
        let mut out = MAGIC.to_vec();
        out.extend(VERSION.to_le_bytes());
        postcard::to_extend(&state, out).map_err(|e| StateError::Damaged(e.to_string()))
    }

    /// Takes up a state. Groups of correlations that have changed or gone are left out; gives the
    /// number of those correlations.
    ///
    /// # Errors
    /// When the bytes are no state, or one of a newer program.
    pub fn load(&mut self, bytes: &[u8]) -> Result<usize, StateError> {
        let damaged = |e: &str| StateError::Damaged(e.to_owned());
        let rest = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| damaged("wrong first bytes"))?;
        let (version, body) = rest
            .split_first_chunk::<2>()
            .ok_or_else(|| damaged("no version"))?;
        let version = u16::from_le_bytes(*version);
        if version > VERSION {
            return Err(StateError::Newer(version));
        }
        let state: State = postcard::from_bytes(body).map_err(|e| damaged(&e.to_string()))?;
        let now = self.identities();
        let map: Vec<Option<u16>> = state
            .identities
            .iter()
            .map(|id| {
                now.iter()
                    .position(|n| n == id)
                    .and_then(|i| u16::try_from(i).ok())
            })
            .collect();
        let to = |def: u16| map.get(usize::from(def)).copied().flatten();
        let key = |k: GroupKey| Some((to(k.0)?, k.1));
        self.sources = state.sources;
        self.frontier = state.frontier;
        self.waiting = state
            .waiting
            .into_iter()
            .filter_map(|(o, w)| {
                Some((
                    Order {
                        def: to(o.def)?,
                        ..o
                    },
                    w,
                ))
            })
            .collect();
        self.groups = state
            .groups
            .into_iter()
            .filter_map(|(k, g)| Some((key(k)?, g)))
            .collect();
        self.carried = state
            .carried
            .into_iter()
            .filter_map(|(k, c)| Some((key(k)?, c)))
            .collect();
        self.timers = state
            .timers
            .into_iter()
            .filter_map(|(t, k)| Some((t, key(k)?)))
            .collect();
        self.metrics = state.metrics;
        Ok(map.iter().filter(|m| m.is_none()).count())
    }
}
