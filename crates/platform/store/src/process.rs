//! Who else works on this database, and where.

use sealwright_core::UnixMicros;

use crate::{Result, Store, sql};

/// Processes that were not seen for so long are forgotten.
const FORGOTTEN: i64 = 24 * 3_600 * 1_000_000;

/// A process that takes parts of others' questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Where the others reach it: `HOST:PORT`.
    pub address: String,
    /// How it calls itself to people.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// When it last said that it is there.
    pub seen_at: UnixMicros,
}

impl Store {
    /// Says that a process is there. Said again and again; who does not say so is not asked.
    ///
    /// # Errors
    /// What the database said; [`crate::COMPONENT`] must be applied.
    pub async fn announce(&self, process: &Process) -> Result<()> {
        self.execute(
            sql(
                "INSERT INTO installation_process (address, name, version, seen_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (address) DO UPDATE
                 SET name = excluded.name, version = excluded.version, seen_at = excluded.seen_at",
            )
            .bind(process.address.as_str())
            .bind(process.name.as_str())
            .bind(process.version.as_str())
            .bind(process.seen_at),
        )
        .await?;
        self.execute(
            sql("DELETE FROM installation_process WHERE seen_at < $1")
                .bind(process.seen_at.plus(-FORGOTTEN)),
        )
        .await?;
        Ok(())
    }

    /// Says that the process at an address is gone.
    ///
    /// # Errors
    /// What the database said.
    pub async fn depart(&self, address: &str) -> Result<()> {
        self.execute(sql("DELETE FROM installation_process WHERE address = $1").bind(address))
            .await?;
        Ok(())
    }

    /// The processes that were there at `since` or later, by address.
    ///
    /// # Errors
    /// What the database said.
    pub async fn processes(&self, since: UnixMicros) -> Result<Vec<Process>> {
        let rows = self
            .fetch_all(
                sql(
                    "SELECT address, name, version, seen_at FROM installation_process
                     WHERE seen_at >= $1 ORDER BY address",
                )
                .bind(since),
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Process {
                    address: row.text("address")?,
                    name: row.text("name")?,
                    version: row.text("version")?,
                    seen_at: UnixMicros(row.int("seen_at")?),
                })
            })
            .collect()
    }
}
