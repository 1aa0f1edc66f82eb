-- Row-level security, the second lock behind the tenant's condition in each query (decision 0012). A transaction says
-- whose rows it is about in `sealwright.tenant`: a tenant's id, or `*` for the program itself. Where nothing was said,
-- no row is seen. FORCE binds the tables' owner, which is who the program signs in as.
-- Sessions and links are their user's; what belongs to no tenant (staff, their keys) is the program's alone.

ALTER TABLE tenant ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', id));

ALTER TABLE access_user ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_user FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON access_user
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE access_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_key FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON access_key
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE access_guard ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_guard FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON access_guard
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));

ALTER TABLE access_session ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_session FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON access_session
    USING ((SELECT current_setting('sealwright.tenant', true)) = '*'
        OR EXISTS (SELECT 1 FROM access_user WHERE access_user.id = user_id));

ALTER TABLE access_link ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_link FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON access_link
    USING ((SELECT current_setting('sealwright.tenant', true)) = '*'
        OR EXISTS (SELECT 1 FROM access_user WHERE access_user.id = user_id));
