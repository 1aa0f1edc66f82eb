//! Tables of a PostgreSQL database, as the command scans them.

use std::sync::Arc;

use sealwright_dlp::service::bucket::NoBuckets;
use sealwright_store::{StoreUrl, sql};

use crate::cli::{Ran, call_on};

const CARD: &str = "4111111111111111";

fn run(address: &str, more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let buckets = Some((Arc::new(NoBuckets) as _, tokio::runtime::Handle::current()));
    let mut args = vec!["scan", address];
    args.extend(more);
    tokio::task::block_in_place(|| call_on(folder.path(), &args, buckets))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_every_table_are_looked_at_with_their_columns() {
    let Some(store) = sealwright_store::testing::postgres().await else {
        return;
    };
    for text in [
        "CREATE SCHEMA \"Odd \"\"name\"",
        "CREATE TABLE \"Odd \"\"name\".\"t 1\" (id INT, ssn TEXT, body JSONB)",
        "CREATE TABLE clean (id INT, note TEXT)",
        "CREATE TABLE empty (id INT)",
        "INSERT INTO clean SELECT n, 'nothing' FROM generate_series(1, 3000) n",
    ] {
        store.execute(sql(text)).await.unwrap();
    }
    // A number without a form of its own is found by the name of its column.
    let rows = "INSERT INTO \"Odd \"\"name\".\"t 1\" SELECT n, CASE WHEN n = 1200 THEN '457555461' END,
                jsonb_build_object('card', CASE WHEN n = 700 THEN $1 END) FROM generate_series(1, 1500) n";
    store.execute(sql(rows).bind(CARD)).await.unwrap();
    let StoreUrl::Postgres(url) = &store.url else {
        panic!("another store");
    };
    let ran = run(url, &[]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let found: Vec<(String, u64)> = ran
        .lines()
        .iter()
        .map(|line| {
            let path = line["path"].as_str().unwrap().to_owned();
            (path, line["line"].as_u64().unwrap())
        })
        .collect();
    assert!(
        found
            .iter()
            .all(|(path, _)| path.ends_with("#Odd \"name.t 1")),
        "{found:?}"
    );
    assert!(found.iter().any(|(_, line)| *line == 700), "{found:?}");
    assert!(found.iter().any(|(_, line)| *line == 1200), "{found:?}");
    assert!(
        !ran.out.contains('@') && !ran.err.contains('@'),
        "who signs in is not shown"
    );
    let coverage = ran.coverage();
    assert_eq!(
        (&coverage["files"], &coverage["scanned"]),
        (&3.into(), &3.into()),
        "{coverage}"
    );
    // One table, and a sample of one.
    let ran = run(&format!("{url}#public.clean"), &["--sample", "10"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let coverage = ran.coverage();
    assert_eq!(
        (&coverage["files"], &coverage["partly"]),
        (&1.into(), &1.into()),
        "{coverage}"
    );
    assert_eq!(run(&format!("{url}#public.none"), &[]).code, 2);
    let left = store
        .fetch_one(sql("SELECT COUNT(*) AS n FROM clean"))
        .await
        .unwrap();
    assert_eq!(left.int("n").unwrap(), 3000);
}
