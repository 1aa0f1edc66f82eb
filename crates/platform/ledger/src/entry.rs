//! What an entry says, and what of it is public.
//!
//! The **leaf** is what goes into the tree and can be served to anybody: when, which action, on
//! which subject, digests of the subject before and after, and a commitment. The **private part**
//! (tenant, actor, details) stays in the database. The commitment binds the two:
//!
//! ```text
//! commitment = SHA-256(salt || canonical JSON of {"actor", "details", "tenant"})
//! ```
//!
//! The salt is 32 random bytes, so that the private part cannot be guessed from the commitment.
//! Whoever is shown salt and private part can check them against the leaf; once they are erased,
//! the leaf and all proofs stand, and nothing can be learnt from them any more.

use sealwright_core::{Digest, Id, IdKind, TenantId, UnixMicros, canonical_json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::error::{LedgerError, Result};

/// The version of the leaf's form, its member `v`.
pub const LEAF_VERSION: u64 = 1;
/// The longest canonical private part, in bytes.
pub const MAX_PRIVATE_LEN: usize = 256 * 1024;
const MAX_ACTION: usize = 128;
const MAX_SUBJECT: usize = 512;
const MAX_ACTOR: usize = 256;

/// The kind of [`EntryId`].
#[derive(Debug)]
pub enum EntryKind {}

impl IdKind for EntryKind {
    const PREFIX: &'static str = "led";
}

/// The id of a ledger entry.
pub type EntryId = Id<EntryKind>;

/// What a service wants recorded. Build it with [`EntryDraft::new`].
#[derive(Debug, Clone, PartialEq)]
pub struct EntryDraft {
    /// Whose change it is; `None` for the installation's own. Private.
    pub tenant: Option<TenantId>,
    /// Who did it, e.g. `user:usr_…`, `key:key_…`, `job:invoice-run`. Private.
    pub actor: String,
    /// What was done, dotted lower-case words: `billing.invoice.finalised`. Public.
    pub action: String,
    /// What it was done to: a pseudonymous id such as `inv_…`. Public, so never a name or address.
    pub subject: String,
    /// SHA-256 of the subject's canonical state before, where there was one. Public: the state
    /// must hold something that cannot be guessed, such as a random id.
    pub before: Option<Digest>,
    /// SHA-256 of the subject's canonical state afterwards, where there is one. Public, as above.
    pub after: Option<Digest>,
    /// Anything else worth knowing, without secrets. Private.
    pub details: Value,
}

impl EntryDraft {
    /// A draft with no tenant, digests or details.
    #[must_use]
    pub fn new(
        actor: impl Into<String>,
        action: impl Into<String>,
        subject: impl Into<String>,
    ) -> Self {
        Self {
            tenant: None,
            actor: actor.into(),
            action: action.into(),
            subject: subject.into(),
            before: None,
            after: None,
            details: json!({}),
        }
    }

    /// Whose change it is.
    #[must_use]
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// The digest of the subject before the change.
    #[must_use]
    pub fn before(mut self, digest: Digest) -> Self {
        self.before = Some(digest);
        self
    }

    /// The digest of the subject after the change.
    #[must_use]
    pub fn after(mut self, digest: Digest) -> Self {
        self.after = Some(digest);
        self
    }

    /// Details, without secrets.
    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        text("actor", &self.actor, MAX_ACTOR)?;
        text("subject", &self.subject, MAX_SUBJECT)?;
        text("action", &self.action, MAX_ACTION)?;
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if !self.action.chars().all(word) {
            return Err(LedgerError::Draft {
                field: "action",
                problem: "must be lower-case words joined by dots, e.g. `billing.invoice.void`"
                    .to_owned(),
            });
        }
        Ok(())
    }
}

fn text(field: &'static str, value: &str, most: usize) -> Result<()> {
    if value.is_empty() || value.len() > most || value.chars().any(char::is_control) {
        let problem = format!("must have 1 to {most} bytes and no control character");
        return Err(LedgerError::Draft { field, problem });
    }
    Ok(())
}

/// The part of an entry that is in the tree for everybody to see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// [`LEAF_VERSION`].
    pub v: u64,
    /// The entry's id.
    pub id: EntryId,
    /// When it was recorded, RFC 3339 in UTC.
    pub time: String,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// Digest of the subject before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// Digest of the subject after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Digest>,
    /// `SHA-256(salt || private part)`.
    pub commitment: Digest,
}

impl Leaf {
    /// The canonical bytes: what is hashed into the tree.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut value = json!({
            "v": self.v,
            "id": self.id.to_string(),
            "time": self.time,
            "action": self.action,
            "subject": self.subject,
            "commitment": self.commitment.to_string(),
        });
        for (name, digest) in [("before", &self.before), ("after", &self.after)] {
            if let Some(digest) = digest {
                value[name] = Value::String(digest.to_string());
            }
        }
        canonical_json(&value)
    }

    /// Reads a leaf from the bytes in the tree.
    ///
    /// # Errors
    /// When the bytes are not a leaf of this version; entries of other programs may be in a tree.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LeafError> {
        let leaf: Self = serde_json::from_slice(bytes).map_err(|e| LeafError(e.to_string()))?;
        if leaf.v != LEAF_VERSION {
            return Err(LeafError(format!(
                "version {}; this program knows 1",
                leaf.v
            )));
        }
        Ok(leaf)
    }
}

