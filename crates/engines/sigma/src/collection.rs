//! Documents put together: filters joined to their rules, references of correlations resolved.

use std::collections::HashMap;

use crate::annotations::Overrides;
use crate::correlation::Correlation;
use crate::error::Error;
use crate::model::{Condition, Document, Filter, Meta, Rule, Selection};
use crate::modifier::Placeholders;
use crate::parse::parse_tuned;
use crate::pipeline::Pipeline;
use crate::yaml::Limits;

/// What a correlation refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// A rule, by index into [`Collection::rules`].
    Rule(usize),
    /// A correlation, by index into [`Collection::correlations`].
    Correlation(usize),
}

/// What gives alerts of its own: everything that no correlation uses, and what one uses that says
/// `generate` (correlations specification, "Generate").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// For each rule.
    pub rules: Vec<bool>,
    /// For each correlation.
    pub correlations: Vec<bool>,
}

/// A set of rules, correlations and filters that belong together.
#[derive(Debug, Clone, Default)]
pub struct Collection {
    /// Detection rules, with their filters joined.
    pub rules: Vec<Rule>,
    /// Correlations, each after those that it refers to.
    pub correlations: Vec<Correlation>,
    /// For each correlation, its rules in order.
    pub targets: Vec<Vec<Target>>,
    /// Why documents were refused.
    pub errors: Vec<Error>,
    /// What is odd but does not refuse a document, for example a filter for a rule that is not here.
    pub warnings: Vec<Error>,
    /// Values of tunables, by the id or name of the rule or correlation; set them before the first
    /// file.
    pub overrides: Overrides,
    filters: Vec<(String, Filter)>,
    pending: Vec<(String, Correlation)>,
    files: Vec<String>,
}

impl Collection {
    /// An empty collection in which tunables have other values.
    pub fn with_overrides(overrides: Overrides) -> Self {
        Self {
            overrides,
            ..Self::default()
        }
    }

    /// Reads a file.
    pub fn add(&mut self, file: &str, text: &str, limits: &Limits, placeholders: &Placeholders) {
        let parsed = parse_tuned(file, text, limits, placeholders, &self.overrides);
        self.errors.extend(parsed.errors);
        for d in parsed.documents {
            match d {
                Document::Rule(r) => {
                    self.rules.push(*r);
                    self.files.push(file.to_owned());
                }
                Document::Correlation(c) => self.pending.push((file.to_owned(), *c)),
                Document::Filter(f) => self.filters.push((file.to_owned(), *f)),
            }
        }
    }

    /// Applies pipelines, joins filters and resolves correlations. Call it once, after the last
    /// file.
    pub fn finish(&mut self, pipelines: &[Pipeline]) {
        for p in pipelines {
            self.rules.iter_mut().for_each(|r| p.apply(r));
            for (_, c) in &mut self.pending {
                p.apply_correlation(c);
            }
            for (_, f) in &mut self.filters {
                p.apply_selections(&f.logsource, &mut f.detections);
            }
        }
        self.unique();
        for (file, f) in std::mem::take(&mut self.filters) {
            self.join(&file, &f);
        }
        self.resolve();
    }

    /// What gives alerts of its own.
    pub fn shown(&self) -> Shown {
        let mut out = Shown {
            rules: vec![true; self.rules.len()],
            correlations: vec![true; self.correlations.len()],
        };
        for generate in [false, true] {
            let each = self.correlations.iter().zip(&self.targets);
            for (_, targets) in each.filter(|(c, _)| c.generate == generate) {
                for t in targets {
                    match t {
                        Target::Rule(r) => out.rules[*r] = generate,
                        Target::Correlation(c) => out.correlations[*c] = generate,
                    }
                }
            }
        }
        out
    }

    /// The file that a rule came from.
    pub fn file(&self, rule: usize) -> &str {
        self.files.get(rule).map_or("", String::as_str)
    }

