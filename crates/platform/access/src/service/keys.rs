//! API keys.

use std::fmt;

use sealwright_core::{Page, TenantScope, UnixMicros};
use serde::Serialize;

use super::{AccessService, Change, Idempotency, ListFilter, Result, json, line, page};
use crate::error::AccessError;
use crate::model::{ApiKey, KeyId, NewKey, TenantState};
use crate::policy::Who;
use crate::principal::{Principal, PrincipalKind};
use crate::role::{Action, Scopes};
use crate::secret::{self, KeyForm};
use crate::store;

/// A new key, with its secret: the only time that it is to be had.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct CreatedKey {
    /// The record.
    #[serde(flatten)]
    pub record: ApiKey,
    /// The secret. Absent when the request was a repetition (`Idempotency-Key`): it was shown once, and
    /// is not stored. Rotate the key if the first answer was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedKey")
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

impl AccessService {
    /// Creates a key. Nobody can give a scope or a tenant that they do not have.
    ///
    /// # Errors
    /// [`AccessError::Scope`], [`AccessError::Refused`], [`AccessError::NotFound`] for the tenant.
    pub async fn create_key(&self, by: &Principal, new: NewKey) -> Result<CreatedKey> {
        Ok(self.create_key_once(by, new, None).await?.0)
    }

    /// As [`Self::create_key`], done once for each `Idempotency-Key`; `true` for a repetition.
    pub(crate) async fn create_key_once(
        &self,
        by: &Principal,
        new: NewKey,
        request: Option<&str>,
    ) -> Result<(CreatedKey, bool)> {
        by.require(Action::AccessAdmin)?;
        let request = Idempotency::new(request, "key", &new)?;
        let scopes = Scopes::parse(new.scopes.iter().map(String::as_str))?;
        let who = Who::Key {
            all_tenants: new.tenant.is_none(),
        };
        by.require_no_less(who, Some(&scopes))?;
        let now = self.now();
        let expires_at = new.expires_at.as_deref().map(expiry).transpose()?;
        if expires_at.is_some_and(|at| at <= now) {
            return Err(AccessError::Invalid {
                field: "expires_at",
                detail: "is in the past".to_owned(),
            });
        }
        let name = line("name", new.name.as_deref().unwrap_or("unnamed"), 100)?;
        let tenant_id = match &new.tenant {
            Some(text) => Some(self.tenant_in(by.tenants, text).await?.id),
            None => {
                by.require_all_tenants()?;
                None
            }
        };
        let key = secret::api_key()?;
        let record = ApiKey {
            id: KeyId::new(now),
            tenant_id,
            name,
            hint: secret::hint(&key),
            scopes,
            created_by: by.id.clone(),
            version: 1,
            created_at: now,
            expires_at,
            revoked_at: None,
            last_used_at: None,
        };
        let mut tx = self.store.begin().await?;
        if let Some(id) = Idempotency::seen(request.as_ref(), &mut tx, by).await? {
            let there = store::find_key(&mut tx, by.tenants, &id).await?;
            tx.rollback().await?;
            let record = there.ok_or_else(|| AccessError::not_found("key", id))?;
            return Ok((CreatedKey { record, key: None }, true));
        }
        store::insert_key(&mut tx, &record, secret::hash(&key)).await?;
        let change = Change {
            action: "access.key.create",
            tenant: tenant_id,
            subject: record.id.to_string(),
            before: None,
            after: json(&record),
        };
        self.record(&mut tx, by, change).await?;
        Idempotency::keep(request.as_ref(), &mut tx, by, &record.id.to_string(), now).await?;
        tx.commit().await?;
        let key = Some(key);
        Ok((CreatedKey { record, key }, false))
    }

    /// Keys, oldest first.
    ///
    /// # Errors
    /// [`AccessError::Refused`], [`AccessError::Invalid`] for a bad cursor.
    pub async fn keys(&self, by: &Principal, filter: &ListFilter) -> Result<Page<ApiKey>> {
        by.require(Action::AccessRead)?;
        let rows = filter.rows();
        let found =
            store::list_keys(&self.store, by.tenants, &filter.after()?, rows as i64 + 1).await?;
        Ok(page(found, rows, |key| key.id.to_string()))
    }

    /// One key.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], also for one of another tenant.
    pub async fn key(&self, by: &Principal, id: &str) -> Result<ApiKey> {
        by.require(Action::AccessRead)?;
        self.key_in(by.tenants, id).await
    }

    async fn key_in(&self, scope: TenantScope, id: &str) -> Result<ApiKey> {
        store::read_key(&self.store, scope, id)
            .await?
            .ok_or_else(|| AccessError::not_found("key", id))
    }

