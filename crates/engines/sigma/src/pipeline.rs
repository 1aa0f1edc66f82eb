//! Pipelines: from the field names of rules to those of events.
//!
//! A pipeline is a YAML file:
//!
//! ```yaml
//! name: ecs
//! placeholders:
//!   Administrators: [alice, 'adm_*']
//! mappings:
//!   - logsource: {product: windows, category: process_creation}
//!     fields:
//!       Image: process.executable
//!       CommandLine: [process.command_line, process.args]
//! ```
//!
//! A mapping applies to rules whose log source has at least the values it names. Of several
//! mappings that name a field the first counts. A field that maps to several is looked for in
//! each: one is enough.

use std::collections::BTreeMap;

use crate::correlation::{Correlation, CorrelationKind};
use crate::error::{Error, Position, Result};
use crate::model::{Link, LogSource, Rule, Selection, Test};
use crate::modifier::Placeholders;
use crate::yaml::{self, Kind, Limits, Node};

/// Field names by log source, and values of placeholders.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pipeline {
    /// Name, for messages.
    pub name: String,
    /// Values of placeholders; give them to [`crate::parse()`].
    pub placeholders: Placeholders,
    /// The mappings in order.
    pub mappings: Vec<Mapping>,
}

/// Field names for rules of a log source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mapping {
    /// For rules with at least these values.
    pub logsource: LogSource,
    /// Name in rules to names in events.
    pub fields: BTreeMap<String, Vec<String>>,
}

impl Pipeline {
    /// Reads a pipeline.
    ///
    /// # Errors
    /// Where the file is not of the form above.
    pub fn parse(file: &str, text: &str) -> std::result::Result<Self, Error> {
        read(text).map_err(|e| e.in_file(file))
    }

    /// Renames the fields of a rule.
    pub fn apply(&self, rule: &mut Rule) {
        let source = rule.logsource.clone();
        self.apply_selections(&source, &mut rule.detections);
        for f in &mut rule.meta.fields {
            if let Some(new) = self.names(&source, f).and_then(|n| n.first()) {
                f.clone_from(new);
            }
        }
    }

    pub(crate) fn apply_selections(
        &self,
        source: &LogSource,
        detections: &mut [(String, Selection)],
    ) {
        for (_, s) in detections {
            self.selection(source, s);
        }
    }

    /// Renames the fields of a correlation with the mappings that name no log source.
    pub fn apply_correlation(&self, c: &mut Correlation) {
        let source = LogSource::default();
        let rename = |f: &mut String| {
            if let Some(new) = self.names(&source, f).and_then(|n| n.first()) {
                f.clone_from(new);
            }
        };
        let aliases: Vec<String> = c.aliases.iter().map(|(a, _)| a.clone()).collect();
        c.group_by
            .iter_mut()
            .filter(|f| !aliases.contains(f))
            .for_each(rename);
        c.fields.iter_mut().for_each(rename);
        c.aliases
            .iter_mut()
            .flat_map(|(_, l)| l.iter_mut())
            .for_each(|(_, f)| rename(f));
        if let CorrelationKind::ImpossibleTravel(t) = &mut c.kind {
            rename(&mut t.latitude);
            rename(&mut t.longitude);
            t.radius.iter_mut().chain(&mut t.device).for_each(rename);
        }
    }

    fn names(&self, source: &LogSource, field: &str) -> Option<&Vec<String>> {
        let covers = |m: &Option<String>, r: &Option<String>| m.is_none() || m == r;
        self.mappings
            .iter()
            .filter(|m| {
                covers(&m.logsource.product, &source.product)
                    && covers(&m.logsource.category, &source.category)
                    && covers(&m.logsource.service, &source.service)
            })
            .find_map(|m| m.fields.get(field))
    }

    fn selection(&self, source: &LogSource, s: &mut Selection) {
        match s {
            Selection::Group(_, members) => {
                members.iter_mut().for_each(|m| self.selection(source, m));
            }
            Selection::Item(item) => {
                for v in &mut item.values {
                    for t in &mut v.tests {
                        if let Test::FieldRef { field, .. } = t
                            && let Some(new) = self.names(source, field).and_then(|n| n.first())
                        {
                            field.clone_from(new);
                        }
                    }
                }
                let names = item
                    .field
                    .as_ref()
                    .and_then(|f| self.names(source, f))
                    .cloned();
                let Some(names) = names else { return };
                let many = names.into_iter().map(|n| {
                    let mut copy = item.clone();
                    copy.field = Some(n);
                    Selection::Item(copy)
                });
                let mut many: Vec<Selection> = many.collect();
                // Of a negated item all must hold, or it would be true where it is false.
                let link = if item.negated { Link::All } else { Link::Any };
                *s = if many.len() == 1 {
                    many.remove(0)
                } else {
                    Selection::Group(link, many)
                };
            }
        }
    }
}

fn read(text: &str) -> Result<Pipeline> {
    let documents = yaml::read(
        text,
        &Limits {
            bytes: 4 << 20,
            ..Limits::default()
        },
    )?;
    let [node] = documents.as_slice() else {
        return Err(Error::new(
            Position { line: 1, column: 1 },
            "a pipeline is one document",
        ));
    };
    let mut out = Pipeline::default();
    for (key, value) in node.as_map("a pipeline")? {
        match &*key.text {
            "name" => out.name = value.scalar_text().unwrap_or_default(),
            "placeholders" => {
                for (k, v) in value.as_map("`placeholders`")? {
                    out.placeholders
                        .insert(k.text.clone(), crate::parse::texts(v, &k.text)?);
                }
            }
            "mappings" => {
                let Kind::List(list) = &value.kind else {
                    return Err(Error::new(value.at, "`mappings` must be a list"));
                };
                for m in list {
                    out.mappings.push(mapping(m)?);
                }
            }
            other => {
                return Err(Error::new(key.at, format!("a pipeline has no `{other}`"))
                    .hint("known are name, placeholders, mappings"));
            }
        }
    }
    Ok(out)
}

fn mapping(node: &Node) -> Result<Mapping> {
    let mut out = Mapping::default();
    if let Some(n) = node.get("logsource") {
        out.logsource = crate::parse::logsource(n)?;
    }
    let Some(fields) = node.get("fields") else {
        return Err(Error::new(node.at, "a mapping needs `fields`"));
    };
    for (k, v) in fields.as_map("`fields`")? {
        let names = crate::parse::texts(v, &k.text)?;
        if names.is_empty() {
            return Err(Error::new(v.at, format!("`{}` maps to nothing", k.text)));
        }
        out.fields.insert(k.text.clone(), names);
    }
    Ok(out)
}
