-- 202_update_another_organization
-- A tenant updates rows of another organization, table by table.
-- safe: No row is visible to update.
-- source: sql/0009_enable_row_level_security.sql

-- as: OWNER, ADMIN, MEMBER
-- expect: nothing, 42501
update public.organizations set name = 'Taken' where id = :'away.org'

-- as: OWNER, ADMIN, MEMBER
-- expect: nothing, 42501
update public.users set name = 'Taken' where org_id = :'away.org'

-- as: OWNER, ADMIN, MEMBER
-- expect: nothing, 42501
update public.projects set name = 'Taken' where org_id = :'away.org'

-- as: OWNER, ADMIN, MEMBER
-- expect: nothing, 42501
update public.workflows set status = 'rejected' where org_id = :'away.org'

-- as: OWNER, ADMIN, MEMBER
-- expect: nothing, 42501
update public.ai_agents set type = 'taken' where org_id = :'away.org'

-- as: OWNER
-- expect: nothing, 42501
update public.projects as p set name = 'Taken'
from public.projects as q
where p.org_id = :'away.org' and p.id <> q.id
