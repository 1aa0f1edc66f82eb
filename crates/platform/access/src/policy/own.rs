//! An installation's own policies: files that may only forbid, read at the start.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use cedar_policy::{Effect, PolicySet, ValidationError, ValidationMode, Validator};
use miette::Diagnostic;
use serde::Serialize;

use super::engine::Engine;
use super::scan;
use crate::role::Action;

/// The most bytes of a file.
const LARGEST_FILE: u64 = 64 * 1024;
/// The most files.
const MOST_FILES: usize = 64;
/// The most policies in all files.
const MOST_POLICIES: usize = 256;
/// Reading recurses: it has a stack of its own, whatever thread asks for it.
const STACK: usize = 32 * 1024 * 1024;

/// A file's name and its content.
pub(super) type Text = (String, Vec<u8>);

/// A policy of the installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnPolicy {
    /// Its `@id`: refused requests name it.
    pub id: String,
    /// Its `@reason`: refused requests are told.
    pub reason: Option<String>,
    /// The file.
    pub file: String,
    /// The line where it begins.
    pub line: usize,
    /// The column where it begins.
    pub column: usize,
    /// Its text.
    pub source: String,
}

impl OwnPolicy {
    /// `file:line:column`.
    pub fn place(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What is wrong with a policy file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {detail}")]
pub struct PolicyError {
    /// `file:line:column`, or a file or folder.
    pub place: String,
    /// What is wrong, and what to do.
    pub detail: String,
}

fn wrong(place: impl Into<String>, detail: impl Into<String>) -> PolicyError {
    PolicyError {
        place: place.into(),
        detail: detail.into(),
    }
}

/// The files of a folder, in the order of their names.
pub(super) fn read(folder: &Path) -> Result<Vec<Text>, PolicyError> {
    let place = folder.display().to_string();
    let entries = std::fs::read_dir(folder).map_err(|error| wrong(&place, error.to_string()))?;
    let mut texts = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| wrong(&place, error.to_string()))?
            .path();
        let name = path.display().to_string();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if file.starts_with('.') || file.ends_with(".md") {
            continue;
        }
        // A misspelt ending must not be a policy that silently does not hold.
        if !file.ends_with(".cedar") {
            let detail = "is no policy file; their names end with .cedar (notes may end with .md)";
            return Err(wrong(name, detail));
        }
        if texts.len() == MOST_FILES {
            return Err(wrong(
                place,
                format!("holds more than {MOST_FILES} policy files"),
            ));
        }
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
            .map_err(|error| wrong(&name, error.to_string()))?;
        texts.push((name, bytes));
    }
    texts.sort();
    Ok(texts)
}

/// What is built in together with the policies of `texts`.
pub(super) fn compile(texts: Vec<Text>) -> Result<(Engine, Vec<OwnPolicy>), PolicyError> {
    let reader = std::thread::Builder::new()
        .name("policies".to_owned())
        .stack_size(STACK)
        .spawn(move || compile_here(&texts))
        .map_err(|error| wrong("policies", error.to_string()))?;
    reader.join().unwrap_or_else(|_| {
        Err(wrong(
            "policies",
            "could not be read; this is a fault of the program",
        ))
    })
}

fn compile_here(texts: &[Text]) -> Result<(Engine, Vec<OwnPolicy>), PolicyError> {
    let mut engine = Engine::built_in();
    let mut own = Vec::new();
    for (name, bytes) in texts {
        for (policy, compiled) in file(name, bytes, &engine)? {
            if engine.has(&policy.id) {
                let there: Option<&OwnPolicy> =
                    own.iter().find(|there: &&OwnPolicy| there.id == policy.id);
                let there = there.map_or("a built-in policy".to_owned(), OwnPolicy::place);
                let detail = format!("the @id `{}` is taken by {there}", policy.id);
                return Err(wrong(policy.place(), detail));
            }
            if own.len() == MOST_POLICIES {
                let detail = format!("there are more than {MOST_POLICIES} policies");
                return Err(wrong(policy.place(), detail));
            }
            let added = engine.add(compiled);
            added.map_err(|detail| wrong(policy.place(), detail))?;
            own.push(policy);
        }
    }
    Ok((engine, own))
}

/// A byte's line and column, in characters, from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (line, before[start..].chars().count() + 1)
}

