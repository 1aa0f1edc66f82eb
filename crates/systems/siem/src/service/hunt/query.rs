//! The language of hunting: terms, joined by `and`, `or`, `not` and brackets.
//!
//! ```text
//! user.name:ada -event.outcome:success http.response.status_code>=500 "10.0.0."
//! (source.ip:10.* or source.ip:192.168.*) event.category:authentication
//! ```
//!
//! A term is `field:value` (with `*` and `?`), a comparison of a number, or words that are looked for in
//! the whole stored event, at the edges of words: `ada` is not in `canada`, `*ada` is. Field terms become a Sigma rule, so that hunting and detection agree on every
//! event.

use sealwright_terms::Phrase;
use serde_json::{Map, Value, json};

/// The longest query in bytes.
pub const LONGEST: usize = 4_096;
/// Most terms of a query.
const MOST_TERMS: usize = 64;
/// How deep brackets may nest.
const DEEPEST: usize = 16;

/// Attributes of an event that the store itself filters by.
const ATTRIBUTES: [&str; 4] = ["type", "source", "id", "subject"];

/// What is wrong with a query, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {detail}")]
pub struct QueryError {
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub detail: String,
}

/// A query, taken apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// What the store filters by: attribute and value.
    pub attributes: Vec<(String, String)>,
    /// Phrases that must be in the stored event.
    pub texts: Vec<Phrase>,
    /// Phrases that must not.
    pub without: Vec<Phrase>,
    /// The field terms as a Sigma rule in JSON; `None` when there are none.
    pub rule: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Term(Term),
}

#[derive(Debug, Clone, PartialEq)]
struct Term {
    field: Option<String>,
    operator: &'static str,
    value: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Term(Term),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
}

/// Reads a query. An empty one asks for everything.
///
/// # Errors
/// What is wrong, with its column.
pub fn parse(text: &str) -> Result<Parsed, QueryError> {
    if text.len() > LONGEST {
        return Err(QueryError {
            column: LONGEST,
            detail: format!("a query has at most {LONGEST} bytes"),
        });
    }
    let tokens = tokens(text)?;
    let mut out = Parsed::default();
    if tokens.is_empty() {
        return Ok(out);
    }
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        end: text.chars().count() + 1,
    };
    let node = reader.or(0)?;
    if let Some((_, column)) = reader.tokens.get(reader.at) {
        return Err(QueryError {
            column: *column,
            detail: "a bracket is closed that was not opened".to_owned(),
        });
    }
    // What all matches must have is asked of the store; the rest of the fields.
    let mut rest = Vec::new();
    let parts = match node {
        Node::And(parts) => parts,
        other => vec![other],
    };
    for part in parts {
        match part {
            Node::Term(Term {
                field: None, value, ..
            }) => out.texts.push(Phrase::new(&value)),
            Node::Not(inner) if matches!(&*inner, Node::Term(Term { field: None, .. })) => {
                if let Node::Term(term) = *inner {
                    out.without.push(Phrase::new(&term.value));
                }
            }
            Node::Term(Term {
                field: Some(field),
                operator: ":",
                value,
            }) if ATTRIBUTES.contains(&field.as_str()) && !value.contains(['*', '?']) => {
                out.attributes.push((field, value));
            }
            other => rest.push(other),
        }
    }
    if !rest.is_empty() {
        out.rule = Some(rule(&Node::And(rest))?);
    }
    Ok(out)
}

fn tokens(text: &str) -> Result<Vec<(Token, usize)>, QueryError> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    let mut terms = 0;
    while let Some(c) = chars.get(at).copied() {
        let column = at + 1;
        match c {
            c if c.is_whitespace() => at += 1,
            '(' => {
                out.push((Token::Open, column));
                at += 1;
            }
            ')' => {
                out.push((Token::Close, column));
                at += 1;
            }
            '-' if chars.get(at + 1).is_some_and(|n| !n.is_whitespace()) => {
                out.push((Token::Not, column));
                at += 1;
            }
            _ => {
                let (token, next) = term(&chars, at)?;
                if matches!(token, Token::Term(_)) {
                    terms += 1;
                    if terms > MOST_TERMS {
                        return Err(QueryError {
                            column,
                            detail: format!("a query has at most {MOST_TERMS} terms"),
                        });
                    }
                }
                out.push((token, column));
                at = next;
            }
        }
    }
    Ok(out)
}

