//! The state of one group of one correlation, and what an observation does to it.
//!
//! Observations come in the order of their times. A window is `[t − timespan, t]`, both ends
//! included. A correlation whose bounds only grow towards being fulfilled fires at the event that
//! fulfils them, and then again only after it was unfulfilled in between or a whole timespan has
//! passed. One with bounds that more events could break is judged when its window, which starts at
//! the group's first event, has closed.

use serde::{Deserialize, Serialize};

use super::recent::Recent;
use super::{Correlation, CorrelationKind, Travel};
use crate::model::Condition;

/// Identity of an event: 128 bits, for example a UUID.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct EventId(pub u64, pub u64);

impl From<u128> for EventId {
    #[allow(clippy::cast_possible_truncation)]
    fn from(id: u128) -> Self {
        Self((id >> 64) as u64, id as u64)
    }
}

impl From<EventId> for u128 {
    fn from(id: EventId) -> Self {
        Self::from(id.0) << 64 | Self::from(id.1)
    }
}

/// What an observation carries beside its group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Payload {
    None,
    Number(f64),
    Text(Box<str>),
    Position(Box<Position>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) radius_km: f64,
    pub(crate) device: Option<Box<str>>,
}

/// One event, or one alert of a correlation below, that reaches a group.
pub(crate) struct Seen<'a> {
    pub(crate) time: i64,
    pub(crate) id: EventId,
    pub(crate) input: usize,
    pub(crate) payload: &'a Payload,
}

/// What a group reports.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fired {
    pub(crate) time: i64,
    pub(crate) start: i64,
    pub(crate) measure: f64,
    pub(crate) events: Vec<EventId>,
}