/// The bytes are not a leaf of this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a ledger leaf: {0}")]
pub struct LeafError(String);

/// What opens a commitment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// 32 random bytes, as 64 hexadecimal digits.
    pub salt: Digest,
    /// The private part.
    pub private: Private,
}

/// The part of an entry that stays in the database and can be erased.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Private {
    /// Whose change it was.
    pub tenant: Option<TenantId>,
    /// Who made it.
    pub actor: String,
    /// Anything else.
    pub details: Value,
}

impl Opening {
    /// The canonical bytes of the private part.
    #[must_use]
    pub fn private_bytes(&self) -> Vec<u8> {
        canonical_json(&json!({
            "tenant": self.private.tenant.map(|id| id.to_string()),
            "actor": self.private.actor,
            "details": self.private.details,
        }))
    }

    /// The commitment that this opens.
    #[must_use]
    pub fn commitment(&self) -> Digest {
        let mut hasher = Sha256::new();
        hasher.update(self.salt.0);
        hasher.update(self.private_bytes());
        Digest(hasher.finalize().into())
    }
}

/// Turns a draft into its public leaf and what opens it.
pub(crate) fn seal(
    draft: &EntryDraft,
    id: EntryId,
    now: UnixMicros,
    salt: [u8; 32],
) -> Result<(Leaf, Opening)> {
    draft.check()?;
    let opening = Opening {
        salt: Digest(salt),
        private: Private {
            tenant: draft.tenant,
            actor: draft.actor.clone(),
            details: draft.details.clone(),
        },
    };
    let length = opening.private_bytes().len();
    if length > MAX_PRIVATE_LEN {
        let problem = format!("have {length} bytes as canonical JSON; at most {MAX_PRIVATE_LEN}");
        return Err(LedgerError::Draft {
            field: "details",
            problem,
        });
    }
    let leaf = Leaf {
        v: LEAF_VERSION,
        id,
        time: now.to_string(),
        action: draft.action.clone(),
        subject: draft.subject.clone(),
        before: draft.before,
        after: draft.after,
        commitment: opening.commitment(),
    };
    Ok((leaf, opening))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn draft() -> EntryDraft {
        EntryDraft::new("user:usr_1", "billing.invoice.finalised", "inv_1")
            .after(Digest::of(b"state"))
            .details(json!({"total": "12.30", "note": "größer"}))
    }

    fn sealed(draft: &EntryDraft) -> Result<(Leaf, Opening)> {
        let id = "led_0190a1b2c3d47e5f8a6b7c8d9e0f1a2b".parse().unwrap();
        seal(draft, id, UnixMicros(1_700_000_000_000_000), [7; 32])
    }

    #[test]
    fn the_leaf_is_canonical_and_holds_nothing_private() {
        let (leaf, opening) = sealed(&draft()).unwrap();
        let text = String::from_utf8(leaf.to_bytes()).unwrap();
        assert_eq!(
            text,
            format!(
                "{{\"action\":\"billing.invoice.finalised\",\"after\":\"{}\",\"commitment\":\"{}\",\
                 \"id\":\"led_0190a1b2c3d47e5f8a6b7c8d9e0f1a2b\",\"subject\":\"inv_1\",\
                 \"time\":\"2023-11-14T22:13:20Z\",\"v\":1}}",
                Digest::of(b"state"),
                opening.commitment(),
            )
        );
        assert_eq!(Leaf::from_bytes(text.as_bytes()).unwrap(), leaf);
        assert!(!text.contains("usr_1") && !text.contains("12.30"));
    }

    #[test]
    fn the_commitment_binds_every_private_member_and_the_salt() {
        let (leaf, opening) = sealed(&draft()).unwrap();
        assert_eq!(opening.commitment(), leaf.commitment);
        let mut others = vec![opening.clone(); 4];
        others[0].salt.0[31] ^= 1;
        others[1].private.actor.push('x');
        others[2].private.details["total"] = json!("12.31");
        others[3].private.tenant = Some(TenantId::new(UnixMicros(0)));
        for other in others {
            assert_ne!(other.commitment(), leaf.commitment);
        }
    }

    #[test]
    fn drafts_beyond_the_limits_are_refused() {
        let fields = |draft: EntryDraft| match sealed(&draft) {
            Err(LedgerError::Draft { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            fields(EntryDraft {
                actor: String::new(),
                ..draft()
            }),
            "actor"
        );
        assert_eq!(
            fields(EntryDraft {
                subject: "a\nb".to_owned(),
                ..draft()
            }),
            "subject"
        );
        assert_eq!(
            fields(EntryDraft {
                action: "Bad Action".to_owned(),
                ..draft()
            }),
            "action"
        );
        assert_eq!(
            fields(EntryDraft {
                action: "a".repeat(129),
                ..draft()
            }),
            "action"
        );
        let large = json!("x".repeat(MAX_PRIVATE_LEN));
        assert_eq!(fields(draft().details(large)), "details");
    }

    #[test]
    fn other_bytes_are_not_a_leaf() {
        for bad in [&b""[..], b"{}", b"entry 7", b"{\"v\":2}"] {
            assert!(Leaf::from_bytes(bad).is_err());
        }
        let (leaf, _) = sealed(&draft()).unwrap();
        let newer = Leaf { v: 2, ..leaf };
        assert!(Leaf::from_bytes(&newer.to_bytes()).is_err());
    }
}
