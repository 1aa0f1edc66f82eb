//! Value modifiers (modifiers appendix 2.1.0): what a value of a rule becomes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Position, Result};
use crate::model::{Compare, Network, Place, Regex, Test, TimePart, Value};
use crate::pattern::Pattern;
use crate::yaml::{Kind, Node, Number};

macro_rules! modifiers {
    ($($(#[$doc:meta])* $variant:ident = $first:literal $(| $other:literal)*),+ $(,)?) => {
        /// A value modifier.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Modifier { $($(#[$doc])* $variant),+ }

        impl Modifier {
            /// The modifier of a name, the long names of the regular expression flags included.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($first $(| $other)* => Some(Self::$variant),)+ _ => None }
            }

            /// The name in the specification.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $first),+ }
            }
        }
    };
}

modifiers! {
    /// All values instead of any.
    All = "all",
    /// At the start.
    StartsWith = "startswith",
    /// At the end.
    EndsWith = "endswith",
    /// Anywhere.
    Contains = "contains",
    /// Presence.
    Exists = "exists",
    /// Case matters.
    Cased = "cased",
    /// Not equal.
    Neq = "neq",
    /// Dashes of command lines.
    Windash = "windash",
    /// Regular expression.
    Re = "re",
    /// Flag: case does not matter.
    IgnoreCase = "i" | "ignorecase",
    /// Flag: `^` and `$` at lines.
    MultiLine = "m" | "multiline",
    /// Flag: `.` matches a line break.
    DotAll = "s" | "dotall",
    /// Base64.
    Base64 = "base64",
    /// Base64 at each of three byte offsets.
    Base64Offset = "base64offset",
    /// UTF-16, little endian.
    Utf16le = "utf16le" | "wide",
    /// UTF-16, big endian.
    Utf16be = "utf16be",
    /// UTF-16, little endian with byte order mark.
    Utf16 = "utf16",
    /// Less.
    Lt = "lt",
    /// Less or equal.
    Lte = "lte",
    /// Greater.
    Gt = "gt",
    /// Greater or equal.
    Gte = "gte",
    /// Minute of a date.
    Minute = "minute",
    /// Hour of a date.
    Hour = "hour",
    /// Day of a date.
    Day = "day",
    /// Week of a date.
    Week = "week",
    /// Month of a date.
    Month = "month",
    /// Year of a date.
    Year = "year",
    /// Network.
    Cidr = "cidr",
    /// Placeholders.
    Expand = "expand",
    /// Another field.
    FieldRef = "fieldref",
}

/// All names, for messages.
pub(crate) const NAMES: &str = "all, startswith, endswith, contains, exists, cased, neq, windash, \
re, i, m, s, base64, base64offset, utf16le, utf16be, utf16, wide, lt, lte, gt, gte, minute, hour, \
day, week, month, year, cidr, expand, fieldref";

/// A value on its way through the modifiers.
enum Val {
    Text {
        pattern: Pattern,
        cased: bool,
        raw: String,
        bom: bool,
    },
    Number(Number, String),
    Bool(bool),
    Null,
    Regex {
        source: String,
        flags: String,
    },
    Done(Test),
    FieldRef {
        field: String,
        place: Place,
        cased: bool,
    },
    Time(TimePart, Compare, i64),
}

impl Val {
    fn name(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Number(..) => "a number",
            Self::Bool(_) => "a boolean",
            Self::Null => "null",
            Self::Regex { .. } => "a regular expression",
            Self::FieldRef { .. } => "a field reference",
            Self::Done(_) | Self::Time(..) => "an already modified value",
        }
    }
}

/// Resolved placeholders: name without percent signs to its values, in rule syntax.
pub type Placeholders = std::collections::BTreeMap<String, Vec<String>>;

/// Applies modifiers to one value. Unresolved placeholders are named in the result.
pub(crate) fn apply(
    node: &Node,
    modifiers: &[Modifier],
    keyword: bool,
    placeholders: &Placeholders,
) -> Result<Value> {
    let source = node.scalar_text().unwrap_or_else(|| "null".to_owned());
    let mut unresolved = Vec::new();
    let mut raws: Vec<Kind> = vec![node.kind.clone()];
    if modifiers.contains(&Modifier::Expand) {
        let Kind::Text(text) = &node.kind else {
            return Err(Error::new(
                node.at,
                "`expand` needs text with a %placeholder%",
            ));
        };
        let (texts, missing) = expand(text, placeholders, node.at)?;
        unresolved = missing;
        raws = texts.into_iter().map(Kind::Text).collect();
    }
    let mut tests = Vec::new();
    if unresolved.is_empty() {
        for raw in &raws {
            tests.extend(chain(raw, node.at, modifiers, keyword)?);
        }
    }
    Ok(Value {
        source,
        tests,
        placeholders: unresolved,
        at: node.at,
    })
}

