//! All use cases over one state and one store of objects.

use std::sync::Arc;

use sealwright_core::Clock;
use sealwright_ledger::Ledger;
use sealwright_notify::Outbox;
use sealwright_store::Store;

use super::DlpError;
use super::bucket::Buckets;
use super::detect::Detection;
use super::finding::FindingService;
use super::gate::GateService;
use super::hold::HoldService;
use super::key::{KeyService, Seal};
use super::place::PlaceService;
use super::policy::PolicyService;
use super::quarantine::QuarantineService;
use super::redaction::RedactionService;
use super::register::HoldBook;
use super::retention::RetentionService;
use super::scan::ScanService;
use super::treatment::{TreatmentParts, TreatmentService};
use super::upload::{UploadParts, UploadService, WhenDown};

/// What the interfaces, pages, commands and jobs work with.
#[derive(Debug, Clone)]
pub struct Dlp {
    /// What is done about findings.
    pub policies: PolicyService,
    /// Which keys belong to whom.
    pub places: PlaceService,
    /// Walks over places.
    pub scans: ScanService,
    /// What was found.
    pub findings: FindingService,
    /// Matters.
    pub holds: HoldService,
    /// What of the stored events must stay.
    pub register: Arc<HoldBook>,
    /// What was taken away.
    pub quarantine: QuarantineService,
    /// What was written anew.
    pub treatments: TreatmentService,
    /// The tenants' keys.
    pub keys: KeyService,
    /// Values that are taken out and come back.
    pub redaction: RedactionService,
    /// Plans and erasures.
    pub retention: RetentionService,
    /// Uploads that are asked about.
    pub gate: GateService,
    /// Uploads that go through the gate.
    pub uploads: UploadService,
}

/// What they are made of.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The state.
    pub store: Store,
    /// The ledger.
    pub ledger: Arc<Ledger>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// The object store.
    pub buckets: Arc<dyn Buckets>,
    /// Tells people.
    pub outbox: Arc<dyn Outbox>,
    /// Seals the tenants' keys.
    pub seal: Arc<dyn Seal>,
    /// Threads of a scan.
    pub threads: usize,
    /// What happens to uploads while the gate gives no answer.
    pub gate_down: WhenDown,
}

impl Dlp {
    /// Wires everything.
    ///
    /// # Errors
    /// When embedded data is damaged, which tests exclude.
    pub fn new(parts: &Parts) -> Result<Self, DlpError> {
        let (store, ledger, clock) = (&parts.store, &parts.ledger, &parts.clock);
        let buckets = &parts.buckets;
        let keys = KeyService::new(store.clone(), Arc::clone(clock), Arc::clone(&parts.seal));
        let redaction = RedactionService::new(
            store.clone(),
            Arc::clone(ledger),
            Arc::clone(clock),
            keys.clone(),
        );
        let detection = Detection::new(keys.clone())?;
        let outbox = || Arc::clone(&parts.outbox);
        let three = || (store.clone(), Arc::clone(ledger), Arc::clone(clock));
        let holds = {
            let (store, ledger, clock) = three();
            HoldService::new(store, ledger, clock, Arc::clone(buckets), outbox())
        };
        let places = {
            let (store, ledger, clock) = three();
            PlaceService::new(store, ledger, clock)
        };
        let policies = {
            let (store, ledger, clock) = three();
            PolicyService::new(store, ledger, clock)
        };
        let scans = {
            let (store, ledger, clock) = three();
            ScanService::new(
                store,
                ledger,
                clock,
                Arc::clone(buckets),
                outbox(),
                detection.clone(),
                parts.threads,
            )
        };
        let quarantine = {
            let (store, ledger, clock) = three();
            QuarantineService::new(
                store,
                ledger,
                clock,
                Arc::clone(buckets),
                outbox(),
                holds.clone(),
            )
        };
        let treatments = {
            let (store, ledger, clock) = three();
            TreatmentService::new(TreatmentParts {
                store,
                ledger,
                clock,
                buckets: Arc::clone(buckets),
                outbox: outbox(),
                detection: detection.clone(),
                holds: holds.clone(),
                quarantine: quarantine.clone(),
            })
        };
        let retention = {
            let (store, ledger, clock) = three();
            RetentionService::new(
                store,
                ledger,
                clock,
                Arc::clone(buckets),
                outbox(),
                holds.clone(),
            )?
        };
        let findings = {
            let (store, ledger, clock) = three();
            FindingService::new(store, ledger, clock, Arc::clone(buckets))
        };
        let gate = {
            let (store, ledger, clock) = three();
            GateService::new(store, ledger, clock, outbox(), detection.clone())
        };
        let uploads = {
            let (store, ledger, clock) = three();
            UploadService::new(UploadParts {
                store,
                ledger,
                clock,
                buckets: Arc::clone(buckets),
                gate: gate.clone(),
                detection,
                holds: holds.clone(),
                quarantine: quarantine.clone(),
                down: parts.gate_down,
            })
        };
        Ok(Self {
            policies,
            places,
            scans,
            findings,
            holds,
            register: Arc::new(HoldBook::new(store.clone(), Arc::clone(clock))),
            quarantine,
            treatments,
            redaction,
            keys,
            retention,
            gate,
            uploads,
        })
    }
}
