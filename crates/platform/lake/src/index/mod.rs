//! The index of the lake: for a data file, which of its rows have a term.
//!
//! An index is made from a data file and from nothing else, so it is never the only place of anything: one that
//! is missing, of another version of the terms or damaged costs time, and no answer. Its file stands in `DIR/lake/terms`, named
//! as the data file, and goes with it (a vacuum takes both), so that what is erased from the lake is gone
//! from its index too.

mod ask;
mod file;
mod make;
mod open;
mod sift;

pub(crate) use file::path_of;
pub use make::IndexReport;
pub use sift::EventSift;

use sealwright_core::TenantScope;
use sealwright_events::Search;
use sealwright_terms::Condition;

/// Fields of an event's own attributes. Names of the terms that are given from outside do not begin so.
mod field {
    pub(super) const TENANT: &str = "\u{1}tenant";
    pub(super) const TYPE: &str = "\u{1}type";
    pub(super) const SOURCE: &str = "\u{1}source";
    pub(super) const ID: &str = "\u{1}id";
    pub(super) const SUBJECT: &str = "\u{1}subject";
    /// Rows whose terms do not say all.
    pub(super) const UNSURE: &str = "\u{1}unsure";
}

/// A search as a condition on terms; its span of time is not in it.
fn condition_of(search: &Search) -> Condition {
    let mut all = Vec::new();
    if let TenantScope::One(tenant) = search.scope {
        all.push(Condition::Equal(
            field::TENANT.to_owned(),
            tenant.to_string(),
        ));
    }
    let types = search.types.iter();
    let mut types: Vec<Condition> = types
        .map(|t| Condition::Equal(field::TYPE.to_owned(), t.clone()))
        .collect();
    match types.len() {
        0 => {}
        1 => all.append(&mut types),
        _ => all.push(Condition::Any(types)),
    }
    for (name, value) in [
        (field::SOURCE, &search.source),
        (field::ID, &search.id),
        (field::SUBJECT, &search.subject),
    ] {
        if let Some(value) = value {
            all.push(Condition::Equal(name.to_owned(), value.clone()));
        }
    }
    all.extend(search.texts.iter().cloned().map(Condition::Phrase));
    Condition::All(all)
}
