//! Lucene, EQL and ES|QL.

use super::{Dialect, Part, no};
use crate::model::{Compare, Place, Test, TimePart};
use crate::pattern::{self, Pattern};

fn sign(c: Compare) -> &'static str {
    match c {
        Compare::Less => "<",
        Compare::LessEqual => "<=",
        Compare::Greater => ">",
        Compare::GreaterEqual => ">=",
        Compare::Equal => "==",
    }
}

/// A pattern with its plain pieces escaped and its wildcards written.
pub(super) fn write(
    p: &Pattern,
    star: &str,
    one: &str,
    mut plain: impl FnMut(char, &mut String),
) -> String {
    let mut out = String::new();
    for part in p.parts() {
        match part {
            pattern::Part::Text(t) => t.chars().for_each(|c| plain(c, &mut out)),
            pattern::Part::Star => out.push_str(star),
            pattern::Part::One => out.push_str(one),
        }
    }
    out
}

/// Text in double quotes with C escapes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A regular expression for engines that match whole values and know neither classes with a
/// backslash nor flags. `None` when it needs more than that.
fn whole_regex(source: &str) -> Option<String> {
    if source.starts_with("(?") || source.contains("(?") {
        return None;
    }
    let (mut body, mut start, mut end) = (source, ".*", ".*");
    if let Some(rest) = body.strip_prefix('^') {
        (body, start) = (rest, "");
    }
    if body.ends_with('$') && !body.ends_with("\\$") {
        (body, end) = (&body[..body.len() - 1], "");
    }
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next().is_some_and(|c| c.is_alphanumeric()) => return None,
            '^' | '$' => return None,
            _ => {}
        }
    }
    // Lazy quantifiers have no counterpart either.
    if ["*?", "+?", "??", "}?"]
        .iter()
        .any(|lazy| body.contains(lazy))
    {
        return None;
    }
    Some(format!(
        "{start}{}{end}",
        if body.contains('|') {
            format!("({body})")
        } else {
            body.to_owned()
        }
    ))
}

#[derive(Default)]
pub(super) struct Lucene {
    text: bool,
}

fn lucene_char(c: char, out: &mut String) {
    if "+-=&|><!(){}[]^\"~*?:\\/ ".contains(c) {
        out.push('\\');
    }
    out.push(c);
}

fn lucene_field(field: &str) -> String {
    let mut out = String::new();
    field.chars().for_each(|c| {
        if c == '.' || c == '_' || c == '-' {
            out.push(c)
        } else {
            lucene_char(c, &mut out)
        }
    });
    out
}

impl Dialect for Lucene {
    fn test(&mut self, field: Option<&str>, test: &Test) -> Part {
        let Some(field) = field else {
            return match test {
                Test::Text { pattern, .. } => Ok(write(pattern, "*", "?", lucene_char)),
                _ => no("keywords", "only text can be searched in all fields"),
            };
        };
        let f = lucene_field(field);
        Ok(match test {
            Test::Text { cased: true, .. } => {
                return no("cased", "case follows the index in Lucene");
            }
            Test::Text { pattern, .. } if pattern.as_literal() == Some("") => format!("{f}:\"\""),
            Test::Text { pattern, .. } => {
                self.text = true;
                format!("{f}:{}", write(pattern, "*", "?", lucene_char))
            }
            // A minus in front would be the operator.
            Test::Number(_, text) if text.starts_with('-') => format!("{f}:\"{text}\""),
            Test::Number(_, text) => format!("{f}:{text}"),
            Test::Bool(b) => format!("{f}:{b}"),
            Test::Null | Test::Exists(false) => format!("(NOT _exists_:{f})"),
            Test::Exists(true) => format!("_exists_:{f}"),
            Test::Regex(r) => match whole_regex(&r.source) {
                Some(re) => format!("{f}:/{}/", re.replace('/', "\\/")),
                None => {
                    return no(
                        "re",
                        format!("`{}` is outside of Lucene's syntax", r.source),
                    );
                }
            },
            Test::Cidr(n) => format!("{f}:\"{}/{}\"", n.address, n.prefix),
            Test::Compare(c, n) => format!("{f}:{}{}", sign(*c).replace("==", ""), n.as_f64()),
            Test::FieldRef { .. } => return no("fieldref", "Lucene does not compare fields"),
            Test::Time { .. } => return no("time parts", "Lucene has no functions"),
        })
    }

    fn present(&self, field: &str) -> String {
        format!("_exists_:{}", lucene_field(field))
    }

    fn query(&self, condition: &str) -> String {
        condition.to_owned()
    }

    fn notes(&self) -> Vec<String> {
        let note = "fields need a lower-casing normalizer, or case will matter";
        if self.text {
            vec![note.to_owned()]
        } else {
            Vec::new()
        }
    }
}

pub(super) struct Eql;

fn name(field: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._@".contains(c);
    if field.chars().all(plain) {
        field.to_owned()
    } else {
        format!("`{}`", field.replace('`', "``"))
    }
}

