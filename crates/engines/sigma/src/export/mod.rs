//! Rules as queries of other products.
//!
//! A rule is exported as a whole or not at all: where a language cannot say a part of it,
//! [`Unsupported`] names the part and why ([`table`] lists them), so that no export is quietly
//! wider or narrower than the rule. What the other side must provide (an index of lower-cased
//! keywords, say) is in the notes.

use crate::correlation::Correlation;
use crate::model::{Condition, Item, Link, Rule, Selection, Test};

mod correlated;
mod elastic;
mod splunk;

/// A query language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Lucene query string syntax, as in Kibana and `query_string`.
    Lucene,
    /// Elastic Event Query Language.
    Eql,
    /// Elastic ES|QL.
    Esql,
    /// Splunk SPL.
    Spl,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 4] = [Self::Lucene, Self::Eql, Self::Esql, Self::Spl];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lucene => "lucene",
            Self::Eql => "eql",
            Self::Esql => "esql",
            Self::Spl => "spl",
        }
    }

    /// The language of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|l| l.name() == name)
    }
}

/// An exported rule.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Exported {
    /// The query.
    pub query: String,
    /// Id, title and author of the rule, which its licence asks to keep with it.
    pub credit: String,
    /// What must hold on the other side for the query to mean what the rule means.
    pub notes: Vec<String>,
}

/// A part of a rule that a language cannot say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{feature}: {reason}")]
pub struct Unsupported {
    /// The part, as in [`table`].
    pub feature: &'static str,
    /// Why.
    pub reason: String,
}

type Part = Result<String, Unsupported>;

fn no(feature: &'static str, reason: impl Into<String>) -> Part {
    Err(Unsupported {
        feature,
        reason: reason.into(),
    })
}

/// How a language says things.
trait Dialect {
    fn test(&mut self, field: Option<&str>, test: &Test) -> Part;
    fn present(&self, field: &str) -> String;
    fn any(&self, parts: &[String]) -> String {
        format!("({})", parts.join(" OR "))
    }
    fn all(&self, parts: &[String]) -> String {
        format!("({})", parts.join(" AND "))
    }
    fn not(&self, part: &str) -> String {
        format!("NOT {part}")
    }
    /// A test below a negation: where a missing field makes a comparison neither true nor false,
    /// it has to become false, or the negation would drop what the rule means to keep.
    fn definite(&self, _field: &str, test: String) -> String {
        test
    }
    /// The whole query around the condition.
    fn query(&self, condition: &str) -> String;
    fn notes(&self) -> Vec<String>;
}

fn dialect(language: Language, rule: &Rule) -> Box<dyn Dialect> {
    match language {
        Language::Lucene => Box::new(elastic::Lucene::default()),
        Language::Eql => Box::new(elastic::Eql),
        Language::Esql => Box::new(elastic::Esql::default()),
        Language::Spl if splunk::searchable(rule) => Box::new(splunk::Search),
        Language::Spl => Box::new(splunk::Where),
    }
}

/// Exports a rule.
///
/// # Errors
/// The first part that the language cannot say.
pub fn rule(rule: &Rule, language: Language) -> Result<Exported, Unsupported> {
    let mut d = dialect(language, rule);
    let condition = rule_condition(rule, &mut *d)?;
    let mut notes = d.notes();
    let l = &rule.logsource;
    let source: Vec<String> = [
        ("product", &l.product),
        ("category", &l.category),
        ("service", &l.service),
    ]
    .into_iter()
    .filter_map(|(k, v)| v.as_ref().map(|v| format!("{k} {v}")))
    .collect();
    if !source.is_empty() {
        notes.push(format!("run it on the events of {}", source.join(", ")));
    }
    Ok(Exported {
        query: d.query(outer(&condition)),
        credit: credit(&rule.meta),
        notes,
    })
}

/// Exports a correlation over the rules it refers to.
///
/// # Errors
/// The first part that the language cannot say.
pub fn correlation(
    c: &Correlation,
    rules: &[&Rule],
    language: Language,
) -> Result<Exported, Unsupported> {
    correlated::export(c, rules, language)
}

fn credit(m: &crate::model::Meta) -> String {
    format!(
        "{} · {} · {}",
        m.key(),
        m.title,
        m.author.as_deref().unwrap_or("author unknown")
    )
}

fn rule_condition(rule: &Rule, d: &mut dyn Dialect) -> Part {
    if rule.extension.hours.is_some() || rule.extension.older_than.is_some() {
        return no(
            "x-sealwright",
            "the additions of this program have no counterpart",
        );
    }
    condition(&rule.condition, rule, false, d)
}

fn condition(c: &Condition, rule: &Rule, negated: bool, d: &mut dyn Dialect) -> Part {
    match c {
        Condition::Id(i) => selection(&rule.detections[*i].1, negated, d),
        Condition::And(l) => {
            let parts = l
                .iter()
                .map(|c| condition(c, rule, negated, d))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(d.all(&parts))
        }
        Condition::Or(l) => {
            let parts = l
                .iter()
                .map(|c| condition(c, rule, negated, d))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(d.any(&parts))
        }
        Condition::Not(c) => {
            let inner = condition(c, rule, true, d)?;
            Ok(d.not(&bracket(inner)))
        }
    }
}

