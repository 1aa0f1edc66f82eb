use axum::http::StatusCode;
use sealwright_access::{AccessError, NewUser, Principal, Role, Session, UserChange, UserState};
use sealwright_core::TenantScope;
use sealwright_core::clock::MINUTE;
use sealwright_store::{sql, within};

use crate::authenticator::Device;
use crate::pages::{Browser, hidden};
use crate::support::{PASSWORD, World, worlds};

const ORIGIN: &str = "https://bill.example.com";
const DOMAIN: &str = "bill.example.com";

async fn reached() -> Vec<World> {
    let mut all = worlds().await;
    for world in &mut all {
        world.access = world.access.clone().with_passkeys(&format!("{ORIGIN}/"));
    }
    all
}

fn device(number: u8) -> Device {
    Device::new(number, ORIGIN, DOMAIN)
}

/// Signed in with the password.
async fn signed_in(world: &World, email: &str) -> (Principal, Session) {
    let given = sealwright_access::SignIn {
        email: email.to_owned(),
        password: PASSWORD.to_owned(),
        address: "192.0.2.1".to_owned(),
        agent: "test".to_owned(),
    };
    let signed = world.access.sign_in(&given).await.unwrap();
    world
        .access
        .authenticate_session(&signed.token)
        .await
        .unwrap()
}

async fn person(world: &World, email: &str, tenant: Option<&str>) {
    let new = NewUser {
        email: email.to_owned(),
        name: Some("Ada Lovelace".to_owned()),
        tenant: tenant.map(str::to_owned),
        roles: vec![Role::Member],
        password: Some(PASSWORD.to_owned()),
    };
    world
        .access
        .create_user(&Principal::local(), new)
        .await
        .unwrap();
}

async fn enrol(world: &World, by: &Principal, session: &Session, device: &mut Device) -> String {
    let asked = world.access.ask_passkey(by, session).await.unwrap();
    let answer = device.create(&asked);
    let made = world
        .access
        .add_passkey(by, "laptop", &answer)
        .await
        .unwrap();
    made.id.to_string()
}

async fn try_with(world: &World, device: &mut Device) -> Result<String, String> {
    let asked = world.access.ask_sign_in("192.0.2.1").await.unwrap();
    let answer = device.get(&asked);
    answered(world, &answer).await
}

