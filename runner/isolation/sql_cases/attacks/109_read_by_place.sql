-- 109_read_by_place
-- A tenant who has learned where on disk a row lies asks for that place, and for its hidden
--   columns.
-- safe: No row at that place.
-- source: https://www.postgresql.org/docs/current/ddl-system-columns.html
-- each: table

-- as: owner
-- expect: rows
select set_config('proof.place', ctid::text, true) from :table where :key = :'away.org' limit 1

-- as: OWNER, MEMBER
-- expect: nothing, 42501
select ctid, xmin, tableoid from :table where ctid = current_setting('proof.place')::tid

-- as: OWNER, MEMBER
-- expect: nothing, 42501
select 1 from :table where ctid >= current_setting('proof.place')::tid and :key <> :'org' limit 1
