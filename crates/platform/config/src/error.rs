//! What can be wrong with a configuration.

use std::path::PathBuf;

/// An error in the configuration: where it is, what is wrong, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not TOML, or larger than a configuration is.
    #[error("{place}: {detail}")]
    Syntax {
        /// `file:line:column`.
        place: String,
        /// What the parser said.
        detail: String,
    },
    /// A key that does not exist.
    #[error("{place}: unknown key `{key}`{}", hint.as_ref().map(|h| format!("; did you mean `{h}`?")).unwrap_or_default())]
    UnknownKey {
        /// `file:line:column`, or the name of the variable or flag.
        place: String,
        /// The key as written.
        key: String,
        /// The nearest key that exists.
        hint: Option<String>,
    },
    /// A value that is not acceptable. A secret value is not repeated.
    #[error("{place}: `{key}` {detail}")]
    Value {
        /// As in [`Self::UnknownKey`].
        place: String,
        /// The key.
        key: String,
        /// What is wrong and what would be right.
        detail: String,
    },
}
