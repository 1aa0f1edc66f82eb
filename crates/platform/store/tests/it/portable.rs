//! A state as text: the same from both databases, and back.

use std::io::BufReader;

use sealwright_core::{ManualClock, UnixMicros};
use sealwright_store::portable::Snapshot;
use sealwright_store::testing::{TestStore, both};
use sealwright_store::{Component, Migration, Store, StoreError, sql};

/// A table that refers to a later one by name, one whose numbers the database gives, and a first row.
const FIRST: Migration = Migration {
    number: 1,
    name: "0001_init",
    sqlite: "CREATE TABLE zebra (id TEXT PRIMARY KEY, n BIGINT, r DOUBLE PRECISION, b BLOB);
             CREATE TABLE ant (zebra_id TEXT NOT NULL REFERENCES zebra (id), at BIGINT NOT NULL,
                               PRIMARY KEY (zebra_id, at));
             CREATE TABLE numbered (seq INTEGER PRIMARY KEY AUTOINCREMENT, note TEXT NOT NULL);
             INSERT INTO zebra (id, n) VALUES ('made by the migration', 1);",
    postgres: "CREATE TABLE zebra (id TEXT PRIMARY KEY, n BIGINT, r DOUBLE PRECISION, b BYTEA);
             CREATE TABLE ant (zebra_id TEXT NOT NULL REFERENCES zebra (id), at BIGINT NOT NULL,
                               PRIMARY KEY (zebra_id, at));
             CREATE TABLE numbered (seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note TEXT NOT NULL);
             INSERT INTO zebra (id, n) VALUES ('made by the migration', 1);",
};
const SECOND: Migration = Migration {
    number: 2,
    name: "0002_more",
    sqlite: "ALTER TABLE zebra ADD COLUMN more TEXT;",
    postgres: "ALTER TABLE zebra ADD COLUMN more TEXT;",
};
const V1: &[Component] = &[Component {
    name: "zoo",
    migrations: &[FIRST],
}];
const V2: &[Component] = &[Component {
    name: "zoo",
    migrations: &[FIRST, SECOND],
}];

fn clock() -> ManualClock {
    ManualClock::new(UnixMicros(1_000))
}

async fn filled() -> Vec<TestStore> {
    let mut stores = Vec::new();
    for store in both().await {
        let store = store.migrated(V1).await;
        // Languages sort these otherwise than their bytes.
        for (n, id) in ["b", "A", "a", "Ä", "ä\"\\\n", "Z", ""].iter().enumerate() {
            let insert = "INSERT INTO zebra (id, n, r, b) VALUES ($1, $2, $3, $4)";
            let insert = sql(insert).bind(*id).bind(i64::MIN + n as i64);
            let insert = insert.bind((n > 2).then_some(0.1 + n as f64));
            let insert = insert.bind((n > 1).then(|| vec![0, 255, n as u8]));
            store.execute(insert).await.unwrap();
        }
        for at in 0..1_200_i64 {
            let insert = sql("INSERT INTO ant (zebra_id, at) VALUES ('a', $1)").bind(at);
            store.execute(insert).await.unwrap();
        }
        for note in ["one", "two", "three"] {
            let insert = sql("INSERT INTO numbered (note) VALUES ($1)").bind(note);
            store.execute(insert).await.unwrap();
        }
        store
            .execute(sql("DELETE FROM numbered WHERE note = 'two'"))
            .await
            .unwrap();
        stores.push(store);
    }
    stores
}

type Text = Vec<(String, u64, Vec<u8>)>;

async fn text(mut state: Snapshot) -> Text {
    let mut all = Vec::new();
    for table in state.tables().to_vec() {
        let mut out = Vec::new();
        let rows = state.write(&table, &mut out, &mut |_| ()).await.unwrap();
        all.push((table.name, rows, out));
    }
    all
}

async fn empty(like: &TestStore) -> TestStore {
    let all = both().await.into_iter();
    all.into_iter()
        .find(|store| store.name == like.name)
        .unwrap()
}

async fn fill(to: &Store, from: &Text, components: &[Component]) -> Result<(), StoreError> {
    let applied = [sealwright_store::AppliedMigration {
        component: "zoo".to_owned(),
        number: 1,
        name: "0001_init".to_owned(),
    }];
    let import = to.import(components, &applied, &clock()).await?;
    for table in import.tables() {
        let (_, rows, bytes) = from.iter().find(|t| t.0 == table.name).unwrap();
        let read = import
            .read(table, &mut BufReader::new(bytes.as_slice()))
            .await?;
        assert_eq!(read, *rows);
    }
    import.finish().await
}

