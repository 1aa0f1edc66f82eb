//! Who is asking.

use sealwright_core::{Problem, TenantId, TenantScope};
use sealwright_web::Viewer;

use crate::audit::Actor;
use crate::policy::{Decision, Policies, Refusal, Target, Who};
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
    /// What decides.
    pub policies: Policies,
}

impl Principal {
    /// This program itself, named `name`: everything, in every tenant. An installation's own policies do not bind
    /// it.
    pub fn system(name: &str) -> Self {
        Self {
            kind: PrincipalKind::System,
            id: name.to_owned(),
            name: name.to_owned(),
            roles: vec![Role::Owner],
            tenants: TenantScope::All,
            scopes: None,
            policies: Policies::built_in(),
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

    /// As policies see it.
    fn who(&self) -> Who {
        let all_tenants = self.tenants.tenant().is_none();
        match self.scopes {
            Some(_) => Who::Key { all_tenants },
            None => Who::User {
                roles: self.roles.iter().collect(),
                all_tenants,
            },
        }
    }

    fn decide(&self, policies: &Policies, action: Action, target: Target) -> Decision {
        match &self.scopes {
            Some(scopes) if !scopes.allows(action) => Decision::NotIncluded,
            _ => policies.decide(self.who(), action, target),
        }
    }

    /// Whether it may do `action` (in the tenants of its scope).
    pub fn may(&self, action: Action) -> bool {
        self.decide(&self.policies, action, Target::Own).allowed()
    }

    /// Whether it may do `action` with the data of `tenant`.
    pub fn may_with(&self, action: Action, tenant: TenantId) -> bool {
        let target = if self.tenants.allows(tenant) {
            Target::Own
        } else {
            Target::Other
        };
        self.decide(&self.policies, action, target).allowed()
    }

    /// Lets only those pass who may do `action`.
    ///
    /// # Errors
    /// 403, naming the action and what would include it, or the policy that forbids it.
    pub fn require(&self, action: Action) -> Result<(), Problem> {
        self.pass(action, self.decide(&self.policies, action, Target::Own))
    }

    fn pass(&self, action: Action, decision: Decision) -> Result<(), Problem> {
        match decision {
            Decision::Allowed => Ok(()),
            Decision::NotIncluded => Err(self.lacks(action)),
            Decision::Forbidden(place) => Err(self.forbidden(action, place)),
        }
    }

    fn lacks(&self, action: Action) -> Problem {
        let detail = if self.scopes.is_some() {
            format!("this API key lacks the scope {action}; create one that has it")
        } else {
            let roles = Policies::roles_with(action);
            let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
            format!("{action} needs one of the roles {}", roles.join(", "))
        };
        Problem::forbidden(detail).with("action", action.as_str())
    }

    fn forbidden(&self, action: Action, place: u16) -> Problem {
        let Some(policy) = self.policies.own().get(usize::from(place)) else {
            return self.lacks(action);
        };
        self.policies.note(Refusal {
            actor: Actor::from(self),
            tenant: self.tenants.tenant(),
            action,
            policy: policy.id.clone(),
        });
        let mut detail = format!(
            "the policy `{}` of this installation forbids {action}",
            policy.id
        );
        if let Some(reason) = &policy.reason {
            detail = format!("{detail}: {reason}");
        }
        Problem::forbidden(detail)
            .with("action", action.as_str())
            .with("policy", policy.id.as_str())
    }

    /// What `who` (a key: with these scopes) may do and this one may not. What a policy forbids to both at present
    /// still counts where only the other's role includes it: the policy may go.
    fn exceeded_by(&self, who: Who, scopes: Option<&Scopes>) -> Option<(Action, Decision)> {
        let built_in = Policies::built_in();
        let named = |action: &&Action| scopes.is_none_or(|scopes| scopes.allows(**action));
        let exceeds = |action: &Action| {
            let over = |policies: &Policies| {
                let mine = self.decide(policies, *action, Target::Own);
                let theirs = policies.decide(who, *action, Target::Own);
                (theirs.allowed() && !mine.allowed()).then_some((*action, mine))
            };
            over(&built_in).or_else(|| over(&self.policies))
        };
        Action::ALL.iter().filter(named).find_map(exceeds)
    }

    /// Refuses to hand on more than one may do oneself.
    pub(crate) fn require_no_less(&self, who: Who, scopes: Option<&Scopes>) -> Result<(), Problem> {
        match self.exceeded_by(who, scopes) {
            Some((action, decision)) => self.pass(action, decision),
            None => Ok(()),
        }
    }

    /// Whether it may give `role` to users.
    pub(crate) fn may_give(&self, role: Role) -> bool {
        let who = Who::User {
            roles: [role].iter().collect(),
            all_tenants: self.tenants.tenant().is_none(),
        };
        self.exceeded_by(who, None).is_none()
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
