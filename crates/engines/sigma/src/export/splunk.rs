//! Splunk SPL: a search where that is enough, else `where`.

use super::elastic::{quoted, write};
use super::{Dialect, Part, no};
use crate::model::{Compare, Place, Rule, Test, TimePart, each_item};

/// Whether all of a rule can be said as a search, which Splunk answers from its index.
pub(super) fn searchable(rule: &Rule) -> bool {
    let mut yes = true;
    for (_, s) in &rule.detections {
        each_item(s, &mut |i| {
            yes &= i.values.iter().flat_map(|v| &v.tests).all(|t| match t {
                Test::Text { pattern, cased } => {
                    // A search has no `?` and cannot escape a star.
                    !cased
                        && pattern.parts().iter().all(|p| match p {
                            crate::pattern::Part::One => false,
                            crate::pattern::Part::Text(t) => !t.contains('*'),
                            crate::pattern::Part::Star => true,
                        })
                }
                Test::Regex(_) | Test::FieldRef { .. } | Test::Time { .. } => false,
                _ => true,
            });
        });
    }
    yes
}

fn sign(c: Compare) -> &'static str {
    match c {
        Compare::Less => "<",
        Compare::LessEqual => "<=",
        Compare::Greater => ">",
        Compare::GreaterEqual => ">=",
        Compare::Equal => "=",
    }
}

pub(super) struct Search;

fn search_name(field: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._".contains(c);
    if field.chars().all(plain) {
        field.to_owned()
    } else {
        quoted(field)
    }
}

impl Dialect for Search {
    fn test(&mut self, field: Option<&str>, test: &Test) -> Part {
        let text = |t: &Test| match t {
            Test::Text { pattern, .. } => Some(quoted(&write(pattern, "*", "?", |c, o| o.push(c)))),
            _ => None,
        };
        let Some(field) = field else {
            return match text(test) {
                Some(t) => Ok(t),
                None => no("keywords", "only text can be searched in all fields"),
            };
        };
        let f = search_name(field);
        Ok(match test {
            Test::Number(_, t) => format!("{f}={t}"),
            Test::Bool(b) => format!("{f}=\"{b}\""),
            Test::Null | Test::Exists(false) => format!("NOT {f}=*"),
            Test::Exists(true) => format!("{f}=*"),
            Test::Cidr(n) => format!("{f}=\"{}/{}\"", n.address, n.prefix),
            Test::Compare(c, n) => format!("{f}{}{}", sign(*c), n.as_f64()),
            other => match text(other) {
                Some(t) => format!("{f}={t}"),
                None => return no("re", "needs `where`"),
            },
        })
    }

    fn present(&self, field: &str) -> String {
        format!("{}=*", search_name(field))
    }

    fn query(&self, condition: &str) -> String {
        condition.to_owned()
    }

    fn notes(&self) -> Vec<String> {
        vec!["put `index=…` in front".to_owned()]
    }
}

pub(super) struct Where;

fn where_name(field: &str) -> String {
    format!("'{}'", field.replace('\'', "\\'"))
}

impl Dialect for Where {
    fn test(&mut self, field: Option<&str>, test: &Test) -> Part {
        let Some(field) = field else {
            return no("keywords", "keywords beside tests that need `where`");
        };
        let f = where_name(field);
        Ok(match test {
            Test::Text { pattern, cased } => {
                let left = if *cased { f } else { format!("lower({f})") };
                let fold = |t: &str| {
                    if *cased {
                        t.to_owned()
                    } else {
                        crate::fold::fold(t)
                    }
                };
                match pattern.as_literal() {
                    Some(t) => format!("{left}={}", quoted(&fold(t))),
                    None => {
                        // As a regular expression, since `like` cannot escape its wildcards.
                        let mut re = write(pattern, "[\\s\\S]*", "[\\s\\S]", |c, out| {
                            out.push_str(&regex_syntax::escape(&fold(c.encode_utf8(&mut [0; 4]))));
                        });
                        re = format!("^{re}$");
                        format!("match({left}, {})", quoted(&re))
                    }
                }
            }
            Test::Number(_, t) => format!("{f}={t}"),
            Test::Bool(b) => format!("lower({f})=\"{b}\""),
            Test::Null | Test::Exists(false) => format!("isnull({f})"),
            Test::Exists(true) => format!("isnotnull({f})"),
            Test::Regex(r) => format!("match({f}, {})", quoted(&r.source)),
            Test::Cidr(n) => format!("cidrmatch(\"{}/{}\", {f})", n.address, n.prefix),
            Test::Compare(c, n) => format!("{f}{}{}", sign(*c), n.as_f64()),
            Test::FieldRef {
                field: other,
                place,
                cased,
            } => {
                let wrap = |n: String| if *cased { n } else { format!("lower({n})") };
                let (a, b) = (wrap(f), wrap(where_name(other)));
                match place {
                    Place::Whole => format!("{a}={b}"),
                    Place::Start => format!("substr({a}, 1, len({b}))={b}"),
                    Place::End => format!("substr({a}, -len({b}))={b}"),
                    Place::Inside => format!("mvcount(split({a}, {b}))>1"),
                }
            }
            Test::Time {
                part,
                compare,
                value,
            } => {
                let format = match part {
                    TimePart::Minute => "%M",
                    TimePart::Hour => "%H",
                    TimePart::Day => "%d",
                    TimePart::Week => "%V",
                    TimePart::Month => "%m",
                    TimePart::Year => "%Y",
                };
                let time = format!("strptime({f}, \"%Y-%m-%dT%H:%M:%S\")");
                format!(
                    "tonumber(strftime({time}, \"{format}\")){}{value}",
                    sign(*compare)
                )
            }
        })
    }

    fn definite(&self, field: &str, test: String) -> String {
        format!("({} AND {test})", self.present(field))
    }

    fn present(&self, field: &str) -> String {
        format!("isnotnull({})", where_name(field))
    }

    fn query(&self, condition: &str) -> String {
        format!("* | where {condition}")
    }

    fn notes(&self) -> Vec<String> {
        vec!["put `index=…` in place of the star".to_owned()]
    }
}
