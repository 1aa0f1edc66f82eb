//! How long what is kept: categories as dated data, and the one decision that everything asks for.
//!
//! Precedence: a hold beats a regulatory minimum, that beats an erasure request, that beats a maximum.
//! Whatever is not known keeps the object.

use std::collections::BTreeMap;
use std::fmt;

use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use sealwright_core::UnixMicros;
use sealwright_core::clock::DAY;
use serde::Deserialize;

use super::hold::MatterId;
use super::object::{Facts, TAG_CATEGORY, TAG_FROM, TAG_TIER};

/// How long before a deletion people are told.
pub const NOTICE: i64 = 30 * DAY;
/// How long after the due day nothing is deleted yet.
pub const GRACE: i64 = 14 * DAY;

/// A length of time in days or in years of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Days of 24 hours.
    Days(u32),
    /// Years: the same day of a later year; 28 February where there is no 29th.
    Years(u32),
}

impl Period {
    /// Reads `90d` or `7y`.
    ///
    /// # Errors
    /// What a period is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no period; give days or years, such as 90d or 7y");
        let (number, unit) = text
            .split_at_checked(text.len().wrapping_sub(1))
            .ok_or_else(wrong)?;
        let number: u32 = number.parse().map_err(|_| wrong())?;
        match unit {
            "d" if number <= 36_525 => Ok(Self::Days(number)),
            "y" if number <= 100 => Ok(Self::Years(number)),
            _ => Err(wrong()),
        }
    }

    /// The moment that is this much later.
    #[must_use]
    pub fn after(self, from: UnixMicros) -> UnixMicros {
        match self {
            Self::Days(days) => from.plus(i64::from(days) * DAY),
            Self::Years(years) => {
                let zoned = from.timestamp().to_zoned(TimeZone::UTC);
                zoned
                    .checked_add(i64::from(years).years())
                    .map_or(UnixMicros(i64::MAX), |later| later.timestamp().into())
            }
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(days) => write!(f, "{days} days"),
            Self::Years(1) => f.write_str("1 year"),
            Self::Years(years) => write!(f, "{years} years"),
        }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// What a period is counted from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Begins {
    /// The writing of the version.
    #[default]
    Written,
    /// The moment in the tag `sealwright-retain-from`; before it is set nothing is due.
    Tag,
}

/// What is kept for how long, from a day on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// The name that tags carry.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// From which day on this text holds.
    since: String,
    /// What a law demands.
    #[serde(default)]
    pub minimum: Option<Period>,
    /// When it moves to cold storage.
    #[serde(default)]
    pub archive: Option<Period>,
    /// When it has to go.
    #[serde(default)]
    pub maximum: Option<Period>,
    /// What is counted from.
    #[serde(default)]
    pub begins: Begins,
    /// Why.
    pub basis: String,
    /// Whether a restore has to be verified before a copy goes.
    #[serde(default)]
    pub restore_first: bool,
    /// The maxima of tiers, by the tag `sealwright-tier`.
    #[serde(default)]
    pub tiers: BTreeMap<String, Period>,
}

impl Category {
    /// From when on it holds.
    #[must_use]
    pub fn since(&self) -> UnixMicros {
        UnixMicros::parse_rfc3339(&format!("{}T00:00:00Z", self.since))
            .unwrap_or(UnixMicros(i64::MAX))
    }
}

/// All categories, each in all its versions.
#[derive(Debug, Clone)]
pub struct Categories(Vec<Category>);

#[derive(Deserialize)]
struct File {
    category: Vec<Category>,
}

impl Categories {
    /// The ones that come with the program.
    ///
    /// # Errors
    /// When the embedded text is damaged, which a test excludes.
    pub fn built_in() -> Result<Self, String> {
        Self::parse(include_str!("categories.toml"))
    }

