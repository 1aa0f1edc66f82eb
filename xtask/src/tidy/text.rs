//! Sizes and words.

use std::path::Path;

use anyhow::Result;

use super::{Findings, files};

/// Hand-written files stay below this; think of rooms, not of numbers.
const MOST_LINES: usize = 800;

/// What an engine may not name: it gets data and `now`, and gives a decision.
const NOT_IN_ENGINES: &[&str] = &[
    "std::fs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "std::env::",
    "std::process",
    "SystemTime::now",
    "Timestamp::now",
    "Instant::now",
    "thread::sleep",
];

pub(crate) fn check(root: &Path, findings: &mut Findings) -> Result<()> {
    for path in files(root)? {
        let name = path.display().to_string();
        let Ok(source) = std::fs::read_to_string(root.join(&path)) else {
            continue;
        };
        let generated = name.contains("/snapshots/") || name.contains("/generated/");
        if name.ends_with(".rs") && !generated {
            let lines = source.lines().count();
            if lines > MOST_LINES {
                findings.push(format!(
                    "{name}: {lines} lines, at most {MOST_LINES}: make rooms"
                ));
            }
        }
        if name.starts_with("crates/engines/") && name.contains("/src/") && name.ends_with(".rs") {
            engine(&name, &source, findings);
        }
        if !name.starts_with("xtask/src/tidy/") && !generated {
            machine(&name, &source, findings);
        }
    }
    Ok(())
}

fn engine(name: &str, source: &str, findings: &mut Findings) {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    for (number, line) in code.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for word in NOT_IN_ENGINES {
            if line.contains(word) {
                findings.push(format!(
                    "{name}:{}: an engine reads no clock, file or environment ({word})",
                    number + 1
                ));
            }
        }
    }
}

/// Nothing of the machine that a change was made on, and no registry's host.
fn machine(name: &str, source: &str, findings: &mut Findings) {
    let lock = name.ends_with("Cargo.lock");
    let words = [
        ["/ro", "ot/"].concat(),
        ["/home", "/"].concat(),
        ["registry.npm", "js.org"].concat(),
        ["files.python", "hosted.org"].concat(),
        ["pypi", ".org"].concat(),
        ["static.crates", ".io"].concat(),
    ];
    for (number, line) in source.lines().enumerate() {
        for word in &words {
            if !lock && line.contains(word.as_str()) {
                findings.push(format!("{name}:{}: names `{word}`", number + 1));
            }
        }
    }
}
