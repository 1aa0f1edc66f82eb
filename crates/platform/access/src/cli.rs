//! `sealwright access …`: on the data folder, with no server running.

use std::io::Write;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use sealwright_core::clock::{DAY, HOUR};
use sealwright_core::{TenantId, UnixMicros};
use serde_json::{Value, json};

use crate::error::AccessError;
use crate::model::{NewKey, NewTenant, NewUser, TenantChange, TenantState, UserChange, UserState};
use crate::policy::{COLUMNS, Matrix, Policies};
use crate::principal::Principal;
use crate::role::Role;
use crate::service::{AccessService, CreatedKey, ListFilter, Result};

/// Tenants, users, API keys and one-time links.
#[derive(Debug, Clone, Subcommand)]
pub enum AccessCommand {
    /// API keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Tenants.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Users.
    #[command(subcommand)]
    User(UserCommand),
    /// Make a one-time link: for the first owner, or for a user's (new) password.
    Link(LinkArgs),
    /// Who may do what: the roles, and what the policies of this installation forbid
    Matrix,
}

/// `access key …`.
#[derive(Debug, Clone, Subcommand)]
pub enum KeyCommand {
    /// Create a key and print it, once.
    Create(KeyCreateArgs),
    /// List keys.
    List(ListArgs),
    /// Revoke a key.
    Revoke {
        /// The key's id (`key_…`).
        id: String,
    },
    /// Replace a key by a new one with the same tenant, scopes and expiry.
    Rotate {
        /// The key's id (`key_…`).
        id: String,
    },
}

/// `access key create`.
#[derive(Debug, Clone, Args)]
pub struct KeyCreateArgs {
    /// Slug or id of the tenant; a slug that is not there yet is created.
    #[arg(
        long,
        required_unless_present = "all_tenants",
        conflicts_with = "all_tenants"
    )]
    pub tenant: Option<String>,
    /// The key may act for every tenant.
    #[arg(long)]
    pub all_tenants: bool,
    /// What it may do: names of scopes, separated by commas, or repeated.
    #[arg(
        long,
        required = true,
        value_delimiter = ',',
        value_name = "SCOPE[,SCOPE…]"
    )]
    pub scope: Vec<String>,
    /// A name for people.
    #[arg(long)]
    pub name: Option<String>,
    /// When it ends: a length (`12h`, `90d`, `52w`) or an RFC 3339 time. Never, when absent.
    #[arg(long)]
    pub expires: Option<String>,
}

/// Paging of the lists.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Rows, at most 500.
    #[arg(long, default_value_t = 100)]
    pub limit: u32,
    /// The cursor that the page before printed.
    #[arg(long)]
    pub cursor: Option<String>,
}

impl From<ListArgs> for ListFilter {
    fn from(value: ListArgs) -> Self {
        Self {
            cursor: value.cursor,
            limit: Some(value.limit),
        }
    }
}

/// `access tenant …`.
#[derive(Debug, Clone, Subcommand)]
pub enum TenantCommand {
    /// Create a tenant.
    Create {
        /// The short name: lower-case letters, digits, `-`, `_`, `.`.
        slug: String,
        /// The name for people.
        #[arg(long)]
        name: Option<String>,
        /// The plan.
        #[arg(long)]
        plan: Option<String>,
        /// The home region.
        #[arg(long)]
        region: Option<String>,
    },
    /// List tenants.
    List(ListArgs),
    /// Refuse a tenant's credentials; nothing is deleted.
    Suspend {
        /// Slug or id.
        tenant: String,
    },
    /// Accept a suspended tenant's credentials again.
    Resume {
        /// Slug or id.
        tenant: String,
    },
}

