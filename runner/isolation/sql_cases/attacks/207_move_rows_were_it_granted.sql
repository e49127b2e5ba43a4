-- 207_move_rows_were_it_granted
-- A tenant moves rows to another organization, had somebody granted them the column.
-- safe: The policies refuse it even so.
-- source: sql/0009_enable_row_level_security.sql (two locks)

-- as: owner
-- expect: done
grant update (org_id) on public.projects, public.ai_agents, public.workflows to authenticated

-- as: OWNER, ADMIN
-- expect: 42501
update public.ai_agents set org_id = :'away.org' where org_id = :'org'

-- as: OWNER, ADMIN
-- expect: nothing, 42501
update public.ai_agents set org_id = :'org' where org_id = :'away.org'

-- as: OWNER, ADMIN
-- expect: 42501
update public.projects set org_id = :'away.org' where org_id = :'org' and id = :'idle_project'

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501, 23503
update public.workflows set org_id = :'away.org' where org_id = :'org' and id = :'workflow'

-- as: owner
-- expect: nothing
select 1 from public.ai_agents where org_id = :'away.org' and id = :'agent'
