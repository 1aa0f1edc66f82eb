//! Connections to either database.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sealwright_core::Digest;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::rowlock::begin_postgres;
use crate::sql::{Row, Sql};
use crate::wire::{
    TakeRow, bind_postgres, bind_sqlite, postgres_all, postgres_each, sqlite_all, sqlite_each,
};
use crate::{Result, StoreError};

/// Connections of a process to PostgreSQL.
pub(crate) const CONNECTIONS: u32 = 16;

/// Where the state lives.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server, or what speaks its protocol.
    Postgres(String),
}

impl FromStr for StoreUrl {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.is_empty() {
                return Ok(Self::Sqlite(PathBuf::from(path)));
            }
        } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err(StoreError::Url(text.chars().take(40).collect()))
    }
}

impl StoreUrl {
    /// Whether several processes may work on what is there at the same time.
    pub fn shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

impl std::fmt::Debug for StoreUrl {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                let host = url.rsplit('@').next().unwrap_or_default();
                write!(f, "postgres://{}", host.trim_start_matches("postgres://"))
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Pools {
    /// SQLite admits one writer; a pool of one connection makes writers queue in the program, in
    /// order, instead of meeting `SQLITE_BUSY`.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
        file: PathBuf,
    },
    Postgres(PgPool),
}

/// The state of an installation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pools: Pools,
}

/// A write transaction: everything in it happens, or nothing does. Dropping it without
/// [`Tx::commit`] rolls it back.
#[derive(Debug)]
pub struct Tx {
    inner: TxInner,
}

#[derive(Debug)]
enum TxInner {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

/// SQLite ends a transaction by itself when the disk is full, and the connection is then taken for one that is in a
/// transaction for ever. It is given up for a new one.
async fn begin_sqlite(writer: &SqlitePool) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>> {
    const BEGIN: &str = "BEGIN IMMEDIATE";
    match writer.begin_with(BEGIN).await {
        Err(sqlx::Error::InvalidSavePointStatement) => {
            writer.acquire().await?.close().await?;
            Ok(writer.begin_with(BEGIN).await?)
        }
        begun => Ok(begun?),
    }
}

impl Store {
    /// Opens the database, creating a SQLite file that is not there.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the file is not a database; [`StoreError::Database`] when the
    /// server cannot be reached.
    pub async fn open(url: &StoreUrl) -> Result<Self> {
        let pools = match url {
            StoreUrl::Sqlite(path) => Self::open_sqlite(path).await?,
            StoreUrl::Postgres(url) => {
                let options = PgConnectOptions::from_str(url)?.application_name("sealwright");
                Pools::Postgres(
                    PgPoolOptions::new()
                        .max_connections(CONNECTIONS)
                        .acquire_timeout(Duration::from_secs(10))
                        // The first statement on a connection is a transaction's beginning, which finds out
                        // by itself whether the connection still lives: see `begin_postgres`.
                        .test_before_acquire(false)
                        .connect_with(options)
                        .await?,
                )
            }
        };
        Ok(Self { pools })
    }

