//! The commands, as people see them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use clap::{CommandFactory as _, Parser};
use sealwright_core::UnixMicros;
use sealwright_dlp::cli::{DlpCommand, Form, Machine, Output, run_offline};
use sealwright_dlp::service::bucket::Buckets;
use serde_json::Value;

use crate::papers;

#[derive(Debug, Parser)]
#[command(name = "dlp", term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: DlpCommand,
}

/// A published test number of Visa; it is no account.
const CARD: &str = "4111 1111 1111 1111";

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(crate) fn coverage(&self) -> Value {
        let last = self.err.lines().last().unwrap();
        serde_json::from_str::<Value>(last).unwrap()["coverage"].clone()
    }
}

type OnBuckets = Option<(Arc<dyn Buckets>, tokio::runtime::Handle)>;

/// With a store of objects and a runtime, for addresses of other machines.
pub(crate) fn call_on(folder: &Path, args: &[&str], buckets: OnBuckets) -> Ran {
    called(folder, args, Form::Json, buckets)
}

fn call_as(folder: &Path, args: &[&str], form: Form) -> Ran {
    called(folder, args, form, None)
}

fn called(folder: &Path, args: &[&str], form: Form, buckets: OnBuckets) -> Ran {
    let args = ["dlp"].iter().chain(args);
    let cli = Cli::try_parse_from(args).unwrap_or_else(|error| panic!("{error}"));
    let machine = Machine {
        now: UnixMicros::parse_rfc3339("2026-11-25T12:00:00Z").unwrap(),
        threads: 2,
        key: Some(folder.join("state/fingerprint.key")),
        buckets,
        lake: None,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut output = Output {
        out: &mut out,
        err: &mut err,
        form,
        terminal: false,
    };
    let result = run_offline(&cli.command, &machine, &mut output);
    let mut err = String::from_utf8(err).unwrap();
    let code = match result {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            err.push_str(&format!("error: {error}\n"));
            2
        }
    };
    Ran {
        code,
        out: String::from_utf8(out).unwrap(),
        err,
    }
}

fn call(folder: &Path, args: &[&str]) -> Ran {
    call_as(folder, args, Form::Json)
}

fn at(folder: &Path, name: &str) -> String {
    folder.join(name).to_string_lossy().into_owned()
}

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
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
fn findings_come_in_order_with_places_and_without_values() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    for i in 0..40 {
        write(
            f,
            &format!("in/{i:02}/card.txt"),
            format!("line\ncard {CARD}\n"),
        );
    }
    write(f, "in/clean.txt", "nothing here\n");
    write(f, "in/empty.txt", "");
    let ran = call(f, &["scan", &at(f, "in")]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let lines = ran.lines();
    assert_eq!(lines.len(), 40);
    let paths: Vec<_> = lines.iter().map(|l| l["path"].as_str().unwrap()).collect();
    assert!(paths.is_sorted(), "{paths:?}");
    let first = &lines[0];
    assert_eq!(first["detector"], "payment_card");
    assert_eq!((&first["line"], &first["column"]), (&2.into(), &6.into()));
    assert_eq!((&first["start"], &first["end"]), (&10.into(), &29.into()));
    assert_eq!(first["class"], "financial");
    for name in ["severity", "confidence", "fingerprint"] {
        assert!(!first[name].is_null(), "{name}");
    }
    assert!(!ran.out.contains("1111") && !ran.err.contains("1111"));
    let coverage = ran.coverage();
    assert_eq!(coverage["files"], 42);
    assert_eq!(coverage["scanned"], 42);
    assert_eq!(coverage["findings"], 40);
    // Only who asks sees.
    let ran = call(f, &["scan", &at(f, "in/00"), "--show-values"]);
    assert_eq!(ran.lines()[0]["value"], CARD);
}

