//! Filling an empty database from the text of its tables.

use std::io::BufRead;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealwright_core::Clock;
use serde_json::Value;

use super::MARK;
use super::schema::{ColumnKind, Table, as_applied, tables};
use crate::migrate::{AppliedMigration, Component};
use crate::{Param, Result, Store, StoreError, Tx, sql};

/// Rows of one statement, parameters of one statement (SQLite admits 32,766), and bytes of one.
const ROWS: usize = 500;
const PARAMETERS: usize = 30_000;
const BYTES: usize = 4 << 20;
/// Rows of one transaction.
const COMMIT: u64 = 50_000;

/// A database that is being filled. Until [`Import::finish`] a program refuses to start on it, and filling it
/// again starts over.
#[derive(Debug)]
pub struct Import {
    store: Store,
    tables: Vec<Table>,
}

impl Store {
    /// Whether the database is being filled, or was and that did not end.
    ///
    /// # Errors
    /// What the database said.
    pub async fn being_filled(&self) -> Result<bool> {
        Ok(self.table_names().await?.iter().any(|name| name == MARK))
    }

    async fn table_names(&self) -> Result<Vec<String>> {
        let rows = self
            .fetch_all(sql(self.choose(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'",
                "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.tables
                 WHERE table_schema = current_schema()",
            )))
            .await?;
        rows.iter().map(|row| row.text("name")).collect()
    }

    /// Begins to fill an empty database with the tables of `components` as far as `applied` goes. One that
    /// was being filled before is emptied first.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`], [`StoreError::NewerSchema`], or what the database said.
    pub async fn import(
        &self,
        components: &[Component],
        applied: &[AppliedMigration],
        clock: &dyn Clock,
    ) -> Result<Import> {
        let components = as_applied(components, applied)?;
        let tables = tables(&components).await?;
        let there = self.table_names().await?;
        if !there.is_empty() {
            if !there.iter().any(|name| name == MARK) {
                return Err(StoreError::NotEmpty(self.describe()));
            }
            let mut tx = self.begin().await?;
            // All of them were made by an import, perhaps of another copy: dependent ones first.
            let known = tables.iter().rev().map(|t| t.name.as_str());
            let known: Vec<&str> = known
                .filter(|name| there.iter().any(|one| one == name))
                .collect();
            let others = there.iter().map(String::as_str);
            let others = others.filter(|name| *name != MARK && !known.contains(name));
            for name in known.iter().copied().chain(others) {
                tx.execute(sql(format!("DROP TABLE {name}"))).await?;
            }
            tx.commit().await?;
        } else {
            self.execute(sql(format!(
                "CREATE TABLE {MARK} (began_at BIGINT NOT NULL)"
            )))
            .await?;
        }
        self.bring_up(&components, None, clock).await?;
        let mut tx = self.begin().await?;
        // Migrations put first rows into some tables.
        for table in tables.iter().rev() {
            tx.execute(sql(format!("DELETE FROM {}", table.name)))
                .await?;
        }
        tx.commit().await?;
        Ok(Import {
            store: self.clone(),
            tables,
        })
    }
}

