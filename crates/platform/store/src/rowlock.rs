//! Row-level security of PostgreSQL, from the program's side: telling the database whose rows may be seen, and
//! whether it holds to that.

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;

use crate::pool::{CONNECTIONS, Pools};
use crate::scope::RowScope;
use crate::wire::postgres_all;
use crate::{Result, Store, StoreError};

/// Whether the database itself holds each tenant's rows back from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecondLock {
    /// It does: row-level security of PostgreSQL.
    Holds,
    /// It would, but the role that the program uses is above it, or it was turned off; why, in words.
    Bypassed(String),
    /// SQLite has no such thing.
    Absent,
}

impl Store {
    /// Whether the database itself holds each tenant's rows back from others.
    ///
    /// # Errors
    /// What the database said.
    pub async fn second_lock(&self) -> Result<SecondLock> {
        let Pools::Postgres(pool) = &self.pools else {
            return Ok(SecondLock::Absent);
        };
        let asked =
            "SELECT CAST(rolname AS TEXT) AS name, rolsuper AS super, rolbypassrls AS bypass
                     FROM pg_roles WHERE rolname = current_user";
        let rows = postgres_all(pool, crate::sql(asked)).await?;
        let Some(row) = rows.first() else {
            return Ok(SecondLock::Holds);
        };
        let why = if row.bool("super")? {
            "is a superuser"
        } else if row.bool("bypass")? {
            "has BYPASSRLS"
        } else {
            return Self::without_policy(pool).await;
        };
        Ok(SecondLock::Bypassed(format!(
            "the role {} {why}",
            row.text("name")?
        )))
    }

    async fn without_policy(pool: &PgPool) -> Result<SecondLock> {
        let open = "SELECT CAST(c.relname AS TEXT) AS name FROM pg_class c
                    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
                    WHERE c.relkind = 'r' AND c.relnamespace = CAST(current_schema() AS regnamespace)
                      AND NOT (c.relrowsecurity AND c.relforcerowsecurity) ORDER BY 1";
        let rows = postgres_all(pool, crate::sql(open)).await?;
        let open = rows
            .iter()
            .map(|row| row.text("name"))
            .collect::<Result<Vec<_>>>()?;
        if open.is_empty() {
            return Ok(SecondLock::Holds);
        }
        Ok(SecondLock::Bypassed(format!(
            "row-level security is off for {}",
            open.join(", ")
        )))
    }
}

/// Begins a transaction in the scope of the running task. The scope travels with the `BEGIN`, so it costs no round
/// trip; it ends with the transaction, so a connection that goes back to the pool carries nothing to the next.
pub(crate) async fn begin_postgres(
    pool: &PgPool,
    begin: &str,
) -> Result<sqlx::Transaction<'static, sqlx::Postgres>> {
    // No quote is in it: an id of a tenant is made of letters, digits, `_` and `-`.
    let scope = RowScope::current().setting();
    let text = format!("{begin}; SET LOCAL sealwright.tenant = '{scope}'");
    let mut dead = 0;
    loop {
        let error = match pool.begin_with(AssertSqlSafe(text.clone())).await {
            Ok(tx) => return Ok(tx),
            Err(error @ (sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)) => {
                return Err(error.into());
            }
            Err(error) => StoreError::from(error),
        };
        // A connection that ended while it lay in the pool, as after a restart of the server, is dropped by the
        // pool then; each of them may be met once.
        dead += 1;
        if !matches!(error, StoreError::Unavailable(_)) || dead > CONNECTIONS {
            return Err(error);
        }
    }
}
