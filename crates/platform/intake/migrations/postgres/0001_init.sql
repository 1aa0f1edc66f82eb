-- The log: one row a block of events, offsets dense in the order of commits.
CREATE TABLE intake_block (
    first_offset BIGINT PRIMARY KEY,
    event_count BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    raw_len BIGINT NOT NULL,
    crc BIGINT NOT NULL,
    body BYTEA NOT NULL
);
-- The identities of accepted events, for at least 35 days.
CREATE TABLE intake_event_id (
    event_key BYTEA PRIMARY KEY,
    log_offset BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    received_at BIGINT NOT NULL
);
CREATE INDEX intake_event_id_received_at ON intake_event_id (received_at);
CREATE TABLE intake_head (
    one BIGINT PRIMARY KEY,
    next_offset BIGINT NOT NULL,
    earliest BIGINT NOT NULL
);
INSERT INTO intake_head (one, next_offset, earliest) VALUES (1, 0, 0);
