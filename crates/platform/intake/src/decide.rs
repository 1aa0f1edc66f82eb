//! What happens to each event of a group of batches, given what the log knows. A pure function, so
//! that both logs decide alike.

use std::collections::HashMap;

use crate::model::{BatchOutcome, EventKey, KeyHash, Known, NewEvent, Status};

/// The decision on a group.
#[derive(Debug)]
pub struct Decision<'a> {
    /// One outcome a batch.
    pub outcomes: Vec<BatchOutcome>,
    /// The events to append, in order; the first gets the group's first offset.
    pub accepted: Vec<&'a NewEvent>,
}

/// Decides batch after batch: a batch sees what the ones before it stored. `known` looks into the log.
///
/// # Errors
/// Those of `known`.
pub fn decide<'a, B, E>(
    batches: &'a [B],
    first_offset: u64,
    mut known: impl FnMut(&EventKey) -> Result<Option<Known>, E>,
) -> Result<Decision<'a>, E>
where
    B: AsRef<[NewEvent]>,
{
    let total: usize = batches.iter().map(|b| b.as_ref().len()).sum();
    let mut here: HashMap<EventKey, Known, KeyHash> =
        HashMap::with_capacity_and_hasher(total, KeyHash::new());
    let mut accepted = Vec::with_capacity(total);
    let mut outcomes = Vec::with_capacity(batches.len());
    for batch in batches {
        let start = accepted.len();
        let mut stored = true;
        let mut statuses = Vec::with_capacity(batch.as_ref().len());
        for event in batch.as_ref() {
            let offset = first_offset + accepted.len() as u64;
            let before = match here.get(&event.key) {
                Some(before) => Some(*before),
                None => known(&event.key)?,
            };
            let status = match before {
                Some(before) if before.digest == event.digest => Status::Duplicate {
                    offset: before.offset,
                },
                Some(before) => {
                    stored = false;
                    Status::Conflict {
                        offset: (before.offset < first_offset + start as u64)
                            .then_some(before.offset),
                        stored: before.digest,
                        sent: event.digest,
                    }
                }
                None => match &event.unless_known {
                    Some(rejection) => {
                        stored = false;
                        Status::Rejected(rejection.clone())
                    }
                    None => {
                        here.insert(
                            event.key,
                            Known {
                                offset,
                                digest: event.digest,
                            },
                        );
                        accepted.push(event);
                        Status::Accepted { offset }
                    }
                },
            };
            statuses.push(status);
        }
        if !stored {
            for event in accepted.drain(start..) {
                here.remove(&event.key);
            }
            for status in &mut statuses {
                if let Status::Accepted { offset } | Status::Duplicate { offset } = status
                    && *offset >= first_offset + start as u64
                {
                    *status = Status::NotStored;
                }
            }
        }
        outcomes.push(BatchOutcome { stored, statuses });
    }
    Ok(Decision { outcomes, accepted })
}
