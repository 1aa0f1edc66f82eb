use std::time::Duration;

use sealwright_core::clock::{HOUR, MINUTE, SECOND};
use sealwright_notify::signature::{VerifyingSecret, WebhookHeaders, verify};
use sealwright_notify::{ChannelState, DeliveryState, Severity};
use tokio_util::sync::CancellationToken;

use crate::support::{Say, message, staff, until, worlds};

fn told() -> sealwright_notify::Message {
    message("billing.budget", Severity::Error)
}

#[tokio::test]
async fn a_failure_is_tried_again_later_and_later_under_the_same_id() {
    for world in worlds().await {
        world.everything_to(world.webhook()).await;
        world
            .far
            .say([Say::Status(500), Say::Status(503), Say::Hang]);
        world.enqueue(&told()).await;
        let mut pauses = Vec::new();
        for attempt in 1..=3 {
            assert_eq!(world.drain().await, 1);
            let one = world.only().await;
            assert_eq!((one.state, one.attempts), (DeliveryState::Pending, attempt));
            let now = sealwright_core::Clock::now(&world.clock);
            let pause = one.next_at.unwrap().since(now);
            pauses.push(pause);
            assert_eq!(world.drain().await, 0, "not before its time");
            world.clock.advance(pause);
        }
        for (pause, full) in pauses.iter().zip([5 * SECOND, 10 * SECOND, 20 * SECOND]) {
            assert!((full / 2..=full).contains(pause), "{pause} of {full}");
        }
        assert_eq!(world.drain().await, 1);
        let one = world.only().await;
        assert_eq!((one.state, one.status), (DeliveryState::Sent, Some(200)));
        let got = world.far.got();
        let ids: std::collections::BTreeSet<_> = got
            .iter()
            .map(|got| got.header("webhook-id").to_owned())
            .collect();
        assert_eq!((got.len(), ids.len()), (4, 1));
        assert!(ids.contains(&one.id.to_string()));
        world.clock.advance(48 * HOUR);
        assert_eq!(world.drain().await, 0, "never after success");
    }
}

#[tokio::test]
async fn every_attempt_is_signed_for_its_own_moment() {
    for world in worlds().await {
        world.everything_to(world.webhook()).await;
        world.far.say([Say::Status(500)]);
        world.enqueue(&told()).await;
        world.drain().await;
        world.clock.advance(10 * MINUTE);
        world.drain().await;
        for got in world.far.got() {
            let secret =
                [VerifyingSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()];
            let headers = WebhookHeaders {
                id: Some(got.header("webhook-id")),
                timestamp: Some(got.header("webhook-timestamp")),
                signature: Some(got.header("webhook-signature")),
            };
            let at = got.header("webhook-timestamp").parse().unwrap();
            assert_eq!(verify(&secret, &headers, got.body.as_bytes(), at), Ok(()));
        }
        let stamps: Vec<_> = world
            .far
            .got()
            .iter()
            .map(|got| got.header("webhook-timestamp").parse::<i64>().unwrap())
            .collect();
        assert_eq!(stamps[1] - stamps[0], 600);
    }
}

#[tokio::test]
async fn retry_after_holds_the_whole_channel() {
    for world in worlds().await {
        world.everything_to(world.slack()).await;
        world.far.say([Say::With(
            429,
            &[("retry-after", "90")],
            "ratelimited".to_owned(),
        )]);
        world.enqueue(&told()).await;
        world.enqueue(&told()).await;
        assert_eq!(
            world.drain().await,
            1,
            "the second one waits with the first"
        );
        world.clock.advance(89 * SECOND);
        assert_eq!(world.drain().await, 0);
        world.clock.advance(2 * SECOND);
        assert_eq!(world.drain().await, 2);
        assert!(
            world
                .deliveries()
                .await
                .iter()
                .all(|d| d.state == DeliveryState::Sent)
        );
    }
}

#[tokio::test]
async fn a_rate_limit_spaces_deliveries_evenly() {
    for world in worlds().await {
        let channel = world.channel_with(world.slack(), None, Some(6)).await;
        world.rule("*", Severity::Info, &channel).await;
        for _ in 0..4 {
            world.enqueue(&told()).await;
        }
        let mut sent = Vec::new();
        for _ in 0..40 {
            sent.push(world.drain().await);
            world.clock.advance(SECOND);
        }
        assert_eq!(sent.iter().sum::<u64>(), 4);
        let at: Vec<_> = sent
            .iter()
            .enumerate()
            .filter(|(_, n)| **n > 0)
            .map(|(i, _)| i)
            .collect();
        assert_eq!(at, [0, 10, 20, 30]);
    }
}

#[tokio::test]
async fn what_cannot_work_is_a_dead_letter_at_once_and_can_be_resent() {
    for world in worlds().await {
        world.everything_to(world.slack()).await;
        world
            .far
            .say([Say::With(404, &[], "no_service".to_owned())]);
        world.enqueue(&told()).await;
        assert_eq!(world.drain().await, 1);
        let dead = world.only().await;
        assert_eq!(dead.state, DeliveryState::Dead);
        assert_eq!(
            (dead.status, dead.answer.as_deref()),
            (Some(404), Some("no_service"))
        );
        world.clock.advance(48 * HOUR);
        assert_eq!(world.drain().await, 0);
        let id = dead.id.to_string();
        let again = world.service.resend(&staff(), &id).await.unwrap();
        assert_eq!((again.state, again.attempts), (DeliveryState::Pending, 0));
        assert!(
            world.service.resend(&staff(), &id).await.is_err(),
            "it waits already"
        );
        assert_eq!(world.drain().await, 1);
        assert_eq!(world.only().await.state, DeliveryState::Sent);
        let recorded = world.audit.0.lock().unwrap();
        assert!(
            recorded
                .iter()
                .any(|a| a.action == "notify.delivery.resend" && a.subject == id)
        );
    }
}

