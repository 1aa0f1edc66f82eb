//! What can go wrong in the lake, and what the caller can do about it.

use std::path::{Path, PathBuf};

/// The result of a lake operation.
pub type Result<T, E = LakeError> = std::result::Result<T, E>;

/// An error of the lake.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// Another process writes to this lake.
    #[error(
        "the lake {} is being written by another process; stop it, or ask it over HTTP",
        path.display()
    )]
    InUse {
        /// The lake's folder.
        path: PathBuf,
    },
    /// The lake was opened for reading only.
    #[error("the lake was opened for reading only")]
    ReadOnly,
    /// There is no lake in this folder yet.
    #[error("there is no lake in {}; it is made when the first events arrive", path.display())]
    Missing {
        /// The lake's folder.
        path: PathBuf,
    },
    /// A file does not hold what it should.
    #[error(
        "{file} is damaged: {detail}; restore it from a backup, or run `sealwright doctor` to see what it held"
    )]
    Damaged {
        /// The file, relative to the lake where it is one of its files.
        file: String,
        /// What does not fit.
        detail: String,
    },
    /// The table was changed by a program that uses a feature that is refused here.
    #[error("{file} {detail}; this program reads only tables that it wrote itself")]
    Foreign {
        /// The file.
        file: String,
        /// The feature.
        detail: String,
    },
    /// No room to write; nothing of the operation was kept.
    #[error("the disk that holds the lake is full; nothing was written")]
    DiskFull,
    /// A file could not be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Events came in another order than the log has them.
    #[error("the lake expected the event at offset {expected} and was given {found}")]
    OutOfOrder {
        /// The next offset that the lake needs.
        expected: u64,
        /// The offset that came.
        found: u64,
    },
    /// A query is not valid or not allowed.
    #[error("{}{message}", place(*line, *column))]
    Query {
        /// What is wrong and what to do.
        message: String,
        /// The line in the query, from 1, where it is known.
        line: Option<u64>,
        /// The column in that line, from 1, where it is known.
        column: Option<u64>,
    },
    /// A query reached one of its limits.
    #[error(
        "the query reached its limit of {limit}; narrow it by type, tenant or time, or raise the limit"
    )]
    Limit {
        /// Which limit, with its value and unit.
        limit: String,
    },
    /// A filter or cursor is not understood.
    #[error("{0}")]
    Invalid(String),
    /// Readers of an older state did not finish in time; what they read was not removed.
    #[error(
        "{readers} running queries still read what is to be removed; try again when they have ended"
    )]
    Readers {
        /// How many.
        readers: usize,
    },
    /// Files in a bucket that are to be removed must stay for a while.
    #[error(
        "the rows are in no answer any more, but {files} files that held them, or may hold them, stay in the \
         bucket for readers and writers elsewhere; ask for it again in a few minutes"
    )]
    Waiting {
        /// How many.
        files: u64,
    },
    /// A bucket could not be used.
    #[error("{place}: {detail}")]
    Bucket {
        /// The object, or the bucket and prefix.
        place: String,
        /// What went wrong, and what to do.
        detail: String,
    },
    /// A legal hold forbids it.
    #[error("it is held: {detail}")]
    Held {
        /// What holds, and what to do.
        detail: String,
    },
    /// Whether something is held could not be found out: nothing goes.
    #[error("nothing was removed: {detail}")]
    HoldsUnknown {
        /// Why not.
        detail: String,
    },
    /// Anything else that the table format said.
    #[error("lake table: {0}")]
    Table(String),
}

fn place(line: Option<u64>, column: Option<u64>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: "),
        (Some(line), None) => format!("line {line}: "),
        _ => String::new(),
    }
}

impl LakeError {
    /// An operating system's error about `path`.
    pub(crate) fn file(path: &Path, source: std::io::Error) -> Self {
        if is_full(&source) {
            return Self::DiskFull;
        }
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// An error about a query, without a place.
    pub(crate) fn query(message: impl Into<String>) -> Self {
        Self::Query {
            message: message.into(),
            line: None,
            column: None,
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    )
}

/// Whether an I/O error that says "no space" is somewhere in the chain of causes.
fn chain_is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<std::io::Error>().is_some_and(is_full) {
            return true;
        }
        next = error.source();
    }
    false
}

impl From<deltalake::DeltaTableError> for LakeError {
    fn from(error: deltalake::DeltaTableError) -> Self {
        if chain_is_full(&error) {
            return Self::DiskFull;
        }
        Self::Table(error.to_string())
    }
}

impl From<datafusion::error::DataFusionError> for LakeError {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        use datafusion::error::DataFusionError as E;
        let place = error
            .diagnostic()
            .and_then(|d| d.span)
            .map(|span| (span.start.line, span.start.column));
        let root = error.find_root();
        match root {
            E::ResourcesExhausted(_) => Self::Limit {
                limit: "memory".to_owned(),
            },
            E::ParquetError(parquet) => Self::Damaged {
                file: "a data file".to_owned(),
                detail: parquet.to_string(),
            },
            E::ObjectStore(store) => Self::Table(store.to_string()),
            E::SQL(_, _) | E::Plan(_) | E::SchemaError(_, _) | E::NotImplemented(_) => {
                let text = first_line(&root.strip_backtrace());
                let (line, column) = place.unzip();
                let (parsed_line, parsed_column) = parser_place(&text).unzip();
                let message = plain_message(&text);
                Self::Query {
                    message,
                    line: line.or(parsed_line),
                    column: column.or(parsed_column),
                }
            }
            _ if chain_is_full(&error) => Self::DiskFull,
            _ => Self::query(plain_message(&first_line(&root.strip_backtrace()))),
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Without the names of the parts that the message went through.
fn plain_message(text: &str) -> String {
    let mut text = text;
    for prefix in [
        "SQL error: ",
        "ParserError(\"",
        "TokenizerError(\"",
        "Error during planning: ",
        "Schema error: ",
        "Internal error: ",
        "Execution error: ",
    ] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    for end in [" at Line: ", ", errors: ", "\")"] {
        text = text.split_once(end).map_or(text, |(before, _)| before);
    }
    text.to_owned()
}

/// The SQL parser ends its messages with `at Line: 1, Column: 8`.
fn parser_place(message: &str) -> Option<(u64, u64)> {
    let (_, rest) = message.rsplit_once("Line: ")?;
    let (line, rest) = rest.split_once(", Column: ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((line.parse().ok()?, digits.parse().ok()?))
}

impl From<LakeError> for sealwright_events::ConsumerError {
    fn from(error: LakeError) -> Self {
        Self::Other(error.to_string())
    }
}
