//! Settings that deploy/ names are settings of the program, and times agree with theirs.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::{Findings, Text, between, is_word};

const REFERENCE: &str = "docs/reference/configuration.md";
const PREFIX: &str = "SEALWRIGHT__";

/// What a stop takes besides twice `listen.shutdown_grace`: traces that are still held.
const TRACES: u64 = 5;

/// `section.key` → default.
type Keys = BTreeMap<String, String>;

pub(super) fn check(root: &Path, texts: &[Text], findings: &mut Findings) -> Result<()> {
    let keys = keys(&std::fs::read_to_string(root.join(REFERENCE))?);
    for file in texts {
        for key in used(file, &keys) {
            if !keys.contains_key(&key) {
                findings.push(format!("{}: {REFERENCE} has no `{key}`", file.name));
            }
        }
        stop(file, &keys, findings);
    }
    Ok(())
}

fn keys(reference: &str) -> Keys {
    let (mut keys, mut section) = (Keys::new(), "");
    for line in reference.lines() {
        if let Some(name) = between(line, "## `[", ']').first() {
            section = name;
        } else if let Some(row) = line.strip_prefix("| `") {
            let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`'));
            if let (Some(key), _, Some(default)) = (cells.next(), cells.next(), cells.next()) {
                keys.insert(format!("{section}.{key}"), default.to_owned());
            }
        }
    }
    keys
}

/// Variables of the environment, what is set in a `.toml`, also where that is commented out, and what prose has in
/// backticks with the name of a section before its point.
fn used(file: &Text, keys: &Keys) -> Vec<String> {
    let mut used = Vec::new();
    for rest in file.text.split(PREFIX).skip(1) {
        let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
        if !name.is_empty() {
            used.push(name.to_ascii_lowercase().replace("__", "."));
        }
    }
    for quoted in file.text.split('`').skip(1).step_by(2) {
        let Some((section, key)) = quoted.split_once('.') else {
            continue;
        };
        let plain = |part: &str| !part.is_empty() && part.chars().all(is_word);
        let ours = keys
            .keys()
            .any(|known| known.split('.').next() == Some(section));
        if ours && plain(key) {
            used.push(quoted.to_owned());
        }
    }
    if file.ends(".toml") {
        used.extend(toml(&file.text));
    }
    used
}

fn toml(text: &str) -> Vec<String> {
    let (mut used, mut section) = (Vec::new(), "");
    for line in text.lines() {
        let line = line.trim_start_matches(['#', ' ']);
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name;
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.chars().all(is_word)
        {
            used.push(format!("{section}.{key}"));
        }
    }
    used
}

/// Whoever stops the program waits for as long as it may take.
fn stop(file: &Text, keys: &Keys, findings: &mut Findings) {
    let seconds = |text: &str| text.trim().trim_end_matches('s').parse::<u64>().ok();
    let grace = keys.get("listen.shutdown_grace").and_then(|d| seconds(d));
    let Some(least) = grace.map(|grace| 2 * grace + TRACES) else {
        findings.push(format!(
            "{REFERENCE}: has no seconds for `listen.shutdown_grace`"
        ));
        return;
    };
    let mut wanted = 0;
    let mut found = 0;
    if file.ends(".service") || file.ends("compose.yaml") {
        wanted = 1;
    }
    for line in file.text.lines().map(str::trim) {
        for name in ["TimeoutStopSec=", "stop_grace_period: "] {
            let Some(value) = line.strip_prefix(name) else {
                continue;
            };
            found += 1;
            if seconds(value).is_none_or(|given| given < least) {
                findings.push(format!(
                    "{}: `{line}`: a stop may take {least}s (twice `listen.shutdown_grace`, and {TRACES}s for traces)",
                    file.name
                ));
            }
        }
    }
    if found < wanted {
        findings.push(format!(
            "{}: does not say how long a stop may take",
            file.name
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "## `[listen]`\n\n| key | takes | default | meaning |\n|---|---|---|---|\n\
                        | `shutdown_grace` | a length of time | `20s` | How long. |\n";

    fn file(name: &str, text: &str) -> Text {
        Text {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn keys_come_from_variables_files_and_backticks() {
        let keys = keys(PAGE);
        assert_eq!(keys["listen.shutdown_grace"], "20s");
        let text = "SEALWRIGHT__LISTEN__SHUTDOWN_GRACE: 1s # `listen.adress`, `lake.index`";
        let used = used(&file("deploy/compose.yaml", text), &keys);
        assert_eq!(used, ["listen.shutdown_grace", "listen.adress"]);
        assert_eq!(
            toml("[listen]\nadress = 1\n# [store]\n# url = \"x\"\n# Prose with = in it\n"),
            ["listen.adress", "store.url"]
        );
    }

    #[test]
    fn a_stop_is_waited_for() {
        let keys = keys(PAGE);
        for (text, bad) in [
            ("TimeoutStopSec=45s", false),
            ("TimeoutStopSec=44s", true),
            ("", true),
        ] {
            let mut findings = Findings::new();
            stop(&file("deploy/a.service", text), &keys, &mut findings);
            assert_eq!(!findings.is_empty(), bad, "{text}");
        }
    }
}