/// Replaces `%name%`; `\%` is a plain percent sign (rules specification, "Placeholders").
fn expand(text: &str, known: &Placeholders, at: Position) -> Result<(Vec<String>, Vec<String>)> {
    let mut results = vec![String::new()];
    let mut missing = Vec::new();
    let mut rest = text;
    while let Some(i) = rest.find('%') {
        let before = &rest[..i];
        if let Some(stripped) = before.strip_suffix('\\') {
            for r in &mut results {
                r.push_str(stripped);
                r.push('%');
            }
            rest = &rest[i + 1..];
            continue;
        }
        let name_end = rest[i + 1..].find('%');
        let Some(end) = name_end.filter(|e| {
            *e > 0
                && rest[i + 1..=i + e]
                    .chars()
                    .all(|c| c.is_alphanumeric() || "_-.".contains(c))
        }) else {
            for r in &mut results {
                r.push_str(&rest[..=i]);
            }
            rest = &rest[i + 1..];
            continue;
        };
        let name = &rest[i + 1..=i + end];
        match known.get(name) {
            None => missing.push(name.to_owned()),
            Some(values) => {
                if results.len().saturating_mul(values.len()) > 10_000 {
                    return Err(Error::new(
                        at,
                        "placeholders expand to more than 10,000 values",
                    ));
                }
                results = results
                    .iter()
                    .flat_map(|r| values.iter().map(move |v| format!("{r}{before}{v}")))
                    .collect();
            }
        }
        rest = &rest[i + 1 + end + 1..];
    }
    for r in &mut results {
        r.push_str(rest);
    }
    Ok((results, missing))
}

fn chain(raw: &Kind, at: Position, modifiers: &[Modifier], keyword: bool) -> Result<Vec<Test>> {
    let mut vals = vec![match raw {
        Kind::Text(t) => Val::Text {
            pattern: Pattern::parse(t),
            cased: false,
            raw: t.clone(),
            bom: false,
        },
        Kind::Number(t, n) => Val::Number(*n, t.clone()),
        Kind::Bool(b) => Val::Bool(*b),
        Kind::Null => Val::Null,
        Kind::List(_) | Kind::Map(_) => {
            return Err(Error::new(
                at,
                "a value must be text, a number, a boolean or null",
            ));
        }
    }];
    let mut applied = 0_usize;
    for m in modifiers {
        if matches!(m, Modifier::All | Modifier::Neq | Modifier::Expand) {
            continue;
        }
        let mut next = Vec::with_capacity(vals.len());
        for v in vals {
            step(v, *m, applied, at, &mut next)?;
        }
        vals = next;
        applied += 1;
    }
    vals.into_iter().map(|v| finish(v, keyword, at)).collect()
}

