//! A flat view of an event: for every field that some rule asks for, where its values are in the
//! text. Nothing is copied until a value has to be compared, and then once.

use rustc_hash::FxHashMap;

use crate::fold::fold_into;
use crate::scan::{EventError, MAX_DEPTH, Scan, Scanner, unescape};
use crate::value::Leaf;

/// Index of a field name in a [`FieldTable`].
pub type FieldId = u32;

pub(crate) const NO_FIELD: u32 = u32::MAX;
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Slot {
    field: u32,
    prefix: bool,
}

/// The field names that rules ask for.
#[derive(Debug, Default, Clone)]
pub struct FieldTable {
    slots: FxHashMap<Box<str>, Slot>,
    names: Vec<Box<str>>,
}

impl FieldTable {
    /// The id of a name; the same for the same name.
    pub fn intern(&mut self, name: &str) -> FieldId {
        if let Some(s) = self.slots.get(name)
            && s.field != NO_FIELD
        {
            return s.field;
        }
        let id = u32::try_from(self.names.len()).unwrap_or(NO_FIELD - 1);
        self.names.push(name.into());
        self.slots
            .entry(name.into())
            .or_insert(Slot {
                field: NO_FIELD,
                prefix: false,
            })
            .field = id;
        for (i, _) in name.match_indices('.') {
            self.slots
                .entry(name[..i].into())
                .or_insert(Slot {
                    field: NO_FIELD,
                    prefix: false,
                })
                .prefix = true;
        }
        id
    }

    /// The id of a name that was interned.
    pub fn get(&self, name: &str) -> Option<FieldId> {
        self.slots
            .get(name)
            .map(|s| s.field)
            .filter(|f| *f != NO_FIELD)
    }

    /// All names, by id.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    False,
    True,
    Number,
    Text,
    Escaped,
    /// An object or an empty list: present, without a value.
    Container,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    kind: Kind,
    start: u32,
    end: u32,
    next: u32,
    /// Unescaped text in the arena.
    text: (u32, u32),
    /// Folded text in the arena.
    folded: (u32, u32),
}

const UNSET: (u32, u32) = (NONE, 0);

/// The view of one event; reused from event to event so that nothing is allocated.
#[derive(Debug, Default)]
pub struct Flat {
    entries: Vec<Entry>,
    /// First and last entry of each field.
    heads: Vec<(u32, u32)>,
    touched: Vec<u32>,
    arena: String,
    path: String,
    key: String,
    all_leaves: bool,
    unwrap_windows: bool,
    /// The whole event folded, when [`Flat::folded_raw`] was asked for.
    raw: String,
    unicode: bool,
}

/// Where in a Windows event record the scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Plain,
    Root,
    Event,
    System,
    Data,
    UserData,
    Element,
}

impl Flat {
    /// Reads an event, which must be one JSON object.
    ///
    /// With `unwrap_windows`, the record of an EVTX file (`Event.System`, `Event.EventData`,
    /// `#attributes`) is read as the flat names that rules use (rules specification, "Field
    /// Usage"). With `all_leaves` values of other fields are kept too, for keywords.
    ///
    /// # Errors
    /// When it is no JSON object, nested deeper than [`MAX_DEPTH`] or larger than 1 GiB.
    pub fn read(
        &mut self,
        text: &str,
        table: &FieldTable,
        all_leaves: bool,
        unwrap_windows: bool,
    ) -> Result<(), EventError> {
        for f in self.touched.drain(..) {
            self.heads[f as usize] = (NONE, NONE);
        }
        self.heads.resize(table.names.len(), (NONE, NONE));
        self.entries.clear();
        self.arena.clear();
        self.path.clear();
        self.all_leaves = all_leaves;
        self.unwrap_windows = unwrap_windows;
        if text.len() > 1 << 30 {
            return Err(EventError {
                offset: 0,
                reason: "an event is larger than 1 GiB",
            });
        }
        let mut s = Scanner::new(text);
        s.space();
        if s.peek() != Some(b'{') {
            return s.fail("an event must be a JSON object");
        }
        self.object(
            &mut s,
            table,
            if unwrap_windows {
                Place::Root
            } else {
                Place::Plain
            },
            0,
            true,
        )?;
        self.unicode = s.unicode;
        s.space();
        if s.at != text.len() {
            s.fail("something follows the event")
        } else {
            Ok(())
        }
    }