/// `access user …`.
#[derive(Debug, Clone, Subcommand)]
pub enum UserCommand {
    /// Create a user, who is invited by a one-time link.
    Create {
        /// The e-mail address.
        email: String,
        /// What the user may do.
        #[arg(long, required = true, value_delimiter = ',')]
        role: Vec<Role>,
        /// Slug or id of the tenant; absent for staff.
        #[arg(long)]
        tenant: Option<String>,
        /// The name.
        #[arg(long)]
        name: Option<String>,
    },
    /// List users.
    List(ListArgs),
    /// End a user's sessions and refuse further ones.
    Disable {
        /// E-mail address or id.
        user: String,
    },
    /// Accept a disabled user again.
    Enable {
        /// E-mail address or id.
        user: String,
    },
}

/// `access link`.
#[derive(Debug, Clone, Args)]
pub struct LinkArgs {
    /// The user who sets a (new) password by it; absent for the first owner.
    #[arg(long)]
    pub user: Option<String>,
    /// Make another owner although there are users already.
    #[arg(long, conflicts_with = "user")]
    pub new_owner: bool,
    /// The start of the printed URL.
    #[arg(long, default_value = "http://127.0.0.1:3010")]
    pub url: String,
}

/// Where a command writes, and how.
#[allow(missing_debug_implementations)]
pub struct Output<'a> {
    /// Data.
    pub out: &'a mut (dyn Write + Send),
    /// Everything else.
    pub err: &'a mut (dyn Write + Send),
    /// JSON instead of a table.
    pub json: bool,
}

