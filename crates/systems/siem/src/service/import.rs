//! Import: files of events of any source into the log.

use std::collections::HashMap;

use sealwright_cloudevents::{Draft, Event, Limits, parse_event, segment};
use sealwright_core::{Digest, UnixMicros};
use sealwright_ecs::Context;
use sealwright_ecs::input::{syslog, unfold};
use serde_json::json;

use super::normalise::normaliser;

/// What is said of all events of a file.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Their `source`; made of the file's name when absent.
    pub source: Option<String>,
    /// Their type; found from what they hold when absent.
    pub event_type: Option<String>,
}

/// Makes events of the lines of a file.
#[derive(Debug)]
pub struct Maker {
    given: Given,
    source: String,
    received: i64,
    /// How often a line of the same text has come: equal lines are different events.
    seen: HashMap<Digest, u64>,
    limits: Limits,
}

impl Maker {
    /// For a file of this name. `received` is the time of events that say none, and gives the year of those
    /// without one.
    pub fn new(given: Given, file: &str, received: UnixMicros) -> Self {
        Self {
            source: given
                .source
                .clone()
                .unwrap_or_else(|| format!("/import/{}", segment(file))),
            given,
            received: received.0,
            seen: HashMap::new(),
            limits: Limits::default(),
        }
    }

    /// The events of a line: a CloudEvent, an object of a source, a record that holds several, a line of syslog
    /// or plain text. A line that is imported again, from a file of the same name or source, gives events of
    /// the same ids.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn events(&mut self, line: &str) -> Result<Vec<Event>, String> {
        let line = line.trim();
        if !line.starts_with(['{', '[']) {
            let text = match syslog::parse(line, self.received) {
                Some(message) => message.to_json(),
                None => json!({ "message": line }).to_string(),
            };
            return Ok(vec![self.event(&text)?]);
        }
        let records = unfold::unfold(line).map_err(|why| why.to_string())?;
        records.iter().map(|record| self.event(record)).collect()
    }

    fn event(&mut self, record: &str) -> Result<Event, String> {
        if record.contains("\"specversion\"")
            && let Ok(event) = parse_event(record.as_bytes(), &self.limits)
        {
            return Ok(event);
        }
        let normaliser = normaliser().map_err(|why| why.to_string())?;
        let context = Context {
            hint: self.given.event_type.as_deref(),
            received: self.received,
            ..Context::default()
        };
        let known = normaliser
            .normalise(record, &context)
            .map_err(|why| why.to_string())?;
        let event_type = match &self.given.event_type {
            Some(given) => given.clone(),
            None => normaliser.mapping(known.source).name.to_string(),
        };
        let digest = Digest::of(record.as_bytes());
        let nth = self.seen.entry(digest).or_insert(0);
        *nth += 1;
        let id = match *nth {
            1 => digest.to_string(),
            nth => format!("{digest}-{nth}"),
        };
        let time = UnixMicros(known.time).to_string();
        Draft {
            id: &id,
            source: &self.source,
            event_type: &event_type,
            time: Some(&time),
            data: record,
        }
        .event(&self.limits)
        .map_err(|why| why.to_string())
    }
}
