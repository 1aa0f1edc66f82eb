use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use sealwright_access::{Principal, TenantDirectory, Unrecorded};
use sealwright_cloudevents::Event;
use sealwright_core::{ManualClock, TenantId, UnixMicros};
use sealwright_egress::{Egress, EgressOptions};
use sealwright_events::{Appended, EventSink, SinkError};
use sealwright_prometheus::{
    COMPONENT, Kind, Limits, NewCredential, NewSource, PrometheusParts, PrometheusService, Pulled,
    Puller, Source, WindowRow,
};
use sealwright_secret::KeyRing;
use sealwright_store::sql;
use sealwright_store::testing::{TestStore, both};
use serde_json::{Value, json};

pub(crate) const NOON: &str = "2026-11-25T12:00:00Z";
/// Noon in seconds.
pub(crate) const T0: i64 = 1_795_608_000;

pub(crate) fn at(text: &str) -> UnixMicros {
    UnixMicros::parse_rfc3339(text).unwrap()
}

pub(crate) fn staff() -> Principal {
    Principal::local()
}

/// What the intake does with ids: an event is taken once; the same id with another content is refused.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) events: Mutex<BTreeMap<(TenantId, String, String), Value>>,
    pub(crate) appends: Mutex<u32>,
    /// What the next appends do.
    pub(crate) next: Mutex<VecDeque<Fault>>,
    /// Types that are refused.
    pub(crate) refuse: Mutex<Option<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing was written.
    Before,
    /// All was written, and the answer was lost.
    After,
}

#[async_trait]
impl EventSink for Log {
    async fn append(&self, tenant: TenantId, events: &[Event]) -> Result<Appended, SinkError> {
        *self.appends.lock().unwrap() += 1;
        let fault = self.next.lock().unwrap().pop_front();
        let failed = || SinkError::Failed("the log is away".to_owned());
        if fault == Some(Fault::Before) {
            return Err(failed());
        }
        let mut known = self.events.lock().unwrap();
        let mut refused = Vec::new();
        let mut appended = Appended::default();
        let mut new = Vec::new();
        for (index, event) in events.iter().enumerate() {
            let json: Value = serde_json::from_str(event.json()).unwrap();
            let key = (tenant, event.source().to_owned(), event.id().to_owned());
            if let Some(word) = self.refuse.lock().unwrap().as_ref()
                && event.json().contains(word)
            {
                refused.push((index, format!("no {word} here")));
                continue;
            }
            match known.get(&key) {
                Some(there) if *there == json => appended.duplicates += 1,
                Some(_) => refused.push((index, "the same id has another content".to_owned())),
                None => {
                    appended.accepted += 1;
                    new.push((key, json));
                }
            }
        }
        if !refused.is_empty() {
            return Err(SinkError::Refused(refused));
        }
        known.extend(new);
        if fault == Some(Fault::After) {
            return Err(failed());
        }
        Ok(appended)
    }
}

impl Log {
    /// The events' data, in the order of their times.
    pub(crate) fn data(&self) -> Vec<Value> {
        let mut all: Vec<Value> = self.events.lock().unwrap().values().cloned().collect();
        all.sort_by_key(|event| (event["time"].to_string(), event["id"].to_string()));
        all.into_iter().map(|event| event["data"].clone()).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.events.lock().unwrap().len()
    }

    /// The sum of the numbers, exactly; of one tenant when it is named.
    pub(crate) fn sum(&self, tenant: Option<TenantId>) -> rust_decimal::Decimal {
        let all = self.events.lock().unwrap();
        all.iter()
            .filter(|((of, _, _), _)| tenant.is_none_or(|tenant| tenant == *of))
            .map(|(_, event)| {
                let number = event["data"]["value"].to_string();
                number.parse::<rust_decimal::Decimal>().unwrap()
            })
            .sum()
    }
}

/// A request that the server got.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) form: HashMap<String, String>,
    pub(crate) authorization: String,
}

/// What the server answers next, instead of its samples.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    With(u16, Vec<(&'static str, String)>, String),
    /// Takes the request and never answers.
    Hang,
    /// Answers with this byte again and again, without an end.
    Flood(u8),
    /// Begins an answer and breaks off.
    Cut,
}

