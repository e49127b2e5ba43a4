-- 404_revoke_approval
-- A MEMBER revokes an approval.
-- safe: Refused.
-- source: a decision of this schema: a MEMBER never un-approves

-- as: MEMBER
-- expect: 42501
update public.workflows set status = 'pending' where org_id = :'org' and id = :'approved_workflow'

-- as: MEMBER
-- expect: 42501
update public.workflows set status = 'rejected' where org_id = :'org' and id = :'approved_workflow'
