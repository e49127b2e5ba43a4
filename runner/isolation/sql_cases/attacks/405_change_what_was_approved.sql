-- 405_change_what_was_approved
-- Something is changed after it was approved.
-- safe: Refused: it is fixed until it is un-approved.
-- source: a decision of this schema: gate, project_id and metadata of an approved workflow are
--   fixed

-- as: OWNER, ADMIN, MEMBER
-- expect: 23514
update public.workflows set metadata = '{"added": "later"}'
where org_id = :'org' and id = :'approved_workflow'

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
update public.workflows set gate = 'G8' where org_id = :'org' and id = :'approved_workflow'

-- Nor in the same statement that takes the approval back.
-- as: OWNER, ADMIN
-- expect: 23514
update public.workflows set status = 'pending', metadata = '{"added": "later"}'
where org_id = :'org' and id = :'approved_workflow'
