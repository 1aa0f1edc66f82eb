//! Evaluation of whole inputs: the engine room of `sealwright siem eval`.
//!
//! Readers are the caller's, already decompressed. Every line is one event in JSON; an input that
//! starts with `[` is one list of events. Correlations run over all inputs together, in the order
//! of the events' times, whatever the order of the inputs.

use std::io::{self, BufRead, Read as _};
use std::sync::Arc;

use serde::Serialize;

use crate::collection::{Collection, Shown};
use crate::compiled::{Matcher, Options, RuleSet};
use crate::correlation::EventId;
use crate::correlation::engine::{Alert, Arrival, Engine, Metrics, Settings};
use crate::logsource::EventSource;

/// Longest line that is read as an event.
pub const MAX_LINE: usize = 64 << 20;

/// One line of output.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Line {
    /// A rule matched an event.
    Match {
        /// `id` of the rule; its name or title where it has none.
        rule_id: String,
        /// Position of the event in its input, from 0.
        event_index: u64,
        /// Name of the input.
        file: String,
    },
    /// A correlation fired.
    Correlation {
        /// `id` of the correlation; its name or title where it has none.
        rule_id: String,
        /// Positions of the events in their inputs, oldest first.
        event_indexes: Vec<u64>,
        /// Name of the input of the last event.
        file: String,
        /// Names of the inputs, event by event, where there are several.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
        /// The group.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        group: Vec<(String, String)>,
    },
    /// A line that is no event.
    Refused {
        /// Why.
        refused: String,
        /// Its position.
        event_index: u64,
        /// Name of the input.
        file: String,
    },
}

/// Totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Events that were evaluated.
    pub events: u64,
    /// Rules and correlations that took part.
    pub rules: u64,
    /// Matches of rules and alerts of correlations that were given out.
    pub matches: u64,
    /// Lines that were no events.
    pub refused: u64,
    /// Matches that a correlation could not use because the event has no time.
    pub untimed: u64,
}

/// What is done with an event before rules see it: a new text, or `None` to leave it as it is.
pub type Prepare = Box<dyn FnMut(&str) -> Option<String> + Send>;

/// Evaluates inputs.
pub struct Evaluator {
    collection: Collection,
    matcher: Matcher,
    engine: Engine,
    /// What is given out: not what only serves correlations.
    shown: Shown,
    ids: Vec<String>,
    files: Vec<String>,
    summary: Summary,
    prepare: Option<Prepare>,
}

impl Evaluator {
    /// An evaluator of a finished collection. `given` is what is known of all events' log source.
    /// Without `normalise` events are taken as they are: no unwrapping of Windows records, no log
    /// source from their channel.
    ///
    /// # Errors
    /// When a correlation asks for more than the engine's settings allow.
    pub fn new(
        collection: Collection,
        given: EventSource,
        normalise: bool,
    ) -> Result<Self, String> {
        let options = Options {
            unwrap_windows: normalise,
            derive_logsource: normalise,
            extra_fields: Engine::fields(&collection),
            ..Options::default()
        };
        Self::with_options(collection, given, options)
    }

    /// The same with all options; [`Engine::fields`] must be among the extra fields.
    ///
    /// # Errors
    /// When a correlation asks for more than the engine's settings allow.
    pub fn with_options(
        collection: Collection,
        given: EventSource,
        options: Options,
    ) -> Result<Self, String> {
        let settings = Settings {
            // All inputs are read before anything is taken, so no order of inputs is late.
            lateness: i64::MAX,
            max_waiting: usize::MAX,
            ..Settings::default()
        };
        let engine = Engine::new(&collection, settings)?;
        let shown = collection.shown();
        let set = Arc::new(RuleSet::new(collection.rules.clone(), options));
        let active =
            collection.rules.len() - set.unresolved().len() + collection.correlations.len();
        Ok(Self {
            ids: collection
                .rules
                .iter()
                .map(|r| r.meta.key().to_owned())
                .collect(),
            matcher: Matcher::new(set, given),
            collection,
            engine,
            shown,
            files: Vec::new(),
            summary: Summary {
                rules: active as u64,
                ..Summary::default()
            },
            prepare: None,
        })
    }

    /// Every event passes through `prepare` first.
    #[must_use]
    pub fn prepared(mut self, prepare: Prepare) -> Self {
        self.prepare = Some(prepare);
        self
    }

    /// The rule set, for example to name the rules with unresolved placeholders.
    pub fn rule_set(&self) -> &RuleSet {
        self.matcher.rule_set()
    }

