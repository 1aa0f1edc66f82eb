use sealwright_access::{
    AccessError, ListFilter, NewTenant, NewUser, Principal, Role, Scopes, TenantChange, UserChange,
    UserState,
};
use sealwright_core::TenantScope;

use crate::support::{World, worlds};

fn named(slug: &str) -> NewTenant {
    NewTenant {
        slug: slug.to_owned(),
        ..NewTenant::default()
    }
}

fn person(email: &str, roles: &[Role], tenant: Option<&str>) -> NewUser {
    NewUser {
        email: email.to_owned(),
        roles: roles.to_vec(),
        tenant: tenant.map(str::to_owned),
        ..NewUser::default()
    }
}

#[tokio::test]
async fn tenants_page_by_slug_and_refuse_bad_ones() {
    for world in worlds().await {
        let by = Principal::local();
        for slug in ["b", "c", "a"] {
            world.access.create_tenant(&by, named(slug)).await.unwrap();
        }
        let taken = world.access.create_tenant(&by, named("a")).await;
        assert!(matches!(taken, Err(AccessError::Taken { .. })), "{taken:?}");
        for bad in [
            "",
            "A",
            "a b",
            "-a",
            "ü",
            &"x".repeat(64),
            "ten_01900000000070008000000000000000",
        ] {
            let error = world.access.create_tenant(&by, named(bad)).await;
            assert!(
                matches!(error, Err(AccessError::Invalid { .. })),
                "{bad}: {error:?}"
            );
        }
        let mut filter = ListFilter {
            limit: Some(2),
            cursor: None,
        };
        let page = world.access.tenants(&by, &filter).await.unwrap();
        let slugs: Vec<_> = page.items.iter().map(|t| t.slug.as_str()).collect();
        assert_eq!(slugs, ["a", "b"]);
        filter.cursor = page.next;
        let page = world.access.tenants(&by, &filter).await.unwrap();
        assert_eq!(page.items[0].slug, "c");
        assert_eq!(page.next, None);
        filter.cursor = Some("!".to_owned());
        assert!(world.access.tenants(&by, &filter).await.is_err());
        assert_eq!(world.access.directory().all().len(), 3);
    }
}

#[tokio::test]
async fn a_stale_version_changes_nothing() {
    for world in worlds().await {
        let by = Principal::local();
        let tenant = world
            .access
            .create_tenant(&by, named("acme"))
            .await
            .unwrap();
        let change = |name: &str| TenantChange {
            name: Some(name.to_owned()),
            ..TenantChange::default()
        };
        let after = world
            .access
            .change_tenant(&by, "acme", Some(1), change("Acme"))
            .await
            .unwrap();
        assert_eq!((after.version, after.name.as_str()), (2, "Acme"));
        let stale = world
            .access
            .change_tenant(&by, "acme", Some(1), change("Other"))
            .await;
        assert!(
            matches!(stale, Err(AccessError::Changed { found: 2 })),
            "{stale:?}"
        );
        let by_id = world
            .access
            .tenant(&by, &tenant.id.to_string())
            .await
            .unwrap();
        assert_eq!(by_id.name, "Acme");
    }
}

fn tenant_admin(world: &World, slug: &str) -> Principal {
    let tenant = world.access.directory().resolve(slug).unwrap();
    Principal {
        roles: vec![Role::Admin],
        tenants: TenantScope::One(tenant.id),
        ..Principal::system("test")
    }
}

#[tokio::test]
async fn another_tenants_rows_look_absent() {
    for world in worlds().await {
        let by = Principal::local();
        for slug in ["one", "two"] {
            world.access.create_tenant(&by, named(slug)).await.unwrap();
        }
        let user = person("u@two.example", &[Role::Member], Some("two"));
        let user = world.access.create_user(&by, user).await.unwrap();
        let one = tenant_admin(&world, "one");
        for id in [user.id.to_string(), "u@two.example".to_owned()] {
            let error = world.access.user(&one, &id).await;
            assert!(
                matches!(error, Err(AccessError::NotFound { .. })),
                "{error:?}"
            );
            let error = world
                .access
                .change_user(&one, &id, None, UserChange::default())
                .await;
            assert!(
                matches!(error, Err(AccessError::NotFound { .. })),
                "{error:?}"
            );
        }
        assert!(matches!(
            world.access.tenant(&one, "two").await,
            Err(AccessError::NotFound { .. })
        ));
        assert!(
            world
                .access
                .users(&one, &ListFilter::default())
                .await
                .unwrap()
                .items
                .is_empty()
        );
        assert_eq!(
            world
                .access
                .tenants(&one, &ListFilter::default())
                .await
                .unwrap()
                .items
                .len(),
            1
        );
        // A tenant's admin makes users of that tenant, and no staff, owners or tenants.
        world
            .access
            .create_user(&one, person("v@one.example", &[Role::Admin], Some("one")))
            .await
            .unwrap();
        for bad in [
            person("w@one.example", &[Role::Admin], None),
            person("w@one.example", &[Role::Owner], Some("one")),
        ] {
            let error = world.access.create_user(&one, bad).await;
            assert!(matches!(error, Err(AccessError::Refused(_))), "{error:?}");
        }
        assert!(
            world
                .access
                .create_tenant(&one, named("three"))
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn the_last_owner_stays() {
    for world in worlds().await {
        let owner = world.owner().await;
        let disable = || UserChange {
            state: Some(UserState::Disabled),
            ..UserChange::default()
        };
        let error = world
            .access
            .change_user(&owner, "owner@example.org", None, disable())
            .await;
        assert!(matches!(error, Err(AccessError::Conflict(_))), "{error:?}");
        let demote = UserChange {
            roles: Some(vec![Role::Member]),
            ..UserChange::default()
        };
        assert!(
            world
                .access
                .change_user(&owner, "owner@example.org", None, demote)
                .await
                .is_err()
        );
        let token = world.access.owner_link(&owner).await.unwrap();
        world
            .access
            .use_link(&token, "second@example.org", crate::support::PASSWORD)
            .await
            .unwrap();
        world
            .access
            .change_user(&owner, "owner@example.org", None, disable())
            .await
            .unwrap();
        // An admin, and a key with every scope, do not touch owners.
        let admin = Principal {
            roles: vec![Role::Admin],
            ..Principal::system("test")
        };
        let key = Principal {
            scopes: Some(Scopes::parse(["*"]).unwrap()),
            ..Principal::system("test")
        };
        for by in [admin, key] {
            let error = world
                .access
                .change_user(&by, "second@example.org", None, disable())
                .await;
            assert!(matches!(error, Err(AccessError::Refused(_))), "{error:?}");
            assert!(
                world
                    .access
                    .user_link(&by, "second@example.org")
                    .await
                    .is_err()
            );
        }
    }
}