/// The policies of a file, strictly validated.
fn file(
    name: &str,
    bytes: &[u8],
    engine: &Engine,
) -> Result<Vec<(OwnPolicy, cedar_policy::Policy)>, PolicyError> {
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(wrong(name, format!("is larger than {LARGEST_FILE} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
        let (line, column) = position(&good, good.len());
        wrong(format!("{name}:{line}:{column}"), "is not UTF-8")
    })?;
    let at = |offset: usize, detail: String| {
        let (line, column) = position(text, offset);
        wrong(format!("{name}:{line}:{column}"), detail)
    };
    let places = scan::policies(text).map_err(|(offset, detail)| at(offset, detail))?;
    let set: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        at(offset(&errors).unwrap_or(0), told(&errors))
    })?;
    if set.templates().next().is_some() {
        return Err(at(
            0,
            "holds a template (`?principal`, `?resource`); policies name what they are about"
                .to_owned(),
        ));
    }
    let mut found = Vec::new();
    for policy in set.policies() {
        // Cedar numbers them in the order of the text.
        let number = policy.id().to_string();
        let number = number.trim_start_matches("policy").parse::<usize>().ok();
        let range = number.and_then(|n| places.get(n)).cloned();
        let range = range.unwrap_or(0..text.len());
        let id = checked(policy).map_err(|detail| at(range.start, detail))?;
        let (line, column) = position(text, range.start);
        let shown = OwnPolicy {
            reason: policy.annotation("reason").map(str::to_owned),
            file: name.to_owned(),
            line,
            column,
            source: text.get(range.clone()).unwrap_or_default().to_owned(),
            id,
        };
        found.push((range.start, shown, policy));
    }
    found.sort_by_key(|(start, ..)| *start);
    validate(&set, engine, &found).map_err(|(offset, detail)| at(offset, detail))?;
    let renamed = found.into_iter().map(|(_, shown, policy)| {
        let renamed = policy.new_id(cedar_policy::PolicyId::new(&shown.id));
        (shown, renamed)
    });
    Ok(renamed.collect())
}

/// The `@id` of a policy that may stand here.
fn checked(policy: &cedar_policy::Policy) -> Result<String, String> {
    if policy.effect() != Effect::Forbid {
        return Err(
            "permits; an installation's policies only forbid: what is allowed follows from the roles".to_owned(),
        );
    }
    let id = policy.annotation("id").unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || id.len() > 64 || !id.chars().all(plain) {
        return Err(
            "needs @id(\"…\") of 1 to 64 letters, digits, `-`, `_` and `.`: refused requests name it".to_owned(),
        );
    }
    let reason = policy.annotation("reason").unwrap_or_default();
    if reason.chars().count() > 200 || reason.chars().any(char::is_control) {
        return Err("has a @reason that is not one line of at most 200 characters".to_owned());
    }
    let singles: HashSet<_> = policy
        .entity_literals()
        .into_iter()
        .filter(|literal| ["User", "Key"].contains(&literal.type_name().basename()))
        .map(|literal| literal.to_string())
        .collect();
    match singles.into_iter().min() {
        Some(single) => Err(format!(
            "names {single}; policies see roles and kinds of credentials, not single ones: \
             disable the user or revoke the key instead"
        )),
        None => Ok(id.to_owned()),
    }
}

type Found<'a> = (usize, OwnPolicy, &'a cedar_policy::Policy);

/// Strictly, and a policy that can never apply is an error too: whoever wrote it believes that it holds.
fn validate(set: &PolicySet, engine: &Engine, found: &[Found<'_>]) -> Result<(), scan::Wrong> {
    let validator = Validator::new(engine.schema().clone());
    let result = validator.validate(set, ValidationMode::Strict);
    let start = |id: &cedar_policy::PolicyId| {
        let of = found.iter().find(|(_, _, policy)| policy.id() == id);
        of.map_or(0, |(start, ..)| *start)
    };
    let errors = result.validation_errors().map(|error| {
        let place = offset(error).unwrap_or_else(|| start(error.policy_id()));
        (place, corrected(error))
    });
    let warnings = result.validation_warnings().map(|warning| {
        let place = offset(warning).unwrap_or_else(|| start(warning.policy_id()));
        (place, told(warning))
    });
    // A misspelt name also makes a policy impossible: the name is what is to be told.
    match errors.min().or_else(|| warnings.min()) {
        Some(first) => Err(first),
        None => Ok(()),
    }
}

/// What a validation error says. Of action names that are as near as each other Cedar proposes any; here it is always
/// the same.
fn corrected(error: &ValidationError) -> String {
    let ValidationError::UnrecognizedActionId(unknown) = error else {
        return told(error);
    };
    let text = unknown.to_string();
    let asked = text.split('"').nth(1).unwrap_or_default();
    let distance = |action: &&Action| strsim::damerau_levenshtein(asked, action.as_str());
    let nearest = Action::ALL.iter().min_by_key(distance);
    let nearest = nearest.map_or("", |action| action.as_str());
    format!("unrecognized action `Action::\"{asked}\"` (did you mean `Action::\"{nearest}\"`?)")
}

/// Where a diagnostic points to, in bytes.
fn offset(diagnostic: &dyn Diagnostic) -> Option<usize> {
    diagnostic.labels()?.map(|label| label.offset()).min()
}

/// What a diagnostic says: what is wrong, and the hint. Cedar names policies by their number in the file, which
/// nobody wrote.
fn told(diagnostic: &dyn Diagnostic) -> String {
    let mut text = diagnostic.to_string();
    if let Some((_, rest)) = text
        .strip_prefix("for policy `policy")
        .and_then(|rest| rest.split_once("`, ").or_else(|| rest.split_once("`: ")))
    {
        text = rest.to_owned();
    }
    if let Some(help) = diagnostic.help() {
        text = format!("{text} ({help})");
    }
    text
}
