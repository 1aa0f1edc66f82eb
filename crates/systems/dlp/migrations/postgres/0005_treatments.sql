-- What becomes of the version that a redacted or encrypted one takes the place of.
ALTER TABLE dlp_policy ADD COLUMN original TEXT NOT NULL DEFAULT 'quarantine';

-- Objects that were written anew, redacted or encrypted, step by step; a row at a step is taken up there after a
-- crash. `replaced` is JSON: how many values of which detector went.
CREATE TABLE dlp_treatment (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    place_id TEXT NOT NULL,
    bucket TEXT NOT NULL,
    object_key TEXT NOT NULL,
    version TEXT NOT NULL,
    etag TEXT NOT NULL,
    action TEXT NOT NULL,
    original TEXT NOT NULL,
    new_version TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    replaced TEXT NOT NULL,
    step TEXT NOT NULL,
    reason TEXT NOT NULL,
    problem TEXT NOT NULL,
    begun_by TEXT NOT NULL,
    begun_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX dlp_treatment_tenant ON dlp_treatment (tenant_id, step);
CREATE INDEX dlp_treatment_object ON dlp_treatment (bucket, object_key, version);

-- The key that brings values back into what was redacted reversibly, sealed.
CREATE TABLE dlp_restore_key (
    tenant_id TEXT PRIMARY KEY,
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
