//! What can go wrong in billing.

use sealwright_core::Problem;
use sealwright_ledger::LedgerError;
use sealwright_store::StoreError;

use crate::model::InvoiceState;

/// An error of a use case of billing.
#[derive(Debug, thiserror::Error)]
pub enum BillingError {
    /// Not there, or not in the caller's scope.
    #[error("{0} was not found")]
    NotFound(String),
    /// What the caller gave is not valid; the text says where and what to do.
    #[error("{0}")]
    Invalid(String),
    /// A file has faults, each located.
    #[error("{}", .0.join("\n"))]
    Faults(Vec<String>),
    /// The invoice is in a state that does not admit this.
    #[error("the invoice is {from}, so it cannot become {to}")]
    State {
        /// The present state.
        from: InvoiceState,
        /// The wanted one.
        to: InvoiceState,
    },
    /// Somebody else changed it since it was read.
    #[error("it was changed since it was read (revision {seen} is not the newest); read it again")]
    Stale {
        /// The revision that the caller had.
        seen: i64,
    },
    /// The period is not over, or its events have not all arrived where they are counted.
    #[error("{0}")]
    NotReady(String),
    /// Metered usage and stored events do not agree; nothing may be invoiced until they do.
    #[error(
        "usage and events disagree for {meter} {dimensions}: metered {metered}, events give {events}; \
         nothing was finalised. Run `sealwright doctor`"
    )]
    Disagree {
        /// The meter.
        meter: String,
        /// Its dimension values.
        dimensions: String,
        /// What the usage rows say.
        metered: String,
        /// What the stored events say.
        events: String,
    },
    /// The plan and the usage cannot be rated.
    #[error(transparent)]
    Rating(#[from] sealwright_rating::RatingError),
    /// A quantity cannot be computed exactly.
    #[error(transparent)]
    Aggregate(#[from] sealwright_meter::AggregateError),
    /// From the state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// From the ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// From the lake.
    #[error("the lake: {0}")]
    Lake(String),
    /// A stored text does not read back.
    #[error("a stored {what} does not read back: {detail}")]
    Damaged {
        /// What it should be.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl From<BillingError> for Problem {
    fn from(error: BillingError) -> Self {
        let text = error.to_string();
        if let BillingError::Store(error) = &error
            && let Some(problem) = error.problem()
        {
            return problem;
        }
        match error {
            BillingError::NotFound(_) => Self::not_found(text),
            BillingError::Invalid(_) | BillingError::Rating(_) | BillingError::Aggregate(_) => {
                Self::invalid(text)
            }
            BillingError::Faults(faults) => {
                Self::invalid("the file has faults; `faults` lists them").with("faults", faults)
            }
            BillingError::State { .. } | BillingError::NotReady(_) => Self::conflict(text),
            BillingError::Stale { .. } => Self::new(
                axum::http::StatusCode::PRECONDITION_FAILED,
                "stale",
                "Changed since it was read",
                text,
            ),
            BillingError::Disagree { .. }
            | BillingError::Store(_)
            | BillingError::Ledger(_)
            | BillingError::Lake(_)
            | BillingError::Damaged { .. } => {
                tracing::error!(error = %text, "billing request failed");
                Self::internal()
            }
        }
    }
}
