//! Who may do what: the roles as Cedar policies, and what an installation forbids beyond them.
//!
//! What policies see is finite (roles, kind of credentials, action, own or other tenant), so an answer of Cedar is
//! computed once and kept. API keys' scopes and [`TenantScope`](sealwright_core::TenantScope) stand before it.

mod engine;
mod matrix;
mod own;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use sealwright_core::UnixMicros;
use sealwright_core::clock::HOUR;

use crate::audit::Actor;
use crate::role::{Action, Role};

use engine::Engine;
pub(crate) use matrix::COLUMNS;
pub use matrix::{Matrix, MatrixRow, Reach};
pub use own::{OwnPolicy, PolicyError};

/// Refusals that wait for the end of their request; beyond it they are not recorded.
const MOST_WAITING: usize = 1_000;
/// Different refusals of an hour; beyond it they are not recorded.
const MOST_SEEN: usize = 10_000;

/// A set of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RoleSet(u8);

impl RoleSet {
    const SIZE: usize = 1 << Role::ALL.len();

    fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }
}

impl<'a> FromIterator<&'a Role> for RoleSet {
    fn from_iter<T: IntoIterator<Item = &'a Role>>(roles: T) -> Self {
        Self(
            roles
                .into_iter()
                .fold(0, |set, role| set | 1 << *role as u8),
        )
    }
}

/// Who asks, as far as policies see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// A user.
    User {
        /// Its roles.
        roles: RoleSet,
        /// Whether it is of the installation, not of one tenant.
        all_tenants: bool,
    },
    /// An API key.
    Key {
        /// As with users.
        all_tenants: bool,
    },
}

impl Who {
    const COUNT: usize = 2 * (RoleSet::SIZE + 1);

    fn index(self) -> usize {
        match self {
            Self::User { roles, all_tenants } => {
                usize::from(roles.0) * 2 + usize::from(all_tenants)
            }
            Self::Key { all_tenants } => RoleSet::SIZE * 2 + usize::from(all_tenants),
        }
    }
}

/// Whose data it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// That of a tenant which the credentials hold for.
    Own,
    /// Another tenant's.
    Other,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may be done.
    Allowed,
    /// No role includes it, or it is another tenant's.
    NotIncluded,
    /// A role includes it, and a policy of the installation forbids it: its place in [`Policies::own`].
    Forbidden(u16),
}

impl Decision {
    /// Whether it may be done.
    pub fn allowed(self) -> bool {
        self == Self::Allowed
    }
}

/// What a policy of the installation refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) actor: Actor,
    pub(crate) tenant: Option<sealwright_core::TenantId>,
    pub(crate) action: Action,
    pub(crate) policy: String,
}

#[derive(Default)]
struct Refusals {
    waiting: Vec<Refusal>,
    /// Who was refused what in this hour: a client that goes on asking fills the ledger with one entry an hour.
    seen: HashSet<(String, Action, String)>,
    hour: i64,
}

struct Inner {
    engine: Engine,
    own: Vec<OwnPolicy>,
    answers: Box<[OnceLock<Decision>]>,
    refusals: Mutex<Refusals>,
}

/// The policies in force, with the answers they gave. Cheap to clone; the default is what is built in.
#[derive(Clone)]
pub struct Policies(Arc<Inner>);

impl Policies {
    /// What the roles include, and nothing forbidden beyond it.
    pub fn built_in() -> Self {
        static BUILT_IN: OnceLock<Policies> = OnceLock::new();
        BUILT_IN
            .get_or_init(|| Self::of(Engine::built_in(), Vec::new()))
            .clone()
    }

    /// With the policies of the files `*.cedar` in a folder, which forbid.
    ///
    /// # Errors
    /// The first thing that is wrong, with its file, line and column.
    pub fn read(folder: &Path) -> Result<Self, PolicyError> {
        Self::with(own::read(folder)?)
    }

