-- 711_approval_has_approver
-- The platform approves without naming an approver, or names a user who may not approve.
-- safe: Refused: an approval needs an OWNER or ADMIN of that organization.
-- source: sql/0007_guard_rows.sql (approval)

-- as: service_role, owner
-- expect: 23514
update public.workflows set status = 'approved' where org_id = :'org' and id = :'workflow'

-- as: service_role, owner
-- expect: 23514
update public.workflows set status = 'approved', approver_id = :'member'
where org_id = :'org' and id = :'workflow'

-- as: service_role, owner
-- expect: 23514, 23503
update public.workflows set status = 'approved', approver_id = :'away.owner'
where org_id = :'org' and id = :'workflow'

-- as: service_role, owner
-- expect: 23514, 23503
insert into public.workflows (org_id, project_id, gate, status, approver_id)
values (:'org', :'project', 'G3', 'approved', :'new_id')

-- as: service_role
-- expect: rows
update public.workflows set status = 'approved', approver_id = :'admin'
where org_id = :'org' and id = :'workflow'
