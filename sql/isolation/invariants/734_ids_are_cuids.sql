-- 734_ids_are_cuids
-- A row is inserted with an id that is not a cuid, and another without an id.
-- safe: Refused; the generated id is well-formed.
-- source: a decision of this schema: ids are cuids

-- as: service_role, owner
-- expect: 23514
insert into public.projects (org_id, id, name) values (:'org', 'c1', 'New')

-- as: service_role, owner
-- expect: 23514
insert into public.organizations (id, name) values (upper(:'new_id'), 'New')

-- as: service_role, owner
-- expect: 23514
insert into public.users (org_id, id, email, name)
values (:'org', :'new_id' || ' ', :'new_id' || '@proof.invalid', 'New')

-- as: service_role, owner
-- expect: 23514
insert into public.workflows (org_id, id, project_id, gate)
values (:'org', 'c1', :'project', 'G3')

-- as: service_role, owner
-- expect: 23514
insert into public.ai_agents (org_id, id, type) values (:'org', 'c1', 'New')

-- as: service_role, owner
-- expect: 23514
insert into public.audit_logs (org_id, id, action) values (:'org', 'c1', 'exported')

-- as: service_role
-- expect: rows
insert into public.projects (org_id, name) values (:'org', 'Made by default')

-- as: owner
-- expect: rows
select 1 from public.projects
where org_id = :'org' and name = 'Made by default' and id ~ '^c[a-z0-9]{24}$'