    /// `wanted`: whether a field can lie below.
    fn object(
        &mut self,
        s: &mut Scanner<'_>,
        table: &FieldTable,
        place: Place,
        depth: usize,
        wanted: bool,
    ) -> Scan<()> {
        if depth >= MAX_DEPTH {
            return s.fail("nested too deeply");
        }
        s.at += 1;
        s.space();
        if s.peek() == Some(b'}') {
            s.at += 1;
            return Ok(());
        }
        let base = self.path.len();
        loop {
            s.space();
            let key = s.string()?;
            s.space();
            s.expect(b':', "expected a colon")?;
            s.space();
            if wanted {
                let raw = &s.text[key.start..key.end];
                let (next, slot) = self.enter(s, table, place, base, raw, key.escaped);
                match slot {
                    Some(slot) => self.value(s, table, slot, next, depth)?,
                    None => self.container(s, table, next, depth)?,
                }
                self.path.truncate(base);
            } else {
                self.value(
                    s,
                    table,
                    Slot {
                        field: NO_FIELD,
                        prefix: false,
                    },
                    Place::Plain,
                    depth,
                )?;
            }
            s.space();
            match s.peek() {
                Some(b',') => s.at += 1,
                Some(b'}') => {
                    s.at += 1;
                    return Ok(());
                }
                _ => return s.fail("expected a comma or the end of an object"),
            }
        }
    }

    /// Puts a key on the path. Gives the place below and the slot; no slot for the wrappers of a
    /// Windows record, which are no fields themselves.
    fn enter(
        &mut self,
        s: &Scanner<'_>,
        table: &FieldTable,
        place: Place,
        base: usize,
        raw: &str,
        escaped: bool,
    ) -> (Place, Option<Slot>) {
        let missing = Slot {
            field: NO_FIELD,
            prefix: false,
        };
        if escaped {
            self.key.clear();
            unescape(raw, &mut self.key);
        }
        let key: &str = if escaped { &self.key } else { raw };
        let object = s.peek() == Some(b'{');
        // Names of event data lose their spaces (rules specification, "Field Usage" 2).
        let spaced;
        let key = if place == Place::Data && key.contains(' ') {
            spaced = key.replace(' ', "");
            spaced.as_str()
        } else {
            key
        };
        let mut below = Place::Plain;
        match place {
            Place::Plain => {}
            Place::Root if key == "Event" && object => return (Place::Event, None),
            Place::Event if object => match key {
                "System" => return (Place::System, None),
                "EventData" => return (Place::Data, None),
                "UserData" => return (Place::UserData, None),
                _ => {}
            },
            Place::UserData if object && key != "#attributes" => return (Place::Data, None),
            Place::System | Place::Data if object => below = Place::Element,
            Place::Element if key == "#attributes" && object => return (Place::Element, None),
            Place::Element if key == "#text" => {
                let slot = table.slots.get(&self.path[..base]).copied();
                return (Place::Plain, Some(slot.unwrap_or(missing)));
            }
            Place::Root | Place::Event | Place::UserData | Place::System | Place::Data => {}
            Place::Element => {
                self.path.push('_');
                self.path.push_str(key);
                let slot = table.slots.get(self.path.as_str()).copied();
                return (Place::Plain, Some(slot.unwrap_or(missing)));
            }
        }
        if base == 0 && !object && below == Place::Plain {
            // The usual case: a flat event needs no path. Lists of objects do, below.
            let slot = table.slots.get(key).copied().unwrap_or(missing);
            if slot.prefix {
                self.path.push_str(key);
            }
            return (below, Some(slot));
        }
        if base > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        let slot = table.slots.get(self.path.as_str()).copied();
        (below, Some(slot.unwrap_or(missing)))
    }