    /// Reads an input to its end.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn read(
        &mut self,
        file: &str,
        mut reader: impl BufRead,
        sink: &mut dyn FnMut(Line),
    ) -> io::Result<()> {
        self.files.push(file.to_owned());
        let mut index = 0;
        let mut line = Vec::new();
        loop {
            line.clear();
            let limit = MAX_LINE as u64 + 1;
            if reader.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if line.len() > MAX_LINE {
                skip_line(&mut reader, line.last() == Some(&b'\n'))?;
                self.refuse(
                    file,
                    index,
                    format!("a line has more than {MAX_LINE} bytes"),
                    sink,
                );
                index += 1;
                continue;
            }
            if index == 0 && line.trim_ascii_start().starts_with(b"[") {
                reader.read_to_end(&mut line)?;
                return self.list(file, &line, sink);
            }
            let event = line.trim_ascii();
            if event.is_empty() {
                continue;
            }
            match std::str::from_utf8(event) {
                Ok(text) => self.event(file, index, text, sink),
                Err(e) => {
                    let reason = format!("byte {}: not UTF-8", e.valid_up_to());
                    self.refuse(file, index, reason, sink);
                }
            }
            index += 1;
        }
    }

    fn list(&mut self, file: &str, bytes: &[u8], sink: &mut dyn FnMut(Line)) -> io::Result<()> {
        match serde_json::from_slice::<Vec<serde_json::Value>>(bytes) {
            Ok(events) => {
                for (i, e) in events.iter().enumerate() {
                    self.event(file, i as u64, &e.to_string(), sink);
                }
            }
            Err(e) => self.refuse(file, 0, format!("not a list of events: {e}"), sink),
        }
        Ok(())
    }

    fn refuse(&mut self, file: &str, index: u64, reason: String, sink: &mut dyn FnMut(Line)) {
        self.summary.refused += 1;
        sink(Line::Refused {
            refused: reason,
            event_index: index,
            file: file.to_owned(),
        });
    }

    fn event(&mut self, file: &str, index: u64, text: &str, sink: &mut dyn FnMut(Line)) {
        let made = self.prepare.as_mut().and_then(|prepare| prepare(text));
        let text = made.as_deref().unwrap_or(text);
        let matched = match self.matcher.matches(text) {
            Ok(m) => m,
            Err(e) => return self.refuse(file, index, e.to_string(), sink),
        };
        self.summary.events += 1;
        if matched.is_empty() {
            return;
        }
        for i in matched {
            if self.shown.rules[*i] {
                self.summary.matches += 1;
                sink(Line::Match {
                    rule_id: self.ids[*i].clone(),
                    event_index: index,
                    file: file.to_owned(),
                });
            }
        }
        if !matched.iter().any(|i| self.engine.uses(*i)) {
            return;
        }
        let matched = matched.to_vec();
        let Some(time) = self.matcher.time(text) else {
            self.summary.untimed += 1;
            return;
        };
        let arrival = Arrival {
            source: "",
            time,
            id: EventId(self.files.len() as u64 - 1, index),
            now: None,
        };
        let set = Arc::clone(self.matcher.rule_set());
        let matcher = &mut self.matcher;
        self.engine.observe(&arrival, &matched, |name| {
            set.field(name)
                .map(|f| matcher.texts(text, f))
                .unwrap_or_default()
        });
    }

    /// Gives out what correlations found. Call it once, after the last input.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Line)) -> Summary {
        for alert in self.engine.finish() {
            if !self.shown.correlations[alert.correlation] {
                continue;
            }
            self.summary.matches += 1;
            let line = self.line(&alert);
            sink(line);
        }
        self.summary
    }

    fn line(&self, alert: &Alert) -> Line {
        let file = |e: &EventId| {
            usize::try_from(e.0)
                .ok()
                .and_then(|i| self.files.get(i))
                .cloned()
                .unwrap_or_default()
        };
        let files: Vec<String> = alert.events.iter().map(file).collect();
        let last = files.last().cloned().unwrap_or_default();
        let several = files.iter().any(|f| *f != last);
        Line::Correlation {
            rule_id: self.collection.correlations[alert.correlation]
                .meta
                .key()
                .to_owned(),
            event_indexes: alert.events.iter().map(|e| e.1).collect(),
            file: last,
            files: if several { files } else { Vec::new() },
            group: alert.group.clone(),
        }
    }

    /// Counters of the correlations.
    pub fn metrics(&self) -> Metrics {
        self.engine.metrics()
    }
}

fn skip_line(reader: &mut impl BufRead, ended: bool) -> io::Result<()> {
    let mut ended = ended;
    while !ended {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        let used = memchr::memchr(b'\n', buffer).map_or(buffer.len(), |i| i + 1);
        ended = buffer[used - 1] == b'\n';
        reader.consume(used);
    }
    Ok(())
}
