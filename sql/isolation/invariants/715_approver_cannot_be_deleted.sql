-- 715_approver_cannot_be_deleted
-- A user who has approved is deleted, or moved to another organization.
-- safe: Refused: approvals and audit rows refer to them.
-- source: a decision of this schema: a user who acted or approved is never deleted or moved

-- as: service_role, owner
-- expect: 23503
delete from public.users where org_id = :'org' and id = :'other_owner'

-- as: service_role, owner
-- expect: 23503
update public.users set org_id = :'away.org' where org_id = :'org' and id = :'other_owner'
