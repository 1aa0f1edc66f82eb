//! Documents: from YAML to [`Document`].

use crate::annotations::{self, Overrides};
use crate::condition;
use crate::error::{Error, Position, Result};
use crate::hours::Hours;
use crate::model::{
    Condition, Document, Filter, Item, Link, LogSource, Meta, OlderThan, Rule, RuleExtension,
    Selection,
};
use crate::modifier::{self, Modifier, Placeholders};
use crate::parse_correlation::correlation;
use crate::yaml::{self, Kind, Limits, Node};

/// The documents of one file that were understood, and why the others were not.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// In the order of the file.
    pub documents: Vec<Document>,
    /// One entry for every document that was refused.
    pub errors: Vec<Error>,
}

/// Reads all documents of a file. A document that is refused does not affect its neighbours; text
/// that is no YAML refuses the whole file, as nothing behind the fault can be trusted.
///
/// `file` is only used in error messages. Placeholders of `expand` are replaced by the given
/// values; those that are not given stay and are named in [`crate::model::Value::placeholders`].
pub fn parse(file: &str, text: &str, limits: &Limits, placeholders: &Placeholders) -> Parsed {
    parse_tuned(file, text, limits, placeholders, &Overrides::default())
}

/// The same with values of tunables ([`crate::annotations`]) replaced. A document whose override is
/// refused is refused.
pub fn parse_tuned(
    file: &str,
    text: &str,
    limits: &Limits,
    placeholders: &Placeholders,
    overrides: &Overrides,
) -> Parsed {
    let mut parsed = Parsed::default();
    match yaml::read(text, limits) {
        Err(e) => parsed.errors.push(e.in_file(file)),
        Ok(mut nodes) => {
            for node in &mut nodes {
                let tuned = annotations::tune(node, overrides);
                match tuned.and_then(|()| document(node, placeholders)) {
                    Ok(d) => parsed.documents.push(d),
                    Err(e) => parsed.errors.push(e.in_file(file)),
                }
            }
        }
    }
    parsed
}

fn document(node: &Node, placeholders: &Placeholders) -> Result<Document> {
    node.as_map("a Sigma document")?;
    if let Some(action) = node.get("action") {
        return Err(
            Error::new(action.at, "`action` documents were removed in Sigma 2.0")
                .hint("write each rule out, or use a correlation rule"),
        );
    }
    let kinds = ["detection", "correlation", "filter"];
    let present: Vec<&str> = kinds
        .into_iter()
        .filter(|k| node.get(k).is_some())
        .collect();
    match present.as_slice() {
        ["detection"] => Ok(Document::Rule(Box::new(rule(node, placeholders)?))),
        ["correlation"] => Ok(Document::Correlation(Box::new(correlation(node)?))),
        ["filter"] => Ok(Document::Filter(Box::new(filter(node, placeholders)?))),
        [] => Err(
            Error::new(node.at, "neither `detection`, `correlation` nor `filter`")
                .hint("a Sigma document has one of the three"),
        ),
        many => Err(Error::new(
            node.at,
            format!("`{}` in one document", many.join("` and `")),
        )
        .hint("separate the documents by a line of three dashes")),
    }
}

fn rule(node: &Node, placeholders: &Placeholders) -> Result<Rule> {
    let meta = meta(node)?;
    let logsource = match node.get("logsource") {
        Some(n) => logsource(n)?,
        None => {
            return Err(Error::new(node.at, "there is no `logsource`")
                .hint("name the `product`, `category` or `service` that the rule is for"));
        }
    };
    let Some(detection) = node.get("detection") else {
        return Err(Error::new(node.at, "there is no `detection`"));
    };
    let (detections, condition, condition_text) = detection_block(detection, &[], placeholders)?;
    Ok(Rule {
        meta,
        logsource,
        detections,
        condition,
        condition_text,
        extension: rule_extension(node)?,
        at: node.at,
    })
}

