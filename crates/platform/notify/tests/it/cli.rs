use clap::Parser;
use sealwright_notify::cli::{NotifyCommand, Output, run};
use serde_json::Value;

use crate::support::{CANARY, Say, World, worlds};

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: NotifyCommand,
}

struct Called {
    good: Result<bool, String>,
    out: String,
    err: String,
}

async fn call(world: &World, json: bool, line: &[&str], secret: &str) -> Called {
    let args = std::iter::once("notify").chain(line.iter().copied());
    let command = Line::try_parse_from(args).unwrap().command;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut given = || Ok(format!("{secret}\n"));
    let mut output = Output {
        out: &mut out,
        err: &mut err,
        json,
        secret: &mut given,
    };
    let good = run(&world.service, command, &mut output).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Called {
        good: good.map_err(|e| e.to_string()),
        out: text(out),
        err: text(err),
    }
}

#[tokio::test]
async fn on_the_command_line() {
    for world in worlds().await {
        let url = world.far.url(&format!("/services/{CANARY}"));
        let create = [
            "channel",
            "create",
            "--name",
            "on-call",
            "--quiet",
            "22:00-07:00 Europe/Berlin",
            "slack",
        ];
        let made = call(&world, false, &create, &url).await;
        assert_eq!(made.good, Ok(true), "{}", made.err);
        let id = made.out.trim().to_owned();
        let list = call(&world, false, &["channel", "list"], "").await;
        assert!(list.out.contains(&id) && list.out.contains("slack") && !list.out.contains(CANARY));
        let rule = [
            "rule",
            "create",
            "--name",
            "all",
            "--topic",
            "*",
            "--channel",
            &id,
        ];
        assert_eq!(call(&world, true, &rule, "").await.good, Ok(true));
        let rules = call(&world, false, &["rule", "list"], "").await;
        assert!(rules.out.contains(&id), "{}", rules.out);

        let tested = call(&world, false, &["channel", "test", &id], "").await;
        assert_eq!(
            (tested.good, tested.out.trim().ends_with("sent")),
            (Ok(true), true)
        );
        world
            .far
            .say([Say::With(404, &[], "no_service".to_owned())]);
        let tested = call(&world, false, &["channel", "test", &id], "").await;
        assert_eq!(tested.good, Ok(false), "the answer is no");
        assert!(tested.err.contains("error: no_service"), "{}", tested.err);
        let dead = call(&world, true, &["delivery", "list", "--state", "dead"], "").await;
        let dead: Value = serde_json::from_str(&dead.out).unwrap();
        let delivery = dead["items"][0]["id"].as_str().unwrap();
        let again = call(&world, false, &["delivery", "resend", delivery], "").await;
        assert_eq!(again.good, Ok(true), "{}", again.err);

        let hook = ["channel", "create", "--name", "hook", "webhook"];
        let hook = call(&world, false, &hook, &url).await;
        let mut lines = hook.out.lines();
        let (hook, secret) = (lines.next().unwrap(), lines.next().unwrap());
        assert!(secret.starts_with("whsec_"));
        let rotated = call(&world, false, &["channel", "rotate", hook], "").await;
        assert!(rotated.out.starts_with("whsec_") && rotated.out.trim() != secret);
        assert_eq!(
            call(&world, false, &["channel", "disable", hook], "")
                .await
                .good,
            Ok(true)
        );
        let off = call(&world, false, &["channel", "test", hook], "").await;
        assert!(off.good.unwrap_err().contains("switched off by local"));
        assert_eq!(
            call(&world, false, &["channel", "delete", hook], "")
                .await
                .good,
            Ok(true)
        );
        let bad = [
            "channel", "create", "--name", "x", "--quiet", "night", "slack",
        ];
        let bad = call(&world, false, &bad, &url).await;
        assert!(bad.good.unwrap_err().contains("22:00-07:00 Europe/Berlin"));
    }
}