    /// The second document of an id is refused, as references would be ambiguous.
    fn unique(&mut self) {
        let mut seen: HashMap<String, String> = HashMap::new();
        let mut refused = Vec::new();
        let rules = self.rules.iter().zip(&self.files).enumerate();
        for (i, (r, file)) in rules {
            let Some(id) = &r.meta.id else { continue };
            if let Some(other) = seen.insert(id.clone(), file.clone()) {
                let message = format!("the id {id} is already used in {other}");
                self.errors.push(Error::new(r.at, message).in_file(file));
                refused.push(i);
            }
        }
        for i in refused.into_iter().rev() {
            self.rules.remove(i);
            self.files.remove(i);
        }
    }

    fn join(&mut self, file: &str, f: &Filter) {
        let mut hits = 0;
        for r in &mut self.rules {
            let named = f
                .rules
                .as_ref()
                .is_none_or(|l| l.iter().any(|n| refers(&r.meta, n)));
            let covered =
                |filter: &Option<String>, rule: &Option<String>| filter.is_none() || filter == rule;
            if named
                && covered(&f.logsource.category, &r.logsource.category)
                && covered(&f.logsource.product, &r.logsource.product)
                && covered(&f.logsource.service, &r.logsource.service)
            {
                hits += 1;
                let offset = r.detections.len();
                let prefix = f.meta.key();
                r.detections.extend(f.detections.iter().map(|(n, s)| {
                    (format!("_filter {prefix} {n}"), s.clone()) as (String, Selection)
                }));
                let old = std::mem::replace(&mut r.condition, Condition::Id(0));
                r.condition = Condition::And(vec![old, shift(&f.condition, offset)]);
                r.condition_text =
                    format!("({}) and filter ({})", r.condition_text, f.condition_text);
            }
        }
        if hits == 0 {
            let message = format!(
                "the filter `{}` is for no rule that is loaded",
                f.meta.title
            );
            self.warnings.push(
                Error::new(f.at, message)
                    .hint("check its `rules` and that its `logsource` is that of the rules")
                    .in_file(file),
            );
        }
    }

    fn resolve(&mut self) {
        let mut waiting = std::mem::take(&mut self.pending);
        loop {
            let before = waiting.len();
            let mut rest = Vec::new();
            for (file, c) in waiting {
                let targets: Option<Vec<Target>> = c
                    .rules
                    .iter()
                    .map(|n| {
                        self.rules
                            .iter()
                            .position(|r| refers(&r.meta, n))
                            .map(Target::Rule)
                            .or_else(|| {
                                let at = self.correlations.iter().position(|c| refers(&c.meta, n));
                                at.map(Target::Correlation)
                            })
                    })
                    .collect();
                match targets {
                    Some(t) => {
                        self.correlations.push(c);
                        self.targets.push(t);
                    }
                    None => rest.push((file, c)),
                }
            }
            waiting = rest;
            if waiting.is_empty() {
                return;
            }
            if waiting.len() == before {
                break;
            }
        }
        for (file, c) in &waiting {
            let known = |n: &str| {
                self.rules.iter().any(|r| refers(&r.meta, n))
                    || self.correlations.iter().any(|c| refers(&c.meta, n))
            };
            let missing: Vec<&str> = c
                .rules
                .iter()
                .map(String::as_str)
                .filter(|n| !known(n))
                .collect();
            let cyclic = missing
                .iter()
                .all(|n| waiting.iter().any(|(_, o)| refers(&o.meta, n)));
            let message = if cyclic {
                format!(
                    "the correlation refers to itself by way of `{}`",
                    missing.join("`, `")
                )
            } else {
                format!("there is no rule `{}`", missing.join("`, `"))
            };
            self.errors.push(
                Error::new(c.at, message)
                    .hint("refer to rules by their `id` or `name`, and load them together")
                    .in_file(file),
            );
        }
    }
}

fn refers(meta: &Meta, name: &str) -> bool {
    meta.id.as_deref() == Some(name) || meta.name.as_deref() == Some(name)
}

fn shift(c: &Condition, by: usize) -> Condition {
    match c {
        Condition::Id(i) => Condition::Id(i + by),
        Condition::And(l) => Condition::And(l.iter().map(|c| shift(c, by)).collect()),
        Condition::Or(l) => Condition::Or(l.iter().map(|c| shift(c, by)).collect()),
        Condition::Not(c) => Condition::Not(Box::new(shift(c, by))),
    }
}
