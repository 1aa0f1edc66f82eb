//! From a real Prometheus to a meter's usage, exact to the unit, with the program killed while it catches up.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rand::Rng as _;
use serde_json::json;

use crate::support::{Place, Server, places};

/// Whether Prometheus is there; where it must be, its absence is a failure.
fn there() -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = ["prometheus", "promtool"]
        .iter()
        .all(|tool| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()));
    if !found {
        assert!(
            std::env::var_os("SEALWRIGHT_TEST_REQUIRE_PROMETHEUS").is_none(),
            "prometheus is not installed and required"
        );
        eprintln!("skipped: Prometheus (prometheus or promtool is not installed)");
    }
    found
}

struct Prometheus {
    child: Child,
    url: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    fn start(folder: &Path) -> Self {
        let config = folder.join("prometheus.yml");
        std::fs::write(&config, "global: {}\n").unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let this = Self {
            child,
            url: format!("http://{address}"),
        };
        let since = Instant::now();
        while !ready(&address) {
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "Prometheus does not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        this
    }
}

fn ready(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    let mut answer = String::new();
    stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.0 200")
}

/// Two hours of counters from `start` on, as blocks; what each tenant used.
fn history(folder: &Path, start: i64) -> BTreeMap<&'static str, u64> {
    let mut random = rand::rng();
    let mut expected = BTreeMap::from([("acme", 0), ("globex", 0)]);
    let mut text = "# TYPE requests counter\n".to_owned();
    let mut values = [0_u64; 4];
    for at in (0..7_200).step_by(15) {
        for (pod, value) in values.iter_mut().enumerate() {
            let tenant = if pod < 2 { "acme" } else { "globex" };
            let mut more = random.random_range(0..5_000);
            // It began again. It has to be lower than before, else nobody could see it.
            if at > 0 && *value > 1 && random.random_bool(0.01) {
                *value = 0;
                more = more.min(1);
            }
            *value += more;
            if at > 0 {
                *expected.get_mut(tenant).unwrap() += more;
            }
            let zone = if pod % 2 == 0 { "eu" } else { "us" };
            writeln!(
                text,
                "requests_total{{pod=\"{pod}\",tenant=\"{tenant}\",zone=\"{zone}\"}} {value} {}",
                start + at
            )
            .unwrap();
        }
    }
    text.push_str("# EOF\n");
    let file = folder.join("samples.txt");
    std::fs::write(&file, text).unwrap();
    let done = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(&file)
        .arg(folder.join("data"))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(done.success());
    expected
}

const METER: &str = r#"
[[meters]]
key = "acme.requests"
title = "Requests"
event_types = ["acme.requests.v1"]
value = "data.value"
aggregation = "sum"
unit = "request"
dimensions = { zone = "data.zone" }
"#;

/// Kills a pull while it goes on, a few times, and lets the last one end.
fn pull(place: &Place, id: &str) {
    let mut random = rand::rng();
    for _ in 0..6 {
        let mut child = place
            .command()
            .args(["prometheus", "source", "pull", id])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(random.random_range(300..3_000)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    place.ok(&["prometheus", "source", "pull", id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_of_prometheus_are_a_meters_usage_to_the_unit() {
    if !there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let start = (Timestamp::now().as_second() - 3 * 3_600) / 60 * 60;
    let expected = history(folder.path(), start);
    let prometheus = Prometheus::start(folder.path());
    for place in places().await {
        let all = place.key_for_all("*");
        for tenant in ["acme", "globex"] {
            place.ok(&["access", "tenant", "create", tenant]);
        }
        let meter = place.file("meter.toml", METER);
        place.ok(&["billing", "meter", "add", &meter]);
        let from = Timestamp::from_second(start).unwrap().to_string();
        let create = [
            "prometheus",
            "source",
            "create",
            "--name",
            "requests",
            "--url",
            &prometheus.url,
            "--kind",
            "counter",
            "--expression",
            "requests_total{pod=~\".+\"}",
            "--tenant-label",
            "tenant",
            "--event-type",
            "acme.requests.v1",
            "--label",
            "zone=zone",
            "--interval-seconds",
            "60",
            "--from",
            &from,
        ];
        let refused = place.run(&create);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(
            refused.err.contains("prometheus.private_targets"),
            "{refused:?}"
        );
        place.file(
            "sealwright.toml",
            "[prometheus]\nprivate_targets = \"loopback\"\n",
        );
        let id = place.json(&create)["id"].as_str().unwrap().to_owned();
        pull(&place, &id);
        for (tenant, wanted) in &expected {
            let shown = place.json(&[
                "billing",
                "usage",
                "show",
                "--tenant",
                tenant,
                "--meter",
                "acme.requests",
                "--from",
                &from,
            ]);
            let used: u64 = shown["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["quantity"].as_str().unwrap().parse::<u64>().unwrap())
                .sum();
            assert_eq!(used, *wanted, "{}: {tenant}: {shown}", place.name);
        }
        let server = Server::start(&place);
        let path = format!("/api/prometheus/sources/{id}");
        let source = server.get(&all, &path).await.expect(200).json();
        assert_eq!(source["totals"]["refused"], 0, "{source}");
        assert_eq!(source["totals"]["unassigned"], 0, "{source}");
        assert_eq!(source["failures"], 0, "{source}");
        // Wound back, it is counted again, and nothing twice: over HTTP and by the schedule.
        let back = json!({ "to": from });
        let back = server.post(&all, &format!("{path}/rewind"), &back).await;
        assert_eq!(back.expect(200).json()["done_through"], from.as_str());
        let run = json!({ "job": "prometheus.pull" });
        server.post(&all, "/api/jobs/runs", &run).await.expect(202);
        let since = Instant::now();
        loop {
            let source = server.get(&all, &path).await.expect(200).json();
            if source["lag_seconds"].as_i64().unwrap() < 600 {
                break;
            }
            assert!(since.elapsed() < Duration::from_secs(150), "{source}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        server.caught_up().await;
        let query = format!("/api/billing/usage?meter=acme.requests&from={from}");
        let usage = server.get(&all, &query).await.expect(200).json();
        let used: u64 = usage["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["quantity"].as_str().unwrap().parse::<u64>().unwrap())
            .sum();
        assert_eq!(used, expected.values().sum::<u64>(), "{}", place.name);
        // A tenant's key sees nothing of it.
        drop(server);
        let tenant = place.key("acme", "*");
        let server = Server::start(&place);
        server.get(&tenant, &path).await.expect(403);
    }
}