fn filter(node: &Node, placeholders: &Placeholders) -> Result<Filter> {
    let meta = meta(node)?;
    let logsource = node
        .get("logsource")
        .map(logsource)
        .transpose()?
        .unwrap_or_default();
    let Some(block) = node.get("filter") else {
        return Err(Error::new(node.at, "there is no `filter`"));
    };
    let rules = match block.get("rules") {
        None => {
            return Err(Error::new(block.at, "there is no `rules` in the filter")
                .hint("list the ids or names of rules, or write `rules: any`"));
        }
        Some(n) => match &n.kind {
            Kind::Text(t) if t.eq_ignore_ascii_case("any") => None,
            _ => Some(texts(n, "rules")?).filter(|l| !l.is_empty()),
        },
    };
    let (detections, condition, condition_text) = detection_block(block, &["rules"], placeholders)?;
    Ok(Filter {
        meta,
        logsource,
        rules,
        detections,
        condition,
        condition_text,
        at: node.at,
    })
}

type Block = (Vec<(String, Selection)>, Condition, String);

fn detection_block(node: &Node, skip: &[&str], placeholders: &Placeholders) -> Result<Block> {
    let map = node.as_map("`detection`")?;
    let mut detections = Vec::new();
    for (key, value) in map {
        // `timeframe` belonged to the aggregations that correlations replaced.
        if key.text == "condition" || key.text == "timeframe" || skip.contains(&&*key.text) {
            continue;
        }
        detections.push((key.text.clone(), selection(&key.text, value, placeholders)?));
    }
    if detections.is_empty() {
        return Err(Error::new(
            node.at,
            "there is no search identifier beside the condition",
        ));
    }
    let Some(condition_node) = node.get("condition") else {
        return Err(Error::new(node.at, "there is no `condition`"));
    };
    let names: Vec<&str> = detections.iter().map(|(n, _)| n.as_str()).collect();
    let nodes: Vec<&Node> = match &condition_node.kind {
        Kind::List(l) if !l.is_empty() => l.iter().collect(),
        _ => vec![condition_node],
    };
    let mut all = Vec::new();
    let mut written = Vec::new();
    for n in nodes {
        let Kind::Text(text) = &n.kind else {
            return Err(Error::new(
                n.at,
                format!("a condition is text, this is {}", n.type_name()),
            ));
        };
        let c = condition::parse(text, &names).map_err(|f| {
            // Offsets are exact for conditions on one line.
            let column = if text.contains('\n') { 0 } else { f.offset };
            let at = Position {
                line: n.at.line,
                column: n
                    .at
                    .column
                    .saturating_add(u32::try_from(column).unwrap_or(0)),
            };
            Error::new(at, format!("condition: {}", f.message)).hint(f.hint)
        })?;
        all.push(c);
        written.push(text.trim().to_owned());
    }
    let text = if written.len() == 1 {
        written.remove(0)
    } else {
        written
            .iter()
            .map(|w| format!("({w})"))
            .collect::<Vec<_>>()
            .join(" or ")
    };
    let condition = if all.len() == 1 {
        all.remove(0)
    } else {
        Condition::Or(all)
    };
    Ok((detections, condition, text))
}

fn selection(name: &str, node: &Node, placeholders: &Placeholders) -> Result<Selection> {
    let empty = || {
        Err(Error::new(
            node.at,
            format!("the search identifier `{name}` is empty"),
        ))
    };
    match &node.kind {
        Kind::Map(map) => {
            if map.is_empty() {
                return empty();
            }
            let items = map
                .iter()
                .map(|(k, v)| item(&k.text, k.at, v, placeholders).map(Selection::Item))
                .collect::<Result<Vec<_>>>()?;
            Ok(group(Link::All, items))
        }
        Kind::List(list) => {
            if list.is_empty() {
                return empty();
            }
            let mut members = Vec::new();
            // Plain values of the list are one item of keywords.
            let (maps, plain): (Vec<&Node>, Vec<&Node>) = list
                .iter()
                .partition(|n| matches!(n.kind, Kind::Map(_) | Kind::List(_)));
            if !plain.is_empty() {
                let values = plain
                    .iter()
                    .map(|n| modifier::apply(n, &[], true, placeholders))
                    .collect::<Result<Vec<_>>>()?;
                members.push(Selection::Item(Item {
                    field: None,
                    modifiers: Vec::new(),
                    values,
                    link: Link::Any,
                    negated: false,
                    at: node.at,
                }));
            }
            for m in maps {
                members.push(selection(name, m, placeholders)?);
            }
            Ok(group(Link::Any, members))
        }
        Kind::Null => empty(),
        _ => {
            let value = modifier::apply(node, &[], true, placeholders)?;
            Ok(Selection::Item(Item {
                field: None,
                modifiers: Vec::new(),
                values: vec![value],
                link: Link::Any,
                negated: false,
                at: node.at,
            }))
        }
    }
}

