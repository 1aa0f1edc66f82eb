#![allow(missing_docs, clippy::unwrap_used)]

mod catalogue;
mod consumers;
