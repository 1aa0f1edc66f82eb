-- Row-level security, the second lock behind the tenant's condition in each query (decision 0012). A transaction says
-- whose rows it is about in `sealwright.tenant`: a tenant's id, or `*` for the program itself. Where nothing was said,
-- no row is seen. FORCE binds the tables' owner, which is who the program signs in as.

ALTER TABLE siem_rule_setting ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_rule_setting FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_rule_setting
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE siem_state ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_state FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_state
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE siem_journal ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_journal FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_journal
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE siem_source ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_source FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_source
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE siem_late ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_late FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_late
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE siem_dead_letter ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_dead_letter FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_dead_letter
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE siem_alert ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_alert FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_alert
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE siem_alert_entity ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_alert_entity FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_alert_entity
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE siem_incident ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_incident FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_incident
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE siem_suppression ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_suppression FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_suppression
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE siem_action ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_action FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_action
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE siem_source_field ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_source_field FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_source_field
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE siem_field_alarm ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_field_alarm FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_field_alarm
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE siem_evidence ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_evidence FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_evidence
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE siem_alert_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_alert_event FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_alert_event
    USING ((SELECT current_setting('sealwright.tenant', true)) = '*'
        OR EXISTS (SELECT 1 FROM siem_alert WHERE siem_alert.id = alert_id));

ALTER TABLE siem_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE siem_history FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON siem_history
    USING ((SELECT current_setting('sealwright.tenant', true)) = '*'
        OR EXISTS (SELECT 1 FROM siem_alert WHERE siem_alert.id = subject)
        OR EXISTS (SELECT 1 FROM siem_incident WHERE siem_incident.id = subject)
        OR EXISTS (SELECT 1 FROM siem_suppression WHERE siem_suppression.id = subject));

-- What is set for all tenants (`*`) may be read by each.
CREATE POLICY general ON siem_rule_setting FOR SELECT
    USING (tenant_id = '*' AND (SELECT current_setting('sealwright.tenant', true)) NOT IN ('', '-'));