#[derive(Debug, Default)]
pub(crate) struct Served {
    /// Samples of each series: labels as JSON, then (milliseconds, value).
    pub(crate) series: Mutex<BTreeMap<String, Vec<(i64, String)>>>,
    pub(crate) got: Mutex<Vec<Got>>,
    pub(crate) say: Mutex<VecDeque<Say>>,
    pub(crate) retention: Mutex<Option<String>>,
}

/// A server that answers range selectors as Prometheus does, with what a test put into it.
#[derive(Debug, Clone)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) served: Arc<Served>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let served = Arc::new(Served::default());
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&served));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, served }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds samples to a series: seconds after noon, and values.
    pub(crate) fn put(&self, labels: &[(&str, &str)], samples: &[(i64, &str)]) {
        let labels: BTreeMap<&str, &str> = labels.iter().copied().collect();
        let mut all = self.served.series.lock().unwrap();
        let series = all.entry(json!(labels).to_string()).or_default();
        series.extend(
            samples
                .iter()
                .map(|(at, value)| ((T0 + at) * 1_000, (*value).to_owned())),
        );
        series.sort();
    }

    pub(crate) fn say(&self, says: impl IntoIterator<Item = Say>) {
        self.served.say.lock().unwrap().extend(says);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.served.got.lock().unwrap().clone()
    }

    pub(crate) fn clear(&self) {
        self.served.series.lock().unwrap().clear();
    }
}

async fn answer(
    State(served): State<Arc<Served>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form: HashMap<String, String> = url_pairs(&body);
    served.got.lock().unwrap().push(Got {
        path: uri.path().to_owned(),
        form: form.clone(),
        authorization: headers
            .get("authorization")
            .map_or(String::new(), |v| v.to_str().unwrap().to_owned()),
    });
    let say = served.say.lock().unwrap().pop_front();
    match say {
        Some(Say::With(status, headers, body)) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            return response;
        }
        Some(Say::Hang) => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            return StatusCode::OK.into_response();
        }
        Some(Say::Flood(byte)) => {
            let chunk = Bytes::from(vec![byte; 64 * 1024]);
            let stream = futures::stream::repeat(chunk).map(Ok::<_, std::io::Error>);
            return Body::from_stream(stream).into_response();
        }
        Some(Say::Cut) => {
            let parts = [
                Ok(Bytes::from_static(b"{\"status\":\"success\",")),
                Err(std::io::Error::other("broken off")),
            ];
            return Body::from_stream(futures::stream::iter(parts)).into_response();
        }
        None => {}
    }
    if uri.path() == "/api/v1/status/runtimeinfo" {
        return match served.retention.lock().unwrap().as_ref() {
            Some(kept) => json!({"status": "success", "data": {"storageRetention": kept}})
                .to_string()
                .into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        };
    }
    let end = form["time"].parse::<i64>().unwrap() * 1_000;
    let query = &form["query"];
    let range = query.ends_with(']');
    let seconds: i64 = query
        .rsplit_once('[')
        .filter(|_| range)
        .map_or(300, |(_, range)| {
            range.trim_end_matches("s]").parse().unwrap()
        });
    let from = end - seconds * 1_000;
    let all = served.series.lock().unwrap();
    let result: Vec<Value> = all
        .iter()
        .filter_map(|(labels, samples)| {
            let metric: Value = serde_json::from_str(labels).unwrap();
            let found: Vec<Value> = samples
                .iter()
                .filter(|(at, _)| from <= *at && *at <= end)
                .map(|(at, value)| json!([*at as f64 / 1_000.0, value]))
                .collect();
            let last = found.last()?.clone();
            Some(if range {
                json!({"metric": metric, "values": found})
            } else {
                json!({"metric": metric, "value": [end / 1_000, last[1]]})
            })
        })
        .collect();
    let kind = if range { "matrix" } else { "vector" };
    json!({"status": "success", "data": {"resultType": kind, "result": result}})
        .to_string()
        .into_response()
}

