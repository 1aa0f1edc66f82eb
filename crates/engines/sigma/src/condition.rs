//! Conditions (rules specification, "Condition").
//!
//! Grammar, from least to most binding: `or`, `and`, `not`, `x of`, parentheses. Operators are
//! read without regard to case unless a search identifier has exactly that name. The pipe of the
//! old aggregation syntax is refused, as the correlation specification replaced it.

use crate::model::Condition;

const MAX_DEPTH: usize = 64;
const MAX_TOKENS: usize = 20_000;

/// A fault in a condition: what, and the character offset in the condition's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) hint: String,
    pub(crate) offset: usize,
}

fn fault<T>(offset: usize, message: impl Into<String>, hint: &str) -> Result<T, Fault> {
    Err(Fault {
        message: message.into(),
        hint: hint.to_owned(),
        offset,
    })
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Open,
    Close,
    Word(&'a str),
}

fn tokens(text: &str) -> Result<Vec<(Token<'_>, usize)>, Fault> {
    let mut out = Vec::new();
    let mut start: Option<(usize, usize)> = None;
    for (chars, (i, c)) in text.char_indices().enumerate() {
        let special = c.is_whitespace() || matches!(c, '(' | ')' | '|');
        if !special {
            start.get_or_insert((i, chars));
            continue;
        }
        if let Some((s, at)) = start.take() {
            out.push((Token::Word(&text[s..i]), at));
        }
        match c {
            '(' => out.push((Token::Open, chars)),
            ')' => out.push((Token::Close, chars)),
            '|' => {
                return fault(
                    chars,
                    "the pipe in conditions is not supported",
                    "aggregations are correlation rules since Sigma 2.0",
                );
            }
            _ => {}
        }
        if out.len() > MAX_TOKENS {
            return fault(
                chars,
                format!("more than {MAX_TOKENS} words in a condition"),
                "",
            );
        }
    }
    if let Some((s, at)) = start {
        out.push((Token::Word(&text[s..]), at));
    }
    Ok(out)
}

/// Reads a condition over the given names.
pub(crate) fn parse(text: &str, names: &[&str]) -> Result<Condition, Fault> {
    let mut p = Parser {
        tokens: tokens(text)?,
        at: 0,
        names,
        end: text.chars().count(),
    };
    let condition = p.or(0)?;
    match p.tokens.get(p.at) {
        None => Ok(condition),
        Some((Token::Close, o)) => fault(*o, "this parenthesis was never opened", ""),
        Some((t, o)) => fault(
            *o,
            format!("expected `and` or `or` before `{}`", word(*t)),
            "",
        ),
    }
}

fn word(t: Token<'_>) -> &str {
    match t {
        Token::Open => "(",
        Token::Close => ")",
        Token::Word(w) => w,
    }
}

struct Parser<'a> {
    tokens: Vec<(Token<'a>, usize)>,
    at: usize,
    names: &'a [&'a str],
    end: usize,
}

impl<'a> Parser<'a> {
    fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |t| t.1)
    }

    fn eat(&mut self, keyword: &str) -> bool {
        let hit = matches!(self.tokens.get(self.at), Some((Token::Word(w), _))
            if w.eq_ignore_ascii_case(keyword) && !self.names.contains(w));
        self.at += usize::from(hit);
        hit
    }

    fn or(&mut self, depth: usize) -> Result<Condition, Fault> {
        let mut all = vec![self.and(depth)?];
        while self.eat("or") {
            all.push(self.and(depth)?);
        }
        Ok(join(all, Condition::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Condition, Fault> {
        let mut all = vec![self.not(depth)?];
        while self.eat("and") {
            all.push(self.not(depth)?);
        }
        Ok(join(all, Condition::And))
    }

    fn not(&mut self, depth: usize) -> Result<Condition, Fault> {
        let mut negated = false;
        while self.eat("not") {
            negated = !negated;
        }
        let inner = self.primary(depth)?;
        Ok(if negated {
            Condition::Not(Box::new(inner))
        } else {
            inner
        })
    }

    fn primary(&mut self, depth: usize) -> Result<Condition, Fault> {
        let offset = self.offset();
        match self.tokens.get(self.at).map(|t| t.0) {
            None => fault(
                offset,
                "the condition ends where a search identifier is expected",
                "",
            ),
            Some(Token::Close) => fault(offset, "expected a search identifier before `)`", ""),
            Some(Token::Open) => {
                if depth >= MAX_DEPTH {
                    return fault(offset, format!("nested deeper than {MAX_DEPTH}"), "");
                }
                self.at += 1;
                let inner = self.or(depth + 1)?;
                if self.tokens.get(self.at).map(|t| t.0) != Some(Token::Close) {
                    return fault(offset, "this parenthesis is never closed", "");
                }
                self.at += 1;
                Ok(inner)
            }
            Some(Token::Word(w)) => {
                self.at += 1;
                if let Some(i) = self.names.iter().position(|n| *n == w) {
                    return Ok(Condition::Id(i));
                }
                if self.eat("of") {
                    return self.of(w, offset);
                }
                fault(
                    offset,
                    format!("there is no search identifier `{w}`"),
                    &format!("known are: {}", self.names.join(", ")),
                )
            }
        }
    }

    fn of(&mut self, quantifier: &str, offset: usize) -> Result<Condition, Fault> {
        let any = match quantifier.to_ascii_lowercase().as_str() {
            "1" | "any" => true,
            "all" => false,
            _ => {
                return fault(
                    offset,
                    format!("`{quantifier} of` is not part of Sigma"),
                    "write `1 of`, `any of` or `all of`",
                );
            }
        };
        let at = self.offset();
        let Some((Token::Word(pattern), _)) = self.tokens.get(self.at).copied() else {
            return fault(at, "expected `them` or a pattern after `of`", "");
        };
        self.at += 1;
        let them = pattern.eq_ignore_ascii_case("them") && !self.names.contains(&pattern);
        let hits: Vec<Condition> = self
            .names
            .iter()
            .enumerate()
            .filter(|(_, n)| {
                if them {
                    !n.starts_with('_')
                } else {
                    like(pattern, n)
                }
            })
            .map(|(i, _)| Condition::Id(i))
            .collect();
        if hits.is_empty() {
            return fault(
                at,
                format!("no search identifier is like `{pattern}`"),
                &format!("known are: {}", self.names.join(", ")),
            );
        }
        Ok(join(hits, if any { Condition::Or } else { Condition::And }))
    }
}

fn join(mut all: Vec<Condition>, group: fn(Vec<Condition>) -> Condition) -> Condition {
    if all.len() == 1 {
        all.remove(0)
    } else {
        group(all)
    }
}

/// `*` for any run of characters, everything else literal and case-sensitive.
fn like(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        let Some(i) = rest.find(piece) else {
            return false;
        };
        rest = &rest[i + piece.len()..];
    }
    rest.ends_with(last)
}
