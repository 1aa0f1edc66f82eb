//! Tenants and the scope that every query carries.

use crate::id::{Id, IdKind};

/// The kind of [`TenantId`].
#[derive(Debug)]
pub enum TenantKind {}

impl IdKind for TenantKind {
    const PREFIX: &'static str = "ten";
}

/// A customer of the company that runs this program.
pub type TenantId = Id<TenantKind>;

/// Whose rows a query may see. There is no unscoped query: the only way to see all tenants is to
/// say so, and only the platform's own staff and jobs can make that scope (from `access`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantScope {
    /// One tenant; another tenant's id answers "not found".
    One(TenantId),
    /// Every tenant: jobs of the platform, and people whose role spans tenants.
    All,
}

impl TenantScope {
    /// The SQL parameter for the predicate `($n = '*' OR tenant_id = $n)`.
    pub fn param(&self) -> String {
        match self {
            Self::One(id) => id.to_string(),
            Self::All => "*".to_owned(),
        }
    }

    /// Whether rows of `tenant` are inside the scope.
    pub fn allows(&self, tenant: TenantId) -> bool {
        match self {
            Self::One(id) => *id == tenant,
            Self::All => true,
        }
    }

    /// The one tenant of the scope, if it is limited to one.
    pub fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::One(id) => Some(*id),
            Self::All => None,
        }
    }
}
