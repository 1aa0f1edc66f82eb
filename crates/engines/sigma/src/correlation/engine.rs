//! Correlation by event time.
//!
//! Matched events wait in a buffer until the *frontier* has passed them, and are then taken in the
//! order of their times (ties by event id). The frontier is the least, over all sources, of the
//! latest time of the source less the lateness; it never goes back. So any order of arrival in
//! which no event is more than the lateness behind its source gives the same alerts, to the byte.
//! An event behind the frontier is *late*: it is counted and named, and takes no effect. An event
//! further ahead of the clock than the declared skew is *from the future*: it takes no effect
//! either, and cannot move the frontier. The same event offered twice counts once as long as it
//! waits.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::group::{Caps, Effects, EventId, Group, Payload, Position, Seen};
use super::{Correlation, CorrelationKind};
use crate::collection::{Collection, Target};
use crate::yaml::Number;

/// Bounds and times of an [`Engine`]. Times are in microseconds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How far an event may be behind the latest of its source.
    pub lateness: i64,
    /// How far an event may be ahead of the clock.
    pub skew: i64,
    /// A source that sent nothing for this long (by the clock) no longer holds the frontier back.
    pub idle: i64,
    /// Groups in all; beyond it the tenth that was touched longest ago is dropped.
    pub max_groups: usize,
    /// Observations that wait; beyond it the oldest are taken early.
    pub max_waiting: usize,
    /// Entries that one group keeps.
    pub max_entries: usize,
    /// Sources that are told apart; further ones are one.
    pub max_sources: usize,
}

impl Default for Settings {
    /// One minute late, five minutes ahead, ten minutes idle, a million groups, a million waiting,
    /// 10,000 entries a group, 10,000 sources.
    fn default() -> Self {
        Self {
            lateness: 60_000_000,
            skew: 300_000_000,
            idle: 600_000_000,
            max_groups: 1_000_000,
            max_waiting: 1_000_000,
            max_entries: 10_000,
            max_sources: 10_000,
        }
    }
}

/// An event, as far as correlation needs it.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Where it came from; each source has a watermark of its own.
    pub source: &'a str,
    /// When it happened.
    pub time: i64,
    /// Its identity.
    pub id: EventId,
    /// The clock; `None` when history is read, where nothing is idle or from the future.
    pub now: Option<i64>,
}

/// How an event was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// In time.
    InTime,
    /// Behind the frontier: without effect on correlations.
    Late,
    /// Ahead of the clock by more than the skew: without effect on correlations.
    Future,
}

/// A correlation that fired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Index of the correlation in its [`Collection`].
    pub correlation: usize,
    /// When it was fulfilled: the time of the last event, or the end of the window.
    pub time: i64,
    /// Time of the first event that counts.
    pub start: i64,
    /// Names and values of the group.
    pub group: Vec<(String, String)>,
    /// Count, sum or other measure; km for impossible travel, seconds for dormancy.
    pub measure: f64,
    /// The events, oldest first.
    pub events: Vec<EventId>,
}

/// What happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// Events behind the frontier.
    pub late: u64,
    /// Events ahead of the clock.
    pub future: u64,
    /// Observations without a value for a group field.
    pub ungrouped: u64,
    /// Observations without the value that the correlation measures.
    pub valueless: u64,
    /// Groups dropped because there were too many.
    pub evicted_groups: u64,
    /// Entries dropped because a group had too many.
    pub truncated: u64,
    /// Observations taken before the frontier passed them because too many waited.
    pub forced: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) time: i64,
    pub(crate) id: EventId,
    pub(crate) def: u16,
    /// Falls with the position of the rule where the order of rules counts, so that one event
    /// cannot be two steps of a chain.
    pub(crate) rank: u16,
    pub(crate) key: Box<[u8]>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) input: u16,
    pub(crate) payload: Payload,
    /// Fields that correlations above group by.
    pub(crate) carry: Carry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourceState {
    pub(crate) latest: i64,
    pub(crate) heard: Option<i64>,
}

pub(crate) type GroupKey = (u16, Box<[u8]>);
/// Fields and their values.
pub(crate) type Carry = Vec<(Box<str>, Vec<String>)>;

struct Def {
    correlation: Correlation,
    /// For each rule of the correlation, the field of each group part.
    group_fields: Vec<Vec<String>>,
    /// Fields that correlations above ask for.
    carry: Vec<String>,
    parents: Vec<(u16, u16)>,
}

