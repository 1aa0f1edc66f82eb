//! What can go wrong between a service and its rows.

use std::path::PathBuf;

use sealwright_core::Problem;

/// An error of the store. Errors that a caller can act on have their own variant.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the data folder, or the SQLite file.
    #[error(
        "{} is in use by another sealwright process ({holder}); \
         stop it, give this one another --data folder, or use its HTTP interface",
        path.display()
    )]
    InUse {
        /// The folder or file.
        path: PathBuf,
        /// What the holder wrote about itself, e.g. `process 4711 since 2026-11-22T10:00:00Z`.
        holder: String,
    },
    /// The schema was written by a newer program.
    #[error(
        "the {component} tables are at migration {found}, and this program knows migrations up to {known}; \
         run the newer program, or restore the backup that the upgrade made"
    )]
    NewerSchema {
        /// Whose tables.
        component: String,
        /// The highest migration in the database.
        found: i64,
        /// The highest migration that this program knows.
        known: i64,
    },
    /// A migration that was applied differs from the one in this program.
    #[error(
        "migration {component} {number} was changed after it had been applied to this database"
    )]
    ChangedMigration {
        /// Whose tables.
        component: String,
        /// The migration's number.
        number: i64,
    },
    /// The database file cannot be read as a database.
    #[error(
        "the database {what} is damaged ({detail}); run `sealwright doctor`, and restore a backup with \
         the newest state if it confirms the damage"
    )]
    Corrupt {
        /// The file or database.
        what: String,
        /// What the database said.
        detail: String,
    },
    /// No room to write; nothing of the transaction was kept.
    #[error("the disk that holds the database is full; nothing was written")]
    DiskFull,
    /// A unique key or another constraint refused the row.
    #[error("a constraint refused the row: {0}")]
    Constraint(String),
    /// Lost a race with another writer; the whole transaction may be tried again.
    #[error("another writer came first; try again")]
    Contended,
    /// A text with U+0000, which no database here keeps.
    #[error("a text holds the character U+0000; leave it out")]
    Nul,
    /// The database cannot be reached, or ended the connection; whether a commit that was on its way took effect
    /// cannot be told.
    #[error("the database cannot be reached now: {0}")]
    Unavailable(String),
    /// A row did not have the form that the code expects.
    #[error("column `{column}` holds {found}, expected {expected}")]
    Column {
        /// The column's name.
        column: String,
        /// What is there.
        found: &'static str,
        /// What was asked for.
        expected: &'static str,
    },
    /// The database was to be filled from a copy, and that did not end.
    #[error(
        "{0} is filled from a copy, and that has not ended; let it end, or run the same command again: it \
         starts over"
    )]
    Unfinished(String),
    /// A database that is to be filled from a copy holds something already.
    #[error("{0} is not empty; name a database that holds no tables")]
    NotEmpty(String),
    /// A copy of a table cannot be read or written.
    #[error("the copy of the table `{table}`: {detail}")]
    Copy {
        /// Which table.
        table: String,
        /// What is wrong, with the line where it is one.
        detail: String,
    },
    /// The URL of the store is not understood.
    #[error("`{0}` is neither sqlite:PATH nor postgres://…")]
    Url(String),
    /// A file of the store could not be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Anything else that the database said.
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// The problem for a client of the HTTP interface, where the client can do something about it: send something
    /// else, or the same again later. What is left is a fault of ours.
    pub fn problem(&self) -> Option<Problem> {
        match self {
            Self::Nul => Some(Problem::invalid(self.to_string())),
            Self::Contended => Some(Problem::unavailable("another writer came first; try again")),
            Self::DiskFull => Some(Problem::unavailable(
                "the server's disk is full; nothing was written",
            )),
            Self::Unavailable(_) => {
                tracing::warn!(error = %self, "a request was turned away");
                Some(Problem::unavailable(
                    "the database cannot be reached; try again",
                ))
            }
            _ => None,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let Some(db) = error.as_database_error() else {
            return match error {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => Self::Unavailable(error.to_string()),
                _ => Self::Database(error),
            };
        };
        let code = db.code().map(|c| c.into_owned()).unwrap_or_default();
        let message = db.message().to_owned();
        if db.is_unique_violation()
            || db.is_foreign_key_violation()
            || db.is_check_violation()
            || matches!(code.as_str(), "23502" | "1299" | "275")
        {
            return Self::Constraint(message);
        }
        // SQLite: primary result codes in the low byte; PostgreSQL: SQLSTATE of five characters.
        let sqlite = (code.len() < 5)
            .then(|| code.parse::<i32>().ok())
            .flatten()
            .map(|c| c & 0xff);
        match (sqlite, code.as_str()) {
            (Some(5 | 6), _) | (None, "40001" | "40P01" | "55P03") => Self::Contended,
            (Some(11 | 26), _) | (None, "XX001" | "XX002") => Self::Corrupt {
                what: "file".to_owned(),
                detail: message,
            },
            (Some(13), _) | (None, "53100") => Self::DiskFull,
            // Shut down, starting up, too many connections, and the class of broken connections.
            (None, "57P01" | "57P02" | "57P03" | "53300") => Self::Unavailable(message),
            (None, code) if code.starts_with("08") => Self::Unavailable(message),
            _ => Self::Database(error),
        }
    }
}
