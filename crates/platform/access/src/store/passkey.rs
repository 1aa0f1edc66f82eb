//! Rows of `access_passkey` and `access_challenge`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealwright_core::{Digest, UnixMicros};
use sealwright_store::{Row, Store, StoreError, Tx, sql};

use super::Result;
use crate::model::{Passkey, PasskeyId, UserId};
use crate::relying_party::{Asked, Credential};

/// Challenges that one address or user may have open; asking for more drops the oldest.
const MOST_OPEN: i64 = 50;

fn read(row: &Row) -> Result<(Passkey, Credential)> {
    let id = row.text("credential_id")?;
    let passkey = Passkey {
        id: row.parse("id")?,
        user_id: row.parse("user_id")?,
        name: row.text("name")?,
        created_at: row.micros("created_at")?,
        last_used_at: row.opt_micros("last_used_at")?,
    };
    let credential = Credential {
        id: URL_SAFE_NO_PAD.decode(id).map_err(|_| StoreError::Column {
            column: "credential_id".to_owned(),
            found: "text of another form",
            expected: "base64url",
        })?,
        transports: u8::try_from(row.int("transports")?).unwrap_or(0),
        stable: row.bytes("stable")?,
        changing: row.bytes("changing")?,
    };
    Ok((passkey, credential))
}

/// A user's passkeys, in the order in which they were added.
pub(crate) async fn list(store: &Store, user: UserId) -> Result<Vec<(Passkey, Credential)>> {
    let text = "SELECT * FROM access_passkey WHERE user_id = $1 ORDER BY id";
    let rows = store.fetch_all(sql(text).bind(user)).await?;
    rows.iter().map(read).collect()
}

pub(crate) async fn count(tx: &mut Tx, user: UserId) -> Result<i64> {
    let text = "SELECT COUNT(*) AS n FROM access_passkey WHERE user_id = $1";
    tx.fetch_one(sql(text).bind(user)).await?.int("n")
}

pub(crate) async fn find(tx: &mut Tx, user: UserId, id: PasskeyId) -> Result<Option<Passkey>> {
    let text = "SELECT * FROM access_passkey WHERE user_id = $1 AND id = $2";
    let row = tx.fetch_optional(sql(text).bind(user).bind(id)).await?;
    row.map(|row| Ok(read(&row)?.0)).transpose()
}

/// By what a browser says it is.
pub(crate) async fn find_credential(
    store: &Store,
    credential: &[u8],
) -> Result<Option<(Passkey, Credential)>> {
    let text = "SELECT * FROM access_passkey WHERE credential_id = $1";
    let row = store
        .fetch_optional(sql(text).bind(URL_SAFE_NO_PAD.encode(credential)))
        .await?;
    row.as_ref().map(read).transpose()
}

pub(crate) async fn insert(tx: &mut Tx, passkey: &Passkey, credential: &Credential) -> Result<()> {
    tx.execute(
        sql("INSERT INTO access_passkey
             (id, user_id, credential_id, name, transports, stable, changing, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(passkey.id)
        .bind(passkey.user_id)
        .bind(URL_SAFE_NO_PAD.encode(&credential.id))
        .bind(&passkey.name)
        .bind(i64::from(credential.transports))
        .bind(credential.stable.clone())
        .bind(credential.changing.clone())
        .bind(passkey.created_at),
    )
    .await?;
    Ok(())
}

pub(crate) async fn rename(tx: &mut Tx, id: PasskeyId, name: &str) -> Result<()> {
    let text = "UPDATE access_passkey SET name = $2 WHERE id = $1";
    tx.execute(sql(text).bind(id).bind(name)).await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, id: PasskeyId) -> Result<()> {
    let text = "DELETE FROM access_passkey WHERE id = $1";
    tx.execute(sql(text).bind(id)).await?;
    Ok(())
}

/// Writes a use over the state that it was judged by; 0 when another use came first.
pub(crate) async fn note_use(
    tx: &mut Tx,
    id: PasskeyId,
    before: &[u8],
    after: &[u8],
    now: UnixMicros,
) -> Result<u64> {
    tx.execute(
        sql("UPDATE access_passkey SET changing = $3, last_used_at = $4
             WHERE id = $1 AND changing = $2")
        .bind(id)
        .bind(before.to_vec())
        .bind(after.to_vec())
        .bind(now),
    )
    .await
}

/// Keeps what was asked, and no more of one asker than [`MOST_OPEN`].
pub(crate) async fn insert_challenge(
    tx: &mut Tx,
    asked: &Asked,
    user: Option<UserId>,
    asked_by: Digest,
    (now, until): (UnixMicros, UnixMicros),
) -> Result<()> {
    tx.execute(
        sql(
            "DELETE FROM access_challenge WHERE asked_by = $1 AND digest NOT IN (
                 SELECT digest FROM access_challenge WHERE asked_by = $1 AND expires_at > $2
                 ORDER BY created_at DESC, digest LIMIT $3)",
        )
        .bind(asked_by)
        .bind(now)
        .bind(MOST_OPEN - 1),
    )
    .await?;
    tx.execute(
        sql("INSERT INTO access_challenge (digest, user_id, asked_by, state, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(asked.challenge)
        .bind(user)
        .bind(asked_by)
        .bind(asked.state.clone())
        .bind(now)
        .bind(until),
    )
    .await?;
    Ok(())
}

/// Takes what was asked, which can then not be answered again.
pub(crate) async fn take_challenge(
    tx: &mut Tx,
    challenge: Digest,
    user: Option<UserId>,
    now: UnixMicros,
) -> Result<Option<Vec<u8>>> {
    let text = "SELECT state FROM access_challenge
                WHERE digest = $1 AND COALESCE(user_id, '') = $2 AND expires_at > $3";
    let user = user.map(|user| user.to_string()).unwrap_or_default();
    let asked = sql(text).bind(challenge).bind(user).bind(now);
    let Some(row) = tx.fetch_optional(asked).await? else {
        return Ok(None);
    };
    let text = "DELETE FROM access_challenge WHERE digest = $1";
    // Of two that answer at once, one deletes it.
    match tx.execute(sql(text).bind(challenge)).await? {
        1 => row.bytes("state").map(Some),
        _ => Ok(None),
    }
}
