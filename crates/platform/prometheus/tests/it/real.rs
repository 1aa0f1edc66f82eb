//! Against a real Prometheus: history that promtool made blocks of, and a live one that scrapes what the test
//! serves, with restarts of both.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use sealwright_core::UnixMicros;
use sealwright_prometheus::{Kind, NewSource, Source, Take, WindowState};

use crate::support::{World, worlds};

/// Whether Prometheus is there; where it must be, its absence is a failure.
pub(crate) fn there() -> bool {
    let found = ["prometheus", "promtool"].iter().all(|tool| {
        let path = std::env::var("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
    });
    if !found {
        assert!(
            std::env::var_os("SEALWRIGHT_TEST_REQUIRE_PROMETHEUS").is_none(),
            "prometheus is not installed and required"
        );
        eprintln!("skipped: Prometheus (prometheus or promtool is not installed)");
    }
    found
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A running Prometheus; it is killed when it is dropped.
struct Prometheus {
    child: Child,
    url: String,
}

impl Prometheus {
    /// Starts on a folder, which may hold what an earlier one left.
    fn start(folder: &Path, scrape: Option<SocketAddr>) -> Self {
        let mut config = "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n".to_owned();
        if let Some(target) = scrape {
            writeln!(
                config,
                "scrape_configs:\n  - job_name: test\n    static_configs:\n      - targets: ['{target}']"
            )
            .unwrap();
        }
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        for _ in 0..5 {
            let address = format!("127.0.0.1:{}", free_port());
            let mut child = Command::new("prometheus")
                .arg(format!("--config.file={}", file.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    folder.join("data").display()
                ))
                .arg(format!("--web.listen-address={address}"))
                .args(["--storage.tsdb.retention.time=15d", "--log.level=error"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let since = Instant::now();
            while since.elapsed() < Duration::from_secs(60) {
                if ready(&address) {
                    return Self {
                        child,
                        url: format!("http://{address}"),
                    };
                }
                // Somebody else took the port.
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("Prometheus does not start");
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ready(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let mut answer = String::new();
    stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.0 200")
}

fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

/// Blocks of samples: seconds, series, value.
fn blocks(folder: &Path, samples: &[(i64, String, String)]) {
    let mut text = "# TYPE requests counter\n".to_owned();
    for (at, series, value) in samples {
        writeln!(text, "requests_total{{{series}}} {value} {at}").unwrap();
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
}

fn source(world: &World, url: &str, from: i64, interval: u32) -> NewSource {
    let mut new = world.counter("requests");
    new.url = url.to_owned();
    new.interval_seconds = Some(interval);
    new.from = Some(UnixMicros(from * 1_000_000).to_string());
    new
}

/// What somebody with a pencil would count of samples in the order of time.
fn pencil(values: &[f64]) -> f64 {
    values
        .windows(2)
        .map(|pair| {
            if pair[1] >= pair[0] {
                pair[1] - pair[0]
            } else {
                pair[1]
            }
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_with_resets_gaps_and_comings_and_goings_is_exact() {
    if !there() {
        return;
    }
    for world in worlds().await {
        let folder = tempfile::tempdir().unwrap();
        // Three hours that ended an hour ago.
        let start = (now() / 1_000_000 - 4 * 3_600) / 3_600 * 3_600;
        let mut samples = Vec::new();
        let mut expected: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (pod, tenant, pace, offset) in [
            ("a", "acme", 15, 3_u32),
            ("b", "acme", 15, 9),
            ("c", "globex", 60, 0),
        ] {
            let mut value = 40.0;
            let mut counted = Vec::new();
            let mut at = i64::from(offset);
            while at < 3 * 3_600 {
                let minute = at / 60;
                // A pod restarts, is away for 20 minutes, comes late or goes early.
                let away = (pod == "a" && (70..90).contains(&minute))
                    || (pod == "b" && minute < 31)
                    || (pod == "c" && minute > 150);
                value += ((at * 7 + i64::from(offset)) % 13) as f64 * 0.25;
                if pod == "b" && at % 2_400 < 15 {
                    value = 2.0;
                }
                if !away {
                    samples.push((
                        start + at,
                        format!("pod=\"{pod}\",tenant=\"{tenant}\""),
                        value.to_string(),
                    ));
                    counted.push(value);
                }
                at += pace;
            }
            expected.insert(pod, counted);
        }
        samples.sort_by_key(|(at, _, _)| *at);
        blocks(folder.path(), &samples);
        let prometheus = Prometheus::start(folder.path(), None);
        // From a quarter of an hour before the first sample, in windows of five minutes.
        let new = source(&world, &prometheus.url, start - 900, 300);
        world.clock.set(UnixMicros(now()));
        let made = world.create(&new).await;
        world
            .clock
            .set(UnixMicros((start + 3 * 3_600 + 300) * 1_000_000));
        let pulled = world.pull(&made).await;
        assert_eq!((pulled.error, pulled.windows), (None, 3 + 36 + 1));
        let of = |pods: &[&str]| -> f64 { pods.iter().map(|pod| pencil(&expected[pod])).sum() };
        let sum = |tenant| world.log.sum(tenant).to_string().parse::<f64>().unwrap();
        // Quarters are exact in both ways of counting.
        assert_eq!(sum(Some(world.acme)), of(&["a", "b"]));
        assert_eq!(sum(Some(world.globex)), of(&["c"]));
        let rows = world.windows(&made).await;
        // The first sample stands at the end of the third window, and so belongs to it.
        let states: Vec<_> = rows[..3].iter().map(|row| row.state.as_str()).collect();
        assert_eq!(states, ["empty", "empty", "done"]);
        assert_eq!(rows.last().unwrap().state, WindowState::Empty);
        assert!(rows.iter().map(|r| r.resets).sum::<i64>() >= 3, "{rows:?}");
        assert_eq!(rows.iter().map(|r| r.appeared).sum::<i64>(), 3);
        assert_eq!(rows.iter().map(|r| r.returned).sum::<i64>(), 1);
        // Windows of another length add up to the same.
        let mut new = source(&world, &prometheus.url, start - 900, 3_600);
        new.name = "by the hour".to_owned();
        new.tenant_label = None;
        new.tenant = Some("globex".to_owned());
        let before = world.log.sum(None);
        let by_hour = world.create(&new).await;
        world.clock.set(UnixMicros((start + 4 * 3_600) * 1_000_000));
        let pulled = world.pull(&by_hour).await;
        assert_eq!(pulled.error, None);
        assert_eq!(world.log.sum(None) - before, before);
        refused_by_it(&world, &prometheus, start).await;
    }
}

/// What a real one refuses, and a level that it computes.
async fn refused_by_it(world: &World, prometheus: &Prometheus, start: i64) {
    let mut new = source(world, &prometheus.url, start + 3_000, 300);
    new.name = "wrong".to_owned();
    new.kind = Kind::Expression;
    new.expression = "sum by (tenant) (requests_total".to_owned();
    let wrong = world.create(&new).await;
    let error = world.pull(&wrong).await.error.unwrap();
    assert!(
        error.contains("bad_data") && error.contains("parse error"),
        "{error}"
    );
    new.name = "scalar".to_owned();
    new.expression = "1 + 1".to_owned();
    let scalar = world.create(&new).await;
    let error = world.pull(&scalar).await.error.unwrap();
    assert!(error.contains("cannot be read"), "{error}");
    new.name = "sum".to_owned();
    new.expression = "sum by (tenant) (requests_total{pod=\"c\"} > 0)".to_owned();
    let sum = world.create(&new).await;
    assert!(world.puller.pull(sum.id, 2, &|| true).await.unwrap().events > 0);
    new.name = "nothing".to_owned();
    new.kind = Kind::Gauge;
    new.take = Some(Take::Max);
    new.expression = "no_such_metric".to_owned();
    let nothing = world.create(&new).await;
    let pulled = world.puller.pull(nothing.id, 2, &|| true).await.unwrap();
    assert_eq!((pulled.error, pulled.windows, pulled.events), (None, 2, 0));
    let rows = world.windows(&nothing).await;
    assert!(
        rows.iter().all(|row| row.state == WindowState::Empty),
        "an absent series is no zero"
    );
}

/// What the exporter says (`None`: it is down), and how often it was asked.
#[derive(Default)]
struct Exported {
    says: Mutex<Option<BTreeMap<&'static str, u64>>>,
    scrapes: AtomicU32,
}
type Counters = Arc<Exported>;

async fn exporter(counters: Counters) -> SocketAddr {
    async fn metrics(State(counters): State<Counters>) -> Response {
        counters.scrapes.fetch_add(1, Ordering::SeqCst);
        let Some(counters) = counters.says.lock().unwrap().clone() else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let mut text = "# TYPE requests_total counter\n".to_owned();
        for (tenant, value) in counters {
            writeln!(text, "requests_total{{tenant=\"{tenant}\"}} {value}").unwrap();
        }
        text.into_response()
    }
    let router = Router::new()
        .route("/metrics", get(metrics))
        .with_state(counters);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// A live Prometheus, what it scrapes, and sources that are pulled as time goes by.
struct Live {
    worlds: Vec<World>,
    sources: Vec<Source>,
    counters: Counters,
    expected: BTreeMap<&'static str, u64>,
    errors: u32,
}

impl Live {
    /// Counts up for some seconds, pulling meanwhile.
    async fn count(&mut self, seconds: u64) {
        for step in 0..seconds * 10 {
            if let Some(counters) = self.counters.says.lock().unwrap().as_mut() {
                for (tenant, more) in [("acme", step % 7), ("globex", step % 3)] {
                    *counters.get_mut(tenant).unwrap() += more;
                    *self.expected.get_mut(tenant).unwrap() += more;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            if step % 10 == 0 {
                self.pull().await;
            }
        }
    }

    /// Lets the last counts be scraped: two scrapes that begin from here on, and a moment to store them.
    async fn settle(&mut self) {
        let scrapes = &self.counters.scrapes;
        let wanted = scrapes.load(Ordering::SeqCst) + 2;
        let since = Instant::now();
        while scrapes.load(Ordering::SeqCst) < wanted {
            assert!(since.elapsed() < Duration::from_secs(60), "nobody scrapes");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        self.pull().await;
    }

    /// Pulls until all that was scraped up to now is decided.
    async fn decide(&mut self) {
        let until = UnixMicros(now());
        let since = Instant::now();
        loop {
            self.pull().await;
            let mut done = true;
            for (world, source) in self.worlds.iter().zip(&self.sources) {
                done &= world.now(source).await.done_through >= until;
            }
            if done {
                return;
            }
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "it is not decided"
            );
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    async fn pull(&mut self) {
        for (world, source) in self.worlds.iter().zip(&self.sources) {
            world.clock.set(UnixMicros(now()));
            let pulled = world.puller.pull(source.id, 100, &|| true).await.unwrap();
            self.errors += u32::from(pulled.error.is_some());
        }
    }

    async fn point_at(&self, prometheus: &Prometheus) {
        for (world, source) in self.worlds.iter().zip(&self.sources) {
            let change = sealwright_prometheus::SourceChange {
                url: Some(prometheus.url.clone()),
                ..Default::default()
            };
            let id = source.id.to_string();
            let by = crate::support::staff();
            world.service.change(&by, &id, None, &change).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_one_is_counted_to_the_unit_over_restarts_of_what_it_scrapes_and_of_itself() {
    if !there() {
        return;
    }
    let zeros = BTreeMap::from([("acme", 0), ("globex", 0)]);
    let counters = Counters::default();
    *counters.says.lock().unwrap() = Some(zeros.clone());
    let target = exporter(Arc::clone(&counters)).await;
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(folder.path(), Some(target));
    let worlds = worlds().await;
    let mut sources = Vec::new();
    for world in &worlds {
        world.clock.set(UnixMicros(now()));
        let mut new = source(world, &prometheus.url, now() / 1_000_000 - 5, 5);
        new.delay_seconds = Some(2);
        sources.push(world.create(&new).await);
    }
    let mut live = Live {
        worlds,
        sources,
        counters: Arc::clone(&counters),
        expected: zeros.clone(),
        errors: 0,
    };
    // The zeros are scraped before anything is counted.
    live.settle().await;
    live.count(6).await;
    // What is scraped begins again at zero.
    live.settle().await;
    *counters.says.lock().unwrap() = Some(zeros.clone());
    live.count(4).await;
    // What is scraped is away, and goes on where it was.
    let kept = counters.says.lock().unwrap().take();
    live.settle().await;
    *counters.says.lock().unwrap() = kept;
    live.count(3).await;
    // Prometheus itself is killed; what is scraped goes on counting meanwhile.
    let before = live.errors;
    drop(prometheus);
    live.count(8).await;
    assert!(live.errors > before, "a server that is away is an error");
    let prometheus = Prometheus::start(folder.path(), Some(target));
    live.point_at(&prometheus).await;
    live.count(3).await;
    live.settle().await;
    live.decide().await;
    for (world, made) in live.worlds.iter().zip(&live.sources) {
        let rows = world.windows(made).await;
        let sums = [
            world.log.sum(Some(world.acme)),
            world.log.sum(Some(world.globex)),
        ];
        let wanted = [live.expected["acme"].into(), live.expected["globex"].into()];
        assert_eq!(sums, wanted, "{rows:#?}");
        assert!(rows.iter().map(|r| r.resets).sum::<i64>() >= 2, "{rows:#?}");
        assert!(
            rows.iter()
                .all(|r| r.refused == 0 && r.state != WindowState::Lost)
        );
        assert_eq!(world.now(made).await.failures, 0);
    }
}
