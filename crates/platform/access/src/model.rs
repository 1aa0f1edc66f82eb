//! The records and their states.

use std::fmt;
use std::str::FromStr;

use sealwright_core::{Id, IdKind, TenantId, UnixMicros};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::role::{Role, Scopes};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $kind:ident, $prefix:literal;)*) => {$(
        #[doc = concat!("The kind of [`", stringify!($name), "`].")]
        #[derive(Debug)]
        pub enum $kind {}
        impl IdKind for $kind { const PREFIX: &'static str = $prefix; }
        $(#[$doc])*
        pub type $name = Id<$kind>;
    )*};
}

ids! {
    /// A user.
    UserId, UserKind, "usr";
    /// An API key (not the secret).
    KeyId, KeyKind, "key";
    /// A session (not the token).
    SessionId, SessionKind, "ses";
    /// A one-time link (not the token).
    LinkId, LinkKind, "lnk";
    /// A passkey (not the credential).
    PasskeyId, PasskeyKind, "psk";
}

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$vdoc])* $variant),* }
        impl $name {
            /// The name, as in JSON and the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    other => Err(format!("`{other}` is not one of {}", [$($text),*].join(", "))),
                }
            }
        }
    };
}

states! {
    /// Whether a tenant's credentials work.
    TenantState {
        /// They do.
        Active = "active",
        /// They do not; nothing is deleted.
        Suspended = "suspended",
    }
}

states! {
    /// Whether a user can sign in.
    UserState {
        /// Has not set a password yet.
        Invited = "invited",
        /// Can sign in.
        Active = "active",
        /// Cannot.
        Disabled = "disabled",
    }
}

/// Times go out as RFC 3339.
pub(crate) mod rfc3339 {
    use sealwright_core::UnixMicros;
    use serde::Serializer;

    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(crate) fn serialize<S: Serializer>(t: &UnixMicros, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(t)
    }

    pub(crate) mod option {
        use super::{Serializer, UnixMicros};

        #[allow(clippy::ref_option)]
        pub(crate) fn serialize<S: Serializer>(
            t: &Option<UnixMicros>,
            s: S,
        ) -> Result<S::Ok, S::Error> {
            match t {
                Some(t) => s.collect_str(t),
                None => s.serialize_none(),
            }
        }
    }
}

/// A customer of the company that runs this program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tenant {
    /// `ten_…`.
    #[schema(value_type = String)]
    pub id: TenantId,
    /// The short name in URLs and events: lower-case letters, digits, `-`, `_` and `.`.
    pub slug: String,
    /// The name for people.
    pub name: String,
    /// The plan, where billing knows one.
    pub plan: Option<String>,
    /// The home region.
    pub region: Option<String>,
    /// Whether its credentials work.
    pub state: TenantState,
    /// Counts changes; the ETag.
    pub version: i64,
    /// When it was created.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMicros,
    /// When it was last changed.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: UnixMicros,
}

/// A tenant to create.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// See [`Tenant::slug`].
    pub slug: String,
    /// The slug when absent.
    pub name: Option<String>,
    /// The plan.
    pub plan: Option<String>,
    /// The home region.
    pub region: Option<String>,
}

/// What to change of a tenant; absent members stay.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantChange {
    /// A new name.
    pub name: Option<String>,
    /// A new plan.
    pub plan: Option<String>,
    /// A new home region.
    pub region: Option<String>,
    /// Suspend or resume.
    pub state: Option<TenantState>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    /// `usr_…`.
    #[schema(value_type = String)]
    pub id: UserId,
    /// The tenant that the user belongs to; absent for staff, who see every tenant.
    #[schema(value_type = Option<String>)]
    pub tenant_id: Option<TenantId>,
    /// The sign-in name, in lower case.
    pub email: String,
    /// The name for people.
    pub name: String,
    /// What the user may do.
    pub roles: Vec<Role>,
    /// Whether the user can sign in.
    pub state: UserState,
    /// Counts changes; the ETag.
    pub version: i64,
    /// When the user was created.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMicros,
    /// The last sign-in.
    #[serde(serialize_with = "rfc3339::option::serialize")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_login_at: Option<UnixMicros>,
}

