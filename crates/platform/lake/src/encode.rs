//! Rows to Parquet bytes, and those to a file that survives a power cut.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray as _, BinaryViewBuilder, Int64Array, RecordBatch, StringViewBuilder,
    TimestampMicrosecondArray,
};
use datafusion::arrow::compute::{SortColumn, SortOptions, lexsort_to_indices, take_record_batch};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use sealwright_events::StoredEvent;

use crate::error::{LakeError, Result};
use crate::files::{DataFile, Range};
use crate::schema::{FILE_SCHEMA, STATISTICS, column, day_text};

/// Rows of a row group: small enough that one tenant's rows of one type, which lie together, leave
/// most groups of a large file unread.
const ROW_GROUP_ROWS: usize = 65_536;
/// Rows of a page: the unit that is skipped inside of a row group.
const PAGE_ROWS: usize = 4_096;
/// Bytes of a page of JSON: what is unpacked to show one event.
const PAGE_JSON: usize = 256 << 10;

fn writer_options() -> ArrowWriterOptions {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(256)
        .set_column_data_page_size_limit(ColumnPath::from("json"), PAGE_JSON)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_created_by("sealwright".to_owned());
    for name in STATISTICS {
        properties = properties
            .set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Page);
    }
    for name in ["json", "digest", "id"] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    for name in ["offset", "received_at", "time"] {
        properties = properties
            .set_column_dictionary_enabled(ColumnPath::from(name), false)
            .set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
    }
    ArrowWriterOptions::new()
        .with_properties(properties.build())
        // Other engines read plain Parquet types; our view types are ours alone.
        .with_skip_arrow_metadata(true)
}

/// The events as a batch of the file schema, in the order given.
pub(crate) fn batch_of(events: &[&StoredEvent]) -> Result<RecordBatch> {
    let texts = |get: fn(&StoredEvent) -> Option<&str>| -> ArrayRef {
        let mut builder = StringViewBuilder::with_capacity(events.len());
        for event in events {
            builder.append_option(get(event));
        }
        Arc::new(builder.finish())
    };
    let mut tenants = StringViewBuilder::with_capacity(events.len()).with_deduplicate_strings();
    let mut digests = BinaryViewBuilder::with_capacity(events.len());
    let mut json = StringViewBuilder::with_capacity(events.len());
    for event in events {
        tenants.append_value(event.tenant.to_string());
        digests.append_value(event.digest.0);
        json.append_value(std::str::from_utf8(&event.json).map_err(|error| {
            LakeError::Damaged {
                file: format!("the event at offset {}", event.offset),
                detail: error.to_string(),
            }
        })?);
    }
    let offsets: Int64Array = events
        .iter()
        .map(|e| i64::try_from(e.offset).unwrap_or(i64::MAX))
        .collect::<Vec<_>>()
        .into();
    let times = |get: fn(&StoredEvent) -> i64| -> ArrayRef {
        let values: Vec<i64> = events.iter().map(|e| get(e)).collect();
        Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(tenants.finish()),
        Arc::new(offsets),
        times(|e| e.received_at.0),
        times(|e| e.time.0),
        texts(|e| Some(&e.id)),
        texts(|e| Some(&e.source)),
        texts(|e| Some(&e.event_type)),
        texts(|e| e.subject.as_deref()),
        Arc::new(digests.finish()),
        Arc::new(json.finish()),
    ];
    RecordBatch::try_new(FILE_SCHEMA.clone(), columns).map_err(arrow_error)
}

/// An error of Arrow's kernels, which on rows of ours means that they do not fit in memory limits.
pub(crate) fn arrow_error(error: datafusion::arrow::error::ArrowError) -> LakeError {
    LakeError::Table(error.to_string())
}

/// The rows ordered by tenant, type, time and offset, so that what is asked for together lies together.
pub(crate) fn sorted(batch: &RecordBatch) -> Result<RecordBatch> {
    let by = |i: usize| SortColumn {
        values: Arc::clone(batch.column(i)),
        options: Some(SortOptions::default()),
    };
    let order = lexsort_to_indices(
        &[
            by(column::TENANT),
            by(column::TYPE),
            by(column::TIME),
            by(column::OFFSET),
        ],
        None,
    )
    .map_err(arrow_error)?;
    take_record_batch(batch, &order).map_err(arrow_error)
}

/// Writes sorted rows as one file of a partition under `table`. The file means nothing until the
/// table's log names it, and may be named there only after [`sync_folders`].
pub(crate) fn write_file(
    table: &Path,
    stream: &str,
    day: i32,
    batch: &RecordBatch,
) -> Result<DataFile> {
    let folder = format!("stream={stream}/day={}", day_text(day));
    let path = format!("{folder}/part-{}.parquet", uuid::Uuid::now_v7().simple());
    let mut bytes = Vec::new();
    let parquet = |error: parquet::errors::ParquetError| LakeError::Table(error.to_string());
    let mut writer =
        ArrowWriter::try_new_with_options(&mut bytes, batch.schema(), writer_options())
            .map_err(parquet)?;
    writer.write(batch).map_err(parquet)?;
    writer.close().map_err(parquet)?;

    let folder = table.join(folder);
    fs::create_dir_all(&folder).map_err(|e| LakeError::file(&folder, e))?;
    let full = table.join(&path);
    let written = fs::File::create_new(&full).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()
    });
    if let Err(error) = written {
        // Nothing refers to the file; if this fails too, the next vacuum takes it.
        let _ = fs::remove_file(&full);
        return Err(LakeError::file(&full, error));
    }
    Ok(DataFile {
        bytes: bytes.len() as u64,
        rows: batch.num_rows() as u64,
        stream: stream.to_owned(),
        day,
        tenants: text_range(batch, column::TENANT),
        types: text_range(batch, column::TYPE),
        offsets: Range::of(
            batch
                .column(column::OFFSET)
                .as_primitive::<Int64Type>()
                .values()
                .iter()
                .copied(),
        ),
        times: time_range(batch, column::TIME),
        received: time_range(batch, column::RECEIVED),
        path,
    })
}

/// Makes the folder entries of new files durable, up to the table's own folder.
pub(crate) fn sync_folders(table: &Path, files: &[DataFile]) -> Result<()> {
    let mut folders = BTreeSet::new();
    for file in files {
        let full = table.join(&file.path);
        folders.extend(
            full.ancestors()
                .skip(1)
                .take_while(|p| p.starts_with(table))
                .map(Path::to_owned),
        );
    }
    folders.iter().try_for_each(|folder| sync_folder(folder))
}

/// Makes the entries of a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    fs::File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| LakeError::file(folder, e))
}

fn text_range(batch: &RecordBatch, column: usize) -> Option<Range<String>> {
    let range = Range::of(batch.column(column).as_string_view().iter().flatten())?;
    Some(Range {
        min: range.min.to_owned(),
        max: range.max.to_owned(),
    })
}

fn time_range(batch: &RecordBatch, column: usize) -> Option<Range<i64>> {
    let times = batch
        .column(column)
        .as_primitive::<TimestampMicrosecondType>();
    Range::of(times.values().iter().copied())
}
