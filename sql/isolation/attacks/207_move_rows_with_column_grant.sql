-- 207_move_rows_with_column_grant
-- A tenant who was granted UPDATE on org_id moves rows to another organization.
-- safe: The policies refuse it even then.
-- source: sql/0009_enable_row_level_security.sql (grants and policies)

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
