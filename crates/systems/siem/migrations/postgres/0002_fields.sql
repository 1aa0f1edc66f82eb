-- Which fields that rules ask for the events of a source carry.
CREATE TABLE siem_source_field (
    tenant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    events BIGINT NOT NULL,
    last_received BIGINT NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (tenant_id, source)
);

-- Fields about whose absence there was an alarm, with the moment at which they were seen last.
CREATE TABLE siem_field_alarm (
    tenant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    field TEXT NOT NULL,
    last_seen BIGINT NOT NULL,
    alarmed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, source, field)
);
