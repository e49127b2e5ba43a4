-- 209_copy_in
-- A tenant copies rows in, which policies cannot check.
-- safe: Refused: not granted, or not possible with row-level security.
-- source: https://www.postgresql.org/docs/current/sql-copy.html (COPY FROM and row-level security)
-- each: table

-- as: some members, anonymous
-- expect: 42501, 0A000
-- if: has_table_privilege(':table', 'insert') and not row_security_active(':table')
copy :table from stdin