impl Output<'_> {
    fn object(&mut self, value: &Value) -> Result<()> {
        if self.json {
            writeln!(self.out, "{value}")?;
        } else if let Value::Object(members) = value {
            let width = members.keys().map(String::len).max().unwrap_or(0);
            for (name, value) in members {
                writeln!(self.out, "{name:width$}  {}", cell(value))?;
            }
        }
        Ok(())
    }

    fn matrix(&mut self, matrix: &Matrix) -> Result<()> {
        if self.json {
            writeln!(self.out, "{}", matrix.json())?;
            return Ok(());
        }
        let rows: Vec<Value> = matrix
            .short()
            .iter()
            .map(|(row, whose)| {
                let mut members = json!({"action": row.action.as_str(), "data": whose});
                for (column, decision) in COLUMNS.iter().zip(row.cells) {
                    members[*column] = matrix.cell(decision).into();
                }
                members
            })
            .collect();
        let columns: Vec<_> = ["action", "data"].into_iter().chain(COLUMNS).collect();
        self.list(&columns, &rows, None)?;
        for policy in matrix.own() {
            writeln!(self.out, "\n{}\n{}", policy.place(), policy.source)?;
        }
        Ok(())
    }

    fn list(&mut self, columns: &[&str], rows: &[Value], next: Option<&str>) -> Result<()> {
        if self.json {
            writeln!(self.out, "{}", json!({"items": rows, "next": next}))?;
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(columns.iter().map(|c| c.to_uppercase()));
        for row in rows {
            table.add_row(
                columns
                    .iter()
                    .map(|c| cell(row.get(*c).unwrap_or(&Value::Null))),
            );
        }
        let lines: Vec<_> = table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        writeln!(self.out, "{}", lines.join("\n"))?;
        if let Some(next) = next {
            writeln!(self.err, "hint: there is more: --cursor {next}")?;
        }
        Ok(())
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn rows<T: serde::Serialize>(items: &[T]) -> Vec<Value> {
    items
        .iter()
        .filter_map(|item| serde_json::to_value(item).ok())
        .collect()
}

/// Does `command` as whoever holds the data folder.
///
/// # Errors
/// What the service refused, in words for the terminal.
pub async fn run(
    access: &AccessService,
    command: AccessCommand,
    output: &mut Output<'_>,
) -> Result<()> {
    let by = Principal::local();
    match command {
        AccessCommand::Key(command) => key(access, &by, command, output).await,
        AccessCommand::Tenant(command) => tenant(access, &by, command, output).await,
        AccessCommand::User(command) => user(access, &by, command, output).await,
        AccessCommand::Matrix => matrix(access.policies(), output),
        AccessCommand::Link(args) => {
            let first = access.first_link().await?;
            let token = match (&args.user, first) {
                (Some(user), _) => access.user_link(&by, user).await?,
                (None, Some(token)) => token,
                (None, None) if args.new_owner => access.owner_link(&by).await?,
                (None, None) => {
                    return Err(AccessError::Conflict(
                        "there are users already; name one with --user EMAIL, or ask for another \
                         owner with --new-owner"
                            .to_owned(),
                    ));
                }
            };
            let until = access.now().plus(access.policy().link_lifetime);
            output.object(&json!({
                "url": format!("{}/welcome/{token}", args.url.trim_end_matches('/')),
                "expires_at": until.to_string(),
            }))
        }
    }
}

/// Prints who may do what. Nothing but the policies is needed for it: it works beside a running server, and where there
/// is no installation.
///
/// # Errors
/// When the output cannot be written.
pub fn matrix(policies: &Policies, output: &mut Output<'_>) -> Result<()> {
    output.matrix(&Matrix::of(policies))
}

async fn key(
    access: &AccessService,
    by: &Principal,
    command: KeyCommand,
    output: &mut Output<'_>,
) -> Result<()> {
    match command {
        KeyCommand::Create(args) => {
            // Scopes and expiry are looked at before a tenant is created for nothing.
            crate::Scopes::parse(args.scope.iter().map(String::as_str))?;
            let expires_at = args
                .expires
                .map(|text| expiry(&text, access.now()))
                .transpose()?
                .map(|at| at.to_string());
            if let Some(text) = &args.tenant {
                let (tenant, created) = access.ensure_tenant(by, text).await?;
                if created {
                    writeln!(output.err, "created tenant {} ({})", tenant.slug, tenant.id)?;
                }
            }
            let new = NewKey {
                tenant: args.tenant,
                name: args.name,
                scopes: args.scope,
                expires_at,
            };
            let created = access.create_key(by, new).await?;
            print_key(access, &created, output).await
        }
        KeyCommand::List(args) => {
            let page = access.keys(by, &args.into()).await?;
            let now = access.now();
            let mut items = rows(&page.items);
            for (row, key) in items.iter_mut().zip(&page.items) {
                row["state"] = key.state(now).into();
                row["tenant"] = slug(access, key.tenant_id).await.into();
            }
            let columns = [
                "id",
                "tenant",
                "name",
                "hint",
                "scopes",
                "state",
                "expires_at",
                "last_used_at",
            ];
            output.list(&columns, &items, page.next.as_deref())
        }
        KeyCommand::Revoke { id } => {
            let key = access.revoke_key(by, &id, None).await?;
            output.object(&json!({
                "id": key.id,
                "revoked_at": key.revoked_at.map(|at| at.to_string()),
            }))
        }
        KeyCommand::Rotate { id } => {
            let created = access.rotate_key(by, &id).await?;
            print_key(access, &created, output).await
        }
    }
}

async fn slug(access: &AccessService, tenant: Option<TenantId>) -> Option<String> {
    let id = tenant?;
    let scope = sealwright_core::TenantScope::All;
    let found = access.tenant_in(scope, &id.to_string()).await.ok();
    found.map(|tenant| tenant.slug)
}

async fn print_key(
    access: &AccessService,
    created: &CreatedKey,
    output: &mut Output<'_>,
) -> Result<()> {
    let record = &created.record;
    output.object(&json!({
        "id": record.id,
        "key": created.key,
        "tenant": slug(access, record.tenant_id).await,
        "tenant_id": record.tenant_id,
        "scopes": record.scopes,
        "expires_at": record.expires_at.map(|at| at.to_string()),
    }))?;
    if !output.json {
        writeln!(output.err, "hint: the key is shown once; keep it now")?;
    }
    Ok(())
}

async fn tenant(
    access: &AccessService,
    by: &Principal,
    command: TenantCommand,
    output: &mut Output<'_>,
) -> Result<()> {
    let tenant = match command {
        TenantCommand::Create {
            slug,
            name,
            plan,
            region,
        } => {
            let new = NewTenant {
                slug,
                name,
                plan,
                region,
            };
            access.create_tenant(by, new).await?
        }
        TenantCommand::List(args) => {
            let page = access.tenants(by, &args.into()).await?;
            let columns = [
                "id",
                "slug",
                "name",
                "plan",
                "region",
                "state",
                "created_at",
            ];
            return output.list(&columns, &rows(&page.items), page.next.as_deref());
        }
        TenantCommand::Suspend { tenant } => {
            state(access, by, &tenant, TenantState::Suspended).await?
        }
        TenantCommand::Resume { tenant } => state(access, by, &tenant, TenantState::Active).await?,
    };
    output.object(&json!({
        "id": tenant.id,
        "slug": tenant.slug,
        "name": tenant.name,
        "plan": tenant.plan,
        "region": tenant.region,
        "state": tenant.state,
    }))
}

async fn state(
    access: &AccessService,
    by: &Principal,
    tenant: &str,
    state: TenantState,
) -> Result<crate::model::Tenant> {
    let change = TenantChange {
        state: Some(state),
        ..TenantChange::default()
    };
    access.change_tenant(by, tenant, None, change).await
}

async fn user(
    access: &AccessService,
    by: &Principal,
    command: UserCommand,
    output: &mut Output<'_>,
) -> Result<()> {
    let enable = |state| UserChange {
        state: Some(state),
        ..UserChange::default()
    };
    let user = match command {
        UserCommand::Create {
            email,
            role,
            tenant,
            name,
        } => {
            let new = NewUser {
                email,
                name,
                tenant,
                roles: role,
                password: None,
            };
            let user = access.create_user(by, new).await?;
            writeln!(
                output.err,
                "hint: `sealwright access link --user {}` makes the link that sets the password",
                user.email
            )?;
            user
        }
        UserCommand::List(args) => {
            let page = access.users(by, &args.into()).await?;
            let columns = [
                "id",
                "email",
                "name",
                "tenant_id",
                "roles",
                "state",
                "last_login_at",
            ];
            return output.list(&columns, &rows(&page.items), page.next.as_deref());
        }
        UserCommand::Disable { user } => {
            access
                .change_user(by, &user, None, enable(UserState::Disabled))
                .await?
        }
        UserCommand::Enable { user } => {
            access
                .change_user(by, &user, None, enable(UserState::Active))
                .await?
        }
    };
    output.object(&json!({
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "tenant_id": user.tenant_id,
        "roles": user.roles,
        "state": user.state,
    }))
}

/// `12h`, `90d`, `52w` from now, or an RFC 3339 time.
fn expiry(text: &str, now: UnixMicros) -> Result<UnixMicros> {
    let bad = || AccessError::Invalid {
        field: "--expires",
        detail: format!(
            "`{text}` is neither a length such as 12h, 90d or 52w nor a time such as 2027-01-31T00:00:00Z"
        ),
    };
    if let Ok(at) = UnixMicros::parse_rfc3339(text) {
        return Ok(at);
    }
    let unit = match text.chars().last() {
        Some('h') => HOUR,
        Some('d') => DAY,
        Some('w') => 7 * DAY,
        _ => return Err(bad()),
    };
    let count: i64 = text[..text.len() - 1].parse().map_err(|_| bad())?;
    // A hundred years are enough, and far from the end of the range.
    if count < 1 || count.saturating_mul(unit) > 36_525 * DAY {
        return Err(bad());
    }
    Ok(now.plus(count * unit))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lengths_and_times() {
        let now = UnixMicros(0);
        assert_eq!(expiry("90d", now).unwrap(), UnixMicros(90 * DAY));
        assert_eq!(expiry("2w", now).unwrap(), UnixMicros(14 * DAY));
        assert_eq!(
            expiry("1970-01-01T00:00:01Z", now).unwrap(),
            UnixMicros(1_000_000)
        );
        for bad in [
            "",
            "d",
            "-1d",
            "90",
            "90é",
            "99999999999999999999d",
            "9999999w",
            "soon",
        ] {
            assert!(expiry(bad, now).is_err(), "{bad}");
        }
    }
}
