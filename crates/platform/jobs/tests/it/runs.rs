use std::sync::atomic::Ordering;
use std::time::Duration;

use sealwright_access::Principal;
use sealwright_core::clock::{DAY, MINUTE, SECOND};
use sealwright_jobs::{CatchUp, JobsError, RunFilter, RunState};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{Act, World, until, worlds};

async fn ask(world: &World) -> String {
    let (run, _) = world
        .service
        .run_now(&Principal::local(), "test.job", None)
        .await
        .unwrap();
    run.id.to_string()
}

async fn state(world: &World, id: &str) -> RunState {
    world
        .service
        .run(&Principal::local(), id)
        .await
        .unwrap()
        .state
}

#[tokio::test]
async fn results_and_failures_are_kept() {
    for world in worlds(Act::Succeed, None, CatchUp::None).await {
        let ended = {
            ask(&world).await;
            world.runner("p").drain().await.unwrap()
        };
        assert_eq!(ended[0].state, RunState::Done);
        assert_eq!(ended[0].result, Some(json!({"ok": true})));
        for (act, text) in [(Act::Fail, "never"), (Act::Panic, "boom")] {
            *world.job.act.lock().unwrap() = act;
            ask(&world).await;
            let ended = world.runner("p").drain().await.unwrap();
            assert_eq!(ended[0].state, RunState::Failed);
            assert!(ended[0].error.as_ref().unwrap().contains(text), "{ended:?}");
        }
    }
}

#[tokio::test]
async fn what_may_work_later_is_tried_again_with_pauses() {
    for world in worlds(Act::FailAgain, None, CatchUp::None).await {
        let id = ask(&world).await;
        let runner = world.runner("p");
        runner.drain().await.unwrap();
        assert_eq!(state(&world, &id).await, RunState::Queued);
        assert!(
            runner.drain().await.unwrap().is_empty(),
            "not before 30 seconds"
        );
        world.clock.advance(30 * SECOND);
        runner.drain().await.unwrap();
        world.clock.advance(MINUTE);
        let ended = runner.drain().await.unwrap();
        assert_eq!((ended[0].state, ended[0].attempt), (RunState::Failed, 3));
        assert_eq!(ended[0].error.as_deref(), Some("not yet"));
        *world.job.act.lock().unwrap() = Act::Succeed;
        world
            .service
            .resume(&Principal::local(), &id)
            .await
            .unwrap();
        assert_eq!(runner.drain().await.unwrap()[0].state, RunState::Done);
    }
}

#[tokio::test]
async fn a_run_is_cancelled_and_resumed_where_it_was() {
    for world in worlds(Act::Steps, None, CatchUp::None).await {
        let id = ask(&world).await;
        let runner = world.runner("p");
        let work = tokio::spawn(async move { runner.drain().await });
        until("two steps", async || {
            world.job.steps.lock().unwrap().len() == 2
        })
        .await;
        let by = Principal::local();
        assert!(
            world
                .service
                .cancel(&by, &id)
                .await
                .unwrap()
                .cancel_requested
        );
        let ended = work.await.unwrap().unwrap();
        assert_eq!(ended[0].state, RunState::Cancelled, "{ended:?}");
        assert_eq!((ended[0].done, ended[0].total), (2, Some(4)));
        let again = world.service.cancel(&by, &id).await;
        assert!(matches!(again, Err(JobsError::Conflict(_))), "{again:?}");
        world.service.resume(&by, &id).await.unwrap();
        let ended = world.runner("q").drain().await.unwrap();
        assert_eq!(ended[0].state, RunState::Done);
        assert_eq!(
            *world.job.steps.lock().unwrap(),
            [0, 1, 2, 3],
            "no step twice"
        );
        // A queued run is cancelled at once.
        let id = ask(&world).await;
        assert_eq!(
            world.service.cancel(&by, &id).await.unwrap().state,
            RunState::Cancelled
        );
        assert!(world.runner("q").drain().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_crashed_holder_loses_its_run_and_a_woken_one_writes_nothing() {
    for world in worlds(Act::Steps, None, CatchUp::None).await {
        let id = ask(&world).await;
        let crashed = world.runner("crashed");
        // Two steps with heartbeats, then the process stops for a while (its clock does not).
        let work = tokio::spawn(async move { crashed.drain().await });
        until("two steps", async || {
            world.job.steps.lock().unwrap().len() == 2
        })
        .await;
        world.clock.advance(MINUTE);
        // The other process takes it back and finishes it from the checkpoint.
        let other = world.other();
        let mut taken = 0;
        until("the lease to be judged expired", async || {
            taken += other.tick().await.unwrap().taken_back;
            world.clock.advance(MINUTE);
            taken > 0
        })
        .await;
        let ended = world.runner("other").drain().await.unwrap();
        assert_eq!(ended[0].state, RunState::Done, "{}", world.store.name);
        assert_eq!(ended[0].attempt, 2);
        // The first holder finds out, and leaves everything as it is.
        let late = tokio::time::timeout(Duration::from_secs(10), work)
            .await
            .unwrap();
        late.unwrap().unwrap();
        let run = world.service.run(&Principal::local(), &id).await.unwrap();
        assert_eq!((run.state, run.result), (RunState::Done, Some(json!(4))));
        assert_eq!(*world.job.steps.lock().unwrap(), [0, 1, 2, 3]);
    }
}

#[tokio::test]
async fn two_runs_of_one_job_never_run_together() {
    for world in worlds(Act::Wait, None, CatchUp::None).await {
        ask(&world).await;
        ask(&world).await;
        let stop = CancellationToken::new();
        let workers: Vec<_> = ["a", "b"]
            .map(|name| {
                let (runner, stop) = (world.runner(name), stop.clone());
                tokio::spawn(async move { runner.work(4, stop).await })
            })
            .into_iter()
            .collect();
        until("one to begin", async || {
            world.job.begun.load(Ordering::SeqCst) == 1
        })
        .await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(
            world.job.begun.load(Ordering::SeqCst),
            1,
            "{}",
            world.store.name
        );
        // Stopping the process puts the run back, and the attempt does not count.
        stop.cancel();
        for worker in workers {
            worker.await.unwrap();
        }
        let filter = RunFilter::default();
        let runs = world
            .service
            .runs(&Principal::local(), &filter)
            .await
            .unwrap()
            .items;
        assert_eq!(runs.len(), 2);
        for run in runs {
            assert_eq!((run.state, run.attempt), (RunState::Queued, 0));
        }
    }
}

#[tokio::test]
async fn the_history_is_pruned_but_never_empty() {
    for world in worlds(Act::Succeed, None, CatchUp::None).await {
        for _ in 0..3 {
            ask(&world).await;
            world.runner("p").drain().await.unwrap();
            world.clock.advance(SECOND);
        }
        world.clock.advance(100 * DAY);
        assert_eq!(world.service.prune(90).await.unwrap(), 2);
        assert_eq!(world.service.prune(90).await.unwrap(), 0);
    }
}