impl Import {
    /// What is there now, to be compared with what it came from.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub async fn snapshot(&self, components: &[Component]) -> Result<super::Snapshot> {
        self.store.moment(components).await
    }

    /// The tables to be filled, in the order in which that must happen.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Reads the rows of a table, and says how many.
    ///
    /// # Errors
    /// [`StoreError::Copy`] with the line; what the database said.
    pub async fn read(&self, table: &Table, lines: &mut (dyn BufRead + Send)) -> Result<u64> {
        let most = (PARAMETERS / table.columns.len().max(1)).clamp(1, ROWS);
        let mut tx = self.store.begin().await?;
        let (mut number, mut open) = (0_u64, 0_u64);
        let (mut params, mut rows, mut bytes) = (Vec::new(), 0, 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            let failed = |detail: String| StoreError::Copy {
                table: table.name.clone(),
                detail: format!("line {}: {detail}", number + 1),
            };
            let length = lines
                .read_until(b'\n', &mut line)
                .map_err(|e| failed(e.to_string()))?;
            if length > 0 {
                params.extend(row(&line, table).map_err(failed)?);
                number += 1;
                rows += 1;
                bytes += length;
            }
            if rows > 0 && (length == 0 || rows == most || bytes >= BYTES) {
                let mut insert = sql(self.insert(table, rows));
                for param in params.drain(..) {
                    insert = insert.bind(param);
                }
                tx.execute(insert).await?;
                open += rows as u64;
                (rows, bytes) = (0, 0);
            }
            if length == 0 {
                break;
            }
            if open >= COMMIT {
                tx.commit().await?;
                tx = self.store.begin().await?;
                open = 0;
            }
        }
        self.go_on(table, &mut tx).await?;
        tx.commit().await?;
        Ok(number)
    }

    /// Numbers that the database gives go on behind the highest that is there. SQLite does so by itself.
    async fn go_on(&self, table: &Table, tx: &mut Tx) -> Result<()> {
        if !self.store.shared() {
            return Ok(());
        }
        let given = tx
            .fetch_all(
                sql(
                    "SELECT CAST(column_name AS TEXT) AS name FROM information_schema.columns
                     WHERE table_schema = current_schema() AND is_identity = 'YES' AND table_name = $1",
                )
                .bind(&table.name),
            )
            .await?;
        for row in given {
            let (table, column) = (&table.name, row.text("name")?);
            tx.fetch_all(sql(format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{column}'),
                               (SELECT COALESCE(MAX({column}), 0) + 1 FROM {table}), false)"
            )))
            .await?;
        }
        Ok(())
    }

    fn insert(&self, table: &Table, rows: usize) -> String {
        let width = table.columns.len();
        let marks: Vec<String> = (0..rows)
            .map(|row| {
                let of: Vec<String> = (1..=width)
                    .map(|i| format!("${}", row * width + i))
                    .collect();
                format!("({})", of.join(","))
            })
            .collect();
        // A number that the database gave is kept, where it would give another.
        let overriding = self.store.choose("", "OVERRIDING SYSTEM VALUE ");
        format!(
            "INSERT INTO {} ({}) {overriding}VALUES {}",
            table.name,
            table.names(),
            marks.join(",")
        )
    }

    /// Lets programs start on the database.
    ///
    /// # Errors
    /// What the database said.
    pub async fn finish(self) -> Result<()> {
        let mut tx = self.store.begin().await?;
        tx.execute(sql(format!("DROP TABLE {MARK}"))).await?;
        tx.commit().await
    }
}

/// The values of one line.
fn row(line: &[u8], table: &Table) -> Result<Vec<Param>, String> {
    let values: Vec<Value> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    if values.len() != table.columns.len() {
        return Err(format!(
            "{} values for {} columns",
            values.len(),
            table.columns.len()
        ));
    }
    values
        .into_iter()
        .zip(&table.columns)
        .map(|(value, column)| {
            let wrong = || format!("`{}` does not hold what it should", column.name);
            Ok(match (column.kind, value) {
                (ColumnKind::Text, Value::Null) => Param::Text(None),
                (ColumnKind::Int, Value::Null) => Param::Int(None),
                (ColumnKind::Real, Value::Null) => Param::Real(None),
                (ColumnKind::Bytes, Value::Null) => Param::Bytes(None),
                (ColumnKind::Text, Value::String(text)) => Param::Text(Some(text)),
                (ColumnKind::Int, Value::Number(number)) => {
                    Param::Int(Some(number.as_i64().ok_or_else(wrong)?))
                }
                (ColumnKind::Real, Value::Number(number)) => {
                    Param::Real(Some(number.as_f64().ok_or_else(wrong)?))
                }
                (ColumnKind::Bytes, Value::String(text)) => {
                    Param::Bytes(Some(STANDARD.decode(text).map_err(|_| wrong())?))
                }
                _ => return Err(wrong()),
            })
        })
        .collect()
}