fn url_pairs(body: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(body)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

pub(crate) struct World {
    pub(crate) store: TestStore,
    pub(crate) clock: ManualClock,
    pub(crate) directory: TenantDirectory,
    pub(crate) service: PrometheusService,
    pub(crate) puller: Puller,
    pub(crate) log: Arc<Log>,
    pub(crate) fake: Fake,
    pub(crate) acme: TenantId,
    pub(crate) globex: TenantId,
}

pub(crate) async fn tenant(store: &TestStore, slug: &str) -> TenantId {
    let id = TenantId::new(at(NOON));
    store
        .execute(
            sql(
                "INSERT INTO tenant (id, slug, name, state, version, created_at, updated_at)
                 VALUES ($1, $2, $2, 'active', 1, 0, 0)",
            )
            .bind(id)
            .bind(slug),
        )
        .await
        .unwrap();
    id
}

/// A service on a store, as another process would have it.
pub(crate) fn service(
    store: &TestStore,
    clock: &ManualClock,
    directory: &TenantDirectory,
    private: &str,
    limits: Limits,
) -> PrometheusService {
    PrometheusService::new(PrometheusParts {
        store: store.store.clone(),
        clock: Arc::new(clock.clone()),
        audit: Arc::new(Unrecorded),
        ring: KeyRing::file(&store.path().join("secret.keys")).unwrap(),
        egress: Egress::new(EgressOptions {
            section: "prometheus",
            private: private.parse().unwrap(),
            timeout: Duration::from_millis(1_500),
            extra_roots: None,
        }),
        directory: directory.clone(),
        limits,
    })
}

pub(crate) async fn worlds() -> Vec<World> {
    worlds_with(Limits::default()).await
}

pub(crate) async fn worlds_with(limits: Limits) -> Vec<World> {
    let mut worlds = Vec::new();
    for store in both().await {
        let store = store
            .migrated(&[
                sealwright_access::COMPONENT,
                sealwright_jobs::COMPONENT,
                COMPONENT,
            ])
            .await;
        let acme = tenant(&store, "acme").await;
        let globex = tenant(&store, "globex").await;
        let directory = TenantDirectory::default();
        directory.refresh(&store).await.unwrap();
        let clock = ManualClock::new(at(NOON));
        let service = service(&store, &clock, &directory, "loopback", limits);
        let log = Arc::new(Log::default());
        let puller = Puller::new(service.clone(), Arc::clone(&log) as _);
        worlds.push(World {
            store,
            clock,
            directory,
            service,
            puller,
            log,
            fake: Fake::start().await,
            acme,
            globex,
        });
    }
    worlds
}

impl World {
    /// A counter by the label `tenant`, windows of a minute from noon, asked for at once.
    pub(crate) fn counter(&self, name: &str) -> NewSource {
        NewSource {
            name: name.to_owned(),
            url: self.fake.url(),
            credential: NewCredential::None,
            kind: Kind::Counter,
            expression: "requests_total".to_owned(),
            take: None,
            interval_seconds: Some(60),
            delay_seconds: Some(0),
            catch_up_seconds: Some(86_400),
            tenant_label: Some("tenant".to_owned()),
            tenant: None,
            event_type: "acme.requests.v1".to_owned(),
            value_field: None,
            factor: None,
            labels: BTreeMap::new(),
            fixed: BTreeMap::new(),
            from: Some(NOON.to_owned()),
        }
    }

    pub(crate) async fn create(&self, new: &NewSource) -> Source {
        self.service.create(&staff(), new).await.unwrap()
    }

    /// Lets the clock show so many seconds after noon, and pulls all that is due.
    pub(crate) async fn pull_at(&self, source: &Source, seconds: i64) -> Pulled {
        self.clock.set(UnixMicros((T0 + seconds) * 1_000_000));
        self.pull(source).await
    }

    pub(crate) async fn pull(&self, source: &Source) -> Pulled {
        self.puller
            .pull(source.id, u32::MAX, &|| true)
            .await
            .unwrap()
    }

    /// As [`Self::pull_at`], without an error.
    pub(crate) async fn good(&self, source: &Source, seconds: i64) -> Pulled {
        let pulled = self.pull_at(source, seconds).await;
        assert_eq!(pulled.error, None);
        assert!(pulled.caught_up);
        pulled
    }

    /// The windows, the earliest first.
    pub(crate) async fn windows(&self, source: &Source) -> Vec<WindowRow> {
        let id = source.id.to_string();
        let page = self.service.windows(&staff(), &id, None, Some(500)).await;
        let mut rows = page.unwrap().items;
        rows.reverse();
        rows
    }

    pub(crate) async fn now(&self, source: &Source) -> Source {
        let id = source.id.to_string();
        self.service.source(&staff(), &id).await.unwrap()
    }
}