fn group(link: Link, mut members: Vec<Selection>) -> Selection {
    if members.len() == 1 {
        members.remove(0)
    } else {
        Selection::Group(link, members)
    }
}

fn item(key: &str, at: Position, node: &Node, placeholders: &Placeholders) -> Result<Item> {
    let mut pieces = key.split('|');
    let field = pieces.next().unwrap_or_default();
    let mut modifiers = Vec::new();
    for name in pieces {
        let Some(m) = Modifier::from_name(name) else {
            return Err(Error::new(at, format!("there is no modifier `{name}`"))
                .hint(format!("known are {}", modifier::NAMES)));
        };
        if modifiers.contains(&m) {
            return Err(Error::new(
                at,
                format!("the modifier `{name}` occurs twice"),
            ));
        }
        modifiers.push(m);
    }
    let field = (!field.is_empty()).then(|| field.to_owned());
    let keyword = field.is_none();
    let needs_field = |m: &&Modifier| {
        matches!(
            m,
            Modifier::Exists | Modifier::FieldRef | Modifier::Cidr | Modifier::Neq
        )
    };
    if keyword && let Some(m) = modifiers.iter().find(needs_field) {
        return Err(Error::new(at, format!("`{}` needs a field", m.name())));
    }
    let nodes: Vec<&Node> = match &node.kind {
        Kind::List(l) => l.iter().collect(),
        Kind::Map(_) => {
            return Err(
                Error::new(node.at, format!("the value of `{key}` is a map"))
                    .hint("write nested fields with dots, for example `a.b: value`"),
            );
        }
        _ => vec![node],
    };
    if nodes.is_empty() {
        return Err(Error::new(node.at, format!("`{key}` has an empty list")));
    }
    let all = modifiers.contains(&Modifier::All);
    if all && nodes.len() < 2 {
        return Err(
            Error::new(at, "`all` needs a list of at least two values").hint("leave `all` away")
        );
    }
    let values = nodes
        .iter()
        .map(|n| modifier::apply(n, &modifiers, keyword, placeholders))
        .collect::<Result<Vec<_>>>()?;
    Ok(Item {
        field,
        negated: modifiers.contains(&Modifier::Neq),
        modifiers,
        values,
        link: if all { Link::All } else { Link::Any },
        at,
    })
}

pub(crate) fn logsource(node: &Node) -> Result<LogSource> {
    let mut out = LogSource::default();
    for (key, value) in node.as_map("`logsource`")? {
        let Some(text) = value.scalar_text() else {
            if key.text == "definition" || matches!(value.kind, Kind::Null) {
                continue;
            }
            return Err(Error::new(
                value.at,
                format!("`{}` must be text, this is {}", key.text, value.type_name()),
            ));
        };
        let slot = match &*key.text {
            "category" => &mut out.category,
            "product" => &mut out.product,
            "service" => &mut out.service,
            "definition" => {
                out.definition = Some(text);
                continue;
            }
            other => {
                out.other.insert(other.to_owned(), text);
                continue;
            }
        };
        *slot = Some(text.to_lowercase());
    }
    Ok(out)
}

const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