/// Correlates matches. One for each tenant: nothing is shared between two.
pub struct Engine {
    defs: Vec<Def>,
    /// For each rule, the correlations it is part of: (correlation, position).
    by_rule: BTreeMap<usize, Arc<[(u16, u16)]>>,
    pub(crate) settings: Settings,
    pub(crate) sources: BTreeMap<Box<str>, SourceState>,
    pub(crate) frontier: i64,
    pub(crate) waiting: BTreeMap<Order, Waiting>,
    pub(crate) groups: BTreeMap<GroupKey, Group>,
    pub(crate) carried: BTreeMap<GroupKey, Carry>,
    pub(crate) timers: BTreeSet<(i64, GroupKey)>,
    pub(crate) metrics: Metrics,
    sweep_at: usize,
}

impl Engine {
    /// An engine for the correlations of a collection.
    ///
    /// # Errors
    /// When there are more than 65,535 correlations, or one has a threshold above the entries that
    /// a group may keep.
    pub fn new(collection: &Collection, settings: Settings) -> Result<Self, String> {
        let mut defs: Vec<Def> = Vec::new();
        let mut by_rule: BTreeMap<usize, Vec<(u16, u16)>> = BTreeMap::new();
        for (i, c) in collection.correlations.iter().enumerate() {
            let number = u16::try_from(i).map_err(|_| "too many correlations".to_owned())?;
            let threshold = c.bounds.iter().map(|(_, n)| n.as_f64()).fold(0.0, f64::max);
            let counts = matches!(
                c.kind,
                CorrelationKind::EventCount
                    | CorrelationKind::ValueCount
                    | CorrelationKind::Changes
            );
            #[allow(clippy::cast_precision_loss)]
            if counts && threshold >= settings.max_entries as f64 {
                return Err(format!(
                    "{}: the threshold {threshold} is above the {} entries that a group may keep",
                    c.meta.key(),
                    settings.max_entries
                ));
            }
            let group_fields: Vec<Vec<String>> = c
                .rules
                .iter()
                .map(|rule| c.group_by.iter().map(|g| alias(c, g, rule)).collect())
                .collect();
            for (position, target) in collection.targets[i].iter().enumerate() {
                let at = u16::try_from(position).map_err(|_| "too many rules".to_owned())?;
                match target {
                    Target::Rule(r) => by_rule.entry(*r).or_default().push((number, at)),
                    Target::Correlation(below) => {
                        let mut carry = group_fields[position].clone();
                        carry.extend(c.fields.iter().cloned());
                        push_parent(&mut defs, *below, (number, at), &carry);
                    }
                }
            }
            defs.push(Def {
                correlation: c.clone(),
                group_fields,
                carry: Vec::new(),
                parents: Vec::new(),
            });
        }
        // What a correlation carries, those below must carry too.
        for i in (0..defs.len()).rev() {
            let carry = defs[i].carry.clone();
            for (position, target) in collection.targets[i].iter().enumerate() {
                if let Target::Correlation(below) = target {
                    let parent = (
                        u16::try_from(i).unwrap_or(0),
                        u16::try_from(position).unwrap_or(0),
                    );
                    push_parent(&mut defs, *below, parent, &carry);
                }
            }
        }
        Ok(Self {
            defs,
            by_rule: by_rule.into_iter().map(|(r, u)| (r, u.into())).collect(),
            settings,
            sources: BTreeMap::new(),
            frontier: i64::MIN,
            waiting: BTreeMap::new(),
            groups: BTreeMap::new(),
            carried: BTreeMap::new(),
            timers: BTreeSet::new(),
            metrics: Metrics::default(),
            sweep_at: 10_000,
        })
    }

    /// Names of all fields that the engine asks for; give them to
    /// [`crate::compiled::Options::extra_fields`].
    pub fn fields(collection: &Collection) -> Vec<String> {
        let mut out = BTreeSet::new();
        for c in &collection.correlations {
            for rule in &c.rules {
                out.extend(c.group_by.iter().map(|g| alias(c, g, rule)));
            }
            out.extend(measured(c).cloned());
        }
        out.into_iter().collect()
    }

    /// Names of the fields that [`Engine::observe`] may ask for when this rule matches.
    pub fn fields_of(&self, rule: usize) -> BTreeSet<&str> {
        let uses = self.by_rule.get(&rule).into_iter().flat_map(|u| u.iter());
        uses.filter_map(|(def, input)| Some((self.defs.get(usize::from(*def))?, input)))
            .flat_map(|(d, input)| {
                let group = d.group_fields.get(usize::from(*input));
                let group = group.into_iter().flatten();
                group.chain(measured(&d.correlation)).chain(&d.carry)
            })
            .map(String::as_str)
            .collect()
    }

