-- Where each consumer of the log stands: every event below `next_offset` has taken effect.
CREATE TABLE consumer_cursor (
    consumer TEXT PRIMARY KEY,
    next_offset BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