impl Dialect for Eql {
    fn test(&mut self, field: Option<&str>, test: &Test) -> Part {
        let Some(field) = field else {
            return no("keywords", "EQL has no search over all fields");
        };
        let f = name(field);
        Ok(match test {
            Test::Text { pattern, cased } => match (pattern.as_literal(), cased) {
                (Some(t), true) => format!("{f} == {}", quoted(t)),
                // A literal star or question mark would be read as a wildcard.
                (Some(t), false) if !t.contains(['*', '?']) => format!("{f} : {}", quoted(t)),
                _ => {
                    let literal_wild = pattern
                        .parts()
                        .iter()
                        .any(|p| matches!(p, pattern::Part::Text(t) if t.contains(['*', '?'])));
                    if literal_wild {
                        return no("text, wildcards", "EQL cannot escape a wildcard");
                    }
                    let text = write(pattern, "*", "?", |c, out| out.push(c));
                    format!(
                        "{f} {} {}",
                        if *cased { "like" } else { "like~" },
                        quoted(&text)
                    )
                }
            },
            Test::Number(_, text) => format!("{f} == {text}"),
            Test::Bool(b) => format!("{f} == {b}"),
            Test::Null | Test::Exists(false) => format!("?{f} == null"),
            Test::Exists(true) => format!("?{f} != null"),
            Test::Regex(r) => match whole_regex(&r.source) {
                Some(re) => format!("{f} regex {}", quoted(&re)),
                None => return no("re", format!("`{}` is outside of EQL's syntax", r.source)),
            },
            Test::Cidr(n) => format!("cidrMatch({f}, \"{}/{}\")", n.address, n.prefix),
            Test::Compare(c, n) => format!("{f} {} {}", sign(*c), n.as_f64()),
            Test::FieldRef {
                field: other,
                place,
                cased,
            } => {
                let (o, tilde) = (name(other), if *cased { "" } else { "~" });
                match place {
                    Place::Whole if *cased => format!("{f} == {o}"),
                    // `:` compares with literals only.
                    Place::Whole => {
                        format!("(startsWith~({f}, {o}) and length({f}) == length({o}))")
                    }
                    Place::Start => format!("startsWith{tilde}({f}, {o})"),
                    Place::End => format!("endsWith{tilde}({f}, {o})"),
                    Place::Inside => format!("stringContains{tilde}({f}, {o})"),
                }
            }
            Test::Time { .. } => return no("time parts", "EQL has no date functions"),
        })
    }

    fn present(&self, field: &str) -> String {
        format!("?{} != null", name(field))
    }

    fn definite(&self, field: &str, test: String) -> String {
        format!("({} and {test})", self.present(field))
    }

    fn any(&self, parts: &[String]) -> String {
        format!("({})", parts.join(" or "))
    }

    fn all(&self, parts: &[String]) -> String {
        format!("({})", parts.join(" and "))
    }

    fn not(&self, part: &str) -> String {
        format!("not {part}")
    }

    fn query(&self, condition: &str) -> String {
        format!("any where {condition}")
    }

    fn notes(&self) -> Vec<String> {
        vec!["a field that no index has must be written with `?` in front".to_owned()]
    }
}

#[derive(Default)]
pub(super) struct Esql {
    folded: bool,
}

impl Dialect for Esql {
    fn test(&mut self, field: Option<&str>, test: &Test) -> Part {
        let Some(field) = field else {
            return no("keywords", "ES|QL has no search over all fields");
        };
        let f = name(field);
        Ok(match test {
            Test::Text { pattern, cased } => {
                self.folded |= !cased;
                let fold = |t: &str| {
                    if *cased {
                        t.to_owned()
                    } else {
                        crate::fold::fold(t)
                    }
                };
                let left = if *cased { f } else { format!("TO_LOWER({f})") };
                match pattern.as_literal() {
                    Some(t) => format!("{left} == {}", quoted(&fold(t))),
                    None => {
                        let text = write(pattern, "*", "?", |c, out| {
                            if "*?\\".contains(c) {
                                out.push('\\');
                            }
                            out.push_str(&fold(c.encode_utf8(&mut [0; 4])));
                        });
                        format!("{left} LIKE {}", quoted(&text))
                    }
                }
            }
            Test::Number(_, text) => format!("{f} == {text}"),
            Test::Bool(b) => format!("{f} == {b}"),
            Test::Null | Test::Exists(false) => format!("{f} IS NULL"),
            Test::Exists(true) => format!("{f} IS NOT NULL"),
            Test::Regex(r) => match whole_regex(&r.source) {
                Some(re) => format!("{f} RLIKE {}", quoted(&re)),
                None => return no("re", format!("`{}` is outside of ES|QL's syntax", r.source)),
            },
            Test::Cidr(n) => format!("CIDR_MATCH(TO_IP({f}), \"{}/{}\")", n.address, n.prefix),
            Test::Compare(c, n) => format!("{f} {} {}", sign(*c), n.as_f64()),
            Test::FieldRef {
                field: other,
                place,
                cased,
            } => {
                let wrap = |n: String| if *cased { n } else { format!("TO_LOWER({n})") };
                let (a, b) = (wrap(f), wrap(name(other)));
                match place {
                    Place::Whole => format!("{a} == {b}"),
                    Place::Start => format!("STARTS_WITH({a}, {b})"),
                    Place::End => format!("ENDS_WITH({a}, {b})"),
                    Place::Inside => format!("LOCATE({a}, {b}) > 0"),
                }
            }
            Test::Time {
                part,
                compare,
                value,
            } => {
                let unit = match part {
                    TimePart::Minute => "minute_of_hour",
                    TimePart::Hour => "hour_of_day",
                    TimePart::Day => "day_of_month",
                    TimePart::Week => "aligned_week_of_year",
                    TimePart::Month => "month_of_year",
                    TimePart::Year => "year",
                };
                format!("DATE_EXTRACT(\"{unit}\", {f}) {} {value}", sign(*compare))
            }
        })
    }

    fn definite(&self, _field: &str, test: String) -> String {
        format!("COALESCE({test}, false)")
    }

    fn present(&self, field: &str) -> String {
        format!("{} IS NOT NULL", name(field))
    }

    fn query(&self, condition: &str) -> String {
        format!("FROM * | WHERE {condition}")
    }

    fn notes(&self) -> Vec<String> {
        let mut out = vec!["name the index instead of `*`".to_owned()];
        if self.folded {
            out.push("a field of several values is null in comparisons of ES|QL".to_owned());
        }
        out
    }
}
