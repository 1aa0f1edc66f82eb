-- Grows whenever a rule file or a setting changes, so that every process compiles its rules anew.
CREATE TABLE siem_generation (
    id BIGINT PRIMARY KEY,
    number BIGINT NOT NULL
);
INSERT INTO siem_generation (id, number) VALUES (1, 1);

-- The installation's own rule files, beside those that the program comes with.
CREATE TABLE siem_rule_file (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    digest TEXT NOT NULL,
    revision BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL
);

-- What is set for a rule, for all tenants (`*`) or for one: JSON of what differs from the rule.
CREATE TABLE siem_rule_setting (
    rule_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    body TEXT NOT NULL,
    revision BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    PRIMARY KEY (rule_id, tenant_id)
);

-- Correlation state of a tenant: a snapshot, and the steps since. Both are written in the transaction
-- that moves the consumer's cursor. `seq` grows with each change, so that a process that was overtaken
-- notices.
CREATE TABLE siem_state (
    tenant_id TEXT PRIMARY KEY,
    seq BIGINT NOT NULL,
    clock BIGINT NOT NULL,
    snapshot BYTEA NOT NULL
);
CREATE TABLE siem_journal (
    tenant_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    steps BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);

-- Sources of events and how far they are.
CREATE TABLE siem_source (
    tenant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    first_received BIGINT NOT NULL,
    last_received BIGINT NOT NULL,
    last_time BIGINT NOT NULL,
    events BIGINT NOT NULL,
    late BIGINT NOT NULL,
    future BIGINT NOT NULL,
    silence BIGINT,
    alarmed_at BIGINT,
    PRIMARY KEY (tenant_id, source)
);

-- Events that matched part of a correlation and came too late (or from the future) to take part in it.
CREATE TABLE siem_late (
    log_offset BIGINT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    event_time BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX siem_late_tenant ON siem_late (tenant_id, event_time);

-- Events that could not be evaluated, with the reason.
CREATE TABLE siem_dead_letter (
    log_offset BIGINT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    event_time BIGINT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    replayed_at BIGINT
);
CREATE INDEX siem_dead_letter_tenant ON siem_dead_letter (tenant_id, log_offset);

CREATE TABLE siem_alert (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    dedup_key TEXT NOT NULL,
    severity BIGINT NOT NULL,
    state TEXT NOT NULL,
    verdict TEXT,
    owner TEXT,
    matches BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    acknowledged_at BIGINT,
    closed_at BIGINT,
    due_at BIGINT NOT NULL,
    escalated_at BIGINT,
    incident_id TEXT,
    revision BIGINT NOT NULL,
    body TEXT NOT NULL,
    digest TEXT NOT NULL,
    ledger_entry TEXT
);
-- One alert that is not closed for a rule and a group: what matches again is counted in it.
CREATE UNIQUE INDEX siem_alert_open ON siem_alert (tenant_id, dedup_key) WHERE state <> 'closed';
CREATE INDEX siem_alert_dedup ON siem_alert (tenant_id, dedup_key, created_at);
CREATE INDEX siem_alert_created ON siem_alert (tenant_id, created_at);
CREATE INDEX siem_alert_incident ON siem_alert (incident_id);

CREATE TABLE siem_alert_event (
    alert_id TEXT NOT NULL,
    log_offset BIGINT NOT NULL,
    event_time BIGINT NOT NULL,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    digest TEXT NOT NULL,
    summary TEXT NOT NULL,
    PRIMARY KEY (alert_id, log_offset)
);

-- Append-only: what happened to an alert, an incident or a suppression.
CREATE TABLE siem_history (
    subject TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (subject, seq)
);

CREATE TABLE siem_alert_entity (
    alert_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (alert_id, kind, value)
);
CREATE INDEX siem_alert_entity_value ON siem_alert_entity (tenant_id, kind, value, last_at);

CREATE TABLE siem_incident (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    title TEXT NOT NULL,
    state TEXT NOT NULL,
    severity BIGINT NOT NULL,
    owner TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    closed_at BIGINT,
    revision BIGINT NOT NULL
);
CREATE INDEX siem_incident_tenant ON siem_incident (tenant_id, state, updated_at);

CREATE TABLE siem_suppression (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    entity_kind TEXT,
    entity_value TEXT,
    severity BIGINT NOT NULL,
    known TEXT NOT NULL,
    reason TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    ended_at BIGINT,
    hits BIGINT NOT NULL,
    last_hit BIGINT,
    revision BIGINT NOT NULL
);
CREATE INDEX siem_suppression_rule ON siem_suppression (tenant_id, rule_id, ends_at);

-- Actions that alerts lead to, from the proposal to the undoing.
CREATE TABLE siem_action (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    alert_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL,
    dry_run BIGINT NOT NULL,
    requested_at BIGINT NOT NULL,
    requested_by TEXT NOT NULL,
    approved_at BIGINT,
    approved_by TEXT,
    done_at BIGINT,
    expires_at BIGINT,
    ended_at BIGINT,
    detail TEXT NOT NULL,
    undo TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX siem_action_alert ON siem_action (alert_id);
CREATE INDEX siem_action_state ON siem_action (state, expires_at);
