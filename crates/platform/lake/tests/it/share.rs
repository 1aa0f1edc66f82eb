//! Questions that several processes answer together: the same rows as one gives, whoever ends meanwhile.

use std::path::Path;
use std::time::Duration;

use sealwright_core::TenantScope;
use sealwright_lake::{Lake, LakeError, QueryLimits, QueryResult, ShareOptions};
use secrecy::SecretBox;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::support::{append, events, open, tenant};

/// A process, as far as shared questions are concerned: what it runs ends at once when it is killed.
struct Node {
    lake: Lake,
    address: String,
    runtime: Option<Runtime>,
}

impl Node {
    async fn start(folder: &Path, secret: u8, version: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let lake = Lake::open_read_only(folder).await.unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let options = ShareOptions {
            secret: SecretBox::new(Box::new([secret; 32])),
            address: address.clone(),
            version: version.to_owned(),
            from_bytes: 1,
            memory: 256 << 20,
        };
        let server = lake.share(listener, &options).unwrap();
        runtime.spawn(server.run(CancellationToken::new()));
        drop(entered);
        Self {
            lake,
            address,
            runtime: Some(runtime),
        }
    }

    fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    async fn ask(&self, sql: &str) -> Result<QueryResult, LakeError> {
        self.lake
            .query(TenantScope::All, sql, QueryLimits::default())
            .await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three processes that know each other.
async fn three(folder: &Path) -> Vec<Node> {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Node::start(folder, 7, "1").await);
    }
    meet(&nodes);
    nodes
}

fn meet(nodes: &[Node]) {
    let addresses: Vec<String> = nodes.iter().map(|node| node.address.clone()).collect();
    for node in nodes {
        assert_eq!(node.lake.set_peers(&addresses).unwrap(), nodes.len() - 1);
    }
}

/// A lake of so many events in several files of each partition.
async fn filled(folder: &Path, count: u64) -> Lake {
    let lake = open(folder).await;
    let all = events(0..count);
    let batches: Vec<_> = all
        .chunks(usize::try_from(count).unwrap() / 6 + 1)
        .collect();
    append(&lake, &batches).await;
    lake
}

