-- 53_api_role_attributes
-- An API role with an attribute such as SUPERUSER, BYPASSRLS or CREATEROLE.
-- source: https://www.postgresql.org/docs/current/role-attributes.html
-- why: SUPERUSER and BYPASSRLS bypass every policy; CREATEROLE can create a role that does.

-- Not LOGIN: the nodes connect to each other as these roles, so pg_hba.conf must admit only nodes.
select
    format('role %I', r.rolname) as object,
    format('it has %s', has.attribute) as problem,
    format('alter role %I no%s;', r.rolname, lower(has.attribute)) as fix
from pg_roles as r
cross join lateral (
    values
    ('SUPERUSER', r.rolsuper),
    -- It crosses tenants anyway; Supabase gives it this.
    ('BYPASSRLS', r.rolbypassrls and r.oid not in (select p.oid from platform_role as p)),
    ('CREATEROLE', r.rolcreaterole),
    ('CREATEDB', r.rolcreatedb),
    ('REPLICATION', r.rolreplication)
) as has (attribute, is_so)
where has.is_so
    and (r.oid in (select p.oid from platform_role as p) or r.oid in (select a.oid from api_role as a))
