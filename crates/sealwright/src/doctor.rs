//! `sealwright doctor`: looks at an installation and says what is wrong and what to do.

use std::io::Write;

use anyhow::Result;
use sealwright_config::Config;
use sealwright_core::{Clock as _, SystemClock};
use sealwright_events::{EventLog, ReadLimit};
use sealwright_intake::{FileLog, FileLogOptions, StoreLog};
use sealwright_lake::{Lake, LakeError};
use sealwright_ledger::cli::verifier_key;
use sealwright_ledger::verify::{Finding, verify_tree, verify_with_store};
use sealwright_store::{DataLock, SecondLock, Store, StoreError};
use serde::Serialize;

use crate::database::Database;
use crate::installation::lake_place;

/// Look at the installation and say what is wrong
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {}

#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    /// `ok`, `warning`, `wrong` or `unknown`.
    state: &'static str,
    detail: String,
}

impl Check {
    fn new(check: &'static str, state: &'static str, detail: impl Into<String>) -> Self {
        Self {
            check,
            state,
            detail: detail.into(),
        }
    }
}

/// Findings of a part that one line names; its own command has all of them.
const MOST_NAMED: usize = 3;

/// Runs the checks; whether nothing is wrong.
pub(crate) async fn run(config: &Config, as_json: bool, out: &mut dyn Write) -> Result<bool> {
    let mut checks = Vec::new();
    let folder = &config.data.folder;
    if !folder.is_dir() {
        let detail = format!(
            "{} is not there; `sealwright serve` makes it",
            folder.display()
        );
        checks.push(Check::new("data folder", "wrong", detail));
        return show(&checks, as_json, out);
    }
    checks.push(Check::new(
        "data folder",
        "ok",
        folder.display().to_string(),
    ));
    let lock = DataLock::take(folder, SystemClock.now());
    checks.push(match &lock {
        Ok(_) => Check::new("in use", "ok", "no server is running"),
        Err(StoreError::InUse { holder, .. }) => Check::new("in use", "ok", format!("by {holder}")),
        Err(error) => Check::new("in use", "wrong", error.to_string()),
    });
    let found = match Database::look(config).await {
        Ok(found) => found,
        Err(error) => {
            checks.push(Check::new("database", "unknown", error.to_string()));
            Database::Absent
        }
    };
    if checks.iter().all(|check| check.check != "database") {
        checks.push(database(&found).await);
    }
    if let Database::Open(store) = &found {
        checks.extend(second_lock(store).await);
    }
    checks.push(ledger(config, &found).await);
    checks.push(log(config, &found, lock.is_ok()).await);
    checks.push(lake(config).await);
    found.close().await;
    show(&checks, as_json, out)
}

async fn database(found: &Database) -> Check {
    let check = "database";
    let restore = "restore a backup from the folder `backups`";
    let store = match found {
        Database::Absent => return Check::new(check, "ok", "nothing was stored yet"),
        Database::Unreadable(why) => return Check::new(check, "wrong", why.as_str()),
        Database::Open(store) => store,
    };
    match store.check().await {
        Ok(problems) if problems.is_empty() => {
            let detail = format!("{}, structures are sound", store.describe());
            Check::new(check, "ok", detail)
        }
        Ok(problems) => {
            let detail = format!("{}: {}; {restore}", store.describe(), problems.join("; "));
            Check::new(check, "wrong", detail)
        }
        Err(error @ StoreError::Corrupt { .. }) => {
            let detail = format!("{}: {error}", store.describe());
            Check::new(check, "wrong", detail)
        }
        Err(error) => Check::new(check, "unknown", error.to_string()),
    }
}

/// Whether PostgreSQL itself holds each tenant's rows back from others.
async fn second_lock(store: &Store) -> Option<Check> {
    let check = "tenants apart";
    match store.second_lock().await {
        Ok(SecondLock::Absent) => None,
        Ok(SecondLock::Holds) => Some(Check::new(check, "ok", "by row-level security, too")),
        Ok(SecondLock::Bypassed(why)) => {
            let detail = format!(
                "{why}: only the program's own conditions keep tenants apart; see docs/access.md"
            );
            Some(Check::new(check, "warning", detail))
        }
        Err(error) => Some(Check::new(check, "unknown", error.to_string())),
    }
}

