-- 451_forge_the_log
-- A tenant writes into the log in another's name, in nobody's, or in the words of the database.
-- safe: Refused: only as themselves, and never insert, update or delete, however spelt.
-- source: sql/0008_record_audit.sql (audit_logs)

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
insert into public.audit_logs (org_id, actor_id, action)
values (:'org', :'other_owner', 'exported')

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
insert into public.audit_logs (org_id, actor_id, action) values (:'org', null, 'exported')

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
insert into public.audit_logs (org_id, actor_id, action, target_type, target_id)
values (:'org', :'me', 'update', 'projects', :'project')

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
insert into public.audit_logs (org_id, actor_id, action)
values (:'org', :'me', 'insert'), (:'org', :'me', 'delete')

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
insert into public.audit_logs (org_id, actor_id, action, created_at)
values (:'org', :'me', 'exported', '2001-01-01')

-- Nor in a spelling that passes for the database's own.
-- as: OWNER, MEMBER, service_role
-- expect: 42501, 23514
insert into public.audit_logs (org_id, actor_id, action) values (:'org', :'me', 'INSERT')

-- as: OWNER, MEMBER, service_role
-- expect: 42501, 23514
insert into public.audit_logs (org_id, actor_id, action) values (:'org', :'me', ' insert')
