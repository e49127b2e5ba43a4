-- 104_read_by_aggregate
-- A tenant counts, aggregates or numbers another tenant's rows.
-- safe: There are no rows to aggregate.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
-- each: table

-- as: some members
-- expect: nothing, 42501
select count(*) from :table where :key = :'away.org' having count(*) > 0

-- as: some members
-- expect: nothing, 42501
select 1 from (select :key, count(*) over () from :table) as t where t.:key = :'away.org' limit 1

-- as: some members
-- expect: nothing, 42501
select 1 where exists (select from :table where :key = :'away.org')

-- as: some members
-- expect: nothing, 42501
select max(:key::text), grouping(:key)
from :table
group by rollup (:key)
having max(:key::text) <> :'org'
