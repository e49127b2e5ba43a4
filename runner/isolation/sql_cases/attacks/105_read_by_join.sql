-- 105_read_by_join
-- A tenant reads another organization's rows through their own: join, lateral, union, recursion.
-- safe: No row of another organization is returned.
-- source: sql/0009_enable_row_level_security.sql
-- each: table

-- as: OWNER, MEMBER
-- expect: nothing, 42501
select 1 from public.organizations as o inner join :table as t on t.:key <> o.id limit 1

-- as: OWNER, MEMBER
-- expect: nothing, 42501
select t.*
from (values (:'away.org')) as v (org)
cross join lateral (select * from :table where :key = v.org limit 1) as t

-- as: OWNER, MEMBER
-- expect: nothing, 42501
select :key from :table where :key = :'org' and :key <> :'org'
union all
select :key from :table where :key = :'away.org'

-- as: OWNER, MEMBER
-- expect: nothing, 42501
with recursive r (k) as (
    select :key from :table
    union
    select t.:key from r inner join :table as t on t.:key <> r.k
)
select 1 from r where r.k <> :'org'

-- as: OWNER, MEMBER
-- expect: nothing, 42501
select 1 from public.users as u right join :table as t on u.org_id = t.:key where t.:key <> :'org'
limit 1
