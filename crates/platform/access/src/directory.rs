//! All tenants, in memory.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use sealwright_core::{TenantId, TenantScope};
use sealwright_store::{Store, StoreError};
use sealwright_web::TenantMenu;

use crate::model::Tenant;

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<TenantId, Arc<Tenant>>,
    by_slug: HashMap<String, TenantId>,
}

/// Finds tenants by id or slug without asking the database. Cheap to clone; all clones see the same.
/// Changes made in this process are seen at once, those of others after the next
/// [`TenantDirectory::refresh`].
#[derive(Debug, Clone, Default)]
pub struct TenantDirectory(Arc<RwLock<Inner>>);

impl TenantDirectory {
    /// Reads all tenants anew. Cost: one query over the table.
    ///
    /// # Errors
    /// What the store said; the directory stays as it was.
    pub async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let mut fresh = Inner::default();
        for tenant in crate::store::all_tenants(store).await? {
            fresh.by_slug.insert(tenant.slug.clone(), tenant.id);
            fresh.by_id.insert(tenant.id, Arc::new(tenant));
        }
        *self.0.write().unwrap_or_else(|e| e.into_inner()) = fresh;
        Ok(())
    }

    pub(crate) fn put(&self, tenant: &Tenant) {
        let mut inner = self.0.write().unwrap_or_else(|e| e.into_inner());
        inner.by_slug.retain(|_, id| *id != tenant.id);
        inner.by_slug.insert(tenant.slug.clone(), tenant.id);
        inner.by_id.insert(tenant.id, Arc::new(tenant.clone()));
    }

    /// By id.
    pub fn get(&self, id: TenantId) -> Option<Arc<Tenant>> {
        let inner = self.0.read().unwrap_or_else(|e| e.into_inner());
        inner.by_id.get(&id).cloned()
    }

    /// By id or slug, as people and events write it.
    pub fn resolve(&self, text: &str) -> Option<Arc<Tenant>> {
        if let Ok(id) = text.parse::<TenantId>() {
            return self.get(id);
        }
        let inner = self.0.read().unwrap_or_else(|e| e.into_inner());
        let id = inner.by_slug.get(text)?;
        inner.by_id.get(id).cloned()
    }

    /// By id or slug, if it is in the scope: another's tenant does not exist.
    pub fn visible(&self, scope: TenantScope, text: &str) -> Option<Arc<Tenant>> {
        self.resolve(text).filter(|tenant| scope.allows(tenant.id))
    }

    /// The console's menu of tenants with the one that a page's address names, for those who may see more than one.
    pub fn menu(&self, scope: TenantScope, named: Option<&str>) -> Option<TenantMenu> {
        if scope.tenant().is_some() {
            return None;
        }
        let chosen = named.map(|name| {
            self.resolve(name)
                .map_or_else(|| name.to_owned(), |tenant| tenant.slug.clone())
        });
        let tenants = self.all();
        Some(TenantMenu {
            tenants: tenants
                .iter()
                .map(|tenant| (tenant.slug.clone(), tenant.name.clone()))
                .collect(),
            chosen,
            all: true,
        })
    }

    /// All, by slug.
    pub fn all(&self) -> Vec<Arc<Tenant>> {
        let inner = self.0.read().unwrap_or_else(|e| e.into_inner());
        let mut all: Vec<_> = inner.by_id.values().cloned().collect();
        all.sort_by(|a, b| a.slug.cmp(&b.slug));
        all
    }
}
