//! Rule files and settings, compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealwright_core::Digest;
use sealwright_sigma::Number;
use sealwright_sigma::annotations::Action;
use sealwright_sigma::collection::{Collection, Target};
use sealwright_sigma::compiled::{Options, RuleSet};
use sealwright_sigma::correlation::engine::{Engine, Settings};
use sealwright_sigma::correlation::{Bound, Correlation, CorrelationKind};
use sealwright_sigma::model::Meta;

use super::{builtin, tuning};
use crate::model::{RuleFile, RuleInfo, RuleRef, Setting, Severity, Tuned};

/// Fields of a normalised event that state its log source.
pub use sealwright_ecs::beside::LOGSOURCE_FIELDS as SOURCE_FIELDS;

/// Settings by rule.
pub type Settings_ = BTreeMap<String, Setting>;

/// What a compiled rule needs beside its condition.
#[derive(Debug, Clone)]
pub struct Active {
    /// What an alert says of it.
    pub reference: Arc<RuleRef>,
    /// How bad a match is.
    pub severity: Severity,
    /// Whether matches become alerts.
    pub raises: bool,
    /// Actions that an alert leads to.
    pub actions: Vec<String>,
}

/// A compiled set of rules: one for all tenants without settings of their own, and one for each tenant
/// that has some.
pub struct Ruleset {
    /// Rules and correlations.
    pub collection: Collection,
    /// The rules, ready to be matched.
    pub set: Arc<RuleSet>,
    /// For each rule of the collection.
    pub rules: Vec<Active>,
    /// For each correlation of the collection.
    pub correlations: Vec<Active>,
    /// Everything that lists show.
    pub infos: Vec<RuleInfo>,
    /// What could not be loaded, with its place.
    pub errors: Vec<String>,
}

impl std::fmt::Debug for Ruleset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ruleset")
            .field("rules", &self.rules.len())
            .field("correlations", &self.correlations.len())
            .finish_non_exhaustive()
    }
}

impl Ruleset {
    /// Compiles files under settings. What is wrong with one document or setting is named in
    /// [`Ruleset::errors`], and everything else is compiled.
    pub fn compile(files: &[RuleFile], settings: &Settings_) -> Self {
        let (mut collection, wrong) = tuning::collect(files, settings);
        let mut errors: Vec<String> = collection
            .errors
            .iter()
            .chain(&collection.warnings)
            .map(ToString::to_string)
            .chain(wrong)
            .collect();
        for correlation in &mut collection.correlations {
            if let Some(setting) = settings.get(correlation.meta.key())
                && let Err(why) = tuning::tune(correlation, setting)
            {
                errors.push(format!("setting of {}: {why}", correlation.meta.key()));
            }
        }
        let mut wanted = Engine::fields(&collection);
        wanted.sort();
        let options = Options {
            source_fields: SOURCE_FIELDS.map(str::to_owned),
            extra_fields: wanted,
            ..Options::default()
        };
        let set = Arc::new(RuleSet::new(collection.rules.clone(), options));
        let mut compiled = Self {
            set,
            rules: Vec::new(),
            correlations: Vec::new(),
            infos: Vec::new(),
            errors,
            collection,
        };
        compiled.describe(files, settings);
        compiled
    }

