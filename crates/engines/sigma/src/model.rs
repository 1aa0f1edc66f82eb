//! What a Sigma document says, after its modifiers have been applied.

use std::collections::BTreeMap;

use crate::error::Position;
use crate::modifier::Modifier;
use crate::pattern::Pattern;
use crate::yaml::Number;

/// The descriptive part that all documents share. Dates are kept as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// `title`, mandatory.
    pub title: String,
    /// `id`, by convention a UUID.
    pub id: Option<String>,
    /// `name`, the readable reference used by correlations.
    pub name: Option<String>,
    /// `related`: (id, type).
    pub related: Vec<(String, String)>,
    /// `taxonomy`; absent means `sigma`.
    pub taxonomy: Option<String>,
    /// `status`.
    pub status: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `license`, an SPDX expression.
    pub license: Option<String>,
    /// `author`. The Detection Rule License asks to keep it in every alert.
    pub author: Option<String>,
    /// `references`.
    pub references: Vec<String>,
    /// `date`.
    pub date: Option<String>,
    /// `modified`.
    pub modified: Option<String>,
    /// `fields`.
    pub fields: Vec<String>,
    /// `falsepositives`.
    pub falsepositives: Vec<String>,
    /// `level`.
    pub level: Option<String>,
    /// `tags`, for example `attack.t1059.001`.
    pub tags: Vec<String>,
    /// `scope`.
    pub scope: Vec<String>,
    /// This crate's additions that do not change what matches.
    pub annotations: crate::annotations::Annotations,
}

impl Meta {
    /// What identifies the document in results: `id`, else `name`, else `title`.
    pub fn key(&self) -> &str {
        self.id
            .as_deref()
            .or(self.name.as_deref())
            .unwrap_or(&self.title)
    }
}

/// The log data a rule is written for. Values are in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogSource {
    /// `category`, for example `process_creation`.
    pub category: Option<String>,
    /// `product`, for example `windows`.
    pub product: Option<String>,
    /// `service`, for example `security`.
    pub service: Option<String>,
    /// `definition`: advice for readers, not evaluated.
    pub definition: Option<String>,
    /// Any other key; kept, not evaluated.
    pub other: BTreeMap<String, String>,
}

/// How the values of one item, or the members of a group, are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// One is enough.
    Any,
    /// All are needed.
    All,
}

/// A search identifier's content.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// A group of selections: the items of a map (all) or of a list (any).
    Group(Link, Vec<Selection>),
    /// A field, or the whole event, against values.
    Item(Item),
}

/// One field with its values, or keywords when there is no field.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The field; `None` for keywords, which are searched in every value of the event.
    pub field: Option<String>,
    /// The modifiers as written.
    pub modifiers: Vec<Modifier>,
    /// The values after their modifiers.
    pub values: Vec<Value>,
    /// How the values are joined.
    pub link: Link,
    /// `neq`: the field must be there and the joined values must not match.
    pub negated: bool,
    /// Where the item stands.
    pub at: Position,
}

/// One value of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// As written.
    pub source: String,
    /// What it became; several when a modifier made alternatives of it. One is enough.
    pub tests: Vec<Test>,
    /// Names of placeholders (`%name%`, modifier `expand`) that are not yet resolved. A value that
    /// has some is never evaluated.
    pub placeholders: Vec<String>,
    /// Where the value stands.
    pub at: Position,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compare {
    /// `lt`
    Less,
    /// `lte`
    LessEqual,
    /// `gt`
    Greater,
    /// `gte`
    GreaterEqual,
    /// Equal; the default of time parts.
    Equal,
}

impl Compare {
    /// Whether `left` stands in this relation to `right`.
    pub fn holds(self, left: Number, right: Number) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let Some(order) = left.compare(right) else {
            return false;
        };
        match self {
            Self::Less => order == Less,
            Self::LessEqual => order != Greater,
            Self::Greater => order == Greater,
            Self::GreaterEqual => order != Less,
            Self::Equal => order == Equal,
        }
    }
}

/// How a field reference is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Equal as a whole.
    Whole,
    /// The other field's value is at the start.
    Start,
    /// The other field's value is at the end.
    End,
    /// The other field's value is anywhere.
    Inside,
}

/// A part of a date (modifiers appendix, "Time Modifiers").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimePart {
    /// 0 to 59
    Minute,
    /// 0 to 23
    Hour,
    /// 1 to 31
    Day,
    /// ISO 8601 week, 1 to 53
    Week,
    /// 1 to 12
    Month,
    /// The year
    Year,
}

/// What a single value of an event is tested with.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Text with wildcards. Without `cased`, both sides are folded.
    Text {
        /// What to look for.
        pattern: Pattern,
        /// Whether case matters.
        cased: bool,
    },
    /// A number: equals its text, and any number of the same value.
    Number(Number, String),
    /// A boolean: equals its text too.
    Bool(bool),
    /// Null, or no such field.
    Null,
    /// A regular expression, searched anywhere.
    Regex(Regex),
    /// A network.
    Cidr(Network),
    /// A numeric comparison; text that is no number never matches.
    Compare(Compare, Number),
    /// Presence of the field, whatever its value.
    Exists(bool),
    /// Another field of the same event.
    FieldRef {
        /// The other field.
        field: String,
        /// Where its value must be.
        place: Place,
        /// Whether case matters.
        cased: bool,
    },
    /// A part of a date.
    Time {
        /// Which part.
        part: TimePart,
        /// The comparison.
        compare: Compare,
        /// With what.
        value: i64,
    },
}

