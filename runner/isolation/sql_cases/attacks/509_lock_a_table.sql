-- 509_lock_a_table
-- Somebody of the API locks a table, so that nobody else can write.
-- safe: Refused: no privilege that a tenant has allows it.
-- source: https://www.postgresql.org/docs/current/sql-lock.html (privileges)
-- each: table

-- as: OWNER, MEMBER, anon
-- expect: 42501
-- if: has_table_privilege(':table', 'update, delete, truncate')
lock table :table in share mode nowait

-- as: OWNER, MEMBER, anon
-- expect: 42501
-- if: has_table_privilege(':table', 'update, delete, truncate')
lock table :table in access exclusive mode nowait
