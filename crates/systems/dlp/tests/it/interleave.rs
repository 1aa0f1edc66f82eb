//! Holds, releases, scans, quarantine, retention, lifecycle and erasure in random order against a real store. Beside
//! it a model says after each step which versions there have to be, and which of them are held: both agree, and
//! nothing that is held is ever lost.
//!
//! `SEALWRIGHT_TEST_INTERLEAVINGS` says how many; each has its own seed, which a failure names, and
//! `SEALWRIGHT_TEST_SEED` plays one of them again. `SEALWRIGHT_TEST_FIRST_SEED` is the first one, so that thousands of them can
//! be played in several runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::TryStreamExt as _;
use sealwright_core::clock::DAY;
use sealwright_core::{Clock as _, TenantId, TenantScope, UnixMicros};
use sealwright_dlp::jobs::enforce;
use sealwright_dlp::model::finding::{Place, ScanState};
use sealwright_dlp::model::hold::{MatterId, MatterScope, MatterStep};
use sealwright_dlp::model::object::{ObjectId, TAG_CATEGORY, TAG_PERSON};
use sealwright_dlp::model::plan::ErasureId;
use sealwright_dlp::model::policy::{Original, PolicyAction, PolicyMode, PolicyScope};
use sealwright_dlp::model::quarantine::QuarantineStep;
use sealwright_dlp::service::DlpError;
use sealwright_dlp::service::bucket::s3::S3;
use sealwright_dlp::service::bucket::{BucketError, Buckets as _, Tags};
use sealwright_dlp::service::hold::NewMatter;
use sealwright_dlp::service::place::NewPlace;
use sealwright_dlp::service::policy::NewPolicy;
use sealwright_events::HoldRegister as _;
use sealwright_scan::Severity;
use sealwright_store::sql;

use crate::chance::Random;
use crate::s3::{bucket, store};
use crate::world::World;

const ALL: TenantScope = TenantScope::All;
/// What is run where nothing else is asked for: enough to notice, short enough for every change.
const FEW: u64 = 24;
/// Interleavings that share a tenant: a tenant's scanner takes a while to make.
const PER_TENANT: u64 = 50;
/// Interleavings that are played at once, each under keys of its own.
const MOST_AT_ONCE: u64 = 24;
/// The time that a temporary object is kept, and the grace after it.
const TEMPORARY: i64 = 7 * DAY;
const GRACE: i64 = 14 * DAY;

/// A version, as the model knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    body: String,
    person: Option<String>,
    category: Option<&'static str>,
    written: UnixMicros,
    /// The store itself, or a tag, protects it.
    protected: bool,
}

impl Version {
    fn has_card(&self) -> bool {
        self.body.starts_with("card")
    }
}

#[derive(Debug, Clone)]
struct Matter {
    id: MatterId,
    scope: MatterScope,
}

impl Matter {
    /// The rule of the model: written anew, not the program's.
    fn covers(&self, id: &ObjectId, version: &Version) -> bool {
        let scope = &self.scope;
        (scope.buckets.is_empty() || scope.buckets.contains(&id.bucket))
            && id.key.starts_with(scope.prefix.as_deref().unwrap_or(""))
            && (scope.person.is_none() || scope.person == version.person)
    }
}

/// One interleaving.
struct Case<'a> {
    world: &'a World,
    s3: &'a S3,
    random: Random,
    tenant: TenantId,
    places: Vec<Place>,
    prefix: String,
    people: Vec<String>,
    /// Versions with bytes, and markers.
    versions: BTreeMap<ObjectId, Version>,
    markers: BTreeSet<ObjectId>,
    matters: Vec<Matter>,
    erasures: Vec<(ErasureId, String)>,
    written: u64,
    steps: Vec<String>,
}

