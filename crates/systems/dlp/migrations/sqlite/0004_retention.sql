-- The latest present that was ever seen: a clock that was moved back deletes nothing.
CREATE TABLE dlp_clock (
    id BIGINT PRIMARY KEY,
    latest BIGINT NOT NULL
);

-- When people were told that a version will go.
CREATE TABLE dlp_notice (
    bucket TEXT NOT NULL,
    object_key TEXT NOT NULL,
    version TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    told_at BIGINT NOT NULL,
    PRIMARY KEY (bucket, object_key, version)
);

-- Reasons to keep something for a while that are no hold: an investigation, a dispute.
CREATE TABLE dlp_exception (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    bucket TEXT NOT NULL,
    prefix TEXT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    until_at BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    made_at BIGINT NOT NULL
);
CREATE INDEX dlp_exception_tenant ON dlp_exception (tenant_id, until_at);

-- Restores of backups that were verified.
CREATE TABLE dlp_restore (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    tier TEXT NOT NULL,
    object TEXT NOT NULL,
    note TEXT NOT NULL,
    verified_at BIGINT NOT NULL,
    verified_by TEXT NOT NULL
);
CREATE INDEX dlp_restore_tenant ON dlp_restore (tenant_id, tier, verified_at);

-- Deletion plans, to be read before they run. `erasure_id` is '' for plans of time.
CREATE TABLE dlp_plan (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    erasure_id TEXT NOT NULL,
    as_of BIGINT NOT NULL,
    state TEXT NOT NULL,
    seen BIGINT NOT NULL,
    uncategorised BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    approved_by TEXT,
    applied_at BIGINT
);
CREATE INDEX dlp_plan_tenant ON dlp_plan (tenant_id, made_at);

CREATE TABLE dlp_plan_item (
    plan_id TEXT NOT NULL,
    bucket TEXT NOT NULL,
    object_key TEXT NOT NULL,
    version TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    etag TEXT NOT NULL,
    size BIGINT NOT NULL,
    marker BIGINT NOT NULL,
    category TEXT NOT NULL,
    verdict TEXT NOT NULL,
    due_at BIGINT,
    why TEXT NOT NULL,
    result TEXT NOT NULL,
    result_why TEXT NOT NULL,
    done_at BIGINT,
    PRIMARY KEY (plan_id, bucket, object_key, version)
);

-- Requests to erase a person's data.
CREATE TABLE dlp_erasure (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    person TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    certificate TEXT NOT NULL,
    ledger_entry TEXT NOT NULL,
    closed_at BIGINT
);
CREATE INDEX dlp_erasure_tenant ON dlp_erasure (tenant_id, state);

-- What the upload gate said. `found` is JSON: how often which detector found something.
CREATE TABLE dlp_upload (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    bucket TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    verdict TEXT NOT NULL,
    would TEXT NOT NULL,
    coverage TEXT NOT NULL,
    found TEXT NOT NULL,
    at BIGINT NOT NULL,
    took BIGINT NOT NULL,
    asked_by TEXT NOT NULL
);
CREATE INDEX dlp_upload_tenant ON dlp_upload (tenant_id, id);
