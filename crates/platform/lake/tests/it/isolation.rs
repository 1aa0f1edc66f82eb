//! A query cannot leave its tenant, change anything, or read anything else.

use sealwright_core::TenantScope;
use sealwright_lake::{LakeError, QueryLimits};

use crate::support::{append, events, open, tenant};

#[tokio::test(flavor = "multi_thread")]
async fn no_query_sees_another_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    append(&lake, &[&events(0..300)]).await;
    let mine = tenant(2).to_string();
    let scope = TenantScope::One(tenant(2));
    for sql in [
        "SELECT DISTINCT tenant_id FROM events",
        "SELECT tenant_id FROM events WHERE tenant_id <> 'x' OR true",
        "SELECT tenant_id FROM (SELECT * FROM events) AS e",
        "SELECT tenant_id FROM events UNION ALL SELECT tenant_id FROM events",
        "SELECT tenant_id FROM \"events\" UNION SELECT tenant_id FROM datafusion.public.events",
        "WITH events2 AS (SELECT * FROM events) SELECT a.tenant_id FROM events2 a JOIN events b ON a.offset <> b.offset LIMIT 500",
        "SELECT e.tenant_id FROM events e WHERE e.offset IN (SELECT \"offset\" FROM public.events)",
        "SELECT (SELECT max(tenant_id) FROM events) AS t FROM events",
        "SELECT max(tenant_id) FROM events UNION ALL SELECT min(tenant_id) FROM events",
        "WITH RECURSIVE r AS (SELECT tenant_id, 0 AS n FROM events UNION ALL SELECT tenant_id, n + 1 FROM r WHERE n < 2) SELECT DISTINCT tenant_id FROM r",
        "SELECT tenant_id FROM events GROUP BY GROUPING SETS ((tenant_id)) HAVING count(*) > 0",
        "SELECT lag(tenant_id) OVER (ORDER BY \"offset\") FROM events",
    ] {
        let result = lake
            .query(scope, sql, QueryLimits::default())
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert!(!result.rows.is_empty(), "{sql}");
        for row in &result.rows {
            assert!(
                row[0].is_null() || row[0] == mine.as_str(),
                "{sql}: {row:?}"
            );
        }
    }
    let count = lake
        .query(scope, "SELECT count(*) FROM events", QueryLimits::default())
        .await
        .unwrap();
    assert_eq!(count.rows[0][0], 60);
    let none = lake
        .query(
            TenantScope::One(tenant(99)),
            "SELECT * FROM events",
            QueryLimits::default(),
        )
        .await
        .unwrap();
    assert!(none.rows.is_empty());
    assert_eq!(none.columns.len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_reading_the_view_is_possible() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    append(&lake, &[&events(0..50)]).await;
    let before = crate::support::files(folder.path()).len();
    let file = crate::support::data_files(folder.path())[0].clone();
    let file = file.display();
    let attempts = [
        "INSERT INTO events SELECT * FROM events".to_owned(),
        "DELETE FROM events".to_owned(),
        "UPDATE events SET type = 'x'".to_owned(),
        "DROP TABLE events".to_owned(),
        "CREATE TABLE t AS SELECT * FROM events".to_owned(),
        "CREATE VIEW v AS SELECT * FROM events".to_owned(),
        format!("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{file}'"),
        format!("COPY (SELECT * FROM events) TO '{file}.out' STORED AS PARQUET"),
        "EXPLAIN COPY (SELECT 1) TO '/tmp/x' STORED AS CSV".to_owned(),
        "EXPLAIN ANALYZE INSERT INTO events SELECT * FROM events".to_owned(),
        "WITH x AS (SELECT 1) INSERT INTO events SELECT * FROM x".to_owned(),
        "SELECT * INTO t FROM events".to_owned(),
        "SET datafusion.execution.batch_size = 1".to_owned(),
        "SHOW TABLES".to_owned(),
        "SHOW ALL".to_owned(),
        "DESCRIBE events".to_owned(),
        "RESET datafusion.execution.batch_size".to_owned(),
        "PREPARE p AS SELECT 1".to_owned(),
        "BEGIN".to_owned(),
        "SELECT 1; SELECT 2".to_owned(),
        String::new(),
        ";".to_owned(),
        "-- only a comment".to_owned(),
        format!("SELECT * FROM '{file}'"),
        format!("SELECT * FROM \"{file}\""),
        format!("SELECT * FROM read_parquet('{file}')"),
        "SELECT * FROM 'https://example.org/x.parquet'".to_owned(),
        "SELECT * FROM information_schema.tables".to_owned(),
        "SELECT * FROM information_schema.df_settings".to_owned(),
        "SELECT * FROM \"?table?\"".to_owned(),
        "SELECT * FROM parquet_metadata('x')".to_owned(),
        "SELECT * FROM generate_series(1, 1000000000)".to_owned(),
        "SELECT repeat('x', 1000000000)".to_owned(),
        "SELECT nothing FROM events".to_owned(),
    ];
    for scope in [TenantScope::All, TenantScope::One(tenant(1))] {
        for sql in &attempts {
            let error = lake
                .query(scope, sql, QueryLimits::default())
                .await
                .expect_err(sql);
            assert!(matches!(error, LakeError::Query { .. }), "{sql}: {error:?}");
        }
    }
    assert_eq!(crate::support::files(folder.path()).len(), before);
    assert_eq!(lake.status().rows, 50);
}

/// Plans are shown without the server's folders, and to one tenant without any file.
#[tokio::test(flavor = "multi_thread")]
async fn plans_show_no_more_than_they_may() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    append(&lake, &[&events(0..50)]).await;
    let place = folder.path().display().to_string();
    let plan = |scope, sql: &'static str| {
        let lake = lake.clone();
        async move {
            let result = lake.query(scope, sql, QueryLimits::default()).await?;
            Ok::<_, LakeError>(format!("{:?}", result.rows))
        }
    };
    let all = plan(TenantScope::All, "EXPLAIN SELECT id FROM events")
        .await
        .unwrap();
    assert!(all.contains("part-") && !all.contains(&place[1..]), "{all}");
    let one = TenantScope::One(tenant(1));
    let text = plan(one, "EXPLAIN SELECT id FROM events").await.unwrap();
    assert!(
        text.contains("tenant_id") && !text.contains("part-"),
        "{text}"
    );
    for sql in [
        "EXPLAIN ANALYZE SELECT id FROM events",
        "EXPLAIN VERBOSE SELECT id FROM events",
    ] {
        let refused = plan(one, sql).await.unwrap_err();
        assert!(
            refused.to_string().contains("EXPLAIN takes no options"),
            "{refused}"
        );
    }
    plan(TenantScope::All, "EXPLAIN ANALYZE SELECT id FROM events")
        .await
        .unwrap();
}
