//! One moment of a state, as text.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::schema::{Column, ColumnKind, Table, as_applied, tables};
use crate::migrate::{AppliedMigration, Component};
use crate::pool::Tx;
use crate::{Result, Row, Sql, SqlValue, Store, StoreError, sql};

/// One moment of a state. While it is held, nothing is held up: SQLite's log grows, and PostgreSQL keeps old
/// rows, until it is dropped.
#[derive(Debug)]
pub struct Snapshot {
    tx: Tx,
    applied: Vec<AppliedMigration>,
    tables: Vec<Table>,
    postgres: bool,
}

impl Store {
    /// The state as of now, with the tables of `components` as far as they were migrated.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`], [`StoreError::ChangedMigration`], [`StoreError::Unfinished`], or what the
    /// database said.
    pub async fn snapshot(&self, components: &[Component]) -> Result<Snapshot> {
        if self.being_filled().await? {
            return Err(StoreError::Unfinished(self.describe()));
        }
        self.moment(components).await
    }

    pub(super) async fn moment(&self, components: &[Component]) -> Result<Snapshot> {
        let mut tx = self.begin_reading().await?;
        // The first question begins the moment.
        let rows = tx
            .fetch_all(sql(
                "SELECT component, number, name, digest FROM schema_migration ORDER BY component, number",
            ))
            .await?;
        for component in components {
            self.known(component, &rows)?;
        }
        let applied = rows
            .iter()
            .map(|row| {
                Ok(AppliedMigration {
                    component: row.text("component")?,
                    number: row.int("number")?,
                    name: row.text("name")?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let tables = tables(&as_applied(components, &applied)?).await?;
        Ok(Snapshot {
            tx,
            applied,
            tables,
            postgres: self.shared(),
        })
    }
}

impl Snapshot {
    /// The migrations that the state has.
    pub fn applied(&self) -> &[AppliedMigration] {
        &self.applied
    }

    /// Its tables, each after those that it refers to.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Asks something else of the same moment.
    ///
    /// # Errors
    /// What the database said.
    pub async fn fetch_all(&mut self, sql: Sql) -> Result<Vec<Row>> {
        self.tx.fetch_all(sql).await
    }

    /// Writes the rows of a table, and says how many. `look` sees each text of a row.
    ///
    /// # Errors
    /// [`StoreError::Copy`] when a value is not of its column's type, or `out` refuses; what the database
    /// said.
    pub async fn write(
        &mut self,
        table: &Table,
        out: &mut (dyn Write + Send),
        look: &mut (dyn FnMut(&str) + Send),
    ) -> Result<u64> {
        let keyed = table.columns.iter().any(|c| c.key);
        let order: Vec<String> = table
            .columns
            .iter()
            .filter(|column| column.key || !keyed)
            .map(|column| self.sorted(column))
            .collect();
        let query = sql(format!(
            "SELECT {} FROM {} ORDER BY {}",
            table.names(),
            table.name,
            order.join(", ")
        ));
        let mut count = 0;
        let mut line = Vec::new();
        let failed = |detail: String| StoreError::Copy {
            table: table.name.clone(),
            detail,
        };
        self.tx
            .each(query, &mut |row| {
                line.clear();
                for (at, (value, column)) in row.values.iter().zip(&table.columns).enumerate() {
                    line.push(if at == 0 { b'[' } else { b',' });
                    if let SqlValue::Text(text) = value {
                        look(text);
                    }
                    put(&mut line, value, column.kind)
                        .map_err(|detail| failed(format!("`{}` holds {detail}", column.name)))?;
                }
                line.extend_from_slice(b"]\n");
                count += 1;
                out.write_all(&line).map_err(|e| failed(e.to_string()))
            })
            .await?;
        Ok(count)
    }

    /// By the bytes, as SQLite does it by itself, whatever the server's language is.
    fn sorted(&self, column: &Column) -> String {
        if self.postgres && column.kind == ColumnKind::Text {
            format!("{} COLLATE \"C\"", column.name)
        } else {
            column.name.clone()
        }
    }
}

fn put(line: &mut Vec<u8>, value: &SqlValue, kind: ColumnKind) -> Result<(), String> {
    let written = match (value, kind) {
        (SqlValue::Null, _) => line.write_all(b"null"),
        (SqlValue::Int(number), ColumnKind::Int) => write!(line, "{number}"),
        (SqlValue::Text(text), ColumnKind::Text) => {
            serde_json::to_writer(&mut *line, text).map_err(std::io::Error::from)
        }
        (SqlValue::Bytes(bytes), ColumnKind::Bytes) => {
            write!(line, "\"{}\"", STANDARD.encode(bytes))
        }
        (SqlValue::Real(number), ColumnKind::Real) if number.is_finite() => {
            serde_json::to_writer(&mut *line, number).map_err(std::io::Error::from)
        }
        (other, _) => return Err(format!("{}, which it should not", other.kind())),
    };
    written.map_err(|error| error.to_string())
}
