//! Windows as events: what a window's answer becomes, before anything is written.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;
use sealwright_access::TenantDirectory;
use sealwright_cloudevents::{Draft, Limits};
use sealwright_core::clock::SECOND;
use sealwright_core::{TenantId, UnixMicros};
use sealwright_money::exact;
use serde_json::{Map, Value, json};

use crate::answer::Series;
use crate::error::{PullError, line};
use crate::increase::{Growth, Seen, Window, fingerprint, increase, level};
use crate::model::{Kind, Source, Take, TenantOf, WindowRow, WindowState};

/// Lines that a window's row keeps for people.
pub(crate) const MOST_PROBLEMS: usize = 20;
/// Bytes of labels that an event carries; of longer ones it carries none, and is known by its fingerprint.
const MOST_LABELS: usize = 8 * 1024;

/// The last sample of a series that was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) series: String,
    pub(crate) labels: String,
    pub(crate) seen: Seen,
}

/// A window, made: its row, its events by tenant, and where the next one begins.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) row: WindowRow,
    pub(crate) batch: Vec<(TenantId, String)>,
    pub(crate) kept: Vec<Kept>,
}

/// The window that ends at `end`, of what the server answered and of what was known of its series.
pub(crate) fn make(
    source: &Source,
    directory: &TenantDirectory,
    known: &HashMap<String, Seen>,
    answer: Vec<Series>,
    end: UnixMicros,
    now: UnixMicros,
) -> Result<Made, PullError> {
    let definition = &source.definition;
    let start = end.plus(-definition.interval());
    let mut maker = Maker {
        source,
        directory,
        window: Window {
            start: start.0 / 1_000,
            end: end.0 / 1_000,
        },
        end,
        made: Made {
            row: WindowRow::new(start, end, WindowState::Taken, now),
            batch: Vec::new(),
            kept: Vec::new(),
        },
        present: HashMap::new(),
    };
    for series in answer {
        maker.series(known, series)?;
    }
    maker.vanished(known);
    let mut made = maker.made;
    if made.row.series == 0 && made.batch.is_empty() {
        made.row.state = WindowState::Empty;
    }
    Ok(made)
}

struct Maker<'a> {
    source: &'a Source,
    directory: &'a TenantDirectory,
    window: Window,
    end: UnixMicros,
    made: Made,
    /// Series of the answer; true for those with a sample in the window.
    present: HashMap<String, bool>,
}

