-- 114_copy_out
-- A tenant copies a table, or a query on it, to the client.
-- safe: Only rows of their own tenant, or an error.
-- source: https://www.postgresql.org/docs/current/sql-copy.html (row-level security)
-- each: table

-- as: one member
-- expect: own, nothing, 42501, 26000
copy (select * from :table limit 100) to stdout

-- as: members
-- expect: nothing, 42501
copy (select * from :table where :key <> :'org' limit 1) to stdout

-- as: some members
-- expect: own, nothing, 42501
-- if: has_table_privilege(':table', 'select') and not row_security_active(':table')
copy :table to stdout