/// What was done in all interleavings together: a test that never erases proves nothing.
#[derive(Default)]
struct Totals {
    steps: AtomicU64,
    written: AtomicU64,
    quarantined: AtomicU64,
    erased: AtomicU64,
    kept: AtomicU64,
    refused: AtomicU64,
    certificates: AtomicU64,
}

impl Totals {
    fn add(to: &AtomicU64, n: usize) {
        to.fetch_add(n as u64, Ordering::Relaxed);
    }
}

impl Case<'_> {
    fn say(&mut self, what: impl Into<String>) {
        self.steps.push(what.into());
    }

    fn covered(&self, id: &ObjectId, version: &Version) -> bool {
        self.matters.iter().any(|one| one.covers(id, version))
    }

    fn held(&self) -> Vec<(ObjectId, Version)> {
        self.versions
            .iter()
            .filter(|(id, version)| self.covered(id, version))
            .map(|(id, version)| (id.clone(), version.clone()))
            .collect()
    }

    async fn write(&mut self) {
        let bucket = self.random.of(&self.places).bucket.clone();
        let name = *self.random.of(&["a", "b +ü&", "c/d"]);
        let key = format!("{}{name}", self.prefix);
        let person = self.random.chance(60).then(|| {
            let n = self.random.below(self.people.len());
            self.people[n].clone()
        });
        let category = *self.random.of(&[
            None,
            Some("temporary"),
            Some("temporary"),
            Some("financial"),
        ]);
        self.written += 1;
        let kind = if self.random.chance(35) {
            "card 4111111111111111"
        } else {
            "text"
        };
        let body = format!("{kind} {} {}", self.prefix, self.written);
        let mut tags = Tags::new();
        if let Some(person) = &person {
            tags.insert(TAG_PERSON.to_owned(), person.clone());
        }
        if let Some(category) = category {
            tags.insert(TAG_CATEGORY.to_owned(), category.to_owned());
        }
        let id = self
            .s3
            .put(&bucket, &key, Bytes::from(body.clone()), &tags)
            .await
            .unwrap();
        let written = self.s3.head(&id).await.unwrap().unwrap().written;
        self.say(format!("write {id} {person:?} {category:?} {kind}"));
        let version = Version {
            body,
            person,
            category,
            written,
            protected: false,
        };
        self.versions.insert(id, version);
    }

    /// Another client deletes a key: a marker hides it, and nothing goes.
    async fn mark(&mut self) {
        let Some((id, _)) = self.some_version() else {
            return;
        };
        let output = self
            .s3
            .client()
            .delete_object()
            .bucket(&id.bucket)
            .key(&id.key)
            .send()
            .await
            .unwrap();
        let Some(version) = output.version_id() else {
            // What is hidden already is not hidden again: radosgw makes no second marker.
            let of = |marker: &&ObjectId| (&marker.bucket, &marker.key) == (&id.bucket, &id.key);
            assert!(self.markers.iter().any(|m| of(&m)), "{id}: no marker");
            self.say(format!("the marker of {} stays", id.key));
            return;
        };
        let marker = ObjectId::new(&id.bucket, &id.key, version);
        self.say(format!("marker {marker}"));
        self.markers.insert(marker);
    }

    fn some_version(&mut self) -> Option<(ObjectId, Version)> {
        if self.versions.is_empty() {
            return None;
        }
        let n = self.random.below(self.versions.len());
        self.versions
            .iter()
            .nth(n)
            .map(|(id, version)| (id.clone(), version.clone()))
    }

    /// What a rule of the store does with versions that are not the newest, in the bucket with Object Lock. A rule
    /// acts after days, and the store is told of holds every 15 minutes: so it is told before.
    async fn lifecycle(&mut self, totals: &Totals) {
        self.protect().await;
        self.say("lifecycle");
        let locked = self.places[1].bucket.clone();
        let listed = self.listed(&locked).await;
        for one in listed.iter().filter(|one| !one.latest && !one.marker) {
            let known = self.versions[&one.id].clone();
            match self.s3.delete(&one.id).await {
                Ok(()) => {
                    assert!(!known.protected, "{}: the store let it go", one.id);
                    self.versions.remove(&one.id);
                }
                Err(BucketError::Refused { .. }) => {
                    assert!(known.protected, "{}: refused without a hold", one.id);
                    Totals::add(&totals.refused, 1);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn open(&mut self) {
        let mut scope = MatterScope {
            prefix: Some(self.prefix.clone()),
            ..MatterScope::default()
        };
        if self.random.chance(40) {
            scope.buckets = vec![self.random.of(&self.places).bucket.clone()];
        }
        if self.random.chance(50) {
            let n = self.random.below(self.people.len());
            scope.person = Some(self.people[n].clone());
        }
        if self.random.chance(20) {
            scope.prefix = Some(format!("{}a", self.prefix));
        }
        let new = NewMatter {
            tenant: self.tenant,
            name: "matter".to_owned(),
            reason: "test".to_owned(),
            owner: "legal".to_owned(),
            custodian: "sales".to_owned(),
            scope: scope.clone(),
        };
        let id = self.world.holds.open(new, "user:a").await.unwrap().id;
        self.say(format!("hold {id} {scope:?}"));
        self.matters.push(Matter { id, scope });
    }

    async fn protect(&mut self) {
        self.say("protect");
        let scope = TenantScope::One(self.tenant);
        let done = self.world.holds.protect(scope, "job").await.unwrap();
        assert!(done.failed.is_empty(), "{done:?}");
        let matters = self.matters.clone();
        for (id, version) in &mut self.versions {
            let covered = matters.iter().any(|one| one.covers(id, version));
            version.protected |= covered;
        }
    }

    async fn release(&mut self) {
        if self.matters.is_empty() {
            return;
        }
        let n = self.random.below(self.matters.len());
        let matter = self.matters.remove(n);
        self.say(format!("release {}", matter.id));
        for (step, actor) in [
            (MatterStep::AskRelease, "user:a"),
            (MatterStep::Release, "user:b"),
        ] {
            let holds = &self.world.holds;
            holds.step(ALL, matter.id, step, None, actor).await.unwrap();
        }
    }

    async fn unprotect(&mut self) {
        self.say("unprotect");
        self.world.holds.unprotect("job").await.unwrap();
        let matters = self.matters.clone();
        for (id, version) in &mut self.versions {
            let covered = matters.iter().any(|one| one.covers(id, version));
            version.protected &= covered;
        }
    }

    async fn scan(&mut self, totals: &Totals) {
        self.say("scan");
        for place in self.places.clone() {
            let scans = &self.world.dlp.scans;
            let scan = scans.begin(ALL, place.id, "job").await.unwrap();
            let scan = scans.run(scan, "job", &mut |_| true).await.unwrap();
            assert_eq!(scan.state, ScanState::Done, "{}", scan.problem);
            let here = |id: &ObjectId| id.bucket == place.bucket;
            let versions = self.versions.keys().filter(|id| here(id)).count();
            let markers = self.markers.iter().filter(|id| here(id)).count();
            assert_eq!(scan.counts.listed as usize, versions + markers);
            enforce(&self.world.dlp, &place, "job").await.unwrap();
        }
        self.resume(totals).await;
        // Whatever has a card is gone, or is held.
        for (id, version) in &self.versions {
            let kept = version.protected || self.covered(id, version);
            assert!(kept || !version.has_card(), "{id} is still here");
        }
    }

    /// What quarantine did, as its rows say: each move is looked at in the store.
    async fn resume(&mut self, totals: &Totals) {
        self.say("resume");
        self.world.quarantine.resume("job").await.unwrap();
        let scope = TenantScope::One(self.tenant);
        for one in self.world.quarantine.list(scope, 1_000).await.unwrap() {
            if !one.source.key.starts_with(&self.prefix) {
                continue;
            }
            let gone = one.step >= QuarantineStep::Quarantined;
            if gone && let Some(version) = self.versions.remove(&one.source) {
                assert!(
                    !self.covered(&one.source, &version),
                    "{} was held",
                    one.source
                );
                assert!(!version.protected, "{} was protected", one.source);
                let copy = self.text(&one.copy).await;
                assert_eq!(copy.as_deref(), Some(version.body.as_str()), "{}", one.copy);
                Totals::add(&totals.quarantined, 1);
            }
            if !one.back_version.is_empty() {
                let back = ObjectId::new(&one.source.bucket, &one.source.key, &one.back_version);
                if !self.versions.contains_key(&back)
                    && let Some(head) = self.s3.head(&back).await.unwrap()
                {
                    let body = self.text(&back).await.unwrap();
                    let tags = self.s3.tags(&back).await.unwrap();
                    let category = tags.get(TAG_CATEGORY).map(String::as_str);
                    let version = Version {
                        body,
                        person: tags.get(TAG_PERSON).cloned(),
                        category: [Some("temporary"), Some("financial"), None]
                            .into_iter()
                            .find(|one| *one == category)
                            .unwrap(),
                        written: head.written,
                        protected: head.legal_hold || tags.contains_key("sealwright-held"),
                    };
                    self.versions.insert(back, version);
                }
            }
        }
    }

    async fn give_back(&mut self, totals: &Totals) {
        let scope = TenantScope::One(self.tenant);
        let quarantine = &self.world.quarantine;
        let mine: Vec<_> = quarantine
            .list(scope, 1_000)
            .await
            .unwrap()
            .into_iter()
            .filter(|one| one.source.key.starts_with(&self.prefix))
            .filter(|one| one.step == QuarantineStep::Quarantined)
            .collect();
        if mine.is_empty() {
            return;
        }
        let one = self.random.of(&mine).clone();
        self.say(format!("give back {}", one.source));
        let quarantine = &self.world.quarantine;
        quarantine.ask_release(ALL, one.id, "user:a").await.unwrap();
        quarantine.release(ALL, one.id, "user:b").await.unwrap();
        self.resume(totals).await;
    }

    async fn retain(&mut self, totals: &Totals) {
        let days = 10 + self.random.below(50) as i64;
        self.world.clock.advance(days * DAY);
        let now = self.world.clock.now();
        self.say(format!("retain, {days} days later"));
        let retention = &self.world.retention;
        let scope = TenantScope::One(self.tenant);
        let plan = retention
            .draft(self.tenant, now, None, "user:a")
            .await
            .unwrap();
        retention.announce(scope, plan.id, "user:a").await.unwrap();
        retention.approve(scope, plan.id, "user:b").await.unwrap();
        if self.random.chance(20) {
            // A clock that went back: nothing goes, here and in the lake.
            self.say("the clock goes back");
            self.world.clock.advance(-DAY);
            let refused = retention.apply(scope, plan.id, "job").await.unwrap_err();
            assert!(matches!(refused, DlpError::Conflict(_)), "{refused}");
            self.world.dlp.register.ask().await.unwrap_err();
            self.world.clock.advance(DAY);
        }
        self.world
            .retention
            .apply(scope, plan.id, "job")
            .await
            .unwrap();
        self.took(plan.id, totals).await;
    }

    /// What a plan took: only what could go, and the rest is kept.
    async fn took(&mut self, plan: sealwright_dlp::model::plan::PlanId, totals: &Totals) {
        let now = self.world.clock.now();
        let (_, mut items) = self.world.retention.plan(ALL, plan).await.unwrap();
        // A marker goes after the last version under it, wherever the plan lists it.
        items.sort_by_key(|item| item.marker);
        for item in items {
            match item.result.as_str() {
                "erased" => {
                    let version = self.versions.remove(&item.id).unwrap();
                    assert!(!self.covered(&item.id, &version), "{} was held", item.id);
                    assert!(!version.protected, "{} was protected", item.id);
                    assert_eq!(version.category, Some("temporary"), "{}", item.id);
                    let asked = self
                        .erasures
                        .iter()
                        .any(|(_, person)| Some(person) == version.person.as_ref());
                    let over = now >= version.written.plus(TEMPORARY + GRACE);
                    assert!(asked || over, "{} went too early", item.id);
                    Totals::add(&totals.erased, 1);
                }
                "marker-removed" => {
                    assert!(self.markers.remove(&item.id), "{}", item.id);
                    let left = self
                        .versions
                        .keys()
                        .any(|id| (&id.bucket, &id.key) == (&item.id.bucket, &item.id.key));
                    assert!(!left, "{}: versions are left under it", item.id);
                }
                _ => Totals::add(&totals.kept, 1),
            }
        }
    }

    async fn erase(&mut self, totals: &Totals) {
        let person = self.random.of(&self.people).clone();
        let known = self.erasures.iter().find(|(_, one)| *one == person);
        let retention = &self.world.retention;
        let id = match known.map(|(id, _)| *id) {
            Some(id) => id,
            None => {
                let asked = retention.ask_erasure(self.tenant, &person, "asked", "user:a");
                let id = asked.await.unwrap().id;
                self.erasures.push((id, person.clone()));
                id
            }
        };
        self.say(format!("erase {person}"));
        let scope = TenantScope::One(self.tenant);
        let now = self.world.clock.now();
        let retention = &self.world.retention;
        let plan = retention
            .draft(self.tenant, now, Some(id), "user:a")
            .await
            .unwrap();
        retention.approve(scope, plan.id, "user:b").await.unwrap();
        retention.apply(scope, plan.id, "job").await.unwrap();
        self.took(plan.id, totals).await;
        // The certificate is given when nothing of the person's is left, and only then.
        let left = self
            .versions
            .values()
            .any(|version| version.person.as_deref() == Some(&person));
        let away = self
            .world
            .quarantine
            .list(scope, 1_000)
            .await
            .unwrap()
            .into_iter()
            .any(|one| {
                one.step != QuarantineStep::Released
                    && !one.copy.version.is_empty()
                    && one.tags.get(TAG_PERSON) == Some(&person)
            });
        let closed = self
            .world
            .retention
            .close_erasure(scope, id, "user:b")
            .await;
        assert_eq!(closed.is_ok(), !left && !away, "{closed:?}");
        if closed.is_ok() {
            Totals::add(&totals.certificates, 1);
            self.erasures.retain(|(one, _)| *one != id);
        }
    }

    async fn text(&self, id: &ObjectId) -> Option<String> {
        let pieces = self.s3.get(id).await.ok()?;
        let pieces: Vec<Bytes> = pieces.try_collect().await.unwrap();
        Some(String::from_utf8(pieces.concat()).unwrap())
    }

    async fn listed(&self, bucket: &str) -> Vec<sealwright_dlp::service::bucket::Listed> {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let page = self
                .s3
                .list(bucket, &self.prefix, from.as_ref())
                .await
                .unwrap();
            all.extend(page.versions);
            from = page.next;
            if from.is_none() {
                return all;
            }
        }
    }

    /// The store has what the model has, and what was held before the step is still to be read.
    async fn agree(&self, held_before: &[(ObjectId, Version)]) {
        let mut there = BTreeSet::new();
        let mut markers = BTreeSet::new();
        for place in &self.places {
            for one in self.listed(&place.bucket).await {
                if one.marker {
                    markers.insert(one.id);
                } else {
                    there.insert(one.id);
                }
            }
        }
        let known: BTreeSet<ObjectId> = self.versions.keys().cloned().collect();
        assert_eq!(there, known, "versions: the store's and the model's view");
        assert_eq!(
            markers, self.markers,
            "markers: the store's and the model's view"
        );
        for (id, _) in held_before {
            assert!(there.contains(id), "{id} was held and is lost");
        }
    }

    async fn step(&mut self, totals: &Totals) {
        let held = self.held();
        match self.random.below(100) {
            0..=29 => self.write().await,
            30..=34 => self.mark().await,
            35..=44 => self.open().await,
            45..=51 => self.protect().await,
            52..=59 => self.release().await,
            60..=65 => self.unprotect().await,
            66..=74 => self.scan(totals).await,
            75..=79 => self.give_back(totals).await,
            80..=87 => self.retain(totals).await,
            88..=92 => self.lifecycle(totals).await,
            _ => self.erase(totals).await,
        }
        self.agree(&held).await;
        Totals::add(&totals.steps, 1);
    }

    /// Everything is released: what was kept for a hold only can go now, and does.
    async fn end(&mut self, totals: &Totals) {
        while !self.matters.is_empty() {
            self.release().await;
        }
        self.unprotect().await;
        self.resume(totals).await;
        self.agree(&[]).await;
        for (id, version) in &self.versions {
            let head = self.s3.head(id).await.unwrap().unwrap();
            assert!(!head.legal_hold, "{id} is held and nothing holds it");
            let body = self.text(id).await;
            assert_eq!(body.as_deref(), Some(version.body.as_str()), "{id}");
        }
        for person in self.people.clone() {
            let asked = self.erasures.iter().find(|(_, one)| *one == person);
            let Some(id) = asked.map(|(id, _)| *id) else {
                continue;
            };
            let temporary = |version: &Version| {
                version.person.as_ref() == Some(&person) && version.category == Some("temporary")
            };
            let scope = TenantScope::One(self.tenant);
            let now = self.world.clock.now();
            let retention = &self.world.retention;
            let plan = retention
                .draft(self.tenant, now, Some(id), "user:a")
                .await
                .unwrap();
            retention.approve(scope, plan.id, "user:b").await.unwrap();
            retention.apply(scope, plan.id, "job").await.unwrap();
            self.took(plan.id, totals).await;
            assert!(!self.versions.values().any(temporary), "{person}");
        }
        self.agree(&[]).await;
        Totals::add(&totals.written, usize::try_from(self.written).unwrap());
        // Away with it, so that thousands of them fit into a store in memory.
        for id in self.versions.keys().chain(&self.markers) {
            self.s3.delete(id).await.unwrap();
        }
        for place in &self.places {
            let gone = sql("DELETE FROM dlp_place WHERE id = $1").bind(place.id);
            self.world.store.store.execute(gone).await.unwrap();
        }
    }
}

async fn play(
    world: &World,
    s3: &S3,
    (plain, locked, away): (&str, &str, &str),
    tenant: TenantId,
    seed: u64,
    totals: &Totals,
) {
    let prefix = format!("{seed:08x}/");
    let mut places = Vec::new();
    for bucket in [plain, locked] {
        let new = NewPlace {
            tenant,
            bucket: bucket.to_owned(),
            prefix: prefix.clone(),
            quarantine: away.to_owned(),
            scheduled: true,
        };
        places.push(world.dlp.places.add(new, "user:a").await.unwrap());
    }
    let people = (0..2).map(|n| format!("p{n}-{seed:x}")).collect();
    let mut case = Case {
        world,
        s3,
        random: Random::new(seed),
        tenant,
        places,
        prefix,
        people,
        versions: BTreeMap::new(),
        markers: BTreeSet::new(),
        matters: Vec::new(),
        erasures: Vec::new(),
        written: 0,
        steps: Vec::new(),
    };
    for _ in 0..3 {
        case.write().await;
    }
    let steps = 8 + case.random.below(8);
    for _ in 0..steps {
        case.step(totals).await;
    }
    case.end(totals).await;
}

/// The policies of a tenant: what has a card goes into quarantine.
async fn policies(world: &World, tenant: TenantId) {
    for severity in [
        Severity::Critical,
        Severity::High,
        Severity::Medium,
        Severity::Low,
    ] {
        for mode in [PolicyMode::DryRun, PolicyMode::Enforce] {
            let new = NewPolicy {
                scope: PolicyScope {
                    tenant: Some(tenant),
                    bucket: None,
                    class: None,
                    severity,
                },
                action: PolicyAction::Quarantine,
                original: Original::Quarantine,
                alert: false,
                mode,
            };
            world.dlp.policies.set(new, None, "user:a").await.unwrap();
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_is_held_is_lost_in_any_order() {
    let Some((s3, run)) = store() else { return };
    let seed = number("SEALWRIGHT_TEST_SEED");
    let count = match seed {
        Some(_) => 1,
        None => number("SEALWRIGHT_TEST_INTERLEAVINGS").unwrap_or(FEW),
    };
    let names = [format!("p-{run}"), format!("l-{run}"), format!("q-{run}")];
    bucket(&s3, &names[0], false).await;
    bucket(&s3, &names[1], true).await;
    bucket(&s3, &names[2], false).await;
    let first = number("SEALWRIGHT_TEST_FIRST_SEED").unwrap_or(1);
    let next = Arc::new(AtomicU64::new(0));
    let totals = Arc::new(Totals::default());
    let started = std::time::Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    // They wait for the store most of the time: many at once are played in the time of a few.
    for _ in 0..(count / 8).clamp(1, MOST_AT_ONCE) {
        let (s3, names) = (s3.clone(), names.clone());
        let (next, totals) = (Arc::clone(&next), Arc::clone(&totals));
        workers.spawn(async move {
            let world = World::over(Arc::new(s3.clone())).await;
            // The store's clock is the real one, so the program's must not be behind it.
            let now = sealwright_core::SystemClock.now();
            world.clock.set(now.max(world.clock.now()));
            let mut tenant = world.acme;
            let mut played = 0_u64;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                if played.is_multiple_of(PER_TENANT) {
                    tenant = TenantId::new(world.clock.now());
                    policies(&world, tenant).await;
                }
                played += 1;
                let seed = seed.unwrap_or(first + number);
                let buckets = (names[0].as_str(), names[1].as_str(), names[2].as_str());
                let playing = play(&world, &s3, buckets, tenant, seed, &totals);
                let mut guard = Named(Some(seed));
                playing.await;
                guard.0 = None;
                if (number + 1).is_multiple_of(500) {
                    report(number + 1, started, &totals);
                }
            }
        });
    }
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
    report(count, started, &totals);
    if count >= FEW {
        for (what, n) in [
            ("quarantined", &totals.quarantined),
            ("erased", &totals.erased),
            ("kept", &totals.kept),
            ("certificates", &totals.certificates),
        ] {
            assert!(n.load(Ordering::Relaxed) > 0, "no version was ever {what}");
        }
    }
}

/// Names the seed when its interleaving fails.
struct Named(Option<u64>);

impl Drop for Named {
    fn drop(&mut self) {
        #[allow(clippy::print_stderr)]
        if let Some(seed) = self.0 {
            eprintln!("SEALWRIGHT_TEST_SEED={seed}");
        }
    }
}

fn report(count: u64, started: std::time::Instant, totals: &Totals) {
    let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
    #[allow(clippy::print_stderr)]
    {
        eprintln!(
            "{count} interleavings in {:.0} s: {} steps, {} versions written, {} quarantined, {} erased, {} kept, \
             {} deletions refused by the store, {} certificates",
            started.elapsed().as_secs_f64(),
            of(&totals.steps),
            of(&totals.written),
            of(&totals.quarantined),
            of(&totals.erased),
            of(&totals.kept),
            of(&totals.refused),
            of(&totals.certificates),
        );
    }
}
