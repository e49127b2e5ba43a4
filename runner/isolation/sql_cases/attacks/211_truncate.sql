-- 211_truncate
-- Somebody empties a table, which policies do not hold.
-- safe: Refused, to service_role, too.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html (TRUNCATE is not subject
--   to it)
-- each: table

-- as: OWNER, MEMBER, anon, service_role
-- expect: 42501
-- if: has_table_privilege(':table', 'truncate')
truncate :table
