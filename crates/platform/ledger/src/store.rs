//! The ledger's rows: SQL and nothing else.

use sealwright_core::{TenantScope, UnixMicros};
use sealwright_store::portable::Snapshot;
use sealwright_store::{Row, Store, Tx, sql};

use crate::entry::{EntryId, Leaf, Opening, Private};
use crate::error::{LedgerError, Result};

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryRow {
    /// The order of writing; later transactions have higher numbers.
    pub seq: i64,
    /// The entry's id.
    pub id: EntryId,
    /// When it was recorded.
    pub recorded_at: UnixMicros,
    /// The leaf's bytes.
    pub leaf: Vec<u8>,
    /// What opens the commitment; `None` after erasure.
    pub opening: Option<Opening>,
    /// Its index in the tree, once it has one.
    pub index: Option<u64>,
    /// When its private part was erased.
    pub erased_at: Option<UnixMicros>,
}

/// Which entries to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// Only this action, or, when it ends in a dot, every action that begins with it.
    pub action: Option<String>,
    /// Only this subject.
    pub subject: Option<String>,
    /// Only this actor.
    pub actor: Option<String>,
    /// Only entries written before this `seq`: the cursor of the next page.
    pub before: Option<i64>,
}

const COLUMNS: &str =
    "seq, id, tenant_id, recorded_at, leaf, actor, salt, private, leaf_index, erased_at";

fn entry(row: &Row) -> Result<EntryRow> {
    let opening = match (row.opt_bytes("salt")?, row.opt_text("private")?) {
        (Some(salt), Some(text)) => {
            let id = row.text("id")?;
            let damaged =
                |what: &str| LedgerError::Disagree(format!("the {what} of entry {id} is damaged"));
            let salt: [u8; 32] = salt.try_into().map_err(|_| damaged("salt"))?;
            let private: Private =
                serde_json::from_str(&text).map_err(|_| damaged("private part"))?;
            Some(Opening {
                salt: sealwright_core::Digest(salt),
                private,
            })
        }
        _ => None,
    };
    Ok(EntryRow {
        seq: row.int("seq")?,
        id: row.parse("id")?,
        recorded_at: row.micros("recorded_at")?,
        leaf: row.bytes("leaf")?,
        opening,
        index: row
            .opt_int("leaf_index")?
            .and_then(|index| u64::try_from(index).ok()),
        erased_at: row.opt_micros("erased_at")?,
    })
}

pub(crate) async fn insert(
    tx: &mut Tx,
    leaf: &Leaf,
    opening: &Opening,
    now: UnixMicros,
) -> Result<()> {
    let private = String::from_utf8_lossy(&opening.private_bytes()).into_owned();
    tx.execute(
        sql("INSERT INTO ledger_entry
                 (id, tenant_id, recorded_at, action, subject, actor, leaf, salt, private)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(leaf.id)
        .bind(opening.private.tenant)
        .bind(now)
        .bind(&leaf.action)
        .bind(&leaf.subject)
        .bind(&opening.private.actor)
        .bind(leaf.to_bytes())
        .bind(opening.salt.0.to_vec())
        .bind(private),
    )
    .await?;
    Ok(())
}

/// Gives the next indices to entries that have none, in the order of writing, and says how many.
pub(crate) async fn assign(store: &Store, most: usize) -> Result<u64> {
    let waiting = store
        .fetch_optional(sql(
            "SELECT seq FROM ledger_entry WHERE leaf_index IS NULL LIMIT 1",
        ))
        .await?;
    if waiting.is_none() {
        return Ok(0);
    }
    let mut tx = store.begin().await?;
    // One at a time, whatever the number of processes: indices have no gaps and no twins.
    tx.lock("ledger-sequencer").await?;
    let next = tx.fetch_one(sql(ASSIGNED)).await?.int("next")?;
    let assigned = tx
        .execute(
            sql("UPDATE ledger_entry SET leaf_index = $1 + place.n
                 FROM (SELECT seq, ROW_NUMBER() OVER (ORDER BY seq) - 1 AS n
                       FROM ledger_entry WHERE leaf_index IS NULL ORDER BY seq LIMIT $2) AS place
                 WHERE ledger_entry.seq = place.seq")
            .bind(next)
            .bind(i64::try_from(most).unwrap_or(i64::MAX)),
        )
        .await?;
    tx.commit().await?;
    Ok(assigned)
}

/// The leaves from index `from` on, in order and without a gap.
pub(crate) async fn leaves(store: &Store, from: u64, most: usize) -> Result<Vec<Vec<u8>>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT leaf_index, leaf FROM ledger_entry WHERE leaf_index >= $1
                 ORDER BY leaf_index LIMIT $2",
            )
            .bind(i64::try_from(from).unwrap_or(i64::MAX))
            .bind(i64::try_from(most).unwrap_or(i64::MAX)),
        )
        .await?;
    (from..)
        .zip(&rows)
        .map(|(index, row)| {
            if row.int("leaf_index")? != i64::try_from(index).unwrap_or(i64::MAX) {
                return Err(LedgerError::Disagree(format!(
                    "entry {index} is not in the database"
                )));
            }
            Ok(row.bytes("leaf")?)
        })
        .collect()
}

/// A row as a check reads it: also the columns that repeat what leaf and private part say, by which
/// rows are found.
#[derive(Debug)]
pub(crate) struct CheckedRow {
    pub(crate) row: EntryRow,
    pub(crate) action: String,
    pub(crate) subject: String,
    pub(crate) actor: Option<String>,
    pub(crate) tenant: Option<String>,
}

