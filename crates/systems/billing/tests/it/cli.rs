//! The commands, as people see them.

use std::path::Path;

use clap::{CommandFactory as _, Parser};
use sealwright_billing::cli::{BillingCommand, Needs, Output, run_offline};

#[derive(Debug, Parser)]
#[command(name = "billing", term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: BillingCommand,
}

/// Runs a command from the repository's folder: exit code, data, everything else.
fn call(args: &[&str], json: bool) -> (i32, String, String) {
    let args = ["billing"].iter().chain(args);
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return (error.exit_code(), String::new(), error.to_string()),
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut output = Output {
        out: &mut out,
        err: &mut err,
        json,
        terminal: false,
    };
    let result = run_offline(&cli.command, &mut output);
    let mut err = String::from_utf8(err).unwrap();
    let code = match result {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            err.push_str(&format!("error: {error}\n"));
            2
        }
    };
    let root = root();
    (
        code,
        String::from_utf8(out).unwrap(),
        err.replace(&root, ""),
    )
}

fn root() -> String {
    format!("{}/../../../", env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> String {
    format!("{}{name}", root())
}

fn rate(plan: &str, usage: &str, json: bool) -> (i32, String, String) {
    call(
        &["rate", "--plan", &file(plan), "--usage", &file(usage)],
        json,
    )
}

#[test]
fn help_is_stable() {
    let mut text = String::new();
    fn help(command: &mut clap::Command, path: &str, text: &mut String) {
        let path = format!("{path} {}", command.get_name());
        text.push_str(&format!("==={path}\n{}\n", command.render_long_help()));
        for sub in command.get_subcommands_mut() {
            help(sub, &path, text);
        }
    }
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    help(&mut command, "", &mut text);
    let text: Vec<_> = text.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn rating_prints_lines_with_steps() {
    let (code, out, err) = rate(
        "examples/plans/starter.toml",
        "examples/plans/usage-march.json",
        false,
    );
    assert_eq!(code, 0, "{err}");
    insta::assert_snapshot!(out);
}

#[test]
fn rating_prints_json() {
    let (code, out, err) = rate(
        "examples/plans/professional.toml",
        "examples/plans/usage-march.json",
        true,
    );
    assert_eq!(code, 0, "{err}");
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["currency"], "USD");
    let sum: sealwright_money::Decimal = value["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            assert!(line["quantity"].is_string() && line.get("meter").is_some());
            let amount: sealwright_money::Decimal =
                line["amount"].as_str().unwrap().parse().unwrap();
            amount
        })
        .sum();
    assert_eq!(sum, value["total"].as_str().unwrap().parse().unwrap());
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("plan.toml");
    let text = "id = \"x\"\nversion = 1\ncurrency = \"USD\"\n[[prices]]\nmeter = \"a\"\nmodel = \"graduated\"\n\
        tiers = [{ up_to = \"10\", unit = \"1\" }, { from = \"12\", unit = \"2\" }]\n";
    std::fs::write(&bad, text).unwrap();
    let path = |p: &Path| p.display().to_string();
    let usage = file("examples/plans/usage-march.json");
    let mut text = String::new();
    let missing = path(&folder.path().join("no.toml"));
    let bad = path(&bad);
    for (args, json) in [
        (vec!["rate", "--plan", &bad, "--usage", &usage], false),
        (vec!["rate", "--plan", &missing, "--usage", &usage], false),
        (vec!["rate", "--plan", "plan.txt", "--usage", &usage], false),
        (vec!["price-book", "check", &bad], false),
        (vec!["price-book", "check", &bad], true),
        (vec!["usage", "show", "--from", "yesterday"], false),
        (vec!["usage", "show", "--only", "region"], false),
        (vec!["invoice", "show", "1"], false),
        (vec!["usage", "top"], false),
    ] {
        let (code, out, err) = call(&args, json);
        text.push_str(&format!("$ {}\nexit {code}\n{out}{err}\n", args.join(" ")));
    }
    let text = text
        .replace(&path(folder.path()), "TMP")
        .replace(&root(), "");
    insta::assert_snapshot!(text);
}

#[test]
fn what_a_command_needs_is_told() {
    let needs = |args: &[&str]| {
        Cli::try_parse_from(["billing"].iter().chain(args))
            .unwrap()
            .command
            .needs()
    };
    assert_eq!(
        needs(&["rate", "--plan", "a", "--usage", "b"]),
        Needs::Nothing
    );
    assert_eq!(needs(&["price-book", "check", "a"]), Needs::Nothing);
    assert_eq!(needs(&["meter", "list"]), Needs::State);
    assert_eq!(
        needs(&["usage", "import", "f", "--tenant", "t"]),
        Needs::Everything
    );
}
