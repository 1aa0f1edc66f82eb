//! Legal holds: matters, what they cover, and who may end them.

use std::collections::BTreeMap;

use sealwright_core::{Id, IdKind, TenantId, UnixMicros};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::object::{Facts, TAG_PERSON};
use super::policy::by_name;

/// The kind of [`MatterId`].
#[derive(Debug)]
pub enum MatterKind {}

impl IdKind for MatterKind {
    const PREFIX: &'static str = "mat";
}

/// The id of a matter.
pub type MatterId = Id<MatterKind>;

/// What a matter covers: every condition that is given has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MatterScope {
    /// One of these buckets; every bucket of the tenant when empty.
    #[serde(default)]
    pub buckets: Vec<String>,
    /// Keys that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// All of these tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The data of this person: the tag `sealwright-person`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Written at or after this moment, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "moment")]
    #[schema(value_type = Option<String>)]
    pub from: Option<UnixMicros>,
    /// Written before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "moment")]
    #[schema(value_type = Option<String>)]
    pub to: Option<UnixMicros>,
}

/// Moments as RFC 3339.
mod moment {
    use sealwright_core::UnixMicros;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        at: &Option<UnixMicros>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.collect_str(at),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<UnixMicros>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| UnixMicros::parse_rfc3339(&text).map_err(serde::de::Error::custom))
            .transpose()
    }
}

impl MatterScope {
    /// Whether an object is covered. What is not known about it counts for the hold.
    #[must_use]
    pub fn covers(&self, facts: &Facts) -> bool {
        let tag_is = |name: &str, value: &str| match facts.tag(name) {
            Ok(found) => found == Some(value),
            Err(_) => true,
        };
        (self.buckets.is_empty() || self.buckets.contains(&facts.id.bucket))
            && self
                .prefix
                .as_ref()
                .is_none_or(|prefix| facts.id.key.starts_with(prefix.as_str()))
            && self.tags.iter().all(|(name, value)| tag_is(name, value))
            && self
                .person
                .as_ref()
                .is_none_or(|person| tag_is(TAG_PERSON, person))
            && self.from.is_none_or(|from| facts.written >= from)
            && self.to.is_none_or(|to| facts.written < to)
    }
}

/// Where a matter is. It holds from its opening until its release is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MatterState {
    /// Opened; it holds, and its approval is waited for.
    Opened,
    /// Approved by somebody else than who opened it.
    Approved,
    /// Somebody asked for the release; it still holds.
    ReleaseAsked,
    /// Released by somebody else than who asked: it holds nothing any more.
    Released,
}

impl MatterState {
    /// Every state, in their order.
    pub const ALL: [Self; 4] = [
        Self::Opened,
        Self::Approved,
        Self::ReleaseAsked,
        Self::Released,
    ];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Approved => "approved",
            Self::ReleaseAsked => "release-asked",
            Self::Released => "released",
        }
    }

    /// Whether what it covers must stay.
    #[must_use]
    pub const fn holds(self) -> bool {
        !matches!(self, Self::Released)
    }
}

by_name! { MatterState, "state of a matter"; }

/// A matter: why something must stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matter {
    /// Its id.
    pub id: MatterId,
    /// Whose objects it holds.
    pub tenant: TenantId,
    /// What people call it.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Who leads it.
    pub owner: String,
    /// Whose data is asked for, in the words of the case.
    pub custodian: String,
    /// What it covers.
    pub scope: MatterScope,
    /// Where it is.
    pub state: MatterState,
    /// Who opened it.
    pub opened_by: String,
    /// When.
    pub opened_at: UnixMicros,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// Who asked for the release.
    pub release_asked_by: Option<String>,
    /// Who released it.
    pub released_by: Option<String>,
    /// When.
    pub released_at: Option<UnixMicros>,
    /// Grows with each change.
    pub revision: i64,
}

/// What people do to a matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatterStep {
    /// Say that it is right.
    Approve,
    /// Ask for the release.
    AskRelease,
    /// Take the asking back.
    KeepHolding,
    /// Release.
    Release,
}

/// Why a step is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatterError {
    /// The state does not admit it.
    #[error("the matter is {0}; that is not possible now")]
    State(MatterState),
    /// It takes a second person.
    #[error("{0} did the step before; this takes a second person")]
    SamePerson(String),
}

