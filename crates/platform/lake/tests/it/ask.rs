//! Questions about stored events: the same answers with an index, with a part of one, and without.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sealwright_core::{TenantScope, UnixMicros};
use sealwright_events::{
    Answer, Asked, EventTerms, Facets, HistoryQuery, Passed, Question, Search, Sieve, Sift as _,
    Sifted, StoredEvent,
};
use sealwright_lake::{CompactPolicy, Erasure, ErasureKey, Lake};
use sealwright_terms::{Builder, Condition, Like, Phrase};
use serde_json::Value;

use crate::support::{DAY, HOUR, NOW, Register, append, event, events, files, open, spec, tenant};

/// Model and quantity; of every 13th event it says that it does not say all.
pub(crate) struct Terms(pub(crate) AtomicU32);

fn data(event: &StoredEvent) -> (String, i64) {
    let value: Value = serde_json::from_slice(&event.json).unwrap();
    let model = value["data"]["model"].as_str().unwrap().to_owned();
    (model, value["data"]["quantity"].as_i64().unwrap())
}

impl EventTerms for Terms {
    fn version(&self) -> String {
        self.0.load(Ordering::SeqCst).to_string()
    }

    fn add(&self, event: &StoredEvent, to: &mut Builder) -> bool {
        let (model, quantity) = data(event);
        to.value("model", &model);
        if event.offset.is_multiple_of(13) {
            return false;
        }
        to.term("model", &model);
        to.term("quantity", &quantity.to_string());
        true
    }
}

type Truth = fn(&StoredEvent) -> bool;

fn conditions() -> Vec<(&'static str, Condition, Truth)> {
    let equal = |model: &str| Condition::Equal("model".to_owned(), model.to_owned());
    let above: Truth = |e| data(e).1 > 90;
    vec![
        ("all", Condition::All(Vec::new()), |_| true),
        ("equal", equal("m-1"), |e| data(e).0 == "m-1"),
        ("not", Condition::Not(Box::new(equal("m-1"))), |e| {
            data(e).0 != "m-1"
        }),
        (
            "like",
            Condition::Like(Like {
                field: "quantity".to_owned(),
                prefix: String::new(),
                test: Arc::new(|t| t.parse::<i64>().is_ok_and(|n| n > 90)),
            }),
            above,
        ),
        (
            "unknown",
            Condition::Within(Box::new(Condition::All(Vec::new()))),
            above,
        ),
        ("none", equal("m-9"), |_| false),
    ]
}

pub(crate) fn searches() -> Vec<Search> {
    let all = Search {
        scope: TenantScope::All,
        types: Vec::new(),
        source: None,
        id: None,
        subject: None,
        texts: Vec::new(),
        from: UnixMicros(0),
        to: NOW.plus(DAY),
    };
    let one = TenantScope::One(tenant(2));
    vec![
        all.clone(),
        Search {
            scope: one,
            ..all.clone()
        },
        Search {
            scope: one,
            from: NOW.plus(-2 * DAY),
            to: NOW.plus(-5 * HOUR),
            ..all.clone()
        },
        Search {
            types: vec![
                "com.example.order.created".to_owned(),
                "sealwright.audit.login.v1".to_owned(),
            ],
            subject: Some("user-3".to_owned()),
            ..all.clone()
        },
        Search {
            id: Some("id-77".to_owned()),
            source: Some("/test".to_owned()),
            ..all.clone()
        },
        Search {
            texts: vec![Phrase::new("USER-7"), Phrase::new("audit")],
            ..all.clone()
        },
        Search {
            texts: vec![Phrase::new("m-*"), Phrase::new("*ser-1")],
            scope: one,
            ..all
        },
    ]
}

fn question(search: &Search, condition: &Condition, truth: Truth, limit: usize) -> Question {
    Question {
        search: search.clone(),
        condition: condition.clone(),
        look: Arc::new(move || {
            Box::new(move |event| {
                let model = || Facets::from([("model".to_owned(), data(event).0)]);
                truth(event).then(model)
            })
        }),
        width: HOUR,
        below: None,
        limit,
        most: 200_000,
    }
}

fn offsets(answer: &Answer) -> Vec<u64> {
    answer.events.iter().map(|event| event.offset).collect()
}

/// Every question, page by page, against looking at every event.
pub(crate) async fn judged(lake: &Lake, stored: &[StoredEvent]) -> usize {
    judged_by(lake, stored, &searches()).await
}

