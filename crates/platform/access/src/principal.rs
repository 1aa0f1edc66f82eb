//! Who is asking.

use sealwright_core::{Problem, TenantId, TenantScope};
use sealwright_web::Viewer;

use crate::role::{Action, Role, Scopes};

/// What kind of caller it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalKind {
    /// A person in a session.
    User,
    /// An API key.
    Key,
    /// This program itself: the command line on the data folder, and jobs.
    System,
}

impl PrincipalKind {
    /// The name, as in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Key => "key",
            Self::System => "system",
        }
    }
}

/// An authenticated caller: what it is, and what it may do, in which tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// What it is.
    pub kind: PrincipalKind,
    /// `usr_…`, `key_…` or the name of a part of this program.
    pub id: String,
    /// For people: an e-mail address or a key's name.
    pub name: String,
    /// A user's roles; empty for keys.
    pub roles: Vec<Role>,
    /// Whose rows it may see and change.
    pub tenants: TenantScope,
    /// A key's scopes; `None` for users.
    pub scopes: Option<Scopes>,
}

impl Principal {
    /// This program itself, named `name`: everything, in every tenant.
    pub fn system(name: &str) -> Self {
        Self {
            kind: PrincipalKind::System,
            id: name.to_owned(),
            name: name.to_owned(),
            roles: vec![Role::Owner],
            tenants: TenantScope::All,
            scopes: None,
        }
    }

    /// Whoever holds the data folder and uses the command line on it.
    pub fn local() -> Self {
        Self::system("local")
    }

    /// What the ledger calls it: its kind and its id.
    pub fn actor(&self) -> String {
        format!("{}:{}", self.kind.as_str(), self.id)
    }

    /// How the console's frame shows it; `csrf` is the session's token, empty for a key.
    pub fn viewer(&self, csrf: &str) -> Viewer {
        let role = self.roles.first().map_or("key", |role| role.as_str());
        Viewer {
            name: self.name.clone(),
            role: role.to_owned(),
            csrf: csrf.to_owned(),
        }
    }

    /// Whether it may do `action` (in the tenants of its scope).
    pub fn may(&self, action: Action) -> bool {
        match &self.scopes {
            Some(scopes) => scopes.allows(action),
            None => self.roles.iter().any(|role| role.allows(action)),
        }
    }

    /// Lets only those pass who may do `action`.
    ///
    /// # Errors
    /// 403, naming the action and what would include it.
    pub fn require(&self, action: Action) -> Result<(), Problem> {
        if self.may(action) {
            return Ok(());
        }
        let detail = if self.scopes.is_some() {
            format!("this API key lacks the scope {action}; create one that has it")
        } else {
            let roles: Vec<_> = action.roles().iter().map(|role| role.as_str()).collect();
            format!("{action} needs one of the roles {}", roles.join(", "))
        };
        Err(Problem::forbidden(detail).with("action", action.as_str()))
    }

    /// Lets only those pass whose scope holds `tenant`.
    ///
    /// # Errors
    /// 404: another tenant's id looks like one that does not exist.
    pub fn require_tenant(&self, tenant: TenantId) -> Result<(), Problem> {
        if self.tenants.allows(tenant) {
            Ok(())
        } else {
            Err(Problem::not_found(format!("there is no tenant {tenant}")))
        }
    }

    /// Lets only those pass whose scope is every tenant: what belongs to the whole installation.
    ///
    /// # Errors
    /// 403.
    pub fn require_all_tenants(&self) -> Result<(), Problem> {
        match self.tenants {
            TenantScope::All => Ok(()),
            TenantScope::One(_) => Err(Problem::forbidden(
                "this belongs to the whole installation, and these credentials to one tenant",
            )),
        }
    }
}
