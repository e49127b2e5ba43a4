-- 404_take_an_approval_back
-- A MEMBER takes an approval back.
-- safe: Refused.
-- source: a decision of this schema: a MEMBER never un-approves

-- as: MEMBER
-- expect: 42501
update public.workflows set status = 'pending' where org_id = :'org' and id = :'approved_workflow'

-- as: MEMBER
-- expect: 42501
update public.workflows set status = 'rejected' where org_id = :'org' and id = :'approved_workflow'
