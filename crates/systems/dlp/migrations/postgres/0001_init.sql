-- What is done about findings. tenant_id '*' is the installation's own; bucket and class are '' for all.
CREATE TABLE dlp_policy (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    bucket TEXT NOT NULL,
    class TEXT NOT NULL,
    severity TEXT NOT NULL,
    action TEXT NOT NULL,
    alert BIGINT NOT NULL,
    mode TEXT NOT NULL,
    revision BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    UNIQUE (tenant_id, bucket, class, severity)
);
