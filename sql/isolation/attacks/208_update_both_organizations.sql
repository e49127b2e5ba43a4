-- 208_update_both_organizations
-- A tenant updates rows of both organizations in one statement.
-- safe: Only their own rows change.
-- source: sql/0009_enable_row_level_security.sql

-- as: OWNER
-- expect: rows, nothing, 42501
update public.projects set name = 'All' where org_id in (:'org', :'away.org')

-- as: OWNER
-- expect: rows, nothing, 42501
update public.ai_agents set type = 'all' where org_id in (:'org', :'away.org')

-- as: owner
-- expect: nothing
select 1 from public.projects where org_id = :'away.org' and name = 'All'

-- as: owner
-- expect: nothing
select 1 from public.ai_agents where org_id = :'away.org' and type = 'all'
