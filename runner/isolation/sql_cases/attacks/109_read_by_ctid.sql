-- 109_read_by_ctid
-- A tenant who knows the ctid of a row selects it by ctid, with its system columns.
-- safe: No row is visible at that ctid.
-- source: https://www.postgresql.org/docs/current/ddl-system-columns.html
-- each: table

-- as: owner
-- expect: rows
select set_config('proof.ctid', ctid::text, true) from :table where :key = :'away.org' limit 1

-- as: some members
-- expect: nothing, 42501
select ctid, xmin, tableoid from :table where ctid = current_setting('proof.ctid')::tid and :key <> :'org'

-- as: some members
-- expect: nothing, 42501
select 1 from :table where ctid >= current_setting('proof.ctid')::tid and :key <> :'org' limit 1
