-- 109_read_by_ctid
-- A tenant reads all rows by ctid, with their system columns.
-- safe: No row of another tenant is visible at any ctid.
-- source: https://www.postgresql.org/docs/current/ddl-system-columns.html
-- each: table

-- Where a row is on its shard, the coordinator does not know: so all places.
-- as: some members
-- expect: own, nothing, 42501
select :key, ctid from :table where ctid >= '(0,0)'

-- as: some members
-- expect: nothing, 42501
select xmin, ctid from :table where ctid >= '(0,0)' and :key = :'away.org'
