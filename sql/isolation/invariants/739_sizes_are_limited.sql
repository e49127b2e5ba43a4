-- 739_sizes_are_limited
-- A text or JSON column is filled with more than it is for.
-- safe: Refused: 1,000 bytes for a name, 320 for an address, 100,000 for a description, 1 MiB for JSON,
--   64 KiB in the log.
-- source: sql/0003_create_organizations_and_users.sql; CWE-770

-- as: service_role, owner
-- expect: 23514
insert into public.users (org_id, email, name)
values (:'org', repeat('x', 310) || '@proof.invalid', 'New')

-- as: service_role, owner, OWNER
-- expect: 23514
update public.projects set description = repeat('x', 100001)
where org_id = :'org' and id = :'project'

-- as: service_role, owner
-- expect: rows
update public.projects set description = repeat('x', 100000)
where org_id = :'org' and id = :'project'

-- as: service_role, owner
-- expect: 23514
update public.organizations set settings = jsonb_build_object('a', repeat('x', 1048576)) where id = :'org'

-- as: service_role, owner
-- expect: 23514
update public.organizations set limits = jsonb_build_object('a', repeat('x', 1048576)) where id = :'org'

-- as: service_role, owner
-- expect: 23514
update public.projects set config = jsonb_build_object('a', repeat('x', 1048576)) where org_id = :'org' and id = :'project'

-- as: service_role, owner
-- expect: 23514
update public.workflows set metadata = jsonb_build_object('a', repeat('x', 1048576)) where org_id = :'org' and id = :'workflow'

-- as: service_role, owner
-- expect: 23514
update public.ai_agents set config = jsonb_build_object('a', repeat('x', 1048576)) where org_id = :'org' and id = :'agent'

-- as: service_role, owner
-- expect: 23514
update public.ai_agents set performance = jsonb_build_object('a', repeat('x', 1048576)) where org_id = :'org' and id = :'agent'

-- as: MEMBER
-- expect: 23514
insert into public.audit_logs (org_id, actor_id, action)
values (:'org', :'me', 'a' || repeat('x', 100))

-- as: MEMBER
-- expect: 23514
insert into public.audit_logs (org_id, actor_id, action, meta)
values (:'org', :'me', 'exported', jsonb_build_object('a', repeat('x', 65536)))

-- as: MEMBER
-- expect: 23514
insert into public.audit_logs (org_id, actor_id, action, target_type)
values (:'org', :'me', 'exported', repeat('x', 1001))

-- as: MEMBER
-- expect: 23514
insert into public.audit_logs (org_id, actor_id, action, target_id)
values (:'org', :'me', 'exported', repeat('x', 1001))
