//! SQL, and nothing else.

pub(crate) mod guard;
pub(crate) mod passkey;

use sealwright_core::{Digest, TenantScope, UnixMicros};
use sealwright_store::{Row, Sql, Store, StoreError, Tx, sql};

use crate::model::{ApiKey, KeyId, Link, LinkId, Session, SessionId, Tenant, User, UserId};
use crate::role::{Role, Scopes};

pub(crate) type Result<T> = std::result::Result<T, StoreError>;

fn opt_id<T: std::str::FromStr>(row: &Row, column: &str) -> Result<Option<T>> {
    match row.opt_text(column)? {
        Some(_) => row.parse(column).map(Some),
        None => Ok(None),
    }
}

fn tenant(row: &Row) -> Result<Tenant> {
    Ok(Tenant {
        id: row.parse("id")?,
        slug: row.text("slug")?,
        name: row.text("name")?,
        plan: row.opt_text("plan")?,
        region: row.opt_text("region")?,
        state: row.parse("state")?,
        version: row.int("version")?,
        created_at: row.micros("created_at")?,
        updated_at: row.micros("updated_at")?,
    })
}

fn user(row: &Row) -> Result<User> {
    let roles = row
        .text("roles")?
        .split(',')
        .filter(|role| !role.is_empty())
        .map(str::parse)
        .collect::<std::result::Result<Vec<Role>, _>>()
        .map_err(|_| StoreError::Column {
            column: "roles".to_owned(),
            found: "text of another form",
            expected: "names of roles",
        })?;
    Ok(User {
        id: row.parse("id")?,
        tenant_id: opt_id(row, "tenant_id")?,
        email: row.text("email")?,
        name: row.text("name")?,
        roles,
        state: row.parse("state")?,
        version: row.int("version")?,
        created_at: row.micros("created_at")?,
        last_login_at: row.opt_micros("last_login_at")?,
    })
}

fn session(row: &Row) -> Result<Session> {
    Ok(Session {
        id: row.parse("id")?,
        user_id: row.parse("user_id")?,
        address: row.text("address")?,
        agent: row.text("agent")?,
        created_at: row.micros("created_at")?,
        seen_at: row.micros("seen_at")?,
        expires_at: row.micros("expires_at")?,
    })
}

fn key(row: &Row) -> Result<ApiKey> {
    Ok(ApiKey {
        id: row.parse("id")?,
        tenant_id: opt_id(row, "tenant_id")?,
        name: row.text("name")?,
        hint: row.text("hint")?,
        scopes: row.parse::<Scopes>("scopes")?,
        created_by: row.text("created_by")?,
        version: row.int("version")?,
        created_at: row.micros("created_at")?,
        expires_at: row.opt_micros("expires_at")?,
        revoked_at: row.opt_micros("revoked_at")?,
        last_used_at: row.opt_micros("last_used_at")?,
    })
}

fn link(row: &Row) -> Result<Link> {
    Ok(Link {
        id: row.parse("id")?,
        user_id: opt_id(row, "user_id")?,
        created_at: row.micros("created_at")?,
        expires_at: row.micros("expires_at")?,
        used_at: row.opt_micros("used_at")?,
    })
}

// ---- tenants

pub(crate) async fn all_tenants(store: &Store) -> Result<Vec<Tenant>> {
    let rows = store.fetch_all(sql("SELECT * FROM tenant")).await?;
    rows.iter().map(tenant).collect()
}

pub(crate) async fn list_tenants(
    store: &Store,
    scope: TenantScope,
    after: &str,
    limit: i64,
) -> Result<Vec<Tenant>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM tenant WHERE ($1 = '*' OR id = $1) AND slug > $2
                 ORDER BY slug LIMIT $3",
            )
            .bind(scope)
            .bind(after)
            .bind(limit),
        )
        .await?;
    rows.iter().map(tenant).collect()
}

/// By id or slug, inside the scope.
fn by_tenant(scope: TenantScope, text: &str) -> Sql {
    sql("SELECT * FROM tenant WHERE ($1 = '*' OR id = $1) AND (id = $2 OR slug = $2)")
        .bind(scope)
        .bind(text)
}

