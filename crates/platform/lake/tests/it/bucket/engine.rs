//! Another engine, which knows nothing of this program, reads the table.

use serde_json::Value;

use sealwright_core::TenantScope;
use sealwright_lake::QueryLimits;

use super::{AT_ONCE, Bucket, stores};
use crate::support::{NOW, append, events};

/// Replays the table's log as the Delta protocol says, fetches the active files, and asks DuckDB.
const SCRIPT: &str = r#"
import duckdb, json, os, sys, tempfile, urllib.request
given = json.load(sys.stdin)
folder = tempfile.mkdtemp()
def fetch(name):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with urllib.request.urlopen(given["urls"][name]) as answer, open(path, "wb") as to:
        to.write(answer.read())
    return path
active = {}
log = sorted(n for n in given["urls"] if n.startswith("_delta_log/") and n.split("/")[1][:20].isdigit())
checkpoints = [n for n in log if n.endswith(".checkpoint.parquet")]
begin = ""
if checkpoints:
    begin = checkpoints[-1]
    rows = duckdb.sql(f"SELECT add.path, add.size FROM read_parquet('{fetch(begin)}') WHERE add.path IS NOT NULL")
    active = dict(rows.fetchall())
for name in log:
    if name.endswith(".json") and name[:31] > begin[:31]:
        for line in open(fetch(name)):
            action = json.loads(line)
            if "add" in action:
                active[action["add"]["path"]] = action["add"]["size"]
            if "remove" in action:
                active.pop(action["remove"]["path"], None)
for path, size in active.items():
    assert os.path.getsize(fetch(path)) == size, path
db = duckdb.connect()
files = [os.path.join(folder, path) for path in active]
db.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet({files!r}, hive_partitioning = true)")
print(json.dumps([bool(checkpoints), len(active), db.execute(given["sql"]).fetchall()]))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_reads_equal_rows() {
    let Ok(python) = std::env::var("SEALWRIGHT_DUCKDB_PYTHON") else {
        println!("skipped: SEALWRIGHT_DUCKDB_PYTHON is not set");
        return;
    };
    let sql = r#"SELECT "offset", tenant_id, type, CAST(day AS VARCHAR) AS d, stream, id, subject, json
        FROM events ORDER BY "offset""#;
    for store in stores() {
        let bucket = Bucket::new(store, AT_ONCE);
        let (lake, _folder) = bucket.open().await;
        append(&lake, &events(0..400).chunks(80).collect::<Vec<_>>()).await;
        // Commits alone, and then a checkpoint, with files that were replaced and stay.
        for with_checkpoint in [false, true] {
            if with_checkpoint {
                lake.compact(NOW, Default::default()).await.unwrap();
                lake.clean_log().await.unwrap();
                append(&lake, &[&events(400..450)]).await;
            }
            let mut urls = serde_json::Map::new();
            for name in bucket.store.names().await {
                if let Some(inside) = name.strip_prefix("a/lake/events/") {
                    let url = bucket.store.url(&name).await;
                    urls.insert(inside.to_owned(), Value::String(url));
                }
            }
            let given = serde_json::json!({"urls": urls, "sql": sql});
            let mut child = std::process::Command::new(&python)
                .args(["-c", SCRIPT])
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let stdin = child.stdin.take().unwrap();
            serde_json::to_writer(stdin, &given).unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            let (checkpoint, files, theirs): (bool, u64, Vec<Vec<Value>>) =
                serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!((checkpoint, files), (with_checkpoint, lake.status().files));
            let limits = QueryLimits::default();
            let ours = lake.query(TenantScope::All, sql, limits).await.unwrap();
            assert_eq!(ours.rows.len(), if with_checkpoint { 450 } else { 400 });
            assert_eq!(ours.rows, theirs);
        }
    }
}
