-- 405_change_approved_workflow
-- A user changes a workflow after it was approved.
-- safe: Refused until the approval is revoked.
-- source: a decision of this schema: gate, project_id and metadata of an approved workflow are
--   fixed

-- as: OWNER, ADMIN, MEMBER
-- expect: 23514
update public.workflows set metadata = '{"added": "later"}'
where org_id = :'org' and id = :'approved_workflow'

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
update public.workflows set gate = 'G8' where org_id = :'org' and id = :'approved_workflow'

-- Nor in the same statement that revokes the approval.
-- as: OWNER, ADMIN
-- expect: 23514
update public.workflows set status = 'pending', metadata = '{"added": "later"}'
where org_id = :'org' and id = :'approved_workflow'
