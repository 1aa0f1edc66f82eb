//! The mapping file: which column of a row is what of an event.

use std::collections::BTreeMap;

use sealwright_core::Digest;
use serde::Deserialize;

use super::ImportError;
use super::template::Template;
use super::time::TimeRule;

/// Bytes of a mapping file at most.
pub const MAX_MAPPING_BYTES: usize = 256 << 10;

/// Data fields of a mapping at most.
const MAX_FIELDS: usize = 200;

/// The notation of an import file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// RFC 4180, with a header.
    Csv,
    /// A JSON object a line.
    Ndjson,
    /// A JSON array of objects.
    Json,
    /// Apache Parquet.
    Parquet,
    /// CloudEvents 1.0 in the JSON format: one a line, or an array of them.
    CloudEvents,
}

/// What a value becomes in the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// A number; all digits are kept.
    Number,
    /// A string.
    Text,
    /// `true` or `false`.
    Boolean,
}

/// Where the value of a data field comes from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    Column {
        name: String,
        kind: Option<Kind>,
        optional: bool,
    },
    Constant(serde_json::Value),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldText {
    column: Option<String>,
    #[serde(rename = "as")]
    kind: Option<Kind>,
    #[serde(default)]
    optional: bool,
    constant: Option<toml::Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeText {
    column: String,
    #[serde(default = "rfc3339")]
    format: String,
    zone: Option<String>,
    base: Option<String>,
}

fn rfc3339() -> String {
    "rfc3339".to_owned()
}

/// Rows that are left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Skip {
    pub(super) column: String,
    pub(super) equals: Option<String>,
    #[serde(default)]
    pub(super) empty: bool,
}

/// Input tokens that a prefix cache would have served, from the ids of a request's blocks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrefixCache {
    /// The column with the list of ids.
    pub(super) blocks: String,
    /// Tokens of a block.
    pub(super) block_tokens: u64,
    /// The data field that is made smaller.
    pub(super) input: String,
    /// The data field that gets the difference.
    pub(super) cached: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingText {
    format: FileFormat,
    #[serde(rename = "type")]
    event_type: Option<String>,
    source: Option<String>,
    id: Option<String>,
    subject: Option<String>,
    time: Option<TimeText>,
    #[serde(default)]
    data: BTreeMap<String, FieldText>,
    #[serde(default)]
    skip: Vec<Skip>,
    prefix_cache: Option<PrefixCache>,
}

/// A checked mapping.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub(super) format: FileFormat,
    pub(super) rules: Option<Rules>,
    digest: Digest,
}

/// How a row becomes an event; absent for CloudEvents, which are events already.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) event_type: Template,
    pub(super) source: Template,
    pub(super) id: Template,
    pub(super) subject: Option<Template>,
    pub(super) time: TimeRule,
    pub(super) data: Vec<(String, Origin)>,
    pub(super) skip: Vec<Skip>,
    pub(super) prefix_cache: Option<PrefixCache>,
}

impl Mapping {
    /// The mapping for files of CloudEvents, which need none.
    pub fn cloud_events() -> Self {
        Self {
            format: FileFormat::CloudEvents,
            rules: None,
            digest: Digest::of(b"cloudevents"),
        }
    }

