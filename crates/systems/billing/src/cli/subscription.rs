//! `billing subscription`.

use clap::Subcommand;
use sealwright_core::UnixMicros;
use serde_json::json;

use super::{ACTOR, Output, Result, Services, moment};
use crate::model::Subscription;
use crate::service::BillingError;
use crate::service::usage::month_start;

/// `billing subscription …`
#[derive(Debug, Clone, Subcommand)]
pub enum SubscriptionCommand {
    /// Who is on which price book, from when
    List {
        /// Only this tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Put a tenant on a price book
    Set {
        /// The tenant, by name or id
        #[arg(long)]
        tenant: String,
        /// The price book's id
        #[arg(long, value_name = "ID")]
        price_book: String,
        /// Its version; the newest without it
        #[arg(long)]
        version: Option<u32>,
        /// From when (a whole UTC hour); the start of this month without it
        #[arg(long, value_parser = moment)]
        from: Option<UnixMicros>,
    },
}

pub(super) async fn run(
    services: &Services,
    command: &SubscriptionCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    match command {
        SubscriptionCommand::List { tenant } => {
            let scope = services.scope(tenant.as_deref())?;
            let all = services
                .books
                .subscriptions(scope)
                .await
                .map_err(BillingError::Store)?;
            if output.json {
                let items: Vec<_> = all.iter().map(|s| value(services, s)).collect();
                output.json(&items)?;
            } else {
                let rows = all.iter().map(|s| {
                    vec![
                        services.slug(s.tenant),
                        s.price_book_id.clone(),
                        s.price_book_version.to_string(),
                        s.from.to_string(),
                    ]
                });
                output.table(&["tenant", "price book", "version", "from"], &[2], rows)?;
            }
        }
        SubscriptionCommand::Set {
            tenant,
            price_book,
            version,
            from,
        } => {
            let from = from.unwrap_or_else(|| month_start(services.clock.now()));
            let id = services.tenant(tenant)?;
            let done = services
                .books
                .subscribe(id, price_book, *version, from, ACTOR)
                .await?;
            if output.json {
                output.json(&value(services, &done))?;
            } else {
                output.line(&format!(
                    "{} is on {} version {} from {}",
                    services.slug(id),
                    done.price_book_id,
                    done.price_book_version,
                    done.from
                ))?;
            }
        }
    }
    Ok(true)
}

fn value(services: &Services, subscription: &Subscription) -> serde_json::Value {
    json!({
        "tenant": services.slug(subscription.tenant),
        "tenant_id": subscription.tenant,
        "price_book": subscription.price_book_id,
        "version": subscription.price_book_version,
        "from": subscription.from.to_string(),
    })
}
