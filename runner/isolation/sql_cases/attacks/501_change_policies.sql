-- 501_change_policies
-- An API role creates, changes or drops a policy, or disables row-level security.
-- safe: Refused: they own no table.
-- source: https://www.postgresql.org/docs/current/sql-createpolicy.html (the owner only)
-- each: table

-- as: one member, platform, anonymous
-- expect: 42501
-- if: (select pg_has_role(c.relowner, 'usage') from pg_class as c where c.oid = ':table'::regclass)
create policy proof_policy on :table using (true)

-- as: one member, platform, anonymous
-- expect: 42501
-- if: (select pg_has_role(c.relowner, 'usage') from pg_class as c where c.oid = ':table'::regclass)
alter table :table disable row level security

-- as: one member, platform, anonymous
-- expect: 42501
-- if: (select pg_has_role(c.relowner, 'usage') from pg_class as c where c.oid = ':table'::regclass)
alter table :table disable trigger all

-- as: one member, platform, anonymous
-- expect: 42501
-- if: (select pg_has_role(c.relowner, 'usage') from pg_class as c where c.oid = ':table'::regclass)
drop table :table
