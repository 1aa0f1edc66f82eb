//! What detection holds in memory: compiled rules and the detectors of tenants.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sealwright_core::clock::SECOND;
use sealwright_core::{TenantId, UnixMicros};
use sealwright_sigma::compiled::Matcher;
use sealwright_store::Tx;

use super::fields::FieldCounts;
use crate::service::SiemError;
use crate::service::detect::{
    DetectError, Detector, Finding, Observed, Offered, Step, Terms, matcher,
};
use crate::service::rule::{RuleService, Sources};
use crate::service::ruleset::Ruleset;
use crate::store::{rule, state};

/// Steps are written as they come until they are larger than this and than the last snapshot; then a new
/// snapshot takes their place. So a state is at most about twice its snapshot, and a snapshot costs no more
/// than the steps it replaces.
const SMALLEST_JOURNAL: usize = 256 << 10;

struct Profile {
    ruleset: Arc<Ruleset>,
    matcher: Matcher,
}

struct Held {
    detector: Detector,
    /// The number of the row in the state.
    seq: i64,
    journal: usize,
    snapshot: usize,
    /// The rules have changed: steps of before and after cannot stand in one journal.
    renew: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Memory {
    /// The first offset that was not consumed.
    pub(super) next: Option<u64>,
    sources: Option<Sources>,
    /// By tenant; `None` for all without settings of their own.
    profiles: HashMap<Option<TenantId>, Profile>,
    tenants: HashMap<TenantId, Held>,
    /// Fields of sources that were not written yet.
    pub(super) fields: FieldCounts,
}

impl Memory {
    /// Takes up the rules as they are now.
    pub(super) async fn follow(
        &mut self,
        tx: &mut Tx,
        rules: &RuleService,
        terms: Terms,
    ) -> Result<(), SiemError> {
        let generation = rule::generation(tx).await?;
        if self
            .sources
            .as_ref()
            .is_some_and(|s| s.generation == generation)
        {
            return Ok(());
        }
        self.sources = Some(rules.sources().await?);
        self.profiles.clear();
        let tenants: Vec<TenantId> = self.tenants.keys().copied().collect();
        for tenant in tenants {
            let Some(mut old) = self.tenants.remove(&tenant) else {
                continue;
            };
            // Ticks since the last commit are part of the state that goes into the snapshot.
            old.detector.take_journal();
            let clock = old.detector.clock().map_or(i64::MIN, |at| at.0);
            let snapshot = old.detector.snapshot(tenant)?;
            let mut detector = Detector::new(self.profile(tenant)?, terms)?;
            detector.restore(tenant, clock, &snapshot, &[])?;
            self.tenants.insert(
                tenant,
                Held {
                    detector,
                    renew: true,
                    ..old
                },
            );
        }
        Ok(())
    }

    fn profile(&mut self, tenant: TenantId) -> Result<Arc<Ruleset>, SiemError> {
        let Some(sources) = &self.sources else {
            return Err(SiemError::Invalid("the rules were not read".to_owned()));
        };
        let key = sources.tenants.contains_key(&tenant).then_some(tenant);
        if let Some(profile) = self.profiles.get(&key) {
            return Ok(Arc::clone(&profile.ruleset));
        }
        let ruleset = Arc::new(Ruleset::compile(&sources.files, sources.settings(key)));
        for error in &ruleset.errors {
            tracing::warn!(%error, "a rule was left out");
        }
        self.profiles.insert(
            key,
            Profile {
                matcher: matcher(&ruleset),
                ruleset: Arc::clone(&ruleset),
            },
        );
        Ok(ruleset)
    }

    /// A detector without any state, for evaluating one event alone.
    pub(super) fn fresh(&mut self, tenant: TenantId, terms: Terms) -> Result<(), SiemError> {
        let ruleset = self.profile(tenant)?;
        let detector = Detector::new(ruleset, terms)?;
        self.tenants.insert(
            tenant,
            Held {
                detector,
                seq: 0,
                journal: 0,
                snapshot: 0,
                renew: false,
            },
        );
        Ok(())
    }

