use sealwright_core::{ManualClock, UnixMicros};
use sealwright_store::testing::{TestStore, both};
use sealwright_store::{Component, Migration, StoreError, sql};

const FIRST: Migration = Migration {
    number: 1,
    name: "0001_init",
    sqlite:
        "CREATE TABLE thing (id TEXT PRIMARY KEY, n BIGINT NOT NULL, r DOUBLE PRECISION, b BLOB);
             CREATE INDEX thing_n ON thing (n);",
    postgres:
        "CREATE TABLE thing (id TEXT PRIMARY KEY, n BIGINT NOT NULL, r DOUBLE PRECISION, b BYTEA);
             CREATE INDEX thing_n ON thing (n);",
};
const SECOND: Migration = Migration {
    number: 2,
    name: "0002_note",
    sqlite: "ALTER TABLE thing ADD COLUMN note TEXT;",
    postgres: "ALTER TABLE thing ADD COLUMN note TEXT;",
};
const V1: Component = Component {
    name: "thing",
    migrations: &[FIRST],
};
const V2: Component = Component {
    name: "thing",
    migrations: &[FIRST, SECOND],
};

fn clock() -> ManualClock {
    ManualClock::new(UnixMicros(1_000))
}

async fn stores() -> Vec<TestStore> {
    let mut ready = Vec::new();
    for store in both().await {
        ready.push(store.migrated(&[V1]).await);
    }
    ready
}

async fn insert(store: &TestStore, id: &str, n: i64) -> Result<u64, StoreError> {
    store
        .execute(
            sql("INSERT INTO thing (id, n, r, b) VALUES ($1, $2, $3, $4)")
                .bind(id)
                .bind(n)
                .bind(0.5)
                .bind(vec![0u8, 255]),
        )
        .await
}

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    for store in stores().await {
        insert(&store, "a", i64::MAX).await.unwrap();
        let row = store.fetch_one(sql("SELECT * FROM thing")).await.unwrap();
        assert_eq!(row.text("id").unwrap(), "a", "{}", store.name);
        assert_eq!(row.int("n").unwrap(), i64::MAX);
        assert_eq!(row.real("r").unwrap(), 0.5);
        assert_eq!(row.bytes("b").unwrap(), [0, 255]);
        assert!(
            row.text("n").is_err(),
            "a wrong type is an error, not a conversion"
        );
        assert!(row.text("absent").is_err());
    }
}

#[tokio::test]
async fn null_parameters_keep_their_type() {
    for store in stores().await {
        store
            .execute(
                sql("INSERT INTO thing (id, n, r, b) VALUES ($1, $2, $3, $4)")
                    .bind("a")
                    .bind(1_i64)
                    .bind(None::<f64>)
                    .bind(None::<Vec<u8>>),
            )
            .await
            .unwrap();
        let row = store
            .fetch_one(sql("SELECT r, b FROM thing"))
            .await
            .unwrap();
        assert_eq!(row.opt_bytes("b").unwrap(), None, "{}", store.name);
    }
}

#[tokio::test]
async fn a_parameter_may_be_used_twice() {
    for store in stores().await {
        insert(&store, "a", 1).await.unwrap();
        insert(&store, "b", 2).await.unwrap();
        let scoped = |who: &'static str| {
            sql("SELECT id FROM thing WHERE ($1 = '*' OR id = $1) ORDER BY id LIMIT $2")
                .bind(who)
                .bind(10_i64)
        };
        assert_eq!(
            store.fetch_all(scoped("*")).await.unwrap().len(),
            2,
            "{}",
            store.name
        );
        assert_eq!(
            store.fetch_all(scoped("b")).await.unwrap().len(),
            1,
            "{}",
            store.name
        );
    }
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing() {
    for store in stores().await {
        {
            let mut tx = store.begin().await.unwrap();
            tx.execute(sql("INSERT INTO thing (id, n) VALUES ('x', 1)"))
                .await
                .unwrap();
            let inside = tx.fetch_all(sql("SELECT id FROM thing")).await.unwrap();
            assert_eq!(inside.len(), 1, "a transaction sees its own rows");
        }
        let rows = store.fetch_all(sql("SELECT id FROM thing")).await.unwrap();
        assert!(rows.is_empty(), "{}", store.name);
    }
}

#[tokio::test]
async fn constraints_are_told_apart_from_faults() {
    for store in stores().await {
        insert(&store, "a", 1).await.unwrap();
        let twice = insert(&store, "a", 2).await.unwrap_err();
        assert!(
            matches!(twice, StoreError::Constraint(_)),
            "{}: {twice:?}",
            store.name
        );
        let null = store
            .execute(sql("INSERT INTO thing (id, n) VALUES ('n', $1)").bind(None::<i64>))
            .await
            .unwrap_err();
        assert!(
            matches!(null, StoreError::Constraint(_)),
            "{}: {null:?}",
            store.name
        );
    }
}

#[tokio::test]
async fn a_text_with_nul_is_refused_by_both() {
    for store in stores().await {
        let error = insert(&store, "a\0b", 1).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Nul),
            "{}: {error:?}",
            store.name
        );
        assert_eq!(error.problem().unwrap().status, 422);
    }
}

