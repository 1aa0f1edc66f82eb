//! YAML into a small tree with positions and limits.
//!
//! Events come from `saphyr-parser` (YAML 1.2, core schema). The tree is built without recursion;
//! size, depth, number of nodes and what aliases expand to are bounded before memory is spent, so
//! an alias bomb or a deeply nested file costs as much as the limits allow and no more. A key that
//! occurs twice in one map is an error, since one of the two values would be dropped in silence.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::error::{Error, Position, Result};

/// Bounds on what one file may make the loader do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text in one file.
    pub bytes: usize,
    /// Nesting of lists and maps.
    pub depth: usize,
    /// Scalars, lists and maps in one file, those that aliases stand for included.
    pub nodes: usize,
    /// Documents in one file.
    pub documents: usize,
}

impl Default for Limits {
    /// 32 MiB, depth 32, two million nodes, 50,000 documents.
    fn default() -> Self {
        Self {
            bytes: 32 << 20,
            depth: 32,
            nodes: 2_000_000,
            documents: 50_000,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    /// A plain scalar that the core schema reads as a number: its text and value.
    Number(String, Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) at: Position,
}

/// A number of a rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// An integer.
    Int(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
}

impl Number {
    /// The value as a float, for comparison.
    pub fn as_f64(self) -> f64 {
        match self {
            #[allow(clippy::cast_precision_loss)]
            Self::Int(i) => i as f64,
            Self::Float(f) => f,
        }
    }

    /// Reads the decimal text of a number, as it may stand in an event. `None` for anything else,
    /// not-a-number and infinities included.
    pub fn parse(text: &str) -> Option<Self> {
        let t = text.trim();
        let first = *t.as_bytes().first()?;
        if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
            return None;
        }
        if let Ok(i) = t.parse::<i64>() {
            return Some(Self::Int(i));
        }
        t.parse::<f64>()
            .ok()
            .filter(|f| f.is_finite())
            .map(Self::Float)
    }

    /// Compares by value; integers exactly, otherwise as floats.
    pub fn compare(self, other: Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            _ => self.as_f64().partial_cmp(&other.as_f64()),
        }
    }
}

