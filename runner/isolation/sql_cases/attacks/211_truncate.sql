-- 211_truncate
-- A role truncates a table, which policies do not prevent.
-- safe: Refused, for roles that cross tenants as well.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html (TRUNCATE is not subject to
--   it)
-- each: table

-- as: some members, anonymous
-- expect: 42501
-- if: has_table_privilege(':table', 'truncate')
truncate :table
