//! A bounded series that takes values late, out of order and corrected.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ForecastError;
use crate::error::finite;

/// A value and the version of the knowledge that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// The value.
    pub value: f64,
    /// The higher stamp wins; a log offset or a revision.
    pub stamp: u64,
}

impl Stamped {
    fn wins_over(&self, other: &Self) -> bool {
        (self.stamp, self.value.to_bits()) > (other.stamp, other.value.to_bits())
    }
}

/// The newest values of a series by slot. The order of arrival does not matter, the same value twice
/// changes nothing, and two histories merge: it is a last-writer-wins map over a sliding window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    slots: usize,
    values: BTreeMap<i64, Stamped>,
}

impl History {
    /// An empty history of at most `slots` slots, the newest known one included.
    pub fn new(slots: usize) -> Self {
        Self {
            slots: slots.max(1),
            values: BTreeMap::new(),
        }
    }

    /// Takes in a value; what is older than the window is dropped.
    ///
    /// # Errors
    /// [`ForecastError::NotFinite`]; the history is unchanged.
    pub fn put(&mut self, slot: i64, value: Stamped) -> Result<(), ForecastError> {
        finite(value.value)?;
        let place = self.values.entry(slot).or_insert(value);
        if value.wins_over(place) {
            *place = value;
        }
        self.cut();
        Ok(())
    }

    /// Takes in everything that `other` knows.
    pub fn merge(&mut self, other: &Self) {
        for (slot, value) in &other.values {
            let place = self.values.entry(*slot).or_insert(*value);
            if value.wins_over(place) {
                *place = *value;
            }
        }
        self.slots = self.slots.max(other.slots);
        self.cut();
    }

    fn cut(&mut self) {
        let Some((newest, _)) = self.values.last_key_value() else {
            return;
        };
        let reach = i64::try_from(self.slots).unwrap_or(i64::MAX);
        let first = newest.saturating_sub(reach - 1);
        self.values = self.values.split_off(&first);
    }

    /// The newest slot that has a value.
    pub fn newest(&self) -> Option<i64> {
        self.values.last_key_value().map(|(slot, _)| *slot)
    }

    /// The known values, oldest first.
    pub fn known(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        self.values.iter().map(|(slot, value)| (*slot, value.value))
    }

    /// The `count` slots before `slot`, oldest first, missing ones as `None`.
    pub fn before(&self, slot: i64, count: usize) -> Vec<Option<f64>> {
        let reach = i64::try_from(count.min(self.slots)).unwrap_or(0);
        (slot.saturating_sub(reach)..slot)
            .map(|slot| self.values.get(&slot).map(|value| value.value))
            .collect()
    }
}