    /// With the policies of texts: pairs of a file's name and its content.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn from_texts<'a>(
        texts: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, PolicyError> {
        let texts = texts
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()));
        Self::with(texts.collect())
    }

    fn with(texts: Vec<own::Text>) -> Result<Self, PolicyError> {
        let (engine, own) = own::compile(texts)?;
        let policies = Self::of(engine, own);
        policies.try_all()?;
        Ok(policies)
    }

    fn of(engine: Engine, own: Vec<OwnPolicy>) -> Self {
        let cells = Who::COUNT * Action::ALL.len() * 2;
        Self(Arc::new(Inner {
            engine,
            own,
            answers: (0..cells).map(|_| OnceLock::new()).collect(),
            refusals: Mutex::default(),
        }))
    }

    /// The installation's own policies.
    pub fn own(&self) -> &[OwnPolicy] {
        &self.0.own
    }

    /// Whether `who` may do `action` with the data of `target`.
    pub fn decide(&self, who: Who, action: Action, target: Target) -> Decision {
        let cell = (who.index() * Action::ALL.len() + action as usize) * 2 + target as usize;
        match self.0.answers.get(cell) {
            Some(answer) => *answer.get_or_init(|| self.ask(who, action, target)),
            None => self.ask(who, action, target),
        }
    }

    fn ask(&self, who: Who, action: Action, target: Target) -> Decision {
        let answer = self.0.engine.ask(who, action, target);
        if answer.allowed {
            return Decision::Allowed;
        }
        // A policy is named where it made the difference.
        let included = || Self::built_in().decide(who, action, target).allowed();
        match answer.forbidden_by(&self.0.own) {
            Some(policy) if included() => Decision::Forbidden(policy),
            _ => Decision::NotIncluded,
        }
    }

    /// Cedar passes over a policy that cannot be computed (a sum that is too large): the answer is then no, and no
    /// installation starts with such a policy.
    fn try_all(&self) -> Result<(), PolicyError> {
        for who in matrix::columns() {
            for (action, target) in Action::ALL
                .iter()
                .flat_map(|a| [Target::Own, Target::Other].map(|target| (*a, target)))
            {
                let answer = self.0.engine.ask(who, action, target);
                if let Some((policy, why)) = answer.failed {
                    let place = self.0.own.iter().find(|own| own.id == policy);
                    return Err(PolicyError {
                        place: place.map_or(policy, OwnPolicy::place),
                        detail: format!("cannot be computed: {why}"),
                    });
                }
            }
        }
        Ok(())
    }

    /// The roles that include an action.
    pub fn roles_with(action: Action) -> Vec<Role> {
        let built_in = Self::built_in();
        let includes = |role: &&Role| {
            let who = Who::User {
                roles: [**role].iter().collect(),
                all_tenants: true,
            };
            built_in.decide(who, action, Target::Own).allowed()
        };
        Role::ALL.iter().filter(includes).copied().collect()
    }

    /// Keeps a refusal until it is recorded.
    pub(crate) fn note(&self, refusal: Refusal) {
        let mut refusals = self.0.refusals.lock().unwrap_or_else(|e| e.into_inner());
        if refusals.waiting.len() < MOST_WAITING {
            refusals.waiting.push(refusal);
        }
    }

    /// Takes the refusals that wait and were not taken in this hour.
    pub(crate) fn take_refusals(&self, now: UnixMicros) -> Vec<Refusal> {
        if self.0.own.is_empty() {
            return Vec::new();
        }
        let mut refusals = self.0.refusals.lock().unwrap_or_else(|e| e.into_inner());
        let hour = now.0.div_euclid(HOUR);
        if refusals.hour != hour {
            refusals.hour = hour;
            refusals.seen.clear();
        }
        let mut waiting = std::mem::take(&mut refusals.waiting);
        waiting.retain(|refusal| {
            let who = refusal.actor.id.clone();
            let seen = &mut refusals.seen;
            seen.len() < MOST_SEEN && seen.insert((who, refusal.action, refusal.policy.clone()))
        });
        waiting
    }
}

impl Default for Policies {
    fn default() -> Self {
        Self::built_in()
    }
}

/// The same policies, not equal ones.
impl PartialEq for Policies {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Policies {}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own: Vec<_> = self.0.own.iter().map(|policy| &policy.id).collect();
        f.debug_struct("Policies").field("own", &own).finish()
    }
}
