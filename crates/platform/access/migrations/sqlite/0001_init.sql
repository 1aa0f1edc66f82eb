-- Customers of the company that runs this program.
CREATE TABLE tenant (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    plan TEXT,
    region TEXT,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- People. `tenant_id` is null for staff, whose scope is every tenant.
CREATE TABLE access_user (
    id TEXT PRIMARY KEY,
    tenant_id TEXT REFERENCES tenant (id),
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    roles TEXT NOT NULL,
    state TEXT NOT NULL,
    password TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_login_at BIGINT
);

-- Signed-in browsers. Only the SHA-256 of the token is kept.
CREATE TABLE access_session (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES access_user (id),
    token_hash TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL,
    agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX access_session_user ON access_session (user_id);

-- API keys. `tenant_id` is null for keys that may act for every tenant.
CREATE TABLE access_key (
    id TEXT PRIMARY KEY,
    tenant_id TEXT REFERENCES tenant (id),
    name TEXT NOT NULL,
    hint TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_by TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT
);
CREATE INDEX access_key_tenant ON access_key (tenant_id);

-- One-time links: the first owner (no user yet), or a user's invitation or new password.
CREATE TABLE access_link (
    id TEXT PRIMARY KEY,
    user_id TEXT REFERENCES access_user (id),
    token_hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

-- Failed sign-ins by account or address; the subject is a digest, since people mistype passwords
-- into the e-mail field.
CREATE TABLE access_throttle (
    subject TEXT PRIMARY KEY,
    failures BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);

-- Idempotency-Key headers that were answered, and what they created.
CREATE TABLE access_request (
    principal TEXT NOT NULL,
    request_key TEXT NOT NULL,
    digest TEXT NOT NULL,
    resource TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (principal, request_key)
);
