//! Sources: made, changed, wound back, deleted, looked at.

use std::collections::HashMap;

use sealwright_access::{Action, Principal};
use sealwright_core::Page;
use secrecy::ExposeSecret as _;

use super::input::{self, NewSource, SourceChange, invalid};
use super::{PrometheusService, Result, bad_cursor, cut, not_found, page};
use crate::error::PrometheusError;
use crate::model::{QuietSeries, Source, SourceId, Totals, WindowRow};
use crate::store;

/// Sources of an installation.
const MOST_SOURCES: i64 = 500;

fn source_id(text: &str) -> Result<SourceId> {
    text.parse().map_err(|_| not_found("source", text))
}

impl PrometheusService {
    /// Sources, newest first.
    ///
    /// # Errors
    /// [`PrometheusError::Invalid`] for a bad cursor; [`PrometheusError::Refused`] for who may not.
    pub async fn sources(
        &self,
        by: &Principal,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Page<Source>> {
        self.allow(by, Action::PrometheusRead)?;
        let (rows, before) = page(limit, cursor)?;
        let items = store::list_sources(&self.store, &before, rows as i64 + 1).await?;
        Ok(cut(items, rows, |source| source.id.to_string()))
    }

    /// One source.
    ///
    /// # Errors
    /// [`PrometheusError::NotFound`]; likewise below.
    pub async fn source(&self, by: &Principal, id: &str) -> Result<Source> {
        self.allow(by, Action::PrometheusRead)?;
        store::read_source(&self.store, source_id(id)?)
            .await?
            .ok_or_else(|| not_found("source", id))
    }

    /// What the windows of each source add up to, over 90 days; sources without windows are absent.
    ///
    /// # Errors
    /// See [`Self::sources`].
    pub async fn totals(
        &self,
        by: &Principal,
        source: Option<SourceId>,
    ) -> Result<HashMap<SourceId, Totals>> {
        self.allow(by, Action::PrometheusRead)?;
        Ok(store::totals(&self.store, source).await?)
    }

    /// What became of a source's windows, the latest first; kept for 90 days.
    ///
    /// # Errors
    /// [`PrometheusError::Invalid`] for a bad cursor.
    pub async fn windows(
        &self,
        by: &Principal,
        id: &str,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Page<WindowRow>> {
        let source = self.source(by, id).await?;
        let (rows, before) = page(limit, cursor)?;
        let before = match before.as_str() {
            "" => i64::MAX,
            text => text.parse().map_err(|_| bad_cursor())?,
        };
        let items = store::list_windows(&self.store, source.id, before, rows as i64 + 1).await?;
        Ok(cut(items, rows, |row| row.end.0.to_string()))
    }

    /// Series that had no sample in the last window that was decided, at most 500, those that fell silent last
    /// first. A series is forgotten a week after its last sample.
    ///
    /// # Errors
    /// See [`Self::source`].
    pub async fn quiet(&self, by: &Principal, id: &str, limit: u32) -> Result<Vec<QuietSeries>> {
        let source = self.source(by, id).await?;
        let before = source.done_through.plus(-source.definition.interval());
        let rows = i64::from(limit.clamp(1, 500));
        Ok(store::quiet_series(&self.store, source.id, before, rows).await?)
    }

    /// Makes a source.
    ///
    /// # Errors
    /// [`PrometheusError::Invalid`] names what is not acceptable; [`PrometheusError::Conflict`] for a name that is
    /// taken.
    pub async fn create(&self, by: &Principal, new: &NewSource) -> Result<Source> {
        self.allow(by, Action::PrometheusWrite)?;
        let definition = input::definition(new, |name| {
            self.directory
                .resolve(name)
                .map(|tenant| tenant.id)
                .ok_or_else(|| not_found("tenant", name))
        })?;
        let now = self.now();
        let id = SourceId::new(now);
        let (credential, secret) = input::credential(&new.credential)?;
        let source = Source {
            id,
            name: input::name(&new.name)?,
            url: input::url(&self.egress, &new.url)?,
            credential,
            sealed: self.seal(id, secret.expose_secret().as_bytes())?,
            delay: input::delay(new.delay_seconds)?,
            catch_up: input::catch_up(new.catch_up_seconds)?,
            enabled: true,
            done_through: input::from(new.from.as_deref(), &definition, now)?,
            failures: 0,
            failing_since: None,
            last_error: None,
            last_error_at: None,
            last_done_at: None,
            next_try_at: now,
            version: 1,
            created_at: now,
            updated_at: now,
            definition,
        };
        input::reaches(source.catch_up, source.delay, source.definition.interval())?;
        let mut tx = self.store.begin().await?;
        tx.lock("prometheus sources").await?;
        let (count, named) = store::count_sources(&mut tx, &source.name, id).await?;
        if count >= MOST_SOURCES {
            return Err(PrometheusError::Conflict(format!(
                "there are {MOST_SOURCES} sources already; delete one"
            )));
        }
        taken_name(named, &source.name)?;
        store::insert_source(&mut tx, &source).await?;
        self.record(
            &mut tx,
            by,
            "prometheus.source.create",
            id.to_string(),
            (None, Some(&source)),
        )
        .await?;
        tx.commit().await?;
        Ok(source)
    }

    /// Changes a source; with `version` only if it still has that one.
    ///
    /// # Errors
    /// [`PrometheusError::Invalid`], [`PrometheusError::Changed`], [`PrometheusError::Conflict`].
    pub async fn change(
        &self,
        by: &Principal,
        id: &str,
        version: Option<i64>,
        change: &SourceChange,
    ) -> Result<Source> {
        self.allow(by, Action::PrometheusWrite)?;
        let mut tx = self.store.begin().await?;
        tx.lock("prometheus sources").await?;
        let before = store::lock_source(&mut tx, source_id(id)?)
            .await?
            .ok_or_else(|| not_found("source", id))?;
        expected(version, &before)?;
        let mut after = before.clone();
        if let Some(name) = &change.name {
            after.name = input::name(name)?;
            let (_, named) = store::count_sources(&mut tx, &after.name, after.id).await?;
            taken_name(named, &after.name)?;
        }
        let mut credential = change.credential.clone();
        if let Some(url) = &change.url {
            after.url = input::url(&self.egress, url)?;
            if !input::same_server(&before.url, &after.url) && credential.is_none() {
                // Who may change an address must not learn the credential by it.
                credential = Some(input::NewCredential::None);
            }
        }
        if let Some(given) = &credential {
            let (kind, secret) = input::credential(given)?;
            after.credential = kind;
            after.sealed = self.seal(after.id, secret.expose_secret().as_bytes())?;
        }
        if change.delay_seconds.is_some() {
            after.delay = input::delay(change.delay_seconds)?;
        }
        if change.catch_up_seconds.is_some() {
            after.catch_up = input::catch_up(change.catch_up_seconds)?;
        }
        input::reaches(after.catch_up, after.delay, after.definition.interval())?;
        if let Some(enabled) = change.enabled {
            after.enabled = enabled;
        }
        self.write(&mut tx, by, "prometheus.source.change", &before, &mut after)
            .await?;
        tx.commit().await?;
        Ok(after)
    }

    async fn write(
        &self,
        tx: &mut sealwright_store::Tx,
        by: &Principal,
        action: &'static str,
        before: &Source,
        after: &mut Source,
    ) -> Result<()> {
        let now = self.now();
        // A person who changed something waits for what it does.
        (after.updated_at, after.next_try_at) = (now, now);
        if store::update_source(tx, after, before.version).await? == 0 {
            return Err(PrometheusError::Changed {
                found: before.version + 1,
            });
        }
        after.version = before.version + 1;
        let both = (Some(before), Some(&*after));
        self.record(tx, by, action, before.id.to_string(), both)
            .await
    }

    /// Winds a source back, so that the windows after `to` are asked for again. What is in the log already is not
    /// counted twice: the same window of the same series has the same event. What could not be counted then is
    /// counted now: series of tenants that are known meanwhile, events that were refused.
    ///
    /// # Errors
    /// [`PrometheusError::Invalid`] for a moment that is not before what was decided.
    pub async fn rewind(&self, by: &Principal, id: &str, to: &str) -> Result<Source> {
        self.allow(by, Action::PrometheusWrite)?;
        let mut tx = self.store.begin().await?;
        let before = store::lock_source(&mut tx, source_id(id)?)
            .await?
            .ok_or_else(|| not_found("source", id))?;
        let now = self.now();
        let to = input::from(Some(to), &before.definition, now).map_err(|error| match error {
            PrometheusError::Invalid { detail, .. } => invalid("to", detail),
            other => other,
        })?;
        if to > before.done_through {
            return Err(invalid(
                "to",
                format!(
                    "is after {}, up to where it was counted",
                    before.done_through
                ),
            ));
        }
        let mut after = before.clone();
        after.done_through = to;
        store::forget_after(&mut tx, before.id, to).await?;
        self.write(&mut tx, by, "prometheus.source.rewind", &before, &mut after)
            .await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Lets a source be asked at the next look, whatever pause it is in.
    ///
    /// # Errors
    /// [`PrometheusError::Conflict`] for one that is switched off.
    pub async fn retry(&self, by: &Principal, id: &str) -> Result<Source> {
        self.allow(by, Action::PrometheusWrite)?;
        let mut tx = self.store.begin().await?;
        let before = store::lock_source(&mut tx, source_id(id)?)
            .await?
            .ok_or_else(|| not_found("source", id))?;
        if !before.enabled {
            return Err(PrometheusError::Conflict(
                "the source is switched off; switch it on".to_owned(),
            ));
        }
        let mut after = before.clone();
        self.write(&mut tx, by, "prometheus.source.retry", &before, &mut after)
            .await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Deletes a source with its credential. Its events stay.
    ///
    /// # Errors
    /// [`PrometheusError::NotFound`].
    pub async fn delete(&self, by: &Principal, id: &str) -> Result<()> {
        self.allow(by, Action::PrometheusWrite)?;
        let mut tx = self.store.begin().await?;
        let before = store::lock_source(&mut tx, source_id(id)?)
            .await?
            .ok_or_else(|| not_found("source", id))?;
        store::delete_source(&mut tx, before.id).await?;
        self.record(
            &mut tx,
            by,
            "prometheus.source.delete",
            before.id.to_string(),
            (Some(&before), None),
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Seals the credentials again that are not sealed with the first key; how many.
    ///
    /// # Errors
    /// [`PrometheusError::Secret`] when one cannot be opened; those before it are sealed again.
    pub async fn reseal(&self, by: &Principal) -> Result<u64> {
        self.allow(by, Action::PrometheusWrite)?;
        let mut count = 0;
        for source in store::list_sources(&self.store, "", MOST_SOURCES).await? {
            if self.ring.is_current(&source.sealed) {
                continue;
            }
            let sealed = self.seal(source.id, self.unseal(&source)?.expose_secret())?;
            let mut tx = self.store.begin().await?;
            count += store::reseal(&mut tx, source.id, &source.sealed, &sealed).await?;
            let key = self.ring.current().to_owned();
            self.record(
                &mut tx,
                by,
                "prometheus.source.reseal",
                source.id.to_string(),
                (None, Some(&key)),
            )
            .await?;
            tx.commit().await?;
        }
        Ok(count)
    }
}

fn taken_name(named: i64, name: &str) -> Result<()> {
    if named > 0 {
        return Err(PrometheusError::Conflict(format!(
            "there is a source named `{name}` already"
        )));
    }
    Ok(())
}

fn expected(version: Option<i64>, source: &Source) -> Result<()> {
    match version {
        Some(version) if version != source.version => Err(PrometheusError::Changed {
            found: source.version,
        }),
        _ => Ok(()),
    }
}
