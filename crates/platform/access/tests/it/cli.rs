use clap::Parser;
use sealwright_access::cli::{AccessCommand, Output, run};
use serde_json::Value;

use crate::support::{World, worlds};

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: AccessCommand,
}

async fn call(world: &World, json: bool, line: &str) -> (String, String, Option<String>) {
    let parsed = Line::try_parse_from(std::iter::once("access").chain(line.split_whitespace()));
    let command = match parsed {
        Ok(line) => line.command,
        Err(error) => return (String::new(), String::new(), Some(error.to_string())),
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut output = Output {
        out: &mut out,
        err: &mut err,
        json,
    };
    let result = run(&world.access, command, &mut output).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(out), text(err), result.err().map(|e| e.to_string()))
}

#[tokio::test]
async fn a_script_gets_a_working_key_on_an_empty_folder() {
    for world in worlds().await {
        let line = "key create --tenant acme --scope ingest,billing:read --name ci --expires 90d";
        let (out, err, error) = call(&world, true, line).await;
        assert_eq!(error, None);
        assert!(err.starts_with("created tenant acme (ten_"), "{err}");
        let made: Value = serde_json::from_str(&out).unwrap();
        let members: Vec<_> = made
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            members,
            ["id", "key", "tenant", "tenant_id", "scopes", "expires_at"]
        );
        assert_eq!(made["tenant"], "acme");
        assert_eq!(
            made["scopes"],
            serde_json::json!(["events:write", "billing:read"])
        );
        assert_eq!(made["expires_at"], "2027-02-21T10:00:00Z");
        let principal = world
            .access
            .authenticate_key(made["key"].as_str().unwrap())
            .await
            .unwrap();
        assert_eq!(
            principal.tenants.tenant().unwrap().to_string(),
            made["tenant_id"].as_str().unwrap()
        );

        let id = made["id"].as_str().unwrap();
        let (out, err, _) = call(&world, true, &format!("key rotate {id}")).await;
        assert!(err.is_empty());
        let rotated: Value = serde_json::from_str(&out).unwrap();
        assert_ne!(rotated["key"], made["key"]);
        let (out, _, _) = call(&world, false, "key list").await;
        assert!(out.contains("revoked") && out.contains("active"), "{out}");
        assert!(!out.contains(rotated["key"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn an_unknown_scope_lists_the_valid_ones_and_creates_nothing() {
    for world in worlds().await {
        let (_, _, error) = call(&world, true, "key create --tenant acme --scope bilng").await;
        assert_eq!(
            error.unwrap(),
            "unknown scope `bilng`; valid scopes are events:write, billing:read, billing:write, \
             lake:read, lake:erase, ledger:read, siem:read, siem:write, dlp:read, dlp:write, jobs:read, jobs:write, \
             notify:read, notify:write, prometheus:read, prometheus:write, access:read, access:admin, *; and for \
             short: ingest (events:write), read (every :read scope), admin (*)"
        );
        let (out, _, _) = call(&world, true, "tenant list").await;
        assert_eq!(out.trim(), r#"{"items":[],"next":null}"#);
        let (_, _, error) = call(&world, true, "key create --scope read").await;
        assert!(
            error.unwrap().contains("--tenant"),
            "a tenant, or --all-tenants"
        );
    }
}

#[tokio::test]
async fn tenants_users_and_links() {
    for world in worlds().await {
        call(
            &world,
            false,
            "tenant create acme --plan starter --region eu-west-1",
        )
        .await;
        let (out, _, _) = call(&world, false, "tenant suspend acme").await;
        assert!(out.contains("suspended"), "{out}");
        let (out, _, _) = call(&world, true, "link").await;
        let link: Value = serde_json::from_str(&out).unwrap();
        let url = link["url"].as_str().unwrap();
        let token = url.strip_prefix("http://127.0.0.1:3010/welcome/").unwrap();
        world
            .access
            .use_link(token, "o@example.org", crate::support::PASSWORD)
            .await
            .unwrap();
        let (_, _, error) = call(&world, true, "link").await;
        assert!(error.unwrap().contains("--user EMAIL"));
        let (_, err, _) = call(&world, false, "user create a@example.org --role auditor").await;
        assert!(err.contains("access link --user a@example.org"), "{err}");
        let (out, _, error) = call(&world, true, "link --user a@example.org").await;
        assert!(out.contains("/welcome/"), "{error:?}");
        let (out, _, _) = call(&world, false, "user disable a@example.org").await;
        assert!(out.contains("disabled"), "{out}");
    }
}

#[tokio::test]
async fn the_matrix_is_a_table_or_json() {
    let text = "@id(\"no-erasure\") forbid(principal is Key, action == Action::\"lake:erase\", resource)\n\
                when { !principal.all_tenants };";
    let own = sealwright_access::Policies::from_texts([("own.cedar", text.as_bytes())]).unwrap();
    for mut world in worlds().await {
        world.access = world.access.with_policies(own.clone());
        let (out, _, error) = call(&world, false, "matrix").await;
        assert_eq!(error, None);
        insta::assert_snapshot!("matrix", out);
        let (out, _, _) = call(&world, true, "matrix").await;
        let made: Value = serde_json::from_str(&out).unwrap();
        let items = made["items"].as_array().unwrap();
        assert_eq!(items.len(), sealwright_access::Action::ALL.len() * 3 * 6);
        let refused: Vec<_> = items
            .iter()
            .filter(|item| !item["policy"].is_null())
            .collect();
        assert_eq!(refused.len(), 1);
        assert_eq!(
            refused[0],
            &serde_json::json!({
                "action": "lake:erase", "who": "key", "reach": "own-tenant",
                "allowed": false, "policy": "no-erasure",
            })
        );
        assert_eq!(made["policies"][0]["line"], 1);
    }
}
