-- What was done. A row is written in the transaction of the change that it records; `leaf_index` is
-- given afterwards, without gaps, by the sequencer. `leaf` is public and final; `salt`, `private` and
-- `actor` are what erasure removes.
CREATE TABLE ledger_entry (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant_id TEXT,
    recorded_at BIGINT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    actor TEXT,
    leaf BLOB NOT NULL,
    salt BLOB,
    private TEXT,
    leaf_index BIGINT UNIQUE,
    erased_at BIGINT
);
CREATE INDEX ledger_entry_pending ON ledger_entry (seq) WHERE leaf_index IS NULL;
CREATE INDEX ledger_entry_subject ON ledger_entry (subject, seq);
CREATE INDEX ledger_entry_tenant ON ledger_entry (tenant_id, seq);
CREATE INDEX ledger_entry_actor ON ledger_entry (actor, seq);

-- Whose tree this is: one row. Every process that writes the tree must hold this key.
CREATE TABLE ledger_key (
    id BIGINT PRIMARY KEY,
    verifier_key TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