pub(crate) async fn find_tenant(
    tx: &mut Tx,
    scope: TenantScope,
    text: &str,
) -> Result<Option<Tenant>> {
    let row = tx.fetch_optional(by_tenant(scope, text)).await?;
    row.as_ref().map(tenant).transpose()
}

/// As [`find_tenant`], outside of any transaction.
pub(crate) async fn read_tenant(
    store: &Store,
    scope: TenantScope,
    text: &str,
) -> Result<Option<Tenant>> {
    let row = store.fetch_optional(by_tenant(scope, text)).await?;
    row.as_ref().map(tenant).transpose()
}

pub(crate) async fn insert_tenant(tx: &mut Tx, tenant: &Tenant) -> Result<()> {
    tx.execute(
        sql("INSERT INTO tenant
             (id, slug, name, plan, region, state, version, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(tenant.id)
        .bind(&tenant.slug)
        .bind(&tenant.name)
        .bind(tenant.plan.clone())
        .bind(tenant.region.clone())
        .bind(tenant.state.as_str())
        .bind(tenant.version)
        .bind(tenant.created_at)
        .bind(tenant.updated_at),
    )
    .await?;
    Ok(())
}

/// Writes `tenant` over the version before it; 0 when another writer came first.
pub(crate) async fn update_tenant(tx: &mut Tx, tenant: &Tenant) -> Result<u64> {
    tx.execute(
        sql(
            "UPDATE tenant SET name = $2, plan = $3, region = $4, state = $5, version = $6,
             updated_at = $7 WHERE id = $1 AND version = $6 - 1",
        )
        .bind(tenant.id)
        .bind(&tenant.name)
        .bind(tenant.plan.clone())
        .bind(tenant.region.clone())
        .bind(tenant.state.as_str())
        .bind(tenant.version)
        .bind(tenant.updated_at),
    )
    .await
}

// ---- users

pub(crate) async fn count_users(store: &Store) -> Result<i64> {
    store
        .fetch_one(sql("SELECT COUNT(*) AS n FROM access_user"))
        .await?
        .int("n")
}

pub(crate) async fn active_owners(tx: &mut Tx) -> Result<Vec<User>> {
    let rows = tx
        .fetch_all(sql(
            "SELECT * FROM access_user WHERE state = 'active' AND tenant_id IS NULL
                 AND (',' || roles || ',') LIKE '%,owner,%'",
        ))
        .await?;
    rows.iter().map(user).collect()
}

pub(crate) async fn list_users(
    store: &Store,
    scope: TenantScope,
    after: &str,
    limit: i64,
) -> Result<Vec<User>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM access_user WHERE ($1 = '*' OR tenant_id = $1) AND email > $2
                 ORDER BY email LIMIT $3",
            )
            .bind(scope)
            .bind(after)
            .bind(limit),
        )
        .await?;
    rows.iter().map(user).collect()
}