    /// The inside of a wrapper, on the same path.
    fn container(
        &mut self,
        s: &mut Scanner<'_>,
        table: &FieldTable,
        place: Place,
        depth: usize,
    ) -> Scan<()> {
        self.object(s, table, place, depth + 1, true)
    }

    fn value(
        &mut self,
        s: &mut Scanner<'_>,
        table: &FieldTable,
        slot: Slot,
        below: Place,
        depth: usize,
    ) -> Scan<()> {
        let start = s.at;
        let (kind, start, end) = match s.peek() {
            Some(b'"') => {
                let raw = s.string()?;
                (
                    if raw.escaped {
                        Kind::Escaped
                    } else {
                        Kind::Text
                    },
                    raw.start,
                    raw.end,
                )
            }
            Some(b'{') => {
                // The value of an element with attributes is its text, not the object.
                if below == Place::Plain {
                    self.add(slot.field, Kind::Container, start, start);
                }
                return self.object(
                    s,
                    table,
                    below,
                    depth + 1,
                    slot.prefix || below == Place::Element,
                );
            }
            Some(b'[') => return self.list(s, table, slot, below, depth + 1),
            Some(b't') => {
                s.word(b"true")?;
                (Kind::True, start, s.at)
            }
            Some(b'f') => {
                s.word(b"false")?;
                (Kind::False, start, s.at)
            }
            Some(b'n') => {
                s.word(b"null")?;
                (Kind::Null, start, s.at)
            }
            _ => {
                let start = s.number()?;
                (Kind::Number, start, s.at)
            }
        };
        self.add(slot.field, kind, start, end);
        Ok(())
    }

    fn list(
        &mut self,
        s: &mut Scanner<'_>,
        table: &FieldTable,
        slot: Slot,
        below: Place,
        depth: usize,
    ) -> Scan<()> {
        if depth >= MAX_DEPTH {
            return s.fail("nested too deeply");
        }
        self.add(slot.field, Kind::Container, s.at, s.at);
        s.at += 1;
        s.space();
        if s.peek() == Some(b']') {
            s.at += 1;
            return Ok(());
        }
        loop {
            s.space();
            self.value(s, table, slot, below, depth)?;
            s.space();
            match s.peek() {
                Some(b',') => s.at += 1,
                Some(b']') => {
                    s.at += 1;
                    return Ok(());
                }
                _ => return s.fail("expected a comma or the end of a list"),
            }
        }
    }

    #[allow(clippy::cast_possible_truncation)] // events are smaller than 1 GiB
    #[inline]
    fn add(&mut self, field: u32, kind: Kind, start: usize, end: usize) {
        if field == NO_FIELD && (!self.all_leaves || matches!(kind, Kind::Container | Kind::Null)) {
            return;
        }
        let index = self.entries.len() as u32;
        self.entries.push(Entry {
            kind,
            start: start as u32,
            end: end as u32,
            next: NONE,
            text: UNSET,
            folded: UNSET,
        });
        if field != NO_FIELD {
            let head = &mut self.heads[field as usize];
            if head.0 == NONE {
                *head = (index, index);
                self.touched.push(field);
            } else {
                self.entries[head.1 as usize].next = index;
                head.1 = index;
            }
        }
    }

    /// The fields that the event has.
    pub(crate) fn touched(&self) -> &[u32] {
        &self.touched
    }

