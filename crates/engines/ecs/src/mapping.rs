//! Mappings: how the events of one source become ECS, as data.
//!
//! A mapping is a TOML file:
//!
//! ```toml
//! name = "example.audit"                  # event.dataset
//! module = "example"                      # event.module
//! namespace = "generic"                   # what is not mapped stays under this name
//! logsource = { product = "example" }     # what Sigma rules for the source say
//! hints = ["com.example.audit"]           # other names under which it may be announced
//! roots = ["", "Event.System"]            # paths below are tried under each
//! unwrap = "properties.log"               # a text that holds the event as JSON
//!
//! [detect]                                # how an event shows that it is of this source
//! all = ["eventId", "actor.id"]           # all of these paths are there
//! any = ["a", "b"]                        # at least one is there
//! equals = { kind = ["audit"] }           # and these hold one of the values
//!
//! [constants]
//! "event.kind" = "event"
//!
//! [fields]                                # field = path, or paths by falling precedence
//! "@timestamp" = "time"
//! "user.name" = ["actor.login", "actor.arn | last /"]
//! "user.target.id" = "target.[type=User].id"
//!
//! [[lookup]]                              # what follows from a value: the exact one, else the longest pattern
//! from = "action"
//! when = { channel = ["Security"] }
//! present = { "event.outcome" = "failure" }
//! absent = { "event.outcome" = "success" }
//! values."user.create*" = { "event.category" = ["iam"], "event.type" = ["user", "creation"] }
//!
//! [[pattern]]                             # what follows from a text
//! from = "message"
//! has = "Failed password"
//! match = 'Failed password for (?<user>\S+)'
//! set = { "user.name" = "$user", "event.outcome" = "failure" }
//! ```
//!
//! Names in paths are compared without ASCII case. `*` is any element of a list or any member of an
//! object, a number an element of a list, `[key=value]` the elements of a list that have this member.
//! Of several values for a field that is no list the first in this order counts: fields, patterns,
//! lookups, constants. Steps behind `|` are those of `Step` in `convert.rs`.

use std::collections::BTreeMap;

use regex::Regex;
use rustc_hash::FxHashMap;
use serde::Deserialize;

use crate::convert::Step;
use crate::schema::{FieldId, Kind, schema};