/// By id or e-mail address, inside the scope.
fn by_user(scope: TenantScope, text: &str) -> Sql {
    sql("SELECT * FROM access_user
         WHERE ($1 = '*' OR tenant_id = $1) AND (id = $2 OR email = $2)")
    .bind(scope)
    .bind(text)
}

pub(crate) async fn find_user(tx: &mut Tx, scope: TenantScope, text: &str) -> Result<Option<User>> {
    let row = tx.fetch_optional(by_user(scope, text)).await?;
    row.as_ref().map(user).transpose()
}

/// As [`find_user`], outside of any transaction.
pub(crate) async fn read_user(
    store: &Store,
    scope: TenantScope,
    text: &str,
) -> Result<Option<User>> {
    let row = store.fetch_optional(by_user(scope, text)).await?;
    row.as_ref().map(user).transpose()
}

pub(crate) async fn has_password(tx: &mut Tx, id: UserId) -> Result<bool> {
    let row = tx
        .fetch_one(
            sql("SELECT COUNT(*) AS n FROM access_user WHERE id = $1 AND password IS NOT NULL")
                .bind(id),
        )
        .await?;
    row.bool("n")
}

/// The user and the stored password, for signing in.
pub(crate) async fn find_credentials(
    store: &Store,
    email: &str,
) -> Result<Option<(User, Option<String>)>> {
    let row = store
        .fetch_optional(sql("SELECT * FROM access_user WHERE email = $1").bind(email))
        .await?;
    row.map(|row| Ok((user(&row)?, row.opt_text("password")?)))
        .transpose()
}

fn role_names(user: &User) -> String {
    let names: Vec<_> = user.roles.iter().map(|role| role.as_str()).collect();
    names.join(",")
}

pub(crate) async fn insert_user(tx: &mut Tx, user: &User, password: Option<String>) -> Result<()> {
    tx.execute(
        sql("INSERT INTO access_user
             (id, tenant_id, email, name, roles, state, password, version, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)")
        .bind(user.id)
        .bind(user.tenant_id)
        .bind(&user.email)
        .bind(&user.name)
        .bind(role_names(user))
        .bind(user.state.as_str())
        .bind(password)
        .bind(user.version)
        .bind(user.created_at),
    )
    .await?;
    Ok(())
}

/// Writes `user` over the version before it; 0 when another writer came first.
pub(crate) async fn update_user(tx: &mut Tx, user: &User, now: UnixMicros) -> Result<u64> {
    tx.execute(
        sql(
            "UPDATE access_user SET name = $2, roles = $3, state = $4, version = $5,
             updated_at = $6 WHERE id = $1 AND version = $5 - 1",
        )
        .bind(user.id)
        .bind(&user.name)
        .bind(role_names(user))
        .bind(user.state.as_str())
        .bind(user.version)
        .bind(now),
    )
    .await
}

pub(crate) async fn set_password(tx: &mut Tx, user: UserId, password: &str) -> Result<()> {
    tx.execute(
        sql("UPDATE access_user SET password = $2 WHERE id = $1")
            .bind(user)
            .bind(password),
    )
    .await?;
    Ok(())
}

pub(crate) async fn note_login(tx: &mut Tx, user: UserId, now: UnixMicros) -> Result<()> {
    tx.execute(
        sql("UPDATE access_user SET last_login_at = $2 WHERE id = $1")
            .bind(user)
            .bind(now),
    )
    .await?;
    Ok(())
}

// ---- sessions

pub(crate) async fn insert_session(tx: &mut Tx, session: &Session, token: Digest) -> Result<()> {
    tx.execute(
        sql("INSERT INTO access_session
             (id, user_id, token_hash, address, agent, created_at, seen_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(session.id)
        .bind(session.user_id)
        .bind(token)
        .bind(&session.address)
        .bind(&session.agent)
        .bind(session.created_at)
        .bind(session.seen_at)
        .bind(session.expires_at),
    )
    .await?;
    Ok(())
}

/// The session of a token, with its user.
pub(crate) async fn find_session(store: &Store, token: Digest) -> Result<Option<(Session, User)>> {
    let row = store
        .fetch_optional(sql("SELECT * FROM access_session WHERE token_hash = $1").bind(token))
        .await?;
    let Some(row) = row else { return Ok(None) };
    let session = session(&row)?;
    let row = store
        .fetch_optional(sql("SELECT * FROM access_user WHERE id = $1").bind(session.user_id))
        .await?;
    row.map(|row| Ok((session, user(&row)?))).transpose()
}

pub(crate) async fn list_sessions(store: &Store, user: UserId) -> Result<Vec<Session>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM access_session WHERE user_id = $1 ORDER BY seen_at DESC, id LIMIT 200")
                .bind(user),
        )
        .await?;
    rows.iter().map(session).collect()
}

pub(crate) async fn touch_session(store: &Store, id: SessionId, now: UnixMicros) -> Result<()> {
    store
        .execute(
            sql("UPDATE access_session SET seen_at = $2 WHERE id = $1 AND seen_at < $2")
                .bind(id)
                .bind(now),
        )
        .await?;
    Ok(())
}

pub(crate) async fn delete_session(tx: &mut Tx, user: UserId, id: SessionId) -> Result<u64> {
    tx.execute(
        sql("DELETE FROM access_session WHERE id = $1 AND user_id = $2")
            .bind(id)
            .bind(user),
    )
    .await
}

pub(crate) async fn delete_sessions(tx: &mut Tx, user: UserId) -> Result<u64> {
    tx.execute(sql("DELETE FROM access_session WHERE user_id = $1").bind(user))
        .await
}

// ---- keys

pub(crate) async fn insert_key(tx: &mut Tx, key: &ApiKey, hash: Digest) -> Result<()> {
    tx.execute(
        sql("INSERT INTO access_key
             (id, tenant_id, name, hint, hash, scopes, created_by, version, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
        .bind(key.id)
        .bind(key.tenant_id)
        .bind(&key.name)
        .bind(&key.hint)
        .bind(hash)
        .bind(key.scopes.to_string())
        .bind(&key.created_by)
        .bind(key.version)
        .bind(key.created_at)
        .bind(key.expires_at),
    )
    .await?;
    Ok(())
}

/// The key with this hash, and the stored hash for the comparison.
pub(crate) async fn find_key_by_hash(
    store: &Store,
    hash: Digest,
) -> Result<Option<(ApiKey, String)>> {
    let row = store
        .fetch_optional(sql("SELECT * FROM access_key WHERE hash = $1").bind(hash))
        .await?;
    row.map(|row| Ok((key(&row)?, row.text("hash")?)))
        .transpose()
}

fn by_key(scope: TenantScope, id: &str) -> Sql {
    sql("SELECT * FROM access_key WHERE ($1 = '*' OR tenant_id = $1) AND id = $2")
        .bind(scope)
        .bind(id)
}

pub(crate) async fn find_key(tx: &mut Tx, scope: TenantScope, id: &str) -> Result<Option<ApiKey>> {
    let row = tx.fetch_optional(by_key(scope, id)).await?;
    row.as_ref().map(key).transpose()
}

/// As [`find_key`], outside of any transaction.
pub(crate) async fn read_key(
    store: &Store,
    scope: TenantScope,
    id: &str,
) -> Result<Option<ApiKey>> {
    let row = store.fetch_optional(by_key(scope, id)).await?;
    row.as_ref().map(key).transpose()
}

pub(crate) async fn list_keys(
    store: &Store,
    scope: TenantScope,
    after: &str,
    limit: i64,
) -> Result<Vec<ApiKey>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM access_key WHERE ($1 = '*' OR tenant_id = $1) AND id > $2
                 ORDER BY id LIMIT $3",
            )
            .bind(scope)
            .bind(after)
            .bind(limit),
        )
        .await?;
    rows.iter().map(key).collect()
}

pub(crate) async fn revoke_key(tx: &mut Tx, key: &ApiKey) -> Result<u64> {
    tx.execute(
        sql("UPDATE access_key SET revoked_at = $2, version = $3
             WHERE id = $1 AND version = $3 - 1")
        .bind(key.id)
        .bind(key.revoked_at)
        .bind(key.version),
    )
    .await
}

pub(crate) async fn note_key_use(tx: &mut Tx, id: KeyId, at: UnixMicros) -> Result<()> {
    tx.execute(
        sql("UPDATE access_key SET last_used_at = $2
             WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)")
        .bind(id)
        .bind(at),
    )
    .await?;
    Ok(())
}

// ---- links

pub(crate) async fn insert_link(tx: &mut Tx, link: &Link, token: Digest) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO access_link (id, user_id, token_hash, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(link.id)
        .bind(link.user_id)
        .bind(token)
        .bind(link.created_at)
        .bind(link.expires_at),
    )
    .await?;
    Ok(())
}

pub(crate) async fn find_link(store: &Store, token: Digest) -> Result<Option<Link>> {
    let row = store
        .fetch_optional(sql("SELECT * FROM access_link WHERE token_hash = $1").bind(token))
        .await?;
    row.as_ref().map(link).transpose()
}

/// 1 for the caller that uses it, 0 for everyone after.
pub(crate) async fn use_link(tx: &mut Tx, id: LinkId, now: UnixMicros) -> Result<u64> {
    tx.execute(
        sql("UPDATE access_link SET used_at = $2
             WHERE id = $1 AND used_at IS NULL AND expires_at > $2")
        .bind(id)
        .bind(now),
    )
    .await
}

/// Voids the unused links of a user, or the unused ones for a new owner.
pub(crate) async fn void_links(tx: &mut Tx, user: Option<UserId>) -> Result<u64> {
    let statement = match user {
        Some(user) => {
            sql("DELETE FROM access_link WHERE user_id = $1 AND used_at IS NULL").bind(user)
        }
        None => sql("DELETE FROM access_link WHERE user_id IS NULL AND used_at IS NULL"),
    };
    tx.execute(statement).await
}

// ---- throttle, requests, housekeeping

/// Failures, when they began, and until when attempts are refused.
pub(crate) struct Throttle {
    pub(crate) failures: i64,
    pub(crate) first_at: UnixMicros,
    pub(crate) blocked_until: UnixMicros,
}

pub(crate) async fn find_throttle(tx: &mut Tx, subject: Digest) -> Result<Option<Throttle>> {
    let row = tx
        .fetch_optional(
            sql("SELECT failures, first_at, blocked_until FROM access_throttle WHERE subject = $1")
                .bind(subject),
        )
        .await?;
    row.map(|row| {
        Ok(Throttle {
            failures: row.int("failures")?,
            first_at: row.micros("first_at")?,
            blocked_until: row.micros("blocked_until")?,
        })
    })
    .transpose()
}

pub(crate) async fn put_throttle(tx: &mut Tx, subject: Digest, state: &Throttle) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO access_throttle (subject, failures, first_at, blocked_until)
             VALUES ($1, $2, $3, $4) ON CONFLICT (subject) DO UPDATE
             SET failures = excluded.failures, first_at = excluded.first_at,
                 blocked_until = excluded.blocked_until",
        )
        .bind(subject)
        .bind(state.failures)
        .bind(state.first_at)
        .bind(state.blocked_until),
    )
    .await?;
    Ok(())
}