type At = (i64, EventId);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// Time of the last observation.
    pub(crate) touched: i64,
    fired: i64,
    fulfilled: bool,
    body: Body,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Body {
    /// The latest events, no more than the bounds ask for.
    Latest(Vec<At>),
    /// Latest event of each distinct value, oldest first, no more than the bounds ask for.
    Values(Vec<(Box<str>, i64, EventId)>),
    /// All values of the window.
    Numbers(Vec<(i64, EventId, f64)>),
    /// A window that is judged when it closes.
    Window(Box<Window>),
    /// Latest event of each rule.
    Rules(Box<[Option<At>]>),
    /// For each rule, the chain up to it that started last.
    Chains(Vec<Vec<At>>),
    /// Events that wait for what should follow.
    Waiting(Vec<At>),
    /// Values and when they were last seen, and since when the group is known.
    Known(Box<Known>),
    Last(EventId),
    Buckets(Box<Buckets>),
    Travel(Box<Travelled>),
    /// The value of the last event, and the latest changes.
    Changes(Box<(Option<Box<str>>, Vec<At>)>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Known {
    since: i64,
    values: Recent,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Window {
    start: i64,
    events: Vec<At>,
    count: u64,
    rules: Vec<bool>,
    values: Vec<Box<str>>,
    numbers: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Buckets {
    since: i64,
    /// Index of the bucket and its measure; the last is the current one.
    list: Vec<(i64, f64)>,
    events: Vec<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Travelled {
    id: EventId,
    at: Position,
    devices: Vec<Box<str>>,
}

/// Bounds on one group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    /// Entries that one group keeps.
    pub(crate) entries: usize,
}

/// Side effects of a step beside firing.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// When the group wants to be judged.
    pub(crate) timer: Option<i64>,
    /// Entries dropped because of a cap.
    pub(crate) truncated: u64,
}

const DEVICES: usize = 16;

impl Group {
    pub(crate) fn new(c: &Correlation, time: i64) -> Self {
        use CorrelationKind as K;
        let body = match &c.kind {
            K::Absence => Body::Waiting(Vec::new()),
            _ if !c.immediate() => Body::Window(Box::new(Window {
                start: time,
                events: Vec::new(),
                count: 0,
                rules: vec![false; c.rules.len()],
                values: Vec::new(),
                numbers: Vec::new(),
            })),
            K::EventCount => Body::Latest(Vec::with_capacity(1)),
            K::ValueCount => Body::Values(Vec::new()),
            K::ValueSum | K::ValueAvg | K::ValuePercentile(_) | K::ValueMedian => {
                Body::Numbers(Vec::new())
            }
            K::Temporal => Body::Rules(vec![None; c.rules.len()].into()),
            K::TemporalOrdered => Body::Chains(vec![Vec::new(); c.rules.len()]),
            K::FirstSeen { .. } => Body::Known(Box::new(Known {
                since: time,
                values: Recent::default(),
            })),
            K::Dormant => Body::Last(EventId::default()),
            K::Changes => Body::Changes(Box::default()),
            K::Baseline { .. } => Body::Buckets(Box::new(Buckets {
                since: time,
                list: Vec::new(),
                events: Vec::new(),
            })),
            K::ImpossibleTravel(_) => Body::Travel(Box::new(Travelled {
                id: EventId::default(),
                at: Position {
                    latitude: f64::NAN,
                    longitude: 0.0,
                    radius_km: 0.0,
                    device: None,
                },
                devices: Vec::new(),
            })),
        };
        Self {
            touched: i64::MIN,
            fired: i64::MIN,
            fulfilled: false,
            body,
        }
    }

    /// How long after its last observation a group must be kept.
    pub(crate) fn retention(c: &Correlation) -> i64 {
        match &c.kind {
            // Only what is forgotten by the cap is forgotten: dormancy has no end.
            CorrelationKind::Dormant => i64::MAX,
            CorrelationKind::Baseline { history, .. } => history.saturating_add(2 * c.timespan),
            CorrelationKind::FirstSeen { learn } => c.timespan.saturating_add(*learn),
            _ => c.timespan,
        }
    }

    /// True once when the bounds become fulfilled, and again after each timespan.
    fn edge(&mut self, holds: bool, time: i64, span: i64) -> bool {
        if !holds {
            self.fulfilled = false;
            return false;
        }
        if self.fulfilled && time.saturating_sub(self.fired) <= span {
            return false;
        }
        self.fulfilled = true;
        self.fired = time;
        true
    }

    pub(crate) fn observe(
        &mut self,
        c: &Correlation,
        s: &Seen<'_>,
        caps: Caps,
        effects: &mut Effects,
    ) -> Option<Fired> {
        let before = self.touched;
        self.touched = s.time;
        let from = s.time.saturating_sub(c.timespan);
        match &mut self.body {
            Body::Latest(list) => {
                list.push((s.time, s.id));
                let keep = least(c).clamp(1, caps.entries);
                // Dropped in batches, so that large thresholds do not move memory at each event.
                if list.len() > keep + keep / 4 {
                    list.drain(..list.len() - keep);
                }
                let first = list
                    .partition_point(|(t, _)| *t < from)
                    .max(list.len().saturating_sub(keep));
                let live = real(list.len() - first);
                if !self.edge(c.within(live), s.time, c.timespan) {
                    return None;
                }
                let Body::Latest(list) = &self.body else {
                    return None;
                };
                Some(fired(s.time, list[first..].to_vec(), live))
            }
            Body::Values(list) => {
                let Payload::Text(value) = s.payload else {
                    return None;
                };
                list.retain(|(v, t, _)| v != value && *t >= from);
                list.push((value.clone(), s.time, s.id));
                if list.len() > least(c).clamp(1, caps.entries) {
                    list.remove(0);
                }
                let n = real(list.len());
                let holds = c.within(n);
                if !self.edge(holds, s.time, c.timespan) {
                    return None;
                }
                let Body::Values(list) = &self.body else {
                    return None;
                };
                let all = list.iter().map(|(_, t, i)| (*t, *i)).collect();
                Some(fired(s.time, all, n))
            }
            Body::Numbers(list) => {
                let Payload::Number(value) = s.payload else {
                    return None;
                };
                list.drain(..list.partition_point(|(t, _, _)| *t < from));
                list.push((s.time, s.id, *value));
                if list.len() > caps.entries {
                    list.remove(0);
                    effects.truncated += 1;
                }
                let numbers: Vec<f64> = list.iter().map(|n| n.2).collect();
                let m = measure(&c.kind, &numbers);
                let holds = c.within(m);
                if !self.edge(holds, s.time, c.timespan) {
                    return None;
                }
                let Body::Numbers(list) = &self.body else {
                    return None;
                };
                let all = list.iter().map(|(t, i, _)| (*t, *i)).collect();
                Some(fired(s.time, all, m))
            }
            Body::Window(w) => {
                if w.count == 0 {
                    w.start = s.time;
                    effects.timer = Some(s.time.saturating_add(c.timespan));
                }
                w.count += 1;
                if let Some(r) = w.rules.get_mut(s.input) {
                    *r = true;
                }
                let mut over = w.events.len() >= caps.entries;
                if !over {
                    w.events.push((s.time, s.id));
                }
                match s.payload {
                    Payload::Number(n) if w.numbers.len() < caps.entries => w.numbers.push(*n),
                    Payload::Text(t) if !w.values.contains(t) && w.values.len() < caps.entries => {
                        w.values.push(t.clone());
                    }
                    Payload::Number(_) => over = true,
                    _ => {}
                }
                effects.truncated += u64::from(over);
                None
            }
            Body::Rules(list) => {
                if let Some(slot) = list.get_mut(s.input) {
                    *slot = Some((s.time, s.id));
                }
                let live: Vec<Option<At>> =
                    list.iter().map(|a| a.filter(|(t, _)| *t >= from)).collect();
                let n = live.iter().flatten().count();
                let holds = match &c.expression {
                    Some(e) => expression(e, &|i| live.get(i).is_some_and(Option::is_some)),
                    None => c.within(real(n)),
                };
                let mut all: Vec<At> = live.into_iter().flatten().collect();
                all.sort_unstable();
                all.dedup();
                self.edge(holds, s.time, c.timespan)
                    .then(|| fired(s.time, all, real(n)))
            }
            Body::Chains(chains) => {
                let k = s.input;
                if k == 0 {
                    chains[0] = vec![(s.time, s.id)];
                } else {
                    let previous = &chains[k - 1];
                    let alive = previous.first().is_some_and(|f| f.0 >= from)
                        && previous.last().is_some_and(|l| l.1 != s.id);
                    if !alive {
                        return None;
                    }
                    let mut chain = previous.clone();
                    chain.push((s.time, s.id));
                    chains[k] = chain;
                }
                if k + 1 < chains.len() {
                    return None;
                }
                let done = std::mem::take(&mut chains[k]);
                // The chain is used up: the next alert needs a new start.
                chains.iter_mut().for_each(Vec::clear);
                let n = real(done.len());
                Some(fired(s.time, done, n))
            }
            Body::Waiting(list) => {
                if s.input == 0 {
                    if list.len() >= caps.entries {
                        list.remove(0);
                        effects.truncated += 1;
                    }
                    list.push((s.time, s.id));
                    effects.timer = Some(s.time.saturating_add(c.timespan));
                } else {
                    list.retain(|(_, id)| *id == s.id);
                }
                None
            }
            Body::Known(known) => {
                let CorrelationKind::FirstSeen { learn } = &c.kind else {
                    return None;
                };
                let Payload::Text(value) = s.payload else {
                    return None;
                };
                let Known { since, values } = &mut **known;
                values.forget(from);
                if values.see(value, s.time) {
                    return None;
                }
                if values.len() > caps.entries {
                    values.drop_oldest();
                    effects.truncated += 1;
                }
                let n = real(values.len());
                (s.time.saturating_sub(*since) >= *learn)
                    .then(|| fired(s.time, vec![(s.time, s.id)], n))
            }
            Body::Last(last) => {
                let previous = std::mem::replace(last, s.id);
                (before != i64::MIN && s.time.saturating_sub(before) > c.timespan).then(|| {
                    let micros = real_i64(s.time.saturating_sub(before));
                    fired(
                        s.time,
                        vec![(before, previous), (s.time, s.id)],
                        micros / 1e6,
                    )
                })
            }
            Body::Buckets(b) => {
                let alert = b.observe(c, s, caps)?;
                // One alert for each bucket.
                let bucket = s.time.div_euclid(c.timespan);
                if self.fired != i64::MIN && self.fired.div_euclid(c.timespan) == bucket {
                    return None;
                }
                self.fired = s.time;
                Some(alert)
            }
            Body::Changes(state) => {
                let Payload::Text(value) = s.payload else {
                    return None;
                };
                let (last, changes) = &mut **state;
                // What came before the window does not make a change within it.
                let known = last
                    .replace(value.clone())
                    .filter(|_| before != i64::MIN && before >= from);
                changes.retain(|(t, _)| *t >= from);
                if known.is_some_and(|k| k != *value) {
                    changes.push((s.time, s.id));
                }
                if changes.len() > least(c).clamp(1, caps.entries) {
                    changes.remove(0);
                }
                let n = real(changes.len());
                let all = changes.clone();
                let holds = c.within(n);
                self.edge(holds, s.time, c.timespan)
                    .then(|| fired(s.time, all, n))
            }
            Body::Travel(t) => {
                let CorrelationKind::ImpossibleTravel(p) = &c.kind else {
                    return None;
                };
                t.observe(c, p, before, s)
            }
        }
    }

    /// The group is judged: its window has closed, or its time to wait is over.
    pub(crate) fn expire(&mut self, c: &Correlation, time: i64) -> Option<Fired> {
        match &mut self.body {
            Body::Window(w) => {
                let w = std::mem::replace(
                    &mut **w,
                    Window {
                        start: 0,
                        events: Vec::new(),
                        count: 0,
                        rules: vec![false; c.rules.len()],
                        values: Vec::new(),
                        numbers: Vec::new(),
                    },
                );
                let m = match &c.kind {
                    #[allow(clippy::cast_precision_loss)]
                    CorrelationKind::EventCount => w.count as f64,
                    CorrelationKind::ValueCount => real(w.values.len()),
                    CorrelationKind::Temporal => real(w.rules.iter().filter(|r| **r).count()),
                    kind if !w.numbers.is_empty() => measure(kind, &w.numbers),
                    // No number at all is unknown, not zero.
                    _ => return None,
                };
                let holds = match &c.expression {
                    Some(e) => expression(e, &|i| w.rules.get(i).copied().unwrap_or(false)),
                    None => c.within(m),
                };
                holds.then(|| fired(time, w.events, m))
            }
            Body::Waiting(list) => {
                let due = time.saturating_sub(c.timespan);
                let (over, still) = list.iter().partition(|(t, _)| *t == due);
                *list = still;
                let over: Vec<At> = over;
                let n = real(over.len());
                (!over.is_empty()).then(|| fired(time, over, n))
            }
            _ => None,
        }
    }

    /// Whether nothing is kept that a later observation could need.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.body {
            Body::Window(w) => w.count == 0,
            Body::Waiting(l) => l.is_empty(),
            _ => false,
        }
    }
}

impl Buckets {
    fn observe(&mut self, c: &Correlation, s: &Seen<'_>, caps: Caps) -> Option<Fired> {
        let CorrelationKind::Baseline {
            history,
            factor,
            minimum,
        } = &c.kind
        else {
            return None;
        };
        let amount = match s.payload {
            Payload::Number(n) => *n,
            _ if c.fields.is_empty() => 1.0,
            _ => return None,
        };
        let bucket = s.time.div_euclid(c.timespan);
        let back = (*history / c.timespan).max(1);
        let over = self.list.partition_point(|(b, _)| *b < bucket - back);
        self.list.drain(..over);
        match self.list.last_mut() {
            Some((b, m)) if *b == bucket => *m += amount,
            _ => {
                self.list.push((bucket, amount));
                self.events.clear();
            }
        }
        if self.events.len() < caps.entries.min(1000) {
            self.events.push((s.time, s.id));
        }
        if s.time.saturating_sub(self.since) < *history {
            return None;
        }
        let (last, before) = self.list.split_last()?;
        if last.1 < *minimum {
            return None;
        }
        let mean = before.iter().map(|(_, m)| m).sum::<f64>() / real_i64(back);
        (last.1 >= factor * mean).then(|| fired(s.time, self.events.clone(), last.1))
    }
}

impl Travelled {
    fn observe(&mut self, c: &Correlation, p: &Travel, before: i64, s: &Seen<'_>) -> Option<Fired> {
        let Payload::Position(to) = s.payload else {
            return None;
        };
        let known = to.device.as_ref().is_some_and(|d| self.devices.contains(d));
        if let Some(d) = to.device.as_ref().filter(|_| !known) {
            if self.devices.len() >= DEVICES {
                self.devices.remove(0);
            }
            self.devices.push(d.clone());
        }
        let from = std::mem::replace(&mut self.at, (**to).clone());
        let previous = std::mem::replace(&mut self.id, s.id);
        let elapsed = s.time.saturating_sub(before);
        if from.latitude.is_nan() || known || elapsed > c.timespan {
            return None;
        }
        let km = distance_km(&from, to) - from.radius_km - to.radius_km;
        let hours = real_i64(elapsed) / 3.6e9;
        (km >= p.distance_km && km >= p.speed_kmh * hours)
            .then(|| fired(s.time, vec![(before, previous), (s.time, s.id)], km))
    }
}

/// Great-circle distance on the mean sphere; within 0.6 % of the ellipsoid.
fn distance_km(a: &Position, b: &Position) -> f64 {
    let (la, lb) = (a.latitude.to_radians(), b.latitude.to_radians());
    let (dy, dx) = (lb - la, (b.longitude - a.longitude).to_radians());
    let h = (dy / 2.0).sin().powi(2) + la.cos() * lb.cos() * (dx / 2.0).sin().powi(2);
    2.0 * 6371.0088 * h.sqrt().min(1.0).asin()
}

/// The least count that can fulfil bounds that only grow.
fn least(c: &Correlation) -> usize {
    let bound = c.bounds.iter().map(|(b, n)| match b {
        super::Bound::Gt => n.as_f64().floor() + 1.0,
        _ => n.as_f64().ceil(),
    });
    let n = bound.fold(1.0, f64::max);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    if n >= 1e9 { usize::MAX } else { n as usize }
}

fn fired(time: i64, events: Vec<At>, measure: f64) -> Fired {
    Fired {
        time,
        start: events.first().map_or(time, |e| e.0),
        measure,
        events: events.into_iter().map(|e| e.1).collect(),
    }
}

fn real(n: usize) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let n = n as f64;
    n
}

