//! Erasure: the rows of a person, or named events, leave every file.

use std::collections::BTreeSet;

use datafusion::arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use sealwright_core::{TenantId, UnixMicros};
use sealwright_events::HoldRegister;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

use crate::error::{LakeError, Result};
use crate::files::DataFile;
use crate::held::Held;
use crate::maintain::{LogReport, VacuumReport};
use crate::rewrite::{blocking, read_batches, rewrite};
use crate::schema::{column, day_of, day_text};
use crate::table::Lake;

/// What is to be erased. Only the columns named here decide: an event that mentions a person in its
/// data only is not found by the person's subject id.
#[derive(Debug, Clone)]
pub struct Erasure {
    /// Whose events; the same id with another tenant is somebody else's.
    pub tenant: TenantId,
    /// Which of them.
    pub what: ErasureKey,
}

/// Which events of a tenant.
#[derive(Debug, Clone)]
pub enum ErasureKey {
    /// Those with this `subject`, compared byte for byte.
    Subject(String),
    /// Those of this `source` with these `id`s.
    Ids {
        /// The `source` attribute.
        source: String,
        /// The `id` attributes.
        ids: BTreeSet<String>,
    },
    /// Those at these offsets.
    Offsets(BTreeSet<u64>),
}

/// What an erasure did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErasureReport {
    /// Rows that were erased.
    pub rows: u64,
    /// Data files that held them and were written anew or removed.
    pub files: u64,
    /// UTC days with matching rows that were not touched because they had not ended; run the same
    /// erasure again after them. Empty when the lake holds no matching row any more.
    pub open_days: Vec<String>,
    /// What the vacuum removed.
    pub vacuum: VacuumReport,
    /// What the log clean-up removed.
    pub log: LogReport,
}

impl Erasure {
    fn may_hold(&self, file: &DataFile, tenant: &String) -> bool {
        file.tenants.as_ref().is_none_or(|r| r.holds(tenant))
            && match &self.what {
                ErasureKey::Offsets(offsets) => file.offsets.as_ref().is_none_or(|r| {
                    let bounds =
                        u64::try_from(r.min).unwrap_or(0)..=u64::try_from(r.max).unwrap_or(0);
                    offsets.range(bounds).next().is_some()
                }),
                ErasureKey::Subject(_) | ErasureKey::Ids { .. } => true,
            }
    }

    /// What holds some of it, in words. Of events that are named by id or offset it is not known whose they are.
    fn held_by(&self, held: &Held) -> Option<String> {
        let mut by: Vec<&str> = held
            .0
            .iter()
            .filter(|one| one.tenant == self.tenant)
            .filter(|one| match (&self.what, &one.subject) {
                (ErasureKey::Subject(subject), Some(held)) => subject == held,
                _ => true,
            })
            .map(|one| one.by.as_str())
            .collect();
        by.sort_unstable();
        by.dedup();
        (!by.is_empty()).then(|| by.join(", "))
    }

    /// The columns that decide, in the file schema's order.
    const COLUMNS: [usize; 5] = [
        column::TENANT,
        column::OFFSET,
        column::ID,
        column::SOURCE,
        column::SUBJECT,
    ];

    /// Which rows stay. `at` finds the columns of [`Self::COLUMNS`] in the batch.
    fn keep(&self, tenant: &str, batch: &RecordBatch, at: [usize; 5]) -> BooleanArray {
        let [tenants, offsets, ids, sources, subjects] = at;
        let tenants = batch.column(tenants).as_string_view();
        let matches: Box<dyn Fn(usize) -> bool> = match &self.what {
            ErasureKey::Subject(subject) => {
                let subjects = batch.column(subjects).as_string_view();
                Box::new(move |i| subjects.is_valid(i) && subjects.value(i) == subject)
            }
            ErasureKey::Ids {
                source,
                ids: wanted,
            } => {
                let ids = batch.column(ids).as_string_view();
                let sources = batch.column(sources).as_string_view();
                Box::new(move |i| sources.value(i) == source && wanted.contains(ids.value(i)))
            }
            ErasureKey::Offsets(wanted) => {
                let offsets = batch.column(offsets).as_primitive::<Int64Type>();
                Box::new(move |i| {
                    u64::try_from(offsets.value(i)).is_ok_and(|o| wanted.contains(&o))
                })
            }
        };
        (0..batch.num_rows())
            .map(|i| Some(!(tenants.value(i) == tenant && matches(i))))
            .collect()
    }
}

