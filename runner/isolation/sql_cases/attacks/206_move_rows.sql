-- 206_move_rows
-- A tenant moves rows out of their organization, and rows of others into it.
-- safe: Refused: they may not write org_id.
-- source: sql/0009_enable_row_level_security.sql

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
update public.users set org_id = :'away.org' where org_id = :'org'

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
update public.projects set org_id = :'away.org' where org_id = :'org'

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
update public.workflows set org_id = :'org' where org_id = :'away.org'

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
update public.ai_agents set org_id = :'org' where org_id in (:'org', :'away.org')

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
update public.audit_logs set org_id = :'away.org' where org_id = :'org'

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
update public.organizations set id = :'new_id' where id = :'org'