    /// Whether a rule is part of a correlation.
    pub fn uses(&self, rule: usize) -> bool {
        self.by_rule.contains_key(&rule)
    }

    /// Offers an event with the rules that match it. Every event of a source should be offered,
    /// also when nothing matches, as it moves the watermark. `field` gives the texts of a field.
    pub fn observe(
        &mut self,
        arrival: &Arrival<'_>,
        matched: &[usize],
        mut field: impl FnMut(&str) -> Vec<String>,
    ) -> Taken {
        if let Some(now) = arrival.now
            && arrival.time > now.saturating_add(self.settings.skew)
        {
            self.metrics.future += 1;
            return Taken::Future;
        }
        let late = arrival.time < self.frontier;
        self.mark(arrival);
        if late {
            self.metrics.late += 1;
            return Taken::Late;
        }
        for rule in matched {
            let Some(uses) = self.by_rule.get(rule).map(Arc::clone) else {
                continue;
            };
            for (def, input) in uses.iter() {
                self.enqueue(*def, *input, arrival.time, arrival.id, &mut field);
            }
        }
        Taken::InTime
    }

    fn mark(&mut self, arrival: &Arrival<'_>) {
        let mark = |s: &mut SourceState| {
            s.latest = s.latest.max(arrival.time);
            s.heard = s.heard.max(arrival.now);
        };
        if let Some(s) = self.sources.get_mut(arrival.source) {
            return mark(s);
        }
        let name = if self.sources.len() < self.settings.max_sources {
            arrival.source
        } else {
            ""
        };
        let fresh = SourceState {
            latest: arrival.time,
            heard: arrival.now,
        };
        self.sources
            .entry(name.into())
            .and_modify(mark)
            .or_insert(fresh);
    }

    fn enqueue(
        &mut self,
        def: u16,
        input: u16,
        time: i64,
        id: EventId,
        field: &mut impl FnMut(&str) -> Vec<String>,
    ) {
        let d = &self.defs[def as usize];
        let c = &d.correlation;
        let mut keys: Vec<Vec<u8>> = vec![Vec::new()];
        for name in &d.group_fields[input as usize] {
            let values = field(name);
            if values.is_empty() {
                self.metrics.ungrouped += 1;
                return;
            }
            // A list puts the event into the group of each member, within reason.
            keys = keys
                .iter()
                .flat_map(|k| values.iter().take(16).map(move |v| encode(k, v)))
                .take(64)
                .collect();
        }
        let Some(payload) = payload(c, field) else {
            self.metrics.valueless += 1;
            return;
        };
        let carry: Carry = d
            .carry
            .iter()
            .map(|n| (n.as_str().into(), field(n)))
            .collect();
        let rank = if c.kind == CorrelationKind::TemporalOrdered {
            u16::MAX - input
        } else {
            input
        };
        for key in keys {
            self.waiting.insert(
                Order {
                    time,
                    id,
                    def,
                    rank,
                    key: key.into(),
                },
                Waiting {
                    input,
                    payload: payload.clone(),
                    carry: carry.clone(),
                },
            );
        }
    }

    /// Takes everything that the frontier has passed, and gives the alerts in order. `now` lets
    /// silent sources go.
    pub fn advance(&mut self, now: Option<i64>) -> Vec<Alert> {
        let idle = self.settings.idle;
        let active = |s: &SourceState| match (now, s.heard) {
            (Some(now), Some(heard)) => now.saturating_sub(heard) <= idle,
            _ => true,
        };
        let least = self
            .sources
            .values()
            .filter(|s| active(s))
            .map(|s| s.latest)
            .min();
        if let Some(least) = least {
            self.frontier = self
                .frontier
                .max(least.saturating_sub(self.settings.lateness));
        }
        let mut alerts = Vec::new();
        self.take(self.frontier, &mut alerts);
        while self.waiting.len() > self.settings.max_waiting {
            let Some((order, _)) = self.waiting.first_key_value() else {
                break;
            };
            let until = order.time.saturating_add(1);
            let before = self.waiting.len();
            self.frontier = self.frontier.max(until);
            self.take(until, &mut alerts);
            self.metrics.forced += (before - self.waiting.len()) as u64;
        }
        alerts
    }

    /// Takes everything that waits, and closes all windows: the end of the input.
    pub fn finish(&mut self) -> Vec<Alert> {
        self.frontier = i64::MAX;
        let mut alerts = Vec::new();
        self.take(i64::MAX, &mut alerts);
        alerts
    }

