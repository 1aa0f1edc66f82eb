//! Texts with places for the file, the row and its columns: `{file}:{row}`.

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    File,
    Digest,
    Row,
    Column(String),
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

/// What the places stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    /// The file's name, without its folder.
    pub(super) file: &'a str,
    /// The first 16 digits of the SHA-256 of its (unpacked) content.
    pub(super) digest: &'a str,
    /// The row's number, from 1.
    pub(super) row: u64,
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                literal.push(c);
                rest = after;
            } else if c == '{' {
                let (name, after) = rest[1..]
                    .split_once('}')
                    .ok_or("a `{` has no `}`; write `{{` for the character itself")?;
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(match name {
                    "file" => Part::File,
                    "digest" => Part::Digest,
                    "row" => Part::Row,
                    other => match other.strip_prefix("column:") {
                        Some(column) if !column.is_empty() => Part::Column(column.to_owned()),
                        _ => {
                            return Err(format!(
                                "`{{{other}}}` is not known; there are {{file}}, {{digest}}, {{row}} and {{column:NAME}}"
                            ));
                        }
                    },
                });
                rest = after;
            } else {
                literal.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        if parts.is_empty() {
            return Err("the text is empty".to_owned());
        }
        Ok(Self(parts))
    }

    /// The columns that it reads.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Column(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The text for a row; the error is the column that has no value.
    pub(super) fn fill(
        &self,
        names: Names<'_>,
        mut column: impl FnMut(&str) -> Option<String>,
    ) -> Result<String, String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::File => out.push_str(names.file),
                Part::Digest => out.push_str(names.digest),
                Part::Row => out.push_str(&names.row.to_string()),
                Part::Column(name) => {
                    out.push_str(&column(name).ok_or_else(|| name.clone())?);
                }
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled() {
        let names = Names {
            file: "a.csv",
            digest: "0f",
            row: 7,
        };
        let fill = |text: &str| {
            Template::parse(text)
                .unwrap()
                .fill(names, |name| (name == "k").then(|| "v".to_owned()))
        };
        assert_eq!(fill("{file}/{digest}:{row}").unwrap(), "a.csv/0f:7");
        assert_eq!(fill("{{{column:k}}}").unwrap(), "{v}");
        assert_eq!(fill("{column:x}"), Err("x".to_owned()));
        assert!(Template::parse("{rows}").is_err());
        assert!(Template::parse("{row").is_err());
        assert!(Template::parse("").is_err());
    }
}