fn step(v: Val, m: Modifier, applied: usize, at: Position, out: &mut Vec<Val>) -> Result<()> {
    use Modifier as M;
    let wrong = |v: &Val, what: &str| {
        Err(Error::new(
            at,
            format!("`{}` needs {what}, this is {}", m.name(), v.name()),
        ))
    };
    let next = match (m, v) {
        (M::All | M::Neq | M::Expand, v) => v,
        (
            M::Contains,
            Val::Text {
                pattern,
                cased,
                raw,
                bom,
            },
        ) => Val::Text {
            pattern: pattern.open_start().open_end(),
            cased,
            raw,
            bom,
        },
        (
            M::StartsWith,
            Val::Text {
                pattern,
                cased,
                raw,
                bom,
            },
        ) => Val::Text {
            pattern: pattern.open_end(),
            cased,
            raw,
            bom,
        },
        (
            M::EndsWith,
            Val::Text {
                pattern,
                cased,
                raw,
                bom,
            },
        ) => Val::Text {
            pattern: pattern.open_start(),
            cased,
            raw,
            bom,
        },
        (M::Contains, v @ Val::Regex { .. }) => v,
        (M::StartsWith, Val::Regex { source, flags }) => Val::Regex {
            source: format!("\\A(?:{source})"),
            flags,
        },
        (M::EndsWith, Val::Regex { source, flags }) => Val::Regex {
            source: format!("(?:{source})\\z"),
            flags,
        },
        (M::Contains, Val::FieldRef { field, cased, .. }) => Val::FieldRef {
            field,
            place: Place::Inside,
            cased,
        },
        (
            M::StartsWith,
            Val::FieldRef {
                field,
                cased,
                place,
            },
        ) => {
            let place = if place == Place::End {
                Place::Inside
            } else {
                Place::Start
            };
            Val::FieldRef {
                field,
                place,
                cased,
            }
        }
        (
            M::EndsWith,
            Val::FieldRef {
                field,
                cased,
                place,
            },
        ) => {
            let place = if place == Place::Start {
                Place::Inside
            } else {
                Place::End
            };
            Val::FieldRef {
                field,
                place,
                cased,
            }
        }
        (
            M::Cased,
            Val::Text {
                pattern, raw, bom, ..
            },
        ) => Val::Text {
            pattern,
            cased: true,
            raw,
            bom,
        },
        (M::Cased, Val::FieldRef { field, place, .. }) => Val::FieldRef {
            field,
            place,
            cased: true,
        },
        // A regular expression is case-sensitive by itself.
        (M::Cased, v @ Val::Regex { .. }) => v,
        (
            M::Windash,
            Val::Text {
                pattern,
                cased,
                raw,
                bom,
            },
        ) => {
            let Some(all) = pattern.windash() else {
                return Err(
                    Error::new(at, "`windash` with more than three dashes in one value")
                        .hint("split the value into several selections"),
                );
            };
            out.extend(all.into_iter().map(|pattern| Val::Text {
                pattern,
                cased,
                raw: raw.clone(),
                bom,
            }));
            return Ok(());
        }
        (M::Re, Val::Text { raw, .. }) if applied == 0 => Val::Regex {
            source: raw,
            flags: String::new(),
        },
        (M::Re, Val::Number(_, text)) if applied == 0 => Val::Regex {
            source: text,
            flags: String::new(),
        },
        (M::IgnoreCase | M::MultiLine | M::DotAll, Val::Regex { source, flags }) => Val::Regex {
            source,
            flags: format!("{flags}{}", m.name()),
        },
        (
            M::Base64 | M::Base64Offset,
            Val::Text {
                pattern,
                cased,
                raw,
                bom,
            },
        ) => {
            let Some(text) = pattern.as_literal() else {
                return Err(
                    Error::new(at, "a value with wildcards cannot be encoded as Base64")
                        .hint("escape the wildcard, or put it outside of the encoded part"),
                );
            };
            let mut bytes = Vec::new();
            let text = if bom {
                bytes.extend([0xff, 0xfe]);
                text.strip_prefix('\u{feff}').unwrap_or(text)
            } else {
                text
            };
            bytes.extend(text.as_bytes());
            let texts = if m == M::Base64 {
                vec![STANDARD.encode(&bytes)]
            } else {
                offsets(&bytes)
            };
            out.extend(texts.into_iter().map(|t| Val::Text {
                pattern: Pattern::literal(&t),
                cased,
                raw: raw.clone(),
                bom: false,
            }));
            return Ok(());
        }
        (
            M::Utf16le | M::Utf16be | M::Utf16,
            Val::Text {
                pattern,
                cased,
                raw,
                ..
            },
        ) => {
            let encoded = pattern.map_text(|t| {
                t.is_ascii().then(|| {
                    t.chars()
                        .flat_map(|c| {
                            if m == M::Utf16be {
                                ['\0', c]
                            } else {
                                [c, '\0']
                            }
                        })
                        .collect()
                })
            });
            let Some(mut pattern) = encoded else {
                return Err(
                    Error::new(at, format!("`{}` is for ASCII text only", m.name()))
                        .hint("other text has no UTF-16 form that can stand in a text field"),
                );
            };
            let bom = m == M::Utf16;
            if bom {
                pattern = pattern.with_prefix("\u{feff}");
            }
            Val::Text {
                pattern,
                cased,
                raw,
                bom,
            }
        }
        (M::Lt | M::Lte | M::Gt | M::Gte, Val::Number(n, _)) => {
            Val::Done(Test::Compare(compare(m), n))
        }
        (M::Lt | M::Lte | M::Gt | M::Gte, Val::Time(part, Compare::Equal, n)) => {
            Val::Time(part, compare(m), n)
        }
        (M::Lt | M::Lte | M::Gt | M::Gte, v) => return wrong(&v, "a number"),
        (
            M::Minute | M::Hour | M::Day | M::Week | M::Month | M::Year,
            Val::Number(Number::Int(n), _),
        ) => Val::Time(time_part(m), Compare::Equal, n),
        (
            M::Minute | M::Hour | M::Day | M::Week | M::Month | M::Year,
            Val::Done(Test::Compare(c, Number::Int(n))),
        ) => Val::Time(time_part(m), c, n),
        (M::Minute | M::Hour | M::Day | M::Week | M::Month | M::Year, v) => {
            return wrong(&v, "a whole number");
        }
        (M::Cidr, Val::Text { raw, .. }) if applied == 0 => Val::Done(Test::Cidr(
            Network::parse(&raw).map_err(|e| Error::new(at, e))?,
        )),
        (M::Re | M::Cidr, v @ Val::Text { .. }) => {
            return Err(Error::new(
                at,
                format!("`{}` must come before other modifiers", m.name()),
            )
            .hint(format!(
                "write `|{}` first; this value is {}",
                m.name(),
                v.name()
            )));
        }
        (M::Exists, Val::Bool(b)) if applied == 0 => Val::Done(Test::Exists(b)),
        (M::Exists, v) => return wrong(&v, "true or false and no other modifier"),
        (M::FieldRef, Val::Text { pattern, cased, .. }) if !pattern.has_wildcards() => {
            let field = pattern.as_literal().unwrap_or_default().to_owned();
            Val::FieldRef {
                field,
                place: Place::Whole,
                cased,
            }
        }
        (M::FieldRef, v) => return wrong(&v, "the name of a field, without wildcards"),
        (M::IgnoreCase | M::MultiLine | M::DotAll, _) => {
            return Err(Error::new(
                at,
                format!("`{}` is a flag of `re` and must come after it", m.name()),
            ));
        }
        (_, v) => return wrong(&v, "text"),
    };
    out.push(next);
    Ok(())
}

