//! The active files of one state of the table, with what their statistics say.

use deltalake::kernel::{Add, Remove};
use deltalake::table::state::DeltaTableState;
use sealwright_core::UnixMicros;
use serde::{Deserialize, Serialize};

use crate::error::{LakeError, Result};
use crate::schema::{day_text, parse_day};

/// The smallest and the largest value of a column in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range<T> {
    pub(crate) min: T,
    pub(crate) max: T,
}

impl<T: Ord + Clone> Range<T> {
    pub(crate) fn of(values: impl Iterator<Item = T>) -> Option<Self> {
        let mut range: Option<Self> = None;
        for value in values {
            match &mut range {
                None => {
                    range = Some(Self {
                        min: value.clone(),
                        max: value,
                    });
                }
                Some(range) if value < range.min => range.min = value,
                Some(range) if value > range.max => range.max = value,
                Some(_) => {}
            }
        }
        range
    }

    pub(crate) fn holds(&self, value: &T) -> bool {
        self.min <= *value && *value <= self.max
    }
}

/// One active data file.
#[derive(Debug, Clone)]
pub(crate) struct DataFile {
    /// Relative to the table.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) stream: String,
    /// Days since 1970-01-01.
    pub(crate) day: i32,
    /// `None` where the file came without the statistic; then it may hold anything.
    pub(crate) tenants: Option<Range<String>>,
    pub(crate) types: Option<Range<String>>,
    pub(crate) offsets: Option<Range<i64>>,
    /// Microseconds, to the millisecond below and above, as Delta keeps them.
    pub(crate) times: Option<Range<i64>>,
    pub(crate) received: Option<Range<i64>>,
}

/// The statistics of an `add` action (Delta protocol, "Per-file Statistics").
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stats {
    num_records: u64,
    #[serde(default)]
    min_values: Values,
    #[serde(default)]
    max_values: Values,
    #[serde(default, skip_serializing)]
    #[expect(
        dead_code,
        reason = "part of the format; no column with statistics is nullable"
    )]
    null_count: serde_json::Value,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Values {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    received_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
}

const MILLI: i64 = 1_000;
/// Longer texts get no statistic.
const LONGEST_TEXT: usize = 256;

fn millis(time: i64, up: bool) -> String {
    let whole = time.div_euclid(MILLI) + i64::from(up && time.rem_euclid(MILLI) != 0);
    UnixMicros(whole.saturating_mul(MILLI))
        .timestamp()
        .strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
        .to_string()
}

fn parse_time(text: &str) -> Option<i64> {
    if let Ok(time) = UnixMicros::parse_rfc3339(text) {
        return Some(time.0);
    }
    // A checkpoint's parsed statistics come back without a zone; they are in UTC.
    UnixMicros::parse_rfc3339(&format!("{text}Z"))
        .ok()
        .map(|t| t.0)
}

fn range<T>(min: Option<T>, max: Option<T>) -> Option<Range<T>> {
    Some(Range {
        min: min?,
        max: max?,
    })
}

fn short(range: &Option<Range<String>>) -> Option<&Range<String>> {
    range
        .as_ref()
        .filter(|r| r.min.len() <= LONGEST_TEXT && r.max.len() <= LONGEST_TEXT)
}

