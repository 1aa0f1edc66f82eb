use sealwright_access::{AccessError, NewUser, Role, SignIn, UserChange, UserState};
use sealwright_core::clock::{DAY, HOUR, MINUTE};

use crate::support::{PASSWORD, worlds};

fn sign_in(password: &str, address: &str) -> SignIn {
    SignIn {
        email: "OWNER@example.org".to_owned(),
        password: password.to_owned(),
        address: address.to_owned(),
        agent: "Firefox\u{7}".to_owned(),
    }
}

#[tokio::test]
async fn the_first_link_makes_one_owner_once() {
    for world in worlds().await {
        let first = world.access.first_link().await.unwrap().unwrap();
        let second = world.access.first_link().await.unwrap().unwrap();
        assert!(
            world.access.look_at_link(&first).await.is_err(),
            "the one before is void"
        );
        assert_eq!(world.access.look_at_link(&second).await.unwrap(), None);
        let weak = world
            .access
            .use_link(&second, "o@example.org", "short")
            .await;
        assert!(matches!(weak, Err(AccessError::Invalid { .. })), "{weak:?}");
        // Two browsers at the same moment: one wins.
        let (a, b) = tokio::join!(
            world.access.use_link(&second, "a@example.org", PASSWORD),
            world.access.use_link(&second, "b@example.org", PASSWORD),
        );
        assert_eq!(
            u8::from(a.is_ok()) + u8::from(b.is_ok()),
            1,
            "{}",
            world.store.name
        );
        assert!(
            world
                .access
                .use_link(&second, "c@example.org", PASSWORD)
                .await
                .is_err()
        );
        assert_eq!(
            world.access.first_link().await.unwrap(),
            None,
            "there is a user now"
        );
        assert!(
            world
                .records()
                .await
                .contains(&"access.user.create".to_owned())
        );
    }
}

#[tokio::test]
async fn links_expire() {
    for world in worlds().await {
        let token = world.access.first_link().await.unwrap().unwrap();
        world.clock.advance(DAY);
        let late = world
            .access
            .use_link(&token, "o@example.org", PASSWORD)
            .await;
        assert!(
            matches!(late, Err(AccessError::Unauthorized(_))),
            "{late:?}"
        );
    }
}

