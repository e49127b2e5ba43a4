-- 733_json_columns_hold_objects
-- A JSON column is set to an array, a string, a number or JSON null.
-- safe: Refused.
-- source: a decision of this schema: JSON columns hold objects

-- as: service_role, owner
-- expect: 23514
update public.organizations set settings = '[]' where id = :'org'

-- as: service_role, owner
-- expect: 23514
update public.organizations set limits = 'null' where id = :'org'

-- as: service_role, owner
-- expect: 23514
update public.projects set config = '"text"' where org_id = :'org' and id = :'project'

-- as: service_role, owner
-- expect: 23514
update public.workflows set metadata = '1' where org_id = :'org' and id = :'workflow'

-- as: service_role, owner
-- expect: 23514
update public.ai_agents set config = '[{}]' where org_id = :'org' and id = :'agent'

-- as: service_role, owner
-- expect: 23514
update public.ai_agents set performance = 'true' where org_id = :'org' and id = :'agent'

-- as: service_role, owner
-- expect: 23514
insert into public.audit_logs (org_id, action, meta) values (:'org', 'exported', '[]')
