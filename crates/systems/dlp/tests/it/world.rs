//! An installation with two tenants, on each store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use sealwright_access::http::SessionInfo;
use sealwright_access::{
    AccessPolicy, AccessService, NewTenant, Principal, PrincipalKind, Role, Session, SessionId,
    Unrecorded, UserId,
};
use sealwright_core::{Clock, ManualClock, TenantId, TenantScope, UnixMicros};
use sealwright_dlp::api::{self, DlpApi};
use sealwright_dlp::model::finding::Place;
use sealwright_dlp::pages::DlpPages;
use sealwright_dlp::service::bucket::Buckets;
use sealwright_dlp::service::hold::HoldService;
use sealwright_dlp::service::key::Seal;
use sealwright_dlp::service::place::NewPlace;
use sealwright_dlp::service::quarantine::QuarantineService;
use sealwright_dlp::service::retention::RetentionService;
use sealwright_dlp::service::upload::WhenDown;
use sealwright_dlp::service::{Dlp, Parts};
use sealwright_ledger::Ledger;
use sealwright_notify::Notifier;
use sealwright_store::testing::{TestStore, both};
use sealwright_web::Nav;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::memory::Memory;

#[allow(dead_code, reason = "each test uses a part of it")]
pub(crate) struct World {
    pub(crate) store: TestStore,
    pub(crate) clock: ManualClock,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) seal: Arc<Reversed>,
    pub(crate) dlp: Dlp,
    pub(crate) holds: HoldService,
    pub(crate) quarantine: QuarantineService,
    pub(crate) retention: RetentionService,
    pub(crate) acme: TenantId,
    pub(crate) globex: TenantId,
    router: Router,
}

/// Not a seal: it only shows that what is stored is not the key itself. It can be broken.
#[derive(Debug, Default)]
pub(crate) struct Reversed {
    pub(crate) broken: AtomicBool,
}

impl Seal for Reversed {
    fn seal(&self, context: &str, secret: &[u8]) -> Result<String, String> {
        let text: String = secret.iter().rev().map(|b| format!("{b:02x}")).collect();
        Ok(format!("{context}:{text}"))
    }

    fn open(&self, context: &str, sealed: &str) -> Result<Vec<u8>, String> {
        if self.broken.load(Ordering::Relaxed) {
            return Err("the key ring is gone".to_owned());
        }
        let text = sealed
            .strip_prefix(context)
            .and_then(|rest| rest.strip_prefix(':'))
            .ok_or("another place")?;
        let mut bytes = hex::decode(text).map_err(|error| error.to_string())?;
        bytes.reverse();
        Ok(bytes)
    }
}

pub(crate) async fn worlds() -> Vec<World> {
    let mut worlds = Vec::new();
    for store in both().await {
        worlds.push(World::on(store).await);
    }
    worlds
}

pub(crate) fn person(role: Role, tenants: TenantScope) -> Principal {
    Principal {
        kind: PrincipalKind::User,
        id: format!("usr_{}", role.as_str()),
        name: "Ada".to_owned(),
        roles: vec![role],
        tenants,
        scopes: None,
        policies: Default::default(),
    }
}

pub(crate) fn owner() -> Principal {
    person(Role::Owner, TenantScope::All)
}

fn session() -> SessionInfo {
    let now = UnixMicros(0);
    SessionInfo {
        session: Session {
            id: SessionId::new(now),
            user_id: UserId::new(now),
            address: "127.0.0.1".to_owned(),
            agent: "test".to_owned(),
            created_at: now,
            seen_at: now,
            expires_at: now,
        },
        csrf: "token".to_owned(),
    }
}

impl World {
    async fn on(store: TestStore) -> Self {
        Self::with(store, None, WhenDown::Refuse).await
    }

    /// With this rule for a gate that is down, on each store.
    pub(crate) async fn when_down(down: WhenDown) -> Vec<Self> {
        let mut worlds = Vec::new();
        for store in both().await {
            worlds.push(Self::with(store, None, down).await);
        }
        worlds
    }

    /// With the state in SQLite only.
    pub(crate) async fn sqlite() -> Self {
        Self::on(sealwright_store::testing::sqlite().await).await
    }

    /// Over another object store, with the state in SQLite.
    pub(crate) async fn over(buckets: Arc<dyn Buckets>) -> Self {
        let store = sealwright_store::testing::sqlite().await;
        Self::with(store, Some(buckets), WhenDown::Refuse).await
    }

