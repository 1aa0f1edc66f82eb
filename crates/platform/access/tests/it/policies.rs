use axum::http::StatusCode;
use sealwright_access::{Action, NewKey, NewUser, Policies, Principal, PrincipalKind, Role};
use sealwright_core::TenantScope;
use sealwright_store::sql;

use crate::pages::Browser;
use crate::support::{PASSWORD, World, worlds};

const OWN: &str = "@id(\"no-erasure\")\n@reason(\"decided on 3 May\")\n\
    forbid (principal, action == Action::\"lake:erase\", resource);\n\n\
    @id(\"admins-do-not-bill\")\n\
    forbid (principal in Role::\"admin\", action == Action::\"billing:write\", resource);\n";

async fn forbidding() -> Vec<World> {
    let policies = Policies::from_texts([("policies/own.cedar", OWN.as_bytes())]).unwrap();
    let mut all = worlds().await;
    for world in &mut all {
        world.access = world.access.clone().with_policies(policies.clone());
    }
    all
}

fn admin(world: &World) -> Principal {
    Principal {
        kind: PrincipalKind::User,
        id: "usr_admin".to_owned(),
        name: "admin@example.org".to_owned(),
        roles: vec![Role::Admin],
        tenants: TenantScope::All,
        scopes: None,
        policies: world.access.policies().clone(),
    }
}

fn person(email: &str, role: Role) -> NewUser {
    NewUser {
        email: email.to_owned(),
        name: None,
        tenant: None,
        roles: vec![role],
        password: None,
    }
}

fn key(scope: &str) -> NewKey {
    NewKey {
        tenant: None,
        name: None,
        scopes: vec![scope.to_owned()],
        expires_at: None,
    }
}

#[tokio::test]
async fn nobody_hands_on_what_a_policy_took_from_them() {
    for world in forbidding().await {
        let admin = admin(&world);
        let access = &world.access;
        // An operator may bill, and this admin may not.
        let refused = access
            .create_user(&admin, person("o@example.org", Role::Operator))
            .await;
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("`admins-do-not-bill`"), "{text}");
        let refused = access.create_key(&admin, key("billing:write")).await;
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("`admins-do-not-bill`")
        );
        // What is forbidden to all is no reason to refuse: nothing is handed on at present.
        access
            .create_user(&admin, person("a@example.org", Role::Auditor))
            .await
            .unwrap();
        access.create_key(&admin, key("lake:erase")).await.unwrap();
        access
            .create_user(&admin, person("b@example.org", Role::Admin))
            .await
            .unwrap();
        // But an owner is more than an admin as soon as the policy goes.
        let text =
            "@id(\"owners-out\") forbid (principal, action == Action::\"owners:admin\", resource);";
        let mut admin = admin;
        admin.policies = Policies::from_texts([("own.cedar", text.as_bytes())]).unwrap();
        let refused = access
            .create_user(&admin, person("c@example.org", Role::Owner))
            .await;
        let text = refused.unwrap_err().to_string();
        assert!(
            text.contains("owners:admin needs one of the roles owner"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_record_says_which_policy_refused_whom() {
    for world in forbidding().await {
        world.owner().await;
        let access = &world.access;
        let made = access
            .create_key(&Principal::local(), key("*"))
            .await
            .unwrap();
        let presented = access.authenticate_key(&made.key.unwrap()).await.unwrap();
        assert!(presented.may(Action::BillingWrite));
        for _ in 0..3 {
            let problem = presented.require(Action::LakeErase).unwrap_err();
            assert_eq!(problem.extensions["policy"], "no-erasure");
            assert!(
                problem.detail.ends_with(": decided on 3 May"),
                "{}",
                problem.detail
            );
        }
        access.housekeeping().await.unwrap();
        let question = "SELECT subject, text FROM record WHERE action = 'access.policy.refuse'";
        let rows = world.store.fetch_all(sql(question)).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].text("subject").unwrap(), "no-erasure");
        let text = rows[0].text("text").unwrap();
        assert!(
            text.contains(&presented.id) && text.contains("lake:erase"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_page_shows_the_matrix_and_the_policies() {
    for world in forbidding().await {
        world.owner().await;
        let mut browser = Browser::new(&world);
        let stranger = browser.go("GET", "/console/access/matrix", "").await;
        assert!(stranger.to.starts_with("/login"), "{}", stranger.to);
        let form = format!(
            "email=owner%40example.org&password={}",
            PASSWORD.replace(' ', "+")
        );
        browser.go("POST", "/login", &form).await;
        let page = browser.go("GET", "/console/access/matrix", "").await;
        assert_eq!(page.status, StatusCode::OK);
        for text in [
            "not: no-erasure",
            "policies/own.cedar:5:1",
            "decided on 3 May",
            "forbid (principal in Role::&#34;admin&#34;",
        ] {
            assert!(page.body.contains(text), "{text}: {}", page.body);
        }
    }
    for world in worlds().await {
        world.owner().await;
        let mut browser = Browser::new(&world);
        let form = format!(
            "email=owner%40example.org&password={}",
            PASSWORD.replace(' ', "+")
        );
        browser.go("POST", "/login", &form).await;
        let page = browser.go("GET", "/console/access/matrix", "").await;
        assert!(page.body.contains("No policies of this installation."));
    }
}
