-- 403_approve_without_permission
-- A MEMBER approves, or inserts a workflow that is already approved.
-- safe: Refused: only an OWNER or ADMIN approves, and no workflow starts approved.
-- source: sql/isolation.toml (workflows)

-- as: MEMBER
-- expect: 42501
update public.workflows set status = 'approved' where org_id = :'org' and id = :'workflow'

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501, 23514
insert into public.workflows (org_id, project_id, gate, status)
values (:'org', :'project', 'G3', 'approved')

-- as: OWNER, ADMIN
-- expect: nothing, 42501
update public.workflows set status = 'approved'
where org_id = :'away.org' and id = :'away.workflow'
