-- 107_lock_rows
-- A tenant locks another tenant's rows with SELECT FOR UPDATE.
-- safe: There is no row to lock.
-- source: https://www.postgresql.org/docs/current/sql-select.html (FOR UPDATE)
-- each: table

-- as: some members
-- expect: nothing, 42501
select :key from :table where :key = :'away.org' for update nowait

-- as: some members
-- expect: nothing, 42501
select :key from :table where :key = :'away.org' for key share nowait