    /// Everything before `until`, observations and timers in the order of their times; at the same
    /// time observations come first, as both ends belong to a window.
    fn take(&mut self, until: i64, alerts: &mut Vec<Alert>) {
        loop {
            let next = self
                .waiting
                .first_key_value()
                .map(|(o, _)| o.time)
                .filter(|t| *t < until);
            let timer = self.timers.first().map(|(t, _)| *t).filter(|t| *t < until);
            match (next, timer) {
                (Some(n), t) if t.is_none_or(|t| n <= t) => {
                    let Some((order, w)) = self.waiting.pop_first() else {
                        break;
                    };
                    self.step(&order, &w, alerts);
                }
                (_, Some(_)) => {
                    let Some((time, key)) = self.timers.pop_first() else {
                        break;
                    };
                    self.expire(time, key, alerts);
                }
                _ => break,
            }
        }
    }

    fn step(&mut self, order: &Order, w: &Waiting, alerts: &mut Vec<Alert>) {
        let c = &self.defs[order.def as usize].correlation;
        let key: GroupKey = (order.def, order.key.clone());
        let mut effects = Effects::default();
        let caps = Caps {
            entries: self.settings.max_entries,
        };
        let (fresh, group) = match self.groups.entry(key.clone()) {
            Entry::Vacant(place) => (true, place.insert(Group::new(c, order.time))),
            Entry::Occupied(place) => (false, place.into_mut()),
        };
        let seen = Seen {
            time: order.time,
            id: order.id,
            input: usize::from(w.input),
            payload: &w.payload,
        };
        let fired = group.observe(c, &seen, caps, &mut effects);
        self.metrics.truncated += effects.truncated;
        if let Some(at) = effects.timer {
            self.timers.insert((at, key.clone()));
            if !w.carry.is_empty() {
                self.carried.insert(key.clone(), w.carry.clone());
            }
        }
        if let Some(f) = fired {
            self.report(&key, f, &w.carry, alerts);
        }
        if fresh {
            self.bound(order.time);
        }
    }

    fn expire(&mut self, time: i64, key: GroupKey, alerts: &mut Vec<Alert>) {
        let Some(group) = self.groups.get_mut(&key) else {
            return;
        };
        let fired = group.expire(&self.defs[key.0 as usize].correlation, time);
        let empty = group.is_empty();
        let carry = self.carried.get(&key).cloned().unwrap_or_default();
        if empty {
            self.groups.remove(&key);
            self.carried.remove(&key);
        }
        if let Some(f) = fired {
            self.report(&key, f, &carry, alerts);
        }
    }

    fn report(
        &mut self,
        key: &GroupKey,
        f: super::group::Fired,
        carry: &[(Box<str>, Vec<String>)],
        alerts: &mut Vec<Alert>,
    ) {
        let d = &self.defs[key.0 as usize];
        let group: Vec<(String, String)> = d
            .correlation
            .group_by
            .iter()
            .cloned()
            .zip(decode(&key.1))
            .collect();
        let parents = d.parents.clone();
        let last = f.events.last().copied().unwrap_or_default();
        let alert = Alert {
            correlation: usize::from(key.0),
            time: f.time,
            start: f.start,
            group: group.clone(),
            measure: f.measure,
            events: f.events,
        };
        alerts.push(alert);
        for (def, input) in parents {
            self.enqueue(def, input, f.time, last, &mut |name: &str| {
                let own = group
                    .iter()
                    .find(|(n, _)| n == name)
                    .map(|(_, v)| vec![v.clone()]);
                own.or_else(|| {
                    carry
                        .iter()
                        .find(|(n, _)| &**n == name)
                        .map(|(_, v)| v.clone())
                })
                .unwrap_or_default()
            });
        }
    }

    /// Drops groups whose time is over, and if that is not enough those touched longest ago.
    fn bound(&mut self, now: i64) {
        let max = self.settings.max_groups;
        if self.groups.len() < self.sweep_at.min(max) {
            return;
        }
        let defs = &self.defs;
        self.groups.retain(|k, g| {
            let keep = Group::retention(&defs[k.0 as usize].correlation);
            g.touched.saturating_add(keep) >= now
        });
        if self.groups.len() >= max {
            let mut times: Vec<i64> = self.groups.values().map(|g| g.touched).collect();
            let tenth = (times.len() / 10).min(times.len() - 1);
            let (_, limit, _) = times.select_nth_unstable(tenth);
            let limit = *limit;
            let before = self.groups.len();
            let mut quota = tenth.max(1);
            self.groups.retain(|_, g| {
                let go = g.touched <= limit && quota > 0;
                quota -= usize::from(go);
                !go
            });
            self.metrics.evicted_groups += (before - self.groups.len()) as u64;
        }
        let groups = &self.groups;
        self.carried.retain(|k, _| groups.contains_key(k));
        self.sweep_at = (self.groups.len() * 2).max(10_000);
    }