    fn describe(&mut self, files: &[RuleFile], settings: &Settings_) {
        let known: BTreeMap<&str, &RuleFile> = files
            .iter()
            .map(|file| (file.name.as_str(), file))
            .collect();
        let internal = self.internal();
        let none = Digest::of(b"");
        for (index, rule) in self.collection.rules.iter().enumerate() {
            let file = self.collection.file(index);
            let source = known.get(file).copied();
            let unresolved = self
                .set
                .unresolved()
                .iter()
                .find(|u| u.rule == index)
                .map(|u| u.placeholders.clone())
                .unwrap_or_default();
            let info = RuleInfo {
                internal: internal.contains(&index),
                unresolved,
                ..info(&rule.meta, "rule", source, none, settings)
            };
            self.rules.push(active(&info, settings));
            self.infos.push(info);
        }
        let shown = self.collection.shown();
        for (index, correlation) in self.collection.correlations.iter().enumerate() {
            // The collection does not say from which file a correlation is; its id does.
            let source = files
                .iter()
                .find(|file| file.text.contains(correlation.meta.key()));
            let info = RuleInfo {
                threshold: correlation
                    .bounds
                    .first()
                    .map(|(_, number)| text_of(*number)),
                timespan: Some(correlation.timespan / 1_000_000),
                group_by: correlation.group_by.clone(),
                internal: !shown.correlations.get(index).copied().unwrap_or(true),
                parts: self.parts(index),
                ..info(&correlation.meta, kind(correlation), source, none, settings)
            };
            self.correlations.push(active(&info, settings));
            self.infos.push(info);
        }
    }

    /// Ids of what a correlation counts.
    fn parts(&self, correlation: usize) -> Vec<String> {
        let targets = self.collection.targets.get(correlation);
        let key = |target: &Target| match target {
            Target::Rule(r) => self
                .collection
                .rules
                .get(*r)
                .map(|r| r.meta.key().to_owned()),
            Target::Correlation(c) => {
                let found = self.collection.correlations.get(*c);
                found.map(|c| c.meta.key().to_owned())
            }
        };
        targets.into_iter().flatten().filter_map(key).collect()
    }

    /// Rules that only serve correlations.
    fn internal(&self) -> BTreeSet<usize> {
        let mut internal = BTreeSet::new();
        let mut generating = BTreeSet::new();
        let all = self
            .collection
            .correlations
            .iter()
            .zip(&self.collection.targets);
        for (correlation, targets) in all {
            for target in targets {
                if let Target::Rule(rule) = target {
                    if correlation.generate {
                        generating.insert(*rule);
                    } else {
                        internal.insert(*rule);
                    }
                }
            }
        }
        internal.difference(&generating).copied().collect()
    }

    /// A correlation engine for these rules.
    ///
    /// # Errors
    /// When a correlation asks for more than the settings allow.
    pub fn engine(&self, settings: Settings) -> Result<Engine, String> {
        Engine::new(&self.collection, settings)
    }
}

fn info(
    meta: &Meta,
    kind: &str,
    file: Option<&RuleFile>,
    none: Digest,
    settings: &Settings_,
) -> RuleInfo {
    let setting = settings.get(meta.key());
    RuleInfo {
        id: meta.key().to_owned(),
        title: meta.title.clone(),
        kind: kind.to_owned(),
        author: meta.author.clone(),
        license: meta.license.clone(),
        description: meta.description.clone(),
        severity: setting
            .and_then(|s| s.severity)
            .unwrap_or_else(|| Severity::of_level(meta.level.as_deref())),
        tags: meta.tags.clone(),
        falsepositives: meta.falsepositives.clone(),
        references: meta.references.clone(),
        file: file.map(|f| f.name.clone()).unwrap_or_default(),
        digest: file.map_or(none, |f| f.digest),
        enabled: setting
            .and_then(|s| s.enabled)
            .or_else(|| file.and_then(|file| builtin::enabled(file, settings)))
            .unwrap_or(true),
        internal: false,
        floor: file.is_some_and(|f| f.floor),
        threshold: None,
        timespan: None,
        group_by: Vec::new(),
        unresolved: Vec::new(),
        family: meta.annotations.family.clone(),
        evidence: meta.annotations.evidence.clone(),
        asks: meta.annotations.actions.iter().map(asked).collect(),
        tunables: meta.annotations.tunables.iter().map(Tuned::from).collect(),
        parts: Vec::new(),
    }
}

/// An action that a rule asks for: `block-address 1h`.
fn asked(action: &Action) -> String {
    match action.duration {
        Some(micros) => format!("{} {}", action.kind.name(), length(micros / 1_000_000)),
        None => action.kind.name().to_owned(),
    }
}

