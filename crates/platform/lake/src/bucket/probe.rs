//! Whether a store keeps what the lake relies on.

use super::Bucket;
use crate::error::{LakeError, Result};

impl Bucket {
    /// Whether [`Self::probe`] has been done.
    pub(crate) fn probed(&self) -> bool {
        self.quoted.get().is_some()
    }

    /// Tries the conditions that commits and the writer's record are put on. A store that takes no notice of
    /// them would let one writer overwrite another's commit.
    ///
    /// # Errors
    /// When the bucket cannot be used, or when a put went through whose condition did not hold.
    pub(crate) async fn probe(&self) -> Result<()> {
        let name = format!("probe/{}", uuid::Uuid::now_v7().simple());
        let tried = self.try_conditions(&name).await;
        let removed = self.delete(&name).await;
        let quoted = tried?;
        removed?;
        let _ = self.quoted.set(quoted);
        Ok(())
    }

    /// Whether ETags keep their quotation marks in conditions.
    async fn try_conditions(&self, name: &str) -> Result<bool> {
        let refuse = |what: &str| {
            Err(LakeError::Bucket {
                place: self.url().to_owned(),
                detail: format!(
                    "the store {what}; a lake needs a store that honours If-None-Match and If-Match \
                     where objects are put, as Amazon S3 does"
                ),
            })
        };
        if self.put_if(name, "1", None).await?.is_none() {
            return refuse("says that an object is there which is not");
        }
        if self.put_if(name, "2", None).await?.is_some() {
            return refuse("puts an object that must not be there yet in the place of one");
        }
        let Some((_, meta)) = self.get(name).await? else {
            return refuse("does not give back at once what was put");
        };
        let etag = meta.e_tag.unwrap_or_default();
        let other = "\"00000000000000000000000000000000\"";
        if self.put_if(name, "3", Some(other)).await?.is_some() {
            return refuse("puts an object in the place of another than the one that is named");
        }
        if self.put_if(name, "4", Some(&etag)).await?.is_some() {
            return Ok(true);
        }
        // Ceph compares the bytes of the header with an ETag that has no quotation marks.
        let bare = etag.trim_matches('"');
        if self.put_if(name, "5", Some(bare)).await?.is_some() {
            return Ok(false);
        }
        refuse("does not put an object in the place of the one that is named")
    }
}
