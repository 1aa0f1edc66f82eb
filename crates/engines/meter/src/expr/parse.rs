//! Tokens into an expression.

use sealwright_money::exact;

use super::lex::{Token, tokens};
use super::{MAX_DEPTH, MAX_LENGTH, Node, Op, Path, Step};

/// A fault in an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// The byte offset of the fault.
    pub offset: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl ExprError {
    pub(super) fn at(offset: usize, message: String) -> Self {
        Self { offset, message }
    }
}

pub(super) fn expression(text: &str) -> Result<Node, ExprError> {
    if text.len() > MAX_LENGTH {
        let message = format!(
            "the expression has {} bytes: at most {MAX_LENGTH} are read",
            text.len()
        );
        return Err(ExprError::at(0, message));
    }
    let mut p = Parser {
        tokens: tokens(text)?,
        i: 0,
        end: text.len(),
        depth: 0,
    };
    let node = p.level(0)?;
    match p.tokens.get(p.i) {
        None => Ok(node),
        Some(_) => Err(p.error("expected an operator or the end of the expression")),
    }
}

/// The binary operators, loosest first; comparisons do not chain.
const LEVELS: [&[(&str, Op)]; 5] = [
    &[("or", Op::Or)],
    &[("and", Op::And)],
    &[
        ("==", Op::Eq),
        ("!=", Op::Ne),
        ("<=", Op::Le),
        (">=", Op::Ge),
        ("<", Op::Lt),
        (">", Op::Gt),
    ],
    &[("+", Op::Add), ("-", Op::Sub)],
    &[("*", Op::Mul), ("/", Op::Div)],
];
const COMPARE: usize = 2;

struct Parser {
    tokens: Vec<(usize, Token)>,
    i: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn error(&self, message: &str) -> ExprError {
        let offset = self.tokens.get(self.i).map_or(self.end, |(at, _)| *at);
        ExprError::at(offset, message.to_owned())
    }

    fn take(&mut self, word: &str) -> bool {
        let found = match self.tokens.get(self.i) {
            Some((_, Token::Symbol(s))) => *s == word,
            Some((_, Token::Name(n))) => n == word,
            _ => false,
        };
        self.i += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ExprError> {
        if self.take(symbol) {
            Ok(())
        } else {
            Err(self.error(&format!("expected `{symbol}`")))
        }
    }

    fn deeper<T>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T, ExprError>,
    ) -> Result<T, ExprError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(&format!("more than {MAX_DEPTH} levels of nesting")));
        }
        let result = f(self);
        self.depth -= 1;
        result
    }

    fn level(&mut self, level: usize) -> Result<Node, ExprError> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        if level == COMPARE && self.take("not") {
            let inner = self.deeper(|p| p.level(COMPARE))?;
            return Ok(Node::Not(Box::new(inner)));
        }
        let mut left = self.level(level + 1)?;
        let mut count = 0;
        while let Some((_, op)) = operators.iter().find(|(word, _)| self.take(word)) {
            count += 1;
            // A chain is nested to the left, so its length counts as depth when it is evaluated.
            if count > MAX_DEPTH {
                return Err(self.error(&format!(
                    "more than {MAX_DEPTH} operators in a row: use parentheses"
                )));
            }
            if level == COMPARE && count > 1 {
                return Err(self.error("comparisons do not chain: join them with `and`"));
            }
            let right = self.level(level + 1)?;
            left = Node::Binary(*op, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, ExprError> {
        if self.take("-") {
            let inner = self.deeper(Self::unary)?;
            return Ok(Node::Negate(Box::new(inner)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Node, ExprError> {
        let here = self.error("expected a value: a number, a string, a path or a parenthesis");
        let Some((_, token)) = self.tokens.get(self.i).cloned() else {
            return Err(here);
        };
        match token {
            Token::Number(text) => {
                let number =
                    exact::parse(&text).map_err(|e| ExprError::at(here.offset, e.to_string()))?;
                self.i += 1;
                Ok(Node::Number(number))
            }
            Token::Text(text) => {
                self.i += 1;
                Ok(Node::Text(text))
            }
            Token::Symbol("(") => {
                self.i += 1;
                let inner = self.deeper(|p| p.level(0))?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Symbol(_) => Err(here),
            Token::Name(name) => {
                if matches!(name.as_str(), "and" | "or" | "not") {
                    return Err(here);
                }
                self.i += 1;
                match name.as_str() {
                    "true" => Ok(Node::Bool(true)),
                    "false" => Ok(Node::Bool(false)),
                    _ if self.take("(") => self.call(&name, here.offset),
                    _ => self.path(name).map(Node::Path),
                }
            }
        }
    }

    fn call(&mut self, name: &str, at: usize) -> Result<Node, ExprError> {
        let node = match name {
            "default" => {
                let value = self.deeper(|p| p.level(0))?;
                self.expect(",")?;
                let fallback = self.deeper(|p| p.level(0))?;
                Node::Default(Box::new(value), Box::new(fallback))
            }
            "present" => match self.deeper(|p| p.level(0))? {
                Node::Path(path) => Node::Present(path),
                _ => return Err(ExprError::at(at, "`present` takes a path".to_owned())),
            },
            _ => {
                let message =
                    format!("unknown function `{name}`: known are `default` and `present`");
                return Err(ExprError::at(at, message));
            }
        };
        self.expect(")")?;
        Ok(node)
    }

    fn path(&mut self, attribute: String) -> Result<Path, ExprError> {
        let mut steps = Vec::new();
        loop {
            if self.take(".") {
                let Some((_, Token::Name(name))) = self.tokens.get(self.i) else {
                    return Err(
                        self.error("expected a name after `.`: other keys are written [\"key\"]")
                    );
                };
                steps.push(Step::Name(name.clone()));
                self.i += 1;
            } else if self.take("[") {
                let step = match self.tokens.get(self.i) {
                    Some((_, Token::Text(key))) => Some(Step::Name(key.clone())),
                    Some((_, Token::Number(n))) => n.parse().ok().map(Step::Index),
                    _ => None,
                };
                let Some(step) = step else {
                    return Err(self.error("expected an index from 0 or a key in quotes"));
                };
                steps.push(step);
                self.i += 1;
                self.expect("]")?;
            } else {
                break;
            }
            if steps.len() > MAX_DEPTH {
                return Err(self.error(&format!("more than {MAX_DEPTH} steps in a path")));
            }
        }
        let mut pointer = format!("/{}", escape(&attribute));
        for step in &steps {
            pointer.push('/');
            match step {
                Step::Name(name) => pointer.push_str(&escape(name)),
                Step::Index(i) => pointer.push_str(&i.to_string()),
            }
        }
        Ok(Path {
            attribute,
            steps,
            pointer,
        })
    }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
