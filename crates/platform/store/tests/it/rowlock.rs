//! Row-level security: what the database shows to a scope when the query's own condition is missing.

use sealwright_core::{ManualClock, TenantId, UnixMicros};
use sealwright_store::testing::{TestStore, both, postgres};
use sealwright_store::{
    Component, Migration, RowScope, SecondLock, Store, StoreError, StoreUrl, as_system, sql, within,
};
use sqlx::Connection as _;

const TABLES: Component = Component {
    name: "note",
    migrations: &[Migration {
        number: 1,
        name: "0001_init",
        sqlite: "CREATE TABLE note (id TEXT PRIMARY KEY, tenant_id TEXT, text TEXT NOT NULL);",
        postgres: "CREATE TABLE note (id TEXT PRIMARY KEY, tenant_id TEXT, text TEXT NOT NULL);
             ALTER TABLE note ENABLE ROW LEVEL SECURITY;
             ALTER TABLE note FORCE ROW LEVEL SECURITY;
             CREATE POLICY tenant ON note
                 USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));",
    }],
};

fn tenant(n: i64) -> TenantId {
    TenantId::new(UnixMicros(n * 1_000_000))
}

async fn insert(store: &Store, id: &str, of: Option<TenantId>) -> Result<u64, StoreError> {
    store
        .execute(
            sql("INSERT INTO note (id, tenant_id, text) VALUES ($1, $2, 'x')")
                .bind(id)
                .bind(of),
        )
        .await
}

/// The query whose author forgot the condition.
async fn ids(store: &Store) -> Vec<String> {
    let rows = store
        .fetch_all(sql("SELECT id FROM note ORDER BY id"))
        .await;
    rows.unwrap()
        .iter()
        .map(|row| row.text("id").unwrap())
        .collect()
}

/// One row of each of two tenants, and one of nobody's.
async fn filled(store: TestStore) -> (TestStore, TenantId, TenantId) {
    let store = store.migrated(&[TABLES]).await;
    let (one, other) = (tenant(1), tenant(2));
    for (id, of) in [("a", Some(one)), ("b", Some(other)), ("c", None)] {
        assert_eq!(insert(&store, id, of).await.unwrap(), 1);
    }
    (store, one, other)
}