pub(crate) fn meta(node: &Node) -> Result<Meta> {
    let text = |key: &str| -> Result<Option<String>> {
        match node.get(key) {
            None => Ok(None),
            Some(n) if matches!(n.kind, Kind::Null) => Ok(None),
            Some(n) => n.scalar_text().map(Some).ok_or_else(|| {
                Error::new(
                    n.at,
                    format!("`{key}` must be text, this is {}", n.type_name()),
                )
            }),
        }
    };
    let list = |key: &str| -> Result<Vec<String>> {
        node.get(key).map_or(Ok(Vec::new()), |n| texts(n, key))
    };
    let Some(title) = text("title")?.filter(|t| !t.trim().is_empty()) else {
        return Err(Error::new(node.at, "there is no `title`"));
    };
    let level = text("level")?;
    if let (Some(l), Some(n)) = (&level, node.get("level"))
        && !LEVELS.contains(&&**l)
    {
        return Err(Error::new(n.at, format!("`{l}` is not a level"))
            .hint(format!("use one of {}", LEVELS.join(", "))));
    }
    let mut related = Vec::new();
    if let Some(Node {
        kind: Kind::List(entries),
        ..
    }) = node.get("related")
    {
        for e in entries {
            let get = |k: &str| e.get(k).and_then(Node::scalar_text).unwrap_or_default();
            related.push((get("id"), get("type")));
        }
    }
    Ok(Meta {
        title,
        id: text("id")?,
        name: text("name")?,
        related,
        taxonomy: text("taxonomy")?,
        status: text("status")?,
        description: text("description")?,
        license: text("license")?,
        author: text("author")?,
        references: list("references")?,
        date: text("date")?,
        modified: text("modified")?,
        fields: list("fields")?,
        falsepositives: list("falsepositives")?,
        level,
        tags: list("tags")?,
        scope: list("scope")?,
        annotations: annotations::read(node)?,
    })
}

/// A list of texts, or one text.
pub(crate) fn texts(node: &Node, what: &str) -> Result<Vec<String>> {
    let one = |n: &Node| {
        n.scalar_text().ok_or_else(|| {
            Error::new(
                n.at,
                format!("`{what}` must hold text, this is {}", n.type_name()),
            )
        })
    };
    match &node.kind {
        Kind::Null => Ok(Vec::new()),
        Kind::List(l) => l
            .iter()
            .filter(|n| !matches!(n.kind, Kind::Null))
            .map(one)
            .collect(),
        _ => Ok(vec![one(node)?]),
    }
}

fn rule_extension(node: &Node) -> Result<RuleExtension> {
    let mut out = RuleExtension::default();
    let Some(ext) = node.get("x-sealwright") else {
        return Ok(out);
    };
    for (key, value) in ext.as_map("`x-sealwright`")? {
        match &*key.text {
            "hours" => out.hours = Some(hours(value)?),
            "older-than" => {
                let get = |k: &str| value.get(k).and_then(Node::scalar_text);
                let (Some(field), Some(age)) = (get("field"), get("age")) else {
                    return Err(Error::new(value.at, "`older-than` needs `field` and `age`"));
                };
                let Some(age) = crate::time::timespan(&age) else {
                    return Err(Error::new(value.at, format!("`{age}` is not a timespan"))
                        .hint("write a number and s, m, h, d or w"));
                };
                out.older_than = Some(OlderThan { field, age });
            }
            known if annotations::KEYS.contains(&known) => {}
            other => {
                return Err(Error::new(
                    key.at,
                    format!("`x-sealwright` has no `{other}` in rules"),
                )
                .hint(format!(
                    "known are hours, older-than, {}",
                    annotations::KEYS.join(", ")
                )));
            }
        }
    }
    Ok(out)
}

fn hours(node: &Node) -> Result<Hours> {
    let get = |k: &str| node.get(k).and_then(Node::scalar_text);
    let inside = match get("match").as_deref() {
        None | Some("outside") => false,
        Some("inside") => true,
        Some(other) => {
            return Err(Error::new(node.at, format!("`match` is `{other}`"))
                .hint("write `inside` or `outside`"));
        }
    };
    Hours::parse(
        &get("days").unwrap_or_else(|| "mon-fri".to_owned()),
        &get("from").unwrap_or_else(|| "09:00".to_owned()),
        &get("to").unwrap_or_else(|| "18:00".to_owned()),
        &get("zone").unwrap_or_else(|| "UTC".to_owned()),
        inside,
    )
    .map_err(|e| Error::new(node.at, format!("hours: {e}")))
}
