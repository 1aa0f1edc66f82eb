-- Budgets: one for a tenant and what it limits (`amount`, or `meter:<key>`). `terms` is JSON.
CREATE TABLE billing_budget (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    measure TEXT NOT NULL,
    terms TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    UNIQUE (tenant_id, measure)
);

-- A threshold that was crossed in a month. The key is what makes each crossing fire once, whatever is
-- repeated, restarted, decreased or late.
CREATE TABLE billing_budget_crossing (
    budget_id TEXT NOT NULL,
    month BIGINT NOT NULL,
    kind TEXT NOT NULL,
    percent BIGINT NOT NULL,
    tenant_id TEXT NOT NULL,
    measure TEXT NOT NULL,
    used TEXT NOT NULL,
    limit_value TEXT NOT NULL,
    unit TEXT NOT NULL,
    crossed_at BIGINT NOT NULL,
    metered_through BIGINT NOT NULL,
    ledger_entry TEXT,
    PRIMARY KEY (budget_id, month, kind, percent)
);
CREATE INDEX billing_budget_crossing_tenant ON billing_budget_crossing (tenant_id, month);

-- Usage that was out of the ordinary, with everything that was known when it was found.
CREATE TABLE billing_anomaly (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    meter TEXT NOT NULL,
    grain TEXT NOT NULL,
    at BIGINT NOT NULL,
    detector TEXT NOT NULL,
    severity TEXT NOT NULL,
    state TEXT NOT NULL,
    revision BIGINT NOT NULL,
    body TEXT NOT NULL,
    found_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    ledger_entry TEXT,
    UNIQUE (tenant_id, meter, grain, at, detector)
);
CREATE INDEX billing_anomaly_tenant ON billing_anomaly (tenant_id, at);

-- How anomalies are looked for in a tenant's usage; without a row as documented.
CREATE TABLE billing_anomaly_setting (
    tenant_id TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL
);
