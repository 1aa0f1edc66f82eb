//! Rows of any Parquet file, for imports.

use std::fs::File;
use std::path::Path;

use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use serde_json::{Map, Value};

use crate::rows::json_rows;

/// Rows that are decoded together: memory holds so many, whatever the size of the file.
const BATCH_ROWS: usize = 1_000;

/// The rows of a Parquet file, each an object of its columns, in the order of the file. Whole numbers are
/// exact, decimals and times are text (times RFC 3339, without `Z` where the column has no zone), null
/// columns are null. After an error there are no more rows.
///
/// # Errors
/// When the file cannot be opened or is no Parquet file; the text says why.
pub fn read_parquet_rows(path: &Path) -> Result<ParquetFileRows, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| format!("the Parquet file cannot be read: {error}"))?;
    let names = builder
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let reader = builder
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| format!("the Parquet file cannot be read: {error}"))?;
    Ok(ParquetFileRows {
        reader: Some(reader),
        names,
        rows: Vec::new().into_iter(),
    })
}

/// See [`read_parquet_rows`].
#[allow(missing_debug_implementations)]
pub struct ParquetFileRows {
    reader: Option<ParquetRecordBatchReader>,
    names: Vec<String>,
    rows: std::vec::IntoIter<Vec<Value>>,
}

impl Iterator for ParquetFileRows {
    type Item = Result<Map<String, Value>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.rows.next() {
                return Some(Ok(self.names.iter().cloned().zip(row).collect()));
            }
            let read = match self.reader.as_mut()?.next()? {
                Ok(batch) => {
                    let mut rows = Vec::with_capacity(batch.num_rows());
                    json_rows(&batch, &mut rows)
                        .map(|()| rows)
                        .map_err(|error| error.to_string())
                }
                Err(error) => Err(format!("the Parquet file is damaged: {error}")),
            };
            match read {
                Ok(rows) => self.rows = rows.into_iter(),
                Err(error) => {
                    self.reader = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    };
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn written(path: &Path) {
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "tokens",
                Arc::new(Int64Array::from(vec![Some(i64::MAX), None])),
            ),
            ("model", Arc::new(StringArray::from(vec!["a", "ü"]))),
            (
                "gb",
                Arc::new(
                    Decimal128Array::from(vec![12_345_i128, 100])
                        .with_precision_and_scale(30, 3)
                        .unwrap(),
                ),
            ),
            (
                "time",
                Arc::new(
                    TimestampMicrosecondArray::from(vec![1_700_000_000_250_000, 0])
                        .with_timezone("UTC"),
                ),
            ),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, array)| (name, array, true)),
        )
        .unwrap();
        let file = File::create(path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    #[test]
    fn rows_are_exact() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        written(&path);
        let rows: Vec<_> = read_parquet_rows(&path)
            .unwrap()
            .map(|row| Value::Object(row.unwrap()).to_string())
            .collect();
        assert_eq!(
            rows,
            [
                r#"{"tokens":9223372036854775807,"model":"a","gb":"12.345","time":"2023-11-14T22:13:20.250Z"}"#,
                r#"{"tokens":null,"model":"ü","gb":"0.100","time":"1970-01-01T00:00:00Z"}"#,
            ]
        );
    }

    #[test]
    fn a_cut_off_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        written(&path);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(read_parquet_rows(&path).is_err());
    }
}
