-- 735_names_are_not_blank
-- A name is set to an empty or blank string.
-- safe: Refused.
-- source: a decision of this schema: names are not blank

-- as: service_role, owner, OWNER
-- expect: 23514
update public.organizations set name = ' ' where id = :'org'

-- as: service_role, owner, OWNER
-- expect: 23514
update public.projects set name = '' where org_id = :'org' and id = :'project'

-- as: service_role, owner, OWNER
-- expect: 23514
update public.users set name = e' \t\n' where org_id = :'org' and id = :'other_member'

-- as: service_role, owner, OWNER
-- expect: 23514
update public.ai_agents set type = ' ' where org_id = :'org' and id = :'agent'
