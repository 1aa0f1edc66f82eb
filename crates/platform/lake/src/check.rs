//! Reading everything once, to find what a disk has lost.

use datafusion::arrow::array::AsArray as _;
use datafusion::arrow::datatypes::Int64Type;
use sealwright_core::Digest;
use serde::Serialize;

use crate::error::{LakeError, Result};
use crate::files::DataFile;
use crate::rewrite::{blocking, read_batches};
use crate::schema::column;
use crate::table::Lake;
use crate::table_files::TableFiles;

/// The most problems that a report lists; further ones are counted.
const MOST_PROBLEMS: usize = 100;

/// What a check of the lake found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LakeCheck {
    /// Data files that were read.
    pub files: u64,
    /// Rows whose content was hashed again.
    pub rows: u64,
    /// What is wrong: the file, and the offset of the event where it is one event.
    pub problems: Vec<String>,
    /// How many problems there are in all.
    pub problem_count: u64,
}

impl LakeCheck {
    fn problem(&mut self, text: String) {
        self.problem_count += 1;
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(text);
        }
    }
}

impl Lake {
    /// Reads every active file and compares each event with the digest that it was accepted under. Reads
    /// the whole lake once, a file at a time.
    ///
    /// # Errors
    /// When files cannot be read at all; damage is reported, not returned.
    pub async fn check(&self) -> Result<LakeCheck> {
        let (snapshot, _reader) = self.read_at_length().await?;
        let mut report = LakeCheck::default();
        for file in &snapshot.files {
            let (table, file) = (self.files().clone(), file.clone());
            let done = blocking(move || Ok(check_file(&table, &file))).await?;
            report.files += 1;
            report.rows += done.rows;
            for problem in done.problems {
                report.problem(problem);
            }
        }
        Ok(report)
    }
}

fn check_file(table: &TableFiles, file: &DataFile) -> LakeCheck {
    let mut report = LakeCheck::default();
    let name = format!("events/{}", file.path);
    let columns = [column::OFFSET, column::DIGEST, column::JSON];
    let read = read_batches(table, file, Some(&columns), |batch| {
        // Projected columns stand in the order of the file's schema.
        let offsets = batch.column(0).as_primitive::<Int64Type>();
        let digests = batch.column(1).as_binary_view();
        let events = batch.column(2).as_string_view();
        for i in 0..batch.num_rows() {
            report.rows += 1;
            if Digest::of(events.value(i).as_bytes()).0[..] != *digests.value(i) {
                let offset = offsets.value(i);
                report.problem(format!("{name}: event {offset} is not what was accepted"));
            }
        }
        Ok(())
    });
    match read {
        Ok(()) if report.rows != file.rows => {
            let (rows, wanted) = (report.rows, file.rows);
            report.problem(format!(
                "{name}: it holds {rows} rows, and the table's log says {wanted}"
            ));
        }
        Ok(()) => {}
        Err(LakeError::Damaged { file, detail }) => report.problem(format!("{file}: {detail}")),
        Err(error) => report.problem(error.to_string()),
    }
    report
}