impl Node {
    /// What the node is, for messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number(..) => "a number",
            Kind::Text(_) => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    pub(crate) fn as_map(&self, what: &str) -> Result<&[(Key, Node)]> {
        match &self.kind {
            Kind::Map(m) => Ok(m),
            _ => Err(Error::new(
                self.at,
                format!("{what} must be a map, this is {}", self.type_name()),
            )),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(m) => m.iter().find(|(k, _)| k.text == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text of a scalar; numbers and booleans as they are written.
    pub(crate) fn scalar_text(&self) -> Option<String> {
        match &self.kind {
            Kind::Text(t) | Kind::Number(t, _) => Some(t.clone()),
            Kind::Bool(b) => Some(b.to_string()),
            _ => None,
        }
    }

    fn size(&self) -> usize {
        // Bounded by `Limits::depth`, so recursion is safe here.
        1 + match &self.kind {
            Kind::List(l) => l.iter().map(Self::size).sum(),
            Kind::Map(m) => m.iter().map(|(_, v)| 1 + v.size()).sum(),
            _ => 0,
        }
    }

    fn depth(&self) -> usize {
        1 + match &self.kind {
            Kind::List(l) => l.iter().map(Self::depth).max().unwrap_or(0),
            Kind::Map(m) => m.iter().map(|(_, v)| v.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }
}

fn position(span: &Span) -> Position {
    Position {
        line: u32::try_from(span.start.line()).unwrap_or(u32::MAX),
        column: u32::try_from(span.start.col() + 1).unwrap_or(u32::MAX),
    }
}

enum Frame {
    List(Position, usize, Vec<Node>),
    Map(Position, usize, Vec<(Key, Node)>, Option<Key>),
}

/// Reads all documents of a text. An empty document is left out.
pub(crate) fn read(text: &str, limits: &Limits) -> Result<Vec<Node>> {
    if text.len() > limits.bytes {
        return Err(Error::new(
            Position { line: 1, column: 1 },
            format!(
                "the file has {} bytes, the limit is {}",
                text.len(),
                limits.bytes
            ),
        ));
    }
    let mut builder = Builder {
        limits,
        stack: Vec::new(),
        anchors: HashMap::new(),
        documents: Vec::new(),
        nodes: 0,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| {
            let m = e.marker();
            let at = Position {
                line: u32::try_from(m.line()).unwrap_or(u32::MAX),
                column: u32::try_from(m.col() + 1).unwrap_or(u32::MAX),
            };
            Error::new(at, format!("not valid YAML: {}", e.info()))
        })?;
        builder.event(event, position(&span))?;
    }
    Ok(builder.documents)
}

struct Builder<'a> {
    limits: &'a Limits,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, usize, usize)>,
    documents: Vec<Node>,
    nodes: usize,
}

impl Builder<'_> {
    fn count(&mut self, n: usize, at: Position) -> Result<()> {
        self.nodes = self.nodes.saturating_add(n);
        if self.nodes > self.limits.nodes {
            return Err(Error::new(
                at,
                format!("more than {} values, aliases included", self.limits.nodes),
            ));
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, at: Position) -> Result<()> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => self.anchors.clear(),
            Event::Alias(id) => {
                let Some((size, depth)) = self.anchors.get(&id).map(|(_, s, d)| (*s, *d)) else {
                    return Err(Error::new(at, "this alias refers to itself or to nothing"));
                };
                self.count(size, at)?;
                if self.stack.len() + depth > self.limits.depth {
                    return Err(Error::new(
                        at,
                        format!("nested deeper than {}", self.limits.depth),
                    ));
                }
                let Some((node, _, _)) = self.anchors.get(&id).cloned() else {
                    return Ok(());
                };
                self.push(
                    Node {
                        at,
                        kind: node.kind,
                    },
                    0,
                )?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, at)?;
                let tagged_text = tag.is_some_and(|t| t.is_yaml_core_schema() && t.suffix == "str");
                let kind = if style == ScalarStyle::Plain && !tagged_text {
                    resolve(&text)
                } else {
                    Kind::Text(text.into_owned())
                };
                self.push(Node { at, kind }, anchor)?;
            }
            Event::SequenceStart(anchor, _) => {
                self.open(at)?;
                self.stack.push(Frame::List(at, anchor, Vec::new()));
            }
            Event::MappingStart(anchor, _) => {
                self.open(at)?;
                self.stack.push(Frame::Map(at, anchor, Vec::new(), None));
            }
            Event::SequenceEnd => {
                if let Some(Frame::List(at, anchor, items)) = self.stack.pop() {
                    self.push(
                        Node {
                            at,
                            kind: Kind::List(items),
                        },
                        anchor,
                    )?;
                }
            }
            Event::MappingEnd => {
                if let Some(Frame::Map(at, anchor, items, _)) = self.stack.pop() {
                    self.push(
                        Node {
                            at,
                            kind: Kind::Map(items),
                        },
                        anchor,
                    )?;
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, at: Position) -> Result<()> {
        self.count(1, at)?;
        if self.stack.len() >= self.limits.depth {
            return Err(Error::new(
                at,
                format!("nested deeper than {}", self.limits.depth),
            ));
        }
        Ok(())
    }

    fn push(&mut self, node: Node, anchor: usize) -> Result<()> {
        if anchor != 0 {
            let (size, depth) = (node.size(), node.depth());
            // The copy that is kept for aliases counts too.
            self.count(size, node.at)?;
            self.anchors.insert(anchor, (node.clone(), size, depth));
        }
        match self.stack.last_mut() {
            None => {
                if !matches!(node.kind, Kind::Null) {
                    if self.documents.len() >= self.limits.documents {
                        return Err(Error::new(
                            node.at,
                            format!("more than {} documents in one file", self.limits.documents),
                        ));
                    }
                    self.documents.push(node);
                }
            }
            Some(Frame::List(_, _, items)) => items.push(node),
            Some(Frame::Map(_, _, items, slot)) => match slot.take() {
                None => {
                    let Some(text) = node.scalar_text() else {
                        return Err(Error::new(
                            node.at,
                            format!("a key must be text, this is {}", node.type_name()),
                        ));
                    };
                    if items.iter().any(|(k, _)| k.text == text) {
                        return Err(Error::new(
                            node.at,
                            format!("the key `{text}` occurs twice in this map"),
                        )
                        .hint("merge the two, or write the values as one list"));
                    }
                    *slot = Some(Key { text, at: node.at });
                }
                Some(key) => {
                    items.push((key, node));
                }
            },
        }
        Ok(())
    }
}

/// The core schema of YAML 1.2 (section 10.3.2): `yes`, `on` and the like are text. Unlike it, a
/// number with leading zeros is text, too.
fn resolve(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        _ => {}
    }
    let owned = || text.to_owned();
    if let Some(hex) = text.strip_prefix("0x")
        && let Ok(v) = i64::from_str_radix(hex, 16)
        && !hex.starts_with(['+', '-'])
    {
        return Kind::Number(v.to_string(), Number::Int(v));
    }
    if let Some(oct) = text.strip_prefix("0o")
        && let Ok(v) = i64::from_str_radix(oct, 8)
        && !oct.starts_with(['+', '-'])
    {
        return Kind::Number(v.to_string(), Number::Int(v));
    }
    let bytes = text.as_bytes();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned.is_empty() || !bytes.iter().any(u8::is_ascii_digit) {
        return Kind::Text(owned());
    }
    // `00000429` is an identifier whose zeros count: what rules mean is the text.
    if unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.as_bytes()[1].is_ascii_digit() {
        return Kind::Text(owned());
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        if let Ok(v) = text.parse::<i64>() {
            return Kind::Number(v.to_string(), Number::Int(v));
        }
        // Wider than 64 bits: kept as text, which compares exactly.
        return Kind::Text(owned());
    }
    let float_shape = unsigned
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'))
        && (unsigned.as_bytes()[0].is_ascii_digit() || unsigned.as_bytes()[0] == b'.');
    if float_shape
        && let Ok(v) = text.parse::<f64>()
        && v.is_finite()
    {
        return Kind::Number(owned(), Number::Float(v));
    }
    Kind::Text(owned())
}
