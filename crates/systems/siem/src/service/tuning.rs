//! What is set for rules, put into them before and after they are read.

use std::collections::{BTreeMap, BTreeSet};

use sealwright_sigma::annotations::Overrides;
use sealwright_sigma::collection::{Collection, Target};
use sealwright_sigma::correlation::{Correlation, CorrelationKind};
use sealwright_sigma::{Limits, Number, time};
use serde_json::json;

use super::ruleset::Settings_;
use crate::model::{RuleFile, Setting};

/// Values of placeholders, of all settings together.
pub(super) fn placeholders(settings: &Settings_) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for setting in settings.values() {
        for (name, values) in &setting.placeholders {
            out.insert(name.clone(), values.clone());
        }
    }
    out
}

/// Values of tunables, by rule.
fn overrides(settings: &Settings_) -> Overrides {
    settings
        .iter()
        .filter(|(_, setting)| !setting.tunables.is_empty())
        .map(|(id, setting)| (id.clone(), setting.tunables.clone()))
        .collect()
}

/// Reads the files, with tunables set and excluded values left out. What is wrong with a setting is among the
/// errors that come with it.
pub(super) fn collect(files: &[RuleFile], settings: &Settings_) -> (Collection, Vec<String>) {
    let placeholders = placeholders(settings);
    let read = |overrides: Overrides| {
        let mut collection = Collection::with_overrides(overrides);
        for file in files {
            collection.add(&file.name, &file.text, &Limits::default(), &placeholders);
        }
        collection
    };
    let mut collection = read(overrides(settings));
    let mut errors = Vec::new();
    // Whose events a correlation counts is known when all files have been read.
    let mut known = None;
    for (id, setting) in settings.iter().filter(|(_, s)| !s.exclude.is_empty()) {
        let known = known.get_or_insert_with(|| {
            let mut known = read(Overrides::new());
            known.finish(&[]);
            known
        });
        let rules = match rules_of(known, id) {
            Ok(rules) => rules,
            Err(why) => {
                errors.push(format!("setting of {id}: {why}"));
                continue;
            }
        };
        for (field, values) in &setting.exclude {
            // JSON is YAML, and its texts are escaped.
            let filter = json!({
                "title": format!("excluded values of {field}"),
                "logsource": {},
                "filter": {
                    "rules": rules,
                    "excluded": {field: values},
                    "condition": "not excluded",
                },
            });
            let name = format!("setting of {id}");
            collection.add(
                &name,
                &filter.to_string(),
                &Limits::default(),
                &placeholders,
            );
        }
    }
    collection.finish(&[]);
    (collection, errors)
}

/// The rules whose events are left out when a value is excluded for `id`: itself, or those that a correlation
/// counts, when nothing else counts them.
fn rules_of(collection: &Collection, id: &str) -> Result<Vec<String>, String> {
    let Some(start) = collection
        .correlations
        .iter()
        .position(|c| c.meta.key() == id)
    else {
        return Ok(vec![id.to_owned()]);
    };
    let mut open = vec![start];
    let mut below = BTreeSet::from([start]);
    let mut rules = BTreeSet::new();
    while let Some(next) = open.pop() {
        for target in collection.targets.get(next).into_iter().flatten() {
            match target {
                Target::Rule(rule) => {
                    rules.insert(*rule);
                }
                Target::Correlation(c) => {
                    if below.insert(*c) {
                        open.push(*c);
                    }
                }
            }
        }
    }
    let uses = |targets: &[Target]| {
        targets
            .iter()
            .any(|t| matches!(t, Target::Rule(r) if rules.contains(r)))
    };
    let mut others = collection
        .targets
        .iter()
        .zip(&collection.correlations)
        .enumerate();
    if let Some((_, (_, other))) = others.find(|(i, (t, _))| !below.contains(i) && uses(t)) {
        return Err(format!(
            "its events are counted by `{}`, too; leave the values out of the rules that both count",
            other.meta.title
        ));
    }
    let key = |rule: &usize| collection.rules.get(*rule).map(|r| r.meta.key().to_owned());
    Ok(rules.iter().filter_map(key).collect())
}

/// Puts a setting's threshold and window into a correlation.
pub(super) fn tune(correlation: &mut Correlation, setting: &Setting) -> Result<(), String> {
    if let Some(text) = &setting.threshold {
        let number = Number::parse(text).ok_or_else(|| format!("`{text}` is not a number"))?;
        match correlation.bounds.first_mut() {
            Some((_, bound)) => *bound = number,
            None => match &mut correlation.kind {
                CorrelationKind::Baseline { factor, .. } => *factor = number.as_f64(),
                CorrelationKind::ImpossibleTravel(travel) => travel.distance_km = number.as_f64(),
                _ => return Err("the rule has no threshold".to_owned()),
            },
        }
    }
    if let Some(text) = &setting.timespan {
        correlation.timespan = time::timespan(text)
            .ok_or_else(|| format!("`{text}` is not a timespan; write 5m, 1h or 7d"))?;
    }
    Ok(())
}
