//! Result batches as JSON values, and as events.

use bytes::Bytes;
use datafusion::arrow::array::{Array, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use sealwright_core::{Digest, TenantId, UnixMicros};
use sealwright_events::StoredEvent;
use serde_json::Value;

use crate::encode::arrow_error;
use crate::error::{LakeError, Result};

/// The rows of a batch as JSON. Times are RFC 3339 in UTC, decimals and whole numbers beyond 64 bits
/// are strings so that no digit is lost, binary is lower-case hexadecimal, and NaN and the infinities,
/// which JSON cannot say, are strings.
pub(crate) fn json_rows(batch: &RecordBatch, rows: &mut Vec<Vec<Value>>) -> Result<()> {
    let start = rows.len();
    rows.resize_with(start + batch.num_rows(), || {
        Vec::with_capacity(batch.num_columns())
    });
    for column in batch.columns() {
        let values = json_column(column.as_ref())?;
        for (row, value) in rows[start..].iter_mut().zip(values) {
            row.push(value);
        }
    }
    Ok(())
}

macro_rules! numbers {
    ($column:expr, $kind:ty) => {
        $column
            .as_primitive::<$kind>()
            .iter()
            .map(|v| v.map_or(Value::Null, Value::from))
            .collect()
    };
}

fn json_column(column: &dyn Array) -> Result<Vec<Value>> {
    Ok(match column.data_type() {
        DataType::Null => vec![Value::Null; column.len()],
        DataType::Boolean => column
            .as_boolean()
            .iter()
            .map(|v| v.map_or(Value::Null, Value::Bool))
            .collect(),
        DataType::Int8 => numbers!(column, Int8Type),
        DataType::Int16 => numbers!(column, Int16Type),
        DataType::Int32 => numbers!(column, Int32Type),
        DataType::Int64 => numbers!(column, Int64Type),
        DataType::UInt8 => numbers!(column, UInt8Type),
        DataType::UInt16 => numbers!(column, UInt16Type),
        DataType::UInt32 => numbers!(column, UInt32Type),
        DataType::UInt64 => numbers!(column, UInt64Type),
        DataType::Float32 => column
            .as_primitive::<Float32Type>()
            .iter()
            .map(|v| v.map_or(Value::Null, |v| float(f64::from(v))))
            .collect(),
        DataType::Float64 => column
            .as_primitive::<Float64Type>()
            .iter()
            .map(|v| v.map_or(Value::Null, float))
            .collect(),
        DataType::Utf8 => texts(column.as_string::<i32>().iter()),
        DataType::LargeUtf8 => texts(column.as_string::<i64>().iter()),
        DataType::Utf8View => texts(column.as_string_view().iter()),
        DataType::Binary => binary(column.as_binary::<i32>().iter()),
        DataType::LargeBinary => binary(column.as_binary::<i64>().iter()),
        DataType::BinaryView => binary(column.as_binary_view().iter()),
        DataType::List(_) => lists(column, column.as_list::<i32>().iter())?,
        DataType::LargeList(_) => lists(column, column.as_list::<i64>().iter())?,
        DataType::Struct(fields) => {
            let members = column.as_struct();
            let columns: Vec<Vec<Value>> = members
                .columns()
                .iter()
                .map(|c| json_column(c.as_ref()))
                .collect::<Result<_>>()?;
            (0..column.len())
                .map(|i| {
                    if column.is_null(i) {
                        return Value::Null;
                    }
                    fields
                        .iter()
                        .zip(&columns)
                        .map(|(f, values)| (f.name().clone(), values[i].clone()))
                        .collect::<serde_json::Map<_, _>>()
                        .into()
                })
                .collect()
        }
        DataType::Dictionary(_, value) => {
            let plain = datafusion::arrow::compute::cast(column, value).map_err(arrow_error)?;
            json_column(plain.as_ref())?
        }
        _ => {
            // Times, dates, intervals, decimals: their text.
            let options = FormatOptions::default()
                .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.f"))
                .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"));
            let format = ArrayFormatter::try_new(column, &options).map_err(arrow_error)?;
            (0..column.len())
                .map(|i| {
                    if column.is_null(i) {
                        Ok(Value::Null)
                    } else {
                        format.value(i).try_to_string().map(Value::String)
                    }
                })
                .collect::<Result<_, _>>()
                .map_err(arrow_error)?
        }
    })
}

fn float(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Vec<Value> {
    values.map(|v| v.map_or(Value::Null, Value::from)).collect()
}

fn binary<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> Vec<Value> {
    values
        .map(|v| v.map_or(Value::Null, |b| hex::encode(b).into()))
        .collect()
}

fn lists(
    column: &dyn Array,
    values: impl Iterator<Item = Option<datafusion::arrow::array::ArrayRef>>,
) -> Result<Vec<Value>> {
    let mut out = Vec::with_capacity(column.len());
    for value in values {
        out.push(match value {
            Some(items) => Value::Array(json_column(items.as_ref())?),
            None => Value::Null,
        });
    }
    Ok(out)
}

/// The events of a batch with the columns `tenant_id, offset, received_at, time, id, source, type,
/// subject, digest, json`, in that order.
pub(crate) fn stored_events(batch: &RecordBatch) -> Result<Vec<StoredEvent>> {
    let text = |i: usize| batch.column(i).as_string_view();
    let time = |i: usize| batch.column(i).as_primitive::<TimestampMicrosecondType>();
    let (tenants, offsets) = (text(0), batch.column(1).as_primitive::<Int64Type>());
    let (received, times) = (time(2), time(3));
    let (ids, sources, types, subjects) = (text(4), text(5), text(6), text(7));
    let (digests, json) = (batch.column(8).as_binary_view(), text(9));
    (0..batch.num_rows())
        .map(|i| {
            let damaged = |detail: String| LakeError::Damaged {
                file: format!("the row of the event at offset {}", offsets.value(i)),
                detail,
            };
            Ok(StoredEvent {
                offset: u64::try_from(offsets.value(i)).map_err(|e| damaged(e.to_string()))?,
                tenant: tenants
                    .value(i)
                    .parse::<TenantId>()
                    .map_err(|e| damaged(e.to_string()))?,
                received_at: UnixMicros(received.value(i)),
                time: UnixMicros(times.value(i)),
                id: ids.value(i).to_owned(),
                source: sources.value(i).to_owned(),
                event_type: types.value(i).to_owned(),
                subject: subjects.is_valid(i).then(|| subjects.value(i).to_owned()),
                json: Bytes::copy_from_slice(json.value(i).as_bytes()),
                digest: Digest(
                    digests
                        .value(i)
                        .try_into()
                        .map_err(|_| damaged("its digest is not 32 bytes".to_owned()))?,
                ),
            })
        })
        .collect()
}
