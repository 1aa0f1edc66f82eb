//! All use cases over one state and one store of objects.

use std::sync::Arc;

use sealwright_core::Clock;
use sealwright_ledger::Ledger;
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
use super::retention::RetentionService;
use super::scan::ScanService;

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
    /// What was taken away.
    pub quarantine: QuarantineService,
    /// Plans and erasures.
    pub retention: RetentionService,
    /// Uploads.
    pub gate: GateService,
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
    /// Seals the tenants' keys.
    pub seal: Arc<dyn Seal>,
    /// Threads of a scan.
    pub threads: usize,
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
        let detection = Detection::new(keys)?;
        let three = || (store.clone(), Arc::clone(ledger), Arc::clone(clock));
        let holds = {
            let (store, ledger, clock) = three();
            HoldService::new(store, ledger, clock, Arc::clone(buckets))
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
                detection.clone(),
                parts.threads,
            )
        };
        let quarantine = {
            let (store, ledger, clock) = three();
            QuarantineService::new(store, ledger, clock, Arc::clone(buckets), holds.clone())
        };
        let retention = {
            let (store, ledger, clock) = three();
            RetentionService::new(store, ledger, clock, Arc::clone(buckets), holds.clone())?
        };
        let findings = {
            let (store, ledger, clock) = three();
            FindingService::new(store, ledger, clock, Arc::clone(buckets))
        };
        let gate = {
            let (store, ledger, clock) = three();
            GateService::new(store, ledger, clock, detection)
        };
        Ok(Self {
            policies,
            places,
            scans,
            findings,
            holds,
            quarantine,
            retention,
            gate,
        })
    }
}