    /// Number of entries; each has an index below it.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(NONE)
    }

    /// The text of the whole event, folded, escapes as they are; `None` when a `\\u` escape can
    /// hide any character.
    pub(crate) fn folded_raw(&mut self, json: &str) -> Option<&str> {
        if self.unicode {
            return None;
        }
        self.raw.clear();
        fold_into(json, &mut self.raw);
        Some(&self.raw)
    }

    /// Whether the event has a field.
    pub fn present(&self, field: FieldId) -> bool {
        self.heads[field as usize].0 != NONE
    }

    /// First entry of a field.
    pub(crate) fn first(&self, field: u32) -> Option<u32> {
        Some(self.heads[field as usize].0).filter(|e| *e != NONE)
    }

    /// The entry of the same field behind another.
    pub(crate) fn next(&self, entry: u32) -> Option<u32> {
        Some(self.entries[entry as usize].next).filter(|e| *e != NONE)
    }

    /// Makes the text of an entry available to [`Self::leaf`].
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn prepare(&mut self, json: &str, entry: u32) {
        let e = self.entries[entry as usize];
        if e.kind == Kind::Escaped && e.text == UNSET {
            let start = self.arena.len();
            unescape(&json[e.start as usize..e.end as usize], &mut self.arena);
            self.entries[entry as usize].text = (start as u32, self.arena.len() as u32);
        }
    }

    /// The value of an entry; `None` for objects and empty lists.
    pub(crate) fn leaf<'a>(&'a self, json: &'a str, entry: u32) -> Option<Leaf<'a>> {
        let e = &self.entries[entry as usize];
        let raw = || &json[e.start as usize..e.end as usize];
        Some(match e.kind {
            Kind::Container => return None,
            Kind::Null => Leaf::Null,
            Kind::False => Leaf::Bool(false),
            Kind::True => Leaf::Bool(true),
            Kind::Number => Leaf::Number(raw()),
            Kind::Text => Leaf::Text(raw()),
            Kind::Escaped => Leaf::Text(&self.arena[e.text.0 as usize..e.text.1 as usize]),
        })
    }

    /// Makes the folded text of an entry; false when it has no text.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn fold(&mut self, json: &str, entry: u32) -> bool {
        let e = self.entries[entry as usize];
        if e.folded != UNSET {
            return true;
        }
        let raw = &json[e.start as usize..e.end as usize];
        let start = self.arena.len();
        match e.kind {
            Kind::Container | Kind::Null => return false,
            Kind::False | Kind::True | Kind::Number | Kind::Text => fold_into(raw, &mut self.arena),
            Kind::Escaped => {
                unescape(raw, &mut self.arena);
                if self.arena[start..].is_ascii() {
                    self.arena[start..].make_ascii_lowercase();
                } else {
                    let text = self.arena.split_off(start);
                    fold_into(&text, &mut self.arena);
                }
            }
        }
        self.entries[entry as usize].folded = (start as u32, self.arena.len() as u32);
        true
    }

    /// The folded text that [`Self::fold`] made.
    pub(crate) fn folded(&self, entry: u32) -> &str {
        let f = self.entries[entry as usize].folded;
        &self.arena[f.0 as usize..f.1 as usize]
    }

    /// Whether an entry is null.
    pub(crate) fn is_null(&self, entry: u32) -> bool {
        self.entries[entry as usize].kind == Kind::Null
    }

    /// Whether an entry is a number.
    pub(crate) fn is_number(&self, entry: u32) -> bool {
        self.entries[entry as usize].kind == Kind::Number
    }

    /// The texts of a field, in the order of the event; null has none.
    pub fn texts(&mut self, json: &str, field: FieldId) -> Vec<String> {
        let mut out = Vec::new();
        self.each_text(json, field, |text| out.push(text.to_owned()));
        out
    }

    /// Calls `each` with every text of a field.
    pub fn each_text(&mut self, json: &str, field: FieldId, mut each: impl FnMut(&str)) {
        let mut at = self.first(field);
        while let Some(e) = at {
            self.prepare(json, e);
            if let Some(t) = self.leaf(json, e).and_then(Leaf::text) {
                each(t);
            }
            at = self.next(e);
        }
    }

    /// The first text of a field.
    pub fn text<'a>(&'a mut self, json: &'a str, field: FieldId) -> Option<&'a str> {
        let mut at = self.first(field);
        while let Some(e) = at {
            self.prepare(json, e);
            if self.leaf(json, e).and_then(Leaf::text).is_some() {
                return self.leaf(json, e).and_then(Leaf::text);
            }
            at = self.next(e);
        }
        None
    }
}
