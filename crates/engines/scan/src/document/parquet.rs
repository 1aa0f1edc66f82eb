//! Parquet files: rows as lines under the names of their columns.

use ::parquet::file::reader::{FileReader, SerializedFileReader};

use super::{Problem, Run};
use crate::decode::{Ratio, View};
use crate::scan::Source;

/// Rows that are looked at together.
const ROWS: usize = 4_096;

pub(super) fn scan(run: &mut Run<'_>, source: &Source, bytes: &[u8]) {
    let copy = ::bytes::Bytes::copy_from_slice(bytes);
    let reader = match SerializedFileReader::new(copy) {
        Ok(reader) => reader,
        Err(e) => {
            let encrypted = e.to_string().to_ascii_lowercase().contains("encrypt");
            run.problem(
                source,
                if encrypted {
                    Problem::Encrypted
                } else {
                    Problem::Corrupt
                },
            );
            return;
        }
    };
    let Ok(rows) = reader.get_row_iter(None) else {
        run.problem(source, Problem::Corrupt);
        return;
    };
    let mut head = String::new();
    for field in reader.metadata().file_metadata().schema().get_fields() {
        head.push_str(field.name());
        head.push('\t');
    }
    head.push('\n');
    let mut lines = Vec::new();
    let mut count = 0;
    let mut first = 0_usize;
    for (number, row) in rows.enumerate() {
        let Ok(row) = row else {
            run.problem(source, Problem::Corrupt);
            break;
        };
        for (_, field) in row.get_column_iter() {
            let text = field.to_string();
            let text = text.trim_matches('"').replace(['\t', '\n', '\r'], " ");
            lines.extend_from_slice(text.as_bytes());
            lines.push(b'\t');
        }
        lines.push(b'\n');
        count += 1;
        if count == ROWS || lines.len() > 8 << 20 {
            flush(run, source, bytes, &head, &lines, first);
            first = number + 1;
            lines.clear();
            count = 0;
        }
        if run.expanded > run.limits.expanded {
            run.problem(source, Problem::TooLarge);
            return;
        }
    }
    flush(run, source, bytes, &head, &lines, first);
}

fn flush(run: &mut Run<'_>, source: &Source, bytes: &[u8], head: &str, lines: &[u8], first: usize) {
    let mut view = View::default();
    view.push(head.as_bytes(), 0, Ratio::Point);
    view.push(lines, 0, Ratio::Point);
    view.finish(bytes.len());
    run.expanded += lines.len() as u64;
    run.bytes += lines.len() as u64;
    // Rows have no place of their own in the file: each value is reported in a text of its own.
    let inner = source.inside(&format!("rows-{first}.tsv"));
    let text = view.bytes.clone();
    let mut same = View::default();
    same.push(&text, 0, Ratio::Same);
    same.finish(text.len());
    run.view(&inner, &text, same, "rows");
}
