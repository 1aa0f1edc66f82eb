//! Fields that rules need and that the events of a source carry no more: such a rule is silent, and nobody
//! would know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealwright_core::{Clock, Digest, TenantId, TenantScope, UnixMicros};
use sealwright_sigma::collection::Target;
use sealwright_sigma::model::{Condition, Rule, each_item};
use sealwright_store::Store;

use super::SiemError;
use super::raise::{Batch, Match, Raiser};
use super::rule::RuleService;
use super::ruleset::{Active, Ruleset};
use crate::model::{Entity, Matched, RuleRef, Severity};
use crate::store::field::{self as rows, Fields};

/// The id of the alarm.
pub const VANISHED: &str = "sealwright-field-vanished";
/// A field that fewer events had is not one that the source used to carry.
const USED_TO: u64 = 20;
/// So many events of the source must have come without it.
const WITHOUT: u64 = 100;
/// And so many of them should have had it, going by how often it was there before: that none of them has it by
/// chance is then less likely than one in a hundred million.
const EXPECTED: u64 = 20;
/// Rules that an alert names.
const MOST_RULES: usize = 10;

/// A field that has vanished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vanished {
    /// Whose.
    pub tenant: TenantId,
    /// The source.
    pub source: String,
    /// The field.
    pub field: String,
    /// Events that had it.
    pub events: u64,
    /// When the last of them was received.
    pub last_seen: UnixMicros,
    /// Events since.
    pub without: u64,
    /// When the last of those was received.
    pub last_received: UnixMicros,
    /// Titles of the rules that need it.
    pub rules: Vec<String>,
}

/// The fields without which rules cannot fire, and the titles of those rules: of the rules whose matches
/// become alerts, and of what correlations count that do.
pub fn needed(ruleset: &Ruleset) -> BTreeMap<String, BTreeSet<String>> {
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |fields: BTreeSet<String>, title: &str| {
        for field in fields {
            out.entry(field).or_default().insert(title.to_owned());
        }
    };
    let rules = &ruleset.collection.rules;
    for (rule, active) in rules.iter().zip(&ruleset.rules) {
        if active.raises {
            add(asked(rule), &active.reference.title);
        }
    }
    let correlations = &ruleset.collection.correlations;
    for (index, active) in ruleset.correlations.iter().enumerate() {
        if !active.raises {
            continue;
        }
        let (mut open, mut done) = (vec![index], BTreeSet::new());
        while let Some(next) = open.pop() {
            if !done.insert(next) {
                continue;
            }
            if let Some(c) = correlations.get(next) {
                let own = c.group_by.iter().chain(&c.fields).cloned().collect();
                add(own, &active.reference.title);
            }
            for target in ruleset.collection.targets.get(next).into_iter().flatten() {
                match target {
                    Target::Correlation(c) => open.push(*c),
                    Target::Rule(r) => {
                        if let Some(rule) = rules.get(*r) {
                            add(asked(rule), &active.reference.title);
                        }
                    }
                }
            }
        }
    }
    out
}

/// The fields of the detections that a rule asks to hold; what it only leaves out does not blind it.
fn asked(rule: &Rule) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    wanted(&rule.condition, true, &mut ids);
    let mut out = BTreeSet::new();
    for id in ids {
        if let Some((_, selection)) = rule.detections.get(id) {
            each_item(selection, &mut |item| out.extend(item.field.clone()));
        }
    }
    out
}

fn wanted(condition: &Condition, holds: bool, out: &mut BTreeSet<usize>) {
    match condition {
        Condition::Id(id) => {
            if holds {
                out.insert(*id);
            }
        }
        Condition::And(list) | Condition::Or(list) => {
            list.iter().for_each(|c| wanted(c, holds, out));
        }
        Condition::Not(inner) => wanted(inner, !holds, out),
    }
}

/// The fields of a source that have vanished, of those that are needed. `after` is how long one must have been
/// away, in microseconds.
pub fn vanished(
    of: &Fields,
    needed: &BTreeMap<String, BTreeSet<String>>,
    after: i64,
) -> Vec<Vanished> {
    let gone = |name: &String| {
        let seen = of.fields.get(name)?;
        let without = of.events.saturating_sub(seen.nth);
        // Of the events until then, so many had it.
        let expected = u128::from(without) * u128::from(seen.events) / u128::from(seen.nth.max(1));
        (seen.events >= USED_TO
            && without >= WITHOUT
            && expected >= u128::from(EXPECTED)
            && of.last_received.0 - seen.at >= after)
            .then_some((*seen, without))
    };
    needed
        .iter()
        .filter_map(|(name, rules)| {
            let (seen, without) = gone(name)?;
            Some(Vanished {
                tenant: of.tenant,
                source: of.source.clone(),
                field: name.clone(),
                events: seen.events,
                last_seen: UnixMicros(seen.at),
                without,
                last_received: of.last_received,
                rules: rules.iter().cloned().collect(),
            })
        })
        .collect()
}

/// Looks after fields.
#[derive(Debug, Clone)]
pub struct FieldService {
    store: Store,
    clock: Arc<dyn Clock>,
    rules: RuleService,
    raiser: Raiser,
    /// How long a field must have been away, in microseconds.
    after: i64,
}

