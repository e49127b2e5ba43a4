-- 204_merge_into_another_organization
-- A tenant merges into another organization, with and without a matching row.
-- safe: Nothing matches, and nothing can be inserted.
-- source: https://www.postgresql.org/docs/current/sql-merge.html

-- as: OWNER
-- expect: nothing, 42501
merge into public.projects as p
using (values (:'away.org', :'away.project')) as v (org, id)
on p.org_id = v.org and p.id = v.id
when matched then update set name = 'Taken'

-- as: OWNER
-- expect: 42501
merge into public.projects as p
using (values (:'away.org')) as v (org)
on p.org_id = v.org
when not matched then insert (org_id, name) values (v.org, 'Planted')
