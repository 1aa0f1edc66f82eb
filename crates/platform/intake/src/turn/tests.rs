#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

const WINDOW: u64 = 1_000;

fn tenant(n: u8) -> TenantId {
    format!("ten_{n:032x}").parse().unwrap()
}

/// Lets in what need not wait: that is found out at the first look, before the time can be over.
async fn now(turns: &Turns, who: u8, events: u64) -> Option<Turn> {
    let taking = turns.take(tenant(who), events);
    tokio::time::timeout(Duration::from_millis(1), taking)
        .await
        .ok()
        .map(Result::unwrap)
}

#[tokio::test]
async fn while_there_is_no_window_nobody_waits() {
    let turns = Turns::default();
    turns.open(None);
    for n in 1..=10 {
        let turn = now(&turns, 1, 1_000_000).await.unwrap();
        turn.stored(1_000_000, n);
    }
    assert_eq!(turns.size(), (10_000_000, 0));
}

#[tokio::test]
async fn where_nobody_looks_after_it_and_where_nothing_is_followed_little_is_kept() {
    let turns = Turns::default();
    now(&turns, 1, 10).await.unwrap().stored(10, 10);
    assert_eq!(turns.size(), (0, 0));
    turns.open(None);
    for n in 1..=MOST_STORED as u64 + 10 {
        now(&turns, 1, 1).await.unwrap().stored(1, n);
    }
    assert_eq!(turns.size(), (MOST_STORED as u64, 0));
    turns.close();
    now(&turns, 1, 10).await.unwrap().stored(10, u64::MAX);
    assert_eq!(turns.size(), (MOST_STORED as u64, 0));
}

#[tokio::test]
async fn what_is_under_way_leaves_no_room_until_it_was_followed() {
    let turns = Turns::default();
    turns.open(Some(100));
    // The first may be larger than the window: it would never get in otherwise.
    now(&turns, 1, 150).await.unwrap().stored(150, 150);
    assert!(now(&turns, 1, 10).await.is_none());
    turns.followed(149);
    assert!(now(&turns, 1, 10).await.is_none());
    turns.followed(150);
    let turn = now(&turns, 1, 60).await.unwrap();
    assert!(now(&turns, 1, 60).await.is_none());
    // What was not stored is not under way: a duplicate, or a failure.
    turn.stored(0, 10);
    let turn = now(&turns, 1, 60).await.unwrap();
    drop(turn);
    assert_eq!(turns.size(), (0, 0));
    assert!(turns.state().tenants.is_empty(), "nothing is kept of it");
}

#[tokio::test]
async fn what_was_followed_before_it_was_said_to_be_stored_is_not_under_way() {
    let turns = Turns::default();
    turns.open(Some(100));
    let turn = now(&turns, 1, 100).await.unwrap();
    turns.followed(100);
    turn.stored(100, 100);
    assert_eq!(turns.size(), (0, 0));
}

#[tokio::test]
async fn a_tenant_with_little_passes_those_that_wait() {
    let turns = Turns::default();
    turns.open(Some(1_000));
    for n in 1..=10 {
        now(&turns, 1, 100).await.unwrap().stored(100, n * 100);
    }
    let first = turns.clone();
    let waits = tokio::spawn(async move { first.take(tenant(1), 100).await });
    tokio::task::yield_now().await;
    assert_eq!(turns.size(), (1_000, 1));
    // Two are active: a quarter of the window each at any time.
    let little = now(&turns, 2, 250).await.unwrap();
    assert!(now(&turns, 2, 1).await.is_none());
    drop(little);
    turns.followed(1_000);
    waits.await.unwrap().unwrap();
}

#[tokio::test]
async fn whoever_waits_too_long_or_too_often_is_told_so() {
    let turns = Turns::waiting_for(Duration::from_millis(20));
    turns.open(Some(100));
    let held = now(&turns, 1, 100).await.unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..MOST_WAITING {
        let turns = turns.clone();
        waiting.spawn(async move { turns.take(tenant(1), 50).await });
    }
    while turns.size() != (100, MOST_WAITING) {
        tokio::task::yield_now().await;
    }
    assert!(matches!(
        turns.take(tenant(1), 1).await,
        Err(AppendError::Later)
    ));
    while let Some(waited) = waiting.join_next().await {
        assert!(matches!(waited.unwrap(), Err(AppendError::Later)));
    }
    drop(held);
    assert_eq!(turns.size(), (0, 0));
    assert!(turns.state().tenants.is_empty());
}

#[tokio::test]
async fn a_request_that_goes_away_gives_up_its_place() {
    let turns = Turns::default();
    turns.open(Some(100));
    let held = now(&turns, 1, 100).await.unwrap();
    assert!(now(&turns, 1, 100).await.is_none());
    assert_eq!(turns.size(), (100, 0));
    drop(held);
    assert_eq!(turns.size(), (0, 0));
}

#[tokio::test]
async fn a_request_that_goes_away_when_it_was_just_let_in_leaves_nothing_under_way() {
    let turns = Turns::default();
    turns.open(Some(100));
    let held = now(&turns, 1, 100).await.unwrap();
    let mut waits = Box::pin(turns.take(tenant(1), 100));
    assert!(is_pending(waits.as_mut()).await);
    drop(held);
    assert_eq!(turns.size(), (100, 0), "it is let in and does not know");
    drop(waits);
    assert_eq!(turns.size(), (0, 0));
}

async fn is_pending<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
    let pending = tokio::time::timeout(Duration::ZERO, future).await;
    pending.is_err()
}

/// Tenants that each keep so many requests waiting: what each got in, in order.
async fn served(requests: &[(u8, u64)], rounds: u64) -> HashMap<u8, u64> {
    let turns = Turns::default();
    turns.open(Some(WINDOW));
    let held = turns.take(tenant(255), WINDOW).await.unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    for (who, events) in requests {
        let (turns, tell) = (turns.clone(), tell.clone());
        let (who, events) = (*who, *events);
        tokio::spawn(async move {
            loop {
                let turn = turns.take(tenant(who), events).await.unwrap();
                if tell.send((who, events, turn)).is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    tokio::task::yield_now().await;
    drop(held);
    let (mut got, mut end, mut under_way) = (HashMap::new(), 0, 0);
    for _ in 0..rounds {
        let (who, events, turn) = told.recv().await.unwrap();
        *got.entry(who).or_insert(0) += events;
        end += events;
        under_way += events;
        turn.stored(events, end);
        // Follow half of it now and then.
        if under_way >= WINDOW / 2 {
            turns.followed(end);
            under_way = 0;
        }
    }
    got
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the sizes of their requests: tenants that always have a whole window waiting get the same within a window.
    #[test]
    fn tenants_that_want_more_than_there_is_get_the_same(
        sizes in proptest::collection::vec(20_u64..=200, 2..6),
    ) {
        let requests: Vec<(u8, u64)> = sizes
            .iter()
            .enumerate()
            .flat_map(|(n, events)| vec![(n as u8, *events); (WINDOW / events) as usize + 1])
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let got = runtime.block_on(served(&requests, 4_000));
        let got: Vec<u64> = (0..sizes.len()).map(|n| got.get(&(n as u8)).copied().unwrap_or(0)).collect();
        let (least, most) = (*got.iter().min().unwrap(), *got.iter().max().unwrap());
        prop_assert!(least > 0 && most - least <= WINDOW, "{sizes:?}: {got:?}");
    }
}