impl DataFile {
    /// The action that adds this file.
    pub(crate) fn add(&self, changes_data: bool, now: UnixMicros) -> Result<Add> {
        let tenants = short(&self.tenants);
        let types = short(&self.types);
        let stats = Stats {
            num_records: self.rows,
            min_values: Values {
                tenant_id: tenants.map(|r| r.min.clone()),
                offset: self.offsets.as_ref().map(|r| r.min),
                received_at: self.received.as_ref().map(|r| millis(r.min, false)),
                time: self.times.as_ref().map(|r| millis(r.min, false)),
                r#type: types.map(|r| r.min.clone()),
            },
            max_values: Values {
                tenant_id: tenants.map(|r| r.max.clone()),
                offset: self.offsets.as_ref().map(|r| r.max),
                received_at: self.received.as_ref().map(|r| millis(r.max, true)),
                time: self.times.as_ref().map(|r| millis(r.max, true)),
                r#type: types.map(|r| r.max.clone()),
            },
            null_count: serde_json::Value::Null,
        };
        let stats = serde_json::to_string(&stats).map_err(|e| LakeError::Table(e.to_string()))?;
        Ok(Add {
            path: self.path.clone(),
            partition_values: self.partition_values(),
            size: i64::try_from(self.bytes).unwrap_or(i64::MAX),
            modification_time: now.0 / MILLI,
            data_change: changes_data,
            stats: Some(stats),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        })
    }

    /// The action that removes this file. It carries no statistics.
    pub(crate) fn remove(&self, changes_data: bool, now: UnixMicros) -> Remove {
        Remove {
            path: self.path.clone(),
            data_change: changes_data,
            deletion_timestamp: Some(now.0 / MILLI),
            extended_file_metadata: Some(true),
            partition_values: Some(self.partition_values()),
            size: Some(i64::try_from(self.bytes).unwrap_or(i64::MAX)),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
        }
    }

    fn partition_values(&self) -> std::collections::HashMap<String, Option<String>> {
        [
            ("stream".to_owned(), Some(self.stream.clone())),
            ("day".to_owned(), Some(day_text(self.day))),
        ]
        .into()
    }
}

/// The active files of a state, in a stable order (stream, day, path).
pub(crate) fn active_files(state: &DeltaTableState) -> Result<Vec<DataFile>> {
    let mut files = Vec::new();
    for view in state.log_data().iter() {
        let path = view.path().into_owned();
        if view.deletion_vector_descriptor().is_some() {
            return Err(LakeError::Foreign {
                file: path,
                detail: "has a deletion vector".to_owned(),
            });
        }
        let partition = view.partition_values_map();
        let value = |name: &str| partition.get(name).cloned().flatten();
        let (Some(stream), Some(day)) =
            (value("stream"), value("day").as_deref().and_then(parse_day))
        else {
            return Err(LakeError::Damaged {
                file: path,
                detail: "its log entry names no stream or no day".to_owned(),
            });
        };
        let stats: Stats = match view.stats() {
            Some(text) => serde_json::from_str(&text).map_err(|error| LakeError::Damaged {
                file: path.clone(),
                detail: format!("its statistics in the table's log: {error}"),
            })?,
            None => {
                return Err(LakeError::Foreign {
                    file: path,
                    detail: "has no statistics".to_owned(),
                });
            }
        };
        let (min, max) = (stats.min_values, stats.max_values);
        let time = |text: Option<String>| text.as_deref().and_then(parse_time);
        files.push(DataFile {
            path,
            bytes: u64::try_from(view.size()).unwrap_or(0),
            rows: stats.num_records,
            stream,
            day,
            tenants: range(min.tenant_id, max.tenant_id),
            types: range(min.r#type, max.r#type),
            offsets: range(min.offset, max.offset),
            times: range(time(min.time), time(max.time)),
            received: range(time(min.received_at), time(max.received_at)),
        });
    }
    files.sort_by(|a, b| (&a.stream, a.day, &a.path).cmp(&(&b.stream, b.day, &b.path)));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_statistics_enclose_the_microseconds() {
        let t = 1_795_000_000_123_456;
        assert!(parse_time(&millis(t, false)).is_some_and(|low| low <= t && t - low < MILLI));
        assert!(parse_time(&millis(t, true)).is_some_and(|high| high >= t && high - t < MILLI));
        assert_eq!(parse_time(&millis(-1, false)), Some(-1_000));
        assert_eq!(
            parse_time("2026-11-23T00:00:00"),
            parse_time("2026-11-23T00:00:00Z")
        );
    }
}
