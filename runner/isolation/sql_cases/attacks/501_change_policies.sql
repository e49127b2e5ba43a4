-- 501_change_policies
-- An API role creates, changes or drops a policy, or disables row-level security.
-- safe: Refused: they own no table.
-- source: sql/0009_enable_row_level_security.sql;
--   https://www.postgresql.org/docs/current/sql-createpolicy.html (the owner only)
-- each: table

-- as: OWNER, service_role, anon
-- expect: 42501
-- if: (select pg_has_role(c.relowner, 'usage') from pg_class as c where c.oid = ':table'::regclass)
create policy proof_policy on :table using (true)

-- as: OWNER, service_role, anon
-- expect: 42501
-- if: (select pg_has_role(c.relowner, 'usage') from pg_class as c where c.oid = ':table'::regclass)
alter table :table disable row level security

-- as: OWNER, service_role, anon
-- expect: 42501
-- if: (select pg_has_role(c.relowner, 'usage') from pg_class as c where c.oid = ':table'::regclass)
alter table :table disable trigger all

-- as: OWNER, service_role, anon
-- expect: 42501
-- if: (select pg_has_role(c.relowner, 'usage') from pg_class as c where c.oid = ':table'::regclass)
drop table :table