    /// Reads categories.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        for one in &file.category {
            if one.since() == UnixMicros(i64::MAX) {
                return Err(format!("category {}: `since` must be a day", one.id));
            }
            if one.maximum.is_some() != one.tiers.is_empty() {
                return Err(format!(
                    "category {}: give either a maximum or tiers",
                    one.id
                ));
            }
            let start = UnixMicros(0);
            let shorter = |a: Option<Period>, b: Option<Period>| match (a, b) {
                (Some(a), Some(b)) => a.after(start) <= b.after(start),
                _ => true,
            };
            if !shorter(one.minimum, one.maximum) || !shorter(one.archive, one.maximum) {
                return Err(format!(
                    "category {}: the maximum is shorter than what has to be kept",
                    one.id
                ));
            }
        }
        Ok(Self(file.category))
    }

    /// The text of a category that holds at a moment.
    #[must_use]
    pub fn at(&self, id: &str, now: UnixMicros) -> Option<&Category> {
        self.0
            .iter()
            .filter(|one| one.id == id && one.since() <= now)
            .max_by_key(|one| one.since())
    }

    /// Those that hold at a moment, in the order of the file.
    pub fn all_at(&self, now: UnixMicros) -> impl Iterator<Item = &Category> {
        self.0
            .iter()
            .filter(move |one| self.at(&one.id, now).is_some_and(|held| held == *one))
    }
}

/// What is known of the holds on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// The hold ledger and the store were both asked, and neither holds it.
    No,
    /// These matters hold it.
    Matters(Vec<MatterId>),
    /// The store refuses: a legal hold that no matter of ours explains, or a lock until a moment.
    Store(String),
    /// One of the two could not be asked.
    Unknown(String),
}

/// A reason to keep something for a while that is no hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// `investigation` or `dispute`, and which.
    pub why: String,
    /// When it ends.
    pub until: UnixMicros,
}

/// What is known besides the object itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circumstances {
    /// The present.
    pub now: UnixMicros,
    /// The latest present that this installation ever saw.
    pub latest_seen: UnixMicros,
    /// Holds.
    pub held: Held,
    /// A reason to keep it for a while.
    pub exception: Option<Exception>,
    /// When its erasure was asked for.
    pub erasure: Option<UnixMicros>,
    /// When people were told that it will go.
    pub noticed: Option<UnixMicros>,
    /// When a restore from a newer copy was verified last.
    pub restore_verified: Option<UnixMicros>,
    /// Whether a second person has approved its deletion.
    pub approved: bool,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It stays, and moves to cold storage.
    Archive,
    /// It stays, and people are told that it will go.
    Notify,
    /// It stays until the notice and the grace are over.
    Wait,
    /// It stays until somebody approves.
    Approve,
    /// It goes.
    Delete,
}

impl Verdict {
    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Archive => "archive",
            Self::Notify => "notify",
            Self::Wait => "wait",
            Self::Approve => "approve",
            Self::Delete => "delete",
        }
    }
}

/// A verdict, when the object is due, and why, in the order of weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What is to be done.
    pub verdict: Verdict,
    /// When it may go at the earliest, where that is known.
    pub due: Option<UnixMicros>,
    /// Why it is still here, or why it goes.
    pub why: Vec<String>,
}

fn keep(due: Option<UnixMicros>, why: Vec<String>) -> Judgement {
    Judgement {
        verdict: Verdict::Keep,
        due,
        why,
    }
}

