-- 715_an_approver_stays
-- Somebody who has approved is deleted, or moved to another organization.
-- safe: Refused: what they signed refers to them.
-- source: a decision of this schema: whoever acted or approved is never deleted or moved

-- as: service_role, owner
-- expect: 23503
delete from public.users where org_id = :'org' and id = :'other_owner'

-- as: service_role, owner
-- expect: 23503
update public.users set org_id = :'away.org' where org_id = :'org' and id = :'other_owner'
