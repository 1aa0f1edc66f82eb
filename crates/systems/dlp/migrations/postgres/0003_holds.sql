-- Legal holds. A matter holds from its opening until its release; `scope` is JSON.
CREATE TABLE dlp_matter (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    owner TEXT NOT NULL,
    custodian TEXT NOT NULL,
    scope TEXT NOT NULL,
    state TEXT NOT NULL,
    opened_by TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    approved_by TEXT,
    release_asked_by TEXT,
    released_by TEXT,
    released_at BIGINT,
    revision BIGINT NOT NULL
);
CREATE INDEX dlp_matter_tenant ON dlp_matter (tenant_id, state);

-- The hold ledger: which version is held by which matter, and by what.
CREATE TABLE dlp_hold (
    matter_id TEXT NOT NULL,
    bucket TEXT NOT NULL,
    object_key TEXT NOT NULL,
    version TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    protection TEXT NOT NULL,
    state TEXT NOT NULL,
    problem TEXT NOT NULL,
    checked_at BIGINT NOT NULL,
    PRIMARY KEY (matter_id, bucket, object_key, version)
);
CREATE INDEX dlp_hold_object ON dlp_hold (bucket, object_key, version);

-- Quarantine, step by step; a row at a step is taken up there after a crash.
CREATE TABLE dlp_quarantine (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    bucket TEXT NOT NULL,
    object_key TEXT NOT NULL,
    version TEXT NOT NULL,
    etag TEXT NOT NULL,
    tags TEXT NOT NULL,
    copy_bucket TEXT NOT NULL,
    copy_key TEXT NOT NULL,
    copy_version TEXT NOT NULL,
    back_version TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    step TEXT NOT NULL,
    reason TEXT NOT NULL,
    problem TEXT NOT NULL,
    begun_by TEXT NOT NULL,
    begun_at BIGINT NOT NULL,
    release_asked_by TEXT,
    released_by TEXT,
    changed_at BIGINT NOT NULL
);
CREATE INDEX dlp_quarantine_tenant ON dlp_quarantine (tenant_id, step);
CREATE INDEX dlp_quarantine_object ON dlp_quarantine (bucket, object_key, version);
