//! What all processes of one database must agree on.

use sealwright_core::UnixMicros;

use crate::{Component, Result, Store, sql};

/// The tables of this crate.
pub const COMPONENT: Component = crate::migrations!("store", 1 => "0001_init", 2 => "0002_process");

impl Store {
    /// The value that this database has under `name`: the first caller's stays, and everybody is told it. A
    /// process that brings another value belongs to another installation and must not go on.
    ///
    /// # Errors
    /// What the database said; [`COMPONENT`] must be applied.
    pub async fn claim(&self, name: &str, value: &str, now: UnixMicros) -> Result<String> {
        self.execute(
            sql(
                "INSERT INTO installation_claim (name, value, claimed_at) VALUES ($1, $2, $3)
                 ON CONFLICT (name) DO NOTHING",
            )
            .bind(name)
            .bind(value)
            .bind(now),
        )
        .await?;
        let row = self
            .fetch_one(sql("SELECT value FROM installation_claim WHERE name = $1").bind(name))
            .await?;
        row.text("value")
    }
}
