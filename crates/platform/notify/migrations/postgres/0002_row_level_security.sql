-- Row-level security, the second lock behind the tenant's condition in each query (decision 0012). A transaction says
-- whose rows it is about in `sealwright.tenant`: a tenant's id, or `*` for the program itself. Where nothing was said,
-- no row is seen. FORCE binds the tables' owner, which is who the program signs in as.

ALTER TABLE notify_channel ENABLE ROW LEVEL SECURITY;
ALTER TABLE notify_channel FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notify_channel
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE notify_rule ENABLE ROW LEVEL SECURITY;
ALTER TABLE notify_rule FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notify_rule
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE notify_message ENABLE ROW LEVEL SECURITY;
ALTER TABLE notify_message FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notify_message
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE notify_delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE notify_delivery FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notify_delivery
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE notify_rule_channel ENABLE ROW LEVEL SECURITY;
ALTER TABLE notify_rule_channel FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notify_rule_channel
    USING ((SELECT current_setting('sealwright.tenant', true)) = '*'
        OR EXISTS (SELECT 1 FROM notify_rule WHERE notify_rule.id = rule_id));

ALTER TABLE notify_reference ENABLE ROW LEVEL SECURITY;
ALTER TABLE notify_reference FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notify_reference
    USING ((SELECT current_setting('sealwright.tenant', true)) = '*'
        OR EXISTS (SELECT 1 FROM notify_channel WHERE notify_channel.id = channel_id));
