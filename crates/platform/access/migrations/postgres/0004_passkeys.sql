-- Passkeys (WebAuthn credentials) of users. `stable` is the public key and what was said of it at registration,
-- `changing` the signature counter and the flags of its last use.
CREATE TABLE access_passkey (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES access_user (id),
    credential_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    transports BIGINT NOT NULL,
    stable BYTEA NOT NULL,
    changing BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX access_passkey_user ON access_passkey (user_id);

-- Challenges that were sent and not answered yet; each is answered once. Without a user it is a sign-in, and `asked_by`
-- is the digest of an address.
CREATE TABLE access_challenge (
    digest TEXT PRIMARY KEY,
    user_id TEXT REFERENCES access_user (id),
    asked_by TEXT NOT NULL,
    state BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX access_challenge_asked_by ON access_challenge (asked_by);

-- Both are their user's; a challenge for signing in is the program's alone (decision 0012).
ALTER TABLE access_passkey ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_passkey FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON access_passkey
    USING ((SELECT current_setting('sealwright.tenant', true)) = '*'
        OR EXISTS (SELECT 1 FROM access_user WHERE access_user.id = user_id));

ALTER TABLE access_challenge ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_challenge FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON access_challenge
    USING ((SELECT current_setting('sealwright.tenant', true)) = '*'
        OR EXISTS (SELECT 1 FROM access_user WHERE access_user.id = user_id));