impl Lake {
    /// Erases rows from every day that ended before `now`, then vacuums, writes a checkpoint and removes
    /// the log before it, so that no file under the lake's folder holds them: not the data, not a
    /// replaced or abandoned file, not the table's log, whose commits never name what was erased.
    ///
    /// Not reached: the intake's log, which keeps events until it is trimmed; backups; the blocks that
    /// the operating system has freed. An event of a past day that arrives later is not affected.
    ///
    /// `holds` is asked first, and again at each commit: while something holds what is to be erased, or may
    /// hold it, nothing is.
    ///
    /// Cost: reads the deciding columns of all files that may hold the tenant, and writes anew those
    /// that hold a match. Readers of older states are waited for, at most `patience`.
    ///
    /// # Errors
    /// [`crate::LakeError::Readers`] when readers did not end in time: the rows are gone for new
    /// queries, and running the same erasure again completes it. [`LakeError::Held`] and
    /// [`LakeError::HoldsUnknown`].
    pub async fn erase(
        &self,
        now: UnixMicros,
        erasure: &Erasure,
        holds: &dyn HoldRegister,
        patience: Duration,
    ) -> Result<ErasureReport> {
        let _owner = self.own_maintenance().await?;
        let held = Held::ask(holds).await?;
        if let Some(by) = erasure.held_by(&held) {
            return Err(LakeError::Held {
                detail: format!("{by}; ask for the erasure again when it is released"),
            });
        }
        let today = day_of(now);
        let tenant = erasure.tenant.to_string();
        let mut report = ErasureReport {
            rows: 0,
            files: 0,
            open_days: Vec::new(),
            vacuum: VacuumReport::default(),
            log: LogReport::default(),
        };
        let mut open = BTreeSet::new();
        for file in &self.snapshot().files {
            if !erasure.may_hold(file, &tenant) {
                continue;
            }
            let matching = self.count_matching(file, erasure).await?;
            if matching == 0 {
                continue;
            }
            if file.day >= today {
                open.insert(file.day);
                continue;
            }
            let (table, by, old) = (self.files().clone(), erasure.clone(), file.clone());
            let (old, made) = blocking(move || {
                let tenant = by.tenant.to_string();
                let old = [old];
                let made = rewrite(
                    &table,
                    &old,
                    Some(&|batch| Ok(by.keep(&tenant, batch, Erasure::COLUMNS))),
                )?;
                Ok((old, made))
            })
            .await?;
            let new: Vec<DataFile> = made.file.into_iter().collect();
            let certain = held.still(holds).await;
            if certain.is_err() {
                self.files().forget(&new);
            }
            let certain = certain?;
            self.replace_or_remove(&old, &new, true).await?;
            drop(certain);
            report.rows += matching;
            report.files += 1;
        }
        report.open_days = open.into_iter().map(day_text).collect();
        // Also when nothing matched: an earlier run may have been interrupted before this point, and a
        // crash may have left a file with such rows that was never committed.
        report.vacuum = self.vacuum_all(patience).await?;
        report.log = self.clean_log_owned().await?;
        Ok(report)
    }

    async fn count_matching(&self, file: &DataFile, erasure: &Erasure) -> Result<u64> {
        let (table, by, file) = (self.files().clone(), erasure.clone(), file.clone());
        blocking(move || {
            let tenant = by.tenant.to_string();
            let mut count = 0;
            read_batches(&table, &file, Some(&Erasure::COLUMNS), |batch| {
                count += by.keep(&tenant, &batch, [0, 1, 2, 3, 4]).false_count() as u64;
                Ok(())
            })?;
            Ok(count)
        })
        .await
    }
}
