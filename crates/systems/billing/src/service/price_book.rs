//! Price books and who is on which.

use std::sync::Arc;

use sealwright_core::{Clock, Digest, TenantId, TenantScope, UnixMicros};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_rating::{Format, Plan, parse_plan};
use sealwright_store::{Store, StoreError};

use super::BillingError;
use crate::model::{PriceBookRef, StoredPriceBook, Subscription};
use crate::store::price_book as rows;

/// Keeps price books and subscriptions.
#[derive(Debug, Clone)]
pub struct PriceBookService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
}

/// What storing a price book led to.
#[derive(Debug, Clone)]
pub struct Published {
    /// The price book.
    pub reference: PriceBookRef,
    /// What its author should know.
    pub warnings: Vec<String>,
    /// The same version with the same content was there already.
    pub unchanged: bool,
}

impl PriceBookService {
    /// Keeps them in `store`.
    pub fn new(store: Store, ledger: Arc<Ledger>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            ledger,
            clock,
        }
    }

    /// Stores a price book from a file. A version never changes: the same version with other content is
    /// refused, with the same content it changes nothing.
    ///
    /// # Errors
    /// Every fault of the file with its place; a conflict with the version that is there.
    pub async fn publish(
        &self,
        file: &str,
        text: &str,
        format: Format,
        actor: &str,
    ) -> Result<Published, BillingError> {
        let loaded = parse_plan(file, text, format).map_err(|faults| {
            BillingError::Faults(faults.0.iter().map(ToString::to_string).collect())
        })?;
        let plan = loaded.plan;
        let reference = reference_of(&plan)?;
        let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
        if let Some(there) = rows::find(&self.store, &reference.id, reference.version).await? {
            if there.reference.digest == reference.digest {
                return Ok(Published {
                    reference,
                    warnings,
                    unchanged: true,
                });
            }
            return Err(BillingError::Invalid(format!(
                "{} version {} is published with other content (digest {}); give the new prices the \
                 next version",
                reference.id,
                reference.version,
                there.reference.digest.short()
            )));
        }
        let body =
            String::from_utf8(plan.canonical_bytes()).map_err(|error| BillingError::Damaged {
                what: "price book",
                detail: error.to_string(),
            })?;
        let now = self.clock.now();
        let book = StoredPriceBook {
            reference: reference.clone(),
            currency: plan.book.currency.code().to_owned(),
            body,
            created_at: now,
            created_by: actor.to_owned(),
        };
        let mut tx = self.store.begin().await?;
        rows::insert(&mut tx, &book).await?;
        let subject = format!("{} v{}", reference.id, reference.version);
        let entry =
            EntryDraft::new(actor, "billing.price-book.publish", subject).after(reference.digest);
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(Published {
            reference,
            warnings,
            unchanged: false,
        })
    }

    /// A version, or the newest one.
    ///
    /// # Errors
    /// [`BillingError::NotFound`].
    pub async fn find(
        &self,
        id: &str,
        version: Option<u32>,
    ) -> Result<StoredPriceBook, BillingError> {
        let found = match version {
            Some(version) => rows::find(&self.store, id, version).await?,
            None => rows::newest(&self.store, id).await?,
        };
        found.ok_or_else(|| BillingError::NotFound(format!("the price book `{id}`")))
    }

    /// All versions of all price books.
    ///
    /// # Errors
    /// From the state.
    pub async fn all(&self) -> Result<Vec<StoredPriceBook>, BillingError> {
        Ok(rows::all(&self.store).await?)
    }

    /// Puts a tenant on a price book from a moment on.
    ///
    /// # Errors
    /// [`BillingError::NotFound`] when there is no such price book.
    pub async fn subscribe(
        &self,
        tenant: TenantId,
        book: &str,
        version: Option<u32>,
        from: UnixMicros,
        actor: &str,
    ) -> Result<Subscription, BillingError> {
        if from.floor_hour() != from {
            return Err(BillingError::Invalid(format!(
                "{from} is not a whole UTC hour; usage is kept by hour, so a price book starts on one"
            )));
        }
        let book = self.find(book, version).await?;
        let subscription = Subscription {
            tenant,
            from,
            price_book_id: book.reference.id.clone(),
            price_book_version: book.reference.version,
        };
        let value = serde_json::to_value(&subscription).map_err(|error| BillingError::Damaged {
            what: "subscription",
            detail: error.to_string(),
        })?;
        let mut tx = self.store.begin().await?;
        rows::subscribe(&mut tx, &subscription, self.clock.now(), actor).await?;
        let entry = EntryDraft::new(actor, "billing.subscription.put", tenant.to_string())
            .tenant(tenant)
            .after(Digest::of_json(&value))
            .details(value);
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(subscription)
    }

    /// The plan that a tenant is on at a moment.
    ///
    /// # Errors
    /// [`BillingError::NotFound`] when it is on none.
    pub async fn plan_at(
        &self,
        tenant: TenantId,
        at: UnixMicros,
    ) -> Result<(StoredPriceBook, Plan), BillingError> {
        let Some(subscription) = rows::subscription_at(&self.store, tenant, at).await? else {
            return Err(BillingError::NotFound(format!(
                "a price book of {tenant} at {at}"
            )));
        };
        let book = self
            .find(
                &subscription.price_book_id,
                Some(subscription.price_book_version),
            )
            .await?;
        let plan = plan_of(&book)?;
        Ok((book, plan))
    }

    /// All subscriptions in a scope.
    ///
    /// # Errors
    /// From the state.
    pub async fn subscriptions(&self, scope: TenantScope) -> Result<Vec<Subscription>, StoreError> {
        rows::subscriptions(&self.store, scope).await
    }
}

/// The plan of a stored price book.
///
/// # Errors
/// When the stored text is damaged.
pub fn plan_of(book: &StoredPriceBook) -> Result<Plan, BillingError> {
    parse_plan(&book.reference.id, &book.body, Format::Json)
        .map(|loaded| loaded.plan)
        .map_err(|error| BillingError::Damaged {
            what: "price book",
            detail: error
                .0
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; "),
        })
}

/// How to name a plan.
///
/// # Errors
/// Never for a plan that was read by the rating engine.
pub fn reference_of(plan: &Plan) -> Result<PriceBookRef, BillingError> {
    let digest = plan.digest();
    let digest = digest.strip_prefix("sha256:").unwrap_or(&digest);
    Ok(PriceBookRef {
        id: plan.book.id.clone(),
        version: plan.book.version,
        digest: digest.parse().map_err(|_| BillingError::Damaged {
            what: "digest",
            detail: digest.to_owned(),
        })?,
        title: plan
            .book
            .title
            .clone()
            .unwrap_or_else(|| plan.book.id.clone()),
    })
}