pub(crate) async fn clear_throttle(tx: &mut Tx, subject: Digest) -> Result<()> {
    tx.execute(sql("DELETE FROM access_throttle WHERE subject = $1").bind(subject))
        .await?;
    Ok(())
}

/// The digest and the resource of an answered request.
pub(crate) async fn find_request(
    tx: &mut Tx,
    principal: &str,
    request_key: &str,
) -> Result<Option<(String, String)>> {
    let row = tx
        .fetch_optional(
            sql("SELECT digest, resource FROM access_request
                 WHERE principal = $1 AND request_key = $2")
            .bind(principal)
            .bind(request_key),
        )
        .await?;
    row.map(|row| Ok((row.text("digest")?, row.text("resource")?)))
        .transpose()
}

pub(crate) async fn insert_request(
    tx: &mut Tx,
    principal: &str,
    request_key: &str,
    digest: Digest,
    resource: &str,
    now: UnixMicros,
) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO access_request (principal, request_key, digest, resource, created_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(principal)
        .bind(request_key)
        .bind(digest)
        .bind(resource)
        .bind(now),
    )
    .await?;
    Ok(())
}

/// Rows that no longer mean anything: ended sessions, links, blocks and requests.
pub(crate) async fn delete_ended(
    tx: &mut Tx,
    now: UnixMicros,
    idle_since: UnixMicros,
    before: UnixMicros,
) -> Result<(u64, u64)> {
    let sessions = tx
        .execute(
            sql("DELETE FROM access_session WHERE expires_at <= $1 OR seen_at <= $2")
                .bind(now)
                .bind(idle_since),
        )
        .await?;
    let ended = "DELETE FROM access_challenge WHERE expires_at <= $1";
    let mut others = tx.execute(sql(ended).bind(now)).await?;
    for text in [
        "DELETE FROM access_link WHERE expires_at < $1",
        "DELETE FROM access_throttle WHERE first_at < $1 AND blocked_until < $1",
        "DELETE FROM access_request WHERE created_at < $1",
    ] {
        others += tx.execute(sql(text).bind(before)).await?;
    }
    Ok((sessions, others))
}
