//! Servers that are slow, broken, lying or somebody else's.

use sealwright_prometheus::{Given, Limits, NewCredential, SourceChange, WindowState};

use crate::support::{Say, World, service, staff, worlds, worlds_with};

const ACME: &[(&str, &str)] = &[("__name__", "requests_total"), ("tenant", "acme")];
const CANARY: &str = "canary-7f3a91";

/// The error of one pull; nothing was written, and the next pull has the window.
async fn refused(world: &World, name: &str, say: Say) -> String {
    let source = world.create(&world.counter(name)).await;
    world.fake.say([say]);
    let pulled = world.pull_at(&source, 60).await;
    let error = pulled.error.expect("it fails");
    assert_eq!((pulled.windows, pulled.events), (0, 0), "{error}");
    assert_eq!(world.windows(&source).await, Vec::new(), "{error}");
    let now = world.now(&source).await;
    assert_eq!(now.last_error.as_deref(), Some(error.as_str()));
    world.fake.served.say.lock().unwrap().clear();
    let pulled = world.pull(&source).await;
    assert_eq!((pulled.error, pulled.events), (None, 1), "{error}");
    error
}

fn with(status: u16, body: &str) -> Say {
    Say::With(status, Vec::new(), body.to_owned())
}

#[tokio::test]
async fn what_is_no_whole_answer_is_no_answer() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "1"), (30, "11")]);
        let redirect = Say::With(
            302,
            vec![("location", "http://169.254.169.254/latest".to_owned())],
            String::new(),
        );
        let matrix = |result: &str| {
            with(
                200,
                &format!(
                    r#"{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}}}}"#
                ),
            )
        };
        for (name, say, wanted) in [
            ("hang", Say::Hang, "no answer in time"),
            ("cut", Say::Cut, "cannot be reached"),
            ("html", with(200, "<html>sign in</html>"), "not JSON"),
            ("empty", with(200, ""), "not JSON"),
            ("deep", with(200, &"[".repeat(100_000)), "not JSON"),
            ("text", with(200, "\"success\""), "not JSON"),
            ("redirect", redirect, "302; redirects are not followed"),
            ("401", with(401, "no"), "look at the credential"),
            (
                "404",
                with(404, "404 page not found"),
                "look at the address",
            ),
            ("502", with(502, "<html>bad gateway"), "502"),
            (
                "bad query",
                with(
                    400,
                    r#"{"status":"error","errorType":"bad_data","error":"1:5: parse error\u0000\n"}"#,
                ),
                "(bad_data): 1:5: parse error",
            ),
            (
                "execution",
                with(
                    422,
                    r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples"}"#,
                ),
                "too many samples",
            ),
            (
                "warnings",
                with(
                    200,
                    r#"{"status":"success","warnings":["store gateway 3 is away"],"data":{"resultType":"matrix","result":[]}}"#,
                ),
                "not whole, so nothing is taken of it: store gateway 3",
            ),
            (
                "success that failed",
                with(
                    500,
                    r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
                ),
                "500",
            ),
            (
                "two of one name",
                matrix(
                    r#"{"metric":{"tenant":"acme"},"values":[]},{"metric":{"tenant":"acme"},"values":[]}"#,
                ),
                "the same labels",
            ),
            (
                "backwards",
                matrix(r#"{"metric":{},"values":[[1795608030,"2"],[1795608020,"1"]]}"#),
                "order of time",
            ),
            (
                "numbers",
                matrix(r#"{"metric":{},"values":[[1795608030,2]]}"#),
                "not JSON",
            ),
            ("metric", matrix(r#"{"metric":[],"values":[]}"#), "not JSON"),
        ] {
            let error = refused(&world, name, say).await;
            assert!(error.contains(wanted), "{name}: {error}");
            assert!(!error.chars().any(char::is_control), "{name}: {error:?}");
        }
        // A redirect was not followed.
        assert!(
            world
                .fake
                .got()
                .iter()
                .all(|got| got.path.starts_with("/api/v1/"))
        );
    }
}

#[tokio::test]
async fn answers_are_bounded_and_never_cut() {
    let limits = Limits {
        bytes: 4_000,
        series: 3,
        samples: 12,
    };
    for world in worlds_with(limits).await {
        world.fake.put(ACME, &[(-10, "1"), (30, "11")]);
        let error = refused(&world, "flood", Say::Flood(b' ')).await;
        assert!(error.contains("more than 4000 bytes"), "{error}");
        let mut new = world.counter("series");
        new.from = Some("2026-11-25T12:01:00Z".to_owned());
        let source = world.create(&new).await;
        for pod in ["a", "b", "c"] {
            let labels = [
                ("__name__", "requests_total"),
                ("pod", pod),
                ("tenant", "acme"),
            ];
            world.fake.put(&labels, &[(70, "1"), (80, "2")]);
        }
        let pulled = world.pull_at(&source, 120).await;
        assert!(pulled.error.unwrap().contains("4 series, more than 3"));
        world.fake.clear();
        let many: Vec<(i64, String)> = (0..13).map(|n| (61 + n, n.to_string())).collect();
        let many: Vec<(i64, &str)> = many.iter().map(|(at, v)| (*at, v.as_str())).collect();
        world.fake.put(ACME, &many);
        let pulled = world.pull(&source).await;
        assert!(pulled.error.unwrap().contains("13 samples, more than 12"));
        assert_eq!(world.windows(&source).await, Vec::new());
    }
}

#[tokio::test]
async fn a_private_address_is_reached_only_where_it_is_allowed() {
    for world in worlds().await {
        let strict = service(
            &world.store,
            &world.clock,
            &world.directory,
            "",
            Limits::default(),
        );
        let mut new = world.counter("literal");
        for url in [
            world.fake.url(),
            "http://169.254.169.254".to_owned(),
            "http://[::1]:9090".to_owned(),
            "ftp://prometheus.example".to_owned(),
            "http://u:p@prometheus.example".to_owned(),
            "http://prometheus.example/?x=1".to_owned(),
            "http://prometheus.example/#x".to_owned(),
            "prometheus:9090".to_owned(),
        ] {
            new.url = url;
            let error = strict.create(&staff(), &new).await.unwrap_err().to_string();
            assert!(error.starts_with("url "), "{error}");
        }
        // A name is judged when it is resolved.
        new.url = format!("http://localhost:{}", world.fake.address.port());
        let source = strict.create(&staff(), &new).await.unwrap();
        let puller = sealwright_prometheus::Puller::new(strict, world.log.clone() as _);
        world.clock.advance(60_000_000);
        let pulled = puller.pull(source.id, 1, &|| true).await.unwrap();
        let error = pulled.error.unwrap();
        assert!(error.contains("prometheus.private_targets"), "{error}");
        assert_eq!(world.fake.got().len(), 0);
    }
}

#[tokio::test]
async fn a_credential_is_sent_sealed_and_shown_to_nobody() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "1"), (30, "11")]);
        let mut new = world.counter("token");
        new.credential = NewCredential::Bearer {
            token: Given::new(CANARY),
        };
        let bearer = world.create(&new).await;
        let mut new = world.counter("password");
        new.credential = NewCredential::Basic {
            username: "reader".to_owned(),
            password: Given::new(CANARY),
        };
        let basic = world.create(&new).await;
        assert!(!format!("{bearer:?} {new:?}").contains(CANARY));
        let shown = serde_json::to_string(&[&bearer, &basic]).unwrap();
        assert!(
            !shown.contains(CANARY) && !shown.contains("sealed1"),
            "{shown}"
        );
        world.good(&bearer, 60).await;
        world.good(&basic, 60).await;
        let got = world.fake.got();
        assert_eq!(got[0].authorization, format!("Bearer {CANARY}"));
        assert_eq!(got[1].authorization, "Basic cmVhZGVyOmNhbmFyeS03ZjNhOTE=");
        // A server that answers with what it was sent does not get it onto a page.
        let echo = format!(
            r#"{{"status":"error","errorType":"bad_data","error":"{CANARY} and cmVhZGVyOmNhbmFyeS03ZjNhOTE="}}"#
        );
        for source in [&bearer, &basic] {
            world.fake.say([with(400, &echo)]);
            let error = world.pull_at(source, 120).await.error.unwrap();
            assert!(
                error.contains("********") && !error.contains(CANARY),
                "{error}"
            );
        }
        let error = world.now(&basic).await.last_error.unwrap();
        assert!(!error.contains("cmVhZGVy"), "{error}");
        // Another server is not shown it.
        let id = bearer.id.to_string();
        let change = SourceChange {
            url: Some(format!(
                "http://127.0.0.1:{}/moved",
                world.fake.address.port()
            )),
            ..SourceChange::default()
        };
        let same = world
            .service
            .change(&staff(), &id, None, &change)
            .await
            .unwrap();
        assert_eq!(
            same.credential.as_str(),
            "bearer",
            "another path of the same server"
        );
        let change = SourceChange {
            url: Some(format!("http://localhost:{}", world.fake.address.port())),
            ..SourceChange::default()
        };
        let moved = world
            .service
            .change(&staff(), &id, None, &change)
            .await
            .unwrap();
        assert_eq!(moved.credential.as_str(), "none");
        world.pull_at(&moved, 120).await;
        assert_eq!(world.fake.got().last().unwrap().authorization, "");
    }
}

#[tokio::test]
async fn labels_of_any_kind_become_events_or_are_refused_alone() {
    for world in worlds().await {
        let long = "x".repeat(9_000);
        for (label, value) in [
            ("quote", "a\"b\\c\n\u{7}"),
            ("emoji", "\u{1f993}"),
            ("long", long.as_str()),
        ] {
            let labels = [
                ("__name__", "requests_total"),
                ("tenant", "acme"),
                (label, value),
            ];
            world.fake.put(&labels, &[(-10, "1"), (30, "2")]);
        }
        let source = world.create(&world.counter("labels")).await;
        world.good(&source, 60).await;
        let rows = world.windows(&source).await;
        assert_eq!((rows[0].state, rows[0].events), (WindowState::Done, 3));
        let data = world.log.data();
        let carried = data
            .iter()
            .filter(|d| d["prometheus"]["labels"].is_object());
        assert_eq!(carried.count(), 2, "too many bytes of labels are left out");
    }
}
