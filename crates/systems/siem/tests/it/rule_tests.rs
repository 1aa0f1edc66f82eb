//! `siem test`: the tests beside rules.

use std::path::Path;

use crate::cli;

/// A command's answer; columns are as wide as the names of folders, which differ.
fn run(folder: &Path, line: &str) -> (String, i32) {
    let (text, code) = cli::run(folder, line);
    let narrow = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    (
        text.lines().map(narrow).collect::<Vec<_>>().join("\n"),
        code,
    )
}

const RULE: &str = "
title: Root signs in
id: 22222222-db24-4c78-a860-b4f4095a7095
name: root-signs-in
logsource: {product: aws, service: cloudtrail}
detection:
  selection: {eventName: ConsoleLogin, user.name: root}
  condition: selection
";

const TESTS: &str = "
base: {eventName: ConsoleLogin}
tests:
  - name: root
    fires: 1
    events: [{at: 0s, set: {user.name: root}}]
  - name: somebody else
    fires: 0
    events: [{at: 0s, set: {user.name: ada}}]
  - name: as the source writes it
    fires: 1
    events:
      - at: 0s
        raw: {eventName: ConsoleLogin, eventSource: signin.amazonaws.com, userIdentity: {userName: root}}
  - name: as another source writes it
    fires: 0
    events:
      - at: 0s
        raw: {eventType: user.session.start, published: '2026-11-25T12:00:00Z', actor: {alternateId: root, id: '1', type: User}, eventName: ConsoleLogin, outcome: {result: SUCCESS}}
";

fn folder(tests: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("root.yml", RULE);
    write("root.test.yml", tests);
    folder
}

#[test]
fn tests_that_pass_say_how_many_there_are() {
    let folder = folder(TESTS);
    let (text, code) = run(folder.path(), "test DIR");
    assert_eq!(code, 0, "{text}");
    insta::assert_snapshot!(text);
    let (json, code) = run(folder.path(), "test DIR/root.yml --json");
    assert_eq!(code, 0, "{json}");
    insta::assert_snapshot!(json);
}

#[test]
fn tests_that_fail_say_where_they_stand_and_what_fired() {
    let wrong = TESTS.replace("fires: 1\n    events: [", "fires: 2\n    events: [");
    let folder = folder(&wrong);
    let (text, code) = run(folder.path(), "test DIR/root.test.yml");
    assert_eq!(code, 1, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_file_that_is_wrong_is_named_with_its_place() {
    let folder = folder("tests:\n  - {name: x, events: []}\n");
    std::fs::write(folder.path().join("other.yml"), RULE).unwrap();
    std::fs::write(
        folder.path().join("third.test.yml"),
        "rules: [other.yml]\ntests:\n  - {name: x, fires: 0, overrides: {nobody: {t: 1}}, events: []}\n",
    )
    .unwrap();
    let (text, code) = run(folder.path(), "test DIR --least 1");
    assert_eq!(code, 1, "{text}");
    insta::assert_snapshot!(text);
    let empty = tempfile::tempdir().unwrap();
    let (text, code) = run(empty.path(), "test DIR");
    assert_eq!(
        (code, text.contains("no tests of rules")),
        (2, true),
        "{text}"
    );
}

#[test]
fn the_rules_of_the_program_have_three_of_each() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../engines/sigma/rules");
    let (text, code) = run(Path::new(rules), "test DIR --least 3");
    assert_eq!(code, 0, "{text}");
}