/// A user to create. Without a password the user is invited by a one-time link.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The e-mail address.
    pub email: String,
    /// The name; the address when absent.
    pub name: Option<String>,
    /// Id or slug of the tenant; absent for staff.
    pub tenant: Option<String>,
    /// At least one.
    pub roles: Vec<Role>,
    /// The first password.
    pub password: Option<String>,
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser")
            .field("email", &self.email)
            .field("tenant", &self.tenant)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

/// What to change of a user; absent members stay.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// A new name.
    pub name: Option<String>,
    /// New roles.
    pub roles: Option<Vec<Role>>,
    /// `active` or `disabled`; disabling ends all sessions.
    pub state: Option<UserState>,
}

/// A passkey: a WebAuthn credential of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Passkey {
    /// `psk_…`.
    pub id: PasskeyId,
    /// Whose.
    pub user_id: UserId,
    /// A name for people: which device it is on.
    pub name: String,
    /// When it was added.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub created_at: UnixMicros,
    /// The last sign-in with it.
    #[serde(serialize_with = "rfc3339::option::serialize")]
    pub last_used_at: Option<UnixMicros>,
}

/// A signed-in browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Session {
    /// `ses_…`.
    #[schema(value_type = String)]
    pub id: SessionId,
    /// Whose.
    #[schema(value_type = String)]
    pub user_id: UserId,
    /// Where it was started from.
    pub address: String,
    /// The browser's name for itself, cut to 200 characters.
    pub agent: String,
    /// When it was started.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMicros,
    /// The last request, to within a minute.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: UnixMicros,
    /// When it ends at the latest.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: UnixMicros,
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApiKey {
    /// `key_…`.
    #[schema(value_type = String)]
    pub id: KeyId,
    /// The tenant it acts for; absent when it may act for every tenant.
    #[schema(value_type = Option<String>)]
    pub tenant_id: Option<TenantId>,
    /// The name for people.
    pub name: String,
    /// The first characters of the secret.
    pub hint: String,
    /// What it may do.
    #[schema(value_type = Vec<String>)]
    pub scopes: Scopes,
    /// Who created it.
    pub created_by: String,
    /// Counts changes; the ETag.
    pub version: i64,
    /// When it was created.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMicros,
    /// From when on it is refused.
    #[serde(serialize_with = "rfc3339::option::serialize")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<UnixMicros>,
    /// Since when it is refused.
    #[serde(serialize_with = "rfc3339::option::serialize")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<UnixMicros>,
    /// The last request, written some minutes later.
    #[serde(serialize_with = "rfc3339::option::serialize")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<UnixMicros>,
}

impl ApiKey {
    /// `active`, `expired` or `revoked` at `now`.
    pub fn state(&self, now: UnixMicros) -> &'static str {
        if self.revoked_at.is_some_and(|at| at <= now) {
            "revoked"
        } else if self.expires_at.is_some_and(|at| at <= now) {
            "expired"
        } else {
            "active"
        }
    }
}

/// An API key to create.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Id or slug of the tenant; absent for every tenant.
    pub tenant: Option<String>,
    /// The name for people.
    pub name: Option<String>,
    /// Names of scopes.
    pub scopes: Vec<String>,
    /// RFC 3339; absent for a key without end.
    pub expires_at: Option<String>,
}

/// A one-time link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// `lnk_…`.
    pub id: LinkId,
    /// Whose password it sets; `None` makes a new owner.
    pub user_id: Option<UserId>,
    /// When it was made.
    pub created_at: UnixMicros,
    /// From when on it is refused.
    pub expires_at: UnixMicros,
    /// When it was used.
    pub used_at: Option<UnixMicros>,
}
