//! One-time links: `/welcome/<token>`.

use sealwright_store::as_system;

use super::{AccessService, Change, Result, users};
use crate::error::AccessError;
use crate::model::{Link, LinkId, User, UserId, UserState};
use crate::principal::Principal;
use crate::role::{Action, Role};
use crate::{password, secret, store};

const DEAD: AccessError = AccessError::Unauthorized(
    "this link was used or has expired; `sealwright access link` makes a new one",
);

impl AccessService {
    /// At the first start: the token of a link that makes the first owner. `None` when there are users.
    /// Each call makes a new link and voids the one before.
    ///
    /// # Errors
    /// What the store said.
    pub async fn first_link(&self) -> Result<Option<String>> {
        if store::count_users(&self.store).await? > 0 {
            return Ok(None);
        }
        self.make_link(&Principal::local(), None).await.map(Some)
    }

    /// The token of a link that makes a new owner.
    ///
    /// # Errors
    /// [`AccessError::Refused`] unless the caller is an owner.
    pub async fn owner_link(&self, by: &Principal) -> Result<String> {
        by.require(Action::OwnersAdmin)?;
        self.make_link(by, None).await
    }

    /// The token of a link by which a user sets a (new) password. The ones before are void.
    ///
    /// # Errors
    /// [`AccessError::NotFound`]; [`AccessError::Conflict`] for a disabled user.
    pub async fn user_link(&self, by: &Principal, text: &str) -> Result<String> {
        by.require(Action::AccessAdmin)?;
        let user = self.user_in(by.tenants, text).await?;
        // Whoever sets a user's password can act as that user.
        by.require_no_less(users::who(&user.roles, user.tenant_id.is_none()), None)?;
        if user.state == UserState::Disabled {
            return Err(AccessError::Conflict(format!(
                "{} is disabled; enable the user first",
                user.email
            )));
        }
        self.make_link(by, Some(&user)).await
    }

    async fn make_link(&self, by: &Principal, user: Option<&User>) -> Result<String> {
        let now = self.now();
        let token = secret::token()?;
        let link = Link {
            id: LinkId::new(now),
            user_id: user.map(|user| user.id),
            created_at: now,
            expires_at: now.plus(self.policy().link_lifetime),
            used_at: None,
        };
        let mut tx = self.store.begin().await?;
        store::void_links(&mut tx, link.user_id).await?;
        store::insert_link(&mut tx, &link, secret::hash(&token)).await?;
        let change = Change {
            action: "access.link.create",
            tenant: user.and_then(|user| user.tenant_id),
            subject: link.id.to_string(),
            before: None,
            after: super::json(&serde_json::json!({
                "user_id": link.user_id,
                "expires_at": link.expires_at.to_string(),
            })),
        };
        self.record(&mut tx, by, change).await?;
        tx.commit().await?;
        Ok(token)
    }

    /// Whether a link still works, and whose password it sets (`None`: it makes a new owner). Looking
    /// does not use it up.
    ///
    /// # Errors
    /// [`AccessError::Unauthorized`] when it was used, has expired or never was.
    pub async fn look_at_link(&self, token: &str) -> Result<Option<User>> {
        // The token is what is shown for it; whose it is, is found by it.
        as_system(self.whose_link(token)).await
    }

    async fn whose_link(&self, token: &str) -> Result<Option<User>> {
        let link = self.live_link(token).await?;
        match link.user_id {
            None => Ok(None),
            Some(id) => {
                let scope = sealwright_core::TenantScope::All;
                self.user_in(scope, &id.to_string()).await.map(Some)
            }
        }
    }

    async fn live_link(&self, token: &str) -> Result<Link> {
        if !secret::is_token(token) {
            return Err(DEAD);
        }
        store::find_link(&self.store, secret::hash(token))
            .await?
            .filter(|link| link.used_at.is_none() && link.expires_at > self.now())
            .ok_or(DEAD)
    }

    /// Uses a link: sets the password, and for a new owner the e-mail address. A link works once, also
    /// when two browsers try at the same time. All earlier sessions of the user end.
    ///
    /// # Errors
    /// [`AccessError::Unauthorized`] for a dead link; [`AccessError::Invalid`] and
    /// [`AccessError::Taken`] leave it alive.
    pub async fn use_link(&self, token: &str, address: &str, password: &str) -> Result<User> {
        as_system(self.use_any_link(token, address, password)).await
    }

    async fn use_any_link(&self, token: &str, address: &str, password: &str) -> Result<User> {
        let link = self.live_link(token).await?;
        let now = self.now();
        let email = match link.user_id {
            None => users::email(address)?,
            Some(id) => {
                let scope = sealwright_core::TenantScope::All;
                self.user_in(scope, &id.to_string()).await?.email
            }
        };
        password::check_new(password, &email)?;
        let hashed = password::hash(password).await?;
        let mut tx = self.store.begin().await?;
        if store::use_link(&mut tx, link.id, now).await? == 0 {
            return Err(DEAD);
        }
        let user = match link.user_id {
            None => {
                let user = User {
                    id: UserId::new(now),
                    tenant_id: None,
                    name: email.clone(),
                    email,
                    roles: vec![Role::Owner],
                    state: UserState::Active,
                    version: 1,
                    created_at: now,
                    last_login_at: None,
                };
                let by = users::principal(&user, &self.policies);
                self.insert_user(&mut tx, &by, &user, Some(hashed)).await?;
                user
            }
            Some(id) => {
                let scope = sealwright_core::TenantScope::All;
                let before = store::find_user(&mut tx, scope, &id.to_string())
                    .await?
                    .filter(|user| user.state != UserState::Disabled)
                    .ok_or(DEAD)?;
                let mut after = before.clone();
                after.state = UserState::Active;
                after.version += 1;
                if store::update_user(&mut tx, &after, now).await? == 0 {
                    return Err(AccessError::Store(sealwright_store::StoreError::Contended));
                }
                store::set_password(&mut tx, id, &hashed).await?;
                store::delete_sessions(&mut tx, id).await?;
                let change = Change {
                    action: "access.user.set-password",
                    tenant: after.tenant_id,
                    subject: id.to_string(),
                    before: super::json(&before),
                    after: super::json(&after),
                };
                self.record(&mut tx, &users::principal(&after, &self.policies), change)
                    .await?;
                after
            }
        };
        tx.commit().await?;
        Ok(user)
    }
}
