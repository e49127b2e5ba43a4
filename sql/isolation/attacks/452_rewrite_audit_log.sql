-- 452_rewrite_audit_log
-- A role, service_role included, updates or deletes audit rows.
-- safe: Refused.
-- source: sql/0008_record_audit.sql (audit_logs is append-only)

-- as: OWNER, ADMIN, MEMBER, service_role
-- expect: 42501
update public.audit_logs set action = 'nothing' where org_id = :'org'

-- as: OWNER, ADMIN, MEMBER, service_role
-- expect: 42501
delete from public.audit_logs where org_id = :'org'

-- as: OWNER, ADMIN, MEMBER, service_role
-- expect: 42501
merge into public.audit_logs as a
using (values (:'org', :'audit')) as v (org, id)
on a.org_id = v.org and a.id = v.id
when matched then delete