    /// Reads a mapping file (TOML). `file` is used in messages only.
    ///
    /// # Errors
    /// What is wrong, with its place.
    pub fn parse(file: &str, text: &str) -> Result<Self, ImportError> {
        let wrong = |detail: String| ImportError::Mapping {
            place: file.to_owned(),
            detail,
        };
        if text.len() > MAX_MAPPING_BYTES {
            return Err(wrong(format!(
                "the mapping has {} bytes; at most {MAX_MAPPING_BYTES} are read",
                text.len()
            )));
        }
        let read: MappingText = toml::from_str(text).map_err(|error| ImportError::Mapping {
            place: place(file, text, error.span().map(|span| span.start)),
            detail: error.message().to_owned(),
        })?;
        let digest = Digest::of(text.as_bytes());
        if read.format == FileFormat::CloudEvents {
            if read.event_type.is_some() || read.time.is_some() || !read.data.is_empty() {
                return Err(wrong(
                    "files of the format `cloudevents` hold whole events: leave out everything but `format`"
                        .to_owned(),
                ));
            }
            return Ok(Self {
                format: read.format,
                rules: None,
                digest,
            });
        }
        let template = |name: &str, text: &str| {
            Template::parse(text).map_err(|detail| wrong(format!("`{name}`: {detail}")))
        };
        let event_type = read.event_type.ok_or_else(|| {
            wrong("`type` is missing: the events' type, such as sealwright.usage.ai.v1".into())
        })?;
        let time = read.time.ok_or_else(|| {
            wrong("`[time]` is missing: the column that says when it happened".into())
        })?;
        if read.data.len() > MAX_FIELDS {
            return Err(wrong(format!(
                "there are more than {MAX_FIELDS} data fields"
            )));
        }
        let mut data = Vec::with_capacity(read.data.len());
        for (name, field) in read.data {
            if name.split('.').any(str::is_empty) {
                return Err(wrong(format!("`data.{name}`: the path has an empty part")));
            }
            let origin = match (field.column, field.constant) {
                (Some(column), None) => Origin::Column {
                    name: column,
                    kind: field.kind,
                    optional: field.optional,
                },
                (None, Some(value)) if field.kind.is_none() && !field.optional => {
                    Origin::Constant(constant(&value).ok_or_else(|| {
                        wrong(format!(
                            "`data.{name}`: a constant is a string, a whole number or a truth value \
                             (write other decimals as strings: meters read them exactly)"
                        ))
                    })?)
                }
                _ => {
                    return Err(wrong(format!(
                        "`data.{name}` has either `column` (with `as`, `optional`) or `constant`"
                    )));
                }
            };
            data.push((name, origin));
        }
        for skip in &read.skip {
            if skip.equals.is_some() == skip.empty {
                return Err(wrong(format!(
                    "`skip` of column `{}` has either `equals` or `empty = true`",
                    skip.column
                )));
            }
        }
        if let Some(cache) = &read.prefix_cache {
            if cache.block_tokens == 0 {
                return Err(wrong("`prefix_cache.block_tokens` is zero".to_owned()));
            }
            if !data.iter().any(|(name, _)| *name == cache.input) {
                return Err(wrong(format!(
                    "`prefix_cache.input` names `{}`, which is no data field of this mapping",
                    cache.input
                )));
            }
        }
        let rules = Rules {
            event_type: template("type", &event_type)?,
            source: template("source", read.source.as_deref().unwrap_or("/import"))?,
            id: template("id", read.id.as_deref().unwrap_or("{digest}:{row}"))?,
            subject: read
                .subject
                .as_deref()
                .map(|text| template("subject", text))
                .transpose()?,
            time: TimeRule::new(
                time.column,
                &time.format,
                time.zone.as_deref(),
                time.base.as_deref(),
            )
            .map_err(|detail| wrong(format!("`[time]`: {detail}")))?,
            data,
            skip: read.skip,
            prefix_cache: read.prefix_cache,
        };
        Ok(Self {
            format: read.format,
            rules: Some(rules),
            digest,
        })
    }

    /// The notation of the files.
    pub fn format(&self) -> FileFormat {
        self.format
    }

    /// SHA-256 of the mapping's text: another mapping of the same file is another import.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

fn constant(value: &toml::Value) -> Option<serde_json::Value> {
    match value {
        toml::Value::String(text) => Some(text.clone().into()),
        toml::Value::Integer(number) => Some((*number).into()),
        toml::Value::Boolean(truth) => Some((*truth).into()),
        _ => None,
    }
}

/// `file:line:column` of a byte of `text`.
fn place(file: &str, text: &str, at: Option<usize>) -> String {
    let Some(before) = at.and_then(|at| text.get(..at)) else {
        return file.to_owned();
    };
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("{file}:{line}:{column}")
}