impl Matter {
    /// Takes a step. Approval and release need another person than the step before them.
    ///
    /// # Errors
    /// [`MatterError`].
    pub fn step(
        &mut self,
        step: MatterStep,
        actor: &str,
        now: UnixMicros,
    ) -> Result<(), MatterError> {
        let other = |first: Option<&str>| {
            if first == Some(actor) {
                Err(MatterError::SamePerson(actor.to_owned()))
            } else {
                Ok(())
            }
        };
        match (self.state, step) {
            (MatterState::Opened, MatterStep::Approve) => {
                other(Some(&self.opened_by))?;
                self.state = MatterState::Approved;
                self.approved_by = Some(actor.to_owned());
            }
            (MatterState::Opened | MatterState::Approved, MatterStep::AskRelease) => {
                self.state = MatterState::ReleaseAsked;
                self.release_asked_by = Some(actor.to_owned());
            }
            (MatterState::ReleaseAsked, MatterStep::KeepHolding) => {
                self.state = if self.approved_by.is_some() {
                    MatterState::Approved
                } else {
                    MatterState::Opened
                };
                self.release_asked_by = None;
            }
            (MatterState::ReleaseAsked, MatterStep::Release) => {
                other(self.release_asked_by.as_deref())?;
                self.state = MatterState::Released;
                self.released_by = Some(actor.to_owned());
                self.released_at = Some(now);
            }
            (state, _) => return Err(MatterError::State(state)),
        }
        self.revision += 1;
        Ok(())
    }
}

/// What protects a held object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// The store itself refuses to delete it (Object Lock legal hold).
    ObjectLock,
    /// A tag marks it; the store would delete it for anybody else who may.
    TagOnly,
    /// Nothing in the store shows it; only the hold ledger of this program says so.
    LedgerOnly,
}

impl Protection {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ObjectLock, Self::TagOnly, Self::LedgerOnly];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ObjectLock => "object-lock",
            Self::TagOnly => "tag-only",
            Self::LedgerOnly => "ledger-only",
        }
    }
}

by_name! { Protection, "protection"; }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::object::ObjectId;
    use proptest::prelude::*;

    fn facts(tags: Option<&[(&str, &str)]>) -> Facts {
        Facts {
            id: ObjectId::new("b", "a/k", "v"),
            tenant: TenantId::new(UnixMicros(0)),
            written: UnixMicros(100),
            tags: tags.map(|tags| {
                tags.iter()
                    .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                    .collect()
            }),
        }
    }

    #[test]
    fn every_condition_counts_and_the_unknown_is_held() {
        let whole = MatterScope::default();
        assert!(whole.covers(&facts(Some(&[]))));
        let person = MatterScope {
            person: Some("p1".to_owned()),
            ..MatterScope::default()
        };
        assert!(!person.covers(&facts(Some(&[]))));
        assert!(person.covers(&facts(Some(&[(TAG_PERSON, "p1")]))));
        assert!(
            person.covers(&facts(None)),
            "unknown tags count for the hold"
        );
        let time = MatterScope {
            from: Some(UnixMicros(100)),
            to: Some(UnixMicros(101)),
            ..MatterScope::default()
        };
        assert!(time.covers(&facts(None)));
        let before = MatterScope {
            to: Some(UnixMicros(100)),
            ..MatterScope::default()
        };
        assert!(!before.covers(&facts(None)));
        let elsewhere = MatterScope {
            buckets: vec!["c".to_owned()],
            ..MatterScope::default()
        };
        assert!(!elsewhere.covers(&facts(None)));
    }

    fn matter() -> Matter {
        Matter {
            id: MatterId::new(UnixMicros(0)),
            tenant: TenantId::new(UnixMicros(0)),
            name: String::new(),
            reason: String::new(),
            owner: String::new(),
            custodian: String::new(),
            scope: MatterScope::default(),
            state: MatterState::Opened,
            opened_by: "a".to_owned(),
            opened_at: UnixMicros(0),
            approved_by: None,
            release_asked_by: None,
            released_by: None,
            released_at: None,
            revision: 1,
        }
    }

    proptest! {
        /// However people act, nobody releases what they asked to be released, and what is released
        /// stays so.
        #[test]
        fn a_release_takes_two(steps in prop::collection::vec((0..4_u8, 0..3_u8), 0..40)) {
            let mut matter = matter();
            for (step, actor) in steps {
                let step = match step {
                    0 => MatterStep::Approve,
                    1 => MatterStep::AskRelease,
                    2 => MatterStep::KeepHolding,
                    _ => MatterStep::Release,
                };
                let before = matter.clone();
                let actor = ["a", "b", "c"][usize::from(actor)];
                if matter.step(step, actor, UnixMicros(1)).is_err() {
                    prop_assert_eq!(&matter, &before, "a refused step changes nothing");
                }
                if before.state == MatterState::Released {
                    prop_assert_eq!(matter.state, MatterState::Released);
                }
            }
            if matter.state == MatterState::Released {
                prop_assert!(matter.released_by.is_some());
                prop_assert_ne!(matter.released_by, matter.release_asked_by);
            }
            prop_assert_ne!(matter.approved_by.as_deref(), Some("a"));
        }
    }
}
