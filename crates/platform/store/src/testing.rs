//! A fresh store for each test.
//!
//! A conformance test takes a [`TestStore`] and runs once per database:
//!
//! ```ignore
//! for store in sealwright_store::testing::both().await { check(&store).await; }
//! ```
//!
//! PostgreSQL is used where `SEALWRIGHT_TEST_POSTGRES` holds the URL of a server on which
//! databases may be created (`cargo xtask test` starts a private one); where it is absent the test says
//! so on standard error, and `SEALWRIGHT_TEST_REQUIRE_POSTGRES=1` turns that into a failure.
#![allow(clippy::disallowed_methods)]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::panic
)]

use std::path::Path;

use crate::pool::Pools;
use crate::{Component, Store, StoreUrl};

/// A store that goes away with the test.
#[derive(Debug)]
pub struct TestStore {
    /// The store.
    pub store: Store,
    /// `sqlite` or `postgres`, for messages.
    pub name: &'static str,
    /// The URL, to open it a second time.
    pub url: StoreUrl,
    /// A folder for files beside the store.
    pub folder: tempfile::TempDir,
}

impl std::ops::Deref for TestStore {
    type Target = Store;
    fn deref(&self) -> &Store {
        &self.store
    }
}

impl TestStore {
    /// A folder that lives as long as the store.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Applies `components`.
    pub async fn migrated(self, components: &[Component]) -> Self {
        self.store
            .migrate(components, None, &sealwright_core::SystemClock)
            .await
            .expect("migrations apply to an empty store");
        self
    }
}

/// An empty SQLite store.
pub async fn sqlite() -> TestStore {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = StoreUrl::Sqlite(folder.path().join("state.sqlite"));
    let store = Store::open(&url)
        .await
        .expect("an empty SQLite store opens");
    TestStore {
        store,
        name: "sqlite",
        url,
        folder,
    }
}

/// An empty PostgreSQL database of its own, where a server is offered.
pub async fn postgres() -> Option<TestStore> {
    let Ok(server) = std::env::var("SEALWRIGHT_TEST_POSTGRES") else {
        assert!(
            std::env::var_os("SEALWRIGHT_TEST_REQUIRE_POSTGRES").is_none(),
            "SEALWRIGHT_TEST_POSTGRES is not set and PostgreSQL is required"
        );
        eprintln!("skipped: PostgreSQL (SEALWRIGHT_TEST_POSTGRES is not set)");
        return None;
    };
    let admin = Store::open(&StoreUrl::Postgres(server.clone()))
        .await
        .expect("server answers");
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).expect("random bytes");
    let database = format!("test_{}", hex::encode(random));
    admin
        .execute_raw(&format!("CREATE DATABASE {database}"))
        .await;
    admin.close().await;
    let (base, query) = server
        .split_once('?')
        .map_or((server.as_str(), ""), |(b, q)| (b, q));
    let (host, _) = base.rsplit_once('/').expect("the URL names a database");
    let url = StoreUrl::Postgres(format!("{host}/{database}?{query}"));
    let store = Store::open(&url).await.expect("the new database opens");
    let folder = tempfile::tempdir().expect("a temporary folder");
    Some(TestStore {
        store,
        name: "postgres",
        url,
        folder,
    })
}

/// One empty store of each kind that is to be had.
pub async fn both() -> Vec<TestStore> {
    let mut stores = vec![sqlite().await];
    stores.extend(postgres().await);
    stores
}

impl Store {
    /// A statement that no transaction may hold, such as `CREATE DATABASE`.
    async fn execute_raw(&self, text: &str) {
        if let Pools::Postgres(pool) = &self.pools {
            let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(text.to_owned()));
            statement.execute(pool).await.expect("the statement runs");
        }
    }
}
