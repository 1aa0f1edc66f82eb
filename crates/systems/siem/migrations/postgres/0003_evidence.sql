-- What an alert was raised on, kept whole: it outlives the events.
CREATE TABLE siem_evidence (
    alert_id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    kept_at BIGINT NOT NULL,
    digest TEXT NOT NULL,
    bundle TEXT NOT NULL
);
