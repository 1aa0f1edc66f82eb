//! `dlp place`: which keys belong to whom, and scans of them.

use clap::Subcommand;
use serde_json::json;

use super::state::{ACTOR, ALL, Services, show};
use super::{Output, Result};
use crate::model::finding::{PlaceId, ScanState};
use crate::model::object::address;
use crate::service::place::NewPlace;

/// `dlp place …`
#[derive(Debug, Clone, Subcommand)]
pub enum PlaceCommand {
    /// The registered places
    List,
    /// Say whose keys of a bucket are
    Add {
        /// The tenant
        #[arg(long)]
        tenant: String,
        /// The bucket
        #[arg(long)]
        bucket: String,
        /// Keys that begin so; all when not given
        #[arg(long, default_value = "")]
        prefix: String,
        /// The bucket that quarantined objects go to
        #[arg(long, default_value = "")]
        quarantine: String,
        /// Leave it out of the weekly scan
        #[arg(long)]
        unscheduled: bool,
    },
    /// Scan a place now, or take up the scan that broke off; answers no (1) when it did not reconcile
    Scan {
        /// The place
        id: PlaceId,
        /// Then do what enforced policies say
        #[arg(long)]
        enforce: bool,
    },
}

pub(super) async fn run(
    services: &Services,
    command: &PlaceCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let dlp = &services.dlp;
    match command {
        PlaceCommand::List => {
            let all = dlp.places.list(ALL).await?;
            if output.is_json() {
                let items: Vec<_> = all
                    .iter()
                    .map(|one| {
                        json!({
                            "id": one.id, "tenant": services.slug(one.tenant),
                            "bucket": one.bucket, "prefix": one.prefix,
                            "quarantine": one.quarantine, "scheduled": one.scheduled,
                        })
                    })
                    .collect();
                output.json(&items)?;
            } else {
                let rows = all.iter().map(|one| {
                    vec![
                        one.id.to_string(),
                        services.slug(one.tenant),
                        address(&one.bucket, &one.prefix),
                        one.quarantine.clone(),
                    ]
                });
                output.table(&["id", "tenant", "place", "quarantine"], &[], rows)?;
            }
            Ok(true)
        }
        PlaceCommand::Add {
            tenant,
            bucket,
            prefix,
            quarantine,
            unscheduled,
        } => {
            let new = NewPlace {
                tenant: services.tenant(tenant)?,
                bucket: bucket.clone(),
                prefix: prefix.clone(),
                quarantine: quarantine.clone(),
                scheduled: !unscheduled,
            };
            let place = dlp.places.add(new, ACTOR).await?;
            show(output, &json!({ "id": place.id }), &place.id.to_string())?;
            Ok(true)
        }
        PlaceCommand::Scan { id, enforce } => {
            let scan = dlp.scans.begin(ALL, *id, ACTOR).await?;
            let bar = output.terminal.then(indicatif::ProgressBar::new_spinner);
            let mut watch = |scan: &crate::model::finding::Scan| {
                if let Some(bar) = &bar {
                    let counts = &scan.counts;
                    bar.set_message(format!(
                        "{} versions, {} MB, {} findings",
                        counts.listed,
                        counts.bytes / 1_000_000,
                        counts.findings
                    ));
                    bar.tick();
                }
                true
            };
            let scan = dlp.scans.run(scan, ACTOR, &mut watch).await?;
            if let Some(bar) = &bar {
                bar.finish_and_clear();
            }
            let mut done = crate::jobs::Enforced::default();
            if *enforce {
                let place = dlp.places.find(ALL, *id).await?;
                done = crate::jobs::enforce(dlp, &place, ACTOR).await?;
            }
            let counts = &scan.counts;
            show(
                output,
                &json!({
                    "id": scan.id, "state": scan.state, "counts": counts,
                    "reconciles": counts.reconciles(), "problem": scan.problem,
                    "quarantined": done.quarantined, "enforced": done,
                }),
                &format!(
                    "{}: {} listed = {} whole + {} partly + {} not + {} unchanged + {} markers; {} findings; {} quarantined, {} redacted, {} encrypted, {} wait",
                    scan.state,
                    counts.listed,
                    counts.scanned,
                    counts.partly,
                    counts.unscannable,
                    counts.unchanged,
                    counts.markers,
                    counts.findings,
                    done.quarantined,
                    done.redacted,
                    done.encrypted,
                    done.waiting
                ),
            )?;
            if !scan.problem.is_empty() {
                output.say(&scan.problem)?;
            }
            Ok(scan.state == ScanState::Done)
        }
    }
}
