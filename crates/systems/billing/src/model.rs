//! Types and states of billing.

pub mod anomaly;
pub mod budget;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sealwright_core::{Digest, Id, IdKind, TenantId, UnixMicros};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The kind of [`InvoiceId`].
#[derive(Debug)]
pub enum InvoiceKind {}

impl IdKind for InvoiceKind {
    const PREFIX: &'static str = "inv";
}

/// An invoice.
pub type InvoiceId = Id<InvoiceKind>;

/// A span of time, from included, to excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first moment inside.
    pub from: UnixMicros,
    /// The first moment after it.
    pub to: UnixMicros,
}

impl Span {
    /// Whether `at` is inside.
    pub fn contains(&self, at: UnixMicros) -> bool {
        self.from <= at && at < self.to
    }
}

/// Where an invoice stands: draft → finalised → paid / overdue / void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum InvoiceState {
    /// Shows the period as metered so far; changes with every event.
    Draft,
    /// Frozen, numbered and sealed in the ledger; waits for payment.
    Finalised,
    /// Settled.
    Paid,
    /// Finalised and past its due date.
    Overdue,
    /// Withdrawn; the period may be invoiced again.
    Void,
}

impl InvoiceState {
    /// All states, in the order of an invoice's life.
    pub const ALL: [Self; 5] = [
        Self::Draft,
        Self::Finalised,
        Self::Paid,
        Self::Overdue,
        Self::Void,
    ];

    /// The name in the store, in paths and on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Finalised => "finalised",
            Self::Paid => "paid",
            Self::Overdue => "overdue",
            Self::Void => "void",
        }
    }

    /// Whether an invoice may go from this state to `next`.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Draft, Self::Finalised)
                | (Self::Finalised, Self::Paid | Self::Overdue | Self::Void)
                | (Self::Overdue, Self::Paid | Self::Void)
        )
    }
}

impl fmt::Display for InvoiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for InvoiceState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|state| state.name()).collect();
                format!(
                    "`{text}` is not a state of an invoice; the states are {}",
                    names.join(", ")
                )
            })
    }
}

/// Dimension values of usage, by name: `model = medium`, `region = eu-west-1`.
pub type Dimensions = BTreeMap<String, String>;

/// The usage of one meter and one set of dimension values in a period, and the events behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageEntry {
    /// The meter's key.
    pub meter: String,
    /// The dimension values.
    pub dimensions: Dimensions,
    /// The aggregated value, an exact decimal.
    pub quantity: String,
    /// The meter's unit.
    pub unit: String,
    /// How many events were aggregated.
    pub events: u64,
    /// The root of the RFC 6962 tree whose leaves are the digests of these events, in the order of the
    /// log; absent in a draft, which seals nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<String>)]
    pub root: Option<Digest>,
}

/// Who is invoiced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvoicedTenant {
    /// The tenant's id.
    #[schema(value_type = String)]
    pub id: TenantId,
    /// The name in addresses and commands.
    pub slug: String,
    /// The name that people read.
    pub name: String,
}

/// Which price book an invoice was rated with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceBookRef {
    /// The price book's id.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// SHA-256 of its canonical form.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// The name that people read.
    pub title: String,
}

/// The schema of [`InvoiceDocument`]; a change of meaning is a new number.
pub const INVOICE_SCHEMA: &str = "sealwright.invoice/1";

