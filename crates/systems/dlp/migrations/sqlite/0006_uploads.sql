-- Objects that come in parts: they are put aside, in the place's quarantine bucket, until all of them were looked at.
-- `about` and `tags` are JSON.
CREATE TABLE dlp_multipart (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    place_id TEXT NOT NULL,
    bucket TEXT NOT NULL,
    object_key TEXT NOT NULL,
    staged_bucket TEXT NOT NULL,
    staged_key TEXT NOT NULL,
    staged_version TEXT NOT NULL,
    store_name TEXT NOT NULL,
    about TEXT NOT NULL,
    tags TEXT NOT NULL,
    begun_by TEXT NOT NULL,
    begun_at BIGINT NOT NULL
);
CREATE INDEX dlp_multipart_begun ON dlp_multipart (begun_at);
