//! What is handed out: the bundle that verifies offline.

use std::collections::BTreeMap;

use sealwright_core::{TenantScope, canonical_json};

use super::InvoiceService;
use super::finalise::queries;
use crate::model::{Invoice, InvoiceId, InvoiceState};
use crate::service::BillingError;
use crate::store::invoice as rows;
use crate::verify::{Bundle, EVIDENCE_SCHEMA, EvidenceEntry, EvidenceFile};

const PAGE: usize = 10_000;

impl InvoiceService {
    /// The events behind one usage row of a finalised invoice, in the order of the log.
    ///
    /// # Errors
    /// [`BillingError::NotFound`] when there is no such row.
    pub async fn evidence(
        &self,
        scope: TenantScope,
        id: InvoiceId,
        usage_row: usize,
    ) -> Result<Vec<EvidenceEntry>, BillingError> {
        let invoice = self.find(scope, id).await?;
        if usage_row >= invoice.document.usage.len() {
            return Err(BillingError::NotFound(format!(
                "usage row {usage_row} of {id}"
            )));
        }
        Ok(rows::evidence(&self.store, id, usage_row).await?)
    }

    /// The bundle of a finalised invoice. Waits until the ledger's entry is under a signed checkpoint.
    ///
    /// # Errors
    /// [`BillingError::NotReady`] for a draft; [`BillingError::Lake`] when an event is not stored any more.
    pub async fn bundle(
        &self,
        scope: TenantScope,
        id: InvoiceId,
    ) -> Result<(Invoice, Bundle), BillingError> {
        let invoice = self.find(scope, id).await?;
        let Some(entry) = invoice
            .ledger_entry
            .clone()
            .filter(|_| invoice.state != InvoiceState::Draft)
        else {
            return Err(BillingError::NotReady(
                "a draft seals nothing; finalise it first".to_owned(),
            ));
        };
        let damaged =
            |what: &'static str| move |detail: String| BillingError::Damaged { what, detail };
        let entry = entry.parse().map_err(|error: sealwright_core::IdError| {
            damaged("ledger entry")(error.to_string())
        })?;
        self.ledger.wait_sequenced(entry).await?;
        let proof = self.ledger.prove(TenantScope::All, entry).await?;

        let mut evidence = EvidenceFile {
            schema: EVIDENCE_SCHEMA.to_owned(),
            usage: Vec::new(),
        };
        let mut lines: BTreeMap<u64, Option<Vec<u8>>> = BTreeMap::new();
        for row in 0..invoice.document.usage.len() {
            let entries = rows::evidence(&self.store, id, row).await?;
            lines.extend(entries.iter().map(|entry| (entry.offset, None)));
            evidence.usage.push(entries);
        }
        self.fetch(&invoice, &mut lines).await?;
        let mut events = Vec::new();
        for (offset, line) in lines {
            let Some(line) = line else {
                return Err(BillingError::Lake(format!(
                    "the event at offset {offset} is not stored any more"
                )));
            };
            events.extend_from_slice(&line);
            events.push(b'\n');
        }
        let reference = &invoice.document.price_book;
        let book = self
            .books
            .find(&reference.id, Some(reference.version))
            .await?;
        let meters = self.usage.meters().current();
        let pretty = |value: &dyn erased::Json, what: &'static str| {
            value
                .pretty()
                .map_err(|error| damaged(what)(error.to_string()))
        };
        let definitions = serde_json::to_value(&meters.definitions)
            .map_err(|error| damaged("meters")(error.to_string()))?;
        let bundle = Bundle {
            readme: readme(&invoice, &proof.verifier_key).into_bytes(),
            invoice: pretty(&invoice.document, "invoice")?,
            price_book: book.body.into_bytes(),
            meters: canonical_json(&definitions),
            evidence: serde_json::to_vec(&evidence)
                .map_err(|error| damaged("evidence")(error.to_string()))?,
            events,
            proof: pretty(&proof, "proof")?,
        };
        Ok((invoice, bundle))
    }

    async fn fetch(
        &self,
        invoice: &Invoice,
        lines: &mut BTreeMap<u64, Option<Vec<u8>>>,
    ) -> Result<(), BillingError> {
        let meters = self.usage.meters().current();
        let through = invoice.document.events_through;
        for query in queries(invoice.tenant, invoice.period, through, &meters) {
            let mut start = 0;
            loop {
                let page = self
                    .history
                    .page(&query, start, PAGE)
                    .await
                    .map_err(|error| BillingError::Lake(error.to_string()))?;
                let Some(last) = page.last() else { break };
                start = last.offset + 1;
                let whole = page.len() == PAGE;
                for event in page {
                    if let Some(line) = lines.get_mut(&event.offset) {
                        *line = Some(event.json.to_vec());
                    }
                }
                if !whole {
                    break;
                }
            }
        }
        Ok(())
    }
}

mod erased {
    //! Pretty JSON of different types behind one closure.

    pub(super) trait Json {
        fn pretty(&self) -> Result<Vec<u8>, serde_json::Error>;
    }

    impl<T: serde::Serialize> Json for T {
        fn pretty(&self) -> Result<Vec<u8>, serde_json::Error> {
            let mut bytes = serde_json::to_vec_pretty(self)?;
            bytes.push(b'\n');
            Ok(bytes)
        }
    }
}

fn readme(invoice: &Invoice, key: &str) -> String {
    let document = &invoice.document;
    format!(
        "Invoice {number} for {name}: {total} {currency}\n\
         Period {from} (included) to {to} (excluded)\n\n\
         This bundle lets anybody check the invoice, with no network and no access to the issuer:\n\n\
             sealwright verify invoice.json\n\n\
         It meters the events in events.ndjson again by meters.json, rates the usage again by\n\
         price-book.json, and follows the document's digest into the issuer's append-only ledger\n\
         (proof.json, a C2SP tlog-proof under an Ed25519-signed checkpoint).\n\n\
         The ledger's key, which you should compare with the one that the issuer publishes:\n\n\
             {key}\n\n\
         Formats: docs/billing.md of Sealwright. Each line of events.ndjson is one event; its SHA-256 is\n\
         the digest in evidence.json; a usage row's root is the RFC 6962 tree over (offset, time, digest).\n",
        number = document.number.as_deref().unwrap_or("(no number)"),
        name = document.tenant.name,
        total = document.rated.total,
        currency = document.rated.currency.code(),
        from = document.period_from,
        to = document.period_to,
    )
}
