use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use sealwright_core::{Digest, ManualClock, TenantId, UnixMicros, canonical_json};
use sealwright_events::{Consumer as _, HeldEvents, HoldError, HoldRegister, Holds, StoredEvent};
use sealwright_lake::{Lake, LakeWriter, WritePolicy};
use serde_json::json;

/// 2026-11-23T12:00:00Z.
pub(crate) const NOW: UnixMicros = UnixMicros(1_795_435_200_000_000);
pub(crate) const DAY: i64 = sealwright_core::clock::DAY;
pub(crate) const HOUR: i64 = sealwright_core::clock::HOUR;

pub(crate) fn tenant(n: u128) -> TenantId {
    format!("ten_{n:032x}").parse().unwrap()
}

/// What differs between events; the rest follows.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) tenant: u128,
    pub(crate) event_type: String,
    pub(crate) time: UnixMicros,
    pub(crate) subject: Option<String>,
    pub(crate) quantity: i64,
}

pub(crate) fn spec(n: u64) -> Spec {
    let types = [
        "sealwright.usage.ai.v1",
        "sealwright.usage.storage.v1",
        "sealwright.audit.login.v1",
        "com.example.order.created",
    ];
    Spec {
        tenant: u128::from(n % 5),
        event_type: types[(n / 3) as usize % 4].to_owned(),
        time: NOW.plus(-((n % 4) as i64) * DAY - (n as i64) * 1_234_567),
        subject: (!n.is_multiple_of(7)).then(|| format!("user-{}", n % 11)),
        quantity: (n % 100) as i64,
    }
}

pub(crate) fn event(offset: u64, spec: &Spec) -> StoredEvent {
    let id = format!("id-{offset}");
    let mut value = json!({
        "specversion": "1.0",
        "id": id,
        "source": "/test",
        "type": spec.event_type,
        "time": spec.time.to_string(),
        "data": {"model": format!("m-{}", offset % 3), "quantity": spec.quantity, "cost": "0.0001"},
    });
    if let Some(subject) = &spec.subject {
        value["subject"] = json!(subject);
    }
    let json = canonical_json(&value);
    StoredEvent {
        offset,
        tenant: tenant(spec.tenant),
        received_at: NOW.plus(offset as i64),
        time: spec.time,
        id,
        source: "/test".to_owned(),
        event_type: spec.event_type.clone(),
        subject: spec.subject.clone(),
        digest: Digest::of(&json),
        json: Bytes::from(json),
    }
}

pub(crate) fn events(range: std::ops::Range<u64>) -> Vec<StoredEvent> {
    range.map(|n| event(n, &spec(n))).collect()
}

pub(crate) async fn open(folder: &Path) -> Lake {
    Lake::open_with(folder, Arc::new(ManualClock::new(NOW)))
        .await
        .unwrap()
}

/// Appends each slice as a commit of its own.
pub(crate) async fn append(lake: &Lake, batches: &[&[StoredEvent]]) {
    let writer = LakeWriter::new(lake.clone(), WritePolicy::default());
    for batch in batches {
        writer.consume(batch).await.unwrap();
        writer.flush().await.unwrap();
    }
}

/// Everything in the lake, by offset.
pub(crate) async fn all(lake: &Lake) -> Vec<StoredEvent> {
    use sealwright_core::TenantScope;
    use sealwright_lake::{EventFilter, Order};
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = lake
            .events_of(
                TenantScope::All,
                &EventFilter::default(),
                Order::OldestFirst,
                cursor.as_ref(),
                1_000,
            )
            .await
            .unwrap();
        found.extend(page.events);
        match page.next {
            Some(next) => cursor = Some(next),
            None => return found,
        }
    }
}

/// All files under `folder`, with their bytes.
pub(crate) fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

pub(crate) fn data_files(folder: &Path) -> Vec<std::path::PathBuf> {
    files(&folder.join("events"))
        .into_iter()
        .map(|(path, _)| path)
        .filter(|p| p.extension().is_some_and(|e| e == "parquet"))
        .filter(|p| !p.to_string_lossy().contains("_delta_log"))
        .collect()
}

/// A register with what it says, question by question; the last answer stands from then on.
#[derive(Debug)]
pub(crate) struct Register(Mutex<Vec<Result<Vec<HeldEvents>, HoldError>>>);

impl Register {
    pub(crate) fn saying(answers: Vec<Result<Vec<HeldEvents>, HoldError>>) -> Self {
        Self(Mutex::new(answers))
    }

    pub(crate) fn holding(events: Vec<HeldEvents>) -> Self {
        Self::saying(vec![Ok(events)])
    }

    pub(crate) fn empty() -> Self {
        Self::holding(Vec::new())
    }
}

#[async_trait]
impl HoldRegister for Register {
    async fn ask(&self) -> Result<Holds, HoldError> {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        };
        answer.map(|events| Holds::new(events, Box::new(())))
    }
}

/// A matter over a tenant's events.
pub(crate) fn held(n: u128, subject: Option<&str>) -> HeldEvents {
    HeldEvents {
        tenant: tenant(n),
        subject: subject.map(str::to_owned),
        from: None,
        to: None,
        by: "mat_1".to_owned(),
    }
}
