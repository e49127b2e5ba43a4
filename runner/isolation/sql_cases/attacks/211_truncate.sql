-- 211_truncate
-- A role truncates a table, which policies do not prevent.
-- safe: Refused, for service_role as well.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html (TRUNCATE is not subject to
--   it)
-- each: table

-- as: OWNER, MEMBER, anon, service_role
-- expect: 42501
-- if: has_table_privilege(':table', 'truncate')
truncate :table
