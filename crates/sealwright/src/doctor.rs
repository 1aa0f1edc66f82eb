//! `sealwright doctor`: looks at an installation and says what is wrong and what to do.

use std::io::Write;

use anyhow::Result;
use sealwright_config::Config;
use sealwright_core::{Clock as _, SystemClock};
use sealwright_ledger::cli::verifier_key;
use sealwright_store::{DataLock, Store, StoreError};
use serde::Serialize;

use crate::installation::store_url;

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

/// Runs the checks; whether nothing is wrong.
pub(crate) async fn run(config: &Config, as_json: bool, out: &mut dyn Write) -> Result<bool> {
    let mut checks = Vec::new();
    let folder = &config.data.folder;
    if !folder.is_dir() {
        checks.push(Check {
            check: "data folder",
            state: "wrong",
            detail: format!(
                "{} is not there; `sealwright serve` makes it",
                folder.display()
            ),
        });
        return show(&checks, as_json, out);
    }
    checks.push(Check {
        check: "data folder",
        state: "ok",
        detail: folder.display().to_string(),
    });
    let lock = DataLock::take(folder, SystemClock.now());
    checks.push(match &lock {
        Ok(_) => Check {
            check: "in use",
            state: "ok",
            detail: "no server is running".to_owned(),
        },
        Err(StoreError::InUse { holder, .. }) => Check {
            check: "in use",
            state: "ok",
            detail: format!("by {holder}"),
        },
        Err(error) => Check {
            check: "in use",
            state: "wrong",
            detail: error.to_string(),
        },
    });
    database(config, &mut checks).await;
    ledger(config, &mut checks).await;
    lake(config, lock.is_ok(), &mut checks).await;
    show(&checks, as_json, out)
}

async fn database(config: &Config, checks: &mut Vec<Check>) {
    let check = "database";
    let url = match store_url(config) {
        Ok(url) => url,
        Err(error) => {
            checks.push(Check {
                check,
                state: "wrong",
                detail: error.to_string(),
            });
            return;
        }
    };
    let store = match Store::open(&url).await {
        Ok(store) => store,
        Err(error) => {
            checks.push(Check {
                check,
                state: "wrong",
                detail: error.to_string(),
            });
            return;
        }
    };
    checks.push(match store.check().await {
        Ok(problems) if problems.is_empty() => Check {
            check,
            state: "ok",
            detail: format!("{}, structures are sound", store.describe()),
        },
        Ok(problems) => Check {
            check,
            state: "wrong",
            detail: format!(
                "{}; restore a backup from the folder `backups`",
                problems.join("; ")
            ),
        },
        Err(error) => Check {
            check,
            state: "unknown",
            detail: error.to_string(),
        },
    });
    store.close().await;
}

async fn ledger(config: &Config, checks: &mut Vec<Check>) {
    let check = "ledger";
    let folder = &config.data.folder;
    let common = sealwright_ledger::cli::Common::of(folder.clone());
    let key = match verifier_key(&common) {
        Ok(key) => key,
        Err(error) => {
            checks.push(Check {
                check,
                state: "wrong",
                detail: error.to_string(),
            });
            return;
        }
    };
    let tree = folder.join(sealwright_ledger::TREE_FOLDER);
    checks.push(match sealwright_ledger::verify::verify_tree(&tree, &key) {
        Ok(report) if report.ok => {
            let head = sealwright_ledger::cli::head(folder, key);
            let size = head.map_or_else(|e| e.to_string(), |h| format!("{} entries", h.size));
            Check {
                check,
                state: "ok",
                detail: format!("{size}, every hash and signature holds"),
            }
        }
        Ok(_) => Check {
            check,
            state: "wrong",
            detail: "damaged; `sealwright ledger verify` names each file and byte".to_owned(),
        },
        Err(error) => Check {
            check,
            state: "unknown",
            detail: error.to_string(),
        },
    });
}

async fn lake(config: &Config, free: bool, checks: &mut Vec<Check>) {
    let check = "lake";
    if !free {
        let detail = "the running server holds it; ask GET /health/ready".to_owned();
        checks.push(Check {
            check,
            state: "unknown",
            detail,
        });
        return;
    }
    let opened = sealwright_lake::Lake::open(&config.data.folder.join("lake")).await;
    checks.push(match opened {
        Ok(lake) => {
            let status = lake.status();
            let detail = format!("{} events in {} files", status.rows, status.files);
            Check {
                check,
                state: "ok",
                detail,
            }
        }
        Err(error) => Check {
            check,
            state: "wrong",
            detail: error.to_string(),
        },
    });
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
