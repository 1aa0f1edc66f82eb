//! Data files for DataFusion: from the cache, which fetches what is missing.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::Cache;

/// How often a file is fetched for one request: others may push it out of the cache at once.
const TRIES: usize = 5;

/// The active data files, for reading only.
#[derive(Debug)]
pub(crate) struct CachedFiles {
    cache: Arc<Cache>,
    local: LocalFileSystem,
}

impl CachedFiles {
    pub(crate) fn new(cache: Arc<Cache>) -> Result<Self> {
        let local = LocalFileSystem::new_with_prefix(cache.folder())?;
        Ok(Self { cache, local })
    }

    async fn fetch(&self, location: &Path) -> Result<()> {
        let path = location.as_ref();
        let Some(bytes) = self.cache.length_of(path) else {
            return Err(Error::NotFound {
                path: path.to_owned(),
                source: "the table's log does not name it".into(),
            });
        };
        let fetched = self.cache.file(path, bytes).await;
        fetched.map(|_| ()).map_err(|error| Error::Generic {
            store: "lake",
            source: Box::new(error),
        })
    }
}

fn refused(operation: &str) -> Error {
    Error::NotSupported {
        source: format!("{operation}: data files are read here, and nothing else").into(),
    }
}

impl fmt::Display for CachedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lake's data files")
    }
}

#[async_trait]
impl ObjectStore for CachedFiles {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        for _ in 1..TRIES {
            self.fetch(location).await?;
            match self.local.get_opts(location, options.clone()).await {
                Err(Error::NotFound { .. }) => {}
                read => return read,
            }
        }
        self.fetch(location).await?;
        self.local.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        for _ in 1..TRIES {
            self.fetch(location).await?;
            match self.local.get_ranges(location, ranges).await {
                Err(Error::NotFound { .. }) => {}
                read => return read,
            }
        }
        self.fetch(location).await?;
        self.local.get_ranges(location, ranges).await
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(refused("put"))
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(refused("put"))
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        futures::stream::once(async { Err(refused("delete")) }).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        futures::stream::once(async { Err(refused("list")) }).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(refused("list"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(refused("copy"))
    }
}
