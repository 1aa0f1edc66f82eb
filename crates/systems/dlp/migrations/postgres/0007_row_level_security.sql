-- Row-level security, the second lock behind the tenant's condition in each query (decision 0012). A transaction says
-- whose rows it is about in `sealwright.tenant`: a tenant's id, or `*` for the program itself. Where nothing was said,
-- no row is seen. FORCE binds the tables' owner, which is who the program signs in as.

ALTER TABLE dlp_policy ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_policy FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_policy
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_key FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_key
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_place ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_place FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_place
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_scan ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_scan FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_scan
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_object ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_object FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_object
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_finding ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_finding FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_finding
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_matter ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_matter FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_matter
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_hold ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_hold FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_hold
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_quarantine ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_quarantine FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_quarantine
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_notice ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_notice FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_notice
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_exception ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_exception FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_exception
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_restore ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_restore FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_restore
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_plan ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_plan FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_plan
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_plan_item ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_plan_item FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_plan_item
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_erasure ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_erasure FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_erasure
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_treatment ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_treatment FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_treatment
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_restore_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_restore_key FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_restore_key
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_upload ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_upload FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_upload
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE dlp_multipart ENABLE ROW LEVEL SECURITY;
ALTER TABLE dlp_multipart FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dlp_multipart
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));