fn quoted(chars: &[char], at: usize) -> Result<(String, usize), QueryError> {
    let mut value = String::new();
    let mut here = at + 1;
    while let Some(c) = chars.get(here).copied() {
        match c {
            '"' => return Ok((value, here + 1)),
            '\\' if chars.get(here + 1) == Some(&'"') => {
                value.push('"');
                here += 2;
            }
            c => {
                value.push(c);
                here += 1;
            }
        }
    }
    Err(QueryError {
        column: at + 1,
        detail: "the quotation does not end".to_owned(),
    })
}

fn term(chars: &[char], start: usize) -> Result<(Token, usize), QueryError> {
    const OPERATORS: [&str; 5] = [">=", "<=", ">", "<", ":"];
    if chars.get(start) == Some(&'"') {
        let (value, next) = quoted(chars, start)?;
        let term = Term {
            field: None,
            operator: ":",
            value,
        };
        return Ok((Token::Term(term), next));
    }
    let mut at = start;
    while let Some(c) = chars.get(at) {
        if c.is_whitespace() || "()<>:\"".contains(*c) {
            break;
        }
        at += 1;
    }
    let word: String = chars.get(start..at).unwrap_or_default().iter().collect();
    let rest: String = chars.get(at..at + 2).map_or_else(
        || chars.get(at..).unwrap_or_default().iter().collect(),
        |two| two.iter().collect(),
    );
    let Some(operator) = OPERATORS.iter().find(|o| rest.starts_with(**o)) else {
        if at == start {
            return Err(QueryError {
                column: start + 1,
                detail: "this cannot begin a term; put it into quotation marks".to_owned(),
            });
        }
        let token = match word.as_str() {
            "and" | "AND" => Token::And,
            "or" | "OR" => Token::Or,
            "not" | "NOT" => Token::Not,
            _ => Token::Term(Term {
                field: None,
                operator: ":",
                value: word,
            }),
        };
        return Ok((token, at));
    };
    let field_ok = |c: char| c.is_alphanumeric() || "._@-#/".contains(c);
    if word.is_empty() || !word.chars().all(field_ok) {
        return Err(QueryError {
            column: start + 1,
            detail: format!("`{word}` is not the name of a field"),
        });
    }
    at += operator.len();
    let (value, next) = if chars.get(at) == Some(&'"') {
        quoted(chars, at)?
    } else {
        let mut end = at;
        while chars
            .get(end)
            .is_some_and(|c| !c.is_whitespace() && !"()".contains(*c))
        {
            end += 1;
        }
        (chars.get(at..end).unwrap_or_default().iter().collect(), end)
    };
    if value.is_empty() {
        return Err(QueryError {
            column: at + 1,
            detail: format!("`{word}{operator}` needs a value; `{word}:*` is any"),
        });
    }
    if *operator != ":" && value.parse::<f64>().is_err() {
        return Err(QueryError {
            column: at + 1,
            detail: format!("`{value}` is not a number"),
        });
    }
    let term = Term {
        field: Some(word),
        operator,
        value,
    };
    Ok((Token::Term(term), next))
}

struct Reader<'a> {
    tokens: &'a [(Token, usize)],
    at: usize,
    end: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn wrong<T>(&self, detail: &str) -> Result<T, QueryError> {
        let column = self
            .tokens
            .get(self.at)
            .map_or(self.end, |(_, column)| *column);
        Err(QueryError {
            column,
            detail: detail.to_owned(),
        })
    }

    fn or(&mut self, depth: usize) -> Result<Node, QueryError> {
        let mut parts = vec![self.and(depth)?];
        while self.peek() == Some(&Token::Or) {
            self.at += 1;
            parts.push(self.and(depth)?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Node::Or(parts)
        })
    }

    fn and(&mut self, depth: usize) -> Result<Node, QueryError> {
        let mut parts = vec![self.one(depth)?];
        loop {
            match self.peek() {
                Some(Token::And) => self.at += 1,
                Some(Token::Open | Token::Not | Token::Term(_)) => {}
                _ => break,
            }
            parts.push(self.one(depth)?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Node::And(parts)
        })
    }

    fn one(&mut self, depth: usize) -> Result<Node, QueryError> {
        if depth > DEEPEST {
            return self.wrong("brackets are nested too deep");
        }
        match self.peek().cloned() {
            Some(Token::Not) => {
                self.at += 1;
                Ok(Node::Not(Box::new(self.one(depth + 1)?)))
            }
            Some(Token::Open) => {
                self.at += 1;
                let inner = self.or(depth + 1)?;
                if self.peek() != Some(&Token::Close) {
                    return self.wrong("a bracket is not closed");
                }
                self.at += 1;
                Ok(inner)
            }
            Some(Token::Term(term)) => {
                self.at += 1;
                Ok(Node::Term(term))
            }
            _ => self.wrong("a term is missing here"),
        }
    }
}

