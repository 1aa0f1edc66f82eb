//! Migrations: each component (the platform's parts, each system) has its own numbered sequence,
//! with one text for each database under the same number.

use std::path::Path;

use sealwright_core::{Clock, Digest};
use serde::{Deserialize, Serialize};

use crate::{Result, Row, Store, StoreError, sql};

/// One step of a component's schema.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// 1, 2, 3 … within the component.
    pub number: u32,
    /// What it does, in kebab-case.
    pub name: &'static str,
    /// The text for SQLite.
    pub sqlite: &'static str,
    /// The text for PostgreSQL.
    pub postgres: &'static str,
}

/// Whose tables, and how they came to be.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// The crate's name without the prefix, e.g. `ledger`.
    pub name: &'static str,
    /// All migrations, in order.
    pub migrations: &'static [Migration],
}

/// A migration that the database has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedMigration {
    /// Whose tables.
    pub component: String,
    /// The migration's number.
    pub number: i64,
    /// The migration's name.
    pub name: String,
}

/// Declares a component's migrations from the two folders `migrations/sqlite` and
/// `migrations/postgres` beside `src`: `migrations!("ledger", 1 => "0001_init")`.
#[macro_export]
macro_rules! migrations {
    ($component:literal $(, $number:literal => $file:literal)+ $(,)?) => {
        $crate::Component {
            name: $component,
            migrations: &[$(
                $crate::Migration {
                    number: $number,
                    name: $file,
                    sqlite: include_str!(concat!(
                        env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite/", $file, ".sql"
                    )),
                    postgres: include_str!(concat!(
                        env!("CARGO_MANIFEST_DIR"), "/migrations/postgres/", $file, ".sql"
                    )),
                },
            )+],
        }
    };
}

impl Store {
    /// Brings the schema to what this program knows. Before anything is changed in a SQLite database
    /// that already holds tables, a copy is written into `backups` (when given).
    ///
    /// Each migration commits by itself; an interrupted upgrade continues at the next start.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`], [`StoreError::ChangedMigration`], [`StoreError::Unfinished`], or what the
    /// database said.
    pub async fn migrate(
        &self,
        components: &[Component],
        backups: Option<&Path>,
        clock: &dyn Clock,
    ) -> Result<Vec<AppliedMigration>> {
        if self.being_filled().await? {
            return Err(StoreError::Unfinished(self.describe()));
        }
        self.bring_up(components, backups, clock).await
    }

    pub(crate) async fn bring_up(
        &self,
        components: &[Component],
        backups: Option<&Path>,
        clock: &dyn Clock,
    ) -> Result<Vec<AppliedMigration>> {
        let mut tx = self.begin().await?;
        // Processes that start at the same time on an empty server make it one after the other.
        tx.lock("schema_migration").await?;
        tx.execute(sql("CREATE TABLE IF NOT EXISTS schema_migration (
                component TEXT NOT NULL,
                number BIGINT NOT NULL,
                name TEXT NOT NULL,
                digest TEXT NOT NULL,
                applied_at BIGINT NOT NULL,
                PRIMARY KEY (component, number)
            )"))
            .await?;
        tx.commit().await?;

        let rows = self
            .fetch_all(sql(
                "SELECT component, number, digest FROM schema_migration",
            ))
            .await?;
        let mut pending = Vec::new();
        for component in components {
            self.known(component, &rows)?;
            for migration in component.migrations {
                let done = rows.iter().any(|row| {
                    row.text("component").is_ok_and(|c| c == component.name)
                        && row
                            .int("number")
                            .is_ok_and(|n| n == i64::from(migration.number))
                });
                if !done {
                    pending.push((component.name, migration));
                }
            }
        }

        if !pending.is_empty() && !rows.is_empty() {
            self.backup_before_upgrade(backups, clock).await?;
        }
        let mut applied = Vec::with_capacity(pending.len());
        for (component, migration) in pending {
            self.apply(component, migration, clock).await?;
            applied.push(AppliedMigration {
                component: component.to_owned(),
                number: i64::from(migration.number),
                name: migration.name.to_owned(),
            });
        }
        Ok(applied)
    }

    /// Whether this program knows every migration of `component` among `rows`, as it was applied; the highest.
    pub(crate) fn known(&self, component: &Component, rows: &[Row]) -> Result<i64> {
        let mut highest = 0;
        for row in rows {
            if row.text("component")? != component.name {
                continue;
            }
            let number = row.int("number")?;
            let Some(migration) = component
                .migrations
                .iter()
                .find(|m| i64::from(m.number) == number)
            else {
                return Err(StoreError::NewerSchema {
                    component: component.name.to_owned(),
                    found: number,
                    known: component.migrations.len() as i64,
                });
            };
            if row.text("digest")? != self.digest(migration) {
                return Err(StoreError::ChangedMigration {
                    component: component.name.to_owned(),
                    number,
                });
            }
            highest = highest.max(number);
        }
        Ok(highest)
    }

    async fn backup_before_upgrade(&self, folder: Option<&Path>, clock: &dyn Clock) -> Result<()> {
        let Some(folder) = folder else { return Ok(()) };
        std::fs::create_dir_all(folder).map_err(|source| StoreError::File {
            path: folder.to_owned(),
            source,
        })?;
        let file = folder.join(format!("before-upgrade-{}.sqlite", clock.now().0));
        if let Some(copy) = self.copy_to(&file).await? {
            tracing::info!(copy = %copy.display(), "copied the database before upgrading it");
        }
        Ok(())
    }

    async fn apply(&self, component: &str, migration: &Migration, clock: &dyn Clock) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.lock("schema_migration").await?;
        let there = tx
            .fetch_optional(
                sql("SELECT number FROM schema_migration WHERE component = $1 AND number = $2")
                    .bind(component)
                    .bind(migration.number),
            )
            .await?;
        if there.is_some() {
            return tx.rollback().await;
        }
        tx.execute_script(self.choose(migration.sqlite, migration.postgres))
            .await?;
        tx.execute(
            sql(
                "INSERT INTO schema_migration (component, number, name, digest, applied_at)
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(component)
            .bind(migration.number)
            .bind(migration.name)
            .bind(self.digest(migration))
            .bind(clock.now()),
        )
        .await?;
        tx.commit().await
    }

    fn digest(&self, migration: &Migration) -> String {
        Digest::of(self.choose(migration.sqlite, migration.postgres).as_bytes()).to_string()
    }
}