fn real_i64(n: i64) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let n = n as f64;
    n
}

fn measure(kind: &CorrelationKind, numbers: &[f64]) -> f64 {
    match kind {
        CorrelationKind::ValueSum => numbers.iter().sum(),
        CorrelationKind::ValueAvg => numbers.iter().sum::<f64>() / real(numbers.len()),
        CorrelationKind::ValuePercentile(p) => percentile(numbers, *p),
        _ => percentile(numbers, 50.0),
    }
}

/// Linear interpolation between closest ranks.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn percentile(numbers: &[f64], p: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = p / 100.0 * real(sorted.len().saturating_sub(1));
    let low = rank.floor() as usize;
    let (a, b) = (sorted.get(low), sorted.get(low + 1));
    match (a, b) {
        (Some(a), Some(b)) => a + (b - a) * (rank - rank.floor()),
        (Some(a), None) => *a,
        _ => f64::NAN,
    }
}

fn expression(c: &Condition, seen: &dyn Fn(usize) -> bool) -> bool {
    match c {
        Condition::Id(i) => seen(*i),
        Condition::And(l) => l.iter().all(|c| expression(c, seen)),
        Condition::Or(l) => l.iter().any(|c| expression(c, seen)),
        Condition::Not(c) => !expression(c, seen),
    }
}