    async fn open_sqlite(path: &Path) -> Result<Pools> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Acknowledged means durable: every commit reaches the disk.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(30))
            .pragma("trusted_schema", "OFF")
            .pragma("cache_size", "-16384");
        let named = |error: sqlx::Error| match StoreError::from(error) {
            StoreError::Corrupt { detail, .. } => StoreError::Corrupt {
                what: path.display().to_string(),
                detail,
            },
            other => other,
        };
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(60))
            .connect_with(options.clone())
            .await
            .map_err(named)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(8)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await
            .map_err(named)?;
        Ok(Pools::Sqlite {
            writer,
            readers,
            file: path.to_owned(),
        })
    }

    /// Starts a write transaction. On SQLite it holds the only writer until it ends. It sees and writes the rows of
    /// the scope in which it was begun ([`crate::within`]), to its end.
    ///
    /// # Errors
    /// When no connection is to be had in time.
    pub async fn begin(&self) -> Result<Tx> {
        let inner = match &self.pools {
            Pools::Sqlite { writer, .. } => TxInner::Sqlite(begin_sqlite(writer).await?),
            Pools::Postgres(pool) => TxInner::Postgres(begin_postgres(pool, "BEGIN").await?),
        };
        Ok(Tx { inner })
    }

    /// A transaction that only reads, and sees one moment until it ends. Writers are not held up.
    pub(crate) async fn begin_reading(&self) -> Result<Tx> {
        let inner = match &self.pools {
            Pools::Sqlite { readers, .. } => TxInner::Sqlite(readers.begin().await?),
            Pools::Postgres(pool) => TxInner::Postgres(
                begin_postgres(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?,
            ),
        };
        Ok(Tx { inner })
    }

    /// All rows of a query that only reads, outside of any transaction, as of now.
    ///
    /// # Errors
    /// What the database said.
    pub async fn fetch_all(&self, sql: Sql) -> Result<Vec<Row>> {
        match &self.pools {
            Pools::Sqlite { readers, .. } => sqlite_all(readers, sql).await,
            Pools::Postgres(pool) => {
                // A transaction, since that is what the scope is told to. Its end is not waited for.
                let mut tx = begin_postgres(pool, "BEGIN READ ONLY").await?;
                postgres_all(&mut *tx, sql).await
            }
        }
    }

    /// The first row of a query, if it has one.
    ///
    /// # Errors
    /// What the database said.
    pub async fn fetch_optional(&self, sql: Sql) -> Result<Option<Row>> {
        Ok(self.fetch_all(sql).await?.into_iter().next())
    }

    /// The first row of a query that always has one, e.g. an aggregate.
    ///
    /// # Errors
    /// [`StoreError::Database`] with "no rows" when there is none.
    pub async fn fetch_one(&self, sql: Sql) -> Result<Row> {
        self.fetch_optional(sql)
            .await?
            .ok_or(StoreError::Database(sqlx::Error::RowNotFound))
    }

    /// One statement in a transaction of its own; the number of rows that it changed.
    ///
    /// # Errors
    /// What the database said.
    pub async fn execute(&self, sql: Sql) -> Result<u64> {
        let mut tx = self.begin().await?;
        let changed = tx.execute(sql).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Writes a consistent copy of the state beside it before something risky happens. SQLite is
    /// copied into `to`; a PostgreSQL server has its own backups, and `None` says that none was made.
    ///
    /// # Errors
    /// When the copy cannot be written.
    pub async fn copy_to(&self, to: &Path) -> Result<Option<PathBuf>> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => {
                sqlx::query("VACUUM INTO $1")
                    .bind(to.display().to_string())
                    .execute(writer)
                    .await?;
                Ok(Some(to.to_owned()))
            }
            Pools::Postgres(_) => Ok(None),
        }
    }

    /// Asks the database whether its own structures are sound; the problems that it names.
    ///
    /// # Errors
    /// When the question itself cannot be answered.
    pub async fn check(&self) -> Result<Vec<String>> {
        match &self.pools {
            Pools::Sqlite { readers, .. } => {
                let rows = sqlite_all(readers, crate::sql("PRAGMA integrity_check(20)")).await?;
                let mut problems = Vec::new();
                for row in rows {
                    let text = row.text("integrity_check")?;
                    if text != "ok" {
                        problems.push(text);
                    }
                }
                Ok(problems)
            }
            Pools::Postgres(pool) => {
                postgres_all(pool, crate::sql("SELECT 1::BIGINT AS one")).await?;
                Ok(Vec::new())
            }
        }
    }

    /// How to call this store in messages, without secrets.
    pub fn describe(&self) -> String {
        match &self.pools {
            Pools::Sqlite { file, .. } => format!("SQLite {}", file.display()),
            Pools::Postgres(pool) => {
                let options = pool.connect_options();
                format!(
                    "PostgreSQL {}:{}/{}",
                    options.get_host(),
                    options.get_port(),
                    options.get_database().unwrap_or("")
                )
            }
        }
    }

    /// Whether several processes may work on this state at the same time.
    pub fn shared(&self) -> bool {
        match &self.pools {
            Pools::Sqlite { .. } => false,
            Pools::Postgres(_) => true,
        }
    }

    /// How many connections other processes of this program have to the same database. Ask right after opening:
    /// this process's own, but the first, are counted too.
    ///
    /// # Errors
    /// What the database said.
    pub async fn connections_of_others(&self) -> Result<u64> {
        match &self.pools {
            Pools::Sqlite { .. } => Ok(0),
            Pools::Postgres(pool) => {
                let others = "SELECT COUNT(*) AS n FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = 'sealwright'
                       AND pid <> pg_backend_pid()";
                let rows = postgres_all(pool, crate::sql(others)).await?;
                let count = rows.first().map_or(Ok(0), |row| row.int("n"))?;
                Ok(u64::try_from(count).unwrap_or(0))
            }
        }
    }

    /// The SQLite file, where that is what the state is in.
    pub fn file(&self) -> Option<&Path> {
        match &self.pools {
            Pools::Sqlite { file, .. } => Some(file),
            Pools::Postgres(_) => None,
        }
    }

    /// Closes all connections; running queries end first.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite {
                writer, readers, ..
            } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    pub(crate) const fn choose<'a>(&self, sqlite: &'a str, postgres: &'a str) -> &'a str {
        match &self.pools {
            Pools::Sqlite { .. } => sqlite,
            Pools::Postgres(_) => postgres,
        }
    }
}