    async fn with(
        store: TestStore,
        buckets: Option<Arc<dyn Buckets>>,
        gate_down: WhenDown,
    ) -> Self {
        let store = store
            .migrated(&[
                sealwright_ledger::COMPONENT,
                sealwright_access::COMPONENT,
                sealwright_notify::COMPONENT,
                sealwright_dlp::COMPONENT,
            ])
            .await;
        let clock = ManualClock::new(UnixMicros::parse_rfc3339("2026-11-25T12:00:00Z").unwrap());
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let data = store.path().join("data");
        let ledger = Ledger::open(
            &data,
            Some("log.example/test"),
            store.store.clone(),
            Arc::clone(&shared),
        )
        .await
        .unwrap();
        let ledger = Arc::new(ledger);
        let access = AccessService::new(
            store.store.clone(),
            Arc::clone(&shared),
            Arc::new(Unrecorded),
            AccessPolicy::default(),
        );
        access.load().await.unwrap();
        let mut ids = Vec::new();
        for slug in ["acme", "globex"] {
            let tenant = NewTenant {
                slug: slug.to_owned(),
                name: None,
                plan: None,
                region: None,
            };
            let made = access.create_tenant(&Principal::local(), tenant).await;
            ids.push(made.unwrap().id);
        }
        let directory = access.directory().clone();
        let memory = Arc::new(Memory::new(&clock));
        memory.bucket("plain", true, false);
        memory.bucket("locked", true, true);
        memory.bucket("quarantine", true, false);
        let seal = Arc::new(Reversed::default());
        let dlp = Dlp::new(&Parts {
            store: store.store.clone(),
            ledger: Arc::clone(&ledger),
            clock: Arc::clone(&shared),
            buckets: buckets.unwrap_or_else(|| Arc::<Memory>::clone(&memory) as _),
            outbox: Arc::new(Notifier::new(Arc::clone(&shared))),
            seal: Arc::<Reversed>::clone(&seal) as _,
            threads: 2,
            gate_down,
        })
        .unwrap();
        let pages = Arc::new(DlpPages {
            dlp: dlp.clone(),
            directory: directory.clone(),
            clock: Arc::clone(&shared),
            chrome: Arc::new(Nav::new()),
        });
        let state = DlpApi {
            dlp: dlp.clone(),
            directory,
            clock: shared,
        };
        let (api, _) = api::router().with_state(state.clone()).split_for_parts();
        let api = api.merge(api::proxy().with_state(state));
        Self {
            store,
            clock,
            ledger,
            memory,
            seal,
            holds: dlp.holds.clone(),
            quarantine: dlp.quarantine.clone(),
            retention: dlp.retention.clone(),
            dlp,
            acme: ids[0],
            globex: ids[1],
            router: api.merge(pages.router()),
        }
    }

    /// Registers a place of Acme's.
    pub(crate) async fn place(&self, bucket: &str, prefix: &str, quarantine: &str) -> Place {
        let new = NewPlace {
            tenant: self.acme,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            quarantine: quarantine.to_owned(),
            scheduled: true,
        };
        self.dlp.places.add(new, "user:a").await.unwrap()
    }

    /// Whoever belongs to one tenant.
    pub(crate) fn of_acme(&self) -> Principal {
        person(Role::Operator, TenantScope::One(self.acme))
    }

    pub(crate) async fn call(&self, by: Principal, request: Request<Body>) -> (StatusCode, String) {
        let mut request = request;
        request.extensions_mut().insert(by);
        request.extensions_mut().insert(session());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 24)
            .await
            .unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    pub(crate) async fn get(&self, by: Principal, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        self.call(by, request).await
    }

    pub(crate) async fn send(
        &self,
        by: Principal,
        method: &str,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::from(body.to_string()))
            .unwrap();
        let (status, text) = self.call(by, request).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// What people are told, oldest first: topic, severity, title.
    pub(crate) async fn told(&self) -> Vec<(String, String, String)> {
        let rows = self
            .store
            .store
            .fetch_all(sealwright_store::sql(
                "SELECT topic, severity, title FROM notify_message ORDER BY created_at, id",
            ))
            .await
            .unwrap();
        let severities = ["info", "warning", "error", "critical"];
        rows.iter()
            .map(|row| {
                let rank = usize::try_from(row.int("severity").unwrap()).unwrap();
                (
                    row.text("topic").unwrap(),
                    severities[rank].to_owned(),
                    row.text("title").unwrap(),
                )
            })
            .collect()
    }

    /// The actions in the ledger, oldest first.
    pub(crate) async fn recorded(&self) -> Vec<String> {
        self.ledger.sequence().await.unwrap();
        let mut actions = Vec::new();
        self.ledger
            .tree()
            .scan(0, self.ledger.size(), |_, entry| {
                let leaf = sealwright_ledger::Leaf::from_bytes(entry).unwrap();
                actions.push(leaf.action);
                true
            })
            .unwrap();
        actions
    }
}