#[tokio::test]
async fn a_lost_connection_is_told_apart_from_a_fault() {
    let Some(store) = sealwright_store::testing::postgres().await else {
        return;
    };
    let end = sql("SELECT pg_terminate_backend(pg_backend_pid())::TEXT AS done");
    let error = store.fetch_all(end).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert_eq!(error.problem().unwrap().status, 503);
    // The next request has a connection of its own.
    store
        .fetch_all(sql("SELECT 1::BIGINT AS one"))
        .await
        .unwrap();
}

#[tokio::test]
async fn upsert_and_returning_are_common_ground() {
    for store in stores().await {
        for expected in [5, 10] {
            let mut tx = store.begin().await.unwrap();
            let row = tx
                .fetch_one(
                    sql("INSERT INTO thing (id, n) VALUES ($1, $2)
                         ON CONFLICT (id) DO UPDATE SET n = thing.n + excluded.n RETURNING n")
                    .bind("a")
                    .bind(5_i64),
                )
                .await
                .unwrap();
            tx.commit().await.unwrap();
            assert_eq!(row.int("n").unwrap(), expected, "{}", store.name);
        }
        let sum = sql("SELECT CAST(SUM(n) AS BIGINT) AS total, COUNT(*) AS rows FROM thing");
        let row = store.fetch_one(sum).await.unwrap();
        assert_eq!(
            (row.int("total").unwrap(), row.int("rows").unwrap()),
            (10, 1)
        );
    }
}

#[tokio::test]
async fn concurrent_increments_under_a_lock_are_all_counted() {
    for store in stores().await {
        insert(&store, "a", 0).await.unwrap();
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let store = store.store.clone();
                tokio::spawn(async move {
                    for _ in 0..10 {
                        let mut tx = store.begin().await.unwrap();
                        tx.lock("counter").await.unwrap();
                        let row = tx.fetch_one(sql("SELECT n FROM thing")).await.unwrap();
                        let next = row.int("n").unwrap() + 1;
                        tx.execute(sql("UPDATE thing SET n = $1").bind(next))
                            .await
                            .unwrap();
                        tx.commit().await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let row = store.fetch_one(sql("SELECT n FROM thing")).await.unwrap();
        assert_eq!(row.int("n").unwrap(), 80, "{}", store.name);
    }
}

#[tokio::test]
async fn migrations_apply_once_and_in_order() {
    for store in stores().await {
        let again = store.migrate(&[V1], None, &clock()).await.unwrap();
        assert!(again.is_empty(), "{}", store.name);
        insert(&store, "kept", 7).await.unwrap();
        let backups = store.path().join("backups");
        let applied = store
            .migrate(&[V2], Some(&backups), &clock())
            .await
            .unwrap();
        assert_eq!(applied.len(), 1);
        assert_eq!(applied[0].name, "0002_note");
        let row = store
            .fetch_one(sql("SELECT n, note FROM thing"))
            .await
            .unwrap();
        assert_eq!(row.int("n").unwrap(), 7);
        assert_eq!(row.opt_text("note").unwrap(), None);
        if store.name == "sqlite" {
            assert_eq!(
                std::fs::read_dir(&backups).unwrap().count(),
                1,
                "copied before the upgrade"
            );
        }
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    for store in stores().await {
        store.migrate(&[V2], None, &clock()).await.unwrap();
        let error = store.migrate(&[V1], None, &clock()).await.unwrap_err();
        assert!(
            matches!(
                &error,
                StoreError::NewerSchema {
                    found: 2,
                    known: 1,
                    ..
                }
            ),
            "{}: {error}",
            store.name
        );
    }
}

#[tokio::test]
async fn a_changed_migration_is_refused() {
    const CHANGED: Migration = Migration {
        sqlite: "SELECT 1",
        postgres: "SELECT 1",
        ..FIRST
    };
    for store in stores().await {
        let changed = Component {
            name: "thing",
            migrations: &[CHANGED],
        };
        let error = store.migrate(&[changed], None, &clock()).await.unwrap_err();
        assert!(
            matches!(error, StoreError::ChangedMigration { number: 1, .. }),
            "{}",
            store.name
        );
    }
}

#[tokio::test]
async fn a_failing_migration_leaves_nothing_half_done() {
    const BROKEN: Migration = Migration {
        number: 2,
        name: "0002_broken",
        sqlite: "CREATE TABLE half (id TEXT); SELECT * FROM nowhere;",
        postgres: "CREATE TABLE half (id TEXT); SELECT * FROM nowhere;",
    };
    for store in stores().await {
        let broken = Component {
            name: "thing",
            migrations: &[FIRST, BROKEN],
        };
        store.migrate(&[broken], None, &clock()).await.unwrap_err();
        let half = store.fetch_all(sql("SELECT * FROM half")).await;
        assert!(
            half.is_err(),
            "{}: the first statement was rolled back too",
            store.name
        );
        assert_eq!(store.migrate(&[V2], None, &clock()).await.unwrap().len(), 1);
    }
}
