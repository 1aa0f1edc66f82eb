-- What is asked of which server. `definition` says what is counted and never changes; `sealed` holds the
-- credential, sealed with the installation's key and bound to this row. Windows up to `done_through` are
-- in the log, or are known to be lost.
CREATE TABLE prometheus_source (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    url TEXT NOT NULL,
    credential TEXT NOT NULL,
    sealed TEXT NOT NULL,
    definition TEXT NOT NULL,
    delay BIGINT NOT NULL,
    catch_up BIGINT NOT NULL,
    enabled BIGINT NOT NULL,
    done_through BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    failing_since BIGINT,
    last_error TEXT,
    last_error_at BIGINT,
    last_done_at BIGINT,
    next_try_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- What became of windows. A window that is `taken` has its events in `batch` until they are in the log: they
-- are made once, so that an attempt after a crash sends the same again. A row that is `lost` may stand for
-- many windows.
CREATE TABLE prometheus_window (
    source_id TEXT NOT NULL,
    window_end BIGINT NOT NULL,
    window_start BIGINT NOT NULL,
    state TEXT NOT NULL,
    batch TEXT,
    series BIGINT NOT NULL,
    samples BIGINT NOT NULL,
    events BIGINT NOT NULL,
    resets BIGINT NOT NULL,
    appeared BIGINT NOT NULL,
    vanished BIGINT NOT NULL,
    returned BIGINT NOT NULL,
    unreadable BIGINT NOT NULL,
    unassigned BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    problems TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (source_id, window_end)
);
CREATE INDEX prometheus_window_state ON prometheus_window (state, source_id);

-- The last sample of each series that was counted: the growth of the next window begins there.
CREATE TABLE prometheus_series (
    source_id TEXT NOT NULL,
    series TEXT NOT NULL,
    labels TEXT NOT NULL,
    at BIGINT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (source_id, series)
);
CREATE INDEX prometheus_series_at ON prometheus_series (source_id, at);
