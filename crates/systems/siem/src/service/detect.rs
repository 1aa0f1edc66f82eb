//! Detection on a sequence of events: what the log gives, and what was found.
//!
//! A [`Detector`] is a function of the sequence it was given and of nothing else. Its clock is the time at
//! which events were *received*, which the log keeps, and its ticks are the whole seconds of that clock: so
//! it does not matter how the log was cut into batches, whether the process was killed between two, or
//! whether the same sequence is read again from the history years later. Between ticks the present can be
//! brought in with [`Detector::tick`], which gives what the next event would have given.
//!
//! Its state is a snapshot of the correlation engine and the [`Step`]s since: taken up in this order,
//! they give the same state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealwright_core::clock::SECOND;
use sealwright_core::{TenantId, UnixMicros};
use sealwright_sigma::compiled::Matcher;
use sealwright_sigma::correlation::EventId;
use sealwright_sigma::correlation::engine::{Alert as Fired, Arrival, Engine, Settings, Taken};
use sealwright_sigma::logsource::EventSource;
use serde::{Deserialize, Serialize};

use super::ruleset::Ruleset;

/// The source that stands for the clock: without it, a tenant whose sources are silent would wait for
/// alerts of windows that have long closed.
const CLOCK: &str = "\u{0}clock";

/// Times and bounds of detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How far an event may be behind the latest of its source, in microseconds.
    pub lateness: i64,
    /// How far an event may be ahead of the clock, in microseconds.
    pub skew: i64,
    /// A source that sent nothing for this long no longer holds others back, in microseconds.
    pub idle: i64,
    /// Groups of one tenant.
    pub groups: usize,
    /// Matches of one tenant that wait for the lateness to pass.
    pub waiting: usize,
}

impl Default for Terms {
    /// Ten seconds late, five minutes ahead, one minute idle; 100,000 groups, 100,000 waiting.
    fn default() -> Self {
        Self {
            lateness: 10 * SECOND,
            skew: 300 * SECOND,
            idle: 60 * SECOND,
            groups: 100_000,
            waiting: 100_000,
        }
    }
}

impl Terms {
    fn settings(self) -> Settings {
        Settings {
            lateness: self.lateness,
            skew: self.skew,
            idle: self.idle,
            max_groups: self.groups,
            max_waiting: self.waiting,
            max_sources: 1_000,
            ..Settings::default()
        }
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// A rule matched an event.
    Rule {
        /// Index of the rule.
        rule: usize,
        /// The event's place in the log.
        offset: u64,
    },
    /// A correlation fired.
    Correlation(Fired),
}

/// One step of a detector, for taking up its state again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// The latest times of sources, and when they were heard.
    Marks(Vec<(String, i64, i64)>),
    /// An event that matched rules of correlations.
    Match {
        /// Where it came from.
        source: String,
        /// When it happened.
        time: i64,
        /// When it was received.
        received: i64,
        /// Its place in the log.
        offset: u64,
        /// Ids of the rules.
        rules: Vec<String>,
        /// Values of the fields that were asked for.
        fields: Vec<(String, Vec<String>)>,
    },
    /// A second had passed.
    Tick(i64),
}

/// An event as a detector takes it.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// Its place in the log.
    pub offset: u64,
    /// Where it came from.
    pub source: &'a str,
    /// When it happened.
    pub time: UnixMicros,
    /// When it was received.
    pub received: UnixMicros,
    /// Its normalised fields, as JSON.
    pub json: &'a str,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered {
    /// Whether it could take part in correlations.
    pub taken: Taken,
    /// Whether it matched a rule of a correlation, so that lateness had a consequence.
    pub correlated: bool,
}

/// Detects for one tenant.
pub struct Detector {
    ruleset: Arc<Ruleset>,
    engine: Engine,
    /// The latest time at which an event was received.
    clock: i64,
    marks: BTreeMap<String, (i64, i64)>,
    /// `None` when nobody asks for it.
    journal: Option<Vec<Step>>,
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detector")
            .field("clock", &self.clock)
            .field("size", &self.engine.size())
            .finish_non_exhaustive()
    }
}

/// A matcher for the rules of a set.
pub fn matcher(ruleset: &Ruleset) -> Matcher {
    Matcher::new(Arc::clone(&ruleset.set), EventSource::UNKNOWN)
}

/// Why a state cannot be taken up, or a detector cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// A correlation asks for too much.
    #[error("{0}")]
    Rules(String),
    /// The bytes are damaged or of a newer program.
    #[error("the correlation state of {tenant} does not read back: {detail}")]
    State {
        /// Whose.
        tenant: TenantId,
        /// Why.
        detail: String,
    },
}

