//! Reading whole data files and writing their rows anew: the step that compaction, retention and
//! erasure share.

use datafusion::arrow::array::{BooleanArray, RecordBatch};
use datafusion::arrow::compute::{concat_batches, filter_record_batch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::PageIndexPolicy;

use crate::encode::{arrow_error, sorted, write_file};
use crate::error::{LakeError, Result};
use crate::files::DataFile;
use crate::schema::FILE_SCHEMA;
use crate::table_files::TableFiles;

/// Which rows of a batch to keep. It sees all file columns.
pub(crate) type Keep<'a> = &'a (dyn Fn(&RecordBatch) -> Result<BooleanArray> + Sync);

/// Calls `each` with every batch of `file`, with the columns at `columns` (in the file schema's order)
/// or all of them.
pub(crate) fn read_batches(
    table: &TableFiles,
    file: &DataFile,
    columns: Option<&[usize]>,
    each: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    read(table, file, columns, None, each)
}

/// Calls `each` with the rows at these places of `file`, ascending, with all columns. Pages without such rows are
/// not read.
pub(crate) fn read_rows(
    table: &TableFiles,
    file: &DataFile,
    rows: &[usize],
    each: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    read(table, file, None, Some(rows), each)
}

fn read(
    table: &TableFiles,
    file: &DataFile,
    columns: Option<&[usize]>,
    rows: Option<&[usize]>,
    mut each: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let damaged = |detail: String| LakeError::Damaged {
        file: format!("events/{}", file.path),
        detail,
    };
    let open = table.open(file)?;
    let options = ArrowReaderOptions::new()
        .with_schema(FILE_SCHEMA.clone())
        .with_page_index_policy(if rows.is_some() {
            PageIndexPolicy::Optional
        } else {
            PageIndexPolicy::Skip
        });
    let mut builder = ParquetRecordBatchReaderBuilder::try_new_with_options(open, options)
        .map_err(|e| damaged(e.to_string()))?;
    if let Some(columns) = columns {
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        builder = builder.with_projection(mask);
    }
    if let Some(rows) = rows {
        let total = usize::try_from(file.rows).unwrap_or(usize::MAX);
        let each_alone = rows.iter().map(|row| *row..row + 1);
        let selection = RowSelection::from_consecutive_ranges(each_alone, total);
        builder = builder.with_row_selection(selection);
    }
    let reader = builder
        .with_batch_size(16_384)
        .build()
        .map_err(|e| damaged(e.to_string()))?;
    for batch in reader {
        each(batch.map_err(|e| damaged(e.to_string()))?)?;
    }
    Ok(())
}

/// What a rewrite made.
#[derive(Debug)]
pub(crate) struct Rewritten {
    /// The new file; `None` when no row was kept.
    pub(crate) file: Option<DataFile>,
    pub(crate) rows_before: u64,
}

/// Writes the rows of `files` (all of one partition) that `keep` keeps as one new file.
pub(crate) fn rewrite(
    table: &TableFiles,
    files: &[DataFile],
    keep: Option<Keep<'_>>,
) -> Result<Rewritten> {
    let mut batches = Vec::new();
    let mut rows_before = 0;
    for file in files {
        let mut rows = 0;
        read_batches(table, file, None, |batch| {
            rows += batch.num_rows() as u64;
            let kept = match keep {
                Some(keep) => filter_record_batch(&batch, &keep(&batch)?).map_err(arrow_error)?,
                None => batch,
            };
            if kept.num_rows() > 0 {
                batches.push(kept);
            }
            Ok(())
        })?;
        if rows != file.rows {
            return Err(LakeError::Damaged {
                file: format!("events/{}", file.path),
                detail: format!(
                    "it holds {rows} rows, and the table's log says {}",
                    file.rows
                ),
            });
        }
        rows_before += rows;
    }
    let Some(first) = files.first().filter(|_| !batches.is_empty()) else {
        return Ok(Rewritten {
            file: None,
            rows_before,
        });
    };
    let whole = concat_batches(&FILE_SCHEMA, &batches).map_err(arrow_error)?;
    drop(batches);
    let file = write_file(table.folder(), &first.stream, first.day, &sorted(&whole)?)?;
    Ok(Rewritten {
        file: Some(file),
        rows_before,
    })
}

/// Runs blocking work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| LakeError::Table(e.to_string()))?
}
