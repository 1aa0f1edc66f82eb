//! Whose rows the database shows to the code that runs now: the second lock behind the `TenantScope` that a query
//! takes.
//!
//! The scope belongs to the task, not to the query, so that a query whose author forgot the tenant's condition is
//! held to it all the same. A request runs [`within`] the scope of who asks. What belongs to the program itself
//! (consumers, jobs, the command line) runs in no scope, which is [`RowScope::All`]; a request that needs what
//! belongs to all (the look-up of credentials, memory that is shared by all tenants) says so by [`as_system`].
//!
//! On PostgreSQL the scope is told to the database at the beginning of each transaction and ends with it, and the
//! policies of the tables compare it with each row (decision 0012). A connection that was told nothing sees no row.
//! SQLite has no such policies; there the condition in the query is the only lock.
//!
//! A task that is spawned starts in no scope, and so does a body that is written after its handler has returned:
//! work that a request hands on like that is the program's own.

use sealwright_core::{TenantId, TenantScope};

tokio::task_local! {
    static SCOPE: RowScope;
}

/// Whose rows may be seen and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowScope {
    /// No tenant's: a request before it is known who asks.
    Nobody,
    /// One tenant's.
    One(TenantId),
    /// Everybody's, and what belongs to no tenant.
    All,
}

impl RowScope {
    /// The scope of the running task.
    pub fn current() -> Self {
        SCOPE.try_with(|scope| *scope).unwrap_or(Self::All)
    }

    /// The value of the database's setting that the policies of the tables read.
    pub(crate) fn setting(self) -> String {
        match self {
            // What no id of a tenant is.
            Self::Nobody => "-".to_owned(),
            Self::One(tenant) => tenant.to_string(),
            Self::All => "*".to_owned(),
        }
    }
}

impl From<TenantScope> for RowScope {
    fn from(scope: TenantScope) -> Self {
        match scope {
            TenantScope::One(tenant) => Self::One(tenant),
            TenantScope::All => Self::All,
        }
    }
}

/// Runs `work` with the rows of `scope`, whatever the scope was before.
pub fn within<F: Future>(scope: impl Into<RowScope>, work: F) -> impl Future<Output = F::Output> {
    // In a box: layers of whole requests would grow by each other otherwise.
    SCOPE.scope(scope.into(), Box::pin(work))
}

/// Runs `work` as the program itself, also in a request of one tenant. Each use widens what a mistake can reach:
/// around as little as possible, with the reason beside it.
pub fn as_system<F: Future>(work: F) -> impl Future<Output = F::Output> {
    within(RowScope::All, work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_scope_ends_with_what_runs_in_it() {
        let tenant = TenantId::new(sealwright_core::UnixMicros(1));
        assert_eq!(RowScope::current(), RowScope::All);
        within(RowScope::One(tenant), async {
            assert_eq!(RowScope::current(), RowScope::One(tenant));
            as_system(async { assert_eq!(RowScope::current(), RowScope::All) }).await;
            assert_eq!(RowScope::current(), RowScope::One(tenant));
            // What is spawned is the program's own.
            let other = tokio::spawn(async { RowScope::current() }).await;
            assert_eq!(other.ok(), Some(RowScope::All));
        })
        .await;
        assert_eq!(RowScope::current(), RowScope::All);
    }
}
