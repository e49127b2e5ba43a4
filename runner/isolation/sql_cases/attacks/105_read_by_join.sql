-- 105_read_by_join
-- A tenant reads another tenant's rows through their own: join, lateral, union, recursion.
-- safe: No row of another tenant is returned.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
-- each: table

-- as: some members
-- expect: nothing, 42501
select 1 from :tenant_table as o inner join :table as t on t.:key <> o.:tenant_key
limit 1

-- as: some members
-- expect: nothing, 42501
select t.*
from (values (:'away.org')) as v (org)
cross join lateral (select * from :table where :key::text = v.org limit 1) as t

-- as: some members
-- expect: nothing, 42501
select :key from :table where :key = :'org' and :key <> :'org'
union all
select :key from :table where :key = :'away.org'

-- as: some members
-- expect: nothing, 42501
with recursive r (k) as (
    select :key from :table
    union
    select t.:key from r inner join :table as t on t.:key <> r.k
)
select 1 from r where r.k <> :'org'

-- as: some members
-- expect: nothing, 42501
select 1 from :tenant_table as o right join :table as t on o.:tenant_key = t.:key
where t.:key <> :'org'
limit 1