impl Detector {
    /// A detector that has seen nothing.
    ///
    /// # Errors
    /// [`DetectError::Rules`].
    pub fn new(ruleset: Arc<Ruleset>, terms: Terms) -> Result<Self, DetectError> {
        let engine = ruleset
            .engine(terms.settings())
            .map_err(DetectError::Rules)?;
        Ok(Self {
            ruleset,
            engine,
            clock: i64::MIN,
            marks: BTreeMap::new(),
            journal: Some(Vec::new()),
        })
    }

    /// The same without a journal, for a state that is not kept.
    #[must_use]
    pub fn without_journal(mut self) -> Self {
        self.journal = None;
        self
    }

    /// Names of the fields that correlations may ask for when this rule matches.
    pub fn fields_of(&self, rule: usize) -> BTreeSet<&str> {
        self.engine.fields_of(rule)
    }

    /// The rules.
    pub fn ruleset(&self) -> &Arc<Ruleset> {
        &self.ruleset
    }

    /// Takes an event: first what was due before it was received, then the event itself. Findings are
    /// added to `out` in the order in which they came about.
    ///
    /// # Errors
    /// When the event cannot be read; it then has no effect but on the clock.
    pub fn offer(
        &mut self,
        matcher: &mut Matcher,
        event: &Observed<'_>,
        out: &mut Vec<Finding>,
    ) -> Result<Offered, String> {
        self.receive(event.received.0, out);
        let matched = matcher
            .matches_at(event.json, Some(event.time.0))
            .map_err(|error| error.to_string())?
            .to_vec();
        let set = Arc::clone(&self.ruleset.set);
        let field = |name: &str| {
            set.field(name)
                .map(|field| matcher.texts(event.json, field))
                .unwrap_or_default()
        };
        Ok(self.take(event, &matched, field, out))
    }

    /// Takes an event of which it is known which rules match it; `field` gives the texts of a field, of those that
    /// [`Detector::fields_of`] names for one of them.
    pub fn offer_matched(
        &mut self,
        event: &Observed<'_>,
        matched: &[usize],
        field: impl FnMut(&str) -> Vec<String>,
        out: &mut Vec<Finding>,
    ) -> Offered {
        self.receive(event.received.0, out);
        self.take(event, matched, field, out)
    }

    /// An event that cannot be read: it has no effect but on the clock.
    pub fn refuse(&mut self, event: &Observed<'_>, out: &mut Vec<Finding>) {
        self.receive(event.received.0, out);
    }

    fn take(
        &mut self,
        event: &Observed<'_>,
        matched: &[usize],
        mut field: impl FnMut(&str) -> Vec<String>,
        out: &mut Vec<Finding>,
    ) -> Offered {
        for rule in matched {
            if self.ruleset.rules.get(*rule).is_some_and(|r| r.raises) {
                out.push(Finding::Rule {
                    rule: *rule,
                    offset: event.offset,
                });
            }
        }
        let mut used = matched.to_vec();
        used.retain(|rule| self.engine.uses(*rule));
        let arrival = Arrival {
            source: event.source,
            time: event.time.0,
            id: EventId(0, event.offset),
            now: Some(self.clock),
        };
        let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let taken = self.engine.observe(&arrival, &used, |name| {
            if let Some(known) = asked.get(name) {
                return known.clone();
            }
            let values = field(name);
            asked.insert(name.to_owned(), values.clone());
            values
        });
        let correlated = !used.is_empty();
        if self.journal.is_some() && taken != Taken::Future {
            let mark = self
                .marks
                .entry(event.source.to_owned())
                .or_insert((event.time.0, self.clock));
            *mark = (mark.0.max(event.time.0), mark.1.max(self.clock));
        }
        if let Some(journal) = &mut self.journal
            && taken == Taken::InTime
            && correlated
        {
            let rules = used
                .iter()
                .filter_map(|r| Some(self.ruleset.rules.get(*r)?.reference.id.clone()))
                .collect();
            journal.push(Step::Match {
                source: event.source.to_owned(),
                time: event.time.0,
                received: self.clock,
                offset: event.offset,
                rules,
                fields: asked.into_iter().collect(),
            });
        }
        Offered { taken, correlated }
    }

