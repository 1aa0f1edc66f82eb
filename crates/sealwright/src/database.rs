//! The database beside other files, for commands that look at an installation without holding it.

use anyhow::Result;
use sealwright_config::Config;
use sealwright_store::{Store, StoreError, StoreUrl};

use crate::installation::store_url;

/// What is there.
pub(crate) enum Database {
    /// No file: nothing was ever stored, or the folder is a copy without its database.
    Absent,
    /// Open. A running server is not disturbed.
    Open(Store),
    /// There, and cannot be read.
    Unreadable(String),
}

impl Database {
    /// Looks, and makes nothing.
    ///
    /// # Errors
    /// When the configured URL is no URL, or a server does not answer: that says nothing about its data.
    pub(crate) async fn look(config: &Config) -> Result<Self> {
        let url = store_url(config)?;
        if let StoreUrl::Sqlite(path) = &url
            && !path.is_file()
        {
            return Ok(Self::Absent);
        }
        match Store::open(&url).await {
            Ok(store) => Ok(Self::Open(store)),
            Err(error @ StoreError::Corrupt { .. }) => Ok(Self::Unreadable(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// The database as the ledger's commands take it.
    pub(crate) fn of_ledger(&self) -> sealwright_ledger::cli::Database<'_> {
        match self {
            Self::Absent => sealwright_ledger::cli::Database::Absent,
            Self::Open(store) => sealwright_ledger::cli::Database::Open(store),
            Self::Unreadable(why) => sealwright_ledger::cli::Database::Unreadable(why),
        }
    }

    /// Lets go of it.
    pub(crate) async fn close(self) {
        if let Self::Open(store) = self {
            store.close().await;
        }
    }
}
