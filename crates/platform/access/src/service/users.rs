//! Users.

use sealwright_core::{Page, TenantScope};
use sealwright_store::Tx;

use super::{AccessService, Change, Idempotency, ListFilter, Result, json, line, page, taken};
use crate::error::AccessError;
use crate::model::{NewUser, User, UserChange, UserId, UserState};
use crate::policy::{Policies, Who};
use crate::principal::{Principal, PrincipalKind};
use crate::role::{Action, Role};
use crate::{password, store};

/// What a user may do, as a principal.
pub(crate) fn principal(user: &User, policies: &Policies) -> Principal {
    Principal {
        kind: PrincipalKind::User,
        id: user.id.to_string(),
        name: user.email.clone(),
        roles: user.roles.clone(),
        tenants: AccessService::scope_of(user),
        scopes: None,
        policies: policies.clone(),
    }
}

/// As policies see a user with these roles.
pub(crate) fn who(roles: &[Role], all_tenants: bool) -> Who {
    Who::User {
        roles: roles.iter().collect(),
        all_tenants,
    }
}

/// One `@`, something on both sides, a domain without spaces: the rest is the mail server's business.
pub(crate) fn email(text: &str) -> Result<String> {
    let text = text.trim().to_lowercase();
    let good = text.len() <= 254
        && text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        })
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if good {
        Ok(text)
    } else {
        Err(AccessError::Invalid {
            field: "email",
            detail: "is not an e-mail address".to_owned(),
        })
    }
}

/// Nobody gives a role that includes more than they may do themselves.
fn may_give(by: &Principal, roles: &[Role], all_tenants: bool) -> Result<()> {
    if roles.is_empty() {
        return Err(AccessError::Invalid {
            field: "roles",
            detail: "must name at least one of owner, admin, operator, auditor, member".to_owned(),
        });
    }
    Ok(by.require_no_less(who(roles, all_tenants), None)?)
}

fn tidy(mut roles: Vec<Role>) -> Vec<Role> {
    roles.sort();
    roles.dedup();
    roles
}

impl AccessService {
    /// Creates a user: with a password, or invited (then [`AccessService::user_link`] makes the link).
    ///
    /// # Errors
    /// [`AccessError::Taken`], [`AccessError::Invalid`], [`AccessError::Refused`] when the roles include
    /// more than the caller may do.
    pub async fn create_user(&self, by: &Principal, new: NewUser) -> Result<User> {
        Ok(self.create_user_once(by, new, None).await?.0)
    }

    /// As [`Self::create_user`], done once for each `Idempotency-Key`; `true` for a repetition.
    pub(crate) async fn create_user_once(
        &self,
        by: &Principal,
        new: NewUser,
        request: Option<&str>,
    ) -> Result<(User, bool)> {
        by.require(Action::AccessAdmin)?;
        let roles = tidy(new.roles);
        may_give(by, &roles, new.tenant.is_none())?;
        let email = email(&new.email)?;
        let named = (&email, &new.name, &new.tenant, &roles);
        let request = Idempotency::new(request, "user", &named)?;
        let name = line("name", new.name.as_deref().unwrap_or(&email), 200)?;
        let tenant_id = match &new.tenant {
            Some(text) => Some(self.tenant_in(by.tenants, text).await?.id),
            None => {
                by.require_all_tenants()?;
                None
            }
        };
        if tenant_id.is_some() && roles.contains(&Role::Owner) {
            return Err(AccessError::Invalid {
                field: "roles",
                detail: "owner is a role of the installation; a tenant's highest role is admin"
                    .to_owned(),
            });
        }
        let hashed = match &new.password {
            Some(text) => {
                password::check_new(text, &email)?;
                Some(password::hash(text).await?)
            }
            None => None,
        };
        let now = self.now();
        let user = User {
            id: UserId::new(now),
            tenant_id,
            email,
            name,
            roles,
            state: if hashed.is_some() {
                UserState::Active
            } else {
                UserState::Invited
            },
            version: 1,
            created_at: now,
            last_login_at: None,
        };
        let mut tx = self.store.begin().await?;
        if let Some(id) = Idempotency::seen(request.as_ref(), &mut tx, by).await? {
            let there = store::find_user(&mut tx, by.tenants, &id).await?;
            tx.rollback().await?;
            let there = there.ok_or_else(|| AccessError::not_found("user", id))?;
            return Ok((there, true));
        }
        self.insert_user(&mut tx, by, &user, hashed).await?;
        Idempotency::keep(request.as_ref(), &mut tx, by, &user.id.to_string(), now).await?;
        tx.commit().await?;
        Ok((user, false))
    }