impl Tx {
    /// All rows of a query, seeing this transaction's own changes.
    ///
    /// # Errors
    /// What the database said; the transaction can then only be rolled back.
    pub async fn fetch_all(&mut self, sql: Sql) -> Result<Vec<Row>> {
        match &mut self.inner {
            TxInner::Sqlite(tx) => sqlite_all(&mut **tx, sql).await,
            TxInner::Postgres(tx) => postgres_all(&mut **tx, sql).await,
        }
    }

    /// As [`Tx::fetch_all`], a row at a time: for answers that memory may not hold.
    pub(crate) async fn each(&mut self, sql: Sql, take: &mut TakeRow<'_>) -> Result<()> {
        match &mut self.inner {
            TxInner::Sqlite(tx) => sqlite_each(&mut **tx, sql, take).await,
            TxInner::Postgres(tx) => postgres_each(&mut **tx, sql, take).await,
        }
    }

    /// The first row of a query, if it has one.
    ///
    /// # Errors
    /// See [`Tx::fetch_all`].
    pub async fn fetch_optional(&mut self, sql: Sql) -> Result<Option<Row>> {
        Ok(self.fetch_all(sql).await?.into_iter().next())
    }

    /// The first row of a query that always has one.
    ///
    /// # Errors
    /// See [`Tx::fetch_all`]; also when there is no row.
    pub async fn fetch_one(&mut self, sql: Sql) -> Result<Row> {
        self.fetch_optional(sql)
            .await?
            .ok_or(StoreError::Database(sqlx::Error::RowNotFound))
    }

    /// One statement; the number of rows that it changed.
    ///
    /// # Errors
    /// See [`Tx::fetch_all`].
    pub async fn execute(&mut self, sql: Sql) -> Result<u64> {
        match &mut self.inner {
            TxInner::Sqlite(tx) => {
                let query = bind_sqlite(sql)?;
                Ok(query.execute(&mut **tx).await?.rows_affected())
            }
            TxInner::Postgres(tx) => {
                let query = bind_postgres(sql)?;
                Ok(query.execute(&mut **tx).await?.rows_affected())
            }
        }
    }

    /// Several statements of fixed text, without parameters: migrations.
    pub(crate) async fn execute_script(&mut self, text: &str) -> Result<()> {
        match &mut self.inner {
            TxInner::Sqlite(tx) => {
                sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
                    .execute(&mut **tx)
                    .await?;
            }
            TxInner::Postgres(tx) => {
                sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
                    .execute(&mut **tx)
                    .await?;
            }
        }
        Ok(())
    }

    /// Waits until no other transaction holds the lock called `name`, and holds it until this
    /// transaction ends. SQLite has one writer, which is the same promise already.
    ///
    /// # Errors
    /// What the database said.
    pub async fn lock(&mut self, name: &str) -> Result<()> {
        if let TxInner::Postgres(tx) = &mut self.inner {
            let digest = Digest::of(name.as_bytes()).0;
            let mut key = [0u8; 8];
            key.copy_from_slice(&digest[..8]);
            sqlx::query("SELECT pg_advisory_xact_lock($1)")
                .bind(i64::from_be_bytes(key))
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }

    /// Makes the changes durable and visible.
    ///
    /// # Errors
    /// What the database said; nothing was kept then.
    pub async fn commit(self) -> Result<()> {
        match self.inner {
            TxInner::Sqlite(tx) => tx.commit().await?,
            TxInner::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }

    /// Drops the changes.
    ///
    /// # Errors
    /// What the database said; nothing was kept in any case.
    pub async fn rollback(self) -> Result<()> {
        match self.inner {
            TxInner::Sqlite(tx) => tx.rollback().await?,
            TxInner::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }
}
