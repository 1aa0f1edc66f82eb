//! What the tests share: a data folder, commands on it, a server on it, and requests to that.

mod place;
mod server;
mod words;

pub(crate) use place::{Place, Ran, places, sql};
pub(crate) use server::{Answer, Server, signal};
pub(crate) use words::{ago, ai, redacted};

use std::path::PathBuf;

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .canonicalize()
        .expect("the repository")
}

/// A number from the environment, for runs that go deeper than CI has time for.
pub(crate) fn setting(name: &str, standard: usize) -> usize {
    std::env::var(name).map_or(standard, |text| text.parse().expect(name))
}