/// What an invoice says: the part that is frozen, digested and sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvoiceDocument {
    /// [`INVOICE_SCHEMA`].
    pub schema: String,
    /// The invoice.
    pub id: InvoiceId,
    /// The number that customers see; a draft has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub number: Option<String>,
    /// Who is invoiced.
    pub tenant: InvoicedTenant,
    /// RFC 3339, included.
    pub period_from: String,
    /// RFC 3339, excluded.
    pub period_to: String,
    /// The part of its month that the period is, in seconds, as `numerator/denominator`: fees and minimums are
    /// owed for this share. Absent for a whole month.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub share: Option<String>,
    /// RFC 3339; a draft has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub issued_at: Option<String>,
    /// RFC 3339; a draft has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub due_at: Option<String>,
    /// What it was rated with.
    pub price_book: PriceBookRef,
    /// SHA-256 of the canonical meter definitions that the events were metered by.
    pub meters_digest: Digest,
    /// Events with an offset below this one are in the invoice.
    pub events_through: u64,
    /// The events' number, all usage rows together; an event with several meters counts once a row.
    pub events: u64,
    /// What was used.
    pub usage: Vec<UsageEntry>,
    /// What it costs: currency, total, lines, warnings.
    pub rated: sealwright_rating::Rated,
}

impl InvoiceDocument {
    /// The bytes that are digested: canonical JSON.
    ///
    /// # Errors
    /// Never for a document that was made by this crate.
    pub fn canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        Ok(sealwright_core::canonical_json(&serde_json::to_value(
            self,
        )?))
    }
}

/// An invoice as the store keeps it.
#[derive(Debug, Clone)]
pub struct Invoice {
    /// Whose invoice.
    pub tenant: TenantId,
    /// The period.
    pub period: Span,
    /// Where it stands.
    pub state: InvoiceState,
    /// Grows with each change; the ETag.
    pub revision: i64,
    /// What it says.
    pub document: InvoiceDocument,
    /// SHA-256 of [`InvoiceDocument::canonical`].
    pub digest: Digest,
    /// The total in minor units of the document's currency.
    pub total_minor: i64,
    /// When the draft was made.
    pub created_at: UnixMicros,
    /// When it was frozen.
    pub finalised_at: Option<UnixMicros>,
    /// When payment is due.
    pub due_at: Option<UnixMicros>,
    /// When it was paid or voided.
    pub settled_at: Option<UnixMicros>,
    /// The ledger entry of the finalisation.
    pub ledger_entry: Option<String>,
}

/// A price book with its place in the store.
#[derive(Debug, Clone)]
pub struct StoredPriceBook {
    /// The id, its version, its digest and its title.
    pub reference: PriceBookRef,
    /// The ISO 4217 code.
    pub currency: String,
    /// The canonical text.
    pub body: String,
    /// When it was stored.
    pub created_at: UnixMicros,
    /// Who stored it.
    pub created_by: String,
}

/// A tenant's price book from a moment on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Subscription {
    /// Whose.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// From when, included.
    #[schema(value_type = i64)]
    pub from: UnixMicros,
    /// The price book.
    pub price_book_id: String,
    /// Its version.
    pub price_book_version: u32,
}

/// One usage row of a day: see the table `billing_usage`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsageKey {
    /// Whose usage.
    pub tenant: TenantId,
    /// The meter's key.
    pub meter: String,
    /// The UTC day.
    pub day: UnixMicros,
    /// Canonical dimension values, `name=value` sorted and joined by the meter engine.
    pub dimensions: String,
}

/// How fine a usage summary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Grain {
    /// By UTC hour.
    Hour,
    /// By UTC day.
    Day,
    /// By UTC calendar month.
    Month,
}

impl FromStr for Grain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "hour" => Ok(Self::Hour),
            "day" => Ok(Self::Day),
            "month" => Ok(Self::Month),
            other => Err(format!(
                "`{other}` is not a grain; there are hour, day and month"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_form_the_documented_paths_only() {
        let allowed: Vec<String> = InvoiceState::ALL
            .iter()
            .flat_map(|from| InvoiceState::ALL.iter().map(move |to| (*from, *to)))
            .filter(|(from, to)| from.may_become(*to))
            .map(|(from, to)| format!("{from}>{to}"))
            .collect();
        assert_eq!(
            allowed,
            [
                "draft>finalised",
                "finalised>paid",
                "finalised>overdue",
                "finalised>void",
                "overdue>paid",
                "overdue>void"
            ]
        );
    }
}
