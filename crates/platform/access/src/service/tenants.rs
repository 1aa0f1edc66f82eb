//! Tenants.

use sealwright_core::{Page, TenantId, TenantScope};

use super::{AccessService, Change, Idempotency, ListFilter, Result, json, line, page, taken};
use crate::error::AccessError;
use crate::model::{NewTenant, Tenant, TenantChange, TenantState};
use crate::principal::Principal;
use crate::role::Action;
use crate::store;

fn slug(text: &str) -> Result<String> {
    let good = (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
        && text.as_bytes()[0].is_ascii_alphanumeric()
        // An id is looked up as an id.
        && text.parse::<TenantId>().is_err();
    if good {
        Ok(text.to_owned())
    } else {
        Err(AccessError::Invalid {
            field: "slug",
            detail: format!(
                "`{}` must have 1 to 63 lower-case letters, digits, `-`, `_` or `.`, and start with a \
                 letter or digit",
                text.chars().take(80).collect::<String>()
            ),
        })
    }
}

impl AccessService {
    /// Creates a tenant.
    ///
    /// # Errors
    /// [`AccessError::Taken`] for a slug in use, [`AccessError::Invalid`] for one of another form.
    pub async fn create_tenant(&self, by: &Principal, new: NewTenant) -> Result<Tenant> {
        Ok(self.create_tenant_once(by, new, None).await?.0)
    }

    /// As [`Self::create_tenant`], answered once for each `Idempotency-Key`; `true` for a repetition.
    pub(crate) async fn create_tenant_once(
        &self,
        by: &Principal,
        new: NewTenant,
        request: Option<&str>,
    ) -> Result<(Tenant, bool)> {
        by.require(Action::AccessAdmin)?;
        by.require_all_tenants()?;
        let request = Idempotency::new(request, "tenant", &new)?;
        let now = self.now();
        let slug = slug(&new.slug)?;
        let optional = |field, text: Option<String>| text.map(|t| line(field, &t, 100)).transpose();
        let tenant = Tenant {
            id: TenantId::new(now),
            name: line("name", new.name.as_deref().unwrap_or(&slug), 200)?,
            slug,
            plan: optional("plan", new.plan)?,
            region: optional("region", new.region)?,
            state: TenantState::Active,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.store.begin().await?;
        if let Some(id) = Idempotency::seen(request.as_ref(), &mut tx, by).await? {
            let there = store::find_tenant(&mut tx, by.tenants, &id).await?;
            tx.rollback().await?;
            let there = there.ok_or_else(|| AccessError::not_found("tenant", id))?;
            return Ok((there, true));
        }
        store::insert_tenant(&mut tx, &tenant)
            .await
            .map_err(|error| taken(error, "slug", &tenant.slug))?;
        let change = Change {
            action: "access.tenant.create",
            tenant: Some(tenant.id),
            subject: tenant.id.to_string(),
            before: None,
            after: json(&tenant),
        };
        self.record(&mut tx, by, change).await?;
        Idempotency::keep(request.as_ref(), &mut tx, by, &tenant.id.to_string(), now).await?;
        tx.commit().await?;
        self.directory.put(&tenant);
        Ok((tenant, false))
    }

    /// One tenant, by id or slug.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], also for one outside of the caller's scope.
    pub async fn tenant(&self, by: &Principal, text: &str) -> Result<Tenant> {
        by.require(Action::AccessRead)?;
        self.tenant_in(by.tenants, text).await
    }

    pub(crate) async fn tenant_in(&self, scope: TenantScope, text: &str) -> Result<Tenant> {
        store::read_tenant(&self.store, scope, text)
            .await?
            .ok_or_else(|| AccessError::not_found("tenant", text))
    }

    /// Tenants by slug.
    ///
    /// # Errors
    /// [`AccessError::Refused`], [`AccessError::Invalid`] for a bad cursor.
    pub async fn tenants(&self, by: &Principal, filter: &ListFilter) -> Result<Page<Tenant>> {
        by.require(Action::AccessRead)?;
        let rows = filter.rows();
        let found =
            store::list_tenants(&self.store, by.tenants, &filter.after()?, rows as i64 + 1).await?;
        Ok(page(found, rows, |tenant| tenant.slug.clone()))
    }

    /// Changes a tenant. With `version` only when that is still its version.
    ///
    /// # Errors
    /// [`AccessError::Changed`] when it is not.
    pub async fn change_tenant(
        &self,
        by: &Principal,
        text: &str,
        version: Option<i64>,
        change: TenantChange,
    ) -> Result<Tenant> {
        by.require(Action::AccessAdmin)?;
        by.require_all_tenants()?;
        let mut tx = self.store.begin().await?;
        let before = store::find_tenant(&mut tx, by.tenants, text)
            .await?
            .ok_or_else(|| AccessError::not_found("tenant", text))?;
        if version.is_some_and(|version| version != before.version) {
            return Err(AccessError::Changed {
                found: before.version,
            });
        }
        let mut after = before.clone();
        if let Some(name) = change.name {
            after.name = line("name", &name, 200)?;
        }
        if let Some(plan) = change.plan {
            after.plan = Some(line("plan", &plan, 100)?);
        }
        if let Some(region) = change.region {
            after.region = Some(line("region", &region, 100)?);
        }
        if let Some(state) = change.state {
            after.state = state;
        }
        if after == before {
            tx.rollback().await?;
            return Ok(before);
        }
        after.version += 1;
        after.updated_at = self.now();
        if store::update_tenant(&mut tx, &after).await? == 0 {
            return Err(AccessError::Store(sealwright_store::StoreError::Contended));
        }
        let change = Change {
            action: match (before.state, after.state) {
                (TenantState::Active, TenantState::Suspended) => "access.tenant.suspend",
                (TenantState::Suspended, TenantState::Active) => "access.tenant.resume",
                _ => "access.tenant.change",
            },
            tenant: Some(after.id),
            subject: after.id.to_string(),
            before: json(&before),
            after: json(&after),
        };
        self.record(&mut tx, by, change).await?;
        tx.commit().await?;
        self.directory.put(&after);
        Ok(after)
    }

    /// The tenant, created when it is not there yet; `true` when it was created.
    ///
    /// # Errors
    /// As [`Self::create_tenant`]; an id that names no tenant is not created.
    pub async fn ensure_tenant(&self, by: &Principal, text: &str) -> Result<(Tenant, bool)> {
        match self.tenant_in(by.tenants, text).await {
            Err(AccessError::NotFound { .. }) if text.parse::<TenantId>().is_err() => {
                let new = NewTenant {
                    slug: text.to_owned(),
                    ..NewTenant::default()
                };
                Ok((self.create_tenant(by, new).await?, true))
            }
            other => Ok((other?, false)),
        }
    }
}