impl FieldService {
    /// Looks after the fields of the sources in `store`, by the rules of `rules`.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        rules: RuleService,
        raiser: Raiser,
        after: i64,
    ) -> Self {
        Self {
            store,
            clock,
            rules,
            raiser,
            after,
        }
    }

    /// Fields that have vanished.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(&self, scope: TenantScope) -> Result<Vec<Vanished>, SiemError> {
        let mut found = Vec::new();
        let mut asked: Option<(TenantId, BTreeMap<String, BTreeSet<String>>)> = None;
        for fields in rows::list(&self.store, scope).await? {
            // Rows come tenant by tenant.
            let here = match &mut asked {
                Some((tenant, needed)) if *tenant == fields.tenant => needed,
                other => {
                    let ruleset = self.rules.compiled(Some(fields.tenant)).await?;
                    &mut other.insert((fields.tenant, needed(&ruleset))).1
                }
            };
            found.extend(vanished(&fields, here, self.after));
        }
        Ok(found)
    }

    /// Raises an alert for each field that has vanished, once until it is seen again; says how many.
    ///
    /// # Errors
    /// From the state.
    pub async fn alarm(&self) -> Result<u64, SiemError> {
        let now = self.clock.now();
        let mut raised = 0;
        for gone in self.list(TenantScope::All).await? {
            let mut tx = self.store.begin().await?;
            let (source, field) = (&gone.source, &gone.field);
            let seen = gone.last_seen;
            if !rows::alarmed(&mut tx, gone.tenant, source, field, seen, now).await? {
                tx.rollback().await?;
                continue;
            }
            self.raiser
                .raise(&mut tx, &mut Batch::default(), alert(&gone))
                .await?;
            tx.commit().await?;
            self.raiser.committed();
            raised += 1;
        }
        Ok(raised)
    }
}

fn alert(gone: &Vanished) -> Match {
    let entity = |kind: &str, value: &str| Entity {
        kind: kind.to_owned(),
        value: value.to_owned(),
    };
    let mut rules: Vec<String> = gone.rules.iter().take(MOST_RULES).cloned().collect();
    if gone.rules.len() > MOST_RULES {
        rules.push(format!("and {} more", gone.rules.len() - MOST_RULES));
    }
    Match {
        tenant: gone.tenant,
        rule: vanished_rule(),
        key: format!("{VANISHED} {} {}", gone.source, gone.field),
        count: 1,
        first: gone.last_seen,
        last: gone.last_received,
        entities: vec![entity("source", &gone.source), entity("field", &gone.field)],
        matched: vec![
            Matched {
                what: format!("events without {}", gone.field),
                wanted: vec![format!("fewer, as {} had it before", gone.events)],
                found: vec![gone.without.to_string()],
            },
            Matched {
                what: "rules that need it".to_owned(),
                wanted: Vec::new(),
                found: rules,
            },
        ],
        window: None,
        events: Vec::new(),
        events_total: 0,
    }
}

fn vanished_rule() -> Active {
    let description = "A field that the events of a source used to carry, and that rules need, is no longer there. \
                       These rules see nothing of this source any more: look at what the source sends now, \
                       and change the rules or the source.";
    Active {
        reference: Arc::new(RuleRef {
            id: VANISHED.to_owned(),
            title: "A field that rules need has vanished".to_owned(),
            kind: "alarm".to_owned(),
            author: Some("Sealwright".to_owned()),
            license: None,
            description: Some(description.to_owned()),
            tags: vec![
                "attack.defense-evasion".to_owned(),
                "attack.t1562.008".to_owned(),
            ],
            falsepositives: vec!["The source sends other kinds of events for a while.".to_owned()],
            evidence: vec!["CC7.2".to_owned()],
            digest: Digest::of(description.as_bytes()),
        }),
        severity: Severity::Medium,
        raises: true,
        actions: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sealwright_core::clock::HOUR;

    use super::*;
    use crate::store::field::Seen;

    fn of(events: u64, had: u64, nth: u64, away: i64) -> Vec<Vanished> {
        let seen = Seen {
            events: had,
            at: 0,
            nth,
        };
        let fields = Fields {
            tenant: TenantId::new(UnixMicros(0)),
            source: "s".to_owned(),
            events,
            last_received: UnixMicros(away),
            fields: BTreeMap::from([("a".to_owned(), seen), ("unasked".to_owned(), seen)]),
        };
        let needed = BTreeMap::from([
            ("a".to_owned(), BTreeSet::from(["rule".to_owned()])),
            ("never".to_owned(), BTreeSet::from(["rule".to_owned()])),
        ]);
        vanished(&fields, &needed, HOUR)
    }

    #[test]
    fn a_field_has_vanished_when_chance_does_not_explain_it() {
        let found = of(200, 100, 100, HOUR);
        assert_eq!(found.len(), 1);
        assert_eq!((&*found[0].field, found[0].without), ("a", 100));
        for (what, found) in [
            ("too few events since", of(199, 100, 100, HOUR)),
            ("not for long enough", of(200, 100, 100, HOUR - 1)),
            ("it never was usual", of(1_000, 19, 100, HOUR)),
            ("it was rare: one in ten", of(1_199, 100, 1_000, HOUR)),
        ] {
            assert_eq!(found, [], "{what}");
        }
        assert_eq!(of(1_200, 100, 1_000, HOUR).len(), 1);
    }
}
