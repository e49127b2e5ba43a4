-- 201_insert_into_another_organization
-- A tenant inserts a row into another organization, table by table.
-- safe: Refused by policy, for every role.
-- source: sql/0009_enable_row_level_security.sql;
--   https://www.postgresql.org/docs/current/sql-createpolicy.html (WITH CHECK)

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
insert into public.projects (org_id, name) values (:'away.org', 'Planted')

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
insert into public.workflows (org_id, project_id, gate)
values (:'away.org', :'away.project', 'G3')

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
insert into public.ai_agents (org_id, type) values (:'away.org', 'spy')

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
insert into public.users (org_id, email, name, roles)
values (:'away.org', :'new_id' || '@proof.invalid', 'Spy', '{OWNER}')

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
insert into public.audit_logs (org_id, actor_id, action)
values (:'away.org', :'away.owner', 'exported')

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
insert into public.organizations (name) values ('A second one')

-- as: OWNER, ADMIN
-- expect: 42501
insert into public.projects (org_id, name)
select :'away.org', p.name from public.projects as p where p.org_id = :'org'
