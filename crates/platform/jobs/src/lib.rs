//! Jobs as rows: schedules, leases, progress, history.