#[test]
fn nothing_found_is_yes_and_nothing_to_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let clean = write(f, "clean.txt", "nothing here\n");
    let ran = call(f, &["scan", &clean]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    let ran = call(f, &["scan", &clean, &at(f, "absent")]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("absent"), "{}", ran.err);
    // What cannot be opened is named, and fails only those who ask for everything.
    let locked = write(f, "locked/a.rar", b"Rar!\x1a\x07\x01\x00");
    let ran = call(f, &["scan", &locked]);
    assert_eq!(ran.code, 0);
    assert_eq!(ran.coverage()["unscannable"], 1);
    assert_eq!(call(f, &["scan", &locked, "--complete"]).code, 2);
}

#[test]
fn fingerprints_need_the_key_and_stay_the_same_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let file = write(f, "card.txt", CARD);
    let print = |args: &[&str]| {
        let ran = call(f, &[&["scan", &file], args].concat());
        ran.lines()[0]["fingerprint"].as_str().unwrap().to_owned()
    };
    let first = print(&[]);
    assert_eq!(first, print(&[]));
    let key = at(f, "other.key");
    let other = print(&["--key", &key]);
    assert_ne!(first, other);
    assert_eq!(other, print(&["--key", &key]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    write(f, "bad.key", "short");
    let ran = call(f, &["scan", &file, "--key", &at(f, "bad.key")]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("64 hexadecimal digits"), "{}", ran.err);
}

#[test]
fn baselines_and_allow_lists_leave_what_is_news() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let file = write(f, "a.txt", format!("{CARD}\n"));
    let first = call(f, &["scan", &file]);
    let baseline = write(f, "baseline.json", &first.out);
    write(
        f,
        "a.txt",
        format!("moved\n\n{CARD}\nIBAN DE89370400440532013000\n"),
    );
    let ran = call(f, &["scan", &file, "--baseline", &baseline]);
    assert_eq!(ran.code, 1);
    let lines = ran.lines();
    assert_eq!(lines.len(), 1, "{}", ran.out);
    assert_eq!(lines[0]["detector"], "iban");
    assert_eq!(ran.coverage()["in_baseline"], 1);
    let allow = write(
        f,
        "allow.toml",
        "[[allow]]\ndetector = \"iban\"\nreason = \"the example of the standard\"\nuntil = \"2026-11-25\"\n",
    );
    let both = ["scan", &file, "--baseline", &baseline, "--allow", &allow];
    let ran = call(f, &both);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "the last day counts");
    assert_eq!(ran.coverage()["allowed"], 1);
    let ended = fs::read_to_string(&allow).unwrap().replace("-25", "-24");
    fs::write(&allow, ended).unwrap();
    let ran = call(f, &both);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("accepted until 2026-11-24 and no longer"));
}

#[test]
fn own_detectors_are_tested_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let detectors = |negative: &str| {
        write(
            f,
            "own.toml",
            format!(
                r#"[[detector]]
id = "acme.badge"
title = "Badge of Acme"
class = "pii"
severity = "medium"
confidence = 0.9
pattern = '\b(ACME-[0-9]{{6}})\b'
positives = ["ACME-123456", "x ACME-000001 y", "(ACME-999999)"]
negatives = ["ACME-12345", "acme", "{negative}"]
"#
            ),
        )
    };
    let own = detectors("ACME-1234567");
    let ran = call_as(f, &["detector", "test", &own], Form::Table);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "holds  acme.badge  6 examples\n")
    );
    let file = write(f, "a.txt", "badge ACME-424242\n");
    assert_eq!(call(f, &["scan", &file]).code, 0);
    let ran = call(f, &["scan", &file, "--detectors", &own]);
    assert_eq!(ran.lines()[0]["detector"], "acme.badge");
    let own = detectors("ACME-123456");
    let ran = call_as(f, &["detector", "test", &own], Form::Table);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out
            .contains("FAILS  acme.badge  negative example 3 is found")
    );
    write(f, "own.toml", "[[detector]]\nid = 3\n");
    let ran = call(f, &["scan", &file, "--detectors", &own]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("own.toml"), "{}", ran.err);
}

#[test]
fn sarif_is_one_document() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let file = write(f, "a b.txt", CARD);
    let ran = call_as(f, &["scan", &file], Form::Sarif);
    assert_eq!(ran.code, 1);
    let log: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "payment_card");
    assert!(!ran.out.contains("1111"));
}

