//! Which rules match an event.

use std::sync::Arc;

use sealwright_core::{UnixMicros, on_all_processors};
use sealwright_events::{HistoryError, Sifted, StoredEvent};
use sealwright_sigma::compiled::{FieldId, Matcher};

use super::super::SiemError;
use super::super::detect::{Detector, Observed, matcher};
use super::super::fields;
use super::super::normalise::normalise;
use super::super::ruleset::Ruleset;

/// Events that one processor takes at a time.
const SHARE: usize = 500;

/// Judges events one by one.
pub(super) struct Judge {
    ruleset: Arc<Ruleset>,
    /// For each rule, the fields that correlations ask for.
    asked: Vec<Vec<FieldId>>,
}

/// An event, and what rules say of it.
pub(super) struct Judged {
    pub(super) offset: u64,
    pub(super) source: Arc<str>,
    pub(super) time: UnixMicros,
    pub(super) received: UnixMicros,
    pub(super) verdict: Verdict,
}

/// What rules say of an event.
pub(super) enum Verdict {
    /// There is nothing that they could be asked about.
    NoFields,
    /// Its fields cannot be read.
    Unreadable,
    /// No rule matches.
    Nothing,
    /// Some do.
    Matched(Box<Matched>),
}

/// What is known of an event that rules match.
pub(super) struct Matched {
    /// The rules.
    pub(super) rules: Vec<usize>,
    /// Whom or what an alert would be about; `None` when no rule raises one.
    pub(super) about: Option<String>,
    fields: Vec<(FieldId, Vec<String>)>,
}

impl Matched {
    /// The texts of a field that a correlation asks for.
    pub(super) fn texts(&self, field: FieldId) -> Vec<String> {
        let mut fields = self.fields.iter();
        fields
            .find(|(id, _)| *id == field)
            .map(|(_, texts)| texts.clone())
            .unwrap_or_default()
    }
}

impl Judged {
    /// The event without its fields.
    pub(super) fn observed(&self) -> Observed<'_> {
        Observed {
            offset: self.offset,
            source: &self.source,
            time: self.time,
            received: self.received,
            json: "",
        }
    }
}

impl Judge {
    pub(super) fn new(ruleset: &Arc<Ruleset>, detector: &Detector) -> Self {
        let fields = |rule| {
            let names = detector.fields_of(rule).into_iter();
            names.filter_map(|name| ruleset.set.field(name)).collect()
        };
        Self {
            asked: (0..ruleset.rules.len()).map(fields).collect(),
            ruleset: Arc::clone(ruleset),
        }
    }

    fn share(&self, events: &[Sifted]) -> Vec<Judged> {
        let mut matcher = matcher(&self.ruleset);
        let mut source: Arc<str> = "".into();
        let judged = events.iter().map(|event| match event {
            Sifted::Passed(passed) => Judged {
                offset: passed.offset,
                source: Arc::clone(&passed.source),
                time: passed.time,
                received: passed.received_at,
                verdict: Verdict::Nothing,
            },
            Sifted::Whole(event) => {
                if *source != *event.source {
                    source = event.source.as_str().into();
                }
                Judged {
                    offset: event.offset,
                    source: Arc::clone(&source),
                    time: event.time,
                    received: event.received_at,
                    verdict: self.verdict(&mut matcher, event),
                }
            }
        });
        judged.collect()
    }

    fn verdict(&self, matcher: &mut Matcher, event: &StoredEvent) -> Verdict {
        let Ok(normalised) = normalise(event) else {
            return Verdict::NoFields;
        };
        let json = &normalised.json;
        let rules = match matcher.matches_at(json, Some(event.time.0)) {
            Ok([]) => return Verdict::Nothing,
            Ok(rules) => rules.to_vec(),
            Err(_) => return Verdict::Unreadable,
        };
        let mut fields: Vec<(FieldId, Vec<String>)> = Vec::new();
        for field in rules
            .iter()
            .filter_map(|rule| self.asked.get(*rule))
            .flatten()
        {
            if fields.iter().all(|(id, _)| id != field) {
                fields.push((*field, matcher.texts(json, *field)));
            }
        }
        let raises = |rule: &usize| self.ruleset.rules.get(*rule).is_some_and(|r| r.raises);
        let about = rules.iter().any(raises).then(|| {
            fields::about_in(json).or_else(|| {
                let value = normalised.value().ok()?;
                Some(fields::about(&value, event))
            })
        });
        Verdict::Matched(Box::new(Matched {
            rules,
            about: about.flatten(),
            fields,
        }))
    }
}

/// Judges a page of events on all processors.
pub(super) async fn all(judge: Arc<Judge>, page: Vec<Sifted>) -> Result<Vec<Judged>, SiemError> {
    let work = move || {
        let shares: Vec<&[Sifted]> = page.chunks(SHARE).collect();
        let judged = on_all_processors(&shares, |share| judge.share(share));
        judged.into_iter().flatten().collect()
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| HistoryError(error.to_string()).into())
}
