//! Parameters as they go to either database, and rows as they come back.

use std::sync::Arc;

use futures::TryStreamExt as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Column as _, Row as _, TypeInfo as _, ValueRef as _};

use crate::sql::{Param, Row, Sql, SqlValue};
use crate::{Result, StoreError};

/// What is done with each row of an answer as it arrives.
pub(crate) type TakeRow<'a> = dyn FnMut(Row) -> Result<()> + Send + 'a;

pub(crate) type SqliteQuery =
    sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;
pub(crate) type PostgresQuery =
    sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// PostgreSQL's text holds no NUL; SQLite's is not given what the other could not hold.
fn storable(sql: &Sql) -> Result<()> {
    let nul = |param: &Param| matches!(param, Param::Text(Some(text)) if text.contains('\0'));
    if sql.params.iter().any(nul) {
        return Err(StoreError::Nul);
    }
    Ok(())
}

pub(crate) fn bind_sqlite(sql: Sql) -> Result<SqliteQuery> {
    storable(&sql)?;
    let mut query = sqlx::query(AssertSqlSafe(sql.text));
    for param in sql.params {
        query = match param {
            Param::Text(value) => query.bind(value),
            Param::Int(value) => query.bind(value),
            Param::Real(value) => query.bind(value),
            Param::Bytes(value) => query.bind(value),
        };
    }
    Ok(query)
}

pub(crate) fn bind_postgres(sql: Sql) -> Result<PostgresQuery> {
    storable(&sql)?;
    let mut query = sqlx::query(AssertSqlSafe(sql.text));
    for param in sql.params {
        query = match param {
            Param::Text(value) => query.bind(value),
            Param::Int(value) => query.bind(value),
            Param::Real(value) => query.bind(value),
            Param::Bytes(value) => query.bind(value),
        };
    }
    Ok(query)
}

pub(crate) async fn sqlite_all<'c, E>(executor: E, sql: Sql) -> Result<Vec<Row>>
where
    E: sqlx::Executor<'c, Database = sqlx::Sqlite>,
{
    let mut rows = Vec::new();
    sqlite_each(executor, sql, &mut |row| {
        rows.push(row);
        Ok(())
    })
    .await?;
    Ok(rows)
}

pub(crate) async fn sqlite_each<'c, E>(executor: E, sql: Sql, take: &mut TakeRow<'_>) -> Result<()>
where
    E: sqlx::Executor<'c, Database = sqlx::Sqlite>,
{
    let mut columns: Option<Arc<[String]>> = None;
    let mut stream = bind_sqlite(sql)?.fetch(executor);
    while let Some(row) = stream.try_next().await? {
        let names = columns
            .get_or_insert_with(|| row.columns().iter().map(|c| c.name().to_owned()).collect());
        let names = Arc::clone(names);
        let values = (0..names.len())
            .map(|i| sqlite_value(&row, i))
            .collect::<Result<_>>()?;
        take(Row {
            columns: names,
            values,
        })?;
    }
    Ok(())
}

fn sqlite_value(row: &SqliteRow, index: usize) -> Result<SqlValue> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(SqlValue::Null);
    }
    let kind = raw.type_info().name().to_owned();
    // The declared type is not asked: a SQLite value carries its own.
    Ok(match kind.as_str() {
        "INTEGER" | "BOOLEAN" => SqlValue::Int(row.try_get_unchecked(index)?),
        "REAL" => SqlValue::Real(row.try_get_unchecked(index)?),
        "BLOB" => SqlValue::Bytes(row.try_get_unchecked(index)?),
        _ => SqlValue::Text(row.try_get_unchecked(index)?),
    })
}

pub(crate) async fn postgres_all<'c, E>(executor: E, sql: Sql) -> Result<Vec<Row>>
where
    E: sqlx::Executor<'c, Database = sqlx::Postgres>,
{
    let mut rows = Vec::new();
    postgres_each(executor, sql, &mut |row| {
        rows.push(row);
        Ok(())
    })
    .await?;
    Ok(rows)
}

pub(crate) async fn postgres_each<'c, E>(
    executor: E,
    sql: Sql,
    take: &mut TakeRow<'_>,
) -> Result<()>
where
    E: sqlx::Executor<'c, Database = sqlx::Postgres>,
{
    let mut columns: Option<Arc<[String]>> = None;
    let mut stream = bind_postgres(sql)?.fetch(executor);
    while let Some(row) = stream.try_next().await? {
        let names = columns
            .get_or_insert_with(|| row.columns().iter().map(|c| c.name().to_owned()).collect());
        let names = Arc::clone(names);
        let values = (0..names.len())
            .map(|i| postgres_value(&row, i))
            .collect::<Result<_>>()?;
        take(Row {
            columns: names,
            values,
        })?;
    }
    Ok(())
}

fn postgres_value(row: &PgRow, index: usize) -> Result<SqlValue> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(SqlValue::Null);
    }
    let kind = raw.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "INT8" => SqlValue::Int(row.try_get(index)?),
        "INT4" => SqlValue::Int(i64::from(row.try_get::<i32, _>(index)?)),
        "BOOL" => SqlValue::Int(i64::from(row.try_get::<bool, _>(index)?)),
        "FLOAT8" => SqlValue::Real(row.try_get(index)?),
        "BYTEA" => SqlValue::Bytes(row.try_get(index)?),
        // SUM over BIGINT is NUMERIC in PostgreSQL: write `CAST(SUM(x) AS BIGINT)`, which both read.
        "TEXT" | "VARCHAR" | "NAME" | "BPCHAR" => SqlValue::Text(row.try_get(index)?),
        _ => {
            return Err(StoreError::Column {
                column: row.column(index).name().to_owned(),
                found: "a type outside of the common set (cast it in the query)",
                expected: "BIGINT, TEXT, DOUBLE PRECISION or bytes",
            });
        }
    })
}