fn selection(s: &Selection, negated: bool, d: &mut dyn Dialect) -> Part {
    match s {
        Selection::Group(link, members) => {
            let parts = members
                .iter()
                .map(|m| selection(m, negated, d))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(join(*link, &parts, d))
        }
        Selection::Item(i) => item(i, negated, d),
    }
}

fn item(i: &Item, negated: bool, d: &mut dyn Dialect) -> Part {
    let mut values = Vec::new();
    for v in &i.values {
        if !v.placeholders.is_empty() {
            return no(
                "placeholder",
                format!("%{}% is not resolved", v.placeholders.join("%, %")),
            );
        }
        let tests = v
            .tests
            .iter()
            .map(|t| {
                let said = d.test(i.field.as_deref(), t)?;
                Ok(match (&i.field, t) {
                    (Some(f), t)
                        if (negated || i.negated) && !matches!(t, Test::Null | Test::Exists(_)) =>
                    {
                        d.definite(f, said)
                    }
                    _ => said,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        values.push(join(Link::Any, &tests, d));
    }
    let joined = join(i.link, &values, d);
    match (&i.field, i.negated) {
        (Some(f), true) => {
            let present = d.present(f);
            let negated = d.not(&bracket(joined));
            Ok(d.all(&[present, negated]))
        }
        _ => Ok(joined),
    }
}

fn join(link: Link, parts: &[String], d: &dyn Dialect) -> String {
    match (parts, link) {
        ([one], _) => one.clone(),
        (_, Link::Any) => d.any(parts),
        (_, Link::All) => d.all(parts),
    }
}

fn bracket(part: String) -> String {
    if part.starts_with('(') && outer(&part) != part {
        part
    } else {
        format!("({part})")
    }
}

/// Without the parentheses that enclose all of it.
fn outer(part: &str) -> &str {
    let Some(inner) = part.strip_prefix('(').and_then(|p| p.strip_suffix(')')) else {
        return part;
    };
    let (mut depth, mut quoted, mut escaped) = (0_i32, None, false);
    for c in inner.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' | '/' if quoted == Some(c) => quoted = None,
            '"' if quoted.is_none() => quoted = Some(c),
            _ if quoted.is_some() => {}
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return part;
        }
    }
    inner
}

/// What each language can say: feature, then for Lucene, EQL, ES|QL and SPL an empty text for yes
/// or the reason why not.
pub fn table() -> Vec<(&'static str, [&'static str; 4])> {
    const NO_SEARCH: &str = "no search over all fields";
    const NO_COUNT: &str = "no aggregation";
    vec![
        ("text, wildcards", [""; 4]),
        (
            "cased",
            ["case follows the index", "", "", "only in `where`"],
        ),
        ("number, compare", [""; 4]),
        (
            "null, exists",
            [
                "null and missing are one",
                "",
                "null and missing are one",
                "null and missing are one",
            ],
        ),
        (
            "re",
            [
                "other syntax: only without \\ classes, flags and anchors inside",
                "the engine's syntax: without \\ classes and flags",
                "the engine's syntax: without \\ classes and flags",
                "",
            ],
        ),
        ("cidr", [""; 4]),
        ("fieldref", ["no comparison of fields", "", "", ""]),
        ("time parts", ["no functions", "no date functions", "", ""]),
        ("keywords", ["", NO_SEARCH, NO_SEARCH, ""]),
        ("placeholder", ["must be resolved first"; 4]),
        ("x-sealwright", ["no counterpart"; 4]),
        ("event_count", [NO_COUNT, NO_COUNT, "fixed windows", ""]),
        (
            "value_count, sum, avg, median, percentile",
            [NO_COUNT, NO_COUNT, "fixed windows", ""],
        ),
        (
            "temporal",
            [NO_COUNT, "order cannot be left open", "fixed windows", ""],
        ),
        ("temporal_ordered", [NO_COUNT, "", "no order", "no order"]),
        (
            "lt, lte, eq, neq in correlations",
            [
                NO_COUNT,
                NO_COUNT,
                "fixed windows, and none without events",
                "judged at each event, not when the window has closed",
            ],
        ),
        (
            "several fields in value_count",
            [NO_COUNT, NO_COUNT, "counts one field", "counts one field"],
        ),
        (
            "aliases",
            [
                NO_COUNT,
                "",
                "one name for all rules",
                "one name for all rules",
            ],
        ),
        (
            "one alert while a condition stays fulfilled",
            [NO_COUNT, "", "one for each window", "one for each event"],
        ),
        ("chains, expressions", ["not exported"; 4]),
        (
            "x-absence, x-first-seen, x-dormant, x-changes, x-baseline, x-impossible-travel",
            ["no counterpart"; 4],
        ),
    ]
}
