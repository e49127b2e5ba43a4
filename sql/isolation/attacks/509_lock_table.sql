-- 509_lock_table
-- An API role locks a table, so that no other session can write.
-- safe: Refused: no privilege of a tenant allows it.
-- source: https://www.postgresql.org/docs/current/sql-lock.html (privileges)
-- each: table

-- as: some members, anonymous
-- expect: 42501
-- if: has_table_privilege(':table', 'update, delete, truncate')
lock table :table in share mode nowait

-- as: some members, anonymous
-- expect: 42501
-- if: has_table_privilege(':table', 'update, delete, truncate')
lock table :table in access exclusive mode nowait
