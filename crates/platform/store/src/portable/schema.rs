//! What tables a state of the migrations has.

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use crate::migrate::{AppliedMigration, Component};
use crate::wire::sqlite_all;
use crate::{Result, StoreError, sql};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// `TEXT`.
    Text,
    /// `BIGINT`.
    Int,
    /// `DOUBLE PRECISION`.
    Real,
    /// `BYTEA` / `BLOB`.
    Bytes,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether it is a part of the key.
    pub key: bool,
}

/// A table that a component made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The tables that its rows refer to.
    pub(super) needs: Vec<String>,
}

impl Table {
    /// The names of the columns, separated by commas.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
        names.join(", ")
    }
}

/// The components with as many of their migrations as `applied` names.
pub(super) fn as_applied(
    components: &[Component],
    applied: &[AppliedMigration],
) -> Result<Vec<Component>> {
    let newer = |one: &AppliedMigration, known: usize| StoreError::NewerSchema {
        component: one.component.clone(),
        found: one.number,
        known: known as i64,
    };
    if let Some(one) = applied
        .iter()
        .find(|one| components.iter().all(|c| c.name != one.component))
    {
        return Err(newer(one, 0));
    }
    components
        .iter()
        .map(|component| {
            let of = || applied.iter().filter(|one| one.component == component.name);
            let migrations = component
                .migrations
                .get(..of().count())
                .unwrap_or(component.migrations);
            for one in of() {
                let there = migrations
                    .iter()
                    .any(|m| i64::from(m.number) == one.number && m.name == one.name);
                if !there {
                    return Err(newer(one, component.migrations.len()));
                }
            }
            Ok(Component {
                name: component.name,
                migrations,
            })
        })
        .collect()
}

/// The tables that these components make, each after those that it refers to.
pub(super) async fn tables(components: &[Component]) -> Result<Vec<Table>> {
    let mut scratch = SqliteConnection::connect("sqlite::memory:").await?;
    for migration in components.iter().flat_map(|c| c.migrations) {
        sqlx::raw_sql(migration.sqlite)
            .execute(&mut scratch)
            .await?;
    }
    let named = sqlite_all(
        &mut scratch,
        sql(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'
             ORDER BY name",
        ),
    )
    .await?;
    let mut unordered = Vec::with_capacity(named.len());
    for row in named {
        let name = row.text("name")?;
        let mut columns = Vec::new();
        let of = "SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid";
        for row in sqlite_all(&mut scratch, sql(of).bind(&name)).await? {
            let kind = match row.text("type")?.as_str() {
                "TEXT" => ColumnKind::Text,
                "BIGINT" | "INTEGER" => ColumnKind::Int,
                "DOUBLE PRECISION" | "REAL" => ColumnKind::Real,
                "BLOB" => ColumnKind::Bytes,
                other => {
                    return Err(StoreError::Copy {
                        table: name,
                        detail: format!("a column of the type `{other}` is in no common set"),
                    });
                }
            };
            columns.push(Column {
                name: row.text("name")?,
                kind,
                key: row.int("pk")? > 0,
            });
        }
        let of = "SELECT DISTINCT \"table\" AS other FROM pragma_foreign_key_list($1)";
        let needs = sqlite_all(&mut scratch, sql(of).bind(&name))
            .await?
            .iter()
            .map(|row| row.text("other"))
            .filter(|other| other.as_ref().ok() != Some(&name))
            .collect::<Result<_>>()?;
        unordered.push(Table {
            name,
            columns,
            needs,
        });
    }
    scratch.close().await?;
    in_order(unordered)
}

fn in_order(mut rest: Vec<Table>) -> Result<Vec<Table>> {
    let mut done: Vec<Table> = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let ready = |table: &Table| {
            let there = |name: &String| done.iter().any(|d| d.name == *name);
            table.needs.iter().all(there)
        };
        let (now, later): (Vec<_>, Vec<_>) = rest.into_iter().partition(ready);
        if now.is_empty() {
            let table = later.into_iter().next().map(|t| t.name).unwrap_or_default();
            let detail = "it refers to tables that refer to it".to_owned();
            return Err(StoreError::Copy { table, detail });
        }
        done.extend(now);
        rest = later;
    }
    Ok(done)
}
