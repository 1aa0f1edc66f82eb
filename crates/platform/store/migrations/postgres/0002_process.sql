-- The processes of this database that take parts of each other's questions, and when each was last there.
CREATE TABLE installation_process (
    address TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    seen_at BIGINT NOT NULL
);