fn compare(m: Modifier) -> Compare {
    match m {
        Modifier::Lt => Compare::Less,
        Modifier::Lte => Compare::LessEqual,
        Modifier::Gt => Compare::Greater,
        _ => Compare::GreaterEqual,
    }
}

fn time_part(m: Modifier) -> TimePart {
    match m {
        Modifier::Minute => TimePart::Minute,
        Modifier::Hour => TimePart::Hour,
        Modifier::Day => TimePart::Day,
        Modifier::Week => TimePart::Week,
        Modifier::Month => TimePart::Month,
        _ => TimePart::Year,
    }
}

/// The three Base64 forms of bytes at offsets 0, 1 and 2, without the characters at both ends that
/// depend on what surrounds them.
fn offsets(bytes: &[u8]) -> Vec<String> {
    (0..3)
        .map(|offset| {
            let mut padded = vec![b' '; offset];
            padded.extend(bytes);
            let encoded = STANDARD.encode(&padded);
            let start = [0, 2, 3][offset];
            let cut = [0, 3, 2][padded.len() % 3];
            encoded
                .get(start..encoded.len().saturating_sub(cut))
                .unwrap_or_default()
                .to_owned()
        })
        .filter(|t| !t.is_empty())
        .collect()
}

fn finish(v: Val, keyword: bool, at: Position) -> Result<Test> {
    Ok(match v {
        Val::Text {
            mut pattern, cased, ..
        } => {
            if keyword {
                pattern = pattern.open_start().open_end();
            }
            Test::Text { pattern, cased }
        }
        Val::Number(_, text) if keyword => Test::Text {
            pattern: Pattern::literal(&text).open_start().open_end(),
            cased: false,
        },
        Val::Bool(b) if keyword => Test::Text {
            pattern: Pattern::literal(if b { "true" } else { "false" })
                .open_start()
                .open_end(),
            cased: false,
        },
        Val::Null if keyword => return Err(Error::new(at, "null cannot be a keyword")),
        Val::Number(n, text) => Test::Number(n, text),
        Val::Bool(b) => Test::Bool(b),
        Val::Null => Test::Null,
        Val::Regex { source, flags } => Test::Regex(regex(&source, &flags, at)?),
        Val::FieldRef {
            field,
            place,
            cased,
        } => Test::FieldRef {
            field,
            place,
            cased,
        },
        Val::Time(part, compare, value) => Test::Time {
            part,
            compare,
            value,
        },
        Val::Done(test) => test,
    })
}

fn regex(source: &str, flags: &str, at: Position) -> Result<Regex> {
    let mut unique = String::new();
    flags.chars().for_each(|c| {
        if !unique.contains(c) {
            unique.push(c);
        }
    });
    let full = if unique.is_empty() {
        source.to_owned()
    } else {
        format!("(?{unique}){source}")
    };
    match regex::RegexBuilder::new(&full)
        .size_limit(4 << 20)
        .dfa_size_limit(2 << 20)
        .build()
    {
        Ok(regex) => Ok(Regex {
            source: full,
            regex,
        }),
        Err(e) => {
            let text = e.to_string();
            let last = text
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            let error = Error::new(
                at,
                format!("`{source}` is not a valid regular expression: {last}"),
            );
            Err(
                if source.contains("(?=") || source.contains("(?!") || source.contains("(?<") {
                    error.hint(
                        "look-around is outside of the flavour of the Sigma specification \
                     (modifiers appendix, \"Regular Expression\"); use a filter and `not`",
                    )
                } else {
                    error
                },
            )
        }
    }
}