#[test]
fn tables_show_previews_only() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let file = write(f, "a\u{1b}[2J.txt", format!("x {CARD}"));
    let ran = call_as(f, &["scan", &file], Form::Table);
    assert!(ran.out.contains("411111******1111"), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}'));
}

#[test]
fn redaction_leaves_nothing_to_find() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let file = write(f, "a.json", format!("{{\"card\":\"{CARD}\",\"n\":1}}"));
    let to = at(f, "out.json");
    let ran = call(f, &["redact", &file, "--to", &to]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let text = fs::read_to_string(&to).unwrap();
    assert_eq!(text, "{\"card\":\"[payment_card]\",\"n\":1}");
    assert_eq!(call(f, &["scan", &to]).code, 0);
    assert_eq!(
        call(f, &["redact", &file, "--to", &to]).code,
        2,
        "what is there is not written over"
    );
    let rar = write(f, "a.rar", b"Rar!\x1a\x07\x01\x00");
    let ran = call(f, &["redact", &rar]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("withhold it instead"), "{}", ran.err);
}

#[test]
fn documents_are_redacted_and_still_open_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    for (name, bytes) in papers::all(CARD) {
        let file = write(f, name, &bytes);
        let to = at(f, &format!("clean-{name}"));
        assert_eq!(
            call(f, &["scan", &file]).code,
            1,
            "{name}: nothing to take out"
        );
        for style in ["placeholder", "pseudonym", "form"] {
            let _ = fs::remove_file(&to);
            let ran = call(f, &["redact", &file, "--to", &to, "--style", style]);
            assert_eq!(ran.code, 0, "{name} {style}: {}", ran.err);
            let ran = call(f, &["scan", &to, "--complete"]);
            assert_eq!(ran.code, 0, "{name} {style}: {}", ran.out);
            assert!(papers::opens(Path::new(&to)), "{name} {style}");
            let text = papers::text(Path::new(&to));
            assert!(text.contains("before"), "{name} {style}: {text}");
            assert!(!text.contains("1111"), "{name} {style}: {text}");
        }
    }
}

#[test]
fn histories_give_what_is_gone_with_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let git = |args: &[&str]| {
        let done = Command::new("git")
            .arg("-C")
            .arg(f.join("repo"))
            .args([
                "-c",
                "user.name=A",
                "-c",
                "user.email=a@example.org",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(args)
            .output();
        match done {
            Ok(done) => assert!(done.status.success(), "{args:?}: {done:?}"),
            Err(error) => panic!("git: {error}"),
        }
    };
    write(f, "repo/sub/key file.txt", format!("{CARD}\n"));
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    write(f, "repo/copy.txt", format!("{CARD}\n"));
    fs::remove_file(f.join("repo/sub/key file.txt")).unwrap();
    git(&["add", "-A"]);
    git(&["commit", "-qm", "two"]);
    fs::remove_file(f.join("repo/copy.txt")).unwrap();
    git(&["commit", "-qam", "three"]);
    let ran = call(f, &["scan", "--git", &at(f, "repo")]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let lines = ran.lines();
    assert_eq!(lines.len(), 1, "one version is looked at once");
    assert!(
        lines[0]["path"]
            .as_str()
            .unwrap()
            .ends_with("repo/sub/key file.txt")
    );
    assert_eq!(lines[0]["commit"].as_str().unwrap().len(), 40);
    assert_eq!(lines[0]["author"], "A <a@example.org>");
    let ran = call(f, &["scan", "--git", &at(f, "state")]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("not a git repository"), "{}", ran.err);
}

#[test]
fn folders_leave_out_what_is_excluded_and_do_not_follow_links() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    write(f, "in/target/a.txt", CARD);
    write(f, "in/src/a.txt", CARD);
    #[cfg(unix)]
    std::os::unix::fs::symlink(f.join("in"), f.join("in/loop")).unwrap();
    let ran = call(f, &["scan", &at(f, "in"), "--exclude", "**/target"]);
    assert_eq!(ran.lines().len(), 1);
    assert_eq!(ran.coverage()["files"], 1);
    assert_eq!(call(f, &["scan", &at(f, "in"), "--exclude", "a{"]).code, 2);
}
