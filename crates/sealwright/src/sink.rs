//! The intake as imports write into it.

use async_trait::async_trait;
use sealwright_billing::service::import as billing;
use sealwright_cloudevents::Event;
use sealwright_core::TenantId;
use sealwright_intake::{AppendOptions, Intake, Receipt};
use sealwright_siem::service::import as siem;

/// Appends events whatever their age.
pub(crate) struct IntakeSink(pub(crate) Intake);

impl IntakeSink {
    /// The receipt, or why the log could not be written.
    async fn give(&self, tenant: TenantId, events: &[Event]) -> Result<Receipt, String> {
        let options = AppendOptions {
            accept_history: true,
        };
        let receipt = self.0.append_events(tenant, events, options).await;
        receipt.map_err(|error| error.to_string())
    }
}

/// Events of a batch that were refused, by index, and why.
fn refused(receipt: &Receipt) -> Vec<(usize, String)> {
    receipt
        .results
        .iter()
        .filter_map(|result| Some((result.index, result.error.as_ref()?.detail.clone())))
        .collect()
}

#[async_trait]
impl billing::EventSink for IntakeSink {
    async fn append(
        &self,
        tenant: TenantId,
        events: &[Event],
    ) -> Result<billing::Appended, billing::SinkError> {
        let receipt = self
            .give(tenant, events)
            .await
            .map_err(billing::SinkError::Failed)?;
        match refused(&receipt) {
            bad if bad.is_empty() => Ok(billing::Appended {
                accepted: receipt.accepted,
                duplicates: receipt.duplicates,
            }),
            bad => Err(billing::SinkError::Refused(bad)),
        }
    }
}

#[async_trait]
impl siem::EventSink for IntakeSink {
    async fn append(
        &self,
        tenant: TenantId,
        events: &[Event],
    ) -> Result<siem::Appended, siem::SinkError> {
        let receipt = self
            .give(tenant, events)
            .await
            .map_err(siem::SinkError::Failed)?;
        match refused(&receipt) {
            bad if bad.is_empty() => Ok(siem::Appended {
                accepted: receipt.accepted,
                duplicates: receipt.duplicates,
            }),
            bad => Err(siem::SinkError::Refused(bad)),
        }
    }
}
