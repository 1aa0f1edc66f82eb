//! From the first released schema to the present one: every row is still there, and a copy was made before.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::BufReader;

use sealwright_core::{ManualClock, UnixMicros};
use sealwright_store::portable::{ColumnKind, Table};
use sealwright_store::testing::both;
use sealwright_store::{AppliedMigration, Component, Store, StoreUrl};
use serde_json::{Value, json};

use crate::installation::COMPONENTS;

fn first() -> Vec<Component> {
    let one = |component: &Component| Component {
        name: component.name,
        migrations: &component.migrations[..1],
    };
    COMPONENTS.iter().map(one).collect()
}

/// Rows whose texts are alike in each column, so that they refer to each other.
fn made_up(table: &Table) -> String {
    let row = |n: i64| {
        let value = |kind| match kind {
            ColumnKind::Text => json!(format!("x-{n}")),
            ColumnKind::Int => json!(n),
            ColumnKind::Real => json!(n as f64 + 0.5),
            ColumnKind::Bytes => json!(format!("eC0{n}")),
        };
        let values: Vec<Value> = table.columns.iter().map(|c| value(c.kind)).collect();
        Value::from(values).to_string()
    };
    let rows: Vec<String> = (1..=3).map(row).collect();
    rows.join("\n") + "\n"
}

/// The rows of each table, as lists of values.
async fn rows(store: &Store, components: &[Component]) -> Vec<(String, Vec<Vec<Value>>)> {
    let mut state = store.snapshot(components).await.unwrap();
    let mut all = Vec::new();
    for table in state.tables().to_vec() {
        let mut out = Vec::new();
        state.write(&table, &mut out, &mut |_| ()).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        all.push((table.name, lines.collect()));
    }
    all
}

#[tokio::test]
async fn every_row_of_the_first_released_schema_survives_the_upgrade() {
    let clock = ManualClock::new(UnixMicros(1_000));
    for store in both().await {
        let applied: Vec<AppliedMigration> = first()
            .iter()
            .map(|component| AppliedMigration {
                component: component.name.to_owned(),
                number: 1,
                name: component.migrations[0].name.to_owned(),
            })
            .collect();
        let import = store.import(COMPONENTS, &applied, &clock).await.unwrap();
        for table in import.tables() {
            let text = made_up(table);
            let mut lines = BufReader::new(text.as_bytes());
            import.read(table, &mut lines).await.unwrap();
        }
        import.finish().await.unwrap();
        let before = rows(&store, &first()).await;
        assert!(before.len() > 30, "{} tables", before.len());

        let backups = store.path().join("backups");
        let done = store.migrate(COMPONENTS, Some(&backups), &clock).await;
        let done = done.unwrap();
        let all: usize = COMPONENTS.iter().map(|c| c.migrations.len()).sum();
        assert_eq!(done.len(), all - COMPONENTS.len(), "{}", store.name);
        let after = rows(&store, COMPONENTS).await;
        for (name, old) in &before {
            let (_, new) = after.iter().find(|(table, _)| table == name).unwrap();
            assert_eq!(new.len(), old.len(), "{name}");
            for (new, old) in new.iter().zip(old) {
                // Columns are added behind the ones that were there.
                assert_eq!(new[..old.len()], old[..], "{}: {name}", store.name);
            }
        }
        if store.shared() {
            continue;
        }
        let copies: Vec<_> = std::fs::read_dir(&backups).unwrap().flatten().collect();
        assert_eq!(copies.len(), 1);
        let copy = Store::open(&StoreUrl::Sqlite(copies[0].path()))
            .await
            .unwrap();
        assert_eq!(rows(&copy, &first()).await, before);
    }
}