#[tokio::test]
async fn after_the_last_attempt_it_is_a_dead_letter_and_not_lost() {
    for world in worlds().await {
        world.everything_to(world.webhook()).await;
        world.far.say((0..15).map(|_| Say::Status(500)));
        world.enqueue(&told()).await;
        let mut attempts = 0;
        for _ in 0..20 {
            attempts += world.drain().await;
            world.clock.advance(7 * HOUR);
        }
        assert_eq!(attempts, 15);
        assert_eq!(world.only().await.state, DeliveryState::Dead);
        let waiting = world.service.waiting(&staff()).await.unwrap();
        assert_eq!(
            (waiting[0].state, waiting[0].count),
            (DeliveryState::Dead, 1)
        );
        assert_eq!(
            world.service.prune().await.unwrap(),
            0,
            "kept for the history"
        );
        world.clock.advance(91 * 24 * HOUR);
        assert_eq!(world.service.prune().await.unwrap(), 2);
        assert!(world.deliveries().await.is_empty());
    }
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_switched_off() {
    for world in worlds().await {
        let channel = world.everything_to(world.webhook()).await;
        world.far.say([Say::Status(410)]);
        world.enqueue(&told()).await;
        world.enqueue(&told()).await;
        assert_eq!(world.drain().await, 1, "the second one is not tried");
        let states: Vec<_> = world.deliveries().await.iter().map(|d| d.state).collect();
        assert_eq!(states, [DeliveryState::Dead, DeliveryState::Dead]);
        let channel = world
            .service
            .channel(&staff(), &channel.id.to_string())
            .await
            .unwrap();
        assert_eq!(channel.state, ChannelState::Disabled);
        assert!(
            channel.state_reason.contains("gone"),
            "{}",
            channel.state_reason
        );
        assert!(
            world
                .audit
                .0
                .lock()
                .unwrap()
                .iter()
                .any(|a| a.action == "notify.channel.gone")
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for world in worlds().await {
        world.everything_to(world.webhook()).await;
        world.far.say([Say::With(
            302,
            &[("location", "http://169.254.169.254/")],
            String::new(),
        )]);
        world.enqueue(&told()).await;
        assert_eq!(world.drain().await, 1);
        let one = world.only().await;
        assert_eq!((one.state, one.status), (DeliveryState::Pending, Some(302)));
        assert_eq!(world.far.count(), 1);
    }
}

#[tokio::test]
async fn of_a_long_answer_little_is_kept() {
    for world in worlds().await {
        world.everything_to(world.slack()).await;
        world.far.say([Say::With(400, &[], "x".repeat(1 << 20))]);
        world.enqueue(&told()).await;
        world.drain().await;
        assert_eq!(world.only().await.answer.unwrap().chars().count(), 500);
    }
}

/// A worker that dies between sending and writing it down: the lease runs out, another worker sends again
/// under the same id. Nothing is lost, and the receiver can tell.
#[tokio::test]
async fn a_kill_between_send_and_mark_loses_nothing_and_repeats_the_id() {
    for world in worlds().await {
        world.everything_to(world.webhook()).await;
        world.far.say([Say::Hang]);
        world.enqueue(&told()).await;
        let first = world.deliverer("first");
        let killed = tokio::spawn(async move { first.work(1, CancellationToken::new()).await });
        until("the other side has the request", async || {
            world.far.count() == 1
        })
        .await;
        killed.abort();
        let _ = killed.await;
        assert_eq!(world.only().await.state, DeliveryState::Sending);
        assert_eq!(world.drain().await, 0, "the lease holds");
        world.clock.advance(2 * MINUTE);
        assert_eq!(world.drain().await, 1);
        let got = world.far.got();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"));
        assert_eq!(world.only().await.state, DeliveryState::Sent);
    }
}

/// A worker that only seemed dead writes nothing over what the next one did.
#[tokio::test]
async fn a_late_worker_does_not_undo_what_the_next_one_wrote() {
    for world in worlds().await {
        world.everything_to(world.webhook()).await;
        world.far.say([Say::Hang]);
        world.enqueue(&told()).await;
        let late = world.deliverer("late");
        let slow = tokio::spawn(async move { late.drain().await });
        until("the other side has the request", async || {
            world.far.count() == 1
        })
        .await;
        world.clock.advance(2 * MINUTE);
        assert_eq!(world.drain().await, 1, "taken over");
        // The first worker's request times out now, and it would put the delivery back in the queue.
        slow.await.unwrap().unwrap();
        assert_eq!(world.only().await.state, DeliveryState::Sent);
    }
}

#[tokio::test]
async fn two_workers_send_each_delivery_once() {
    for world in worlds().await {
        world.everything_to(world.webhook()).await;
        for _ in 0..30 {
            world.enqueue(&told()).await;
        }
        let stop = CancellationToken::new();
        let work: Vec<_> = ["one", "two"]
            .into_iter()
            .map(|holder| {
                let (deliverer, stop) = (world.deliverer(holder), stop.clone());
                tokio::spawn(async move { deliverer.work(3, stop).await })
            })
            .collect();
        until("all are sent", async || {
            let all = world.deliveries().await;
            all.len() == 30 && all.iter().all(|d| d.state == DeliveryState::Sent)
        })
        .await;
        stop.cancel();
        for one in work {
            one.await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let got = world.far.got();
        let ids: std::collections::BTreeSet<_> = got
            .iter()
            .map(|got| got.header("webhook-id").to_owned())
            .collect();
        assert_eq!((got.len(), ids.len()), (30, 30));
    }
}
