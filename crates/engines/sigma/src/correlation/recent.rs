//! Values in the order in which they were last seen.
//!
//! To see one, and to forget the oldest, costs the same however many there are, on average: an event must not cost
//! more because its group is a busy one.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

/// So many are looked through one by one, without a table beside them.
const FEW: usize = 32;

/// Values, and the time at which each was last seen. Times never go back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(Box<str>, i64)>", into = "Vec<(Box<str>, i64)>")]
pub(super) struct Recent {
    /// Oldest first. A value that was seen again left a gap.
    entries: VecDeque<Option<(Box<str>, i64)>>,
    /// How many were taken off the front.
    gone: usize,
    live: usize,
    /// Where a value is, counted from the first that there ever was; only where there are many.
    places: Option<HashMap<Box<str>, usize>>,
}

impl Recent {
    /// How many values there are.
    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// Forgets what was last seen before `from`.
    pub(super) fn forget(&mut self, from: i64) {
        while self.oldest().is_some_and(|time| time < from) {
            self.drop_oldest();
        }
    }

    /// Forgets the value that was not seen for longest.
    pub(super) fn drop_oldest(&mut self) {
        self.oldest();
        if let Some(Some((value, _))) = self.entries.pop_front() {
            self.gone += 1;
            self.live -= 1;
            if let Some(places) = &mut self.places {
                places.remove(&value);
            }
        }
    }

    /// When the oldest value was last seen; it is at the front then.
    fn oldest(&mut self) -> Option<i64> {
        loop {
            match self.entries.front()? {
                Some((_, time)) => return Some(*time),
                None => {
                    self.entries.pop_front();
                    self.gone += 1;
                }
            }
        }
    }

    /// A value is seen. Whether it was known.
    pub(super) fn see(&mut self, value: &str, time: i64) -> bool {
        let there = self.place(value).and_then(|at| self.entries.get_mut(at));
        let there = there.and_then(Option::take);
        let known = there.is_some();
        self.live += usize::from(!known);
        let entry = (there.map_or_else(|| value.into(), |(value, _)| value), time);
        let place = self.gone + self.entries.len();
        if let Some(places) = &mut self.places {
            match places.get_mut(value) {
                Some(at) => *at = place,
                None => {
                    places.insert(value.into(), place);
                }
            }
        }
        self.entries.push_back(Some(entry));
        let many = self.live > FEW;
        if self.entries.len() > 2 * self.live + FEW || many != self.places.is_some() {
            self.tidy(many);
        }
        known
    }

    /// Closes the gaps.
    fn tidy(&mut self, many: bool) {
        self.entries.retain(Option::is_some);
        self.gone = 0;
        self.places = many.then(|| {
            let values = self.entries.iter().flatten().map(|(value, _)| value);
            values.cloned().zip(0..).collect()
        });
    }

    fn place(&self, value: &str) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(value).map(|at| at - self.gone),
            None => {
                let is = |entry: &Option<(Box<str>, i64)>| {
                    entry.as_ref().is_some_and(|(v, _)| **v == *value)
                };
                self.entries.iter().position(is)
            }
        }
    }
}

impl PartialEq for Recent {
    fn eq(&self, other: &Self) -> bool {
        self.entries
            .iter()
            .flatten()
            .eq(other.entries.iter().flatten())
    }
}

impl From<Vec<(Box<str>, i64)>> for Recent {
    fn from(mut list: Vec<(Box<str>, i64)>) -> Self {
        list.sort_by_key(|(_, time)| *time);
        let mut recent = Self {
            live: list.len(),
            entries: list.into_iter().map(Some).collect(),
            ..Self::default()
        };
        recent.tidy(recent.live > FEW);
        recent
    }
}

impl From<Recent> for Vec<(Box<str>, i64)> {
    fn from(recent: Recent) -> Self {
        recent.entries.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_list_of_what_was_last_seen(
            steps in prop::collection::vec((0_u8..3, 0_u16..120, 0_i64..3), 1..600),
        ) {
            let mut recent = Recent::default();
            let mut list: Vec<(Box<str>, i64)> = Vec::new();
            let mut now = 0;
            for (what, value, later) in steps {
                now += later;
                let value = value.to_string();
                match what {
                    0 if list.len() > 80 => {
                        recent.drop_oldest();
                        list.remove(0);
                    }
                    0 => {
                        recent.forget(now - 60);
                        list.retain(|(_, time)| *time >= now - 60);
                    }
                    _ => {
                        let known = list.iter().any(|(v, _)| **v == *value);
                        prop_assert_eq!(recent.see(&value, now), known);
                        list.retain(|(v, _)| **v != *value);
                        list.push((value.into(), now));
                    }
                }
                prop_assert_eq!(recent.len(), list.len());
                prop_assert_eq!(Vec::from(recent.clone()), list.clone());
                prop_assert!(recent.entries.len() <= 2 * recent.len() + FEW + 1);
            }
            let again = Recent::from(Vec::from(recent.clone()));
            prop_assert_eq!(&again, &recent);
        }
    }
}
