-- Row-level security, the second lock behind the tenant's condition in each query (decision 0012). A transaction says
-- whose rows it is about in `sealwright.tenant`: a tenant's id, or `*` for the program itself. Where nothing was said,
-- no row is seen. FORCE binds the tables' owner, which is who the program signs in as.

ALTER TABLE billing_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing_usage FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON billing_usage
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE billing_unmetered ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing_unmetered FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON billing_unmetered
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE billing_late ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing_late FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON billing_late
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE billing_subscription ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing_subscription FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON billing_subscription
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE billing_invoice ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing_invoice FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON billing_invoice
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE billing_import ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing_import FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON billing_import
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE billing_budget ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing_budget FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON billing_budget
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE billing_budget_crossing ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing_budget_crossing FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON billing_budget_crossing
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE billing_anomaly ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing_anomaly FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON billing_anomaly
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE billing_anomaly_setting ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing_anomaly_setting FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON billing_anomaly_setting
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE billing_invoice_evidence ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing_invoice_evidence FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON billing_invoice_evidence
    USING ((SELECT current_setting('sealwright.tenant', true)) = '*'
        OR EXISTS (SELECT 1 FROM billing_invoice WHERE billing_invoice.id = invoice_id));
