//! One pass over an event along the tree of its mapping.

use crate::convert::{Val, convert};
use crate::json::{self, Cursor};
use crate::mapping::{Mapping, Take};
use crate::schema::{FieldId, schema};

/// A value for a field.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) field: FieldId,
    /// Of several for a field that is no list, the least counts.
    pub(crate) rank: u16,
    pub(crate) value: Val<'a>,
}

pub(crate) struct Walk<'a, 'm> {
    mapping: &'m Mapping,
    reference: i64,
    pub(crate) found: Vec<Found<'a>>,
    /// Values that lookups and patterns ask for.
    pub(crate) slots: Vec<Option<(u16, &'a str)>>,
    /// The event without what went into fields.
    pub(crate) rest: String,
    /// Above zero nothing is written into `rest`.
    mute: u32,
}

impl<'a, 'm> Walk<'a, 'm> {
    pub(crate) fn run(mapping: &'m Mapping, event: &'a str, reference: i64) -> Self {
        let mut walk = Self {
            mapping,
            reference,
            found: Vec::with_capacity(32),
            slots: vec![None; mapping.slots],
            rest: String::with_capacity(event.len()),
            mute: 0,
        };
        let mut cursor = Cursor::new(event);
        walk.object(&mut cursor, 0);
        walk
    }

    fn write(&mut self, text: &str) {
        if self.mute == 0 {
            self.rest.push_str(text);
        }
    }

    /// Gives whether something was written.
    fn object(&mut self, c: &mut Cursor<'a>, node: u32) -> bool {
        self.write("{");
        let mut first = true;
        if c.enter() {
            loop {
                let key = c.key();
                let name = json::unquoted(key);
                let mark = self.rest.len();
                if !first {
                    self.write(",");
                }
                let mapping = self.mapping;
                let child = mapping.tree.member(node, name);
                // Some pipelines write names in lower case: what stays has the source's spelling.
                match child.map(|c| &*mapping.tree.node(c).name) {
                    Some(known) if known != name && known.eq_ignore_ascii_case(name) => {
                        self.write("\"");
                        self.write(known);
                        self.write("\"");
                    }
                    _ => self.write(key),
                }
                self.write(":");
                let kept = match child {
                    Some(child) => self.value(c, child),
                    None => {
                        let value = c.value();
                        self.write(value);
                        true
                    }
                };
                if self.mute == 0 {
                    if kept {
                        first = false;
                    } else {
                        self.rest.truncate(mark);
                    }
                }
                if !c.more() {
                    break;
                }
            }
        }
        self.write("}");
        !first
    }

    /// A value for which there is a node; gives whether something stays in the rest.
    fn value(&mut self, c: &mut Cursor<'a>, id: u32) -> bool {
        let mapping = self.mapping;
        let node = mapping.tree.node(id);
        match c.peek() {
            b'{' => {
                let mut consumed = false;
                if !node.takes.is_empty() {
                    let raw = c.clone().value();
                    consumed = self.offer(id, raw);
                }
                if consumed || !node.has_members() {
                    let raw = c.value();
                    if !consumed {
                        self.write(raw);
                    }
                    return !consumed;
                }
                self.object(c, id)
            }
            b'[' => {
                let raw = c.value();
                let consumed = self.list(raw, id);
                if !consumed {
                    self.write(raw);
                }
                !consumed
            }
            _ => {
                let raw = c.value();
                // Null says nothing, and is kept where it stood.
                let consumed = raw != "null" && self.offer(id, raw);
                if !consumed {
                    self.write(raw);
                }
                !consumed
            }
        }
    }

    /// A list: offered as a whole to fields that hold objects, and element by element. Gives whether
    /// fields took all of it.
    fn list(&mut self, raw: &'a str, id: u32) -> bool {
        let mapping = self.mapping;
        let node = mapping.tree.node(id);
        let elements = json::elements(raw);
        let mut all = !elements.is_empty();
        self.mute += 1;
        for (i, element) in elements.into_iter().enumerate() {
            let scalar = !element.starts_with(['{', '[']);
            if !node.takes.is_empty() && element != "null" {
                let first_only = i > 0;
                let taken = self.offer_element(id, element, first_only);
                all &= taken;
            } else {
                all = false;
            }
            if !node.has_elements() {
                continue;
            }
            let mut targets: Vec<u32> = Vec::new();
            targets.extend(node.every);
            targets.extend(node.index.iter().filter(|(n, _)| *n == i).map(|(_, t)| *t));
            if !scalar {
                for (key, wanted, target) in &node.having {
                    let is = json::member(element, key).and_then(json::scalar);
                    if is.is_some_and(|v| v.eq_ignore_ascii_case(wanted)) {
                        targets.push(*target);
                    }
                }
            }
            for t in targets {
                let mut c = Cursor::new(element);
                self.value(&mut c, t);
            }
            all = false;
        }
        self.mute -= 1;
        all
    }

    fn offer_element(&mut self, id: u32, raw: &'a str, lists_only: bool) -> bool {
        let mapping = self.mapping;
        let mut consumed = false;
        for take in &mapping.tree.node(id).takes {
            match take {
                Take::Field { field, .. } if lists_only && !schema().get(*field).list => {}
                take => consumed |= self.take(take, raw) && !lists_only_scalar(take),
            }
        }
        consumed
    }

    fn offer(&mut self, id: u32, raw: &'a str) -> bool {
        let mapping = self.mapping;
        let mut consumed = false;
        for take in &mapping.tree.node(id).takes {
            consumed |= self.take(take, raw);
        }
        consumed
    }

    fn take(&mut self, take: &Take, raw: &'a str) -> bool {
        match take {
            Take::Slot { slot, rank } => {
                let slot = &mut self.slots[usize::from(*slot)];
                if slot.is_none_or(|(r, _)| *rank < r) {
                    *slot = Some((*rank, raw));
                }
                false
            }
            Take::Field {
                field,
                rank,
                steps,
                consumes,
            } => {
                let found = &mut self.found;
                // A second value of the same standing stays where it was.
                if !schema().get(*field).list
                    && found.iter().any(|f| f.field == *field && f.rank == *rank)
                {
                    return false;
                }
                let took = convert(
                    raw,
                    schema().get(*field),
                    steps,
                    self.reference,
                    &mut |value| {
                        found.push(Found {
                            field: *field,
                            rank: *rank,
                            value,
                        });
                    },
                );
                took && *consumes
            }
        }
    }
}

/// The first element of a list in a field that holds one value: the list stays.
fn lists_only_scalar(take: &Take) -> bool {
    matches!(take, Take::Field { field, .. } if !schema().get(*field).list)
}
