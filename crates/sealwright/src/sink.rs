//! The intake as imports write into it.

use async_trait::async_trait;
use sealwright_cloudevents::Event;
use sealwright_core::TenantId;
use sealwright_events::{Appended, EventSink, SinkError};
use sealwright_intake::{AppendOptions, Intake};

/// Appends events whatever their age.
pub(crate) struct IntakeSink(pub(crate) Intake);

#[async_trait]
impl EventSink for IntakeSink {
    async fn append(&self, tenant: TenantId, events: &[Event]) -> Result<Appended, SinkError> {
        let options = AppendOptions {
            accept_history: true,
        };
        let receipt = self
            .0
            .append_events(tenant, events, options)
            .await
            .map_err(|error| SinkError::Failed(error.to_string()))?;
        let refused: Vec<(usize, String)> = receipt
            .results
            .iter()
            .filter_map(|result| Some((result.index, result.error.as_ref()?.detail.clone())))
            .collect();
        if !refused.is_empty() {
            return Err(SinkError::Refused(refused));
        }
        Ok(Appended {
            accepted: receipt.accepted,
            duplicates: receipt.duplicates,
        })
    }
}
