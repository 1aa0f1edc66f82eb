-- What all processes of this database must agree on; the first one's value stays.
CREATE TABLE installation_claim (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    claimed_at BIGINT NOT NULL
);
