//! Rules of other scanners as detectors: gitleaks' TOML and Kingfisher's YAML.

use regex_syntax::hir::{Hir, HirKind};
use serde::Deserialize;

use crate::detector::{Allow, Class, Detector, DetectorError, Severity};
use crate::engine::grams;

#[derive(Deserialize)]
struct GitleaksFile {
    #[serde(default)]
    rules: Vec<GitleaksRule>,
}

#[derive(Deserialize)]
struct GitleaksRule {
    id: String,
    #[serde(default)]
    description: String,
    regex: Option<String>,
    path: Option<String>,
    #[serde(default)]
    entropy: Option<f32>,
    #[serde(default, alias = "secretGroup")]
    secret_group: Option<usize>,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    allowlists: Vec<GitleaksAllow>,
    #[serde(default)]
    allowlist: Option<GitleaksAllow>,
}

#[derive(Deserialize)]
struct GitleaksAllow {
    #[serde(default)]
    condition: Option<String>,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    regexes: Vec<String>,
    #[serde(default, alias = "regexTarget")]
    regex_target: Option<String>,
    #[serde(default)]
    stopwords: Vec<String>,
}

/// Reads a gitleaks configuration (`[[rules]]`). Rules that look at file names only are left out.
///
/// # Errors
/// When the text is not such a file.
pub fn gitleaks(file: &str, text: &str) -> Result<Vec<Detector>, DetectorError> {
    let parsed: GitleaksFile = toml::from_str(text).map_err(|e| DetectorError::Syntax {
        file: file.to_owned(),
        why: e.to_string(),
    })?;
    Ok(parsed.rules.into_iter().filter_map(from_gitleaks).collect())
}

fn from_gitleaks(rule: GitleaksRule) -> Option<Detector> {
    let pattern = rule.regex?;
    // The name before the keyword is no part of the value, and gives the search nothing.
    let pattern = pattern.replacen(r"[\w.-]{0,50}?", "", 1);
    let structured = is_structured(&pattern, rule.secret_group);
    let allow = rule
        .allowlists
        .into_iter()
        .chain(rule.allowlist)
        .map(|a| Allow {
            patterns: a.regexes,
            target: a.regex_target,
            words: a.stopwords,
            paths: a.paths,
            all: a.condition.is_some_and(|c| c.eq_ignore_ascii_case("and")),
        })
        .collect();
    Some(Detector {
        severity: severity(&rule.id, structured),
        title: title(&rule.id, &rule.description),
        confidence: if structured { 0.9 } else { 0.7 },
        pattern: Some(pattern),
        group: rule.secret_group.filter(|g| *g > 0),
        keywords: rule.keywords,
        entropy: rule.entropy,
        path: rule.path,
        allow,
        also: vec![format!("gitleaks:{}", rule.id)],
        ..empty(rule.id)
    })
}

#[derive(Deserialize)]
struct KingfisherFile {
    rules: Vec<KingfisherRule>,
}

#[derive(Deserialize)]
struct KingfisherRule {
    name: String,
    id: String,
    pattern: String,
    #[serde(default)]
    min_entropy: Option<f32>,
    #[serde(default)]
    confidence: Option<String>,
    #[serde(default)]
    examples: Vec<String>,
    #[serde(default)]
    negative_examples: Vec<String>,
}

/// Reads a Kingfisher rule file (`rules:`), with its examples. Live checks are not taken over.
///
/// # Errors
/// When the text is not such a file.
pub fn kingfisher(file: &str, text: &str) -> Result<Vec<Detector>, DetectorError> {
    let parsed: KingfisherFile =
        serde_saphyr::from_str(text).map_err(|e| DetectorError::Syntax {
            file: file.to_owned(),
            why: e.to_string(),
        })?;
    Ok(parsed.rules.into_iter().map(from_kingfisher).collect())
}

fn from_kingfisher(rule: KingfisherRule) -> Detector {
    let pattern = without_comments(&rule.pattern);
    let structured = is_structured(&pattern, None);
    let base: f32 = match rule.confidence.as_deref() {
        Some("low") => 0.25,
        Some("high") => 0.45,
        _ => 0.35,
    };
    let id = slug(&rule.name);
    Detector {
        severity: severity(&id, structured),
        title: rule.name,
        confidence: if structured { base + 0.45 } else { base },
        near: !structured,
        pattern: Some(pattern),
        entropy: rule.min_entropy,
        also: vec![rule.id],
        positives: rule.examples,
        negatives: rule.negative_examples,
        ..empty(id)
    }
}

fn empty(id: String) -> Detector {
    Detector {
        id,
        title: String::new(),
        class: Class::Secret,
        severity: Severity::High,
        confidence: 0.5,
        context_confidence: None,
        pattern: None,
        group: None,
        shapes: Vec::new(),
        scan: None,
        keywords: Vec::new(),
        context: Vec::new(),
        validator: None,
        entropy: None,
        path: None,
        near: false,
        generic: false,
        allow: Vec::new(),
        country: None,
        also: Vec::new(),
        positives: Vec::new(),
        negatives: Vec::new(),
    }
}

fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_matches('-').to_owned()
}

fn title(id: &str, description: &str) -> String {
    // gitleaks describes the risk; the id names the thing.
    let mut words: Vec<String> = id.split('-').map(str::to_owned).collect();
    if let Some(first) = words.first_mut()
        && let Some(at) = description.to_ascii_lowercase().find(first.as_str())
        && let Some(spelled) = description.get(at..at + first.len())
    {
        *first = spelled.to_owned();
    }
    words.join(" ")
}

fn severity(id: &str, structured: bool) -> Severity {
    const CRITICAL: [&str; 14] = [
        "aws",
        "private-key",
        "gcp",
        "azure",
        "stripe",
        "github",
        "gitlab",
        "google",
        "openai",
        "anthropic",
        "vault",
        "slack",
        "npm",
        "pypi",
    ];
    const LOW: [&str; 8] = [
        "client-id",
        "public",
        "product-id",
        "recipient",
        "account-id",
        "publishable",
        "user-id",
        "username",
    ];
    if LOW.iter().any(|w| id.contains(w)) {
        Severity::Low
    } else if structured
        && CRITICAL
            .iter()
            .any(|w| id.starts_with(w) || id.contains("private-key"))
    {
        Severity::Critical
    } else if structured {
        Severity::High
    } else {
        Severity::Medium
    }
}

/// `(?# … )`, which Hyperscan knows and this regex syntax does not.
fn without_comments(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find("(?#") {
        out.push_str(&rest[..at]);
        rest = rest[at..].find(')').map_or("", |end| &rest[at + end + 1..]);
    }
    out.push_str(rest);
    out
}

/// Whether the value itself has fixed characters that tell it from any other random text.
fn is_structured(pattern: &str, group: Option<usize>) -> bool {
    let Ok(hir) = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(pattern)
    else {
        return false;
    };
    let wanted = group.filter(|g| *g > 0).unwrap_or(1) as u32;
    let value = capture(&hir, wanted).unwrap_or(&hir);
    let has_group = capture(&hir, wanted).is_some();
    grams::shortest_literal(value) >= if has_group { 3 } else { 4 }
}

fn capture(hir: &Hir, index: u32) -> Option<&Hir> {
    match hir.kind() {
        HirKind::Capture(c) if c.index == index => Some(&c.sub),
        HirKind::Capture(c) => capture(&c.sub, index),
        HirKind::Repetition(r) => capture(&r.sub, index),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().find_map(|p| capture(p, index))
        }
        _ => None,
    }
}
