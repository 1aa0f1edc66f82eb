//! The objects of a bucket for threads that may wait: listing and bytes as they are needed.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::runtime::Handle;

use super::{Buckets, Chunks, Place};
use crate::model::object::{ObjectId, address, parse_address};
use crate::service::files::{Body, Item, Origin};

/// A version's bytes; the store is asked at the first read.
pub(crate) struct Remote {
    buckets: Arc<dyn Buckets>,
    id: ObjectId,
    handle: Handle,
    chunks: Option<Chunks>,
    piece: Bytes,
}

impl Remote {
    pub(crate) fn new(buckets: Arc<dyn Buckets>, id: ObjectId, handle: Handle) -> Self {
        Self {
            buckets,
            id,
            handle,
            chunks: None,
            piece: Bytes::new(),
        }
    }
}

impl Read for Remote {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let handle = self.handle.clone();
        if self.chunks.is_none() {
            let got = handle.block_on(self.buckets.get(&self.id));
            self.chunks = Some(got.map_err(io::Error::other)?);
        }
        while self.piece.is_empty() {
            let Some(chunks) = self.chunks.as_mut() else {
                return Ok(0);
            };
            match handle.block_on(chunks.next()) {
                None => return Ok(0),
                Some(piece) => self.piece = piece.map_err(io::Error::other)?,
            }
        }
        let n = self.piece.len().min(to.len());
        to[..n].copy_from_slice(&self.piece.split_to(n));
        Ok(n)
    }
}

/// The objects under the address of a bucket, in the order of the listing.
pub struct Walk {
    buckets: Arc<dyn Buckets>,
    handle: Handle,
    bucket: String,
    prefix: String,
    versions: bool,
    next: Option<Option<Place>>,
    waiting: VecDeque<Item<Origin>>,
}

impl Walk {
    /// Begins at `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`; with `versions` older versions
    /// not be used from one of the runtime's own threads. `None` when the address is no bucket's.
    #[must_use]
    pub fn new(
        buckets: Arc<dyn Buckets>,
        handle: Handle,
        address: &str,
        versions: bool,
    ) -> Option<Self> {
        let (bucket, prefix) = parse_address(address)?;
        Some(Self {
            buckets,
            handle,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            versions,
            next: Some(None),
            waiting: VecDeque::new(),
        })
    }

    fn page(&mut self, from: Option<&Place>) -> super::Result<()> {
        let handle = self.handle.clone();
        let page = handle.block_on(self.buckets.list(&self.bucket, &self.prefix, from))?;
        for listed in page.versions {
            if listed.marker || !(listed.latest || self.versions) {
                continue;
            }
            let name = if listed.latest {
                address(&listed.id.bucket, &listed.id.key)
            } else {
                listed.id.to_string()
            };
            let size = listed.size;
            let remote = Remote::new(Arc::clone(&self.buckets), listed.id, handle.clone());
            self.waiting.push_back(Item {
                name: name.into(),
                note: None,
                body: Body::Sized(Box::new(remote), size),
            });
        }
        self.next = page.next.map(Some);
        Ok(())
    }
}

impl Iterator for Walk {
    type Item = Item<Origin>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.waiting.is_empty() {
            let from = self.next.take()?;
            if let Err(error) = self.page(from.as_ref()) {
                return Some(Item {
                    name: address(&self.bucket, &self.prefix).into(),
                    note: None,
                    body: Body::Missing(error.to_string()),
                });
            }
        }
        self.waiting.pop_front()
    }
}
