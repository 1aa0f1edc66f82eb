//! The same lake at another place: from a folder to a bucket, and back.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;

use futures::TryStreamExt as _;
use serde::Serialize;

use crate::bucket::{Bucket, LakePlace};
use crate::copy::{LakeCopy, LakePart};
use crate::encode::sync_folder;
use crate::error::{LakeError, Result};
use crate::rewrite::blocking;
use crate::table::Lake;

/// Files that are copied at a time.
const AT_A_TIME: usize = 4;

/// What was copied to another place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MoveReport {
    /// The new place.
    pub to: String,
    /// The table's id, which stays.
    pub id: String,
    /// Data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows.
    pub rows: u64,
    /// The first offset that is not in it.
    pub next_offset: u64,
}

impl Lake {
    /// Copies the newest state to a place where no lake is, and compares what is there then. What was copied
    /// before an interruption is not copied again. The lake itself stays as it is.
    ///
    /// # Errors
    /// [`LakeError::Invalid`] when there is a lake already, or when the copy is not the same.
    pub async fn copy_to(&self, to: &LakePlace) -> Result<MoveReport> {
        self.writable()?;
        let copy = self.copy().await?;
        let place = match &to.bucket {
            Some(options) => {
                let bucket = Bucket::new(options)?;
                bucket.probe().await?;
                if !bucket.list("events/_delta_log").await?.is_empty() {
                    return Err(taken(bucket.url()));
                }
                to_bucket(&copy, &bucket).await?;
                bucket.url().to_owned()
            }
            None => {
                let name = to.folder.display().to_string();
                if to.folder.join("events/_delta_log").is_dir() {
                    return Err(taken(&name));
                }
                to_folder(&copy, &to.folder).await?;
                name
            }
        };
        let there = Self::open_read_only(to).await?;
        let (before, after) = (self.status(), there.status());
        if there.id() != self.id() || before != after {
            return Err(LakeError::Invalid(format!(
                "{place} is not the same: {} rows up to offset {} instead of {} up to {}",
                after.rows, after.next_offset, before.rows, before.next_offset
            )));
        }
        Ok(MoveReport {
            to: place,
            id: there.id(),
            files: after.files,
            bytes: after.bytes,
            rows: after.rows,
            next_offset: after.next_offset,
        })
    }
}

fn taken(place: &str) -> LakeError {
    LakeError::Invalid(format!(
        "there is a lake in {place} already; name an empty place"
    ))
}

async fn to_bucket(copy: &LakeCopy, bucket: &Bucket) -> Result<()> {
    let lengths = lengths(bucket).await?;
    let lengths = &lengths;
    futures::stream::iter(copy.files.iter().map(Ok))
        .try_for_each_concurrent(AT_A_TIME, |part| async move {
            if lengths.get(&part.name) == Some(&part.bytes) {
                return Ok(());
            }
            bucket.put(&part.name, whole(part).await?).await
        })
        .await?;
    let lengths = self::lengths(bucket).await?;
    if let Some(part) = copy
        .files
        .iter()
        .find(|part| lengths.get(&part.name) != Some(&part.bytes))
    {
        return Err(LakeError::Damaged {
            file: format!("{}/{}", bucket.url(), part.name),
            detail: format!("it has not the {} bytes that were put", part.bytes),
        });
    }
    // The log comes last: until then there is no table.
    for (name, bytes) in &copy.log {
        if bucket.put_if(name, bytes.clone(), None).await?.is_none() {
            return Err(taken(bucket.url()));
        }
    }
    Ok(())
}

async fn lengths(bucket: &Bucket) -> Result<std::collections::HashMap<String, u64>> {
    let objects = bucket.list("events").await?;
    Ok(objects
        .into_iter()
        .map(|object| (object.location.to_string(), object.size))
        .collect())
}

async fn whole(part: &LakePart) -> Result<Vec<u8>> {
    let mut file = part.open().await?;
    let name = part.name.clone();
    let bytes = blocking(move || {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|e| LakeError::file(Path::new(&name), e))?;
        Ok(bytes)
    })
    .await?;
    if bytes.len() as u64 != part.bytes {
        return Err(LakeError::Damaged {
            file: part.name.clone(),
            detail: format!(
                "it has {} bytes, and the table's log says {}",
                bytes.len(),
                part.bytes
            ),
        });
    }
    Ok(bytes)
}

async fn to_folder(copy: &LakeCopy, folder: &Path) -> Result<()> {
    futures::stream::iter(copy.files.iter().map(Ok))
        .try_for_each_concurrent(AT_A_TIME, |part| async move {
            let path = folder.join(&part.name);
            if fs::metadata(&path).is_ok_and(|there| there.len() == part.bytes) {
                return Ok(());
            }
            let bytes = whole(part).await?;
            blocking(move || write(&path, &bytes)).await
        })
        .await?;
    for (name, bytes) in &copy.log {
        write(&folder.join(name), bytes)?;
    }
    Ok(())
}

/// Durably, with the entries of its folders.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error| LakeError::file(path, error);
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(failed)?;
    let mut file = File::create(path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    for folder in folder.ancestors().take(4) {
        sync_folder(folder)?;
    }
    Ok(())
}