/// The tree, and the rows of the database against it.
async fn ledger(config: &Config, found: &Database) -> Check {
    let check = "ledger";
    let folder = &config.data.folder;
    let tree = folder.join(sealwright_ledger::TREE_FOLDER);
    if !tree.exists() {
        return Check::new(check, "ok", "nothing was recorded yet");
    }
    let key = match verifier_key(&sealwright_ledger::cli::Common::of(folder.clone())) {
        Ok(key) => key,
        Err(error) => return Check::new(check, "wrong", error.to_string()),
    };
    let report = match found {
        Database::Open(store) => verify_with_store(&tree, &key, store).await,
        Database::Absent | Database::Unreadable(_) => verify_tree(&tree, &key),
    };
    match report {
        Ok(report) if report.ok => {
            let rows = match report.rows {
                Some(_) => "and every row of the database agrees",
                None => "and there was no database to compare",
            };
            let detail = format!(
                "{} entries, every hash and signature holds, {rows}",
                report.size
            );
            Check::new(check, "ok", detail)
        }
        Ok(report) => {
            let named: Vec<String> = report.findings.iter().take(MOST_NAMED).map(place).collect();
            let more = report.finding_count - named.len() as u64;
            let more = match more {
                0 => String::new(),
                more => format!("; and {more} more: `sealwright ledger verify` names each"),
            };
            Check::new(check, "wrong", format!("{}{more}", named.join("; ")))
        }
        Err(error) => Check::new(check, "unknown", error.to_string()),
    }
}

fn place(finding: &Finding) -> String {
    let mut text = finding.file.clone();
    if let Some(offset) = finding.offset {
        text.push_str(&format!(" byte {offset}"));
    }
    if let Some(entry) = finding.entry {
        text.push_str(&format!(" entry {entry}"));
    }
    format!("{text}: {}", finding.problem)
}

/// Every event of the log, read once.
async fn log(config: &Config, found: &Database, free: bool) -> Check {
    let check = "log";
    let log: Box<dyn EventLog> = match found {
        Database::Open(store) if store.shared() => match StoreLog::open(store.clone()).await {
            Ok(log) => Box::new(log),
            Err(error) => return Check::new(check, "wrong", error.to_string()),
        },
        _ if !free => {
            let detail = "the running server holds it; ask GET /health/ready";
            return Check::new(check, "unknown", detail);
        }
        _ => {
            let folder = config.data.folder.join("log");
            if !folder.exists() {
                return Check::new(check, "ok", "no event was accepted yet");
            }
            match FileLog::open(&folder, FileLogOptions::default()) {
                Ok(log) => Box::new(log),
                Err(error) => return Check::new(check, "wrong", error.to_string()),
            }
        }
    };
    let read = async {
        let mut next = log.earliest().await?;
        let (head, mut count) = (log.head().await?, 0_u64);
        while next < head {
            let events = log.read(next, ReadLimit::default()).await?;
            let Some(last) = events.last() else { break };
            next = last.offset + 1;
            count += events.len() as u64;
        }
        Ok::<_, sealwright_events::LogError>((count, head))
    };
    match read.await {
        Ok((count, head)) => {
            let detail = format!("{count} events, every checksum holds; the next is {head}");
            Check::new(check, "ok", detail)
        }
        Err(error) => Check::new(check, "wrong", error.to_string()),
    }
}

/// Every event of the lake against the digest that it was accepted under.
async fn lake(config: &Config) -> Check {
    let check = "lake";
    let read = async {
        let lake = Lake::open_read_only(lake_place(config)).await?;
        lake.check().await
    };
    match read.await {
        Ok(report) if report.problem_count == 0 => {
            let detail = format!(
                "{} events in {} files, each as it was accepted",
                report.rows, report.files
            );
            Check::new(check, "ok", detail)
        }
        Ok(report) => {
            let named: Vec<_> = report.problems.into_iter().take(MOST_NAMED).collect();
            let more = report.problem_count - named.len() as u64;
            let more = match more {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            Check::new(check, "wrong", format!("{}{more}", named.join("; ")))
        }
        Err(LakeError::Missing { .. }) => Check::new(check, "ok", "no event was stored yet"),
        Err(error @ LakeError::Damaged { .. }) => Check::new(check, "wrong", error.to_string()),
        Err(error) => Check::new(check, "unknown", error.to_string()),
    }
}

fn show(checks: &[Check], as_json: bool, out: &mut dyn Write) -> Result<bool> {
    for check in checks {
        if as_json {
            writeln!(out, "{}", serde_json::to_string(check)?)?;
        } else {
            writeln!(
                out,
                "{:<8} {:<12} {}",
                check.state, check.check, check.detail
            )?;
        }
    }
    Ok(checks.iter().all(|check| check.state != "wrong"))
}
