//! The rules that the program comes with, as a set that is turned on or off as a whole or by family.

use rust_embed::RustEmbed;
use sealwright_core::Digest;

use super::ruleset::Settings_;
use crate::model::{RuleFile, Setting};

/// The id under which something is set for all of them.
pub const BUILT_IN: &str = "built-in";

#[derive(RustEmbed)]
#[folder = "../../engines/sigma/rules/"]
#[include = "*.yml"]
#[exclude = "*.test.yml"]
struct Files;

/// The files of the rules.
pub fn files() -> Vec<RuleFile> {
    let mut names: Vec<_> = Files::iter().collect();
    names.sort();
    names
        .iter()
        .filter_map(|name| {
            let bytes = Files::get(name)?.data;
            let text = String::from_utf8(bytes.into_owned()).ok()?;
            Some(RuleFile {
                name: format!("{BUILT_IN}/{name}"),
                digest: Digest::of(text.as_bytes()),
                text,
                floor: true,
            })
        })
        .collect()
}

/// The family of a file: its folder.
pub fn family(file: &RuleFile) -> Option<&str> {
    family_of(&file.name)
}

/// The family of the file of this name.
pub fn family_of(name: &str) -> Option<&str> {
    let inner = name.strip_prefix(BUILT_IN)?.strip_prefix('/')?;
    inner.split_once('/').map(|(family, _)| family)
}

/// Whether an id names the whole set or a family of it (`built-in:cloud`).
pub fn is_set(id: &str) -> bool {
    id == BUILT_IN || id.starts_with("built-in:")
}

/// The id of a family.
pub fn set_id(family: &str) -> String {
    format!("{BUILT_IN}:{family}")
}

/// Whether the rules of a file are on, as far as it is said for its family or for all that the program comes
/// with.
pub fn enabled(file: &RuleFile, settings: &Settings_) -> Option<bool> {
    if !file.floor {
        return None;
    }
    let said = |id: &str| settings.get(id).and_then(|setting| setting.enabled);
    family(file)
        .and_then(|family| said(&set_id(family)))
        .or_else(|| said(BUILT_IN))
}

/// What is wrong with a setting for a set.
///
/// # Errors
/// What is wrong.
pub fn check(files: &[RuleFile], id: &str, setting: &Setting) -> Result<(), String> {
    let there = id == BUILT_IN || files.iter().filter_map(family).any(|f| set_id(f) == id);
    if !there {
        return Err(format!("there is no rule `{id}`"));
    }
    let only = Setting {
        enabled: setting.enabled,
        ..Setting::default()
    };
    if *setting == only {
        Ok(())
    } else {
        Err("a set of rules is only on or off; the rest is set for each rule".to_owned())
    }
}
