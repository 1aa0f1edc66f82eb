use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use sealwright_access::{AccessPolicy, AccessService, Audit, AuditAction, COMPONENT, Principal};
use sealwright_core::{ManualClock, UnixMicros};
use sealwright_store::testing::{TestStore, both};
use sealwright_store::{Component, Migration, StoreError, Tx, sql};

/// Records into a table, in the transaction of the change, as the ledger does.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) fail: Mutex<bool>,
}

pub(crate) const RECORDS: Component = Component {
    name: "record",
    migrations: &[Migration {
        number: 1,
        name: "0001_init",
        sqlite: "CREATE TABLE record (action TEXT, subject TEXT, text TEXT)",
        postgres: "CREATE TABLE record (action TEXT, subject TEXT, text TEXT)",
    }],
};

impl Audit for Recorder {
    fn record<'a>(
        &'a self,
        tx: &'a mut Tx,
        action: AuditAction,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if *self.fail.lock().unwrap() {
                return Err(StoreError::DiskFull);
            }
            tx.execute(
                sql("INSERT INTO record (action, subject, text) VALUES ($1, $2, $3)")
                    .bind(action.action)
                    .bind(&action.subject)
                    .bind(serde_json::to_string(&action).unwrap()),
            )
            .await?;
            Ok(())
        })
    }
}

pub(crate) struct World {
    pub(crate) store: TestStore,
    pub(crate) clock: ManualClock,
    pub(crate) access: AccessService,
    pub(crate) recorder: Arc<Recorder>,
}

pub(crate) const PASSWORD: &str = "correct horse battery staple";

impl World {
    pub(crate) async fn records(&self) -> Vec<String> {
        let rows = self
            .store
            .fetch_all(sql("SELECT action FROM record"))
            .await
            .unwrap();
        rows.iter().map(|row| row.text("action").unwrap()).collect()
    }

    pub(crate) async fn owner(&self) -> Principal {
        let token = self.access.first_link().await.unwrap().unwrap();
        let user = self
            .access
            .use_link(&token, "Owner@Example.org", PASSWORD)
            .await
            .unwrap();
        Principal {
            kind: sealwright_access::PrincipalKind::User,
            id: user.id.to_string(),
            name: user.email,
            roles: user.roles,
            tenants: sealwright_core::TenantScope::All,
            scopes: None,
            policies: Default::default(),
        }
    }
}

pub(crate) async fn worlds() -> Vec<World> {
    worlds_with(AccessPolicy::default()).await
}

pub(crate) async fn worlds_with(policy: AccessPolicy) -> Vec<World> {
    let mut worlds = Vec::new();
    for store in both().await {
        let store = store.migrated(&[COMPONENT, RECORDS]).await;
        let clock = ManualClock::new(UnixMicros::parse_rfc3339("2026-11-23T10:00:00Z").unwrap());
        let recorder = Arc::new(Recorder::default());
        let access = AccessService::new(
            store.store.clone(),
            Arc::new(clock.clone()),
            Arc::clone(&recorder) as Arc<dyn Audit>,
            policy.clone(),
        );
        access.load().await.unwrap();
        worlds.push(World {
            store,
            clock,
            access,
            recorder,
        });
    }
    worlds
}
