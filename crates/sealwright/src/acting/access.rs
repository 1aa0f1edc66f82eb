//! What this program can do about an alert: access is its own to control.

use async_trait::async_trait;
use sealwright_access::{AccessService, TenantChange, TenantState, UserChange, UserState};
use sealwright_act::{Act, ActError, Done, Kind, Order};

use super::{by, refused, unknown};

const KINDS: &[Kind] = &[
    Kind {
        name: "disable-user",
        about: "Disables the user and ends all sessions",
        target: "user",
        undoable: true,
    },
    Kind {
        name: "revoke-key",
        about: "Revokes the API key for good",
        target: "key",
        undoable: false,
    },
    Kind {
        name: "suspend-tenant",
        about: "Suspends the tenant: none of its credentials work",
        target: "tenant",
        undoable: true,
    },
];

/// Acts on users, keys and tenants.
pub(crate) struct AccessActs(pub(crate) AccessService);

/// What a tenant's alert leads to touches what is the tenant's own: an event may name anybody.
fn own(order: &Order, tenant: Option<sealwright_core::TenantId>) -> Result<(), ActError> {
    if tenant == Some(order.tenant) {
        return Ok(());
    }
    Err(ActError::Refused(format!(
        "{} does not belong to the tenant of the alert",
        order.target
    )))
}

#[async_trait]
impl Act for AccessActs {
    fn kinds(&self) -> &'static [Kind] {
        KINDS
    }

    async fn look(&self, order: &Order) -> Result<String, ActError> {
        match order.kind.as_str() {
            "disable-user" => {
                let user = self.0.user(&by(), &order.target).await.map_err(refused)?;
                own(order, user.tenant_id)?;
                Ok(format!(
                    "disable {} ({}), now {}",
                    user.email, user.id, user.state
                ))
            }
            "revoke-key" => {
                let key = self.0.key(&by(), &order.target).await.map_err(refused)?;
                own(order, key.tenant_id)?;
                Ok(format!("revoke {} ({})", key.name, key.id))
            }
            "suspend-tenant" => {
                let tenant = self.0.tenant(&by(), &order.target).await.map_err(refused)?;
                Ok(format!("suspend {}, now {}", tenant.slug, tenant.state))
            }
            _ => Err(unknown(order)),
        }
    }

    async fn act(&self, order: &Order) -> Result<Done, ActError> {
        match order.kind.as_str() {
            "disable-user" => {
                let before = self.0.user(&by(), &order.target).await.map_err(refused)?;
                own(order, before.tenant_id)?;
                if before.state == UserState::Disabled && !order.again {
                    return Ok(Done {
                        detail: format!("{} was disabled already", before.email),
                        undo: None,
                    });
                }
                let user = self.user(&order.target, UserState::Disabled).await?;
                Ok(Done {
                    detail: format!("{} is disabled and all sessions have ended", user.0),
                    undo: Some(user.1),
                })
            }
            "revoke-key" => {
                let key = self.0.key(&by(), &order.target).await.map_err(refused)?;
                own(order, key.tenant_id)?;
                let key = self
                    .0
                    .revoke_key(&by(), &order.target, None)
                    .await
                    .map_err(refused)?;
                Ok(Done {
                    detail: format!("{} is revoked", key.name),
                    undo: None,
                })
            }
            "suspend-tenant" => {
                let before = self.0.tenant(&by(), &order.target).await.map_err(refused)?;
                if before.state == TenantState::Suspended && !order.again {
                    return Ok(Done {
                        detail: format!("{} was suspended already", before.slug),
                        undo: None,
                    });
                }
                let slug = self.tenant(&order.target, TenantState::Suspended).await?;
                Ok(Done {
                    detail: format!("{slug} is suspended"),
                    undo: Some(before.id.to_string()),
                })
            }
            _ => Err(unknown(order)),
        }
    }

    async fn undo(&self, order: &Order, undo: &str) -> Result<String, ActError> {
        match order.kind.as_str() {
            "disable-user" => {
                let user = self.user(undo, UserState::Active).await?;
                Ok(format!("{} may sign in again", user.0))
            }
            "suspend-tenant" => {
                let slug = self.tenant(undo, TenantState::Active).await?;
                Ok(format!("{slug} is active again"))
            }
            _ => Err(ActError::Refused(format!(
                "{} cannot be undone",
                order.kind
            ))),
        }
    }
}

impl AccessActs {
    /// Address and id of the changed user.
    async fn user(&self, text: &str, state: UserState) -> Result<(String, String), ActError> {
        let change = UserChange {
            name: None,
            roles: None,
            state: Some(state),
        };
        let user = self
            .0
            .change_user(&by(), text, None, change)
            .await
            .map_err(refused)?;
        Ok((user.email.clone(), user.id.to_string()))
    }

    async fn tenant(&self, text: &str, state: TenantState) -> Result<String, ActError> {
        let change = TenantChange {
            name: None,
            plan: None,
            region: None,
            state: Some(state),
        };
        let tenant = self
            .0
            .change_tenant(&by(), text, None, change)
            .await
            .map_err(refused)?;
        Ok(tenant.slug)
    }
}
