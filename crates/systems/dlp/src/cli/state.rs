//! What the commands on the data folder share, and the list of findings.

use std::sync::Arc;

use clap::Args;
use sealwright_access::TenantDirectory;
use sealwright_core::{TenantId, TenantScope, UnixMicros};
use serde_json::{Value, json};

use super::{CliError, Output, Result};
use crate::model::object::address;
use crate::service::Dlp;
use crate::store::finding::FindingFilter;

/// Who the ledger names for what a command did.
pub(super) const ACTOR: &str = "local:cli";
pub(super) const ALL: TenantScope = TenantScope::All;

/// What the commands work with.
#[derive(Debug, Clone)]
pub struct Services {
    /// The use cases.
    pub dlp: Dlp,
    /// Tenants by name.
    pub directory: TenantDirectory,
    /// The clock.
    pub clock: Arc<dyn sealwright_core::Clock>,
}

impl Services {
    pub(super) fn tenant(&self, name: &str) -> Result<TenantId> {
        self.directory
            .resolve(name)
            .map(|tenant| tenant.id)
            .ok_or_else(|| CliError::Usage(format!("there is no tenant `{name}`")))
    }

    pub(super) fn slug(&self, id: TenantId) -> String {
        self.directory
            .get(id)
            .map_or_else(|| id.to_string(), |tenant| tenant.slug.clone())
    }
}

/// Who acts: what takes a second person asks for another name than the step before.
#[derive(Debug, Clone, Args)]
pub struct Person {
    /// Who does it, as the ledger shall name them
    #[arg(long = "as", value_name = "WHO")]
    pub acting: Option<String>,
}

impl Person {
    pub(super) fn actor(&self) -> String {
        match &self.acting {
            None => ACTOR.to_owned(),
            Some(name) => format!("{ACTOR}:{name}"),
        }
    }
}

pub(super) fn day(text: &str) -> std::result::Result<UnixMicros, String> {
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    UnixMicros::parse_rfc3339(&full)
        .map_err(|_| "give a day (2027-03-01) or a time (2027-03-01T00:00:00Z)".to_owned())
}

pub(super) fn show(output: &mut Output<'_>, value: &Value, text: &str) -> Result<()> {
    if output.is_json() {
        output.json(value)
    } else {
        output.line(text)
    }
}

/// What became of work that was under way; the answer is no while something waits.
pub(super) fn resumed(output: &mut Output<'_>, ended: u64, waiting: &[String]) -> Result<bool> {
    show(
        output,
        &json!({ "ended": ended, "waiting": waiting }),
        &format!("{ended} came to their end, {} wait", waiting.len()),
    )?;
    for why in waiting {
        output.say(why)?;
    }
    Ok(waiting.is_empty())
}

pub(super) async fn findings(services: &Services, output: &mut Output<'_>) -> Result<bool> {
    let filter = FindingFilter {
        state: Some(crate::model::finding::FindingState::Open),
        limit: 1_000,
        ..FindingFilter::default()
    };
    let found = services.dlp.findings.list(ALL, &filter).await?;
    if output.is_json() {
        let items: Vec<_> = found
            .iter()
            .map(|one| {
                json!({
                    "id": one.id, "tenant": services.slug(one.tenant),
                    "object": one.object.to_string(), "inner": one.inner, "line": one.line,
                    "column": one.column, "start": one.start, "end": one.end,
                    "detector": one.detector, "class": one.class, "severity": one.severity,
                    "confidence": one.confidence as f64 / 100.0,
                    "fingerprint": one.fingerprint, "action": one.action, "mode": one.mode,
                })
            })
            .collect();
        output.json(&items)?;
    } else {
        let rows = found.iter().map(|one| {
            vec![
                one.severity.as_str().to_owned(),
                one.detector.clone(),
                address(&one.object.bucket, &one.object.key),
                format!("{}:{}", one.line, one.column),
                services.slug(one.tenant),
            ]
        });
        output.table(
            &["severity", "detector", "object", "place", "tenant"],
            &[],
            rows,
        )?;
    }
    Ok(found.is_empty())
}