#[tokio::test]
async fn a_query_without_a_condition_sees_only_the_scopes_rows() {
    let Some(store) = postgres().await else {
        return;
    };
    let (store, one, other) = filled(store).await;
    assert_eq!(ids(&store).await, ["a", "b", "c"], "the program itself");
    assert_eq!(within(RowScope::One(one), ids(&store)).await, ["a"]);
    assert_eq!(within(RowScope::One(other), ids(&store)).await, ["b"]);
    assert!(within(RowScope::Nobody, ids(&store)).await.is_empty());
    let widened = within(RowScope::One(one), as_system(ids(&store))).await;
    assert_eq!(widened, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_scope_changes_nothing_of_others() {
    let Some(store) = postgres().await else {
        return;
    };
    let (store, one, other) = filled(store).await;
    within(RowScope::One(one), async {
        let mine = insert(&store, "d", Some(one)).await;
        assert_eq!(mine.unwrap(), 1);
        for (id, of) in [("e", Some(other)), ("f", None)] {
            let refused = insert(&store, id, of).await.unwrap_err();
            assert!(
                refused.to_string().contains("row-level security"),
                "{refused}"
            );
        }
        let all = store.execute(sql("UPDATE note SET text = 'mine'")).await;
        assert_eq!(all.unwrap(), 2, "a and d");
        let given_away = store
            .execute(sql("UPDATE note SET tenant_id = $1").bind(other))
            .await;
        assert!(given_away.is_err());
        let all = store.execute(sql("DELETE FROM note")).await;
        assert_eq!(all.unwrap(), 2, "a and d");
    })
    .await;
    assert_eq!(ids(&store).await, ["b", "c"]);
    let untouched = store
        .fetch_all(sql("SELECT id FROM note WHERE text = 'x'"))
        .await;
    assert_eq!(untouched.unwrap().len(), 2);
}

/// A transaction keeps the scope in which it was begun, wherever it is used.
#[tokio::test]
async fn a_transaction_has_one_scope() {
    let Some(store) = postgres().await else {
        return;
    };
    let (store, one, _) = filled(store).await;
    let mut tx = within(RowScope::One(one), store.begin()).await.unwrap();
    let rows = tx.fetch_all(sql("SELECT id FROM note")).await.unwrap();
    assert_eq!(rows.len(), 1);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_connection_carries_no_scope_to_its_next_user() {
    let Some(store) = postgres().await else {
        return;
    };
    let (store, one, other) = filled(store).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let store = store.store.clone();
        tasks.spawn(async move {
            match n % 4 {
                0 => assert_eq!(within(RowScope::One(one), ids(&store)).await, ["a"]),
                1 => assert_eq!(within(RowScope::One(other), ids(&store)).await, ["b"]),
                2 => assert!(within(RowScope::Nobody, ids(&store)).await.is_empty()),
                _ => assert_eq!(ids(&store).await.len(), 3),
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// Whoever connects by other means as the tables' owner sees nothing before saying whose rows are meant.
#[tokio::test]
async fn a_connection_that_says_nothing_sees_nothing() {
    let Some(store) = postgres().await else {
        return;
    };
    let (store, ..) = filled(store).await;
    let StoreUrl::Postgres(url) = &store.url else {
        unreachable!("it is PostgreSQL")
    };
    let mut owner = sqlx::PgConnection::connect(url).await.unwrap();
    let count = "SELECT COUNT(*) FROM note";
    let seen: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut owner)
        .await
        .unwrap();
    assert_eq!(seen, 0);
    sqlx::query("SET sealwright.tenant = '*'")
        .execute(&mut owner)
        .await
        .unwrap();
    let seen: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut owner)
        .await
        .unwrap();
    assert_eq!(seen, 3);
}

/// After a restart of the server all connections of the pool are dead, and the first statement finds out.
#[tokio::test]
async fn dead_connections_are_replaced() {
    let Some(store) = postgres().await else {
        return;
    };
    let (store, ..) = filled(store).await;
    let held = futures::future::join_all((0..8).map(|_| store.begin())).await;
    drop(held);
    let StoreUrl::Postgres(url) = &store.url else {
        unreachable!("it is PostgreSQL")
    };
    let mut other = sqlx::PgConnection::connect(url).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(end).execute(&mut other).await.unwrap();
    assert_eq!(ids(&store).await.len(), 3);
    assert_eq!(insert(&store, "d", None).await.unwrap(), 1);
}

#[tokio::test]
async fn whether_the_lock_holds_is_told() {
    for store in both().await {
        let (store, ..) = filled(store).await;
        let found = store.second_lock().await.unwrap();
        if store.name == "sqlite" {
            assert_eq!(found, SecondLock::Absent);
            continue;
        }
        assert_eq!(
            found,
            SecondLock::Holds,
            "the role of the tests must not be a superuser"
        );
        let off = sql("ALTER TABLE note NO FORCE ROW LEVEL SECURITY");
        store.execute(off).await.unwrap();
        let SecondLock::Bypassed(why) = store.second_lock().await.unwrap() else {
            panic!("it is off")
        };
        assert!(why.contains("note"), "{why}");
    }
}

#[tokio::test]
// Where a server is, is said to tests by the environment, as in `testing`.
#[allow(clippy::disallowed_methods)]
async fn a_superuser_is_told_that_the_lock_does_not_bind_it() {
    let Ok(url) = std::env::var("SEALWRIGHT_TEST_POSTGRES_ADMIN") else {
        return;
    };
    let store = Store::open(&StoreUrl::Postgres(url)).await.unwrap();
    let SecondLock::Bypassed(why) = store.second_lock().await.unwrap() else {
        panic!("a superuser")
    };
    assert!(why.contains("superuser"), "{why}");
    store.close().await;
}

/// A copy of the state holds all tenants' rows, and fills an empty database with all of them.
#[tokio::test]
async fn a_copy_holds_the_rows_of_all() {
    for store in both().await {
        let (store, ..) = filled(store).await;
        let mut snapshot = store.snapshot(&[TABLES]).await.unwrap();
        let table = snapshot
            .tables()
            .iter()
            .find(|t| t.name == "note")
            .unwrap()
            .clone();
        let mut text = Vec::new();
        let rows = snapshot
            .write(&table, &mut text, &mut |_| {})
            .await
            .unwrap();
        assert_eq!(rows, 3, "{}", store.name);
        let applied = snapshot.applied().to_vec();
        drop(snapshot);
        let Some(empty) = postgres().await else {
            return;
        };
        let clock = ManualClock::new(UnixMicros(1));
        let import = empty.import(&[TABLES], &applied, &clock).await.unwrap();
        let read = import.read(&table, &mut text.as_slice()).await.unwrap();
        assert_eq!(read, 3);
        import.finish().await.unwrap();
        assert_eq!(ids(&empty).await, ["a", "b", "c"]);
    }
}
