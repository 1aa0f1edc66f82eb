//! Answers equal to counting by hand, and limits.

use proptest::prelude::*;
use sealwright_core::TenantScope;
use sealwright_events::StoredEvent;
use sealwright_lake::{EventFilter, Lake, LakeError, Order, QueryLimits};
use serde_json::{Value, json};

use crate::support::{DAY, HOUR, NOW, append, event, events, open, spec, tenant};

async fn rows(lake: &Lake, scope: TenantScope, sql: &str) -> Vec<Vec<Value>> {
    lake.query(scope, sql, QueryLimits::default())
        .await
        .unwrap_or_else(|e| panic!("{sql}: {e}"))
        .rows
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_and_json_members() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let wanted = events(0..40);
    append(&lake, &[&wanted]).await;
    let result = lake
        .query(
            TenantScope::All,
            "SELECT offset, type, time, digest, day, stream, subject,
                    json_text(json, 'data.model') AS model,
                    json_number(json, 'data.quantity') AS quantity,
                    json_decimal(json, '/data/cost') AS cost,
                    json_get(json, 'data') AS data, json_text(json, 'data.none') AS none
             FROM events WHERE offset = 7",
            QueryLimits::default(),
        )
        .await
        .unwrap();
    let e = &wanted[7];
    assert_eq!(
        Value::Array(result.rows[0].clone()),
        json!([
            7,
            e.event_type,
            e.time.to_string(),
            e.digest.to_string(),
            e.time.to_string()[..10],
            sealwright_lake::stream_of(&e.event_type),
            e.subject,
            "m-1",
            7.0,
            "0.000100000000",
            r#"{"cost":"0.0001","model":"m-1","quantity":7}"#,
            null
        ])
    );
    assert_eq!(result.next_offset, 40);
    assert!(result.files_scanned >= 1);
    assert!(result.bytes_scanned.unwrap() > 0);
    assert_eq!(result.processes, 1);
    let per_hour = rows(
        &lake,
        TenantScope::All,
        "SELECT date_trunc('hour', time) AS h, sum(json_decimal(json, 'data.cost')) FROM events GROUP BY h ORDER BY h",
    )
    .await;
    assert!(
        per_hour.len() > 1 && per_hour[0][0].as_str().unwrap().ends_with(":00:00Z"),
        "{per_hour:?}"
    );
}

/// The plain answer: a loop over the events.
fn naive<'a>(all: &'a [StoredEvent], scope: TenantScope, f: &EventFilter) -> Vec<&'a StoredEvent> {
    all.iter()
        .filter(|e| scope.allows(e.tenant))
        .filter(|e| f.types.is_empty() || f.types.contains(&e.event_type))
        .filter(|e| f.tenant.is_none_or(|t| t == e.tenant))
        .filter(|e| f.from.is_none_or(|t| e.time >= t) && f.to.is_none_or(|t| e.time < t))
        .filter(|e| f.source.as_ref().is_none_or(|s| *s == e.source))
        .filter(|e| f.id.as_ref().is_none_or(|s| *s == e.id))
        .filter(|e| f.subject.is_none() || f.subject == e.subject)
        .filter(|e| f.offsets.as_ref().is_none_or(|r| r.contains(&e.offset)))
        .filter(|e| f.at.as_ref().is_none_or(|at| at.contains(&e.offset)))
        .collect()
}

fn filters() -> impl Strategy<Value = EventFilter> {
    let time = || (-5 * 24_i64..24).prop_map(|h| NOW.plus(h * HOUR));
    (
        proptest::collection::vec(0..5_u64, 0..3),
        proptest::option::of(0..7_u128),
        proptest::option::of(time()),
        proptest::option::of(time()),
        proptest::option::weighted(0.2, 0..13_u64),
        proptest::option::weighted(0.2, 0..400_u64),
        proptest::option::weighted(0.3, (0..400_u64, 0..400_u64)),
        proptest::option::weighted(0.2, proptest::collection::btree_set(0..400_u64, 0..5)),
    )
        .prop_map(
            |(types, t, from, to, subject, id, offsets, at)| EventFilter {
                types: types
                    .into_iter()
                    .map(|n| {
                        if n == 4 {
                            "no.such".to_owned()
                        } else {
                            spec(n * 3).event_type
                        }
                    })
                    .collect(),
                tenant: t.map(tenant),
                from,
                to,
                source: None,
                id: id.map(|n| format!("id-{n}")),
                subject: subject.map(|n| format!("user-{n}")),
                texts: Vec::new(),
                offsets: offsets.map(|(a, b)| a..b),
                at,
            },
        )
}

