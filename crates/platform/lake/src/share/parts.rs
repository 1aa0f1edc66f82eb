//! Which process reads which data file.

use std::collections::HashMap;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _};
use datafusion_distributed::{
    DesiredTaskCountEvent, DesiredTaskCountEventResponse, DistributedLeafExec, RouteTasksEvent,
    RouteTasksEventResponse, ScaleUpLeafNodeEvent, ScaleUpLeafNodeEventResponse, WorkerResolver,
};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use url::Url;

/// How much more than its share a process may have to read so that files are read where they were before.
const UNEVEN: f64 = 1.5;

/// The processes of one question.
#[derive(Debug, Clone)]
pub(super) struct Among {
    pub(super) urls: Arc<[Url]>,
    pub(super) from_bytes: u64,
}

impl WorkerResolver for Among {
    fn get_urls(&self) -> Result<Vec<Url>> {
        Ok(self.urls.to_vec())
    }
}

fn scan_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    let scan = plan.downcast_ref::<DataSourceExec>()?;
    scan.data_source().downcast_ref::<FileScanConfig>()
}

impl Among {
    /// All of them read a scan that is worth it; another one is read here.
    pub(super) fn wanted(
        &self,
        event: DesiredTaskCountEvent<'_>,
    ) -> Option<Result<DesiredTaskCountEventResponse>> {
        let scan = scan_of(event.plan)?;
        let files = scan.file_groups.iter().flat_map(FileGroup::files);
        let bytes: u64 = files.map(PartitionedFile::effective_size).sum();
        let tasks = if bytes >= self.from_bytes {
            self.urls.len()
        } else {
            1
        };
        Some(Ok(DesiredTaskCountEventResponse::desired(tasks)))
    }

    /// Each process reads the files that it read before, where that is even enough. Otherwise `None`, and all files
    /// are cut into pieces of one size.
    pub(super) fn divided(
        &self,
        event: ScaleUpLeafNodeEvent<'_>,
    ) -> Option<Result<ScaleUpLeafNodeEventResponse>> {
        let scan = scan_of(event.plan)?;
        if event.task_count != self.urls.len() {
            return None;
        }
        let partitions = event.plan.output_partitioning().partition_count().max(1);
        let divided = self.divide(scan)?;
        let variants = divided.into_iter().map(|files| {
            let mut groups = FileGroup::new(files).split_files(partitions);
            groups.resize_with(partitions, || FileGroup::new(Vec::new()));
            let mut part = scan.clone();
            part.file_groups = groups;
            DataSourceExec::from_data_source(part) as Arc<dyn ExecutionPlan>
        });
        let leaf = DistributedLeafExec::try_new(Arc::clone(event.plan), variants);
        Some(leaf.map(|leaf| ScaleUpLeafNodeEventResponse::new(Arc::new(leaf))))
    }

    /// Part number `i` goes to process number `i`.
    pub(super) fn routed(
        &self,
        event: &RouteTasksEvent<'_>,
    ) -> Option<Result<RouteTasksEventResponse>> {
        (event.task_count == self.urls.len())
            .then(|| Ok(RouteTasksEventResponse::new(self.urls.to_vec())))
    }

    fn divide(&self, scan: &FileScanConfig) -> Option<Vec<Vec<PartitionedFile>>> {
        let mut parts: HashMap<usize, (u64, Vec<PartitionedFile>)> = HashMap::new();
        let (mut total, mut most) = (0, 0);
        for file in scan.file_groups.iter().flat_map(FileGroup::files) {
            let path = file.object_meta.location.as_ref();
            let (bytes, files) = parts.entry(self.home(path)).or_default();
            *bytes += file.effective_size();
            total += file.effective_size();
            most = most.max(*bytes);
            files.push(file.clone());
        }
        #[expect(clippy::cast_precision_loss, reason = "a comparison of sizes")]
        let even = most as f64 * self.urls.len() as f64 <= total as f64 * UNEVEN;
        let mut part = |i| parts.remove(&i).map(|(_, files)| files).unwrap_or_default();
        even.then(|| (0..self.urls.len()).map(&mut part).collect())
    }

    /// The process that reads a file: the one with the highest weight for it (rendezvous hashing), so that
    /// another process that comes or goes moves only files of its own.
    fn home(&self, path: &str) -> usize {
        let weight = |url: &Url| {
            let digest = Sha256::new()
                .chain_update(url.as_str())
                .chain_update([0])
                .chain_update(path)
                .finalize();
            <[u8; 32]>::from(digest)
        };
        let numbered = self.urls.iter().enumerate();
        numbered
            .max_by_key(|(_, url)| weight(url))
            .map_or(0, |(i, _)| i)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn among(names: &[&str]) -> Among {
        let urls = names
            .iter()
            .map(|n| format!("http://{n}:1").parse().unwrap());
        Among {
            urls: urls.collect(),
            from_bytes: 0,
        }
    }

    #[test]
    fn a_process_that_goes_moves_only_its_own_files() {
        let (three, two) = (among(&["a", "b", "c"]), among(&["a", "b"]));
        let mut of_each = [0; 3];
        for n in 0..3_000 {
            let path = format!("stream=x/day=2026-11-{:02}/{n}.parquet", n % 28);
            let home = three.home(&path);
            of_each[home] += 1;
            if home < 2 {
                assert_eq!(two.home(&path), home);
            }
        }
        assert!(
            of_each.iter().all(|n| (850..1_150).contains(n)),
            "{of_each:?}"
        );
    }
}
