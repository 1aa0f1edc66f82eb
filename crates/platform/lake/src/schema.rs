//! The table's columns and partitions.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use deltalake::kernel::{DataType as DeltaType, StructField};
use sealwright_core::UnixMicros;

/// The stream that takes what has no stream of its own.
pub const OTHER_STREAM: &str = "other";

/// How many streams a lake has at most; events of further ones go to [`OTHER_STREAM`], so that a
/// sender of ever new types cannot make ever more folders.
pub const MAX_STREAMS: usize = 200;

const MAX_STREAM_LENGTH: usize = 64;

/// The stream of an event type: its first two segments in lower case (`sealwright.usage.ai.v1` is
/// of the stream `sealwright.usage`); what is not an ASCII letter, digit, `-` or `_` becomes `_`.
pub fn stream_of(event_type: &str) -> String {
    let mut stream = String::new();
    for (i, segment) in event_type.split('.').take(2).enumerate() {
        if i > 0 {
            stream.push('.');
        }
        for c in segment.chars() {
            let c = c.to_ascii_lowercase();
            stream.push(if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            });
        }
    }
    stream.truncate(MAX_STREAM_LENGTH);
    if stream.trim_matches(['.', '_']).is_empty() {
        OTHER_STREAM.to_owned()
    } else {
        stream
    }
}

/// The UTC day of a moment, as days since 1970-01-01, kept within what the calendar of
/// this program can show (years 1 to 9999, without the last day).
pub(crate) fn day_of(time: UnixMicros) -> i32 {
    const FIRST: i64 = -719_162;
    const LAST: i64 = 2_932_895;
    let day = time.0.div_euclid(sealwright_core::clock::DAY);
    i32::try_from(day.clamp(FIRST, LAST)).unwrap_or(0)
}

/// `2026-11-23` for the number of days since 1970-01-01.
pub(crate) fn day_text(day: i32) -> String {
    UnixMicros(i64::from(day) * sealwright_core::clock::DAY)
        .timestamp()
        .strftime("%Y-%m-%d")
        .to_string()
}

/// The inverse of [`day_text`].
pub(crate) fn parse_day(text: &str) -> Option<i32> {
    let date: jiff::civil::Date = text.parse().ok()?;
    let time = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    i32::try_from(time.as_second().div_euclid(86_400)).ok()
}

/// Columns that have statistics: the ones that queries prune by. The subject, the id and the source may
/// name a person, so nothing of them is kept anywhere but in the rows.
pub(crate) const STATISTICS: [&str; 5] = ["tenant_id", "offset", "received_at", "time", "type"];

/// Positions in the file schema.
pub(crate) mod column {
    pub(crate) const TENANT: usize = 0;
    pub(crate) const OFFSET: usize = 1;
    pub(crate) const RECEIVED: usize = 2;
    pub(crate) const TIME: usize = 3;
    pub(crate) const ID: usize = 4;
    pub(crate) const SOURCE: usize = 5;
    pub(crate) const TYPE: usize = 6;
    pub(crate) const SUBJECT: usize = 7;
    pub(crate) const DIGEST: usize = 8;
    pub(crate) const JSON: usize = 9;
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// What a data file holds: everything but the partition columns.
pub(crate) static FILE_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("tenant_id", DataType::Utf8View, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("received_at", utc(), false),
        Field::new("time", utc(), false),
        Field::new("id", DataType::Utf8View, false),
        Field::new("source", DataType::Utf8View, false),
        Field::new("type", DataType::Utf8View, false),
        Field::new("subject", DataType::Utf8View, true),
        Field::new("digest", DataType::BinaryView, false),
        Field::new("json", DataType::Utf8View, false),
    ]))
});

/// The partition columns.
pub(crate) static PARTITIONS: LazyLock<Vec<Arc<Field>>> = LazyLock::new(|| {
    vec![
        Arc::new(Field::new("stream", DataType::Utf8View, false)),
        Arc::new(Field::new("day", DataType::Date32, false)),
    ]
});

/// File columns followed by partition columns, as queries see the table.
pub(crate) static TABLE_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields: Vec<Arc<Field>> = FILE_SCHEMA.fields().iter().cloned().collect();
    fields.extend(PARTITIONS.iter().cloned());
    Arc::new(Schema::new(fields))
});

/// The columns as the Delta table declares them.
pub(crate) fn delta_columns() -> Vec<StructField> {
    vec![
        StructField::not_null("tenant_id", DeltaType::STRING),
        StructField::not_null("offset", DeltaType::LONG),
        StructField::not_null("received_at", DeltaType::TIMESTAMP),
        StructField::not_null("time", DeltaType::TIMESTAMP),
        StructField::not_null("id", DeltaType::STRING),
        StructField::not_null("source", DeltaType::STRING),
        StructField::not_null("type", DeltaType::STRING),
        StructField::nullable("subject", DeltaType::STRING),
        StructField::not_null("digest", DeltaType::BINARY),
        StructField::not_null("json", DeltaType::STRING),
        StructField::not_null("stream", DeltaType::STRING),
        StructField::not_null("day", DeltaType::DATE),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn streams_are_safe_folder_names() {
        for (event_type, stream) in [
            ("sealwright.usage.ai.v1", "sealwright.usage"),
            ("Com.Example.order/created", "com.example"),
            ("single", "single"),
            ("../../etc", OTHER_STREAM),
            ("", OTHER_STREAM),
            ("a/b.c=d.e", "a_b.c_d"),
            ("é.ü", OTHER_STREAM),
        ] {
            assert_eq!(stream_of(event_type), stream, "{event_type}");
        }
        assert_eq!(stream_of(&"x".repeat(500)).len(), MAX_STREAM_LENGTH);
    }

    #[test]
    fn days_round_trip() {
        for day in [-719_162, -1, 0, 20_780, 2_932_895] {
            assert_eq!(parse_day(&day_text(day)), Some(day));
        }
        assert_eq!(day_text(day_of(UnixMicros(-1))), "1969-12-31");
        assert_eq!(day_text(day_of(UnixMicros(i64::MAX))), "9999-12-30");
    }
}
