-- Metered usage: one row for each tenant, meter, UTC day and set of dimension values. `hours` is a JSON
-- object from the hour of the day to the aggregate of that hour, so that a day, a month and an hour
-- are read from the same row.
CREATE TABLE billing_usage (
    tenant_id TEXT NOT NULL,
    meter TEXT NOT NULL,
    day BIGINT NOT NULL,
    dimensions TEXT NOT NULL,
    events BIGINT NOT NULL,
    hours TEXT NOT NULL,
    PRIMARY KEY (tenant_id, meter, day, dimensions)
);
CREATE INDEX billing_usage_day ON billing_usage (day, meter);

-- Events of a metered type from which a meter could not take a value, with the reason.
CREATE TABLE billing_unmetered (
    log_offset BIGINT NOT NULL,
    meter TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    event_time BIGINT NOT NULL,
    pointer TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (log_offset, meter)
);
CREATE INDEX billing_unmetered_tenant ON billing_unmetered (tenant_id, event_time);

-- Events that came after the invoice of their period had been finalised.
CREATE TABLE billing_late (
    log_offset BIGINT PRIMARY KEY,
    invoice_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    event_time BIGINT NOT NULL
);
CREATE INDEX billing_late_invoice ON billing_late (invoice_id);

-- Meters beside the predefined ones. A changed meter is a new version; usage keeps what it was metered by.
CREATE TABLE billing_meter (
    key TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (key, version)
);

-- Price books never change; a new price is a new version.
CREATE TABLE billing_price_book (
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    title TEXT NOT NULL,
    currency TEXT NOT NULL,
    body TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (id, version)
);

-- Which price book a tenant is on, from when (included) until the next row's start.
CREATE TABLE billing_subscription (
    tenant_id TEXT NOT NULL,
    from_at BIGINT NOT NULL,
    price_book_id TEXT NOT NULL,
    price_book_version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (tenant_id, from_at)
);

CREATE TABLE billing_invoice (
    id TEXT PRIMARY KEY,
    number TEXT UNIQUE,
    tenant_id TEXT NOT NULL,
    period_from BIGINT NOT NULL,
    period_to BIGINT NOT NULL,
    currency TEXT NOT NULL,
    total_minor BIGINT NOT NULL,
    state TEXT NOT NULL,
    revision BIGINT NOT NULL,
    document TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    finalised_at BIGINT,
    due_at BIGINT,
    settled_at BIGINT,
    ledger_entry TEXT,
    voids TEXT
);
CREATE INDEX billing_invoice_tenant ON billing_invoice (tenant_id, period_from);
CREATE INDEX billing_invoice_state ON billing_invoice (state, due_at);

-- One invoice at a time for a tenant's period: a void one makes room for another.
CREATE UNIQUE INDEX billing_invoice_period ON billing_invoice (tenant_id, period_from, period_to)
    WHERE state <> 'void';

-- Which events stand behind each usage row of a finalised invoice, in the order of the log: the digests
-- under the row's root.
CREATE TABLE billing_invoice_evidence (
    invoice_id TEXT NOT NULL,
    usage_row BIGINT NOT NULL,
    part BIGINT NOT NULL,
    events BIGINT NOT NULL,
    entries BYTEA NOT NULL,
    PRIMARY KEY (invoice_id, usage_row, part)
);

-- Files that were imported, so that the same file twice changes nothing and a broken-off import goes on.
CREATE TABLE billing_import (
    id TEXT PRIMARY KEY,
    file_digest TEXT NOT NULL,
    mapping_digest TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    file_name TEXT NOT NULL,
    rows_total BIGINT,
    rows_done BIGINT NOT NULL,
    accepted BIGINT NOT NULL,
    duplicates BIGINT NOT NULL,
    state TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    UNIQUE (file_digest, mapping_digest, tenant_id)
);
