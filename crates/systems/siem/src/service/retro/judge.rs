//! Which rules match an event.

use std::sync::Arc;

use sealwright_core::{UnixMicros, on_all_processors};
use sealwright_events::{HistoryError, Known, Passed, Sieve, Sifted, StoredEvent};
use sealwright_sigma::compiled::{FieldId, Matcher};

use super::super::SiemError;
use super::super::detect::{Detector, Observed, matcher};
use super::super::fields;
use super::super::hunt::{RuleSieve, sieve_for};
use super::super::normalise::normalise;
use super::super::ruleset::Ruleset;

/// Events that one processor takes at a time.
const SHARE: usize = 500;

/// Judges events one by one.
pub(super) struct Judge {
    ruleset: Arc<Ruleset>,
    /// For each rule, the fields that correlations ask for.
    asked: Vec<Vec<FieldId>>,
    sieve: RuleSieve,
    /// The fields whose texts a sieve tells, and their places among its values.
    told: Vec<(FieldId, usize)>,
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
        let names = |rule| {
            let names = detector.fields_of(rule).into_iter();
            let known = names.filter(|name| ruleset.set.field(name).is_some());
            known.map(str::to_owned).collect::<Vec<String>>()
        };
        let ids = |rule| {
            let names = names(rule).into_iter();
            names.filter_map(|name| ruleset.set.field(&name)).collect()
        };
        let raises = |rule: usize| ruleset.rules.get(rule).is_some_and(|r| r.raises);
        let sieve = sieve_for(ruleset.set.rules().iter(), |rule| {
            (names(rule), raises(rule))
        });
        let told = sieve.fields.iter();
        let told = told.filter_map(|(name, place)| Some((ruleset.set.field(name)?, *place)));
        Self {
            asked: (0..ruleset.rules.len()).map(ids).collect(),
            told: told.collect(),
            sieve,
            ruleset: Arc::clone(ruleset),
        }
    }

    /// What is asked of stored events.
    pub(super) fn sieve(&self) -> &Sieve {
        &self.sieve.sieve
    }

    fn share(&self, events: &[Sifted]) -> Vec<Judged> {
        let mut matcher = matcher(&self.ruleset);
        let mut source: Arc<str> = "".into();
        let judged = events.iter().map(|event| match event {
            Sifted::Passed(passed) => judged(passed, Verdict::Nothing),
            Sifted::Known(known) => judged(&known.event, self.known(known)),
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

    /// What [`Judge::verdict`] says, from what was told.
    fn known(&self, known: &Known) -> Verdict {
        let rules = known.conditions.iter();
        let rules = rules.filter_map(|condition| self.sieve.rules.get(*condition).copied());
        let rules: Vec<usize> = rules.collect();
        let value = |place: usize| known.values.get(place)?.as_deref();
        let about = || {
            let mut entities = self.sieve.entities.iter();
            let first = entities.find_map(|(kind, place)| Some((kind, value(*place)?)));
            first.map_or_else(
                || known.event.source.to_string(),
                |(kind, name)| fields::about_one(kind, name),
            )
        };
        let texts = self.told.iter();
        let texts =
            texts.filter_map(|(field, place)| Some((*field, vec![value(*place)?.to_owned()])));
        Verdict::Matched(Box::new(Matched {
            about: self.raises(&rules).then(about),
            fields: texts.collect(),
            rules,
        }))
    }

    /// Whether one of these rules raises an alert.
    fn raises(&self, rules: &[usize]) -> bool {
        let raises = |rule: &usize| self.ruleset.rules.get(*rule).is_some_and(|r| r.raises);
        rules.iter().any(raises)
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
        let about = self.raises(&rules).then(|| {
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

fn judged(event: &Passed, verdict: Verdict) -> Judged {
    Judged {
        offset: event.offset,
        source: Arc::clone(&event.source),
        time: event.time,
        received: event.received_at,
        verdict,
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