pub(crate) async fn judged_by(lake: &Lake, stored: &[StoredEvent], searches: &[Search]) -> usize {
    let mut looked_at = 0;
    for search in searches {
        for (name, condition, truth) in conditions() {
            let mut question = question(search, &condition, truth, 120);
            loop {
                let wanted = Answer::by_looking(&question, stored.iter().rev().cloned());
                let answer = lake.ask(&question).await.unwrap();
                let said = format!("{name} {search:?} below {:?}", question.below);
                assert_eq!(offsets(&answer), offsets(&wanted), "{said}");
                assert_eq!(answer.next, wanted.next, "{said}");
                assert!(answer.complete, "{said}");
                if question.below.is_none() {
                    assert_eq!(answer.total, wanted.total, "{said}");
                    assert_eq!(answer.buckets, wanted.buckets, "{said}");
                    assert_eq!(answer.facets, wanted.facets, "{said}");
                }
                looked_at += answer.looked_at;
                question.below = answer.next;
                if question.below.is_none() {
                    break;
                }
            }
        }
    }
    looked_at
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_the_same_with_an_index_and_without() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    lake.set_terms(Arc::new(Terms(AtomicU32::new(1))));
    let stored = events(0..300);
    append(&lake, &[&stored[..100], &stored[100..150]]).await;
    let without = judged(&lake, &stored[..150]).await;

    // A part: what came later has none.
    lake.compact(NOW.plus(30 * DAY), CompactPolicy::default())
        .await
        .unwrap();
    let made = lake.index(NOW.plus(30 * DAY), LONG).await.unwrap();
    assert_eq!((made.rows, made.left), (150, 0));
    append(&lake, &[&stored[150..]]).await;
    judged(&lake, &stored).await;

    // All of it, by a reader too.
    lake.compact(NOW.plus(30 * DAY), CompactPolicy::default())
        .await
        .unwrap();
    let made = lake.index(NOW.plus(30 * DAY), LONG).await.unwrap();
    assert_eq!((made.rows, made.left), (300, 0));
    let with = judged(&lake, &stored).await;
    assert!(
        with < without,
        "{with} events were looked at, {without} before"
    );
    let reader = Lake::open_read_only(folder.path()).await.unwrap();
    reader.set_terms(Arc::new(Terms(AtomicU32::new(1))));
    assert_eq!(judged(&reader, &stored).await, with);

    // There is nothing more to do.
    let made = lake.index(NOW.plus(30 * DAY), LONG).await.unwrap();
    assert_eq!((made.files, made.left), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_and_damage_cost_time_and_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let terms = Arc::new(Terms(AtomicU32::new(1)));
    lake.set_terms(Arc::clone(&terms) as _);
    let stored = events(0..150);
    append(&lake, &[&stored]).await;
    let later = NOW.plus(30 * DAY);
    let whole = lake.index(later, LONG).await.unwrap();
    let some = &searches()[..1];

    terms.0.store(2, Ordering::SeqCst);
    judged_by(&lake, &stored, some).await;
    let again = lake.index(later, LONG).await.unwrap();
    assert_eq!(again.files, whole.files);

    let indexes = || files(&folder.path().join("terms"));
    for (step, damage) in (0_usize..).zip([
        |bytes: &mut Vec<u8>| bytes[40] ^= 1,
        |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2),
        |bytes: &mut Vec<u8>| bytes.clear(),
    ]) {
        let (path, mut bytes) = indexes().swap_remove(step);
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        judged_by(&lake, &stored, some).await;
        // It is made anew.
        let made = lake.index(later, LONG).await.unwrap();
        assert_eq!((made.files, made.left), (1, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_leaves_the_index_too() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    lake.set_terms(Arc::new(Terms(AtomicU32::new(1))));
    let mut stored = events(0..100);
    let mut known = spec(100);
    known.subject = Some("zacharias".to_owned());
    known.tenant = 2;
    stored.push(event(100, &known));
    append(&lake, &[&stored]).await;
    let later = NOW.plus(30 * DAY);
    lake.index(later, LONG).await.unwrap();
    let holds_it = || {
        let all = files(folder.path());
        let mut holding = all
            .iter()
            .filter(|(_, bytes)| bytes.windows(9).any(|window| window == b"zacharias"));
        holding.any(|(path, _)| path.extension().is_some_and(|e| e == "terms"))
    };
    assert!(holds_it());
    let erasure = Erasure {
        tenant: tenant(2),
        what: ErasureKey::Subject("zacharias".to_owned()),
    };
    let report = lake
        .erase(later, &erasure, &Register::holding(Vec::new()), LONG)
        .await
        .unwrap();
    assert_eq!(report.rows, 1);
    assert!(!holds_it());
    stored.pop();
    let some = &searches()[..2];
    judged_by(&lake, &stored, some).await;
    lake.index(later, LONG).await.unwrap();
    assert!(!holds_it());
    judged_by(&lake, &stored, some).await;
}

/// More than may be looked at: the page is right as far as it goes, and the next one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_after_what_was_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    lake.set_terms(Arc::new(Terms(AtomicU32::new(1))));
    let stored = events(0..300);
    append(&lake, &[&stored[..200]]).await;
    lake.index(NOW.plus(30 * DAY), LONG).await.unwrap();
    append(&lake, &[&stored[200..]]).await;
    let search = &searches()[0];
    for (name, condition, truth) in conditions() {
        let mut question = Question {
            most: 40,
            ..question(search, &condition, truth, 25)
        };
        let mut seen = Vec::new();
        for pages in 0.. {
            assert!(pages < 1_000, "{name} does not end");
            let answer = lake.ask(&question).await.unwrap();
            assert!(answer.events.len() <= 25, "{name}");
            seen.extend(offsets(&answer));
            assert!(
                answer.next < Some(question.below.unwrap_or(u64::MAX)),
                "{name}"
            );
            question.below = answer.next;
            if question.below.is_none() {
                break;
            }
        }
        let wanted = stored.iter().rev().filter(|e| truth(e)).map(|e| e.offset);
        assert_eq!(seen, wanted.collect::<Vec<_>>(), "{name}");
    }
}

fn told(event: &StoredEvent) -> Passed {
    Passed {
        offset: event.offset,
        time: event.time,
        received_at: event.received_at,
        source: event.source.as_str().into(),
    }
}

/// Every event of the query in order, as far as it matters. Says how many were whole, how many were known otherwise, and of how many.
async fn sifted(lake: &Lake, stored: &[StoredEvent]) -> (usize, usize, usize) {
    let (mut seen_whole, mut seen_known, mut seen) = (0, 0, 0);
    let all = HistoryQuery {
        tenant: tenant(2),
        event_types: Vec::new(),
        from: None,
        to: NOW.plus(DAY),
        below_offset: u64::MAX,
    };
    let queries = [
        all.clone(),
        HistoryQuery {
            event_types: vec!["com.example.order.created".to_owned()],
            from: Some(NOW.plus(-2 * DAY)),
            to: NOW.plus(-HOUR),
            below_offset: 170,
            ..all
        },
    ];
    for query in &queries {
        for (name, condition, truth) in conditions() {
            let wanted = |e: &&StoredEvent| {
                e.tenant == query.tenant
                    && (query.event_types.is_empty() || query.event_types.contains(&e.event_type))
                    && query.from.is_none_or(|from| e.time >= from)
                    && e.time < query.to
                    && e.offset < query.below_offset
            };
            let mut wanted = stored.iter().filter(wanted);
            let mut sieve = lake.sift(
                query,
                &Sieve {
                    conditions: vec![
                        Asked {
                            condition: Condition::Any(Vec::new()),
                            values: Vec::new(),
                        },
                        Asked {
                            condition: condition.clone(),
                            values: vec![1],
                        },
                    ],
                    values: vec!["none".to_owned(), "model".to_owned()],
                    whole: Condition::Equal("model".to_owned(), "m-2".to_owned()),
                },
            );
            loop {
                let page = sieve.next().await.unwrap();
                if page.is_empty() {
                    break;
                }
                for one in page {
                    let event = wanted.next().expect("no more than was stored");
                    seen += 1;
                    match one {
                        Sifted::Whole(whole) => {
                            assert_eq!(&whole, event, "{name}");
                            seen_whole += 1;
                        }
                        Sifted::Passed(passed) => {
                            assert!(!truth(event), "{name}: {passed:?}");
                            assert_eq!(passed, told(event), "{name}");
                        }
                        Sifted::Known(known) => {
                            assert!(truth(event), "{name}: {known:?}");
                            assert_eq!(known.event, told(event), "{name}");
                            assert_eq!(*known.conditions, [1], "{name}");
                            let values = [None, Some(data(event).0.into())];
                            assert_eq!(known.values, values, "{name}");
                            assert_ne!(data(event).0, "m-2", "{name}");
                            seen_known += 1;
                        }
                    }
                }
            }
            assert_eq!(wanted.next(), None, "{name}");
        }
    }
    (seen_whole, seen_known, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sieve_gives_every_event_and_reads_those_that_matter() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    lake.set_terms(Arc::new(Terms(AtomicU32::new(1))));
    let stored = events(0..300);
    let later = NOW.plus(30 * DAY);
    // By type and day in files of their own, so that they overlap by offset.
    append(&lake, &[&stored[..100], &stored[100..200]]).await;
    let (whole, _, all) = sifted(&lake, &stored[..200]).await;
    assert_eq!(whole, all);
    let indexed = async || {
        // Small files that will be joined are given none.
        lake.compact(later, CompactPolicy::default()).await.unwrap();
        lake.index(later, LONG).await.unwrap().left
    };
    assert_eq!(indexed().await, 0);
    append(&lake, &[&stored[200..]]).await;
    sifted(&lake, &stored).await;
    assert_eq!(indexed().await, 0);
    let (whole, known, all) = sifted(&lake, &stored).await;
    assert!(
        whole * 4 < all * 3 && known * 10 > all,
        "{whole} whole and {known} known of {all}"
    );
    // Damage costs time and no event.
    for (path, mut bytes) in files(&folder.path().join("terms")) {
        let middle = bytes.len() / 3;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        sifted(&lake, &stored).await;
    }
}
