-- 252_actor_of_another_organization
-- A tenant inserts an audit row for a user of another organization, and for one who does not exist.
-- safe: Both are refused with the same message.
-- source: sql/0009_enable_row_level_security.sql; CWE-203

-- as: MEMBER, OWNER
-- expect: 42501
insert into public.audit_logs (org_id, actor_id, action) values (:'org', :'new_id', 'exported')

-- as: OWNER
-- expect: same
insert into public.audit_logs (org_id, actor_id, action) values (:'org', :'away.member', 'exported')

-- as: OWNER
-- expect: same
insert into public.audit_logs (org_id, actor_id, action)
values (:'away.org', :'away.member', 'exported')
