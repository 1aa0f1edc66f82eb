//! What deploy/ says of the program is true of it: metrics with their labels, settings, commands, times; and its
//! images are ones that a reader can trust.

mod commands;
mod dashboards;
mod image;
mod metrics;
mod settings;

use std::path::Path;

use anyhow::Result;

use super::{Findings, files};

/// Pages beside deploy/ whose settings and commands are held to the reference, too.
const PAGES: &[&str] = &["docs/scale.md"];

/// A text file of deploy/, or of one of the pages.
struct Text {
    name: String,
    text: String,
}

impl Text {
    /// Whether it is of this folder or is this file, below the root.
    fn is_in(&self, place: &str) -> bool {
        self.name.starts_with(place)
    }

    fn ends(&self, end: &str) -> bool {
        self.name.ends_with(end)
    }
}

pub(crate) fn check(root: &Path, findings: &mut Findings) -> Result<()> {
    let texts = texts(root)?;
    let recorded = metrics::recorded(root)?;
    metrics::described(root, &recorded, findings)?;
    dashboards::check(&texts, &recorded, findings);
    metrics::alerts(&texts, &recorded, findings);
    settings::check(root, &texts, findings)?;
    commands::check(root, &texts, findings)?;
    image::check(root, &texts, findings)
}

fn texts(root: &Path) -> Result<Vec<Text>> {
    let mut texts = Vec::new();
    for path in files(root)? {
        let name = path.display().to_string();
        if name.starts_with("deploy/") || PAGES.contains(&name.as_str()) {
            let text = std::fs::read_to_string(root.join(&path))?;
            texts.push(Text { name, text });
        }
    }
    Ok(texts)
}

/// The lines of a file whose comments begin with `#`, without those that are nothing else.
fn uncommented(text: &str) -> String {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What stands between `open` and `close` after each place where `open` is found.
fn between<'t>(text: &'t str, open: &str, close: char) -> Vec<&'t str> {
    text.split(open)
        .skip(1)
        .filter_map(|rest| rest.split_once(close).map(|(inner, _)| inner))
        .collect()
}
