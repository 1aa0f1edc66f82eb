use std::sync::atomic::Ordering;

use sealwright_core::clock::{DAY, HOUR, MINUTE};
use sealwright_jobs::{CatchUp, JobsError, JobsService};

use crate::support::{Act, at, worlds};

#[tokio::test]
async fn a_slot_has_one_run_however_many_processes_look() {
    for world in worlds(Act::Succeed, Some("*/10 * * * *"), CatchUp::Once).await {
        world.service.tick().await.unwrap();
        world.clock.set(at("2026-11-23T10:10:01Z"));
        let others: Vec<_> = (0..6).map(|_| world.other()).collect();
        let ticks = futures::future::join_all(others.iter().map(JobsService::tick)).await;
        let queued: u64 = ticks.into_iter().map(|t| t.unwrap().queued).sum();
        assert_eq!(queued, 1, "{}", world.store.name);
        let runners: Vec<_> = (0..4).map(|n| world.runner(&format!("p{n}"))).collect();
        let ended = futures::future::join_all(runners.iter().map(|r| r.drain())).await;
        assert_eq!(ended.into_iter().flat_map(Result::unwrap).count(), 1);
        assert_eq!(world.job.begun.load(Ordering::SeqCst), 1);
        assert_eq!(
            *world.job.slots.lock().unwrap(),
            [at("2026-11-23T10:10:00Z")]
        );
    }
}

async fn slots_after_a_pause(catch_up: CatchUp) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for world in worlds(Act::Succeed, Some("0 * * * *"), catch_up).await {
        world.service.tick().await.unwrap();
        world.clock.set(at("2026-11-23T14:30:00Z"));
        world.service.tick().await.unwrap();
        world.runner("p").drain().await.unwrap();
        // And the next one comes as usual.
        world.clock.set(at("2026-11-23T15:00:00Z"));
        world.service.tick().await.unwrap();
        world.runner("p").drain().await.unwrap();
        let slots = world.job.slots.lock().unwrap();
        all.push(
            slots
                .iter()
                .map(|s| s.to_string()[11..16].to_owned())
                .collect(),
        );
    }
    all
}

#[tokio::test]
async fn missed_slots_follow_the_policy() {
    for slots in slots_after_a_pause(CatchUp::None).await {
        assert_eq!(slots, ["15:00"]);
    }
    for slots in slots_after_a_pause(CatchUp::Once).await {
        assert_eq!(slots, ["14:00", "15:00"]);
    }
    for slots in slots_after_a_pause(CatchUp::All).await {
        assert_eq!(slots, ["11:00", "12:00", "13:00", "14:00", "15:00"]);
    }
}

#[tokio::test]
async fn a_clock_that_jumps_repeats_nothing_and_forgets_nothing() {
    for world in worlds(Act::Succeed, Some("0 * * * *"), CatchUp::Once).await {
        world.service.tick().await.unwrap();
        world.clock.set(at("2026-11-23T11:00:00Z"));
        world.service.tick().await.unwrap();
        world.runner("p").drain().await.unwrap();
        // Back by half an hour, over the slot that had its run.
        world.clock.advance(-HOUR / 2);
        world.service.tick().await.unwrap();
        world.clock.set(at("2026-11-23T11:00:30Z"));
        world.service.tick().await.unwrap();
        world.runner("p").drain().await.unwrap();
        assert_eq!(
            world.job.begun.load(Ordering::SeqCst),
            1,
            "{}",
            world.store.name
        );
        // Ahead by five years, then right again: the job does not wait for five years.
        world.clock.advance(5 * 365 * DAY);
        world.service.tick().await.unwrap();
        world.clock.set(at("2026-11-23T11:30:00Z"));
        world.service.tick().await.unwrap();
        world.clock.set(at("2026-11-23T12:00:00Z"));
        world.service.tick().await.unwrap();
        world.runner("p").drain().await.unwrap();
        let slots = world.job.slots.lock().unwrap().clone();
        assert!(slots.contains(&at("2026-11-23T12:00:00Z")), "{slots:?}");
    }
}

#[tokio::test]
async fn a_day_with_the_hour_twice_runs_a_nightly_job_once() {
    for world in worlds(Act::Succeed, Some("30 2 * * *"), CatchUp::Once).await {
        world.clock.set(at("2026-10-24T20:00:00Z"));
        for _ in 0..(12 * 6) {
            world.service.tick().await.unwrap();
            world.runner("p").drain().await.unwrap();
            world.clock.advance(10 * MINUTE);
        }
        assert_eq!(
            *world.job.slots.lock().unwrap(),
            [at("2026-10-25T00:30:00Z")]
        );
    }
}

#[tokio::test]
async fn names_are_unique() {
    for world in worlds(Act::Succeed, None, CatchUp::None).await {
        let twice = JobsService::new(
            world.store.store.clone(),
            std::sync::Arc::new(world.clock.clone()),
            std::sync::Arc::new(sealwright_access::Unrecorded),
            [
                world.job.clone() as std::sync::Arc<dyn sealwright_jobs::Job>,
                world.job.clone(),
            ],
        );
        assert!(matches!(twice, Err(JobsError::Twice("test.job"))));
    }
}
