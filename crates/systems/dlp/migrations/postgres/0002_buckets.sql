-- The key of a tenant's fingerprints, sealed.
CREATE TABLE dlp_key (
    tenant_id TEXT PRIMARY KEY,
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Whose keys in which bucket; a place belongs to one tenant.
CREATE TABLE dlp_place (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    bucket TEXT NOT NULL,
    prefix TEXT NOT NULL,
    quarantine TEXT NOT NULL,
    scheduled BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    UNIQUE (bucket, prefix)
);

-- A walk over a place. `cursor` is where the listing goes on; counts add up to `listed`.
CREATE TABLE dlp_scan (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    place_id TEXT NOT NULL,
    detector_set TEXT NOT NULL,
    state TEXT NOT NULL,
    cursor TEXT NOT NULL,
    listed BIGINT NOT NULL,
    scanned BIGINT NOT NULL,
    partly BIGINT NOT NULL,
    unscannable BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    markers BIGINT NOT NULL,
    findings BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    started_by TEXT NOT NULL,
    ended_at BIGINT,
    problem TEXT NOT NULL
);
CREATE INDEX dlp_scan_tenant ON dlp_scan (tenant_id, started_at);

-- The coverage ledger: how the last look at each version ended, and with which detectors.
CREATE TABLE dlp_object (
    bucket TEXT NOT NULL,
    object_key TEXT NOT NULL,
    version TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    place_id TEXT NOT NULL,
    etag TEXT NOT NULL,
    size BIGINT NOT NULL,
    written_at BIGINT NOT NULL,
    detector_set TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    findings BIGINT NOT NULL,
    scan_id TEXT NOT NULL,
    scanned_at BIGINT NOT NULL,
    PRIMARY KEY (bucket, object_key, version)
);
CREATE INDEX dlp_object_tenant ON dlp_object (tenant_id, outcome);

-- What was found where; never the value. `confidence` is in per cent.
CREATE TABLE dlp_finding (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    bucket TEXT NOT NULL,
    object_key TEXT NOT NULL,
    version TEXT NOT NULL,
    inner_name TEXT NOT NULL,
    line_no BIGINT NOT NULL,
    column_no BIGINT NOT NULL,
    start_at BIGINT NOT NULL,
    end_at BIGINT NOT NULL,
    detector TEXT NOT NULL,
    title TEXT NOT NULL,
    class TEXT NOT NULL,
    severity TEXT NOT NULL,
    confidence BIGINT NOT NULL,
    reasons TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    action TEXT NOT NULL,
    mode TEXT NOT NULL,
    state TEXT NOT NULL,
    owner TEXT NOT NULL,
    note TEXT NOT NULL,
    until_at BIGINT,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    UNIQUE (bucket, object_key, version, inner_name, start_at, end_at, detector)
);
CREATE INDEX dlp_finding_tenant ON dlp_finding (tenant_id, state, severity);
CREATE INDEX dlp_finding_print ON dlp_finding (tenant_id, fingerprint);