impl Maker<'_> {
    fn interval(&self) -> i64 {
        self.window.end - self.window.start
    }

    fn problem(&mut self, text: String) {
        self.made.row.problem(text);
    }

    fn series(
        &mut self,
        known: &HashMap<String, Seen>,
        mut series: Series,
    ) -> Result<(), PullError> {
        let definition = &self.source.definition;
        let name = fingerprint(&series.labels);
        if self.present.contains_key(&name) {
            return Err(PullError::Malformed(
                "two series have the same labels".to_owned(),
            ));
        }
        if definition.kind == Kind::Expression {
            // What it is at the window's end, whatever moment the server writes beside it.
            for sample in &mut series.samples {
                sample.at = self.window.end;
            }
        }
        let before = known.get(&name).copied();
        let growth = match definition.kind {
            Kind::Counter => increase(before, &series.samples, self.window),
            Kind::Gauge => level(
                &series.samples,
                self.window,
                definition.take.unwrap_or(Take::Last),
            ),
            Kind::Expression => level(&series.samples, self.window, Take::Last),
        };
        let there = growth.samples > 0;
        let long_ago = self.window.start - self.interval();
        self.present.insert(name.clone(), there);
        let row = &mut self.made.row;
        row.series += i64::from(there || growth.unreadable > 0);
        row.samples += i64::from(growth.samples) + i64::from(growth.unreadable);
        row.resets += i64::from(growth.resets);
        row.appeared += i64::from(match definition.kind {
            Kind::Counter => growth.appeared,
            _ => there && before.is_none(),
        });
        row.returned += i64::from(there && before.is_some_and(|seen| seen.at <= long_ago));
        row.unreadable += i64::from(growth.unreadable > 0 || series.histograms);
        let labels = serde_json::to_string(&series.labels).unwrap_or_default();
        if let Some(seen) = growth.last {
            self.made.kept.push(Kept {
                series: name.clone(),
                labels: labels.clone(),
                seen,
            });
        }
        self.event(&name, &series.labels, labels.len(), &growth);
        Ok(())
    }

    fn event(
        &mut self,
        name: &str,
        labels: &BTreeMap<String, String>,
        size: usize,
        growth: &Growth,
    ) {
        let definition = &self.source.definition;
        let Some(tenant) = self.tenant(labels) else {
            if growth.samples > 0 {
                self.made.row.unassigned += 1;
                let text = match &definition.tenant {
                    TenantOf::Label(label) => match labels.get(label) {
                        Some(value) => {
                            format!("no tenant is called `{}` (label {label})", line(value, 80))
                        }
                        None => format!(
                            "the series {} has no label {label}",
                            line(&shown(labels), 200)
                        ),
                    },
                    TenantOf::Fixed(id) => format!("the tenant {id} is not there any more"),
                };
                self.problem(text);
            }
            return;
        };
        let amount = growth.amount.and_then(|amount| match definition.factor {
            None => Some(amount),
            Some(factor) => exact::mul(amount, factor).ok().map(exact::normalise),
        });
        let Some(amount) = amount else {
            if growth.unreadable > 0 || growth.amount.is_some() {
                self.problem(format!(
                    "the number of {} is not known",
                    line(&shown(labels), 200)
                ));
            }
            return;
        };
        let data = self.data(name, labels, size, growth, amount);
        let id = format!("{name}-{}", self.end.0 / SECOND);
        let source = format!("/prometheus/{}", self.source.id);
        // The window's end belongs to it; a millisecond before, all of it lies in the hour, the day and the month
        // that it began in.
        let time = self.end.plus(-1_000).to_string();
        let draft = Draft {
            id: &id,
            source: &source,
            event_type: &definition.event_type,
            time: Some(&time),
            data: &data,
        };
        match draft.event(&Limits::default()) {
            Ok(event) => self.made.batch.push((tenant, event.into_json())),
            Err(error) => {
                self.made.row.refused += 1;
                let text = line(&error.to_string(), 300);
                self.problem(format!("{}: {text}", line(&shown(labels), 200)));
            }
        }
    }

    fn tenant(&self, labels: &BTreeMap<String, String>) -> Option<TenantId> {
        match &self.source.definition.tenant {
            TenantOf::Fixed(id) => self.directory.get(*id).map(|tenant| tenant.id),
            TenantOf::Label(label) => self
                .directory
                .resolve(labels.get(label)?)
                .map(|tenant| tenant.id),
        }
    }

    fn data(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
        size: usize,
        growth: &Growth,
        amount: Decimal,
    ) -> String {
        let definition = &self.source.definition;
        let mut data = Map::new();
        data.insert(definition.value_field.clone(), number(amount));
        for (member, text) in &definition.fixed {
            data.insert(member.clone(), json!(text));
        }
        for (member, label) in &definition.labels {
            if let Some(value) = labels.get(label) {
                data.insert(member.clone(), json!(value));
            }
        }
        let moment = |millis: i64| UnixMicros(millis.saturating_mul(1_000)).to_string();
        let mut about = json!({
            "source": self.source.name,
            "series": name,
            "from": moment(self.window.start),
            "to": moment(self.window.end),
            "samples": growth.samples,
        });
        let mut add = |member: &str, value: Value| {
            if let Some(about) = about.as_object_mut() {
                about.insert(member.to_owned(), value);
            }
        };
        if definition.kind == Kind::Counter {
            add("resets", json!(growth.resets));
            if let Some(since) = growth.since {
                add("since", json!(moment(since)));
            }
            if growth.appeared {
                add("appeared", json!(true));
            }
        }
        if growth.unreadable > 0 {
            add("unreadable", json!(growth.unreadable));
        }
        if size <= MOST_LABELS {
            add("labels", json!(labels));
        }
        data.insert("prometheus".to_owned(), about);
        Value::Object(data).to_string()
    }

    /// Series that had a sample in the window before and none in this one.
    fn vanished(&mut self, known: &HashMap<String, Seen>) {
        let before = self.window.start - self.interval();
        let gone = known.iter().filter(|(name, seen)| {
            seen.at > before
                && seen.at <= self.window.start
                && !self.present.get(*name).copied().unwrap_or_default()
        });
        self.made.row.vanished = i64::try_from(gone.count()).unwrap_or(i64::MAX);
    }
}

fn number(amount: Decimal) -> Value {
    // A decimal's text is a JSON number; what is not cannot come from one.
    serde_json::from_str(&exact::normalise(amount).to_string()).unwrap_or(Value::Null)
}

/// Labels as people write them.
pub(crate) fn shown(labels: &BTreeMap<String, String>) -> String {
    let name = labels.get("__name__").map_or("", String::as_str);
    let rest: Vec<_> = labels
        .iter()
        .filter(|(label, _)| *label != "__name__")
        .map(|(label, value)| format!("{label}={value:?}"))
        .collect();
    format!("{name}{{{}}}", rest.join(", "))
}

impl WindowRow {
    pub(crate) const fn new(
        start: UnixMicros,
        end: UnixMicros,
        state: WindowState,
        at: UnixMicros,
    ) -> Self {
        Self {
            start,
            end,
            state,
            series: 0,
            samples: 0,
            events: 0,
            resets: 0,
            appeared: 0,
            vanished: 0,
            returned: 0,
            unreadable: 0,
            unassigned: 0,
            refused: 0,
            problems: Vec::new(),
            at,
        }
    }

    /// Adds a line for people, while there is room and it does not stand there already.
    pub(crate) fn problem(&mut self, text: String) {
        if self.problems.len() < MOST_PROBLEMS && !self.problems.contains(&text) {
            self.problems.push(text);
        }
    }
}
