use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use sealwright_access::{Audit, AuditAction, Principal, TenantDirectory};
use sealwright_core::{ManualClock, TenantId, UnixMicros};
use sealwright_notify::{
    Backoff, COMPONENT, Channel, Deliverer, Delivery, DeliveryFilter, Egress, EgressOptions, Given,
    Message, NewChannel, NewRule, NewTarget, Notifier, NotifyOptions, NotifyParts, NotifyService,
    Outbox as _, Severity,
};
use sealwright_secret::KeyRing;
use sealwright_store::testing::{TestStore, both};
use sealwright_store::{StoreError, Tx, sql};

/// A secret that must show up nowhere.
pub(crate) const CANARY: &str = "canary-7f3a91";
pub(crate) const NOON: &str = "2026-11-25T12:00:00Z";

pub(crate) fn at(text: &str) -> UnixMicros {
    UnixMicros::parse_rfc3339(text).unwrap()
}

/// Keeps what would go into the ledger.
#[derive(Debug, Default)]
pub(crate) struct Recorded(pub(crate) Mutex<Vec<AuditAction>>);

impl Audit for Recorded {
    fn record<'a>(
        &'a self,
        _tx: &'a mut Tx,
        action: AuditAction,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.0.lock().unwrap().push(action);
        Box::pin(async { Ok(()) })
    }
}

/// A request that the other side got.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What the other side answers next; 200 when nothing is left.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    Status(u16),
    With(u16, &'static [(&'static str, &'static str)], String),
    /// Takes the request and never answers.
    Hang,
}

#[derive(Debug, Default)]
pub(crate) struct Far {
    pub(crate) got: Mutex<Vec<Got>>,
    pub(crate) say: Mutex<VecDeque<Say>>,
}

/// The other side: a server that records requests.
#[derive(Debug, Clone)]
pub(crate) struct FarSide {
    pub(crate) address: SocketAddr,
    pub(crate) far: Arc<Far>,
}

impl FarSide {
    pub(crate) async fn start() -> Self {
        let far = Arc::new(Far::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&far));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, far }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn say(&self, says: impl IntoIterator<Item = Say>) {
        self.far.say.lock().unwrap().extend(says);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.far.got.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.far.got.lock().unwrap().len()
    }
}

async fn answer(
    State(far): State<Arc<Far>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    far.got.lock().unwrap().push(Got {
        method,
        path: uri.to_string(),
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let say = far.say.lock().unwrap().pop_front();
    match say {
        None => StatusCode::OK.into_response(),
        Some(Say::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Say::With(status, headers, body)) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            response
        }
        Some(Say::Hang) => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            StatusCode::OK.into_response()
        }
    }
}

/// What processes on one database share.
struct Parts {
    store: sealwright_store::Store,
    clock: ManualClock,
    audit: Arc<Recorded>,
    directory: TenantDirectory,
    notifier: Notifier,
}

impl Parts {
    fn service(&self, ring: KeyRing, egress: Egress) -> NotifyService {
        NotifyService::new(NotifyParts {
            store: self.store.clone(),
            clock: Arc::new(self.clock.clone()),
            audit: self.audit.clone(),
            ring,
            egress,
            directory: self.directory.clone(),
            notifier: self.notifier.clone(),
            options: NotifyOptions {
                public_url: "https://sealwright.example".to_owned(),
                backoff: Backoff::default(),
                history_days: 90,
            },
        })
    }
}

pub(crate) struct World {
    pub(crate) store: TestStore,
    pub(crate) clock: ManualClock,
    pub(crate) service: NotifyService,
    parts: Parts,
    pub(crate) audit: Arc<Recorded>,
    pub(crate) far: FarSide,
    pub(crate) acme: TenantId,
    pub(crate) other: TenantId,
    pub(crate) folder: std::path::PathBuf,
}

pub(crate) fn egress(private: &str) -> Egress {
    Egress::new(EgressOptions {
        section: "notify",
        private: private.parse().unwrap(),
        timeout: Duration::from_millis(700),
        extra_roots: None,
    })
}

