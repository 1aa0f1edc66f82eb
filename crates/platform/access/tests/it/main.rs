#![allow(clippy::unwrap_used, missing_docs)]
mod cli;
mod http;
mod keys;
mod pages;
mod sessions;
mod support;
mod tenants_users;
