-- 05_row_security_off
-- A table in an exposed schema without row-level security.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
-- why: Its policies, if any, do not apply: any role that may select sees every tenant.

select
    format('table %s', t.title) as object,
    'row-level security is not enabled' as problem,
    format('alter table %s enable row level security;', t.title) as fix
from tenant_table as t
where not t.is_secured
    -- A partition that no other role may use is reached through its parent only, under its policies.
    and not (t.is_child and not exists (select from privilege as p where p.oid = t.oid))