/// The full rows from index `from` on, in order, each with its index; one that cannot be read is
/// an error of its own, so that the others can still be checked.
pub(crate) async fn rows_from(
    store: &Store,
    from: u64,
    most: usize,
) -> Result<Vec<(u64, Result<CheckedRow>)>> {
    let rows = store
        .fetch_all(
            sql(format!(
                "SELECT {COLUMNS}, action, subject FROM ledger_entry WHERE leaf_index >= $1
                 ORDER BY leaf_index LIMIT $2"
            ))
            .bind(i64::try_from(from).unwrap_or(i64::MAX))
            .bind(i64::try_from(most).unwrap_or(i64::MAX)),
        )
        .await?;
    rows.iter()
        .map(|row| {
            let index = u64::try_from(row.int("leaf_index")?).unwrap_or(u64::MAX);
            Ok((index, checked(row)))
        })
        .collect()
}

fn checked(row: &Row) -> Result<CheckedRow> {
    Ok(CheckedRow {
        row: entry(row)?,
        action: row.text("action")?,
        subject: row.text("subject")?,
        actor: row.opt_text("actor")?,
        tenant: row.opt_text("tenant_id")?,
    })
}

const ASSIGNED: &str = "SELECT COALESCE(MAX(leaf_index) + 1, 0) AS next FROM ledger_entry";

/// How many entries have an index.
pub(crate) async fn assigned(store: &Store) -> Result<u64> {
    let row = store.fetch_one(sql(ASSIGNED)).await?;
    Ok(u64::try_from(row.int("next")?).unwrap_or(0))
}

/// How many entries have an index, at the moment of a snapshot.
///
/// # Errors
/// From the state.
pub async fn assigned_of(state: &mut Snapshot) -> Result<u64> {
    let rows = state.fetch_all(sql(ASSIGNED)).await?;
    let next = rows.first().map_or(Ok(0), |row| row.int("next"))?;
    Ok(u64::try_from(next).unwrap_or(0))
}

pub(crate) async fn by_id(
    store: &Store,
    scope: TenantScope,
    id: EntryId,
) -> Result<Option<EntryRow>> {
    let row = store
        .fetch_optional(
            sql(format!(
                "SELECT {COLUMNS} FROM ledger_entry
                 WHERE id = $2 AND ($1 = '*' OR tenant_id = $1)"
            ))
            .bind(scope)
            .bind(id),
        )
        .await?;
    row.as_ref().map(entry).transpose()
}

pub(crate) async fn list(
    store: &Store,
    scope: TenantScope,
    filter: &EntryFilter,
    most: usize,
) -> Result<Vec<EntryRow>> {
    let (exact, prefix) = match &filter.action {
        Some(action) if action.ends_with('.') => (None, Some(action.clone())),
        action => (action.clone(), None),
    };
    let rows = store
        .fetch_all(
            sql(format!(
                "SELECT {COLUMNS} FROM ledger_entry
                 WHERE ($1 = '*' OR tenant_id = $1)
                   AND seq < $2
                   AND ($3 IS NULL OR action = $3)
                   AND ($4 IS NULL OR substr(action, 1, length($4)) = $4)
                   AND ($5 IS NULL OR subject = $5)
                   AND ($6 IS NULL OR actor = $6)
                 ORDER BY seq DESC LIMIT $7"
            ))
            .bind(scope)
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(exact)
            .bind(prefix)
            .bind(filter.subject.clone())
            .bind(filter.actor.clone())
            .bind(i64::try_from(most).unwrap_or(i64::MAX)),
        )
        .await?;
    rows.iter().map(entry).collect()
}

/// Which private parts to erase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erase {
    /// One entry's.
    Entry(EntryId),
    /// Those of every entry about a subject.
    Subject(String),
    /// Those of every entry by an actor.
    Actor(String),
}

pub(crate) async fn erase(
    tx: &mut Tx,
    scope: TenantScope,
    what: &Erase,
    now: UnixMicros,
) -> Result<u64> {
    let (column, value) = match what {
        Erase::Entry(id) => ("id", id.to_string()),
        Erase::Subject(subject) => ("subject", subject.clone()),
        Erase::Actor(actor) => ("actor", actor.clone()),
    };
    let erased = tx
        .execute(
            sql(format!(
                "UPDATE ledger_entry SET salt = NULL, private = NULL, actor = NULL, erased_at = $3
                 WHERE {column} = $2 AND ($1 = '*' OR tenant_id = $1) AND erased_at IS NULL"
            ))
            .bind(scope)
            .bind(value)
            .bind(now),
        )
        .await?;
    Ok(erased)
}

/// The verifier key that this database's tree belongs to; the first caller's is kept.
pub(crate) async fn claim_key(store: &Store, key: &str, now: UnixMicros) -> Result<String> {
    store
        .execute(
            sql(
                "INSERT INTO ledger_key (id, verifier_key, created_at) VALUES (1, $1, $2)
                 ON CONFLICT (id) DO NOTHING",
            )
            .bind(key)
            .bind(now),
        )
        .await?;
    let row = store
        .fetch_one(sql("SELECT verifier_key FROM ledger_key WHERE id = 1"))
        .await?;
    Ok(row.text("verifier_key")?)
}