/// What is to be done about an object.
#[must_use]
pub fn judge(facts: &Facts, categories: &Categories, about: &Circumstances) -> Judgement {
    let now = about.now;
    let mut why = Vec::new();
    // 1. Holds, before anything else is looked at; not knowing is a hold.
    match &about.held {
        Held::No => {}
        Held::Matters(matters) => {
            let list: Vec<_> = matters.iter().map(ToString::to_string).collect();
            why.push(format!("legal hold: {}", list.join(", ")));
        }
        Held::Store(what) => why.push(format!("the store holds it: {what}")),
        Held::Unknown(what) => why.push(format!("whether it is held is not known: {what}")),
    }
    if let Some(exception) = about.exception.as_ref().filter(|one| now < one.until) {
        why.push(format!(
            "exception until {}: {}",
            exception.until, exception.why
        ));
    }
    if now < about.latest_seen {
        why.push(format!(
            "the clock shows {now}, and it has shown {} before: nothing goes until it is right",
            about.latest_seen
        ));
    }
    let times = match Times::of(facts, categories, now) {
        Ok(times) => times,
        Err(unknown) => {
            why.push(unknown);
            return keep(None, why);
        }
    };
    // 2. The regulatory minimum: no erasure request and no maximum comes before it.
    let least = times.minimum.unwrap_or(UnixMicros(i64::MIN));
    // 3. An erasure request, then 4. the maximum.
    let (base, graced, reason) = match (about.erasure, times.maximum) {
        (Some(asked), _) => (
            asked,
            false,
            format!("its erasure was asked for at {asked}"),
        ),
        (None, Some(end)) => (
            end,
            true,
            format!(
                "{} are over at {end}",
                times.words.as_deref().unwrap_or("its period")
            ),
        ),
        (None, None) => {
            why.push("its period has not begun".to_owned());
            return keep(None, why);
        }
    };
    let due = base.max(least);
    let earliest = if graced { due.plus(GRACE) } else { due };
    if now < least {
        why.push(format!("the law demands it until {least}: {}", times.basis));
    }
    if !why.is_empty() {
        return keep(Some(earliest), why);
    }
    why.push(reason);
    let verdict = if graced && about.noticed.is_none() && now >= due.plus(-NOTICE) {
        why.push("nobody has been told yet".to_owned());
        Verdict::Notify
    } else if now < due {
        return match times.archive.filter(|at| now >= *at) {
            Some(_) => Judgement {
                verdict: Verdict::Archive,
                due: Some(earliest),
                why,
            },
            None => keep(Some(earliest), why),
        };
    } else if let Some(at) = about
        .noticed
        .filter(|at| graced && now < at.plus(NOTICE).max(earliest))
    {
        why.push(format!(
            "people were told at {at}; notice and grace end at {}",
            at.plus(NOTICE).max(earliest)
        ));
        Verdict::Wait
    } else if times.restore_first
        && about
            .restore_verified
            .is_none_or(|at| at < facts.written || at > now)
    {
        why.push("no restore from a newer backup has been verified".to_owned());
        Verdict::Wait
    } else if !about.approved {
        why.push("nobody has approved the deletion".to_owned());
        Verdict::Approve
    } else {
        Verdict::Delete
    };
    Judgement {
        verdict,
        due: Some(earliest),
        why,
    }
}

/// The moments that an object's category gives it.
struct Times {
    minimum: Option<UnixMicros>,
    archive: Option<UnixMicros>,
    maximum: Option<UnixMicros>,
    words: Option<String>,
    basis: String,
    restore_first: bool,
}

impl Times {
    fn of(facts: &Facts, categories: &Categories, now: UnixMicros) -> Result<Self, String> {
        let Some(id) = facts.tag(TAG_CATEGORY).map_err(|error| error.to_string())? else {
            return Err("it has no retention category".to_owned());
        };
        let category = categories
            .at(id, now)
            .ok_or_else(|| format!("there is no category `{id}`"))?;
        let maximum = if category.tiers.is_empty() {
            category.maximum
        } else {
            let tier = facts
                .tag(TAG_TIER)
                .map_err(|error| error.to_string())?
                .ok_or_else(|| format!("it has no tier of {}", category.title))?;
            Some(
                *category
                    .tiers
                    .get(tier)
                    .ok_or_else(|| format!("{} have no tier `{tier}`", category.title))?,
            )
        };
        let from = match category.begins {
            Begins::Written => Some(facts.written),
            Begins::Tag => match facts.tag(TAG_FROM).map_err(|error| error.to_string())? {
                None => None,
                Some(text) => Some(
                    UnixMicros::parse_rfc3339(text)
                        .map_err(|_| format!("the tag {TAG_FROM} holds no time"))?
                        .max(facts.written),
                ),
            },
        };
        let end = |period: Option<Period>| Some(period?.after(from?));
        Ok(Self {
            minimum: end(category.minimum),
            archive: end(category.archive),
            maximum: end(maximum),
            words: maximum.map(|period| format!("the {period} of {}", category.title)),
            basis: category.basis.clone(),
            restore_first: category.restore_first,
        })
    }
}
