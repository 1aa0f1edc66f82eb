//! Tables as something to scan: a row is a line of JSON, so the names of columns are context.

use std::io::{self, Read};
use std::sync::Arc;

use sealwright_store::{Store, StoreError, StoreUrl, Tx};
use tokio::runtime::Handle;

use super::files::{Body, Item, Origin};
use crate::store::table::{self, TableName};

/// Whether a path is the address of a database.
#[must_use]
pub fn is_address(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// The address without what signs in: it is shown and kept.
pub(crate) fn shown(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("postgres", address));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{host}")
}

/// The address of the database, and the table that a fragment names: `#schema.table` or `#schema`.
fn parts(address: &str) -> (&str, Option<TableName>) {
    match address.split_once('#') {
        None => (address, None),
        Some((database, named)) => {
            let (schema, name) = named.split_once('.').unwrap_or((named, ""));
            let only = TableName {
                schema: schema.to_owned(),
                name: name.to_owned(),
            };
            (database, Some(only))
        }
    }
}

/// The tables of a database, each an item. It waits on `handle`, so the items must not be read on one of the
/// runtime's own threads.
///
/// # Errors
/// When the database cannot be reached, or has no such table.
pub fn items(
    handle: &Handle,
    address: &str,
    percent: Option<f64>,
) -> Result<Vec<Item<Origin>>, StoreError> {
    let (database, only) = parts(address);
    let url: StoreUrl = database.parse()?;
    let store = handle.block_on(Store::open(&url))?;
    let tables = handle.block_on(table::list(&store, only.as_ref()))?;
    if tables.is_empty() && only.is_some() {
        return Err(StoreError::Constraint("there is no such table".to_owned()));
    }
    let base = shown(database);
    Ok(tables
        .into_iter()
        .map(|name| Item {
            name: Arc::from(format!("{base}#{name}")),
            note: None,
            body: Body::Stream(Box::new(Rows {
                handle: handle.clone(),
                store: store.clone(),
                table: name,
                percent,
                tx: None,
                line: Vec::new(),
                at: 0,
                ended: false,
            })),
        })
        .collect())
}

/// The rows of a table, a line each.
struct Rows {
    handle: Handle,
    store: Store,
    table: TableName,
    percent: Option<f64>,
    tx: Option<Tx>,
    line: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Rows {
    fn more(&mut self) -> Result<(), StoreError> {
        let handle = self.handle.clone();
        if self.tx.is_none() {
            let begun = handle.block_on(table::begin(&self.store, &self.table, self.percent))?;
            self.tx = Some(begun);
        }
        let Some(tx) = &mut self.tx else {
            return Ok(());
        };
        let rows = handle.block_on(table::next(tx))?;
        self.line.clear();
        self.at = 0;
        self.ended = rows.is_empty();
        for row in rows {
            self.line.extend_from_slice(row.as_bytes());
            self.line.push(b'\n');
        }
        Ok(())
    }
}

impl Drop for Rows {
    /// A transaction is given back on the runtime, and the thread that reads is none of it.
    fn drop(&mut self) {
        if let Some(tx) = self.tx.take() {
            // There is nothing to keep, and the connection is closed when this fails.
            let _ = self.handle.block_on(tx.rollback());
        }
    }
}

impl Read for Rows {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.at == self.line.len() {
            if self.ended {
                return Ok(0);
            }
            self.more().map_err(io::Error::other)?;
        }
        let n = to.len().min(self.line.len() - self.at);
        to[..n].copy_from_slice(&self.line[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_signs_in_is_not_shown() {
        let address = "postgres://ada:s3cr%40et@db.example:5433/shop?sslmode=require";
        assert_eq!(shown(address), "postgres://db.example:5433/shop");
        let (database, only) = parts("postgresql://db/shop#public.orders");
        assert_eq!(database, "postgresql://db/shop");
        assert_eq!(only.unwrap().to_string(), "public.orders");
    }
}