    /// Counters.
    pub fn metrics(&self) -> Metrics {
        self.metrics
    }

    /// Number of groups and of observations that wait.
    pub fn size(&self) -> (usize, usize) {
        (self.groups.len(), self.waiting.len())
    }

    /// The time before which everything has been taken.
    pub fn frontier(&self) -> i64 {
        self.frontier
    }

    /// An identity of each correlation that changes with its meaning.
    pub(crate) fn identities(&self) -> Vec<String> {
        self.defs
            .iter()
            .map(|d| {
                // What does not change its meaning does not cost its state.
                let c = Correlation {
                    at: crate::Position::default(),
                    meta: crate::model::Meta::default(),
                    ..d.correlation.clone()
                };
                let digest = blake3::hash(format!("{c:?}").as_bytes());
                format!("{} {}", d.correlation.meta.key(), digest.to_hex())
            })
            .collect()
    }
}

fn push_parent(defs: &mut [Def], below: usize, parent: (u16, u16), carry: &[String]) {
    let d = &mut defs[below];
    if !d.parents.contains(&parent) {
        d.parents.push(parent);
    }
    for name in carry {
        if !d.carry.contains(name) {
            d.carry.push(name.clone());
        }
    }
}

/// Names of the fields that a correlation measures.
fn measured(c: &Correlation) -> impl Iterator<Item = &String> {
    let travel = match &c.kind {
        CorrelationKind::ImpossibleTravel(t) => Some(t),
        _ => None,
    };
    let places = travel.into_iter().flat_map(|t| {
        let places = [&t.latitude, &t.longitude].into_iter();
        places.chain(&t.radius).chain(&t.device)
    });
    c.fields.iter().chain(places)
}

fn alias(c: &Correlation, group: &str, rule: &str) -> String {
    c.aliases
        .iter()
        .find(|(a, _)| a == group)
        .and_then(|(_, l)| l.iter().find(|(r, _)| r == rule))
        .map_or_else(|| group.to_owned(), |(_, f)| f.clone())
}

/// Values with their lengths, so that no two lists have the same form.
fn encode(key: &[u8], value: &str) -> Vec<u8> {
    let mut out = key.to_vec();
    let value = value.as_bytes();
    let mut n = value.len();
    while n >= 0x80 {
        out.push(u8::try_from(n & 0x7f).unwrap_or(0) | 0x80);
        n >>= 7;
    }
    out.push(u8::try_from(n).unwrap_or(0));
    out.extend(value);
    out
}

fn decode(mut key: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    while !key.is_empty() {
        let (mut n, mut shift) = (0_usize, 0);
        while let Some((b, rest)) = key.split_first() {
            key = rest;
            n |= usize::from(b & 0x7f) << shift;
            shift += 7;
            if b & 0x80 == 0 {
                break;
            }
        }
        let (value, rest) = key.split_at(n.min(key.len()));
        out.push(String::from_utf8_lossy(value).into_owned());
        key = rest;
    }
    out
}

fn payload(c: &Correlation, field: &mut impl FnMut(&str) -> Vec<String>) -> Option<Payload> {
    use CorrelationKind as K;
    let number = |texts: Vec<String>| {
        texts
            .iter()
            .find_map(|t| Number::parse(t))
            .map(Number::as_f64)
    };
    Some(match &c.kind {
        K::ValueCount | K::FirstSeen { .. } | K::Changes => {
            let mut key = Vec::new();
            for f in &c.fields {
                key = encode(&key, field(f).first()?);
            }
            Payload::Text(String::from_utf8_lossy(&key).into())
        }
        K::ValueSum | K::ValueAvg | K::ValuePercentile(_) | K::ValueMedian => {
            Payload::Number(number(field(c.fields.first()?))?)
        }
        K::Baseline { .. } => match c.fields.first() {
            Some(f) => Payload::Number(number(field(f))?),
            None => Payload::None,
        },
        K::ImpossibleTravel(t) => {
            let latitude = number(field(&t.latitude))?;
            let longitude = number(field(&t.longitude))?;
            if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
                return None;
            }
            let radius = t
                .radius
                .as_ref()
                .and_then(|f| number(field(f)))
                .unwrap_or(0.0);
            let device = t.device.as_ref().and_then(|f| field(f).into_iter().next());
            Payload::Position(Box::new(Position {
                latitude,
                longitude,
                radius_km: radius.max(0.0),
                device: device.map(Into::into),
            }))
        }
        _ => Payload::None,
    })
}