async fn answered(world: &World, answer: &str) -> Result<String, String> {
    let signed = world
        .access
        .sign_in_by_passkey(answer, "192.0.2.1", "test")
        .await;
    signed
        .map(|signed| signed.user.email)
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_passkey_signs_in_whom_it_belongs_to() {
    for world in reached().await {
        world.owner().await;
        person(&world, "ada@example.org", None).await;
        let (by, session) = signed_in(&world, "ada@example.org").await;
        let mut laptop = device(1);
        let id = enrol(&world, &by, &session, &mut laptop).await;
        assert_eq!(
            try_with(&world, &mut laptop).await.unwrap(),
            "ada@example.org"
        );
        assert_eq!(
            try_with(&world, &mut laptop).await.unwrap(),
            "ada@example.org"
        );
        let there = world.access.passkeys(&by).await.unwrap();
        assert_eq!(there.len(), 1);
        assert!(there[0].last_used_at.is_some());
        let named = world
            .access
            .rename_passkey(&by, &id, " desk ")
            .await
            .unwrap();
        assert_eq!(named.name, "desk");
        world.access.remove_passkey(&by, &id).await.unwrap();
        let refused = try_with(&world, &mut laptop).await.unwrap_err();
        assert!(refused.ends_with("it is not known here"), "{refused}");
        let records = world.records().await;
        for action in ["add", "rename", "remove"] {
            assert!(
                records.contains(&format!("access.passkey.{action}")),
                "{records:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_registration_that_does_not_hold_is_refused() {
    for world in reached().await {
        world.owner().await;
        let (by, session) = signed_in(&world, "owner@example.org").await;
        let access = &world.access;
        type Wrong = fn(&mut Device);
        let cases: [(&str, Wrong); 3] = [
            ("origin", |device| {
                device.origin = "https://evil.example".to_owned()
            }),
            ("RP ID", |device| device.domain = "evil.example".to_owned()),
            ("user was not verified", |device| device.verified = false),
        ];
        for (told, wrong) in cases {
            let asked = access.ask_passkey(&by, &session).await.unwrap();
            let mut good = device(1);
            good.create(&asked);
            let mut bad = device(1);
            wrong(&mut bad);
            let asked = asked.replace(DOMAIN, &bad.domain);
            let answer = bad.create(&asked);
            let error = access.add_passkey(&by, "x", &answer).await.unwrap_err();
            assert!(
                matches!(error, AccessError::Passkey(_)),
                "{told}: {error:?}"
            );
            assert!(
                error
                    .to_string()
                    .to_lowercase()
                    .contains(&told.to_lowercase()),
                "{told}: {error}"
            );
        }
        // An answer counts once.
        let asked = access.ask_passkey(&by, &session).await.unwrap();
        let answer = device(2).create(&asked);
        access.add_passkey(&by, "x", &answer).await.unwrap();
        let error = access
            .add_passkey(&by, "x", &answer)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("answered before"), "{error}");
        // One credential is one passkey.
        let asked = access.ask_passkey(&by, &session).await.unwrap();
        let answer = device(2).create(&asked);
        let error = access.add_passkey(&by, "x", &answer).await.unwrap_err();
        assert!(matches!(error, AccessError::Taken { .. }), "{error:?}");
        // The challenge of another user, and one that is too old.
        person(&world, "b@example.org", None).await;
        let (other, others) = signed_in(&world, "b@example.org").await;
        let asked = access.ask_passkey(&other, &others).await.unwrap();
        let answer = device(3).create(&asked);
        let error = access
            .add_passkey(&by, "x", &answer)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("answered before"), "{error}");
        let asked = access.ask_passkey(&by, &session).await.unwrap();
        let answer = device(4).create(&asked);
        world.clock.advance(6 * MINUTE);
        let error = access
            .add_passkey(&by, "x", &answer)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("expired"), "{error}");
        // Long after signing in, a browser that was left open adds none.
        world.clock.advance(10 * MINUTE);
        let error = access.ask_passkey(&by, &session).await.unwrap_err();
        assert!(matches!(error, AccessError::Conflict(_)), "{error:?}");
        assert_eq!(access.passkeys(&by).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_sign_in_that_does_not_hold_is_refused() {
    for world in reached().await {
        world.owner().await;
        let (by, session) = signed_in(&world, "owner@example.org").await;
        let mut laptop = device(1);
        enrol(&world, &by, &session, &mut laptop).await;
        person(&world, "b@example.org", None).await;
        let (other, others) = signed_in(&world, "b@example.org").await;
        let mut theirs = device(2);
        enrol(&world, &other, &others, &mut theirs).await;

        type Wrong = Box<dyn Fn(&mut Device)>;
        let (their_id, their_handle) = (theirs.credential.clone(), theirs.handle.clone());
        let cases: [(&str, Wrong); 6] = [
            (
                "origin",
                Box::new(|device| device.origin = format!("{ORIGIN}:8443")),
            ),
            (
                "RP ID",
                Box::new(|device| device.domain = "evil.example".to_owned()),
            ),
            (
                "user was not verified",
                Box::new(|device| device.verified = false),
            ),
            (
                "not known here",
                Box::new(|device| device.credential = vec![9; 32]),
            ),
            // The other's passkey with one's own key, and one's own with the other's name.
            ("signature", {
                let (id, handle) = (their_id, their_handle.clone());
                Box::new(move |device| {
                    device.credential.clone_from(&id);
                    device.handle.clone_from(&handle);
                })
            }),
            (
                "user handle",
                Box::new(move |device| device.handle.clone_from(&their_handle)),
            ),
        ];
        for (told, wrong) in cases {
            let mut bad = laptop.clone();
            wrong(&mut bad);
            let refused = try_with(&world, &mut bad).await.unwrap_err();
            assert!(
                refused.to_lowercase().contains(&told.to_lowercase()),
                "{told}: {refused}"
            );
        }
        assert!(answered(&world, "{}").await.is_err());
        // An answer signs in once, also one that was refused.
        let asked = world.access.ask_sign_in("192.0.2.1").await.unwrap();
        let answer = laptop.get(&asked);
        assert_eq!(
            answered(&world, &answer).await.unwrap(),
            "owner@example.org"
        );
        let again = answered(&world, &answer).await.unwrap_err();
        assert!(again.contains("answered before"), "{again}");
        let asked = world.access.ask_sign_in("192.0.2.1").await.unwrap();
        let mut bad = laptop.clone();
        bad.verified = false;
        assert!(answered(&world, &bad.get(&asked)).await.is_err());
        let second = answered(&world, &laptop.get(&asked)).await.unwrap_err();
        assert!(second.contains("answered before"), "{second}");
        // A challenge for registering does not sign in.
        let asked = world.access.ask_passkey(&by, &session).await.unwrap();
        let mut options: serde_json::Value = serde_json::from_str(&asked).unwrap();
        options["userVerification"] = "required".into();
        let crossed = answered(&world, &laptop.get(&options.to_string()))
            .await
            .unwrap_err();
        assert!(crossed.contains("answered before"), "{crossed}");
    }
}

#[tokio::test]
async fn a_counter_that_does_not_go_up_is_refused_and_recorded() {
    for world in reached().await {
        world.owner().await;
        let (by, session) = signed_in(&world, "owner@example.org").await;
        let mut laptop = device(1);
        enrol(&world, &by, &session, &mut laptop).await;
        let mut copy = laptop.clone();
        for _ in 0..3 {
            try_with(&world, &mut laptop).await.unwrap();
        }
        let refused = try_with(&world, &mut copy).await.unwrap_err();
        assert!(refused.contains("counter did not go up"), "{refused}");
        assert!(
            world
                .records()
                .await
                .contains(&"access.passkey.refuse".to_owned())
        );
        // The original still signs in: the copy changed nothing.
        try_with(&world, &mut laptop).await.unwrap();
    }
}

#[tokio::test]
async fn disabled_users_and_suspended_tenants_stay_out() {
    for world in reached().await {
        let owner = world.owner().await;
        let access = &world.access;
        let (tenant, _) = access
            .ensure_tenant(&Principal::local(), "acme")
            .await
            .unwrap();
        person(&world, "a@acme.example", Some("acme")).await;
        let (by, session) = signed_in(&world, "a@acme.example").await;
        assert_eq!(by.tenants, TenantScope::One(tenant.id));
        // As a request of that user does it, with the database's second lock.
        let mut phone = device(1);
        within(by.tenants, enrol(&world, &by, &session, &mut phone)).await;
        let there = within(by.tenants, access.passkeys(&by)).await.unwrap();
        assert_eq!(there.len(), 1);
        let id = there[0].id.to_string();
        // Nobody else sees or changes it.
        assert!(access.passkeys(&owner).await.unwrap().is_empty());
        for result in [
            access.rename_passkey(&owner, &id, "mine").await,
            access.remove_passkey(&owner, &id).await,
        ] {
            assert!(matches!(result.unwrap_err(), AccessError::NotFound { .. }));
        }
        try_with(&world, &mut phone).await.unwrap();
        let suspended = sealwright_access::TenantChange {
            state: Some(sealwright_access::TenantState::Suspended),
            ..Default::default()
        };
        access
            .change_tenant(&owner, "acme", None, suspended)
            .await
            .unwrap();
        assert!(
            try_with(&world, &mut phone)
                .await
                .unwrap_err()
                .contains("suspended")
        );
        let active = sealwright_access::TenantChange {
            state: Some(sealwright_access::TenantState::Active),
            ..Default::default()
        };
        access
            .change_tenant(&owner, "acme", None, active)
            .await
            .unwrap();
        let disabled = UserChange {
            state: Some(UserState::Disabled),
            ..UserChange::default()
        };
        access
            .change_user(&owner, "a@acme.example", None, disabled)
            .await
            .unwrap();
        assert!(
            try_with(&world, &mut phone)
                .await
                .unwrap_err()
                .contains("not known here")
        );
    }
}

#[tokio::test]
async fn open_challenges_of_one_address_are_bounded_and_forgotten() {
    for world in reached().await {
        for _ in 0..60 {
            world.access.ask_sign_in("192.0.2.1").await.unwrap();
        }
        world.access.ask_sign_in("192.0.2.2").await.unwrap();
        let count = async || {
            let text = "SELECT COUNT(*) AS n FROM access_challenge";
            let row = world.store.fetch_one(sql(text)).await.unwrap();
            row.int("n").unwrap()
        };
        assert_eq!(count().await, 51);
        world.clock.advance(6 * MINUTE);
        world.access.housekeeping().await.unwrap();
        assert_eq!(count().await, 0);
    }
}

fn form(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn the_pages_add_rename_remove_and_sign_in() {
    for world in reached().await {
        world.owner().await;
        let mut browser = Browser::new(&world);
        let login = browser.go("GET", "/login", "").await;
        assert!(
            login
                .body
                .contains("data-options=\"/login/passkey/options\" hidden")
        );
        assert!(login.body.contains("passkeys.js"));
        let typed = format!("email=owner%40example.org&password={}", form(PASSWORD));
        browser.go("POST", "/login", &typed).await;
        let list = "/console/access/passkeys";
        let page = browser.go("GET", list, "").await;
        assert!(page.body.contains("No passkey yet."), "{}", page.body);
        let csrf = hidden(&page.body, "csrf");
        // Without the session's token nothing is asked.
        let asked = browser.go("POST", &format!("{list}/options"), "").await;
        assert_eq!(asked.status, StatusCode::FORBIDDEN);
        let asked = browser
            .go("POST", &format!("{list}/options"), &format!("csrf={csrf}"))
            .await;
        assert_eq!(asked.status, StatusCode::OK);
        let mut laptop = device(1);
        let answer = laptop.create(&asked.body);
        let add = format!("csrf={csrf}&name=laptop&credential={}", form(&answer));
        let added = browser.go("POST", list, &add).await;
        assert_eq!(
            (added.status, added.to.as_str()),
            (StatusCode::SEE_OTHER, list)
        );
        // Sent again it is refused, in the page.
        let again = browser.go("POST", list, &add).await;
        assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(again.body.contains("answered before"), "{}", again.body);
        // Without script the field is empty.
        let empty = browser
            .go("POST", list, &format!("csrf={csrf}&name=x&credential="))
            .await;
        assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY);

        let page = browser.go("GET", list, "").await;
        let at = page.body.find(&format!("{list}/psk_")).unwrap();
        let one = page.body[at..].split('"').next().unwrap().to_owned();
        let renamed = browser
            .go("POST", &one, &format!("csrf={csrf}&name=desk"))
            .await;
        assert_eq!(renamed.to, list);
        let unnamed = browser
            .go("POST", &one, &format!("csrf={csrf}&name="))
            .await;
        assert_eq!(unnamed.status, StatusCode::UNPROCESSABLE_ENTITY);

        let mut fresh = Browser::new(&world);
        let asked = fresh.go("POST", "/login/passkey/options", "").await;
        let answer = form(&laptop.get(&asked.body));
        let to = format!("next=%2Fconsole%2Faccess%2Fpasskeys&credential={answer}");
        let entered = fresh.go("POST", "/login/passkey", &to).await;
        assert_eq!(entered.to, list, "{}", entered.body);
        let page = fresh.go("GET", list, "").await;
        assert!(page.body.contains("desk"));
        let refused = Browser::new(&world).go("POST", "/login/passkey", &to).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert!(
            refused.body.contains("answered before") && refused.body.contains("type=\"password\"")
        );

        let csrf = hidden(&page.body, "csrf");
        let gone = fresh
            .go("POST", &format!("{one}/remove"), &format!("csrf={csrf}"))
            .await;
        assert_eq!(gone.to, list);
        assert_eq!(
            fresh.go("GET", &one, "").await.status,
            StatusCode::NOT_FOUND
        );
    }
    // Where browsers allow none, the pages say so and the password signs in.
    for world in worlds().await {
        world.owner().await;
        let mut browser = Browser::new(&world);
        let login = browser.go("GET", "/login", "").await;
        assert!(!login.body.contains("passkey"));
        let typed = format!("email=owner%40example.org&password={}", form(PASSWORD));
        browser.go("POST", "/login", &typed).await;
        let page = browser.go("GET", "/console/access/passkeys", "").await;
        assert!(
            page.body.contains("Passkeys cannot be used here"),
            "{}",
            page.body
        );
        let asked = Browser::new(&world)
            .go("POST", "/login/passkey/options", "")
            .await;
        assert_eq!(asked.status, StatusCode::CONFLICT);
    }
}

#[tokio::test]
async fn an_admin_removes_the_passkeys_of_a_lost_device() {
    for world in reached().await {
        world
            .access
            .ensure_tenant(&Principal::local(), "acme")
            .await
            .unwrap();
        person(&world, "ada@acme.example", Some("acme")).await;
        let (ada, session) = signed_in(&world, "ada@acme.example").await;
        let mut lost = device(1);
        enrol(&world, &ada, &session, &mut lost).await;
        try_with(&world, &mut lost).await.unwrap();
        // Not by somebody who may not.
        let refused = world
            .access
            .remove_passkeys_of(&ada, "ada@acme.example")
            .await;
        refused.unwrap_err();
        let by = Principal::local();
        for removed in [1, 0] {
            let gone = world.access.remove_passkeys_of(&by, "ada@acme.example");
            assert_eq!(gone.await.unwrap(), removed, "{}", world.store.name);
        }
        try_with(&world, &mut lost).await.unwrap_err();
        let nobody = world.access.remove_passkeys_of(&by, "bob@acme.example");
        assert!(matches!(
            nobody.await.unwrap_err(),
            AccessError::NotFound { .. }
        ));
    }
}
