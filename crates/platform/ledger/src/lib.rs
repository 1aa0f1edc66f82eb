//! The append-only ledger of what was done, in C2SP tlog-tiles form.
