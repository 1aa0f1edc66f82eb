//! Commands that deploy/ runs or tells people to run are commands of the program, with flags that they take.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use super::{Findings, Text, between};

const REFERENCE: &str = "docs/reference/cli.md";

/// `serve`, `store migrate` … → its flags.
type Commands = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(root: &Path, texts: &[Text], findings: &mut Findings) -> Result<()> {
    let commands = commands(&std::fs::read_to_string(root.join(REFERENCE))?);
    for file in texts {
        for line in lines(file) {
            if let Some(why) = wrong(&line, &commands) {
                findings.push(format!("{}: `{line}`: {why}", file.name));
            }
        }
    }
    Ok(())
}

fn commands(reference: &str) -> Commands {
    let mut commands = Commands::new();
    for part in reference.split("\n## `sealwright").skip(1) {
        let Some((name, text)) = part.split_once('`') else {
            continue;
        };
        let flags = text.lines().filter_map(|line| {
            let line = line.trim_start();
            let long = line.strip_prefix("-h, ").or(line.strip_prefix("-V, "));
            let flag = long.unwrap_or(line).split([' ', '=', ',']).next()?;
            flag.starts_with("--").then(|| flag.to_owned())
        });
        commands.insert(name.trim().to_owned(), flags.collect());
    }
    commands
}

/// Command lines without the program's name: of units, of images and compose files, and of prose.
fn lines(file: &Text) -> Vec<String> {
    let mut lines = Vec::new();
    let mut fenced = false;
    for line in file.text.lines().map(str::trim) {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("ExecStart=/") {
            lines.extend(called(line));
        }
        // Block lists are those of other people's images.
        for list in ["command: [", "CMD ["] {
            if let Some(list) = line.strip_prefix(list).and_then(|l| l.strip_suffix(']')) {
                let words: Vec<&str> = list
                    .split(',')
                    .map(|word| word.trim().trim_matches('"'))
                    .collect();
                lines.push(words.join(" "));
            }
        }
        if !fenced {
            for quoted in between(line, "`sealwright ", '`') {
                lines.push(quoted.to_owned());
            }
        }
    }
    lines
}

/// What follows the last word that is the program: a user, a group or a container may have its name, too.
fn called(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words
        .iter()
        .rposition(|word| *word == "sealwright" || word.ends_with("/bin/sealwright"))?;
    let rest = words.get(at + 1..)?;
    let first = rest.first()?;
    // A path or a flag: the word before was not the program.
    let command = first.starts_with(|c: char| c.is_ascii_lowercase())
        && first.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    command.then(|| rest.join(" "))
}

fn wrong(line: &str, commands: &Commands) -> Option<String> {
    // Commands that only hold others have no part of the reference to themselves.
    let words: Vec<&str> = line.split_whitespace().collect();
    let name = (1..=words.len())
        .rev()
        .map(|count| words[..count].join(" "))
        .find(|name| commands.contains_key(name))
        .unwrap_or_default();
    let Some(flags) = commands.get(&name).filter(|_| !name.is_empty()) else {
        return Some(format!("{REFERENCE} has no such command"));
    };
    words
        .iter()
        .take_while(|word| !word.starts_with('#'))
        .filter_map(|word| word.split('=').next().filter(|flag| flag.starts_with("--")))
        .find(|flag| !flags.contains(*flag))
        .map(|flag| format!("{REFERENCE} knows no `{flag}` of `sealwright {name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Commands\n\n## `sealwright`\n\n      --data <DIR>\n\n## `sealwright serve`\n\n\
                        Options:\n      --data <DIR>\n  -h, --help\n\n## `sealwright store migrate`\n\n      --to <URL>\n";

    #[test]
    fn commands_and_flags_are_known_or_found() {
        let commands = commands(PAGE);
        for (line, good) in [
            ("serve --data DIR", true),
            ("serve --help", true),
            ("serve --to URL", false),
            ("store migrate --to=URL # --what", true),
            ("store migrat --to URL", false),
            ("sreve", false),
        ] {
            assert_eq!(wrong(line, &commands).is_none(), good, "{line}");
        }
    }

    #[test]
    fn the_program_is_told_from_its_user() {
        assert_eq!(
            called("sudo -u sealwright sealwright doctor --data D").as_deref(),
            Some("doctor --data D")
        );
        assert_eq!(
            called("docker compose exec sealwright /usr/local/bin/sealwright doctor").as_deref(),
            Some("doctor")
        );
        assert_eq!(called("docker compose up -d sealwright"), None);
        assert_eq!(called("install -g sealwright -m 0640 a b"), None);
        assert_eq!(called("install -g sealwright a/b.toml /c"), None);
    }

    #[test]
    fn lines_come_from_units_images_and_prose() {
        let file = Text {
            name: "deploy/x".to_owned(),
            text: "ExecStart=/usr/local/bin/sealwright serve --a\nCMD [\"serve\"]\n\
                   command: [worker, --listen, \"x:1\"]\ncommand:\n  - --other\nsay `sealwright doctor`\n"
                .to_owned(),
        };
        assert_eq!(
            lines(&file),
            ["serve --a", "serve", "worker --listen x:1", "doctor"]
        );
    }
}