/// `90m`, `2h`, `7d`: seconds in the largest unit that they fill.
fn length(seconds: i64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    match units.into_iter().find(|(unit, _)| seconds % unit == 0) {
        Some((unit, name)) => format!("{}{name}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

fn active(info: &RuleInfo, settings: &Settings_) -> Active {
    Active {
        reference: Arc::new(RuleRef {
            id: info.id.clone(),
            title: info.title.clone(),
            kind: info.kind.clone(),
            author: info.author.clone(),
            license: info.license.clone(),
            description: info.description.clone(),
            tags: info.tags.clone(),
            falsepositives: info.falsepositives.clone(),
            evidence: info.evidence.clone(),
            digest: info.digest,
        }),
        severity: info.severity,
        raises: info.enabled && !info.internal,
        actions: settings
            .get(&info.id)
            .and_then(|s| s.actions.clone())
            .unwrap_or_default(),
    }
}

/// What is wrong with a setting for a rule, before it is kept.
///
/// # Errors
/// What is wrong.
pub fn check(files: &[RuleFile], id: &str, setting: &Setting) -> Result<(), String> {
    if builtin::is_set(id) {
        return builtin::check(files, id, setting);
    }
    let settings: Settings_ = std::iter::once((id.to_owned(), setting.clone())).collect();
    let before = Ruleset::compile(files, &Settings_::new());
    if !before.infos.iter().any(|info| info.id == id) {
        return Err(format!("there is no rule `{id}`"));
    }
    let after = Ruleset::compile(files, &settings);
    match after.errors.iter().find(|e| !before.errors.contains(e)) {
        Some(error) => Err(error.clone()),
        None => Ok(()),
    }
}

/// The type of a correlation, as rules write it.
pub fn kind(correlation: &Correlation) -> &'static str {
    match correlation.kind {
        CorrelationKind::EventCount => "event_count",
        CorrelationKind::ValueCount => "value_count",
        CorrelationKind::ValueSum => "value_sum",
        CorrelationKind::ValueAvg => "value_avg",
        CorrelationKind::ValuePercentile(_) => "value_percentile",
        CorrelationKind::ValueMedian => "value_median",
        CorrelationKind::Temporal => "temporal",
        CorrelationKind::TemporalOrdered => "temporal_ordered",
        CorrelationKind::Absence => "x-absence",
        CorrelationKind::FirstSeen { .. } => "x-first-seen",
        CorrelationKind::Dormant => "x-dormant",
        CorrelationKind::Changes => "x-changes",
        CorrelationKind::Baseline { .. } => "x-baseline",
        CorrelationKind::ImpossibleTravel(_) => "x-impossible-travel",
    }
}

/// The condition of a correlation in words: `value_count of user.name >= 10`.
pub fn condition(correlation: &Correlation) -> String {
    let mut text = kind(correlation).to_owned();
    if !correlation.fields.is_empty() {
        text.push_str(&format!(" of {}", correlation.fields.join(", ")));
    }
    for (bound, number) in &correlation.bounds {
        let sign = match bound {
            Bound::Gt => ">",
            Bound::Gte => "≥",
            Bound::Lt => "<",
            Bound::Lte => "≤",
            Bound::Eq => "=",
            Bound::Neq => "≠",
        };
        text.push_str(&format!(" {sign} {}", text_of(*number)));
    }
    match &correlation.kind {
        CorrelationKind::Baseline { factor, .. } => text.push_str(&format!(" × {factor}")),
        CorrelationKind::ImpossibleTravel(t) => {
            text.push_str(&format!(" ≥ {} km, ≥ {} km/h", t.distance_km, t.speed_kmh));
        }
        _ => {}
    }
    text
}

fn text_of(number: Number) -> String {
    match number {
        Number::Int(n) => n.to_string(),
        Number::Float(n) => n.to_string(),
    }
}