const QUESTIONS: &[&str] = &[
    "SELECT count(*) FROM events",
    "SELECT * FROM events ORDER BY \"offset\"",
    "SELECT * FROM events WHERE \"offset\" BETWEEN 40 AND 60 ORDER BY \"offset\"",
    "SELECT type, count(*), min(time), max(received_at) FROM events GROUP BY type ORDER BY type",
    "SELECT tenant_id, day, sum(json_decimal(json, 'data.quantity')) AS s FROM events \
     GROUP BY tenant_id, day ORDER BY s DESC, tenant_id, day",
    "SELECT json_text(json, 'data.model') AS model, avg(json_number(json, 'data.quantity')) FROM events \
     WHERE type LIKE 'sealwright.usage.%' GROUP BY model ORDER BY model",
    "SELECT count(DISTINCT subject), count(subject), count(DISTINCT digest) FROM events",
    "SELECT id, digest FROM events WHERE subject = 'user-3' ORDER BY id LIMIT 7",
    "SELECT id FROM events ORDER BY time DESC, id LIMIT 5 OFFSET 3",
    "WITH u AS (SELECT subject, count(*) AS n FROM events GROUP BY subject) \
     SELECT e.id, u.n FROM events e JOIN u ON e.subject = u.subject WHERE u.n > 3 ORDER BY e.id LIMIT 20",
    "SELECT a.id FROM events a LEFT JOIN events b ON a.\"offset\" = b.\"offset\" + 100 \
     WHERE b.id IS NULL ORDER BY a.\"offset\"",
    "SELECT id, row_number() OVER (PARTITION BY type ORDER BY \"offset\") AS r FROM events ORDER BY id LIMIT 50",
    "SELECT type FROM events WHERE \"offset\" < 50 UNION ALL SELECT source FROM events WHERE \"offset\" < 20 ORDER BY 1",
    "SELECT DISTINCT stream, day FROM events ORDER BY stream, day",
    "SELECT count(*) FROM events WHERE \"offset\" > (SELECT avg(\"offset\") FROM events)",
    "SELECT count(*) FROM events WHERE subject IN (SELECT subject FROM events WHERE \"offset\" < 10)",
    "SELECT count(*) FROM events WHERE type = 'nothing.of.this'",
    "SELECT approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY \"offset\") > 0 FROM events",
    "SELECT date_trunc('hour', time) AS h, count(*) FROM events GROUP BY h ORDER BY h LIMIT 30",
    "SELECT 1 + 1",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_give_the_rows_that_one_gives() {
    let folder = tempfile::tempdir().unwrap();
    let _writer = filled(folder.path(), 400).await;
    let alone = Lake::open_read_only(folder.path()).await.unwrap();
    let nodes = three(folder.path()).await;
    let mut shared = 0;
    for (n, sql) in QUESTIONS.iter().enumerate() {
        for scope in [TenantScope::All, TenantScope::One(tenant(2))] {
            let limits = QueryLimits::default();
            let expected = alone.query(scope, sql, limits).await.unwrap();
            let found = nodes[n % 3].lake.query(scope, sql, limits).await;
            let found = found.unwrap_or_else(|error| panic!("{sql}: {error}"));
            assert_eq!(found.rows, expected.rows, "{sql}");
            assert_eq!(found.columns, expected.columns, "{sql}");
            assert_eq!(expected.processes, 1);
            if found.processes == 3 {
                shared += 1;
                // What only asks for the partition reads no bytes.
                assert!(found.bytes_scanned.is_some(), "{sql}: {found:?}");
            }
        }
    }
    // What statistics answer alone, and what reads no files, is not worth sharing.
    assert!(shared >= 2 * QUESTIONS.len() - 8, "{shared}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_ends_is_done_without() {
    let folder = tempfile::tempdir().unwrap();
    let _writer = filled(folder.path(), 1_200).await;
    let mut nodes = three(folder.path()).await;
    let sql = "SELECT a.type, count(*), sum(b.\"offset\") FROM events a \
               JOIN events b ON a.subject = b.subject GROUP BY a.type ORDER BY a.type";
    let first = nodes[0].ask(sql).await.unwrap();
    assert_eq!(first.processes, 3);
    let took = std::time::Instant::now();
    nodes[0].ask(sql).await.unwrap();
    let took = took.elapsed();
    for (left, gone) in [(2, 2), (1, 1)] {
        let asked = {
            let lake = nodes[0].lake.clone();
            tokio::spawn(async move {
                let ask = || lake.query(TenantScope::All, sql, QueryLimits::default());
                futures::future::join_all((0..4).map(|_| ask())).await
            })
        };
        // Some of them are being answered.
        tokio::time::sleep(took).await;
        nodes[gone].kill();
        for answer in asked.await.unwrap() {
            assert_eq!(answer.unwrap().rows, first.rows);
        }
        let answer = nodes[0].ask(sql).await.unwrap();
        assert_eq!(answer.rows, first.rows);
        assert_eq!(answer.processes, left);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_another_secret_or_version_gets_no_part() {
    let folder = tempfile::tempdir().unwrap();
    let _writer = filled(folder.path(), 200).await;
    let mut nodes = three(folder.path()).await;
    nodes[1] = Node::start(folder.path(), 8, "1").await;
    nodes[2] = Node::start(folder.path(), 7, "2").await;
    meet(&nodes);
    let sql = "SELECT count(*) FROM events WHERE type LIKE '%login%'";
    for asked in [0, 1] {
        let answer = nodes[asked].ask(sql).await.unwrap();
        assert_eq!(answer.rows[0][0], 50, "{answer:?}");
    }
    // One that lets nobody in, and one whose plans may mean something else.
    assert_eq!(nodes[1].ask(sql).await.unwrap().processes, 1);
    let refused = nodes[0].lake.set_peers(&["nowhere".to_owned()]);
    assert!(matches!(refused, Err(LakeError::Invalid(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_just_written_is_read_by_all() {
    let folder = tempfile::tempdir().unwrap();
    let writer = filled(folder.path(), 100).await;
    let nodes = three(folder.path()).await;
    for n in 1..=10_u64 {
        append(&writer, &[&events(90 + n * 10..100 + n * 10)]).await;
        let sql = "SELECT count(*), max(\"offset\") FROM events WHERE source = '/test'";
        let answer = nodes[(n % 3) as usize].ask(sql).await.unwrap();
        assert_eq!(answer.rows[0][0], 100 + n * 10);
        assert_eq!(answer.processes, 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_and_errors_are_those_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let _writer = filled(folder.path(), 2_000).await;
    let alone = Lake::open_read_only(folder.path()).await.unwrap();
    let nodes = three(folder.path()).await;
    let wrong = "SELECT 1 / (\"offset\" - 500) FROM events";
    let (one, other) = (
        alone
            .query(TenantScope::All, wrong, QueryLimits::default())
            .await
            .unwrap_err(),
        nodes[0].ask(wrong).await.unwrap_err(),
    );
    assert_eq!(one.to_string(), other.to_string());
    let cut = QueryLimits {
        rows: 10,
        ..QueryLimits::default()
    };
    let sql = "SELECT id FROM events";
    let answer = nodes[0]
        .lake
        .query(TenantScope::All, sql, cut)
        .await
        .unwrap();
    assert!(answer.truncated && answer.rows.len() == 10);
    let small = QueryLimits {
        memory: 20_000,
        ..QueryLimits::default()
    };
    let sql = "SELECT json, count(*) FROM events GROUP BY json ORDER BY json";
    let error = nodes[0]
        .lake
        .query(TenantScope::All, sql, small)
        .await
        .unwrap_err();
    assert!(matches!(error, LakeError::Limit { .. }), "{error}");
    let short = QueryLimits {
        seconds: 1,
        ..QueryLimits::default()
    };
    let sql = "SELECT count(*) FROM events a JOIN events b ON a.source = b.source \
               JOIN events c ON b.source = c.source WHERE a.id || b.id || c.id LIKE '%x%y%z%'";
    let started = std::time::Instant::now();
    let error = nodes[0]
        .lake
        .query(TenantScope::All, sql, short)
        .await
        .unwrap_err();
    assert!(matches!(error, LakeError::Limit { .. }), "{error}");
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    // They are free for the next one.
    assert_eq!(
        nodes[0]
            .ask("SELECT count(*) FROM events WHERE id > ''")
            .await
            .unwrap()
            .rows[0][0],
        2_000
    );
}
