//! Signing in and out.

use std::fmt;

use sealwright_core::TenantScope;
use sealwright_core::clock::MINUTE;

use sealwright_store::as_system;

use super::{AccessService, Change, Result, users};
use crate::error::AccessError;
use crate::model::{Session, SessionId, User, UserId, UserState};
use crate::principal::{Principal, PrincipalKind};
use crate::{password, secret, store};

/// What a sign-in brings.
#[derive(Clone)]
pub struct SignIn {
    /// The e-mail address, in any case.
    pub email: String,
    /// The password.
    pub password: String,
    /// The client's address, for throttling and the list of sessions.
    pub address: String,
    /// The browser's name for itself.
    pub agent: String,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A session that has begun.
#[derive(Clone)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// The record.
    pub session: Session,
    /// The secret for the cookie; not stored.
    pub token: String,
    /// What forms of this session must carry.
    pub csrf: String,
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn")
            .field("user", &self.user.id)
            .field("session", &self.session.id)
            .finish_non_exhaustive()
    }
}

const WRONG: AccessError = AccessError::Unauthorized("the e-mail address or the password is wrong");

impl AccessService {
    /// Signs in. Unknown, disabled and invited users, and wrong passwords, have the same answer after
    /// the same work.
    ///
    /// # Errors
    /// [`AccessError::Unauthorized`], [`AccessError::Throttled`].
    pub async fn sign_in(&self, given: &SignIn) -> Result<SignedIn> {
        // Whoever signs in has shown nothing yet, and the address may be of any tenant.
        as_system(self.sign_in_anywhere(given)).await
    }

    async fn sign_in_anywhere(&self, given: &SignIn) -> Result<SignedIn> {
        let email = given.email.trim().to_lowercase();
        let attempt = self.begin_attempt(&email, &given.address).await?;
        let found = store::find_credentials(&self.store, &email).await?;
        let stored = found.as_ref().and_then(|(_, password)| password.as_deref());
        let matches = password::verify(&given.password, stored).await?;
        let Some((user, _)) = found.filter(|(user, _)| matches && user.state == UserState::Active)
        else {
            return Err(WRONG);
        };
        if let Some(tenant) = user.tenant_id {
            self.require_active(tenant).await?;
            self.admits(tenant, given.address.parse().ok())?;
        }
        self.attempt_succeeded(&attempt).await?;
        self.start_session(user, &given.address, &given.agent).await
    }

    pub(crate) async fn start_session(
        &self,
        mut user: User,
        address: &str,
        agent: &str,
    ) -> Result<SignedIn> {
        let now = self.now();
        let token = secret::token()?;
        let session = Session {
            id: SessionId::new(now),
            user_id: user.id,
            address: address.chars().take(64).collect(),
            agent: agent
                .chars()
                .filter(|c| !c.is_control())
                .take(200)
                .collect(),
            created_at: now,
            seen_at: now,
            expires_at: now.plus(self.policy().session_absolute),
        };
        // Until it is there, the request is nobody's.
        let mut tx = as_system(self.store.begin()).await?;
        store::insert_session(&mut tx, &session, secret::hash(&token)).await?;
        store::note_login(&mut tx, user.id, now).await?;
        user.last_login_at = Some(now);
        let by = users::principal(&user, &self.policies);
        let change = Change {
            action: "access.session.start",
            tenant: user.tenant_id,
            subject: session.id.to_string(),
            before: None,
            after: super::json(&session),
        };
        self.record(&mut tx, &by, change).await?;
        tx.commit().await?;
        let csrf = secret::csrf(&token);
        Ok(SignedIn {
            user,
            session,
            token,
            csrf,
        })
    }

    /// Who a session's token belongs to; the session's end is moved by this.
    ///
    /// # Errors
    /// [`AccessError::Unauthorized`] when the session is unknown or has ended.
    pub async fn authenticate_session(&self, token: &str) -> Result<(Principal, Session)> {
        const ENDED: AccessError =
            AccessError::Unauthorized("the session has ended; sign in again");
        if !secret::is_token(token) {
            return Err(ENDED);
        }
        let found = store::find_session(&self.store, secret::hash(token)).await?;
        let Some((mut session, user)) = found else {
            return Err(ENDED);
        };
        let now = self.now();
        let idle = now.since(session.seen_at) >= self.policy().session_idle;
        if idle || now >= session.expires_at || user.state != UserState::Active {
            return Err(ENDED);
        }
        if let Some(tenant) = user.tenant_id {
            self.require_active(tenant).await?;
        }
        // One write a minute instead of one a request.
        if now.since(session.seen_at) >= MINUTE {
            store::touch_session(&self.store, session.id, now).await?;
            session.seen_at = now;
        }
        Ok((users::principal(&user, &self.policies), session))
    }

    pub(crate) fn user_id(by: &Principal) -> Result<UserId> {
        match by.kind {
            PrincipalKind::User => by
                .id
                .parse()
                .map_err(|_| AccessError::not_found("user", by.id.as_str())),
            _ => Err(AccessError::Conflict(
                "only a signed-in user has sessions and passkeys".to_owned(),
            )),
        }
    }

    /// The caller's own sessions, newest first, at most 200.
    ///
    /// # Errors
    /// [`AccessError::Conflict`] when the caller is not a user.
    pub async fn sessions(&self, by: &Principal) -> Result<Vec<Session>> {
        Ok(store::list_sessions(&self.store, Self::user_id(by)?).await?)
    }

    /// Ends one of the caller's sessions.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], also for a session of somebody else.
    pub async fn end_session(&self, by: &Principal, id: &str) -> Result<()> {
        let unknown = || AccessError::not_found("session", id);
        let user = Self::user_id(by)?;
        let session: SessionId = id.parse().map_err(|_| unknown())?;
        let mut tx = self.store.begin().await?;
        if store::delete_session(&mut tx, user, session).await? == 0 {
            return Err(unknown());
        }
        let change = Change {
            action: "access.session.end",
            tenant: by.tenants.tenant(),
            subject: id.to_owned(),
            before: None,
            after: None,
        };
        self.record(&mut tx, by, change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends all of the caller's sessions, everywhere. Returns how many there were.
    ///
    /// # Errors
    /// [`AccessError::Conflict`] when the caller is not a user.
    pub async fn end_all_sessions(&self, by: &Principal) -> Result<u64> {
        let user = Self::user_id(by)?;
        let mut tx = self.store.begin().await?;
        let ended = store::delete_sessions(&mut tx, user).await?;
        let change = Change {
            action: "access.session.end-all",
            tenant: by.tenants.tenant(),
            subject: user.to_string(),
            before: None,
            after: None,
        };
        self.record(&mut tx, by, change).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// The scope of a user.
    pub(crate) fn scope_of(user: &User) -> TenantScope {
        user.tenant_id.map_or(TenantScope::All, TenantScope::One)
    }
}