    pub(crate) async fn insert_user(
        &self,
        tx: &mut Tx,
        by: &Principal,
        user: &User,
        hashed: Option<String>,
    ) -> Result<()> {
        store::insert_user(tx, user, hashed)
            .await
            .map_err(|error| taken(error, "email", &user.email))?;
        let change = Change {
            action: "access.user.create",
            tenant: user.tenant_id,
            subject: user.id.to_string(),
            before: None,
            after: json(user),
        };
        self.record(tx, by, change).await
    }

    /// Users by e-mail address.
    ///
    /// # Errors
    /// [`AccessError::Refused`], [`AccessError::Invalid`] for a bad cursor.
    pub async fn users(&self, by: &Principal, filter: &ListFilter) -> Result<Page<User>> {
        by.require(Action::AccessRead)?;
        let rows = filter.rows();
        let found =
            store::list_users(&self.store, by.tenants, &filter.after()?, rows as i64 + 1).await?;
        Ok(page(found, rows, |user| user.email.clone()))
    }

    /// One user, by id or e-mail address. Everybody may see themselves.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], also for one of another tenant.
    pub async fn user(&self, by: &Principal, text: &str) -> Result<User> {
        if by.id != text {
            by.require(Action::AccessRead)?;
        }
        self.user_in(by.tenants, text).await
    }

    pub(crate) async fn user_in(&self, scope: TenantScope, text: &str) -> Result<User> {
        store::read_user(&self.store, scope, &text.to_lowercase())
            .await?
            .ok_or_else(|| AccessError::not_found("user", text))
    }

    /// Changes a user. With `version` only when that is still the user's version. Disabling ends all
    /// sessions; the last active owner stays one.
    ///
    /// # Errors
    /// [`AccessError::Changed`], [`AccessError::Conflict`], [`AccessError::Refused`].
    pub async fn change_user(
        &self,
        by: &Principal,
        text: &str,
        version: Option<i64>,
        change: UserChange,
    ) -> Result<User> {
        by.require(Action::AccessAdmin)?;
        let mut tx = self.store.begin().await?;
        tx.lock("access_user owners").await?;
        let before = store::find_user(&mut tx, by.tenants, &text.to_lowercase())
            .await?
            .ok_or_else(|| AccessError::not_found("user", text))?;
        if version.is_some_and(|version| version != before.version) {
            return Err(AccessError::Changed {
                found: before.version,
            });
        }
        if before.roles.contains(&Role::Owner) {
            by.require(Action::OwnersAdmin)?;
        }
        let mut after = before.clone();
        if let Some(name) = change.name {
            after.name = line("name", &name, 200)?;
        }
        if let Some(roles) = change.roles {
            may_give(by, &roles, before.tenant_id.is_none())?;
            after.roles = tidy(roles);
            if after.tenant_id.is_some() && after.roles.contains(&Role::Owner) {
                return Err(AccessError::Invalid {
                    field: "roles",
                    detail: "owner is a role of the installation".to_owned(),
                });
            }
        }
        if let Some(state) = change.state {
            let has_password = store::has_password(&mut tx, before.id).await?;
            after.state = match state {
                UserState::Disabled => UserState::Disabled,
                _ if has_password => UserState::Active,
                _ => UserState::Invited,
            };
        }
        let leaves = before.roles.contains(&Role::Owner)
            && before.state == UserState::Active
            && (!after.roles.contains(&Role::Owner) || after.state != UserState::Active);
        if leaves && store::active_owners(&mut tx).await?.len() == 1 {
            return Err(AccessError::Conflict(
                "this is the last active owner; make another one first".to_owned(),
            ));
        }
        if after == before {
            tx.rollback().await?;
            return Ok(before);
        }
        after.version += 1;
        if store::update_user(&mut tx, &after, self.now()).await? == 0 {
            return Err(AccessError::Store(sealwright_store::StoreError::Contended));
        }
        if after.state == UserState::Disabled {
            store::delete_sessions(&mut tx, after.id).await?;
            store::void_links(&mut tx, Some(after.id)).await?;
        }
        let change = Change {
            action: match (before.state, after.state) {
                (a, UserState::Disabled) if a != UserState::Disabled => "access.user.disable",
                _ => "access.user.change",
            },
            tenant: after.tenant_id,
            subject: after.id.to_string(),
            before: json(&before),
            after: json(&after),
        };
        self.record(&mut tx, by, change).await?;
        tx.commit().await?;
        Ok(after)
    }
}
