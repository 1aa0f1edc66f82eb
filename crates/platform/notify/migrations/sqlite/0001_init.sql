-- Where notifications go. `tenant_id` is null for channels of the installation. `target` is what may be
-- shown; `sealed` holds the secrets, sealed with the installation's key and bound to this row. Deleted
-- channels stay, without secrets, for the deliveries that name them.
CREATE TABLE notify_channel (
    id TEXT PRIMARY KEY,
    tenant_id TEXT,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    sealed TEXT NOT NULL,
    quiet TEXT,
    per_minute BIGINT,
    state TEXT NOT NULL,
    state_reason TEXT NOT NULL,
    blocked_until BIGINT NOT NULL,
    next_free BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX notify_channel_tenant ON notify_channel (tenant_id);

-- Which messages go to which channels. `tenant_id` is whose rule it is; `about_tenant` narrows a rule
-- of the installation to messages about one tenant.
CREATE TABLE notify_rule (
    id TEXT PRIMARY KEY,
    tenant_id TEXT,
    name TEXT NOT NULL,
    topic TEXT NOT NULL,
    severity BIGINT NOT NULL,
    about_tenant TEXT,
    enabled BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE notify_rule_channel (
    rule_id TEXT NOT NULL REFERENCES notify_rule (id),
    channel_id TEXT NOT NULL REFERENCES notify_channel (id),
    PRIMARY KEY (rule_id, channel_id)
);

-- The outbox: written in the transaction of the change that it tells of. `once` makes a message that is
-- enqueued again the same message.
CREATE TABLE notify_message (
    id TEXT PRIMARY KEY,
    tenant_id TEXT,
    audience TEXT NOT NULL,
    once TEXT UNIQUE,
    topic TEXT NOT NULL,
    severity BIGINT NOT NULL,
    incident TEXT,
    phase TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    fields TEXT NOT NULL,
    link TEXT,
    deliveries BIGINT,
    created_at BIGINT NOT NULL,
    routed_at BIGINT
);
CREATE INDEX notify_message_routed ON notify_message (routed_at, id);
CREATE INDEX notify_message_created ON notify_message (created_at);

-- One message to one channel. `fence` grows with each claim, so that a worker whose lease has ended
-- cannot write over the one after it. `tenant_id` is the channel's.
CREATE TABLE notify_delivery (
    id TEXT PRIMARY KEY,
    message_id TEXT NOT NULL REFERENCES notify_message (id),
    channel_id TEXT NOT NULL REFERENCES notify_channel (id),
    tenant_id TEXT,
    kind TEXT NOT NULL,
    incident TEXT,
    state TEXT NOT NULL,
    cause TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    holder TEXT,
    lease_until BIGINT,
    status BIGINT,
    answer TEXT,
    digest_id TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    ended_at BIGINT,
    UNIQUE (message_id, channel_id)
);
CREATE INDEX notify_delivery_due ON notify_delivery (state, next_at);
CREATE INDEX notify_delivery_channel ON notify_delivery (channel_id, incident, state);
CREATE INDEX notify_delivery_ended ON notify_delivery (ended_at);

-- What a channel's other side calls an incident, e.g. the number of a GitHub issue.
CREATE TABLE notify_reference (
    channel_id TEXT NOT NULL REFERENCES notify_channel (id),
    incident TEXT NOT NULL,
    reference TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (channel_id, incident)
);