    /// Makes sure that a tenant's detector is there, from the state if it is not in memory.
    pub(super) async fn ready(
        &mut self,
        tx: &mut Tx,
        tenant: TenantId,
        terms: Terms,
    ) -> Result<(), SiemError> {
        if self.tenants.contains_key(&tenant) {
            return Ok(());
        }
        let ruleset = self.profile(tenant)?;
        let mut detector = Detector::new(ruleset, terms)?;
        let held = match state::load(tx, tenant).await? {
            None => {
                state::create(tx, tenant).await?;
                Held {
                    detector,
                    seq: 0,
                    journal: 0,
                    snapshot: 0,
                    renew: false,
                }
            }
            Some(found) => {
                let mut steps: Vec<Step> = Vec::new();
                for bytes in &found.journal {
                    let part: Vec<Step> =
                        postcard::from_bytes(bytes).map_err(|error| DetectError::State {
                            tenant,
                            detail: error.to_string(),
                        })?;
                    steps.extend(part);
                }
                detector.restore(tenant, found.clock, &found.snapshot, &steps)?;
                Held {
                    detector,
                    seq: found.seq,
                    journal: found.journal.iter().map(Vec::len).sum(),
                    snapshot: found.snapshot.len(),
                    // Other rules may have written it; their steps end here.
                    renew: !steps.is_empty(),
                }
            }
        };
        self.tenants.insert(tenant, held);
        Ok(())
    }

    pub(super) fn ruleset(&self, tenant: TenantId) -> Option<Arc<Ruleset>> {
        self.tenants
            .get(&tenant)
            .map(|held| Arc::clone(held.detector.ruleset()))
    }

    /// Takes an event of a tenant whose detector is ready.
    pub(super) fn offer(
        &mut self,
        tenant: TenantId,
        event: &Observed<'_>,
        out: &mut Vec<Finding>,
    ) -> Result<Offered, String> {
        let key = self
            .sources
            .as_ref()
            .is_some_and(|s| s.tenants.contains_key(&tenant))
            .then_some(tenant);
        match (self.tenants.get_mut(&tenant), self.profiles.get_mut(&key)) {
            (Some(held), Some(profile)) => {
                let offered = held.detector.offer(&mut profile.matcher, event, out)?;
                let (set, seen) = (profile.matcher.rule_set(), profile.matcher.seen());
                self.fields
                    .count(tenant, event.source, event.received, set, seen);
                Ok(offered)
            }
            _ => Err("the tenant's detector is not ready".to_owned()),
        }
    }

    /// Writes what has changed of a tenant's state.
    pub(super) async fn keep(&mut self, tx: &mut Tx, tenant: TenantId) -> Result<(), SiemError> {
        let Some(held) = self.tenants.get_mut(&tenant) else {
            return Ok(());
        };
        let clock = held.detector.clock().map_or(i64::MIN, |at| at.0);
        if !state::advance(tx, tenant, held.seq, clock).await? {
            return Err(SiemError::State(
                "another process detects for this tenant".to_owned(),
            ));
        }
        held.seq += 1;
        let steps = held.detector.take_journal();
        let bytes =
            postcard::to_stdvec(&steps).map_err(|error| SiemError::Invalid(error.to_string()))?;
        let journal = held.journal + bytes.len();
        if held.renew || journal > SMALLEST_JOURNAL.max(held.snapshot) {
            let snapshot = held.detector.snapshot(tenant)?;
            held.snapshot = snapshot.len();
            held.journal = 0;
            held.renew = false;
            state::replace(tx, tenant, snapshot).await?;
        } else if !steps.is_empty() {
            held.journal = journal;
            state::append(tx, tenant, held.seq, bytes).await?;
        }
        Ok(())
    }

    /// Whether a whole second has passed for a tenant in whose state something may wait for it.
    pub(super) fn due(&self, now: UnixMicros) -> bool {
        self.next.is_none()
            || self.tenants.values().any(|held| {
                let clock = held.detector.clock().map_or(i64::MAX, |at| at.0);
                held.detector.size() != (0, 0)
                    && now.0.div_euclid(SECOND) > clock.div_euclid(SECOND)
            })
    }

    /// Lets the present pass for all tenants; gives what was found.
    pub(super) fn tick(&mut self, now: UnixMicros) -> BTreeMap<TenantId, Vec<Finding>> {
        let mut found = BTreeMap::new();
        for (tenant, held) in &mut self.tenants {
            if held.detector.size() == (0, 0) {
                continue;
            }
            let mut findings = Vec::new();
            held.detector.tick(now, &mut findings);
            if !findings.is_empty() {
                found.insert(*tenant, findings);
            }
        }
        found
    }

    /// Tells the metrics how large it all is.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn measure(&self) {
        let (mut groups, mut waiting, mut evicted) = (0, 0, 0);
        for held in self.tenants.values() {
            let (g, w) = held.detector.size();
            groups += g;
            waiting += w;
            evicted += held.detector.evicted();
        }
        metrics::gauge!("sealwright_siem_groups").set(groups as f64);
        metrics::gauge!("sealwright_siem_waiting").set(waiting as f64);
        metrics::gauge!("sealwright_siem_groups_evicted").set(evicted as f64);
    }
}
