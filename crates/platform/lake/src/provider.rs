//! The active files of one state as a table: a plain Parquet scan over the files that a query can need.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Int64Array, StringViewArray,
    TimestampMicrosecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, DFSchema, ScalarValue, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use crate::files::DataFile;
use crate::schema::{FILE_SCHEMA, PARTITIONS, TABLE_SCHEMA};
use crate::session::store_url;
use crate::table::Snapshot;

/// What the scans of a query were given to read.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) files: AtomicU64,
}

/// One state of the table `events`.
pub(crate) struct Events {
    snapshot: Arc<Snapshot>,
    /// Only these of its files.
    some: Option<Vec<DataFile>>,
    scanned: Arc<Scanned>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "events at version {}", self.snapshot.version)
    }
}

impl Events {
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        some: Option<Vec<DataFile>>,
        scanned: Arc<Scanned>,
    ) -> Self {
        Self {
            snapshot,
            some,
            scanned,
        }
    }
}

#[async_trait]
impl TableProvider for Events {
    fn schema(&self) -> SchemaRef {
        TABLE_SCHEMA.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // Files are left out by their statistics; rows are filtered by the plan above the scan, which
        // the optimizer moves into the Parquet reader.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.needed(state, filters)?;
        if files.is_empty() {
            let schema = match projection {
                Some(columns) => Arc::new(TABLE_SCHEMA.project(columns)?),
                None => TABLE_SCHEMA.clone(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        self.scanned
            .files
            .fetch_add(files.len() as u64, Ordering::Relaxed);
        let mut statistics = Statistics::new_unknown(&TABLE_SCHEMA);
        let rows = usize::try_from(files.iter().map(|f| f.rows).sum::<u64>()).unwrap_or(usize::MAX);
        statistics.num_rows = if filters.is_empty() {
            Precision::Exact(rows)
        } else {
            Precision::Inexact(rows)
        };
        let options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        let schema = TableSchema::builder(FILE_SCHEMA.clone())
            .with_table_partition_cols(PARTITIONS.clone())
            .build();
        let source = ParquetSource::new(schema).with_table_parquet_options(options);
        let url = store_url().map_err(|e| DataFusionError::External(Box::new(e)))?;
        let groups = FileGroup::new(files.into_iter().map(partitioned).collect())
            .split_files(state.config().target_partitions().max(1));
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

impl Events {
    /// The files that the statistics do not rule out.
    fn needed(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&DataFile>> {
        let all = self.some.as_deref().unwrap_or(&self.snapshot.files);
        let Some(filter) = conjunction(filters.iter().cloned()) else {
            return Ok(all.iter().collect());
        };
        let schema = DFSchema::try_from(TABLE_SCHEMA.as_ref().clone())?;
        let predicate = state.create_physical_expr(filter, &schema)?;
        let predicate = PruningPredicateBuilder::new()
            .with_file_schema(TABLE_SCHEMA.clone())
            .try_build(predicate)?;
        let keep = predicate.prune(&FileStatistics(all))?;
        Ok(all
            .iter()
            .zip(keep)
            .filter_map(|(file, keep)| keep.then_some(file))
            .collect())
    }
}

fn partitioned(file: &DataFile) -> PartitionedFile {
    PartitionedFile::new(file.path.clone(), file.bytes).with_partition_values(vec![
        ScalarValue::Utf8View(Some(file.stream.clone())),
        ScalarValue::Date32(Some(file.day)),
    ])
}

struct FileStatistics<'a>(&'a [DataFile]);

impl FileStatistics<'_> {
    fn values(&self, column: &Column, low: bool) -> Option<ArrayRef> {
        let texts = |get: fn(&DataFile) -> Option<(&str, &str)>| -> ArrayRef {
            let values: StringViewArray = self
                .0
                .iter()
                .map(|f| get(f).map(|(min, max)| if low { min } else { max }))
                .collect();
            Arc::new(values)
        };
        let numbers = |get: fn(&DataFile) -> Option<(i64, i64)>| -> Vec<Option<i64>> {
            self.0
                .iter()
                .map(|f| get(f).map(|(min, max)| if low { min } else { max }))
                .collect()
        };
        let times = |values: Vec<Option<i64>>| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
        };
        Some(match column.name.as_str() {
            "tenant_id" => texts(|f| f.tenants.as_ref().map(|r| (&*r.min, &*r.max))),
            "type" => texts(|f| f.types.as_ref().map(|r| (&*r.min, &*r.max))),
            "stream" => texts(|f| Some((&f.stream, &f.stream))),
            "offset" => Arc::new(Int64Array::from(numbers(|f| {
                f.offsets.as_ref().map(|r| (r.min, r.max))
            }))),
            "time" => times(numbers(|f| f.times.as_ref().map(|r| (r.min, r.max)))),
            "received_at" => times(numbers(|f| f.received.as_ref().map(|r| (r.min, r.max)))),
            "day" => Arc::new(self.0.iter().map(|f| Some(f.day)).collect::<Date32Array>()),
            _ => return None,
        })
    }
}

impl PruningStatistics for FileStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, true)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, false)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        // Every column with statistics is without nulls.
        self.values(column, true)
            .map(|_| Arc::new(UInt64Array::from(vec![0; self.0.len()])) as Arc<dyn Array>)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(
            self.0.iter().map(|f| Some(f.rows)).collect::<UInt64Array>(),
        ))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