#[tokio::test]
async fn both_databases_give_the_same_text_and_take_each_others() {
    let stores = filled().await;
    let mut texts = Vec::new();
    for store in &stores {
        texts.push(text(store.snapshot(V1).await.unwrap()).await);
    }
    let names: Vec<&str> = texts[0].iter().map(|t| t.0.as_str()).collect();
    assert_eq!(names, ["numbered", "zebra", "ant"], "needed ones first");
    assert_eq!(texts[0][1].1, 8);
    assert_eq!(texts[0][2].1, 1_200);
    for other in &texts[1..] {
        for (one, two) in texts[0].iter().zip(other) {
            assert_eq!(
                String::from_utf8_lossy(&one.2),
                String::from_utf8_lossy(&two.2)
            );
        }
    }
    for to in &stores {
        let to = empty(to).await;
        fill(&to, texts.last().unwrap(), V1).await.unwrap();
        assert_eq!(text(to.snapshot(V1).await.unwrap()).await, texts[0]);
        // Numbers go on behind those that came.
        let row = "INSERT INTO numbered (note) VALUES ('four') RETURNING seq";
        let mut tx = to.begin().await.unwrap();
        let seq = tx.fetch_one(sql(row)).await.unwrap().int("seq").unwrap();
        tx.commit().await.unwrap();
        assert_eq!(seq, 4, "{}", to.name);
    }
}

#[tokio::test]
async fn a_snapshot_does_not_see_what_comes_later_and_holds_up_nobody() {
    for store in filled().await {
        let before = text(store.snapshot(V1).await.unwrap()).await;
        let held = store.snapshot(V1).await.unwrap();
        store.execute(sql("DELETE FROM ant")).await.unwrap();
        store
            .execute(sql("INSERT INTO zebra (id) VALUES ('later')"))
            .await
            .unwrap();
        assert_eq!(text(held).await, before, "{}", store.name);
        assert_ne!(text(store.snapshot(V1).await.unwrap()).await, before);
    }
}

#[tokio::test]
async fn an_older_state_is_filled_as_it_was_and_upgraded_afterwards() {
    for store in filled().await {
        let before = text(store.snapshot(V1).await.unwrap()).await;
        // A newer program copies the state of an older one.
        assert_eq!(text(store.snapshot(V2).await.unwrap()).await, before);
        let to = empty(&store).await;
        fill(&to, &before, V2).await.unwrap();
        let applied = to.migrate(V2, None, &clock()).await.unwrap();
        assert_eq!(applied.len(), 1, "{}", to.name);
        let after = text(to.snapshot(V2).await.unwrap()).await;
        assert_eq!(after[0], before[0]);
        let newer = to.snapshot(V1).await.unwrap_err();
        assert!(matches!(newer, StoreError::NewerSchema { .. }), "{newer}");
    }
}

#[tokio::test]
async fn filling_that_did_not_end_starts_over_and_nothing_starts_on_it() {
    for store in filled().await {
        let whole = text(store.snapshot(V1).await.unwrap()).await;
        let mut damaged = whole.clone();
        let zebra = damaged.iter_mut().find(|t| t.0 == "zebra").unwrap();
        zebra.2.truncate(zebra.2.len() - 4);
        let to = empty(&store).await;
        let error = fill(&to, &damaged, V1).await.unwrap_err();
        let named = error.to_string();
        assert!(named.contains("`zebra`: line 8"), "{named}");
        for refused in [
            to.migrate(V1, None, &clock()).await.unwrap_err(),
            to.snapshot(V1).await.unwrap_err(),
        ] {
            assert!(matches!(refused, StoreError::Unfinished(_)), "{refused}");
        }
        fill(&to, &whole, V1).await.unwrap();
        assert_eq!(text(to.snapshot(V1).await.unwrap()).await, whole);
        to.migrate(V1, None, &clock()).await.unwrap();
        // And what is whole is not written over.
        let full = fill(&to, &whole, V1).await.unwrap_err();
        assert!(matches!(full, StoreError::NotEmpty(_)), "{full}");
        assert_eq!(text(to.snapshot(V1).await.unwrap()).await, whole);
    }
}
