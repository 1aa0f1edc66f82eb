//! The table's data files: in a folder, or in a bucket with those that are used in a folder.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use crate::bucket::Cache;
use crate::encode::sync_folders;
use crate::error::{LakeError, Result};
use crate::files::DataFile;

/// Cloning is cheap; all clones are the same files.
#[derive(Debug, Clone)]
pub(crate) struct TableFiles {
    folder: Arc<Path>,
    cache: Option<Arc<Cache>>,
}

impl TableFiles {
    pub(crate) fn in_folder(table: &Path) -> Self {
        Self {
            folder: table.into(),
            cache: None,
        }
    }

    pub(crate) fn in_bucket(cache: Arc<Cache>) -> Self {
        Self {
            folder: cache.folder().into(),
            cache: Some(cache),
        }
    }

    pub(crate) fn cache(&self) -> Option<&Arc<Cache>> {
        self.cache.as_ref()
    }

    /// Where new files are written, and where files stand while they are used.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// An active file, for a thread that may wait until it is here.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] when it is not there, or of another length than the table's log says.
    pub(crate) fn open(&self, file: &DataFile) -> Result<File> {
        if let Some(cache) = &self.cache {
            return cache.wait_for(&file.path, file.bytes);
        }
        let path = self.folder.join(&file.path);
        File::open(&path).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                LakeError::Damaged {
                    file: format!("events/{}", file.path),
                    detail: "the file is missing".to_owned(),
                }
            } else {
                LakeError::file(&path, error)
            }
        })
    }

    /// Makes new files durable where the table is, so that a commit may name them.
    pub(crate) async fn keep(&self, new: &[DataFile]) -> Result<()> {
        match &self.cache {
            Some(cache) => cache.put(new).await,
            None => sync_folders(&self.folder, new),
        }
    }

    /// Takes away files that belong to no state. What cannot be removed now is an orphan, which a vacuum takes;
    /// so is what was put into a bucket: a commit that seemed to fail may still arrive there.
    pub(crate) fn forget(&self, new: &[DataFile]) {
        for file in new {
            match &self.cache {
                Some(cache) => cache.forget(&file.path),
                None => {
                    let _ = fs::remove_file(self.folder.join(&file.path));
                }
            }
        }
    }
}
