-- What is held back of a tenant: addresses from which its credentials do not work, and how much it may ask for.
CREATE TABLE access_guard (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    address TEXT NOT NULL,
    per_minute BIGINT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX access_guard_tenant ON access_guard (tenant_id);
