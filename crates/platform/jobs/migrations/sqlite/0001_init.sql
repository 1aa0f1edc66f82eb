-- What each job's schedule was when a process last looked, and its next slot.
CREATE TABLE job (
    name TEXT PRIMARY KEY,
    cron TEXT NOT NULL,
    zone TEXT NOT NULL,
    next_slot BIGINT,
    updated_at BIGINT NOT NULL
);

-- Runs. `slot_key` makes one run of one slot: `slot:<micros>` for the schedule, another text for runs
-- that somebody asked for. `fence` grows with each claim: what a holder writes after it lost its lease
-- carries an old fence and is refused.
CREATE TABLE job_run (
    id TEXT PRIMARY KEY,
    job TEXT NOT NULL,
    slot_key TEXT NOT NULL,
    slot BIGINT NOT NULL,
    cause TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    holder TEXT,
    lease_until BIGINT,
    not_before BIGINT NOT NULL,
    cancel_requested BIGINT NOT NULL,
    done BIGINT NOT NULL,
    total BIGINT,
    message TEXT NOT NULL,
    checkpoint TEXT,
    result TEXT,
    error TEXT,
    queued_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    UNIQUE (job, slot_key)
);
CREATE INDEX job_run_state ON job_run (state, not_before);