#[test]
fn typed_questions_equal_a_naive_count() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let all = events(0..400);
    let lake = runtime.block_on(async {
        let lake = open(folder.path()).await;
        append(&lake, &[&all[..150], &all[150..170], &all[170..]]).await;
        lake.compact(NOW, Default::default()).await.unwrap();
        lake
    });
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..Default::default()
    });
    let scopes = prop_oneof![
        Just(TenantScope::All),
        (0..6_u128).prop_map(|t| TenantScope::One(tenant(t)))
    ];
    runner
        .run(
            &(filters(), scopes, 1..80_usize, any::<bool>()),
            |(filter, scope, limit, newest)| {
                runtime.block_on(async {
                    let expected = naive(&all, scope, &filter);
                    let count = lake.count(scope, &filter).await.unwrap();
                    prop_assert_eq!(count, expected.len() as u64);

                    let order = if newest {
                        Order::NewestFirst
                    } else {
                        Order::OldestFirst
                    };
                    let (mut found, mut cursor) = (Vec::new(), None);
                    loop {
                        let page = lake
                            .events_of(scope, &filter, order, cursor.as_ref(), limit)
                            .await
                            .unwrap();
                        prop_assert!(page.events.len() <= limit);
                        found.extend(page.events);
                        cursor = page.next;
                        if cursor.is_none() {
                            break;
                        }
                    }
                    if newest {
                        found.reverse();
                    }
                    prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected.clone());
                    Ok(())
                })
            },
        )
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_match_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    append(&lake, &[&events(0..400)]).await;
    let scanned = |scope, sql: &'static str| {
        let lake = lake.clone();
        async move {
            lake.query(scope, sql, QueryLimits::default())
                .await
                .unwrap()
                .files_scanned
        }
    };
    let all = TenantScope::All;
    // One append makes one file for each stream and day.
    let expected = |which: fn(&str, &str) -> bool| {
        events(0..400)
            .iter()
            .map(|e| {
                let day = e.time.to_string()[..10].to_owned();
                (sealwright_lake::stream_of(&e.event_type), day)
            })
            .filter(|(stream, day)| which(stream, day))
            .collect::<std::collections::BTreeSet<_>>()
            .len() as u64
    };
    let total = expected(|_, _| true);
    assert_eq!(scanned(all, "SELECT id FROM events").await, total);
    let of_stream = expected(|s, _| s == "com.example");
    assert!(0 < of_stream && of_stream < total);
    assert_eq!(
        scanned(all, "SELECT id FROM events WHERE stream = 'com.example'").await,
        of_stream
    );
    assert_eq!(
        scanned(
            all,
            "SELECT id FROM events WHERE type = 'com.example.order.created'"
        )
        .await,
        of_stream
    );
    let of_day = expected(|_, d| d == "2026-11-22");
    assert_eq!(
        scanned(all, "SELECT id FROM events WHERE day = '2026-11-22'").await,
        of_day
    );
    let today = expected(|_, d| d == "2026-11-23");
    assert_eq!(
        scanned(
            all,
            "SELECT id FROM events WHERE time >= '2026-11-23T00:00:00Z'"
        )
        .await,
        today
    );
    assert!(scanned(all, "SELECT id FROM events WHERE offset = 0").await < total);
    assert_eq!(
        scanned(TenantScope::One(tenant(77)), "SELECT id FROM events").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    append(&lake, &[&events(0..2_000)]).await;
    let all = TenantScope::All;
    let limits = QueryLimits::default();
    let cut = lake
        .query(
            all,
            "SELECT * FROM events",
            QueryLimits { rows: 10, ..limits },
        )
        .await
        .unwrap();
    assert!(cut.truncated && cut.rows.len() == 10);
    let exact = lake
        .query(
            all,
            "SELECT * FROM events LIMIT 10",
            QueryLimits { rows: 10, ..limits },
        )
        .await
        .unwrap();
    assert!(!exact.truncated && exact.rows.len() == 10);
    let slow = lake
        .query(
            all,
            "WITH few AS (SELECT json FROM events LIMIT 300)
             SELECT count(*) FROM few a, few b, few c, few d
             WHERE a.json < b.json AND b.json < c.json AND c.json < d.json",
            QueryLimits {
                seconds: 1,
                ..limits
            },
        )
        .await
        .unwrap_err();
    assert!(slow.to_string().contains("1 seconds"), "{slow}");
    let large = lake
        .query(
            all,
            "SELECT array_agg(a.json) FROM events a, events b GROUP BY a.offset",
            QueryLimits {
                memory: 8 << 20,
                ..limits
            },
        )
        .await
        .unwrap_err();
    assert!(matches!(large, LakeError::Limit { .. }), "{large}");
    let long = format!("SELECT {}1", "1 + ".repeat(20_000));
    assert!(matches!(
        lake.query(all, &long, limits).await,
        Err(LakeError::Query { .. })
    ));
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(matches!(
        lake.query(all, &deep, limits).await,
        Err(LakeError::Query { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_where() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let mut out = String::new();
    for sql in [
        "SELECT count(* FROM events",
        "SELEC 1",
        "SELECT tpye\nFROM events",
        "SELECT *\nFROM event",
        "SELECT sum(type) FROM events",
        "SELECT json_text(json) FROM events",
        "SELECT 'open FROM events",
    ] {
        let error = lake
            .query(TenantScope::All, sql, QueryLimits::default())
            .await
            .unwrap_err();
        out.push_str(&format!("{sql:?}\n  {error}\n"));
    }
    insta::assert_snapshot!(out);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_lake_answers() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    assert_eq!(
        rows(&lake, TenantScope::All, "SELECT count(*) FROM events").await,
        [[json!(0)]]
    );
    assert!(
        rows(&lake, TenantScope::One(tenant(1)), "SELECT * FROM events")
            .await
            .is_empty()
    );
    assert_eq!(lake.status().oldest, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]
    #[test]
    fn arbitrary_text_never_panics(sql in "(SELECT|WITH|EXPLAIN|)[ \\PC]{0,60}") {
        static LAKE: std::sync::OnceLock<(tempfile::TempDir, tokio::runtime::Runtime, Lake)> = std::sync::OnceLock::new();
        let (_, runtime, lake) = LAKE.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            let lake = runtime.block_on(async {
                let lake = open(folder.path()).await;
                append(&lake, &[&[event(0, &spec(0))]]).await;
                lake
            });
            (folder, runtime, lake)
        });
        let _ = runtime.block_on(lake.query(TenantScope::All, &sql, QueryLimits::default()));
    }
}

#[test]
fn days_are_days() {
    assert_eq!(NOW.to_string(), "2026-11-23T12:00:00Z");
    assert_eq!(DAY, 24 * HOUR);
}

/// Another engine over the same active files gives the same rows. `SEALWRIGHT_DUCKDB_PYTHON` names a
/// Python interpreter that has `duckdb`.
#[tokio::test(flavor = "multi_thread")]
async fn duckdb_agrees() {
    let Ok(python) = std::env::var("SEALWRIGHT_DUCKDB_PYTHON") else {
        println!("skipped: SEALWRIGHT_DUCKDB_PYTHON is not set");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    append(&lake, &events(0..400).chunks(80).collect::<Vec<_>>()).await;
    lake.compact(NOW, Default::default()).await.unwrap();
    lake.vacuum(std::time::Duration::ZERO).await.unwrap();
    let sql = r#"SELECT tenant_id, type, CAST(day AS VARCHAR) AS d, stream, count(*) AS n,
            min("offset") AS a, max(id) AS b, max(subject) AS c, max(json) AS j
        FROM events GROUP BY tenant_id, type, day, stream ORDER BY tenant_id, type, d"#;
    let script = format!(
        r#"
import duckdb, json
db = duckdb.connect()
db.execute("CREATE VIEW events AS SELECT * FROM read_parquet('{}/*/*/*.parquet', hive_partitioning = true)")
print(json.dumps(db.execute("""{sql}""").fetchall()))
"#,
        lake.table_folder().display()
    );
    let output = std::process::Command::new(python)
        .args(["-c", &script])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let theirs: Vec<Vec<Value>> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(theirs.len() > 20);
    assert_eq!(rows(&lake, TenantScope::All, sql).await, theirs);
}
