-- 451_forge_audit_log
-- A tenant inserts audit rows for another user, without an actor, or with an action of the
--   database's own.
-- safe: Refused: only as themselves, and never insert, update or delete, in any spelling.
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

-- Nor in a spelling that looks like the database's own.
-- as: OWNER, MEMBER, service_role
-- expect: 42501, 23514
insert into public.audit_logs (org_id, actor_id, action) values (:'org', :'me', 'INSERT')

-- as: OWNER, MEMBER, service_role
-- expect: 42501, 23514
insert into public.audit_logs (org_id, actor_id, action) values (:'org', :'me', ' insert')