#[tokio::test]
async fn a_session_ends_when_idle_at_its_end_and_on_sign_out() {
    for world in worlds().await {
        world.owner().await;
        let one = world
            .access
            .sign_in(&sign_in(PASSWORD, "10.0.0.1"))
            .await
            .unwrap();
        assert_eq!(one.session.agent, "Firefox");
        // Used every 7 hours it stays alive, until the absolute end.
        let mut alive = 0;
        while world.access.authenticate_session(&one.token).await.is_ok() {
            alive += 7;
            world.clock.advance(7 * HOUR);
        }
        assert_eq!(alive, 7 * 24, "seven days");

        let two = world
            .access
            .sign_in(&sign_in(PASSWORD, "10.0.0.1"))
            .await
            .unwrap();
        world.clock.advance(8 * HOUR);
        assert!(
            world.access.authenticate_session(&two.token).await.is_err(),
            "idle"
        );

        let three = world
            .access
            .sign_in(&sign_in(PASSWORD, "10.0.0.1"))
            .await
            .unwrap();
        let four = world
            .access
            .sign_in(&sign_in(PASSWORD, "10.0.0.2"))
            .await
            .unwrap();
        let (by, session) = world
            .access
            .authenticate_session(&three.token)
            .await
            .unwrap();
        world
            .access
            .end_session(&by, &session.id.to_string())
            .await
            .unwrap();
        assert!(
            world
                .access
                .authenticate_session(&three.token)
                .await
                .is_err()
        );
        let (by, _) = world
            .access
            .authenticate_session(&four.token)
            .await
            .unwrap();
        world.access.end_all_sessions(&by).await.unwrap();
        assert!(
            world
                .access
                .authenticate_session(&four.token)
                .await
                .is_err()
        );
        assert!(world.access.authenticate_session("x").await.is_err());
        assert!(world.access.sessions(&by).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn failures_block_the_account_from_everywhere_and_for_unknown_ones_alike() {
    for world in worlds().await {
        world.owner().await;
        for n in 0..5 {
            let error = world
                .access
                .sign_in(&sign_in("wrong", &format!("10.0.0.{n}")))
                .await;
            assert!(
                matches!(error, Err(AccessError::Unauthorized(_))),
                "{n} {error:?}"
            );
        }
        let blocked = world.access.sign_in(&sign_in(PASSWORD, "10.9.9.9")).await;
        let Err(AccessError::Throttled { seconds }) = blocked else {
            panic!("{}: {blocked:?}", world.store.name)
        };
        assert_eq!(seconds, 60);
        world.clock.advance(MINUTE);
        assert!(
            world
                .access
                .sign_in(&sign_in("wrong", "10.9.9.9"))
                .await
                .is_err()
        );
        let blocked = world.access.sign_in(&sign_in(PASSWORD, "10.9.9.9")).await;
        assert!(
            matches!(blocked, Err(AccessError::Throttled { seconds: 120 })),
            "{blocked:?}"
        );
        world.clock.advance(2 * MINUTE);
        world
            .access
            .sign_in(&sign_in(PASSWORD, "10.9.9.9"))
            .await
            .unwrap();
        // Success forgets the failures.
        assert!(
            world
                .access
                .sign_in(&sign_in("wrong", "10.9.9.9"))
                .await
                .is_err()
        );
        world
            .access
            .sign_in(&sign_in(PASSWORD, "10.9.9.9"))
            .await
            .unwrap();

        for n in 0..5 {
            let unknown = SignIn {
                email: "nobody@example.org".to_owned(),
                ..sign_in("wrong", &format!("10.1.0.{n}"))
            };
            let error = world.access.sign_in(&unknown).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "the e-mail address or the password is wrong"
            );
        }
    }
}

#[tokio::test]
async fn parallel_guesses_do_not_slip_under_the_limit() {
    for world in worlds().await {
        world.owner().await;
        let guesses = (0..12).map(|_| {
            let access = world.access.clone();
            async move { access.sign_in(&sign_in("wrong", "10.0.0.1")).await }
        });
        let results = futures::future::join_all(guesses).await;
        let looked_at = results
            .iter()
            .filter(|r| matches!(r, Err(AccessError::Unauthorized(_))))
            .count();
        assert_eq!(looked_at, 5, "{}", world.store.name);
    }
}

#[tokio::test]
async fn disabling_ends_sessions_and_a_link_sets_a_new_password() {
    for world in worlds().await {
        let owner = world.owner().await;
        let new = NewUser {
            email: "op@example.org".to_owned(),
            roles: vec![Role::Operator],
            password: Some(PASSWORD.to_owned()),
            ..NewUser::default()
        };
        world.access.create_user(&owner, new).await.unwrap();
        let given = SignIn {
            email: "op@example.org".to_owned(),
            ..sign_in(PASSWORD, "10.0.0.1")
        };
        let session = world.access.sign_in(&given).await.unwrap();
        let set = |state| UserChange {
            state: Some(state),
            ..UserChange::default()
        };
        world
            .access
            .change_user(&owner, "op@example.org", None, set(UserState::Disabled))
            .await
            .unwrap();
        assert!(
            world
                .access
                .authenticate_session(&session.token)
                .await
                .is_err()
        );
        assert!(world.access.sign_in(&given).await.is_err());
        assert!(
            world
                .access
                .user_link(&owner, "op@example.org")
                .await
                .is_err()
        );
        world
            .access
            .change_user(&owner, "op@example.org", None, set(UserState::Active))
            .await
            .unwrap();
        let before = world.access.sign_in(&given).await.unwrap();
        let token = world
            .access
            .user_link(&owner, "op@example.org")
            .await
            .unwrap();
        let other = "another long password here";
        world
            .access
            .use_link(&token, "ignored@example.org", other)
            .await
            .unwrap();
        assert!(
            world
                .access
                .authenticate_session(&before.token)
                .await
                .is_err(),
            "old sessions end"
        );
        assert!(world.access.sign_in(&given).await.is_err());
        let given = SignIn {
            password: other.to_owned(),
            ..given
        };
        world.access.sign_in(&given).await.unwrap();
    }
}