/// A compiled regular expression and its source.
#[derive(Debug, Clone)]
pub struct Regex {
    /// The expression with its flags, in the syntax of the `regex` crate.
    pub source: String,
    /// Compiled.
    pub regex: regex::Regex,
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// An IP network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    /// First address.
    pub address: std::net::IpAddr,
    /// Length of the prefix in bits.
    pub prefix: u8,
}

impl Network {
    /// Reads `address/prefix` or a single address.
    ///
    /// # Errors
    /// A text that says what is wrong: no address, prefix too long, or host bits set.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((a, p)) => (a, Some(p)),
            None => (text, None),
        };
        let address: std::net::IpAddr = address
            .parse()
            .map_err(|_| format!("`{text}` is not a network"))?;
        let max = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => max,
            Some(p) => p
                .parse::<u8>()
                .ok()
                .filter(|v| *v <= max && (p.len() == 1 || !p.starts_with(['0', '+'])))
                .ok_or_else(|| format!("`{text}` is not a network: the prefix is 0 to {max}"))?,
        };
        let network = Self { address, prefix };
        if !network.contains(address) || network.host_bits() != 0 {
            return Err(format!("`{text}` has bits set behind its prefix"));
        }
        Ok(network)
    }

    fn bits(address: std::net::IpAddr) -> u128 {
        match address {
            std::net::IpAddr::V4(a) => u128::from(u32::from(a)) << 96,
            std::net::IpAddr::V6(a) => u128::from(a),
        }
    }

    fn host_bits(self) -> u128 {
        Self::bits(self.address)
            .checked_shl(u32::from(self.prefix))
            .unwrap_or(0)
    }

    /// Whether an address lies in the network. Address families do not mix.
    pub fn contains(self, address: std::net::IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && (Self::bits(address) ^ Self::bits(self.address))
                .checked_shr(128 - u32::from(self.prefix))
                .unwrap_or(0)
                == 0
    }
}

/// A condition over the search identifiers of a rule; numbers are indexes into
/// [`Rule::detections`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Condition {
    /// A search identifier.
    Id(usize),
    /// Both, all.
    And(Vec<Condition>),
    /// One is enough.
    Or(Vec<Condition>),
    /// The opposite.
    Not(Box<Condition>),
}

/// A detection rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Description.
    pub meta: Meta,
    /// What it is written for.
    pub logsource: LogSource,
    /// Search identifiers by name, in the order of the file.
    pub detections: Vec<(String, Selection)>,
    /// The condition; a list of conditions is joined by OR.
    pub condition: Condition,
    /// The condition as written.
    pub condition_text: String,
    /// This crate's additions.
    pub extension: RuleExtension,
    /// Where the document starts.
    pub at: Position,
}

/// Additions to a rule under `x-sealwright`. All must hold beside the condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleExtension {
    /// `hours`: only events inside or outside of these times.
    pub hours: Option<crate::hours::Hours>,
    /// `older-than`: a date in a field lies at least this far before the event.
    pub older_than: Option<OlderThan>,
}

/// `older-than` of [`RuleExtension`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OlderThan {
    /// The field with the date.
    pub field: String,
    /// Least age, in microseconds.
    pub age: i64,
}

/// A global filter (filters specification): its condition is joined to that of every rule it
/// names by AND.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Description.
    pub meta: Meta,
    /// Only rules whose log source has at least these values.
    pub logsource: LogSource,
    /// Ids or names; `None` is `any`.
    pub rules: Option<Vec<String>>,
    /// Search identifiers by name.
    pub detections: Vec<(String, Selection)>,
    /// The condition.
    pub condition: Condition,
    /// The condition as written.
    pub condition_text: String,
    /// Where the document starts.
    pub at: Position,
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// A detection rule.
    Rule(Box<Rule>),
    /// A correlation rule.
    Correlation(Box<crate::correlation::Correlation>),
    /// A global filter.
    Filter(Box<Filter>),
}

impl Document {
    /// The descriptive part.
    pub fn meta(&self) -> &Meta {
        match self {
            Self::Rule(r) => &r.meta,
            Self::Correlation(c) => &c.meta,
            Self::Filter(f) => &f.meta,
        }
    }
}

/// Calls a function for every item of a selection.
pub fn each_item<'a>(selection: &'a Selection, f: &mut impl FnMut(&'a Item)) {
    match selection {
        Selection::Group(_, members) => members.iter().for_each(|m| each_item(m, f)),
        Selection::Item(item) => f(item),
    }
}

/// Calls a function for every item of a selection, to change it.
pub fn each_item_mut(selection: &mut Selection, f: &mut impl FnMut(&mut Item)) {
    match selection {
        Selection::Group(_, members) => members.iter_mut().for_each(|m| each_item_mut(m, f)),
        Selection::Item(item) => f(item),
    }
}