/// The field terms as a Sigma rule.
fn rule(node: &Node) -> Result<Value, QueryError> {
    let mut detection = Map::new();
    let condition = say(node, &mut detection);
    detection.insert("condition".to_owned(), Value::String(condition));
    Ok(json!({
        "title": "hunt",
        "logsource": {},
        "detection": detection,
    }))
}

fn say(node: &Node, detection: &mut Map<String, Value>) -> String {
    match node {
        Node::Term(term) => {
            let name = format!("t{}", detection.len());
            detection.insert(name.clone(), selection(term));
            name
        }
        Node::And(parts) => {
            let parts: Vec<String> = parts.iter().map(|p| say(p, detection)).collect();
            format!("({})", parts.join(" and "))
        }
        Node::Or(parts) => {
            let parts: Vec<String> = parts.iter().map(|p| say(p, detection)).collect();
            format!("({})", parts.join(" or "))
        }
        Node::Not(inner) => format!("not {}", say(inner, detection)),
    }
}

fn selection(term: &Term) -> Value {
    let Some(field) = &term.field else {
        return json!([term.value]);
    };
    match (term.operator, term.value.as_str()) {
        (":", "*") => json!({ format!("{field}|exists"): true }),
        (":", value) => json!({ field.clone(): value }),
        (operator, value) => {
            let modifier = match operator {
                ">" => "gt",
                ">=" => "gte",
                "<" => "lt",
                _ => "lte",
            };
            let number: Value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
            json!({ format!("{field}|{modifier}"): number })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_store_can_filter_is_asked_of_it() {
        let parsed = parse(r#"type:a.b "10.0.0." -noise user.name:ad* http.status>=500"#).unwrap();
        assert_eq!(parsed.attributes, [("type".to_owned(), "a.b".to_owned())]);
        assert_eq!(parsed.texts, [Phrase::new("10.0.0.")]);
        assert_eq!(parsed.without, [Phrase::new("noise")]);
        let rule = parsed.rule.unwrap();
        assert_eq!(rule["detection"]["t0"]["user.name"], "ad*");
        assert_eq!(rule["detection"]["t1"]["http.status|gte"], 500);
        assert_eq!(rule["detection"]["condition"], "(t0 and t1)");
    }

    #[test]
    fn alternatives_become_a_condition() {
        let parsed = parse("(a:1 or not (b:2 and c:*)) and word").unwrap();
        let rule = parsed.rule.unwrap();
        assert_eq!(rule["detection"]["condition"], "((t0 or not (t1 and t2)))");
        assert_eq!(parsed.texts, [Phrase::new("word")]);
        assert!(parse("").unwrap().rule.is_none());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_column() {
        for (text, column) in [
            ("a:", 3),
            ("(a:1", 5),
            ("a:1)", 4),
            ("\"x", 1),
            ("a>b", 3),
            ("a:1 or", 7),
            (":x", 1),
            ("und$:x", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().column, column, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_an_answer(text in ".{0,120}") {
            let _ = parse(&text);
        }

        #[test]
        fn any_words_of_the_language_give_an_answer(words in proptest::collection::vec(
            prop_oneof![Just("("), Just(")"), Just("and"), Just("or"), Just("not"), Just("-"),
                Just("a:b"), Just("a>1"), Just("\"q\""), Just("w")], 0..20)) {
            let _ = parse(&words.join(" "));
        }
    }
}
