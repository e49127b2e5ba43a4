-- 104_read_by_aggregate
-- A tenant counts, aggregates or numbers another organization's rows.
-- safe: There are no rows to aggregate.
-- source: sql/0009_enable_row_level_security.sql
-- each: table

-- as: OWNER, MEMBER
-- expect: nothing, 42501
select count(*) from :table where :key = :'away.org' having count(*) > 0

-- as: OWNER, MEMBER
-- expect: nothing, 42501
select 1 from (select :key, count(*) over () from :table) as t where t.:key = :'away.org' limit 1

-- as: OWNER, MEMBER
-- expect: nothing, 42501
select 1 where exists (select from :table where :key = :'away.org')

-- as: OWNER, MEMBER
-- expect: nothing, 42501
select max(:key), grouping(:key) from :table group by rollup (:key) having max(:key) <> :'org'
