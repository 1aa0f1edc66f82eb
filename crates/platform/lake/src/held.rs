//! Rows that must stay: the register of holds is asked before anything is removed, and asked again at the commit.

use std::collections::BTreeSet;

use datafusion::arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use sealwright_core::UnixMicros;
use sealwright_events::{HeldEvents, HoldRegister};

use crate::error::{LakeError, Result};
use crate::files::DataFile;
use crate::schema::column;

/// What was held when it was asked.
#[derive(Debug, Clone)]
pub(crate) struct Held(pub(crate) Vec<HeldEvents>);

impl Held {
    /// Asks the register; what it says may change until [`Self::still`].
    pub(crate) async fn ask(register: &dyn HoldRegister) -> Result<Self> {
        let holds = register.ask().await.map_err(unknown)?;
        Ok(Self(holds.events))
    }

    /// Asks again. The answer is kept through the commit: nobody opens a matter beside it.
    ///
    /// # Errors
    /// [`LakeError::Held`] when it is no longer the same: what was prepared may be held now.
    pub(crate) async fn still(
        &self,
        register: &dyn HoldRegister,
    ) -> Result<sealwright_events::Holds> {
        let holds = register.ask().await.map_err(unknown)?;
        if holds.events != self.0 {
            return Err(LakeError::Held {
                detail: "holds were opened or released meanwhile; run it again".to_owned(),
            });
        }
        Ok(holds)
    }

    /// Whether a file may have a row that must stay.
    pub(crate) fn may_touch(&self, file: &DataFile) -> bool {
        self.0.iter().any(|one| {
            let tenant = one.tenant.to_string();
            file.tenants
                .as_ref()
                .is_none_or(|range| range.holds(&tenant))
        })
    }

    /// The columns that decide, in the file schema's order.
    pub(crate) const COLUMNS: [usize; 3] = [column::TENANT, column::TIME, column::SUBJECT];

    /// Which rows must stay. `at` finds the columns of [`Self::COLUMNS`] in the batch.
    pub(crate) fn rows(&self, batch: &RecordBatch, at: [usize; 3]) -> BooleanArray {
        let tenants = batch.column(at[0]).as_string_view();
        let times = batch
            .column(at[1])
            .as_primitive::<TimestampMicrosecondType>();
        let subjects = batch.column(at[2]).as_string_view();
        let named: BTreeSet<String> = self.0.iter().map(|one| one.tenant.to_string()).collect();
        (0..batch.num_rows())
            .map(|i| {
                let tenant = tenants.value(i);
                if !named.contains(tenant) {
                    return Some(false);
                }
                // A tenant that cannot be read may be any.
                let Ok(tenant) = tenant.parse() else {
                    return Some(true);
                };
                let subject = subjects.is_valid(i).then(|| subjects.value(i));
                let time = UnixMicros(times.value(i));
                Some(self.0.iter().any(|one| one.covers(tenant, subject, time)))
            })
            .collect()
    }
}

fn unknown(error: sealwright_events::HoldError) -> LakeError {
    LakeError::HoldsUnknown {
        detail: error.to_string(),
    }
}