    /// Revokes a key: from now on it is refused by every process. Revoking twice changes nothing.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], [`AccessError::Changed`].
    pub async fn revoke_key(
        &self,
        by: &Principal,
        id: &str,
        version: Option<i64>,
    ) -> Result<ApiKey> {
        by.require(Action::AccessAdmin)?;
        let mut tx = self.store.begin().await?;
        let before = store::find_key(&mut tx, by.tenants, id)
            .await?
            .ok_or_else(|| AccessError::not_found("key", id))?;
        if version.is_some_and(|version| version != before.version) {
            return Err(AccessError::Changed {
                found: before.version,
            });
        }
        if before.revoked_at.is_some() {
            tx.rollback().await?;
            return Ok(before);
        }
        let after = ApiKey {
            revoked_at: Some(self.now()),
            version: before.version + 1,
            ..before.clone()
        };
        if store::revoke_key(&mut tx, &after).await? == 0 {
            return Err(AccessError::Store(sealwright_store::StoreError::Contended));
        }
        let change = Change {
            action: "access.key.revoke",
            tenant: after.tenant_id,
            subject: after.id.to_string(),
            before: json(&before),
            after: json(&after),
        };
        self.record(&mut tx, by, change).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// A new key with the name, tenant, scopes and expiry of `id`, which is revoked.
    ///
    /// # Errors
    /// [`AccessError::NotFound`]; [`AccessError::Conflict`] when it is revoked or expired.
    pub async fn rotate_key(&self, by: &Principal, id: &str) -> Result<CreatedKey> {
        by.require(Action::AccessAdmin)?;
        let old = self.key_in(by.tenants, id).await?;
        let state = old.state(self.now());
        if state != "active" {
            return Err(AccessError::Conflict(format!(
                "key {id} is {state}; create a new one"
            )));
        }
        let new = NewKey {
            tenant: old.tenant_id.map(|id| id.to_string()),
            name: Some(old.name.clone()),
            scopes: old.scopes.names().iter().map(|s| (*s).to_owned()).collect(),
            expires_at: old.expires_at.map(|at| at.to_string()),
        };
        // The new one first: a crash between the two leaves a key too many, never one too few.
        let created = self.create_key(by, new).await?;
        self.revoke_key(by, id, None).await?;
        Ok(created)
    }

    /// Who a presented key is. Form and checksum are looked at before the database is asked.
    ///
    /// # Errors
    /// [`AccessError::Unauthorized`], saying whether the key is damaged, unknown, expired or revoked;
    /// [`AccessError::Refused`] when its tenant is suspended.
    pub async fn authenticate_key(&self, presented: &str) -> Result<Principal> {
        match secret::check_key_form(presented) {
            KeyForm::Good => {}
            KeyForm::Damaged => {
                return Err(AccessError::Unauthorized(
                    "the API key is cut or mistyped: its checksum does not match",
                ));
            }
            KeyForm::Other => {
                return Err(AccessError::Unauthorized(
                    "the bearer token is not an API key (those start with swk_)",
                ));
            }
        }
        let unknown = AccessError::Unauthorized("the API key is not known here");
        let hash = secret::hash(presented);
        let Some((key, stored)) = store::find_key_by_hash(&self.store, hash).await? else {
            return Err(unknown);
        };
        if !secret::same(&stored, &hash.to_string()) {
            return Err(unknown);
        }
        let now = self.now();
        match key.state(now) {
            "active" => {}
            "revoked" => return Err(AccessError::Unauthorized("the API key was revoked")),
            _ => return Err(AccessError::Unauthorized("the API key has expired")),
        }
        if let Some(tenant) = key.tenant_id {
            self.require_active(tenant).await?;
        }
        self.note_use(key.id, now);
        Ok(Principal {
            kind: PrincipalKind::Key,
            id: key.id.to_string(),
            name: key.name,
            roles: Vec::new(),
            tenants: key.tenant_id.map_or(TenantScope::All, TenantScope::One),
            scopes: Some(key.scopes),
            policies: self.policies.clone(),
        })
    }

    /// Refuses credentials of a suspended tenant. A tenant that this process has not heard of yet is
    /// looked up.
    pub(crate) async fn require_active(&self, tenant: sealwright_core::TenantId) -> Result<()> {
        let state = match self.directory.get(tenant) {
            Some(known) => known.state,
            None => {
                let found = self
                    .tenant_in(TenantScope::All, &tenant.to_string())
                    .await?;
                self.directory.put(&found);
                found.state
            }
        };
        match state {
            TenantState::Active => Ok(()),
            TenantState::Suspended => Err(AccessError::Refused(Box::new(
                sealwright_core::Problem::forbidden("the tenant is suspended"),
            ))),
        }
    }
}

fn expiry(text: &str) -> Result<UnixMicros> {
    UnixMicros::parse_rfc3339(text).map_err(|_| AccessError::Invalid {
        field: "expires_at",
        detail: format!(
            "`{}` is not an RFC 3339 time such as 2027-01-31T00:00:00Z",
            text.chars().take(40).collect::<String>()
        ),
    })
}