/// A mapping that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
#[error("mapping {mapping}: {detail}")]
pub struct MappingError {
    /// Its name, or its place when it has none.
    pub mapping: String,
    /// What is wrong with it.
    pub detail: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    name: String,
    module: String,
    namespace: String,
    #[serde(default)]
    logsource: BTreeMap<String, String>,
    #[serde(default)]
    hints: Vec<String>,
    #[serde(default)]
    roots: Vec<String>,
    unwrap: Option<String>,
    #[serde(default)]
    identity: bool,
    #[serde(default)]
    detect: DetectFile,
    #[serde(default)]
    constants: BTreeMap<String, toml::Value>,
    #[serde(default)]
    fields: BTreeMap<String, OneOrMany>,
    #[serde(default)]
    lookup: Vec<LookupFile>,
    #[serde(default)]
    pattern: Vec<PatternFile>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct DetectFile {
    #[serde(default)]
    all: Vec<String>,
    #[serde(default)]
    any: Vec<String>,
    #[serde(default)]
    equals: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn list(&self) -> &[String] {
        match self {
            Self::One(s) => std::slice::from_ref(s),
            Self::Many(l) => l,
        }
    }
}

type SetFile = BTreeMap<String, toml::Value>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LookupFile {
    from: OneOrMany,
    #[serde(default)]
    when: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    present: SetFile,
    #[serde(default)]
    absent: SetFile,
    #[serde(default)]
    values: toml::map::Map<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternFile {
    from: OneOrMany,
    #[serde(default)]
    when: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    has: String,
    #[serde(rename = "match")]
    expression: String,
    #[serde(default)]
    set: SetFile,
}

/// Values to set: (field, JSON).
pub(crate) type Set = Vec<(FieldId, Box<str>)>;

pub(crate) type Slot = u16;
type NodeId = u32;

/// What is done with a value that is met.
#[derive(Debug)]
pub(crate) enum Take {
    Field {
        field: FieldId,
        rank: u16,
        steps: Box<[Step]>,
        consumes: bool,
    },
    Slot {
        slot: Slot,
        rank: u16,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Node {
    /// The name of the member as the mapping spells it.
    pub(crate) name: Box<str>,
    few: Vec<(Box<str>, NodeId)>,
    many: FxHashMap<Box<str>, NodeId>,
    pub(crate) every: Option<NodeId>,
    pub(crate) index: Vec<(usize, NodeId)>,
    pub(crate) having: Vec<(Box<str>, Box<str>, NodeId)>,
    pub(crate) takes: Vec<Take>,
}

impl Node {
    fn child(&self, lower: &str) -> Option<NodeId> {
        if self.many.is_empty() {
            self.few
                .iter()
                .find(|(n, _)| &**n == lower)
                .map(|(_, i)| *i)
        } else {
            self.many.get(lower).copied()
        }
    }

    pub(crate) fn has_members(&self) -> bool {
        !self.few.is_empty() || !self.many.is_empty() || self.every.is_some()
    }

    pub(crate) fn has_elements(&self) -> bool {
        self.every.is_some() || !self.index.is_empty() || !self.having.is_empty()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// The node of a member, whose name may be several parts of a path.
    pub(crate) fn member(&self, id: NodeId, key: &str) -> Option<NodeId> {
        let mut buffer = [0_u8; 64];
        let bytes = key.as_bytes();
        let owned;
        let lower = if let Some(space) = buffer.get_mut(..bytes.len()) {
            space.copy_from_slice(bytes);
            space.make_ascii_lowercase();
            std::str::from_utf8(space).unwrap_or_default()
        } else {
            owned = key.to_ascii_lowercase();
            &owned
        };
        if let Some(found) = self.node(id).child(lower) {
            return Some(found);
        }
        if lower.contains('.') {
            let mut here = id;
            let mut whole = true;
            for part in lower.split('.') {
                match self.node(here).child(part) {
                    Some(next) => here = next,
                    None => {
                        whole = false;
                        break;
                    }
                }
            }
            if whole {
                return Some(here);
            }
        }
        self.node(id).every
    }

    fn add(&mut self, path: &str) -> NodeId {
        let mut here: NodeId = 0;
        if path.is_empty() {
            return here;
        }
        for part in path.split('.') {
            here = self.step(here, part);
        }
        here
    }

    fn step(&mut self, from: NodeId, part: &str) -> NodeId {
        let next = NodeId::try_from(self.nodes.len()).unwrap_or(NodeId::MAX);
        let node = &mut self.nodes[from as usize];
        let existing = if part == "*" {
            *node.every.get_or_insert(next)
        } else if let Ok(n) = part.parse::<usize>() {
            match node.index.iter().find(|(i, _)| *i == n) {
                Some((_, id)) => *id,
                None => {
                    node.index.push((n, next));
                    next
                }
            }
        } else if let Some((k, v)) = part
            .strip_prefix('[')
            .and_then(|p| p.strip_suffix(']'))
            .and_then(|p| p.split_once('='))
        {
            match node.having.iter().find(|(a, b, _)| &**a == k && &**b == v) {
                Some((_, _, id)) => *id,
                None => {
                    node.having.push((k.into(), v.into(), next));
                    next
                }
            }
        } else {
            let lower = part.to_ascii_lowercase();
            match node.few.iter().find(|(n, _)| **n == lower) {
                Some((_, id)) => *id,
                None => {
                    node.few.push((lower.into(), next));
                    next
                }
            }
        };
        if existing == next {
            let name = if part.starts_with(['*', '[']) {
                ""
            } else {
                part
            };
            self.nodes.push(Node {
                name: name.into(),
                ..Node::default()
            });
        }
        existing
    }

    fn finish(&mut self) {
        for node in &mut self.nodes {
            if node.few.len() > 6 {
                node.many = std::mem::take(&mut node.few).into_iter().collect();
            }
        }
    }
}

pub(crate) struct Lookup {
    pub(crate) slot: Slot,
    pub(crate) when: Vec<(Slot, Vec<Box<str>>)>,
    pub(crate) present: Set,
    pub(crate) absent: Set,
    exact: FxHashMap<Box<str>, Set>,
    /// Patterns with `*` at either end, the longest first.
    globs: Vec<(Box<str>, Set)>,
}

impl Lookup {
    pub(crate) fn find(&self, value: &str) -> Option<&Set> {
        let lower = value.to_lowercase();
        self.exact.get(lower.as_str()).or_else(|| {
            self.globs
                .iter()
                .find(|(g, _)| glob(g, &lower))
                .map(|(_, s)| s)
        })
    }
}

/// `*` at the start, at the end, or once within.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => true,
        (Some(rest), Some(_)) => text.contains(rest.strip_suffix('*').unwrap_or(rest)),
        (Some(rest), None) => text.ends_with(rest),
        (None, Some(rest)) => text.starts_with(rest),
        (None, None) => match pattern.split_once('*') {
            Some((a, b)) => {
                text.len() >= a.len() + b.len() && text.starts_with(a) && text.ends_with(b)
            }
            None => pattern == text,
        },
    }
}

pub(crate) struct Pattern {
    pub(crate) slot: Slot,
    pub(crate) when: Vec<(Slot, Vec<Box<str>>)>,
    pub(crate) has: memchr::memmem::Finder<'static>,
    pub(crate) expression: Regex,
    /// Field, group of the expression, steps.
    pub(crate) groups: Vec<(FieldId, usize, Box<[Step]>)>,
    pub(crate) set: Set,
}

/// A mapping, ready for use.
pub struct Mapping {
    /// `event.dataset`.
    pub name: Box<str>,
    /// What Sigma rules for this source say: (`product`, `category`, `service`).
    pub logsource: [Option<Box<str>>; 3],
    pub(crate) hints: Vec<Box<str>>,
    pub(crate) namespace: FieldId,
    pub(crate) identity: bool,
    pub(crate) unwrap: Option<Box<str>>,
    pub(crate) all: Vec<Box<str>>,
    pub(crate) any: Vec<Box<str>>,
    pub(crate) equals: Vec<(Box<str>, Vec<Box<str>>)>,
    pub(crate) tree: Tree,
    pub(crate) slots: usize,
    pub(crate) constants: Set,
    pub(crate) lookups: Vec<Lookup>,
    pub(crate) patterns: Vec<Pattern>,
}

impl std::fmt::Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapping")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

struct Builder {
    roots: Vec<String>,
    tree: Tree,
    slots: BTreeMap<Vec<String>, Slot>,
}

impl Builder {
    fn paths(&self, path: &str) -> Vec<String> {
        self.roots
            .iter()
            .map(|r| {
                if r.is_empty() {
                    path.to_owned()
                } else {
                    format!("{r}.{path}")
                }
            })
            .collect()
    }

    fn take(&mut self, path: &str, make: impl Fn() -> Take) {
        for p in self.paths(path) {
            let node = self.tree.add(&p);
            self.tree.nodes[node as usize].takes.push(make());
        }
    }

    fn slot(&mut self, from: &[String]) -> Slot {
        if let Some(s) = self.slots.get(from) {
            return *s;
        }
        let slot = Slot::try_from(self.slots.len()).unwrap_or(Slot::MAX);
        self.slots.insert(from.to_vec(), slot);
        for (rank, path) in from.iter().enumerate() {
            let rank = u16::try_from(rank).unwrap_or(u16::MAX);
            self.take(path, || Take::Slot { slot, rank });
        }
        slot
    }

    fn when(&mut self, when: &BTreeMap<String, Vec<String>>) -> Vec<(Slot, Vec<Box<str>>)> {
        when.iter()
            .map(|(path, values)| {
                let slot = self.slot(std::slice::from_ref(path));
                (
                    slot,
                    values.iter().map(|v| v.to_lowercase().into()).collect(),
                )
            })
            .collect()
    }
}

fn field(name: &str) -> Result<FieldId, String> {
    let id = schema()
        .id(name)
        .ok_or_else(|| format!("there is no field `{name}`"))?;
    if schema().get(id).parent {
        return Err(format!("`{name}` has members of its own"));
    }
    Ok(id)
}

fn tokens(name: &str, value: &toml::Value) -> Result<Set, String> {
    let id = field(name)?;
    let f = schema().get(id);
    let one = |v: &toml::Value| -> Result<Box<str>, String> {
        let text = match v {
            toml::Value::String(s) => s.clone(),
            toml::Value::Integer(n) => n.to_string(),
            toml::Value::Boolean(b) => b.to_string(),
            other => return Err(format!("`{name}` cannot be {other}")),
        };
        crate::convert::from_text(&text, f, 0)
            .map(|v| v.json().into())
            .ok_or_else(|| format!("`{text}` is no value of `{name}`"))
    };
    match value {
        toml::Value::Array(l) if f.list => l.iter().map(|v| Ok((id, one(v)?))).collect(),
        toml::Value::Array(_) => Err(format!("`{name}` is no list")),
        v => Ok(vec![(id, one(v)?)]),
    }
}

fn set(entries: &SetFile) -> Result<Set, String> {
    let mut out = Vec::new();
    for (name, value) in entries {
        out.extend(tokens(name, value)?);
    }
    Ok(out)
}

fn steps(text: &str) -> Result<(String, Box<[Step]>), String> {
    let mut parts = text.split('|').map(str::trim);
    let path = parts.next().unwrap_or_default().to_owned();
    Ok((path, parts.map(Step::parse).collect::<Result<_, _>>()?))
}

impl Mapping {
    /// Reads a mapping.
    ///
    /// # Errors
    /// When the text is no TOML of the form above, or names a field, a value or a step that there is not.
    pub fn parse(place: &str, text: &str) -> Result<Self, MappingError> {
        let error = |mapping: &str, detail: String| MappingError {
            mapping: mapping.to_owned(),
            detail,
        };
        let file: File = toml::from_str(text).map_err(|e| error(place, e.to_string()))?;
        let name = file.name.clone();
        build(file).map_err(|detail| error(&name, detail))
    }

    pub(crate) fn hinted(&self, hint: &str) -> bool {
        self.name.eq_ignore_ascii_case(hint)
            || self.hints.iter().any(|h| h.eq_ignore_ascii_case(hint))
    }
}

fn build(file: File) -> Result<Mapping, String> {
    let mut b = Builder {
        roots: if file.roots.is_empty() {
            vec![String::new()]
        } else {
            file.roots.clone()
        },
        tree: Tree {
            nodes: vec![Node::default()],
        },
        slots: BTreeMap::new(),
    };
    if file.identity {
        for (i, f) in schema().fields.iter().enumerate() {
            if f.parent && f.kind == Kind::Object {
                continue;
            }
            let id = FieldId::try_from(i).unwrap_or(FieldId::MAX);
            b.take(&f.name, || Take::Field {
                field: id,
                rank: 0,
                steps: Box::default(),
                consumes: true,
            });
        }
    }
    for (name, paths) in &file.fields {
        let id = field(name)?;
        let list = schema().get(id).list;
        for (rank, text) in paths.list().iter().enumerate() {
            let (path, steps) = steps(text)?;
            let keep = steps.contains(&Step::Keep);
            let lossless = steps.iter().all(|s| *s == Step::Keep);
            let consumes = lossless && !keep && (rank == 0 || list) && !file.identity;
            let rank = u16::try_from(rank + usize::from(file.identity)).unwrap_or(u16::MAX);
            b.take(&path, || Take::Field {
                field: id,
                rank,
                steps: steps.clone(),
                consumes,
            });
        }
    }
    let mut lookups = Vec::new();
    for l in &file.lookup {
        let slot = b.slot(l.from.list());
        let when = b.when(&l.when);
        let (mut exact, mut globs) = (FxHashMap::default(), Vec::new());
        for (keys, entries) in &l.values {
            let entries: SetFile = entries
                .clone()
                .try_into()
                .map_err(|e| format!("lookup {keys}: {e}"))?;
            let set = set(&entries)?;
            for key in keys.split('|') {
                let key: Box<str> = key.trim().to_lowercase().into();
                if key.contains('*') {
                    globs.push((key, set.clone()));
                } else if exact.insert(key.clone(), set.clone()).is_some() {
                    return Err(format!("the value `{key}` stands twice in a lookup"));
                }
            }
        }
        globs.sort_by_key(|(g, _): &(Box<str>, Set)| std::cmp::Reverse(g.len()));
        lookups.push(Lookup {
            slot,
            when,
            present: set(&l.present)?,
            absent: set(&l.absent)?,
            exact,
            globs,
        });
    }
    let mut patterns = Vec::new();
    for p in &file.pattern {
        let slot = b.slot(p.from.list());
        let when = b.when(&p.when);
        let expression = regex::RegexBuilder::new(&p.expression)
            .size_limit(4 << 20)
            .build()
            .map_err(|e| e.to_string())?;
        let (mut groups, mut fixed) = (Vec::new(), Vec::new());
        for (name, value) in &p.set {
            match value.as_str().and_then(|v| v.strip_prefix('$')) {
                Some(group) => {
                    let (group, steps) = steps(group)?;
                    let at = expression
                        .capture_names()
                        .position(|n| n == Some(&group))
                        .ok_or_else(|| {
                            format!("there is no group `{group}` in {}", p.expression)
                        })?;
                    groups.push((field(name)?, at, steps));
                }
                None => fixed.extend(tokens(name, value)?),
            }
        }
        patterns.push(Pattern {
            slot,
            when,
            has: memchr::memmem::Finder::new(p.has.as_bytes()).into_owned(),
            expression,
            groups,
            set: fixed,
        });
    }
    let mut constants = set(&file.constants)?;
    constants.extend(tokens("event.module", &file.module.into())?);
    constants.extend(tokens("event.dataset", &file.name.clone().into())?);
    b.tree.finish();
    let boxed = |l: Vec<String>| l.into_iter().map(Into::into).collect();
    let source = |k: &str| file.logsource.get(k).map(|v| v.as_str().into());
    Ok(Mapping {
        logsource: [source("product"), source("category"), source("service")],
        namespace: field(&file.namespace)?,
        name: file.name.into(),
        hints: boxed(file.hints),
        identity: file.identity,
        unwrap: file.unwrap.map(Into::into),
        all: boxed(file.detect.all),
        any: boxed(file.detect.any),
        equals: file
            .detect
            .equals
            .into_iter()
            .map(|(k, v)| {
                (
                    k.into(),
                    v.iter().map(|v| v.to_lowercase().into()).collect(),
                )
            })
            .collect(),
        slots: b.slots.len(),
        tree: b.tree,
        constants,
        lookups,
        patterns,
    })
}