async fn tenant(store: &TestStore, slug: &str) -> TenantId {
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

pub(crate) async fn worlds() -> Vec<World> {
    let mut worlds = Vec::new();
    for store in both().await {
        let store = store
            .migrated(&[sealwright_access::COMPONENT, COMPONENT])
            .await;
        let acme = tenant(&store, "acme").await;
        let other = tenant(&store, "other").await;
        let directory = TenantDirectory::default();
        directory.refresh(&store).await.unwrap();
        let clock = ManualClock::new(at(NOON));
        let shared = Arc::new(clock.clone());
        let audit = Arc::new(Recorded::default());
        let folder = store.path().to_owned();
        let ring = KeyRing::file(&folder.join("secret.keys")).unwrap();
        let notifier = Notifier::new(shared);
        let parts = Parts {
            store: store.store.clone(),
            clock: clock.clone(),
            audit: audit.clone(),
            directory,
            notifier,
        };
        let service = parts.service(ring, egress("loopback"));
        worlds.push(World {
            store,
            clock,
            service,
            parts,
            audit,
            far: FarSide::start().await,
            acme,
            other,
            folder,
        });
    }
    worlds
}

pub(crate) fn staff() -> Principal {
    Principal::local()
}

impl World {
    /// Another process on the same database, with a way out of its own.
    pub(crate) fn deliverer(&self, holder: &str) -> Deliverer {
        Deliverer::new(self.service.clone(), holder)
    }

    /// A process that may reach other addresses.
    pub(crate) fn with_egress(&self, private: &str) -> NotifyService {
        let ring = KeyRing::file(&self.folder.join("secret.keys")).unwrap();
        self.parts.service(ring, egress(private))
    }

    /// A process that trusts another authority.
    pub(crate) fn with_roots(&self, extra_roots: Option<Vec<u8>>) -> NotifyService {
        let ring = KeyRing::file(&self.folder.join("secret.keys")).unwrap();
        let egress = Egress::new(EgressOptions {
            section: "notify",
            private: "loopback".parse().unwrap(),
            timeout: Duration::from_secs(5),
            extra_roots,
        });
        self.parts.service(ring, egress)
    }

    /// A process with other keys.
    pub(crate) fn with_ring(&self, ring: KeyRing) -> NotifyService {
        self.parts.service(ring, egress("loopback"))
    }

    pub(crate) async fn drain(&self) -> u64 {
        self.deliverer("test").drain().await.unwrap()
    }

    pub(crate) async fn enqueue(&self, message: &Message) {
        // Ids sort by the millisecond; the clock stands still otherwise.
        self.clock.advance(1_000);
        let mut tx = self.store.begin().await.unwrap();
        self.service
            .notifier()
            .enqueue(&mut tx, message)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) fn tenant_principal(&self, tenant: TenantId) -> Principal {
        Principal {
            tenants: sealwright_core::TenantScope::One(tenant),
            ..Principal::system("tenant admin")
        }
    }

    pub(crate) fn webhook(&self) -> NewTarget {
        NewTarget::Webhook {
            url: Given::new(self.far.url(&format!("/hook?token={CANARY}"))),
            signature: None,
            secret: Some(Given::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
        }
    }

    pub(crate) fn slack(&self) -> NewTarget {
        NewTarget::Slack {
            webhook_url: Given::new(self.far.url(&format!("/services/{CANARY}"))),
        }
    }

    pub(crate) async fn channel(&self, target: NewTarget) -> Channel {
        self.channel_with(target, None, None).await
    }

    pub(crate) async fn channel_with(
        &self,
        target: NewTarget,
        quiet: Option<sealwright_notify::Quiet>,
        per_minute: Option<u32>,
    ) -> Channel {
        let new = NewChannel {
            name: "operations".to_owned(),
            tenant: None,
            target,
            quiet,
            per_minute,
        };
        self.service
            .create_channel(&staff(), new)
            .await
            .unwrap()
            .channel
    }

    /// A channel and a rule of the installation that sends everything to it.
    pub(crate) async fn everything_to(&self, target: NewTarget) -> Channel {
        let channel = self.channel(target).await;
        self.rule("*", Severity::Info, &channel).await;
        channel
    }

    pub(crate) async fn rule(&self, topic: &str, severity: Severity, channel: &Channel) {
        let rule = NewRule {
            name: "a rule".to_owned(),
            tenant: None,
            topic: topic.to_owned(),
            severity: Some(severity),
            about: None,
            channels: vec![channel.id.to_string()],
        };
        self.service.create_rule(&staff(), rule).await.unwrap();
    }

    /// All deliveries, oldest first.
    pub(crate) async fn deliveries(&self) -> Vec<Delivery> {
        let filter = DeliveryFilter {
            limit: Some(500),
            ..DeliveryFilter::default()
        };
        let mut all = self
            .service
            .deliveries(&staff(), &filter)
            .await
            .unwrap()
            .items;
        // Within a millisecond ids of several tests interleave; messages are a millisecond apart.
        all.sort_by_key(|delivery| (delivery.message_id, delivery.id));
        all
    }

    pub(crate) async fn only(&self) -> Delivery {
        let mut all = self.deliveries().await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.pop().unwrap()
    }
}

pub(crate) fn message(topic: &str, severity: Severity) -> Message {
    Message::new(topic, severity, "acme is at 90 % of its budget")
        .body("Usage of this month is 900.00 of 1,000.00 USD.")
        .field("Used", "900.00 USD")
        .field("Budget", "1,000.00 USD")
        .link("/console/billing/tenants/acme")
}

/// Waits, in real time, until `probe` holds.
pub(crate) async fn until(what: &str, mut probe: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if probe().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited ten seconds for: {what}");
}
