-- 32_reference_across_organizations
-- A foreign key of a tenant table that does not include the organization on both sides.
-- source: sql/0003_create_organizations_and_users.sql;
--   https://www.postgresql.org/docs/current/sql-createpolicy.html (Notes: integrity checks bypass
--   policies)
-- why: The check sees the rows of every organization: it links tenants, and reveals which ids
--   exist.

select
    format('constraint %I on %s', k.conname, k.table_title) as object,
    format('it does not include the organization: %s', pg_get_constraintdef(k.oid)) as problem,
    format('alter table %s drop constraint %I;  -- and add it with %I on both sides',
        k.table_title, k.conname, k.key) as fix
from reference as k
where not k.is_bound