    /// Moves the clock, with a tick when a second has passed.
    fn receive(&mut self, received: i64, out: &mut Vec<Finding>) {
        let received = received.max(self.clock);
        let second = received.div_euclid(SECOND);
        if self.clock == i64::MIN || second > self.clock.div_euclid(SECOND) {
            self.flush();
            let fired = self.pass(second.saturating_mul(SECOND));
            if let Some(journal) = &mut self.journal {
                journal.push(Step::Tick(second.saturating_mul(SECOND)));
            }
            out.extend(fired.into_iter().map(Finding::Correlation));
        }
        self.clock = received;
    }

    /// Lets the present pass, when no event does: what it gives is what the next event would have given.
    /// `now` must not be later than the time at which any event that is still to come was received.
    pub fn tick(&mut self, now: UnixMicros, out: &mut Vec<Finding>) {
        let whole = now.0.div_euclid(SECOND).saturating_mul(SECOND);
        if self.clock != i64::MIN && whole > self.clock {
            self.receive(whole, out);
        }
    }

    fn pass(&mut self, now: i64) -> Vec<Fired> {
        let arrival = Arrival {
            source: CLOCK,
            time: now,
            id: EventId::default(),
            now: Some(now),
        };
        self.engine.observe(&arrival, &[], |_| Vec::new());
        self.engine.advance(Some(now))
    }

    fn flush(&mut self) {
        if let Some(journal) = &mut self.journal
            && !self.marks.is_empty()
        {
            let marks = std::mem::take(&mut self.marks)
                .into_iter()
                .map(|(source, (time, heard))| (source, time, heard))
                .collect();
            journal.push(Step::Marks(marks));
        }
    }

    /// The steps since the last call.
    pub fn take_journal(&mut self) -> Vec<Step> {
        self.flush();
        self.journal
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// The latest time at which an event was received; `None` before the first.
    pub fn clock(&self) -> Option<UnixMicros> {
        (self.clock != i64::MIN).then_some(UnixMicros(self.clock))
    }

    /// Groups, and matches that wait.
    pub fn size(&self) -> (usize, usize) {
        self.engine.size()
    }

    /// The time before which everything was taken.
    pub fn frontier(&self) -> i64 {
        self.engine.frontier()
    }

    /// Groups that were dropped because there were too many.
    pub fn evicted(&self) -> u64 {
        self.engine.metrics().evicted_groups
    }

    /// The state as bytes.
    ///
    /// # Errors
    /// Only when memory cannot be had.
    pub fn snapshot(&self, tenant: TenantId) -> Result<Vec<u8>, DetectError> {
        self.engine.save().map_err(|error| DetectError::State {
            tenant,
            detail: error.to_string(),
        })
    }

    /// Takes up a snapshot and the steps since. Groups of correlations that have changed or gone are left
    /// out.
    ///
    /// # Errors
    /// [`DetectError::State`] when the bytes are damaged.
    pub fn restore(
        &mut self,
        tenant: TenantId,
        clock: i64,
        snapshot: &[u8],
        steps: &[Step],
    ) -> Result<(), DetectError> {
        if !snapshot.is_empty() {
            self.engine
                .load(snapshot)
                .map_err(|error| DetectError::State {
                    tenant,
                    detail: error.to_string(),
                })?;
        }
        let known: BTreeMap<String, usize> = self
            .ruleset
            .rules
            .iter()
            .enumerate()
            .map(|(index, rule)| (rule.reference.id.clone(), index))
            .collect();
        for step in steps {
            self.repeat(step, &known);
        }
        self.clock = clock;
        Ok(())
    }

    fn repeat(&mut self, step: &Step, known: &BTreeMap<String, usize>) {
        match step {
            Step::Marks(marks) => {
                for (source, time, heard) in marks {
                    let arrival = Arrival {
                        source,
                        time: *time,
                        id: EventId::default(),
                        // Its time was accepted then; it must be now.
                        now: Some(*heard),
                    };
                    self.engine.observe(&arrival, &[], |_| Vec::new());
                }
            }
            Step::Match {
                source,
                time,
                received,
                offset,
                rules,
                fields,
            } => {
                let matched: Vec<usize> = rules
                    .iter()
                    .filter_map(|id| known.get(id).copied())
                    .collect();
                let arrival = Arrival {
                    source,
                    time: *time,
                    id: EventId(0, *offset),
                    now: Some(*received),
                };
                self.engine.observe(&arrival, &matched, |name| {
                    fields
                        .iter()
                        .find(|(field, _)| field == name)
                        .map(|(_, values)| values.clone())
                        .unwrap_or_default()
                });
            }
            Step::Tick(now) => {
                // What it found was raised in the transaction that kept this step.
                self.pass(*now);
            }
        }
    }
}
