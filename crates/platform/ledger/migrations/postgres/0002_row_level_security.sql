-- Row-level security, the second lock behind the tenant's condition in each query (decision 0012). A transaction says
-- whose rows it is about in `sealwright.tenant`: a tenant's id, or `*` for the program itself. Where nothing was said,
-- no row is seen. FORCE binds the tables' owner, which is who the program signs in as.

ALTER TABLE ledger_entry ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger_entry FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON ledger_entry
    USING ((SELECT current_setting('sealwright.tenant', true)) IN ('*', tenant_id));
