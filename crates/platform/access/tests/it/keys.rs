use sealwright_access::{AccessError, NewKey, NewTenant, Principal, TenantChange, TenantState};
use sealwright_core::clock::{DAY, MINUTE};
use sealwright_store::sql;

use crate::support::worlds;

fn new_key(tenant: Option<&str>, scopes: &[&str]) -> NewKey {
    NewKey {
        tenant: tenant.map(str::to_owned),
        name: Some("ci".to_owned()),
        scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
        expires_at: None,
    }
}

async fn tenant(world: &crate::support::World, slug: &str) -> sealwright_core::TenantId {
    let (tenant, created) = world
        .access
        .ensure_tenant(&Principal::local(), slug)
        .await
        .unwrap();
    assert!(created);
    tenant.id
}

#[tokio::test]
async fn a_key_works_until_it_is_revoked_expired_or_its_tenant_suspended() {
    for world in worlds().await {
        let by = Principal::local();
        let acme = tenant(&world, "acme").await;
        let new = NewKey {
            expires_at: Some("2026-11-25T00:00:00Z".to_owned()),
            ..new_key(Some("acme"), &["events:write"])
        };
        let created = world.access.create_key(&by, new).await.unwrap();
        let secret = created.key.clone().unwrap();
        let principal = world.access.authenticate_key(&secret).await.unwrap();
        assert_eq!(principal.tenants.tenant(), Some(acme));
        assert!(
            principal
                .require(sealwright_access::Action::EventsWrite)
                .is_ok()
        );
        assert!(
            principal
                .require(sealwright_access::Action::BillingRead)
                .is_err()
        );

        let change = |state| TenantChange {
            state: Some(state),
            ..TenantChange::default()
        };
        world
            .access
            .change_tenant(&by, "acme", None, change(TenantState::Suspended))
            .await
            .unwrap();
        let error = world.access.authenticate_key(&secret).await.unwrap_err();
        assert!(
            matches!(error, AccessError::Refused(_)),
            "{}: {error}",
            world.store.name
        );
        world
            .access
            .change_tenant(&by, "acme", None, change(TenantState::Active))
            .await
            .unwrap();
        world.access.authenticate_key(&secret).await.unwrap();

        world.clock.advance(2 * DAY);
        let error = world
            .access
            .authenticate_key(&secret)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("expired"), "{error}");
        world.clock.advance(-2 * DAY);
        world
            .access
            .revoke_key(&by, &created.record.id.to_string(), None)
            .await
            .unwrap();
        let error = world
            .access
            .authenticate_key(&secret)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("revoked"), "{error}");
    }
}

#[tokio::test]
async fn the_secret_is_nowhere_in_the_database_or_the_record() {
    for world in worlds().await {
        tenant(&world, "acme").await;
        let created = world
            .access
            .create_key(&Principal::local(), new_key(Some("acme"), &["read"]))
            .await
            .unwrap();
        let secret = created.key.clone().unwrap();
        assert!(!format!("{created:?}").contains(&secret));
        for table in ["access_key", "record"] {
            let rows = world
                .store
                .fetch_all(sql(format!("SELECT * FROM {table}")))
                .await
                .unwrap();
            assert!(!rows.is_empty());
            assert!(!format!("{rows:?}").contains(&secret[12..]), "{table}");
        }
    }
}

#[tokio::test]
async fn nobody_gives_what_they_do_not_have() {
    for world in worlds().await {
        let acme = tenant(&world, "acme").await;
        tenant(&world, "other").await;
        let created = world
            .access
            .create_key(
                &Principal::local(),
                new_key(Some("acme"), &["access:admin", "access:read"]),
            )
            .await
            .unwrap();
        let key = world
            .access
            .authenticate_key(&created.key.unwrap())
            .await
            .unwrap();
        // A scope that it lacks.
        let error = world
            .access
            .create_key(&key, new_key(Some("acme"), &["lake:read"]))
            .await;
        assert!(matches!(error, Err(AccessError::Refused(_))), "{error:?}");
        // Another tenant, which looks like none at all, and all tenants.
        let error = world
            .access
            .create_key(&key, new_key(Some("other"), &["access:read"]))
            .await;
        assert!(
            matches!(error, Err(AccessError::NotFound { .. })),
            "{error:?}"
        );
        let error = world
            .access
            .create_key(&key, new_key(None, &["access:read"]))
            .await;
        assert!(matches!(error, Err(AccessError::Refused(_))), "{error:?}");
        // Its own tenant is fine, and only its tenant's keys are visible.
        world
            .access
            .create_key(&key, new_key(Some("acme"), &["access:read"]))
            .await
            .unwrap();
        world
            .access
            .create_key(&Principal::local(), new_key(Some("other"), &["read"]))
            .await
            .unwrap();
        let seen = world
            .access
            .keys(&key, &Default::default())
            .await
            .unwrap()
            .items;
        assert_eq!(seen.len(), 2);
        assert!(seen.iter().all(|k| k.tenant_id == Some(acme)));
    }
}

#[tokio::test]
async fn rotation_keeps_everything_but_the_secret() {
    for world in worlds().await {
        let by = Principal::local();
        tenant(&world, "acme").await;
        let old = world
            .access
            .create_key(&by, new_key(Some("acme"), &["read"]))
            .await
            .unwrap();
        let id = old.record.id.to_string();
        let new = world.access.rotate_key(&by, &id).await.unwrap();
        assert_eq!(new.record.scopes, old.record.scopes);
        assert!(
            world
                .access
                .authenticate_key(&old.key.unwrap())
                .await
                .is_err()
        );
        world
            .access
            .authenticate_key(&new.key.unwrap())
            .await
            .unwrap();
        let again = world.access.rotate_key(&by, &id).await;
        assert!(matches!(again, Err(AccessError::Conflict(_))), "{again:?}");
    }
}

#[tokio::test]
async fn the_last_use_is_written_later() {
    for world in worlds().await {
        let by = Principal::local();
        tenant(&world, "acme").await;
        let created = world
            .access
            .create_key(&by, new_key(Some("acme"), &["read"]))
            .await
            .unwrap();
        world.clock.advance(MINUTE);
        world
            .access
            .authenticate_key(&created.key.unwrap())
            .await
            .unwrap();
        let id = created.record.id.to_string();
        assert_eq!(world.access.key(&by, &id).await.unwrap().last_used_at, None);
        assert_eq!(world.access.housekeeping().await.unwrap().keys_noted, 1);
        let used = world.access.key(&by, &id).await.unwrap().last_used_at;
        assert_eq!(used, Some(world.access.now()));
    }
}

#[tokio::test]
async fn a_change_that_cannot_be_recorded_does_not_happen() {
    for world in worlds().await {
        let by = Principal::local();
        tenant(&world, "acme").await;
        *world.recorder.fail.lock().unwrap() = true;
        let new = NewTenant {
            slug: "late".to_owned(),
            ..NewTenant::default()
        };
        assert!(world.access.create_tenant(&by, new).await.is_err());
        assert!(
            world
                .access
                .create_key(&by, new_key(Some("acme"), &["read"]))
                .await
                .is_err()
        );
        *world.recorder.fail.lock().unwrap() = false;
        assert!(
            world
                .access
                .keys(&by, &Default::default())
                .await
                .unwrap()
                .items
                .is_empty()
        );
        assert!(world.access.tenant(&by, "late").await.is_err());
        assert!(world.access.directory().resolve("late").is_none());
    }
}
